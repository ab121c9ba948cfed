//! The file: appending, and beginning a new one when it is full, with two writers and no lock that is waited for.
//!
//! The file is opened for each line, so nobody ever holds one that was renamed long ago. A new one gets its first
//! line, with its number, before it gets its name, and the name only if nobody else has made one meanwhile.

use hitless_boot::directory::{self, OWN_FILE, PASSAGE};
use hitless_ha::slot::ModuleSlot;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, RenameFlags, renameat2};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Octets from which on a new file is begun.
pub(super) const FULL: u64 = 1 << 20;
/// Octets that a file never gets to, whatever keeps a new one from being begun.
pub(super) const LIMIT: u64 = 8 * FULL;
/// Octets of the first line at most.
const MAX_HEADER: u64 = 64;

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Files begun in this directory so far, this one included.
    log: u32,
}

/// The log of a directory, as one module writes it.
pub(super) struct LogFile {
    path: PathBuf,
    /// Where this module puts a new file together.
    building: PathBuf,
    /// Held while it does; between the threads of this process alone.
    beginning: Mutex<()>,
}

/// The log that is written to.
pub(super) fn current(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// The one before it.
pub(super) fn previous(directory: &Path) -> PathBuf {
    directory.join("log.1")
}

/// The number of a file, from its first line; 0 if that is not what it should be.
pub(super) fn number(file: impl Read) -> u32 {
    let mut line = Vec::new();
    let read = io::BufReader::new(file.take(MAX_HEADER)).read_until(b'\n', &mut line);
    read.ok()
        .and_then(|_| serde_json::from_slice::<Header>(&line).ok())
        .map_or(0, |header| header.log)
}

impl LogFile {
    pub(super) fn new(directory: &Path, slot: ModuleSlot) -> Self {
        Self {
            path: current(directory),
            building: directory.join(format!("log.{slot}.new")),
            beginning: Mutex::new(()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line, newline included, by one write.
    ///
    /// # Errors
    /// What the kernel says; part of the line may be there then.
    pub(super) fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        let size = file.metadata()?.len();
        if size >= FULL && self.put_aside(&file)? {
            file = self.open()?;
        } else if size >= LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "it is far beyond its size, and the other module keeps it from being put aside",
            ));
        }
        let written = file.write(line)?;
        if written < line.len() {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "only a part of a line could be written",
            ));
        }
        Ok(())
    }

    fn open(&self) -> io::Result<File> {
        let open = || {
            OpenOptions::new()
                .append(true)
                // Should somebody have put a pipe there, it is an error and not a wait.
                .custom_flags(libc::O_NONBLOCK)
                .open(&self.path)
        };
        match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.begin()?;
                open()
            }
            opened => opened,
        }
    }

    /// Makes a new file, unless somebody else does at the same time.
    fn begin(&self) -> io::Result<()> {
        let _alone = self.beginning.lock();
        let directory = self.path.parent().unwrap_or(Path::new("."));
        if !directory.exists() {
            directory::make(directory, PASSAGE)?;
        }
        let before = File::open(previous(directory)).map_or(0, number);
        let header = Header {
            log: before.saturating_add(1),
        };
        let mut line = serde_json::to_vec(&header)?;
        line.push(b'\n');
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(OWN_FILE)
            .open(&self.building)?;
        file.write_all(&line)?;
        match renameat2(
            AT_FDCWD,
            &self.building,
            AT_FDCWD,
            &self.path,
            RenameFlags::RENAME_NOREPLACE,
        ) {
            Err(nix::errno::Errno::EEXIST) => fs::remove_file(&self.building),
            renamed => Ok(renamed?),
        }
    }

    /// Renames a full file, unless somebody else does or did; whether there is another one to be opened.
    fn put_aside(&self, file: &File) -> io::Result<bool> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        // Who has this lock renames the file, and nobody else while it may not have happened yet.
        let Ok(locked) = Flock::lock(file.try_clone()?, FlockArg::LockExclusiveNonblock) else {
            return Ok(false);
        };
        let ours = locked.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                fs::rename(&self.path, previous(directory))?;
                Ok(true)
            }
            // It has been renamed already.
            _ => Ok(true),
        }
    }
}
