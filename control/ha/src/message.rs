//! The canonical message: a header, and records of self-describing fields (patent, "canonical messaging system").
//!
//! All numbers are written least significant octet first. A body is a number of records, each a 32-bit length and
//! fields; a field is a tag (number and [`Kind`](crate::schema::Kind)) and a value. The order of the fields is
//! free; of a field that comes twice the last one counts; a field that the reader does not know is skipped.

mod fields;
mod inbox;

pub use fields::{FieldError, RecordError};
pub(crate) use fields::{fields, wrong};
pub(crate) use inbox::Inbox;

use core::fmt;
use thiserror::Error;

/// The first four octets of every message: `HTLS`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"HTLS");

/// The version of the header and of the fields' layout. It changes only when those do; what is said changes by
/// fields and subtypes.
pub const PROTOCOL: u16 = 1;

/// Octets of a header.
pub const HEADER: usize = 36;

/// Octets that a message may have, header included.
pub const MAX_MESSAGE: usize = 8 << 20;

/// Octets at which a message is full: the next record goes into another one.
pub const FULL: usize = 64 << 10;

/// The number of a bracket, counted up from 1 on each link. 0 stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

impl TransactionId {
    /// No bracket yet.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why the link is useless and has to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// The octets are no message.
    #[error(
        "what the other module sends is no message: it begins with {0:#010x} instead of {MAGIC:#010x}"
    )]
    Magic(u32),
    /// The message is of another protocol version.
    #[error(
        "the other module speaks version {0} of the protocol, this one {PROTOCOL}; run the same image on both"
    )]
    Version(u16),
    /// The message is too long.
    #[error("a message of {0} octets from the other module; {MAX_MESSAGE} are allowed")]
    TooLong(usize),
    /// The message was damaged on the way.
    #[error(
        "message {sequence} from the other module was damaged: checksum {found:#010x}, expected {expected:#010x}"
    )]
    Checksum {
        /// The message's number.
        sequence: u64,
        /// The checksum in the header.
        found: u32,
        /// That of what arrived.
        expected: u32,
    },
    /// A message from the standby is missing. (What a master sends is in brackets, and these are transferred anew.)
    #[error("message {expected} from the standby is missing: it was followed by {found}")]
    Sequence {
        /// The number that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// A message about the link itself makes no sense.
    #[error("a {what} message from the other module: {error}")]
    Malformed {
        /// Which kind of message.
        what: &'static str,
        /// What is wrong with it.
        error: RecordError,
    },
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`crate::schema::Subsystem`], or the number of a later one.
    pub subsystem: u16,
    /// The kind of message in that subsystem.
    pub subtype: u16,
    /// Whether it opens a bracket.
    pub begin: bool,
    /// Whether it closes a bracket.
    pub end: bool,
    /// The bracket that it belongs to; in messages about the link, the newest one of the sender (or, from a
    /// standby, the newest that it applied).
    pub transaction: TransactionId,
    /// Counted up from 1 in each direction of a link.
    pub sequence: u64,
}

/// Bits of the header's flags.
const BEGIN: u16 = 1;
const END: u16 = 2;

/// Where the header's parts stand.
mod at {
    pub const FLAGS: usize = 10;
    pub const LENGTH: usize = 28;
    pub const CHECKSUM: usize = 32;
}

impl Header {
    /// Begins a message at the end of `out`. [`finish`] closes it when its body is there.
    pub(crate) fn start(&self, out: &mut Vec<u8>) {
        let flags = if self.begin { BEGIN } else { 0 } | if self.end { END } else { 0 };
        let mut header = [0; HEADER];
        header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[4..6].copy_from_slice(&PROTOCOL.to_le_bytes());
        header[6..8].copy_from_slice(&self.subsystem.to_le_bytes());
        header[8..10].copy_from_slice(&self.subtype.to_le_bytes());
        header[at::FLAGS..12].copy_from_slice(&flags.to_le_bytes());
        header[12..20].copy_from_slice(&self.transaction.0.to_le_bytes());
        header[20..at::LENGTH].copy_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&header);
    }
}

/// Completes the message that [`Header::start`] began at `start` and whose body reaches to the end of `out`:
/// whether it closes its bracket, its length and its checksum.
pub(crate) fn finish(out: &mut [u8], start: usize, end: bool) {
    let message = &mut out[start..];
    if end {
        message[at::FLAGS] |= END as u8;
    }
    // Never cut: what a sender puts into a message is limited to MAX_MESSAGE.
    let length = (message.len() - HEADER) as u32;
    message[at::LENGTH..at::CHECKSUM].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(message);
    message[at::CHECKSUM..HEADER].copy_from_slice(&checksum.to_le_bytes());
}

/// The checksum of a message: of everything but itself.
fn checksum(message: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&message[..at::CHECKSUM]);
    crc.update(&message[HEADER..]);
    crc.finalize()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// A whole message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub header: Header,
    pub body: &'a [u8],
    /// Header and body as they came.
    pub raw: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message at the beginning of `bytes`, if all of it is there.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, LinkError> {
        // What can be wrong is found as soon as it is there, not only when a length that may be nonsense has come.
        if bytes.len() >= 4 && u32_at(bytes, 0) != MAGIC {
            return Err(LinkError::Magic(u32_at(bytes, 0)));
        }
        if bytes.len() >= 6 && u16_at(bytes, 4) != PROTOCOL {
            return Err(LinkError::Version(u16_at(bytes, 4)));
        }
        if bytes.len() < HEADER {
            return Ok(None);
        }
        let length = HEADER + u32_at(bytes, at::LENGTH) as usize;
        if length > MAX_MESSAGE {
            return Err(LinkError::TooLong(length));
        }
        let Some(raw) = bytes.get(..length) else {
            return Ok(None);
        };
        let message = Self::trusted(raw);
        let (found, expected) = (u32_at(raw, at::CHECKSUM), checksum(raw));
        if found != expected {
            return Err(LinkError::Checksum {
                sequence: message.header.sequence,
                found,
                expected,
            });
        }
        Ok(Some(message))
    }

    /// The messages of a bracket that [`Message::parse`] has seen before, one after the other.
    pub fn again(mut raw: &'a [u8]) -> impl Iterator<Item = Self> {
        core::iter::from_fn(move || {
            let length = HEADER + u32_at(raw.get(..HEADER)?, at::LENGTH) as usize;
            let (message, rest) = raw.split_at_checked(length)?;
            raw = rest;
            Some(Self::trusted(message))
        })
    }

    /// A message of whose octets `raw` are exactly all.
    fn trusted(raw: &'a [u8]) -> Self {
        let flags = u16_at(raw, at::FLAGS);
        Self {
            header: Header {
                subsystem: u16_at(raw, 6),
                subtype: u16_at(raw, 8),
                begin: flags & BEGIN != 0,
                end: flags & END != 0,
                transaction: TransactionId(u64_at(raw, 12)),
                sequence: u64_at(raw, 20),
            },
            body: &raw[HEADER..],
            raw,
        }
    }

    /// The records of the body.
    pub fn records(&self) -> impl Iterator<Item = Result<&'a [u8], RecordError>> + use<'a> {
        records(self.body)
    }
}

/// The records of a body. After an error nothing follows.
pub(crate) fn records(body: &[u8]) -> impl Iterator<Item = Result<&[u8], RecordError>> {
    let mut rest = body;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let found = rest
            .split_at_checked(4)
            .and_then(|(length, after)| after.split_at_checked(u32_at(length, 0) as usize));
        let Some((record, after)) = found else {
            rest = &[];
            return Some(Err(RecordError::Cut));
        };
        rest = after;
        Some(Ok(record))
    })
}

/// Appends a record whose fields `write` writes.
pub(crate) fn record(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    // Never cut: what does not fit into a message is not sent.
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
