//! The start of a master that has the last one's software copy.

use super::*;
use crate::bridge::shadow::{Copied, Replica};
use std::collections::BTreeMap;

/// A standby's copy, fed with what its master lists.
fn replica(switch: &Switch) -> Replica<'static> {
    Replica::new(shadow_memory(&switch.hardware).leak())
}

/// Checkpoints every change so far.
fn checkpoint(fdb: &mut Learning<'_>, replica: &mut Replica<'_>) {
    let mut slots = Vec::new();
    assert!(fdb.take_changes(&mut slots));
    for slot in slots {
        match fdb.table().slots().copied(slot) {
            Some(copied) => replica.put(slot, &copied).unwrap(),
            None => replica.free(slot).unwrap(),
        }
    }
}

fn content(replica: &Replica<'_>) -> BTreeMap<u64, Copied> {
    replica.iter().map(|(_, c)| (c.key.0, c)).collect()
}

fn resume(switch: &Switch, replica: Replica<'static>, now: Epoch) -> (Learning<'static>, Adopted) {
    let view = switch.view();
    let mut fdb = Learning::resume(switch.hardware, SEED, replica, damped(), &view);
    loop {
        assert!(fdb.is_settling());
        if let Some(adopted) = fdb.settle(&view, now, 3) {
            assert!(!fdb.is_settling());
            return (fdb, adopted);
        }
    }
}

#[test]
fn seed_49_the_copy_follows_the_changes_slot_by_slot() {
    let (switch, mut fdb) = start(damped());
    let mut copy = replica(&switch);
    fdb.follow(10_000);
    for n in 0..60 {
        fdb.learn(at(1000), &switch.view(), &event(10, n, 1));
    }
    checkpoint(&mut fdb, &mut copy);
    assert_eq!(copy.len(), 60);
    for n in 0..20 {
        fdb.learn(at(1001), &switch.view(), &event(10, n, 2));
    }
    fdb.flush(&Flush {
        port: Some(port(1)),
        ..Flush::default()
    });
    checkpoint(&mut fdb, &mut copy);
    assert_eq!(copy.len(), 20);
    assert!(copy.iter().all(|(_, c)| (c.port, c.moves) == (2, 1)));
    assert!(
        copy.iter()
            .all(|(slot, c)| fdb.table().slots().copied(slot) == Some(c))
    );
}

#[test]
fn too_many_changes_are_told_and_cost_no_memory() {
    let (switch, mut fdb) = start(Rules::default());
    fdb.follow(4);
    for n in 0..10 {
        fdb.learn(at(1000), &switch.view(), &event(10, n, 1));
    }
    let mut slots = Vec::new();
    assert!(!fdb.take_changes(&mut slots));
    assert_eq!(slots.len(), 4);
    fdb.follow(0);
    fdb.learn(at(1000), &switch.view(), &event(10, 11, 1));
    assert!(
        fdb.take_changes(&mut slots),
        "nobody follows, so nothing is missed"
    );
    assert_eq!(slots.len(), 4);
}

#[test]
fn seed_51_damping_goes_on_where_it_was_and_nothing_is_written() {
    let (switch, mut old) = start(damped());
    let mut copy = replica(&switch);
    old.follow(10_000);
    for to in [1, 2, 1, 2] {
        old.learn(at(1000), &switch.view(), &event(10, 7, to));
    }
    checkpoint(&mut old, &mut copy);
    let before = content(&copy);
    drop(old);
    let (mut new, adopted) = resume(&switch, copy, at(1001));
    assert_eq!((adopted.entries, adopted.dropped()), (1, 0));
    assert_eq!(new.stats().writes, 0);
    let slot = new.table().find(FdbKey::new(vlan(10), mac(7))).unwrap();
    let after = new.table().slots().copied(slot).unwrap();
    assert_eq!(before.values().copied().collect::<Vec<_>>(), [after]);
    // The fourth move within the interval is one too many: only who remembers the others knows.
    assert_eq!(
        new.learn(at(1001), &switch.view(), &event(10, 7, 1)),
        Learned::Damped
    );
}

#[test]
fn the_hardware_decides_what_is_known() {
    let (switch, mut old) = start(Rules::default());
    let mut copy = replica(&switch);
    old.follow(10_000);
    for n in 0..10 {
        old.learn(at(1000), &switch.view(), &event(10, n, 1));
    }
    checkpoint(&mut old, &mut copy);
    // After the last checkpoint: one learned, one moved, one forgotten.
    old.learn(at(1000), &switch.view(), &event(10, 50, 2));
    old.learn(at(1000), &switch.view(), &event(10, 0, 3));
    old.flush(&Flush {
        mac: Some(mac(1)),
        ..Flush::default()
    });
    let wanted = old.table().page(Slot::START, 100);
    drop(old);
    let (mut new, adopted) = resume(&switch, copy, at(1001));
    assert_eq!(adopted.entries, 10);
    assert_eq!(new.table().page(Slot::START, 100), wanted);
    assert_eq!(new.learned_on(port(1)), 8);
    assert_eq!(new.stats().writes, 0);
    assert_hardware_equals_copy(&mut new, at(1001));
}

#[test]
fn seed_37_what_is_not_linked_to_the_database_goes_unless_it_is_used() {
    let (switch, mut old) = start(Rules::default());
    let mut copy = replica(&switch);
    old.follow(10_000);
    old.learn(at(1000), &switch.view(), &event(10, 1, 1));
    checkpoint(&mut old, &mut copy);
    for n in 2..5 {
        old.learn(at(1000), &switch.view(), &event(10, n, 1));
    }
    drop(old);
    let (mut new, _) = resume(&switch, copy, at(1005));
    // Frames come from one of the three; the linked one is silent.
    let slot = new.table().find(FdbKey::new(vlan(10), mac(3))).unwrap();
    switch.hardware.stamp(slot, at(1006));
    assert_eq!(new.sweep_unlinked(at(1005)), 2);
    let left: Vec<bool> = (1..5)
        .map(|n| new.get(vlan(10), mac(n)).is_some())
        .collect();
    assert_eq!(left, [true, false, true, false]);
    assert_eq!(new.sweep_unlinked(at(2000)), 0);
    assert_hardware_equals_copy(&mut new, at(1006));
}

#[test]
fn a_slot_beyond_the_table_is_an_error() {
    let switch = Switch::new(64);
    let mut copy = replica(&switch);
    let copied = Copied {
        key: FdbKey::new(vlan(10), mac(1)),
        port: 1,
        flags: 0,
        moves: 0,
        since: at(0),
        held: false,
    };
    let beyond = Slot::new(buckets_for(64), 0);
    assert!(copy.put(beyond, &copied).is_err());
    assert!(copy.free(beyond).is_err());
    copy.put(Slot::START, &copied).unwrap();
    copy.put(Slot::START, &copied).unwrap();
    assert_eq!(copy.len(), 1);
    copy.clear();
    assert!(copy.is_empty() && copy.iter().next().is_none());
}
