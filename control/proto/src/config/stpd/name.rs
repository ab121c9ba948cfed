//! The name of a spanning tree domain: small enough to be copied, since every port and event of a domain has it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::InvalidName;

const MAX_LENGTH: usize = 32;

/// The name of a spanning tree domain: 1 to 32 of the characters A-Z a-z 0-9 _ - . beginning with a letter.
/// Names are ordered as their texts are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StpdName {
    /// Zeros after the name, which has none, so that the order is that of the texts.
    bytes: [u8; MAX_LENGTH],
    length: u8,
}

impl StpdName {
    /// The domain that every switch has.
    pub const S0: Self = {
        let mut bytes = [0; MAX_LENGTH];
        bytes[0] = b's';
        bytes[1] = b'0';
        Self { bytes, length: 2 }
    };

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.length));
        name.and_then(|name| str::from_utf8(name).ok())
            .unwrap_or_default()
    }
}

impl FromStr for StpdName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let good = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        let mut bytes = [0; MAX_LENGTH];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(name), Ok(length)) if good => {
                name.copy_from_slice(text.as_bytes());
                Ok(Self { bytes, length })
            }
            _ => Err(InvalidName::of(
                text,
                "STP domain name",
                "it must be 1 to 32 of the characters A-Z a-z 0-9 _ - . and start with a letter",
            )),
        }
    }
}

impl fmt::Display for StpdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for StpdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StpdName({:?})", self.as_str())
    }
}

impl Serialize for StpdName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StpdName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_a_name() {
        for good in ["s0", "S", "lab.2_x-y", &"x".repeat(32)] {
            assert_eq!(good.parse::<StpdName>().unwrap().as_str(), good);
        }
        assert_eq!("s0".parse(), Ok(StpdName::S0));
        for bad in ["", "0s", "_x", "a b", "a:b", "é", "a\0", &"x".repeat(33)] {
            let error = bad.parse::<StpdName>().unwrap_err().to_string();
            assert!(error.contains("is no STP domain name: it must"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn names_are_ordered_as_texts(a in "[a-zA-Z][A-Za-z0-9_.-]{0,31}", b in "[a-b][a-b.]{0,3}") {
            let (x, y): (StpdName, StpdName) = (a.parse().unwrap(), b.parse().unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_string(), a);
            prop_assert_eq!(serde_json::from_str(&serde_json::to_string(&y).unwrap()).ok(), Some(y));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<StpdName>();
        }
    }
}
