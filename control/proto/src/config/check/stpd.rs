//! The rules of spanning tree domains. Those of 802.1D are asked of the protocol itself ([`stp::BridgeConfig`]).

use std::collections::{BTreeMap, BTreeSet};

use hitless_common::{Mac, PortNo, VlanId};

use super::{Checker, KeyPath, Rule, tagged_range};
use crate::config::document::stpd::default_vlans;
use crate::config::stpd::DEFAULT_VLAN;
use crate::config::{
    MAX_STPDS, PortConfig, StpEncapsulation, StpdConfig, StpdDoc, StpdMode, StpdName,
    StpdPortConfig, StpdPortDoc, TaggedItem,
};
use crate::stp::{self, CostMethod, ParameterError};

/// Any bridge's address, for rules that are about the other parameters.
const ANY_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// A domain on its way through the rules.
struct Checked<'a> {
    at: KeyPath,
    doc: &'a StpdDoc,
    name: StpdName,
    stpd: StpdConfig,
    /// Its ports, those included that take no part.
    members: BTreeSet<PortNo>,
}

impl Checker {
    pub(super) fn stpds(
        &mut self,
        at: &KeyPath,
        docs: &[StpdDoc],
        ports: &BTreeMap<PortNo, PortConfig>,
    ) -> BTreeMap<StpdName, StpdConfig> {
        let mut domains: Vec<Checked> = Vec::new();
        let mut owners: BTreeMap<VlanId, StpdName> = BTreeMap::new();
        let mut names: BTreeMap<StpdName, usize> = BTreeMap::new();
        for (i, doc) in docs.iter().enumerate() {
            let at = at.index(i);
            let Some(name) = self.take(at.key("name"), doc.name.parse::<StpdName>()) else {
                continue;
            };
            if let Some(&first) = names.get(&name) {
                self.refuse(at.key("name"), Rule::DuplicateStpd { name, first });
                continue;
            }
            names.insert(name, i);
            if names.len() + usize::from(!names.contains_key(&StpdName::S0)) > MAX_STPDS {
                self.refuse(at.clone(), Rule::TooManyStpds);
            }
            let mut stpd = self.stpd(&at, doc, name);
            let listed = doc.vlans.iter().flatten();
            stpd.vlans = self.stpd_vlans(&at.key("vlans"), listed, name, &mut owners);
            let members = BTreeSet::new();
            domains.push(Checked {
                at,
                doc,
                name,
                stpd,
                members,
            });
        }
        let exists = self.vlans.contains_key(&DEFAULT_VLAN);
        let vlans_of_s0 = default_vlans(exists, owners.contains_key(&DEFAULT_VLAN));
        match domains.iter_mut().find(|d| d.name == StpdName::S0) {
            Some(s0) if s0.doc.vlans.is_none() => s0.stpd.vlans = vlans_of_s0.clone(),
            _ => {}
        }

        self.find_members(&mut domains);
        for domain in &mut domains {
            self.stpd_tag(domain);
            self.stpd_ports(domain);
        }
        let mut plain: BTreeMap<PortNo, StpdName> = BTreeMap::new();
        for domain in domains.iter().filter(|domain| domain.stpd.enabled) {
            self.encapsulations(domain, ports, &mut plain);
        }

        let mut stpds: BTreeMap<_, _> = domains.into_iter().map(|d| (d.name, d.stpd)).collect();
        stpds.entry(StpdName::S0).or_insert_with(|| StpdConfig {
            vlans: vlans_of_s0,
            ..StpdConfig::new(StpdName::S0)
        });
        stpds
    }

    /// What does not depend on VLANs and ports.
    fn stpd(&mut self, at: &KeyPath, doc: &StpdDoc, name: StpdName) -> StpdConfig {
        let mut stpd = StpdConfig::new(name);
        stpd.enabled = doc.enabled;
        stpd.mode = doc.mode;
        stpd.path_cost_method = doc.path_cost_method;
        if let Some(encapsulation) = doc.default_encapsulation {
            stpd.default_encapsulation = encapsulation;
        }
        let mut good = true;
        let mut set = |key, set: Option<Result<(), Rule>>| {
            good &= set.is_none_or(|set| self.take(at.key(key), set).is_some());
        };
        let numbers = &mut stpd;
        set(
            "priority",
            doc.priority
                .map(|n| set_to(&mut numbers.priority, bridge_priority(n))),
        );
        set(
            "hello_time",
            doc.hello_time
                .map(|n| set_to(&mut numbers.hello_time, hello_time(n, doc.mode))),
        );
        set(
            "max_age",
            doc.max_age
                .map(|n| set_to(&mut numbers.max_age, max_age(n))),
        );
        set(
            "forward_delay",
            doc.forward_delay
                .map(|n| set_to(&mut numbers.forward_delay, forward_delay(n))),
        );
        set(
            "tx_hold_count",
            doc.tx_hold_count
                .map(|n| set_to(&mut numbers.tx_hold_count, tx_hold_count(n))),
        );
        if good {
            // What is left to be wrong is how the times go together.
            self.take(at.key("max_age"), stpd.bridge(ANY_MAC).check());
        }
        stpd
    }

    /// The VLANs of a domain. Each item is reported for its first problem only.
    fn stpd_vlans<'a>(
        &mut self,
        at: &KeyPath,
        items: impl Iterator<Item = &'a TaggedItem>,
        name: StpdName,
        owners: &mut BTreeMap<VlanId, StpdName>,
    ) -> BTreeSet<VlanId> {
        let mut vlans = BTreeSet::new();
        for (i, item) in items.enumerate() {
            let at = at.index(i);
            let Some(range) = self.take(at.clone(), tagged_range(item)) else {
                continue;
            };
            let mut problem = None;
            for vlan in range.filter_map(VlanId::new) {
                if !vlans.insert(vlan) {
                    // Stops here: overlapping ranges must not cost their product.
                    problem.get_or_insert(Rule::VlanTwiceInStpd(vlan));
                    break;
                } else if !self.vlans.contains_key(&vlan) {
                    problem.get_or_insert(Rule::UndeclaredVlan(vlan));
                } else if let Some(&other) = owners.get(&vlan) {
                    problem.get_or_insert(Rule::VlanInTwoStpds { vlan, other });
                } else {
                    owners.insert(vlan, name);
                }
            }
            if let Some(rule) = problem {
                self.refuse(at, rule);
            }
        }
        vlans
    }

    /// The ports of every domain, in one walk over all memberships.
    fn find_members(&self, domains: &mut [Checked]) {
        if domains
            .iter()
            .all(|domain| !domain.stpd.enabled && domain.doc.ports.is_empty())
        {
            return;
        }
        let mut domain_of = vec![None; usize::from(VlanId::MAX.get()) + 1];
        for (i, domain) in domains.iter().enumerate() {
            for vlan in &domain.stpd.vlans {
                if let Some(slot) = domain_of.get_mut(usize::from(vlan.get())) {
                    *slot = Some(i);
                }
            }
        }
        for (&port, vlans) in &self.members {
            let mut last = None;
            for vlan in vlans {
                let domain = domain_of.get(usize::from(vlan.get())).copied().flatten();
                // Neighbouring VLANs are mostly in one domain.
                if domain != last
                    && let Some(domain) = domain.and_then(|i| domains.get_mut(i))
                {
                    domain.members.insert(port);
                }
                last = domain;
            }
        }
    }

    fn stpd_tag(&mut self, domain: &mut Checked) {
        let Some(tag) = domain.doc.tag else { return };
        let at = domain.at.key("tag");
        let Some(tag) = self.take(at.clone(), VlanId::try_new(tag)) else {
            return;
        };
        if !domain.stpd.vlans.contains(&tag) {
            self.refuse(at, Rule::TagOutsideStpd(tag));
            return;
        }
        domain.stpd.tag = Some(tag);
    }

    fn stpd_ports(&mut self, domain: &mut Checked) {
        let at = domain.at.key("ports");
        let mut seen = BTreeSet::new();
        for (i, doc) in domain.doc.ports.iter().enumerate() {
            let at = at.index(i);
            let Some(port) = self.take(at.key("port"), PortNo::try_new(doc.port)) else {
                continue;
            };
            if !seen.insert(port) {
                self.refuse(at.key("port"), Rule::PortTwiceInStpd(port));
            } else if !self.members.contains_key(&port) {
                self.refuse(at.key("port"), Rule::UnknownPort(port));
            } else if !domain.members.contains(&port) {
                let name = domain.name;
                self.refuse(at.key("port"), Rule::OutsideStpd { port, name });
            } else {
                let config = self.stpd_port(&at, doc, domain.stpd.path_cost_method);
                if config != StpdPortConfig::default() {
                    domain.stpd.ports.insert(port, config);
                }
            }
        }
    }

    fn stpd_port(&mut self, at: &KeyPath, doc: &StpdPortDoc, method: CostMethod) -> StpdPortConfig {
        let mut port = StpdPortConfig {
            enabled: doc.enabled,
            encapsulation: doc.encapsulation,
            link_type: doc.link_type,
            auto_edge: doc.auto_edge,
            bpdu_guard: doc.bpdu_guard,
            root_guard: doc.root_guard,
            bpdu_filter: doc.bpdu_filter,
            loop_guard: doc.loop_guard,
            ..StpdPortConfig::default()
        };
        let priority = doc.priority.map(port_priority);
        if let Some(Some(priority)) = priority.map(|n| self.take(at.key("priority"), n)) {
            port.priority = priority;
        }
        let cost = doc.cost.map(|cost| path_cost(cost, method));
        port.cost = cost.and_then(|cost| self.take(at.key("cost"), cost));
        let at = at.key("bpdu_guard_recovery");
        let recovery = doc.bpdu_guard_recovery.map(recovery);
        port.bpdu_guard_recovery = recovery.and_then(|recovery| self.take(at.clone(), recovery));
        if port.bpdu_guard_recovery.is_some() && !port.bpdu_guard {
            self.refuse(at, Rule::RecoveryWithoutGuard);
        }
        port
    }

    /// Whether the BPDUs of an enabled domain have a way, and one of their own.
    fn encapsulations(
        &mut self,
        domain: &Checked,
        ports: &BTreeMap<PortNo, PortConfig>,
        plain: &mut BTreeMap<PortNo, StpdName>,
    ) {
        use StpEncapsulation::{Dot1d, Emistp, PvstPlus};
        let Checked { at, stpd, name, .. } = domain;
        let taking_part = || {
            let members = domain.members.iter().copied();
            members.filter(|&port| stpd.port(port).enabled)
        };
        let place = |port: PortNo| {
            let number = i64::from(port.get());
            match domain.doc.ports.iter().position(|doc| doc.port == number) {
                Some(i) => at.key("ports").index(i),
                None => at.clone(),
            }
        };
        let used = |wanted: &[StpEncapsulation]| {
            let default = stpd.default_encapsulation;
            if wanted.contains(&default) {
                return Some((default, at.key("default_encapsulation")));
            }
            let mut used = taking_part().map(|port| (stpd.encapsulation(port), port));
            used.find(|(encapsulation, _)| wanted.contains(encapsulation))
                .map(|(encapsulation, port)| (encapsulation, place(port).key("encapsulation")))
        };
        // A tag that was refused already is not missing.
        if stpd.tag.is_none()
            && domain.doc.tag.is_none()
            && let Some((encapsulation, at)) = used(&[Emistp, PvstPlus])
        {
            self.refuse(at, Rule::NoCarrier { encapsulation });
        }
        if let Some(tag) = stpd.tag
            && stpd.vlans.iter().any(|&vlan| vlan != tag)
            && let Some((_, at)) = used(&[PvstPlus])
        {
            let vlans = stpd.vlans.len();
            self.refuse(at, Rule::MoreThanPvst { tag, vlans });
        }
        for port in taking_part() {
            match (stpd.encapsulation(port), stpd.tag) {
                (Emistp, Some(tag)) => {
                    if ports
                        .get(&port)
                        .is_some_and(|config| !config.tagged.contains(&tag))
                    {
                        self.refuse(place(port), Rule::NotCarried { port, tag });
                    }
                }
                (Dot1d, _) => match plain.get(&port) {
                    Some(&other) => {
                        self.refuse(place(port), Rule::TwoPlainStpds { port, other });
                    }
                    None => {
                        plain.insert(port, *name);
                    }
                },
                // Its only VLAN is the carrier.
                (PvstPlus, _) | (Emistp, None) => {}
            }
        }
    }
}

fn set_to<T>(place: &mut T, value: Result<T, Rule>) -> Result<(), Rule> {
    *place = value?;
    Ok(())
}

/// The number, if the rule takes it; one that does not even fit is reported like one that is too large.
fn number<T: TryFrom<i64> + Copy>(
    value: i64,
    largest: T,
    rule: impl Fn(T) -> Result<(), ParameterError>,
) -> Result<T, Rule> {
    let fits = T::try_from(value);
    let number = *fits.as_ref().unwrap_or(&largest);
    match (rule(number), fits) {
        (Ok(()), _) => Ok(number),
        (Err(error), Ok(_)) => Err(error.into()),
        (Err(error), Err(_)) => Err(error.by(value).into()),
    }
}

/// A parameter of a bridge by itself, whatever the others are.
fn of_bridge<T: TryFrom<i64> + Copy>(
    value: i64,
    largest: T,
    set: impl Fn(&mut stp::BridgeConfig, T),
) -> Result<T, Rule> {
    number(value, largest, |number| {
        let mut bridge = stp::BridgeConfig::new(ANY_MAC);
        set(&mut bridge, number);
        match bridge.check() {
            Err(ParameterError::Times { .. }) => Ok(()),
            result => result,
        }
    })
}

pub(in crate::config) fn bridge_priority(value: i64) -> Result<u16, Rule> {
    of_bridge(value, u16::MAX, |bridge, n| bridge.priority = n)
}

pub(in crate::config) fn hello_time(value: i64, mode: StpdMode) -> Result<u16, Rule> {
    of_bridge(value, u16::MAX, |bridge, n| {
        bridge.force_version = mode.into();
        bridge.hello = n;
    })
}

pub(in crate::config) fn max_age(value: i64) -> Result<u16, Rule> {
    of_bridge(value, u16::MAX, |bridge, n| bridge.max_age = n)
}

pub(in crate::config) fn forward_delay(value: i64) -> Result<u16, Rule> {
    of_bridge(value, u16::MAX, |bridge, n| bridge.forward_delay = n)
}

pub(in crate::config) fn tx_hold_count(value: i64) -> Result<u8, Rule> {
    of_bridge(value, u8::MAX, |bridge, n| bridge.tx_hold_count = n)
}

pub(in crate::config) fn port_priority(value: i64) -> Result<u8, Rule> {
    number(value, u8::MAX, |priority| {
        let defaults = stp::PortConfig::DEFAULT;
        stp::PortConfig {
            priority,
            ..defaults
        }
        .check(CostMethod::Long)
    })
}

pub(in crate::config) fn path_cost(value: i64, method: CostMethod) -> Result<u32, Rule> {
    number(value, u32::MAX, |cost| {
        let path_cost = Some(cost);
        let defaults = stp::PortConfig::DEFAULT;
        stp::PortConfig {
            path_cost,
            ..defaults
        }
        .check(method)
    })
}

/// Seconds until a port that its BPDU guard shut is opened again.
pub(in crate::config) fn recovery(value: i64) -> Result<u16, Rule> {
    match u16::try_from(value) {
        Ok(seconds @ 1..=3_600) => Ok(seconds),
        _ => Err(Rule::Range {
            value,
            low: 1,
            high: 3_600,
        }),
    }
}
