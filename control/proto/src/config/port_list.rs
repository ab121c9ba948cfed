//! Ports as people list them: `1-4,7`, or `all`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use hitless_common::PortNo;
use hitless_common::ids::InvalidId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One port or more, written `1-4,7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortList(BTreeSet<PortNo>);

impl PortList {
    /// These ports; `None` if there are none.
    #[must_use]
    pub fn new(ports: BTreeSet<PortNo>) -> Option<Self> {
        (!ports.is_empty()).then_some(Self(ports))
    }

    /// The ports, ascending; at least one.
    pub fn iter(&self) -> impl Iterator<Item = PortNo> + '_ {
        self.0.iter().copied()
    }

    /// The ports as a set.
    #[must_use]
    pub fn ports(&self) -> &BTreeSet<PortNo> {
        &self.0
    }
}

impl From<PortNo> for PortList {
    fn from(port: PortNo) -> Self {
        Self(BTreeSet::from([port]))
    }
}

/// Why a text is no list of ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPortList {
    /// It does not look like one.
    #[error("{0:?} is no list of ports such as 1-4,7")]
    Syntax(String),
    /// A number in it is no port's.
    #[error(transparent)]
    Port(#[from] InvalidId),
    /// A range goes downwards.
    #[error("{0:?} is no range of ports: the lower one comes first, as in 1-4")]
    Descending(String),
}

impl FromStr for PortList {
    type Err = InvalidPortList;
    fn from_str(text: &str) -> Result<Self, InvalidPortList> {
        let number = |part: &str| match part.parse::<i64>() {
            Ok(number) if part.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok(PortNo::try_new(number)?)
            }
            _ => Err(InvalidPortList::Syntax(text.into())),
        };
        let mut ports = BTreeSet::new();
        for item in text.split(',') {
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            let (low, high) = (number(low)?, number(high)?);
            if low > high {
                return Err(InvalidPortList::Descending(item.into()));
            }
            ports.extend((low.get()..=high.get()).filter_map(PortNo::new));
        }
        Ok(Self(ports))
    }
}

/// Runs of two and more as ranges.
impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for port in self.iter().map(PortNo::get) {
            match runs.last_mut() {
                Some((_, high)) if *high + 1 == port => *high = port,
                _ => runs.push((port, port)),
            }
        }
        for (i, (low, high)) in runs.into_iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if low == high {
                write!(f, "{low}")?;
            } else {
                write!(f, "{low}-{high}")?;
            }
        }
        Ok(())
    }
}

/// Ports that a change is for, written `all` or `1-4,7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSelection {
    /// Every port that is configured.
    All,
    /// These; each must be configured.
    List(PortList),
}

impl From<PortNo> for PortSelection {
    fn from(port: PortNo) -> Self {
        Self::List(port.into())
    }
}

impl From<PortList> for PortSelection {
    fn from(ports: PortList) -> Self {
        Self::List(ports)
    }
}

impl FromStr for PortSelection {
    type Err = InvalidPortList;
    fn from_str(text: &str) -> Result<Self, InvalidPortList> {
        match text {
            "all" => Ok(Self::All),
            _ => text.parse().map(Self::List),
        }
    }
}

impl fmt::Display for PortSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::List(ports) => ports.fmt(f),
        }
    }
}

/// The members of a VLAN that form no loop, written `all`, `none` or `1-4,7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoopFreePorts {
    /// All, whoever they are.
    All,
    /// None.
    None,
    /// These; each must be a member.
    List(PortList),
}

impl FromStr for LoopFreePorts {
    type Err = InvalidPortList;
    fn from_str(text: &str) -> Result<Self, InvalidPortList> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => text.parse().map(Self::List),
        }
    }
}

impl fmt::Display for LoopFreePorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::None => f.write_str("none"),
            Self::List(ports) => ports.fmt(f),
        }
    }
}

/// As text, in the form that people write.
macro_rules! text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

text!(PortList, PortSelection, LoopFreePorts);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> PortList {
        text.parse().unwrap()
    }

    #[test]
    fn a_list_is_written_as_short_as_it_can_be() {
        for (text, written) in [
            ("1", "1"),
            ("1-4,7", "1-4,7"),
            ("7,4,3,2,1", "1-4,7"),
            ("1-3,2-5", "1-5"),
            ("128,1-1", "1,128"),
        ] {
            assert_eq!(list(text).to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_list() {
        for (text, says) in [
            ("", "is no list of ports"),
            (",", "is no list of ports"),
            ("1,", "is no list of ports"),
            ("1-", "is no list of ports"),
            ("-1", "is no list of ports"),
            ("+1", "is no list of ports"),
            ("1-2-3", "is no list of ports"),
            ("1 ,2", "is no list of ports"),
            ("all", "is no list of ports"),
            ("0", "port 0 is not in 1 to 128"),
            ("1-129", "port 129 is not in 1 to 128"),
            ("4-1", "\"4-1\" is no range"),
        ] {
            let error = text.parse::<PortList>().unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn words_of_selections() {
        assert_eq!("all".parse(), Ok(PortSelection::All));
        assert_eq!("all".parse(), Ok(LoopFreePorts::All));
        assert_eq!("none".parse(), Ok(LoopFreePorts::None));
        assert!("none".parse::<PortSelection>().is_err());
        assert_eq!("2-3".parse(), Ok(LoopFreePorts::List(list("2,3"))));
        assert_eq!("2-3".parse(), Ok(PortSelection::List(list("2,3"))));
    }

    proptest! {
        #[test]
        fn a_list_comes_back(ports in prop::collection::btree_set(1u16..=128, 1..128)) {
            let ports = PortList::new(ports.into_iter().filter_map(PortNo::new).collect()).unwrap();
            prop_assert_eq!(&ports.to_string().parse::<PortList>().unwrap(), &ports);
        }

        #[test]
        fn no_text_panics(text in "[-,0-9 a]{0,12}") {
            let _ = text.parse::<PortList>();
        }
    }
}
