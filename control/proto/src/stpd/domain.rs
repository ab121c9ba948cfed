//! One enabled domain.

use super::carriers::{Carriers, Voice};
use super::work::{FrameOctets, OutFrame, Pending};
use super::{Overlay, PortFacts, StpKey};
use crate::config::{Config, StpdConfig, StpdName};
use crate::stp::{
    Bridge, Event, Input, InputError, Link, Opening, Output, PortConfig, PortState, SavedBridge,
    SavedPort,
};
use crate::time::Epoch;
use hitless_common::map::vlans::PortSet;
use hitless_common::{Mac, PortNo, VlanId};
use hitless_wire::bpdu::{Bpdu, Frame};
use std::collections::{BTreeMap, BTreeSet};

/// Seconds after which counters of a port that changed make its record dirty.
const COUNTERS_EVERY: u32 = 30;

/// Lost seconds that are made up for.
const MOST_LOST: u32 = 3;

/// A domain that is to run.
#[derive(Clone, Debug)]
pub(super) struct Enabled<'c> {
    pub name: StpdName,
    pub stpd: &'c StpdConfig,
    pub ports: BTreeSet<PortNo>,
}

/// What a domain is to know of one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub config: PortConfig,
    pub link: Link,
    /// Source of its BPDUs.
    pub mac: Mac,
    pub voice: Voice,
}

/// What the domains of a configuration are to be.
pub(super) struct Plan<'c> {
    config: &'c Config,
    ports: &'c BTreeMap<PortNo, PortFacts>,
    mac: Mac,
    pub carriers: Carriers,
    pub domains: BTreeMap<StpdName, Enabled<'c>>,
}

impl<'c> Plan<'c> {
    /// That of the enabled domains of a configuration. Ports without facts have no link, and this address.
    pub fn of(config: &'c Config, ports: &'c BTreeMap<PortNo, PortFacts>, mac: Mac) -> Self {
        let enabled = config.stpds.iter().filter(|(_, stpd)| stpd.enabled);
        let domains: BTreeMap<_, _> = enabled
            .map(|(&name, stpd)| {
                let ports = config.stpd_ports(stpd);
                (name, Enabled { name, stpd, ports })
            })
            .collect();
        Self {
            config,
            ports,
            mac,
            carriers: Carriers::of(config, domains.values()),
            domains,
        }
    }

    /// The ports of one of them.
    pub fn members(&self, domain: &Enabled<'_>) -> BTreeMap<PortNo, Member> {
        let &Enabled { name, stpd, .. } = domain;
        let member = |&port| {
            let facts = self.ports.get(&port);
            let member = Member {
                config: stpd.port(port).parameters(),
                link: facts.map_or_else(Link::default, |facts| facts.link),
                mac: facts.map_or(self.mac, |facts| facts.mac),
                voice: self.carriers.voice(self.config, (name, stpd), port),
            };
            (port, member)
        };
        domain.ports.iter().map(member).collect()
    }
}

/// An enabled domain.
#[derive(Clone, Debug)]
pub struct Domain {
    name: StpdName,
    config: StpdConfig,
    bridge: Bridge,
    overlay: Overlay,
    voices: BTreeMap<PortNo, (Mac, Voice)>,
    turn: u32,
    /// The epoch that timers count from.
    clock: Epoch,
    /// What was last saved, and of what that is to be said.
    saved_bridge: SavedBridge,
    /// By number.
    saved_ports: Vec<SavedPort>,
    bridge_is_dirty: bool,
    dirty: PortSet,
    gone: Vec<PortNo>,
}

impl Domain {
    /// A domain with this bridge, all of which is to be saved. What was `saved` before only lends its memory.
    pub(super) fn new(
        name: StpdName,
        config: &StpdConfig,
        bridge: Bridge,
        members: &BTreeMap<PortNo, Member>,
        epoch: Epoch,
        saved: Vec<SavedPort>,
    ) -> Self {
        let mut domain = Self {
            name,
            config: config.clone(),
            overlay: overlay(&bridge),
            voices: BTreeMap::new(),
            turn: 0,
            clock: epoch,
            saved_bridge: SavedBridge::of(bridge.state(), epoch),
            saved_ports: saved,
            bridge_is_dirty: true,
            dirty: PortSet::EMPTY,
            gone: Vec::new(),
            bridge,
        };
        domain.save_all();
        domain.set_voices(members);
        domain
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &StpdName {
        &self.name
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &StpdConfig {
        &self.config
    }

    /// Its bridge.
    #[must_use]
    pub const fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Its VLANs.
    #[must_use]
    pub const fn vlans(&self) -> &BTreeSet<VlanId> {
        &self.config.vlans
    }

    /// What its ports may do.
    #[must_use]
    pub const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// On which beat it is to tick; until then on the first.
    pub(super) const fn set_turn(&mut self, turn: u32) {
        self.turn = turn;
    }

    /// The beat on which it ticks.
    pub(super) const fn turn(&self) -> u32 {
        self.turn
    }

    /// Follows a configuration. What can not be done is left out, and the first such error given back.
    pub(super) fn follow(
        &mut self,
        config: &StpdConfig,
        mac: Mac,
        members: &BTreeMap<PortNo, Member>,
        pending: &mut Pending,
    ) -> Result<(), InputError> {
        if !self.config.vlans.is_subset(&config.vlans) {
            pending.reopened(self.name);
        } else if self.config.vlans != config.vlans {
            pending.changed(self.name);
        }
        self.config = config.clone();
        self.set_voices(members);
        self.follow_members(mac, members, pending)
    }

    /// Follows the parameters and links of bridge and ports, as [`Domain::follow`] does.
    pub(super) fn follow_members(
        &mut self,
        mac: Mac,
        members: &BTreeMap<PortNo, Member>,
        pending: &mut Pending,
    ) -> Result<(), InputError> {
        let mut result = Ok(());
        let mut note = |done: Result<(), InputError>| {
            if result.is_ok() {
                result = done;
            }
        };
        let left: Vec<_> = self
            .numbers()
            .filter(|p| !members.contains_key(p))
            .collect();
        for port in left {
            note(self.step(Input::RemovePort { port }, pending));
            if let Ok(place) = self.saved_place(port) {
                self.saved_ports.remove(place);
            }
            self.dirty.remove(port);
            self.gone.push(port);
            pending.reopened(self.name);
        }
        let bridge = self.config.bridge(mac);
        let before = self.bridge.state().config;
        // Costs have to be in the range of the method at any time: the wider one first, or last.
        let first = bridge.cost_method.max() >= before.cost_method.max();
        if bridge != before && first {
            note(self.step(Input::Bridge(bridge), pending));
        }
        for (&port, member) in members {
            note(self.follow_port(port, member, pending));
        }
        if bridge != before && !first {
            note(self.step(Input::Bridge(bridge), pending));
        }
        self.look(pending);
        result
    }

    /// Says how each port speaks.
    fn set_voices(&mut self, members: &BTreeMap<PortNo, Member>) {
        let voice = |(&port, member): (&PortNo, &Member)| (port, (member.mac, member.voice));
        self.voices = members.iter().map(voice).collect();
    }

    fn follow_port(
        &mut self,
        port: PortNo,
        member: &Member,
        pending: &mut Pending,
    ) -> Result<(), InputError> {
        let &Member { config, link, .. } = member;
        let Some(&PortState {
            config: old_config,
            link: old_link,
            ..
        }) = self.bridge.port(port)
        else {
            return self.step(Input::AddPort { port, config, link }, pending);
        };
        let configured = if config == old_config {
            Ok(())
        } else {
            self.step(Input::Port { port, config }, pending)
        };
        if link != old_link {
            self.step(Input::Link { port, link }, pending)?;
        }
        configured
    }

    /// What is known of a port changed.
    pub(super) fn on_port(&mut self, port: PortNo, facts: PortFacts, pending: &mut Pending) {
        let Some(state) = self.bridge.port(port) else {
            return;
        };
        let link = facts.link;
        let differs = state.link != link;
        self.voices
            .entry(port)
            .and_modify(|(mac, _)| *mac = facts.mac);
        if differs {
            self.do_known(Input::Link { port, link }, pending);
        }
    }

    /// A second passed.
    pub(super) fn tick(&mut self, epoch: Epoch, pending: &mut Pending) {
        let next = |clock: Epoch| Epoch::new(clock.get().saturating_add(1));
        // Beats and epochs are not in step, and each beat may be late: a second that was lost is made up for. But when
        // many were, timers count from where the epoch is.
        let lost = epoch.seconds_since(next(self.clock));
        let ahead = next(self.clock).seconds_since(epoch);
        let astray = lost > MOST_LOST || ahead > 1;
        for _ in 0..if astray { 1 } else { lost.max(1) } {
            self.clock = if astray { epoch } else { next(self.clock) };
            self.do_known(Input::Tick, pending);
        }
        if astray {
            self.save_all();
        }
        for port in self.bridge.ports() {
            let number = port.number;
            let turn = self.clock.get().wrapping_add(number.get().into());
            if turn.is_multiple_of(COUNTERS_EVERY)
                && let Ok(place) = self.saved_place(number)
                && self.saved_ports[place].state.counters != port.counters
            {
                self.dirty.insert(number);
            }
        }
    }

    /// Does one input.
    pub(super) fn step(&mut self, input: Input, pending: &mut Pending) -> Result<(), InputError> {
        let output = self.bridge.step(input)?;
        self.take(output, pending);
        Ok(())
    }

    /// Does an input that can not be refused.
    fn do_known(&mut self, input: Input, pending: &mut Pending) {
        let done = self.step(input, pending);
        debug_assert_eq!(done, Ok(()), "{input:?}");
    }

    /// What follows from the beginning of its bridge, with all of which it began saved.
    pub(super) fn begin(&mut self, output: Output, pending: &mut Pending) {
        self.pass_on(output, pending);
        pending.changed(self.name);
    }

    /// Passes on what a step asks for, and saves what it did.
    fn take(&mut self, output: Output, pending: &mut Pending) {
        self.pass_on(output, pending);
        self.save_touched();
    }

    /// Passes on what a bridge asks for.
    fn pass_on(&mut self, output: Output, pending: &mut Pending) {
        for flush in output.flush {
            pending.flush(self.name, flush);
        }
        pending.sync |= output.sync;
        for (port, bpdu) in output.send {
            self.send(port, bpdu, pending);
        }
        // What an overlay is made of changes with an event only.
        let moved = output.events.iter().any(|event| {
            matches!(
                event,
                Event::Role { .. } | Event::Opening { .. } | Event::Edge { .. }
            )
        });
        let name = self.name;
        pending
            .events
            .extend(output.events.into_iter().map(|event| (name, event)));
        if moved {
            self.look(pending);
        }
    }

    /// Finds out whether the overlay changed.
    pub(super) fn look(&mut self, pending: &mut Pending) {
        let overlay = overlay(&self.bridge);
        if overlay != self.overlay {
            self.overlay = overlay;
            pending.changed(self.name);
        }
    }

    fn send(&mut self, port: PortNo, bpdu: Bpdu, pending: &mut Pending) {
        let Some(&(source, voice)) = self.voices.get(&port) else {
            return;
        };
        for encapsulation in voice.encapsulations() {
            let frame = Frame {
                source,
                encapsulation,
                bpdu,
            };
            if let Ok(octets) = FrameOctets::of(&frame) {
                pending.frames.push(OutFrame { port, octets });
            }
        }
    }

    pub(super) fn clear_counters(&mut self) {
        let ports: Vec<_> = self.numbers().collect();
        for port in ports {
            // A port of the bridge's own list.
            let _known = self.bridge.clear_counters(port);
            self.dirty.insert(port);
        }
    }

    fn numbers(&self) -> impl Iterator<Item = PortNo> + '_ {
        self.bridge.ports().iter().map(|port| port.number)
    }
}

/// By what saved ports are ordered.
const fn of_number(saved: &SavedPort) -> PortNo {
    saved.state.number
}

/// What the ports of a bridge may do.
fn overlay(bridge: &Bridge) -> Overlay {
    let with = |least: Opening| {
        let ports = bridge.ports().iter().filter(move |p| p.opening() >= least);
        ports.map(|p| p.number).collect()
    };
    Overlay {
        ports: with(Opening::Discarding),
        forwarding: with(Opening::Forwarding),
        learning: with(Opening::Learning),
        fallback: bridge.fallback().collect(),
    }
}

/// What is saved.
impl Domain {
    pub(super) fn saved_bridge(&self) -> SavedBridge {
        SavedBridge::of(self.bridge.state(), self.clock)
    }

    pub(super) fn saved_port(&self, port: PortNo) -> Option<SavedPort> {
        self.bridge.port(port).map(|port| self.save(port))
    }

    fn save(&self, port: &PortState) -> SavedPort {
        let version = self.bridge.state().config.force_version;
        SavedPort::of(port, version, self.clock)
    }

    /// Keys of all its records.
    pub(super) fn keys(&self) -> impl Iterator<Item = StpKey> + '_ {
        let ports = self.numbers().map(Some);
        std::iter::once(None)
            .chain(ports)
            .map(|port| (self.name, port))
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.bridge_is_dirty || !self.dirty.is_empty()
    }

    pub(super) fn take_dirty(&mut self, keys: &mut Vec<StpKey>) {
        if std::mem::take(&mut self.bridge_is_dirty) {
            keys.push((self.name, None));
        }
        let dirty = std::mem::take(&mut self.dirty);
        keys.extend(dirty.iter().map(|port| (self.name, Some(port))));
    }

    pub(super) fn take_gone(&mut self) -> Vec<PortNo> {
        std::mem::take(&mut self.gone)
    }

    /// Looks what changed of ports that the last step touched.
    fn save_touched(&mut self) {
        let version = self.bridge.state().config.force_version;
        for port in self.bridge.touched() {
            let now = SavedPort::of(port, version, self.clock);
            let number = port.number;
            match self.saved_ports.binary_search_by_key(&number, of_number) {
                Ok(place) => {
                    let saved = &mut self.saved_ports[place];
                    let mut counted = *saved;
                    counted.state.counters = now.state.counters;
                    if counted == now {
                        continue;
                    }
                    *saved = now;
                }
                Err(place) => self.saved_ports.insert(place, now),
            }
            self.dirty.insert(number);
        }
        let bridge = self.saved_bridge();
        if bridge != self.saved_bridge {
            self.saved_bridge = bridge;
            self.bridge_is_dirty = true;
        }
    }

    /// Everything is to be saved.
    fn save_all(&mut self) {
        self.bridge_is_dirty = true;
        self.saved_bridge = self.saved_bridge();
        let mut ports = std::mem::take(&mut self.saved_ports);
        ports.clear();
        ports.extend(self.bridge.ports().iter().map(|port| self.save(port)));
        self.saved_ports = ports;
        self.dirty = self.numbers().collect();
    }

    /// Where a port stands in what is saved, or would stand.
    fn saved_place(&self, port: PortNo) -> Result<usize, usize> {
        self.saved_ports.binary_search_by_key(&port, of_number)
    }
}
