//! Changes put into a configuration: all of them or none. They are made one after the other on a [`Draft`],
//! whose parts have keys, so that thousands cost no more than their sum; the rules are checked once, at the end.

use std::collections::{BTreeMap, BTreeSet};

use hitless_common::{Mac, PortNo, VlanId};

use super::check::{mac_limit, storm_rate};
use super::document::stpd::section;
use super::stpd::DEFAULT_VLAN;
use super::{
    Config, ConfigChange, DeviceName, Document, FdbChange, FdbDoc, ImageChange, ImagesConfig,
    LinkAction, LoopFreePorts, MAX_STATIC_ENTRIES, MsmFailoverChange, MsmFailoverDoc, PortChange,
    PortConfig, PortDoc, PortSelection, PreserveState, Rule, SlaveConfig, SnmpChange, SnmpDoc,
    StaticDoc, StaticTarget, StormKind, StpdConfig, StpdName, SwitchName, Tagging, UnknownVlan,
    VlanChange, VlanConfig, VlanDoc, VlanName, VlanRef, station_address,
};

mod error;
mod members;
mod stpd;
#[cfg(test)]
mod tests;

pub use error::{ChangeError, ChangeProblem};
use error::{broken_rules, of};

/// Seconds of the failover timer by ExtremeWare's factory default (T-sync guide, "Configuring Timers").
const GUIDE_TIMEOUT: i64 = 60;

impl Config {
    /// The configuration after these changes, made one after the other.
    ///
    /// # Errors
    /// The first change that can not be made, or the rules that the configuration would break after all of them.
    pub fn changed(&self, changes: &[ConfigChange]) -> Result<Self, ChangeError> {
        let mut draft = Draft::from(self);
        for (index, change) in changes.iter().enumerate() {
            draft.apply(change).map_err(|problem| ChangeError {
                index: Some(index),
                of: changes.len(),
                problem: Box::new(problem),
            })?;
        }
        draft.finish().map_err(|problem| ChangeError {
            index: None,
            of: changes.len(),
            problem: Box::new(problem),
        })
    }
}

/// A configuration that is being changed. Every reference in it leads to something that is there: what is
/// removed takes along what refers to it. Numbers and texts of single settings are not checked yet.
pub(super) struct Draft {
    switch: SwitchName,
    snmp: SnmpDoc,
    /// Without the entries.
    fdb: FdbDoc,
    msm_failover: MsmFailoverDoc,
    images: ImagesConfig,
    pub(super) static_entries: BTreeMap<(VlanId, Mac), StaticTarget>,
    pub(super) vlans: BTreeMap<VlanId, VlanConfig>,
    pub(super) ports: BTreeMap<PortNo, PortConfig>,
    pub(super) stpds: BTreeMap<StpdName, StpdConfig>,
    /// Of every VLAN.
    names: BTreeMap<VlanName, VlanId>,
    /// No id above is free.
    highest_free: u16,
}

impl From<&Config> for Draft {
    fn from(config: &Config) -> Self {
        let names = config.vlans.iter().map(|(&id, v)| (v.name.clone(), id));
        Self {
            switch: config.switch.clone(),
            snmp: config.snmp.document(&config.switch),
            fdb: FdbDoc::settings(&config.fdb),
            msm_failover: config.msm_failover.into(),
            images: config.images.clone(),
            static_entries: config.fdb.static_entries.clone(),
            vlans: config.vlans.clone(),
            ports: config.ports.clone(),
            stpds: config.stpds.clone(),
            names: names.collect(),
            highest_free: VlanId::MAX.get(),
        }
    }
}

impl Draft {
    /// The configuration, if it keeps every rule.
    fn finish(self) -> Result<Config, ChangeProblem> {
        let mut fdb = self.fdb;
        fdb.static_entries = self
            .static_entries
            .into_iter()
            .map(StaticDoc::from)
            .collect();
        let document = Document {
            switch: self.switch.as_str().into(),
            snmp: self.snmp,
            fdb,
            msm_failover: self.msm_failover,
            images: self.images.into(),
            stpds: section(self.stpds, self.vlans.contains_key(&DEFAULT_VLAN)),
            vlans: self.vlans.into_iter().map(VlanDoc::from).collect(),
            ports: self.ports.into_iter().map(PortDoc::from).collect(),
        };
        document
            .check()
            .map_err(|invalid| broken_rules(&document, &invalid))
    }

    fn apply(&mut self, change: &ConfigChange) -> Result<(), ChangeProblem> {
        match change {
            ConfigChange::CreateVlan { name, tag } => self.create_vlan(name.as_ref(), *tag)?,
            ConfigChange::DeleteVlan { vlan } => {
                let vlan = self.vlan(vlan)?;
                self.delete_vlan(vlan);
            }
            ConfigChange::Vlan { vlan, change } => {
                let vlan = self.vlan(vlan)?;
                self.change_vlan(vlan, change)?;
            }
            ConfigChange::PortDevice { port, device } => self.set_device(*port, device),
            ConfigChange::Ports { ports, change } => {
                let ports = self.selected(ports)?;
                self.change_ports(&ports, change)?;
            }
            ConfigChange::UnconfigurePorts { ports } => {
                let ports = self.selected(ports)?;
                self.remove_ports(&ports);
            }
            ConfigChange::CreateFdbEntry { mac, vlan, target } => {
                let vlan = self.vlan(vlan)?;
                self.create_entry(vlan, *mac, *target)?;
            }
            ConfigChange::DeleteFdbEntry { mac, vlan } => {
                let (vlan, mac) = (self.vlan(vlan)?, *mac);
                self.static_entries
                    .remove(&(vlan, mac))
                    .ok_or(ChangeProblem::UnknownEntry { vlan, mac })?;
            }
            ConfigChange::Fdb(change) => change_fdb(&mut self.fdb, change),
            ConfigChange::Snmp(change) => match change {
                SnmpChange::Sysname { text } => self.snmp.sysname = Some(text.clone()),
                SnmpChange::Syscontact { text } => self.snmp.syscontact = Some(text.clone()),
                SnmpChange::Syslocation { text } => self.snmp.syslocation = Some(text.clone()),
            },
            ConfigChange::UnconfigureSnmp => self.snmp = SnmpDoc::default(),
            ConfigChange::MsmFailover(change) => change_failover(&mut self.msm_failover, change),
            ConfigChange::UnconfigureMsmFailover => unconfigure_failover(&mut self.msm_failover),
            ConfigChange::SysRecoveryLevel { level } => {
                self.msm_failover.sys_recovery_level = *level;
            }
            ConfigChange::Image(change) => change_images(&mut self.images, change)?,
            ConfigChange::CreateStpd { stpd } => self.create_stpd(*stpd)?,
            ConfigChange::DeleteStpd { stpd } => self.delete_stpd(*stpd)?,
            ConfigChange::UnconfigureStpd { stpd } => self.unconfigure_stpd(*stpd)?,
            ConfigChange::Stpd { stpd, change } => self.change_stpd(*stpd, change)?,
        }
        Ok(())
    }

    fn vlan(&self, vlan: &VlanRef) -> Result<VlanId, ChangeProblem> {
        match vlan {
            VlanRef::Id(id) => self.vlans.contains_key(id).then_some(*id),
            VlanRef::Name(name) => self.names.get(name).copied(),
        }
        .ok_or_else(|| UnknownVlan(vlan.clone()).into())
    }

    /// The ports meant, all of them configured.
    fn selected(&self, ports: &PortSelection) -> Result<BTreeSet<PortNo>, ChangeProblem> {
        match ports {
            PortSelection::All => Ok(self.ports.keys().copied().collect()),
            PortSelection::List(list) => {
                match list.iter().find(|port| !self.ports.contains_key(port)) {
                    Some(unknown) => Err(ChangeProblem::UnknownPort(unknown)),
                    None => Ok(list.ports().clone()),
                }
            }
        }
    }

    fn change_vlan(&mut self, vlan: VlanId, change: &VlanChange) -> Result<(), ChangeProblem> {
        let limit = match change {
            VlanChange::LimitLearning { limit: Some(limit) } => {
                Some(mac_limit(*limit).map_err(of(|| format!("VLAN {vlan}: limit-learning")))?)
            }
            _ => None,
        };
        match change {
            VlanChange::Tag { id } => return self.retag(vlan, *id),
            VlanChange::Name { name } => return self.rename(vlan, name),
            VlanChange::AddPorts { ports, tagging } => {
                let ports = self.selected(ports)?;
                return self.add_members(vlan, &ports, *tagging);
            }
            VlanChange::DeletePorts { ports } => {
                let ports = self.selected(ports)?;
                self.remove_members(vlan, &ports);
                return Ok(());
            }
            VlanChange::LoopFreePorts { ports } => return self.set_loop_free(vlan, ports),
            VlanChange::LimitLearning { .. } | VlanChange::Learning { .. } => {}
        }
        if let Some(config) = self.vlans.get_mut(&vlan) {
            match change {
                VlanChange::Learning { enabled } => config.learning = *enabled,
                _ => config.mac_limit = limit,
            }
        }
        Ok(())
    }

    fn change_ports(
        &mut self,
        ports: &BTreeSet<PortNo>,
        change: &PortChange,
    ) -> Result<(), ChangeProblem> {
        for number in ports {
            let Some(port) = self.ports.get_mut(number) else {
                continue;
            };
            match *change {
                PortChange::Enabled { enabled } => port.enabled = enabled,
                PortChange::AcceptFrames { frames } => port.accept = frames,
                PortChange::IngressFiltering { enabled } => port.ingress_filtering = enabled,
                PortChange::Offload { mode } => port.offload = mode,
                PortChange::TrustFarEnd { enabled } => port.trust_far_end = enabled,
                PortChange::LimitLearning { limit } => {
                    let limit = limit.map(mac_limit).transpose();
                    port.mac_limit =
                        limit.map_err(of(|| format!("port {number}: limit-learning")))?;
                }
                PortChange::RateLimit { kind, rate } => {
                    let rate = rate.map(storm_rate).transpose();
                    let rate = rate.map_err(of(|| format!("port {number}: rate-limit")))?;
                    let storm = &mut port.storm_control;
                    match kind {
                        StormKind::Broadcast => storm.broadcast = rate,
                        StormKind::Multicast => storm.multicast = rate,
                        StormKind::UnknownUnicast => storm.unknown_unicast = rate,
                    }
                }
            }
        }
        Ok(())
    }

    fn set_device(&mut self, port: PortNo, device: &DeviceName) {
        self.ports
            .entry(port)
            .and_modify(|port| port.device = device.clone())
            .or_insert_with(|| PortConfig::new(device.clone()));
    }

    fn create_entry(
        &mut self,
        vlan: VlanId,
        mac: Mac,
        target: StaticTarget,
    ) -> Result<(), ChangeProblem> {
        station_address(mac).map_err(of(|| format!("a configured entry in VLAN {vlan}")))?;
        if let StaticTarget::Port(port) = target {
            let member = self
                .ports
                .get(&port)
                .ok_or(ChangeProblem::UnknownPort(port))?
                .is_member(vlan);
            if !member {
                return Err(ChangeProblem::NoMember { port, vlan });
            }
        }
        match self.static_entries.get(&(vlan, mac)) {
            Some(&there) if there == target => return Ok(()),
            Some(&there) => return Err(ChangeProblem::EntryExists { vlan, mac, there }),
            None if self.static_entries.len() == MAX_STATIC_ENTRIES => {
                return Err(ChangeProblem::EntriesFull);
            }
            None => {}
        }
        self.static_entries.insert((vlan, mac), target);
        Ok(())
    }

    fn set_loop_free(&mut self, vlan: VlanId, ports: &LoopFreePorts) -> Result<(), ChangeProblem> {
        let loop_free = match ports {
            LoopFreePorts::All => None,
            LoopFreePorts::None => Some(BTreeSet::new()),
            LoopFreePorts::List(list) => {
                for port in list.iter() {
                    match self.ports.get(&port) {
                        None => return Err(ChangeProblem::UnknownPort(port)),
                        Some(config) if !config.is_member(vlan) => {
                            return Err(ChangeProblem::NoMember { port, vlan });
                        }
                        Some(_) => {}
                    }
                }
                Some(list.ports().clone())
            }
        };
        if let Some(config) = self.vlans.get_mut(&vlan) {
            config.loop_free_ports = loop_free;
        }
        Ok(())
    }
}

fn change_fdb(fdb: &mut FdbDoc, change: &FdbChange) {
    match *change {
        FdbChange::AgingTime { seconds } => fdb.ageing_seconds = seconds,
        FdbChange::Size { entries } => fdb.size = entries,
        FdbChange::Damping {
            moves,
            within_seconds,
            hold_seconds,
        } => {
            fdb.damping.moves = moves;
            fdb.damping.within_seconds = within_seconds;
            fdb.damping.hold_seconds = hold_seconds;
        }
        FdbChange::DampingOff => fdb.damping.moves = 0,
    }
}

fn change_images(images: &mut ImagesConfig, change: &ImageChange) -> Result<(), ChangeProblem> {
    match change {
        ImageChange::Unsigned { policy } => images.unsigned = *policy,
        ImageChange::AddKey { key } => {
            images.keys.insert(key.clone());
        }
        ImageChange::DeleteKey { key } => {
            if !images.keys.remove(key) {
                return Err(ChangeProblem::UnknownImageKey(key.clone()));
            }
        }
    }
    Ok(())
}

fn change_failover(section: &mut MsmFailoverDoc, change: &MsmFailoverChange) {
    match *change {
        MsmFailoverChange::SlaveConfig(slave_config) => section.slave_config = slave_config,
        MsmFailoverChange::LinkAction { action, preserve } => {
            section.link_action = action;
            section.preserve_state = Some(preserve.unwrap_or(PreserveState::None));
        }
        MsmFailoverChange::Timeout { seconds } => section.timeout = seconds,
        MsmFailoverChange::Keepalive {
            interval_ms,
            misses,
        } => {
            section.keepalive_interval_ms = interval_ms.unwrap_or(section.keepalive_interval_ms);
            section.keepalive_misses = misses.unwrap_or(section.keepalive_misses);
        }
        MsmFailoverChange::Watchdog { ms } => section.watchdog_ms = ms,
        MsmFailoverChange::Freshness { ms } => section.freshness_ms = ms,
        MsmFailoverChange::Lease { ms } => section.lease_ms = ms,
    }
}

/// The four effects that the T-sync guide lists; what it does not know returns to its default.
fn unconfigure_failover(section: &mut MsmFailoverDoc) {
    *section = MsmFailoverDoc {
        slave_config: SlaveConfig::Flash,
        link_action: LinkAction::TakeLinksDown,
        preserve_state: Some(PreserveState::None),
        timeout: GUIDE_TIMEOUT,
        sys_recovery_level: section.sys_recovery_level,
        ..MsmFailoverDoc::default()
    };
}
