//! Reading the forwarding database while the master writes it; see `hitless_common::map::fdb` for the rules.

use crate::maps;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbBucket, FdbEntry, FdbKey};

/// An entry as it was read, and where it stands.
#[derive(Clone, Copy)]
pub struct Found {
    entry: *mut FdbEntry,
    /// Port number, 0 for none.
    pub port: u16,
    /// [`hitless_common::map::fdb::flag`] bits.
    pub flags: u16,
}

impl Found {
    /// Marks the entry as seen in this epoch. Writes at most once an epoch, so the line stays clean.
    #[inline(always)]
    pub fn stamp(&self, epoch: u32) {
        // SAFETY: `entry` points into an array value, which lives as long as the map. Volatile: the master reads it.
        unsafe {
            let stamp = &raw mut (*self.entry).epoch;
            if stamp.read_volatile() != epoch {
                stamp.write_volatile(epoch);
            }
        }
    }
}

#[inline(always)]
fn search(bucket: *mut FdbBucket, key: FdbKey) -> Option<Found> {
    let entries = bucket.cast::<FdbEntry>();
    let mut i = 0;
    while i < BUCKET_ENTRIES {
        // SAFETY: `i` stays inside the bucket, and the bucket is an array value. Volatile: the master may write
        // it right now, so each read must happen, in this order, once.
        unsafe {
            let entry = entries.add(i);
            let stored = (&raw const (*entry).key).cast::<u64>();
            if stored.read_volatile() == key.0 {
                // Port and flags in one read: they belong together.
                let target = (&raw const (*entry).port).cast::<u32>().read_volatile();
                if stored.read_volatile() == key.0 {
                    return Some(Found {
                        entry,
                        port: target as u16,
                        flags: (target >> 16) as u16,
                    });
                }
            }
        }
        i += 1;
    }
    None
}

/// Where a key may stand. Looked up for source and destination before either is searched, so that the
/// processor fetches both cache lines at once.
#[derive(Clone, Copy)]
pub struct Place {
    key: FdbKey,
    first: *mut FdbBucket,
    second: u32,
}

/// The place of an address in a VLAN.
#[inline(always)]
pub fn place(key: FdbKey) -> Option<Place> {
    let (first, second) = key.buckets(maps::fdb_seed(), maps::fdb_mask());
    let first = maps::bucket(first)?;
    Some(Place { key, first, second })
}

impl Place {
    /// The entry, if the address is known.
    #[inline(always)]
    pub fn find(&self) -> Option<Found> {
        if let Some(found) = search(self.first, self.key) {
            return Some(found);
        }
        search(maps::bucket(self.second)?, self.key)
    }
}
