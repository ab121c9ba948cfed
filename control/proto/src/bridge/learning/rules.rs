//! What of the configuration concerns learning.

use crate::config::{Config, Damping};
use hitless_common::limits::DEFAULT_FDB_SIZE;
use hitless_common::{PortNo, VlanId};
use std::collections::BTreeMap;

/// The configured limits and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Addresses that the table holds at most.
    pub capacity: u32,
    /// Seconds after which an address that was not seen is removed; `None`: never.
    pub ageing_seconds: Option<u32>,
    /// When an address that moves to and fro is held; `None`: never. An address that moves 65,535 times within
    /// the interval is held, whatever is configured.
    pub damping: Option<Damping>,
    /// Addresses that a port may learn, where that is limited.
    pub port_limits: BTreeMap<PortNo, u32>,
    /// Addresses that may be learned in a VLAN, where that is limited.
    pub vlan_limits: BTreeMap<VlanId, u32>,
}

impl Default for Rules {
    /// The default size; nothing ages, is limited or held.
    fn default() -> Self {
        Self {
            capacity: DEFAULT_FDB_SIZE,
            ageing_seconds: None,
            damping: None,
            port_limits: BTreeMap::new(),
            vlan_limits: BTreeMap::new(),
        }
    }
}

impl From<&Config> for Rules {
    fn from(config: &Config) -> Self {
        let ports = config.ports.iter();
        let vlans = config.vlans.iter();
        Self {
            capacity: config.fdb.size,
            ageing_seconds: config.fdb.ageing_seconds,
            damping: Some(config.fdb.damping).filter(|d| d.moves > 0),
            port_limits: ports
                .filter_map(|(&n, p)| Some((n, p.mac_limit?)))
                .collect(),
            vlan_limits: vlans
                .filter_map(|(&id, v)| Some((id, v.mac_limit?)))
                .collect(),
        }
    }
}
