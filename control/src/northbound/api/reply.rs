//! What is answered to requests that were done.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::path::PathBuf;

use hitless_common::map::counters::PortCounters;
use hitless_common::{DropReason, Mac, PortNo, VlanId};
use hitless_ha::slot::ModuleSlot;
use hitless_ha::state::SubState;
use hitless_proto::config::{ConfigBank, OffloadMode, SwitchName, VlanName};
use serde::{Deserialize, Serialize};

use super::image::{DownloadInfo, ImageBank, ImageSelected, ModuleImages};
use super::module::{
    ConfigurationInfo, ConfiguredInfo, FailoverStartedInfo, LogPage, MsmCheckInfo, MsmFailoverInfo,
    SavedInfo,
};
use super::stpd::{StpNotTaken, StpdInfo};
use super::upgrade::{UpgradeInfo, UpgradePlan};
use super::words::{ModuleRole, Privilege};

/// What is answered to a request that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To [`super::Request::ShowVersion`].
    Version(VersionInfo),
    /// To [`super::Request::ShowSession`].
    Session(SessionInfo),
    /// To [`super::Request::ShowSwitch`].
    Switch(Box<SwitchInfo>),
    /// To [`super::Request::ShowPorts`], ascending.
    Ports(Vec<PortInfo>),
    /// To [`super::Request::ShowVlan`], ascending.
    Vlans(Vec<VlanInfo>),
    /// To [`super::Request::ShowFdb`].
    Fdb(FdbPage),
    /// To [`super::Request::ShowCounters`].
    Counters(Box<CountersInfo>),
    /// To [`super::Request::ShowStpd`], by name, ascending.
    Stpds(Vec<StpdInfo>),
    /// To [`super::Request::RecoverStpdPorts`].
    StpdRecovered {
        /// The ports that were shut.
        ports: Vec<PortNo>,
    },
    /// To [`super::Request::ClearFdb`].
    FdbCleared {
        /// Entries removed.
        removed: u64,
    },
    /// To requests that have nothing to tell but that they were done.
    Done {},
    /// To [`super::Request::ClearHardware`].
    HardwareCleared {
        /// Pins taken away.
        pins: u64,
    },
    /// To [`super::Request::ShowMsmFailover`].
    MsmFailover(Box<MsmFailoverInfo>),
    /// To [`super::Request::RunMsmFailover`].
    FailoverStarted(FailoverStartedInfo),
    /// To requests that change the running configuration.
    Configured(Box<ConfiguredInfo>),
    /// To [`super::Request::ShowConfiguration`].
    Configuration(Box<ConfigurationInfo>),
    /// To [`super::Request::CheckMsmFailover`].
    MsmCheck(Box<MsmCheckInfo>),
    /// To [`super::Request::ShowLog`].
    Log(LogPage),
    /// To [`super::Request::ClearQuarantine`].
    QuarantineCleared {
        /// Inputs that are taken in again.
        removed: u64,
    },
    /// To [`super::Request::Save`].
    Saved(SavedInfo),
    /// To [`super::Request::DownloadImage`] and [`super::Request::ShowDownload`]; `null` if there was none.
    Download(Option<Box<DownloadInfo>>),
    /// To [`super::Request::UseImage`].
    ImageSelected(ImageSelected),
    /// To [`super::Request::Upgrade`] with `dry_run`.
    UpgradePlan(Box<UpgradePlan>),
    /// To other requests about upgrades.
    Upgrade(Box<UpgradeInfo>),
}

/// Versions of a program, and of a switch if it is the master's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// The program's version.
    pub version: String,
    /// The layout of the pinned maps that it knows.
    pub layout: u32,
    /// Where the banks are; `null` if this switch has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Both slots, `msm-a` first; none if the program is no master.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleImages>,
}

impl VersionInfo {
    /// Those of this program.
    #[must_use]
    pub fn own() -> Self {
        Self {
            version: hitless_common::VERSION.into(),
            layout: hitless_common::map::meta::LAYOUT,
            images: None,
            modules: Vec::new(),
        }
    }
}

/// Who the asker is to the switch, and what a prompt shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// The asker's user; `null` if it has no name that could be found.
    pub user: Option<String>,
    /// The number of that user.
    pub uid: u32,
    /// What it may do.
    pub privilege: Privilege,
    /// The switch.
    pub switch: SwitchName,
    /// What the switch calls itself to people (sysName of RFC 3418).
    pub sysname: String,
    /// The slot of the master, who answers.
    pub slot: ModuleSlot,
    /// Whether the running configuration has changes that are not saved.
    pub unsaved: bool,
    /// Seconds until unconfirmed changes are gone back from; `null`: there are none.
    pub rollback_seconds: Option<u32>,
}

/// The switch as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchInfo {
    /// Its name.
    pub name: SwitchName,
    /// Seconds since the hardware was made, however many management modules it has had.
    pub uptime_seconds: u64,
    /// Its management modules that are there, the master first.
    pub modules: Vec<ModuleInfo>,
    /// The forwarding database.
    pub fdb: FdbInfo,
    /// How many masters the hardware has had, this one included.
    pub generation: u64,
    /// Whether this master found the hardware in place and adopted it.
    pub adopted: bool,
    /// Writes to the hardware since this master started.
    pub hardware_writes: HardwareWrites,
    /// Entries of the hardware that somebody else had changed and that were repaired since this master started.
    #[serde(default)]
    pub repaired: u64,
    /// Its sysName: what an operator calls it.
    #[serde(default)]
    pub sysname: String,
    /// Its sysContact: whom to call.
    #[serde(default)]
    pub syscontact: String,
    /// Its sysLocation: where it stands.
    #[serde(default)]
    pub syslocation: String,
    /// The saved configuration in use.
    #[serde(default)]
    pub configuration: ConfigBank,
    /// Its file.
    pub config_file: PathBuf,
    /// Whether the running configuration has changes that are not saved there.
    #[serde(default)]
    pub unsaved: bool,
    /// Seconds until the running configuration is gone back from; `null`: it stays.
    #[serde(default)]
    pub rollback_seconds: Option<u32>,
}

/// One management module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// Its slot.
    pub slot: ModuleSlot,
    /// What it is.
    pub role: ModuleRole,
    /// Its process.
    pub pid: u32,
    /// `ready` when it does its work.
    pub state: SubState,
    /// Its program's version.
    pub version: String,
    /// The bank that it was booted from; `null`: the factory image, or this switch has no banks.
    #[serde(default)]
    pub image_booted: Option<ImageBank>,
    /// The bank that its slot boots next; `null` if this switch has no banks.
    #[serde(default)]
    pub image_selected: Option<ImageBank>,
}

/// The forwarding database as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbInfo {
    /// Addresses that it holds at most.
    pub size: u32,
    /// Addresses in it, of every kind.
    pub used: u32,
    /// Configured ones among them, blackholes included.
    #[serde(rename = "static")]
    pub static_entries: u32,
    /// Kernel memory of the table, in bytes.
    pub memory_bytes: u64,
    /// The ageing time in seconds; 0: never.
    pub ageing_seconds: u32,
    /// Addresses that were not learned since the master started because the table was full.
    pub full: u64,
}

/// Writes to the hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardwareWrites {
    /// All of them.
    pub total: u64,
    /// By table (`FDB`, `VLANS`, …; `LINKS` for programs attached or replaced).
    pub tables: BTreeMap<String, u64>,
}

impl FromIterator<(String, u64)> for HardwareWrites {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(tables: I) -> Self {
        let tables: BTreeMap<String, u64> = tables.into_iter().collect();
        Self {
            total: tables.values().sum(),
            tables,
        }
    }
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortInfo {
    /// Its number.
    pub port: PortNo,
    /// The Linux interface that is configured for it.
    pub device: String,
    /// Whether the configuration enables it.
    pub enabled: bool,
    /// Its link.
    pub link: LinkState,
    /// What the switch makes of the device, in a few words: `attached`, `waiting for the device`, or what
    /// went wrong.
    pub device_state: String,
    /// Where its frames are forwarded now.
    pub offload: OffloadState,
    /// One sentence that says why.
    pub offload_reason: String,
    /// What the configuration asks for.
    pub configured_offload: OffloadMode,
    /// Octets of payload that the device sends; `null` without a device.
    pub mtu: Option<u32>,
    /// Speed of its link in Mbit/s; `null` if there is none, or the device does not know.
    #[serde(default)]
    pub speed_mbps: Option<u32>,
    /// The VLAN of its untagged frames.
    pub pvid: Option<VlanId>,
    /// The VLANs that it carries with a tag, ascending.
    pub tagged: Vec<VlanId>,
    /// Its counters.
    #[serde(flatten)]
    pub counters: CounterSet,
}

/// The link of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Operational.
    Up,
    /// There is a device, but no link, or it is administratively down.
    Down,
    /// There is no such device.
    Absent,
    /// A state that only a newer version knows; never sent by this one.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        })
    }
}

/// Where a port's frames are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffloadState {
    /// In the TC hook.
    Tc,
    /// In the driver.
    Xdp,
    /// Nowhere: there is no device, or it could not be attached.
    None,
    /// A place that only a newer version knows; never sent by this one.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for OffloadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
            Self::None => "none",
            Self::Unknown => "unknown",
        })
    }
}

/// One VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanInfo {
    /// Its id.
    pub vlan: VlanId,
    /// Its name.
    pub name: VlanName,
    /// The ports that carry it without a tag, ascending.
    pub untagged: Vec<PortNo>,
    /// The ports that carry it with a tag, ascending.
    pub tagged: Vec<PortNo>,
    /// The ports that forward in it now, ascending.
    pub forwarding: Vec<PortNo>,
    /// Addresses learned in it now.
    pub mac_count: u32,
    /// Addresses that may be learned in it; `null`: no limit.
    pub mac_limit: Option<u32>,
    /// Whether addresses are learned in it.
    pub learning: bool,
}

/// A part of the forwarding database. The pages of one reading are no snapshot: entries that come, go or are
/// displaced in between may be missing or come twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbPage {
    /// The entries, in no particular order; may be empty before the last page.
    pub entries: Vec<FdbRow>,
    /// The cursor for the next page; `null` after the last one. Its value means nothing to the asker.
    pub next: Option<u64>,
}

/// One address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbRow {
    /// Its VLAN.
    pub vlan: VlanId,
    /// The address.
    pub mac: Mac,
    /// The port that it is behind; `null` for a blackhole.
    pub port: Option<PortNo>,
    /// What it is.
    pub kind: FdbKind,
    /// Seconds since it was last seen as a source; 0 for configured entries, which do not age.
    pub age_seconds: u32,
}

/// What an FDB entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FdbKind {
    /// Learned.
    Dynamic,
    /// Configured for a port.
    Static,
    /// Configured: frames from and to it are dropped.
    Blackhole,
    /// A kind that only a newer version knows; never sent by this one.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for FdbKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
            Self::Blackhole => "blackhole",
            Self::Unknown => "unknown",
        })
    }
}

/// Counters of a port, or a sum of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterSet {
    /// Frames received, whatever became of them.
    pub rx_frames: u64,
    /// Octets received, 802.1Q tag included.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Octets sent, 802.1Q tag included.
    pub tx_bytes: u64,
    /// Frames copied or moved to the control plane.
    pub punted: u64,
    /// Learning events put off to a later frame of the same source.
    pub learn_deferred: u64,
    /// Frames dropped by the name of the reason; only those that happened.
    pub drops: BTreeMap<String, u64>,
}

impl CounterSet {
    /// Frames dropped for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.values().sum()
    }
}

impl From<&PortCounters> for CounterSet {
    fn from(counters: &PortCounters) -> Self {
        let drops = DropReason::ALL
            .iter()
            .map(|&reason| (reason.name().to_string(), counters.drops[reason as usize]))
            .filter(|&(_, frames)| frames > 0);
        Self {
            rx_frames: counters.rx_frames,
            rx_bytes: counters.rx_bytes,
            tx_frames: counters.tx_frames,
            tx_bytes: counters.tx_bytes,
            punted: counters.punted,
            learn_deferred: counters.learn_deferred,
            drops: drops.collect(),
        }
    }
}

impl AddAssign<&Self> for CounterSet {
    fn add_assign(&mut self, other: &Self) {
        self.rx_frames += other.rx_frames;
        self.rx_bytes += other.rx_bytes;
        self.tx_frames += other.tx_frames;
        self.tx_bytes += other.tx_bytes;
        self.punted += other.punted;
        self.learn_deferred += other.learn_deferred;
        for (reason, frames) in &other.drops {
            *self.drops.entry(reason.clone()).or_default() += frames;
        }
    }
}

/// Every counter of the switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersInfo {
    /// The sum of `ports` and `no_port`.
    pub totals: CounterSet,
    /// By port, ascending.
    pub ports: Vec<PortCounterSet>,
    /// Frames that came in on a device that is no configured port.
    pub no_port: CounterSet,
    /// Every reason for a drop with its sum, in the order of their numbers.
    pub reasons: Vec<ReasonInfo>,
    /// Control frames that reached the control plane since the master started, by protocol (`stp`, `edp`, …).
    pub control_frames: BTreeMap<String, u64>,
    /// Frames to spanning tree's addresses that no domain took.
    #[serde(default)]
    pub spanning_tree: StpNotTaken,
    /// What became of learning events since the master started.
    pub learning: LearningInfo,
}

impl CountersInfo {
    /// Sums up counters by port. Of spanning tree nothing is counted yet.
    #[must_use]
    pub fn new(
        ports: Vec<PortCounterSet>,
        no_port: CounterSet,
        control_frames: BTreeMap<String, u64>,
        learning: LearningInfo,
    ) -> Self {
        let mut totals = no_port.clone();
        for port in &ports {
            totals += &port.counters;
        }
        let reason = |&reason: &DropReason| ReasonInfo {
            reason: reason.name().into(),
            text: reason.text().into(),
            frames: totals.drops.get(reason.name()).copied().unwrap_or(0),
        };
        Self {
            reasons: DropReason::ALL.iter().map(reason).collect(),
            totals,
            ports,
            no_port,
            control_frames,
            spanning_tree: StpNotTaken::default(),
            learning,
        }
    }
}

/// The counters of one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCounterSet {
    /// The port.
    pub port: PortNo,
    /// Its counters.
    #[serde(flatten)]
    pub counters: CounterSet,
}

/// A reason for drops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonInfo {
    /// Its name ([`DropReason::name`]).
    pub reason: String,
    /// A sentence that explains it.
    pub text: String,
    /// Frames dropped for it on all ports.
    pub frames: u64,
}

/// What became of learning events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearningInfo {
    /// Addresses learned.
    pub learned: u64,
    /// Addresses that moved to another port.
    pub moved: u64,
    /// Addresses forgotten because of their age.
    pub aged: u64,
    /// Moves refused by damping.
    pub damped: u64,
    /// Not learned because of a port's limit.
    pub limited_port: u64,
    /// Not learned because of a VLAN's limit.
    pub limited_vlan: u64,
    /// Not learned because the table was full.
    pub full: u64,
    /// Not learned because no station can have the address, or learning is off there.
    pub refused: u64,
    /// Put off by the data path to a later frame of the same source.
    pub deferred: u64,
}
