//! Every transition of the topology change machine, one at a time (802.1D-2004 figure 17-25).

use super::net::port;
use super::transitions::*;
use crate::stp::machine::tcm;
use crate::stp::*;

const FORGETS: Set = |p| {
    p.tcm = TcmState::Learning;
    (p.rcvd_tc, p.rcvd_tcn, p.rcvd_tc_ack, p.tc_prop) = (false, false, false, false);
};
const TC_PROP: Set = |p| p.tc_prop = true;

/// Figure 17-25, a port that is not open.
#[test]
fn topology_change_of_a_closed_port() {
    let cases = [
        own("LEARNING", |p| p.learn = true, FORGETS),
        none(
            "INACTIVE hears nothing",
            |p| (p.rcvd_tc, p.tc_prop) = (true, true),
            SAME,
        ),
        own(
            "INACTIVE",
            |p| (p.tcm, p.tc_while, p.tc_ack) = (TcmState::Learning, 3, true),
            |p| (p.tcm, p.tc_while, p.tc_ack) = (TcmState::Inactive, 0, false),
        ),
        none(
            "still learning",
            |p| (p.tcm, p.learning) = (TcmState::Learning, true),
            SAME,
        ),
    ];
    run(Role::Alternate, tcm::step, &cases);
    let mut bridge = at_rest(Role::Alternate);
    bridge.ports[0].tcm = TcmState::Learning;
    assert!(tcm::step(&mut bridge, 0));
    assert_eq!(bridge.out.flush, [Flush::Now(port(1))]);
}

/// Figure 17-25, root and designated ports.
#[test]
fn topology_change_of_an_open_port() {
    let cases = || {
        [
            none(
                "an edge port is no change",
                |p| {
                    (p.tcm, p.oper_edge) = (TcmState::Learning, true);
                },
                SAME,
            ),
            none(
                "not before it forwards",
                |p| (p.tcm, p.forward) = (TcmState::Learning, false),
                SAME,
            ),
            all(
                "DETECTED",
                |p| p.tcm = TcmState::Learning,
                SAME,
                |p| (p.tcm, p.tc_while, p.new_info) = (TcmState::Active, HELLO + 1, true),
                TC_PROP,
            ),
            own(
                "LEARNING, told",
                |p| (p.tcm, p.forward, p.rcvd_tc) = (TcmState::Learning, false, true),
                FORGETS,
            ),
            own(
                "LEARNING, notified",
                |p| (p.tcm, p.forward, p.rcvd_tcn) = (TcmState::Learning, false, true),
                FORGETS,
            ),
            own(
                "LEARNING, acknowledged",
                |p| (p.tcm, p.forward, p.rcvd_tc_ack) = (TcmState::Learning, false, true),
                FORGETS,
            ),
            own(
                "LEARNING, another port tells",
                |p| (p.tcm, p.forward, p.tc_prop) = (TcmState::Learning, false, true),
                FORGETS,
            ),
            own(
                "ACTIVE, no longer open",
                |p| p.role = Role::Alternate,
                FORGETS,
            ),
            own("ACTIVE, edge", |p| p.oper_edge = true, FORGETS),
            own("PROPAGATING", TC_PROP, |p| {
                (p.tc_prop, p.tc_while, p.new_info) = (false, HELLO + 1, true)
            }),
            own(
                "PROPAGATING while told already",
                |p| (p.tc_prop, p.tc_while) = (true, 1),
                |p| p.tc_prop = false,
            ),
            own(
                "PROPAGATING to a bridge of 802.1D-1998",
                |p| (p.tc_prop, p.send_rstp) = (true, false),
                |p| (p.tc_prop, p.tc_while) = (false, MAX_AGE + FWD_DELAY),
            ),
            own(
                "ACKNOWLEDGED",
                |p| (p.rcvd_tc_ack, p.tc_while) = (true, 30),
                |p| (p.rcvd_tc_ack, p.tc_while) = (false, 0),
            ),
        ]
    };
    run(Role::Root, tcm::step, &cases());
    run(Role::Designated, tcm::step, &cases());
    let notified = |tc_ack: Set| {
        [
            ("NOTIFIED_TC", (|p| p.rcvd_tc = true) as Set, SAME),
            (
                "NOTIFIED_TCN",
                |p| p.rcvd_tcn = true,
                |p| {
                    (p.tc_while, p.new_info) = (HELLO + 1, true);
                },
            ),
        ]
        .map(|(name, before, more)| (name, before, more, tc_ack))
    };
    for (role, tc_ack) in [
        (Role::Root, SAME),
        (Role::Designated, (|p| p.tc_ack = true) as Set),
    ] {
        for (name, before, more, tc_ack) in notified(tc_ack) {
            let mut bridge = at_rest(role);
            let mut expected = bridge.ports.clone();
            before(&mut bridge.ports[0]);
            more(&mut expected[0]);
            tc_ack(&mut expected[0]);
            expected[0].counters.rx_topology_change += 1;
            expected[1..].iter_mut().for_each(TC_PROP);
            assert!(tcm::step(&mut bridge, 0));
            assert_eq!(bridge.ports, expected, "{role:?}: {name}");
            assert!(
                bridge.out.flush.is_empty(),
                "the port that was told keeps what it learned"
            );
        }
    }
}

/// What propagates flushes; what is detected flushes nothing on its own port.
#[test]
fn topology_change_flushes_where_it_propagates() {
    let mut bridge = at_rest(Role::Designated);
    bridge.ports[0].tcm = TcmState::Learning;
    assert!(tcm::step(&mut bridge, 0));
    assert!(bridge.out.flush.is_empty());
    for i in [1, 2] {
        assert!(tcm::step(&mut bridge, i));
    }
    assert_eq!(bridge.out.flush, [Flush::Now(port(2)), Flush::Now(port(3))]);
    assert_eq!(bridge.state.topology_changes, 1);
}

/// A neighbour that tells of one change for half a minute, as 802.1D-1998 has it, tells of one change.
#[test]
fn a_notice_that_is_repeated_is_one_change() {
    let mut bridge = at_rest(Role::Root);
    let mut heard = |seconds: u32| {
        bridge.state.since_topology_change += seconds;
        bridge.ports[0].rcvd_tc = true;
        assert!(tcm::step(&mut bridge, 0));
        let events = std::mem::take(&mut bridge.out.events);
        (bridge.state.topology_changes, events.len())
    };
    assert_eq!(heard(100), (1, 1));
    for _ in 0..17 {
        assert_eq!(heard(u32::from(HELLO)), (1, 0));
    }
    assert_eq!(heard(u32::from(HELLO) + 2), (2, 1));
}
