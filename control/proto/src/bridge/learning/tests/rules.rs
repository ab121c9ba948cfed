//! One test a rule.

use super::*;

fn start(rules: Rules) -> (Switch, Learning<'static>) {
    let switch = Switch::new(64);
    let (fdb, _) = switch.start(rules, at(1000));
    (switch, fdb)
}

#[test]
fn a_new_source_is_learned_once() {
    let (switch, mut fdb) = start(Rules::default());
    let learn = |fdb: &mut Learning<'_>| fdb.learn(at(1000), &switch.view(), &event(10, 1, 2));
    assert_eq!(learn(&mut fdb), Learned::New);
    assert_eq!(learn(&mut fdb), Learned::Known);
    let entry = fdb.get(vlan(10), mac(1)).unwrap();
    assert_eq!((entry.port, entry.flags, entry.epoch), (2, 0, 1000));
    assert_eq!(place(&fdb, 20, 1), None, "VLANs learn independently");
    let stats = fdb.stats();
    assert_eq!((stats.learned, stats.writes, stats.healed), (1, 1, 0));
    assert_eq!((fdb.learned_on(port(2)), fdb.learned_in(vlan(10))), (1, 1));
}

#[test]
fn a_batch_is_learned_as_its_events_one_by_one() {
    let (switch, mut fdb) = start(Rules::default());
    let events: Vec<_> = (0..50).map(|n| event(10, n / 2, 1 + n % 2)).collect();
    let mut outcomes = Vec::new();
    fdb.learn_all(at(1000), &switch.view(), &events, |_, learned| {
        outcomes.push(learned)
    });
    let moved = Learned::Moved { from: port(1) };
    assert_eq!(outcomes, [Learned::New, moved].repeat(25));
}

#[test]
fn only_stations_in_their_vlans_are_learned() {
    let (switch, mut fdb) = start(Rules::default());
    let refused = [
        (
            "group address",
            raw_event(FdbKey::new(vlan(10), Mac([3, 0, 0, 0, 0, 1])), 1),
        ),
        (
            "broadcast",
            raw_event(FdbKey::new(vlan(10), Mac::BROADCAST), 1),
        ),
        ("zero", raw_event(FdbKey::new(vlan(10), Mac::ZERO), 1)),
        (
            "EDP",
            raw_event(FdbKey::new(vlan(10), Mac([0, 0xe0, 0x2b, 0, 0, 0])), 1),
        ),
        ("VLAN that does not exist", event(11, 1, 1)),
        ("VLAN without ports", event(30, 1, 1)),
        ("VLAN 0", raw_event(FdbKey::from_raw(0, mac(1).to_u64()), 1)),
        (
            "VLAN 4095",
            raw_event(FdbKey::from_raw(4095, mac(1).to_u64()), 1),
        ),
        (
            "VLAN 65535",
            raw_event(FdbKey::from_raw(u16::MAX, mac(1).to_u64()), 1),
        ),
        ("no key", raw_event(FdbKey::FREE, 1)),
        ("port 0", event(10, 1, 0)),
        ("port out of range", event(10, 1, 129)),
        ("disabled port", event(10, 1, 5)),
        ("port that does not learn", event(10, 1, 6)),
        ("port that is no member", event(10, 1, 7)),
    ];
    for (what, event) in &refused {
        let learned = fdb.learn(at(1000), &switch.view(), event);
        assert_eq!(learned, Learned::Refused, "{what}");
    }
    let stats = fdb.stats();
    assert_eq!((stats.refused, stats.writes), (refused.len() as u64, 0));
}

#[test]
fn a_short_vlan_table_has_no_further_vlans() {
    let (switch, mut fdb) = start(Rules::default());
    let view = View {
        vlans: &switch.vlans[..15],
        ..switch.view()
    };
    assert_eq!(fdb.learn(at(1), &view, &event(10, 1, 1)), Learned::New);
    assert_eq!(fdb.learn(at(1), &view, &event(20, 1, 1)), Learned::Refused);
}

#[test]
fn an_entry_moves_with_its_station() {
    let (switch, mut fdb) = start(Rules::default());
    fdb.learn(at(1000), &switch.view(), &event(10, 1, 1));
    let learned = fdb.learn(at(1005), &switch.view(), &event(10, 1, 2));
    assert_eq!(learned, Learned::Moved { from: port(1) });
    let entry = fdb.get(vlan(10), mac(1)).unwrap();
    assert_eq!((entry.port, entry.epoch), (2, 1005));
    assert_eq!(
        (
            fdb.learned_on(port(1)),
            fdb.learned_on(port(2)),
            fdb.learned_in(vlan(10))
        ),
        (0, 1, 1)
    );
    assert_eq!((fdb.stats().moved, fdb.stats().writes), (1, 2));
}

fn damped() -> Rules {
    let damping = Damping {
        moves: 3,
        within_seconds: 2,
        hold_seconds: 10,
    };
    Rules {
        damping: Some(damping),
        ..Rules::default()
    }
}

#[test]
fn an_entry_that_moves_too_often_is_held() {
    let (switch, mut fdb) = start(damped());
    let seen = |fdb: &mut Learning<'_>, seconds, on| {
        fdb.learn(at(seconds), &switch.view(), &event(10, 1, on))
    };
    seen(&mut fdb, 1000, 1);
    for on in [2, 1, 2] {
        assert!(matches!(seen(&mut fdb, 1001, on), Learned::Moved { .. }));
    }
    assert_eq!(seen(&mut fdb, 1002, 1), Learned::Damped);
    assert_eq!(seen(&mut fdb, 1011, 3), Learned::Damped);
    assert_eq!(seen(&mut fdb, 1011, 2), Learned::Known);
    assert_eq!(place(&fdb, 10, 1), Some((2, Kind::Dynamic)));
    let held = Notice::Held {
        vlan: vlan(10),
        mac: mac(1),
        port: port(2),
        seen_on: port(1),
        seconds: 10,
    };
    assert_eq!(fdb.take_notices(), [held]);
    assert_eq!(fdb.stats().damped, 2);
    // Ten seconds later it is as any other entry.
    for on in [1, 2, 1] {
        assert!(matches!(seen(&mut fdb, 1012, on), Learned::Moved { .. }));
    }
    assert_eq!(seen(&mut fdb, 1012, 2), Learned::Damped);
    assert_eq!(fdb.take_notices().len(), 1);
    assert_hardware_equals_copy(&mut fdb, at(1012));
}

#[test]
fn slow_moves_are_not_damped() {
    let (switch, mut fdb) = start(damped());
    fdb.learn(at(1000), &switch.view(), &event(10, 1, 1));
    for n in 0..20u16 {
        let learned = fdb.learn(
            at(1000 + u32::from(n)),
            &switch.view(),
            &event(10, 1, 2 + n % 2),
        );
        assert!(matches!(learned, Learned::Moved { .. }), "{n}");
    }
    assert!(fdb.take_notices().is_empty());
}

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
fn a_held_entry_stays_held_when_it_is_displaced() {
    let mut displaced = 0;
    for first in (0..1000).step_by(100) {
        // 16 slots, filled well beyond the half for which they are meant.
        let switch = Switch::new(8);
        let rules = Rules {
            capacity: 14,
            ..damped()
        };
        let (mut fdb, _) = switch.start(rules, at(1000));
        for n in first..first + 14 {
            let before = fdb.stats().writes;
            if fdb.learn(at(1000), &switch.view(), &event(10, n, 1)) != Learned::New {
                break;
            }
            displaced += fdb.stats().writes - before - 1;
            for on in [2, 1, 2, 1] {
                fdb.learn(at(1000), &switch.view(), &event(10, n, on));
            }
            for earlier in first..=n {
                let seen = fdb.learn(at(1000), &switch.view(), &event(10, earlier, 3));
                assert_eq!(seen, Learned::Damped, "{earlier}");
            }
        }
        assert_hardware_equals_copy(&mut fdb, at(1000));
    }
    assert!(displaced > 0);
}

#[test]
fn damping_of_more_moves_than_are_counted_still_works() {
    let damping = Damping {
        moves: 1_000_000,
        within_seconds: 3600,
        hold_seconds: 10,
    };
    let (switch, mut fdb) = start(Rules {
        damping: Some(damping),
        ..Rules::default()
    });
    fdb.learn(at(1000), &switch.view(), &event(10, 1, 1));
    let seen = (0..65_535).map(|n| fdb.learn(at(1000), &switch.view(), &event(10, 1, 2 - n % 2)));
    assert_eq!(
        seen.filter(|l| matches!(l, Learned::Moved { .. })).count(),
        65_535
    );
    assert_eq!(
        fdb.learn(at(1000), &switch.view(), &event(10, 1, 4)),
        Learned::Damped
    );
}

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

#[test]
fn kinds_have_names() {
    let names = [Kind::Dynamic, Kind::Static, Kind::Blackhole].map(Kind::name);
    assert_eq!(names, ["dynamic", "static", "blackhole"]);
}
