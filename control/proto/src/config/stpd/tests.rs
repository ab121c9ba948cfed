//! What a domain is made of.

use super::*;
use crate::config::Document;
use serde_json::json;

fn port_no(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

fn config(stpds: serde_json::Value) -> Config {
    let document: Document = serde_json::from_value(json!({
        "switch": "sw1",
        "vlans": [{"id": 1}, {"id": 10}, {"id": 20}],
        "ports": [
            {"port": 1, "device": "eth1", "untagged": 1, "tagged": [10]},
            {"port": 2, "device": "eth2", "untagged": 1},
            {"port": 3, "device": "eth3", "tagged": [10, 20]},
        ],
        "stpds": stpds,
    }))
    .unwrap();
    document.check().unwrap()
}

#[test]
fn a_switch_has_s0_with_vlan_1() {
    let config = config(json!([]));
    let s0 = &config.stpds[&StpdName::S0];
    assert_eq!(s0.default_encapsulation, StpEncapsulation::Dot1d);
    assert!(!s0.enabled);
    assert_eq!(config.stpd_ports(s0), BTreeSet::from([1, 2].map(port_no)));
    assert_eq!(
        config.stpd_of(VlanId::new(1).unwrap()),
        Some((&StpdName::S0, s0))
    );
    assert_eq!(config.stpd_of(VlanId::new(10).unwrap()), None);
    assert_eq!(Document::from(config).stpds, []);
}

#[test]
fn parameters_for_the_protocol() {
    let config = config(json!([{
        "name": "blue", "enabled": true, "mode": "dot1d", "tag": 10, "priority": 4096, "hello_time": 3,
        "max_age": 10, "forward_delay": 9, "tx_hold_count": 3, "path_cost_method": "short",
        "vlans": [10, 20],
        "ports": [
            {"port": 1, "enabled": false, "link_type": "broadcast"},
            {"port": 3, "encapsulation": "dot1d", "priority": 16, "cost": 65_535, "link_type": "edge",
             "auto_edge": false, "bpdu_guard": true, "bpdu_guard_recovery": 30, "root_guard": true,
             "bpdu_filter": true, "loop_guard": true},
        ],
    }]));
    let blue = &config.stpds[&"blue".parse().unwrap()];
    let mac = Mac([2, 0, 0, 0, 0, 7]);
    assert_eq!(
        blue.bridge(mac),
        stp::BridgeConfig {
            mac,
            priority: 4096,
            extension: 10,
            force_version: stp::ForceVersion::Stp,
            hello: 3,
            max_age: 10,
            forward_delay: 9,
            tx_hold_count: 3,
            cost_method: stp::CostMethod::Short,
        }
    );
    assert_eq!(config.stpd_ports(blue), BTreeSet::from([port_no(3)]));
    assert_eq!(blue.encapsulation(port_no(1)), StpEncapsulation::Emistp);
    assert_eq!(blue.encapsulation(port_no(3)), StpEncapsulation::Dot1d);
    assert_eq!(
        blue.port(port_no(3)).parameters(),
        stp::PortConfig {
            enabled: true,
            priority: 16,
            path_cost: Some(65_535),
            admin_edge: true,
            auto_edge: false,
            point_to_point: stp::PointToPoint::Auto,
            bpdu_guard: true,
            recovery: Some(30),
            root_guard: true,
            bpdu_filter: true,
            loop_guard: true,
        }
    );
    let shared = blue.port(port_no(1)).parameters();
    assert_eq!(shared.point_to_point, stp::PointToPoint::Off);
    assert_eq!(blue.port(port_no(2)).parameters(), stp::PortConfig::DEFAULT);
    assert_eq!(
        StpdConfig::new(StpdName::S0).bridge(mac),
        stp::BridgeConfig::new(mac)
    );
    assert_eq!(Document::from(config.clone()).check(), Ok(config));
}
