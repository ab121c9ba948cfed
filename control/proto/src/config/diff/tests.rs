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
