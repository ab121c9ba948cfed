//! What a domain is made of.

use super::*;
use crate::config::Document;
use serde_json::{Value, json};

fn port_no(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

fn config(stpds: Value) -> Config {
    document(stpds).check().unwrap()
}

fn document(stpds: Value) -> Document {
    serde_json::from_value(json!({
        "switch": "sw1",
        "vlans": [{"id": 1}, {"id": 10}, {"id": 20}],
        "ports": [
            {"port": 1, "device": "eth1", "untagged": 1, "tagged": [10]},
            {"port": 2, "device": "eth2", "untagged": 1},
            {"port": 3, "device": "eth3", "tagged": [10, 20]},
        ],
        "stpds": stpds,
    }))
    .unwrap()
}

fn vid(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

/// The only problem, as the file's reader sees it.
fn problem(stpds: Value) -> String {
    let invalid = document(stpds).check().unwrap_err();
    assert_eq!(invalid.problems.len(), 1, "{invalid}");
    invalid.to_string()
}

#[track_caller]
fn refused(stpds: Value, says: &str) {
    assert_eq!(problem(stpds), says);
}

#[test]
fn a_switch_has_s0_with_vlan_1() {
    let config = config(json!([]));
    let s0 = &config.stpds[&StpdName::S0];
    assert_eq!(s0.default_encapsulation, StpEncapsulation::Dot1d);
    assert!(!s0.enabled);
    assert_eq!(config.stpd_ports(s0), BTreeSet::from([1, 2].map(port_no)));
    assert_eq!(config.stpd_of(vid(1)), Some((&StpdName::S0, s0)));
    assert_eq!(config.stpd_of(vid(10)), None);
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

/// What is written of domains, for these.
fn written(stpds: Value) -> Value {
    let config = config(stpds);
    let document = Document::from(config.clone());
    assert_eq!(document.check().unwrap(), config);
    serde_json::to_value(document.stpds).unwrap()
}

#[test]
fn what_is_as_by_default_is_not_written() {
    for nothing in [
        json!([]),
        json!([{"name": "s0"}]),
        json!([{"name": "s0", "vlans": [1], "default_encapsulation": "dot1d", "priority": 32_768}]),
        json!([{"name": "s0", "ports": [{"port": 1, "priority": 128, "auto_edge": true}]}]),
    ] {
        assert_eq!(written(nothing), json!([]));
    }
    assert_eq!(
        written(json!([{"name": "b", "vlans": ["10-10", 20], "hello_time": 1}, {"name": "a"}])),
        json!([
            {"name": "a", "enabled": false, "mode": "dot1w"},
            {"name": "b", "enabled": false, "mode": "dot1w", "hello_time": 1, "vlans": [10, 20]},
        ])
    );
    assert_eq!(
        written(json!([{"name": "s0", "ports": [{"port": 1}, {"port": 2, "cost": 1}]}])),
        json!([{"name": "s0", "enabled": false, "mode": "dot1w", "ports": [{"port": 2, "cost": 1}]}])
    );
}

#[test]
fn s0_has_vlan_1_unless_something_else_is_said() {
    let vlans = |stpds| config(stpds).stpds[&StpdName::S0].vlans.clone();
    assert_eq!(
        vlans(json!([{"name": "s0", "enabled": true}])),
        BTreeSet::from([vid(1)])
    );
    assert_eq!(vlans(json!([{"name": "s0", "vlans": []}])), BTreeSet::new());
    assert_eq!(
        vlans(json!([{"name": "s0", "vlans": [10]}])),
        BTreeSet::from([vid(10)])
    );
    assert_eq!(vlans(json!([{"name": "a", "vlans": [1]}])), BTreeSet::new());
    assert_eq!(
        vlans(json!([{"name": "s0", "tag": 1}])),
        BTreeSet::from([vid(1)])
    );

    // All of it is written such that it comes back.
    let none = json!([{"name": "s0", "enabled": false, "mode": "dot1w", "vlans": []}]);
    assert_eq!(written(json!([{"name": "s0", "vlans": []}])), none);
    let other = json!([{"name": "a", "enabled": false, "mode": "dot1w", "vlans": [1]}]);
    assert_eq!(written(json!([{"name": "a", "vlans": [1]}])), other);

    let mut without: Document = document(json!([]));
    without.vlans.remove(0);
    without
        .ports
        .iter_mut()
        .for_each(|port| port.untagged = None);
    let config = without.check().unwrap();
    assert_eq!(config.stpds[&StpdName::S0].vlans, BTreeSet::new());
    assert_eq!(Document::from(config).stpds, []);
}

#[test]
fn names_are_unique_and_few() {
    refused(
        json!([{"name": "0s"}]),
        "stpds[0].name: \"0s\" is no STP domain name: it must be 1 to 32 of the characters A-Z a-z 0-9 _ - . and start \
         with a letter",
    );
    refused(
        json!([{"name": "a"}, {"name": "s0"}, {"name": "a"}]),
        "stpds[2].name: STP domain a is configured already, in stpds[0]",
    );
    let many = |count| -> Value {
        (0..count)
            .map(|i| json!({"name": format!("d{i}")}))
            .collect()
    };
    assert_eq!(config(many(63)).stpds.len(), MAX_STPDS);
    refused(
        many(64),
        "stpds[63]: a switch has at most 64 STP domains, s0 included",
    );
    let mut with_s0 = many(63);
    with_s0.as_array_mut().unwrap().push(json!({"name": "s0"}));
    assert_eq!(config(with_s0).stpds.len(), MAX_STPDS);

    let whole = json!({"switch": "sw1", "stpds": many(65)});
    let error = serde_json::from_value::<Document>(whole)
        .unwrap_err()
        .to_string();
    assert!(error.contains("more than 64 items"), "{error}");
}

#[test]
fn vlans_and_tags() {
    refused(
        json!([{"name": "a", "vlans": [10, 11]}]),
        "stpds[0].vlans[1]: VLAN 11 is not declared in vlans",
    );
    refused(
        json!([{"name": "a", "vlans": [10]}, {"name": "b", "vlans": [20, "1-10"]}]),
        "stpds[1].vlans[1]: VLAN 2 is not declared in vlans",
    );
    refused(
        json!([{"name": "a", "vlans": [10]}, {"name": "b", "vlans": [20, 10]}]),
        "stpds[1].vlans[1]: VLAN 10 is in STP domain a already; a VLAN is in one domain",
    );
    refused(
        json!([{"name": "a", "vlans": [10, "10"]}]),
        "stpds[0].vlans[1]: VLAN 10 is listed twice in vlans",
    );
    refused(
        json!([{"name": "a", "vlans": [10], "tag": 20}]),
        "stpds[0].tag: VLAN 20 is none of the domain's; the tag is one of its VLANs",
    );
    let reserved = problem(json!([{"name": "a", "enabled": true, "vlans": [10], "tag": 4095}]));
    assert!(
        reserved.starts_with("stpds[0].tag: VLAN id 4095 is reserved"),
        "{reserved}"
    );
}

/// The numbers in the words of the protocol, which knows its ranges; those that no parameter could hold too.
#[test]
fn numbers_of_a_domain() {
    for (key, value, says) in [
        (
            "priority",
            5,
            "bridge priority 5: choose 0 to 61440 in steps of 4096 (802.1D-2004 17.14)",
        ),
        (
            "priority",
            65_536,
            "bridge priority 65536: choose 0 to 61440 in steps of 4096 (802.1D-2004 17.14)",
        ),
        (
            "priority",
            -4096,
            "bridge priority -4096: choose 0 to 61440 in steps of 4096 (802.1D-2004 17.14)",
        ),
        (
            "hello_time",
            3,
            "hello time 3: choose 1 to 2 (802.1D-2004 17.14)",
        ),
        (
            "hello_time",
            -1,
            "hello time -1: choose 1 to 2 (802.1D-2004 17.14)",
        ),
        (
            "max_age",
            41,
            "max age 41: choose 6 to 40 (802.1D-2004 17.14)",
        ),
        (
            "max_age",
            5,
            "max age 5: choose 6 to 40 (802.1D-2004 17.14)",
        ),
        (
            "forward_delay",
            3,
            "forward delay 3: choose 4 to 30 (802.1D-2004 17.14)",
        ),
        (
            "forward_delay",
            31,
            "forward delay 31: choose 4 to 30 (802.1D-2004 17.14)",
        ),
        (
            "tx_hold_count",
            0,
            "transmit hold count 0: choose 1 to 10 (802.1D-2004 17.14)",
        ),
        (
            "tx_hold_count",
            256,
            "transmit hold count 256: choose 1 to 10 (802.1D-2004 17.14)",
        ),
        (
            "max_age",
            i64::MIN,
            "max age -9223372036854775808: choose 6 to 40 (802.1D-2004 17.14)",
        ),
    ] {
        let mut stpd = json!({"name": "s0"});
        stpd[key] = json!(value);
        refused(json!([stpd]), &format!("stpds[0].{key}: {says}"));
    }
    for (hello, age, delay, good) in [
        (2, 6, 4, true),
        (2, 20, 11, true),
        (2, 20, 10, false),
        (2, 40, 30, true),
        (10, 22, 12, true),
        (10, 21, 12, false),
        (10, 40, 21, true),
        (10, 40, 20, false),
    ] {
        let stpd = json!({
            "name": "s0", "mode": "dot1d", "hello_time": hello, "max_age": age, "forward_delay": delay,
        });
        if good {
            let config = config(json!([stpd]));
            assert_eq!(config.stpds[&StpdName::S0].max_age, age);
        } else {
            let text = problem(json!([stpd]));
            let says = format!(
                "stpds[0].max_age: forward delay {delay}, max age {age}, hello time {hello}: 2 x"
            );
            assert!(text.starts_with(&says), "{text}");
        }
    }
}

#[test]
fn settings_of_ports() {
    let at = |port: Value| json!([{"name": "s0", "ports": [{"port": 2, "cost": 5}, port]}]);
    for (port, says) in [
        (json!({"port": 0}), ".port: port 0 is not in 1 to 128"),
        (
            json!({"port": 9}),
            ".port: port 9 is not configured in ports",
        ),
        (json!({"port": 2}), ".port: port 2 is listed twice in ports"),
        (
            json!({"port": 3}),
            ".port: port 3 is a member of no VLAN of STP domain s0",
        ),
        (
            json!({"port": 1, "priority": 8}),
            ".priority: port priority 8: choose 0 to 240 in steps of 16 (802.1D-2004 17.14)",
        ),
        (
            json!({"port": 1, "priority": -16}),
            ".priority: port priority -16: choose 0 to 240 in steps of 16 (802.1D-2004 17.14)",
        ),
        (
            json!({"port": 1, "cost": 0}),
            ".cost: path cost 0: choose 1 to 200000000 (802.1D-2004 17.14)",
        ),
        (
            json!({"port": 1, "cost": 1_i64 << 32}),
            ".cost: path cost 4294967296: choose 1 to 200000000 (802.1D-2004 17.14)",
        ),
        (
            json!({"port": 1, "bpdu_guard": true, "bpdu_guard_recovery": 0}),
            ".bpdu_guard_recovery: 0 is not in 1 to 3600",
        ),
        (
            json!({"port": 1, "bpdu_guard": true, "bpdu_guard_recovery": 3601}),
            ".bpdu_guard_recovery: 3601 is not in 1 to 3600",
        ),
        (
            json!({"port": 1, "bpdu_guard_recovery": 1}),
            ".bpdu_guard_recovery: a recovery time without BPDU guard; turn bpdu_guard on, or leave the time out",
        ),
    ] {
        refused(at(port), &format!("stpds[0].ports[1]{says}"));
    }
    refused(
        json!([{"name": "s0", "path_cost_method": "short", "ports": [{"port": 1, "cost": 65_536}]}]),
        "stpds[0].ports[0].cost: path cost 65536: choose 1 to 65535 (802.1D-2004 17.14)",
    );
}

#[test]
fn encapsulations_of_enabled_domains() {
    let a = |more: Value| {
        let mut stpd = json!({"name": "a", "enabled": true, "vlans": [10, 20]});
        for (key, value) in more.as_object().unwrap() {
            stpd[key] = value.clone();
        }
        json!([{"name": "s0", "enabled": true}, stpd])
    };
    let out = json!([{"port": 1, "enabled": false}]);
    // Port 1 has VLAN 10 but not 20, and s0's BPDUs are untagged on it.
    config(a(json!({"tag": 10})));
    config(a(json!({"tag": 20, "ports": out})));
    config(a(json!({"tag": 20, "enabled": false})));
    config(a(json!({"default_encapsulation": "dot1d", "ports": out})));
    refused(
        a(json!({})),
        "stpds[1].default_encapsulation: an enabled domain with emistp needs a tag: the one of its VLANs that carries \
         its BPDUs",
    );
    refused(
        a(
            json!({"default_encapsulation": "dot1d", "ports": [{"port": 1, "encapsulation": "pvst-plus"}]}),
        ),
        "stpds[1].ports[0].encapsulation: an enabled domain with pvst-plus needs a tag: the one of its VLANs that \
         carries its BPDUs",
    );
    refused(
        a(json!({"tag": 20})),
        "stpds[1]: port 1 is no tagged member of VLAN 20, which carries the BPDUs of this enabled domain in emistp",
    );
    refused(
        a(json!({"tag": 20, "ports": [{"port": 1, "cost": 3}]})),
        "stpds[1].ports[0]: port 1 is no tagged member of VLAN 20, which carries the BPDUs of this enabled domain in \
         emistp",
    );
    refused(
        a(json!({"tag": 20, "ports": [{"port": 1, "encapsulation": "dot1d"}]})),
        "stpds[1].ports[0]: port 1 has untagged BPDUs (dot1d) in the enabled domain s0 already; it can have them in one \
         only",
    );
    refused(
        a(json!({"tag": 20, "default_encapsulation": "pvst-plus"})),
        "stpds[1].default_encapsulation: an enabled domain with pvst-plus has one VLAN, that of its tag (20); this one \
         has 2 VLANs",
    );
    // On the native VLAN too.
    config(json!([
        {"name": "a", "enabled": true, "vlans": [1], "tag": 1, "default_encapsulation": "pvst-plus"},
    ]));
}
