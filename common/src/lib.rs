//! What the data path (`ebpf/`) and the control plane (`control/`) share: identifiers, limits, drop
//! reasons and the layout of every map. No I/O, no allocation; `no_std` unless the `std` feature is on.
//!
//! Everything that is stored in a map is `#[repr(C)]` with its size asserted here, so that the two sides
//! can not drift apart. Changing a layout means a new schema version in [`map::meta::SCHEMA`].
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(all(feature = "edition-older", feature = "edition-newer"))]
compile_error!(
    "a build is of one edition: edition-older, edition-newer, or neither for this version"
);

pub mod ids;
pub mod limits;
pub mod map;
pub mod reason;

pub use ids::{Mac, PortNo, VlanId};
pub use reason::DropReason;

/// The version that a module tells of itself: that of the package, or of the edition (see README, "Three versions from
/// one tree") that is built.
pub const VERSION: &str = if cfg!(feature = "edition-older") {
    "0.3.99"
} else if cfg!(feature = "edition-newer") {
    "0.5.0"
} else {
    env!("CARGO_PKG_VERSION")
};

/// The lowest version whose checkpoint and pinned maps this one can go on with, and leave in a state with which that one
/// can: those before it have another [`map::meta::LAYOUT`].
pub const LOWEST_COMPATIBLE: &str = "0.3.0";
