//! BPDU guard, root guard, filter, loop protection, and BPDUs that are no good.

use super::net::{Net, link, mac, port};
use super::networks::ring;
use super::tree::assert_converged;
use crate::stp::*;
use hitless_wire::bpdu::{Bpdu, Config, Rst, RstRole, Vector, WireTimes};

fn vector(bridge: usize, message_age: u16) -> Vector {
    let id = BridgeId {
        priority: 0x4000,
        mac: mac(bridge),
    };
    Vector {
        root: id,
        root_path_cost: 0,
        bridge: id,
        port: PortId(0x8001),
        times: WireTimes {
            message_age: message_age << 8,
            max_age: 20 << 8,
            hello: 2 << 8,
            forward_delay: 15 << 8,
        },
    }
}

fn rst(vector: Vector) -> Bpdu {
    Bpdu::Rst(Rst {
        vector,
        role: RstRole::Designated,
        topology_change: false,
        topology_change_ack: false,
        proposal: true,
        agreement: false,
        learning: false,
        forwarding: false,
    })
}

fn with(config: PortConfig, up: bool) -> Bridge {
    let mut bridge = Bridge::new(BridgeConfig::new(mac(9))).unwrap();
    let (port, link) = (port(1), link(up, true));
    bridge.step(Input::AddPort { port, config, link }).unwrap();
    bridge
}

fn hear(bridge: &mut Bridge, bpdu: Bpdu) -> Output {
    let port = port(1);
    bridge.step(Input::Bpdu { port, bpdu }).unwrap()
}

fn first(bridge: &Bridge) -> &PortState {
    bridge.port(port(1)).unwrap()
}

fn ticks(bridge: &mut Bridge, n: usize) -> Vec<Output> {
    (0..n).map(|_| bridge.step(Input::Tick).unwrap()).collect()
}

#[test]
fn bpdu_guard_shuts_an_edge_port_until_it_recovers() {
    let mut bridge = with(
        PortConfig {
            admin_edge: true,
            bpdu_guard: true,
            recovery: Some(5),
            ..PortConfig::DEFAULT
        },
        true,
    );
    assert_eq!(first(&bridge).opening(), Opening::Forwarding);
    assert_eq!(bridge.fallback().collect::<Vec<_>>(), [port(1)]);
    let output = hear(&mut bridge, rst(vector(1, 0)));
    assert_eq!(output.close, [(port(1), Opening::Discarding)]);
    assert!(output.send.is_empty());
    assert_eq!(first(&bridge).role, Role::Disabled);
    hear(&mut bridge, rst(vector(1, 0)));
    let counters = first(&bridge).counters;
    assert_eq!(
        (counters.bpdu_guard, counters.on_edge, counters.on_disabled),
        (1, 1, 1)
    );
    assert!(ticks(&mut bridge, 4).iter().all(|o| o.open.is_empty()));
    let output = ticks(&mut bridge, 1).remove(0);
    assert_eq!(output.open, [(port(1), Opening::Forwarding)]);
}

#[test]
fn root_guard_keeps_a_better_root_out() {
    let mut bridge = with(
        PortConfig {
            root_guard: true,
            ..PortConfig::DEFAULT
        },
        true,
    );
    let output = hear(&mut bridge, rst(vector(1, 0)));
    assert!(bridge.is_root());
    assert!(first(&bridge).root_guarding);
    assert_eq!(first(&bridge).opening(), Opening::Discarding);
    let (port, active) = (port(1), true);
    assert!(output.events.contains(&Event::RootGuard { port, active }));
    // Silence lets the port go.
    ticks(&mut bridge, 7);
    assert!(!first(&bridge).root_guarding);
    assert_eq!(first(&bridge).role, Role::Designated);
    assert_eq!(first(&bridge).counters.root_guard, 1);
}

#[test]
fn bpdu_filter_neither_sends_nor_takes() {
    let mut bridge = with(
        PortConfig {
            bpdu_filter: true,
            ..PortConfig::DEFAULT
        },
        true,
    );
    hear(&mut bridge, rst(vector(1, 0)));
    assert!(bridge.is_root());
    assert!(ticks(&mut bridge, 10).iter().all(|o| o.send.is_empty()));
    let counters = first(&bridge).counters;
    assert_eq!(
        (counters.filtered, counters.rx_rst, counters.tx_rst),
        (1, 0, 0)
    );
}

#[test]
fn loop_protection_holds_a_port_whose_neighbour_falls_silent() {
    for loop_guard in [false, true] {
        let config = PortConfig {
            loop_guard,
            ..PortConfig::DEFAULT
        };
        let mut bridge = with(config, true);
        hear(&mut bridge, rst(vector(1, 0)));
        assert_eq!(first(&bridge).role, Role::Root);
        ticks(&mut bridge, 60);
        let port_state = first(&bridge);
        assert_eq!(port_state.role, Role::Designated);
        assert_eq!(port_state.opening() == Opening::Discarding, loop_guard);
        assert!(!port_state.oper_edge);
        // A neighbour that speaks again ends it.
        hear(&mut bridge, rst(vector(1, 0)));
        assert_eq!(first(&bridge).opening(), Opening::Forwarding);
        assert!(!first(&bridge).loop_guarding);
        // A link that goes is no silence.
        let (port, link) = (port(1), link(false, true));
        bridge.step(Input::Link { port, link }).unwrap();
        assert!(!first(&bridge).loop_guarding);
    }
}

/// One direction of a link fails: without loop protection a ring would close.
#[test]
fn loop_protection_keeps_a_ring_open_when_bpdus_are_lost() {
    let mut net = Net::new(3);
    for n in 1..=3 {
        net.switch(BridgeConfig::new(mac(n)));
    }
    let config = PortConfig {
        loop_guard: true,
        ..PortConfig::DEFAULT
    };
    for n in 0..3 {
        net.lan(&[n, (n + 1) % 3], config);
    }
    net.run_for(30_000);
    assert_converged(&net);
    net.loss = 100;
    net.run_for(120_000); // The network panics at a loop.
    net.loss = 0;
    net.run_for(30_000);
    assert_converged(&net);
}

#[test]
fn own_bpdus_close_a_port_that_is_looped_back() {
    let mut bridge = with(PortConfig::DEFAULT, true);
    ticks(&mut bridge, 10);
    assert_eq!(
        first(&bridge).opening(),
        Opening::Forwarding,
        "an edge port by itself"
    );
    let own = Vector {
        root: bridge.state().config.id(),
        bridge: bridge.state().config.id(),
        ..vector(9, 0)
    };
    let output = hear(&mut bridge, rst(own));
    assert_eq!(output.close, [(port(1), Opening::Discarding)]);
    assert!(output.events.contains(&Event::OwnBpdu { port: port(1) }));
    for _ in 0..20 {
        hear(&mut bridge, rst(own));
        assert!(ticks(&mut bridge, 2).iter().all(|o| o.open.is_empty()));
    }
    assert_eq!(first(&bridge).counters.own, 21);
    ticks(&mut bridge, 10);
    assert_eq!(first(&bridge).opening(), Opening::Forwarding);
}

#[test]
fn what_is_too_old_is_counted_and_believed_no_more() {
    let config = |age| {
        Bpdu::Config(Config {
            vector: vector(1, age),
            topology_change: true,
            topology_change_ack: true,
        })
    };
    for bpdu in [
        config(20),
        config(255),
        rst(vector(1, 20)),
        rst(vector(1, 255)),
    ] {
        let mut bridge = with(PortConfig::DEFAULT, true);
        hear(&mut bridge, bpdu);
        assert!(bridge.is_root());
        assert_eq!(first(&bridge).role, Role::Designated);
        assert_eq!(first(&bridge).counters.too_old, 1);
        assert_eq!(first(&bridge).opening(), Opening::Discarding);
        // But there is a bridge: the port does not become an edge while it is heard.
        for _ in 0..20 {
            hear(&mut bridge, bpdu);
            ticks(&mut bridge, 1);
            assert!(!first(&bridge).oper_edge);
        }
    }
    let mut bridge = with(PortConfig::DEFAULT, true);
    hear(&mut bridge, config(19));
    assert!(!bridge.is_root());
}

#[test]
fn bpdus_on_disabled_ports_and_malformed_frames_are_counted() {
    let mut bridge = with(PortConfig::DEFAULT, false);
    let before = bridge.checkpoint();
    let output = hear(&mut bridge, rst(vector(1, 0)));
    assert_eq!(output, Output::default());
    bridge.step(Input::Malformed { port: port(1) }).unwrap();
    let counters = first(&bridge).counters;
    assert_eq!((counters.on_disabled, counters.malformed), (1, 1));
    let mut after = bridge.checkpoint();
    after.ports[0].counters = before.ports[0].counters;
    assert_eq!(after, before);
    let unknown = Input::Malformed { port: port(2) };
    assert_eq!(bridge.step(unknown), Err(InputError::UnknownPort(port(2))));
}

#[test]
fn parameters_keep_their_ranges() {
    let good = BridgeConfig::new(mac(1));
    let bad = [
        BridgeConfig {
            priority: 100,
            ..good
        },
        BridgeConfig {
            extension: 4096,
            ..good
        },
        BridgeConfig { hello: 0, ..good },
        BridgeConfig { hello: 3, ..good },
        BridgeConfig { max_age: 5, ..good },
        BridgeConfig {
            max_age: 41,
            ..good
        },
        BridgeConfig {
            forward_delay: 3,
            ..good
        },
        BridgeConfig {
            forward_delay: 31,
            ..good
        },
        BridgeConfig {
            tx_hold_count: 0,
            ..good
        },
        BridgeConfig {
            tx_hold_count: 11,
            ..good
        },
        BridgeConfig {
            max_age: 29,
            ..good
        },
        BridgeConfig {
            hello: 10,
            force_version: ForceVersion::Stp,
            ..good
        },
    ];
    for config in bad {
        assert!(config.check().is_err(), "{config:?}");
        assert!(Bridge::new(config).is_err());
    }
    let slow = BridgeConfig {
        force_version: ForceVersion::Stp,
        hello: 9,
        ..good
    };
    assert_eq!((good.check(), slow.check()), (Ok(()), Ok(())));
    let mut net = ring(3, 1, ForceVersion::Rstp);
    net.run_for(30_000);
    let bridge = net.switches[0].bridge.as_mut().unwrap();
    let before = bridge.checkpoint();
    assert!(bridge.step(Input::Bridge(bad[0])).is_err());
    let config = PortConfig {
        path_cost: Some(0),
        ..PortConfig::DEFAULT
    };
    assert!(
        bridge
            .step(Input::Port {
                port: port(1),
                config
            })
            .is_err()
    );
    assert_eq!(bridge.checkpoint(), before, "nothing changed");
}

#[test]
fn costs_follow_the_speed() {
    let long = |mbps| CostMethod::Long.cost(mbps);
    let short = |mbps| CostMethod::Short.cost(mbps);
    let speeds = [10, 100, 1000, 10_000, 0];
    assert_eq!(speeds.map(long), [2_000_000, 200_000, 20_000, 2000, 2000]);
    assert_eq!(speeds.map(short), [100, 19, 4, 2, 2]);
    assert_eq!(long(u32::MAX), 1);
}
