//! META: who made the pins, for which layout, and the clock of the tables.

use super::{HwError, sys::Mapping};
use aya::maps::MapData;
use hitless_common::map::meta::{LAYOUT, MAGIC, Meta, SCHEMA};
use std::{
    mem::offset_of,
    os::fd::AsFd,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

/// Stands for maps that only the other version has, in [`MetaMap::differences`].
pub const UNKNOWN: &str = "(unknown)";

/// META in memory, shared with the data path.
pub struct MetaMap(Mapping);

impl MetaMap {
    /// Maps META.
    ///
    /// # Errors
    /// If the map can not be mapped.
    pub fn new(map: &MapData) -> Result<Self, HwError> {
        Mapping::new(map.fd().as_fd(), size_of::<Meta>())
            .map(Self)
            .map_err(|source| HwError::Io {
                what: "map META into memory".into(),
                source,
            })
    }

    /// A copy of the whole.
    #[must_use]
    pub fn read(&self) -> Meta {
        let mut schema = [0; 32];
        for (i, pair) in schema.chunks_exact_mut(2).enumerate() {
            let both = self
                .0
                .u32_at(offset_of!(Meta, schema) + i * 4)
                .load(Ordering::Relaxed);
            pair.copy_from_slice(&[both as u16, (both >> 16) as u16]);
        }
        let mut image = [0; 32];
        for (i, word) in image.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&self.u64(offset_of!(Meta, image) + i * 8).to_le_bytes());
        }
        Meta {
            magic: self.u64(offset_of!(Meta, magic)),
            layout: self.u32(offset_of!(Meta, layout)),
            fdb_buckets: self.u32(offset_of!(Meta, fdb_buckets)),
            fdb_seed: self.u64(offset_of!(Meta, fdb_seed)),
            created: self.u64(offset_of!(Meta, created)),
            generation: self.u64(offset_of!(Meta, generation)),
            epoch: self.u32(offset_of!(Meta, epoch)),
            learn_round: self.u32(offset_of!(Meta, learn_round)),
            learn_asleep: self.u32(offset_of!(Meta, learn_asleep)),
            owner: self.u32(offset_of!(Meta, owner)),
            lease: self.u64(offset_of!(Meta, lease)),
            image,
            schema,
        }
    }

    /// Writes a new switch's META, its magic number last.
    pub fn create(&self, fdb_buckets: u32, fdb_seed: u64, created: u64) {
        self.0
            .u32_at(offset_of!(Meta, layout))
            .store(LAYOUT, Ordering::Relaxed);
        self.0
            .u32_at(offset_of!(Meta, fdb_buckets))
            .store(fdb_buckets, Ordering::Relaxed);
        self.0
            .u64_at(offset_of!(Meta, fdb_seed))
            .store(fdb_seed, Ordering::Relaxed);
        self.0
            .u64_at(offset_of!(Meta, created))
            .store(created, Ordering::Relaxed);
        for (i, pair) in SCHEMA.chunks(2).enumerate() {
            let both = u32::from(pair[0].1)
                | pair
                    .get(1)
                    .map_or(0, |&(_, version)| u32::from(version) << 16);
            self.0
                .u32_at(offset_of!(Meta, schema) + i * 4)
                .store(both, Ordering::Relaxed);
        }
        self.0
            .u64_at(offset_of!(Meta, magic))
            .store(MAGIC, Ordering::Release);
    }

    /// Writes the META of hardware that takes the place of other hardware: what that one's META says, and our schema.
    /// `bytes` are those of its value; a META is only ever appended to.
    pub fn carry(&self, old: &Self, bytes: usize) {
        let own = offset_of!(Meta, image)..size_of::<Meta>();
        for offset in (0..bytes.min(size_of::<Meta>())).step_by(8) {
            if offset != offset_of!(Meta, magic) && !own.contains(&offset) {
                self.0
                    .u64_at(offset)
                    .store(old.u64(offset), Ordering::Relaxed);
            }
        }
        let Meta {
            fdb_buckets,
            fdb_seed,
            created,
            ..
        } = old.read();
        self.create(fdb_buckets, fdb_seed, created);
    }

    /// The maps that have another schema than ours: those that are missing there and those that are only there included,
    /// the latter, whose names nobody here knows, as one.
    #[must_use]
    pub fn differences(&self) -> Vec<&'static str> {
        let found = self.read().schema;
        let ours = SCHEMA.iter().zip(found);
        let mut different: Vec<&str> = ours
            .filter(|((_, version), found)| version != found)
            .map(|((name, _), _)| *name)
            .collect();
        if found.iter().skip(SCHEMA.len()).any(|&version| version != 0) {
            different.push(UNKNOWN);
        }
        different
    }

    /// Why these pins are not ours to adopt or to migrate; `Ok` if they are.
    ///
    /// # Errors
    /// Names the field, what it holds and what was expected.
    pub fn check(&self) -> Result<(), String> {
        let meta = self.read();
        if meta.magic != MAGIC {
            return Err(format!(
                "META starts with {:#x}, not with the mark of a Hitless switch ({MAGIC:#x})",
                meta.magic
            ));
        }
        if meta.layout != LAYOUT {
            return Err(format!(
                "META says layout {}, this hitlessd has layout {LAYOUT}",
                meta.layout
            ));
        }
        if !meta.fdb_buckets.is_power_of_two() {
            return Err(format!(
                "META says {} FDB buckets, which is not a power of two",
                meta.fdb_buckets
            ));
        }
        Ok(())
    }

    /// Counts another master.
    pub fn next_generation(&self) -> u64 {
        self.0
            .u64_at(offset_of!(Meta, generation))
            .fetch_add(1, Ordering::Relaxed)
            + 1
    }

    /// Records which programs are attached.
    pub fn set_image(&self, image: &[u8; 32]) {
        for (i, word) in image.chunks_exact(8).enumerate() {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            self.0
                .u64_at(offset_of!(Meta, image) + i * 8)
                .store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
    }

    /// The epoch that the data path stamps FDB entries with, in seconds of mastership.
    #[must_use]
    pub fn epoch(&self) -> &AtomicU32 {
        self.0.u32_at(offset_of!(Meta, epoch))
    }

    /// The learning round; see [`Meta::learn_round`].
    #[must_use]
    pub fn learn_round(&self) -> &AtomicU32 {
        self.0.u32_at(offset_of!(Meta, learn_round))
    }

    /// Whether a learning event must wake the master; see [`Meta::learn_asleep`].
    #[must_use]
    pub fn learn_asleep(&self) -> &AtomicU32 {
        self.0.u32_at(offset_of!(Meta, learn_asleep))
    }

    /// Until when the lease holds; see [`Meta::lease`].
    #[must_use]
    pub fn lease(&self) -> &AtomicU64 {
        self.0.u64_at(offset_of!(Meta, lease))
    }

    /// Lets VLANs with ports that must not forward without a master do so until `until`, CLOCK_MONOTONIC in
    /// nanoseconds as [`super::monotonic_nanoseconds`] gives it; 0 takes the lease back at once. Without a system call.
    pub fn renew_lease(&self, until: u64) {
        self.lease().store(until, Ordering::Relaxed);
    }

    /// The slot of the master, one of [`hitless_common::map::meta::owner`].
    #[must_use]
    pub fn owner(&self) -> &AtomicU32 {
        self.0.u32_at(offset_of!(Meta, owner))
    }

    fn u32(&self, offset: usize) -> u32 {
        self.0.u32_at(offset).load(Ordering::Relaxed)
    }

    fn u64(&self, offset: usize) -> u64 {
        self.0.u64_at(offset).load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hitless_common::map::name;
    use nix::sys::memfd::{MFdFlags, memfd_create};

    /// A META in memory that is no map's.
    fn meta() -> MetaMap {
        let file = memfd_create("meta", MFdFlags::empty()).unwrap();
        nix::unistd::ftruncate(&file, size_of::<Meta>() as i64).unwrap();
        MetaMap(Mapping::new(file.as_fd(), size_of::<Meta>()).unwrap())
    }

    fn set_schema(meta: &MetaMap, place: usize, version: u16) {
        let at = offset_of!(Meta, schema) + place / 2 * 4;
        let shift = place % 2 * 16;
        let old = meta.u32(at) & !(0xffff << shift);
        let new = old | u32::from(version) << shift;
        meta.0.u32_at(at).store(new, Ordering::Relaxed);
    }

    #[test]
    fn maps_of_other_versions_are_named() {
        let meta = meta();
        meta.create(1024, 7, 1);
        assert_eq!((meta.check(), meta.differences()), (Ok(()), vec![]));
        let place = |map| SCHEMA.iter().position(|(name, _)| *name == map).unwrap();
        set_schema(&meta, place(name::VLANS), 77);
        set_schema(&meta, place(name::COUNTERS), 0);
        assert_eq!(meta.differences(), [name::VLANS, name::COUNTERS]);
        set_schema(&meta, SCHEMA.len(), 1);
        assert_eq!(meta.differences(), [name::VLANS, name::COUNTERS, UNKNOWN]);
        assert_eq!(meta.check(), Ok(()));
    }

    #[test]
    fn what_a_master_must_know_is_carried_and_the_schema_is_ours() {
        let (old, new) = (meta(), meta());
        old.create(2048, 99, 5);
        set_schema(&old, 4, 77);
        set_schema(&old, 20, 3);
        old.next_generation();
        old.epoch().store(1234, Ordering::Relaxed);
        old.renew_lease(55);
        old.set_image(&[7; 32]);
        new.carry(&old, size_of::<Meta>());
        let (told, found) = (old.read(), new.read());
        assert_eq!(new.check(), Ok(()));
        assert_eq!(new.differences(), Vec::<&str>::new());
        assert_eq!(found.image, [0; 32]);
        let expected = Meta {
            image: found.image,
            schema: found.schema,
            ..told
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_shorter_meta_is_carried_as_far_as_it_goes() {
        let (old, new) = (meta(), meta());
        old.create(64, 1, 5);
        old.renew_lease(55);
        new.carry(&old, offset_of!(Meta, lease));
        assert_eq!((new.read().lease, new.read().fdb_buckets), (0, 64));
    }
}
