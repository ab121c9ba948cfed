//! Requests and answers. Field names and the spelling of values are fixed: scripts read them through `--json`.
//!
//! A request with an unknown field is refused, because a filter that is ignored would make `clear` do more
//! than was asked. Answers may gain fields and values; readers take what they know.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use hitless_common::{Mac, PortNo};
use hitless_proto::config::{PortSelection, StpdName, UnknownVlan};
use serde::{Deserialize, Serialize};

mod image;
mod module;
mod reply;
mod stpd;
#[cfg(test)]
mod tests;
mod upgrade;
mod words;

pub use hitless_ha::cause::Cause;
pub use hitless_ha::slot::ModuleSlot;
pub use hitless_ha::state::{Reason, SubState};
pub use hitless_ha::upgrade::{Bank as UpgradeBank, Direction, Mode, Outcome, Step};
pub use hitless_proto::config::{
    ConfigBank, ConfigChange, Document, InvalidVlanRef, MsmFailoverChange, VlanRef,
};
pub use image::{
    BankInfo, DownloadInfo, DownloadState, FallbackInfo, ImageBank, ImageInfo, ImageSelected,
    ModuleImages,
};
pub use module::{
    CheckedTable, CheckpointLag, ConfigurationInfo, ConfigurationSource, ConfiguredInfo,
    FailoverInfo, FailoverStartedInfo, FailoverTimer, LeaseInfo, LogLine, LogPage, MAX_LOG_PAGE,
    ModuleStatus, MsmCheckInfo, MsmFailoverInfo, MsmFailoverSettings, QuarantinedInput, SavedInfo,
    SubsystemStatus, TransferInfo,
};
pub use reply::{
    CounterSet, CountersInfo, FdbInfo, FdbKind, FdbPage, FdbRow, HardwareWrites, LearningInfo,
    LinkState, ModuleInfo, OffloadState, PortCounterSet, PortInfo, ReasonInfo, Reply, SessionInfo,
    SwitchInfo, VersionInfo, VlanInfo,
};
pub use stpd::{
    StpBridgeId, StpCounters, StpInfo, StpMachines, StpNotTaken, StpPortCounts, StpRole, StpState,
    StpTimers, StpTimes, StpTree, StpdInfo, StpdPortInfo, StpdPortSettings, StpdPortStatus,
};
pub use upgrade::{
    ACCEPT_SECONDS, MAX_ACCEPT_SECONDS, UpgradeCheck, UpgradeImage, UpgradeInfo, UpgradeItem,
    UpgradeModule, UpgradePlan, UpgradeStatus, UpgradeStep, UpgradeVerdict,
};
pub use words::{Fault, LeaseState, LogLevel, ModuleRole, Privilege, UnknownWord};

/// FDB entries in one answer at most; 4096 take about 350 kB.
pub const MAX_FDB_PAGE: u32 = 4096;

/// Longest reason that can be given for a way back, in characters.
pub const MAX_REASON: usize = 200;

/// Seconds in which a change can be asked to be confirmed.
pub const CONFIRM_SECONDS: RangeInclusive<u32> = 10..=86_400;

/// What can be asked of a switch. Filters that are given must all match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Versions, images and banks of both modules; answered with [`Reply::Version`].
    ShowVersion {},
    /// Who the asker is to the switch, and what a prompt shows; [`Reply::Session`].
    ShowSession {},
    /// The switch as a whole; [`Reply::Switch`].
    ShowSwitch {},
    /// One port or all; [`Reply::Ports`]. [`ErrorKind::NotFound`] for a port that is not configured.
    ShowPorts {
        /// Only this port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<PortNo>,
    },
    /// One VLAN or all; [`Reply::Vlans`]. [`ErrorKind::NotFound`] for a VLAN that does not exist.
    ShowVlan {
        /// Only this VLAN.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vlan: Option<VlanRef>,
    },
    /// A page of the forwarding database; [`Reply::Fdb`]. [`ErrorKind::NotFound`] for a VLAN or port that
    /// does not exist.
    ShowFdb {
        /// Only in this VLAN.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vlan: Option<VlanRef>,
        /// Only behind this port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<PortNo>,
        /// Only this address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mac: Option<Mac>,
        /// 0 for the first page, then [`FdbPage::next`].
        #[serde(default)]
        cursor: u64,
        /// Entries wanted at most, 1 to [`MAX_FDB_PAGE`]; anything else is taken for [`MAX_FDB_PAGE`].
        #[serde(default)]
        limit: u32,
    },
    /// Counters; [`Reply::Counters`].
    ShowCounters {},
    /// One spanning tree domain or all; [`Reply::Stpds`]. [`ErrorKind::NotFound`] for a domain that does not exist, or
    /// a port that is none of its.
    ShowStpd {
        /// Only this domain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stpd: Option<StpdName>,
        /// With these ports of it; with none if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ports: Option<PortSelection>,
    },
    /// Sets the counters of spanning tree to zero; [`Reply::Done`]. [`ErrorKind::NotFound`] for a domain that does not
    /// exist.
    ClearStpdCounters {
        /// Only of this domain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stpd: Option<StpdName>,
    },
    /// Opens ports to spanning tree again that BPDU guard has shut; [`Reply::StpdRecovered`]. [`ErrorKind::NotFound`]
    /// for a domain that does not exist, or a port that is none of its.
    RecoverStpdPorts {
        /// In this domain.
        stpd: StpdName,
        /// Which.
        ports: PortSelection,
    },
    /// Tries RST BPDUs again on ports that fell back to those of 802.1D-1998 (mcheck, 802.1D-2004 17.19.13);
    /// [`Reply::Done`]. [`ErrorKind::Refused`] in mode dot1d, which knows no others.
    CheckStpdMigration {
        /// In this domain.
        stpd: StpdName,
        /// Which.
        ports: PortSelection,
    },
    /// Removes learned entries, never configured ones; [`Reply::FdbCleared`].
    ClearFdb {
        /// Only in this VLAN.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vlan: Option<VlanRef>,
        /// Only behind this port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<PortNo>,
        /// Only this address, in whatever VLAN.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mac: Option<Mac>,
    },
    /// Takes the hardware down: forwarding stops, all tables are gone, and hitlessd ends;
    /// [`Reply::HardwareCleared`].
    ClearHardware {},
    /// The management modules and failover; [`Reply::MsmFailover`].
    ShowMsmFailover {},
    /// Makes the standby the master; [`Reply::FailoverStarted`], after which this master ends.
    /// [`ErrorKind::Refused`] with the reason if there is no standby, or it is not ready and `force` is not set.
    RunMsmFailover {
        /// Fail over to a standby that is not ready: state is lost.
        #[serde(default)]
        force: bool,
    },
    /// Changes the running configuration, all or nothing; [`Reply::Configured`]. [`ErrorKind::Refused`] with key, value
    /// and rule if it would not be valid or can not be put in force; nothing was changed then.
    Configure {
        /// The changes, in this order.
        changes: Vec<ConfigChange>,
        /// Goes back to what was before unless [`Request::ConfirmConfiguration`] comes within so many seconds,
        /// [`CONFIRM_SECONDS`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed_seconds: Option<u32>,
    },
    /// Puts a whole configuration in the place of the running one, all or nothing; [`Reply::Configured`]. As
    /// [`Request::Configure`] otherwise.
    ReplaceConfiguration {
        /// The configuration.
        document: Box<Document>,
        /// As in [`Request::Configure`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed_seconds: Option<u32>,
    },
    /// A configuration; [`Reply::Configuration`]. [`ErrorKind::NotFound`] if there is no such file, or it is not valid.
    ShowConfiguration {
        /// Which.
        which: ConfigurationSource,
    },
    /// Keeps what was changed with `confirmed_seconds`; [`Reply::Configured`]. [`ErrorKind::Refused`] if nothing waits
    /// for it.
    ConfirmConfiguration {},
    /// Goes back at once from what was changed with `confirmed_seconds`; [`Reply::Configured`].
    /// [`ErrorKind::Refused`] if nothing waits for confirmation.
    RollbackConfiguration {},
    /// Which saved configuration a module takes that starts without a master; [`Reply::Done`].
    UseConfiguration {
        /// Which.
        bank: ConfigBank,
    },
    /// Begins to load an image into a bank of both slots; [`Reply::Download`], which is not the end of it. The selection
    /// stays. [`ErrorKind::Refused`] if the switch has no banks, a load is under way, or a module was booted from the bank
    /// and it is not named.
    DownloadImage {
        /// The file, on the switch, from its root.
        file: PathBuf,
        /// The bank; the selected one if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bank: Option<ImageBank>,
    },
    /// How far the load of an image is, or what became of the last one since this master began; [`Reply::Download`].
    ShowDownload {},
    /// Which bank slots boot next; [`Reply::ImageSelected`]. Nothing is started again. [`ErrorKind::Refused`] if the
    /// switch has no banks.
    UseImage {
        /// The bank, which may be empty.
        bank: ImageBank,
        /// Only this slot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<ModuleSlot>,
    },
    /// Starts a module again; [`Reply::Done`]. The master's slot: a failover.
    RebootSlot {
        /// Which.
        slot: ModuleSlot,
        /// With its hardware: forwarding is interrupted.
        #[serde(default)]
        hard_reset: bool,
    },
    /// Compares master, standby and hardware; [`Reply::MsmCheck`].
    CheckMsmFailover {},
    /// The newest lines of the log, or those after a cursor; [`Reply::Log`]. Filters that are given must all match.
    ShowLog {
        /// Lines wanted at most, 1 to [`MAX_LOG_PAGE`]; anything else is taken for [`MAX_LOG_PAGE`].
        #[serde(default)]
        count: u32,
        /// Only of the module in this slot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<ModuleSlot>,
        /// Only as urgent as this, or more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<LogLevel>,
        /// Only after this, a [`LogPage::next`] of whatever master; the oldest first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
    },
    /// Takes in again what was quarantined; [`Reply::QuarantineCleared`].
    ClearQuarantine {},
    /// Writes the running configuration to its file; [`Reply::Saved`].
    Save {
        /// To which; the one in use if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bank: Option<ConfigBank>,
    },
    /// Upgrades both modules; [`Reply::UpgradePlan`] if it is only asked what would be done, else [`Reply::Upgrade`] once
    /// it has begun. [`ErrorKind::Refused`] with everything that is in its way.
    Upgrade {
        /// The image file, a path on the switch.
        file: PathBuf,
        /// The old version waits in the other slot until it is accepted.
        #[serde(default)]
        conservative: bool,
        /// Only say what would be done.
        #[serde(default)]
        dry_run: bool,
        /// Do it even if something is lost that is listed.
        #[serde(default)]
        accept_degraded: bool,
        /// Seconds after which it is gone back from unless [`Request::AcceptUpgrade`] comes, [`ACCEPT_SECONDS`] if it is
        /// not given, at most [`MAX_ACCEPT_SECONDS`]; 0: it is accepted once it is verified.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accept_within_seconds: Option<u32>,
    },
    /// How far an upgrade is, or how the last one ended; [`Reply::Upgrade`].
    ShowUpgrade {},
    /// Keeps the new version; [`Reply::Upgrade`]. [`ErrorKind::Refused`] if nothing waits for it.
    AcceptUpgrade {},
    /// Returns to the version before the last upgrade; [`Reply::Upgrade`] once it has begun. [`ErrorKind::Refused`] if it
    /// can not be done, with the reason.
    RollBackUpgrade {
        /// Why, for `show upgrade`: 1 to [`MAX_REASON`] characters on one line; if it is not given, that it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Brings a failure about, for tests of failover; [`Reply::Done`] if the process lives to send it.
    /// [`ErrorKind::Refused`] unless hitlessd was started with `HITLESS_FAULTS=1`.
    InjectFault {
        /// Which.
        fault: Fault,
    },
}

impl Request {
    /// Whether it changes anything; what does not may be asked again without thought.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::ShowVersion {}
                | Self::ShowSession {}
                | Self::ShowSwitch {}
                | Self::ShowPorts { .. }
                | Self::ShowVlan { .. }
                | Self::ShowFdb { .. }
                | Self::ShowCounters {}
                | Self::ShowStpd { .. }
                | Self::ShowConfiguration { .. }
                | Self::ShowMsmFailover {}
                | Self::ShowLog { .. }
                | Self::ShowDownload {}
                | Self::ShowUpgrade {}
                | Self::CheckMsmFailover {}
        )
    }
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It was done.
    Ok(Reply),
    /// It was not done, and nothing was changed.
    Error(ApiError),
}

impl From<Result<Reply, ApiError>> for Response {
    fn from(result: Result<Reply, ApiError>) -> Self {
        match result {
            Ok(reply) => Self::Ok(reply),
            Err(error) => Self::Error(error),
        }
    }
}

impl From<ApiError> for Response {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For programs.
    pub kind: ErrorKind,
    /// For people: the thing, the value, the rule and what to do.
    pub message: String,
}

impl ApiError {
    /// An error with its message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl From<UnknownVlan> for ApiError {
    fn from(unknown: UnknownVlan) -> Self {
        Self::new(ErrorKind::NotFound, unknown.to_string())
    }
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The line is no request that this version knows. The connection is closed.
    BadRequest,
    /// The line is longer than the asker's may be ([`Privilege::max_request_bytes`]). The connection is closed.
    TooLong,
    /// Too many connections are open. The connection is closed.
    Busy,
    /// The asker's user may not do it. If it may do nothing at all, the connection is closed.
    Forbidden,
    /// What the request names does not exist.
    NotFound,
    /// A rule forbids it.
    Refused,
    /// A table is full.
    Full,
    /// The kernel refused an operation on the hardware.
    Hardware,
    /// The configuration file can not be written.
    NotSaved,
    /// hitlessd is about to end.
    Stopping,
    /// A kind that only a newer version knows; never sent by this one.
    #[serde(other)]
    Unknown,
}
