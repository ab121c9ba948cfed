//! Spanning tree domains (STPDs) as they are configured. A domain has VLANs, and its ports are their members.

mod name;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hitless_common::{Mac, PortNo, VlanId};
use serde::{Deserialize, Serialize};

use super::{Config, PortConfig};
use crate::stp;

pub use name::StpdName;

/// Domains of one switch at most, s0 included.
pub const MAX_STPDS: usize = 64;

/// The VLAN that s0 has unless configured.
pub(super) const DEFAULT_VLAN: VlanId = match VlanId::new(1) {
    Some(vlan) => vlan,
    None => VlanId::MAX,
};

/// One spanning tree domain. Times and numbers are kept to the ranges of 802.1D-2004 17.14 by
/// [`stp::BridgeConfig::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StpdConfig {
    /// Whether its ports are opened and closed by spanning tree; else they all forward.
    pub enabled: bool,
    /// Which protocol.
    pub mode: StpdMode,
    /// The StpdID: the domain's VLAN that carries tagged BPDUs, and the extension of the bridge identifier.
    pub tag: Option<VlanId>,
    /// Bridge priority, 0 to 61,440 in steps of 4,096.
    pub priority: u16,
    /// Seconds between BPDUs, 1 to 2; 1 to 10 in mode dot1d.
    pub hello_time: u16,
    /// Seconds after which what a neighbour said counts no more, 6 to 40.
    pub max_age: u16,
    /// Seconds that a port listens and then learns before it forwards by timer, 4 to 30.
    pub forward_delay: u16,
    /// BPDUs that a port sends in a second at most, 1 to 10.
    pub tx_hold_count: u8,
    /// How a port without a configured cost gets one from its speed.
    pub path_cost_method: stp::CostMethod,
    /// What BPDUs look like on ports for which nothing else is configured.
    pub default_encapsulation: StpEncapsulation,
    /// Its VLANs. No VLAN is in two domains.
    pub vlans: BTreeSet<VlanId>,
    /// Settings of ports that are not all as by default.
    pub ports: BTreeMap<PortNo, StpdPortConfig>,
}

impl StpdConfig {
    /// A new domain of this name: disabled, without VLANs.
    #[must_use]
    pub fn new(name: StpdName) -> Self {
        let defaults = stp::BridgeConfig::new(Mac::ZERO);
        Self {
            enabled: false,
            mode: StpdMode::Dot1w,
            tag: None,
            priority: defaults.priority,
            hello_time: defaults.hello,
            max_age: defaults.max_age,
            forward_delay: defaults.forward_delay,
            tx_hold_count: defaults.tx_hold_count,
            path_cost_method: defaults.cost_method,
            default_encapsulation: match name == StpdName::S0 {
                true => StpEncapsulation::Dot1d,
                false => StpEncapsulation::Emistp,
            },
            vlans: BTreeSet::new(),
            ports: BTreeMap::new(),
        }
    }

    /// Whether a port takes part.
    #[must_use]
    pub fn has_port(&self, number: PortNo, port: &PortConfig) -> bool {
        self.port(number).enabled && port.is_member_of_any(&self.vlans)
    }

    /// The settings of a port.
    #[must_use]
    pub fn port(&self, port: PortNo) -> StpdPortConfig {
        self.ports.get(&port).copied().unwrap_or_default()
    }

    /// What BPDUs look like on a port.
    #[must_use]
    pub fn encapsulation(&self, port: PortNo) -> StpEncapsulation {
        let configured = self.ports.get(&port).and_then(|port| port.encapsulation);
        configured.unwrap_or(self.default_encapsulation)
    }

    /// The parameters of its bridge.
    #[must_use]
    pub fn bridge(&self, mac: Mac) -> stp::BridgeConfig {
        stp::BridgeConfig {
            mac,
            priority: self.priority,
            extension: self.tag.map_or(0, VlanId::get),
            force_version: self.mode.into(),
            hello: self.hello_time,
            max_age: self.max_age,
            forward_delay: self.forward_delay,
            tx_hold_count: self.tx_hold_count,
            cost_method: self.path_cost_method,
        }
    }
}

/// A port in one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StpdPortConfig {
    /// Whether it takes part; else it forwards, whatever the domain does.
    pub enabled: bool,
    /// What its BPDUs look like; `None`: as by the domain's default.
    pub encapsulation: Option<StpEncapsulation>,
    /// Port priority, 0 to 240 in steps of 16.
    pub priority: u8,
    /// Path cost, 1 to 200,000,000, or to 65,535 with short costs; `None`: by its speed.
    pub cost: Option<u32>,
    /// What is at its far end.
    pub link_type: StpLinkType,
    /// Whether it becomes an edge port when it hears no BPDU.
    pub auto_edge: bool,
    /// BPDU guard: an edge port that hears a BPDU is shut.
    pub bpdu_guard: bool,
    /// Seconds after which a port that its guard shut is opened again, 1 to 3,600; `None`: when told. Only with
    /// `bpdu_guard`.
    pub bpdu_guard_recovery: Option<u16>,
    /// Root guard: never becomes the root port.
    pub root_guard: bool,
    /// BPDU filter: neither sends nor takes BPDUs.
    pub bpdu_filter: bool,
    /// Loop protection: does not open when its neighbour falls silent.
    pub loop_guard: bool,
}

impl Default for StpdPortConfig {
    fn default() -> Self {
        let defaults = stp::PortConfig::DEFAULT;
        Self {
            enabled: true,
            encapsulation: None,
            priority: defaults.priority,
            cost: defaults.path_cost,
            link_type: StpLinkType::Auto,
            auto_edge: defaults.auto_edge,
            bpdu_guard: defaults.bpdu_guard,
            bpdu_guard_recovery: defaults.recovery,
            root_guard: defaults.root_guard,
            bpdu_filter: defaults.bpdu_filter,
            loop_guard: defaults.loop_guard,
        }
    }
}

impl StpdPortConfig {
    /// The parameters of the port in the bridge of a domain that it takes part in.
    #[must_use]
    pub fn parameters(&self) -> stp::PortConfig {
        stp::PortConfig {
            enabled: true,
            priority: self.priority,
            path_cost: self.cost,
            admin_edge: self.link_type == StpLinkType::Edge,
            auto_edge: self.auto_edge,
            point_to_point: match self.link_type {
                StpLinkType::Auto | StpLinkType::Edge => stp::PointToPoint::Auto,
                StpLinkType::Broadcast => stp::PointToPoint::Off,
                StpLinkType::PointToPoint => stp::PointToPoint::On,
            },
            bpdu_guard: self.bpdu_guard,
            recovery: self.bpdu_guard_recovery,
            root_guard: self.root_guard,
            bpdu_filter: self.bpdu_filter,
            loop_guard: self.loop_guard,
        }
    }
}

/// The words of an enumeration, as commands and documents have them.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* }) => {
        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// Which protocol a domain speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StpdMode {
    /// Spanning tree by timers, as 802.1D-1998 has it.
    Dot1d,
    /// Rapid spanning tree (802.1w, 802.1D-2004).
    #[default]
    Dot1w,
}

words!(StpdMode {
    Dot1d = "dot1d",
    Dot1w = "dot1w"
});

impl From<StpdMode> for stp::ForceVersion {
    fn from(mode: StpdMode) -> Self {
        match mode {
            StpdMode::Dot1d => Self::Stp,
            StpdMode::Dot1w => Self::Rstp,
        }
    }
}

/// What BPDUs look like on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StpEncapsulation {
    /// As 802.1D has them: without a tag.
    Dot1d,
    /// With the tag of the domain's carrier VLAN.
    Emistp,
    /// One spanning tree for one VLAN, as other vendors' switches have it.
    PvstPlus,
}

words!(StpEncapsulation {
    Dot1d = "dot1d",
    Emistp = "emistp",
    PvstPlus = "pvst-plus"
});

/// What is at the far end of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StpLinkType {
    /// To be found out: by the duplex mode, and by whether a BPDU is heard.
    #[default]
    Auto,
    /// Stations only: the port forwards as soon as its link is up.
    Edge,
    /// A segment that more than two bridges may share.
    Broadcast,
    /// One bridge.
    PointToPoint,
}

words!(StpLinkType {
    Auto = "auto",
    Edge = "edge",
    Broadcast = "broadcast",
    PointToPoint = "point-to-point"
});

impl Config {
    /// The domain that a VLAN is in.
    #[must_use]
    pub fn stpd_of(&self, vlan: VlanId) -> Option<(&StpdName, &StpdConfig)> {
        self.stpds
            .iter()
            .find(|(_, stpd)| stpd.vlans.contains(&vlan))
    }

    /// The ports that take part in a domain: members of its VLANs, unless they are disabled in it.
    #[must_use]
    pub fn stpd_ports(&self, stpd: &StpdConfig) -> BTreeSet<PortNo> {
        self.ports
            .iter()
            .filter(|&(&number, port)| stpd.has_port(number, port))
            .map(|(&number, _)| number)
            .collect()
    }
}
