//! Spanning tree in the hands of a master: what its domains decide reaches the hardware, the standby and the neighbours
//! in the order that makes no loop (design invariant 4): close, flush, checkpoint, open, send.

use super::Master;
use crate::{packet_socket::PacketSocket, system_mac::system_mac};
use hitless_common::{Mac, PortNo, VlanId, map::vlans::PortSet};
use hitless_proto::{
    config::StpdName,
    stp::{Event, Link},
    stpd::{FlushJob, OutFrame, PortFacts, SavedStpd, Stpds, Work},
    switch,
};
use std::{collections::BTreeMap, path::Path};
use tracing::{debug, error, info, warn};

/// The frames of the protocols: the way out, and those that wait.
#[derive(Debug, Default)]
pub(super) struct Speech {
    /// Opened when the first frame is sent.
    socket: Option<PacketSocket>,
    /// They promise or follow what the standby does not know yet.
    waiting: Vec<OutFrame>,
    /// A new master has not opened anything yet: until then it says nothing.
    begins: bool,
    /// Frames that the kernel did not take.
    unsent: u64,
}

impl Master {
    /// Begins spanning tree, or goes on with that of the last master: what it would have said next is said with the next
    /// [`Master::open`].
    pub(super) fn begin_stp(
        &mut self,
        run_dir: &Path,
        saved: Option<BTreeMap<StpdName, SavedStpd>>,
    ) {
        let facts = self.port_facts(&self.up_ports());
        let addresses = facts.values().map(|facts| facts.mac);
        let mac = system_mac(run_dir, addresses, self.hardware.fdb_seed);
        let vlans = &self.hardware.vlans;
        let entry = |vlan: VlanId| vlans.get(vlan.get().into()).copied().unwrap_or_default();
        self.speech.begins = true;
        let followed;
        (self.stp, followed) = Stpds::resume(
            mac,
            &self.config,
            &facts,
            saved.unwrap_or_default(),
            &entry,
            self.epoch,
        );
        if let Err((stpd, e)) = followed {
            error!(%stpd, "spanning tree does not run in this domain: {e}");
        }
    }

    /// Follows another configuration.
    pub(super) fn configure_stp(&mut self) {
        let facts = self.port_facts(&self.up_ports());
        self.stp.set_epoch(self.epoch);
        if let Err((stpd, e)) = self.stp.configure(&self.config, &facts) {
            error!(%stpd, "spanning tree does not run in this domain as configured: {e}");
        }
    }

    /// Whether [`Master::on_stp_beat`] has anything to do.
    #[must_use]
    pub fn runs_stp(&self) -> bool {
        self.config.stpds.values().any(|stpd| stpd.enabled)
    }

    /// Ten times a second: the timers of the domains.
    pub fn on_stp_beat(&mut self) {
        self.beat = self.beat.wrapping_add(1);
        self.stp.beat(self.epoch, self.beat);
        self.follow_stp();
    }

    /// Does what the domains ask for. What closes is closed at once, and what is forgotten is forgotten; what opens, and
    /// what is said of it, waits for [`Master::open`].
    pub fn follow_stp(&mut self) {
        if !self.stp.has_work() {
            return;
        }
        let Work {
            changed,
            flush,
            sync,
            frames,
            events,
        } = self.stp.take_work();
        for (stpd, event) in &events {
            report(stpd, event);
        }
        if !changed.is_empty() {
            let up = self.up_ports();
            for stpd in &changed {
                for vlan in self.config.stpds.get(stpd).iter().flat_map(|s| &s.vlans) {
                    let overlay = self.stp.overlay(*vlan);
                    let entry = &mut self.vlans[usize::from(vlan.get())];
                    *entry = switch::opened(*entry, &self.config, *vlan, &up, overlay.as_ref());
                }
            }
            self.program_vlans(true);
        }
        self.flush_for_stp(&flush);
        if sync || !changed.is_empty() {
            self.tables_changed = true;
            self.opening = true;
        }
        if sync || self.speech.begins || !self.speech.waiting.is_empty() {
            self.speech.waiting.extend(frames);
        } else {
            self.speak(&frames);
        }
    }

    /// Sends what waited for the standby.
    pub(super) fn speak_up(&mut self) {
        self.speech.begins = false;
        let frames = std::mem::take(&mut self.speech.waiting);
        self.speak(&frames);
    }

    fn speak(&mut self, frames: &[OutFrame]) {
        if frames.is_empty() {
            return;
        }
        let socket = match &mut self.speech.socket {
            Some(socket) => socket,
            none => match PacketSocket::open() {
                Ok(socket) => none.insert(socket),
                Err(e) => {
                    warn!(
                        frames = frames.len(),
                        "BPDUs can not be sent, and neighbours will open their side: no packet socket: {e}; hitlessd \
                         needs CAP_NET_RAW"
                    );
                    return;
                }
            },
        };
        let outgoing: Vec<(u32, &[u8])> = frames
            .iter()
            .filter_map(|frame| {
                let device = self.ports.get(&frame.port)?.device.as_ref()?;
                Some((device.ifindex, &*frame.octets))
            })
            .collect();
        let report = socket.send(&outgoing);
        if let Some(first) = report.unsent.first() {
            self.speech.unsent += report.unsent.len() as u64;
            let (ifindex, _) = outgoing.get(first.index).copied().unwrap_or_default();
            warn!(
                frames = report.unsent.len(),
                in_all = self.speech.unsent,
                ifindex,
                "BPDUs were not sent: {}",
                first.error
            );
        }
    }

    /// Tells the domains how the ports are.
    pub(super) fn tell_stp(&mut self, up: &PortSet) {
        for (port, facts) in self.port_facts(up) {
            self.stp.on_port(port, facts);
        }
    }

    /// The ports as the domains see them.
    pub(super) fn port_facts(&self, up: &PortSet) -> BTreeMap<PortNo, PortFacts> {
        let facts = |(&port, state): (&PortNo, &super::PortState)| {
            let device = state.device.as_ref();
            let link = Link {
                up: up.has(port.get()),
                mbps: device.map_or(0, |d| d.speed_mbps),
                full_duplex: device.is_some_and(|d| d.full_duplex),
            };
            let mac = device.map_or(Mac::ZERO, |d| d.mac);
            (port, PortFacts { link, mac })
        };
        self.ports.iter().map(facts).collect()
    }

    /// Forgets what was learned where the topology has changed (802.1D-2004 17.19.7).
    fn flush_for_stp(&mut self, jobs: &[FlushJob]) {
        if jobs.is_empty() {
            return;
        }
        // What is not yet known can not be forgotten.
        self.finish_settling();
        let mut at_once: BTreeMap<VlanId, PortSet> = BTreeMap::new();
        for job in jobs {
            let vlans = self.config.stpds.get(&job.stpd).map(|stpd| &stpd.vlans);
            let vlans = vlans.into_iter().flatten().copied();
            match job.ageing {
                Some(seconds) => {
                    self.learning
                        .age_rapidly(self.epoch, vlans, &job.ports, seconds.into());
                }
                None => {
                    for vlan in vlans {
                        let ports = at_once.entry(vlan).or_default();
                        *ports = ports.or(&job.ports);
                    }
                }
            }
        }
        if at_once.is_empty() {
            return;
        }
        let flushed = self.learning.flush_where(|vlan, port| {
            at_once
                .get(&vlan)
                .is_some_and(|ports| ports.has(port.get()))
        });
        debug!(flushed, "addresses are forgotten: the topology has changed");
    }
}

/// What changed, before and after, for the log.
fn report(stpd: &StpdName, event: &Event) {
    match *event {
        Event::Role { port, from, to } => {
            info!(%stpd, %port, "port role: {from} -> {to}");
        }
        Event::Opening { port, from, to } => {
            info!(%stpd, %port, "port state: {from} -> {to}");
        }
        Event::Root { from, to } => info!(
            %stpd, "root: {} by port {} -> {} by port {}", from.0, from.1, to.0, to.1
        ),
        Event::TopologyChangeDetected { port } => {
            info!(%stpd, %port, "topology change: the port forwards now");
        }
        Event::TopologyChangeHeard { port } => {
            info!(%stpd, %port, "topology change: a neighbour tells of it");
        }
        Event::InfoAged { port } => {
            warn!(%stpd, %port, "the neighbour has fallen silent: what it said counts no more");
        }
        Event::Disputed { port } => warn!(
            %stpd, %port,
            "a neighbour forwards as designated port and does not hear this bridge: the port is closed"
        ),
        Event::OwnBpdu { port } => {
            warn!(%stpd, %port, "the port hears its own BPDUs and is closed: a loop beyond it");
        }
        Event::BpduGuard { port, active: true } => warn!(
            %stpd, %port, "BPDU guard: an edge port heard a BPDU and is shut; `clear stpd {stpd} ports {port} bpdu-guard` \
             opens it again"
        ),
        Event::BpduGuard {
            port,
            active: false,
        } => {
            info!(%stpd, %port, "BPDU guard: the port is open to spanning tree again");
        }
        Event::RootGuard { port, active: true } => {
            warn!(%stpd, %port, "root guard: a better root is kept out, the port is closed");
        }
        Event::RootGuard {
            port,
            active: false,
        } => {
            info!(%stpd, %port, "root guard: no better root is heard of any more");
        }
        Event::LoopGuard { port, active: true } => {
            warn!(%stpd, %port, "loop protection: the neighbour has fallen silent, the port stays closed");
        }
        Event::LoopGuard {
            port,
            active: false,
        } => {
            info!(%stpd, %port, "loop protection: the port is let go");
        }
        Event::Migrated { port, rstp } => {
            let (from, to) = match rstp {
                true => ("802.1D-1998", "RST"),
                false => ("RST", "802.1D-1998"),
            };
            info!(%stpd, %port, "BPDUs: {from} -> {to}");
        }
        Event::Edge { port, edge } => {
            let (from, to) = match edge {
                true => ("no", "yes"),
                false => ("yes", "no"),
            };
            info!(%stpd, %port, "edge port: {from} -> {to}");
        }
    }
}
