//! How many addresses are learned on each port and in each VLAN, and which of these have been told that they
//! are at their limit.

use super::Rules;
use hitless_common::limits::MAX_PORTS;
use hitless_common::map::vlans::{ENTRIES, PortSet};
use hitless_common::{PortNo, VlanId};
use std::collections::BTreeSet;

/// Counts of dynamic entries.
#[derive(Debug)]
pub(super) struct Tally {
    /// By port number; index 0 is not used.
    ports: [u32; MAX_PORTS + 1],
    /// By VLAN id.
    vlans: Box<[u32]>,
    noticed_ports: PortSet,
    noticed_vlans: BTreeSet<VlanId>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            ports: [0; MAX_PORTS + 1],
            vlans: vec![0; ENTRIES as usize].into(),
            noticed_ports: PortSet::EMPTY,
            noticed_vlans: BTreeSet::new(),
        }
    }
}

impl Tally {
    pub fn on_port(&self, port: PortNo) -> u32 {
        self.ports[usize::from(port.get())]
    }

    pub fn in_vlan(&self, vlan: VlanId) -> u32 {
        self.vlans[usize::from(vlan.get())]
    }

    /// The VLANs in which something is learned, ascending.
    pub fn vlans(&self) -> impl Iterator<Item = VlanId> + '_ {
        let used = self.vlans.iter().enumerate().filter(|(_, n)| **n > 0);
        used.filter_map(|(id, _)| VlanId::new(id as u16))
    }

    /// Everything that is learned.
    pub fn total(&self) -> u32 {
        self.ports.iter().sum()
    }

    pub fn add(&mut self, port: PortNo, vlan: VlanId) {
        self.ports[usize::from(port.get())] += 1;
        self.vlans[usize::from(vlan.get())] += 1;
    }

    pub fn remove(&mut self, rules: &Rules, port: PortNo, vlan: VlanId) {
        self.ports[usize::from(port.get())] -= 1;
        self.vlans[usize::from(vlan.get())] -= 1;
        self.forget_port_notice(rules, port);
        self.forget_vlan_notice(rules, vlan);
    }

    /// The port's limit, if it has one and is at or above it.
    pub fn port_limit_reached(&self, rules: &Rules, port: PortNo) -> Option<u32> {
        let limit = *rules.port_limits.get(&port)?;
        (self.on_port(port) >= limit).then_some(limit)
    }

    /// The VLAN's limit, if it has one and is at or above it.
    pub fn vlan_limit_reached(&self, rules: &Rules, vlan: VlanId) -> Option<u32> {
        let limit = *rules.vlan_limits.get(&vlan)?;
        (self.in_vlan(vlan) >= limit).then_some(limit)
    }

    /// Whether this is the first time that the port is at its limit since it was below.
    pub fn first_at_port_limit(&mut self, port: PortNo) -> bool {
        let first = !self.noticed_ports.has(port.get());
        self.noticed_ports.insert(port);
        first
    }

    /// Whether this is the first time that the VLAN is at its limit since it was below.
    pub fn first_at_vlan_limit(&mut self, vlan: VlanId) -> bool {
        self.noticed_vlans.insert(vlan)
    }

    /// Applies new limits to what was noticed under the old ones.
    pub fn recheck(&mut self, rules: &Rules) {
        for port in PortNo::all() {
            self.forget_port_notice(rules, port);
        }
        for vlan in self.noticed_vlans.clone() {
            self.forget_vlan_notice(rules, vlan);
        }
    }

    fn forget_port_notice(&mut self, rules: &Rules, port: PortNo) {
        if self.noticed_ports.has(port.get()) && self.port_limit_reached(rules, port).is_none() {
            self.noticed_ports.remove(port);
        }
    }

    fn forget_vlan_notice(&mut self, rules: &Rules, vlan: VlanId) {
        if !self.noticed_vlans.is_empty() && self.vlan_limit_reached(rules, vlan).is_none() {
            self.noticed_vlans.remove(&vlan);
        }
    }
}
