//! The master's software copy of the FDB, and the pair of copy and hardware that one table drives.
//!
//! Both have the same layout: a place is computed once and used for both, and an audit is a linear comparison.
//! The copy has no epochs, which belong to the data path; in their stead it keeps what damping needs.

mod replica;

pub use replica::{Copied, NoSuchSlot, Replica};

use super::cells::Hardware;
use super::table::{Slot, Slots};
use crate::time::Epoch;
use core::ops::Range;
use hitless_common::PortNo;
use hitless_common::limits::MAX_PORTS;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbEntry, FdbKey, flag};

/// What the copy knows about a key. In a free slot it means nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Info {
    /// Port number; 0 for a blackhole.
    pub port: u8,
    /// [`flag`] bits, all of which fit, and [`HELD`].
    pub flags: u8,
    /// Moves counted since `since`.
    pub moves: u16,
    /// When the first of these moves was, or when the entry was put on hold.
    pub since: Epoch,
}

/// Bit of [`Info::flags`] that only the copy has: the entry moved too often and stays where it is for a while.
pub(super) const HELD: u8 = 1 << 7;

const _: () = assert!((flag::STATIC | flag::BLACKHOLE) & !(HELD as u16 - 1) == 0);
const _: () = assert!(MAX_PORTS <= u8::MAX as usize);

impl Info {
    /// What is known about an entry that was just written.
    const fn new(port: u16, flags: u16) -> Self {
        Self {
            // Both fit, as asserted above.
            port: port as u8,
            flags: flags as u8,
            moves: 0,
            since: Epoch::new(0),
        }
    }

    /// Port and flags as the hardware has them.
    pub const fn target(self) -> (u16, u16) {
        (self.port as u16, (self.flags & !HELD) as u16)
    }

    /// Whether the entry was learned, not configured.
    pub const fn is_dynamic(self) -> bool {
        self.flags as u16 & flag::STATIC == 0
    }

    /// The port, if the entry was learned.
    pub const fn learned_on(self) -> Option<PortNo> {
        if self.is_dynamic() {
            PortNo::new(self.port as u16)
        } else {
            None
        }
    }
}

/// A bucket of the copy: one cache line, as in the hardware. Any bit pattern is valid.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct ShadowBucket {
    pub(super) keys: [FdbKey; BUCKET_ENTRIES],
    pub(super) infos: [Info; BUCKET_ENTRIES],
}

/// Memory for the copy of a hardware table. What is in it does not matter, so that a daemon can bring its own:
/// in huge pages, copying a million entries takes half the time, because most of it goes into page faults.
#[must_use]
pub fn shadow_memory(hardware: &Hardware<'_>) -> Vec<ShadowBucket> {
    vec![ShadowBucket::default(); hardware.buckets() as usize]
}

const _: () = assert!(size_of::<ShadowBucket>() == 64);

impl ShadowBucket {
    /// Fills a slot; nothing is known yet about its moves.
    pub fn put(&mut self, index: usize, entry: &FdbEntry) {
        self.keys[index] = entry.key;
        self.infos[index] = Info::new(entry.port, entry.flags);
    }
}

/// The slots whose copy has changed, for the checkpoint: a list with a limit, so that a standby that does not keep up
/// costs a bounded amount of memory.
#[derive(Debug, Default)]
struct Changes {
    slots: Vec<Slot>,
    /// Slots listed at most; 0 while nobody follows.
    limit: usize,
    overrun: bool,
}

impl Changes {
    #[inline]
    fn note(&mut self, slot: Slot) {
        if self.slots.len() < self.limit {
            self.slots.push(slot);
        } else {
            self.overrun = self.limit > 0;
        }
    }
}

/// The hardware and its copy, written together. What is read comes from the copy, epochs from the hardware.
#[derive(Debug)]
pub struct Mirror<'hw> {
    shadow: &'hw mut [ShadowBucket],
    hardware: Hardware<'hw>,
    /// Slots of the hardware that were filled, changed or freed.
    writes: u64,
    changes: Changes,
}

impl<'hw> Mirror<'hw> {
    /// The pair of a hardware table and a copy with as many buckets.
    pub(super) fn new(hardware: Hardware<'hw>, shadow: &'hw mut [ShadowBucket]) -> Self {
        Self {
            shadow,
            hardware,
            writes: 0,
            changes: Changes::default(),
        }
    }

    /// Begins, with a limit above 0, or ends to list the slots whose copy changes.
    pub(super) fn follow(&mut self, limit: usize) {
        self.changes = Changes {
            slots: Vec::new(),
            limit,
            overrun: false,
        };
    }

    /// Moves the listed slots to `into`, in the order of the changes; a slot may be listed more than once. False if
    /// there were more than the limit.
    pub(super) fn take_changes(&mut self, into: &mut Vec<Slot>) -> bool {
        into.append(&mut self.changes.slots);
        !core::mem::take(&mut self.changes.overrun)
    }

    /// What the copy has in a slot; `None` if the slot is free.
    #[must_use]
    pub fn copied(&self, slot: Slot) -> Option<Copied> {
        self.shadow[slot.bucket() as usize].copied(slot.index())
    }

    /// What the hardware itself holds in some buckets, without free slots.
    ///
    /// # Panics
    /// If there are not as many buckets.
    pub fn hardware_entries(
        &self,
        buckets: Range<u32>,
    ) -> impl Iterator<Item = (Slot, FdbEntry)> + '_ {
        buckets.flat_map(|bucket| {
            let entries = self.hardware.bucket(bucket).into_iter().enumerate();
            entries
                .filter(|(_, entry)| entry.key != FdbKey::FREE)
                .map(move |(index, entry)| (Slot::new(bucket, index), entry))
        })
    }

    /// The copy itself and the hardware, for what brings them together.
    pub(super) const fn parts(&mut self) -> (&mut [ShadowBucket], Hardware<'hw>) {
        (self.shadow, self.hardware)
    }

    /// Slots of the hardware that were filled, changed or freed since the start.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// Bytes of the copy and of the hardware.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        size_of_val(self.shadow) + self.hardware.bytes()
    }

    /// The hardware, for reading and stamping.
    pub(super) const fn hardware(&self) -> &Hardware<'hw> {
        &self.hardware
    }

    /// What the copy knows about the key in a slot.
    pub(super) fn info(&self, slot: Slot) -> Info {
        self.shadow[slot.bucket() as usize].infos[slot.index()]
    }

    /// As [`Mirror::info`], for changing what damping keeps there.
    pub(super) fn info_mut(&mut self, slot: Slot) -> &mut Info {
        self.changes.note(slot);
        &mut self.shadow[slot.bucket() as usize].infos[slot.index()]
    }

    /// The key that the copy has in a slot.
    pub(super) fn key(&self, slot: Slot) -> FdbKey {
        self.shadow[slot.bucket() as usize].keys[slot.index()]
    }

    /// Makes a slot of the hardware say what the copy says, `now` being the epoch of an entry that has none or
    /// an impossible one. Gives back whether anything was wrong.
    pub(super) fn heal(&mut self, slot: Slot, now: Epoch) -> bool {
        let (key, info) = (self.key(slot), self.info(slot));
        let found = self.hardware.entry(slot);
        if key == FdbKey::FREE {
            if found.key == FdbKey::FREE {
                return false;
            }
            self.hardware.clear(slot);
        } else if found.key != key {
            self.hardware.clear(slot);
            let wanted = self.wanted(slot, now);
            self.hardware.put(slot, &wanted);
        } else if (found.port, found.flags) != info.target() {
            let epoch = Epoch::new(found.epoch).min(now);
            let (port, flags) = info.target();
            self.hardware.update(slot, port, flags, epoch);
        } else if Epoch::new(found.epoch) > now {
            self.hardware.stamp(slot, now);
        } else {
            return false;
        }
        self.writes += 1;
        true
    }

    fn wanted(&self, slot: Slot, epoch: Epoch) -> FdbEntry {
        let (port, flags) = self.info(slot).target();
        FdbEntry {
            key: self.key(slot),
            port,
            flags,
            epoch: epoch.get(),
        }
    }
}

impl Slots for Mirror<'_> {
    #[inline]
    fn buckets(&self) -> u32 {
        self.hardware.buckets()
    }

    #[inline]
    fn keys(&self, bucket: u32) -> [FdbKey; BUCKET_ENTRIES] {
        self.shadow[bucket as usize].keys
    }

    #[inline]
    fn touch(&self, bucket: u32) -> u64 {
        self.shadow[bucket as usize].keys[0].0 ^ self.hardware.touch(bucket)
    }

    #[inline]
    fn entry(&self, slot: Slot) -> FdbEntry {
        self.wanted(slot, self.hardware.epoch(slot))
    }

    #[inline]
    fn put(&mut self, slot: Slot, entry: &FdbEntry) {
        self.shadow[slot.bucket() as usize].put(slot.index(), entry);
        self.hardware.put(slot, entry);
        self.writes += 1;
        self.changes.note(slot);
    }

    /// Keeps the count of the entry's moves; what is changed is not held.
    #[inline]
    fn update(&mut self, slot: Slot, port: u16, flags: u16, epoch: Epoch) {
        let info = self.info_mut(slot);
        let new = Info::new(port, flags);
        (info.port, info.flags) = (new.port, new.flags);
        self.hardware.update(slot, port, flags, epoch);
        self.writes += 1;
    }

    /// Takes along what damping knows about the entry.
    #[inline]
    fn relocate(&mut self, from: Slot, to: Slot) {
        let (entry, info) = (self.entry(from), self.info(from));
        self.put(to, &entry);
        *self.info_mut(to) = info;
        self.clear(from);
    }

    #[inline]
    fn clear(&mut self, slot: Slot) {
        self.hardware.clear(slot);
        self.writes += 1;
        self.changes.note(slot);
        self.shadow[slot.bucket() as usize].keys[slot.index()] = FdbKey::FREE;
    }
}
