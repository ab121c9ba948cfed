//! Spanning tree's state in the words of the northbound interface.

use hitless_proto::config::StpdMode;
use hitless_proto::stp::{self, CostMethod, PortId};

use crate::northbound::api::{
    StpCounters, StpInfo, StpMachines, StpRole, StpState, StpTimers, StpTimes, StpdPortStatus,
};

/// A port as its machines have it.
pub(super) fn of(port: &stp::PortState, method: CostMethod) -> StpdPortStatus {
    let vector = port.port_priority;
    let PortId(designated_port) = vector.designated_port;
    let PortId(port_id) = port.port_id();
    StpdPortStatus {
        link_up: port.link.up,
        speed_mbps: Some(port.link.mbps).filter(|&mbps| mbps > 0),
        port_id,
        cost: port.path_cost(method),
        edge: port.oper_edge,
        point_to_point: port.oper_point_to_point(),
        sends: match port.send_rstp {
            true => StpdMode::Dot1w,
            false => StpdMode::Dot1d,
        },
        info: port.info_is.into(),
        designated_root: vector.root.into(),
        designated_cost: vector.root_path_cost,
        designated_bridge: vector.designated_bridge.into(),
        designated_port,
        times: port.port_times.into(),
        proposing: port.proposing,
        proposed: port.proposed,
        agree: port.agree,
        agreed: port.agreed,
        synced: port.synced,
        disputed: port.disputed,
        bpdu_guard_shut: port.guard_shut,
        bpdu_guard_seconds: Some(port.guard_while).filter(|&s| port.guard_shut && s > 0),
        root_guarding: port.root_guarding,
        loop_guarding: port.loop_guarding,
        timers: port.into(),
        machines: port.into(),
        counters: (&port.counters).into(),
    }
}

impl From<stp::Role> for StpRole {
    fn from(role: stp::Role) -> Self {
        match role {
            stp::Role::Disabled => Self::Disabled,
            stp::Role::Root => Self::Root,
            stp::Role::Designated => Self::Designated,
            stp::Role::Alternate => Self::Alternate,
            stp::Role::Backup => Self::Backup,
        }
    }
}

impl From<stp::Opening> for StpState {
    fn from(opening: stp::Opening) -> Self {
        match opening {
            stp::Opening::Discarding => Self::Discarding,
            stp::Opening::Learning => Self::Learning,
            stp::Opening::Forwarding => Self::Forwarding,
        }
    }
}

impl From<stp::InfoIs> for StpInfo {
    fn from(info: stp::InfoIs) -> Self {
        match info {
            stp::InfoIs::Received => Self::Received,
            stp::InfoIs::Mine => Self::Mine,
            stp::InfoIs::Aged => Self::Aged,
            stp::InfoIs::Disabled => Self::Disabled,
        }
    }
}

impl From<stp::Times> for StpTimes {
    fn from(times: stp::Times) -> Self {
        Self {
            message_age: times.message_age,
            max_age: times.max_age,
            hello_time: times.hello,
            forward_delay: times.forward_delay,
        }
    }
}

impl From<&stp::Counters> for StpCounters {
    fn from(c: &stp::Counters) -> Self {
        Self {
            rx_config: c.rx_config,
            rx_tcn: c.rx_tcn,
            rx_rst: c.rx_rst,
            tx_config: c.tx_config,
            tx_tcn: c.tx_tcn,
            tx_rst: c.tx_rst,
            malformed: c.malformed,
            on_disabled: c.on_disabled,
            other_version: c.other_version,
            too_old: c.too_old,
            own: c.own,
            filtered: c.filtered,
            on_edge: c.on_edge,
            bpdu_guard: c.bpdu_guard,
            root_guard: c.root_guard,
            loop_guard: c.loop_guard,
            info_aged: c.info_aged,
            disputed: c.disputed,
            rx_topology_change: c.rx_topology_change,
            forward_transitions: c.forward_transitions,
        }
    }
}

impl From<&stp::PortState> for StpTimers {
    fn from(port: &stp::PortState) -> Self {
        Self {
            edge_delay_while: port.edge_delay_while,
            fd_while: port.fd_while,
            hello_when: port.hello_when,
            mdelay_while: port.mdelay_while,
            rb_while: port.rb_while,
            rcvd_info_while: port.rcvd_info_while,
            rr_while: port.rr_while,
            tc_while: port.tc_while,
        }
    }
}

impl From<&stp::PortState> for StpMachines {
    fn from(port: &stp::PortState) -> Self {
        use stp::{BdmState, PimState, PpmState, PrtState, PrxState, PstState, TcmState};
        let receive = match port.prx {
            PrxState::Discard => "DISCARD",
            PrxState::Receive => "RECEIVE",
        };
        let migration = match port.ppm {
            PpmState::CheckingRstp => "CHECKING_RSTP",
            PpmState::SelectingStp => "SELECTING_STP",
            PpmState::Sensing => "SENSING",
        };
        let detection = match port.bdm {
            BdmState::Edge => "EDGE",
            BdmState::NotEdge => "NOT_EDGE",
        };
        let information = match port.pim {
            PimState::Disabled => "DISABLED",
            PimState::Aged => "AGED",
            PimState::Current => "CURRENT",
        };
        let role_transitions = match port.prt {
            PrtState::DisablePort => "DISABLE_PORT",
            PrtState::DisabledPort => "DISABLED_PORT",
            PrtState::RootPort => "ROOT_PORT",
            PrtState::DesignatedPort => "DESIGNATED_PORT",
            PrtState::BlockPort => "BLOCK_PORT",
            PrtState::AlternatePort => "ALTERNATE_PORT",
        };
        let state_transition = match port.pst {
            PstState::Discarding => "DISCARDING",
            PstState::Learning => "LEARNING",
            PstState::Forwarding => "FORWARDING",
        };
        let topology_change = match port.tcm {
            TcmState::Inactive => "INACTIVE",
            TcmState::Learning => "LEARNING",
            TcmState::Active => "ACTIVE",
        };
        Self {
            receive: receive.into(),
            migration: migration.into(),
            detection: detection.into(),
            information: information.into(),
            role_transitions: role_transitions.into(),
            state_transition: state_transition.into(),
            topology_change: topology_change.into(),
        }
    }
}
