//! Switches with domains, joined by wires that carry frames as octets.

use crate::config::{Config, StpdName};
use crate::stp::Link;
use crate::stpd::*;
use crate::switch::{narrowed, vlan_entries};
use crate::time::Epoch;
use hitless_common::map::vlans::{PortSet, VlanEntry};
use hitless_common::{Mac, PortNo, VlanId};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

pub(super) fn port(n: u16) -> PortNo {
    PortNo::new(n).unwrap()
}

pub(super) fn vlan(n: u16) -> VlanId {
    VlanId::new(n).unwrap()
}

pub(super) fn stpd(name: &str) -> StpdName {
    name.parse().unwrap()
}

pub(super) fn config(document: Value) -> Config {
    serde_json::from_value(document).unwrap()
}

pub(super) fn system_mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, n, 0])
}

/// A port of switch `n`, with a link or without.
pub(super) fn facts(n: u8, number: PortNo, up: bool) -> PortFacts {
    PortFacts {
        link: Link {
            up,
            mbps: 1000,
            full_duplex: true,
        },
        mac: Mac([2, 0, 0, 0, n, number.get() as u8]),
    }
}

/// Parts of the work that follows from an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Close,
    Checkpoint,
    Open,
    Send,
}

/// A switch: its hardware and its configuration stay when its process ends.
pub(super) struct Switch {
    pub n: u8,
    pub config: Config,
    pub facts: BTreeMap<PortNo, PortFacts>,
    pub stpds: Option<Stpds>,
    pub vlans: BTreeMap<VlanId, VlanEntry>,
    pub epoch: u32,
    pub beat: u32,
    /// What the standby has, by key.
    pub bridges: BTreeMap<StpdName, crate::stp::SavedBridge>,
    pub ports: BTreeMap<(StpdName, PortNo), crate::stp::SavedPort>,
    /// When its process is to end: at the next work, before this part of it.
    pub dies_before: Option<Part>,
    /// Beats until another process goes on.
    pub down: u32,
    /// Whether the last work had to wait for the standby.
    synced: bool,
    /// What the ports of each domain did before.
    overlays: BTreeMap<StpdName, Overlay>,
    /// What happened.
    pub events: Vec<(StpdName, crate::stp::Event)>,
    pub flushed: Vec<FlushJob>,
    pub sent: Vec<OutFrame>,
}

impl Switch {
    pub fn new(n: u8, config: Config) -> Self {
        let up = |&number: &PortNo| (number, facts(n, number, true));
        let facts = config.ports.keys().map(up).collect();
        let stpds = Stpds::new(system_mac(n), Epoch::new(1));
        let mut switch = Self {
            n,
            config,
            facts,
            stpds: Some(stpds),
            vlans: BTreeMap::new(),
            epoch: 1,
            beat: 0,
            bridges: BTreeMap::new(),
            ports: BTreeMap::new(),
            dies_before: None,
            down: 0,
            synced: false,
            overlays: BTreeMap::new(),
            events: Vec::new(),
            flushed: Vec::new(),
            sent: Vec::new(),
        };
        switch.configure();
        switch
    }

    pub fn stpds(&self) -> &Stpds {
        self.stpds.as_ref().unwrap()
    }

    /// Follows `self.config`.
    pub fn configure(&mut self) {
        if let Some(stpds) = &mut self.stpds {
            stpds.set_epoch(Epoch::new(self.epoch));
            stpds.configure(&self.config, &self.facts).unwrap();
        }
        self.work();
    }

    pub fn set_link(&mut self, number: PortNo, up: bool) {
        let facts = facts(self.n, number, up);
        self.facts.insert(number, facts);
        if let Some(stpds) = &mut self.stpds {
            stpds.on_port(number, facts);
        }
        self.work();
    }

    pub fn beat(&mut self) {
        if let Some(stpds) = &mut self.stpds {
            self.beat += 1;
            self.epoch += u32::from(self.beat.is_multiple_of(BEATS));
            stpds.beat(Epoch::new(self.epoch), self.beat);
            self.work();
        } else if self.down > 0 {
            self.down -= 1;
        } else {
            self.resume();
        }
    }

    pub fn hear(&mut self, number: PortNo, frame: &[u8]) -> Result<(), NotTaken> {
        let Some(stpds) = &mut self.stpds else {
            return Ok(());
        };
        let result = stpds.on_frame(number, None, frame);
        self.work();
        result
    }

    fn up(&self) -> PortSet {
        let up = self.facts.iter().filter(|(_, facts)| facts.link.up);
        up.map(|(&number, _)| number).collect()
    }

    /// What VLANS is to have now.
    pub fn wanted(&self) -> BTreeMap<VlanId, VlanEntry> {
        let stpds = self.stpds();
        vlan_entries(&self.config, &self.up(), |vlan| stpds.overlay(vlan))
    }

    /// Does what is to be done: VLANS, checkpoint, frames.
    pub fn work(&mut self) {
        let Some(stpds) = &mut self.stpds else {
            return;
        };
        let work = stpds.take_work();
        let now: BTreeMap<_, _> = stpds.domains().map(|d| (*d.name(), *d.overlay())).collect();
        for name in now.keys().chain(self.overlays.keys()) {
            let (old, new) = (self.overlays.get(name), now.get(name));
            assert!(
                old == new || work.changed.contains(name),
                "{name}: {old:?} {new:?}"
            );
            if let (Some(old), Some(new)) = (old, new) {
                let opened = new.learning.without(&old.learning).is_empty()
                    && new.forwarding.without(&old.forwarding).is_empty()
                    && old.ports.without(&new.ports).is_empty();
                assert!(opened || work.sync, "{name} opens without the standby");
            } else if old.is_some() {
                assert!(work.sync, "{name} ends without the standby");
            }
        }
        self.overlays = now;
        let dies = self.dies_before.take_if(|_| work != Work::default());
        let done = |part| dies.is_none_or(|dies| part < dies);
        let wanted = self.wanted();
        if done(Part::Close) {
            for (id, wanted) in &wanted {
                let installed = self.vlans.get(id).copied().unwrap_or_default();
                self.vlans.insert(*id, narrowed(&installed, wanted));
            }
            self.flushed.extend(work.flush);
        }
        if done(Part::Checkpoint) {
            self.checkpoint();
        }
        if done(Part::Open) {
            self.vlans = wanted;
        }
        if done(Part::Send) {
            self.sent.extend(work.frames);
        }
        self.events.extend(work.events);
        self.synced = work.sync;
        if dies.is_some() {
            self.stpds = None;
        }
    }

    fn checkpoint(&mut self) {
        let Some(stpds) = &mut self.stpds else {
            return;
        };
        for (name, number) in stpds.take_dirty() {
            match number {
                None => match stpds.saved_bridge(&name) {
                    Some(saved) => drop(self.bridges.insert(name, saved)),
                    None => drop(self.bridges.remove(&name)),
                },
                Some(number) => match stpds.saved_port(&name, number) {
                    Some(saved) => drop(self.ports.insert((name, number), saved)),
                    None => drop(self.ports.remove(&(name, number))),
                },
            }
        }
        assert!(!stpds.has_work());
    }

    /// What holds at any time: the domains are as configured, and the standby has what there is.
    pub fn check(&self) {
        let Some(stpds) = &self.stpds else {
            return;
        };
        let enabled = self.config.stpds.iter().filter(|(_, stpd)| stpd.enabled);
        let names: Vec<_> = enabled.clone().map(|(&name, _)| name).collect();
        assert!(stpds.domains().map(|d| *d.name()).eq(names));
        for (name, stpd) in enabled {
            let domain = stpds.domain(name).unwrap();
            let bridge = domain.bridge();
            assert_eq!(bridge.state().config, stpd.bridge(stpds.mac()));
            let ports: Vec<_> = bridge.ports().iter().map(|p| p.number).collect();
            assert!(self.config.stpd_ports(stpd).into_iter().eq(ports));
            for port in bridge.ports() {
                assert_eq!(port.config, stpd.port(port.number).parameters());
                assert_eq!(port.link, self.facts[&port.number].link);
            }
        }
        for &id in self.config.vlans.keys() {
            let stpd = self.config.stpd_of(id).filter(|(_, stpd)| stpd.enabled);
            let overlay = stpds.overlay(id);
            assert_eq!(overlay.is_some(), stpd.is_some(), "VLAN {id}");
            if let Some(overlay) = overlay {
                assert!(overlay.fallback.without(&overlay.forwarding).is_empty());
                assert!(overlay.forwarding.without(&overlay.learning).is_empty());
                assert!(overlay.learning.without(&overlay.ports).is_empty());
            }
        }
        assert_eq!(self.vlans, self.wanted());
        let keys = stpds.all_keys();
        assert_eq!(keys.len(), self.bridges.len() + self.ports.len());
        for (name, number) in keys {
            let Some(number) = number else {
                assert_eq!(stpds.saved_bridge(&name), self.bridges.get(&name).copied());
                continue;
            };
            let live = stpds.saved_port(&name, number).unwrap();
            let mut saved = self.ports[&(name, number)];
            saved.state.counters = live.state.counters;
            assert_eq!(live, saved, "{name} port {number}");
        }
    }

    /// What the standby has, as it goes on with it.
    pub fn saved(&self) -> BTreeMap<StpdName, SavedStpd> {
        let stpd = |(&name, &bridge)| {
            let own = self.ports.range((name, port(1))..=(name, port(128)));
            let ports = own.map(|(_, &saved)| saved).collect();
            (name, SavedStpd { bridge, ports })
        };
        self.bridges.iter().map(stpd).collect()
    }

    /// Another process goes on.
    pub fn resume(&mut self) {
        let hardware = |vlan| self.vlans.get(&vlan).copied().unwrap_or_default();
        let (stpds, result) = Stpds::resume(
            system_mac(99),
            &self.config,
            &self.facts,
            self.saved(),
            &hardware,
            Epoch::new(self.epoch),
        );
        result.unwrap();
        self.stpds = Some(stpds);
        let opens = |(id, wanted): (_, &VlanEntry)| {
            let installed = self.vlans.get(id).copied().unwrap_or_default();
            !wanted.forwarding.without(&installed.forwarding).is_empty()
        };
        let opens = self.wanted().iter().any(opens);
        self.overlays.clear();
        self.work();
        assert!(!opens || self.synced, "opens without the standby");
        self.check();
    }
}

/// Switches and wires between their ports.
pub(super) struct Net {
    pub switches: Vec<Switch>,
    pub wires: Vec<[(usize, PortNo); 2]>,
}

impl Net {
    pub fn new(switches: Vec<Switch>, wires: &[[(usize, u16); 2]]) -> Self {
        let wire = |ends: &[(usize, u16); 2]| ends.map(|(s, n)| (s, port(n)));
        Self {
            switches,
            wires: wires.iter().map(wire).collect(),
        }
    }

    /// Delivers frames until there are none.
    pub fn deliver(&mut self) {
        let mut queue = VecDeque::new();
        loop {
            for (s, switch) in self.switches.iter_mut().enumerate() {
                let sent = switch.sent.drain(..);
                queue.extend(sent.map(|frame| (s, frame)));
            }
            let Some((s, frame)) = queue.pop_front() else {
                return;
            };
            let from = (s, frame.port);
            for wire in &self.wires {
                let to = match wire {
                    [a, b] if *a == from => *b,
                    [a, b] if *b == from => *a,
                    _ => continue,
                };
                let facts = &self.switches[to.0].facts;
                if facts[&to.1].link.up && self.switches[s].facts[&frame.port].link.up {
                    // A port that the neighbour's domain is not on takes nothing.
                    let _taken = self.switches[to.0].hear(to.1, &frame.octets);
                }
            }
        }
    }

    pub fn run(&mut self, seconds: u32) {
        for _ in 0..seconds * BEATS {
            for s in 0..self.switches.len() {
                self.switches[s].beat();
                self.deliver();
            }
        }
    }

    pub fn set_wire(&mut self, w: usize, up: bool) {
        for (s, number) in self.wires[w] {
            self.switches[s].set_link(number, up);
        }
        self.deliver();
    }

    /// Wires through which frames of a VLAN pass in both directions.
    pub fn passing(&self, vlan: VlanId) -> Vec<usize> {
        let passes = |(s, number): &(usize, PortNo)| {
            let switch = &self.switches[*s];
            let forwarding = switch.vlans[&vlan].forwarding;
            switch.facts[number].link.up && forwarding.has(number.get())
        };
        let wires = self.wires.iter().enumerate();
        wires
            .filter(|(_, ends)| ends.iter().all(passes))
            .map(|(w, _)| w)
            .collect()
    }

    /// Whether the wires that pass a VLAN's frames join all switches, and without a loop.
    pub fn is_tree(&self, vlan: VlanId) -> bool {
        self.passing(vlan).len() + 1 == self.switches.len() && !self.has_loop(vlan)
    }

    pub fn has_loop(&self, vlan: VlanId) -> bool {
        let mut part: Vec<usize> = (0..self.switches.len()).collect();
        for w in self.passing(vlan) {
            let [(a, _), (b, _)] = self.wires[w];
            let (a, b) = (part[a], part[b]);
            if a == b {
                return true;
            }
            part.iter_mut().filter(|p| **p == b).for_each(|p| *p = a);
        }
        false
    }
}
