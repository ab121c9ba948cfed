//! Bridge protocol data units: Config and TCN of 802.1D-1998, RST of 802.1D-2004 (clause 9.3), and the frames that
//! carry them.
//!
//! An MST BPDU is read as the RST BPDU that it begins with (802.1D-2004 9.3.4: a later version with the same type
//! is taken by its known part). What 9.3.4 asks about the receiving port (message age, own identifier) is the
//! bridge's to ask; what can be seen in the octets alone is asked here.

pub mod corpus;
mod frame;
#[cfg(test)]
mod tests;

pub use frame::{
    Encapsulation, Frame, FrameError, MAX_FRAME_BYTES, PVST_DESTINATION, STP_DESTINATION,
};

use core::fmt;
use hitless_common::Mac;
use thiserror::Error;

/// Octets of a Config BPDU (9.3.1).
pub const CONFIG_BYTES: usize = 35;
/// Octets of a TCN BPDU (9.3.2).
pub const TCN_BYTES: usize = 4;
/// Octets of an RST BPDU (9.3.3).
pub const RST_BYTES: usize = 36;

/// The protocol versions and types (9.2.3, 9.2.4).
mod number {
    pub const VERSION_STP: u8 = 0;
    pub const VERSION_RSTP: u8 = 2;
    pub const CONFIG: u8 = 0x00;
    pub const TCN: u8 = 0x80;
    pub const RST: u8 = 0x02;
}

/// The bits of the flags octet (9.2.10 and figure 9-4).
mod bit {
    pub const TOPOLOGY_CHANGE: u8 = 0x01;
    pub const PROPOSAL: u8 = 0x02;
    pub const ROLE: u8 = 0x0c;
    pub const LEARNING: u8 = 0x10;
    pub const FORWARDING: u8 = 0x20;
    pub const AGREEMENT: u8 = 0x40;
    pub const TOPOLOGY_CHANGE_ACK: u8 = 0x80;
}

/// A bridge identifier (9.2.5): the lower is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeId {
    /// Priority in the upper four bits, system identifier extension (of a domain or VLAN) in the lower twelve. A
    /// bridge of 802.1D-1998 uses all sixteen for the priority.
    pub priority: u16,
    /// The bridge's address.
    pub mac: Mac,
}

impl BridgeId {
    const fn from_wire(octets: [u8; 8]) -> Self {
        let [p0, p1, m0, m1, m2, m3, m4, m5] = octets;
        Self {
            priority: u16::from_be_bytes([p0, p1]),
            mac: Mac([m0, m1, m2, m3, m4, m5]),
        }
    }

    const fn to_wire(self) -> [u8; 8] {
        let [p0, p1] = self.priority.to_be_bytes();
        let Mac([m0, m1, m2, m3, m4, m5]) = self.mac;
        [p0, p1, m0, m1, m2, m3, m4, m5]
    }
}

impl fmt::Display for BridgeId {
    /// Priority and address, as in `80:00:02:00:00:00:01:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [high, low] = self.priority.to_be_bytes();
        f.pad(&format!("{high:02x}:{low:02x}:{}", self.mac))
    }
}

/// A port identifier (9.2.7): priority in the upper four bits, port number in the lower twelve. The lower is the
/// better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

impl fmt::Display for PortId {
    /// Four hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04x}", self.0))
    }
}

/// The times of a BPDU, each in 1/256 s as on the wire (9.2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WireTimes {
    /// How long ago the root sent this information.
    pub message_age: u16,
    /// At which age it is discarded.
    pub max_age: u16,
    /// Between the root's BPDUs.
    pub hello: u16,
    /// In listening and in learning.
    pub forward_delay: u16,
}

/// What Config and RST BPDUs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vector {
    /// The root that the sender knows.
    pub root: BridgeId,
    /// The sender's path cost to it.
    pub root_path_cost: u32,
    /// The sender.
    pub bridge: BridgeId,
    /// The sender's port.
    pub port: PortId,
    /// Its times.
    pub times: WireTimes,
}

/// A Config BPDU (9.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Priority vector and times.
    pub vector: Vector,
    /// The topology change flag.
    pub topology_change: bool,
    /// The topology change acknowledge flag.
    pub topology_change_ack: bool,
}

/// The role of the sending port in an RST BPDU (9.2.9). Role 0, unknown, makes a Config BPDU of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RstRole {
    /// Alternate or backup.
    AlternateOrBackup,
    /// Root.
    Root,
    /// Designated.
    Designated,
}

/// An RST BPDU (9.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rst {
    /// Priority vector and times.
    pub vector: Vector,
    /// Role of the sending port.
    pub role: RstRole,
    /// The topology change flag.
    pub topology_change: bool,
    /// The topology change acknowledge flag: never set by an RST bridge, and ignored by it.
    pub topology_change_ack: bool,
    /// The proposal flag.
    pub proposal: bool,
    /// The agreement flag.
    pub agreement: bool,
    /// The sending port learns.
    pub learning: bool,
    /// The sending port forwards.
    pub forwarding: bool,
}

/// A BPDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bpdu {
    /// Configuration, 802.1D-1998.
    Config(Config),
    /// Topology change notification, 802.1D-1998.
    Tcn,
    /// Rapid spanning tree.
    Rst(Rst),
}

/// Octets that are no BPDU (9.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BpduError {
    /// Cut short.
    #[error("{found} octets: this kind of BPDU takes {needed} (802.1D 9.3)")]
    Truncated {
        /// Octets that are there.
        found: usize,
        /// Octets that it takes.
        needed: usize,
    },
    /// Another protocol.
    #[error("protocol identifier {0:04x}: spanning tree has 0000 (802.1D 9.2.2)")]
    Protocol(u16),
    /// A type that is not known, or not in this version.
    #[error(
        "BPDU type {kind:02x} in version {version}: known are 00, 80, and 02 from version 2 on (802.1D 9.2.4)"
    )]
    Type {
        /// The version.
        version: u8,
        /// The type.
        kind: u8,
    },
}

impl Bpdu {
    /// Reads a BPDU; octets behind it are ignored.
    ///
    /// # Errors
    /// When the octets are no BPDU. What it is then is named.
    pub fn parse(octets: &[u8]) -> Result<Self, BpduError> {
        let needs = |needed| {
            if octets.len() < needed {
                let found = octets.len();
                Err(BpduError::Truncated { found, needed })
            } else {
                Ok(())
            }
        };
        let (&[p0, p1, version, kind], rest) =
            octets
                .split_first_chunk::<TCN_BYTES>()
                .ok_or(BpduError::Truncated {
                    found: octets.len(),
                    needed: TCN_BYTES,
                })?;
        let protocol = u16::from_be_bytes([p0, p1]);
        if protocol != 0 {
            return Err(BpduError::Protocol(protocol));
        }
        match (version, kind) {
            (_, number::TCN) => Ok(()),
            (_, number::CONFIG) => needs(CONFIG_BYTES),
            (number::VERSION_RSTP.., number::RST) => needs(RST_BYTES),
            _ => return Err(BpduError::Type { version, kind }),
        }?;
        if kind == number::TCN {
            return Ok(Self::Tcn);
        }
        let mut reader = Reader(rest);
        let (flags, vector) = reader.flags_and_vector().ok_or(BpduError::Truncated {
            found: octets.len(),
            needed: CONFIG_BYTES,
        })?;
        let has = |bit| flags & bit != 0;
        let role = match (kind, flags & bit::ROLE) {
            (number::RST, 0x04) => RstRole::AlternateOrBackup,
            (number::RST, 0x08) => RstRole::Root,
            (number::RST, 0x0c) => RstRole::Designated,
            _ => {
                return Ok(Self::Config(Config {
                    vector,
                    topology_change: has(bit::TOPOLOGY_CHANGE),
                    topology_change_ack: has(bit::TOPOLOGY_CHANGE_ACK),
                }));
            }
        };
        Ok(Self::Rst(Rst {
            vector,
            role,
            topology_change: has(bit::TOPOLOGY_CHANGE),
            topology_change_ack: has(bit::TOPOLOGY_CHANGE_ACK),
            proposal: has(bit::PROPOSAL),
            agreement: has(bit::AGREEMENT),
            learning: has(bit::LEARNING),
            forwarding: has(bit::FORWARDING),
        }))
    }

    /// Octets of the BPDU on the wire.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Config(_) => CONFIG_BYTES,
            Self::Tcn => TCN_BYTES,
            Self::Rst(_) => RST_BYTES,
        }
    }

    /// The BPDU as it is on the wire, and how many of the octets it has.
    #[must_use]
    pub fn to_wire(&self) -> ([u8; RST_BYTES], usize) {
        let mut out = [0; RST_BYTES];
        match self {
            Self::Tcn => {
                out[2] = number::VERSION_STP;
                out[3] = number::TCN;
            }
            Self::Config(config) => {
                out[2] = number::VERSION_STP;
                out[3] = number::CONFIG;
                out[4] = config.flags();
                config.vector.emit(&mut out);
            }
            Self::Rst(rst) => {
                out[2] = number::VERSION_RSTP;
                out[3] = number::RST;
                out[4] = rst.flags();
                rst.vector.emit(&mut out);
            }
        }
        (out, self.bytes())
    }
}

impl Config {
    /// The flags octet.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        flag(self.topology_change, bit::TOPOLOGY_CHANGE)
            | flag(self.topology_change_ack, bit::TOPOLOGY_CHANGE_ACK)
    }
}

impl Rst {
    /// The flags octet.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        let role = match self.role {
            RstRole::AlternateOrBackup => 0x04,
            RstRole::Root => 0x08,
            RstRole::Designated => 0x0c,
        };
        role | flag(self.topology_change, bit::TOPOLOGY_CHANGE)
            | flag(self.topology_change_ack, bit::TOPOLOGY_CHANGE_ACK)
            | flag(self.proposal, bit::PROPOSAL)
            | flag(self.agreement, bit::AGREEMENT)
            | flag(self.learning, bit::LEARNING)
            | flag(self.forwarding, bit::FORWARDING)
    }
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

impl Vector {
    fn emit(&self, out: &mut [u8; RST_BYTES]) {
        out[5..13].copy_from_slice(&self.root.to_wire());
        out[13..17].copy_from_slice(&self.root_path_cost.to_be_bytes());
        out[17..25].copy_from_slice(&self.bridge.to_wire());
        out[25..27].copy_from_slice(&self.port.0.to_be_bytes());
        let times = self.times;
        for (place, time) in out[27..35].chunks_exact_mut(2).zip([
            times.message_age,
            times.max_age,
            times.hello,
            times.forward_delay,
        ]) {
            place.copy_from_slice(&time.to_be_bytes());
        }
    }
}

/// Takes octets from the front.
struct Reader<'o>(&'o [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn flags_and_vector(&mut self) -> Option<(u8, Vector)> {
        let [flags] = self.take()?;
        let vector = Vector {
            root: BridgeId::from_wire(self.take()?),
            root_path_cost: u32::from_be_bytes(self.take()?),
            bridge: BridgeId::from_wire(self.take()?),
            port: PortId(self.u16()?),
            times: WireTimes {
                message_age: self.u16()?,
                max_age: self.u16()?,
                hello: self.u16()?,
                forward_delay: self.u16()?,
            },
        };
        Some((flags, vector))
    }
}
