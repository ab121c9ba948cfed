//! The one declaration of everything that two modules say to each other: subsystems, kinds of messages and the
//! fields of records.
//!
//! A version may add; it may never remove, renumber or retype, because the other module may be older or newer
//! (design invariant 6). A test compares this table with the recorded ones of earlier versions in `schemas/`.

use crate::cause::Cause;
use crate::slot::ModuleSlot;
use crate::state::{Reason, SubState};
use core::fmt;

/// How a field's value is written. The number is part of every tag, so that a field which nobody here knows can
/// be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// One octet; a truth value is 0 or 1.
    U8 = 1,
    /// Two octets, least significant first, as in all numbers.
    U16 = 2,
    /// Four octets.
    U32 = 3,
    /// Six octets: a MAC address as [`hitless_common::Mac::to_u64`] gives it.
    U48 = 4,
    /// Eight octets.
    U64 = 5,
    /// A 16-bit length and as many octets: texts in UTF-8, sets of ports.
    Bytes16 = 6,
    /// A 32-bit length and as many octets. Kinds 0 and 8 to 15, of which later versions may make use, are laid
    /// out like this one.
    Bytes32 = 7,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U48 => "u48",
            Self::U64 => "u64",
            Self::Bytes16 => "bytes16",
            Self::Bytes32 => "bytes32",
        }
    }
}

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its number, 1 to 4095, unique in its record for ever.
    pub id: u16,
    /// Its name in output.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
}

impl Field {
    /// What stands before the value: the field's number and kind.
    #[must_use]
    pub const fn tag(self) -> u16 {
        (self.id << 4) | self.kind as u16
    }
}

/// Declares the fields of a record: constants, their numbers for `match`, and the list of all. Some are only in certain
/// editions (README, "Three versions from one tree").
macro_rules! fields {
    ($(#[$doc:meta])* $module:ident { $($field:ident = $id:literal $name:literal $kind:ident $(if $when:meta)?;)* }) => {
        $(#[$doc])*
        pub mod $module {
            use super::{Field, Kind};
            $(
                $(#[cfg($when)])?
                #[doc = concat!("The field `", $name, "`.")]
                pub const $field: Field = Field { id: $id, name: $name, kind: Kind::$kind };
            )*
            /// All of them.
            pub const FIELDS: &[Field] = &[$($(#[cfg($when)])? $field),*];
            /// Their numbers.
            pub(crate) mod id {
                $($(#[cfg($when)])? pub const $field: u16 = $id;)*
            }
        }
    };
}

fields! {
    /// What the modules say about themselves and their link. One set for all kinds of link messages.
    link {
        SLOT = 1 "slot" U8;
        VERSION = 2 "version" Bytes16;
        IMAGE = 3 "image" Bytes16;
        SWITCH = 4 "switch" Bytes16;
        PID = 5 "pid" U32;
        FDB_BUCKETS = 6 "fdb-buckets" U32;
        FDB_SEED = 7 "fdb-seed" U64;
        SCHEMA = 8 "schema" U32;
        SUBSYSTEM = 9 "subsystem" U16;
        STATE = 10 "state" U8;
        REASON = 11 "reason" U8;
        RESYNC = 12 "resync" U8;
        CAUSE = 13 "cause" U8;
        TEXT = 14 "text" Bytes32;
        COUNT = 15 "count" U64;
        HASH = 16 "hash" U64;
        SUBSYSTEMS = 17 "subsystems" Bytes16;
    }
}

fields! {
    /// The running configuration.
    config {
        DOCUMENT = 1 "document" Bytes32;
        SAVED = 2 "saved" U8;
        FILE = 3 "file" Bytes16;
        ROLLBACK = 4 "rollback" Bytes32;
        ROLLBACK_SAVED = 5 "rollback-saved" U8;
        ROLLBACK_AT = 6 "rollback-at" U64;
    }
}

fields! {
    /// A port and its link.
    port {
        PORT = 1 "port" U16;
        DEVICE = 2 "device" Bytes16;
        IFINDEX = 3 "ifindex" U32;
        LINK_UP = 4 "link-up" U8;
        ENABLED = 5 "enabled" U8;
        OFFLOAD = 6 "offload" U8 if not(feature = "edition-older");
        UP = 7 "up" U8;
        MTU = 2000 "mtu" U32 if feature = "edition-newer";
    }
}

fields! {
    /// A VLAN as the hardware has it.
    vlan {
        VLAN = 1 "vlan" U16;
        MEMBER = 2 "member" Bytes16;
        UNTAGGED = 3 "untagged" Bytes16;
        FORWARDING = 4 "forwarding" Bytes16;
        LEARNING = 5 "learning" Bytes16;
        FALLBACK = 6 "fallback" Bytes16;
        FLAGS = 7 "flags" U64;
    }
}

#[cfg(feature = "edition-newer")]
fields! {
    /// What other versions know nothing of: the ports of a VLAN, counted.
    census {
        VLAN = 1 "vlan" U16;
        MEMBERS = 2 "members" U16;
        FORWARDING = 3 "forwarding" U16;
    }
}

fields! {
    /// An address in the forwarding database.
    fdb {
        SLOT = 1 "slot" U32;
        VLAN = 2 "vlan" U16;
        MAC = 3 "mac" U48;
        PORT = 4 "port" U16;
        FLAGS = 5 "flags" U16;
        MOVES = 6 "moves" U16;
        SINCE = 7 "since" U32;
        HELD = 8 "held" U8;
    }
}

fields! {
    /// The bridge of a spanning tree domain, or one of its ports. Times are epochs, so that a second that passes
    /// changes no record. What octets, codes and bits mean: [`stp_names`].
    stp {
        DOMAIN = 1 "domain" Bytes16;
        PORT = 2 "port" U16;
        MAC = 3 "mac" U48;
        ROOT_PRIORITY = 4 "root-priority" Bytes16;
        ROOT_PORT = 5 "root-port" U16;
        ROOT_TIMES = 6 "root-times" Bytes16;
        TOPOLOGY_CHANGES = 7 "topology-changes" U32;
        TOPOLOGY_CHANGE_AT = 8 "topology-change-at" U32;
        MBPS = 9 "mbps" U32;
        FLAGS = 10 "flags" U64;
        DESIGNATED_PRIORITY = 11 "designated-priority" Bytes16;
        DESIGNATED_TIMES = 12 "designated-times" Bytes16;
        PORT_PRIORITY = 13 "port-priority" Bytes16;
        PORT_TIMES = 14 "port-times" Bytes16;
        PRX = 15 "prx" U8;
        PPM = 16 "ppm" U8;
        BDM = 17 "bdm" U8;
        PIM = 18 "pim" U8;
        PRT = 19 "prt" U8;
        PST = 20 "pst" U8;
        TCM = 21 "tcm" U8;
        INFO_IS = 22 "info-is" U8;
        ROLE = 23 "role" U8;
        SELECTED_ROLE = 24 "selected-role" U8;
        EDGE_DELAY = 25 "edge-delay" U32;
        FD = 26 "fd" U32;
        MDELAY = 27 "mdelay" U32;
        RB = 28 "rb" U32;
        RCVD_INFO = 29 "rcvd-info" U32;
        RR = 30 "rr" U32;
        TC = 31 "tc" U32;
        GUARD = 32 "guard" U32;
        COUNTERS = 33 "counters" Bytes16;
    }
}

/// Declares an enumeration with numbers that never change.
macro_rules! numbered {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $name:literal $(if $when:meta)?,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[repr(u16)]
        pub enum $type { $($(#[$vdoc])* $(#[cfg($when)])? $variant = $number,)* }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$($(#[cfg($when)])? Self::$variant),*];

            /// The number in messages.
            #[must_use]
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// The inverse of `code`.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($(#[cfg($when)])? $number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(#[cfg($when)])? Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

numbered! {
    /// A part of the switch that has messages of its own.
    Subsystem {
        /// The link between the modules; nothing of it is checkpointed.
        Module = 1 "module",
        /// The running configuration, and whether it is saved.
        Config = 2 "config",
        /// Ports and their links.
        Ports = 3 "ports",
        /// VLANs and the state of their ports.
        Vlans = 4 "vlans",
        /// The forwarding database.
        Fdb = 5 "fdb",
        /// Spanning tree.
        Stp = 6 "stp",
        /// What other versions know nothing of.
        Census = 2000 "census" if feature = "edition-newer",
    }
}

const CHECKPOINTED: usize = if cfg!(feature = "edition-newer") {
    6
} else {
    5
};

impl Subsystem {
    /// What a standby gets, in the order of the transfer.
    pub const CHECKPOINTED: [Self; CHECKPOINTED] = [
        Self::Config,
        Self::Ports,
        Self::Vlans,
        Self::Stp,
        Self::Fdb,
        #[cfg(feature = "edition-newer")]
        Self::Census,
    ];

    /// What modules have that do not say what they have, as those before version 0.3.0.
    pub(crate) const FIRST: [Self; 4] = [Self::Config, Self::Ports, Self::Vlans, Self::Fdb];

    /// Its place in [`Subsystem::CHECKPOINTED`].
    pub(crate) const fn place(self) -> Option<usize> {
        match self {
            Self::Module => None,
            Self::Config => Some(0),
            Self::Ports => Some(1),
            Self::Vlans => Some(2),
            Self::Stp => Some(3),
            Self::Fdb => Some(4),
            #[cfg(feature = "edition-newer")]
            Self::Census => Some(5),
        }
    }

    /// The fields of its records.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Module => link::FIELDS,
            Self::Config => config::FIELDS,
            Self::Ports => port::FIELDS,
            Self::Vlans => vlan::FIELDS,
            Self::Fdb => fdb::FIELDS,
            Self::Stp => stp::FIELDS,
            #[cfg(feature = "edition-newer")]
            Self::Census => census::FIELDS,
        }
    }
}

numbered! {
    /// The kinds of messages of a checkpointed subsystem.
    RecordSubtype {
        /// Records as they are; what is missing has its default.
        Put = 1 "put",
        /// What changed in records that are there; what is missing is unchanged.
        Update = 2 "update",
        /// Keys of records that are no more.
        Delete = 3 "delete",
        /// All of the subsystem follows: what is there is cleared.
        BulkBegin = 4 "bulk-begin",
        /// All of the subsystem was sent.
        BulkEnd = 5 "bulk-end",
    }
}

numbered! {
    /// The kinds of messages about the link.
    LinkSubtype {
        /// The first message in each direction.
        Hello = 1 "hello",
        /// A sign of life.
        Keepalive = 2 "keepalive",
        /// Every bracket up to the header's transaction is applied.
        Ack = 3 "ack",
        /// The standing of subsystems.
        Status = 4 "status",
        /// Everything was sent: take over now.
        Handover = 5 "handover",
        /// Why the sender is dying.
        LastWords = 6 "last-words",
        /// Asks for the digests of the database.
        DigestRequest = 7 "digest-request",
        /// The digests.
        Digest = 8 "digest",
        /// This module is not wanted; says why. The link is closed.
        Refuse = 9 "refuse",
        /// An orderly end; the link is closed.
        Goodbye = 10 "goodbye",
    }
}

pub mod stp_names;

/// The whole schema in a form that people read and tests compare: one line an item.
#[must_use]
pub fn print() -> String {
    let mut lines = vec![format!("protocol {}", crate::message::PROTOCOL)];
    for &subsystem in Subsystem::ALL {
        lines.push(format!("{} {}", subsystem.code(), subsystem));
        let subtypes: Vec<(u16, &str)> = match subsystem {
            Subsystem::Module => LinkSubtype::ALL
                .iter()
                .map(|s| (s.code(), s.name()))
                .collect(),
            _ => RecordSubtype::ALL
                .iter()
                .map(|s| (s.code(), s.name()))
                .collect(),
        };
        for (code, name) in subtypes {
            lines.push(format!("{subsystem} message {code} {name}"));
        }
        for field in subsystem.fields() {
            let (id, name, kind) = (field.id, field.name, field.kind.name());
            lines.push(format!("{subsystem} field {id} {name} {kind}"));
        }
        if subsystem == Subsystem::Stp {
            lines.extend(stp_names::lines());
        }
    }
    let slots = ModuleSlot::BOTH.map(|slot| format!("slot {} {slot}", slot.code()));
    let states = SubState::ALL.map(|state| format!("state {} {state}", state.code()));
    let reasons = Reason::ALL.map(|reason| format!("reason {} {reason}", reason.code()));
    let causes = Cause::ALL.map(|cause| format!("cause {} {cause}", cause.code()));
    lines.extend(slots.into_iter().chain(states).chain(reasons).chain(causes));
    lines.join("\n") + "\n"
}

/// A number that differs when the schema does: two modules whose numbers are equal have the same fields, and
/// only then are their digests comparable.
#[must_use]
pub fn fingerprint() -> u32 {
    crc32fast::hash(print().as_bytes())
}

#[cfg(test)]
mod tests;
