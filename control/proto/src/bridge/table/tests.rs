//! The table against a plain map, against tables filled to the brim, and against readers at work.

use super::super::cells::{BucketCells, Hardware};
use super::*;
use hitless_common::map::fdb::buckets_for;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const SEED: u64 = 0x0123_4567_89ab_cdef;

fn cells(buckets: u32) -> Vec<BucketCells> {
    (0..buckets).map(|_| BucketCells::default()).collect()
}

fn entry(key: FdbKey, port: u16, epoch: u32) -> FdbEntry {
    FdbEntry {
        key,
        port,
        flags: 0,
        epoch,
    }
}

/// A small generator, so that a test needs no clock and no state (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Slots that check what the table does to them, and that every key in them can be found after every step.
struct Watched<'hw> {
    inner: Hardware<'hw>,
    /// How often each key stands in the slots.
    present: BTreeMap<FdbKey, u32>,
    /// Whether the table was asked to remove a key.
    may_remove: bool,
    displaced: u32,
}

impl<'hw> Watched<'hw> {
    fn new(inner: Hardware<'hw>) -> Self {
        Self {
            inner,
            present: BTreeMap::new(),
            may_remove: false,
            displaced: 0,
        }
    }

    fn check(&self) {
        for &key in self.present.keys() {
            assert!(
                self.inner.read(key, SEED).is_some(),
                "{key:?} is lost on the way"
            );
        }
    }

    fn key(&self, slot: Slot) -> FdbKey {
        self.inner.entry(slot).key
    }
}

impl Slots for Watched<'_> {
    fn buckets(&self) -> u32 {
        self.inner.buckets()
    }

    fn keys(&self, bucket: u32) -> [FdbKey; BUCKET_ENTRIES] {
        self.inner.keys(bucket)
    }

    fn entry(&self, slot: Slot) -> FdbEntry {
        self.inner.entry(slot)
    }

    fn put(&mut self, slot: Slot, entry: &FdbEntry) {
        assert_eq!(self.key(slot), FdbKey::FREE);
        let copies = self.present.entry(entry.key).or_default();
        *copies += 1;
        assert!(*copies <= 2, "{:?} stands in three slots", entry.key);
        self.displaced += *copies - 1;
        self.inner.put(slot, entry);
        self.check();
    }

    fn update(&mut self, slot: Slot, port: u16, flags: u16, epoch: Epoch) {
        assert_ne!(self.key(slot), FdbKey::FREE);
        self.inner.update(slot, port, flags, epoch);
    }

    fn clear(&mut self, slot: Slot) {
        let key = self.key(slot);
        let copies = self.present.get_mut(&key).unwrap();
        *copies -= 1;
        if *copies == 0 {
            assert!(self.may_remove, "{key:?} is cleared before it was copied");
            self.present.remove(&key);
        }
        self.inner.clear(slot);
        self.check();
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert {
        key: u64,
        port: u16,
        epoch: u32,
    },
    Remove {
        key: u64,
    },
    /// Removes what was not seen since an epoch.
    Age {
        before: u32,
    },
    /// Removes a port's entries.
    Flush {
        port: u16,
    },
}

fn op(keys: u64) -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..keys, 1..5u16, 0..100u32).prop_map(|(key, port, epoch)| Op::Insert { key, port, epoch }),
        4 => (0..keys).prop_map(|key| Op::Remove { key }),
        1 => (0..60u32).prop_map(|before| Op::Age { before }),
        1 => (1..5u16).prop_map(|port| Op::Flush { port }),
    ]
}

/// Runs operations on a table and on a map, and compares them after each. Only a table with more than half of
/// its slots in use may be full before it has as many keys as it was configured for.
fn compare_with_a_map(buckets: u32, size: u32, ops: &[Op]) {
    let memory = cells(buckets);
    let half = memory.len() * BUCKET_ENTRIES / 2;
    let inner = Hardware::new(&memory).unwrap();
    let mut table = FdbTable::new(Watched::new(inner), SEED, size);
    let mut model: BTreeMap<FdbKey, (u16, u16, u32)> = BTreeMap::new();
    let key_of = |n: u64| FdbKey::from_raw(1 + (n % 3) as u16, 0x0200_0000_0000 + n);
    for op in ops {
        table.slots_mut().may_remove = !matches!(op, Op::Insert { .. });
        match *op {
            Op::Insert { key, port, epoch } => {
                let new = entry(key_of(key), port, epoch);
                let used = model.len() as u32;
                let wanted = match model.get(&new.key) {
                    Some(old) if old.0 == port => Ok(Outcome::Unchanged),
                    Some(_) => Ok(Outcome::Updated),
                    None if used < size => Ok(Outcome::Inserted),
                    None => Err(Full {
                        used,
                        capacity: size,
                    }),
                };
                let done = table.insert(&new);
                if done.is_err() && model.len() > half {
                    assert_eq!(
                        done,
                        Err(Full {
                            used,
                            capacity: size
                        })
                    );
                } else {
                    assert_eq!(done, wanted);
                }
                if matches!(done, Ok(Outcome::Inserted | Outcome::Updated)) {
                    model.insert(new.key, (port, 0, epoch));
                }
            }
            Op::Remove { key } => {
                let removed = table
                    .remove(key_of(key))
                    .map(|e| (e.port, e.flags, e.epoch));
                assert_eq!(removed, model.remove(&key_of(key)));
            }
            Op::Age { before } => {
                remove_if(&mut table, |e| e.epoch < before);
                model.retain(|_, e| e.2 >= before);
            }
            Op::Flush { port } => {
                remove_if(&mut table, |e| e.port == port);
                model.retain(|_, e| e.0 != port);
            }
        }
        let found: BTreeMap<_, _> = table
            .scan(0..table.buckets())
            .map(|(_, e)| (e.key, (e.port, e.flags, e.epoch)))
            .collect();
        assert_eq!(found, model);
        assert_eq!(table.len() as usize, model.len());
        assert!(table.slots().present.values().all(|&copies| copies == 1));
    }
}

fn remove_if<S: Slots>(table: &mut FdbTable<S>, gone: impl Fn(&FdbEntry) -> bool) {
    let slots: Vec<Slot> = table
        .scan(0..table.buckets())
        .filter(|(_, e)| gone(e))
        .map(|(slot, _)| slot)
        .collect();
    for slot in slots {
        table.remove_at(slot);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_small_table_is_a_map(ops in prop::collection::vec(op(90), 0..400)) {
        compare_with_a_map(buckets_for(64), 64, &ops);
    }

    #[test]
    fn a_tight_table_is_a_map(ops in prop::collection::vec(op(40), 0..300)) {
        compare_with_a_map(8, 30, &ops);
    }

    #[test]
    fn pages_give_every_entry_once(size in 1..700u32, limit in 1..50usize) {
        let memory = cells(buckets_for(700));
        let mut table = FdbTable::new(Hardware::new(&memory).unwrap(), SEED, 700);
        for n in 0..u64::from(size) {
            table.insert(&entry(FdbKey::from_raw(7, 0x0200_0000_0000 + n), 3, 0)).unwrap();
        }
        let mut seen = BTreeSet::new();
        let mut from = Some(Slot::START);
        while let Some(at) = from {
            let (entries, next) = table.page(at, limit);
            prop_assert!(entries.len() == limit || next.is_none());
            for e in entries {
                prop_assert!(seen.insert(e.key));
            }
            from = next;
        }
        prop_assert_eq!(seen.len(), size as usize);
    }
}

/// A name, and a way to make the n-th address.
type Pattern = (&'static str, Box<dyn Fn(u64) -> FdbKey>);

/// Addresses as they come in practice and as someone would choose them to make trouble.
fn address_patterns(seed: u64) -> Vec<Pattern> {
    let random = move |n: u64| Random(n ^ seed.rotate_left(17)).next() & 0xfeff_ffff_ffff;
    vec![
        (
            "sequential",
            Box::new(|n| FdbKey::from_raw(1, 0x0200_0000_0000 + n)),
        ),
        (
            "one in every 256",
            Box::new(|n| FdbKey::from_raw(1, 0x0200_0000_0000 + (n << 8))),
        ),
        (
            "same low 24 bits",
            Box::new(|n| FdbKey::from_raw(1, (n << 24) & 0xfeff_ffff_ffff)),
        ),
        (
            "same high bits, reversed",
            Box::new(|n| FdbKey::from_raw(1, n.reverse_bits() >> 17)),
        ),
        (
            "one address in many VLANs",
            Box::new(|n| FdbKey::from_raw((n % 4094) as u16 + 1, 0x0200_0000_0001 + n / 4094)),
        ),
        (
            "VLAN and address in step",
            Box::new(|n| FdbKey::from_raw((n % 4094) as u16 + 1, 0x0200_0000_0000 + n)),
        ),
        (
            "vendor prefixes",
            Box::new(|n| FdbKey::from_raw(1 + (n % 5) as u16, ((n % 37) << 25) + n / 37)),
        ),
        (
            "multiples of the hash's factor",
            Box::new(|n| {
                FdbKey::from_raw(1, n.wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xfeff_ffff_ffff)
            }),
        ),
        ("random", Box::new(move |n| FdbKey::from_raw(10, random(n)))),
    ]
}

#[test]
fn a_table_is_never_full_below_its_size() {
    for size in [64, 100, 128, 1000, 4096] {
        let rounds = if size < 1000 { 300 } else { 20 };
        for round in 0..rounds {
            let seed = Random(round).next();
            for (name, key) in address_patterns(seed) {
                let memory = cells(buckets_for(size));
                let mut table = FdbTable::new(Hardware::new(&memory).unwrap(), seed, size);
                let keys: BTreeSet<_> = (0..u64::from(size)).map(key).collect();
                for &key in &keys {
                    let done = table.insert(&entry(key, 1, 0));
                    assert_eq!(
                        done,
                        Ok(Outcome::Inserted),
                        "{name}, size {size}, seed {seed:#x}"
                    );
                }
            }
        }
    }
}

#[test]
fn displacement_fills_nine_tenths_of_all_slots() {
    for seed in 0..20 {
        for (name, key) in address_patterns(seed) {
            let buckets = 256;
            let slots = buckets * BUCKET_ENTRIES as u32;
            let memory = cells(buckets);
            let mut table = FdbTable::new(Hardware::new(&memory).unwrap(), seed, slots);
            let full = (0..)
                .find_map(|n| table.insert(&entry(key(n), 1, 0)).err())
                .unwrap();
            assert!(full.used > slots * 9 / 10, "{name}, seed {seed}: {full}");
            assert_eq!(full.used, table.len());
        }
    }
}

#[test]
fn displaced_entries_keep_port_flags_and_epoch() {
    let memory = cells(8);
    let inner = Hardware::new(&memory).unwrap();
    let mut table = FdbTable::new(Watched::new(inner), SEED, 32);
    let mut wanted = Vec::new();
    for n in 0..29u16 {
        let new = FdbEntry {
            key: FdbKey::from_raw(1, 0x0200_0000_0000 + u64::from(n)),
            port: n + 1,
            flags: n % 2,
            epoch: u32::from(n) * 1000,
        };
        if table.insert(&new).is_ok() {
            wanted.push(new);
        }
    }
    assert!(table.slots().displaced > 0 && wanted.len() > 24);
    for new in wanted {
        assert_eq!(table.get(new.key), Some(new));
    }
}

#[test]
fn a_table_over_used_slots_knows_them() {
    let memory = cells(32);
    let hardware = Hardware::new(&memory).unwrap();
    let key = FdbKey::from_raw(1, 0x0200_0000_0001);
    FdbTable::new(hardware, SEED, 64)
        .insert(&entry(key, 5, 9))
        .unwrap();
    let table = FdbTable::new(hardware, SEED, 64);
    assert_eq!((table.len(), table.get(key)), (1, Some(entry(key, 5, 9))));
}

#[test]
fn full_says_how_full() {
    let memory = cells(2);
    let mut table = FdbTable::new(Hardware::new(&memory).unwrap(), SEED, 1);
    assert!(table.insert(&entry(FdbKey::from_raw(1, 2), 1, 0)).is_ok());
    let full = table
        .insert(&entry(FdbKey::from_raw(1, 4), 1, 0))
        .unwrap_err();
    assert!(full.to_string().contains("1 of 1 addresses"), "{full}");
    table.set_capacity(2);
    assert!(table.insert(&entry(FdbKey::from_raw(1, 4), 1, 0)).is_ok());
}

/// Ends the readers even when the writer panics.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A table that is written while it is read.
struct Shared {
    buckets: u32,
    /// Keys that stay in the table while others come and go.
    staying: u64,
    /// Keys that come and go; with all of them the table could not hold them.
    passing: u64,
    writes: u32,
}

impl Shared {
    fn key(n: u64) -> FdbKey {
        FdbKey::from_raw(1 + (n % 7) as u16, 0x0200_0000_0000 + n * 3)
    }

    /// One of the two ports between which the writer moves a key; no other key has them.
    fn port(n: u64, other: bool) -> u16 {
        (n * 2) as u16 + u16::from(other)
    }

    fn read(&self, hardware: Hardware<'_>, done: &AtomicBool, mut random: Random) {
        let (mut reads, mut wrong) = (0u64, 0);
        while reads < 100_000 || !done.load(Ordering::Relaxed) {
            reads += 1;
            let n = random.below(self.staying + self.passing);
            // Overtaken by a displacement, a reader may miss an entry; then it looks again.
            let tries = if n < self.staying { 1000 } else { 1 };
            match (0..tries).find_map(|_| hardware.read(Self::key(n), SEED)) {
                Some((port, ..)) => wrong += u32::from(u64::from(port / 2) != n),
                None => assert!(n >= self.staying, "key {n} was there all the time"),
            }
        }
        // A reader that is suspended within the very read during which its key's slot gets another key and then
        // its own again can not know: once in a thousand runs. A wrong order of writes shows many times.
        assert!(
            wrong <= 1,
            "{wrong} of {reads} reads gave another key's port"
        );
    }

    fn write(&self, table: &mut FdbTable<Hardware<'_>>, mut random: Random) {
        let mut full = 0;
        for _ in 0..self.writes {
            let n = random.below(self.staying + self.passing);
            if n < self.staying || random.below(2) > 0 {
                let port = Self::port(n, random.below(2) > 0);
                full += u32::from(table.insert(&entry(Self::key(n), port, 0)).is_err());
            } else {
                table.remove(Self::key(n));
            }
        }
        assert!(full < self.writes / 2, "the table was nearly always full");
    }

    fn run(&self) {
        let memory = cells(self.buckets);
        let hardware = Hardware::new(&memory).unwrap();
        let mut table = FdbTable::new(hardware, SEED, self.buckets * BUCKET_ENTRIES as u32);
        for n in 0..self.staying {
            table
                .insert(&entry(Self::key(n), Self::port(n, false), 0))
                .unwrap();
        }
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for seed in [1, 2] {
                let done = &done;
                scope.spawn(move || self.read(hardware, done, Random(seed)));
            }
            let _end = SetOnDrop(&done);
            self.write(&mut table, Random(3));
        });
    }
}

#[test]
fn readers_never_see_a_wrong_port() {
    Shared {
        buckets: 64,
        staying: 100,
        passing: 200,
        writes: 200_000,
    }
    .run();
}

/// Few slots and keys, so that every slot has a new key all the time.
#[test]
fn readers_never_see_a_wrong_port_in_a_slot_that_is_used_again() {
    Shared {
        buckets: 2,
        staying: 1,
        passing: 4,
        writes: 1_000_000,
    }
    .run();
}
