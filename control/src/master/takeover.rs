//! How a master begins: as the first one, or in the place of one that was lost.

use super::{
    ControlFrames, Master, PortState, Rollback, enabled, quieten, rules, stp::Speech, wanted_vlans,
};
use crate::{
    hw::{Ahead, Hardware, Hook, Known, Opened, pins::SwitchDir, shadow_memory},
    netlink::{Interfaces, LinkChanges},
    offload::{self, Choice, Offload},
};
use anyhow::{Context, Result};
use hitless_common::{
    Mac, PortNo, VlanId,
    map::{
        meta::owner,
        ports::flag,
        vlans::{PortSet, VlanEntry},
    },
};
use hitless_ha::slot::ModuleSlot;
use hitless_proto::{
    bridge::{
        cells,
        learning::{Adopted, Flush, Learning, View},
        shadow::Replica,
        table::Slot,
    },
    config::{Config, ConfigBank, StpdName},
    stpd::{SavedStpd, Stpds},
    time::Epoch,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tracing::{error, info, warn};

/// Buckets of the FDB that one step of a takeover looks at: less than a millisecond.
const SETTLE_BUCKETS: u32 = 16_384;

/// What a master begins with.
pub struct Boot {
    /// The configuration.
    pub config: Config,
    /// The file of its primary saved configuration.
    pub config_file: PathBuf,
    /// The saved configuration in use.
    pub bank: ConfigBank,
    /// Whether the configuration has changes that the file has not.
    pub unsaved: bool,
    /// What is gone back to unless the configuration is confirmed.
    pub rollback: Option<Rollback>,
    /// The switch's run directory.
    pub run_dir: PathBuf,
    /// The spanning tree of the last master, if that is to be gone on with.
    pub stp: Option<BTreeMap<StpdName, SavedStpd>>,
    /// The switch's directory, and with it mastership.
    pub dir: SwitchDir,
    /// The hardware, if it was opened ahead of time.
    pub hardware: Option<Opened>,
    /// Hardware of this version, if that in charge is of another one and this was built ahead of time.
    pub ahead: Option<Ahead>,
    /// The interfaces, if they were kept up with.
    pub interfaces: Option<Interfaces>,
    /// Says that this module lives, while something takes its time.
    pub alive: Box<dyn FnMut()>,
    /// The slot of this module.
    pub slot: ModuleSlot,
    /// Level of the data path's debug log.
    pub datapath_log: u8,
    /// The last master's software copy of the FDB.
    pub fdb: Option<Replica<'static>>,
    /// The last master's VLANs: what its hardware held.
    pub vlans: BTreeMap<VlanId, VlanEntry>,
    /// Whether another master was here, whose state is to be kept for the time of the failover timer.
    pub failover: bool,
    /// Whether the ports are to be reset.
    pub reset_links: bool,
    /// Whether learned addresses are to be forgotten.
    pub flush: bool,
}

impl Master {
    /// Begins: opens or makes the hardware, brings it in line with the configuration and the interfaces that there
    /// are. Only differences are written. With a software copy of the FDB that is still going on when this returns:
    /// see [`Master::settle`]. Changes of the interfaces from then on are given back beside it.
    ///
    /// # Errors
    /// If the hardware can not be had; nothing is changed then.
    pub async fn start(mut boot: Boot) -> Result<(Self, LinkChanges)> {
        let interfaces = match boot.interfaces {
            Some(interfaces) => interfaces,
            None => Interfaces::open().await?,
        };
        let (netlink, changes, devices) = interfaces.into_parts();
        let config = boot.config;
        let began = Instant::now();
        let mut known = Known {
            vlans: &boot.vlans,
            fdb: boot.fdb.as_ref(),
            ahead: boot.ahead.take(),
            alive: &mut boot.alive,
        };
        let hardware = Hardware::open(
            boot.dir,
            config.fdb.size,
            boot.datapath_log,
            boot.hardware,
            &mut known,
        )?;
        let opened = began.elapsed();
        let generation = hardware.meta.next_generation();
        let epoch = Epoch::new(hardware.meta.epoch().load(Ordering::Relaxed));
        let owner = match boot.slot {
            ModuleSlot::MsmA => owner::MSM_A,
            ModuleSlot::MsmB => owner::MSM_B,
        };
        hardware.meta.owner().store(owner, Ordering::Relaxed);

        let stp = Stpds::new(Mac::ZERO, epoch);
        let vlans = wanted_vlans(&config, &PortSet::EMPTY, &stp);
        let rules = rules(&config, &hardware);
        let cells =
            cells::Hardware::new(hardware.fdb).map_err(|e| anyhow::anyhow!("FDB: {e:?}"))?;
        let enabled = enabled(&config);
        let view = View {
            vlans: &vlans,
            enabled,
        };
        let seed = hardware.fdb_seed;
        let copy = boot.fdb.filter(|copy| copy.buckets() == hardware.fdb.len());
        let (learning, adopted) = match copy {
            Some(copy) => (Learning::resume(cells, seed, copy, rules, &view), None),
            None => {
                let began = Instant::now();
                let memory = shadow_memory(hardware.fdb.len())
                    .context("memory for the software copy of the FDB")?;
                let (learning, adopted) = Learning::adopt(cells, seed, memory, rules, &view, epoch);
                (learning, Some((adopted, began.elapsed())))
            }
        };
        let ports = config
            .ports
            .keys()
            .map(|&port| (port, PortState::default()))
            .collect();
        let timeout = Duration::from_secs(config.msm_failover.timeout_seconds.into());
        let saved = (!boot.unsaved).then(|| config.clone());
        let mut master = Self {
            config,
            config_file: boot.config_file,
            bank: boot.bank,
            hardware,
            learning,
            ports,
            stp,
            control_frames: ControlFrames::new(),
            generation,
            repaired: 0,
            unsaved: boot.unsaved,
            saved,
            rollback: boot.rollback,
            netlink,
            vlans,
            enabled,
            epoch,
            beat: 0,
            speech: Speech::default(),
            age_from: Slot::START,
            audit_from: Slot::START,
            audit_vlan: 0,
            tables_changed: true,
            config_version: 0,
            opening: false,
            inherits_choices: boot.failover,
            timer: boot.failover.then(|| (Instant::now() + timeout, epoch)),
            timer_deleted: 0,
        };
        if boot.reset_links {
            master.reset_links(&devices).await;
        }
        for device in devices {
            master.note_device(device).await;
        }
        master.begin_stp(&boot.run_dir, boot.stp);
        master.apply();
        // What has to be closed is. Nobody is there yet who would have to know first of what opens.
        master.renew_lease();
        master.open();
        master
            .hardware
            .put_in_charge()
            .context("take over the data path of another version")?;
        if let Some((adopted, adopting)) = adopted {
            master.report_start(&adopted, opened, adopting);
            if boot.flush {
                let flushed = master.learning.flush(&Flush::default());
                info!(flushed, "learned addresses are forgotten");
            }
            master.settled();
        }
        Ok((master, changes))
    }

    fn report_start(&self, adopted: &Adopted, opened: Duration, adopting: Duration) {
        if !self.hardware.adopted {
            info!(switch = %self.config.switch.as_str(), "new hardware: maps and programs are pinned");
            return;
        }
        info!(
            switch = %self.config.switch.as_str(),
            generation = self.generation,
            fdb_entries = adopted.entries,
            fdb_removed = adopted.dropped(),
            opened_us = opened.as_micros() as u64,
            fdb_us = adopting.as_micros() as u64,
            "adopted the hardware that was forwarding"
        );
        let capacity = self.hardware.fdb_buckets * 2;
        if self.config.fdb.size > capacity {
            warn!(
                "fdb.size {} needs a larger table than the {capacity} addresses of the one in use; it takes effect \
                 after `hitless clear hardware`",
                self.config.fdb.size
            );
        }
    }

    /// Goes a step further in comparing the last master's copy of the FDB with the hardware.
    pub fn settle(&mut self) {
        let view = View {
            vlans: &self.vlans,
            enabled: self.enabled,
        };
        if let Some(adopted) = self.learning.settle(&view, self.epoch, SETTLE_BUCKETS) {
            info!(
                fdb_entries = adopted.entries,
                fdb_removed = adopted.dropped(),
                "the forwarding database is taken over"
            );
            self.settled();
        }
    }

    /// Finishes what [`Master::settle`] does in steps.
    pub fn finish_settling(&mut self) {
        while self.learning.is_settling() {
            self.settle();
        }
    }

    fn settled(&mut self) {
        self.reconcile_static();
        self.flush_down_ports();
    }

    /// Takes the ports down and up again, as `link-action take-links-down` asks for at a failover.
    async fn reset_links(&mut self, devices: &[crate::netlink::Device]) {
        let ours = |name: &str| {
            let mut ports = self.config.ports.values();
            ports.any(|port| port.device.as_str() == name)
        };
        let ports: Vec<_> = devices.iter().filter(|d| ours(&d.name)).collect();
        for up in [false, true] {
            for device in &ports {
                if let Err(e) = self.netlink.set_port_device(device.ifindex, up).await {
                    error!(device = device.name, "the port can not be reset: {e:#}");
                }
            }
        }
        info!(
            ports = ports.len(),
            "the links were taken down and up again"
        );
    }

    /// The hook that the last master chose for a port, by what is attached; until there is time to look closer.
    pub(super) fn inherited_choice(&self, port: PortNo, ifindex: u32) -> Option<Choice> {
        if !self.inherits_choices {
            return None;
        }
        let attached = |hook| {
            let link = self.hardware.links.get(port, hook);
            link.is_some_and(|link| link.ifindex == ifindex)
        };
        attached(Hook::Tc).then(|| Choice {
            offload: match attached(Hook::Xdp) {
                true => Offload::Xdp,
                false => Offload::Tc,
            },
            reason: "as the last master chose".into(),
            takes_redirects: self
                .hardware
                .egress
                .get(port.get().into())
                .is_some_and(|entry| entry.flags & flag::XDP_OUT != 0),
        })
    }

    /// Decides about the hooks that were inherited: when there is time, or somebody looks. The last master may have died
    /// in the middle of a change to them.
    pub async fn review_choices(&mut self) {
        if !std::mem::take(&mut self.inherits_choices) {
            return;
        }
        let mut changed = false;
        for (port, config) in &self.config.ports {
            let Some(state) = self.ports.get_mut(port) else {
                continue;
            };
            let Some(device) = &state.device else {
                continue;
            };
            quieten(&device.name);
            let facts = offload::facts(&self.netlink, config, device).await;
            let choice = offload::choose(config, &facts);
            changed |= state.choice.as_ref().is_none_or(|old| {
                (old.offload, old.takes_redirects) != (choice.offload, choice.takes_redirects)
            });
            state.choice = Some(choice);
        }
        if changed {
            self.apply();
        }
    }

    /// Looks whether the failover timer has ended: what is not linked to a live database by then is deleted (guide,
    /// "Configuring Timers").
    pub(super) fn look_at_timer(&mut self) {
        let Some((end, since)) = self.timer else {
            return;
        };
        if Instant::now() < end {
            return;
        }
        self.timer = None;
        self.timer_deleted = self.learning.sweep_unlinked(since).into();
        info!(
            deleted = self.timer_deleted,
            "the failover timer has ended: entries that are not linked to a database are deleted"
        );
    }

    /// Seconds until the failover timer ends; `None` when it does not run.
    #[must_use]
    pub fn timer_left(&self) -> Option<u32> {
        let (end, _) = self.timer?;
        Some(end.saturating_duration_since(Instant::now()).as_secs() as u32)
    }
}
