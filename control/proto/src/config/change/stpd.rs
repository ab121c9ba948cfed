//! Changes of spanning tree domains.

use hitless_common::VlanId;
use serde::{Deserialize, Serialize};

use crate::config::{PortSelection, StpEncapsulation, StpLinkType, StpdMode, VlanRef};
use crate::stp::CostMethod;

/// One change of a spanning tree domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StpdChange {
    /// `enable stpd`, `disable stpd`.
    Enabled {
        /// Whether.
        enabled: bool,
    },
    /// Which protocol it speaks.
    Mode {
        /// Which.
        mode: StpdMode,
    },
    /// The StpdID: which of its VLANs carries its BPDUs.
    Tag {
        /// Which; none if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<VlanId>,
    },
    /// The bridge priority.
    Priority {
        /// 0 to 61,440 in steps of 4,096.
        priority: i64,
    },
    /// How often BPDUs are sent.
    HelloTime {
        /// 1 to 2; 1 to 10 in mode dot1d.
        seconds: i64,
    },
    /// How long what a neighbour said counts.
    MaxAge {
        /// 6 to 40.
        seconds: i64,
    },
    /// How long a port listens, and how long it learns.
    ForwardDelay {
        /// 4 to 30.
        seconds: i64,
    },
    /// How many BPDUs a port sends in a second.
    TxHoldCount {
        /// 1 to 10.
        count: i64,
    },
    /// How ports without a configured cost get one.
    PathCostMethod {
        /// By which table.
        method: CostMethod,
    },
    /// What BPDUs look like on ports for which nothing else is configured.
    DefaultEncapsulation {
        /// Which.
        encapsulation: StpEncapsulation,
    },
    /// Takes a VLAN in, with its members.
    AddVlan {
        /// Which; in no other domain.
        vlan: VlanRef,
    },
    /// Lets a VLAN go; settings of ports that are in no other VLAN of the domain, and the tag if it was this one,
    /// go with it.
    DeleteVlan {
        /// Which.
        vlan: VlanRef,
    },
    /// Settings of ports in the domain.
    Ports {
        /// Which; all of the domain's if it is `all`.
        ports: PortSelection,
        /// What of them.
        change: StpdPortChange,
    },
}

/// One change of ports in a spanning tree domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StpdPortChange {
    /// `enable stpd ports`, `disable stpd ports`: whether they take part; else they forward.
    Enabled {
        /// Whether.
        enabled: bool,
    },
    /// What their BPDUs look like.
    Encapsulation {
        /// How; as by the domain's default if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encapsulation: Option<StpEncapsulation>,
    },
    /// The port priority.
    Priority {
        /// 0 to 240 in steps of 16.
        priority: i64,
    },
    /// The path cost.
    Cost {
        /// 1 to 200,000,000, or to 65,535 with short costs; by their speed if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<i64>,
    },
    /// What is at their far ends.
    LinkType {
        /// Which.
        link_type: StpLinkType,
    },
    /// Whether they become edge ports when they hear no BPDU.
    AutoEdge {
        /// Whether.
        enabled: bool,
    },
    /// Whether edge ports that hear a BPDU are shut.
    BpduGuard {
        /// Whether.
        enabled: bool,
        /// For how many seconds, 1 to 3,600; until told if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovery: Option<i64>,
    },
    /// Whether they are kept from being the root port.
    RootGuard {
        /// Whether.
        enabled: bool,
    },
    /// Whether they neither send nor take BPDUs.
    BpduFilter {
        /// Whether.
        enabled: bool,
    },
    /// Whether they stay closed when their neighbour falls silent.
    LoopGuard {
        /// Whether.
        enabled: bool,
    },
}

impl StpdChange {
    pub(super) fn notes(&self) -> &'static [&'static str] {
        match self {
            Self::Enabled { enabled: false } => {
                &["All ports of the domain forward now: nothing breaks a loop among them."]
            }
            Self::Ports { change, .. } => match change {
                StpdPortChange::Enabled { enabled: false } => &[
                    "The ports forward and take no part in the domain: no loop through them is broken.",
                ],
                StpdPortChange::BpduFilter { enabled: true } => &[
                    "The ports neither send nor take BPDUs: a loop through them may not be noticed.",
                ],
                _ => &[],
            },
            _ => &[],
        }
    }
}
