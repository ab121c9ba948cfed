//! The software copy by itself: what a standby keeps, and how one slot of it is told to another module.

use super::super::table::Slot;
use super::{HELD, Info, ShadowBucket};
use crate::time::Epoch;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbKey};
use thiserror::Error;

/// What the copy knows about the key in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The address and its VLAN.
    pub key: FdbKey,
    /// Port number; 0 for a blackhole.
    pub port: u8,
    /// [`hitless_common::map::fdb::flag`] bits.
    pub flags: u8,
    /// Moves counted since `since`.
    pub moves: u16,
    /// When the first of these moves was, or when the entry was put on hold.
    pub since: Epoch,
    /// Whether the entry moved too often and stays where it is for a while.
    pub held: bool,
}

impl ShadowBucket {
    /// What is in a slot; `None` if it is free.
    pub(super) fn copied(&self, index: usize) -> Option<Copied> {
        let (key, info) = (self.keys[index], self.infos[index]);
        (key != FdbKey::FREE).then_some(Copied {
            key,
            port: info.port,
            flags: info.flags & !HELD,
            moves: info.moves,
            since: info.since,
            held: info.flags & HELD != 0,
        })
    }
}

/// A slot beyond the end of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("slot {slot} of an FDB with {slots} slots")]
pub struct NoSuchSlot {
    /// The slot's number.
    pub slot: u32,
    /// The slots that there are.
    pub slots: u32,
}

/// A software copy without hardware: the standby's database of addresses.
#[derive(Debug)]
pub struct Replica<'m> {
    buckets: &'m mut [ShadowBucket],
    len: u32,
}

impl<'m> Replica<'m> {
    /// An empty copy in this memory, whatever was in it.
    pub fn new(buckets: &'m mut [ShadowBucket]) -> Self {
        let mut replica = Self { buckets, len: 0 };
        replica.clear();
        replica
    }

    /// Buckets of the table.
    #[must_use]
    pub const fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Keys in the copy.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no key in the copy.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Frees every slot.
    pub fn clear(&mut self) {
        for bucket in self.buckets.iter_mut().filter(|b| b.is_used()) {
            bucket.keys = [FdbKey::FREE; BUCKET_ENTRIES];
        }
        self.len = 0;
    }

    /// Fills a slot.
    ///
    /// # Errors
    /// When the table has no such slot.
    #[inline]
    pub fn put(&mut self, slot: Slot, entry: &Copied) -> Result<(), NoSuchSlot> {
        let (bucket, index) = self.bucket(slot)?;
        let new = bucket.keys[index] == FdbKey::FREE;
        bucket.keys[index] = entry.key;
        bucket.infos[index] = Info {
            port: entry.port,
            flags: entry.flags & !HELD | if entry.held { HELD } else { 0 },
            moves: entry.moves,
            since: entry.since,
        };
        self.len += u32::from(new);
        Ok(())
    }

    /// Frees a slot.
    ///
    /// # Errors
    /// When the table has no such slot.
    pub fn free(&mut self, slot: Slot) -> Result<(), NoSuchSlot> {
        let (bucket, index) = self.bucket(slot)?;
        let used = bucket.keys[index] != FdbKey::FREE;
        bucket.keys[index] = FdbKey::FREE;
        self.len -= u32::from(used);
        Ok(())
    }

    /// What is in a slot; `None` if it is free or beyond the end.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<Copied> {
        self.buckets
            .get(slot.bucket() as usize)?
            .copied(slot.index())
    }

    /// The used slots, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, Copied)> + '_ {
        (0..).zip(self.buckets.iter()).flat_map(|(number, bucket)| {
            (0..BUCKET_ENTRIES).filter_map(move |index| {
                let copied = bucket.copied(index)?;
                Some((Slot::new(number, index), copied))
            })
        })
    }

    /// The memory, for the software copy of a master.
    #[must_use]
    pub fn into_memory(self) -> &'m mut [ShadowBucket] {
        self.buckets
    }

    fn bucket(&mut self, slot: Slot) -> Result<(&mut ShadowBucket, usize), NoSuchSlot> {
        let slots = (self.buckets.len() * BUCKET_ENTRIES) as u32;
        let bucket = self.buckets.get_mut(slot.bucket() as usize);
        let bucket = bucket.ok_or(NoSuchSlot {
            slot: slot.number(),
            slots,
        })?;
        Ok((bucket, slot.index()))
    }
}

impl ShadowBucket {
    fn is_used(&self) -> bool {
        self.keys.iter().any(|&key| key != FdbKey::FREE)
    }
}
