//! One switch: what a configuration, a link, a beat and an operator make of its domains.

use super::net::*;
use crate::config::Config;
use crate::stp::{Event, ForceVersion, Opening, Role};
use crate::stpd::*;
use hitless_common::map::vlans::PortSet;
use serde_json::{Value, json};

/// Three ports in VLAN 1 (s0) and VLANs 10 and 11 (`blue`), the domains as given.
pub(super) fn with(s0: Value, blue: Value) -> Config {
    let (mut first, mut second) = (
        json!({"name": "s0", "enabled": true, "vlans": [1]}),
        json!({"name": "blue", "enabled": true, "tag": 10, "vlans": [10]}),
    );
    for (domain, settings) in [(&mut first, s0), (&mut second, blue)] {
        let settings = settings.as_object().unwrap().clone();
        domain.as_object_mut().unwrap().extend(settings);
    }
    config(json!({
        "switch": "sw",
        "vlans": [{"id": 1}, {"id": 10}, {"id": 11}],
        "ports": [
            {"port": 1, "device": "p1", "untagged": 1, "tagged": [10, 11]},
            {"port": 2, "device": "p2", "untagged": 1, "tagged": [10, 11]},
            {"port": 3, "device": "p3", "untagged": 1, "tagged": [10, 11]},
        ],
        "stpds": [first, second],
    }))
}

fn ports(numbers: &[u16]) -> PortSet {
    numbers.iter().map(|&n| port(n)).collect()
}

fn beats(switch: &mut Switch, seconds: u32) {
    for _ in 0..seconds * BEATS {
        switch.beat();
    }
}

#[test]
fn a_domain_opens_its_ports_by_its_own_means() {
    let mut switch = Switch::new(1, with(json!({"mode": "dot1d"}), json!({})));
    let all = ports(&[1, 2, 3]);
    for id in [1, 10] {
        let overlay = switch.stpds().overlay(vlan(id)).unwrap();
        assert_eq!(overlay.ports, all);
        assert!(overlay.learning.is_empty() && overlay.fallback.is_empty());
    }
    assert_eq!(switch.stpds().overlay(vlan(11)), None);
    assert_eq!(switch.vlans[&vlan(11)].forwarding, all);
    // Nobody is heard: in blue they become edge ports. In mode dot1d they listen and learn.
    beats(&mut switch, 5);
    assert_eq!(switch.vlans[&vlan(10)].forwarding, all);
    assert_eq!(switch.vlans[&vlan(10)].fallback, all);
    assert!(switch.vlans[&vlan(1)].learning.is_empty());
    beats(&mut switch, 12);
    let learning = switch.vlans[&vlan(1)];
    assert_eq!(learning.learning, all);
    assert!(learning.forwarding.is_empty());
    beats(&mut switch, 15);
    assert_eq!(switch.vlans[&vlan(1)].forwarding, all);
    switch.check();
}

#[test]
fn disabled_domains_and_ports_and_vlans_that_leave_forward() {
    let mut switch = Switch::new(
        1,
        with(json!({"enabled": false}), json!({"vlans": [10, 11]})),
    );
    let all = ports(&[1, 2, 3]);
    assert_eq!(switch.vlans[&vlan(1)].forwarding, all);
    assert!(switch.vlans[&vlan(10)].forwarding.is_empty());
    assert!(switch.vlans[&vlan(11)].forwarding.is_empty());
    // A port of the domain that takes no part.
    let without_2 = json!({"vlans": [10, 11], "ports": [{"port": 2, "enabled": false}]});
    switch.config = with(json!({"enabled": false}), without_2);
    switch.configure();
    switch.check();
    let overlay = switch.stpds().overlay(vlan(10)).unwrap();
    assert_eq!(overlay.ports, ports(&[1, 3]));
    assert_eq!(switch.vlans[&vlan(11)].forwarding, ports(&[2]));
    // A VLAN leaves, and the other domain is enabled.
    switch.config = with(json!({}), json!({"vlans": [10]}));
    switch.configure();
    switch.check();
    assert_eq!(switch.vlans[&vlan(11)].forwarding, all);
    assert!(switch.vlans[&vlan(1)].forwarding.is_empty());
    switch.config = with(json!({}), json!({"enabled": false}));
    switch.configure();
    switch.check();
    assert_eq!(switch.vlans[&vlan(10)].forwarding, all);
    assert_eq!(switch.bridges.len(), 1);
}

#[test]
fn only_differences_become_inputs() {
    let mut switch = Switch::new(1, with(json!({}), json!({})));
    beats(&mut switch, 40);
    let before = switch.vlans.clone();
    switch.sent.clear();
    switch.events.clear();
    switch.configure();
    // One domain's parameter says nothing to the other one.
    switch.config = with(json!({"priority": 4096}), json!({}));
    switch.configure();
    switch.check();
    assert_eq!(switch.vlans, before);
    let of = |name: &str| {
        let events = switch.events.iter().filter(|(n, _)| *n == stpd(name));
        events.count()
    };
    assert_eq!((of("s0"), of("blue")), (1, 0), "{:?}", switch.events);
    assert!(matches!(switch.events[0].1, Event::Root { .. }));
    assert!(!switch.sent.is_empty());
    // The mode begins the domain anew.
    switch.config = with(json!({"priority": 4096, "mode": "dot1d"}), json!({}));
    switch.configure();
    switch.check();
    assert!(switch.vlans[&vlan(1)].forwarding.is_empty());
    assert_eq!(switch.vlans[&vlan(10)], before[&vlan(10)]);
    let s0 = switch.stpds().domain(&stpd("s0")).unwrap();
    assert_eq!(s0.bridge().state().config.force_version, ForceVersion::Stp);
}

/// Costs beyond 16 bits come and go together with the method that allows them.
#[test]
fn costs_change_together_with_their_method() {
    let high = || json!({"ports": [{"port": 1, "cost": 1_000_000}]});
    let low = || json!({"path_cost_method": "short", "ports": [{"port": 1, "cost": 10}]});
    let mut switch = Switch::new(1, with(json!({}), high()));
    for blue in [low(), high(), low()] {
        switch.config = with(json!({}), blue);
        switch.configure();
        switch.check();
    }
}

#[test]
fn links_come_and_go() {
    let mut switch = Switch::new(1, with(json!({}), json!({})));
    beats(&mut switch, 40);
    switch.sent.clear();
    switch.set_link(port(2), false);
    switch.check();
    for id in [1, 10] {
        assert_eq!(switch.vlans[&vlan(id)].forwarding, ports(&[1, 3]));
    }
    switch.set_link(port(2), true);
    switch.check();
    let blue = switch.stpds().domain(&stpd("blue")).unwrap();
    let state = blue.bridge().port(port(2)).unwrap();
    assert_eq!(
        (state.role, state.opening()),
        (Role::Designated, Opening::Discarding)
    );
    // A port in no domain is nobody's business.
    switch
        .stpds
        .as_mut()
        .unwrap()
        .on_port(port(9), facts(1, port(9), true));
    assert!(!switch.stpds().has_work());
}

#[test]
fn domains_tick_on_different_beats_and_once_a_second() {
    let mut switch = Switch::new(1, with(json!({"hello_time": 1}), json!({"hello_time": 1})));
    beats(&mut switch, 60);
    switch.sent.clear();
    let mut speaking = Vec::new();
    for beat in 0..3 * BEATS {
        switch.beat();
        if !switch.sent.is_empty() {
            assert_eq!(switch.sent.len(), 3, "one domain at a time");
            speaking.push(beat % BEATS);
            switch.sent.clear();
        }
    }
    assert_eq!(speaking.len(), 6);
    assert!(speaking[0] != speaking[1] && speaking[..2] == speaking[2..4]);
}

/// A process that was held up for seconds, as by a debugger: timers go on from where the epoch is.
#[test]
fn timers_count_from_the_epoch_again_when_seconds_were_lost() {
    // A second with hellos, and one without.
    for seconds in [3, 4] {
        let mut switch = Switch::new(1, with(json!({"mode": "dot1d"}), json!({})));
        beats(&mut switch, seconds);
        switch.epoch += 5;
        beats(&mut switch, 1);
        switch.check();
        let saved = switch.ports[&(stpd("s0"), port(1))];
        let s0 = switch.stpds().domain(&stpd("s0")).unwrap();
        let left = s0.bridge().port(port(1)).unwrap().fd_while;
        let deadline = saved.deadlines.fd;
        let now = switch.epoch + u32::from(left);
        assert!(deadline.abs_diff(now) <= 1, "{deadline}");
    }
}

/// Beats that are late, each by a ninth: the timers keep to the epoch.
#[test]
fn late_beats_are_made_up_for() {
    let mut switch = Switch::new(1, with(json!({"mode": "dot1d"}), json!({})));
    let begin = switch.epoch;
    while switch.vlans[&vlan(1)].forwarding.is_empty() {
        let epoch = switch.epoch + u32::from(switch.beat % 9 == 8);
        switch.beat();
        switch.epoch = epoch;
        switch.check();
    }
    // Listening and learning.
    let took = switch.epoch - begin;
    assert!((29..=32).contains(&took), "{took}");
}

/// While no domain is enabled there may be no beats.
#[test]
fn a_domain_that_is_enabled_late_knows_the_epoch() {
    let mut switch = Switch::new(
        1,
        with(json!({"enabled": false}), json!({"enabled": false})),
    );
    switch.epoch = 5000;
    switch.config = with(json!({"mode": "dot1d"}), json!({}));
    switch.configure();
    assert_eq!(switch.ports[&(stpd("s0"), port(1))].deadlines.fd, 5015);
}

#[test]
fn counters_are_saved_every_30_seconds_at_least() {
    let mut switch = Switch::new(1, with(json!({}), json!({"enabled": false})));
    beats(&mut switch, 60);
    let key = (stpd("s0"), port(2));
    let saved = |switch: &Switch| switch.ports[&key].state.counters.tx_rst;
    let (mut before, mut changes) = (saved(&switch), 0);
    for _ in 0..90 {
        beats(&mut switch, 1);
        changes += u32::from(saved(&switch) != before);
        before = saved(&switch);
    }
    assert_eq!(changes, 3);
    switch.stpds.as_mut().unwrap().clear_counters(None).unwrap();
    switch.work();
    assert_eq!(saved(&switch), 0);
}

#[test]
fn what_an_operator_asks_of_ports() {
    let guard = json!({"ports": [
        {"port": 1, "link_type": "edge", "bpdu_guard": true},
    ]});
    let mut switch = Switch::new(1, with(guard, json!({})));
    let other = Switch::new(2, with(json!({}), json!({})));
    let hello = other
        .sent
        .iter()
        .find(|frame| frame.octets[12..14] != [0x81, 0]);
    let hello = hello.unwrap().octets.clone();
    let forwards = |switch: &Switch| switch.vlans[&vlan(1)].forwarding.has(1);
    assert!(forwards(&switch));
    switch.hear(port(1), &hello).unwrap();
    assert!(!forwards(&switch));
    switch.check();
    let stpds = switch.stpds.as_mut().unwrap();
    let unknown = stpds.recover(stpd("green"), &[port(1)]);
    assert_eq!(unknown, Err(NotThere::Stpd(stpd("green"))));
    let nowhere = stpds.recover(stpd("s0"), &[port(1), port(9)]);
    let there = NotThere::Port {
        stpd: stpd("s0"),
        port: port(9),
    };
    assert_eq!(nowhere, Err(there));
    assert!(!stpds.has_work());
    stpds.recover(stpd("s0"), &[port(1)]).unwrap();
    switch.work();
    assert!(forwards(&switch));
    let stpds = switch.stpds.as_mut().unwrap();
    stpds.mcheck(stpd("blue"), &[port(1), port(2)]).unwrap();
    assert!(stpds.mcheck(stpd("blue"), &[port(4)]).is_err());
    assert!(stpds.clear_counters(Some(stpd("green"))).is_err());
}

#[test]
fn a_record_that_is_there_no_more_is_dirty_once() {
    let mut switch = Switch::new(1, with(json!({}), json!({})));
    switch.config = with(json!({}), json!({"ports": [{"port": 3, "enabled": false}]}));
    let stpds = switch.stpds.as_mut().unwrap();
    stpds.configure(&switch.config, &switch.facts).unwrap();
    let key = (stpd("blue"), Some(port(3)));
    let dirty = stpds.take_dirty();
    assert_eq!(dirty.iter().filter(|k| **k == key).count(), 1);
    assert_eq!(stpds.saved_port(&stpd("blue"), port(3)), None);
    assert!(!stpds.all_keys().contains(&key));
    // It came back before anybody asked.
    for blue in [json!({"enabled": false}), json!({})] {
        let config = with(json!({}), blue);
        stpds.configure(&config, &switch.facts).unwrap();
    }
    let dirty = stpds.take_dirty();
    assert_eq!(dirty.iter().filter(|k| **k == key).count(), 1);
    assert!(stpds.saved_port(&stpd("blue"), port(3)).is_some());
}
