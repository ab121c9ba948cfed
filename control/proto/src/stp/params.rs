//! What is configured, with the standard's ranges (802.1D-2004 17.13, 17.14, tables 17-1 to 17-3).

use super::vector::{BridgeId, PortId, Times};
use hitless_common::{Mac, PortNo};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// ForceProtocolVersion (17.13.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForceVersion {
    /// 0, mode `dot1d`: Config and TCN BPDUs, every port opens by forward delay.
    Stp,
    /// 2, mode `dot1w`: RST BPDUs, and those of 802.1D-1998 towards neighbours that know no others.
    Rstp,
}

/// How a port without a configured cost gets one from its speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostMethod {
    /// 16 bits (802.1D-1998 table 8-5).
    Short,
    /// 32 bits (802.1D-2004 table 17-3).
    #[default]
    Long,
}

impl CostMethod {
    /// The cost of a port of this speed in Mbit/s; 0 is an unknown one and counts as 10 Gbit/s, as veth does.
    #[must_use]
    pub const fn cost(self, mbps: u32) -> u32 {
        let mbps = if mbps == 0 { 10_000 } else { mbps };
        match self {
            Self::Long => {
                let cost = 20_000_000 / mbps;
                if cost == 0 { 1 } else { cost }
            }
            Self::Short => match mbps {
                0..10 => 250,
                10..100 => 100,
                100..1_000 => 19,
                1_000..10_000 => 4,
                10_000..40_000 => 2,
                _ => 1,
            },
        }
    }

    /// The highest cost that can be configured.
    #[must_use]
    pub const fn max(self) -> u32 {
        match self {
            Self::Short => 65_535,
            Self::Long => 200_000_000,
        }
    }
}

/// adminPointToPointMAC (6.4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PointToPoint {
    /// By duplex.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never: a shared segment.
    Off,
}

/// A bridge's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// Address in the bridge identifier.
    pub mac: Mac,
    /// Bridge priority, 0 to 61440 in steps of 4096.
    pub priority: u16,
    /// System identifier extension: the domain's VLAN, 0 to 4095.
    pub extension: u16,
    /// ForceProtocolVersion.
    pub force_version: ForceVersion,
    /// Bridge Hello Time in seconds: 1 to 2, in mode `dot1d` 1 to 10.
    pub hello: u16,
    /// Bridge Max Age in seconds, 6 to 40.
    pub max_age: u16,
    /// Bridge Forward Delay in seconds, 4 to 30.
    pub forward_delay: u16,
    /// BPDUs that a port sends in a second, 1 to 10.
    pub tx_hold_count: u8,
    /// Costs of ports that have none configured.
    pub cost_method: CostMethod,
}

impl BridgeConfig {
    /// The defaults of table 17-1 for a bridge with this address.
    #[must_use]
    pub const fn new(mac: Mac) -> Self {
        Self {
            mac,
            priority: 0x8000,
            extension: 0,
            force_version: ForceVersion::Rstp,
            hello: 2,
            max_age: 20,
            forward_delay: 15,
            tx_hold_count: 6,
            cost_method: CostMethod::Long,
        }
    }

    /// BridgeIdentifier (17.18.2).
    #[must_use]
    pub const fn id(&self) -> BridgeId {
        BridgeId {
            priority: self.priority | self.extension,
            mac: self.mac,
        }
    }

    /// BridgeTimes (17.18.4).
    #[must_use]
    pub const fn times(&self) -> Times {
        Times {
            message_age: 0,
            max_age: self.max_age,
            hello: self.hello,
            forward_delay: self.forward_delay,
        }
    }

    /// Asks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ParameterError> {
        if !self.mac.is_station() {
            return Err(ParameterError::Address(self.mac));
        }
        if self.priority & 0x0fff != 0 {
            return Err(ParameterError::BridgePriority(self.priority.into()));
        }
        range("system identifier extension", self.extension, 0, 4095)?;
        let most = match self.force_version {
            ForceVersion::Stp => 10,
            ForceVersion::Rstp => 2,
        };
        range("hello time", self.hello, 1, most)?;
        range("max age", self.max_age, 6, 40)?;
        range("forward delay", self.forward_delay, 4, 30)?;
        range("transmit hold count", u16::from(self.tx_hold_count), 1, 10)?;
        let (forward_delay, max_age, hello) = (self.forward_delay, self.max_age, self.hello);
        if 2 * (forward_delay - 1) < max_age || max_age < 2 * (hello + 1) {
            return Err(ParameterError::Times {
                forward_delay,
                max_age,
                hello,
            });
        }
        Ok(())
    }
}

/// A port's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Whether spanning tree may open the port (administrative state).
    pub enabled: bool,
    /// Port priority, 0 to 240 in steps of 16.
    pub priority: u8,
    /// Path cost, from 1; `None` takes it from the speed.
    pub path_cost: Option<u32>,
    /// AdminEdge: takes effect when the link next comes up.
    pub admin_edge: bool,
    /// AutoEdge: a port that hears no BPDU becomes an edge port.
    pub auto_edge: bool,
    /// adminPointToPointMAC.
    pub point_to_point: PointToPoint,
    /// An edge port that hears a BPDU is shut.
    pub bpdu_guard: bool,
    /// Seconds until a port that was shut by its guard is opened again; `None`: when told.
    pub recovery: Option<u16>,
    /// Root guard, restrictedRole of 802.1Q: never becomes root port.
    pub root_guard: bool,
    /// BPDU filter: neither sends nor takes BPDUs.
    pub bpdu_filter: bool,
    /// Loop protection: a port whose neighbour falls silent does not open until it hears one again.
    pub loop_guard: bool,
}

impl PortConfig {
    /// The defaults of tables 17-2 and 17-3.
    pub const DEFAULT: Self = Self {
        enabled: true,
        priority: 0x80,
        path_cost: None,
        admin_edge: false,
        auto_edge: true,
        point_to_point: PointToPoint::Auto,
        bpdu_guard: false,
        recovery: None,
        root_guard: false,
        bpdu_filter: false,
        loop_guard: false,
    };

    /// The identifier of a port with these parameters (17.19.19).
    #[must_use]
    pub const fn id(&self, port: PortNo) -> PortId {
        PortId((self.priority as u16) << 8 | port.get())
    }

    /// Asks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, method: CostMethod) -> Result<(), ParameterError> {
        if self.priority & 0x0f != 0 {
            return Err(ParameterError::PortPriority(self.priority.into()));
        }
        match self.path_cost {
            Some(cost) if cost == 0 || cost > method.max() => Err(ParameterError::PathCost {
                cost: cost.into(),
                max: method.max(),
            }),
            _ => Ok(()),
        }
    }
}

/// What is known of a port's link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether there is one (MAC_Operational, 6.4.2).
    pub up: bool,
    /// Mbit/s; 0 if unknown.
    pub mbps: u32,
    /// Full duplex: two stations at most.
    pub full_duplex: bool,
}

/// A parameter against the rules of 802.1D.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// The bridge's address.
    #[error("bridge address {0}: a bridge has an individual address")]
    Address(Mac),
    /// The bridge priority.
    #[error("bridge priority {0}: choose 0 to 61440 in steps of 4096 (802.1D-2004 17.14)")]
    BridgePriority(i64),
    /// The port priority.
    #[error("port priority {0}: choose 0 to 240 in steps of 16 (802.1D-2004 17.14)")]
    PortPriority(i64),
    /// A path cost.
    #[error("path cost {cost}: choose 1 to {max} (802.1D-2004 17.14)")]
    PathCost {
        /// The value.
        cost: i64,
        /// The highest that is allowed.
        max: u32,
    },
    /// A number out of its range.
    #[error("{name} {value}: choose {min} to {max} (802.1D-2004 17.14)")]
    Range {
        /// Which parameter.
        name: &'static str,
        /// The value.
        value: i64,
        /// The lowest that is allowed.
        min: u16,
        /// The highest that is allowed.
        max: u16,
    },
    /// Times that do not go together.
    #[error(
        "forward delay {forward_delay}, max age {max_age}, hello time {hello}: \
         2 x (forward delay - 1) >= max age >= 2 x (hello time + 1) must hold (802.1D-2004 17.14)"
    )]
    Times {
        /// Forward delay.
        forward_delay: u16,
        /// Max age.
        max_age: u16,
        /// Hello time.
        hello: u16,
    },
}

impl ParameterError {
    /// The same rule, broken by another value: by one that is too far out to be any parameter's.
    #[must_use]
    pub const fn by(self, value: i64) -> Self {
        match self {
            Self::BridgePriority(_) => Self::BridgePriority(value),
            Self::PortPriority(_) => Self::PortPriority(value),
            Self::PathCost { max, .. } => Self::PathCost { cost: value, max },
            Self::Range { name, min, max, .. } => Self::Range {
                name,
                value,
                min,
                max,
            },
            Self::Address(_) | Self::Times { .. } => self,
        }
    }
}

fn range(name: &'static str, value: u16, min: u16, max: u16) -> Result<(), ParameterError> {
    if value < min || value > max {
        return Err(ParameterError::Range {
            name,
            value: value.into(),
            min,
            max,
        });
    }
    Ok(())
}
