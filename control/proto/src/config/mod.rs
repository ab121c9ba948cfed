//! The configuration of a switch: one validated model, whatever it was read from.
//!
//! [`Document`] is the form people write: every value as it stands in the file, nothing checked but its
//! shape. [`Document::check`] applies every rule and gives either a [`Config`] or all problems at once;
//! there is no other way to a [`Config`], so that whoever holds one may rely on the rules. A change at run
//! time takes the same way: [`Config::changed`] applies any number of [`ConfigChange`]s and checks the result.
//! [`commands`] and [`diff`] go the other way, from configurations to changes.
//!
//! Nothing here reads files or knows YAML.

mod apply;
#[cfg(test)]
pub(crate) mod arbitrary;
mod bank;
mod bounded;
mod change;
mod check;
mod diff;
mod document;
mod failover;
mod images;
mod names;
mod port_list;
mod rules;
mod snmp;
mod stpd;
mod vlan_ref;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use hitless_common::limits::DEFAULT_FDB_SIZE;
use hitless_common::{Mac, PortNo, VlanId};
use serde::{Deserialize, Serialize};

pub use apply::{ChangeError, ChangeProblem};
pub use bank::{ConfigBank, InvalidBank};
pub use change::{
    ConfigChange, FdbChange, ImageChange, MsmFailoverChange, PortChange, SnmpChange, StormKind,
    StpdChange, StpdPortChange, Tagging, VlanChange,
};
pub use check::station_address;
pub use diff::{commands, diff};
pub use document::{
    DampingDoc, Document, FdbDoc, MAX_STATIC_ENTRIES, PortDoc, SECTIONS, StaticDoc, StormDoc,
    StpdDoc, StpdPortDoc, TaggedItem, VlanDoc,
};
pub use failover::{
    LinkAction, MsmFailoverConfig, MsmFailoverDoc, PreservationLevel, PreserveState, SlaveConfig,
    SysRecoveryLevel, TAKEOVER_ALLOWANCE_MS,
};
pub use images::{ImageKey, ImagesConfig, ImagesDoc, MAX_IMAGE_KEYS, UnsignedImages};
pub use names::{DeviceName, DisplayText, InvalidName, SwitchName, SysName, VlanName};
pub use port_list::{InvalidPortList, LoopFreePorts, PortList, PortSelection};
pub use rules::{Invalid, KeyPath, MAX_PROBLEMS, Problem, Rule, Step};
pub use snmp::{SnmpConfig, SnmpDoc};
pub use stpd::{
    MAX_STPDS, StpEncapsulation, StpLinkType, StpdConfig, StpdMode, StpdName, StpdPortConfig,
};
pub use vlan_ref::{InvalidVlanRef, UnknownVlan, VlanRef};

/// The validated configuration of one switch. Read-only in effect: to change it, see the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
#[non_exhaustive]
pub struct Config {
    /// The switch; also the name of its directories in bpffs and under `/run/hitless`.
    pub switch: SwitchName,
    /// What it says of itself.
    pub snmp: SnmpConfig,
    /// The forwarding database.
    pub fdb: FdbConfig,
    /// What happens when the master is lost.
    pub msm_failover: MsmFailoverConfig,
    /// Which images it takes.
    pub images: ImagesConfig,
    /// Every VLAN, by id. At most 4094.
    pub vlans: BTreeMap<VlanId, VlanConfig>,
    /// Every port, by number. At most 128.
    pub ports: BTreeMap<PortNo, PortConfig>,
    /// Every spanning tree domain, by name. At most 64; s0 is always one of them.
    pub stpds: BTreeMap<StpdName, StpdConfig>,
}

impl Config {
    /// What a configuration file is that says no more than which switch it is for.
    #[must_use]
    pub fn factory(switch: SwitchName) -> Self {
        Self {
            snmp: SnmpConfig::factory(&switch),
            switch,
            fdb: FdbConfig::default(),
            msm_failover: MsmFailoverConfig::default(),
            images: ImagesConfig::default(),
            vlans: BTreeMap::new(),
            ports: BTreeMap::new(),
            stpds: BTreeMap::from([(StpdName::S0, StpdConfig::new(StpdName::S0))]),
        }
    }

    /// The VLAN with this name. VLAN names are unique and, unlike ids, start with a letter.
    #[must_use]
    pub fn vlan_named(&self, name: &str) -> Option<VlanId> {
        self.vlans
            .iter()
            .find(|(_, vlan)| vlan.name.as_str() == name)
            .map(|(&id, _)| id)
    }
}

/// The forwarding database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FdbConfig {
    /// Addresses it holds, 64 to 16,777,216.
    pub size: u32,
    /// Seconds after which an address that was not seen is forgotten (IEEE 802.1Q-2018 8.8.3), 10 to
    /// 1,000,000; `None`: never (0 in a document).
    pub ageing_seconds: Option<u32>,
    /// What to do about addresses that move to and fro.
    pub damping: Damping,
    /// Configured addresses. Every port is a member of the VLAN.
    pub static_entries: BTreeMap<(VlanId, Mac), StaticTarget>,
}

impl Default for FdbConfig {
    fn default() -> Self {
        Self {
            size: DEFAULT_FDB_SIZE,
            ageing_seconds: Some(300),
            damping: Damping::default(),
            static_entries: BTreeMap::new(),
        }
    }
}

/// Holds an address where it is when it moves more than `moves` times within `within_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping {
    /// Moves that are allowed in the interval, up to 1,000,000; 0: no damping.
    pub moves: u32,
    /// The interval in seconds, 1 to 3,600.
    pub within_seconds: u32,
    /// Seconds for which the address then stays where it is, 1 to 86,400.
    pub hold_seconds: u32,
}

impl Default for Damping {
    fn default() -> Self {
        Self {
            moves: 5,
            within_seconds: 1,
            hold_seconds: 10,
        }
    }
}

/// Where frames to a configured address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaticTarget {
    /// To this port.
    Port(PortNo),
    /// Nowhere: frames from and to the address are dropped.
    Blackhole,
}

/// One VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VlanConfig {
    /// Its name, `vlan<ID>` unless configured; unique.
    pub name: VlanName,
    /// Addresses learned in it at most, up to 16,777,216 (0: none); `None`: no limit but the FDB's size.
    pub mac_limit: Option<u32>,
    /// Whether addresses are learned in it; else every frame to an address without a static entry is flooded.
    pub learning: bool,
    /// The members that go on forwarding in it when no master has renewed the lease; they can not be part of a
    /// loop among themselves. `None`: all of them, for ever.
    pub loop_free_ports: Option<BTreeSet<PortNo>>,
}

impl VlanConfig {
    /// A VLAN of which nothing but the name is configured.
    #[must_use]
    pub fn new(name: VlanName) -> Self {
        Self {
            name,
            mac_limit: None,
            learning: true,
            loop_free_ports: None,
        }
    }
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortConfig {
    /// The Linux interface behind it. No two ports have the same.
    pub device: DeviceName,
    /// Whether it accepts and sends frames at all.
    pub enabled: bool,
    /// The VLAN of its untagged frames, in both directions (PVID, IEEE 802.1Q-2018 6.9).
    pub untagged: Option<VlanId>,
    /// The VLANs that it carries with a tag. Never contains `untagged`.
    pub tagged: BTreeSet<VlanId>,
    /// Which frames it takes in.
    pub accept: AcceptFrames,
    /// Whether it refuses frames of VLANs that it is no member of (IEEE 802.1Q-2018 8.6.2).
    pub ingress_filtering: bool,
    /// How its frames are forwarded.
    pub offload: OffloadMode,
    /// The operator vouches that the far end of a veth pair is fit for XDP, which the switch can not see
    /// from its own network namespace.
    pub trust_far_end: bool,
    /// Addresses learned behind it at most, up to 16,777,216 (0: none); `None`: no limit.
    pub mac_limit: Option<u32>,
    /// Limits on what it may flood.
    pub storm_control: StormControl,
}

impl PortConfig {
    /// A port of which nothing but the device is configured.
    #[must_use]
    pub fn new(device: DeviceName) -> Self {
        Self {
            device,
            enabled: true,
            untagged: None,
            tagged: BTreeSet::new(),
            accept: AcceptFrames::default(),
            ingress_filtering: true,
            offload: OffloadMode::default(),
            trust_far_end: false,
            mac_limit: None,
            storm_control: StormControl::default(),
        }
    }

    /// Whether the port carries the VLAN, with or without a tag.
    #[must_use]
    pub fn is_member(&self, vlan: VlanId) -> bool {
        self.untagged == Some(vlan) || self.tagged.contains(&vlan)
    }

    /// Whether the port carries one of the VLANs.
    #[must_use]
    pub fn is_member_of_any(&self, vlans: &BTreeSet<VlanId>) -> bool {
        let (few, many) = match self.tagged.len() < vlans.len() {
            true => (&self.tagged, vlans),
            false => (vlans, &self.tagged),
        };
        self.untagged.is_some_and(|vlan| vlans.contains(&vlan))
            || few.iter().any(|vlan| many.contains(vlan))
    }
}

/// The acceptable frame types of a port (IEEE 802.1Q-2018 6.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceptFrames {
    /// Admit all frames.
    #[default]
    All,
    /// Admit only VLAN-tagged frames; the native VLAN, if any, is then for sending only.
    Tagged,
    /// Admit only untagged and priority-tagged frames.
    Untagged,
}

/// How a port's frames are to be forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OffloadMode {
    /// XDP where the device is made for it, else TC.
    #[default]
    Auto,
    /// Native XDP; refused where it can not be right.
    Xdp,
    /// TC (tcx), which works on every device.
    Tc,
}

/// Frames a second that a port may flood, by kind; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StormControl {
    /// Broadcast frames a second.
    pub broadcast: Option<NonZeroU32>,
    /// Multicast frames a second.
    pub multicast: Option<NonZeroU32>,
    /// Frames a second to unicast addresses that the FDB does not know.
    pub unknown_unicast: Option<NonZeroU32>,
}
