//! Reading the log: the newest lines, or those after a place in it. What is no line of ours is passed over.

use super::{Line, file, time};
use crate::northbound::api::{LogLevel, LogLine, LogPage, MAX_LOG_PAGE};
use hitless_ha::slot::ModuleSlot;
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Octets that the places in one file are apart from those in the next one.
const SPAN: u64 = 1 << 24;
const _: () = assert!(SPAN > MAX_BYTES);

/// Octets of one file that are read; writers stay within that.
const MAX_BYTES: u64 = file::LIMIT + file::FULL;

/// How a line begins: where one was cut off, the next one is found by this.
const BEGINNING: &[u8] = br#"{"time":""#;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of the module in this slot.
    pub slot: Option<ModuleSlot>,
    /// Those as urgent as this, or more.
    pub level: Option<LogLevel>,
    /// Those after this place, a [`LogPage::next`], the oldest first; else the newest.
    pub since: Option<u64>,
}

impl Filter {
    fn takes(&self, line: &Line) -> bool {
        self.slot.is_none_or(|slot| slot == line.slot)
            && self.level.is_none_or(|level| line.level <= level)
    }
}

/// One file of the log.
struct Part {
    number: u64,
    inode: u64,
    bytes: Vec<u8>,
}

impl Part {
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(Self {
            number: file::number(&bytes[..]).into(),
            inode: metadata.ino(),
            bytes,
        }))
    }

    fn start(&self) -> u64 {
        self.number * SPAN
    }

    /// The whole lines from an offset on: the place behind each, and the line.
    fn lines(&self, from: usize) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
        let whole = self
            .bytes
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        let bytes = self.bytes.get(from..whole).unwrap_or_default();
        let start = self.start() + from as u64;
        bytes.split_inclusive(|&b| b == b'\n').map(move |line| {
            let end = line.as_ptr() as usize - bytes.as_ptr() as usize + line.len();
            (start + end as u64, line)
        })
    }

    /// The place behind the last whole line.
    fn end(&self) -> u64 {
        self.lines(0)
            .next_back()
            .map_or(self.start(), |(end, _)| end)
    }
}

/// The newest `count` lines that a filter takes, or the first ones after the place that it gives; both the oldest
/// first. At most [`MAX_LOG_PAGE`], which is also meant by 0. A log that is not there is empty.
///
/// # Errors
/// If a file is there and can not be read.
pub fn read(directory: &Path, count: u32, filter: &Filter) -> io::Result<LogPage> {
    let count = match count {
        0 => MAX_LOG_PAGE,
        count => count.min(MAX_LOG_PAGE),
    } as usize;
    // In this order: a file that is renamed in between is seen twice, and not never.
    let current = Part::read(&file::current(directory))?;
    let previous = Part::read(&file::previous(directory))?;
    let parts: Vec<Part> = match (previous, current) {
        (Some(previous), Some(current)) if previous.inode == current.inode => vec![previous],
        (Some(previous), Some(mut current)) => {
            // Also where the first line was damaged.
            current.number = current.number.max(previous.number + 1);
            vec![previous, current]
        }
        (previous, current) => previous.into_iter().chain(current).collect(),
    };
    let end = parts.last().map_or(0, Part::end);
    // A place beyond the end is one in a log that was there before this one.
    let since = filter.since.filter(|&since| since <= end);
    let found = |(behind, line): (u64, &[u8])| {
        parse(line)
            .filter(|line| filter.takes(line))
            .and_then(|line| Some((behind, shown(line)?)))
    };
    if filter.since.is_none() {
        let lines = parts.iter().rev().flat_map(|part| part.lines(0).rev());
        let mut newest: Vec<LogLine> = lines
            .filter_map(found)
            .take(count)
            .map(|(_, l)| l)
            .collect();
        newest.reverse();
        return Ok(LogPage {
            lines: newest,
            next: end,
        });
    }
    let lines = parts.iter().flat_map(|part| {
        let from = since.unwrap_or(0).saturating_sub(part.start());
        part.lines(usize::try_from(from).unwrap_or(usize::MAX))
    });
    let mut page = LogPage {
        lines: Vec::new(),
        next: end,
    };
    for (behind, line) in lines.filter_map(found).take(count) {
        page.lines.push(line);
        if page.lines.len() == count {
            page.next = behind;
        }
    }
    Ok(page)
}

/// A line of ours, also behind one that was cut off.
fn parse(line: &[u8]) -> Option<Line> {
    serde_json::from_slice(line).ok().or_else(|| {
        let begins = line
            .windows(BEGINNING.len())
            .rposition(|at| at == BEGINNING)?;
        serde_json::from_slice(&line[begins..]).ok()
    })
}

fn shown(line: Line) -> Option<LogLine> {
    Some(LogLine {
        at_unix_ms: time::parse(&line.time)?,
        slot: line.slot,
        pid: line.pid,
        level: line.level,
        message: line.message,
        fields: line.fields,
    })
}
