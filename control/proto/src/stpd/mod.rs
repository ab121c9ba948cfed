//! Spanning tree of a whole switch: every enabled domain (STPD) with its bridge, the frames that carry its BPDUs, what
//! its VLANs may forward, and what of it is saved.
//!
//! [`Stpds`] has no clock and does no I/O. It takes configurations, facts of ports, frames and beats; what follows
//! gathers until [`Stpds::take_work`] and [`Stpds::take_dirty`], and is done in this order: close in the hardware what is
//! more closed, flush, checkpoint, wait for the standby if `sync`, open, send.
//!
//! A VLAN is in one domain at most, and a domain's ports are the members of its VLANs that are not disabled in it. The
//! domain sees one state of a port, whatever number of VLANs it carries there.

mod carriers;
mod domain;
mod resume;
mod save;
#[cfg(test)]
mod tests;
mod work;

pub use domain::Domain;
pub use resume::SavedStpd;
pub use save::StpKey;
pub use work::{FlushJob, FrameOctets, OutFrame, Work};

pub use crate::switch::Overlay;

use crate::config::{Config, StpdConfig, StpdName};
use crate::stp::{Bridge, Input, InputError, Link};
use crate::time::Epoch;
use carriers::Carriers;
use domain::{Member, Plan};
use hitless_common::{Mac, PortNo, VlanId};
use hitless_wire::bpdu::{Frame, FrameError};
use hitless_wire::ether::Tci;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use work::Pending;

/// Beats in a second. Domains tick on different ones, so that they do not all speak at once.
pub const BEATS: u32 = 10;

/// What is known of a port beside its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// Its link: up only if the port is enabled and frames can pass.
    pub link: Link,
    /// Its address: the source of BPDUs that it sends.
    pub mac: Mac,
}

/// A frame to an address of spanning tree that no domain took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// It is a BPDU, but no enabled domain has one like that on this port.
    #[error("port {0} is in no enabled spanning tree domain that takes BPDUs so encapsulated")]
    NoDomain(PortNo),
    /// It is no BPDU.
    #[error(transparent)]
    Malformed(#[from] FrameError),
}

/// What is named is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotThere {
    /// No such domain, or it is disabled.
    #[error("spanning tree domain {0} is not enabled")]
    Stpd(StpdName),
    /// The domain has no such port.
    #[error("port {port} takes no part in spanning tree domain {stpd}")]
    Port {
        /// The domain.
        stpd: StpdName,
        /// The port.
        port: PortNo,
    },
}

/// Frames that no domain took, since the start of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotTakenCounters {
    /// BPDUs for no enabled domain.
    pub no_domain: u64,
    /// Frames that are no BPDU and, by their address and tag, for no enabled domain either. The others are counted on
    /// the port of the domain.
    pub malformed: u64,
}

/// Every enabled domain of a switch.
#[derive(Clone, Debug)]
pub struct Stpds {
    mac: Mac,
    epoch: Epoch,
    /// What the domains know of the ports.
    facts: BTreeMap<PortNo, PortFacts>,
    domains: BTreeMap<StpdName, Domain>,
    /// Domain of each VLAN of an enabled domain.
    vlans: BTreeMap<VlanId, StpdName>,
    carriers: Carriers,
    not_taken: NotTakenCounters,
    pending: Pending,
    /// Keys of records that are there no more.
    gone: BTreeSet<StpKey>,
}

impl Stpds {
    /// A switch of this address without enabled domains.
    #[must_use]
    pub fn new(mac: Mac, epoch: Epoch) -> Self {
        Self {
            mac,
            epoch,
            facts: BTreeMap::new(),
            domains: BTreeMap::new(),
            vlans: BTreeMap::new(),
            carriers: Carriers::default(),
            not_taken: NotTakenCounters::default(),
            pending: Pending::default(),
            gone: BTreeSet::new(),
        }
    }

    /// The address in the bridge identifiers.
    #[must_use]
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// The enabled domains, by name.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> + '_ {
        self.domains.values()
    }

    /// An enabled domain.
    #[must_use]
    pub fn domain(&self, name: &StpdName) -> Option<&Domain> {
        self.domains.get(name)
    }

    /// What was not taken.
    #[must_use]
    pub const fn not_taken(&self) -> &NotTakenCounters {
        &self.not_taken
    }

    /// What the ports of a VLAN may do; `None` if it is in no enabled domain.
    #[must_use]
    pub fn overlay(&self, vlan: VlanId) -> Option<Overlay> {
        let domain = self.domains.get(self.vlans.get(&vlan)?)?;
        Some(*domain.overlay())
    }

    /// Tells which epoch it is. Beats tell too; but there may be none while no domain is enabled, and what a
    /// configuration begins has to know.
    pub const fn set_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    /// Follows a configuration, whole: what differs from the one before becomes inputs to the bridges. A port without
    /// facts has no link. Afterwards every VLAN's entry is to be made anew: VLANs may have left domains.
    ///
    /// # Errors
    /// The first domain that can not have its parameters, which a checked configuration excludes if this switch has an
    /// individual address. It keeps those that it had, or is not run; the others follow.
    pub fn configure(
        &mut self,
        config: &Config,
        ports: &BTreeMap<PortNo, PortFacts>,
    ) -> Result<(), (StpdName, InputError)> {
        self.facts.clone_from(ports);
        self.follow(Plan::of(config, ports, self.mac))
    }

    /// What is known of a port changed.
    pub fn on_port(&mut self, port: PortNo, facts: PortFacts) {
        if self.facts.insert(port, facts) == Some(facts) {
            return;
        }
        for domain in self.domains.values_mut() {
            domain.on_port(port, facts, &mut self.pending);
        }
    }

    /// A tenth of a second passed. `beat` counts them; it is a second for the domains whose turn it is.
    pub fn beat(&mut self, epoch: Epoch, beat: u32) {
        self.epoch = epoch;
        for domain in self.domains.values_mut() {
            if domain.turn() == beat % BEATS {
                domain.tick(epoch, &mut self.pending);
            }
        }
    }

    /// A frame came to an address of spanning tree. `tag` is the tag that was taken out of it.
    ///
    /// # Errors
    /// When no domain took it; it is counted.
    pub fn on_frame(
        &mut self,
        port: PortNo,
        tag: Option<Tci>,
        frame: &[u8],
    ) -> Result<(), NotTaken> {
        let parsed = Frame::parse(frame, tag);
        let encapsulation = match &parsed {
            Ok(parsed) => Some(parsed.encapsulation),
            Err(_) => self.carriers.meant(port, tag, frame),
        };
        let name = encapsulation.and_then(|e| self.carriers.taker(port, e));
        let domain = name.and_then(|name| self.domains.get_mut(&name));
        match (parsed, domain) {
            (Ok(parsed), Some(domain)) => {
                let bpdu = parsed.bpdu;
                let input = Input::Bpdu { port, bpdu };
                let took = domain.step(input, &mut self.pending);
                took.map_err(|_| NotTaken::NoDomain(port))
            }
            (Ok(_), None) => {
                self.not_taken.no_domain += 1;
                Err(NotTaken::NoDomain(port))
            }
            (Err(error), domain) => {
                let input = Input::Malformed { port };
                let counted = domain.is_some_and(|d| d.step(input, &mut self.pending).is_ok());
                self.not_taken.malformed += u64::from(!counted);
                Err(NotTaken::Malformed(error))
            }
        }
    }

    /// Tries RST BPDUs again on these ports (mcheck, 802.1D-2004 17.19.13).
    ///
    /// # Errors
    /// When the domain or one of the ports is not there; nothing is done then.
    pub fn mcheck(&mut self, stpd: StpdName, ports: &[PortNo]) -> Result<(), NotThere> {
        self.on_ports(stpd, ports, |port| Input::Mcheck { port })
    }

    /// Opens ports again that their BPDU guard had shut.
    ///
    /// # Errors
    /// When the domain or one of the ports is not there; nothing is done then.
    pub fn recover(&mut self, stpd: StpdName, ports: &[PortNo]) -> Result<(), NotThere> {
        self.on_ports(stpd, ports, |port| Input::Recover { port })
    }

    /// Forgets what was counted in a domain, or, with `None`, in all and beside them.
    ///
    /// # Errors
    /// When there is no such domain.
    pub fn clear_counters(&mut self, stpd: Option<StpdName>) -> Result<(), NotThere> {
        let Some(name) = stpd else {
            self.not_taken = NotTakenCounters::default();
            self.domains.values_mut().for_each(Domain::clear_counters);
            return Ok(());
        };
        let domain = self.domains.get_mut(&name).ok_or(NotThere::Stpd(name))?;
        domain.clear_counters();
        Ok(())
    }

    /// Whether there is something to do or to save.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.pending.is_empty()
            || !self.gone.is_empty()
            || self.domains.values().any(Domain::is_dirty)
    }

    /// What is to be done since this was last asked.
    pub fn take_work(&mut self) -> Work {
        std::mem::take(&mut self.pending).work()
    }

    fn on_ports(
        &mut self,
        stpd: StpdName,
        ports: &[PortNo],
        input: impl Fn(PortNo) -> Input,
    ) -> Result<(), NotThere> {
        let domain = self.domains.get_mut(&stpd).ok_or(NotThere::Stpd(stpd))?;
        let unknown = |&&port: &&PortNo| domain.bridge().port(port).is_none();
        if let Some(&port) = ports.iter().find(unknown) {
            return Err(NotThere::Port { stpd, port });
        }
        for &port in ports {
            domain
                .step(input(port), &mut self.pending)
                .map_err(|_| NotThere::Port { stpd, port })?;
        }
        Ok(())
    }

    fn follow(&mut self, plan: Plan<'_>) -> Result<(), (StpdName, InputError)> {
        let ended: Vec<_> = self.domains.keys().copied().collect();
        for name in ended {
            if !plan.domains.contains_key(&name) {
                self.end(&name);
            }
        }
        let mut result = Ok(());
        for (&name, enabled) in &plan.domains {
            let members = plan.members(enabled);
            let stpd = enabled.stpd;
            let followed = match self.domains.get_mut(&name) {
                Some(domain) => domain.follow(stpd, self.mac, &members, &mut self.pending),
                None => self.begin(name, stpd, &members),
            };
            if let (Err(error), Ok(())) = (followed, &result) {
                result = Err((name, error));
            }
        }
        self.know(plan.carriers);
        result
    }

    /// What is looked up of all domains together, when they follow a configuration.
    fn know(&mut self, carriers: Carriers) {
        self.carriers = carriers;
        self.index_vlans();
        self.forget_gone_ports();
    }

    /// A domain that was enabled.
    fn begin(
        &mut self,
        name: StpdName,
        stpd: &StpdConfig,
        members: &BTreeMap<PortNo, Member>,
    ) -> Result<(), InputError> {
        let ports = members.iter().map(|(&port, m)| (port, m.config, m.link));
        let ports: Vec<_> = ports.collect();
        let (bridge, output) = Bridge::with_ports(stpd.bridge(self.mac), &ports)?;
        let mut domain = Domain::new(name, stpd, bridge, members, self.epoch, Vec::new());
        domain.begin(output, &mut self.pending);
        self.run(domain);
        Ok(())
    }

    /// A domain that has begun runs from now on.
    fn run(&mut self, mut domain: Domain) {
        domain.set_turn(self.free_turn());
        self.domains.insert(*domain.name(), domain);
    }

    /// A domain that was disabled or deleted: its ports open.
    fn end(&mut self, name: &StpdName) {
        if let Some(domain) = self.domains.remove(name) {
            self.gone.extend(domain.keys());
            self.pending.reopened(*name);
        }
    }

    /// The beat on which the fewest domains tick.
    fn free_turn(&self) -> u32 {
        let on = |turn: &u32| self.domains.values().filter(|d| d.turn() == *turn).count();
        (0..BEATS).min_by_key(on).unwrap_or(0)
    }

    /// Which domain a VLAN is in.
    fn index_vlans(&mut self) {
        let vlans = |domain: &Domain| {
            let name = *domain.name();
            let vlans: Vec<_> = domain.vlans().iter().map(|&vlan| (vlan, name)).collect();
            vlans
        };
        self.vlans = self.domains.values().flat_map(vlans).collect();
    }
}
