//! One test an effect or a refusal.

use super::*;

/// Ports 1 and 2 native in VLAN 10 (blue), 3 with 10 and 20 tagged; an address behind each of 1 and 3, and a
/// blackhole.
fn base() -> Config {
    config(json!({
        "switch": "sw1",
        "fdb": {"static": [
            {"vlan": 10, "mac": "02:00:00:00:00:01", "port": 1},
            {"vlan": 10, "mac": "02:00:00:00:00:03", "port": 3},
            {"vlan": 20, "mac": "02:00:00:00:00:09", "blackhole": true},
        ]},
        "vlans": [
            {"id": 10, "name": "blue", "loop_free_ports": [1, 3]},
            {"id": 20},
        ],
        "ports": [
            {"port": 1, "device": "eth1", "untagged": 10},
            {"port": 2, "device": "eth2", "untagged": 10},
            {"port": 3, "device": "eth3", "tagged": [10, 20]},
        ],
    }))
}

fn vid(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

fn entries(config: &Config) -> Vec<(u16, String)> {
    let entries = config.fdb.static_entries.keys();
    entries
        .map(|(vlan, mac)| (vlan.get(), mac.to_string()))
        .collect()
}

/// Asserts that the change is refused with all these words.
fn refused(config: &Config, change: Value, words: &[&str]) {
    let error = after(config, change).unwrap_err();
    for word in words {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_vlan_without_a_tag_gets_the_highest_free_id() {
    let create = |name: &str| json!({"create-vlan": {"name": name}});
    let one = after(&base(), create("red")).unwrap();
    assert_eq!(one.vlan_named("red"), Some(VlanId::MAX));
    let two = after(&one, create("green")).unwrap();
    assert_eq!(two.vlan_named("green"), Some(vid(4093)));
    let freed = after(&two, json!({"delete-vlan": {"vlan": "red"}})).unwrap();
    let three = after(&freed, create("white")).unwrap();
    assert_eq!(three.vlan_named("white"), Some(VlanId::MAX));
    assert_eq!(after(&three, create("white")).unwrap(), three);

    let all: Vec<ConfigChange> = (0..4092)
        .map(|_| change_of(json!({"create-vlan": {}})))
        .collect();
    let full = base().changed(&all).unwrap();
    assert_eq!(full.vlans.len(), 4094);
    refused(&full, create("more"), &["all 4094 VLAN ids are taken"]);
}

#[test]
fn vlans_that_exist_already() {
    let base = base();
    for same in [
        json!({"create-vlan": {"name": "blue", "tag": 10}}),
        json!({"create-vlan": {"name": "blue"}}),
        json!({"create-vlan": {"tag": 10}}),
        json!({"vlan": {"vlan": 10, "change": {"tag": {"id": 10}}}}),
        json!({"vlan": {"vlan": 10, "change": {"name": {"name": "blue"}}}}),
    ] {
        assert_eq!(after(&base, same).unwrap(), base);
    }
    refused(
        &base,
        json!({"create-vlan": {"name": "red", "tag": 10}}),
        &[
            "VLAN 10 exists already and is called blue",
            "configure vlan 10 name",
        ],
    );
    for change in [
        json!({"create-vlan": {"name": "blue", "tag": 11}}),
        json!({"vlan": {"vlan": 20, "change": {"name": {"name": "blue"}}}}),
    ] {
        refused(
            &base,
            change,
            &["the name blue belongs to VLAN 10", "configure vlan 10 name"],
        );
    }
    refused(
        &base,
        json!({"vlan": {"vlan": "blue", "change": {"tag": {"id": 20}}}}),
        &["VLAN 10 can not have the id 20", "vlan20", "delete vlan 20"],
    );
    refused(
        &base,
        json!({"create-vlan": {"tag": 4095}}),
        &["4095 is reserved"],
    );
}

#[test]
fn a_vlan_goes_with_what_refers_to_it() {
    let left = after(&base(), json!({"delete-vlan": {"vlan": "blue"}})).unwrap();
    assert_eq!(entries(&left), [(20, "02:00:00:00:00:09".into())]);
    let members = |config: &Config| -> Vec<_> {
        config
            .ports
            .values()
            .map(|p| (p.untagged, p.tagged.len()))
            .collect()
    };
    assert_eq!(members(&left), [(None, 0), (None, 0), (None, 1)]);
    refused(
        &left,
        json!({"delete-vlan": {"vlan": "blue"}}),
        &["VLAN blue does not exist", "show vlan"],
    );
}

#[test]
fn a_new_id_takes_everything_along() {
    let moved = after(
        &base(),
        json!({"vlan": {"vlan": "blue", "change": {"tag": {"id": 30}}}}),
    )
    .unwrap();
    let ports = |config: &Config, vlan| -> Vec<bool> {
        config.ports.values().map(|p| p.is_member(vlan)).collect()
    };
    assert_eq!(ports(&moved, vid(30)), [true; 3]);
    assert_eq!(ports(&moved, vid(10)), [false; 3]);
    assert_eq!(moved.ports.values().next().unwrap().untagged, Some(vid(30)));
    assert_eq!(
        entries(&moved),
        [
            (20, "02:00:00:00:00:09".into()),
            (30, "02:00:00:00:00:01".into()),
            (30, "02:00:00:00:00:03".into()),
        ]
    );
    assert_eq!(moved.vlans[&vid(30)], base().vlans[&vid(10)]);
}

#[test]
fn members_come_and_go() {
    let base = base();
    let members = |vlan: &str, change: &str, ports: &str| json!({"vlan": {"vlan": vlan, "change": {change: {"ports": ports}}}});
    let left = after(&base, members("blue", "delete-ports", "1-2")).unwrap();
    let port = |config: &Config, number| config.ports[&PortNo::new(number).unwrap()].clone();
    assert_eq!(port(&left, 1).untagged, None);
    assert_eq!(
        left.vlans[&vid(10)].loop_free_ports.as_ref().unwrap().len(),
        1
    );
    assert_eq!(entries(&left).len(), 2);
    // Who is no member does not care.
    assert_eq!(
        after(&left, members("blue", "delete-ports", "1-2")).unwrap(),
        left
    );

    let add = |ports: &str, tagging: &str| json!({"vlan": {"vlan": "20", "change": {"add-ports": {"ports": ports, "tagging": tagging}}}});
    refused(
        &base,
        add("2-3", "untagged"),
        &[
            "port 2 is untagged in VLAN 10",
            "configure vlan 10 delete ports 2",
            "VLAN 20",
        ],
    );
    let native = after(&base, add("3", "untagged")).unwrap();
    assert_eq!(port(&native, 3).untagged, Some(vid(20)));
    assert_eq!(port(&native, 3).tagged.len(), 1);
    assert_eq!(after(&native, add("3", "tagged")).unwrap(), base);
    let all = after(&base, add("all", "tagged")).unwrap();
    assert!(
        all.ports
            .values()
            .all(|port| port.tagged.contains(&vid(20)))
    );
    refused(
        &base,
        add("1,9", "tagged"),
        &["port 9 is not configured", "configure port 9 device"],
    );

    let closed =
        json!({"ports": {"ports": "3", "change": {"accept-frames": {"frames": "untagged"}}}});
    refused(
        &base,
        closed,
        &["port 3: a port that accepts only untagged", "delete ports"],
    );
}

#[test]
fn ports_come_and_go() {
    let base = base();
    let made = after(&base, json!({"port-device": {"port": 9, "device": "eth9"}})).unwrap();
    let nine = PortNo::new(9).unwrap();
    let by_default: PortDoc = serde_json::from_value(json!({"port": 9, "device": "eth9"})).unwrap();
    assert_eq!(PortDoc::from((nine, made.ports[&nine].clone())), by_default);
    refused(
        &base,
        json!({"port-device": {"port": 9, "device": "eth3"}}),
        &[
            "port 9: device eth3 is that of port 3",
            "unconfigure ports 3",
        ],
    );

    let left = after(&base, json!({"unconfigure-ports": {"ports": "1,3"}})).unwrap();
    assert_eq!(left.ports.len(), 1);
    assert_eq!(entries(&left), [(20, "02:00:00:00:00:09".into())]);
    assert_eq!(left.vlans[&vid(10)].loop_free_ports, Some(BTreeSet::new()));
    let none = after(&base, json!({"unconfigure-ports": {"ports": "all"}})).unwrap();
    assert!(none.ports.is_empty());

    let swapped = [
        json!({"port-device": {"port": 1, "device": "eth2"}}),
        json!({"port-device": {"port": 2, "device": "eth1"}}),
    ];
    let swapped = base.changed(&swapped.map(change_of)).unwrap();
    assert_eq!(
        swapped.ports.values().next().unwrap().device.as_str(),
        "eth2"
    );
}

#[test]
fn configured_entries() {
    let base = base();
    let create = |mac: &str, target: Value| json!({"create-fdb-entry": {"mac": mac, "vlan": "blue", "target": target}});
    let one = "02:00:00:00:00:01";
    assert_eq!(after(&base, create(one, json!({"port": 1}))).unwrap(), base);
    refused(
        &base,
        create(one, json!("blackhole")),
        &[
            "configured already, behind port 1",
            "delete fdbentry 02:00:00:00:00:01 vlan 10",
        ],
    );
    refused(
        &base,
        create("02:00:00:00:00:07", json!({"port": 9})),
        &["port 9 is not configured"],
    );
    refused(
        &base,
        create("01:00:5e:00:00:01", json!("blackhole")),
        &["no station's address"],
    );
    let alone = after(
        &base,
        json!({"vlan": {"vlan": 10, "change": {"delete-ports": {"ports": "2"}}}}),
    )
    .unwrap();
    refused(
        &alone,
        create("02:00:00:00:00:07", json!({"port": 2})),
        &[
            "port 2 is no member of VLAN 10",
            "configure vlan 10 add ports 2",
        ],
    );

    let delete = json!({"delete-fdb-entry": {"mac": one, "vlan": 10}});
    let left = after(&base, delete.clone()).unwrap();
    assert_eq!(entries(&left).len(), 2);
    refused(
        &left,
        delete,
        &[one, "no configured entry in VLAN 10", "show fdb vlan 10"],
    );
}

#[test]
fn values_out_of_range_name_thing_value_and_rule() {
    let base = base();
    let vlan = |change: Value| json!({"vlan": {"vlan": 20, "change": change}});
    let ports = |change: Value| json!({"ports": {"ports": "2-3", "change": change}});
    for (change, words) in [
        (
            vlan(json!({"limit-learning": {"limit": -1}})),
            "VLAN 20: limit-learning: -1 is not in 0 to",
        ),
        (
            vlan(json!({"tag": {"id": 0}})),
            "VLAN 20: tag: VLAN id 0 marks",
        ),
        (
            ports(json!({"limit-learning": {"limit": 16_777_217}})),
            "port 2: limit-learning: 16777217",
        ),
        (
            ports(json!({"rate-limit": {"kind": "broadcast", "rate": 0}})),
            "port 2: rate-limit: storm control of 0 frames/s",
        ),
        (
            json!({"fdb": {"size": {"entries": 63}}}),
            "fdb.size: 63 is not in 64 to",
        ),
        (
            json!({"fdb": {"aging-time": {"seconds": 9}}}),
            "an ageing time of 9 s",
        ),
        (
            json!({"snmp": {"sysname": {"text": "a b"}}}),
            "snmp.sysname: \"a b\" is no system name",
        ),
        (
            json!({"msm-failover": {"timeout": {"seconds": 29}}}),
            "msm_failover.timeout: 29",
        ),
        (
            vlan(json!({"loop-free-ports": {"ports": "1"}})),
            "port 1 is no member of VLAN 20; `configure vlan 20 add ports 1`",
        ),
    ] {
        refused(&base, change, &[words]);
    }
    let changes = [
        json!({"create-vlan": {"tag": 30}}),
        json!({"create-vlan": {"tag": 0}}),
    ];
    let error = base.changed(&changes.map(change_of)).unwrap_err();
    assert_eq!(error.index, Some(1));
    assert!(
        error
            .to_string()
            .starts_with("change 2 of 2: create vlan: VLAN id 0"),
        "{error}"
    );
}

#[test]
fn who_the_switch_is() {
    let set = |key: &str, text: &str| json!({"snmp": {key: {"text": text}}});
    let named = after(&base(), set("sysname", "core")).unwrap();
    let named = after(&named, set("syslocation", "room 4")).unwrap();
    assert_eq!(named.snmp.sysname.as_str(), "core");
    assert_eq!(after(&named, json!("unconfigure-snmp")).unwrap(), base());
    assert_eq!(base().snmp.sysname.as_str(), "sw1");
    // By its own name it is called anyway.
    assert_eq!(after(&base(), set("sysname", "sw1")).unwrap(), base());
}

#[test]
fn seed_38_unconfigure_has_the_four_effects() {
    let before = config(json!({"switch": "sw1", "msm_failover": {
        "timeout": 300, "sys_recovery_level": "critical", "keepalive_misses": 9, "watchdog_ms": 0, "lease_ms": 60000
    }}));
    let after = after(&before, json!("unconfigure-msm-failover"))
        .unwrap()
        .msm_failover;
    // "The external ports are reset when an MSM failover occurs"
    assert_eq!(after.link_action, LinkAction::TakeLinksDown);
    // "No state is preserved when a failover occurs"
    assert_eq!(after.preserve_state, PreserveState::None);
    // "The MSM failover timeout returns to 60 seconds"
    assert_eq!(after.timeout_seconds, 60);
    // "The new master uses the configuration file kept in its flash memory upon failover"
    assert_eq!(after.slave_config, SlaveConfig::Flash);
    assert_eq!(after.preservation_level().number(), 1);

    assert_eq!(after.sys_recovery_level.to_string(), "critical");
    assert_eq!(
        (after.keepalive_misses, after.watchdog_ms, after.lease_ms),
        (3, Some(250), 3_000)
    );
    assert_eq!(ConfigChange::UnconfigureMsmFailover.notes().len(), 2);
}

#[test]
fn seed_33_link_action_and_what_it_preserves() {
    let link_action = |action: &str, preserve: Option<&str>| {
        let change =
            json!({"msm-failover": {"link-action": {"action": action, "preserve": preserve}}});
        let level = after(&base(), change.clone())
            .map(|config| config.msm_failover.preservation_level().number());
        (level, !change_of(change).notes().is_empty())
    };
    assert_eq!(link_action("keep_links_up", Some("l2_l3")), (Ok(6), false));
    assert_eq!(link_action("keep_links_up", Some("l2")), (Ok(5), false));
    assert_eq!(link_action("keep_links_up", None), (Ok(4), true));
    assert_eq!(link_action("take_links_down", None), (Ok(2), true));
    let (refused, _) = link_action("take_links_down", Some("l2"));
    assert!(refused.unwrap_err().contains("take_links_down excludes"));
}

#[test]
fn seed_34_flash_is_refused_while_state_is_preserved() {
    let flash = json!({"msm-failover": {"slave-config": "flash"}});
    refused(
        &base(),
        flash.clone(),
        &["msm_failover.preserve_state: slave_config: flash excludes"],
    );
    let before = config(json!({"switch": "sw1", "msm_failover": {"preserve_state": "none"}}));
    let config = after(&before, flash).unwrap();
    assert_eq!(config.msm_failover.preservation_level().number(), 3);
}

#[test]
fn a_keepalive_keeps_what_is_not_given() {
    let before = config(json!({"switch": "sw1", "msm_failover": {"keepalive_interval_ms": 200}}));
    let after = after(
        &before,
        json!({"msm-failover": {"keepalive": {"misses": 5}}}),
    )
    .unwrap();
    let mut expected = before;
    expected.msm_failover.keepalive_misses = 5;
    assert_eq!(after, expected);
}
