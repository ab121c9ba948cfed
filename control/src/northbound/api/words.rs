//! Words that requests and answers share about management modules: roles, levels, faults.
//! Slots, causes, states and reasons are those of [`hitless_ha`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Declares an enum with one spelling for JSON, for people and for the command line, which names its values.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $type {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
            /// One that only a newer version knows; never sent by this one.
            #[serde(other, rename = "unknown-to-this-version")]
            Newer,
        }

        impl $type {
            /// All that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its spelling.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Newer => "unknown-to-this-version",
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}
pub(super) use words;

words! {
    /// What a management module is at the moment.
    ModuleRole {
        /// In charge.
        Master = "master",
        /// Ready to be, or on the way there.
        Standby = "standby",
        /// Not there, or being started again.
        Absent = "absent",
    }
}

words! {
    /// What the user of a connection may do.
    Privilege {
        /// Everything.
        Admin = "admin",
        /// What changes nothing.
        ReadOnly = "read-only",
    }
}

impl Privilege {
    /// Longest request line, in bytes, without its newline: a whole configuration, or a question.
    #[must_use]
    pub fn max_request_bytes(self) -> usize {
        match self {
            Self::Admin => 16 << 20,
            _ => 64 << 10,
        }
    }
}

words! {
    /// How urgent a line of the log is.
    LogLevel {
        /// Something failed.
        Error = "error",
        /// Something needs attention.
        Warn = "warn",
        /// Something noteworthy happened.
        Info = "info",
        /// For developers.
        Debug = "debug",
        /// For developers, in detail.
        Trace = "trace",
    }
}

words! {
    /// The lease by which the data path trusts a master.
    LeaseState {
        /// Renewed in time.
        Valid = "valid",
        /// Run out: VLANs with a loop-free port set use that.
        Expired = "expired",
        /// None is kept: no VLAN needs it.
        Off = "off",
    }
}

/// The word is none of those that are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no {what}; expected {expected}")]
pub struct UnknownWord {
    word: String,
    what: &'static str,
    expected: String,
}

impl FromStr for LogLevel {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.iter().find(|level| level.word() == word);
        known.copied().ok_or_else(|| UnknownWord {
            word: word.into(),
            what: "log level",
            expected: Self::ALL
                .iter()
                .map(|l| l.word())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

/// A failure to be brought about, for tests of failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Fault {
    /// The event loop panics.
    Panic,
    /// The event loop hangs.
    Hang,
    /// The process exits.
    Exit,
    /// The process aborts.
    Abort,
    /// A task panics that a switch can do without.
    TaskPanic,
    /// A task panics that a switch can not do without.
    CriticalTaskPanic,
    /// The next self-test fails.
    Diagnostic,
    /// Another one, by its name.
    Other(String),
}

impl Fault {
    const NAMED: [(&str, Self); 7] = [
        ("panic", Self::Panic),
        ("hang", Self::Hang),
        ("exit", Self::Exit),
        ("abort", Self::Abort),
        ("task-panic", Self::TaskPanic),
        ("critical-task-panic", Self::CriticalTaskPanic),
        ("diagnostic", Self::Diagnostic),
    ];
}

impl From<String> for Fault {
    fn from(name: String) -> Self {
        let known = Self::NAMED.into_iter().find(|(known, _)| *known == name);
        known.map_or(Self::Other(name), |(_, fault)| fault)
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(name) => f.write_str(name),
            fault => {
                let named = Self::NAMED.iter().find(|(_, known)| known == fault);
                f.write_str(named.map_or("", |(name, _)| name))
            }
        }
    }
}
