//! Writers and readers at once, files that are full, damaged or none.

use super::*;
use crate::northbound::api::{LogLine, LogPage};
use proptest::prelude::*;
use std::{fs, os::unix::fs::symlink, path::PathBuf};
use tempfile::TempDir;
use tracing_subscriber::prelude::*;

struct Log {
    directory: TempDir,
}

impl Log {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        file::current(self.directory.path())
    }

    fn pen(&self, slot: ModuleSlot) -> Logbook {
        let pen = Logbook::new(slot);
        pen.open(self.directory.path());
        pen
    }

    fn read(&self, count: u32, filter: Filter) -> LogPage {
        read(self.directory.path(), count, &filter).unwrap()
    }

    fn newest(&self, count: u32) -> Vec<String> {
        messages(&self.read(count, Filter::default()).lines)
    }
}

fn messages(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(|line| line.message.clone()).collect()
}

fn info(pen: &Logbook, message: impl fmt::Display) {
    pen.write(LogLevel::Info, &message.to_string(), &[]);
}

#[test]
fn events_become_lines() {
    let log = Log::new();
    let pen = log.pen(ModuleSlot::MsmB);
    pen.set_role(ModuleRole::Standby);
    let subscriber = tracing_subscriber::registry().with(pen.clone());
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(port = 3, device = "p3", why = %"no \"carrier\"", "the port is down\nfor good");
    });
    let page = log.read(10, Filter::default());
    let [line] = &page.lines[..] else {
        panic!("{page:?}");
    };
    assert_eq!(line.slot, ModuleSlot::MsmB);
    assert_eq!(line.level, LogLevel::Warn);
    assert_eq!(line.pid, std::process::id());
    assert_eq!(line.message, "the port is down\nfor good");
    let field = |name: &str| line.fields[name].as_str();
    assert_eq!(
        (field("port"), field("device"), field("why")),
        ("3", "p3", "no \"carrier\"")
    );
    let text = fs::read_to_string(log.path()).unwrap();
    let written: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(written["role"], "standby");
    assert_eq!(
        time::parse(written["time"].as_str().unwrap()),
        Some(line.at_unix_ms)
    );
    assert_eq!(pen.failures(), 0);
}

#[test]
fn lines_before_the_directory_is_known_come_first() {
    let log = Log::new();
    let pen = Logbook::new(ModuleSlot::MsmA);
    info(&pen, "first");
    let directory = log.directory.path().join("made/on the way");
    pen.open(&directory);
    info(&pen, "second");
    pen.open(Path::new("/nowhere"));
    info(&pen, "third");
    let page = read(&directory, 0, &Filter::default()).unwrap();
    assert_eq!(messages(&page.lines), ["first", "second", "third"]);
}

#[test]
fn filters_and_counts() {
    let log = Log::new();
    let (a, b) = (log.pen(ModuleSlot::MsmA), log.pen(ModuleSlot::MsmB));
    for n in 0..5 {
        info(&a, format!("a{n}"));
        b.write(LogLevel::Error, &format!("b{n}"), &[]);
    }
    assert_eq!(log.newest(3), ["b3", "a4", "b4"]);
    let of = |slot, level| {
        let filter = Filter {
            slot,
            level,
            since: None,
        };
        messages(&log.read(2, filter).lines)
    };
    assert_eq!(of(Some(ModuleSlot::MsmA), None), ["a3", "a4"]);
    assert_eq!(of(None, Some(LogLevel::Warn)), ["b3", "b4"]);
    assert!(of(Some(ModuleSlot::MsmA), Some(LogLevel::Warn)).is_empty());
    assert_eq!(log.read(0, Filter::default()).lines.len(), 10);
    assert!(Log::new().read(1, Filter::default()).lines.is_empty());
}

#[test]
fn long_texts_are_cut_between_characters() {
    let log = Log::new();
    let long = "ä".repeat(MAX_MESSAGE);
    let fields: Vec<(&str, String)> = (0..100).map(|_| ("name", long.clone())).collect();
    log.pen(ModuleSlot::MsmA)
        .write(LogLevel::Info, &long, &fields);
    let page = log.read(1, Filter::default());
    assert_eq!(page.lines[0].message.len(), MAX_MESSAGE);
    assert_eq!(page.lines[0].fields["name"].len(), MAX_VALUE);
}

/// What a writer of [`many`] has written, as its numbers.
fn numbers(lines: &[LogLine], slot: ModuleSlot) -> Vec<u32> {
    let of_slot = lines.iter().filter(|line| line.slot == slot);
    of_slot.map(|line| line.message.parse().unwrap()).collect()
}

/// Two modules write so many lines each at once.
fn many(log: &Log, lines: u32) {
    std::thread::scope(|scope| {
        for slot in ModuleSlot::BOTH {
            scope.spawn(move || {
                let pen = log.pen(slot);
                (0..lines).for_each(|n| info(&pen, n));
                assert_eq!(pen.failures(), 0);
            });
        }
    });
}

#[test]
fn two_writers_lose_nothing() {
    const LINES: u32 = 3_000;
    let log = Log::new();
    many(&log, LINES);
    assert!(!file::previous(log.directory.path()).exists());
    let all = read_all(&log);
    for slot in ModuleSlot::BOTH {
        assert!(numbers(&all, slot).into_iter().eq(0..LINES));
    }
}

#[test]
fn two_writers_begin_new_files() {
    let log = Log::new();
    // Some four files.
    many(&log, 15_000);
    let size = |path: PathBuf| fs::metadata(path).unwrap().len();
    let previous = file::previous(log.directory.path());
    assert!(size(previous.clone()) >= file::FULL && size(previous.clone()) < file::FULL * 2);
    assert!(size(log.path()) < file::FULL + 1_000);
    let number = |path| file::number(fs::File::open(path).unwrap());
    assert!(number(log.path()) >= 4);
    assert_eq!(number(previous), number(log.path()) - 1);
    let all = read_all(&log);
    for slot in ModuleSlot::BOTH {
        let numbers = numbers(&all, slot);
        assert!(numbers.len() > 2_000, "{}", numbers.len());
        // The newest ones, with none missing and none out of order.
        let first = 15_000 - numbers.len() as u32;
        assert!(numbers.into_iter().eq(first..15_000));
    }
    let left: Vec<_> = fs::read_dir(log.directory.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// Everything, page by page from the start.
fn read_all(log: &Log) -> Vec<LogLine> {
    let mut all = Vec::new();
    let mut since = Some(0);
    loop {
        let page = log.read(
            777,
            Filter {
                since,
                ..Filter::default()
            },
        );
        if page.lines.is_empty() {
            return all;
        }
        since = Some(page.next);
        all.extend(page.lines);
    }
}

#[test]
fn a_place_stays_good_when_a_new_file_is_begun() {
    let log = Log::new();
    let pen = log.pen(ModuleSlot::MsmA);
    info(&pen, "before");
    let place = log.read(1, Filter::default()).next;
    let after = |since| {
        let since = Some(since);
        log.read(
            9,
            Filter {
                since,
                ..Filter::default()
            },
        )
    };
    assert_eq!(
        after(place),
        LogPage {
            lines: Vec::new(),
            next: place
        }
    );
    info(&pen, "after");
    fs::rename(log.path(), file::previous(log.directory.path())).unwrap();
    assert_eq!(messages(&after(place).lines), ["after"]);
    info(&pen, "in the next file");
    assert_eq!(messages(&after(place).lines), ["after", "in the next file"]);
    let place = after(place).next;
    assert!(after(place).lines.is_empty());

    // The log was taken away: what is there now is all new.
    fs::remove_file(log.path()).unwrap();
    fs::remove_file(file::previous(log.directory.path())).unwrap();
    assert!(after(place).lines.is_empty());
    info(&pen, "anew");
    assert_eq!(messages(&after(place).lines), ["anew"]);
}

#[test]
fn a_full_disk_is_counted_and_told_when_it_is_over() {
    let log = Log::new();
    symlink("/dev/full", log.path()).unwrap();
    let pen = log.pen(ModuleSlot::MsmA);
    (0..3).for_each(|n| info(&pen, n));
    assert_eq!(pen.failures(), 3);
    fs::remove_file(log.path()).unwrap();
    info(&pen, "again");
    let page = log.read(9, Filter::default());
    assert_eq!(
        messages(&page.lines),
        ["again", "lines of this log could not be written"]
    );
    assert_eq!(page.lines[1].fields["lines"], "3");
    assert_eq!(pen.failures(), 3);
}

#[test]
fn what_is_no_file_is_left_alone() {
    let log = Log::new();
    nix::unistd::mkfifo(&log.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pen = log.pen(ModuleSlot::MsmA);
    info(&pen, "into a pipe that nobody reads");
    fs::remove_file(log.path()).unwrap();
    fs::create_dir(log.path()).unwrap();
    info(&pen, "into a directory");
    assert_eq!(pen.failures(), 2);
    assert!(log.read(9, Filter::default()).lines.is_empty());
}

#[test]
fn a_file_that_can_not_be_put_aside_stops_growing() {
    let log = Log::new();
    let pen = log.pen(ModuleSlot::MsmA);
    info(&pen, "first");
    let file = fs::OpenOptions::new()
        .append(true)
        .open(log.path())
        .unwrap();
    file.set_len(file::LIMIT).unwrap();
    // The other module was stopped while it had the lock.
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    info(&pen, "too much");
    assert_eq!(pen.failures(), 1);
    assert_eq!(fs::metadata(log.path()).unwrap().len(), file::LIMIT);
    drop(lock);
    info(&pen, "in a new one");
    assert_eq!(pen.failures(), 1);
    assert_eq!(
        log.newest(9),
        [
            "first",
            "in a new one",
            "lines of this log could not be written"
        ]
    );
}

#[test]
fn a_line_behind_one_that_was_cut_off_is_found() {
    let log = Log::new();
    let pen = log.pen(ModuleSlot::MsmA);
    info(&pen, "whole");
    let text = fs::read(log.path()).unwrap();
    let last = text
        .trim_ascii_end()
        .iter()
        .rposition(|&b| b == b'\n')
        .unwrap()
        + 1;
    for cut in 1..text.len() - last {
        fs::write(log.path(), &text[..last + cut]).unwrap();
        assert!(log.newest(9).is_empty(), "{cut} octets of a line");
        info(&pen, "next");
        assert_eq!(log.newest(9), ["next"], "behind {cut} octets of a line");
    }
}

#[test]
fn a_panic_has_the_last_word() {
    let log = Log::new();
    let pen = log.pen(ModuleSlot::MsmA);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Other tests run in this process.
        if std::thread::current().name() == Some("doomed") {
            pen.write_panic(panic);
        } else {
            before(panic);
        }
    }));
    let doomed = std::thread::Builder::new().name("doomed".into());
    let ended = doomed.spawn(|| panic!("no {} left", "way")).unwrap().join();
    assert!(ended.is_err());
    drop(std::panic::take_hook());
    let page = log.read(9, Filter::default());
    assert_eq!(messages(&page.lines), ["panic: no way left"]);
    assert_eq!(page.lines[0].level, LogLevel::Error);
    assert_eq!(page.lines[0].fields["thread"], "doomed");
    assert!(page.lines[0].fields["at"].contains("logbook/tests.rs"));
}

proptest! {
    #[test]
    fn any_bytes_between_lines_do_no_harm(
        junk in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8),
        since in proptest::option::of(0..1u64 << 26),
        in_previous: bool,
    ) {
        let log = Log::new();
        let pen = log.pen(ModuleSlot::MsmA);
        let path = if in_previous { file::previous(log.directory.path()) } else { log.path() };
        for (n, junk) in junk.iter().enumerate() {
            let mut bytes = fs::read(&path).unwrap_or_default();
            bytes.extend(junk);
            bytes.push(b'\n');
            fs::write(&path, bytes).unwrap();
            info(&pen, n);
        }
        let expected: Vec<String> = (0..junk.len()).map(|n| n.to_string()).collect();
        prop_assert_eq!(log.newest(99), expected);
        log.read(99, Filter { since, ..Filter::default() });
    }
}
