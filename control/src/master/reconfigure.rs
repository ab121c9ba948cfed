//! Another configuration under a running master: the differences alone reach the hardware, what closes before what
//! opens, and what can not be put in force leaves the old one there.

use super::{Master, PortState, enabled, rules};
use crate::hw::monotonic_nanoseconds;
use anyhow::{Result, bail};
use hitless_common::PortNo;
use hitless_proto::{
    bridge::learning::{StaticError, View},
    config::{Config, PortConfig},
};
use std::collections::BTreeMap;
use tracing::{error, info, warn};

/// A configuration to go back to unless the one in force is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The configuration before the first change that is not confirmed.
    pub config: Config,
    /// Whether it was saved.
    pub saved: bool,
    /// When, in milliseconds of the clock that all processes of the machine share (`CLOCK_MONOTONIC`).
    pub at_ms: u64,
}

impl Rollback {
    /// Seconds until then, rounded up.
    #[must_use]
    pub fn seconds_left(&self) -> u32 {
        let left = self.at_ms.saturating_sub(now_ms()).div_ceil(1000);
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

fn now_ms() -> u64 {
    monotonic_nanoseconds() / 1_000_000
}

impl Master {
    /// Puts another configuration in force; its file is then behind. With `confirmed_seconds` it is gone back to the
    /// one before unless [`Master::confirm`] comes in time; until then further changes go with it.
    ///
    /// # Errors
    /// Why it can not be put in force. The old one still is.
    pub async fn change_config(
        &mut self,
        config: Config,
        confirmed_seconds: Option<u32>,
    ) -> Result<()> {
        if config.switch != self.config.switch {
            bail!(
                "switch: the switch is {:?} and can not become {:?} as it runs: its pins and its run directory have \
                 that name; `configure snmp sysname` changes what it is called",
                self.config.switch.as_str(),
                config.switch.as_str()
            );
        }
        let before = self.config.clone();
        self.put_in_force(config).await?;
        if let Some(seconds) = confirmed_seconds {
            let at_ms = now_ms() + u64::from(seconds) * 1000;
            let saved = !self.unsaved;
            let rollback = self.rollback.get_or_insert(Rollback {
                config: before,
                saved,
                at_ms,
            });
            rollback.at_ms = at_ms;
        }
        self.unsaved = self.saved.as_ref() != Some(&self.config);
        self.note_config();
        Ok(())
    }

    /// Keeps a configuration that was to be confirmed; whether there was one.
    pub fn confirm(&mut self) -> bool {
        let confirmed = self.rollback.take().is_some();
        if confirmed {
            self.note_config();
        }
        confirmed
    }

    /// Goes back to the configuration before the first change that is not confirmed; whether there was one.
    ///
    /// # Errors
    /// Why it can not be put in force. The one to be confirmed still is, and stays.
    pub async fn roll_back(&mut self) -> Result<bool> {
        let Some(rollback) = self.rollback.take() else {
            return Ok(false);
        };
        self.note_config();
        self.put_in_force(rollback.config).await?;
        self.unsaved = !rollback.saved;
        Ok(true)
    }

    /// Goes back when it is time.
    pub(super) async fn look_at_rollback(&mut self) {
        if self
            .rollback
            .as_ref()
            .is_none_or(|rollback| now_ms() < rollback.at_ms)
        {
            return;
        }
        match self.roll_back().await {
            Ok(_) => warn!(
                "nobody confirmed the configuration in time, so the one before is in force again"
            ),
            Err(e) => error!("the configuration was not confirmed, but stays: {e:#}"),
        }
    }

    async fn put_in_force(&mut self, config: Config) -> Result<()> {
        self.finish_settling();
        let faults = self.faults();
        let old = std::mem::replace(&mut self.config, config);
        let refused = self.follow(&old).await;
        let fault = self
            .faults()
            .into_iter()
            .find(|(port, why)| faults.get(port) != Some(why))
            .map(|(port, why)| format!("port {port}: {why}"));
        let why = match (refused, fault) {
            (Ok(()), None) => return Ok(()),
            (Err(e), _) => format!("{e:#}"),
            (Ok(()), Some(fault)) => fault,
        };
        let tried = std::mem::replace(&mut self.config, old);
        if let Err(e) = self.follow(&tried).await {
            error!("the old configuration is not wholly in force again: {e:#}");
        }
        bail!("{why}; the configuration is as it was")
    }

    fn faults(&self) -> BTreeMap<PortNo, String> {
        self.ports
            .iter()
            .filter_map(|(&port, state)| Some((port, state.fault.clone()?)))
            .collect()
    }

    /// Brings everything in line with the configuration, coming from another one.
    async fn follow(&mut self, old: &Config) -> Result<()> {
        // A hook that was inherited at the takeover is not to outlive a change of the port.
        self.review_choices().await;
        self.enabled = enabled(&self.config);
        self.learning.configure(rules(&self.config, &self.hardware));
        self.report_size(old);
        if old.ports != self.config.ports {
            self.follow_ports(&old.ports).await?;
        }
        if (&old.stpds, &old.vlans, &old.ports)
            != (&self.config.stpds, &self.config.vlans, &self.config.ports)
        {
            self.configure_stp();
        }
        let members = |config: &Config| -> Vec<_> {
            let ports = config.ports.iter();
            let of = |(port, config): (&PortNo, &PortConfig)| {
                (*port, config.untagged, config.tagged.clone())
            };
            ports.map(of).collect()
        };
        let closes = old.vlans != self.config.vlans || members(old) != members(&self.config);
        self.apply();
        if closes {
            let view = View {
                vlans: &self.vlans,
                enabled: self.enabled,
            };
            let flushed = self.learning.flush_closed(&view);
            if flushed > 0 {
                info!(
                    flushed,
                    "addresses behind ports that left their VLAN are forgotten"
                );
            }
        }
        self.follow_static(old)?;
        Ok(())
    }

    /// Follows changes of the ports: those that are gone or have another device let the old one go.
    async fn follow_ports(&mut self, old: &BTreeMap<PortNo, PortConfig>) -> Result<()> {
        for (port, was) in old {
            let now = self.config.ports.get(port);
            if now.is_some_and(|now| now.device == was.device) {
                continue;
            }
            let state = self.ports.remove(port).unwrap_or_default();
            if let Some(device) = state.device
                && let Err(e) = self.netlink.release_port_device(device.ifindex).await
            {
                // It may be gone just now.
                warn!(%port, device = device.name, "the device is no port any more: {e:#}");
            }
        }
        let mut looks = false;
        for (port, now) in &self.config.ports {
            let state = self.ports.entry(*port).or_insert_with(|| {
                looks = true;
                PortState::default()
            });
            let same = old.get(port).is_some_and(|was| {
                (was.enabled, was.offload, was.trust_far_end)
                    == (now.enabled, now.offload, now.trust_far_end)
            });
            if !same {
                // It is looked at anew.
                state.device = None;
                looks = true;
            }
        }
        if looks {
            for device in self.netlink.devices().await? {
                self.note_device(device).await;
            }
        }
        Ok(())
    }

    /// Follows changes of the configured addresses.
    fn follow_static(&mut self, old: &Config) -> Result<(), StaticError> {
        let (old, new) = (&old.fdb.static_entries, &self.config.fdb.static_entries);
        let view = View {
            vlans: &self.vlans,
            enabled: self.enabled,
        };
        for &(vlan, mac) in old.keys().filter(|key| !new.contains_key(key)) {
            match self.learning.delete_static(vlan, mac) {
                // It could not be made then.
                Ok(()) | Err(StaticError::NoEntry { .. } | StaticError::NotConfigured { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        for (key @ &(vlan, mac), &target) in new {
            if old.get(key) != Some(&target) {
                self.learning
                    .create_static(self.epoch, &view, vlan, mac, target)?;
            }
        }
        Ok(())
    }

    fn report_size(&self, old: &Config) {
        let capacity = self.hardware.fdb_buckets * 2;
        if old.fdb.size != self.config.fdb.size && self.config.fdb.size > capacity {
            warn!(
                "fdb.size {} needs a larger table than the {capacity} addresses of the one in use; it takes effect \
                 after `clear hardware`",
                self.config.fdb.size
            );
        }
    }
}
