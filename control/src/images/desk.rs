//! The master's desk for images: what is asked of banks, answered from other threads, since a slow disk must not look
//! like a hang. Loads go through [`Store`]; who wants to know what became of one asks for it.

use super::{
    signature::{NoKey, Trust},
    store::{Content, Images, Install, Installed, SlotImages, Store, StoreError},
};
use crate::northbound::{
    api::{
        ApiError, BankInfo, DownloadInfo, DownloadState, ErrorKind, ImageBank, ImageInfo,
        ImageSelected, ModuleImages, ModuleSlot, Reply, Request, Response,
    },
    server::Asker,
};
use hitless_boot::{
    bank::{Bank, BankError, Unselected},
    choice::Origin,
    image::{Image, Manifest, hex},
    slot::Slot,
};
use hitless_proto::config::{ImagesConfig, UnsignedImages};
use std::path::{Path, PathBuf};
use tokio::task::{JoinError, JoinSet};
use tracing::{info, warn};

#[cfg(test)]
mod tests;

/// What is asked of banks where there are none.
const NO_BANKS: &str = "this switch has no image banks: its modules were started without them (hitless chassis \
                        --images, or hitless-boot --images)";

/// What became of something that another thread did.
enum Done {
    /// It is answered.
    Answered(Result<Reply, ApiError>),
    /// The bank of a load is known, or none will do.
    Chosen {
        file: PathBuf,
        bank: Result<ImageBank, ApiError>,
        trust: Trust,
    },
}

/// See the module.
pub struct Desk {
    store: Option<Store>,
    /// The load under way, or the last one.
    load: Option<DownloadInfo>,
    work: JoinSet<(Done, Asker)>,
}

impl Desk {
    /// One for these images; a switch without banks has none.
    #[must_use]
    pub fn new(images: Option<Images>) -> Self {
        Self {
            store: images.map(Store::new),
            load: None,
            work: JoinSet::new(),
        }
    }

    /// Begins what a request asks of banks, with the settings in force; gives the asker's way back if the request asks
    /// nothing of them.
    pub fn begin(
        &mut self,
        settings: &ImagesConfig,
        request: &Request,
        reply: Asker,
    ) -> Option<Asker> {
        let images = self.store.as_ref().map(|store| store.images().clone());
        match (request, images) {
            (Request::ShowDownload {}, _) => {
                let load = self.download().map(Box::new);
                reply.send(Response::Ok(Reply::Download(load)));
            }
            (Request::DownloadImage { .. } | Request::UseImage { .. }, None) => {
                reply.send(ApiError::new(ErrorKind::Refused, NO_BANKS).into());
            }
            (Request::UseImage { bank, slot }, Some(images)) => {
                let (bank, slot) = (*bank, *slot);
                self.work.spawn_blocking(move || {
                    let slots = slot.map_or_else(|| ModuleSlot::BOTH.into(), |slot| vec![slot]);
                    (Done::Answered(select(&images, bank, slots)), reply)
                });
            }
            (Request::DownloadImage { file, bank }, Some(images)) => {
                let trust = match trust(settings) {
                    Ok(trust) => trust,
                    Err(e) => {
                        reply.send(ApiError::new(ErrorKind::Refused, e.to_string()).into());
                        return None;
                    }
                };
                let (file, bank) = (file.clone(), *bank);
                self.work.spawn_blocking(move || {
                    let bank = bank.map_or_else(|| choose(&images.overview()), Ok);
                    (Done::Chosen { file, bank, trust }, reply)
                });
            }
            _ => return Some(reply),
        }
        None
    }

    /// Completes an answer with what the banks have, and sends it then; gives back one that needs nothing of them.
    pub fn complete(&mut self, answer: Reply, reply: Asker) -> Option<(Reply, Asker)> {
        let wants = matches!(answer, Reply::Version(_) | Reply::Switch(_));
        let Some(store) = self.store.as_ref().filter(|_| wants) else {
            return Some((answer, reply));
        };
        let images = store.images().clone();
        self.work.spawn_blocking(move || {
            let completed = completed(answer, &images);
            (Done::Answered(Ok(completed)), reply)
        });
        None
    }

    /// Begins to load an image into a bank of both slots; [`Desk::download`] tells of it from now on.
    ///
    /// # Errors
    /// If this switch has no banks, the file is none of the whole machine, or a load is under way.
    pub fn load(&mut self, file: &Path, bank: ImageBank, trust: Trust) -> Result<(), ApiError> {
        let refused = |why: String| Err(ApiError::new(ErrorKind::Refused, why));
        let Some(store) = &mut self.store else {
            return refused(NO_BANKS.into());
        };
        if !file.is_absolute() {
            return refused(format!(
                "{} says not where in the file system it is; give the path from the root",
                file.display()
            ));
        }
        let job = Install {
            file: file.into(),
            bank: bank.into(),
            slots: Slot::ALL.into(),
            trust,
        };
        store
            .start(job)
            .map_err(|busy| ApiError::new(ErrorKind::Refused, busy.to_string()))?;
        info!(file = %file.display(), %bank, "an image is loaded into both slots");
        self.load = Some(DownloadInfo {
            file: file.into(),
            bank,
            slots: ModuleSlot::BOTH.into(),
            state: DownloadState::Running,
            done: 0,
            total: 0,
            version: None,
            error: None,
        });
        Ok(())
    }

    /// The load under way, or the last one since this master began.
    #[must_use]
    pub fn download(&self) -> Option<DownloadInfo> {
        let mut load = self.load.clone()?;
        let progress = self.store.as_ref().and_then(Store::progress);
        if let Some(progress) = progress.filter(|_| load.state == DownloadState::Running) {
            (load.done, load.total) = (progress.done, progress.of);
        }
        Some(load)
    }

    /// The banks, if this switch has any.
    #[must_use]
    pub fn images(&self) -> Option<&Images> {
        self.store.as_ref().map(Store::images)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.work.is_empty() && self.store.as_ref().is_none_or(Store::is_idle)
    }

    /// Waits for something under way to be done; the answer to it and who gets it, if somebody asked.
    ///
    /// # Errors
    /// If the thread of something that was asked panicked. One that loads an image only fails.
    pub async fn next(&mut self) -> Result<Option<(Asker, Response)>, JoinError> {
        let work_waits = !self.work.is_empty();
        tokio::select! {
            Some(done) = self.work.join_next(), if work_waits => {
                let (done, reply) = done?;
                let answer = match done {
                    Done::Answered(answer) => answer,
                    Done::Chosen { file, bank, trust } => bank
                        .and_then(|bank| self.load(&file, bank, trust))
                        .map(|()| Reply::Download(self.download().map(Box::new))),
                };
                Ok(Some((reply, answer.into())))
            }
            Some(end) = finished(&mut self.store) => {
                self.ended(end);
                Ok(None)
            }
            else => Ok(None),
        }
    }

    fn ended(&mut self, end: Result<Result<Installed, StoreError>, JoinError>) {
        let Some(load) = &mut self.load else {
            return;
        };
        let end = match end {
            Ok(Ok(installed)) => Ok(installed),
            Ok(Err(e)) => Err(e.to_string()),
            Err(e) => Err(format!("the thread that loaded it ended: {e}")),
        };
        match end {
            Ok(installed) => {
                let manifest = &installed.manifest;
                info!(
                    file = %load.file.display(), bank = %load.bank, version = %manifest.version(),
                    "the image is in the bank of both slots"
                );
                load.done = load.total;
                load.version = Some(manifest.version().to_string());
                load.state = DownloadState::Done;
            }
            Err(why) => {
                warn!(bank = %load.bank, "an image was not loaded: {why}");
                load.error = Some(why);
                load.state = DownloadState::Failed;
            }
        }
    }
}

async fn finished(
    store: &mut Option<Store>,
) -> Option<Result<Result<Installed, StoreError>, JoinError>> {
    store.as_mut()?.finished().await
}

/// Whose images the settings let in.
///
/// # Errors
/// The first key that is none.
pub fn trust(settings: &ImagesConfig) -> Result<Trust, NoKey> {
    let allow = settings.unsigned == UnsignedImages::Allow;
    Trust::new(allow, settings.keys.iter().map(|key| key.as_str()))
}

/// The bank of a load for which none was named: the selected one, unless a module runs from it.
fn choose(slots: &[SlotImages; 2]) -> Result<ImageBank, ApiError> {
    let refused = |why: String| Err(ApiError::new(ErrorKind::Refused, why));
    let [a, b] = slots;
    if a.selected != b.selected {
        return refused(format!(
            "{} has selected the {} bank and {} the {}; say which bank is meant",
            a.slot, a.selected, b.slot, b.selected
        ));
    }
    let bank = a.selected;
    let mut slots = slots.iter();
    match slots.find(|slot| slot.booted == Some(Origin::Bank(bank))) {
        Some(running) => refused(format!(
            "the {bank} bank is selected, and {} was booted from it; name it if what it runs is to be replaced \
             (`download image <file> {bank}`), or load into the other one (`download image <file> {}`)",
            running.slot,
            bank.other()
        )),
        None => Ok(bank.into()),
    }
}

fn select(images: &Images, bank: ImageBank, slots: Vec<ModuleSlot>) -> Result<Reply, ApiError> {
    for slot in &slots {
        images
            .banks
            .select(boot_slot(*slot), bank.into())
            .map_err(not_selected(*slot))?;
        info!(%slot, %bank, "image selected");
    }
    let overview = images.overview();
    let chosen = overview
        .iter()
        .filter(|images| slots.contains(&module_slot(images.slot)));
    let notes = chosen.filter_map(|of| {
        let (_, content) = of.banks.iter().find(|(found, _)| *found == bank.into())?;
        let why = match content {
            Content::Image(_) => return None,
            Content::Empty => "is empty".to_owned(),
            Content::Bad(why) => format!("can not be booted ({why})"),
        };
        Some(format!(
            "The {bank} bank of {} {why}; until an image is loaded there, {} boots another one.",
            of.slot, of.slot
        ))
    });
    Ok(Reply::ImageSelected(ImageSelected {
        bank,
        notes: notes.collect(),
        slots,
    }))
}

fn not_selected(slot: ModuleSlot) -> impl FnOnce(BankError) -> ApiError {
    move |e| {
        ApiError::new(
            ErrorKind::NotSaved,
            format!("the image of {slot} was not selected: {e}"),
        )
    }
}

/// An answer with what the banks have.
fn completed(answer: Reply, images: &Images) -> Reply {
    let overview = images.overview();
    let of = |slot: ModuleSlot| overview.iter().find(|found| found.slot == boot_slot(slot));
    match answer {
        Reply::Version(mut info) => {
            for module in &mut info.modules {
                if let Some(found) = of(module.slot) {
                    complete_slot(module, found, images);
                }
            }
            info.images = Some(images.banks.directory().into());
            Reply::Version(info)
        }
        Reply::Switch(mut switch) => {
            for module in &mut switch.modules {
                if let Some(found) = of(module.slot) {
                    module.image_selected = Some(found.selected.into());
                    module.image_booted = bank_of(found.booted);
                }
            }
            Reply::Switch(switch)
        }
        other => other,
    }
}

fn complete_slot(module: &mut ModuleImages, found: &SlotImages, images: &Images) {
    let (selected, why) = images.banks.selected(found.slot);
    module.selected = Some(selected.into());
    module.selection_fault = why.and_then(|why| match why {
        Unselected::Never => None,
        Unselected::Unusable(why) => Some(why),
    });
    // A module that is not there runs nothing, whatever it was started from.
    module.booted = bank_of(found.booted).filter(|_| module.version.is_some());
    let banks = found.banks.iter().map(|(bank, content)| {
        let refused = found.refused.iter().find(|(refused, _)| refused == bank);
        BankInfo {
            bank: (*bank).into(),
            selected: *bank == selected,
            booted: module.booted == Some((*bank).into()),
            image: match content {
                Content::Image(manifest) => Some(image_info(
                    manifest,
                    is_signed(&images.banks.path(found.slot, *bank)),
                )),
                Content::Empty | Content::Bad(_) => None,
            },
            refused: match content {
                Content::Empty => None,
                Content::Bad(why) => Some(why.clone()),
                Content::Image(_) => refused
                    .map(|(_, why)| format!("{} refused it when it started: {why}", found.slot)),
            },
        }
    });
    module.banks = banks.collect();
}

fn is_signed(file: &Path) -> bool {
    Image::open(file).is_ok_and(|image| !image.signature().is_empty())
}

/// What a manifest tells.
#[must_use]
pub fn image_info(manifest: &Manifest, signed: bool) -> ImageInfo {
    ImageInfo {
        version: manifest.version().to_string(),
        git: Some(manifest.git().into()),
        date: Some(manifest.date().into()),
        size: manifest.size(),
        sha256: hex(manifest.sha256()),
        lowest_compatible: Some(manifest.lowest_compatible().to_string()),
        signed,
    }
}

fn bank_of(origin: Option<Origin>) -> Option<ImageBank> {
    match origin? {
        Origin::Bank(bank) => Some(bank.into()),
        Origin::Factory => None,
    }
}

fn boot_slot(slot: ModuleSlot) -> Slot {
    match slot {
        ModuleSlot::MsmA => Slot::A,
        ModuleSlot::MsmB => Slot::B,
    }
}

fn module_slot(slot: Slot) -> ModuleSlot {
    match slot {
        Slot::A => ModuleSlot::MsmA,
        Slot::B => ModuleSlot::MsmB,
    }
}

impl From<Bank> for ImageBank {
    fn from(bank: Bank) -> Self {
        match bank {
            Bank::Primary => Self::Primary,
            Bank::Secondary => Self::Secondary,
        }
    }
}

impl From<ImageBank> for Bank {
    fn from(bank: ImageBank) -> Self {
        match bank {
            ImageBank::Primary => Self::Primary,
            ImageBank::Secondary => Self::Secondary,
        }
    }
}
