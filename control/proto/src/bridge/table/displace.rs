//! Making room when both buckets of a new key are full: entries are moved to their other buckets.
//!
//! A breadth-first search finds the shortest chain of moves that ends in a free slot; then the moves are done
//! from that end, so that every entry is copied before its old place is used for the next one.

use super::{BUCKET_ENTRIES, FdbKey, FdbTable, Place, Slot, Slots};

/// Buckets that one search may visit. At the nominal load of half the slots, one search in a thousand visits
/// more than a handful; this many are needed only by a table filled far beyond that.
const MAX_VISITS: usize = 512;

/// The parent of the two buckets in which a search begins.
const ROOT: u16 = u16::MAX;

/// A full bucket that the search came to.
#[derive(Clone, Copy)]
struct Visit {
    bucket: u32,
    /// The visit from which it came here, or [`ROOT`].
    parent: u16,
    /// The index, in the parent's bucket, of the entry whose other bucket this is.
    via: u16,
}

impl<S: Slots> FdbTable<S> {
    /// Frees a slot in one of two full buckets, or finds no way to.
    #[cold]
    pub(super) fn displace(&mut self, place: Place) -> Option<Slot> {
        let root = |bucket| Visit {
            bucket,
            parent: ROOT,
            via: 0,
        };
        let mut visits = Vec::with_capacity(64);
        visits.extend([root(place.first), root(place.second)]);
        let mut at = 0;
        while at < visits.len() {
            let here = visits[at].bucket;
            for (index, key) in self.slots.keys(here).into_iter().enumerate() {
                let other = self.other_bucket(key, here);
                if visits.iter().any(|v| v.bucket == other) {
                    continue;
                }
                if let Some(free) = self.find_in(other, FdbKey::FREE) {
                    return Some(self.shift(&visits, at, index, free));
                }
                if visits.len() < MAX_VISITS {
                    // Both numbers are below their small bounds.
                    let (parent, via) = (at as u16, index as u16);
                    visits.push(Visit {
                        bucket: other,
                        parent,
                        via,
                    });
                }
            }
            at += 1;
        }
        None
    }

    /// Moves the chain of entries that ends with the one at `index` of visit `at`, last first; gives back the
    /// slot that is free then.
    fn shift(&mut self, visits: &[Visit], mut at: usize, mut index: usize, mut free: Slot) -> Slot {
        loop {
            let from = Slot::new(visits[at].bucket, index);
            self.slots.relocate(from, free);
            free = from;
            if visits[at].parent == ROOT {
                return free;
            }
            index = usize::from(visits[at].via);
            at = usize::from(visits[at].parent);
        }
    }

    fn other_bucket(&self, key: FdbKey, bucket: u32) -> u32 {
        let place = self.place(key);
        if place.first == bucket {
            place.second
        } else {
            place.first
        }
    }
}

const _: () = assert!(MAX_VISITS < ROOT as usize && BUCKET_ENTRIES < u16::MAX as usize);
