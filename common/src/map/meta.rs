//! META: the first thing that a management module reads. One entry, mapped into memory by the master.

/// `HITLESS` and a NUL, as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HITLESS\0");

/// The layout of the whole pin directory (`v<LAYOUT>`): which maps there are and what META looks like.
pub const LAYOUT: u32 = 2;

/// The schema version of every pinned map, by its place in [`Meta::schema`]. A map whose value or meaning
/// changes gets the next number; a new map gets the next place.
pub const SCHEMA: &[(&str, u16)] = &[
    (super::name::META, 2),
    (super::name::PORTS, 1),
    (super::name::EGRESS, 1),
    (super::name::XDP_TX, 1),
    (super::name::VLANS, VLANS),
    (super::name::FDB, FDB),
    (super::name::COUNTERS, COUNTERS),
    (super::name::LIMITERS, 1),
    (super::name::LEARN, 1),
    (super::name::REPORTED, 1),
    (super::name::PUNT, 1),
    #[cfg(feature = "edition-newer")]
    (super::name::CENSUS, EDITION),
];

/// Schema versions from here on are those of editions (README, "Three versions from one tree"), never of a release.
const EDITION: u16 = 1000;

const VLANS: u16 = if cfg!(feature = "edition-newer") {
    EDITION
} else {
    2
};

const FDB: u16 = if cfg!(feature = "edition-newer") {
    EDITION
} else {
    1
};

const COUNTERS: u16 = if cfg!(feature = "edition-older") {
    EDITION + 1
} else if cfg!(feature = "edition-newer") {
    EDITION + 2
} else {
    1
};

/// What becomes of a map's contents when a module takes over hardware whose map of that name has another schema version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// The master fills the new map with what it wants there anyway.
    Rebuilt,
    /// Values are only ever appended to: the common part is copied.
    Carried,
    /// Nothing of value is in it for more than a moment: the new map begins empty.
    Scratch,
}

impl Keeping {
    /// The word in a description.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rebuilt => "rebuilt",
            Self::Carried => "carried",
            Self::Scratch => "scratch",
        }
    }
}

/// What becomes of the map with this name; of one that is not known, nothing is kept.
#[must_use]
pub fn keeping(map: &str) -> Keeping {
    match map {
        super::name::META | super::name::COUNTERS => Keeping::Carried,
        super::name::PORTS
        | super::name::EGRESS
        | super::name::XDP_TX
        | super::name::VLANS
        | super::name::FDB => Keeping::Rebuilt,
        _ => Keeping::Scratch,
    }
}

/// What the data path and every management module must agree on.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// [`MAGIC`]; written last, so that a creation that was cut short is recognised.
    pub magic: u64,
    /// [`LAYOUT`] of the module that created the pins.
    pub layout: u32,
    /// Buckets of the FDB, a power of two.
    pub fdb_buckets: u32,
    /// Secret of the FDB's hash, drawn when the pins were created.
    pub fdb_seed: u64,
    /// CLOCK_BOOTTIME in seconds when the pins were created: the switch's uptime counts from here.
    pub created: u64,
    /// Counts the masters that this hardware has had.
    pub generation: u64,
    /// Seconds that a master has been in charge; the data path stamps FDB entries with it. Stands still
    /// without a master (design invariant 8).
    pub epoch: u32,
    /// Raised after each drain of the LEARN ring: a source that is still unknown is reported again.
    pub learn_round: u32,
    /// 1 while the master sleeps and the next learning event must wake it; else the ring never wakes anyone.
    pub learn_asleep: u32,
    /// The slot of the module that is or was the last master, one of [`owner`].
    pub owner: u32,
    /// CLOCK_MONOTONIC in nanoseconds until which VLANs with [`super::vlans::flag::GUARDED`] forward on all their
    /// ports; 0 if no master has ever given a lease (design invariant 1).
    pub lease: u64,
    /// SHA-256 of the object file and constants of the attached programs.
    pub image: [u8; 32],
    /// Schema versions in the order of [`SCHEMA`]; 0 beyond it.
    pub schema: [u16; 32],
}

/// Values of [`Meta::owner`].
pub mod owner {
    /// No module with a slot has been master.
    pub const NONE: u32 = 0;
    /// Slot `msm-a`.
    pub const MSM_A: u32 = 1;
    /// Slot `msm-b`.
    pub const MSM_B: u32 = 2;
}

const _: () = assert!(size_of::<Meta>() == 160 && align_of::<Meta>() == 8);
const _: () = assert!(SCHEMA.len() <= 32);

#[cfg(feature = "std")]
// SAFETY: repr(C), Copy, no padding (the sizes of the fields add up to the asserted size), any bit pattern valid.
unsafe impl aya::Pod for Meta {}
