//! VLANs and their members in a draft, with what goes along when one of them does.

use super::*;

impl Draft {
    /// Does nothing if there is such a VLAN already.
    pub(super) fn create_vlan(
        &mut self,
        name: Option<&VlanName>,
        tag: Option<i64>,
    ) -> Result<(), ChangeProblem> {
        let id = match (name, tag) {
            (_, Some(tag)) => VlanId::try_new(tag).map_err(of(|| "create vlan".into()))?,
            (Some(name), None) if self.names.contains_key(name) => return Ok(()),
            (_, None) => self.free_id().ok_or(ChangeProblem::NoFreeVlan)?,
        };
        if let Some(there) = self.vlans.get(&id) {
            return match name {
                Some(name) if *name != there.name => Err(ChangeProblem::VlanExists {
                    id,
                    name: there.name.clone(),
                }),
                _ => Ok(()),
            };
        }
        let name = name.cloned().unwrap_or_else(|| VlanName::default_of(id));
        self.free_name(&name)?;
        self.names.insert(name.clone(), id);
        self.vlans.insert(id, VlanConfig::new(name));
        self.join_default_stpd(id);
        Ok(())
    }

    fn free_id(&mut self) -> Option<VlanId> {
        while let Some(id) = VlanId::new(self.highest_free) {
            if !self.vlans.contains_key(&id) {
                return Some(id);
            }
            self.highest_free -= 1;
        }
        None
    }

    fn free_name(&self, name: &VlanName) -> Result<(), ChangeProblem> {
        match self.names.get(name) {
            Some(&other) => Err(ChangeProblem::NameTaken {
                name: name.clone(),
                other,
            }),
            None => Ok(()),
        }
    }

    /// With its memberships and configured addresses.
    pub(in crate::config) fn delete_vlan(&mut self, vlan: VlanId) {
        if let Some(config) = self.vlans.remove(&vlan) {
            self.names.remove(&config.name);
        }
        self.highest_free = self.highest_free.max(vlan.get());
        for port in self.ports.values_mut() {
            if port.untagged == Some(vlan) {
                port.untagged = None;
            }
            port.tagged.remove(&vlan);
        }
        self.vlan_left_stpd(vlan);
        self.take_entries(vlan, |_| true);
    }

    /// Everything that the VLAN is in goes with it.
    pub(super) fn retag(&mut self, vlan: VlanId, id: i64) -> Result<(), ChangeProblem> {
        let id = VlanId::try_new(id).map_err(of(|| format!("VLAN {vlan}: tag")))?;
        if id == vlan {
            return Ok(());
        }
        if let Some(there) = self.vlans.get(&id) {
            let name = there.name.clone();
            return Err(ChangeProblem::TagTaken { vlan, id, name });
        }
        if let Some(config) = self.vlans.remove(&vlan) {
            self.names.insert(config.name.clone(), id);
            self.vlans.insert(id, config);
        }
        self.highest_free = self.highest_free.max(vlan.get());
        for port in self.ports.values_mut() {
            if port.untagged == Some(vlan) {
                port.untagged = Some(id);
            }
            if port.tagged.remove(&vlan) {
                port.tagged.insert(id);
            }
        }
        self.retag_in_stpd(vlan, id);
        for (mac, target) in self.take_entries(vlan, |_| true) {
            self.static_entries.insert((id, mac), target);
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, vlan: VlanId, name: &VlanName) -> Result<(), ChangeProblem> {
        if self.names.get(name) == Some(&vlan) {
            return Ok(());
        }
        self.free_name(name)?;
        if let Some(config) = self.vlans.get_mut(&vlan) {
            self.names.remove(&config.name);
            self.names.insert(name.clone(), vlan);
            config.name = name.clone();
        }
        Ok(())
    }

    /// A port is untagged in one VLAN only.
    pub(super) fn add_members(
        &mut self,
        vlan: VlanId,
        ports: &BTreeSet<PortNo>,
        tagging: Tagging,
    ) -> Result<(), ChangeProblem> {
        for &number in ports {
            let Some(port) = self.ports.get_mut(&number) else {
                continue;
            };
            match (tagging, port.untagged) {
                (Tagging::Tagged, native) => {
                    port.untagged = native.filter(|&native| native != vlan);
                    port.tagged.insert(vlan);
                }
                (Tagging::Untagged, Some(native)) if native != vlan => {
                    return Err(ChangeProblem::OtherNative {
                        port: number,
                        native,
                        vlan,
                    });
                }
                (Tagging::Untagged, _) => {
                    port.tagged.remove(&vlan);
                    port.untagged = Some(vlan);
                }
            }
        }
        Ok(())
    }

    /// With the configured addresses that the VLAN has behind them.
    pub(in crate::config) fn remove_members(&mut self, vlan: VlanId, ports: &BTreeSet<PortNo>) {
        let mut left = BTreeSet::new();
        for &number in ports {
            if let Some(port) = self.ports.get_mut(&number).filter(|p| p.is_member(vlan)) {
                port.untagged = port.untagged.filter(|&native| native != vlan);
                port.tagged.remove(&vlan);
                left.insert(number);
            }
        }
        if left.is_empty() {
            return;
        }
        if let Some(VlanConfig {
            loop_free_ports: Some(loop_free),
            ..
        }) = self.vlans.get_mut(&vlan)
        {
            loop_free.retain(|port| !left.contains(port));
        }
        self.members_left_stpd(vlan);
        self.take_entries(
            vlan,
            |target| matches!(target, StaticTarget::Port(port) if left.contains(&port)),
        );
    }

    /// With their memberships and the configured addresses behind them.
    pub(in crate::config) fn remove_ports(&mut self, ports: &BTreeSet<PortNo>) {
        self.ports.retain(|number, _| !ports.contains(number));
        for vlan in self.vlans.values_mut() {
            if let Some(loop_free) = &mut vlan.loop_free_ports {
                loop_free.retain(|port| !ports.contains(port));
            }
        }
        self.ports_left_stpds(ports);
        self.static_entries.retain(
            |_, target| !matches!(target, StaticTarget::Port(port) if ports.contains(port)),
        );
    }

    /// Removes configured addresses of a VLAN.
    fn take_entries(
        &mut self,
        vlan: VlanId,
        which: impl Fn(StaticTarget) -> bool,
    ) -> Vec<(Mac, StaticTarget)> {
        let of_vlan = (vlan, Mac::ZERO)..=(vlan, Mac::BROADCAST);
        let taken: Vec<_> = self
            .static_entries
            .range(of_vlan)
            .filter(|&(_, &target)| which(target))
            .map(|(&(_, mac), &target)| (mac, target))
            .collect();
        for &(mac, _) in &taken {
            self.static_entries.remove(&(vlan, mac));
        }
        taken
    }
}
