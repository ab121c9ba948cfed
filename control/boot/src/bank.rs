//! Image banks: each slot has two on disk, and a selection of which of them it boots.
//!
//! Files below the directory of a switch's images: `<slot>/<bank>/hitlessd`, an image file ([`crate::image`]), and
//! `<slot>/selected`, a bank's name. Each is replaced at one stroke after what takes its place is on disk, so a crash or
//! a power cut at any instant leaves the old or the new one, whole.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::statvfs;

use crate::directory;
use crate::image::{Image, ImageError, Manifest};
use crate::slot::Slot;

#[cfg(test)]
mod tests;

/// Name of the image in a bank: that of the program, as processes are named after it.
const IMAGE: &str = "hitlessd";

/// Name of an image that is being written.
const NEW_IMAGE: &str = "hitlessd.new";

/// Name of a slot's selection.
const SELECTED: &str = "selected";

/// Name of a selection that is being written.
const NEW_SELECTED: &str = "selected.new";

/// Octets copied at a time.
const PIECE: usize = 64 * 1024;

/// A place for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bank {
    /// `primary`.
    Primary,
    /// `secondary`.
    Secondary,
}

impl Bank {
    /// Both banks.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Secondary];

    /// The bank's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }

    /// The other bank.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBank;

impl fmt::Display for NoBank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no bank: primary or secondary")
    }
}

impl std::error::Error for NoBank {}

impl FromStr for Bank {
    type Err = NoBank;

    fn from_str(text: &str) -> Result<Self, NoBank> {
        let found = Self::ALL.into_iter().find(|bank| bank.name() == text);
        found.ok_or(NoBank)
    }
}

/// Why the primary bank is taken for the selected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unselected {
    /// Nothing was selected yet.
    Never,
    /// The selection can not be used: the file and what is wrong with it.
    Unusable(String),
}

impl fmt::Display for Unselected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("nothing was selected"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

/// An image or a selection that was not written. What was there is there still.
#[derive(Debug)]
pub enum BankError {
    /// The image is refused: the one given, or its copy.
    Image(ImageError),
    /// Who asked does not want this image: the file and why.
    Unwanted(PathBuf, String),
    /// Another process writes to this bank.
    Busy(PathBuf),
    /// The system refused.
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for BankError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::Unwanted(file, why) => write!(f, "{}: {why}", file.display()),
            Self::Busy(bank) => write!(
                f,
                "{}: another image is being written to this bank; try again when that is done",
                bank.display()
            ),
            Self::Io { what, file, source } => {
                write!(f, "{}: can not {what}: {source}", file.display())?;
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        f.write_str("; make room there and try again")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for BankError {}

/// For `map_err`: what was tried with which file.
fn failed<E: Into<io::Error>>(what: &'static str, file: &Path) -> impl FnOnce(E) -> BankError {
    move |source| BankError::Io {
        what,
        file: file.into(),
        source: source.into(),
    }
}

/// What a file is, to see whether another one took its place: device, inode, and time of its last change in
/// nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64, i64, i64);

impl Identity {
    /// That of a file; `None` if there is none.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        let found = fs::metadata(file).ok()?;
        Some(Self(
            found.dev(),
            found.ino(),
            found.ctime(),
            found.ctime_nsec(),
        ))
    }
}

/// An image that waits beside a bank to take its place. Dropped, it is removed.
#[derive(Debug)]
pub struct Staged {
    manifest: Manifest,
    new: Option<PathBuf>,
    file: PathBuf,
    directory: PathBuf,
    _lock: Flock<File>,
}

impl Staged {
    /// Puts the image into the bank, at one stroke.
    ///
    /// # Errors
    /// What the system refused; the bank is as it was then.
    pub fn commit(mut self) -> Result<Manifest, BankError> {
        if let Some(new) = self.new.take() {
            fs::rename(&new, &self.file).map_err(failed("replace", &self.file))?;
        }
        sync(&self.directory)?;
        Ok(self.manifest.clone())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(new) = &self.new {
            // The next one removes it otherwise.
            let _ = fs::remove_file(new);
        }
    }
}

/// The banks of both slots of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banks {
    directory: PathBuf,
}

impl Banks {
    /// Those below this directory. It need not be there before something is written.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn of_slot(&self, slot: Slot) -> PathBuf {
        self.directory.join(slot.name())
    }

    /// The image file of a bank.
    #[must_use]
    pub fn path(&self, slot: Slot, bank: Bank) -> PathBuf {
        self.of_slot(slot).join(bank.name()).join(IMAGE)
    }

    /// The file with a slot's selection.
    #[must_use]
    pub fn selection(&self, slot: Slot) -> PathBuf {
        self.of_slot(slot).join(SELECTED)
    }

    /// The bank that a slot boots; the primary, with the reason, if the selection tells none.
    #[must_use]
    pub fn selected(&self, slot: Slot) -> (Bank, Option<Unselected>) {
        let file = self.selection(slot);
        let why = match directory::read_word(&file) {
            Ok(word) => {
                let word = word.strip_suffix('\n').unwrap_or(&word);
                match word.parse() {
                    Ok(bank) => return (bank, None),
                    Err(e) => format!("{word:?} {e}"),
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return (Bank::Primary, Some(Unselected::Never));
            }
            Err(e) => e.to_string(),
        };
        let why = format!("{}: {why}", file.display());
        (Bank::Primary, Some(Unselected::Unusable(why)))
    }

    /// Has a slot boot a bank from its next start on. Whether there is an image in it is for the caller to see first.
    ///
    /// # Errors
    /// What the system refused; the selection before holds then.
    pub fn select(&self, slot: Slot, bank: Bank) -> Result<(), BankError> {
        let directory = self.of_slot(slot);
        make(&directory)?;
        let _lock = lock(&directory)?;
        let (new, file) = (directory.join(NEW_SELECTED), self.selection(slot));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&new)
            .and_then(|mut opened| {
                writeln!(opened, "{bank}")?;
                opened.sync_all()
            });
        written.map_err(failed("write", &new))?;
        fs::rename(&new, &file).map_err(failed("replace", &file))?;
        sync(&directory)
    }

    /// Copies an image file into a bank, in the place of one that is there: first beside it, then, when the copy is on
    /// disk and whole, at one stroke. Says after each piece how many octets of how many are done.
    ///
    /// # Errors
    /// Why the image is refused, or what the system refused; the bank is as it was then.
    pub fn install(
        &self,
        slot: Slot,
        bank: Bank,
        image: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Manifest, BankError> {
        self.stage(slot, bank, image, |_| Ok(()), &mut progress)?
            .commit()
    }

    /// The first part of [`Self::install`]: the copy is on disk, checked, and waits beside the bank's image for
    /// [`Staged::commit`]. `is_wanted` looks at the copy and may refuse it, in words.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub fn stage(
        &self,
        slot: Slot,
        bank: Bank,
        image: &Path,
        is_wanted: impl FnOnce(&Image) -> Result<(), String>,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<Staged, BankError> {
        // Before anything is made for it.
        Image::open(image).map_err(BankError::Image)?;
        let directory = self.of_slot(slot).join(bank.name());
        make(&directory)?;
        let lock = lock(&directory)?;
        let new = directory.join(NEW_IMAGE);
        // Of an installation that was interrupted.
        remove(&new)?;
        let copied = copy(image, &new, progress).and_then(|()| {
            let copy = Image::open(&new).map_err(BankError::Image)?;
            is_wanted(&copy).map_err(|why| BankError::Unwanted(image.into(), why))?;
            copy.verify().map_err(BankError::Image)?;
            Ok(copy.manifest().clone())
        });
        match copied {
            Ok(manifest) => Ok(Staged {
                manifest,
                new: Some(new),
                file: self.path(slot, bank),
                directory,
                _lock: lock,
            }),
            Err(error) => {
                // What was tried is what counts; the next one removes it otherwise.
                let _ = fs::remove_file(&new);
                Err(error)
            }
        }
    }

    /// Removes what interrupted installations left in a slot's banks.
    ///
    /// # Errors
    /// What the system refused.
    pub fn clean(&self, slot: Slot) -> Result<(), BankError> {
        for bank in Bank::ALL {
            let directory = self.of_slot(slot).join(bank.name());
            let new = directory.join(NEW_IMAGE);
            if !new.exists() {
                continue;
            }
            match lock(&directory) {
                Ok(_lock) => remove(&new)?,
                // It is no leftover.
                Err(BankError::Busy(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the image in a bank tells of itself; its program's checksum is not looked at.
    ///
    /// # Errors
    /// Why it is refused; [`ImageError::is_missing`] if the bank is empty.
    pub fn inspect(&self, slot: Slot, bank: Bank) -> Result<Manifest, ImageError> {
        Ok(Image::open(&self.path(slot, bank))?.manifest().clone())
    }

    /// Checks all of the image in a bank.
    ///
    /// # Errors
    /// Why it is refused; [`ImageError::is_missing`] if the bank is empty.
    pub fn verify(&self, slot: Slot, bank: Bank) -> Result<Manifest, ImageError> {
        let image = Image::open(&self.path(slot, bank))?;
        image.verify()?;
        Ok(image.manifest().clone())
    }

    /// Octets that can be written where the banks are, or will be.
    ///
    /// # Errors
    /// What the system says.
    pub fn space(&self) -> io::Result<u64> {
        let there = self.directory.ancestors().find(|path| path.is_dir());
        let found = statvfs(there.unwrap_or(Path::new("/")))?;
        #[allow(
            clippy::useless_conversion,
            reason = "the types differ between machines"
        )]
        let (blocks, size) = (
            u64::from(found.blocks_available()),
            u64::from(found.fragment_size()),
        );
        Ok(blocks.saturating_mul(size))
    }
}

/// Makes a directory that may be missing with those above it; each new one is on disk afterwards.
fn make(path: &Path) -> Result<(), BankError> {
    let there = path.ancestors().find(|above| above.is_dir());
    let missing = path
        .ancestors()
        .take_while(|above| Some(*above) != there)
        .filter_map(Path::parent);
    let above: Vec<&Path> = missing.collect();
    directory::make_missing(path).map_err(failed("make", path))?;
    above.into_iter().try_for_each(sync)
}

/// Holds a directory against others who write there, while it is not dropped.
fn lock(path: &Path) -> Result<Flock<File>, BankError> {
    let file = File::open(path).map_err(failed("open", path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => BankError::Busy(path.into()),
        errno => failed("lock", path)(errno),
    })
}

/// Has the names in a directory on disk.
fn sync(path: &Path) -> Result<(), BankError> {
    let done = File::open(path).and_then(|file| file.sync_all());
    done.map_err(failed("write to disk", path))
}

fn remove(file: &Path) -> Result<(), BankError> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", file)(e)),
        _ => Ok(()),
    }
}

/// Copies a file so that it is on disk and can be run.
fn copy(from: &Path, to: &Path, progress: &mut impl FnMut(u64, u64)) -> Result<(), BankError> {
    let reading = || failed("read", from);
    let writing = || failed("write", to);
    let mut source = File::open(from).map_err(reading())?;
    let of = source.metadata().map_err(reading())?.len();
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(directory::OWN_FILE)
        .open(to)
        .map_err(writing())?;
    let mut buffer = vec![0; PIECE];
    let mut done: u64 = 0;
    loop {
        let piece = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(piece) => piece,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(reading()(e)),
        };
        copy.write_all(&buffer[..piece]).map_err(writing())?;
        done += piece as u64;
        progress(done, of.max(done));
    }
    copy.set_permissions(Permissions::from_mode(0o755))
        .map_err(writing())?;
    copy.sync_all().map_err(writing())
}
