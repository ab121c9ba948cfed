//! The hash table of the FDB, on the writer's side: four entries to a bucket, two candidate buckets for a key,
//! displacement when both are full.
//!
//! The algorithm knows only [`Slots`], so that the same code drives the memory-mapped hardware, the software
//! copy, and both at once. One writer; what readers may see meanwhile is the business of the slots.

mod displace;
#[cfg(test)]
mod tests;

use crate::time::Epoch;
use core::hint::black_box;
use core::ops::Range;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbEntry, FdbKey};
use thiserror::Error;

/// Where an entry stands. Slots are numbered through the table, so that they order like a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

impl Slot {
    /// The first slot of every table, where a pass through it begins.
    pub const START: Self = Self(0);

    /// The slot with this index, below [`BUCKET_ENTRIES`], in a bucket, below 2³⁰.
    #[must_use]
    pub const fn new(bucket: u32, index: usize) -> Self {
        Self(bucket * BUCKET_ENTRIES as u32 + index as u32)
    }

    /// The slot with this number: [`BUCKET_ENTRIES`] to a bucket.
    #[must_use]
    pub const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The bucket.
    #[must_use]
    pub const fn bucket(self) -> u32 {
        self.0 / BUCKET_ENTRIES as u32
    }

    /// The index inside the bucket.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize % BUCKET_ENTRIES
    }
}

/// Storage for a table. Its writer calls one method at a time; concurrent readers must never pair a key with
/// another key's port.
pub trait Slots {
    /// The number of buckets: a power of two from 2 to 2³⁰, and it never changes.
    fn buckets(&self) -> u32;
    /// The keys in a bucket, [`FdbKey::FREE`] for free slots.
    fn keys(&self, bucket: u32) -> [FdbKey; BUCKET_ENTRIES];
    /// Reads something of a bucket; see [`FdbTable::fetch`].
    fn touch(&self, bucket: u32) -> u64 {
        self.keys(bucket)[0].0
    }
    /// What is in a slot; only the key is meaningful when it is free.
    fn entry(&self, slot: Slot) -> FdbEntry;
    /// Fills a free slot.
    fn put(&mut self, slot: Slot, entry: &FdbEntry);
    /// Changes what a used slot says about its key.
    fn update(&mut self, slot: Slot, port: u16, flags: u16, epoch: Epoch);
    /// Copies a used slot into a free one, then clears the original: readers find one or the other.
    fn relocate(&mut self, from: Slot, to: Slot) {
        let entry = self.entry(from);
        self.put(to, &entry);
        self.clear(from);
    }
    /// Frees a slot.
    fn clear(&mut self, slot: Slot);
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The key is new.
    Inserted,
    /// The key was there with another port or other flags.
    Updated,
    /// The key was there with this port and these flags: nothing was written, not even the epoch.
    Unchanged,
}

/// There is no room for another key: the table holds as many as it was configured for or, practically never,
/// displacement found no way to a free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the FDB is full: {used} of {capacity} addresses; remove entries or configure a larger one"
)]
pub struct Full {
    /// Keys in the table.
    pub used: u32,
    /// Keys that it was configured for.
    pub capacity: u32,
}

/// The two buckets in which a key may stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    first: u32,
    second: u32,
}

impl Place {
    /// The preferred bucket.
    pub const fn first(self) -> u32 {
        self.first
    }
}

/// A table over some slots. Its invariant: every key stands once, in one of its two buckets.
#[derive(Debug)]
pub struct FdbTable<S> {
    slots: S,
    seed: u64,
    mask: u32,
    len: u32,
    capacity: u32,
}

impl<S: Slots> FdbTable<S> {
    /// The table in `slots`, which is empty or was written with the same `seed`. Insertions are refused from
    /// `capacity` keys on; `buckets_for(capacity)` buckets have room for them.
    pub fn new(slots: S, seed: u64, capacity: u32) -> Self {
        let used = |bucket| {
            slots
                .keys(bucket)
                .iter()
                .filter(|&&k| k != FdbKey::FREE)
                .count() as u32
        };
        let len = (0..slots.buckets()).map(used).sum();
        Self::with_len(slots, seed, capacity, len)
    }

    /// As [`FdbTable::new`], for who knows that `slots` hold `len` keys.
    pub(super) fn with_len(slots: S, seed: u64, capacity: u32, len: u32) -> Self {
        let mask = slots.buckets() - 1;
        Self {
            slots,
            seed,
            mask,
            len,
            capacity,
        }
    }

    /// Keys in the table.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Says how many keys the slots hold, for who has changed them underneath.
    pub(super) const fn set_len(&mut self, len: u32) {
        self.len = len;
    }

    /// The seed of the hash.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether there is no key in the table.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keys from which on insertions are refused.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Changes the number of keys from which on insertions are refused. Nothing is removed.
    pub const fn set_capacity(&mut self, capacity: u32) {
        self.capacity = capacity;
    }

    /// The number of buckets.
    #[must_use]
    pub const fn buckets(&self) -> u32 {
        self.mask + 1
    }

    /// The slots.
    #[must_use]
    pub const fn slots(&self) -> &S {
        &self.slots
    }

    /// The slots, for what does not change which keys are where.
    pub(super) const fn slots_mut(&mut self) -> &mut S {
        &mut self.slots
    }

    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: FdbKey) -> Option<FdbEntry> {
        self.find(key).map(|slot| self.slots.entry(slot))
    }

    /// Where a key stands.
    #[must_use]
    pub fn find(&self, key: FdbKey) -> Option<Slot> {
        self.find_at(self.place(key), key)
    }

    /// Adds a key, or changes the entry that it has.
    ///
    /// # Errors
    /// When the key is new and the table is full.
    ///
    /// # Panics
    /// When the key is [`FdbKey::FREE`], which is none.
    pub fn insert(&mut self, entry: &FdbEntry) -> Result<Outcome, Full> {
        let place = self.place(entry.key);
        let Some(slot) = self.find_at(place, entry.key) else {
            return self.insert_at(place, entry).map(|_| Outcome::Inserted);
        };
        let old = self.slots.entry(slot);
        if (old.port, old.flags) == (entry.port, entry.flags) {
            return Ok(Outcome::Unchanged);
        }
        self.update(slot, entry.port, entry.flags, Epoch::new(entry.epoch));
        Ok(Outcome::Updated)
    }

    /// Changes the entry in a used slot.
    pub fn update(&mut self, slot: Slot, port: u16, flags: u16, epoch: Epoch) {
        self.slots.update(slot, port, flags, epoch);
    }

    /// Removes a key; gives back its entry if it was there.
    pub fn remove(&mut self, key: FdbKey) -> Option<FdbEntry> {
        let slot = self.find(key)?;
        let entry = self.slots.entry(slot);
        self.remove_at(slot);
        Some(entry)
    }

    /// Frees a used slot.
    pub fn remove_at(&mut self, slot: Slot) {
        self.slots.clear(slot);
        self.len -= 1;
    }

    /// The entries in some buckets, in the order of their slots.
    pub fn scan(&self, buckets: Range<u32>) -> impl Iterator<Item = (Slot, FdbEntry)> + '_ {
        let end = buckets.end.min(self.buckets());
        (buckets.start..end).flat_map(move |bucket| {
            let keys = self.slots.keys(bucket);
            (0..BUCKET_ENTRIES)
                .filter(move |&i| keys[i] != FdbKey::FREE)
                .map(move |i| Slot::new(bucket, i))
                .map(|slot| (slot, self.slots.entry(slot)))
        })
    }

    /// Up to `limit` entries from a slot on, and the slot to go on from. An entry that is displaced between two
    /// calls may come twice or not at all.
    #[must_use]
    pub fn page(&self, from: Slot, limit: usize) -> (Vec<FdbEntry>, Option<Slot>) {
        let mut rest = self
            .scan(from.bucket()..self.buckets())
            .skip_while(|(slot, _)| *slot < from);
        let entries = rest.by_ref().take(limit).map(|(_, entry)| entry).collect();
        (entries, rest.next().map(|(slot, _)| slot))
    }

    /// Has the processor fetch the cache lines of some keys that are about to be used, all at once instead of
    /// one after the other: for a table larger than the caches this makes the use several times faster. A few
    /// dozen keys at a time are best.
    pub fn fetch(&self, keys: impl Iterator<Item = FdbKey>) {
        let touched = keys.fold(0, |sum, key| {
            let place = self.place(key);
            sum ^ self.slots.touch(place.first) ^ self.slots.touch(place.second)
        });
        // The reads must happen though nobody wants their result.
        black_box(touched);
    }

    /// The buckets of a key.
    pub(super) fn place(&self, key: FdbKey) -> Place {
        let (first, second) = key.buckets(self.seed, self.mask);
        Place { first, second }
    }

    /// Where a key stands, by its buckets.
    pub(super) fn find_at(&self, place: Place, key: FdbKey) -> Option<Slot> {
        self.find_in(place.first, key)
            .or_else(|| self.find_in(place.second, key))
    }

    /// Adds a key that is known not to be in the table.
    pub(super) fn insert_at(&mut self, place: Place, entry: &FdbEntry) -> Result<Slot, Full> {
        assert!(
            entry.key != FdbKey::FREE,
            "the key of a free slot can not be inserted"
        );
        let full = Full {
            used: self.len,
            capacity: self.capacity,
        };
        if self.len >= self.capacity {
            return Err(full);
        }
        let slot = self
            .find_in(place.first, FdbKey::FREE)
            .or_else(|| self.find_in(place.second, FdbKey::FREE))
            .or_else(|| self.displace(place))
            .ok_or(full)?;
        self.slots.put(slot, entry);
        self.len += 1;
        Ok(slot)
    }

    /// Without a branch for each entry: a mispredicted one would wait for the cache line, and with it the
    /// lines of the next keys.
    #[inline(always)]
    fn find_in(&self, bucket: u32, key: FdbKey) -> Option<Slot> {
        let mut hits = 0u32;
        for (i, &k) in self.slots.keys(bucket).iter().enumerate() {
            hits |= u32::from(k == key) << i;
        }
        (hits != 0).then(|| Slot::new(bucket, hits.trailing_zeros() as usize))
    }
}
