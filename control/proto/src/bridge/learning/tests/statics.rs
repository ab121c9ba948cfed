//! Configured entries.

use super::*;

#[test]
fn configured_entries_neither_move_nor_count() {
    let (switch, mut fdb) = start(Rules {
        port_limits: BTreeMap::from([(port(1), 0)]),
        ..Rules::default()
    });
    let view = switch.view();
    let created = fdb.create_static(
        at(1000),
        &view,
        vlan(10),
        mac(1),
        StaticTarget::Port(port(1)),
    );
    assert_eq!(created, Ok(Outcome::Inserted));
    let created = fdb.create_static(at(1000), &view, vlan(10), mac(2), StaticTarget::Blackhole);
    assert_eq!(created, Ok(Outcome::Inserted));
    for n in 1..=2 {
        for on in 1..=3 {
            assert_eq!(
                fdb.learn(at(1000), &view, &event(10, n, on)),
                Learned::Configured
            );
        }
    }
    assert_eq!(place(&fdb, 10, 1), Some((1, Kind::Static)));
    assert_eq!(place(&fdb, 10, 2), Some((0, Kind::Blackhole)));
    assert_eq!((fdb.learned_on(port(1)), fdb.learned_in(vlan(10))), (0, 0));
    assert_eq!(fdb.stats().writes, 2);
}

#[test]
fn a_configured_entry_takes_the_place_of_a_learned_one() {
    let (switch, mut fdb) = start(damped());
    let view = switch.view();
    for on in [1, 2, 1, 2, 1] {
        fdb.learn(at(1000), &view, &event(10, 1, on));
    }
    let to = StaticTarget::Port(port(2));
    assert_eq!(
        fdb.create_static(at(1000), &view, vlan(10), mac(1), to),
        Ok(Outcome::Updated)
    );
    assert_eq!(
        fdb.create_static(at(1000), &view, vlan(10), mac(1), to),
        Ok(Outcome::Unchanged)
    );
    assert_eq!(place(&fdb, 10, 1), Some((2, Kind::Static)));
    assert_eq!(
        (
            fdb.learned_on(port(2)),
            fdb.learned_in(vlan(10)),
            fdb.table().len()
        ),
        (0, 0, 1)
    );
    let hole = StaticTarget::Blackhole;
    assert_eq!(
        fdb.create_static(at(1000), &view, vlan(10), mac(1), hole),
        Ok(Outcome::Updated)
    );
    assert_eq!(place(&fdb, 10, 1), Some((0, Kind::Blackhole)));
    assert_hardware_equals_copy(&mut fdb, at(1000));
}

#[test]
fn a_configured_entry_that_can_not_be_is_refused() {
    let (switch, mut fdb) = start(Rules::default());
    let view = switch.view();
    let mut create = |vid, mac, to| {
        fdb.create_static(at(1000), &view, vlan(vid), mac, to)
            .unwrap_err()
    };
    let to = |n| StaticTarget::Port(port(n));
    for bad in [
        Mac::ZERO,
        Mac::BROADCAST,
        Mac([1, 0x80, 0xc2, 0, 0, 0]),
        Mac([0, 0xe0, 0x2b, 0, 0, 4]),
    ] {
        assert!(
            matches!(create(10, bad, to(1)), StaticError::Address(_)),
            "{bad}"
        );
    }
    assert_eq!(
        create(11, mac(1), StaticTarget::Blackhole),
        StaticError::NoVlan(vlan(11))
    );
    let error = create(10, mac(1), to(7));
    assert_eq!(
        error,
        StaticError::NoMember {
            port: port(7),
            vlan: vlan(10)
        }
    );
    assert_eq!(
        error.to_string(),
        "port 7 is no member of VLAN 10; add it to the VLAN first"
    );
    assert_eq!(fdb.stats().writes, 0);
}

#[test]
fn a_new_master_keeps_what_its_configuration_has() {
    let (switch, mut old) = start(Rules::default());
    let (to, hole) = (StaticTarget::Port(port(2)), StaticTarget::Blackhole);
    for (n, target) in [(1, to), (2, hole), (3, hole)] {
        old.create_static(at(1000), &switch.view(), vlan(10), mac(n), target)
            .unwrap();
    }
    drop(old);
    let (mut new, adopted) = switch.start(Rules::default(), at(1000));
    assert_eq!((adopted.entries, adopted.dropped()), (3, 0));
    let wanted = BTreeMap::from([((vlan(10), mac(2)), hole), ((vlan(10), mac(3)), to)]);
    let done = new.reconcile_static(at(1000), &switch.view(), &wanted);
    assert_eq!((done.created, done.updated, done.deleted), (0, 1, 1));
    assert_eq!(new.get(vlan(10), mac(1)), None);
    assert!(new.get(vlan(10), mac(2)).is_some_and(|e| e.port == 0));
    assert!(new.get(vlan(10), mac(3)).is_some_and(|e| e.port == 2));
}

#[test]
fn only_configured_entries_can_be_deleted() {
    let (switch, mut fdb) = start(Rules::default());
    let view = switch.view();
    fdb.learn(at(1000), &view, &event(10, 1, 1));
    fdb.create_static(at(1000), &view, vlan(10), mac(2), StaticTarget::Blackhole)
        .unwrap();
    let (vlan, mac_1, mac_3) = (vlan(10), mac(1), mac(3));
    assert_eq!(
        fdb.delete_static(vlan, mac_1),
        Err(StaticError::NotConfigured { mac: mac_1, vlan })
    );
    assert_eq!(
        fdb.delete_static(vlan, mac_3),
        Err(StaticError::NoEntry { mac: mac_3, vlan })
    );
    assert_eq!(fdb.delete_static(vlan, mac(2)), Ok(()));
    assert_eq!(fdb.table().len(), 1);
}

#[test]
fn a_full_table_is_said_once_and_gives_way_to_configured_entries() {
    let (switch, mut fdb) = start(Rules {
        capacity: 4,
        ..Rules::default()
    });
    let view = switch.view();
    for n in 1..=6 {
        let wanted = if n <= 4 { Learned::New } else { Learned::Full };
        assert_eq!(fdb.learn(at(1000), &view, &event(10, n, 1)), wanted);
    }
    let full = Notice::Full(Full {
        used: 4,
        capacity: 4,
    });
    assert_eq!(fdb.take_notices(), [full]);
    let hole = StaticTarget::Blackhole;
    for n in 11..=14 {
        assert_eq!(
            fdb.create_static(at(1000), &view, vlan(10), mac(n), hole),
            Ok(Outcome::Inserted)
        );
    }
    let refused = fdb.create_static(at(1000), &view, vlan(10), mac(15), hole);
    assert_eq!(
        refused,
        Err(StaticError::Full(Full {
            used: 4,
            capacity: 4
        }))
    );
    let stats = fdb.stats();
    assert_eq!(
        (stats.full, stats.evicted, fdb.learned_in(vlan(10))),
        (2, 4, 0)
    );
    // Room again, then full again: said again.
    fdb.delete_static(vlan(10), mac(11)).unwrap();
    fdb.learn(at(1000), &view, &event(10, 1, 1));
    fdb.learn(at(1000), &view, &event(10, 2, 1));
    assert_eq!(fdb.take_notices(), [full]);
    assert_hardware_equals_copy(&mut fdb, at(1000));
}

#[test]
fn reconciling_writes_differences_only() {
    let (switch, mut fdb) = start(Rules::default());
    let view = switch.view();
    let to = |n| StaticTarget::Port(port(n));
    let entry = |vid, n, to| ((vlan(vid), mac(n)), to);
    let first = BTreeMap::from([
        entry(10, 1, to(1)),
        entry(10, 2, to(2)),
        entry(20, 3, StaticTarget::Blackhole),
    ]);
    let done = fdb.reconcile_static(at(1000), &view, &first);
    assert_eq!(
        (done.created, done.updated, done.deleted, fdb.stats().writes),
        (3, 0, 0, 3)
    );
    assert_eq!(
        fdb.reconcile_static(at(1000), &view, &first),
        Reconciled::default()
    );
    assert_eq!(fdb.stats().writes, 3);
    fdb.learn(at(1000), &view, &event(10, 5, 1));
    let second = BTreeMap::from([
        entry(10, 1, to(1)),
        entry(10, 2, StaticTarget::Blackhole),
        entry(10, 5, to(4)),
        entry(20, 4, to(9)),
    ]);
    let done = fdb.reconcile_static(at(1000), &view, &second);
    let failed = vec![StaticError::NoMember {
        port: port(9),
        vlan: vlan(20),
    }];
    assert_eq!(
        done,
        Reconciled {
            created: 0,
            updated: 2,
            deleted: 1,
            failed
        }
    );
    assert_eq!(place(&fdb, 20, 3), None);
    assert_eq!(place(&fdb, 10, 5), Some((4, Kind::Static)));
    assert_eq!(fdb.stats().writes, 4 + 3);
}
