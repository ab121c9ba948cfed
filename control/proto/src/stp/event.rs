//! What goes into a bridge and what comes out of it.

use super::params::{BridgeConfig, Link, ParameterError, PortConfig};
use super::state::{Opening, Role};
use super::vector::{BridgeId, PortId};
use hitless_common::PortNo;
use hitless_wire::bpdu::Bpdu;
use thiserror::Error;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A second passed (Port Timers machine, 17.22).
    Tick,
    /// A BPDU came.
    Bpdu {
        /// On this port.
        port: PortNo,
        /// What it says.
        bpdu: Bpdu,
    },
    /// A frame to spanning tree's address came that is no BPDU.
    Malformed {
        /// On this port.
        port: PortNo,
    },
    /// The link of a port came, went, or changed speed or duplex.
    Link {
        /// Which port.
        port: PortNo,
        /// How it is now.
        link: Link,
    },
    /// A port joins.
    AddPort {
        /// Its number, new to the bridge.
        port: PortNo,
        /// Its parameters.
        config: PortConfig,
        /// Its link.
        link: Link,
    },
    /// A port leaves.
    RemovePort {
        /// Which one.
        port: PortNo,
    },
    /// The bridge's parameters change. A change of [`super::ForceVersion`] begins the bridge anew (17.13.4).
    Bridge(BridgeConfig),
    /// A port's parameters change.
    Port {
        /// Which one.
        port: PortNo,
        /// Its parameters from now on.
        config: PortConfig,
    },
    /// The operator asks to try RST BPDUs again (mcheck, 17.19.13).
    Mcheck {
        /// On this port.
        port: PortNo,
    },
    /// The operator opens a port again that its BPDU guard had shut.
    Recover {
        /// Which one.
        port: PortNo,
    },
}

/// An input that was refused; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InputError {
    /// The bridge has no such port.
    #[error("port {0} is not in this spanning tree domain; add it first")]
    UnknownPort(PortNo),
    /// The bridge has this port already.
    #[error("port {0} is in this spanning tree domain already")]
    KnownPort(PortNo),
    /// A parameter breaks a rule.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

/// What a step asks for, in this order: `close` in the hardware, `flush`, then the checkpoint of the bridge as it is
/// now, then `open`, then `send`.
///
/// With `sync`, the standby has to acknowledge the checkpoint before anything is opened or sent (design invariant 4).
/// Without, it need not be waited for: who resumes from an older checkpoint has in effect lost a BPDU, which the
/// protocol stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Ports that let fewer frames through.
    pub close: Vec<(PortNo, Opening)>,
    /// Forwarding database entries of ports to forget.
    pub flush: Vec<Flush>,
    /// Whether the checkpoint is to be acknowledged before what follows: something is opened, or a neighbour is
    /// promised (agreement, 17.19.1) that it can open its side.
    pub sync: bool,
    /// Ports that let more frames through.
    pub open: Vec<(PortNo, Opening)>,
    /// BPDUs to send.
    pub send: Vec<(PortNo, Bpdu)>,
    /// For the log.
    pub events: Vec<Event>,
}

/// Entries of a port to forget (fdbFlush, 17.19.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All at once.
    Now(PortNo),
    /// In mode `dot1d`: those not heard of for some seconds, for as long.
    Ageing {
        /// Which port.
        port: PortNo,
        /// Forward Delay of the root.
        seconds: u16,
    },
}

/// Something for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A port's role changed.
    Role {
        /// Which port.
        port: PortNo,
        /// Before.
        from: Role,
        /// After.
        to: Role,
    },
    /// What a port does with frames changed.
    Opening {
        /// Which port.
        port: PortNo,
        /// Before.
        from: Opening,
        /// After.
        to: Opening,
    },
    /// Another root, or another way to it.
    Root {
        /// Root and root port before.
        from: (BridgeId, PortId),
        /// After.
        to: (BridgeId, PortId),
    },
    /// A port began to forward and its neighbours are told (17.31 DETECTED).
    TopologyChangeDetected {
        /// Which port.
        port: PortNo,
    },
    /// A neighbour tells of a change (17.31 NOTIFIED). Not repeated while its notice lasts.
    TopologyChangeHeard {
        /// On this port.
        port: PortNo,
    },
    /// The neighbour's information ran out.
    InfoAged {
        /// On this port.
        port: PortNo,
    },
    /// A neighbour that hears nothing from here forwards as designated port; this port closes.
    Disputed {
        /// Which port.
        port: PortNo,
    },
    /// A port heard itself and closes.
    OwnBpdu {
        /// Which port.
        port: PortNo,
    },
    /// BPDU guard shut a port, or the port is open to spanning tree again.
    BpduGuard {
        /// Which port.
        port: PortNo,
        /// Whether it is shut.
        active: bool,
    },
    /// Root guard keeps a better root out, or needs to no longer.
    RootGuard {
        /// On this port.
        port: PortNo,
        /// Whether it does.
        active: bool,
    },
    /// Loop protection holds a port closed, or no longer.
    LoopGuard {
        /// Which port.
        port: PortNo,
        /// Whether it does.
        active: bool,
    },
    /// A port changed between BPDUs of 802.1D-1998 and RST BPDUs.
    Migrated {
        /// Which port.
        port: PortNo,
        /// Whether it sends RST BPDUs now.
        rstp: bool,
    },
    /// operEdge changed.
    Edge {
        /// Which port.
        port: PortNo,
        /// Whether it is an edge port now.
        edge: bool,
    },
}
