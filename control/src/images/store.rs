//! How images get into banks: on another thread, one at a time, into all slots that are asked for or into none.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hitless_boot::bank::{Bank, BankError, Banks, Staged};
use hitless_boot::choice::Origin;
use hitless_boot::image::{Image, ImageError, Manifest};
use hitless_boot::slot::Slot;
use hitless_boot::status::Status;
use hitless_boot::{BANK_VARIABLE, IMAGES_VARIABLE};
use tokio::task::{JoinError, JoinSet};

use super::signature::{Signer, Trust, Untrusted};

#[cfg(test)]
pub(in crate::images) mod tests;

/// An image that is to get into a bank.
#[derive(Clone, Debug)]
pub struct Install {
    /// The image file. It is read twice a slot, and not changed or removed.
    pub file: PathBuf,
    /// Which bank.
    pub bank: Bank,
    /// Of which slots.
    pub slots: Vec<Slot>,
    /// Whose images are let in.
    pub trust: Trust,
}

/// An image that got into a bank.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Where it came from.
    pub file: PathBuf,
    /// What it tells of itself.
    pub manifest: Manifest,
    /// Who vouches for it.
    pub signer: Signer,
    /// Which bank.
    pub bank: Bank,
    /// Of which slots.
    pub slots: Vec<Slot>,
}

/// Why an image is in no bank. The banks are as they were, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is no image, or damaged.
    #[error(transparent)]
    Image(ImageError),
    /// Nobody who is trusted vouches for it.
    #[error("{}: {why}", file.display())]
    Untrusted {
        /// The file.
        file: PathBuf,
        /// Why.
        why: Untrusted,
    },
    /// There is not room for all copies.
    #[error(
        "{}: there is room for {there} octets, and the image needs {needed} in {slots} slots; make room there",
        directory.display()
    )]
    Space {
        /// Where the banks are.
        directory: PathBuf,
        /// Octets that can be written.
        there: u64,
        /// Octets of one copy.
        needed: u64,
        /// Copies.
        slots: usize,
    },
    /// It could not be put into a bank.
    #[error("slot {slot}: {source}{}", those(done))]
    Bank {
        /// The slot.
        slot: Slot,
        /// Why.
        source: BankError,
        /// Slots whose bank has the new image all the same.
        done: Vec<Slot>,
    },
}

fn those(done: &[Slot]) -> String {
    let names: Vec<&str> = done.iter().map(|slot| slot.name()).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!("; {} has the new image already", names.join(" and ")),
    }
}

/// An installation is under way already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is being installed; ask again when that is done", .0.display())]
pub struct Busy(pub PathBuf);

/// How far an installation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The image file.
    pub file: PathBuf,
    /// The bank that it is to get into.
    pub bank: Bank,
    /// The slot whose copy is made.
    pub slot: Slot,
    /// Octets copied, of all slots together.
    pub done: u64,
    /// Octets to be copied, of all slots together.
    pub of: u64,
}

/// The images of a switch: where the banks are, and what the boots tell.
#[derive(Clone, Debug)]
pub struct Images {
    /// The banks of both slots.
    pub banks: Banks,
    run_dir: PathBuf,
}

/// What is in a bank.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing.
    Empty,
    /// An image; its program's checksum was not looked at.
    Image(Manifest),
    /// Something that can not be booted, and why.
    Bad(String),
}

/// The images of a slot.
#[derive(Clone, Debug)]
pub struct SlotImages {
    /// The slot.
    pub slot: Slot,
    /// The bank that it boots next.
    pub selected: Bank,
    /// Why the selection is not one: nothing was selected, or it can not be used.
    pub unselected: Option<String>,
    /// What is in the banks, the primary first.
    pub banks: [(Bank, Content); 2],
    /// What its module was started from, if its boot tells.
    pub booted: Option<Origin>,
    /// Banks that its boot refused at the last start, with the reason.
    pub refused: Vec<(Bank, String)>,
    /// The version that its module told, while there is one.
    pub version: Option<String>,
}

impl Images {
    /// Those below a directory, of the switch whose run directory this is.
    #[must_use]
    pub fn new(banks: Banks, run_dir: &Path) -> Self {
        Self {
            banks,
            run_dir: run_dir.into(),
        }
    }

    /// Those that this module's boot has told it of; `None` in a slot without banks.
    #[must_use]
    pub fn of_boot(run_dir: &Path) -> Option<Self> {
        let directory = std::env::var_os(IMAGES_VARIABLE).filter(|dir| !dir.is_empty())?;
        Some(Self::new(Banks::new(Path::new(&directory)), run_dir))
    }

    /// What the slots have, boot, and run. It reads a few small files, which a slow disk may take its time for.
    #[must_use]
    pub fn overview(&self) -> [SlotImages; 2] {
        Slot::ALL.map(|slot| {
            let (selected, unselected) = self.banks.selected(slot);
            // Without a boot there is no status.
            let status = Status::read(&self.run_dir, slot).unwrap_or_default();
            SlotImages {
                slot,
                selected,
                unselected: unselected.map(|why| why.to_string()),
                banks: Bank::ALL.map(|bank| (bank, self.content(slot, bank))),
                booted: status.bank,
                refused: status.refused,
                version: status.version,
            }
        })
    }

    fn content(&self, slot: Slot, bank: Bank) -> Content {
        match self.banks.inspect(slot, bank) {
            Ok(manifest) => Content::Image(manifest),
            Err(error) if error.is_missing() => Content::Empty,
            Err(error) => Content::Bad(error.why.to_string()),
        }
    }
}

/// What this module was started from, as its boot told it; `None` in a slot without banks.
#[must_use]
pub fn own_origin() -> Option<Origin> {
    std::env::var(BANK_VARIABLE).ok()?.parse().ok()
}

/// What the master does with images.
#[derive(Debug)]
pub struct Store {
    images: Images,
    work: JoinSet<Result<Installed, StoreError>>,
    progress: Arc<Mutex<Option<Progress>>>,
}

impl Store {
    /// Nothing is under way.
    #[must_use]
    pub fn new(images: Images) -> Self {
        Self {
            images,
            work: JoinSet::new(),
            progress: Arc::default(),
        }
    }

    /// The banks, and what runs.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// As [`Images::overview`].
    #[must_use]
    pub fn overview(&self) -> [SlotImages; 2] {
        self.images.overview()
    }

    /// Begins to install an image. What becomes of it is told by [`Self::finished`].
    ///
    /// # Errors
    /// If an installation is under way.
    pub fn start(&mut self, job: Install) -> Result<(), Busy> {
        if !self.work.is_empty() {
            let file = self.progress().map(|progress| progress.file);
            return Err(Busy(file.unwrap_or(job.file)));
        }
        let mut progress = Progress {
            file: job.file.clone(),
            bank: job.bank,
            slot: job.slots.first().copied().unwrap_or(Slot::A),
            done: 0,
            of: 0,
        };
        *lock(&self.progress) = Some(progress.clone());
        let (banks, shared) = (self.images.banks.clone(), Arc::clone(&self.progress));
        self.work.spawn_blocking(move || {
            install(&banks, &job, |slot, done, of| {
                (progress.slot, progress.done, progress.of) = (slot, done, of);
                *lock(&shared) = Some(progress.clone());
            })
        });
        Ok(())
    }

    /// How far the installation under way is; `None` when there is none.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        lock(&self.progress).clone()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.work.is_empty()
    }

    /// Waits for the installation under way, and tells what became of it; `None` at once if there is none. May be
    /// dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// If its thread panicked.
    pub async fn finished(&mut self) -> Option<Result<Result<Installed, StoreError>, JoinError>> {
        let result = self.work.join_next().await?;
        *lock(&self.progress) = None;
        Some(result)
    }
}

/// What is behind it is whole at any time, even if a thread panicked.
fn lock(progress: &Mutex<Option<Progress>>) -> MutexGuard<'_, Option<Progress>> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks an image and puts it into the banks: copies first, so that what can fail has failed before the first bank is
/// changed.
fn install(
    banks: &Banks,
    job: &Install,
    mut progress: impl FnMut(Slot, u64, u64),
) -> Result<Installed, StoreError> {
    let untrusted = |why| StoreError::Untrusted {
        file: job.file.clone(),
        why,
    };
    let image = Image::open(&job.file).map_err(StoreError::Image)?;
    let signer = job.trust.check(&image).map_err(untrusted)?;
    image.verify().map_err(StoreError::Image)?;
    let needed = std::fs::metadata(&job.file).map_or(0, |found| found.len());
    // A file system that does not tell is found out by writing.
    let there = banks.space().unwrap_or(u64::MAX);
    let copies = job.slots.len();
    if there / (copies.max(1) as u64) < needed {
        return Err(StoreError::Space {
            directory: banks.directory().into(),
            there,
            needed,
            slots: copies,
        });
    }
    let failed = |slot, source, done| StoreError::Bank { slot, source, done };
    let mut staged: Vec<(Slot, Staged)> = Vec::with_capacity(copies);
    for (index, slot) in job.slots.iter().copied().enumerate() {
        // The copy is what will run, and the file may have been changed since.
        let is_same = |copy: &Image| {
            let same = copy.manifest_text() == image.manifest_text()
                && copy.signature() == image.signature();
            match same {
                true => Ok(()),
                false => Err("was changed while it was installed; try again".to_owned()),
            }
        };
        let mut of_slot = |done: u64, of: u64| {
            progress(slot, index as u64 * of + done, copies as u64 * of);
        };
        let ready = banks
            .stage(slot, job.bank, &job.file, is_same, &mut of_slot)
            .map_err(|source| failed(slot, source, Vec::new()))?;
        staged.push((slot, ready));
    }
    let mut done = Vec::with_capacity(copies);
    for (slot, ready) in staged {
        if let Err(source) = ready.commit() {
            return Err(failed(slot, source, done));
        }
        done.push(slot);
    }
    Ok(Installed {
        file: job.file.clone(),
        manifest: image.manifest().clone(),
        signer,
        bank: job.bank,
        slots: done,
    })
}
