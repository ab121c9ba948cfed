//! FDB: the forwarding database, an own hash table in a memory-mapped array.
//!
//! A bucket is one cache line of four entries; a key has two candidate buckets. The master is the only writer and
//! writes through the mapping, without system calls; the data path reads at the same time. Rules that make this
//! safe, for both sides:
//! - an insertion writes the value first and the key last; a removal clears the key first;
//! - a reader reads the key, then the value, then the key again, and takes the value only if the key stood still;
//! - port and flags are one 32-bit word, written by one store and read by one load;
//! - a move of an entry to its other bucket writes the copy before it clears the original;
//! - the data path writes nothing but [`FdbEntry::epoch`]. A stamp that lands on an entry which was replaced in
//!   that instant only makes the newcomer look seen, which it was.
//!
//! x86 keeps stores and loads in these orders; on other processors the writer uses release stores, and a reader
//! that overtakes them sees an entry too late or too early, as if the frame had come a moment earlier or later.

use crate::ids::{Mac, VlanId};

/// Entries in a bucket: 64 bytes, one cache line.
pub const BUCKET_ENTRIES: usize = 4;

/// A VLAN and a MAC address in one number: the VLAN id above 48 bits of address. 0 is no key.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FdbKey(pub u64);

impl FdbKey {
    /// The key of a free slot.
    pub const FREE: Self = Self(0);

    /// The key of an address in a VLAN.
    #[inline(always)]
    #[must_use]
    pub const fn new(vlan: VlanId, mac: Mac) -> Self {
        Self::from_raw(vlan.get(), mac.to_u64())
    }

    /// The key from a VLAN id that the data path has checked and an address as [`Mac::to_u64`] gives it.
    #[inline(always)]
    #[must_use]
    pub const fn from_raw(vid: u16, mac: u64) -> Self {
        Self(((vid as u64) << 48) | mac)
    }

    /// The address.
    #[must_use]
    pub const fn mac(self) -> Mac {
        Mac::from_u64(self.0)
    }

    /// The VLAN, or `None` if the number is no key (a free slot, or not written by us).
    #[must_use]
    pub const fn vlan(self) -> Option<VlanId> {
        VlanId::new((self.0 >> 48) as u16)
    }

    /// The two candidate buckets in a table of `mask + 1` buckets, a power of two and at least 2. They always
    /// differ, so that every key has all eight slots.
    #[inline(always)]
    #[must_use]
    pub const fn buckets(self, seed: u64, mask: u32) -> (u32, u32) {
        let mut h = self.0 ^ seed;
        h = h.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        h ^= h >> 32;
        h = h.wrapping_mul(0xd6e8_feb8_6659_fd93);
        h ^= h >> 32;
        // The halves of a well-mixed product: the upper one of a second multiplication is independent enough.
        let other = h.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let first = (h as u32) & mask;
        // An odd distance is never 0.
        (first, first ^ ((other as u32 | 1) & mask))
    }
}

/// Bits of [`FdbEntry::flags`].
pub mod flag {
    /// Configured: does not age, does not move.
    pub const STATIC: u16 = 1 << 0;
    /// Frames from and to this address are dropped.
    pub const BLACKHOLE: u16 = 1 << 1;
}

/// One address.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdbEntry {
    /// The address and its VLAN; [`FdbKey::FREE`] in a free slot.
    pub key: FdbKey,
    /// [`super::meta::Meta::epoch`] when the address was last seen as a source. Elsewhere in the newer edition (README,
    /// "Three versions from one tree").
    #[cfg(feature = "edition-newer")]
    pub epoch: u32,
    /// Port number; 0 for a blackhole.
    pub port: u16,
    /// [`flag`] bits.
    pub flags: u16,
    /// [`super::meta::Meta::epoch`] when the address was last seen as a source.
    #[cfg(not(feature = "edition-newer"))]
    pub epoch: u32,
}

/// One cache line of the table.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdbBucket(pub [FdbEntry; BUCKET_ENTRIES]);

const _: () = assert!(size_of::<FdbEntry>() == 16 && size_of::<FdbBucket>() == 64);

/// Buckets for a forwarding database of `size` addresses: a power of two with at least twice the slots, so that
/// nearly every address sits in its first bucket.
#[must_use]
pub const fn buckets_for(size: u32) -> u32 {
    (size * 2)
        .div_ceil(BUCKET_ENTRIES as u32)
        .next_power_of_two()
}

#[cfg(feature = "std")]
// SAFETY: repr(C), Copy, no padding, any bit pattern valid.
unsafe impl aya::Pod for FdbBucket {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_its_parts() {
        let key = FdbKey::new(VlanId::MAX, Mac([2, 1, 2, 3, 4, 5]));
        assert_eq!(
            (key.vlan(), key.mac()),
            (Some(VlanId::MAX), Mac([2, 1, 2, 3, 4, 5]))
        );
        assert_eq!(FdbKey::FREE.vlan(), None);
    }

    #[test]
    fn tables_have_twice_the_slots() {
        assert_eq!(buckets_for(64), 32);
        assert_eq!(buckets_for(65_536), 32_768);
        assert_eq!(buckets_for(100_000), 65_536);
        assert_eq!(buckets_for(1 << 20), 1 << 19);
    }

    #[test]
    fn buckets_spread() {
        let mask = 1023;
        let mut load = [0u32; 1024];
        for i in 0..16_384u64 {
            let (a, b) = FdbKey::from_raw(10, 0x0200_0000_0000 + i).buckets(42, mask);
            load[a as usize] += 1;
            load[b as usize] += 1;
        }
        // 32 expected in each; a sequence of addresses must not pile up.
        assert!(load.iter().all(|&n| (8..72).contains(&n)));
    }

    #[test]
    fn the_candidates_differ_in_every_table() {
        for bits in 1..=23 {
            let mask = (1 << bits) - 1;
            for i in 0..10_000u64 {
                let (a, b) = FdbKey::from_raw(1, i * 0x1_0001).buckets(i, mask);
                assert!(a != b && a <= mask && b <= mask, "{i} {mask:#x}: {a} {b}");
            }
        }
    }

    /// Pairs of candidates must be spread as well: nine keys that share both buckets fill them for good.
    #[test]
    fn pairs_of_candidates_spread() {
        let mask = 31;
        let mut pairs = [[0u32; 32]; 32];
        for i in 0..25_600u64 {
            let (a, b) = FdbKey::from_raw(10, 0x0200_0000_0000 + i).buckets(7, mask);
            pairs[a.min(b) as usize][a.max(b) as usize] += 1;
        }
        // 256 unordered pairs of an even and an odd bucket, 100 expected in each.
        for even in (0..32).step_by(2) {
            for odd in (1..32).step_by(2) {
                let n = pairs[even.min(odd)][even.max(odd)];
                assert!((50..160).contains(&n), "{even} {odd}: {n}");
            }
        }
    }
}
