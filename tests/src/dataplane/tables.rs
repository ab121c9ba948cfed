//! What the maps hold before a frame comes in, as a test writes it down. No system calls.

use std::collections::BTreeMap;

use hitless_common::map::fdb::FdbKey;
use hitless_common::map::limiter::PortLimiters;
use hitless_common::map::ports::flag;
use hitless_common::map::vlans::{self, VlanEntry};
use hitless_common::{Mac, PortNo};

/// Payload octets that ports send unless told: an Ethernet device's usual MTU.
pub const MTU: u32 = 1500;

/// Epoch in META while a test runs.
pub const EPOCH: u32 = 77;

/// Epoch of FDB entries before a frame touches them.
pub const OLD_EPOCH: u32 = 5;

/// What stands behind a port's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A device.
    Present,
    /// A device that went away: its number is nobody's.
    Gone,
    /// A device that the kernel has taken out of XDP_TX, which it does when the device goes.
    NotInXdpTx,
}

/// One port.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// Bits of [`flag`].
    pub flags: u32,
    /// PVID, 0 for none.
    pub pvid: u16,
    /// Octets of payload.
    pub mtu: u32,
    /// What stands behind it.
    pub device: Device,
    /// Slots of PORTS, from the device's first one on, that other devices have taken.
    pub crowd: u32,
}

/// Which of its two buckets an address stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// The first candidate.
    First,
    /// The second candidate.
    Second,
    /// The first one if it has room, else the second.
    Either,
}

/// One FDB entry.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// VLAN and address.
    pub key: FdbKey,
    /// Port number.
    pub port: u16,
    /// Bits of [`hitless_common::map::fdb::flag`].
    pub flags: u16,
    /// Where it stands.
    pub bucket: Bucket,
}

/// The learning events that a port has reported before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// All that it may, in the present round.
    ItsShare,
    /// All that it might, in the round before.
    ItsShareBefore,
}

/// The lease in META.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    /// Held for longer than any test takes.
    #[default]
    Held,
    /// Held once, for the first nanosecond of this machine's uptime.
    RanOut,
    /// No master has ever given one, or it was taken back.
    None,
}

impl Lease {
    /// What META holds.
    #[must_use]
    pub const fn until(self) -> u64 {
        match self {
            Self::Held => u64::MAX,
            Self::RanOut => 1,
            Self::None => 0,
        }
    }
}

/// The contents of all maps.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// By port number.
    pub ports: BTreeMap<u16, Port>,
    /// By VLAN id.
    pub vlans: BTreeMap<u16, VlanEntry>,
    /// Addresses.
    pub fdb: Vec<Address>,
    /// By port number.
    pub limits: BTreeMap<u16, PortLimiters>,
    /// By port number.
    pub reported: BTreeMap<u16, Reported>,
    /// The control plane does not drain its ring of control frames.
    pub punt_full: bool,
    /// The master does not drain its ring of learning events.
    pub learn_full: bool,
    /// The master sleeps until the next learning event.
    pub asleep: bool,
    /// Whether a master is in charge.
    pub lease: Lease,
}

impl Tables {
    /// Empty maps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A port that is no member of any VLAN, with ingress filtering, reachable from XDP.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.ports.entry(port).or_insert(Port {
            flags: flag::ENABLED | flag::INGRESS_FILTER | flag::XDP_OUT,
            pvid: 0,
            mtu: MTU,
            device: Device::Present,
            crowd: 0,
        });
        self
    }

    /// A VLAN without members.
    #[must_use]
    pub fn vlan(mut self, vid: u16) -> Self {
        self.entry(vid);
        self
    }

    fn entry(&mut self, vid: u16) -> &mut VlanEntry {
        self.vlans.entry(vid).or_insert(VlanEntry {
            flags: vlans::flag::EXISTS,
            ..VlanEntry::default()
        })
    }

    fn join(&mut self, port: u16, vid: u16) -> &mut VlanEntry {
        let number = PortNo::new(port).expect("tests name ports that can be");
        let entry = self.entry(vid);
        entry.member.insert(number);
        entry.forwarding.insert(number);
        entry.fallback.insert(number);
        entry.learning.insert(number);
        entry
    }

    /// Makes a port a tagged member.
    #[must_use]
    pub fn tagged(self, port: u16, vids: &[u16]) -> Self {
        let mut tables = self.port(port);
        for &vid in vids {
            tables.join(port, vid);
        }
        tables
    }

    /// Makes a port an untagged member, with the VLAN as its PVID.
    #[must_use]
    pub fn untagged(self, port: u16, vid: u16) -> Self {
        let mut tables = self.port(port);
        let number = PortNo::new(port).expect("tests name ports that can be");
        tables.join(port, vid).untagged.insert(number);
        tables.on(port, |p| p.pvid = vid)
    }

    /// Makes a port an access port: untagged member of one VLAN that takes no tagged frames.
    #[must_use]
    pub fn access(self, port: u16, vid: u16) -> Self {
        self.untagged(port, vid).with(port, flag::UNTAGGED_ONLY)
    }

    /// Changes a port.
    #[must_use]
    pub fn on(mut self, port: u16, change: impl FnOnce(&mut Port)) -> Self {
        change(self.ports.get_mut(&port).expect("a port that is there"));
        self
    }

    /// Sets bits of [`flag`].
    #[must_use]
    pub fn with(self, port: u16, flags: u32) -> Self {
        self.on(port, |p| p.flags |= flags)
    }

    /// Clears bits of [`flag`].
    #[must_use]
    pub fn without(self, port: u16, flags: u32) -> Self {
        self.on(port, |p| p.flags &= !flags)
    }

    /// Sets a port's MTU.
    #[must_use]
    pub fn mtu(self, port: u16, mtu: u32) -> Self {
        self.on(port, |p| p.mtu = mtu)
    }

    /// Sets what stands behind a port.
    #[must_use]
    pub fn device(self, port: u16, device: Device) -> Self {
        self.on(port, |p| p.device = device)
    }

    /// Stops a port in a VLAN that it stays a member of.
    #[must_use]
    pub fn blocked(mut self, port: u16, vid: u16) -> Self {
        let number = PortNo::new(port).expect("tests name ports that can be");
        let entry = self.entry(vid);
        entry.forwarding.remove(number);
        entry.fallback.remove(number);
        entry.learning.remove(number);
        self
    }

    /// Stops a port in a VLAN, but lets it learn: the learning state of IEEE 802.1D.
    #[must_use]
    pub fn learns_only(self, port: u16, vid: u16) -> Self {
        let mut tables = self.blocked(port, vid);
        let number = PortNo::new(port).expect("tests name ports that can be");
        tables.entry(vid).learning.insert(number);
        tables
    }

    /// Lets only these ports, forwarding ones, go on in a VLAN without a lease.
    #[must_use]
    pub fn guarded(mut self, vid: u16, ports: &[u16]) -> Self {
        let ports = ports.iter().filter_map(|&port| PortNo::new(port)).collect();
        let entry = self.entry(vid);
        *entry = entry.with_fallback(&ports);
        self
    }

    /// Sets the lease.
    #[must_use]
    pub fn lease(mut self, lease: Lease) -> Self {
        self.lease = lease;
        self
    }

    /// Stops learning behind a port.
    #[must_use]
    pub fn not_learning(mut self, port: u16, vid: u16) -> Self {
        let number = PortNo::new(port).expect("tests name ports that can be");
        self.entry(vid).learning.remove(number);
        self
    }

    /// Sets bits of [`vlans::flag`].
    #[must_use]
    pub fn claim(mut self, vid: u16, flags: u64) -> Self {
        self.entry(vid).flags |= flags;
        self
    }

    /// A learned address.
    #[must_use]
    pub fn station(self, vid: u16, mac: Mac, port: u16) -> Self {
        self.address(vid, mac, port, 0)
    }

    /// An address with bits of [`hitless_common::map::fdb::flag`].
    #[must_use]
    pub fn address(mut self, vid: u16, mac: Mac, port: u16, flags: u16) -> Self {
        self.fdb.push(Address {
            key: FdbKey::from_raw(vid, mac.to_u64()),
            port,
            flags,
            bucket: Bucket::First,
        });
        self
    }

    /// Puts every address so far into its second bucket.
    #[must_use]
    pub fn in_second_buckets(mut self) -> Self {
        for address in &mut self.fdb {
            address.bucket = Bucket::Second;
        }
        self
    }

    /// Sets a port's limits.
    #[must_use]
    pub fn limit(mut self, port: u16, set: impl FnOnce(&mut PortLimiters)) -> Self {
        set(self.limits.entry(port).or_default());
        self
    }

    /// Says what a port has reported before.
    #[must_use]
    pub fn reported(mut self, port: u16, reported: Reported) -> Self {
        self.reported.insert(port, reported);
        self
    }
}

/// A limit that lets `tokens` more frames through and then none, however long the test takes.
#[must_use]
pub fn left(tokens: u64) -> hitless_common::map::limiter::Bucket {
    hitless_common::map::limiter::Bucket {
        rate: 1,
        burst: 1,
        tokens,
        // Time never gets here, so nothing is earned.
        filled: u64::MAX,
    }
}
