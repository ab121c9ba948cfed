//! Priority vectors (802.1D-2004 17.5, 17.6) and times (17.18.5).

pub use hitless_wire::bpdu::{BridgeId, PortId};
use hitless_wire::bpdu::{Vector, WireTimes};

/// A priority vector without its fifth component, the receiving port's identifier, which is kept beside it. The
/// lesser is the better one (17.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriorityVector {
    /// RootBridgeID.
    pub root: BridgeId,
    /// RootPathCost.
    pub root_path_cost: u32,
    /// DesignatedBridgeID.
    pub designated_bridge: BridgeId,
    /// DesignatedPortID.
    pub designated_port: PortId,
}

impl PriorityVector {
    /// What a bridge knows that hears nobody (bridge priority vector, 17.6).
    #[must_use]
    pub const fn own(bridge: BridgeId) -> Self {
        Self {
            root: bridge,
            root_path_cost: 0,
            designated_bridge: bridge,
            designated_port: PortId(0),
        }
    }

    /// The message priority vector of a BPDU.
    #[must_use]
    pub const fn from_wire(vector: &Vector) -> Self {
        Self {
            root: vector.root,
            root_path_cost: vector.root_path_cost,
            designated_bridge: vector.bridge,
            designated_port: vector.port,
        }
    }

    /// Whether a message with this vector replaces what a port holds (17.6): it is better, or it is from the same
    /// bridge and port, the priorities in their identifiers aside, and says something else.
    #[must_use]
    pub fn is_superior_to(&self, held: &Self) -> bool {
        const NUMBER: u16 = 0x0fff;
        let same_sender = self.designated_bridge.mac == held.designated_bridge.mac
            && self.designated_port.0 & NUMBER == held.designated_port.0 & NUMBER;
        self < held || (same_sender && self != held)
    }
}

/// Times in whole seconds (17.13.5 to 17.13.8, 17.18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Times {
    /// Message Age: hops from the root, in effect.
    pub message_age: u16,
    /// Max Age, 6 to 40.
    pub max_age: u16,
    /// Hello Time, 1 to 10.
    pub hello: u16,
    /// Forward Delay, 4 to 30.
    pub forward_delay: u16,
}

impl Times {
    /// The times of a BPDU. Those outside the ranges of table 17-1 are taken for the nearest in it, so that no
    /// root can make this bridge forward without delay. Ages are rounded to the nearest second (17.21.23).
    #[must_use]
    pub fn from_wire(times: &WireTimes) -> Self {
        let seconds = |wire: u16| (wire >> 8) + ((wire >> 7) & 1);
        Self {
            message_age: seconds(times.message_age),
            max_age: seconds(times.max_age).clamp(6, 40),
            hello: seconds(times.hello).clamp(1, 10),
            forward_delay: seconds(times.forward_delay).clamp(4, 30),
        }
    }

    /// The times as a BPDU has them.
    #[must_use]
    pub const fn to_wire(self) -> WireTimes {
        const fn wire(seconds: u16) -> u16 {
            seconds.saturating_mul(256)
        }
        WireTimes {
            message_age: wire(self.message_age),
            max_age: wire(self.max_age),
            hello: wire(self.hello),
            forward_delay: wire(self.forward_delay),
        }
    }
}
