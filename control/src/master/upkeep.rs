//! What a master does once a second: ageing, comparing the hardware with the software copy, looking at far ends.

use super::Master;
use crate::{
    hw::{HwError, monotonic_nanoseconds},
    offload,
};
use hitless_common::{PortNo, map::vlans::ENTRIES};
use hitless_proto::{bridge::table::Slot, config::OffloadMode, time::Epoch};
use nix::net::if_::if_nametoindex;
use std::sync::atomic::Ordering;
use tracing::{error, info, warn};

/// Seconds in which the whole FDB is compared with the software copy once (seed row 50).
const AUDIT_SECONDS: u32 = 60;
/// Entries of VLANS compared each second.
const AUDIT_VLANS: u32 = 256;
/// Buckets of the FDB that one slice looks at; less than a millisecond.
const SLICE_BUCKETS: u32 = 16_384;
/// Seconds between two looks at the far end of a veth that is to take XDP.
const FAR_END_SECONDS: u32 = 5;

impl Master {
    /// Lets every port go on forwarding for the time of a lease: to be called well before the last one runs out.
    pub fn renew_lease(&self) {
        let length = u64::from(self.config.msm_failover.lease_ms) * 1_000_000;
        self.hardware
            .meta
            .renew_lease(monotonic_nanoseconds() + length);
    }

    /// Once a second: renews the lease, advances the epoch, ages, audits.
    pub async fn on_second(&mut self) {
        self.renew_lease();
        self.epoch = Epoch::new(
            self.hardware
                .meta
                .epoch()
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1),
        );
        // Sources that were reported and refused come up again.
        self.end_learn_round();
        self.review_choices().await;
        self.look_at_rollback().await;
        // What is still being taken over is compared anyway, and nothing of it is old.
        if self.learning.is_settling() {
            return;
        }
        self.look_at_timer();
        self.age().await;
        self.audit().await;
        if self.epoch.get().is_multiple_of(FAR_END_SECONDS) {
            self.look_at_far_ends().await;
        }
    }

    /// Ages a share of the table.
    async fn age(&mut self) {
        let Some(seconds) = self.learning.pass_seconds(self.epoch) else {
            return;
        };
        let all = self.hardware.fdb_buckets;
        let mut left = all.div_ceil(seconds);
        while left > 0 {
            // A slice ends with the table.
            let buckets = left.min(SLICE_BUCKETS).min(all - self.age_from.bucket());
            let slice = self.learning.age_slice(self.epoch, self.age_from, buckets);
            self.age_from = slice.next.unwrap_or(Slot::START);
            left -= buckets;
            tokio::task::yield_now().await;
        }
    }

    /// Compares a share of the hardware with the software copy and repairs it.
    async fn audit(&mut self) {
        let mut left = self.hardware.fdb_buckets.div_ceil(AUDIT_SECONDS);
        let mut repaired = 0;
        while left > 0 {
            let buckets = left.min(SLICE_BUCKETS);
            let slice = self
                .learning
                .audit_slice(self.epoch, self.audit_from, buckets);
            repaired += u64::from(slice.changed);
            self.audit_from = slice.next.unwrap_or(Slot::START);
            left -= buckets;
            tokio::task::yield_now().await;
        }
        for _ in 0..AUDIT_VLANS {
            repaired += heal(self.hardware.vlans.heal(self.audit_vlan));
            self.audit_vlan = (self.audit_vlan + 1) % ENTRIES;
        }
        for port in self.config.ports.keys() {
            repaired += heal(self.hardware.egress.heal(u32::from(port.get())));
        }
        let slots = self.hardware.ports.table();
        for slot in (0..slots.len())
            .filter(|s| slots.get(*s).is_some_and(|e| e.ifindex != 0))
            .collect::<Vec<_>>()
        {
            repaired += heal(slots.heal(slot));
        }
        repaired += self.audit_links();
        if repaired > 0 {
            self.repaired += repaired;
            warn!(
                repaired,
                "the hardware differed from the software copy and was repaired"
            );
        }
    }

    /// Attaches again what somebody else has detached from a device that is still there; how many ports.
    fn audit_links(&mut self) -> u64 {
        let lost = self.hardware.links.refresh();
        let still_there = |port: &&PortNo| {
            let device = self.ports.get(port).and_then(|s| s.device.as_ref());
            device.is_some_and(|d| if_nametoindex(d.name.as_str()) == Ok(d.ifindex))
        };
        let repaired = lost.iter().filter(still_there).count() as u64;
        if repaired > 0 {
            self.apply();
        }
        repaired
    }

    /// Decides anew about ports that are to take XDP, since nobody tells when a far end changes.
    async fn look_at_far_ends(&mut self) {
        let mut changed = false;
        for (port, config) in self
            .config
            .ports
            .iter()
            .filter(|(_, c)| c.offload == OffloadMode::Xdp)
        {
            let Some(state) = self.ports.get_mut(port) else {
                continue;
            };
            let Some(device) = state.device.as_ref().filter(|d| d.far_end.is_some()) else {
                continue;
            };
            let choice =
                offload::choose(config, &offload::facts(&self.netlink, config, device).await);
            if state.choice.as_ref() != Some(&choice) {
                info!(%port, "{}", choice.reason);
                state.choice = Some(choice);
                changed = true;
            }
        }
        if changed {
            self.apply();
        }
    }
}

fn heal(result: Result<bool, HwError>) -> u64 {
    match result {
        Ok(repaired) => u64::from(repaired),
        Err(e) => {
            error!("{e}");
            0
        }
    }
}
