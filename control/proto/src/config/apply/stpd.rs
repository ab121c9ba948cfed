//! Spanning tree domains in a draft. They follow their VLANs and those their members.

use super::*;
use crate::config::check::stpd as numbers;
use crate::config::stpd::DEFAULT_VLAN;
use crate::config::{
    MAX_STPDS, StpdChange, StpdConfig, StpdMode, StpdName, StpdPortChange, StpdPortConfig,
};
use crate::stp::CostMethod;

impl Draft {
    /// Does nothing if there is such a domain already.
    pub(super) fn create_stpd(&mut self, name: StpdName) -> Result<(), ChangeProblem> {
        if self.stpds.contains_key(&name) {
            return Ok(());
        }
        if self.stpds.len() >= MAX_STPDS {
            return Err(ChangeProblem::StpdsFull);
        }
        self.stpds.insert(name, StpdConfig::new(name));
        Ok(())
    }

    pub(super) fn delete_stpd(&mut self, name: StpdName) -> Result<(), ChangeProblem> {
        self.stpd(name)?;
        if name == StpdName::S0 {
            return Err(ChangeProblem::StpdStays);
        }
        self.stpds.remove(&name);
        Ok(())
    }

    /// What it is made of stays: its VLANs and which of them carries its BPDUs, and whether it is enabled.
    pub(super) fn unconfigure_stpd(&mut self, name: StpdName) -> Result<(), ChangeProblem> {
        let stpd = self.stpd(name)?;
        *stpd = StpdConfig {
            enabled: stpd.enabled,
            tag: stpd.tag,
            vlans: std::mem::take(&mut stpd.vlans),
            ..StpdConfig::new(name)
        };
        Ok(())
    }

    fn stpd(&mut self, name: StpdName) -> Result<&mut StpdConfig, ChangeProblem> {
        let stpd = self.stpds.get_mut(&name);
        stpd.ok_or(ChangeProblem::UnknownStpd(name))
    }

    pub(super) fn change_stpd(
        &mut self,
        name: StpdName,
        change: &StpdChange,
    ) -> Result<(), ChangeProblem> {
        self.stpd(name)?;
        match change {
            StpdChange::AddVlan { vlan } => {
                let vlan = self.vlan(vlan)?;
                return self.add_to_stpd(name, vlan);
            }
            StpdChange::DeleteVlan { vlan } => {
                let vlan = self.vlan(vlan)?;
                self.remove_from_stpd(name, vlan);
                return Ok(());
            }
            StpdChange::Ports { ports, change } => {
                let ports = self.stpd_members(name, ports)?;
                return self.change_stpd_ports(name, &ports, change);
            }
            _ => {}
        }
        let stpd = self.stpd(name)?;
        let of_domain = || format!("STP domain {name}");
        match *change {
            StpdChange::Enabled { enabled } => stpd.enabled = enabled,
            StpdChange::Mode { mode } => stpd.mode = mode,
            StpdChange::Tag { tag } => stpd.tag = tag,
            StpdChange::Priority { priority } => {
                stpd.priority = numbers::bridge_priority(priority).map_err(of(of_domain))?;
            }
            StpdChange::HelloTime { seconds } => {
                // The mode that takes the most; the rules will ask for the one that it will have.
                stpd.hello_time =
                    numbers::hello_time(seconds, StpdMode::Dot1d).map_err(of(of_domain))?;
            }
            StpdChange::MaxAge { seconds } => {
                stpd.max_age = numbers::max_age(seconds).map_err(of(of_domain))?;
            }
            StpdChange::ForwardDelay { seconds } => {
                stpd.forward_delay = numbers::forward_delay(seconds).map_err(of(of_domain))?;
            }
            StpdChange::TxHoldCount { count } => {
                stpd.tx_hold_count = numbers::tx_hold_count(count).map_err(of(of_domain))?;
            }
            StpdChange::PathCostMethod { method } => stpd.path_cost_method = method,
            StpdChange::DefaultEncapsulation { encapsulation } => {
                stpd.default_encapsulation = encapsulation;
            }
            StpdChange::AddVlan { .. }
            | StpdChange::DeleteVlan { .. }
            | StpdChange::Ports { .. } => {}
        }
        Ok(())
    }

    fn add_to_stpd(&mut self, name: StpdName, vlan: VlanId) -> Result<(), ChangeProblem> {
        match self.stpd_of(vlan) {
            Some(there) if there == name => Ok(()),
            Some(there) => Err(ChangeProblem::OtherStpd { vlan, there, name }),
            None => {
                self.stpd(name)?.vlans.insert(vlan);
                Ok(())
            }
        }
    }

    fn stpd_of(&self, vlan: VlanId) -> Option<StpdName> {
        let mut stpds = self.stpds.iter();
        stpds
            .find(|(_, stpd)| stpd.vlans.contains(&vlan))
            .map(|(&name, _)| name)
    }

    /// The ports meant, all of them the domain's.
    fn stpd_members(
        &self,
        name: StpdName,
        ports: &PortSelection,
    ) -> Result<BTreeSet<PortNo>, ChangeProblem> {
        let mut selected = self.selected(ports)?;
        let Some(stpd) = self.stpds.get(&name) else {
            return Err(ChangeProblem::UnknownStpd(name));
        };
        let is_member = |port: &PortNo| {
            let port = self.ports.get(port);
            port.is_some_and(|port| port.is_member_of_any(&stpd.vlans))
        };
        match ports {
            PortSelection::All => selected.retain(is_member),
            PortSelection::List(_) => {
                if let Some(&port) = selected.iter().find(|port| !is_member(port)) {
                    return Err(ChangeProblem::OutsideStpd { port, name });
                }
            }
        }
        Ok(selected)
    }

    fn change_stpd_ports(
        &mut self,
        name: StpdName,
        ports: &BTreeSet<PortNo>,
        change: &StpdPortChange,
    ) -> Result<(), ChangeProblem> {
        let stpd = self.stpd(name)?;
        for &number in ports {
            let mut port = stpd.port(number);
            let of_port = || format!("STP domain {name}, port {number}");
            match *change {
                StpdPortChange::Enabled { enabled } => port.enabled = enabled,
                StpdPortChange::Encapsulation { encapsulation } => {
                    port.encapsulation = encapsulation;
                }
                StpdPortChange::Priority { priority } => {
                    port.priority = numbers::port_priority(priority).map_err(of(of_port))?;
                }
                StpdPortChange::Cost { cost } => {
                    // As for the hello time.
                    let cost = cost.map(|cost| numbers::path_cost(cost, CostMethod::Long));
                    port.cost = cost.transpose().map_err(of(of_port))?;
                }
                StpdPortChange::LinkType { link_type } => port.link_type = link_type,
                StpdPortChange::AutoEdge { enabled } => port.auto_edge = enabled,
                StpdPortChange::BpduGuard { enabled, recovery } => {
                    let recovery = recovery.map(numbers::recovery).transpose();
                    port.bpdu_guard = enabled;
                    port.bpdu_guard_recovery = recovery
                        .map_err(of(|| format!("{}: bpdu-guard recovery-timeout", of_port())))?;
                }
                StpdPortChange::RootGuard { enabled } => port.root_guard = enabled,
                StpdPortChange::BpduFilter { enabled } => port.bpdu_filter = enabled,
                StpdPortChange::LoopGuard { enabled } => port.loop_guard = enabled,
            }
            if port == StpdPortConfig::default() {
                stpd.ports.remove(&number);
            } else {
                stpd.ports.insert(number, port);
            }
        }
        Ok(())
    }

    /// A new VLAN 1 is one of s0's.
    pub(super) fn join_default_stpd(&mut self, vlan: VlanId) {
        if vlan == DEFAULT_VLAN
            && let Some(s0) = self.stpds.get_mut(&StpdName::S0)
        {
            s0.vlans.insert(vlan);
        }
    }

    /// With its settings of ports that have no other VLAN of it.
    pub(in crate::config) fn remove_from_stpd(&mut self, name: StpdName, vlan: VlanId) {
        if let Some(stpd) = self.stpds.get_mut(&name)
            && stpd.vlans.remove(&vlan)
        {
            stpd.tag = stpd.tag.filter(|&tag| tag != vlan);
            drop_strangers(stpd, &self.ports);
        }
    }

    /// The VLAN is no more.
    pub(super) fn vlan_left_stpd(&mut self, vlan: VlanId) {
        if let Some(name) = self.stpd_of(vlan) {
            self.remove_from_stpd(name, vlan);
        }
    }

    /// Ports have left the VLAN.
    pub(super) fn members_left_stpd(&mut self, vlan: VlanId) {
        if let Some(stpd) = self.stpds.values_mut().find(|s| s.vlans.contains(&vlan)) {
            drop_strangers(stpd, &self.ports);
        }
    }

    /// Ports are no more.
    pub(super) fn ports_left_stpds(&mut self, ports: &BTreeSet<PortNo>) {
        for stpd in self.stpds.values_mut() {
            stpd.ports.retain(|port, _| !ports.contains(port));
        }
    }

    pub(super) fn retag_in_stpd(&mut self, vlan: VlanId, id: VlanId) {
        for stpd in self.stpds.values_mut() {
            if stpd.vlans.remove(&vlan) {
                stpd.vlans.insert(id);
            }
            if stpd.tag == Some(vlan) {
                stpd.tag = Some(id);
            }
        }
    }
}

/// Drops settings of ports that are not the domain's.
fn drop_strangers(stpd: &mut StpdConfig, ports: &BTreeMap<PortNo, PortConfig>) {
    let vlans = &stpd.vlans;
    stpd.ports.retain(|port, _| {
        let port = ports.get(port);
        port.is_some_and(|port| port.is_member_of_any(vlans))
    });
}
