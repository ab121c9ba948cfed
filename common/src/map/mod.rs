//! The layout of every pinned map, one file a map. See [`meta::SCHEMA`] for their schema versions.

pub mod counters;
pub mod events;
pub mod fdb;
pub mod limiter;
pub mod meta;
pub mod ports;
pub mod vlans;

/// Names under which the maps are declared in `ebpf/` and pinned in bpffs.
pub mod name {
    /// [`super::meta::Meta`], one entry.
    pub const META: &str = "META";
    /// [`super::ports::PortEntry`] by ifindex (open addressing).
    pub const PORTS: &str = "PORTS";
    /// [`super::ports::PortEntry`] by port number.
    pub const EGRESS: &str = "EGRESS";
    /// Devices that native XDP may redirect to, by port number.
    pub const XDP_TX: &str = "XDP_TX";
    /// [`super::vlans::VlanEntry`] by VLAN id.
    pub const VLANS: &str = "VLANS";
    /// [`super::fdb::FdbBucket`] by hash.
    pub const FDB: &str = "FDB";
    /// [`super::counters::PortCounters`] by port number, per CPU.
    pub const COUNTERS: &str = "COUNTERS";
    /// [`super::limiter::PortLimiters`] by port number.
    pub const LIMITERS: &str = "LIMITERS";
    /// Ring buffer of [`super::events::LearnEvent`].
    pub const LEARN: &str = "LEARN";
    /// Recently reported sources, so that one source does not fill the ring.
    pub const REPORTED: &str = "REPORTED";
    /// Ring buffer of [`super::events::PuntHeader`] and frame bytes.
    pub const PUNT: &str = "PUNT";
    /// A map that other versions do not know: control frames by the last digit of their port's number.
    #[cfg(feature = "edition-newer")]
    pub const CENSUS: &str = "CENSUS";
}
