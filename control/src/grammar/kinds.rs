//! Kinds of arguments: what words they accept, in code and in words, and where their values can be looked up.

use std::fmt;
use std::str::FromStr;

use crate::northbound::api::MAX_ACCEPT_SECONDS;
use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{
    DeviceName, DisplayText, ImageKey, PortList, StpdName, SysName, VlanName, VlanRef,
};

/// What a switch knows and completion offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// VLANs, by name.
    Vlans,
    /// Spanning tree domains, by name.
    Stpds,
    /// Ports of the switch, by number.
    Ports,
    /// Network interfaces of the machine.
    Devices,
    /// Addresses in the forwarding database.
    Macs,
    /// Configured addresses.
    StaticMacs,
    /// Files where the operator is.
    Files,
}

/// How a word fits a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It has the form that only this kind has: a number, a MAC address, a list of ports.
    Closed,
    /// It does, as many words would: a name, a text.
    Open,
    /// It does not.
    No {
        /// The rule that it breaks, a sentence.
        why: String,
        /// Whether it seems to be meant for this kind.
        near: bool,
    },
}

/// A kind of argument.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A number in a range.
    Number {
        /// The lowest.
        low: i64,
        /// The highest.
        high: i64,
    },
    /// One of the table.
    Named(&'static Row),
}

/// A row of the table of kinds.
pub struct Row {
    name: &'static str,
    accepts: &'static str,
    fit: fn(&str) -> Fit,
    source: Option<Source>,
    example: &'static str,
}

/// Of a name, by which no keyword can be told from it.
fn open<T: FromStr<Err: fmt::Display>>(word: &str) -> Fit {
    match word.parse::<T>() {
        Ok(_) => Fit::Open,
        Err(error) => Fit::No {
            why: error.to_string(),
            near: false,
        },
    }
}

/// Of something that begins with a digit.
fn closed<T: FromStr<Err: fmt::Display>>(word: &str) -> Fit {
    match word.parse::<T>() {
        Ok(_) => Fit::Closed,
        Err(error) => Fit::No {
            why: error.to_string(),
            near: starts_with_digit(word),
        },
    }
}

fn starts_with_digit(word: &str) -> bool {
    word.strip_prefix(['-', '+'])
        .unwrap_or(word)
        .starts_with(|c: char| c.is_ascii_digit())
}

fn vlan(word: &str) -> Fit {
    if starts_with_digit(word) {
        closed::<VlanId>(word)
    } else {
        open::<VlanRef>(word)
    }
}

fn mac(word: &str) -> Fit {
    match closed::<Mac>(word) {
        Fit::No { why, near } => Fit::No {
            why,
            near: near || word.contains(':'),
        },
        fit => fit,
    }
}

fn not_empty(word: &str) -> Fit {
    if word.is_empty() {
        Fit::No {
            why: "\"\" is empty; a word is needed".into(),
            near: true,
        }
    } else {
        Fit::Open
    }
}

/// A time as it is typed: `45m`, `90s`, `2h`, or seconds without a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// The time in seconds, at most a week.
    pub seconds: u32,
}

impl FromStr for Time {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (digits, unit) = match word.strip_suffix(['s', 'm', 'h']) {
            Some(digits) if word.ends_with('m') => (digits, 60),
            Some(digits) if word.ends_with('h') => (digits, 3_600),
            Some(digits) => (digits, 1),
            None => (word, 1),
        };
        let seconds = digits
            .parse::<u32>()
            .ok()
            .and_then(|count| count.checked_mul(unit));
        match seconds.filter(|seconds| *seconds <= MAX_ACCEPT_SECONDS) {
            Some(seconds) => Ok(Self { seconds }),
            None => Err(format!(
                "{word:?} is no time such as 90s, 45m or 2h, at most a week"
            )),
        }
    }
}

/// Two ports of a probe flow as they are typed: `1:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPair {
    /// Where frames come in.
    pub from: PortNo,
    /// Where they leave.
    pub to: PortNo,
}

impl FromStr for PortPair {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let Some((from, to)) = word.split_once(':') else {
            return Err(format!("{word:?} is no pair of ports such as 1:2"));
        };
        let port = |word: &str| word.parse::<PortNo>().map_err(|e| e.to_string());
        let (from, to) = (port(from)?, port(to)?);
        if from == to {
            return Err(format!(
                "{word:?} names port {from} twice; frames can only leave by another port than they came in at"
            ));
        }
        Ok(Self { from, to })
    }
}

/// Every kind but numbers.
static KINDS: &[Row] = &[
    Row {
        name: "VLAN",
        accepts: "a VLAN's name, or its id, 1 to 4094",
        fit: vlan,
        source: Some(Source::Vlans),
        example: "blue",
    },
    Row {
        name: "VLAN-ID",
        accepts: "1 to 4094",
        fit: closed::<VlanId>,
        source: None,
        example: "10",
    },
    Row {
        name: "VLAN-NAME",
        accepts: "1 to 32 of the characters A-Z a-z 0-9 _ - . beginning with a letter",
        fit: open::<VlanName>,
        source: None,
        example: "blue",
    },
    Row {
        name: "STPD",
        accepts: "a spanning tree domain's name",
        fit: open::<StpdName>,
        source: Some(Source::Stpds),
        example: "s0",
    },
    Row {
        name: "STPD-NAME",
        accepts: "1 to 32 of the characters A-Z a-z 0-9 _ - . beginning with a letter",
        fit: open::<StpdName>,
        source: None,
        example: "s1",
    },
    Row {
        name: "PORT",
        accepts: "1 to 128",
        fit: closed::<PortNo>,
        source: Some(Source::Ports),
        example: "3",
    },
    Row {
        name: "PORTS",
        accepts: "a list such as 1-4,7 of 1 to 128",
        fit: closed::<PortList>,
        source: Some(Source::Ports),
        example: "1-4,7",
    },
    Row {
        name: "PORT-PAIR",
        accepts: "two ports such as 1:2, the one that frames come in at first",
        fit: closed::<PortPair>,
        source: Some(Source::Ports),
        example: "1:2",
    },
    Row {
        name: "MAC",
        accepts: "six octets such as 02:00:00:00:01:0a",
        fit: mac,
        source: Some(Source::Macs),
        example: "02:00:00:00:01:0a",
    },
    Row {
        name: "STATIC-MAC",
        accepts: "six octets such as 02:00:00:00:01:0a",
        fit: mac,
        source: Some(Source::StaticMacs),
        example: "02:00:00:00:01:0a",
    },
    Row {
        name: "DEVICE",
        accepts: "a network interface, 1 to 15 bytes without white space, / or :",
        fit: open::<DeviceName>,
        source: Some(Source::Devices),
        example: "eth1",
    },
    Row {
        name: "SYSNAME",
        accepts: "1 to 255 printable ASCII characters without blanks",
        fit: open::<SysName>,
        source: None,
        example: "core1.lab",
    },
    Row {
        name: "TEXT",
        accepts: "at most 255 printable ASCII characters, in quotes if there are blanks",
        fit: open::<DisplayText>,
        source: None,
        example: "\"Rack 5\"",
    },
    Row {
        name: "FILE",
        accepts: "a file's path",
        fit: not_empty,
        source: Some(Source::Files),
        example: "switch.yaml",
    },
    Row {
        name: "IMAGE",
        accepts: "a file's path, or an address that begins with http:// or https://",
        fit: not_empty,
        source: Some(Source::Files),
        example: "hitless-0.4.0.image",
    },
    Row {
        name: "IMAGE-KEY",
        accepts: "the 56 characters that begin with RW, from a key's .pub file",
        fit: open::<ImageKey>,
        source: None,
        example: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
    },
    Row {
        name: "DURATION",
        accepts: "a time such as 90s, 45m or 2h",
        fit: closed::<Time>,
        source: None,
        example: "45m",
    },
    Row {
        name: "WORD",
        accepts: "a word",
        fit: not_empty,
        source: None,
        example: "word",
    },
    Row {
        name: "COMMAND",
        accepts: "the first words of a command",
        fit: not_empty,
        source: None,
        example: "show",
    },
];

/// The kind of this name: one of the table, or a range of numbers such as `30-300`.
pub(super) fn named(name: &str) -> Option<Kind> {
    if let Some((low, high)) = name.split_once('-')
        && let (Ok(low), Ok(high)) = (low.parse(), high.parse())
    {
        return (low <= high).then_some(Kind::Number { low, high });
    }
    KINDS.iter().find(|row| row.name == name).map(Kind::Named)
}

impl Kind {
    /// How this word fits.
    pub(super) fn fit(&self, word: &str) -> Fit {
        match self {
            Self::Number { low, high } => match word.parse::<i64>() {
                Ok(number) if (*low..=*high).contains(&number) => Fit::Closed,
                Ok(number) => Fit::No {
                    why: format!("{number} is not in {low} to {high}"),
                    near: true,
                },
                Err(_) => Fit::No {
                    why: format!("{word:?} is not a number, {low} to {high}"),
                    near: starts_with_digit(word),
                },
            },
            Self::Named(row) => (row.fit)(word),
        }
    }

    /// The rule in words: `30 to 300`.
    #[must_use]
    pub fn accepts(&self) -> String {
        match self {
            Self::Number { low, high } => format!("{low} to {high}"),
            Self::Named(row) => row.accepts.into(),
        }
    }

    /// Where its values can be looked up.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Number { .. } => None,
            Self::Named(row) => row.source,
        }
    }

    /// A word that it accepts, as it is typed.
    #[must_use]
    pub fn example(&self) -> String {
        match self {
            Self::Number { low, .. } => low.to_string(),
            Self::Named(row) => row.example.into(),
        }
    }

    /// What stands between values of its source, if it is made of several.
    pub(super) fn separators(&self) -> &'static [char] {
        match self {
            Self::Named(row) if row.name == "PORTS" => &[',', '-'],
            Self::Named(row) if row.name == "PORT-PAIR" => &[':'],
            _ => &[],
        }
    }

    /// Whether the words from here on are the beginning of a command, which help is wanted for.
    pub(super) fn is_command(&self) -> bool {
        matches!(self, Self::Named(row) if row.name == "COMMAND")
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { low, high } => write!(f, "{low}-{high}"),
            Self::Named(row) => f.write_str(row.name),
        }
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number { low, high }, Self::Number { low: l, high: h }) => (low, high) == (l, h),
            (Self::Named(a), Self::Named(b)) => a.name == b.name,
            _ => false,
        }
    }
}

impl Eq for Kind {}
