//! Requests and answers. Field names and the spelling of values are fixed: scripts read them through `--json`.
//!
//! A request with an unknown field is refused, because a filter that is ignored would make `clear` do more
//! than was asked. Answers may gain fields and values; readers take what they know.

use std::fmt;
use std::str::FromStr;

use hitless_common::ids::InvalidId;
use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{Config, InvalidName, SysRecoveryLevel, VlanName};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

mod module;
mod reply;
#[cfg(test)]
mod tests;
mod words;

pub use hitless_ha::cause::Cause;
pub use hitless_ha::slot::ModuleSlot;
pub use hitless_ha::state::{Reason, SubState};
pub use module::{
    CheckedTable, CheckpointLag, ConfiguredInfo, FailoverInfo, FailoverStartedInfo, FailoverTimer,
    LeaseInfo, LogLine, LogPage, MAX_LOG_PAGE, ModuleStatus, MsmCheckInfo, MsmFailoverChange,
    MsmFailoverInfo, MsmFailoverSettings, QuarantinedInput, SavedInfo, SubsystemStatus,
    TransferInfo,
};
pub use reply::{
    CounterSet, CountersInfo, FdbInfo, FdbKind, FdbPage, FdbRow, HardwareWrites, LearningInfo,
    LinkState, ModuleInfo, OffloadState, PortCounterSet, PortInfo, ReasonInfo, Reply, SessionInfo,
    SwitchInfo, VersionInfo, VlanInfo,
};
pub use words::{Fault, LeaseState, LogLevel, ModuleRole, Privilege, UnknownWord};

/// FDB entries in one answer at most; 4096 take about 350 kB.
pub const MAX_FDB_PAGE: u32 = 4096;

/// What can be asked of a switch. Filters that are given must all match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Versions; answered with [`Reply::Version`].
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
    /// Makes a configured entry, in the place of a learned one if there is one; [`Reply::Done`].
    /// [`ErrorKind::Refused`] if the address has a configured entry already, is no station's, or the port is
    /// no member of the VLAN. Later masters keep it, until it is deleted or the hardware is taken down.
    CreateFdbEntry {
        /// The VLAN.
        vlan: VlanRef,
        /// The address.
        mac: Mac,
        /// Where its frames go.
        target: FdbTarget,
    },
    /// Removes a configured entry; [`Reply::Done`]. [`ErrorKind::NotFound`] if there is none.
    DeleteFdbEntry {
        /// The VLAN.
        vlan: VlanRef,
        /// The address.
        mac: Mac,
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
    /// Changes a failover setting of the running configuration; [`Reply::Configured`].
    /// [`ErrorKind::Refused`] with key, value and rule if it would make the configuration invalid.
    ConfigureMsmFailover {
        /// The change.
        change: MsmFailoverChange,
    },
    /// Disables hitless failover: links are taken down, no state is preserved, the timeout is 60 s, a new master
    /// uses the configuration file. Timers that the T-sync guide does not know get their defaults;
    /// [`Reply::Configured`].
    UnconfigureMsmFailover {},
    /// Whose exceptions make a module fail over; [`Reply::Configured`].
    ConfigureSysRecoveryLevel {
        /// All tasks', or critical tasks' only.
        level: SysRecoveryLevel,
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
    /// Writes the running configuration to the configuration file; [`Reply::Saved`].
    Save {},
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
                | Self::ShowMsmFailover {}
                | Self::ShowLog { .. }
                | Self::CheckMsmFailover {}
        )
    }
}

/// A VLAN by id (a number) or by name (a text). A text of digits is an id: no name starts with a digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VlanRef {
    /// By id.
    Id(VlanId),
    /// By name.
    Name(VlanName),
}

impl VlanRef {
    /// The VLAN meant.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the configuration has no such VLAN.
    pub fn resolve(&self, config: &Config) -> Result<VlanId, ApiError> {
        match self {
            Self::Id(id) if config.vlans.contains_key(id) => Some(*id),
            Self::Id(_) => None,
            Self::Name(name) => config.vlan_named(name.as_str()),
        }
        .ok_or_else(|| {
            let message = format!("VLAN {self} does not exist; `show vlan` lists those that do");
            ApiError::new(ErrorKind::NotFound, message)
        })
    }
}

impl fmt::Display for VlanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Why a text names no VLAN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVlanRef {
    /// It is a number, but no VLAN id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// It is neither a number nor a name that a VLAN can have.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl FromStr for VlanRef {
    type Err = InvalidVlanRef;
    fn from_str(text: &str) -> Result<Self, InvalidVlanRef> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            Ok(Self::Id(text.parse()?))
        } else {
            Ok(Self::Name(text.parse()?))
        }
    }
}

impl Serialize for VlanRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(serializer),
            Self::Name(name) => name.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for VlanRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RefVisitor;

        impl Visitor<'_> for RefVisitor {
            type Value = VlanRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a VLAN id or a VLAN name")
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> Result<VlanRef, E> {
                VlanId::try_new(id).map(VlanRef::Id).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<VlanRef, E> {
                self.visit_i64(i64::try_from(id).unwrap_or(i64::MAX))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VlanRef, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(RefVisitor)
    }
}

/// Where the frames of a configured entry go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FdbTarget {
    /// To this port.
    Port(PortNo),
    /// Nowhere.
    Blackhole,
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
