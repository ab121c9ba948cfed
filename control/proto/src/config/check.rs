//! Every rule that a document must keep to become a [`Config`]. Goes on after a problem, so that all are
//! reported at once; a value with a problem takes no part in later rules, so that one mistake is one report
//! (what stands in for it never gets out, because the whole document is then refused).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use hitless_common::limits::{MAX_FDB_SIZE, MIN_FDB_SIZE};
use hitless_common::{Mac, PortNo, VlanId};

use super::document::parse_range;
use super::{
    AcceptFrames, Config, Damping, DampingDoc, DeviceName, Document, FdbConfig, FdbDoc, Invalid,
    KeyPath, PortConfig, PortDoc, Rule, StaticDoc, StaticTarget, StormControl, StormDoc,
    TaggedItem, VlanConfig, VlanDoc, VlanName, failover, images, snmp,
};

pub(super) mod stpd;

impl Document {
    /// Applies every rule.
    ///
    /// # Errors
    /// All problems, each with its key path and rule; at most [`super::MAX_PROBLEMS`] in full.
    pub fn check(&self) -> Result<Config, Invalid> {
        let mut checker = Checker::default();
        let root = KeyPath::default();

        let switch = checker.take(root.key("switch"), self.switch.parse());
        let mut vlans = checker.vlans(&root.key("vlans"), &self.vlans);
        let ports = checker.ports(&root.key("ports"), &self.ports);
        checker.loop_free_ports(&root.key("vlans"), &self.vlans, &mut vlans);
        let stpds = checker.stpds(&root.key("stpds"), &self.stpds, &ports);
        let fdb = checker.fdb(&root.key("fdb"), &self.fdb);
        let msm_failover =
            failover::check(&mut checker, &root.key("msm_failover"), &self.msm_failover);

        let images = images::check(&mut checker, &root.key("images"), &self.images);
        let snmp = snmp::check(&mut checker, &root.key("snmp"), &self.snmp, switch.as_ref());

        match (switch, snmp) {
            (Some(switch), Some(snmp)) if checker.invalid.problems.is_empty() => Ok(Config {
                switch,
                snmp,
                fdb,
                msm_failover,
                images,
                vlans,
                ports,
                stpds,
            }),
            _ => Err(checker.invalid),
        }
    }
}

impl TryFrom<Document> for Config {
    type Error = Invalid;
    fn try_from(document: Document) -> Result<Self, Invalid> {
        document.check()
    }
}

/// The problems so far, and what later sections need of earlier ones. These sets also hold what was refused
/// for another reason than its number.
#[derive(Default)]
pub(super) struct Checker {
    invalid: Invalid,
    /// Every declared VLAN and its index in the document.
    vlans: BTreeMap<VlanId, usize>,
    /// The VLANs of every port.
    members: BTreeMap<PortNo, BTreeSet<VlanId>>,
}

impl Checker {
    pub(super) fn refuse(&mut self, path: KeyPath, rule: impl Into<Rule>) {
        self.invalid.push(path, rule);
    }

    /// The value, or `None` after noting the problem.
    pub(super) fn take<T, E: Into<Rule>>(
        &mut self,
        path: KeyPath,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|rule| self.refuse(path, rule)).ok()
    }

    pub(super) fn in_range(
        &mut self,
        path: KeyPath,
        value: i64,
        low: u32,
        high: u32,
    ) -> Option<u32> {
        self.take(path, in_range(value, low, high))
    }

    fn mac_limit(&mut self, path: KeyPath, limit: Option<i64>) -> Option<u32> {
        self.take(path, mac_limit(limit?))
    }

    fn vlans(&mut self, at: &KeyPath, docs: &[VlanDoc]) -> BTreeMap<VlanId, VlanConfig> {
        let mut vlans = BTreeMap::new();
        let mut names: BTreeMap<String, VlanId> = BTreeMap::new();
        for (i, doc) in docs.iter().enumerate() {
            let at = at.index(i);
            let Some(id) = self.take(at.key("id"), VlanId::try_new(doc.id)) else {
                continue;
            };
            if let Some(&first) = self.vlans.get(&id) {
                self.refuse(at.key("id"), Rule::DuplicateVlan { id, first });
                continue;
            }
            self.vlans.insert(id, i);

            let name = doc.name.clone().unwrap_or_else(|| format!("vlan{id}"));
            let parsed = self.take(at.key("name"), name.parse::<VlanName>());
            if let Some(&other) = names.get(&name) {
                let name = name.clone();
                self.refuse(at.key("name"), Rule::DuplicateVlanName { name, other });
            } else {
                names.insert(name, id);
            }
            let mac_limit = self.mac_limit(at.key("mac_limit"), doc.mac_limit);
            if let Some(name) = parsed {
                let learning = doc.learning;
                vlans.insert(
                    id,
                    VlanConfig {
                        name,
                        mac_limit,
                        learning,
                        loop_free_ports: None,
                    },
                );
            }
        }
        vlans
    }

    /// The loop-free ports of every VLAN, once the members are known.
    fn loop_free_ports(
        &mut self,
        at: &KeyPath,
        docs: &[VlanDoc],
        vlans: &mut BTreeMap<VlanId, VlanConfig>,
    ) {
        for (i, doc) in docs.iter().enumerate() {
            let (Some(numbers), Ok(vlan)) = (&doc.loop_free_ports, VlanId::try_new(doc.id)) else {
                continue;
            };
            let at = at.index(i).key("loop_free_ports");
            let mut ports = BTreeSet::new();
            for (j, &number) in numbers.iter().enumerate() {
                let at = at.index(j);
                let Some(port) = self.take(at.clone(), PortNo::try_new(number)) else {
                    continue;
                };
                match self.members.get(&port) {
                    None => self.refuse(at, Rule::UnknownPort(port)),
                    Some(members) if !members.contains(&vlan) => {
                        self.refuse(at, Rule::NoMember { port, vlan });
                    }
                    Some(_) if !ports.insert(port) => self.refuse(at, Rule::LoopFreeTwice(port)),
                    Some(_) => {}
                }
            }
            if let Some(config) = vlans.get_mut(&vlan) {
                config.loop_free_ports = Some(ports);
            }
        }
    }

    fn ports(&mut self, at: &KeyPath, docs: &[PortDoc]) -> BTreeMap<PortNo, PortConfig> {
        let mut ports = BTreeMap::new();
        let mut numbers: BTreeMap<PortNo, usize> = BTreeMap::new();
        let mut devices: BTreeMap<String, PortNo> = BTreeMap::new();
        for (i, doc) in docs.iter().enumerate() {
            let at = at.index(i);
            let Some(port) = self.take(at.key("port"), PortNo::try_new(doc.port)) else {
                continue;
            };
            if let Some(&first) = numbers.get(&port) {
                self.refuse(at.key("port"), Rule::DuplicatePort { port, first });
                continue;
            }
            numbers.insert(port, i);

            let device = self.take(at.key("device"), doc.device.parse::<DeviceName>());
            if let Some(&other) = devices.get(&doc.device) {
                let device = doc.device.clone();
                self.refuse(at.key("device"), Rule::DuplicateDevice { device, other });
            } else {
                devices.insert(doc.device.clone(), port);
            }

            let untagged = doc
                .untagged
                .and_then(|vlan| self.declared(at.key("untagged"), vlan));
            let tagged = self.tagged(&at.key("tagged"), &doc.tagged, untagged);
            if doc.accept == AcceptFrames::Untagged && !doc.tagged.is_empty() {
                self.refuse(at.key("accept"), Rule::AcceptsUntagged);
            }
            self.members
                .insert(port, tagged.iter().copied().chain(untagged).collect());
            let mac_limit = self.mac_limit(at.key("mac_limit"), doc.mac_limit);
            let storm_control = self.storm(&at.key("storm_control"), &doc.storm_control);
            if let Some(device) = device {
                ports.insert(
                    port,
                    PortConfig {
                        device,
                        enabled: doc.enabled,
                        untagged,
                        tagged,
                        accept: doc.accept,
                        ingress_filtering: doc.ingress_filtering,
                        offload: doc.offload,
                        trust_far_end: doc.trust_far_end,
                        mac_limit,
                        storm_control,
                    },
                );
            }
        }
        ports
    }

    /// A VLAN that something refers to. One that is not declared is noted and still taken for what the
    /// reference meant.
    fn declared(&mut self, path: KeyPath, vlan: i64) -> Option<VlanId> {
        let vlan = self.take(path.clone(), VlanId::try_new(vlan))?;
        if !self.vlans.contains_key(&vlan) {
            self.refuse(path, Rule::UndeclaredVlan(vlan));
        }
        Some(vlan)
    }

    /// The VLANs of a `tagged` list. Each item is reported for its first problem only.
    fn tagged(
        &mut self,
        at: &KeyPath,
        items: &[TaggedItem],
        untagged: Option<VlanId>,
    ) -> BTreeSet<VlanId> {
        let mut tagged = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            let at = at.index(i);
            let Some(range) = self.take(at.clone(), tagged_range(item)) else {
                continue;
            };
            let mut problem = None;
            for vlan in range.filter_map(VlanId::new) {
                if untagged == Some(vlan) {
                    problem.get_or_insert(Rule::TaggedAndUntagged(vlan));
                } else if !tagged.insert(vlan) {
                    // Stops here: overlapping ranges must not cost their product.
                    problem.get_or_insert(Rule::TaggedTwice(vlan));
                    break;
                } else if !self.vlans.contains_key(&vlan) {
                    problem.get_or_insert(Rule::UndeclaredVlan(vlan));
                }
            }
            if let Some(rule) = problem {
                self.refuse(at, rule);
            }
        }
        tagged
    }

    fn storm(&mut self, at: &KeyPath, doc: &StormDoc) -> StormControl {
        let mut rate = |key, rate: Option<i64>| self.take(at.key(key), storm_rate(rate?));
        StormControl {
            broadcast: rate("broadcast", doc.broadcast),
            multicast: rate("multicast", doc.multicast),
            unknown_unicast: rate("unknown_unicast", doc.unknown_unicast),
        }
    }

    fn fdb(&mut self, at: &KeyPath, doc: &FdbDoc) -> FdbConfig {
        let size = self.in_range(at.key("size"), doc.size, MIN_FDB_SIZE, MAX_FDB_SIZE);
        let ageing_seconds = match doc.ageing_seconds {
            0 => None,
            seconds => {
                let ageing = u32::try_from(seconds)
                    .ok()
                    .filter(|seconds| (10..=1_000_000).contains(seconds))
                    .ok_or(Rule::Ageing(seconds));
                self.take(at.key("ageing_seconds"), ageing)
            }
        };
        let damping = self.damping(&at.key("damping"), &doc.damping);
        let entries = doc.static_entries.len();
        if let Some(size) = size.filter(|&size| entries > size as usize) {
            self.refuse(at.key("static"), Rule::TooManyStatic { entries, size });
        }
        FdbConfig {
            size: size.unwrap_or_default(),
            ageing_seconds,
            damping,
            static_entries: self.static_entries(&at.key("static"), &doc.static_entries),
        }
    }

    fn damping(&mut self, at: &KeyPath, doc: &DampingDoc) -> Damping {
        let mut number = |key, value, low, high| {
            self.in_range(at.key(key), value, low, high)
                .unwrap_or_default()
        };
        Damping {
            moves: number("moves", doc.moves, 0, 1_000_000),
            within_seconds: number("within_seconds", doc.within_seconds, 1, 3_600),
            hold_seconds: number("hold_seconds", doc.hold_seconds, 1, 86_400),
        }
    }

    fn static_entries(
        &mut self,
        at: &KeyPath,
        docs: &[StaticDoc],
    ) -> BTreeMap<(VlanId, Mac), StaticTarget> {
        let mut entries = BTreeMap::new();
        let mut seen: BTreeMap<(VlanId, Mac), usize> = BTreeMap::new();
        for (i, doc) in docs.iter().enumerate() {
            let at = at.index(i);
            let vlan = self.declared(at.key("vlan"), doc.vlan);
            let mac = doc.mac.parse().map_err(Rule::Id).and_then(station_address);
            let mac = self.take(at.key("mac"), mac);
            let target = self.target(&at, doc, vlan);
            let (Some(vlan), Some(mac)) = (vlan, mac) else {
                continue;
            };
            if let Some(&first) = seen.get(&(vlan, mac)) {
                self.refuse(at, Rule::DuplicateStatic { vlan, mac, first });
                continue;
            }
            seen.insert((vlan, mac), i);
            if let Some(target) = target {
                entries.insert((vlan, mac), target);
            }
        }
        entries
    }

    fn target(
        &mut self,
        at: &KeyPath,
        doc: &StaticDoc,
        vlan: Option<VlanId>,
    ) -> Option<StaticTarget> {
        match (doc.port, doc.blackhole) {
            (None, true) => Some(StaticTarget::Blackhole),
            (None, false) => {
                self.refuse(at.clone(), Rule::NoTarget);
                None
            }
            (Some(_), true) => {
                self.refuse(at.clone(), Rule::TwoTargets);
                None
            }
            (Some(number), false) => {
                let port = self.take(at.key("port"), PortNo::try_new(number))?;
                match (self.members.get(&port), vlan) {
                    (None, _) => self.refuse(at.key("port"), Rule::UnknownPort(port)),
                    (Some(members), Some(vlan)) if !members.contains(&vlan) => {
                        self.refuse(at.key("port"), Rule::NoMember { port, vlan });
                    }
                    _ => return Some(StaticTarget::Port(port)),
                }
                None
            }
        }
    }
}

fn in_range(value: i64, low: u32, high: u32) -> Result<u32, Rule> {
    u32::try_from(value)
        .ok()
        .filter(|number| (low..=high).contains(number))
        .ok_or(Rule::Range { value, low, high })
}

/// A limit of learned addresses.
pub(super) fn mac_limit(limit: i64) -> Result<u32, Rule> {
    in_range(limit, 0, MAX_FDB_SIZE)
}

/// A limit of storm control in frames a second.
pub(super) fn storm_rate(rate: i64) -> Result<NonZeroU32, Rule> {
    let number = u32::try_from(rate).ok().and_then(NonZeroU32::new);
    number.ok_or(Rule::Storm(rate))
}

/// The VLAN ids that an item of `tagged` means, all of them valid.
fn tagged_range(item: &TaggedItem) -> Result<std::ops::RangeInclusive<u16>, Rule> {
    let (low, high) = match item {
        TaggedItem::Id(id) => (*id, *id),
        TaggedItem::Range(text) => {
            parse_range(text).ok_or_else(|| Rule::VlanRange(text.clone()))?
        }
    };
    let (first, last) = (VlanId::try_new(low)?, VlanId::try_new(high)?);
    match item {
        TaggedItem::Range(text) if low > high => Err(Rule::VlanRange(text.clone())),
        _ => Ok(first.get()..=last.get()),
    }
}

/// The address, if a station can have it: what a static entry needs, configured or made at run time.
///
/// # Errors
/// The rule that a group address, the zero address or an address of control protocols breaks.
pub fn station_address(mac: Mac) -> Result<Mac, Rule> {
    if mac.is_control() {
        Err(Rule::ControlAddress(mac))
    } else if !mac.is_station() {
        Err(Rule::NotAStation(mac))
    } else {
        Ok(mac)
    }
}
