//! How a port begins.

use super::params::{BridgeConfig, ForceVersion, Link, PortConfig};
use super::state::{
    BdmState, BridgeState, Counters, InfoIs, MIGRATE_TIME, PimState, PortState, PpmState, PrtState,
    PrxState, PstState, Role, TcmState,
};
use super::vector::{PortId, PriorityVector};
use hitless_common::PortNo;

impl BridgeState {
    /// A bridge that hears nobody (BEGIN, 17.28).
    pub(super) const fn begin(config: BridgeConfig) -> Self {
        Self {
            config,
            root_priority: PriorityVector::own(config.id()),
            root_port_id: PortId(0),
            root_times: config.times(),
            topology_changes: 0,
            since_topology_change: 0,
        }
    }
}

impl PortState {
    /// A port as BEGIN leaves it: the first states of all machines (17.22 to 17.31).
    pub(super) fn begin(
        state: &BridgeState,
        number: PortNo,
        config: PortConfig,
        link: Link,
    ) -> Self {
        let own = PriorityVector::own(state.config.id());
        let times = state.root_times;
        Self {
            number,
            config,
            link,
            prx: PrxState::Discard,
            ppm: PpmState::CheckingRstp,
            bdm: if config.admin_edge {
                BdmState::Edge
            } else {
                BdmState::NotEdge
            },
            pim: PimState::Disabled,
            prt: PrtState::DisablePort,
            pst: PstState::Discarding,
            tcm: TcmState::Inactive,
            edge_delay_while: MIGRATE_TIME,
            fd_while: match state.config.force_version {
                ForceVersion::Rstp => times.max_age,
                ForceVersion::Stp => times.forward_delay,
            },
            hello_when: times.hello,
            mdelay_while: MIGRATE_TIME,
            rb_while: 0,
            rcvd_info_while: 0,
            rr_while: times.forward_delay,
            tc_while: 0,
            agree: false,
            agreed: false,
            designated_priority: own,
            designated_times: times,
            disputed: false,
            forward: false,
            forwarding: false,
            info_is: InfoIs::Disabled,
            learn: false,
            learning: false,
            mcheck: false,
            new_info: true,
            oper_edge: config.admin_edge,
            port_priority: own,
            port_times: times,
            proposed: false,
            proposing: false,
            rcvd_bpdu: None,
            rcvd_msg: None,
            rcvd_rstp: false,
            rcvd_stp: false,
            rcvd_tc: false,
            rcvd_tc_ack: false,
            rcvd_tcn: false,
            re_root: true,
            reselect: true,
            role: Role::Disabled,
            selected: false,
            selected_role: Role::Disabled,
            send_rstp: state.config.force_version == ForceVersion::Rstp,
            sync: true,
            synced: false,
            tc_ack: false,
            tc_prop: false,
            tx_count: 0,
            updt_info: false,
            guard_shut: false,
            guard_while: 0,
            root_guarding: false,
            loop_guarding: false,
            counters: Counters::default(),
        }
    }
}
