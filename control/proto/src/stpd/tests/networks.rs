//! Several switches with several domains: every domain its own tree, whatever happens.

use super::net::*;
use crate::config::Config;
use proptest::prelude::*;
use serde_json::json;

/// Four ports in VLAN 1 (s0), VLANs 10 and 11 (`blue`, EMISTP) and VLAN 20 (`red`, PVST+). Each domain has another
/// bridge priority on each switch.
fn four_ports(n: u8, slow: bool) -> Config {
    let mode = if slow { "dot1d" } else { "dot1w" };
    let priority = |step: u16| (u16::from(n) * step % 5 + 1) * 4096;
    let port = |p: u16| json!({"port": p, "device": format!("p{p}"), "untagged": 1, "tagged": [10, 11, 20]});
    config(json!({
        "switch": "sw",
        "vlans": [{"id": 1}, {"id": 10}, {"id": 11, "learning": false}, {"id": 20}],
        "ports": [port(1), port(2), port(3), port(4)],
        "stpds": [
            {"name": "s0", "enabled": true, "vlans": [1], "priority": priority(1)},
            {"name": "blue", "enabled": true, "tag": 10, "vlans": [10, 11], "mode": mode, "priority": priority(2)},
            {"name": "red", "enabled": true, "tag": 20, "vlans": [20], "default_encapsulation": "pvst-plus",
             "priority": priority(3)},
        ],
    }))
}

/// Four switches in a ring, two chords, and a parallel wire.
fn mesh(slow: bool) -> Net {
    let switches = (1..=4)
        .map(|n| Switch::new(n, four_ports(n, slow)))
        .collect();
    let wires = [
        [(0, 1), (1, 1)],
        [(1, 2), (2, 1)],
        [(2, 2), (3, 1)],
        [(3, 2), (0, 2)],
        [(0, 3), (2, 3)],
        [(0, 4), (1, 4)],
    ];
    let mut net = Net::new(switches, &wires);
    net.deliver();
    net
}

const VLANS: [u16; 4] = [1, 10, 11, 20];

fn no_loop(net: &Net) {
    for id in VLANS {
        assert!(
            !net.has_loop(vlan(id)),
            "VLAN {id}: {:?}",
            net.passing(vlan(id))
        );
    }
}

fn trees(net: &Net) {
    for id in VLANS {
        assert!(
            net.is_tree(vlan(id)),
            "VLAN {id}: {:?}",
            net.passing(vlan(id))
        );
    }
    for switch in &net.switches {
        switch.check();
    }
}

#[test]
fn every_domain_has_its_own_tree() {
    for slow in [false, true] {
        let mut net = mesh(slow);
        net.run(if slow { 60 } else { 5 });
        trees(&net);
        let trees = VLANS.map(|id| net.passing(vlan(id)));
        assert_eq!(trees[1], trees[2], "VLANs of one domain");
        assert!(trees[0] != trees[1] && trees[1] != trees[3] && trees[0] != trees[3]);
    }
}

#[test]
fn a_link_that_goes_is_replaced_and_what_was_learned_behind_it_forgotten() {
    let mut net = mesh(false);
    net.run(40);
    let used = net.passing(vlan(10))[0];
    for switch in &mut net.switches {
        switch.flushed.clear();
    }
    net.set_wire(used, false);
    net.run(1);
    assert!(net.is_tree(vlan(10)));
    let flushed: Vec<_> = net.switches.iter().flat_map(|s| &s.flushed).collect();
    let blue: Vec<_> = flushed
        .iter()
        .filter(|job| job.stpd == stpd("blue"))
        .collect();
    assert!(!blue.is_empty());
    assert!(
        flushed
            .iter()
            .all(|job| job.ageing.is_none() && !job.ports.is_empty())
    );
}

/// Mode dot1d ages what was learned by Forward Delay, and only in its domain.
#[test]
fn a_slow_domain_flushes_by_ageing() {
    let mut net = mesh(true);
    net.run(60);
    for switch in &mut net.switches {
        switch.flushed.clear();
    }
    net.set_wire(net.passing(vlan(10))[0], false);
    net.run(60);
    trees_but_for_links(&net);
    for job in net.switches.iter().flat_map(|s| &s.flushed) {
        let ageing = (job.stpd == stpd("blue")).then_some(15);
        assert_eq!(job.ageing, ageing, "{job:?}");
    }
}

fn trees_but_for_links(net: &Net) {
    for id in VLANS {
        assert!(
            net.is_tree(vlan(id)),
            "VLAN {id}: {:?}",
            net.passing(vlan(id))
        );
    }
}

#[derive(Clone, Debug)]
enum Step {
    Beats(u32),
    Wire(usize, bool),
    /// A switch's process ends and another one goes on after so many beats.
    Restart(usize, u32),
    /// The same before a part of the next work that there is for it.
    Crash(usize, Part, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let part = prop::sample::select(vec![Part::Close, Part::Checkpoint, Part::Open, Part::Send]);
    prop_oneof![
        3 => (1u32..40).prop_map(Step::Beats),
        2 => (0usize..6, any::<bool>()).prop_map(|(w, up)| Step::Wire(w, up)),
        1 => (0usize..4, 0u32..20).prop_map(|(s, beats)| Step::Restart(s, beats)),
        3 => (0usize..4, part, 0u32..20).prop_map(|(s, part, beats)| Step::Crash(s, part, beats)),
    ]
}

/// A beat of all switches; no loop after it.
fn beat(net: &mut Net) {
    for s in 0..net.switches.len() {
        net.switches[s].beat();
        net.deliver();
    }
    no_loop(net);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn links_and_processes_come_and_go_without_a_loop(
        slow in any::<bool>(),
        steps in prop::collection::vec(step(), 1..16),
    ) {
        let mut net = mesh(slow);
        for step in steps {
            match step {
                Step::Beats(n) => (0..n).for_each(|_| beat(&mut net)),
                Step::Wire(w, up) => {
                    net.set_wire(w, up);
                    no_loop(&net);
                }
                Step::Restart(s, beats) => {
                    let switch = &mut net.switches[s];
                    (switch.stpds, switch.down) = (None, beats);
                    (0..beats).for_each(|_| beat(&mut net));
                }
                Step::Crash(s, part, beats) => {
                    let switch = &mut net.switches[s];
                    (switch.dies_before, switch.down) = (Some(part), beats);
                }
            }
            for switch in &net.switches {
                switch.check();
            }
        }
        for w in 0..net.wires.len() {
            net.set_wire(w, true);
        }
        net.run(if slow { 90 } else { 45 });
        trees(&net);
    }
}
