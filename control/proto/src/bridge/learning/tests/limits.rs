//! Limits of ports and VLANs, and what an operator is told.

use super::*;

#[test]
fn a_port_learns_up_to_its_limit_and_says_so_once() {
    let (switch, mut fdb) = start(Rules {
        port_limits: BTreeMap::from([(port(1), 2)]),
        ..Rules::default()
    });
    let view = switch.view();
    for n in 1..=4 {
        let wanted = if n <= 2 {
            Learned::New
        } else {
            Learned::Limited
        };
        assert_eq!(fdb.learn(at(1000), &view, &event(10, n, 1)), wanted);
    }
    assert_eq!(
        fdb.learn(at(1000), &view, &event(10, 3, 2)),
        Learned::New,
        "the limit is port 1's"
    );
    assert_eq!(
        fdb.learn(at(1000), &view, &event(10, 3, 1)),
        Learned::Limited,
        "nor do entries move there"
    );
    assert_eq!(place(&fdb, 10, 3), Some((2, Kind::Dynamic)));
    let limit = Notice::PortLimit {
        port: port(1),
        limit: 2,
    };
    assert_eq!(fdb.take_notices(), [limit]);
    assert_eq!(fdb.stats().limited_port, 3);
    // Below the limit and back: said again.
    fdb.flush(&Flush {
        mac: Some(mac(1)),
        ..Flush::default()
    });
    assert_eq!(fdb.learn(at(1000), &view, &event(10, 4, 1)), Learned::New);
    assert_eq!(
        fdb.learn(at(1000), &view, &event(10, 5, 1)),
        Learned::Limited
    );
    assert_eq!(fdb.take_notices(), [limit]);
}

#[test]
fn a_vlan_learns_up_to_its_limit_and_says_so_once() {
    let (switch, mut fdb) = start(Rules {
        vlan_limits: BTreeMap::from([(vlan(10), 2), (vlan(20), 0)]),
        ..Rules::default()
    });
    let view = switch.view();
    for n in 1..=4 {
        let wanted = if n <= 2 {
            Learned::New
        } else {
            Learned::Limited
        };
        assert_eq!(fdb.learn(at(1000), &view, &event(10, n, n)), wanted);
    }
    assert_eq!(
        fdb.learn(at(1000), &view, &event(20, 1, 1)),
        Learned::Limited,
        "0 is a limit"
    );
    assert_eq!(
        fdb.learn(at(1000), &view, &event(10, 1, 3)),
        Learned::Moved { from: port(1) },
        "a move adds nothing"
    );
    let notice = |id, limit| Notice::VlanLimit {
        vlan: vlan(id),
        limit,
    };
    assert_eq!(fdb.take_notices(), [notice(10, 2), notice(20, 0)]);
    assert_eq!(fdb.stats().limited_vlan, 3);
    fdb.flush(&Flush {
        vlan: Some(vlan(10)),
        ..Flush::default()
    });
    for n in 1..=3 {
        fdb.learn(at(1000), &view, &event(10, n, 1));
    }
    assert_eq!(fdb.take_notices(), [notice(10, 2)]);
}

#[test]
fn a_changed_limit_holds_for_what_comes() {
    let (switch, mut fdb) = start(Rules {
        port_limits: BTreeMap::from([(port(1), 1)]),
        ..Rules::default()
    });
    let view = switch.view();
    for n in 1..=2 {
        fdb.learn(at(1000), &view, &event(10, n, 1));
    }
    assert_eq!(fdb.take_notices().len(), 1);
    fdb.configure(Rules {
        port_limits: BTreeMap::from([(port(1), 3)]),
        ..Rules::default()
    });
    for n in 2..=4 {
        fdb.learn(at(1000), &view, &event(10, n, 1));
    }
    assert_eq!(
        fdb.take_notices(),
        [Notice::PortLimit {
            port: port(1),
            limit: 3
        }]
    );
    fdb.configure(Rules {
        port_limits: BTreeMap::from([(port(1), 1)]),
        capacity: 2,
        ..Rules::default()
    });
    assert_eq!(fdb.learned_on(port(1)), 3, "what is learned stays");
    assert_eq!(fdb.learn(at(1000), &view, &event(10, 5, 2)), Learned::Full);
}

#[test]
fn notices_that_nobody_fetches_are_bounded_and_counted() {
    let damping = Damping {
        moves: 1,
        within_seconds: 1,
        hold_seconds: 1,
    };
    let (switch, mut fdb) = start(Rules {
        damping: Some(damping),
        ..Rules::default()
    });
    fdb.learn(at(1000), &switch.view(), &event(10, 1, 1));
    for n in 0..300 {
        for on in [2, 3, 2, 3] {
            fdb.learn(at(2000 + 10 * n), &switch.view(), &event(10, 1, on));
        }
    }
    assert_eq!(fdb.take_notices().len(), MAX_NOTICES);
    assert_eq!(fdb.stats().notices_lost, 300 - MAX_NOTICES as u64);
    assert!(fdb.take_notices().is_empty());
}
