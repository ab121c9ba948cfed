//! What is learned, what moves, what is held.

use super::*;

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
fn kinds_have_names() {
    let names = [Kind::Dynamic, Kind::Static, Kind::Blackhole].map(Kind::name);
    assert_eq!(names, ["dynamic", "static", "blackhole"]);
}
