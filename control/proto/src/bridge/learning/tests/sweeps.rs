//! Ageing and flushing.

use super::*;

#[test]
fn a_held_entry_ages_and_is_flushed_as_others() {
    let (switch, mut fdb) = start(Rules {
        ageing_seconds: Some(5),
        ..damped()
    });
    for on in [1, 2, 1, 2, 1] {
        fdb.learn(at(1000), &switch.view(), &event(10, 1, on));
    }
    assert_eq!(fdb.stats().damped, 1);
    assert_eq!(fdb.age_slice(at(1006), Slot::START, u32::MAX).changed, 1);
    assert_eq!(
        fdb.learn(at(1006), &switch.view(), &event(10, 1, 1)),
        Learned::New
    );
    assert_eq!(
        fdb.learn(at(1006), &switch.view(), &event(10, 1, 2)),
        Learned::Moved { from: port(1) }
    );
}

#[test]
fn entries_age_by_the_epoch_that_the_data_path_stamps() {
    let (switch, mut fdb) = start(Rules {
        ageing_seconds: Some(300),
        ..Rules::default()
    });
    for n in 1..=2 {
        fdb.learn(at(1000), &switch.view(), &event(10, n, 1));
    }
    fdb.create_static(
        at(1000),
        &switch.view(),
        vlan(10),
        mac(3),
        StaticTarget::Port(port(1)),
    )
    .unwrap();
    let (_, _, slot) = switch
        .hardware
        .read(FdbKey::new(vlan(10), mac(2)), SEED)
        .unwrap();
    switch.hardware.stamp(slot, at(1200));
    assert_eq!(
        fdb.age_slice(at(1300), Slot::START, u32::MAX),
        Slice {
            next: None,
            changed: 0
        }
    );
    assert_eq!(fdb.age_slice(at(1301), Slot::START, u32::MAX).changed, 1);
    assert_eq!(
        (place(&fdb, 10, 1), place(&fdb, 10, 2).is_some()),
        (None, true)
    );
    assert_eq!(fdb.age_slice(at(9999), Slot::START, u32::MAX).changed, 1);
    assert_eq!(
        place(&fdb, 10, 3),
        Some((1, Kind::Static)),
        "configured entries do not age"
    );
    assert_eq!((fdb.stats().aged, fdb.learned_on(port(1))), (2, 0));
}

#[test]
fn what_is_behind_a_port_that_left_its_vlan_is_forgotten() {
    let (mut switch, mut fdb) = start(Rules::default());
    for (vid, n, on) in [(10, 1, 1), (10, 2, 2), (20, 3, 1), (20, 4, 2)] {
        fdb.learn(at(1000), &switch.view(), &event(vid, n, on));
    }
    let hole = StaticTarget::Blackhole;
    fdb.create_static(at(1000), &switch.view(), vlan(20), mac(5), hole)
        .unwrap();
    assert_eq!(fdb.flush_closed(&switch.view()), 0);
    // Port 1 leaves VLAN 10, and nothing is learned in VLAN 20 any more.
    switch.vlans[10].member = [port(2)].into_iter().collect();
    switch.vlans[20].learning = PortSet::EMPTY;
    assert_eq!(fdb.flush_closed(&switch.view()), 3);
    assert_eq!(place(&fdb, 10, 2), Some((2, Kind::Dynamic)));
    assert_eq!(place(&fdb, 20, 5), Some((0, Kind::Blackhole)));
    assert_eq!(fdb.table().len(), 2);
    assert_eq!(fdb.stats().flushed, 3);
}

#[test]
fn without_an_ageing_time_nothing_ages() {
    let (switch, mut fdb) = start(Rules::default());
    fdb.learn(at(1000), &switch.view(), &event(10, 1, 1));
    assert_eq!(
        fdb.age_slice(at(u32::MAX), Slot::START, u32::MAX),
        Slice {
            next: None,
            changed: 0
        }
    );
    assert_eq!(fdb.table().len(), 1);
}

#[test]
fn a_pass_in_slices_is_a_whole_pass() {
    let (switch, mut fdb) = start(Rules {
        ageing_seconds: Some(10),
        ..Rules::default()
    });
    for n in 1..=60 {
        fdb.learn(at(1000), &switch.view(), &event(10, n, 1));
    }
    let (mut from, mut slices, mut aged) = (Some(Slot::START), 0, 0);
    while let Some(at_slot) = from {
        let slice = fdb.age_slice(at(2000), at_slot, 5);
        (from, slices, aged) = (slice.next, slices + 1, aged + slice.changed);
    }
    // 32 buckets, five at a time.
    assert_eq!((slices, aged), (7, 60));
    // A slice of no bucket still goes on, or its caller never would.
    assert_eq!(
        fdb.age_slice(at(2000), Slot::START, 0).next,
        Some(Slot::new(1, 0))
    );
}

#[test]
fn a_flush_takes_what_fits_all_that_is_said() {
    let (switch, mut fdb) = start(Rules::default());
    let view = switch.view();
    let fill = |fdb: &mut Learning<'_>| {
        for (vid, n, on) in [
            (10, 1, 1),
            (10, 2, 1),
            (10, 3, 2),
            (20, 1, 1),
            (20, 2, 2),
            (20, 3, 2),
        ] {
            fdb.learn(at(1000), &view, &event(vid, n, on));
        }
    };
    let to = StaticTarget::Port(port(1));
    fdb.create_static(at(1000), &view, vlan(10), mac(9), to)
        .unwrap();
    let cases = [
        (Flush::default(), 6),
        (
            Flush {
                port: Some(port(1)),
                ..Flush::default()
            },
            3,
        ),
        (
            Flush {
                vlan: Some(vlan(20)),
                ..Flush::default()
            },
            3,
        ),
        (
            Flush {
                port: Some(port(1)),
                vlan: Some(vlan(20)),
                ..Flush::default()
            },
            1,
        ),
        (
            Flush {
                mac: Some(mac(1)),
                ..Flush::default()
            },
            2,
        ),
        (
            Flush {
                mac: Some(mac(1)),
                vlan: Some(vlan(20)),
                ..Flush::default()
            },
            1,
        ),
        (
            Flush {
                mac: Some(mac(2)),
                port: Some(port(2)),
                ..Flush::default()
            },
            1,
        ),
        (
            Flush {
                mac: Some(mac(9)),
                ..Flush::default()
            },
            0,
        ),
        (
            Flush {
                port: Some(port(4)),
                ..Flush::default()
            },
            0,
        ),
    ];
    let mut flushed = 0;
    for (what, wanted) in cases {
        fill(&mut fdb);
        let before = fdb.table().len();
        assert_eq!(fdb.flush(&what), wanted, "{what:?}");
        assert_eq!(fdb.table().len(), before - wanted);
        flushed += u64::from(wanted);
    }
    assert_eq!(fdb.stats().flushed, flushed);
    assert_eq!(place(&fdb, 10, 9), Some((1, Kind::Static)));
}

#[test]
fn a_flush_of_a_domain_asks_once_of_each_pair() {
    let (switch, mut fdb) = start(Rules::default());
    let view = switch.view();
    for (vid, n, on) in [(10, 1, 1), (10, 2, 1), (10, 3, 2), (20, 1, 1), (20, 2, 2)] {
        fdb.learn(at(1000), &view, &event(vid, n, on));
    }
    let to = StaticTarget::Port(port(1));
    fdb.create_static(at(1000), &view, vlan(10), mac(9), to)
        .unwrap();
    let mut asked = Vec::new();
    let flushed = fdb.flush_where(|vlan, port| {
        asked.push((vlan.get(), port.get()));
        (vlan.get(), port.get()) == (10, 1)
    });
    assert_eq!(flushed, 2);
    assert_eq!(asked, [(10, 1), (10, 2), (20, 1), (20, 2)]);
    assert_eq!(place(&fdb, 10, 9), Some((1, Kind::Static)));
    assert_eq!(place(&fdb, 10, 3), Some((2, Kind::Dynamic)));
    assert_eq!((fdb.table().len(), fdb.stats().flushed), (4, 2));
    assert_eq!(fdb.flush_where(|_, _| false), 0);
    assert_eq!(fdb.flush_where(|_, _| true), 3);
}

/// Passes as the master makes them, one each second, find everyone who is not heard of.
#[test]
fn while_the_topology_changes_the_silent_are_forgotten_soon() {
    for seconds in [0, 4, 15] {
        for ageing_seconds in [None, Some(2), Some(300)] {
            let (switch, mut fdb) = start(Rules {
                ageing_seconds,
                ..Rules::default()
            });
            // 1 and 2 go on talking; 3 is behind another port, 4 in another VLAN.
            for (vid, n, on) in [(10, 1, 1), (10, 2, 1), (10, 3, 2), (20, 4, 1)] {
                fdb.learn(at(1000), &switch.view(), &event(vid, n, on));
            }
            let configured = fdb.pass_seconds(at(1000));
            assert_eq!(
                configured,
                ageing_seconds.map(|s| if s == 300 { 15 } else { 1 })
            );
            let ports = [port(1)].into_iter().collect();
            fdb.age_rapidly(at(1000), [vlan(10)], &ports, seconds);
            for now in 1001..=1000 + seconds + 2 {
                let key = FdbKey::new(vlan(10), mac(1));
                if let Some((.., slot)) = switch.hardware.read(key, SEED) {
                    switch.hardware.stamp(slot, at(now));
                }
                assert_eq!(fdb.pass_seconds(at(now)), Some(1));
                fdb.age_slice(at(now), Slot::START, u32::MAX);
            }
            assert!(place(&fdb, 10, 1).is_some());
            assert_eq!(place(&fdb, 10, 2), None, "{seconds} {ageing_seconds:?}");
            let gone = ageing_seconds.is_some_and(|limit| seconds + 2 > limit);
            for (vid, n) in [(10, 3), (20, 4)] {
                assert_eq!(
                    place(&fdb, vid, n).is_none(),
                    gone,
                    "{seconds} {ageing_seconds:?}"
                );
            }
            // Then all is as before.
            let after = at(1000 + seconds + 3);
            assert_eq!(fdb.pass_seconds(after), configured);
            if ageing_seconds != Some(2) {
                assert_eq!(fdb.age_slice(at(1200), Slot::START, u32::MAX).changed, 0);
            }
        }
    }
}
