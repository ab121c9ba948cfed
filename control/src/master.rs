//! The master: configuration and interfaces in, hardware out. One value owns all state; every event is a call.

mod reconfigure;
mod stp;
mod takeover;
mod upkeep;

pub use reconfigure::Rollback;
pub use takeover::Boot;

use crate::{
    hw::{Hardware, Hook, HwError},
    netlink::{Device, LinkChange, Netlink},
    offload::{self, Choice, Offload},
};
use anyhow::{Context, Result};
use hitless_common::{
    PortNo, VlanId,
    map::{
        events::{LearnEvent, PuntHeader, tag},
        ports::{PortEntry, flag},
        vlans::{ENTRIES, PortSet, VlanEntry},
    },
};
use hitless_ha::audit::{self, Change, Effect};
use hitless_proto::{
    bridge::{
        learning::{Flush, Learning, Notice, Rules, View},
        table::Slot,
    },
    config::{Config, ConfigBank, PortConfig},
    stpd::Stpds,
    switch::{self, PortDevice},
    time::Epoch,
};
use hitless_wire::{
    bpdu::PVST_DESTINATION,
    control::{self, Protocol},
    ether::{self, Tci, ether_type},
};
use std::{collections::BTreeMap, path::PathBuf, sync::atomic::Ordering, time::Instant};
use stp::Speech;
use tracing::{debug, error, info, warn};

/// A port as it is now.
#[derive(Debug, Default)]
pub struct PortState {
    /// Its device, while there is one.
    pub device: Option<Device>,
    /// The hook that its frames take.
    pub choice: Option<Choice>,
    /// What keeps the port from forwarding, if something does.
    pub fault: Option<String>,
}

/// Control frames received, by protocol.
pub type ControlFrames = BTreeMap<Protocol, u64>;

/// See the module.
pub struct Master {
    /// The configuration in force.
    pub config: Config,
    /// The file of its primary saved configuration.
    pub config_file: PathBuf,
    /// The saved configuration in use.
    pub bank: ConfigBank,
    /// The hardware.
    pub hardware: Hardware,
    /// The forwarding database.
    pub learning: Learning<'static>,
    /// The ports.
    pub ports: BTreeMap<PortNo, PortState>,
    /// The spanning tree domains.
    pub stp: Stpds,
    /// Control frames since the start.
    pub control_frames: ControlFrames,
    /// Which master of this hardware this one is.
    pub generation: u64,
    /// Entries of the hardware that somebody else had changed and that the audit repaired.
    pub repaired: u64,
    /// Whether the configuration in force has changes that its file has not.
    pub unsaved: bool,
    /// What the saved configuration in use says, as far as this master knows.
    saved: Option<Config>,
    /// What is gone back to unless the configuration in force is confirmed.
    pub rollback: Option<Rollback>,
    netlink: Netlink,
    /// VLANS as it should be, by VLAN id.
    vlans: Vec<VlanEntry>,
    /// The ports that are enabled in the configuration.
    enabled: PortSet,
    epoch: Epoch,
    /// Tenths of a second, for the domains' turns.
    beat: u32,
    speech: Speech,
    age_from: Slot,
    audit_from: Slot,
    audit_vlan: u32,
    /// Whether configuration, ports or VLANs may differ from what the standby was told.
    tables_changed: bool,
    config_version: u64,
    /// Whether [`Master::open`] has something to do.
    opening: bool,
    /// Whether hooks are taken as the last master chose them.
    inherits_choices: bool,
    /// While the failover timer runs: when it ends, and the epoch in which it began.
    timer: Option<(Instant, Epoch)>,
    /// Entries that the end of the failover timer deleted.
    pub timer_deleted: u64,
}

impl Master {
    /// Notes what the saved configuration in use says.
    pub fn note_saved(&mut self, saved: Config) {
        self.unsaved = saved != self.config;
        self.saved = Some(saved);
        self.note_config();
    }

    fn note_config(&mut self) {
        self.config_version += 1;
        self.tables_changed = true;
    }

    /// Another number for each configuration, and for whether it is saved.
    #[must_use]
    pub const fn config_version(&self) -> u64 {
        self.config_version
    }

    /// Whether configuration, ports or VLANs may have changed since the last call.
    pub fn take_table_changes(&mut self) -> bool {
        std::mem::take(&mut self.tables_changed)
    }

    /// VLANS as it should be, by VLAN id.
    #[must_use]
    pub fn vlans(&self) -> &[VlanEntry] {
        &self.vlans
    }

    /// Whether frames can pass on a port.
    #[must_use]
    pub fn port_is_up(&self, port: PortNo) -> bool {
        self.ports
            .get(&port)
            .is_some_and(|state| self.is_up(port, state))
    }

    /// Follows a change of the interfaces.
    ///
    /// # Errors
    /// If the kernel does not answer.
    pub async fn on_link_change(&mut self, change: LinkChange) -> Result<()> {
        match change {
            LinkChange::Present(device) => {
                if self.note_device(device).await {
                    self.apply();
                }
            }
            LinkChange::Gone { ifindex } => {
                if self.forget_device(ifindex) {
                    self.apply();
                }
            }
            LinkChange::Overrun => {
                warn!("the kernel dropped interface messages; listing the interfaces anew");
                let devices = self
                    .netlink
                    .devices()
                    .await
                    .context("after lost interface messages")?;
                let gone: Vec<u32> = self
                    .ports
                    .values()
                    .filter_map(|p| p.device.as_ref().map(|d| d.ifindex))
                    .filter(|ifindex| !devices.iter().any(|d| d.ifindex == *ifindex))
                    .collect();
                for ifindex in gone {
                    self.forget_device(ifindex);
                }
                for device in devices {
                    self.note_device(device).await;
                }
                self.apply();
            }
        }
        Ok(())
    }

    /// Notes a device if it is a port's; true if that changes anything.
    async fn note_device(&mut self, device: Device) -> bool {
        // A device that took another name is no longer the port's.
        let renamed = self.ports.iter().any(|(port, state)| {
            state
                .device
                .as_ref()
                .is_some_and(|d| d.ifindex == device.ifindex)
                && self
                    .config
                    .ports
                    .get(port)
                    .is_some_and(|c| c.device.as_str() != device.name)
        });
        if renamed {
            self.forget_device(device.ifindex);
        }
        let found = self
            .config
            .ports
            .iter()
            .find(|(_, config)| config.device.as_str() == device.name);
        let Some((&port, config)) = found else {
            return renamed;
        };
        let inherited = self.inherited_choice(port, device.ifindex);
        let Some(state) = self.ports.get_mut(&port) else {
            return renamed;
        };
        let before = state.device.replace(device.clone());
        if before.as_ref() == Some(&device) {
            return renamed;
        }
        let is_new = before.as_ref().is_none_or(|b| b.ifindex != device.ifindex);
        if is_new {
            // A new master looks after its ports' devices when it has time, see `review_choices`.
            if inherited.is_none() {
                info!(%port, device = device.name, ifindex = device.ifindex, "the port's device is there");
                quieten(&device.name);
            }
        }
        if is_new || before.is_some_and(|b| b.far_end != device.far_end) {
            state.choice = match inherited {
                Some(choice) => Some(choice),
                None => {
                    let facts = offload::facts(&self.netlink, config, &device).await;
                    Some(offload::choose(config, &facts))
                }
            };
        }
        let wants_up = config.enabled;
        if (device.admin_up != wants_up || (wants_up && !device.promiscuous))
            && let Err(e) = self.netlink.set_port_device(device.ifindex, wants_up).await
        {
            warn!(%port, device = device.name, "{e:#}");
        }
        true
    }

    fn forget_device(&mut self, ifindex: u32) -> bool {
        let found = self
            .ports
            .iter_mut()
            .find(|(_, s)| s.device.as_ref().is_some_and(|d| d.ifindex == ifindex));
        let Some((port, state)) = found else {
            return false;
        };
        info!(%port, ifindex, "the port's device is gone");
        *state = PortState::default();
        self.hardware.xdp_tx.refresh();
        true
    }

    /// Brings the hardware in line with the configuration and the ports. What closes comes first; what opens waits
    /// for [`Master::open`], which comes when the standby knows of it (design invariant 4).
    fn apply(&mut self) {
        let up = self.up_ports();
        self.tell_stp(&up);
        self.vlans = wanted_vlans(&self.config, &up, &self.stp);
        self.program_vlans(true);
        self.detach_unused();
        self.attach_ports();
        self.program_ports();
        let now_up = self.up_ports();
        if now_up != up {
            self.tell_stp(&now_up);
            self.vlans = wanted_vlans(&self.config, &now_up, &self.stp);
        }
        self.tables_changed = true;
        self.opening = true;
        self.flush_down_ports();
        self.follow_stp();
    }

    /// Whether something that opens waits for [`Master::open`].
    #[must_use]
    pub fn opening_waits(&self) -> bool {
        self.opening
    }

    /// Lets frames through where they shall pass from now on: the last step of a change.
    pub fn open(&mut self) {
        self.opening = false;
        self.program_vlans(false);
        self.speak_up();
    }

    /// The ports on which frames can pass.
    fn up_ports(&self) -> PortSet {
        self.ports
            .iter()
            .filter(|(port, state)| self.is_up(**port, state))
            .map(|(&port, _)| port)
            .collect()
    }

    /// Whether a port is enabled, its device has a link, and our program runs on that device: also one that an
    /// earlier master attached, so that a new one closes nothing.
    fn is_up(&self, port: PortNo, state: &PortState) -> bool {
        let attached = self.hardware.links.get(port, Hook::Tc).map(|a| a.ifindex);
        self.enabled.has(port.get())
            && state.fault.is_none()
            && state
                .device
                .as_ref()
                .is_some_and(|d| d.link_up && attached == Some(d.ifindex))
    }

    /// Writes the differences between VLANS as it should be and as it is: only those that stop frames, or all.
    fn program_vlans(&mut self, closing_only: bool) {
        // Of thousands of entries only a few are ever different.
        let installed = self.hardware.vlans.iter();
        let (wanted, installed): (Vec<_>, Vec<_>) = installed
            .zip(&self.vlans)
            .filter(|((_, installed), wanted)| installed != wanted)
            .map(|((vid, installed), wanted)| ((vid, *wanted), (vid, *installed)))
            .unzip();
        for change in audit::diff(wanted, installed, vlan_effect) {
            let (vid, from, to) = match change {
                Change::Update { key, from, to } => (key, from, to),
                Change::Add { key, value } => (key, VlanEntry::default(), value),
                Change::Delete { key, was } => (key, was, VlanEntry::default()),
            };
            if closing_only && switch::narrowed(&from, &to) != to {
                continue;
            }
            if let Err(e) = self.hardware.vlans.set(vid, to) {
                error!(vlan = vid, "{e}");
            }
        }
    }

    fn program_ports(&mut self) {
        let mut wanted: BTreeMap<PortNo, PortEntry> = BTreeMap::new();
        for (&port, config) in &self.config.ports {
            if let Some(device) = self.ports.get(&port).and_then(port_device) {
                wanted.insert(port, switch::port_entry(port, config, &device));
            }
        }
        let hardware = &mut self.hardware;
        let stale = hardware.ports.retain(|e| {
            wanted
                .values()
                .any(|w| w.ifindex == e.ifindex && w.port == e.port)
        });
        if let Err(e) = stale {
            error!("{e}");
        }
        let mut faults = Vec::new();
        for port in PortNo::all() {
            let entry = wanted.get(&port).copied().unwrap_or_default();
            let limits = self
                .config
                .ports
                .get(&port)
                .map(switch::limiters)
                .unwrap_or_default();
            // XDP may redirect only to what is in XDP_TX: in before it is said, out after.
            let redirects = if entry.flags & flag::XDP_OUT != 0 {
                entry.ifindex
            } else {
                0
            };
            let mut program = || -> Result<bool, HwError> {
                hardware.limiters.set(port, limits)?;
                if redirects != 0 {
                    hardware.xdp_tx.set(port, redirects)?;
                }
                hardware.egress.set(u32::from(port.get()), entry)?;
                hardware.xdp_tx.set(port, redirects)?;
                if entry.ifindex == 0 {
                    Ok(false)
                } else {
                    hardware.ports.set(entry)
                }
            };
            if let Err(e) = program() {
                faults.push((port, e));
            }
        }
        for (port, e) in faults {
            self.fault(port, &e);
        }
    }

    /// Takes the programs off devices that are no port's any more, so that another port can have them.
    fn detach_unused(&mut self) {
        let ports = &self.ports;
        let links = &mut self.hardware.links;
        let is_unused = |port: &PortNo| {
            let device = ports.get(port).and_then(port_device);
            let attached = links.get(*port, Hook::Tc);
            device.is_none_or(|device| attached.is_some_and(|a| a.ifindex != device.ifindex))
        };
        let unused: Vec<PortNo> = links.ports().filter(is_unused).collect();
        for port in unused {
            for hook in [Hook::Xdp, Hook::Tc] {
                if let Err(e) = links.detach(port, hook) {
                    error!(%port, "{e}");
                }
            }
        }
    }

    fn attach_ports(&mut self) {
        let ports: Vec<PortNo> = self.ports.keys().copied().collect();
        for port in ports {
            if let Err(e) = self.attach_port(port) {
                self.fault(port, &e);
            }
        }
    }

    fn attach_port(&mut self, port: PortNo) -> Result<(), HwError> {
        let Some(state) = self.ports.get_mut(&port) else {
            return Ok(());
        };
        let (Some(device), Some(choice)) = (&state.device, &mut state.choice) else {
            return Ok(());
        };
        let hardware = &mut self.hardware;
        hardware.links.attach(
            &mut hardware.programs,
            port,
            Hook::Tc,
            &device.name,
            device.ifindex,
        )?;
        if choice.offload == Offload::Xdp {
            let attached = hardware.links.attach(
                &mut hardware.programs,
                port,
                Hook::Xdp,
                &device.name,
                device.ifindex,
            );
            if let Err(e) = attached {
                *choice = Choice {
                    offload: Offload::Tc,
                    reason: format!("native XDP is not to be had: {e}"),
                    takes_redirects: false,
                };
                info!(%port, "{}", choice.reason);
            }
        }
        if choice.offload == Offload::Tc {
            hardware.links.detach(port, Hook::Xdp)?;
        }
        state.fault = None;
        Ok(())
    }

    fn fault(&mut self, port: PortNo, why: &HwError) {
        if let Some(state) = self.ports.get_mut(&port) {
            let text = why.to_string();
            if state.fault.as_ref() != Some(&text) {
                error!(%port, "{text}");
            }
            state.fault = Some(text);
        }
    }

    /// Forgets what was learned behind ports on which nothing passes.
    fn flush_down_ports(&mut self) {
        // Until then nothing is known that could be forgotten.
        if self.learning.is_settling() {
            return;
        }
        let up = self.up_ports();
        let down: Vec<PortNo> = PortNo::all()
            .filter(|p| !up.has(p.get()) && self.learning.learned_on(*p) > 0)
            .collect();
        for port in down {
            let flushed = self.learning.flush(&Flush {
                port: Some(port),
                ..Flush::default()
            });
            debug!(%port, flushed, "the port is down: its addresses are forgotten");
        }
    }

    fn reconcile_static(&mut self) {
        let view = View {
            vlans: &self.vlans,
            enabled: self.enabled,
        };
        let done =
            self.learning
                .reconcile_static(self.epoch, &view, &self.config.fdb.static_entries);
        for why in done.failed {
            error!("a static entry of the configuration can not be made: {why}");
        }
    }

    /// Learns the sources that the data path reports.
    pub fn on_learn_events(&mut self, events: &[LearnEvent]) {
        let view = View {
            vlans: &self.vlans,
            enabled: self.enabled,
        };
        self.learning
            .learn_all(self.epoch, &view, events, |_, _| {});
    }

    /// After a batch of learning events: lets the data path report again what is still unknown, and tells the
    /// operator what should be known.
    pub fn end_learn_round(&mut self) {
        self.hardware
            .meta
            .learn_round()
            .fetch_add(1, Ordering::Relaxed);
        for notice in self.learning.take_notices() {
            report(&notice);
        }
    }

    /// Takes a control frame. What follows from some of them is done by [`Master::follow_stp`].
    pub fn on_control_frame(&mut self, header: &PuntHeader, frame: &[u8]) {
        let whole;
        let frame = match header.tagged {
            tag::SERVICE => {
                whole = with_service_tag(frame, header.tci);
                &whole
            }
            _ => frame,
        };
        let protocol = control::classify(frame);
        *self.control_frames.entry(protocol).or_default() += 1;
        // What is nobody else's at spanning tree's address is counted as malformed there.
        let is_stp = match protocol {
            Protocol::Stp | Protocol::Reserved(0) => true,
            _ => ether::Header::parse(frame).is_ok_and(|h| h.destination == PVST_DESTINATION),
        };
        if let Some(port) = PortNo::new(header.port)
            && is_stp
        {
            let tag = (header.tagged == tag::CUSTOMER).then_some(Tci(header.tci));
            if let Err(why) = self.stp.on_frame(port, tag, frame) {
                debug!(%port, "BPDU: {why}");
            }
            return;
        }
        debug!(
            port = header.port,
            tagged = header.tagged != 0,
            ?protocol,
            bytes = frame.len(),
            "control frame"
        );
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// VLANS as it should be, and with it what the hardware holds.
    #[must_use]
    pub fn vlan(&self, vlan: VlanId) -> VlanEntry {
        self.vlans
            .get(usize::from(vlan.get()))
            .copied()
            .unwrap_or_default()
    }

    /// The forwarding database, and what it may hold. A database that is still being taken over is finished first.
    pub fn learning_and_view(&mut self) -> (&mut Learning<'static>, View<'_>) {
        self.finish_settling();
        (
            &mut self.learning,
            View {
                vlans: &self.vlans,
                enabled: self.enabled,
            },
        )
    }
}

/// A frame as it was before the kernel took a service provider's tag out of it.
fn with_service_tag(frame: &[u8], tci: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(frame.len().min(2 * 6));
    let tag = [ether_type::SERVICE_VLAN.to_be_bytes(), tci.to_be_bytes()];
    [addresses, tag.as_flattened(), rest].concat()
}

/// What a change of VLANS does to frames: the table has the same keys on both sides, so every change is an update.
fn vlan_effect(change: &Change<u32, VlanEntry>) -> Effect<VlanEntry> {
    match change {
        Change::Update { from, to, .. } => {
            let between = switch::narrowed(from, to);
            if between == *to {
                Effect::Closes
            } else {
                Effect::Both { between }
            }
        }
        Change::Add { .. } => Effect::Opens,
        Change::Delete { .. } => Effect::Closes,
    }
}

/// VLANS by VLAN id, with nothing for those that are not configured.
fn wanted_vlans(config: &Config, up: &PortSet, stp: &Stpds) -> Vec<VlanEntry> {
    let mut entries = vec![VlanEntry::default(); ENTRIES as usize];
    for (vlan, entry) in switch::vlan_entries(config, up, |vlan| stp.overlay(vlan)) {
        entries[usize::from(vlan.get())] = entry;
    }
    entries
}

/// The ports that are enabled in the configuration.
fn enabled(config: &Config) -> PortSet {
    config
        .ports
        .iter()
        .filter(|(_, p): &(_, &PortConfig)| p.enabled)
        .map(|(&port, _)| port)
        .collect()
}

/// The rules, within what the table in use can hold.
fn rules(config: &Config, hardware: &Hardware) -> Rules {
    let mut rules = Rules::from(config);
    rules.capacity = rules.capacity.min(hardware.fdb_buckets * 2);
    rules
}

fn port_device(state: &PortState) -> Option<PortDevice> {
    let device = state.device.as_ref()?;
    Some(PortDevice {
        ifindex: device.ifindex,
        mtu: device.mtu,
        link_up: device.link_up,
        takes_redirects: state.choice.as_ref().is_some_and(|c| c.takes_redirects),
    })
}

/// Keeps the kernel from sending frames of its own out of a port.
fn quieten(device: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
    if std::path::Path::new(&path).exists()
        && let Err(e) = std::fs::write(&path, "1")
    {
        warn!(
            device,
            "the kernel may send IPv6 frames of its own out of this port: can not write {path}: {e}"
        );
    }
}

fn report(notice: &Notice) {
    match notice {
        Notice::PortLimit { port, limit } => {
            warn!(%port, "the port has learned its limit of {limit} addresses (mac_limit); frames to others are flooded");
        }
        Notice::VlanLimit { vlan, limit } => {
            warn!(%vlan, "the VLAN has learned its limit of {limit} addresses (mac_limit); frames to others are flooded");
        }
        Notice::Held {
            vlan,
            mac,
            port,
            seen_on,
            seconds,
        } => warn!(
            %vlan, %mac, "the address moves between port {port} and port {seen_on} too often and is held on port {port} \
             for {seconds} s: a loop, or the address is used twice"
        ),
        Notice::Full(full) => {
            warn!("the FDB is full ({full}); frames to further addresses are flooded")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_service_tag;

    #[test]
    fn a_service_tag_is_put_back_behind_the_addresses() {
        let frame: Vec<u8> = (1..=16).collect();
        let whole = with_service_tag(&frame, 0xa064);
        let tag = [0x88, 0xa8, 0xa0, 0x64];
        assert_eq!(whole, [&frame[..12], &tag, &frame[12..]].concat());
        // What is cut short is for the parser.
        assert_eq!(with_service_tag(&frame[..5], 1).len(), 9);
    }
}
