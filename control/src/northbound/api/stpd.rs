//! Spanning tree domains (STPDs) and their ports, as they are shown. Clauses are those of IEEE 802.1D-2004.

use std::fmt;

use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{StpEncapsulation, StpLinkType, StpdMode, StpdName};
use hitless_proto::stp::{BridgeId, CostMethod};
use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// The role of a port (17.7).
    StpRole {
        /// Takes no part in spanning tree: its domain is disabled, or the port is disabled in it.
        None = "none",
        /// Takes part, but has no link, or is shut.
        Disabled = "disabled",
        /// Towards the root.
        Root = "root",
        /// Serves its LAN.
        Designated = "designated",
        /// Another way to the root, closed.
        Alternate = "alternate",
        /// Another port to a LAN that this bridge serves, closed.
        Backup = "backup",
    }
}

words! {
    /// What a port does with frames (17.7). A port that takes no part in spanning tree forwards.
    StpState {
        /// Neither learns nor forwards.
        Discarding = "discarding",
        /// Learns.
        Learning = "learning",
        /// Learns and forwards.
        Forwarding = "forwarding",
    }
}

words! {
    /// Where a port has its priority vector from (infoIs, 17.19.10).
    StpInfo {
        /// A neighbour.
        Received = "received",
        /// This bridge.
        Mine = "mine",
        /// A neighbour that fell silent.
        Aged = "aged",
        /// Nowhere: the port is disabled.
        Disabled = "disabled",
    }
}

/// A bridge identifier (9.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpBridgeId {
    /// Priority in the upper four bits, system identifier extension (the domain's tag) in the lower twelve.
    pub priority: u16,
    /// The bridge's address.
    pub mac: Mac,
}

impl From<BridgeId> for StpBridgeId {
    fn from(BridgeId { priority, mac }: BridgeId) -> Self {
        Self { priority, mac }
    }
}

/// As `80:00:02:00:00:00:01:00`.
impl fmt::Display for StpBridgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, mac } = *self;
        BridgeId { priority, mac }.fmt(f)
    }
}

/// Times in seconds (17.13.5 to 17.13.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpTimes {
    /// Message Age: hops from the root, in effect. 0 of the bridge's own times.
    pub message_age: u16,
    /// Max Age.
    pub max_age: u16,
    /// Hello Time.
    pub hello_time: u16,
    /// Forward Delay.
    pub forward_delay: u16,
}

/// One spanning tree domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpdInfo {
    /// Its name.
    pub name: StpdName,
    /// Whether the configuration enables it.
    pub enabled: bool,
    /// Its protocol.
    pub mode: StpdMode,
    /// The carrier VLAN (StpdID), whose id is also in the bridge identifier; `null`: none.
    pub tag: Option<VlanId>,
    /// Its VLANs, ascending.
    pub vlans: Vec<VlanId>,
    /// How BPDUs look on ports of which nothing else is said.
    pub default_encapsulation: StpEncapsulation,
    /// Bridge priority, without the tag.
    pub priority: u16,
    /// The bridge's own times, which are in force where it is the root.
    pub bridge_times: StpTimes,
    /// BPDUs that a port sends in a second (TxHoldCount, 17.13.12).
    pub tx_hold_count: u8,
    /// How ports without a configured cost get one.
    pub path_cost_method: CostMethod,
    /// How many ports are in which role and state.
    pub port_counts: StpPortCounts,
    /// The tree; `null` while the domain is disabled.
    pub tree: Option<StpTree>,
    /// Its ports, ascending; only those that were asked for.
    pub ports: Vec<StpdPortInfo>,
}

/// How many ports of a domain are in which role, and how many in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpPortCounts {
    /// All.
    pub total: u32,
    /// Those that take no part; they forward and are in no other count.
    pub no_part: u32,
    /// Without a link, or shut.
    pub disabled: u32,
    /// Towards the root.
    pub root: u32,
    /// Serving their LAN.
    pub designated: u32,
    /// Other ways to the root.
    pub alternate: u32,
    /// Other ports to a LAN that this bridge serves.
    pub backup: u32,
    /// Of those that take part: that neither learn nor forward.
    pub discarding: u32,
    /// Of those that take part: that learn only.
    pub learning: u32,
    /// Of those that take part: that forward.
    pub forwarding: u32,
}

impl StpPortCounts {
    /// Counts a port.
    pub fn count(&mut self, role: StpRole, state: StpState) {
        self.total += 1;
        let of_role = match role {
            StpRole::None => {
                self.no_part += 1;
                return;
            }
            StpRole::Disabled | StpRole::Newer => &mut self.disabled,
            StpRole::Root => &mut self.root,
            StpRole::Designated => &mut self.designated,
            StpRole::Alternate => &mut self.alternate,
            StpRole::Backup => &mut self.backup,
        };
        *of_role += 1;
        let of_state = match state {
            StpState::Discarding | StpState::Newer => &mut self.discarding,
            StpState::Learning => &mut self.learning,
            StpState::Forwarding => &mut self.forwarding,
        };
        *of_state += 1;
    }
}

/// What a domain's bridge knows of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpTree {
    /// This bridge (17.18.2).
    pub bridge_id: StpBridgeId,
    /// The root.
    pub root_id: StpBridgeId,
    /// The cost of the way there; 0 if this bridge is the root.
    pub root_path_cost: u32,
    /// The port towards it; `null` if this bridge is the root.
    pub root_port: Option<PortNo>,
    /// The times in force: those of the root.
    pub times: StpTimes,
    /// Topology changes detected here or heard of.
    pub topology_changes: u32,
    /// Seconds since the last one; `null` if there was none.
    pub seconds_since_topology_change: Option<u32>,
    /// Whether neighbours are being told of one at the moment.
    pub topology_change: bool,
}

/// One port of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpdPortInfo {
    /// Its number.
    pub port: PortNo,
    /// Its role.
    pub role: StpRole,
    /// What it does with frames.
    pub state: StpState,
    /// What is configured.
    pub settings: StpdPortSettings,
    /// What spanning tree knows of it; `null` while it takes no part.
    pub status: Option<Box<StpdPortStatus>>,
}

/// What is configured of a port in a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // They are so many settings.
pub struct StpdPortSettings {
    /// Whether it takes part.
    pub enabled: bool,
    /// How its BPDUs look, be it by default.
    pub encapsulation: StpEncapsulation,
    /// Whether that is the domain's default.
    pub default_encapsulation: bool,
    /// Port priority.
    pub priority: u8,
    /// Path cost; `null`: by its speed.
    pub cost: Option<u32>,
    /// What is at its other end.
    pub link_type: StpLinkType,
    /// Whether it becomes an edge port if it hears no BPDU.
    pub auto_edge: bool,
    /// Whether it is shut if it hears a BPDU as an edge port.
    pub bpdu_guard: bool,
    /// Seconds until it is open to spanning tree again then; `null`: when told.
    pub bpdu_guard_recovery_seconds: Option<u16>,
    /// Whether it never leads to the root.
    pub root_guard: bool,
    /// Whether it neither sends nor takes BPDUs.
    pub bpdu_filter: bool,
    /// Whether it stays closed when its neighbour falls silent.
    pub loop_guard: bool,
}

/// What spanning tree knows of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // They are the standard's variables.
pub struct StpdPortStatus {
    /// Whether it has a link.
    pub link_up: bool,
    /// The speed of its link in Mbit/s; `null` if it is not known.
    pub speed_mbps: Option<u32>,
    /// Port identifier (9.2.7): priority in the upper four bits, number in the lower twelve.
    pub port_id: u16,
    /// Path cost in force.
    pub cost: u32,
    /// Whether it is an edge port now (operEdge, 17.19.17).
    pub edge: bool,
    /// Whether there is one neighbour at most (operPointToPointMAC, 6.4.3).
    pub point_to_point: bool,
    /// The protocol of the BPDUs that it sends (sendRSTP, 17.19.38).
    pub sends: StpdMode,
    /// Where its priority vector is from.
    pub info: StpInfo,
    /// The root in its priority vector (portPriority, 17.19.21).
    pub designated_root: StpBridgeId,
    /// The cost from the designated bridge to the root.
    pub designated_cost: u32,
    /// The designated bridge of its LAN.
    pub designated_bridge: StpBridgeId,
    /// That bridge's port identifier.
    pub designated_port: u16,
    /// The times that came with it (portTimes, 17.19.22).
    pub times: StpTimes,
    /// It asks to be let open (proposing, 17.19.24).
    pub proposing: bool,
    /// Its neighbour asks (proposed, 17.19.23).
    pub proposed: bool,
    /// It let its neighbour open (agree, 17.19.1).
    pub agree: bool,
    /// Its neighbour let it open (agreed, 17.19.2).
    pub agreed: bool,
    /// It is in step with the root port (synced, 17.19.40).
    pub synced: bool,
    /// It heard a neighbour that does not hear it, or itself (disputed, 17.19.6).
    pub disputed: bool,
    /// BPDU guard has shut it.
    pub bpdu_guard_shut: bool,
    /// Seconds until it is open to spanning tree again; `null`: it is not shut, or waits to be told.
    pub bpdu_guard_seconds: Option<u16>,
    /// Root guard keeps a better root out.
    pub root_guarding: bool,
    /// Loop guard holds it closed.
    pub loop_guarding: bool,
    /// Timers.
    pub timers: StpTimers,
    /// The states of its machines.
    pub machines: StpMachines,
    /// Counters.
    pub counters: StpCounters,
}

/// The timers of a port in seconds (17.17); 0: it does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpTimers {
    /// edgeDelayWhile (17.17.1).
    pub edge_delay_while: u16,
    /// fdWhile (17.17.2).
    pub fd_while: u16,
    /// helloWhen (17.17.3).
    pub hello_when: u16,
    /// mdelayWhile (17.17.4).
    pub mdelay_while: u16,
    /// rbWhile (17.17.5).
    pub rb_while: u16,
    /// rcvdInfoWhile (17.17.6).
    pub rcvd_info_while: u16,
    /// rrWhile (17.17.7).
    pub rr_while: u16,
    /// tcWhile (17.17.8).
    pub tc_while: u16,
}

impl StpTimers {
    /// Names of the standard and seconds.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u16); 8] {
        [
            ("edgeDelayWhile", self.edge_delay_while),
            ("fdWhile", self.fd_while),
            ("helloWhen", self.hello_when),
            ("mdelayWhile", self.mdelay_while),
            ("rbWhile", self.rb_while),
            ("rcvdInfoWhile", self.rcvd_info_while),
            ("rrWhile", self.rr_while),
            ("tcWhile", self.tc_while),
        ]
    }
}

/// The states of a port's machines, as the standard's figures name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpMachines {
    /// Port Receive (17.23).
    pub receive: String,
    /// Port Protocol Migration (17.24).
    pub migration: String,
    /// Bridge Detection (17.25).
    pub detection: String,
    /// Port Information (17.27).
    pub information: String,
    /// Port Role Transitions (17.29).
    pub role_transitions: String,
    /// Port State Transition (17.30).
    pub state_transition: String,
    /// Topology Change (17.31).
    pub topology_change: String,
}

/// Frames to spanning tree's addresses that no domain took, since the master started or the counters were cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpNotTaken {
    /// BPDUs of no enabled domain.
    pub no_domain: u64,
    /// No BPDUs, and of no enabled domain by their address and tag either; the others are counted on the ports of
    /// domains.
    pub malformed: u64,
}

/// Frames and incidents of a port since it took part, or since its counters were cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StpCounters {
    /// Config BPDUs taken.
    pub rx_config: u64,
    /// TCN BPDUs taken.
    pub rx_tcn: u64,
    /// RST BPDUs taken.
    pub rx_rst: u64,
    /// Config BPDUs sent.
    pub tx_config: u64,
    /// TCN BPDUs sent.
    pub tx_tcn: u64,
    /// RST BPDUs sent.
    pub tx_rst: u64,
    /// Dropped: no BPDU.
    pub malformed: u64,
    /// Dropped: the port was disabled.
    pub on_disabled: u64,
    /// Dropped: RST BPDUs in mode `dot1d`.
    pub other_version: u64,
    /// Message age not below max age (9.3.4): said nothing but that there is a bridge.
    pub too_old: u64,
    /// Dropped: this port's own BPDUs that came back (9.3.4).
    pub own: u64,
    /// Dropped: BPDU filter.
    pub filtered: u64,
    /// Heard while an edge port.
    pub on_edge: u64,
    /// Times that BPDU guard shut the port.
    pub bpdu_guard: u64,
    /// Times that root guard kept a better root out.
    pub root_guard: u64,
    /// Times that loop guard closed the port.
    pub loop_guard: u64,
    /// Times that the neighbour fell silent.
    pub info_aged: u64,
    /// Times that a neighbour forwarded as designated port beside this one.
    pub disputed: u64,
    /// Topology changes heard of on the port.
    pub rx_topology_change: u64,
    /// Times that the port began to forward.
    pub forward_transitions: u64,
}
