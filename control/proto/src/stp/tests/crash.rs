//! A switch's processes end at every point of a convergence, and others go on from its checkpoint.

use super::net::{CrashPlan, Net, Saved, Seen, mac};
use super::networks::{Kind, bound, ring};
use super::tree::{assert_converged, expected};
use crate::stp::*;
use hitless_wire::bpdu::{Bpdu, RstRole};

/// A ring of four with a chord, a parallel link and a bridge at the side.
fn mesh(force_version: ForceVersion) -> Net {
    let mut net = ring(4, 7, force_version);
    net.lan(&[0, 2], PortConfig::DEFAULT);
    net.lan(&[1, 2], PortConfig::DEFAULT);
    let side = net.switch(BridgeConfig {
        force_version,
        ..BridgeConfig::new(mac(5))
    });
    net.lan(&[1, side], PortConfig::DEFAULT);
    net
}

/// What happens to the network; the crash is while it converges.
type Change = fn(&mut Net);

const CHANGES: [(&str, Change); 4] = [
    ("a link of the root goes", |net| net.set_lan(0, false)),
    ("the last link of the ring goes", |net| {
        net.set_lan(3, false)
    }),
    ("two links go", |net| {
        net.set_lan(0, false);
        net.set_lan(4, false);
    }),
    ("another bridge becomes root", |net| {
        let config = BridgeConfig {
            priority: 0x1000,
            ..net.switches[3].config
        };
        net.switches[3].config = config;
        net.input(3, Input::Bridge(config));
    }),
];

/// Crashes `switch` before each of its actions of what follows a change. Gives back how many there were.
fn crash_everywhere(
    force_version: ForceVersion,
    change: Change,
    switch: usize,
    fresh: bool,
    down_for: u64,
) -> usize {
    let wait = bound(match force_version {
        ForceVersion::Rstp => Kind::Rapid,
        ForceVersion::Stp => Kind::Slow,
    });
    let mut before_action = 0;
    loop {
        let mut net = mesh(force_version);
        net.run_for(wait);
        assert_converged(&net);
        net.actions = 0;
        net.crash = Some(CrashPlan {
            switch,
            before_action,
            fresh,
            down_for,
        });
        change(&mut net);
        // What comes later than this is steady state again.
        net.run_for(wait / 4);
        let done = !net.crashed;
        net.crash = None;
        net.run_for(wait);
        assert!(net.switches[switch].bridge.is_some());
        assert_converged(&net);
        if done {
            return before_action;
        }
        // In mode `dot1d` and late in a convergence most actions are hellos.
        before_action += if before_action > 40 { 7 } else { 1 };
    }
}

#[test]
fn a_crash_at_any_point_of_a_rapid_convergence_makes_no_loop() {
    for (name, change) in CHANGES {
        let mut points = 0;
        for switch in 0..4 {
            for fresh in [false, true] {
                points += crash_everywhere(ForceVersion::Rstp, change, switch, fresh, 300);
            }
        }
        assert!(points > 40, "{name}: {points} points");
    }
}

#[test]
fn a_crash_at_any_point_of_a_slow_convergence_makes_no_loop() {
    for (name, change) in CHANGES {
        let mut points = 0;
        for (switch, fresh) in [(0, false), (1, true), (2, false), (3, true)] {
            points += crash_everywhere(ForceVersion::Stp, change, switch, fresh, 1000);
        }
        assert!(points > 40, "{name}: {points} points");
    }
}

/// A crash at power-on of a network: everything opens.
#[test]
fn a_crash_while_the_network_comes_up() {
    for before_action in 2..80 {
        let mut net = mesh(ForceVersion::Rstp);
        net.actions = 0;
        net.crash = Some(CrashPlan {
            switch: 1,
            before_action,
            fresh: before_action % 2 == 0,
            down_for: 500,
        });
        net.run_for(bound(Kind::Rapid));
        assert!(net.crashed);
        net.run_for(bound(Kind::Rapid));
        assert_converged(&net);
    }
}

/// In steady state nobody notices, and the first thing that is heard is what would have been said.
#[test]
fn a_crash_in_steady_state_is_noticed_by_nobody() {
    for force_version in [ForceVersion::Rstp, ForceVersion::Stp] {
        for switch in 0..5 {
            for down_for in [50, 1000, 2900] {
                let mut net = mesh(force_version);
                net.run_for(150_000);
                assert_converged(&net);
                let tree = expected(&net);
                net.run_for(down_for % 77);
                net.record = true;
                net.kill(switch, down_for);
                net.run_for(down_for + 20_000);
                let resumed = net.seen.iter().filter(|(_, n, _)| *n == switch);
                let first: Vec<_> = resumed
                    .take_while(|(when, ..)| *when <= net.now - 20_000)
                    .collect();
                let designated = tree
                    .iter()
                    .filter(|&(&(n, _), &role)| n == switch && role == Role::Designated)
                    .count();
                assert!(
                    first.len() >= designated,
                    "the first act is BPDUs on all designated ports: {first:?}"
                );
                for (when, n, seen) in &net.seen {
                    let calm = match seen {
                        Seen::Sent(_, Bpdu::Config(config)) => config.flags() == 0,
                        Seen::Sent(_, Bpdu::Rst(rst)) => {
                            rst.role == RstRole::Designated && rst.flags() == 0x3c
                        }
                        Seen::Sent(_, Bpdu::Tcn) | Seen::Log(_) | Seen::Flushed(_) => false,
                    };
                    assert!(calm, "switch {switch} crashed; {when} ms, {n}: {seen:?}");
                }
                assert_converged(&net);
            }
        }
    }
}

/// What is saved of a bridge is the bridge, at any later time too: a second is a second.
#[test]
fn what_resumes_is_what_was() {
    for (force_version, after) in [
        (ForceVersion::Rstp, 60_000),
        (ForceVersion::Rstp, 2_500),
        (ForceVersion::Stp, 20_000),
        (ForceVersion::Stp, 33_000),
    ] {
        let mut net = mesh(force_version);
        net.run_for(after);
        for switch in &net.switches {
            let bridge = switch.bridge.as_ref().unwrap();
            let hardware: Vec<_> = switch.hardware.iter().map(|(&p, &o)| (p, o)).collect();
            let saved = Saved::of(bridge, switch.epoch);
            let (again, output) = Bridge::resume(saved.at(switch.epoch), &hardware).unwrap();
            assert!(output.close.is_empty() && output.open.is_empty() && output.flush.is_empty());
            assert!(output.events.is_empty() && !output.sync);
            assert_eq!(again.state(), bridge.state());
            for (new, old) in again.ports().iter().zip(bridge.ports()) {
                let received = old.info_is == InfoIs::Received;
                let next_hello = if received {
                    old.port_times.hello + 1
                } else {
                    0
                };
                let waiting = old.role == Role::Designated && !old.forward && !old.oper_edge;
                let asked_again = PortState {
                    agreed: old.agreed && !waiting,
                    edge_delay_while: if waiting {
                        new.edge_delay_while
                    } else {
                        old.edge_delay_while
                    },
                    rcvd_info_while: old.rcvd_info_while.max(next_hello),
                    hello_when: new.hello_when,
                    tx_count: new.tx_count,
                    // The acknowledgement went with the BPDU that was sent.
                    tc_ack: old.tc_ack && old.role != Role::Designated,
                    counters: new.counters,
                    ..*old
                };
                assert_eq!(asked_again, *new);
            }
            let speaks = |p: &&PortState| {
                let tells = p.role == Role::Root && p.tc_while != 0;
                p.role == Role::Designated || tells || (p.new_info && p.send_rstp)
            };
            let speakers = bridge.ports().iter().filter(speaks).map(|p| p.number);
            let spoken: Vec<_> = output.send.iter().map(|(port, _)| *port).collect();
            assert_eq!(spoken, speakers.collect::<Vec<_>>());
        }
    }
}

/// Time alone changes nothing that is saved, until a timer runs out.
#[test]
fn what_is_saved_stands_still_while_time_goes_on() {
    let mut net = mesh(ForceVersion::Rstp);
    net.run_for(60_000);
    for switch in &net.switches {
        let mut bridge = switch.bridge.clone().unwrap();
        let saved = Saved::of(&bridge, 100);
        bridge.step(Input::Tick).unwrap();
        let later = Saved::of(&bridge, 101);
        assert_eq!(saved.bridge, later.bridge);
        for (before, after) in saved.ports.iter().zip(&later.ports) {
            let mut after = *after;
            after.state.counters = before.state.counters;
            assert_eq!(*before, after);
        }
    }
}

/// The hardware is more closed than the checkpoint: it stays so until the neighbours were asked.
#[test]
fn the_more_closed_of_hardware_and_checkpoint_wins() {
    let mut net = mesh(ForceVersion::Rstp);
    net.run_for(60_000);
    let bridge = net.switches[0].bridge.as_ref().unwrap();
    let numbers: Vec<_> = bridge.ports().iter().map(|p| p.number).collect();
    let closed: Vec<_> = numbers.iter().map(|&p| (p, Opening::Discarding)).collect();
    let (resumed, output) = Bridge::resume(bridge.checkpoint(), &closed).unwrap();
    assert!(output.open.is_empty(), "{output:?}");
    for (port, bpdu) in &output.send {
        let Bpdu::Rst(rst) = bpdu else {
            panic!("{bpdu:?}");
        };
        assert_eq!(rst.flags(), 0x0e, "port {port} asks again");
    }
    assert_eq!(resumed.fallback().count(), 0);
    // And the other way: what is open only in the hardware is closed.
    let mut checkpoint = bridge.checkpoint();
    for port in &mut checkpoint.ports {
        (port.learn, port.learning, port.forward, port.forwarding) = (false, false, false, false);
        port.pst = PstState::Discarding;
    }
    let open: Vec<_> = numbers.iter().map(|&p| (p, Opening::Forwarding)).collect();
    let (_, output) = Bridge::resume(checkpoint, &open).unwrap();
    assert_eq!(output.close, closed);
}
