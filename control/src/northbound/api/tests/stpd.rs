//! Spanning tree domains.

use hitless_proto::config::{
    PortSelection, StpEncapsulation, StpLinkType, StpdChange, StpdMode, StpdName, StpdPortChange,
};
use hitless_proto::stp::CostMethod;

use super::*;

/// Requests about spanning tree domains.
pub(super) fn requests() -> Vec<(Request, serde_json::Value)> {
    let stpd = StpdName::S0;
    let ports: PortSelection = "1-3".parse().unwrap();
    let configure = |change, wire| {
        (
            Request::Configure {
                changes: vec![change],
                confirmed_seconds: None,
            },
            json!({"request": "configure", "changes": [wire]}),
        )
    };
    vec![
        (
            Request::ShowStpd {
                stpd: None,
                ports: None,
            },
            json!({"request": "show-stpd"}),
        ),
        (
            Request::ShowStpd {
                stpd: Some(stpd),
                ports: Some(PortSelection::All),
            },
            json!({"request": "show-stpd", "stpd": "s0", "ports": "all"}),
        ),
        (
            Request::ClearStpdCounters { stpd: None },
            json!({"request": "clear-stpd-counters"}),
        ),
        (
            Request::RecoverStpdPorts {
                stpd,
                ports: ports.clone(),
            },
            json!({"request": "recover-stpd-ports", "stpd": "s0", "ports": "1-3"}),
        ),
        (
            Request::CheckStpdMigration {
                stpd,
                ports: ports.clone(),
            },
            json!({"request": "check-stpd-migration", "stpd": "s0", "ports": "1-3"}),
        ),
        configure(
            ConfigChange::CreateStpd {
                stpd: "lab".parse().unwrap(),
            },
            json!({"create-stpd": {"stpd": "lab"}}),
        ),
        configure(
            ConfigChange::Stpd {
                stpd,
                change: StpdChange::Mode {
                    mode: StpdMode::Dot1d,
                },
            },
            json!({"stpd": {"stpd": "s0", "change": {"mode": {"mode": "dot1d"}}}}),
        ),
        configure(
            ConfigChange::Stpd {
                stpd,
                change: StpdChange::Ports {
                    ports,
                    change: StpdPortChange::BpduGuard {
                        enabled: true,
                        recovery: Some(60),
                    },
                },
            },
            json!({"stpd": {"stpd": "s0", "change":
                   {"ports": {"ports": "1-3", "change": {"bpdu-guard": {"enabled": true, "recovery": 60}}}}}}),
        ),
    ]
}

#[test]
fn only_looking_changes_nothing() {
    for (request, wire) in requests() {
        assert_eq!(
            request.is_change(),
            !matches!(request, Request::ShowStpd { .. }),
            "{wire}"
        );
    }
}

fn bridge(priority: u16, last: u8) -> StpBridgeId {
    StpBridgeId {
        priority,
        mac: Mac([2, 0, 0, 0, 0, last]),
    }
}

fn times(message_age: u16) -> StpTimes {
    StpTimes {
        message_age,
        max_age: 20,
        hello_time: 2,
        forward_delay: 15,
    }
}

fn root_port() -> StpdPortInfo {
    StpdPortInfo {
        port: PortNo::new(1).unwrap(),
        role: StpRole::Root,
        state: StpState::Forwarding,
        settings: StpdPortSettings {
            enabled: true,
            encapsulation: StpEncapsulation::PvstPlus,
            default_encapsulation: false,
            priority: 128,
            cost: None,
            link_type: StpLinkType::PointToPoint,
            auto_edge: true,
            bpdu_guard: false,
            bpdu_guard_recovery_seconds: None,
            root_guard: false,
            bpdu_filter: false,
            loop_guard: false,
        },
        status: Some(Box::new(StpdPortStatus {
            link_up: true,
            speed_mbps: None,
            port_id: 0x8001,
            cost: 2_000,
            edge: false,
            point_to_point: true,
            sends: StpdMode::Dot1w,
            info: StpInfo::Received,
            designated_root: bridge(0x1000, 1),
            designated_cost: 0,
            designated_bridge: bridge(0x1000, 1),
            designated_port: 0x8002,
            times: times(1),
            proposing: false,
            proposed: false,
            agree: true,
            agreed: false,
            synced: true,
            disputed: false,
            bpdu_guard_shut: false,
            bpdu_guard_seconds: None,
            root_guarding: false,
            loop_guarding: false,
            timers: StpTimers {
                rcvd_info_while: 6,
                ..StpTimers::default()
            },
            machines: StpMachines::default(),
            counters: StpCounters {
                rx_rst: 9,
                ..StpCounters::default()
            },
        })),
    }
}

#[test]
fn the_fixed_shapes() {
    let mut port_counts = StpPortCounts::default();
    port_counts.count(StpRole::Root, StpState::Forwarding);
    port_counts.count(StpRole::None, StpState::Forwarding);
    let stpd = StpdInfo {
        name: StpdName::S0,
        enabled: true,
        mode: StpdMode::Dot1w,
        tag: None,
        vlans: vec![VlanId::MIN],
        default_encapsulation: StpEncapsulation::Dot1d,
        priority: 0x8000,
        bridge_times: times(0),
        tx_hold_count: 6,
        path_cost_method: CostMethod::Long,
        port_counts,
        tree: Some(StpTree {
            bridge_id: bridge(0x8000, 2),
            root_id: bridge(0x1000, 1),
            root_path_cost: 2_000,
            root_port: PortNo::new(1),
            times: times(0),
            topology_changes: 1,
            seconds_since_topology_change: Some(7),
            topology_change: true,
        }),
        ports: vec![root_port()],
    };
    let wire = to_value(&stpd).unwrap();
    let of_root = json!({"priority": 4096, "mac": "02:00:00:00:00:01"});
    let timers = json!({"edge_delay_while": 0, "fd_while": 0, "hello_when": 0, "mdelay_while": 0, "rb_while": 0,
                        "rcvd_info_while": 6, "rr_while": 0, "tc_while": 0});
    let machines = json!({"receive": "", "migration": "", "detection": "", "information": "", "role_transitions": "",
                          "state_transition": "", "topology_change": ""});
    let counters = json!({"rx_config": 0, "rx_tcn": 0, "rx_rst": 9, "tx_config": 0, "tx_tcn": 0, "tx_rst": 0,
                          "malformed": 0, "on_disabled": 0, "other_version": 0, "too_old": 0, "own": 0, "filtered": 0,
                          "on_edge": 0, "bpdu_guard": 0, "root_guard": 0, "loop_guard": 0, "info_aged": 0,
                          "disputed": 0, "rx_topology_change": 0, "forward_transitions": 0});
    let settings = json!({"enabled": true, "encapsulation": "pvst-plus", "default_encapsulation": false,
                           "priority": 128, "cost": null, "link_type": "point-to-point", "auto_edge": true,
                           "bpdu_guard": false, "bpdu_guard_recovery_seconds": null, "root_guard": false,
                           "bpdu_filter": false, "loop_guard": false});
    let status = json!({"link_up": true, "speed_mbps": null, "port_id": 0x8001, "cost": 2000, "edge": false,
                         "point_to_point": true, "sends": "dot1w", "info": "received", "designated_root": of_root,
                         "designated_cost": 0, "designated_bridge": of_root, "designated_port": 0x8002,
                         "times": {"message_age": 1, "max_age": 20, "hello_time": 2, "forward_delay": 15},
                         "proposing": false, "proposed": false, "agree": true, "agreed": false, "synced": true,
                         "disputed": false, "bpdu_guard_shut": false, "bpdu_guard_seconds": null,
                         "root_guarding": false, "loop_guarding": false, "timers": timers, "machines": machines,
                         "counters": counters});
    assert_eq!(
        wire,
        json!({"name": "s0", "enabled": true, "mode": "dot1w", "tag": null, "vlans": [1],
               "default_encapsulation": "dot1d", "priority": 32768, "tx_hold_count": 6, "path_cost_method": "long",
               "bridge_times": {"message_age": 0, "max_age": 20, "hello_time": 2, "forward_delay": 15},
               "port_counts": {"total": 2, "no_part": 1, "disabled": 0, "root": 1, "designated": 0, "alternate": 0,
                               "backup": 0, "discarding": 0, "learning": 0, "forwarding": 1},
               "tree": {"bridge_id": {"priority": 32768, "mac": "02:00:00:00:00:02"}, "root_id": of_root,
                        "root_path_cost": 2000, "root_port": 1,
                        "times": {"message_age": 0, "max_age": 20, "hello_time": 2, "forward_delay": 15},
                        "topology_changes": 1, "seconds_since_topology_change": 7, "topology_change": true},
               "ports": [{
                   "port": 1, "role": "root", "state": "forwarding",
                   "settings": settings, "status": status}]})
    );
    assert_eq!(from_value::<StpdInfo>(wire).unwrap(), stpd);
    let recovered = Reply::StpdRecovered {
        ports: vec![PortNo::new(1).unwrap()],
    };
    assert_eq!(
        to_value(&recovered).unwrap(),
        json!({"stpd-recovered": {"ports": [1]}})
    );
    // What a newer switch may say.
    assert_eq!(from_str::<StpRole>("\"master\"").unwrap(), StpRole::Newer);
}
