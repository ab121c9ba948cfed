//! Poison input: the frame or message being handled is noted in a file in memory, `/run/hitless/<switch>/blackbox`,
//! which outlives the process. What two masters died of is not handled a third time: it is quarantined.
//!
//! Only the master opens the file: whoever holds the switch's lock. What it notes is on its way to the file at once,
//! however the process ends, because the file is mapped.

mod layout;

#[cfg(test)]
mod tests;

pub use layout::{BYTES, ENTRIES, Kind};

use crate::logbook::unix_ms;
use hitless_boot::directory;
use layout::{Input, Layout, SIZE};
use memmap2::{MmapOptions, MmapRaw};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use tracing::{error, info, warn};

/// Deaths after which an input is not handled any more.
pub const DEATHS: u32 = 2;

/// An input that masters died of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// What it is.
    pub kind: Kind,
    /// Identifies it, with its kind and length.
    pub hash: u64,
    /// Its octets.
    pub length: u32,
    /// The first of them, [`BYTES`] at most.
    pub bytes: Vec<u8>,
    /// Masters that died of it.
    pub deaths: u32,
    /// How often it was dropped since.
    pub drops: u64,
    /// The last death, in milliseconds since 1970-01-01 00:00 UTC.
    pub at_unix_ms: u64,
}

impl Poison {
    /// Whether it is dropped instead of handled.
    #[must_use]
    pub const fn is_quarantined(&self) -> bool {
        self.deaths >= DEATHS
    }
}

/// See the module.
pub struct Blackbox {
    memory: Memory,
    /// Entries with fewer deaths than [`DEATHS`], and the others: nothing is looked up while there are none.
    suspects: AtomicU32,
    quarantined: AtomicU32,
}

enum Memory {
    Shared(MmapRaw),
    /// Where there is no file to be had.
    Own(Box<Layout>),
}

impl Blackbox {
    /// Opens the file of a switch for its master, or makes it. One that is not what it should be is begun anew; if
    /// there can not be one, the module goes on with memory of its own, which dies with it. Both are logged.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let path = directory.join("blackbox");
        let memory = match adopt(&path) {
            Ok(memory) => Ok(memory),
            Err(e) => {
                if e.kind() != io::ErrorKind::NotFound {
                    warn!(file = %path.display(), "begun anew: {e}");
                }
                create(&path)
            }
        };
        let memory = memory.map_or_else(
            |e| {
                error!(
                    file = %path.display(),
                    "what a master dies of will not be known to the next one: {e}"
                );
                Memory::Own(Box::default())
            },
            Memory::Shared,
        );
        let opened = Self {
            memory,
            suspects: AtomicU32::new(0),
            quarantined: AtomicU32::new(0),
        };
        opened.layout().repair();
        opened.recount();
        opened
    }

    fn layout(&self) -> &Layout {
        match &self.memory {
            // SAFETY: the mapping has SIZE octets from a page's start, lives as long as `self`, and everything in a
            // `Layout` is an atomic number, for which any octets are valid whoever else writes them.
            Memory::Shared(mapping) => unsafe { &*mapping.as_ptr().cast::<Layout>() },
            Memory::Own(layout) => layout,
        }
    }

    fn recount(&self) {
        let deaths = || self.layout().entries().map(layout::Entry::deaths);
        let suspects = deaths().filter(|&d| d < DEATHS).count();
        self.suspects.store(suspects as u32, Relaxed);
        let quarantined = deaths().filter(|&d| d >= DEATHS).count();
        self.quarantined.store(quarantined as u32, Relaxed);
    }

    /// Notes what is being handled from now on, in place of what was noted before.
    pub fn handling(&self, kind: Kind, bytes: &[u8]) {
        self.layout().current.note(kind, bytes);
    }

    /// It was handled. If a master died of it before, it was not its fault.
    pub fn done(&self) {
        let layout = self.layout();
        if self.suspects.load(Relaxed) > 0
            && let Some(input) = layout.current.read()
            && let Some(entry) = layout.find(&input)
            && entry.deaths() < DEATHS
        {
            entry.clear();
            self.recount();
        }
        layout.current.clear();
    }

    /// Whether masters died of this input: then it is to be dropped, and is counted here.
    #[must_use]
    pub fn is_quarantined(&self, kind: Kind, bytes: &[u8]) -> bool {
        if self.quarantined.load(Relaxed) == 0 {
            return false;
        }
        let found = self.layout().find(&Input::new(kind, bytes));
        match found {
            Some(entry) if entry.deaths() >= DEATHS => {
                entry.count_drop();
                true
            }
            _ => false,
        }
    }

    /// Looks at what the master before this one was handling when it ended, once, at the start of a master. If it
    /// died unannounced, that input has a death more; it is returned then.
    pub fn examine(&self, died_unannounced: bool) -> Option<Poison> {
        let layout = self.layout();
        let input = layout.current.read()?;
        // First of all: a master that dies here did not die of it.
        layout.current.clear();
        if !died_unannounced {
            return None;
        }
        let entry = layout.find_or_replace(&input);
        entry.count_death(&input, unix_ms());
        self.recount();
        let poison = entry.read()?;
        if poison.is_quarantined() {
            error!(
                kind = %poison.kind,
                hash = %format_args!("{:016x}", poison.hash),
                length = poison.length,
                deaths = poison.deaths,
                "masters died while they handled this input: it is dropped from now on"
            );
        } else {
            warn!(
                kind = %poison.kind,
                hash = %format_args!("{:016x}", poison.hash),
                length = poison.length,
                "the last master died while it handled this input; if another one does, it will be dropped"
            );
        }
        Some(poison)
    }

    /// Every input that a master died of and that was not handled since, the latest death first.
    #[must_use]
    pub fn list(&self) -> Vec<Poison> {
        let mut list: Vec<Poison> = self
            .layout()
            .entries()
            .filter_map(layout::Entry::read)
            .collect();
        list.sort_by_key(|poison| std::cmp::Reverse(poison.at_unix_ms));
        list
    }

    /// Forgets the inputs with this hash, so that they are handled again; all of them for `None`. How many there were.
    pub fn forget(&self, hash: Option<u64>) -> usize {
        let chosen = |entry: &&layout::Entry| hash.is_none_or(|hash| entry.hash() == hash);
        let forgotten: Vec<&layout::Entry> = self.layout().entries().filter(chosen).collect();
        for entry in &forgotten {
            entry.clear();
        }
        self.recount();
        if !forgotten.is_empty() {
            info!(
                inputs = forgotten.len(),
                "quarantined inputs are handled again"
            );
        }
        forgotten.len()
    }
}

/// Maps a file that is there.
fn adopt(path: &Path) -> io::Result<MmapRaw> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let found = file.metadata()?;
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if !found.is_file() || found.len() != SIZE as u64 {
        return refuse(format!(
            "it is not a file of {SIZE} octets but of {}",
            found.len()
        ));
    }
    let mapping = MmapOptions::new().len(SIZE).populate().map_raw(&file)?;
    // SAFETY: as in `Blackbox::layout`.
    let layout = unsafe { &*mapping.as_ptr().cast::<Layout>() };
    match layout.check() {
        Ok(()) => Ok(mapping),
        Err(why) => refuse(why),
    }
}

/// Makes a file, whole before it has its name. Written and not only sized, so that memory for all of it is there: a
/// full disk is an error here and no signal later.
fn create(path: &Path) -> io::Result<MmapRaw> {
    if let Some(directory) = path.parent() {
        directory::make(directory, directory::PASSAGE)?;
    }
    let building = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(directory::OWN_FILE)
        .open(&building)?;
    file.write_all(&Layout::empty())?;
    fs::rename(&building, path)?;
    adopt(path)
}
