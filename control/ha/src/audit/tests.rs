//! Rows, and any two tables of port sets with the writes made one by one.

use super::*;
use hitless_common::PortNo;
use hitless_common::map::vlans::PortSet;
use proptest::prelude::*;

type Table = BTreeMap<u16, u8>;

/// A table of port sets, as small bitmaps: what is forwarded is a set of keys and bits.
fn effect(change: &Change<u16, u8>) -> Effect<u8> {
    match *change {
        Change::Delete { .. } => Effect::Closes,
        Change::Add { value: 0, .. } => Effect::Closes,
        Change::Add { .. } => Effect::Opens,
        Change::Update { from, to, .. } if to & !from == 0 => Effect::Closes,
        Change::Update { from, to, .. } if from & !to == 0 => Effect::Opens,
        Change::Update { from, to, .. } => Effect::Both { between: from & to },
    }
}

fn apply(table: &mut Table, change: &Change<u16, u8>) {
    let (found, old) = match *change {
        Change::Add { key, value } => (table.insert(key, value), None),
        Change::Update { key, from, to } => (table.insert(key, to), Some(from)),
        Change::Delete { key, was } => (table.remove(&key), Some(was)),
    };
    assert_eq!(found, old, "{change:?} is not about what the table holds");
}

#[test]
fn seed_50_what_is_installed_as_wanted_is_not_written() {
    let table = [(1, 0b11), (10, 0b1)];
    assert_eq!(diff(table, table, effect), []);
    assert_eq!(diff([], [], effect), []);
}

#[test]
fn seed_50_a_damaged_table_is_healed_by_its_differences() {
    let wanted = [(1, 0b11), (10, 0b1), (20, 0b100)];
    let installed = [(1, 0b11), (10, 0b0), (30, 0b1)];
    let healing = [
        Change::Delete { key: 30, was: 0b1 },
        Change::Update {
            key: 10,
            from: 0b0,
            to: 0b1,
        },
        Change::Add {
            key: 20,
            value: 0b100,
        },
    ];
    assert_eq!(diff(wanted, installed, effect), healing);
}

#[test]
fn what_closes_comes_before_what_opens() {
    let installed = [(1, 0b0001), (2, 0b0011), (3, 0b1000), (4, 0b0110)];
    let wanted = [(1, 0b0011), (2, 0b0001), (4, 0b0011), (5, 0b0001)];
    let changes = [
        Change::Update {
            key: 2,
            from: 0b0011,
            to: 0b0001,
        },
        Change::Delete {
            key: 3,
            was: 0b1000,
        },
        Change::Update {
            key: 4,
            from: 0b0110,
            to: 0b0010,
        },
        Change::Update {
            key: 1,
            from: 0b0001,
            to: 0b0011,
        },
        Change::Update {
            key: 4,
            from: 0b0010,
            to: 0b0011,
        },
        Change::Add {
            key: 5,
            value: 0b0001,
        },
    ];
    assert_eq!(diff(wanted, installed, effect), changes);
}

#[test]
fn a_policy_may_turn_the_order_around() {
    let opening_first = |change: &Change<u16, u8>| match change {
        Change::Add { .. } => Effect::Closes,
        _ => Effect::Opens,
    };
    let changes = diff([(9, 1)], [(1, 1)], opening_first);
    assert_eq!(
        changes.iter().map(Change::key).collect::<Vec<_>>(),
        [&9, &1]
    );
}

#[test]
fn what_can_not_be_halved_is_made_in_one_step_at_the_end() {
    let both = |_: &Change<u16, u8>| Effect::Both { between: 0 };
    let changes = diff([(2, 1), (3, 1)], [(1, 1), (3, 2)], both);
    let wanted = [
        Change::Update {
            key: 3,
            from: 2,
            to: 0,
        },
        Change::Delete { key: 1, was: 1 },
        Change::Add { key: 2, value: 1 },
        Change::Update {
            key: 3,
            from: 0,
            to: 1,
        },
    ];
    assert_eq!(changes, wanted);
}

#[test]
fn the_last_value_of_a_key_counts() {
    assert_eq!(diff([(1, 1), (1, 2)], [(1, 1)], effect).len(), 2);
    assert_eq!(diff([(1, 1)], [(1, 2), (1, 1)], effect), []);
}

#[test]
fn seed_50_port_sets_of_vlans_are_healed() {
    let set = |ports: &[u16]| {
        ports
            .iter()
            .filter_map(|&n| PortNo::new(n))
            .collect::<PortSet>()
    };
    let policy = |change: &Change<u16, PortSet>| match change {
        Change::Delete { .. } => Effect::Closes,
        Change::Add { .. } => Effect::Opens,
        Change::Update { from, to, .. } => Effect::Both {
            between: from.and(to),
        },
    };
    let changes = diff([(10, set(&[1, 70]))], [(10, set(&[1, 2]))], policy);
    let by_way_of = set(&[1]);
    let wanted = [
        Change::Update {
            key: 10,
            from: set(&[1, 2]),
            to: by_way_of,
        },
        Change::Update {
            key: 10,
            from: by_way_of,
            to: set(&[1, 70]),
        },
    ];
    assert_eq!(changes, wanted);
}

#[test]
fn a_step_that_changes_nothing_is_left_out() {
    let policy = |change: &Change<u16, u8>| match *change {
        Change::Update { from, to, .. } => Effect::Both { between: from & to },
        ref other => effect(other),
    };
    let changes = diff([(1, 0b01), (2, 0b11)], [(1, 0b11), (2, 0b01)], policy);
    let wanted = [
        Change::Update {
            key: 1,
            from: 0b11,
            to: 0b01,
        },
        Change::Update {
            key: 2,
            from: 0b01,
            to: 0b11,
        },
    ];
    assert_eq!(changes, wanted);
}

fn table() -> impl Strategy<Value = Table> {
    prop::collection::btree_map(0..12u16, 0..16u8, 0..12)
}

/// What a table forwards: a key without a bit forwards nothing.
fn forwards(table: &Table) -> Vec<(u16, u8)> {
    let bits = |(&key, &set): (&u16, &u8)| {
        (0..8)
            .filter(move |b| set >> b & 1 != 0)
            .map(move |b| (key, b))
    };
    table.iter().flat_map(bits).collect()
}

proptest! {
    #[test]
    fn changes_lead_from_one_table_to_the_other(wanted in table(), installed in table()) {
        let changes = diff(wanted.clone(), installed.clone(), effect);
        let mut now = installed.clone();
        let mut opened = false;
        for change in &changes {
            let before = forwards(&now);
            apply(&mut now, change);
            let after = forwards(&now);
            let opens = after.iter().any(|f| !before.contains(f));
            let closes = before.iter().any(|f| !after.contains(f));
            prop_assert!(!(opens && closes), "{:?} does both", change);
            prop_assert!(!(opened && closes), "{:?} closes after something was opened", change);
            opened |= opens;
        }
        prop_assert_eq!(&now, &wanted);
        // Right entries are left alone, others take at most two writes.
        for key in 0..12 {
            let writes = changes.iter().filter(|c| *c.key() == key).count();
            let right = wanted.get(&key) == installed.get(&key);
            prop_assert!(if right { writes == 0 } else { (1..=2).contains(&writes) }, "{key}: {writes} writes");
        }
        // The same tables in another order give the same changes.
        let backwards = diff(wanted.into_iter().rev(), installed.into_iter().rev(), effect);
        prop_assert_eq!(backwards, changes);
    }
}
