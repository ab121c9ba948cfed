//! Digests of whole tables, so that a master's model, a standby's database and the hardware can be compared.
//!
//! A digest is a sum over the records: their order does not matter, and one that changes is taken out and put in
//! again without looking at the others. It guards against mistakes, not against forgery.

use crate::schema::Subsystem;
use hitless_common::map::fdb::FdbKey;

/// What a table holds, in two numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Records.
    pub count: u64,
    /// The sum of their hashes.
    pub hash: u64,
}

impl Digest {
    /// Counts a record with this hash, see [`crate::record::Record::hash`].
    pub const fn add(&mut self, hash: u64) {
        self.count = self.count.wrapping_add(1);
        self.hash = self.hash.wrapping_add(hash);
    }

    /// Takes out a record with this hash.
    pub const fn remove(&mut self, hash: u64) {
        self.count = self.count.wrapping_sub(1);
        self.hash = self.hash.wrapping_sub(hash);
    }
}

impl FromIterator<u64> for Digest {
    fn from_iter<I: IntoIterator<Item = u64>>(hashes: I) -> Self {
        let mut digest = Self::default();
        for hash in hashes {
            digest.add(hash);
        }
        digest
    }
}

/// Two numbers made one, every bit of which depends on every bit of both.
#[inline]
#[must_use]
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    let product = (a ^ 0x9e37_79b9_7f4a_7c15) as u128 * (b ^ 0xd6e8_feb8_6659_fd93) as u128;
    let folded = (product as u64) ^ (product >> 64) as u64;
    // A factor that happens to be 0 must not make the other one vanish.
    let h = (folded ^ a ^ b.rotate_left(32)).wrapping_mul(0x9fb2_1c65_1e98_df25);
    h ^ (h >> 29)
}

/// The hash of a record written out in full.
#[must_use]
pub fn hash(subsystem: Subsystem, octets: &[u8]) -> u64 {
    let seed = mix(subsystem.code().into(), octets.len() as u64);
    octets.chunks(8).fold(seed, |h, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(h, u64::from_le_bytes(word))
    })
}

/// The hash of what both the hardware and the software copy know about an entry in a slot of the forwarding
/// database: the sum over the hardware equals the sum over the copy.
#[inline]
#[must_use]
pub const fn fdb_entry(slot: u32, key: FdbKey, port: u16, flags: u16) -> u64 {
    let place = (slot as u64) << 32 | (port as u64) << 16 | flags as u64;
    mix(key.0, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hitless_common::{Mac, VlanId};

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let key = FdbKey::new(VlanId::MIN, Mac([2, 0, 0, 0, 0, 1]));
        let a = fdb_entry(1, key, 1, 0);
        let others = [
            fdb_entry(2, key, 1, 0),
            fdb_entry(1, key, 2, 0),
            fdb_entry(1, key, 1, 1),
            fdb_entry(1, FdbKey(key.0 + 1), 1, 0),
        ];
        assert!(others.iter().all(|&b| b != a));
        let forth: Digest = others.into_iter().chain([a]).collect();
        let mut back: Digest = [a].into_iter().chain(others.into_iter().rev()).collect();
        assert_eq!(forth, back);
        back.remove(a);
        assert_eq!(back, others.into_iter().collect());
        assert_ne!(back.hash, forth.hash);
    }

    #[test]
    fn texts_differ_by_contents_length_and_subsystem() {
        let texts: [&[u8]; 5] = [b"", b"\0", b"12345678", b"12345679", b"123456780"];
        let mut all: Vec<u64> = texts.iter().map(|t| hash(Subsystem::Config, t)).collect();
        all.push(hash(Subsystem::Ports, b"12345678"));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }
}
