//! Spanning tree domains in a difference. Each change must leave a valid configuration, and the rules of
//! encapsulations hold for domains that are enabled: what leaves a domain leaves it first, what comes to it comes
//! after the VLANs and members that carry its BPDUs. A domain for which that is no way is disabled meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use hitless_common::{PortNo, VlanId};

use super::{list, reference};
use crate::config::apply::Draft;
use crate::config::stpd::DEFAULT_VLAN;
use crate::config::{
    Config, ConfigChange, PortConfig, StpEncapsulation, StpdChange, StpdConfig, StpdMode, StpdName,
    StpdPortChange, StpdPortConfig,
};
use crate::stp::CostMethod;

/// VLANs that carry BPDUs of some domain.
pub(super) fn carriers(stpds: &BTreeMap<StpdName, StpdConfig>) -> BTreeSet<VlanId> {
    stpds.values().filter_map(|stpd| stpd.tag).collect()
}

fn change(stpd: StpdName, change: StpdChange) -> ConfigChange {
    ConfigChange::Stpd { stpd, change }
}

fn enabled(stpd: StpdName, enabled: bool) -> ConfigChange {
    change(stpd, StpdChange::Enabled { enabled })
}

fn members(ports: &BTreeMap<PortNo, PortConfig>, stpd: &StpdConfig) -> BTreeSet<PortNo> {
    let ports = ports.iter();
    ports
        .filter(|(_, port)| port.is_member_of_any(&stpd.vlans))
        .map(|(&number, _)| number)
        .collect()
}

/// What leaves: domains, their VLANs, and ports that take part no longer. To be made before VLANs and members go.
pub(super) fn leave(from: &Config, to: &Config, draft: &mut Draft) -> Vec<ConfigChange> {
    let mut changes = Vec::new();
    for (&name, stpd) in &from.stpds {
        let Some(new) = to.stpds.get(&name) else {
            draft.stpds.remove(&name);
            changes.push(ConfigChange::DeleteStpd { stpd: name });
            continue;
        };
        let leaving = stpd.vlans.difference(&new.vlans);
        for &vlan in leaving.filter(|vlan| to.vlans.contains_key(vlan)) {
            draft.remove_from_stpd(name, vlan);
            let vlan = reference(vlan, &from.vlans);
            changes.push(change(name, StpdChange::DeleteVlan { vlan }));
        }
        let Some(old) = draft.stpds.get_mut(&name) else {
            continue;
        };
        if !old.enabled || !new.enabled {
            continue;
        }
        let out = members(&draft.ports, old)
            .intersection(&members(&to.ports, new))
            .copied()
            .filter(|&port| old.port(port).enabled && !new.port(port).enabled)
            .collect::<BTreeSet<_>>();
        for &port in &out {
            old.ports.entry(port).or_default().enabled = false;
        }
        let out_of_it = StpdPortChange::Enabled { enabled: false };
        changes.extend(ports_change(name, out, out_of_it));
    }
    changes
}

/// Domains that are to be disabled before anything else changes: for good, or because there is no way for them to
/// what they will be. To be asked when the draft has lost what goes.
pub(super) fn disable(from: &Config, to: &Config, draft: &mut Draft) -> Vec<ConfigChange> {
    let new_default =
        to.vlans.contains_key(&DEFAULT_VLAN) && !draft.vlans.contains_key(&DEFAULT_VLAN);
    let mut changes = Vec::new();
    for (&name, old) in &mut draft.stpds {
        let was = from.stpds.get(&name).filter(|was| was.enabled);
        let (Some(was), Some(new)) = (was, to.stpds.get(&name)) else {
            continue;
        };
        // It comes to s0 when it is made.
        let crowded = name == StpdName::S0 && new_default && uses_pvst(old);
        // The draft may have lost the tag with its VLAN.
        let same_carrier = was.tag == new.tag && old.tag == new.tag;
        if !new.enabled || crowded || !same_carrier || !has_a_way(old, &draft.ports, new, &to.ports)
        {
            old.enabled = false;
            changes.push(enabled(name, false));
        }
    }
    changes
}

fn uses_pvst(stpd: &StpdConfig) -> bool {
    let ports = stpd.ports.values().filter_map(|port| port.encapsulation);
    ports
        .chain([stpd.default_encapsulation])
        .any(|encapsulation| encapsulation == StpEncapsulation::PvstPlus)
}

/// Whether the encapsulations stay as they are, those of ports that come to the domain included: the order of
/// changes does the rest.
fn has_a_way(
    old: &StpdConfig,
    old_ports: &BTreeMap<PortNo, PortConfig>,
    new: &StpdConfig,
    new_ports: &BTreeMap<PortNo, PortConfig>,
) -> bool {
    if old.default_encapsulation != new.default_encapsulation {
        return false;
    }
    let there = members(old_ports, old);
    members(new_ports, new).into_iter().all(|port| {
        let same = old.encapsulation(port) == new.encapsulation(port);
        match there.contains(&port) {
            true => same || !old.port(port).enabled || !new.port(port).enabled,
            // It takes part with the default encapsulation before anything else can be said of it.
            false => new.port(port).enabled && new.encapsulation(port) == new.default_encapsulation,
        }
    })
}

/// Everything else, once VLANs and members are what they will be.
pub(super) fn stpds(draft: &Draft, to: &Config, changes: &mut Vec<ConfigChange>) {
    let mut enabling = Vec::new();
    for (&name, new) in &to.stpds {
        let fresh;
        let old = match draft.stpds.get(&name) {
            Some(old) => old,
            None => {
                changes.push(ConfigChange::CreateStpd { stpd: name });
                fresh = StpdConfig::new(name);
                &fresh
            }
        };
        for &vlan in new.vlans.difference(&old.vlans) {
            if !comes_by_itself(draft, name, vlan) {
                let vlan = reference(vlan, &to.vlans);
                changes.push(change(name, StpdChange::AddVlan { vlan }));
            }
        }
        settings(name, old, new, changes);
        if new.enabled && !old.enabled {
            enabling.push(enabled(name, true));
        }
    }
    changes.append(&mut enabling);
}

/// Whether making the VLAN makes it the domain's.
fn comes_by_itself(draft: &Draft, name: StpdName, vlan: VlanId) -> bool {
    name == StpdName::S0 && vlan == DEFAULT_VLAN && !draft.vlans.contains_key(&vlan)
}

/// What a VLAN that was just made needs to be in the domain that it will be in.
pub(super) fn made(vlan: VlanId, to: &Config) -> Option<ConfigChange> {
    let s0 = to.stpds.get(&StpdName::S0)?;
    (vlan == DEFAULT_VLAN && !s0.vlans.contains(&vlan)).then(|| {
        let vlan = reference(vlan, &to.vlans);
        change(StpdName::S0, StpdChange::DeleteVlan { vlan })
    })
}

fn settings(name: StpdName, old: &StpdConfig, new: &StpdConfig, changes: &mut Vec<ConfigChange>) {
    let mut set = |differs: bool, what: StpdChange| {
        if differs {
            changes.push(change(name, what));
        }
    };
    let tag = new.tag;
    set(old.tag != tag, StpdChange::Tag { tag });
    let encapsulation = new.default_encapsulation;
    set(
        old.default_encapsulation != encapsulation,
        StpdChange::DefaultEncapsulation { encapsulation },
    );
    let priority = new.priority.into();
    set(
        old.priority != new.priority,
        StpdChange::Priority { priority },
    );

    // 2 x (forward delay - 1) >= max age >= 2 x (hello time + 1), and long hello times in mode dot1d only, at every
    // moment.
    let seconds = i64::from(new.forward_delay);
    let forward_delay = StpdChange::ForwardDelay { seconds };
    let seconds = i64::from(new.hello_time);
    let hello_time = StpdChange::HelloTime { seconds };
    set(new.forward_delay > old.forward_delay, forward_delay.clone());
    set(new.hello_time < old.hello_time, hello_time.clone());
    let seconds = i64::from(new.max_age);
    set(old.max_age != new.max_age, StpdChange::MaxAge { seconds });
    set(new.forward_delay < old.forward_delay, forward_delay);
    let mode: StpdMode = new.mode;
    set(old.mode != mode, StpdChange::Mode { mode });
    set(new.hello_time > old.hello_time, hello_time);

    let count = new.tx_hold_count.into();
    set(
        old.tx_hold_count != new.tx_hold_count,
        StpdChange::TxHoldCount { count },
    );
    let method = new.path_cost_method;
    let other_costs = old.path_cost_method != method;
    // Long costs are configured while they are allowed.
    set(
        other_costs && method == CostMethod::Long,
        StpdChange::PathCostMethod { method },
    );
    ports(name, old, new, changes);
    if other_costs && method == CostMethod::Short {
        changes.push(change(name, StpdChange::PathCostMethod { method }));
    }
}

/// The settings of ports; those that get the same value get it together, and what makes a port take part comes last.
fn ports(name: StpdName, old: &StpdConfig, new: &StpdConfig, changes: &mut Vec<ConfigChange>) {
    type Setting = fn(&StpdPortConfig) -> StpdPortChange;
    const SETTINGS: [Setting; 10] = [
        |port| StpdPortChange::Encapsulation {
            encapsulation: port.encapsulation,
        },
        |port| StpdPortChange::Priority {
            priority: port.priority.into(),
        },
        |port| StpdPortChange::Cost {
            cost: port.cost.map(i64::from),
        },
        |port| StpdPortChange::LinkType {
            link_type: port.link_type,
        },
        |port| StpdPortChange::AutoEdge {
            enabled: port.auto_edge,
        },
        |port| StpdPortChange::BpduGuard {
            enabled: port.bpdu_guard,
            recovery: port.bpdu_guard_recovery.map(i64::from),
        },
        |port| StpdPortChange::RootGuard {
            enabled: port.root_guard,
        },
        |port| StpdPortChange::BpduFilter {
            enabled: port.bpdu_filter,
        },
        |port| StpdPortChange::LoopGuard {
            enabled: port.loop_guard,
        },
        |port| StpdPortChange::Enabled {
            enabled: port.enabled,
        },
    ];
    let numbers: BTreeSet<PortNo> = old.ports.keys().chain(new.ports.keys()).copied().collect();
    for setting in SETTINGS {
        let mut groups: Vec<(StpdPortChange, BTreeSet<PortNo>)> = Vec::new();
        for &port in &numbers {
            let wanted = setting(&new.port(port));
            if wanted == setting(&old.port(port)) {
                continue;
            }
            match groups.iter_mut().find(|(change, _)| *change == wanted) {
                Some((_, ports)) => {
                    ports.insert(port);
                }
                None => groups.push((wanted, BTreeSet::from([port]))),
            }
        }
        for (wanted, ports) in groups {
            changes.extend(ports_change(name, ports, wanted));
        }
    }
}

fn ports_change(
    name: StpdName,
    ports: BTreeSet<PortNo>,
    of_ports: StpdPortChange,
) -> Option<ConfigChange> {
    let ports = list(ports)?;
    let change = of_ports;
    Some(ConfigChange::Stpd {
        stpd: name,
        change: StpdChange::Ports { ports, change },
    })
}
