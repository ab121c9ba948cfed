//! A VLAN as people name it.

use std::fmt;
use std::str::FromStr;

use hitless_common::VlanId;
use hitless_common::ids::InvalidId;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{Config, InvalidName, VlanName};

/// A VLAN by id (a number) or by name (a text). A text of digits is an id: no name starts with a digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VlanRef {
    /// By id.
    Id(VlanId),
    /// By name.
    Name(VlanName),
}

impl VlanRef {
    /// The VLAN meant.
    ///
    /// # Errors
    /// If the configuration has no such VLAN.
    pub fn resolve(&self, config: &Config) -> Result<VlanId, UnknownVlan> {
        match self {
            Self::Id(id) if config.vlans.contains_key(id) => Some(*id),
            Self::Id(_) => None,
            Self::Name(name) => config.vlan_named(name.as_str()),
        }
        .ok_or_else(|| UnknownVlan(self.clone()))
    }
}

impl From<VlanId> for VlanRef {
    fn from(id: VlanId) -> Self {
        Self::Id(id)
    }
}

/// A VLAN that the configuration does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("VLAN {0} does not exist; `show vlan` lists those that do")]
pub struct UnknownVlan(pub VlanRef);

impl fmt::Display for VlanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Why a text names no VLAN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVlanRef {
    /// It is a number, but no VLAN id.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// It is neither a number nor a name that a VLAN can have.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl FromStr for VlanRef {
    type Err = InvalidVlanRef;
    fn from_str(text: &str) -> Result<Self, InvalidVlanRef> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            Ok(Self::Id(text.parse()?))
        } else {
            Ok(Self::Name(text.parse()?))
        }
    }
}

impl Serialize for VlanRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(serializer),
            Self::Name(name) => name.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for VlanRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RefVisitor;

        impl Visitor<'_> for RefVisitor {
            type Value = VlanRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a VLAN id or a VLAN name")
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> Result<VlanRef, E> {
                VlanId::try_new(id).map(VlanRef::Id).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<VlanRef, E> {
                self.visit_i64(i64::try_from(id).unwrap_or(i64::MAX))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VlanRef, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(RefVisitor)
    }
}
