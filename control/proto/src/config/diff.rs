//! The changes that lead from one configuration to another, in an order in which each can be made alone: what
//! goes, then settings, then VLANs and ports, and last what refers to both. Only spanning tree domains may go first
//! and come back last, see [`stpd`].

use std::collections::{BTreeMap, BTreeSet};

use hitless_common::{PortNo, VlanId};

use super::apply::Draft;
use super::{
    AcceptFrames, Config, ConfigChange, FdbChange, ImageChange, ImagesConfig, LoopFreePorts,
    MsmFailoverChange, MsmFailoverConfig, PortChange, PortConfig, PortList, PortSelection,
    PreserveState, SlaveConfig, SnmpChange, SnmpConfig, StormControl, StormKind, Tagging,
    VlanChange, VlanConfig, VlanName, VlanRef,
};

mod stpd;
#[cfg(test)]
mod tests;

/// The changes that make the configuration out of [`Config::factory`] of its switch.
#[must_use]
pub fn commands(config: &Config) -> Vec<ConfigChange> {
    diff(&Config::factory(config.switch.clone()), config)
}

/// The changes that make `to` out of `from`. The name of the switch is none: a switch keeps it for life.
#[must_use]
pub fn diff(from: &Config, to: &Config) -> Vec<ConfigChange> {
    let mut draft = Draft::from(from);
    let mut leaving = stpd::leave(from, to, &mut draft);
    remove_ports(from, to, &mut draft, &mut leaving);
    remove_vlans(from, to, &mut draft, &mut leaving);
    remove_members(to, &mut draft, &mut leaving);
    let mut changes = stpd::disable(from, to, &mut draft);
    changes.append(&mut leaving);
    for (&(vlan, mac), target) in &draft.static_entries {
        if to.fdb.static_entries.get(&(vlan, mac)) != Some(target) {
            changes.push(ConfigChange::DeleteFdbEntry {
                mac,
                vlan: reference(vlan, &from.vlans),
            });
        }
    }
    draft
        .static_entries
        .retain(|key, target| to.fdb.static_entries.get(key) == Some(target));

    snmp(from, to, &mut changes);
    fdb(from, to, &mut changes);
    failover(&from.msm_failover, &to.msm_failover, &mut changes);
    images(&from.images, &to.images, &mut changes);
    vlans(&draft, to, &mut changes);
    ports(&draft, to, &mut changes);
    members(&draft, to, &mut changes);
    settings(&draft, to, &mut changes, |to| {
        let frames = to.accept;
        (frames == AcceptFrames::Untagged).then_some(PortChange::AcceptFrames { frames })
    });
    stpd::stpds(&draft, to, &mut changes);

    for (&(vlan, mac), &target) in &to.fdb.static_entries {
        if !draft.static_entries.contains_key(&(vlan, mac)) {
            changes.push(ConfigChange::CreateFdbEntry {
                mac,
                vlan: reference(vlan, &to.vlans),
                target,
            });
        }
    }
    loop_free(&draft, to, &mut changes);
    changes
}

/// A VLAN by its name, or by its id if it has none of its own.
fn reference(id: VlanId, vlans: &BTreeMap<VlanId, VlanConfig>) -> VlanRef {
    match vlans.get(&id) {
        Some(vlan) if vlan.name != VlanName::default_of(id) => VlanRef::Name(vlan.name.clone()),
        _ => VlanRef::Id(id),
    }
}

fn list(ports: BTreeSet<PortNo>) -> Option<PortSelection> {
    PortList::new(ports).map(PortSelection::List)
}

/// Ports that are no more, and those whose new device is still another port's: they are made anew.
fn remove_ports(from: &Config, to: &Config, draft: &mut Draft, changes: &mut Vec<ConfigChange>) {
    let holders: BTreeMap<_, _> = from.ports.iter().map(|(n, p)| (&p.device, n)).collect();
    let gone = |number: &PortNo| match to.ports.get(number) {
        None => true,
        Some(port) => holders
            .get(&port.device)
            .is_some_and(|&holder| holder != number && to.ports.contains_key(holder)),
    };
    let gone: BTreeSet<PortNo> = from.ports.keys().copied().filter(gone).collect();
    draft.remove_ports(&gone);
    changes.extend(list(gone).map(|ports| ConfigChange::UnconfigurePorts { ports }));
}

/// VLANs that are no more, and those whose new name is still another VLAN's: they are made anew.
fn remove_vlans(from: &Config, to: &Config, draft: &mut Draft, changes: &mut Vec<ConfigChange>) {
    let holders: BTreeMap<_, _> = from.vlans.iter().map(|(id, v)| (&v.name, id)).collect();
    for &id in from.vlans.keys() {
        let gone = match to.vlans.get(&id) {
            None => true,
            Some(vlan) => holders
                .get(&vlan.name)
                .is_some_and(|&&holder| holder != id && to.vlans.contains_key(&holder)),
        };
        if gone {
            draft.delete_vlan(id);
            changes.push(ConfigChange::DeleteVlan {
                vlan: reference(id, &from.vlans),
            });
        }
    }
}

fn remove_members(to: &Config, draft: &mut Draft, changes: &mut Vec<ConfigChange>) {
    let mut leaving: BTreeMap<VlanId, BTreeSet<PortNo>> = BTreeMap::new();
    for (&number, port) in &draft.ports {
        let now = to.ports.get(&number);
        for &vlan in port.tagged.iter().chain(&port.untagged) {
            if !now.is_some_and(|now| now.is_member(vlan)) {
                leaving.entry(vlan).or_default().insert(number);
            }
        }
    }
    // Ports leave what carries BPDUs of a domain when they have left the rest of it.
    let carriers = stpd::carriers(&draft.stpds);
    let (last, first): (Vec<_>, Vec<_>) = leaving
        .into_iter()
        .partition(|(vlan, _)| carriers.contains(vlan));
    for (vlan, ports) in first.into_iter().chain(last) {
        draft.remove_members(vlan, &ports);
        let vlan = reference(vlan, &draft.vlans);
        changes.extend(list(ports).map(|ports| ConfigChange::Vlan {
            vlan,
            change: VlanChange::DeletePorts { ports },
        }));
    }
}

fn snmp(from: &Config, to: &Config, changes: &mut Vec<ConfigChange>) {
    if to.snmp != from.snmp && to.snmp == SnmpConfig::factory(&from.switch) {
        changes.push(ConfigChange::UnconfigureSnmp);
        return;
    }
    let mut set = |from: &str, to: &str, change: fn(String) -> SnmpChange| {
        if from != to {
            changes.push(ConfigChange::Snmp(change(to.into())));
        }
    };
    set(
        from.snmp.sysname.as_str(),
        to.snmp.sysname.as_str(),
        |text| SnmpChange::Sysname { text },
    );
    set(
        from.snmp.syscontact.as_str(),
        to.snmp.syscontact.as_str(),
        |text| SnmpChange::Syscontact { text },
    );
    set(
        from.snmp.syslocation.as_str(),
        to.snmp.syslocation.as_str(),
        |text| SnmpChange::Syslocation { text },
    );
}

fn fdb(from: &Config, to: &Config, changes: &mut Vec<ConfigChange>) {
    let (from, to) = (&from.fdb, &to.fdb);
    let mut change = |change| changes.push(ConfigChange::Fdb(change));
    if from.size != to.size {
        change(FdbChange::Size {
            entries: to.size.into(),
        });
    }
    if from.ageing_seconds != to.ageing_seconds {
        change(FdbChange::AgingTime {
            seconds: to.ageing_seconds.map_or(0, i64::from),
        });
    }
    if from.damping != to.damping {
        let mut off = from.damping;
        off.moves = 0;
        change(if to.damping == off {
            FdbChange::DampingOff
        } else {
            FdbChange::Damping {
                moves: to.damping.moves.into(),
                within_seconds: to.damping.within_seconds.into(),
                hold_seconds: to.damping.hold_seconds.into(),
            }
        });
    }
}

fn failover(from: &MsmFailoverConfig, to: &MsmFailoverConfig, changes: &mut Vec<ConfigChange>) {
    let mut change = |change| changes.push(ConfigChange::MsmFailover(change));
    let slave = (from.slave_config != to.slave_config)
        .then_some(MsmFailoverChange::SlaveConfig(to.slave_config));
    let state = |c: &MsmFailoverConfig| (c.link_action, c.preserve_state);
    let links = (state(from) != state(to)).then_some(MsmFailoverChange::LinkAction {
        action: to.link_action,
        preserve: Some(to.preserve_state).filter(|&state| state != PreserveState::None),
    });
    // Nothing can be preserved while a new master starts from its file.
    let (first, second) = match to.slave_config {
        SlaveConfig::Flash => (links, slave),
        SlaveConfig::Inherited => (slave, links),
    };
    first.into_iter().chain(second).for_each(&mut change);

    if from.timeout_seconds != to.timeout_seconds {
        change(MsmFailoverChange::Timeout {
            seconds: to.timeout_seconds.into(),
        });
    }
    // The lease is longer than what detects a lost master, at every moment.
    let lease = MsmFailoverChange::Lease {
        ms: to.lease_ms.into(),
    };
    if from.lease_ms < to.lease_ms {
        change(lease.clone());
    }
    let new = |from: u32, to: u32| (from != to).then_some(i64::from(to));
    let interval_ms = new(from.keepalive_interval_ms, to.keepalive_interval_ms);
    let misses = new(from.keepalive_misses, to.keepalive_misses);
    if interval_ms.is_some() || misses.is_some() {
        change(MsmFailoverChange::Keepalive {
            interval_ms,
            misses,
        });
    }
    if from.watchdog_ms != to.watchdog_ms {
        change(MsmFailoverChange::Watchdog {
            ms: to.watchdog_ms.map_or(0, i64::from),
        });
    }
    if from.lease_ms > to.lease_ms {
        change(lease);
    }
    if from.freshness_ms != to.freshness_ms {
        change(MsmFailoverChange::Freshness {
            ms: to.freshness_ms.into(),
        });
    }
    if from.sys_recovery_level != to.sys_recovery_level {
        changes.push(ConfigChange::SysRecoveryLevel {
            level: to.sys_recovery_level,
        });
    }
}

/// Keys that go before those that come, which may need their room.
fn images(from: &ImagesConfig, to: &ImagesConfig, changes: &mut Vec<ConfigChange>) {
    let mut change = |change| changes.push(ConfigChange::Image(change));
    if from.unsigned != to.unsigned {
        change(ImageChange::Unsigned {
            policy: to.unsigned,
        });
    }
    for key in from.keys.difference(&to.keys) {
        change(ImageChange::DeleteKey { key: key.clone() });
    }
    for key in to.keys.difference(&from.keys) {
        change(ImageChange::AddKey { key: key.clone() });
    }
}

/// Names of old VLANs before new ones, which may take a name that became free.
fn vlans(draft: &Draft, to: &Config, changes: &mut Vec<ConfigChange>) {
    for (&id, vlan) in &to.vlans {
        if let Some(old) = draft.vlans.get(&id)
            && old.name != vlan.name
        {
            changes.push(ConfigChange::Vlan {
                vlan: VlanRef::Id(id),
                change: VlanChange::Name {
                    name: vlan.name.clone(),
                },
            });
        }
    }
    for (&id, vlan) in &to.vlans {
        let own_name = (vlan.name != VlanName::default_of(id)).then(|| vlan.name.clone());
        let (limit, learning) = match draft.vlans.get(&id) {
            Some(old) => (old.mac_limit, old.learning),
            None => {
                changes.push(ConfigChange::CreateVlan {
                    name: own_name,
                    tag: Some(id.get().into()),
                });
                changes.extend(stpd::made(id, to));
                (None, true)
            }
        };
        let mut change = |change| {
            changes.push(ConfigChange::Vlan {
                vlan: reference(id, &to.vlans),
                change,
            });
        };
        if vlan.mac_limit != limit {
            change(VlanChange::LimitLearning {
                limit: vlan.mac_limit.map(i64::from),
            });
        }
        if vlan.learning != learning {
            change(VlanChange::Learning {
                enabled: vlan.learning,
            });
        }
    }
}

fn ports(draft: &Draft, to: &Config, changes: &mut Vec<ConfigChange>) {
    // Devices of old ports before new ones, which may take a device that became free.
    let (old, new): (Vec<_>, Vec<_>) = to
        .ports
        .iter()
        .partition(|(number, _)| draft.ports.contains_key(number));
    let moved = old.into_iter().filter(|(number, port)| {
        draft
            .ports
            .get(number)
            .is_some_and(|old| old.device != port.device)
    });
    changes.extend(
        moved
            .chain(new)
            .map(|(&port, config)| ConfigChange::PortDevice {
                port,
                device: config.device.clone(),
            }),
    );

    settings(draft, to, changes, |to| {
        let frames = to.accept;
        (frames != AcceptFrames::Untagged).then_some(PortChange::AcceptFrames { frames })
    });
    // Trust before XDP, which may need it, and the other way round.
    let trust = |wanted: bool| {
        move |to: &PortConfig| {
            let enabled = to.trust_far_end;
            (enabled == wanted).then_some(PortChange::TrustFarEnd { enabled })
        }
    };
    settings(draft, to, changes, trust(true));
    settings(draft, to, changes, |to| {
        Some(PortChange::Offload { mode: to.offload })
    });
    settings(draft, to, changes, trust(false));
    settings(draft, to, changes, |to| {
        let enabled = to.ingress_filtering;
        Some(PortChange::IngressFiltering { enabled })
    });
    settings(draft, to, changes, |to| {
        let limit = to.mac_limit.map(i64::from);
        Some(PortChange::LimitLearning { limit })
    });
    type Limit = fn(&StormControl) -> Option<std::num::NonZeroU32>;
    let limits: [(StormKind, Limit); 3] = [
        (StormKind::Broadcast, |storm| storm.broadcast),
        (StormKind::Multicast, |storm| storm.multicast),
        (StormKind::UnknownUnicast, |storm| storm.unknown_unicast),
    ];
    for (kind, limit) in limits {
        settings(draft, to, changes, |to| {
            let rate = limit(&to.storm_control).map(|rate| rate.get().into());
            Some(PortChange::RateLimit { kind, rate })
        });
    }
    settings(draft, to, changes, |to| {
        let enabled = to.enabled;
        Some(PortChange::Enabled { enabled })
    });
}

/// One setting of all ports; those that get the same value get it together.
fn settings(
    draft: &Draft,
    to: &Config,
    changes: &mut Vec<ConfigChange>,
    setting: impl Fn(&PortConfig) -> Option<PortChange>,
) {
    let mut groups: Vec<(PortChange, BTreeSet<PortNo>)> = Vec::new();
    for (&number, port) in &to.ports {
        let old = match draft.ports.get(&number) {
            Some(old) => setting(old),
            None => setting(&PortConfig::new(port.device.clone())),
        };
        let Some(new) = setting(port).filter(|new| Some(new) != old.as_ref()) else {
            continue;
        };
        match groups.iter_mut().find(|(change, _)| *change == new) {
            Some((_, ports)) => {
                ports.insert(number);
            }
            None => groups.push((new, BTreeSet::from([number]))),
        }
    }
    for (change, ports) in groups {
        changes.extend(list(ports).map(|ports| ConfigChange::Ports { ports, change }));
    }
}

/// Tagged ones first: a native VLAN that becomes tagged makes room for another native one. What carries BPDUs of a
/// domain comes before the rest of it.
fn members(draft: &Draft, to: &Config, changes: &mut Vec<ConfigChange>) {
    let mut tagged: BTreeMap<VlanId, BTreeSet<PortNo>> = BTreeMap::new();
    let mut untagged: BTreeMap<VlanId, BTreeSet<PortNo>> = BTreeMap::new();
    for (&number, port) in &to.ports {
        let old = draft.ports.get(&number);
        for &vlan in &port.tagged {
            if !old.is_some_and(|old| old.tagged.contains(&vlan)) {
                tagged.entry(vlan).or_default().insert(number);
            }
        }
        if let Some(vlan) = port.untagged
            && old.and_then(|old| old.untagged) != Some(vlan)
        {
            untagged.entry(vlan).or_default().insert(number);
        }
    }
    let mut carriers = stpd::carriers(&to.stpds);
    carriers.retain(|vlan| tagged.contains_key(vlan));
    let first = carriers
        .iter()
        .filter_map(|vlan| tagged.remove_entry(vlan))
        .collect();
    for (tagging, members) in [
        (Tagging::Tagged, first),
        (Tagging::Tagged, tagged),
        (Tagging::Untagged, untagged),
    ] {
        for (vlan, ports) in members {
            let vlan = reference(vlan, &to.vlans);
            changes.extend(list(ports).map(|ports| ConfigChange::Vlan {
                vlan,
                change: VlanChange::AddPorts { ports, tagging },
            }));
        }
    }
}

fn loop_free(draft: &Draft, to: &Config, changes: &mut Vec<ConfigChange>) {
    for (&id, vlan) in &to.vlans {
        let old = draft
            .vlans
            .get(&id)
            .and_then(|old| old.loop_free_ports.as_ref());
        if old == vlan.loop_free_ports.as_ref() {
            continue;
        }
        let ports = match &vlan.loop_free_ports {
            None => LoopFreePorts::All,
            Some(ports) => {
                PortList::new(ports.clone()).map_or(LoopFreePorts::None, LoopFreePorts::List)
            }
        };
        changes.push(ConfigChange::Vlan {
            vlan: reference(id, &to.vlans),
            change: VlanChange::LoopFreePorts { ports },
        });
    }
}
