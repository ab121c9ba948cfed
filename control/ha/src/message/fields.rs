//! Fields of a record: a tag and a value each.

use super::{u16_at, u32_at};
use crate::schema::{Field, Kind};
use hitless_common::limits::{MAX_PORTS, PORT_WORDS};
use hitless_common::map::vlans::PortSet;
use hitless_common::{Mac, PortNo, VlanId};
use thiserror::Error;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FieldError {
    /// Not of the declared kind, and not convertible.
    #[error("is not a {0:?}")]
    Kind(Kind),
    /// Too large for what it means.
    #[error("{value} is above {max}")]
    Range {
        /// The value.
        value: u64,
        /// The largest that is allowed.
        max: u64,
    },
    /// No VLAN id.
    #[error("{0} is no VLAN id, 1 to 4094")]
    Vlan(u64),
    /// No port number.
    #[error("{0} is no port number, 1 to {MAX_PORTS}")]
    Port(u64),
    /// A set with ports that do not exist.
    #[error("names ports above {MAX_PORTS}")]
    Ports,
    /// A name that is empty or too long.
    #[error("has {octets} octets; 1 to {max} are allowed")]
    Length {
        /// Its length.
        octets: usize,
        /// The longest that is allowed.
        max: usize,
    },
    /// A text that is not UTF-8.
    #[error("is not UTF-8")]
    Text,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Shorter than it says.
    #[error("a record or field is longer than its message")]
    Cut,
    /// A field without which the record means nothing is missing.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field has a value that it can not have.
    #[error("the field {field} {error}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong.
        error: FieldError,
    },
    /// An update of something that is not there.
    #[error("{0} is to be updated and is not there")]
    Unknown(String),
}

/// The value of a field as it came: any number, or octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// A number up to `max`, whatever width it was written in.
    fn number(self, field: Field, max: u64) -> Result<u64, RecordError> {
        match self {
            Self::Number(value) if value <= max => Ok(value),
            Self::Number(value) => Err(wrong(field, FieldError::Range { value, max })),
            Self::Bytes(_) => Err(wrong(field, FieldError::Kind(field.kind))),
        }
    }

    pub fn u8(self, field: Field) -> Result<u8, RecordError> {
        self.number(field, u8::MAX.into()).map(|n| n as u8)
    }

    pub fn u16(self, field: Field) -> Result<u16, RecordError> {
        self.number(field, u16::MAX.into()).map(|n| n as u16)
    }

    pub fn u32(self, field: Field) -> Result<u32, RecordError> {
        self.number(field, u32::MAX.into()).map(|n| n as u32)
    }

    pub fn u64(self, field: Field) -> Result<u64, RecordError> {
        self.number(field, u64::MAX)
    }

    pub fn bool(self, field: Field) -> Result<bool, RecordError> {
        self.number(field, 1).map(|n| n == 1)
    }

    pub fn mac(self, field: Field) -> Result<Mac, RecordError> {
        self.number(field, (1 << 48) - 1).map(Mac::from_u64)
    }

    pub fn vlan(self, field: Field) -> Result<VlanId, RecordError> {
        let number = self.u64(field)?;
        u16::try_from(number)
            .ok()
            .and_then(VlanId::new)
            .ok_or_else(|| wrong(field, FieldError::Vlan(number)))
    }

    pub fn port(self, field: Field) -> Result<PortNo, RecordError> {
        let number = self.u64(field)?;
        u16::try_from(number)
            .ok()
            .and_then(PortNo::new)
            .ok_or_else(|| wrong(field, FieldError::Port(number)))
    }

    pub fn bytes(self, field: Field) -> Result<&'a [u8], RecordError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(wrong(field, FieldError::Kind(field.kind))),
        }
    }

    pub fn text(self, field: Field) -> Result<&'a str, RecordError> {
        core::str::from_utf8(self.bytes(field)?).map_err(|_| wrong(field, FieldError::Text))
    }

    /// A list of so many octets: those that are missing are 0, further ones, of a later version, are left out.
    pub fn octets<const N: usize>(self, field: Field) -> Result<[u8; N], RecordError> {
        let bytes = self.bytes(field)?;
        let known = bytes.len().min(N);
        let mut octets = [0; N];
        octets[..known].copy_from_slice(&bytes[..known]);
        Ok(octets)
    }

    /// A set of ports: bit 0 of the first octet is port 1; octets that are missing are 0.
    pub fn ports(self, field: Field) -> Result<PortSet, RecordError> {
        let bytes = self.bytes(field)?;
        let mut octets = [0; PORT_WORDS * 8];
        let (known, beyond) = bytes.split_at(bytes.len().min(octets.len()));
        if beyond.iter().any(|&octet| octet != 0) {
            return Err(wrong(field, FieldError::Ports));
        }
        octets[..known.len()].copy_from_slice(known);
        let mut set = PortSet::EMPTY;
        for (word, octets) in set.0.iter_mut().zip(octets.as_chunks().0) {
            *word = u64::from_le_bytes(*octets);
        }
        Ok(set)
    }
}

pub(crate) fn wrong(field: Field, error: FieldError) -> RecordError {
    RecordError::Field {
        field: field.name,
        error,
    }
}

/// The fields of a record: their numbers and values. After an error nothing follows.
pub(crate) fn fields(record: &[u8]) -> Fields<'_> {
    Fields(record)
}

/// See [`fields`].
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn split(&mut self) -> Option<(u16, Value<'a>)> {
        let (tag, after) = self.0.split_at_checked(2)?;
        let tag = u16_at(tag, 0);
        let width = match tag & 15 {
            k if k == Kind::U8 as u16 => 1,
            k if k == Kind::U16 as u16 => 2,
            k if k == Kind::U32 as u16 => 4,
            k if k == Kind::U48 as u16 => 6,
            k if k == Kind::U64 as u16 => 8,
            kind => return self.octets(tag >> 4, kind == Kind::Bytes16 as u16, after),
        };
        let (octets, rest) = after.split_at_checked(width)?;
        self.0 = rest;
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(octets);
        Some((tag >> 4, Value::Number(u64::from_le_bytes(wide))))
    }

    fn octets(&mut self, id: u16, short: bool, after: &'a [u8]) -> Option<(u16, Value<'a>)> {
        let (length, after) = after.split_at_checked(if short { 2 } else { 4 })?;
        let length = match short {
            true => usize::from(u16_at(length, 0)),
            false => u32_at(length, 0) as usize,
        };
        let (octets, rest) = after.split_at_checked(length)?;
        self.0 = rest;
        Some((id, Value::Bytes(octets)))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u16, Value<'a>), RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let found = self.split();
        if found.is_none() {
            self.0 = &[];
        }
        Some(found.ok_or(RecordError::Cut))
    }
}

/// Writing a field. The value must fit the field's kind, which the record types see to.
impl Field {
    /// Writes a number of as many octets as the kind has.
    #[inline]
    pub(crate) fn number(self, out: &mut Vec<u8>, value: u64) {
        let width = match self.kind {
            Kind::U8 => 1,
            Kind::U16 => 2,
            Kind::U32 => 4,
            Kind::U48 => 6,
            Kind::U64 => 8,
            Kind::Bytes16 | Kind::Bytes32 => 0,
        };
        let mut octets = [0; 10];
        octets[..2].copy_from_slice(&self.tag().to_le_bytes());
        octets[2..].copy_from_slice(&value.to_le_bytes());
        out.extend_from_slice(&octets[..2 + width]);
    }

    /// Writes octets; of those that a 16-bit length can not tell of, only the first.
    pub(crate) fn bytes(self, out: &mut Vec<u8>, value: &[u8]) {
        out.extend_from_slice(&self.tag().to_le_bytes());
        match self.kind {
            Kind::Bytes32 => {
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
            _ => {
                let value = &value[..value.len().min(usize::from(u16::MAX))];
                out.extend_from_slice(&(value.len() as u16).to_le_bytes());
                out.extend_from_slice(value);
            }
        }
    }

    /// Writes a set of ports without the zeros at its end.
    pub(crate) fn ports(self, out: &mut Vec<u8>, set: &PortSet) {
        let mut octets = [0; PORT_WORDS * 8];
        for (octets, word) in octets.chunks_exact_mut(8).zip(set.0) {
            octets.copy_from_slice(&word.to_le_bytes());
        }
        let length = octets
            .iter()
            .rposition(|&o| o != 0)
            .map_or(0, |last| last + 1);
        self.bytes(out, &octets[..length]);
    }
}
