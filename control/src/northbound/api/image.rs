//! What is asked and answered about images: what each slot has in its banks, what it runs, what it boots next.

use std::fmt;
use std::path::PathBuf;

use hitless_ha::slot::ModuleSlot;
use serde::{Deserialize, Serialize};

use super::words::ModuleRole;

/// One of a slot's two places for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageBank {
    /// The one that a slot boots unless the other one was selected.
    Primary,
    /// The other one.
    Secondary,
}

impl ImageBank {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Secondary];
}

impl fmt::Display for ImageBank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        })
    }
}

/// What there is of images in one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleImages {
    /// The slot.
    pub slot: ModuleSlot,
    /// What its module is.
    pub role: ModuleRole,
    /// The version that the module runs; `null` if there is none, or it has not said so.
    pub version: Option<String>,
    /// The bank that it was booted from; `null`: the factory image, or there is no module.
    pub booted: Option<ImageBank>,
    /// The bank that the slot boots next; `null` if this switch has no banks.
    pub selected: Option<ImageBank>,
    /// Why `selected` is not what an operator selected; `null` if it is, or nobody has selected anything yet.
    pub selection_fault: Option<String>,
    /// Both banks, `primary` first; none if this switch has no banks.
    pub banks: Vec<BankInfo>,
}

/// One bank of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankInfo {
    /// Which.
    pub bank: ImageBank,
    /// Whether the slot boots it next, if it is good.
    pub selected: bool,
    /// Whether the slot's module was booted from it.
    pub booted: bool,
    /// What is in it; `null` if it is empty, or no image.
    pub image: Option<ImageInfo>,
    /// Why it can not be booted; `null` if it can, or is empty.
    pub refused: Option<String>,
}

/// An image, by its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Its version.
    pub version: String,
    /// The commit that it was built of, with `-dirty` if that was not all; `null` if it does not say.
    pub git: Option<String>,
    /// The date of that commit.
    pub date: Option<String>,
    /// Octets of its program.
    pub size: u64,
    /// SHA-256 of its program, in hexadecimal.
    pub sha256: String,
    /// The lowest version that it can be master or standby with.
    pub lowest_compatible: Option<String>,
    /// Whether somebody signed it. By whom was checked when it was loaded.
    pub signed: bool,
}

/// How far the load of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownloadState {
    /// Under way.
    Running,
    /// The image is in the bank of each slot.
    Done,
    /// It is not, and what was in the banks is as it was, or what `error` says.
    Failed,
    /// A state that only a newer version knows; never sent by this one.
    #[serde(other)]
    Unknown,
}

/// The load of an image into banks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadInfo {
    /// The file that it is taken from.
    pub file: PathBuf,
    /// Into which bank.
    pub bank: ImageBank,
    /// Of which slots.
    pub slots: Vec<ModuleSlot>,
    /// How far it is.
    pub state: DownloadState,
    /// Octets written so far, in all slots.
    pub done: u64,
    /// Octets to be written in all; 0 while that is not known.
    pub total: u64,
    /// The version of the image, once it is known.
    pub version: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What the slots boot next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSelected {
    /// The bank.
    pub bank: ImageBank,
    /// Of these slots.
    pub slots: Vec<ModuleSlot>,
    /// What the operator should know about it, a sentence each.
    pub notes: Vec<String>,
}

/// The way back after an upgrade: the standby is older than the master, which took over from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackInfo {
    /// The slot of the older module.
    pub slot: ModuleSlot,
    /// Its version.
    pub version: String,
    /// Why it can not be gone back to any more; [`hitless_ha::state::Reason::None`]: it can.
    pub reason: hitless_ha::state::Reason,
}
