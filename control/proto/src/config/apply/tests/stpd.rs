//! Spanning tree domains: what changes of them do, and what other changes do to them.

use super::*;
use crate::config::{MAX_STPDS, StpEncapsulation};

/// Ports 1 and 2 native in VLAN 1, 1 and 3 tagged in 10 (blue), 3 also in 20. Domain a has 10 and 20, and 10 carries
/// its BPDUs.
fn base() -> Config {
    config(json!({
        "switch": "sw1",
        "vlans": [{"id": 1}, {"id": 10, "name": "blue"}, {"id": 20}, {"id": 30}],
        "ports": [
            {"port": 1, "device": "eth1", "untagged": 1, "tagged": [10]},
            {"port": 2, "device": "eth2", "untagged": 1},
            {"port": 3, "device": "eth3", "tagged": [10, 20]},
        ],
        "stpds": [
            {"name": "s0", "enabled": true, "ports": [{"port": 2, "cost": 7}]},
            {"name": "a", "enabled": true, "tag": 10, "vlans": [10, 20],
             "ports": [{"port": 1, "priority": 16}, {"port": 3, "priority": 32}]},
        ],
    }))
}

fn a() -> StpdName {
    "a".parse().unwrap()
}

fn vid(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

fn of(stpd: &str, change: Value) -> Value {
    json!({"stpd": {"stpd": stpd, "change": change}})
}

/// Of ports in a domain.
fn of_ports(stpd: &str, ports: &str, change: Value) -> Value {
    of(stpd, json!({"ports": {"ports": ports, "change": change}}))
}

#[track_caller]
fn refused(config: &Config, change: Value, says: &str) {
    assert_eq!(after(config, change).unwrap_err(), says);
}

/// The ports that a domain has settings of.
fn set(config: &Config, name: StpdName) -> Vec<u16> {
    config.stpds[&name].ports.keys().map(|p| p.get()).collect()
}

#[test]
fn domains_come_and_go() {
    let config = after(&base(), json!({"create-stpd": {"stpd": "b"}})).unwrap();
    let b = "b".parse().unwrap();
    assert_eq!(config.stpds[&b], StpdConfig::new(b));
    assert_eq!(
        after(&config, json!({"create-stpd": {"stpd": "a"}})).unwrap(),
        config
    );
    let config = after(&config, json!({"delete-stpd": {"stpd": "b"}})).unwrap();
    assert_eq!(config, base());
    refused(
        &config,
        json!({"delete-stpd": {"stpd": "b"}}),
        "STP domain b does not exist; `show stpd` lists those that do, and `create stpd b` makes it one of them",
    );
    refused(
        &config,
        json!({"delete-stpd": {"stpd": "s0"}}),
        "STP domain s0 can not be deleted; `disable stpd s0` stops it, and `unconfigure stpd s0` resets it",
    );
    let many: Vec<_> = (2..MAX_STPDS)
        .map(|i| change_of(json!({"create-stpd": {"stpd": format!("d{i}")}})))
        .collect();
    let full = config.changed(&many).unwrap();
    refused(
        &full,
        json!({"create-stpd": {"stpd": "more"}}),
        "there are 64 STP domains, and a switch can not have more; delete one first",
    );
}

#[test]
fn a_new_vlan_1_is_one_of_s0() {
    let s0 = |config: &Config| config.stpds[&StpdName::S0].vlans.clone();
    let factory = Config::factory("sw1".parse().unwrap());
    let other = after(&factory, json!({"create-vlan": {"tag": 2}})).unwrap();
    assert_eq!(s0(&other), BTreeSet::new());
    let config = after(&other, json!({"create-vlan": {"tag": 1}})).unwrap();
    assert_eq!(s0(&config), BTreeSet::from([vid(1)]));
    let moved = after(
        &config,
        json!({"vlan": {"vlan": 1, "change": {"tag": {"id": 9}}}}),
    )
    .unwrap();
    assert_eq!(s0(&moved), BTreeSet::from([vid(9)]));
    // It was taken out; what is there already is not created.
    let out = after(&config, of("s0", json!({"delete-vlan": {"vlan": 1}}))).unwrap();
    assert_eq!(s0(&out), BTreeSet::new());
    assert_eq!(
        after(&out, json!({"create-vlan": {"tag": 1}})).unwrap(),
        out
    );
}

#[test]
fn vlans_of_a_domain() {
    let config = after(&base(), of("a", json!({"add-vlan": {"vlan": 30}}))).unwrap();
    assert_eq!(config.stpds[&a()].vlans.len(), 3);
    assert_eq!(
        after(&config, of("a", json!({"add-vlan": {"vlan": "blue"}}))).unwrap(),
        config
    );
    refused(
        &config,
        of("s0", json!({"add-vlan": {"vlan": "blue"}})),
        "VLAN 10 is in STP domain a and can not be in s0 as well; remove it there first with `configure stpd a delete \
         vlan 10`",
    );
    refused(
        &config,
        of("s0", json!({"add-vlan": {"vlan": 31}})),
        "VLAN 31 does not exist; `show vlan` lists those that do",
    );
    assert_eq!(
        after(&config, of("s0", json!({"delete-vlan": {"vlan": 20}}))).unwrap(),
        config
    );
    assert_eq!(
        after(&config, of("a", json!({"delete-vlan": {"vlan": 30}}))).unwrap(),
        base()
    );
}

#[test]
fn what_carries_bpdus_does_not_go_while_the_domain_is_enabled() {
    let says = "STP domain a: an enabled domain with emistp needs a tag: the one of its VLANs that carries its BPDUs; \
                `configure stpd <stpd> tag <vlan-id>` says which, and `configure stpd <stpd> default-encapsulation \
                dot1d` does without";
    refused(&base(), of("a", json!({"delete-vlan": {"vlan": 10}})), says);
    refused(&base(), json!({"delete-vlan": {"vlan": 10}}), says);
    refused(&base(), of("a", json!({"tag": {}})), says);
    refused(
        &base(),
        of("a", json!({"tag": {"tag": 20}})),
        "STP domain a, port 1: port 1 is no tagged member of VLAN 20, which carries the BPDUs of this enabled domain in \
         emistp; make it one with `configure vlan 20 add ports 1 tagged`, or let the port take no part with `disable \
         stpd <stpd> ports 1`",
    );
    refused(
        &base(),
        of("a", json!({"tag": {"tag": 30}})),
        "STP domain a: VLAN 30 is none of the domain's; the tag is one of its VLANs; `configure stpd <stpd> add vlan \
         30` makes it one of them",
    );
    let off = after(&base(), of("a", json!({"enabled": {"enabled": false}}))).unwrap();
    for change in [
        json!({"delete-vlan": {"vlan": 10}}),
        of("a", json!({"delete-vlan": {"vlan": 10}})),
    ] {
        let config = after(&off, change).unwrap();
        assert_eq!(config.stpds[&a()].tag, None);
        assert_eq!(set(&config, a()), [3]);
    }
    let config = after(
        &off,
        json!({"vlan": {"vlan": 10, "change": {"tag": {"id": 11}}}}),
    )
    .unwrap();
    assert_eq!(config.stpds[&a()].tag, Some(vid(11)));
    assert_eq!(config.stpds[&a()].vlans, BTreeSet::from([11, 20].map(vid)));
    assert_eq!(set(&config, a()), [1, 3]);
}

#[test]
fn settings_go_with_their_ports() {
    let leave = |vlan: Value, ports: &str| json!({"vlan": {"vlan": vlan, "change": {"delete-ports": {"ports": ports}}}});
    let config = after(&base(), leave(json!("blue"), "1")).unwrap();
    assert_eq!(set(&config, a()), [3]);
    let config = after(&base(), leave(json!(20), "3")).unwrap();
    assert_eq!(set(&config, a()), [1, 3]);
    assert_eq!(set(&config, StpdName::S0), [2]);
    let config = after(&base(), json!({"unconfigure-ports": {"ports": "1-2"}})).unwrap();
    assert_eq!(set(&config, a()), [3]);
    assert_eq!(set(&config, StpdName::S0), [0; 0]);
}

#[test]
fn settings_of_ports() {
    let config = after(
        &base(),
        of_ports("a", "all", json!({"priority": {"priority": 128}})),
    )
    .unwrap();
    assert_eq!(set(&config, a()), [0; 0]);
    let config = after(
        &config,
        of_ports(
            "a",
            "3",
            json!({"bpdu-guard": {"enabled": true, "recovery": 9}}),
        ),
    )
    .unwrap();
    let port = config.stpds[&a()].port(PortNo::new(3).unwrap());
    assert_eq!((port.bpdu_guard, port.bpdu_guard_recovery), (true, Some(9)));
    let off = after(
        &config,
        of_ports("a", "3", json!({"bpdu-guard": {"enabled": false}})),
    )
    .unwrap();
    assert_eq!(set(&off, a()), [0; 0]);

    refused(
        &config,
        of_ports("a", "2-3", json!({"root-guard": {"enabled": true}})),
        "port 2 is a member of no VLAN of STP domain a; `configure vlan <vlan> add ports 2` makes it one, and `configure \
         stpd a add vlan <vlan>` takes a VLAN into the domain",
    );
    refused(
        &config,
        of_ports("a", "3", json!({"priority": {"priority": -16}})),
        "STP domain a, port 3: port priority -16: choose 0 to 240 in steps of 16 (802.1D-2004 17.14)",
    );
    refused(
        &config,
        of_ports(
            "a",
            "3",
            json!({"bpdu-guard": {"enabled": true, "recovery": 0}}),
        ),
        "STP domain a, port 3: bpdu-guard recovery-timeout: 0 is not in 1 to 3600",
    );
    refused(
        &config,
        of_ports(
            "a",
            "1",
            json!({"encapsulation": {"encapsulation": "dot1d"}}),
        ),
        "STP domain s0: port 1 has untagged BPDUs (dot1d) in the enabled domain a already; it can have them in one \
         only; give it another encapsulation with `configure stpd <stpd> ports 1 mode emistp`, or let it take no part \
         in one of them with `disable stpd a ports 1`",
    );
    let long = after(
        &config,
        of_ports("a", "3", json!({"cost": {"cost": 65_536}})),
    )
    .unwrap();
    refused(
        &long,
        of("a", json!({"path-cost-method": {"method": "short"}})),
        "STP domain a, port 3: path cost 65536: choose 1 to 65535 (802.1D-2004 17.14)",
    );
}

#[test]
fn numbers_and_times() {
    refused(
        &base(),
        of("a", json!({"priority": {"priority": 4097}})),
        "STP domain a: bridge priority 4097: choose 0 to 61440 in steps of 4096 (802.1D-2004 17.14)",
    );
    refused(
        &base(),
        of("a", json!({"hello-time": {"seconds": 3}})),
        "STP domain a: hello time 3: choose 1 to 2 (802.1D-2004 17.14)",
    );
    refused(
        &base(),
        of("s0", json!({"max-age": {"seconds": 30}})),
        "STP domain s0: forward delay 15, max age 30, hello time 2: 2 x (forward delay - 1) >= max age >= 2 x (hello \
         time + 1) must hold (802.1D-2004 17.14)",
    );
    // Together they may come in any order.
    let both = [
        of("s0", json!({"max-age": {"seconds": 30}})),
        of("s0", json!({"forward-delay": {"seconds": 16}})),
    ];
    let config = base().changed(&both.map(change_of)).unwrap();
    let s0 = &config.stpds[&StpdName::S0];
    assert_eq!((s0.max_age, s0.forward_delay), (30, 16));
    let both = [
        of("s0", json!({"hello-time": {"seconds": 4}})),
        of("s0", json!({"mode": {"mode": "dot1d"}})),
    ];
    let config = base().changed(&both.map(change_of)).unwrap();
    assert_eq!(config.stpds[&StpdName::S0].hello_time, 4);
}

#[test]
fn unconfigured_is_what_is_not_its_make_up() {
    let mut changes = vec![
        of("a", json!({"mode": {"mode": "dot1d"}})),
        of("a", json!({"priority": {"priority": 0}})),
        of("a", json!({"max-age": {"seconds": 10}})),
    ];
    changes.push(json!({"unconfigure-stpd": {"stpd": "a"}}));
    let changes: Vec<_> = changes.into_iter().map(change_of).collect();
    let config = base().changed(&changes).unwrap();
    let expected = StpdConfig {
        enabled: true,
        tag: Some(vid(10)),
        vlans: BTreeSet::from([10, 20].map(vid)),
        ..StpdConfig::new(a())
    };
    assert_eq!(config.stpds[&a()], expected);
    assert_eq!(expected.default_encapsulation, StpEncapsulation::Emistp);
}

#[test]
fn what_lets_a_loop_be_is_said() {
    for (change, notes) in [
        (of("a", json!({"enabled": {"enabled": false}})), 1),
        (of("a", json!({"enabled": {"enabled": true}})), 0),
        (
            of_ports("a", "1", json!({"enabled": {"enabled": false}})),
            1,
        ),
        (
            of_ports("a", "1", json!({"bpdu-filter": {"enabled": true}})),
            1,
        ),
        (
            of_ports("a", "1", json!({"bpdu-filter": {"enabled": false}})),
            0,
        ),
    ] {
        assert_eq!(change_of(change).notes().len(), notes);
    }
}
