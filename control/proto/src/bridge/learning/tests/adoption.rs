//! What a new master does with the hardware that it finds, and how the hardware is healed.

use super::*;
use crate::bridge::table::Slots;

/// Puts an entry into its first (or second) bucket behind everybody's back.
fn plant(switch: &Switch, entry: &FdbEntry, second: bool) -> Slot {
    let buckets = entry.key.buckets(SEED, switch.hardware.buckets() - 1);
    plant_in(switch, entry, if second { buckets.1 } else { buckets.0 })
}

fn plant_in(switch: &Switch, entry: &FdbEntry, bucket: u32) -> Slot {
    let free = switch
        .hardware
        .keys(bucket)
        .iter()
        .position(|&k| k == FdbKey::FREE);
    let slot = Slot::new(bucket, free.unwrap());
    switch.hardware.corrupt(slot, entry);
    slot
}

fn learned(vid: u16, number: u16, on: u16) -> FdbEntry {
    FdbEntry {
        key: FdbKey::new(vlan(vid), mac(number)),
        port: on,
        flags: 0,
        epoch: 990,
    }
}

#[test]
fn seed_17_a_new_master_adopts_what_was_learned_and_writes_nothing() {
    let switch = Switch::new(64);
    let (mut old, adopted) = switch.start(Rules::default(), at(1000));
    assert_eq!(adopted, Adopted::default());
    for n in 0..60 {
        old.learn(
            at(1000),
            &switch.view(),
            &event(10 + 10 * (n % 2), n, 1 + n % 4),
        );
    }
    let to = StaticTarget::Port(port(6));
    let statics = BTreeMap::from([((vlan(10), mac(100)), to)]);
    old.reconcile_static(at(1000), &switch.view(), &statics);
    let wanted = old.table().page(Slot::START, 100);
    drop(old);
    let (mut new, adopted) = switch.start(Rules::default(), at(1000));
    assert_eq!(
        adopted,
        Adopted {
            entries: 61,
            ..Adopted::default()
        }
    );
    assert_eq!(new.table().page(Slot::START, 100), wanted);
    assert_eq!(
        (
            new.learned_on(port(1)),
            new.learned_in(vlan(20)),
            new.table().len()
        ),
        (15, 30, 61)
    );
    assert_eq!(
        new.reconcile_static(at(1000), &switch.view(), &statics),
        Reconciled::default()
    );
    assert_hardware_equals_copy(&mut new, at(1000));
    assert_eq!(new.stats(), Stats::default());
}

#[test]
fn entries_that_this_switch_would_not_write_are_dropped() {
    let bad_key = |vid, mac| FdbEntry {
        key: FdbKey::from_raw(vid, mac),
        port: 1,
        flags: 0,
        epoch: 1,
    };
    let bad = [
        ("VLAN 0", bad_key(0, 0x0200_0000_0001)),
        ("VLAN 4095", bad_key(4095, 0x0200_0000_0001)),
        ("VLAN 65535", bad_key(0xffff, 0x0200_0000_0001)),
        ("group address", bad_key(10, 0x0300_0000_0001)),
        ("zero address", bad_key(10, 0)),
        ("ESRP's address", bad_key(10, 0x00e0_2b00_0002)),
        ("VLAN not configured", learned(11, 1, 1)),
        ("port no member", learned(10, 1, 7)),
        ("port 0", learned(10, 1, 0)),
        ("port out of range", learned(10, 1, 129)),
        ("disabled port", learned(10, 1, 5)),
        (
            "static on no member",
            FdbEntry {
                flags: flag::STATIC,
                ..learned(10, 1, 7)
            },
        ),
        (
            "blackhole with a port",
            FdbEntry {
                flags: flag::STATIC | flag::BLACKHOLE,
                ..learned(10, 1, 1)
            },
        ),
        (
            "blackhole not static",
            FdbEntry {
                flags: flag::BLACKHOLE,
                ..learned(10, 1, 0)
            },
        ),
        (
            "unknown flag",
            FdbEntry {
                flags: 1 << 2,
                ..learned(10, 1, 1)
            },
        ),
    ];
    for (what, entry) in bad {
        let switch = Switch::new(64);
        let slot = plant(&switch, &entry, false);
        plant(&switch, &learned(10, 50, 1), false);
        let (fdb, adopted) = switch.start(Rules::default(), at(1000));
        assert_eq!(
            adopted,
            Adopted {
                entries: 1,
                invalid: 1,
                ..Adopted::default()
            },
            "{what}"
        );
        assert_eq!(switch.hardware.entry(slot).key, FdbKey::FREE, "{what}");
        let stats = fdb.stats();
        assert_eq!(
            (stats.invalid_dropped, stats.writes, stats.healed),
            (1, 1, 0),
            "{what}"
        );
        assert_eq!(fdb.learned_in(vlan(10)), 1);
    }
}

#[test]
fn configured_entries_and_ports_that_do_not_learn_now_are_kept() {
    let switch = Switch::new(64);
    let good = [
        learned(10, 1, 6),
        FdbEntry {
            flags: flag::STATIC,
            ..learned(10, 2, 5)
        },
        FdbEntry {
            flags: flag::STATIC | flag::BLACKHOLE,
            ..learned(30, 3, 0)
        },
    ];
    for entry in &good {
        plant(&switch, entry, false);
    }
    let (fdb, adopted) = switch.start(Rules::default(), at(1000));
    assert_eq!(
        adopted,
        Adopted {
            entries: 3,
            ..Adopted::default()
        }
    );
    assert_eq!(
        (
            fdb.learned_on(port(6)),
            fdb.learned_on(port(5)),
            fdb.learned_in(vlan(30))
        ),
        (1, 0, 0)
    );
}

#[test]
fn an_entry_in_a_bucket_of_other_keys_is_dropped() {
    let switch = Switch::new(64);
    let entry = learned(10, 1, 1);
    let (first, second) = entry.key.buckets(SEED, switch.hardware.buckets() - 1);
    let elsewhere = (0..).find(|&b| b != first && b != second).unwrap();
    plant_in(&switch, &entry, elsewhere);
    let (fdb, adopted) = switch.start(Rules::default(), at(1000));
    assert_eq!(
        adopted,
        Adopted {
            misplaced: 1,
            ..Adopted::default()
        }
    );
    assert_eq!((fdb.table().len(), fdb.stats().writes), (0, 1));
}

#[test]
fn of_an_entry_that_stands_twice_the_one_that_is_found_first_stays() {
    // A displacement cut short leaves both; two in one bucket are not of our making. Also with a static one,
    // and whether the copy comes before the original or after it.
    for number in 0..40 {
        for (in_second, flags) in [(true, 0), (false, 0), (true, flag::STATIC)] {
            let switch = Switch::new(64);
            let kept = FdbEntry {
                flags,
                ..learned(10, number, 1)
            };
            let slot = plant(&switch, &kept, false);
            let twin = plant(&switch, &FdbEntry { port: 2, ..kept }, in_second);
            let (mut fdb, adopted) = switch.start(Rules::default(), at(1000));
            assert_eq!(
                adopted,
                Adopted {
                    entries: 1,
                    duplicate: 1,
                    ..Adopted::default()
                }
            );
            assert_eq!(switch.hardware.entry(slot), kept);
            assert_eq!(switch.hardware.entry(twin).key, FdbKey::FREE);
            let dynamic = u32::from(flags == 0);
            assert_eq!(
                (fdb.learned_on(port(1)), fdb.learned_on(port(2))),
                (dynamic, 0)
            );
            assert_eq!((fdb.table().len(), fdb.stats().writes), (1, 1));
            assert_hardware_equals_copy(&mut fdb, at(1000));
        }
    }
}

#[test]
fn an_entry_in_its_second_bucket_is_kept() {
    let switch = Switch::new(64);
    let slot = plant(&switch, &learned(10, 1, 1), true);
    let (fdb, adopted) = switch.start(Rules::default(), at(1000));
    assert_eq!(
        adopted,
        Adopted {
            entries: 1,
            ..Adopted::default()
        }
    );
    assert_eq!(fdb.table().find(FdbKey::new(vlan(10), mac(1))), Some(slot));
    assert_eq!(fdb.stats(), Stats::default());
}

#[test]
#[should_panic(expected = "as many buckets")]
fn the_copy_is_as_large_as_the_hardware() {
    let switch = Switch::new(64);
    let memory = shadow_memory(&switch.hardware).leak();
    Learning::adopt(
        switch.hardware,
        SEED,
        &mut memory[1..],
        Rules::default(),
        &switch.view(),
        at(1),
    );
}

#[test]
fn what_was_in_the_memory_of_the_copy_does_not_matter() {
    let mut switch = Switch::new(64);
    for n in 0..20 {
        plant(&switch, &learned(10, n, 1), false);
    }
    let mut memory = shadow_memory(&switch.hardware);
    {
        // Gone before the next master starts, so the memory may be used again.
        let memory: &mut [_] = &mut memory;
        let view = switch.view();
        let (_, adopted) = Learning::adopt(
            switch.hardware,
            SEED,
            memory,
            Rules::default(),
            &view,
            at(1),
        );
        assert_eq!(adopted.entries, 20);
    }
    switch.hardware = Switch::new(64).hardware;
    let view = switch.view();
    let (mut fdb, adopted) = Learning::adopt(
        switch.hardware,
        SEED,
        &mut memory,
        Rules::default(),
        &view,
        at(1),
    );
    assert_eq!(adopted, Adopted::default());
    assert_eq!(fdb.table().page(Slot::START, 100).0, []);
    assert_hardware_equals_copy(&mut fdb, at(1));
}

#[test]
fn a_table_above_a_lowered_size_is_adopted_and_shrinks_by_itself() {
    let switch = Switch::new(64);
    for n in 0..10 {
        plant(&switch, &learned(10, n, 1), false);
    }
    let (mut fdb, adopted) = switch.start(
        Rules {
            capacity: 5,
            ..Rules::default()
        },
        at(1000),
    );
    assert_eq!((adopted.entries, adopted.dropped()), (10, 0));
    assert_eq!(
        fdb.learn(at(1000), &switch.view(), &event(10, 50, 1)),
        Learned::Full
    );
}

/// Every way in which a slot can differ from the copy.
#[test]
fn seed_50_the_audit_heals_the_hardware() {
    let switch = Switch::new(64);
    let (mut fdb, _) = switch.start(Rules::default(), at(1000));
    for n in 1..=8 {
        fdb.learn(at(1000), &switch.view(), &event(10, n, 1));
    }
    let to = StaticTarget::Port(port(2));
    fdb.create_static(at(1000), &switch.view(), vlan(10), mac(9), to)
        .unwrap();
    let wanted = fdb.table().page(Slot::START, 100);
    let slot = |number| {
        fdb.table()
            .find(FdbKey::new(vlan(10), mac(number)))
            .unwrap()
    };
    let change = |number, change: fn(&mut FdbEntry)| {
        let mut entry = switch.hardware.entry(slot(number));
        change(&mut entry);
        switch.hardware.corrupt(slot(number), &entry);
    };
    change(1, |e| e.key = FdbKey::FREE);
    change(2, |e| e.port = 3);
    change(3, |e| e.flags = flag::BLACKHOLE);
    change(4, |e| e.key.0 ^= 1);
    change(5, |e| e.epoch = 5000);
    change(9, |e| e.flags = 0);
    change(7, |e| (e.port, e.epoch) = (4, 5000));
    // Not damage: the data path saw the address in this epoch.
    change(6, |e| e.epoch = 1000);
    let free = (0..32)
        .map(|b| Slot::new(b, 3))
        .find(|&s| switch.hardware.entry(s).key == FdbKey::FREE)
        .unwrap();
    switch.hardware.corrupt(free, &learned(20, 77, 4));
    let healed = fdb.audit_slice(at(1000), Slot::START, u32::MAX);
    assert_eq!(
        healed,
        Slice {
            next: None,
            changed: 8
        }
    );
    assert_eq!((fdb.stats().healed, fdb.stats().writes), (8, 9 + 8));
    assert_eq!(fdb.table().page(Slot::START, 100), wanted);
    for entry in &wanted.0 {
        let (port, flags, slot) = switch.hardware.read(entry.key, SEED).unwrap();
        assert_eq!((port, flags), (entry.port, entry.flags));
        assert_eq!(switch.hardware.entry(slot).epoch, 1000);
    }
    assert_eq!(switch.hardware.entry(free).key, FdbKey::FREE);
    assert_hardware_equals_copy(&mut fdb, at(1000));
}

#[test]
fn seed_50_a_report_of_a_known_source_heals_its_slot() {
    let switch = Switch::new(64);
    let (mut fdb, _) = switch.start(Rules::default(), at(1000));
    fdb.learn(at(1000), &switch.view(), &event(10, 1, 1));
    let slot = fdb.table().find(FdbKey::new(vlan(10), mac(1))).unwrap();
    switch.hardware.corrupt(slot, &FdbEntry::default());
    assert_eq!(
        fdb.learn(at(1001), &switch.view(), &event(10, 1, 1)),
        Learned::Known
    );
    assert_eq!(
        switch.hardware.read(FdbKey::new(vlan(10), mac(1)), SEED),
        Some((1, 0, slot))
    );
    assert_eq!(fdb.stats().healed, 1);
}

#[test]
fn seed_50_ageing_believes_the_copy_not_damaged_hardware() {
    let switch = Switch::new(64);
    let (mut fdb, _) = switch.start(
        Rules {
            ageing_seconds: Some(10),
            ..Rules::default()
        },
        at(1000),
    );
    let hole = StaticTarget::Blackhole;
    fdb.create_static(at(1000), &switch.view(), vlan(10), mac(1), hole)
        .unwrap();
    let slot = fdb.table().find(FdbKey::new(vlan(10), mac(1))).unwrap();
    switch.hardware.corrupt(slot, &learned(10, 1, 1));
    assert_eq!(fdb.age_slice(at(5000), Slot::START, u32::MAX).changed, 0);
    assert_eq!(fdb.stats().healed, 1);
    assert_eq!(place(&fdb, 10, 1), Some((0, Kind::Blackhole)));
}
