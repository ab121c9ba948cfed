//! The hardware between two masters, and the writes that lead from one of its states to another.

use hitless_common::map::fdb::{FdbEntry, FdbKey};
use hitless_common::map::vlans::{PortSet, VlanEntry};
use hitless_proto::bridge::cells::{self, BucketCells};
use hitless_proto::bridge::table::{Slot, Slots};
use std::collections::BTreeSet;

/// Buckets of the FDB: 128 slots.
pub const BUCKETS: usize = 32;
/// The seed of its hash.
pub const SEED: u64 = 0xfeed;
/// VLAN ids below this one are in use.
pub const VLANS: usize = 40;

/// One write that another module, or the data path, can see the effect of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Write {
    Fdb(Slot, FdbEntry),
    Vlan(usize, VlanEntry),
    Epoch(u32),
}

/// What is pinned: it outlives every master.
#[derive(Clone, Debug, PartialEq)]
pub struct Hardware {
    pub fdb: Vec<FdbEntry>,
    pub vlans: Vec<VlanEntry>,
    pub epoch: u32,
}

impl Hardware {
    pub fn new() -> Self {
        Self {
            fdb: vec![FdbEntry::default(); BUCKETS * 4],
            vlans: vec![VlanEntry::default(); VLANS],
            epoch: 100,
        }
    }

    pub fn apply(&mut self, write: Write) {
        match write {
            Write::Fdb(slot, entry) => self.fdb[slot.number() as usize] = entry,
            Write::Vlan(vid, entry) => self.vlans[vid] = entry,
            Write::Epoch(epoch) => self.epoch = epoch,
        }
    }

    /// The map of the FDB as a master sees it.
    pub fn cells(&self) -> Vec<BucketCells> {
        let cells: Vec<BucketCells> = (0..BUCKETS).map(|_| BucketCells::default()).collect();
        let mut map = cells::Hardware::new(&cells).unwrap();
        for (slot, entry) in (0..).map(Slot::numbered).zip(&self.fdb) {
            if entry.key != FdbKey::FREE {
                map.put(slot, entry);
            }
        }
        cells
    }
}

/// What the map of the FDB holds; nothing in free slots.
pub fn snapshot(map: &cells::Hardware<'_>) -> Vec<FdbEntry> {
    (0..(BUCKETS * 4) as u32)
        .map(|number| map.entry(Slot::numbered(number)))
        .map(|entry| match entry.key {
            FdbKey::FREE => FdbEntry::default(),
            _ => entry,
        })
        .collect()
}

/// The writes between two states of the FDB, in the order that its rules ask for: an address that goes to another
/// slot is written there before it is cleared here, so a free slot is filled first, and then the one that became free.
pub fn writes(before: &[FdbEntry], after: &[FdbEntry]) -> Vec<Write> {
    let used = || after.iter().filter(|entry| entry.key != FdbKey::FREE);
    let keys: BTreeSet<u64> = used().map(|entry| entry.key.0).collect();
    assert_eq!(keys.len(), used().count(), "an address stands twice");
    let mut now = before.to_vec();
    let mut writes = Vec::new();
    let mut write = |now: &mut Vec<FdbEntry>, place: usize, entry: FdbEntry| {
        now[place] = entry;
        writes.push(Write::Fdb(Slot::numbered(place as u32), entry));
    };
    for place in 0..now.len() {
        let same_key = now[place].key == after[place].key;
        if same_key && now[place] != after[place] {
            write(&mut now, place, after[place]);
        }
        // Forgotten, or the twin of an address that stands where it belongs.
        let key = now[place].key;
        let goes = match after.iter().position(|entry| entry.key == key) {
            None => true,
            Some(home) => home != place && now[home].key == key,
        };
        if key != FdbKey::FREE && goes {
            write(&mut now, place, FdbEntry::default());
        }
    }
    while now != after {
        let free = (0..now.len())
            .find(|&place| now[place].key == FdbKey::FREE && now[place] != after[place])
            .expect("addresses change places by way of a free slot");
        let entry = after[free];
        let origin = now.iter().position(|old| old.key == entry.key);
        write(&mut now, free, entry);
        if let Some(origin) = origin {
            write(&mut now, origin, FdbEntry::default());
        }
    }
    writes
}

/// Whether all ports of one set are in the other.
pub fn within(inner: &PortSet, outer: &PortSet) -> bool {
    inner.and(outer) == *inner
}

/// Whether one entry lets nothing through that the other does not.
pub fn no_more_open(inner: &VlanEntry, outer: &VlanEntry) -> bool {
    within(&inner.forwarding, &outer.forwarding) && within(&inner.fallback, &outer.fallback)
}
