//! What a difference promises.

use super::*;
use crate::config::Document;
use crate::config::arbitrary::{change, config};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_configurations_of_these_tests_are_valid(config in config()) {
        let document = Document::from(config.clone());
        prop_assert_eq!(&document.check().unwrap(), &config);
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Config>(&json).unwrap(), &config);
    }

    #[test]
    fn commands_make_the_configuration(config in config()) {
        let factory = Config::factory(config.switch.clone());
        prop_assert_eq!(&factory.changed(&commands(&config)).unwrap(), &config);
    }

    #[test]
    fn a_difference_leads_from_one_to_the_other(from in config(), to in config()) {
        prop_assert_eq!(&from.changed(&diff(&from, &to)).unwrap(), &to);
        prop_assert_eq!(diff(&from, &from), vec![]);
    }

    /// Scripts make them so, and operators who type them.
    #[test]
    fn the_changes_of_a_difference_can_be_made_one_by_one(from in config(), to in config()) {
        let mut config = from.clone();
        for change in diff(&from, &to) {
            let next = config.changed(std::slice::from_ref(&change)).unwrap();
            prop_assert_ne!(&next, &config, "{:?} changes nothing", change);
            config = next;
        }
        prop_assert_eq!(&config, &to);
    }

    /// Configurations that have much in common, as an operator's are before and after work.
    #[test]
    fn the_difference_after_some_changes_can_be_made_one_by_one(from in config(), tries in vec(change(), 1..12)) {
        let mut to = from.clone();
        for change in tries {
            to = to.changed(&[change]).unwrap_or(to);
        }
        let mut config = from.clone();
        for change in diff(&from, &to) {
            let next = config.changed(std::slice::from_ref(&change)).unwrap();
            prop_assert_ne!(&next, &config, "{:?} changes nothing", change);
            config = next;
        }
        prop_assert_eq!(&config, &to);
    }

    #[test]
    fn what_a_change_does_is_its_difference(from in config(), change in change()) {
        if let Ok(to) = from.changed(&[change]) {
            prop_assert_eq!(&from.changed(&diff(&from, &to)).unwrap(), &to);
        }
    }
}

/// The smallest sensible switch, in the words that an operator would choose.
#[test]
fn commands_are_few_and_in_order() {
    let document: Document = serde_json::from_value(serde_json::json!({
        "switch": "sw1",
        "snmp": {"sysname": "core"},
        "fdb": {"static": [{"vlan": 10, "mac": "02:00:00:00:00:01", "port": 1}]},
        "vlans": [{"id": 10, "name": "blue", "loop_free_ports": [1, 2]}, {"id": 20}],
        "ports": [
            {"port": 1, "device": "eth1", "untagged": 10, "enabled": false},
            {"port": 2, "device": "eth2", "untagged": 10, "tagged": [20], "enabled": false},
            {"port": 3, "device": "eth3", "tagged": ["10"], "accept": "tagged"},
        ],
    }))
    .unwrap();
    let changes = commands(&document.check().unwrap());
    let wanted = serde_json::json!([
        {"snmp": {"sysname": {"text": "core"}}},
        {"create-vlan": {"name": "blue", "tag": 10}},
        {"create-vlan": {"tag": 20}},
        {"port-device": {"port": 1, "device": "eth1"}},
        {"port-device": {"port": 2, "device": "eth2"}},
        {"port-device": {"port": 3, "device": "eth3"}},
        {"ports": {"ports": "3", "change": {"accept-frames": {"frames": "tagged"}}}},
        {"ports": {"ports": "1-2", "change": {"enabled": {"enabled": false}}}},
        {"vlan": {"vlan": "blue", "change": {"add-ports": {"ports": "3", "tagging": "tagged"}}}},
        {"vlan": {"vlan": 20, "change": {"add-ports": {"ports": "2", "tagging": "tagged"}}}},
        {"vlan": {"vlan": "blue", "change": {"add-ports": {"ports": "1-2", "tagging": "untagged"}}}},
        {"create-fdb-entry": {"mac": "02:00:00:00:00:01", "vlan": "blue", "target": {"port": 1}}},
        {"vlan": {"vlan": "blue", "change": {"loop-free-ports": {"ports": "1-2"}}}},
    ]);
    assert_eq!(serde_json::to_value(&changes).unwrap(), wanted);
}

fn with_stpds(ports: serde_json::Value, stpds: serde_json::Value) -> Config {
    let document: Document = serde_json::from_value(serde_json::json!({
        "switch": "sw1", "vlans": [{"id": 1}, {"id": 10}, {"id": 20}], "ports": ports, "stpds": stpds,
    }))
    .unwrap();
    document.check().unwrap()
}

/// What an operator does to a domain at work leaves it at work; only what carries its BPDUs does not change under it.
#[test]
fn a_domain_is_disabled_only_where_there_is_no_other_way() {
    let json = |changes: &[ConfigChange]| serde_json::to_value(changes).unwrap();
    let one = serde_json::json!([{"port": 1, "device": "eth1", "tagged": [10, 20]}]);
    let two = serde_json::json!([
        {"port": 1, "device": "eth1", "tagged": [10, 20]},
        {"port": 2, "device": "eth2", "tagged": [10, 20]},
    ]);
    let a = serde_json::json!([{"name": "a", "enabled": true, "vlans": [10, 20], "tag": 20}]);
    let other = serde_json::json!([{"name": "a", "enabled": true, "vlans": [10, 20], "tag": 10}]);

    let (from, to) = (with_stpds(one, a.clone()), with_stpds(two.clone(), a));
    let join = |vlan| serde_json::json!({"vlan": {"vlan": vlan, "change": {"add-ports": {"ports": "2", "tagging": "tagged"}}}});
    let wanted =
        serde_json::json!([{"port-device": {"port": 2, "device": "eth2"}}, join(20), join(10)]);
    assert_eq!(json(&diff(&from, &to)), wanted);
    let leave = |vlan| serde_json::json!({"vlan": {"vlan": vlan, "change": {"delete-ports": {"ports": "2"}}}});
    let mut gone = to.clone();
    gone.ports.values_mut().last().unwrap().tagged.clear();
    assert_eq!(
        json(&diff(&to, &gone)),
        serde_json::json!([leave(10), leave(20)])
    );

    let of =
        |change: serde_json::Value| serde_json::json!({"stpd": {"stpd": "a", "change": change}});
    let wanted = serde_json::json!([
        of(serde_json::json!({"enabled": {"enabled": false}})),
        of(serde_json::json!({"tag": {"tag": 10}})),
        of(serde_json::json!({"enabled": {"enabled": true}})),
    ]);
    assert_eq!(json(&diff(&to, &with_stpds(two, other))), wanted);
}

/// VLAN 1 comes to s0 when it is made, and pvst-plus has room for one VLAN.
#[test]
fn a_new_vlan_1_does_not_stay_where_there_is_no_room() {
    let config = |vlans: serde_json::Value| {
        let document: Document = serde_json::from_value(serde_json::json!({
            "switch": "sw1", "vlans": vlans,
            "stpds": [{"name": "s0", "enabled": true, "default_encapsulation": "pvst-plus", "tag": 10, "vlans": [10]}],
        }))
        .unwrap();
        document.check().unwrap()
    };
    let from = config(serde_json::json!([{"id": 10}]));
    let to = config(serde_json::json!([{"id": 1}, {"id": 10}]));
    let changes = diff(&from, &to);
    let s0 = |change| serde_json::json!({"stpd": {"stpd": "s0", "change": change}});
    let wanted = serde_json::json!([
        s0(serde_json::json!({"enabled": {"enabled": false}})),
        {"create-vlan": {"tag": 1}},
        s0(serde_json::json!({"delete-vlan": {"vlan": 1}})),
        s0(serde_json::json!({"enabled": {"enabled": true}})),
    ]);
    assert_eq!(serde_json::to_value(&changes).unwrap(), wanted);
    let steps = changes.iter().map(std::slice::from_ref);
    let end = steps.fold(from, |config, step| config.changed(step).unwrap());
    assert_eq!(end, to);
}

/// Makes the changes one by one. Whether domains that are enabled before and after are disabled meanwhile.
fn disables(from: &Config, to: &Config) -> bool {
    let mut config = from.clone();
    let mut disabled = false;
    for change in diff(from, to) {
        config = config
            .changed(std::slice::from_ref(&change))
            .unwrap_or_else(|error| panic!("{change:?}: {error}"));
        disabled |= config.stpds.iter().any(|(name, stpd)| {
            let enabled = |config: &Config| config.stpds.get(name).is_some_and(|s| s.enabled);
            !stpd.enabled && enabled(from) && enabled(to)
        });
    }
    assert_eq!(&config, to);
    disabled
}

/// Ports 1 and 2 as they are in VLANs and in domain a, which has VLANs 10 and 20 and its BPDUs in 20; s0 has VLAN 1.
fn ring(ports: [serde_json::Value; 2], stpd_ports: serde_json::Value) -> Config {
    let mut ports = ports;
    for (i, port) in ports.iter_mut().enumerate() {
        port["port"] = (i + 1).into();
        port["device"] = format!("eth{i}").into();
    }
    with_stpds(
        ports.to_vec().into(),
        serde_json::json!([
            {"name": "a", "enabled": true, "vlans": [10, 20], "tag": 20, "ports": stpd_ports},
            {"name": "s0", "enabled": true},
        ]),
    )
}

#[test]
fn ways_of_ports_into_a_domain_and_out_of_it() {
    use serde_json::json;
    let whole = || json!({"tagged": [10, 20]});
    let uncarried = || json!({"tagged": [10]});
    let out = || json!({"untagged": 1});
    let off = json!([{"port": 2, "enabled": false}]);
    let plain = json!([{"port": 2, "encapsulation": "dot1d"}]);
    let none = || json!([]);
    let ring =
        |second: serde_json::Value, settings: serde_json::Value| ring([whole(), second], settings);
    let both = || json!({"untagged": 10, "tagged": [20]});
    for (from, to, disabled) in [
        // In and out with all it needs, tagged and native.
        (ring(out(), none()), ring(whole(), none()), false),
        (ring(out(), none()), ring(both(), none()), false),
        (ring(whole(), none()), ring(out(), none()), false),
        (ring(both(), none()), ring(out(), none()), false),
        // Without what carries the BPDUs, taking no part.
        (ring(out(), none()), ring(uncarried(), off.clone()), true),
        (ring(uncarried(), off.clone()), ring(out(), none()), false),
        (ring(whole(), none()), ring(uncarried(), off.clone()), false),
        (ring(uncarried(), off.clone()), ring(whole(), none()), false),
        // With untagged BPDUs.
        (ring(out(), none()), ring(uncarried(), plain.clone()), true),
        (ring(uncarried(), plain.clone()), ring(out(), none()), false),
        (
            ring(whole(), none()),
            ring(uncarried(), plain.clone()),
            true,
        ),
        (
            ring(uncarried(), plain.clone()),
            ring(whole(), none()),
            true,
        ),
        (ring(uncarried(), off), ring(uncarried(), plain), false),
    ] {
        assert_eq!(
            disables(&from, &to),
            disabled,
            "{:?} to {:?}",
            from.ports,
            to.ports
        );
    }
}

#[test]
fn ways_of_vlans_between_domains() {
    use serde_json::json;
    let ports = || json!([{"port": 1, "device": "eth1", "untagged": 1, "tagged": [10, 20]}]);
    let config = |s0: &[u16], a: &[u16]| {
        with_stpds(
            ports(),
            json!([
                {"name": "a", "enabled": true, "vlans": a, "tag": 20},
                {"name": "s0", "enabled": true, "vlans": s0},
            ]),
        )
    };
    for (from, to) in [
        (config(&[1], &[10, 20]), config(&[1, 10], &[20])),
        (config(&[1], &[10, 20]), config(&[10], &[1, 20])),
        (config(&[10], &[20]), config(&[], &[10, 20])),
    ] {
        assert!(!disables(&from, &to));
        assert!(!disables(&to, &from));
    }
    let mut other = json!([
        {"name": "a", "enabled": true, "vlans": [10], "tag": 10},
        {"name": "s0", "enabled": true, "vlans": [1]},
    ]);
    let (from, to) = (config(&[1], &[20]), with_stpds(ports(), other.clone()));
    assert!(disables(&from, &to) && disables(&to, &from));
    // It has no carrier any more and needs none; it has the same VLANs and BPDUs of another kind.
    other[0] = json!({"name": "a", "enabled": true, "default_encapsulation": "dot1d", "vlans": [20],
                      "ports": [{"port": 1, "enabled": false}]});
    let to = with_stpds(ports(), other);
    assert!(disables(&from, &to) && disables(&to, &from));
}
