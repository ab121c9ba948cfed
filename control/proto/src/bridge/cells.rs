//! The FDB map as the master sees it through its mapping: [`FdbBucket`]s made of atomics, because the data path
//! reads them, and stamps their epochs, at the same time.
//!
//! The order of the writes is the rule of [`hitless_common::map::fdb`]. On x86 the fences and release stores
//! cost nothing.

use super::shadow::Replica;
use super::table::{Slot, Slots};
use crate::time::Epoch;
use core::array;
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64, fence};
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbBucket, FdbEntry, FdbKey};
use thiserror::Error;

/// An [`FdbEntry`] that the data path uses while it is written.
#[repr(C, align(8))]
#[derive(Debug, Default)]
struct Cell {
    key: AtomicU64,
    #[cfg(feature = "edition-newer")]
    epoch: AtomicU32,
    /// Port and flags in one word, so that no reader pairs an old port with new flags.
    target: AtomicU32,
    #[cfg(not(feature = "edition-newer"))]
    epoch: AtomicU32,
}

/// An [`FdbBucket`] that the data path uses while it is written. Any bit pattern is valid.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct BucketCells([Cell; BUCKET_ENTRIES]);

const _: () = {
    assert!(size_of::<Cell>() == size_of::<FdbEntry>());
    assert!(offset_of!(Cell, key) == offset_of!(FdbEntry, key));
    assert!(offset_of!(Cell, target) == offset_of!(FdbEntry, port));
    assert!(offset_of!(FdbEntry, flags) == offset_of!(FdbEntry, port) + 2);
    assert!(offset_of!(Cell, epoch) == offset_of!(FdbEntry, epoch));
    assert!(size_of::<BucketCells>() == size_of::<FdbBucket>());
    assert!(align_of::<BucketCells>() == align_of::<FdbBucket>());
};

/// Port and flags as they lie side by side in an [`FdbEntry`].
const fn target(port: u16, flags: u16) -> u32 {
    let (p, f) = (port.to_ne_bytes(), flags.to_ne_bytes());
    u32::from_ne_bytes([p[0], p[1], f[0], f[1]])
}

/// The inverse of [`target`].
const fn port_and_flags(target: u32) -> (u16, u16) {
    let b = target.to_ne_bytes();
    (
        u16::from_ne_bytes([b[0], b[1]]),
        u16::from_ne_bytes([b[2], b[3]]),
    )
}

impl Cell {
    #[inline]
    fn load(&self) -> FdbEntry {
        let (port, flags) = port_and_flags(self.target.load(Relaxed));
        FdbEntry {
            key: FdbKey(self.key.load(Relaxed)),
            port,
            flags,
            epoch: self.epoch.load(Relaxed),
        }
    }

    #[inline]
    fn put(&self, entry: &FdbEntry) {
        // The slot may have been cleared a moment ago: who sees the new target must see that clearing, too.
        fence(Release);
        self.target.store(target(entry.port, entry.flags), Relaxed);
        self.epoch.store(entry.epoch, Relaxed);
        self.key.store(entry.key.0, Release);
    }
}

/// A number of buckets that no table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an FDB of {0} buckets: it must be a power of two from 2 to 2^30; clear the hardware to build it anew"
)]
pub struct BadBucketCount(pub usize);

/// The pinned FDB map, mapped into memory. Only the master may have one that it writes through.
#[derive(Clone, Copy, Debug)]
pub struct Hardware<'hw> {
    buckets: &'hw [BucketCells],
}

impl<'hw> Hardware<'hw> {
    /// The map whose buckets these are.
    ///
    /// # Errors
    /// When their number is no power of two from 2 to 2³⁰.
    pub fn new(buckets: &'hw [BucketCells]) -> Result<Self, BadBucketCount> {
        let n = buckets.len();
        if n.is_power_of_two() && (2..=1 << 30).contains(&n) {
            Ok(Self { buckets })
        } else {
            Err(BadBucketCount(n))
        }
    }

    /// Bytes that the map occupies.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        size_of_val(self.buckets)
    }

    /// Fills an empty map with what a software copy has, each entry in its slot and as if seen in `epoch`. The copy is
    /// of a table with as many buckets.
    pub fn restore(&mut self, copy: &Replica<'_>, epoch: Epoch) {
        for (slot, copied) in copy.iter() {
            let entry = FdbEntry {
                key: copied.key,
                port: copied.port.into(),
                flags: copied.flags.into(),
                epoch: epoch.get(),
            };
            self.put(slot, &entry);
        }
    }

    /// The entries of a bucket as they are now; free slots hold anything but a key.
    #[inline]
    pub(super) fn bucket(&self, bucket: u32) -> [FdbEntry; BUCKET_ENTRIES] {
        let cells = &self.buckets[bucket as usize].0;
        array::from_fn(|i| cells[i].load())
    }

    /// When the entry was last seen.
    pub(super) fn epoch(&self, slot: Slot) -> Epoch {
        Epoch::new(self.cell(slot).epoch.load(Relaxed))
    }

    /// Stamps an entry as the data path does.
    pub(super) fn stamp(&self, slot: Slot, epoch: Epoch) {
        self.cell(slot).epoch.store(epoch.get(), Relaxed);
    }

    #[inline]
    fn cell(&self, slot: Slot) -> &Cell {
        &self.buckets[slot.bucket() as usize].0[slot.index()]
    }
}

impl Slots for Hardware<'_> {
    #[inline]
    fn buckets(&self) -> u32 {
        // At most 2^30: checked by `new`.
        self.buckets.len() as u32
    }

    #[inline]
    fn keys(&self, bucket: u32) -> [FdbKey; BUCKET_ENTRIES] {
        let cells = &self.buckets[bucket as usize].0;
        array::from_fn(|i| FdbKey(cells[i].key.load(Relaxed)))
    }

    #[inline]
    fn entry(&self, slot: Slot) -> FdbEntry {
        self.cell(slot).load()
    }

    #[inline]
    fn put(&mut self, slot: Slot, entry: &FdbEntry) {
        self.cell(slot).put(entry);
    }

    #[inline]
    fn update(&mut self, slot: Slot, port: u16, flags: u16, epoch: Epoch) {
        let cell = self.cell(slot);
        cell.target.store(target(port, flags), Relaxed);
        cell.epoch.store(epoch.get(), Relaxed);
    }

    #[inline]
    fn clear(&mut self, slot: Slot) {
        self.cell(slot).key.store(FdbKey::FREE.0, Release);
    }
}

#[cfg(test)]
impl Hardware<'_> {
    /// Looks a key up as the data path does, while the writer may be at work: its port, flags and slot.
    pub(super) fn read(&self, key: FdbKey, seed: u64) -> Option<(u16, u16, Slot)> {
        use core::sync::atomic::Ordering::Acquire;
        let (first, second) = key.buckets(seed, self.buckets() - 1);
        for bucket in [first, second] {
            for index in 0..BUCKET_ENTRIES {
                let slot = Slot::new(bucket, index);
                let cell = self.cell(slot);
                if cell.key.load(Acquire) != key.0 {
                    continue;
                }
                let (port, flags) = port_and_flags(cell.target.load(Relaxed));
                fence(Acquire);
                if cell.key.load(Relaxed) == key.0 {
                    return Some((port, flags, slot));
                }
            }
        }
        None
    }

    /// Overwrites a slot behind the back of whoever owns the table.
    pub(super) fn corrupt(&self, slot: Slot, entry: &FdbEntry) {
        self.cell(slot).put(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_and_flags_lie_as_in_the_entry() {
        assert_eq!(port_and_flags(target(0x1234, 0x5678)), (0x1234, 0x5678));
        if cfg!(target_endian = "little") {
            assert_eq!(target(0x1234, 0x5678), 0x5678_1234);
        }
    }

    #[test]
    fn only_powers_of_two_are_tables() {
        let cells: Vec<BucketCells> = (0..6).map(|_| BucketCells::default()).collect();
        for (n, good) in [
            (0, false),
            (1, false),
            (2, true),
            (3, false),
            (4, true),
            (6, false),
        ] {
            assert_eq!(Hardware::new(&cells[..n]).is_ok(), good, "{n}");
        }
        assert!(BadBucketCount(6).to_string().contains("6 buckets"));
    }
}
