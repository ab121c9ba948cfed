//! The whole state of a bridge as plain data: what is checkpointed is what there is.

use super::params::{BridgeConfig, Link, PointToPoint, PortConfig};
use super::vector::{PortId, PriorityVector, Times};
use core::fmt;
use hitless_common::PortNo;
use hitless_wire::bpdu::Bpdu;

/// Migrate Time in seconds (17.13.9).
pub const MIGRATE_TIME: u16 = 3;

/// Port roles (17.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes no part.
    Disabled,
    /// Towards the root.
    Root,
    /// Serves its LAN.
    Designated,
    /// Another way to the root, closed.
    Alternate,
    /// Another port to a LAN that this bridge serves, closed.
    Backup,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disabled => "disabled",
            Self::Root => "root",
            Self::Designated => "designated",
            Self::Alternate => "alternate",
            Self::Backup => "backup",
        })
    }
}

/// What a port does with frames (17.7, table 17-1 of port states).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opening {
    /// Neither learns nor forwards.
    #[default]
    Discarding,
    /// Learns.
    Learning,
    /// Learns and forwards.
    Forwarding,
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Discarding => "discarding",
            Self::Learning => "learning",
            Self::Forwarding => "forwarding",
        })
    }
}

/// infoIs (17.19.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InfoIs {
    /// From a neighbour.
    Received,
    /// This bridge's own.
    Mine,
    /// A neighbour's that ran out, or of a port that was just enabled.
    Aged,
    /// None: the port is disabled.
    Disabled,
}

/// Port Receive machine, figure 17-14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrxState {
    /// DISCARD.
    Discard,
    /// RECEIVE.
    Receive,
}

/// Port Protocol Migration machine, figure 17-15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PpmState {
    /// CHECKING_RSTP.
    CheckingRstp,
    /// SELECTING_STP.
    SelectingStp,
    /// SENSING.
    Sensing,
}

/// Bridge Detection machine, figure 17-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BdmState {
    /// EDGE.
    Edge,
    /// NOT_EDGE.
    NotEdge,
}

/// Port Information machine, figure 17-18: the states that it rests in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PimState {
    /// DISABLED.
    Disabled,
    /// AGED.
    Aged,
    /// CURRENT.
    Current,
}

/// Port Role Transitions machine, figures 17-20 to 17-23: the states that it rests in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrtState {
    /// DISABLE_PORT.
    DisablePort,
    /// DISABLED_PORT.
    DisabledPort,
    /// ROOT_PORT.
    RootPort,
    /// DESIGNATED_PORT.
    DesignatedPort,
    /// BLOCK_PORT.
    BlockPort,
    /// ALTERNATE_PORT.
    AlternatePort,
}

/// Port State Transition machine, figure 17-24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PstState {
    /// DISCARDING.
    Discarding,
    /// LEARNING.
    Learning,
    /// FORWARDING.
    Forwarding,
}

/// Topology Change machine, figure 17-25: the states that it rests in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcmState {
    /// INACTIVE.
    Inactive,
    /// LEARNING.
    Learning,
    /// ACTIVE.
    Active,
}

/// State of the bridge (17.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeState {
    /// Parameters.
    pub config: BridgeConfig,
    /// rootPriority (17.18.6): the root priority vector.
    pub root_priority: PriorityVector,
    /// rootPortId (17.18.5); 0 if this bridge is the root.
    pub root_port_id: PortId,
    /// rootTimes (17.18.7).
    pub root_times: Times,
    /// Topology changes detected or heard of since the start.
    pub topology_changes: u32,
    /// Seconds since the last one; stops at its largest value.
    pub since_topology_change: u32,
}

/// Frames and incidents of a port since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
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
    /// Dropped: the port is disabled.
    pub on_disabled: u64,
    /// Dropped: RST BPDUs in mode `dot1d`.
    pub other_version: u64,
    /// Message age not below max age (9.3.4): said nothing but that there is a bridge.
    pub too_old: u64,
    /// Dropped: this port's own BPDU came back (9.3.4).
    pub own: u64,
    /// Dropped: BPDU filter.
    pub filtered: u64,
    /// Heard while an edge port.
    pub on_edge: u64,
    /// Times that BPDU guard shut the port.
    pub bpdu_guard: u64,
    /// Times that root guard kept a better root out.
    pub root_guard: u64,
    /// Times that loop protection closed the port.
    pub loop_guard: u64,
    /// Times that the neighbour's information ran out.
    pub info_aged: u64,
    /// Times that a neighbour forwarded as designated port beside this one.
    pub disputed: u64,
    /// Topology changes heard of on the port.
    pub rx_topology_change: u64,
    /// Times that the port began to forward.
    pub forward_transitions: u64,
}

/// State of a port (17.19), timers (17.17) in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // They are the standard's variables.
pub struct PortState {
    /// Its number.
    pub number: PortNo,
    /// Parameters.
    pub config: PortConfig,
    /// Its link.
    pub link: Link,
    /// Port Receive machine.
    pub prx: PrxState,
    /// Port Protocol Migration machine.
    pub ppm: PpmState,
    /// Bridge Detection machine.
    pub bdm: BdmState,
    /// Port Information machine.
    pub pim: PimState,
    /// Port Role Transitions machine.
    pub prt: PrtState,
    /// Port State Transition machine.
    pub pst: PstState,
    /// Topology Change machine.
    pub tcm: TcmState,
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
    /// agree (17.19.1, 802.1Q): the port's agreement was given.
    pub agree: bool,
    /// agreed (17.19.2).
    pub agreed: bool,
    /// designatedPriority (17.19.4).
    pub designated_priority: PriorityVector,
    /// designatedTimes (17.19.5).
    pub designated_times: Times,
    /// disputed (17.19.6).
    pub disputed: bool,
    /// forward (17.19.8).
    pub forward: bool,
    /// forwarding (17.19.9).
    pub forwarding: bool,
    /// infoIs (17.19.10).
    pub info_is: InfoIs,
    /// learn (17.19.11).
    pub learn: bool,
    /// learning (17.19.12).
    pub learning: bool,
    /// mcheck (17.19.13).
    pub mcheck: bool,
    /// newInfo (17.19.16).
    pub new_info: bool,
    /// operEdge (17.19.17).
    pub oper_edge: bool,
    /// portPriority (17.19.21).
    pub port_priority: PriorityVector,
    /// portTimes (17.19.22).
    pub port_times: Times,
    /// proposed (17.19.23).
    pub proposed: bool,
    /// proposing (17.19.24).
    pub proposing: bool,
    /// rcvdBPDU (17.19.25) and the message; `None` between events.
    pub rcvd_bpdu: Option<Bpdu>,
    /// rcvdMsg (17.19.27); `None` between events.
    pub rcvd_msg: Option<Bpdu>,
    /// rcvdRSTP (17.19.28).
    pub rcvd_rstp: bool,
    /// rcvdSTP (17.19.29).
    pub rcvd_stp: bool,
    /// rcvdTc (17.19.30).
    pub rcvd_tc: bool,
    /// rcvdTcAck (17.19.31).
    pub rcvd_tc_ack: bool,
    /// rcvdTcn (17.19.32).
    pub rcvd_tcn: bool,
    /// reRoot (17.19.33).
    pub re_root: bool,
    /// reselect (17.19.34).
    pub reselect: bool,
    /// role (17.19.35).
    pub role: Role,
    /// selected (17.19.36).
    pub selected: bool,
    /// selectedRole (17.19.37).
    pub selected_role: Role,
    /// sendRSTP (17.19.38).
    pub send_rstp: bool,
    /// sync (17.19.39).
    pub sync: bool,
    /// synced (17.19.40).
    pub synced: bool,
    /// tcAck (17.19.41).
    pub tc_ack: bool,
    /// tcProp (17.19.42).
    pub tc_prop: bool,
    /// txCount (17.19.44).
    pub tx_count: u8,
    /// updtInfo (17.19.45).
    pub updt_info: bool,
    /// BPDU guard has shut the port.
    pub guard_shut: bool,
    /// Seconds until it is opened again; 0: when told.
    pub guard_while: u16,
    /// Root guard keeps a better root out at this time.
    pub root_guarding: bool,
    /// Loop protection holds the port closed: its neighbour fell silent.
    pub loop_guarding: bool,
    /// Counters.
    pub counters: Counters,
}

impl PortState {
    /// portEnabled (17.19.18): link, administrative state and no guard against it.
    #[must_use]
    pub const fn port_enabled(&self) -> bool {
        self.link.up && self.config.enabled && !self.guard_shut
    }

    /// operPointToPointMAC (6.4.3).
    #[must_use]
    pub const fn oper_point_to_point(&self) -> bool {
        match self.config.point_to_point {
            PointToPoint::Auto => self.link.full_duplex,
            PointToPoint::On => true,
            PointToPoint::Off => false,
        }
    }

    /// portId (17.19.19).
    #[must_use]
    pub const fn port_id(&self) -> PortId {
        self.config.id(self.number)
    }

    /// What the port does with frames.
    #[must_use]
    pub const fn opening(&self) -> Opening {
        match (self.learning, self.forwarding) {
            (_, true) => Opening::Forwarding,
            (true, false) => Opening::Learning,
            (false, false) => Opening::Discarding,
        }
    }
}

/// Everything that another process needs to go on as this bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The bridge.
    pub bridge: BridgeState,
    /// Its ports, ascending by number.
    pub ports: Vec<PortState>,
}
