//! Transitions of each machine, by the tables and figures of 802.1D-2004 clause 17.

use super::net::{link, mac, port};
use crate::stp::machine;
use crate::stp::marks::Marks;
use crate::stp::*;
use hitless_wire::bpdu::{Bpdu, Config, Rst, RstRole, Vector};

/// A bridge with three ports up, settled as root; what comes is done to port 1.
fn bridge() -> Bridge {
    let mut bridge = Bridge::new(BridgeConfig::new(mac(9))).unwrap();
    for n in 1..=3 {
        let (port, link, config) = (port(n), link(true, true), PortConfig::DEFAULT);
        bridge.step(Input::AddPort { port, config, link }).unwrap();
    }
    bridge.out = Output::default();
    bridge
}

fn better() -> Vector {
    let id = BridgeId {
        priority: 0x4000,
        mac: mac(1),
    };
    let times = Times {
        message_age: 0,
        max_age: 20,
        hello: 2,
        forward_delay: 15,
    };
    Vector {
        root: id,
        root_path_cost: 0,
        bridge: id,
        port: PortId(0x8001),
        times: times.to_wire(),
    }
}

fn rst(vector: Vector, role: RstRole, flags: &str) -> Bpdu {
    Bpdu::Rst(Rst {
        vector,
        role,
        topology_change: flags.contains('t'),
        topology_change_ack: false,
        proposal: flags.contains('p'),
        agreement: flags.contains('a'),
        learning: flags.contains('l'),
        forwarding: flags.contains('f'),
    })
}

fn config(vector: Vector) -> Bpdu {
    Bpdu::Config(Config {
        vector,
        topology_change: false,
        topology_change_ack: false,
    })
}

fn hear(bridge: &mut Bridge, bpdu: Bpdu) -> Output {
    bridge
        .step(Input::Bpdu {
            port: port(1),
            bpdu,
        })
        .unwrap()
}

#[test]
fn port_timers_count_to_zero() {
    let mut bridge = bridge();
    let p = &mut bridge.ports[0];
    (p.fd_while, p.rr_while, p.rb_while, p.tc_while) = (2, 1, 0, 3);
    (
        p.hello_when,
        p.mdelay_while,
        p.edge_delay_while,
        p.rcvd_info_while,
        p.tx_count,
    ) = (1, 2, 3, 4, 5);
    machine::pti::tick(p, ForceVersion::Rstp);
    machine::pti::tick(p, ForceVersion::Rstp);
    assert_eq!(
        (p.fd_while, p.rr_while, p.rb_while, p.tc_while),
        (0, 0, 0, 1)
    );
    assert_eq!(
        (
            p.hello_when,
            p.mdelay_while,
            p.edge_delay_while,
            p.rcvd_info_while,
            p.tx_count
        ),
        (0, 0, 1, 2, 3)
    );
}

#[test]
fn port_receive_takes_one_message_at_a_time() {
    let mut bridge = bridge();
    let bpdu = config(better());
    bridge.ports[0].rcvd_bpdu = Some(bpdu);
    bridge.ports[0].oper_edge = true;
    bridge.ports[0].edge_delay_while = 0;
    assert!(machine::prx::step(&mut bridge, 0));
    let p = &bridge.ports[0];
    assert_eq!(
        (p.prx, p.rcvd_msg, p.rcvd_bpdu),
        (PrxState::Receive, Some(bpdu), None)
    );
    assert_eq!(
        (p.oper_edge, p.rcvd_stp, p.edge_delay_while),
        (false, true, MIGRATE_TIME)
    );
    bridge.ports[0].rcvd_bpdu = Some(bpdu);
    assert!(!machine::prx::step(&mut bridge, 0), "rcvdMsg is still set");
    bridge.ports[0].link.up = false;
    assert!(machine::prx::step(&mut bridge, 0));
    let p = &bridge.ports[0];
    assert_eq!(
        (p.prx, p.rcvd_msg, p.rcvd_bpdu),
        (PrxState::Discard, None, None)
    );
    assert!(!p.rcvd_stp && !machine::prx::step(&mut bridge, 0));
}

/// State, what is so, and the state and sendRSTP after one step; `None` if it stays.
#[test]
fn port_protocol_migration_by_figure_17_15() {
    use PpmState::{CheckingRstp, SelectingStp, Sensing};
    type After = Option<(PpmState, bool)>;
    type Row = (PpmState, bool, fn(&mut PortState), After);
    let table: [Row; 11] = [
        (CheckingRstp, true, |p| p.mdelay_while = 1, None),
        (
            CheckingRstp,
            true,
            |p| p.mdelay_while = 0,
            Some((Sensing, true)),
        ),
        (
            CheckingRstp,
            true,
            |p| {
                p.mdelay_while = 2;
                p.link.up = false;
            },
            Some((CheckingRstp, true)),
        ),
        (Sensing, true, |_| {}, None),
        (
            Sensing,
            true,
            |p| p.rcvd_stp = true,
            Some((SelectingStp, false)),
        ),
        (Sensing, false, |p| p.rcvd_stp = true, None),
        (
            Sensing,
            false,
            |p| p.rcvd_rstp = true,
            Some((CheckingRstp, true)),
        ),
        (
            Sensing,
            false,
            |p| p.mcheck = true,
            Some((CheckingRstp, true)),
        ),
        (SelectingStp, false, |p| p.mdelay_while = 1, None),
        (
            SelectingStp,
            false,
            |p| p.mdelay_while = 0,
            Some((Sensing, false)),
        ),
        (
            SelectingStp,
            false,
            |p| {
                p.mdelay_while = 2;
                p.mcheck = true;
            },
            Some((Sensing, false)),
        ),
    ];
    for (row, (state, send_rstp, set, after)) in table.into_iter().enumerate() {
        let mut bridge = bridge();
        let p = &mut bridge.ports[0];
        (p.ppm, p.send_rstp) = (state, send_rstp);
        (p.rcvd_stp, p.rcvd_rstp, p.mcheck) = (false, false, false);
        set(p);
        let moved = machine::ppm::step(&mut bridge, 0);
        let p = &bridge.ports[0];
        assert_eq!(moved.then_some((p.ppm, p.send_rstp)), after, "row {row}");
    }
}

#[test]
fn bridge_detection_by_figure_17_16() {
    let mut bridge = bridge();
    let p = &mut bridge.ports[0];
    assert!(p.proposing && p.send_rstp && !p.oper_edge);
    p.edge_delay_while = 0;
    for spoil in [
        (|p: &mut PortState| p.config.auto_edge = false) as fn(&mut PortState),
        |p| p.send_rstp = false,
        |p| p.proposing = false,
        |p| p.edge_delay_while = 1,
    ] {
        let mut other = bridge.clone();
        spoil(&mut other.ports[0]);
        assert!(!machine::bdm::step(&mut other, 0));
    }
    assert!(machine::bdm::step(&mut bridge, 0));
    assert!(bridge.ports[0].oper_edge);
    assert!(!machine::bdm::step(&mut bridge, 0));
    bridge.ports[0].link.up = false;
    assert!(
        machine::bdm::step(&mut bridge, 0),
        "no link and not AdminEdge"
    );
    assert!(!bridge.ports[0].oper_edge);
    bridge.ports[0].config.admin_edge = true;
    assert!(machine::bdm::step(&mut bridge, 0));
    assert!(bridge.ports[0].oper_edge);
}

#[test]
fn port_transmit_sends_no_more_than_tx_hold_count() {
    let mut bridge = bridge();
    for _ in 0..30 {
        bridge.ports[0].new_info = true;
        bridge.due = Marks::ALL;
        bridge.settle();
    }
    let sent = bridge
        .out
        .send
        .iter()
        .filter(|(p, _)| *p == port(1))
        .count();
    assert_eq!(sent + 1, 6, "one went out when the port was added");
    assert!(bridge.ports[0].new_info);
    bridge.out = Output::default();
    let output = bridge.step(Input::Tick).unwrap();
    assert_eq!(output.send.iter().filter(|(p, _)| *p == port(1)).count(), 1);
}

#[test]
fn port_information_by_what_is_received() {
    // Superior, repeated, then worse from the same port: it is superior, too (17.6).
    let mut bridge = bridge();
    hear(&mut bridge, rst(better(), RstRole::Designated, "p"));
    let p = &bridge.ports[0];
    assert_eq!(
        (p.info_is, p.role, p.rcvd_info_while),
        (InfoIs::Received, Role::Root, 6)
    );
    assert!(p.agree && !p.proposed);
    bridge.step(Input::Tick).unwrap();
    assert_eq!(bridge.ports[0].rcvd_info_while, 5);
    hear(&mut bridge, rst(better(), RstRole::Designated, ""));
    assert_eq!(bridge.ports[0].rcvd_info_while, 6);
    let worse = Vector {
        root_path_cost: 7,
        ..better()
    };
    hear(&mut bridge, rst(worse, RstRole::Designated, ""));
    assert_eq!(bridge.ports[0].port_priority.root_path_cost, 7);
    // Aged.
    for _ in 0..6 {
        bridge.step(Input::Tick).unwrap();
    }
    let p = &bridge.ports[0];
    assert_eq!(
        (p.info_is, p.role, p.counters.info_aged),
        (InfoIs::Mine, Role::Designated, 1)
    );
    assert!(bridge.is_root());
}

#[test]
fn an_inferior_designated_neighbour_that_learns_is_disputed() {
    let mut bridge = bridge();
    bridge.ports[0].config.auto_edge = false;
    for _ in 0..60 {
        bridge.step(Input::Tick).unwrap();
    }
    assert_eq!(
        bridge.ports[0].opening(),
        Opening::Forwarding,
        "nobody there"
    );
    let worse = BridgeId {
        priority: 0xf000,
        mac: mac(2),
    };
    let vector = Vector {
        root: worse,
        bridge: worse,
        ..better()
    };
    let output = hear(&mut bridge, rst(vector, RstRole::Designated, ""));
    assert!(output.close.is_empty());
    let output = hear(&mut bridge, rst(vector, RstRole::Designated, "lf"));
    assert_eq!(output.close, [(port(1), Opening::Discarding)]);
    assert!(output.events.contains(&Event::Disputed { port: port(1) }));
    assert_eq!(bridge.ports[0].counters.disputed, 1);
}

#[test]
fn agreements_count_on_links_of_two_only() {
    for (full_duplex, opens) in [(true, true), (false, false)] {
        let mut bridge = bridge();
        let link = link(true, full_duplex);
        bridge
            .step(Input::Link {
                port: port(1),
                link,
            })
            .unwrap();
        let own = bridge.state().config.id();
        let other = BridgeId {
            priority: 0xf000,
            mac: mac(2),
        };
        let vector = Vector {
            root: own,
            root_path_cost: 20_000,
            bridge: other,
            ..better()
        };
        let output = hear(&mut bridge, rst(vector, RstRole::Root, "alf"));
        assert_eq!(bridge.ports[0].agreed, opens);
        assert_eq!(!output.open.is_empty(), opens);
    }
}

#[test]
fn role_selection_by_17_21_25() {
    let mut bridge = bridge();
    let heard = |bridge: &mut Bridge, n, vector| {
        let bpdu = rst(vector, RstRole::Designated, "");
        bridge
            .step(Input::Bpdu {
                port: port(n),
                bpdu,
            })
            .unwrap();
    };
    heard(&mut bridge, 2, better());
    heard(
        &mut bridge,
        3,
        Vector {
            port: PortId(0x8000),
            ..better()
        },
    );
    let roles: Vec<_> = bridge.ports().iter().map(|p| p.role).collect();
    assert_eq!(
        roles,
        [Role::Designated, Role::Alternate, Role::Root],
        "the lower port of the sender"
    );
    // What this bridge says on port 1 comes in on port 2: another port to the same LAN.
    let said = bridge.ports()[0].designated_priority;
    let own = Vector {
        root: said.root,
        root_path_cost: said.root_path_cost,
        bridge: said.designated_bridge,
        port: said.designated_port,
        ..better()
    };
    let link_down = Input::Link {
        port: port(2),
        link: link(false, true),
    };
    bridge.step(link_down).unwrap();
    bridge
        .step(Input::Link {
            port: port(2),
            link: link(true, true),
        })
        .unwrap();
    heard(&mut bridge, 2, own);
    assert_eq!(bridge.ports()[1].role, Role::Backup);
    assert_eq!(bridge.ports()[1].rb_while, 4);
    assert_eq!(bridge.state().root_times.message_age, 1);
}

#[test]
fn a_proposal_is_agreed_to_when_all_other_ports_are_synced() {
    let mut bridge = bridge();
    // Ports 2 and 3 forward without anybody's agreement; port 3 is an edge.
    for n in 1..3 {
        let p = &mut bridge.ports[n];
        (p.learn, p.learning, p.forward, p.forwarding) = (true, true, true, true);
        (p.pst, p.tcm, p.synced, p.agreed) = (PstState::Forwarding, TcmState::Active, false, false);
    }
    bridge.ports[2].oper_edge = true;
    bridge.ports[2].bdm = BdmState::Edge;
    let output = hear(&mut bridge, rst(better(), RstRole::Designated, "p"));
    assert_eq!(
        output.close,
        [(port(2), Opening::Discarding)],
        "not the edge port"
    );
    assert_eq!(output.open, [(port(1), Opening::Forwarding)]);
    assert!(output.sync);
    let agreement = output.send.iter().find(|(p, _)| *p == port(1));
    assert!(
        matches!(agreement, Some((_, Bpdu::Rst(rst))) if rst.agreement && rst.role == RstRole::Root)
    );
    let fallback: Vec<_> = bridge.fallback().collect();
    assert_eq!(fallback, [port(1), port(3)]);
}

#[test]
fn mode_dot1d_opens_by_forward_delay_only() {
    let mut bridge = Bridge::new(BridgeConfig {
        force_version: ForceVersion::Stp,
        ..BridgeConfig::new(mac(9))
    })
    .unwrap();
    let (number, config) = (port(1), PortConfig::DEFAULT);
    let add = Input::AddPort {
        port: number,
        config,
        link: link(true, true),
    };
    bridge.step(add).unwrap();
    let mut openings = Vec::new();
    for second in 1..=40 {
        for (_, opening) in bridge.step(Input::Tick).unwrap().open {
            openings.push((second, opening));
        }
    }
    assert_eq!(
        openings,
        [(15, Opening::Learning), (30, Opening::Forwarding)]
    );
    hear(&mut bridge, rst(better(), RstRole::Designated, "p"));
    assert!(bridge.is_root());
    assert_eq!(bridge.ports()[0].counters.other_version, 1);
}

#[test]
fn a_topology_change_flushes_the_other_ports() {
    let mut bridge = bridge();
    for p in &mut bridge.ports {
        (p.learn, p.learning, p.forward, p.forwarding) = (true, true, true, true);
        (p.pst, p.tcm, p.tc_while) = (PstState::Forwarding, TcmState::Active, 0);
        (p.agreed, p.proposing) = (true, false);
    }
    bridge.ports[2].oper_edge = true;
    bridge.ports[2].bdm = BdmState::Edge;
    bridge.ports[2].tcm = TcmState::Learning;
    let own = bridge.state().config.id();
    let other = BridgeId {
        priority: 0xf000,
        mac: mac(2),
    };
    let vector = Vector {
        root: own,
        root_path_cost: 20_000,
        bridge: other,
        ..better()
    };
    let output = hear(&mut bridge, rst(vector, RstRole::Root, "talf"));
    assert_eq!(
        output.flush,
        [Flush::Now(port(2))],
        "neither where it came from nor an edge port"
    );
    let told: Vec<_> = output.send.iter().map(|(p, _)| *p).collect();
    assert_eq!(told, [port(2)]);
    assert_eq!((bridge.ports[1].tc_while, bridge.ports[0].tc_while), (3, 0));
}
