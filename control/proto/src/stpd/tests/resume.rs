//! Another process goes on.

use super::domains::with;
use super::net::*;
use crate::stp::{Event, InfoIs, Opening, PortState, Role};
use crate::stpd::*;
use hitless_common::map::vlans::VlanEntry;
use serde_json::json;
use std::collections::BTreeMap;

/// Three switches in a ring with two domains, `slow` in mode dot1d.
fn ring(slow: bool) -> Net {
    let mode = if slow { "dot1d" } else { "dot1w" };
    let switch = |n: u8| {
        let s0 = json!({"mode": mode, "priority": u16::from(n) * 4096});
        let blue = json!({"mode": mode, "priority": 32768 - u16::from(n) * 4096});
        Switch::new(n, with(s0, blue))
    };
    let switches = (1..=3).map(switch).collect();
    let wires = [[(0, 1), (1, 1)], [(1, 2), (2, 1)], [(2, 2), (0, 2)]];
    let mut net = Net::new(switches, &wires);
    net.deliver();
    net
}

/// What is the same in a process that goes on as in the one before: all but what ends with a process, and what a resume
/// does on purpose.
fn comparable(port: &PortState) -> PortState {
    let mut port = *port;
    if port.info_is == InfoIs::Received {
        port.rcvd_info_while = port.rcvd_info_while.max(port.port_times.hello + 1);
    }
    PortState {
        hello_when: 0,
        tx_count: 0,
        tc_ack: false,
        counters: crate::stp::Counters::default(),
        ..port
    }
}

#[test]
fn at_any_second_of_a_quiet_network_it_is_as_if_nothing_had_happened() {
    for slow in [false, true] {
        let mut net = ring(slow);
        net.run(70);
        for second in 0..12 {
            let restarted = second % 3;
            let quiet = net.switches[restarted].stpds.clone().unwrap();
            let vlans = net.switches[restarted].vlans.clone();
            for switch in &mut net.switches {
                switch.events.clear();
                switch.flushed.clear();
                switch.sent.clear();
            }
            net.switches[restarted].resume();
            let switch = &net.switches[restarted];
            assert_eq!(switch.stpds().mac(), system_mac(restarted as u8 + 1));
            assert_eq!(switch.vlans, vlans);
            // The first act: a hello on every designated port of every domain, and nothing else.
            let mut designated = 0;
            for (old, new) in quiet.domains().zip(switch.stpds().domains()) {
                assert_eq!(old.bridge().state(), new.bridge().state());
                assert_eq!(old.overlay(), new.overlay());
                for (old, new) in old.bridge().ports().iter().zip(new.bridge().ports()) {
                    assert_eq!(comparable(old), comparable(new));
                    designated += usize::from(old.role == Role::Designated);
                }
            }
            assert_eq!(switch.sent.len(), designated);
            net.deliver();
            net.run(1);
            for switch in &net.switches {
                assert!(switch.events.is_empty(), "{:?}", switch.events);
                assert!(switch.flushed.is_empty());
                switch.check();
            }
        }
    }
}

/// The received information keeps its age: a neighbour that is silent is lost when it would have been.
#[test]
fn ages_go_on() {
    let mut silent_for = Vec::new();
    for restarts in [false, true] {
        let mut net = ring(false);
        net.run(60);
        // Switch 1 is not the root of blue, and hears nothing from now on.
        let blue = stpd("blue");
        let mut beats = 0;
        let is_root = |net: &Net| {
            net.switches[0]
                .stpds()
                .domain(&blue)
                .unwrap()
                .bridge()
                .is_root()
        };
        assert!(!is_root(&net));
        while !is_root(&net) {
            net.switches[0].beat();
            net.switches[0].sent.clear();
            beats += 1;
            if restarts && beats == 25 {
                net.switches[0].resume();
            }
            assert!(beats < 100);
        }
        silent_for.push(beats / BEATS);
    }
    assert!((4..=6).contains(&silent_for[0]), "{silent_for:?}");
    assert!(silent_for[0].abs_diff(silent_for[1]) <= 1, "{silent_for:?}");
}

/// What differs from the hardware, in one VLAN of a domain, is closed and asked for again.
#[test]
fn the_most_closed_vlan_of_a_domain_counts() {
    let both = || with(json!({}), json!({"vlans": [10, 11]}));
    let mut switch = Switch::new(1, both());
    (0..60 * BEATS).for_each(|_| switch.beat());
    assert!(switch.vlans[&vlan(10)].forwarding.has(2));
    let before = switch.vlans.clone();
    let entry = switch.vlans.get_mut(&vlan(11)).unwrap();
    entry.forwarding.remove(port(2));
    entry.learning.remove(port(2));
    switch.events.clear();
    switch.resume();
    // An edge port opens again at once, and says so.
    assert!(!switch.events.is_empty());
    for (name, event) in &switch.events {
        let opens = matches!(
            event,
            Event::Opening { port: p, from: Opening::Discarding, to: Opening::Forwarding } if *p == port(2)
        );
        assert!(
            *name == stpd("blue")
                && (opens || matches!(event, Event::TopologyChangeDetected { .. })),
            "{event:?}"
        );
    }
    assert_eq!(switch.vlans, before);
}

/// A VLAN that learns nothing can not tell learning from discarding.
#[test]
fn a_vlan_without_learning_does_not_hold_up_a_port_that_learns() {
    let config = |learning: bool| {
        config(json!({
            "switch": "sw",
            "vlans": [{"id": 1, "learning": learning}],
            "ports": [{"port": 1, "device": "p1", "untagged": 1}],
            "stpds": [{"name": "s0", "enabled": true, "mode": "dot1d", "vlans": [1]}],
        }))
    };
    for learning in [false, true] {
        let mut switch = Switch::new(1, config(learning));
        (0..20 * BEATS).for_each(|_| switch.beat());
        let state = |switch: &Switch| {
            let s0 = switch.stpds().domain(&stpd("s0")).unwrap();
            *s0.bridge().port(port(1)).unwrap()
        };
        // A port that is not open asks its neighbour again, and goes on waiting.
        let waits = |p: PortState| (p.fd_while, p.opening(), p.pst, p.prt, p.role);
        let before = state(&switch);
        assert!(before.learning && !before.forwarding && before.fd_while > 1);
        switch.resume();
        assert_eq!(waits(before), waits(state(&switch)));
        // And the same while it listens.
        switch.set_link(port(1), false);
        switch.set_link(port(1), true);
        (0..3 * BEATS).for_each(|_| switch.beat());
        let before = state(&switch);
        assert!(!before.learning && before.fd_while > 1);
        switch.resume();
        assert_eq!(waits(before), waits(state(&switch)));
    }
}

/// Links, ports and whole domains of which nothing is saved, or which changed.
#[test]
fn what_is_not_saved_begins_anew_and_what_changed_follows() {
    let mut switch = Switch::new(1, with(json!({}), json!({})));
    (0..60 * BEATS).for_each(|_| switch.beat());
    let before = switch.vlans.clone();
    switch.ports.remove(&(stpd("s0"), port(2)));
    switch.bridges.remove(&stpd("blue"));
    let down = facts(1, port(1), false);
    switch.facts.insert(port(1), down);
    let hardware = |vlan| before.get(&vlan).copied().unwrap_or_default();
    let (stpds, result) = Stpds::resume(
        system_mac(1),
        &switch.config,
        &switch.facts,
        switch.saved(),
        &hardware,
        Epoch::new(switch.epoch),
    );
    result.unwrap();
    let s0 = stpds.overlay(vlan(1)).unwrap();
    assert_eq!(s0.forwarding, [port(3)].into_iter().collect());
    assert!(stpds.overlay(vlan(10)).unwrap().forwarding.is_empty());
    // Nothing at all: as after a start.
    let nothing = |_| VlanEntry::default();
    let (stpds, result) = Stpds::resume(
        system_mac(7),
        &switch.config,
        &switch.facts,
        BTreeMap::new(),
        &nothing,
        Epoch::new(switch.epoch),
    );
    result.unwrap();
    assert_eq!(stpds.mac(), system_mac(7));
    assert_eq!(stpds.domains().count(), 2);
}
