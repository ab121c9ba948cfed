//! The journal on disk, the room that is kept for it, and the image that runs when it is in no bank.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hitless_boot::bank::{Bank, Banks};
use hitless_boot::image::{Base, Image, Manifest, assemble, hex, measure};
use hitless_boot::slot::Slot;
use hitless_ha::upgrade::{Action, Direction, Journal};

use super::look;
use crate::describe;

/// The program that this process runs, also if its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Where the journal is.
#[derive(Clone, Debug)]
pub(super) struct JournalFile(PathBuf);

/// Why there is no journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The disk can not be read; what was written there may still be whole.
    Disk(String),
    /// What is there is no journal: it is lost.
    Lost(String),
}

impl JournalFile {
    /// The one beside the banks.
    pub fn in_directory(images: &Path) -> Self {
        Self(images.join("upgrade.json"))
    }

    /// Reads it; `None` if there is none.
    pub fn read(&self) -> Result<Option<Journal>, Unread> {
        let octets = match fs::read(&self.0) {
            Ok(octets) => octets,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Unread::Disk(format!("{}: {e}", self.0.display()))),
        };
        let lost = |e| Unread::Lost(format!("{}: {e}", self.0.display()));
        Journal::parse(&octets).map(Some).map_err(lost)
    }

    /// Replaces it at one stroke; it is on disk then.
    pub fn write(&self, journal: &Journal) -> Result<(), String> {
        let new = self.0.with_extension("json.new");
        let write = || -> io::Result<()> {
            if let Some(directory) = self.0.parent() {
                fs::create_dir_all(directory)?;
            }
            let mut file = File::create(&new)?;
            file.write_all(&journal.to_octets())?;
            file.sync_all()?;
            fs::rename(&new, &self.0)?;
            match self.0.parent() {
                Some(directory) => File::open(directory)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|e| {
            format!(
                "the journal of the upgrade can not be written, {}: {e}",
                self.0.display()
            )
        })
    }
}

/// Octets of [`Reserve`]: some journals, and some blocks for selections.
const RESERVE: usize = 64 * 1024;

/// Room on the disk that is taken before an upgrade changes anything, and given back when the disk has become full: the
/// way back has to write its journal and selections.
#[derive(Clone, Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    /// The one beside the banks.
    pub fn in_directory(images: &Path) -> Self {
        Self(images.join("upgrade.reserve"))
    }

    /// Takes the room, unless it is taken.
    pub fn hold(&self) -> Result<(), String> {
        if fs::metadata(&self.0).is_ok_and(|found| found.len() == RESERVE as u64) {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            if let Some(directory) = self.0.parent() {
                fs::create_dir_all(directory)?;
            }
            let mut file = File::create(&self.0)?;
            file.write_all(&[0; RESERVE])?;
            file.sync_all()
        };
        write().map_err(|e| {
            self.release();
            format!(
                "no room can be kept for the way back, {}: {e}; make room there and try again",
                self.0.display()
            )
        })
    }

    /// Gives the room back.
    pub fn release(&self) {
        // What is not there needs no room.
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes the journal if it has changed, then selects banks. A disk that has become full gets the room back that was
/// kept for this. On the way back it does without a journal if it must, and gives back why it is not on disk.
pub(super) fn write_down(
    file: &JournalFile,
    banks: &Banks,
    journal: &Journal,
    changed: bool,
    actions: &[Action],
) -> Result<Option<String>, String> {
    let reserve = Reserve::in_directory(banks.directory());
    let mut unwritten = None;
    if changed && let Err(why) = file.write(journal) {
        reserve.release();
        if journal.direction == Direction::Forward {
            return Err(why);
        }
        // What there is shows the way.
        unwritten = file.write(journal).err();
    }
    for action in actions {
        if let Action::Select { slot, bank } = action {
            let (slot, bank) = (look::boot_slot(*slot), look::boot_bank(*bank));
            if let Err(e) = banks.select(slot, bank) {
                reserve.release();
                return Err(e.to_string());
            }
        }
    }
    if journal.is_over() {
        reserve.release();
    }
    Ok(unwritten)
}

/// SHA-256 of the program that runs, in hexadecimal.
pub(super) fn own_sha256() -> Result<String, String> {
    sha256_of(Path::new(OWN_PROGRAM))
}

/// SHA-256 of a program, without what an image has after it.
pub(super) fn sha256_of(program: &Path) -> Result<String, String> {
    if let Ok(image) = Image::open(program) {
        return Ok(hex(image.manifest().sha256()));
    }
    let (_, sha256) = measure(program).map_err(|e| format!("{}: {e}", program.display()))?;
    Ok(hex(&sha256))
}

/// Puts the program that runs into a bank of both slots, unless it is there.
pub(super) fn preserve(banks: &Banks, bank: Bank) -> Result<(), String> {
    let own = own_sha256()?;
    let is_there = |slot| {
        banks
            .verify(slot, bank)
            .is_ok_and(|manifest| hex(manifest.sha256()) == own)
    };
    let missing: Vec<Slot> = Slot::ALL
        .into_iter()
        .filter(|slot| !is_there(*slot))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let file = banks.directory().join("running.image");
    let done = as_image(&file).and_then(|()| {
        for slot in missing {
            banks
                .install(slot, bank, &file, |_, _| {})
                .map_err(|e| format!("slot {slot}: {e}"))?;
        }
        Ok(())
    });
    // It was only on its way into the banks.
    let _ = fs::remove_file(&file);
    done
}

/// Writes the program that runs as an image. It is what runs, so nobody has to vouch for it.
fn as_image(file: &Path) -> Result<(), String> {
    let failed = |e: io::Error| {
        format!(
            "the image that runs can not be kept in {}: {e}",
            file.display()
        )
    };
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let program = Path::new(OWN_PROGRAM);
    if Image::open(program).is_ok() {
        return fs::copy(program, file).map(drop).map_err(failed);
    }
    let (size, sha256) = measure(program).map_err(failed)?;
    let version = |text: &str| text.parse().map_err(|e| format!("version {text}: {e}"));
    let base = Base {
        version: version(hitless_common::VERSION)?,
        git: "unknown".into(),
        date: "unknown".into(),
        arch: std::env::consts::ARCH.into(),
        size,
        sha256,
        lowest_compatible: version(hitless_common::LOWEST_COMPATIBLE)?,
    };
    let description = describe::own().lines();
    let manifest = Manifest::new(&base, description.lines())?;
    let mut out = File::create(file).map_err(failed)?;
    let mut own = File::open(program).map_err(failed)?;
    assemble(&mut own, &manifest, "", &mut out).map_err(failed)?;
    out.sync_all().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_comes_back_and_nonsense_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let images = directory.path().join("images");
        let file = JournalFile::in_directory(&images);
        assert_eq!(file.read(), Ok(None));
        let text = br#"{"format": 1, "file": "x", "mode": "standard", "direction": "forward", "step": "verify",
            "from": {"version": "0.4.0", "bank": "primary"}, "to": {"version": "0.5.0", "bank": "secondary"},
            "steps": [], "master": "msm-a", "generation": 3, "accept_within_s": 60, "colour": "blue"}"#;
        let journal = Journal::parse(text).unwrap();
        file.write(&journal).unwrap();
        assert_eq!(file.read(), Ok(Some(journal)));
        fs::write(images.join("upgrade.json"), "{").unwrap();
        let Err(Unread::Lost(why)) = file.read() else {
            panic!("{:?}", file.read());
        };
        assert!(why.contains("is not understood"), "{why}");
        fs::remove_file(images.join("upgrade.json")).unwrap();
        fs::create_dir(images.join("upgrade.json")).unwrap();
        assert!(matches!(file.read(), Err(Unread::Disk(_))));
    }

    #[test]
    fn room_is_held_until_it_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let images = directory.path().join("images");
        let reserve = Reserve::in_directory(&images);
        reserve.release();
        for _ in 0..2 {
            reserve.hold().unwrap();
            let held = fs::metadata(images.join("upgrade.reserve")).unwrap();
            assert_eq!(held.len(), RESERVE as u64);
        }
        reserve.release();
        assert!(!images.join("upgrade.reserve").exists());
        fs::remove_dir(&images).unwrap();
        fs::write(&images, "").unwrap();
        let why = reserve.hold().unwrap_err();
        assert!(why.contains("make room there"), "{why}");
    }

    #[test]
    fn the_program_that_runs_gets_into_the_banks_of_both_slots_once() {
        let directory = tempfile::tempdir().unwrap();
        let banks = Banks::new(directory.path());
        preserve(&banks, Bank::Secondary).unwrap();
        let of = |slot| banks.verify(slot, Bank::Secondary).unwrap();
        for slot in Slot::ALL {
            assert_eq!(hex(of(slot).sha256()), own_sha256().unwrap());
            assert_eq!(of(slot).version().to_string(), hitless_common::VERSION);
        }
        let path = banks.path(Slot::A, Bank::Secondary);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        preserve(&banks, Bank::Secondary).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
        assert!(!directory.path().join("running.image").exists());
    }
}
