//! VLANS: one entry a VLAN id decides ingress, learning, egress and tagging.

use crate::ids::PortNo;
use crate::limits::PORT_WORDS;

/// A set of ports, one bit a port number (port 1 is bit 0 of word 0).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSet(pub [u64; PORT_WORDS]);

impl PortSet {
    /// No port.
    pub const EMPTY: Self = Self([0; PORT_WORDS]);

    /// Whether the port with this number is in the set. Numbers out of range wrap: the caller has a number
    /// from a table whose writer kept to the range, and the data path must not be able to read outside.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, number: u16) -> bool {
        let bit = (number as usize).wrapping_sub(1);
        (self.0[(bit / 64) % PORT_WORDS] >> (bit % 64)) & 1 != 0
    }

    /// Adds a port.
    pub const fn insert(&mut self, port: PortNo) {
        let bit = port.get() as usize - 1;
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// Takes a port out.
    pub const fn remove(&mut self, port: PortNo) {
        let bit = port.get() as usize - 1;
        self.0[bit / 64] &= !(1 << (bit % 64));
    }

    /// Whether no port is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The ports in both sets.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// The ports in one of the sets or both.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// The ports in this set that are not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    /// The ports in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PortNo> + '_ {
        PortNo::all().filter(|p| self.has(p.get()))
    }
}

impl FromIterator<PortNo> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortNo>>(ports: I) -> Self {
        let mut set = Self::EMPTY;
        for port in ports {
            set.insert(port);
        }
        set
    }
}

/// Bits of [`VlanEntry::flags`].
pub mod flag {
    /// The VLAN exists.
    pub const EXISTS: u64 = 1 << 0;
    /// A protocol of the control plane has claimed the ESRP addresses here: punted, not flooded.
    pub const CLAIM_ESRP: u64 = 1 << 1;
    /// A protocol of the control plane has claimed the EAPS addresses here: punted, not flooded.
    pub const CLAIM_EAPS: u64 = 1 << 2;
    /// [`super::VlanEntry::fallback`] is smaller than `forwarding`: the data path looks at the lease.
    pub const GUARDED: u64 = 1 << 3;
    /// A protocol of the control plane has claimed the address of PVST+ here: punted, not flooded, whatever the state of
    /// the port.
    pub const CLAIM_PVST: u64 = 1 << 4;
}

/// One VLAN as the data path sees it. The master folds link, administrative and protocol state into the sets,
/// so that one bit answers each question. What the data path reads for every frame stands first.
#[cfg(not(feature = "edition-newer"))]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanEntry {
    /// [`flag`] bits.
    pub flags: u64,
    /// Ports from and to which frames of this VLAN are forwarded; a subset of `member`.
    pub forwarding: PortSet,
    /// Ports that send this VLAN's frames without a tag.
    pub untagged: PortSet,
    /// Ports behind which source addresses are learned, also those of frames that are then dropped because the port
    /// does not forward.
    pub learning: PortSet,
    /// Ports that belong to the VLAN, whatever their state.
    pub member: PortSet,
    /// Ports that go on forwarding when the lease has run out; a subset of `forwarding`, and all of it unless
    /// [`flag::GUARDED`] is set.
    pub fallback: PortSet,
}

/// The same in the newer edition (README, "Three versions from one tree"): other places, and room for more.
#[cfg(feature = "edition-newer")]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanEntry {
    /// Ports that belong to the VLAN, whatever their state.
    pub member: PortSet,
    /// Ports that send this VLAN's frames without a tag.
    pub untagged: PortSet,
    /// Ports from and to which frames of this VLAN are forwarded; a subset of `member`.
    pub forwarding: PortSet,
    /// [`flag`] bits.
    pub flags: u64,
    /// Zero.
    pub reserved: [u64; 2],
    /// Ports that go on forwarding when the lease has run out; a subset of `forwarding`, and all of it unless
    /// [`flag::GUARDED`] is set.
    pub fallback: PortSet,
    /// Ports behind which source addresses are learned, also those of frames that are then dropped because the port
    /// does not forward.
    pub learning: PortSet,
}

impl VlanEntry {
    /// The entry with only these of its forwarding ports going on without a lease.
    #[must_use]
    pub fn with_fallback(mut self, ports: &PortSet) -> Self {
        self.fallback = self.forwarding.and(ports);
        if self.fallback == self.forwarding {
            self.flags &= !flag::GUARDED;
        } else {
            self.flags |= flag::GUARDED;
        }
        self
    }
}

const WORDS_BESIDE: usize = if cfg!(feature = "edition-newer") {
    3
} else {
    1
};

const _: () = assert!(size_of::<VlanEntry>() == 5 * 8 * PORT_WORDS + 8 * WORDS_BESIDE);

/// Entries of VLANS: one for each 12-bit VLAN id; 0 and 4095 never exist.
pub const ENTRIES: u32 = 4096;

#[cfg(feature = "std")]
// SAFETY: repr(C), Copy, no padding, any bit pattern valid.
unsafe impl aya::Pod for VlanEntry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = PortSet::EMPTY;
        for n in [1, 64, 65, 128] {
            set.insert(PortNo::new(n).unwrap());
        }
        assert!(
            set.has(1)
                && set.has(64)
                && set.has(65)
                && set.has(128)
                && !set.has(2)
                && !set.has(127)
        );
        set.remove(PortNo::new(64).unwrap());
        assert!(set.iter().map(PortNo::get).eq([1, 65, 128]));
    }

    #[test]
    fn sets_are_joined_cut_and_subtracted() {
        let ports = |numbers: &[u16]| -> PortSet {
            numbers.iter().filter_map(|&n| PortNo::new(n)).collect()
        };
        let (a, b) = (ports(&[1, 2, 128]), ports(&[2, 70]));
        assert_eq!(a.or(&b), ports(&[1, 2, 70, 128]));
        assert_eq!(a.and(&b), ports(&[2]));
        assert_eq!(a.without(&b), ports(&[1, 128]));
        assert_eq!(b.without(&a), ports(&[70]));
    }

    #[test]
    fn an_entry_is_guarded_only_where_the_lease_makes_a_difference() {
        let ports = |numbers: &[u16]| numbers.iter().filter_map(|&n| PortNo::new(n)).collect();
        let entry = VlanEntry {
            forwarding: ports(&[1, 2, 70]),
            flags: flag::EXISTS,
            ..VlanEntry::default()
        };
        let guarded = entry.with_fallback(&ports(&[1, 3]));
        assert_eq!(guarded.fallback, ports(&[1]));
        assert_eq!(guarded.flags, flag::EXISTS | flag::GUARDED);
        let free = guarded.with_fallback(&ports(&[1, 2, 3, 70]));
        assert_eq!(free.fallback, entry.forwarding);
        assert_eq!(free.flags, flag::EXISTS);
    }

    #[test]
    fn a_number_out_of_range_stays_inside_the_words() {
        for n in [0, 129, u16::MAX] {
            let _ = PortSet([u64::MAX; PORT_WORDS]).has(n);
        }
    }
}
