//! The records of the checkpointed subsystems.
//!
//! A record knows how to write the fields in which it differs from another one, and how to read what was written
//! over what is there. A put differs from the defaults, an update from the record that is there; so one pair of
//! functions serves both.

#[cfg(feature = "edition-newer")]
mod census;
mod config;
mod fdb;
mod port;
mod stp;
mod vlan;

#[cfg(feature = "edition-newer")]
pub use census::CensusRecord;
pub use config::ConfigRecord;
pub use fdb::FdbRecord;
pub use port::PortRecord;
pub use stp::{COUNTERS_OF_A_PORT, DomainName, HELD, StpKey, StpRecord, TimesOctets, VectorOctets};
pub use vlan::VlanRecord;

use crate::digest;
use crate::message::RecordError;
use crate::schema::Subsystem;
use core::fmt::Debug;

/// A record of a checkpointed subsystem. A protocol joins the checkpoint with one more of these, its fields in
/// [`crate::schema`], and a place in [`crate::receiver::Database`].
pub trait Record: Sized {
    /// The subsystem whose records these are.
    const SUBSYSTEM: Subsystem;

    /// What tells one from another.
    type Key: Copy + Debug;

    /// Its key.
    fn key(&self) -> Self::Key;

    /// Writes the key's fields.
    fn write_key(key: Self::Key, out: &mut Vec<u8>);

    /// Reads the key's fields.
    ///
    /// # Errors
    /// When they are missing or no key.
    fn read_key(fields: &[u8]) -> Result<Self::Key, RecordError>;

    /// Writes the key's fields, and the others that differ from those of `base`, or without one from their
    /// defaults.
    fn write(&self, base: Option<&Self>, out: &mut Vec<u8>);

    /// The record that was written; fields that were not are those of `base`, or their defaults.
    ///
    /// # Errors
    /// When a field has an impossible value, or one that has no default is missing.
    fn read(base: Option<&Self>, fields: &[u8]) -> Result<Self, RecordError>;

    /// A number made of all its contents, for [`digest::Digest`].
    fn hash(&self) -> u64 {
        let mut octets = Vec::with_capacity(64);
        self.write(None, &mut octets);
        digest::hash(Self::SUBSYSTEM, &octets)
    }
}

/// Whether the key is written behind the other fields: another order in an edition (README, "Three versions from one
/// tree").
const KEY_LAST: bool = cfg!(feature = "edition-newer");

/// Puts fields into the order in which this edition writes them.
fn in_order<T>(fields: &mut [T]) {
    if cfg!(feature = "edition-newer") {
        fields.reverse();
    } else if cfg!(feature = "edition-older") {
        fields.rotate_left(1);
    }
}
