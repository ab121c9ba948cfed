//! What the data path (`ebpf/`) and the control plane (`control/`) share: identifiers, limits, drop
//! reasons and the layout of every map. No I/O, no allocation; `no_std` unless the `std` feature is on.
//!
//! Everything that is stored in a map is `#[repr(C)]` with its size asserted here, so that the two sides
//! can not drift apart. Changing a layout means a new schema version in [`map::meta::SCHEMA`].
#![cfg_attr(not(feature = "std"), no_std)]

pub mod ids;
pub mod limits;
pub mod map;
pub mod reason;

pub use ids::{Mac, PortNo, VlanId};
pub use reason::DropReason;
