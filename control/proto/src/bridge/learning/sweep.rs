//! What goes through the table bucket by bucket: ageing, flushing and the audit of the hardware.

use super::super::shadow::Info;
use super::super::table::{Slot, Slots};
use super::{Learning, View};
use crate::time::Epoch;
use core::ops::Range;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbKey};
use hitless_common::map::vlans::{ENTRIES, PortSet};
use hitless_common::{Mac, PortNo, VlanId};

/// How a slice of a pass through the table ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where the next slice begins; `None` when this was the last one.
    pub next: Option<Slot>,
    /// Entries removed or repaired.
    pub changed: u32,
}

/// Which learned entries to remove: those that fit everything that is given. Nothing given is all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flush {
    /// Entries on this port.
    pub port: Option<PortNo>,
    /// Entries in this VLAN.
    pub vlan: Option<VlanId>,
    /// Entries of this address, in whatever VLAN.
    pub mac: Option<Mac>,
}

impl Flush {
    /// Whether a used slot has to go; its address is not looked at.
    fn fits(&self, key: FdbKey, info: Info) -> bool {
        info.is_dynamic()
            && self.port.is_none_or(|p| p.get() == u16::from(info.port))
            && self.vlan.is_none_or(|v| Some(v) == key.vlan())
    }
}

impl Learning<'_> {
    /// Removes learned entries that no frame came from for longer than the ageing time, in some buckets from
    /// that of `from` on; 16,384 buckets take well under a millisecond. The ageing time is the configured one, and where
    /// the topology changes that of [`Learning::age_rapidly`] if it is shorter.
    pub fn age_slice(&mut self, now: Epoch, from: Slot, buckets: u32) -> Slice {
        self.rapid.forget(now);
        let (configured, rapid) = (self.rules.ageing_seconds, self.rapid.shortest());
        // Most entries are younger than any ageing time.
        let Some(shortest) = configured.into_iter().chain(rapid).min() else {
            return Slice {
                next: None,
                changed: 0,
            };
        };
        let (range, next) = self.slice(from, buckets);
        let mut changed = 0;
        for bucket in range {
            let entries = self.table.slots().hardware().bucket(bucket);
            for (index, entry) in entries.iter().enumerate() {
                let age = now.seconds_since(Epoch::new(entry.epoch));
                if entry.key == FdbKey::FREE || age <= shortest {
                    continue;
                }
                let slot = Slot::new(bucket, index);
                let mirror = self.table.slots();
                let learned_on = mirror.info(slot).learned_on();
                if mirror.key(slot) == entry.key
                    && let (Some(port), Some(vlan)) = (learned_on, entry.key.vlan())
                {
                    let here = self.rapid.seconds(vlan, port);
                    let limit = configured.into_iter().chain(here).min();
                    if limit.is_none_or(|limit| age <= limit) {
                        continue;
                    }
                    self.remove(slot);
                    self.stats.aged += 1;
                    changed += 1;
                } else {
                    // Configured, or not what we wrote.
                    self.heal(slot, now);
                }
            }
        }
        Slice { next, changed }
    }

    /// Compares some buckets of the hardware with the software copy and repairs what differs. Epochs belong to
    /// the data path; only one from the future is repaired.
    pub fn audit_slice(&mut self, now: Epoch, from: Slot, buckets: u32) -> Slice {
        let (range, next) = self.slice(from, buckets);
        let healed = self.stats.healed;
        for bucket in range {
            for index in 0..BUCKET_ENTRIES {
                self.heal(Slot::new(bucket, index), now);
            }
        }
        // At most four a bucket.
        let changed = (self.stats.healed - healed) as u32;
        Slice { next, changed }
    }

    /// Removes learned entries at once; gives back how many.
    pub fn flush(&mut self, what: &Flush) -> u32 {
        let removed = match what.mac {
            Some(mac) => self.flush_address(what, mac),
            None => self.flush_scan(what),
        };
        self.stats.flushed += u64::from(removed);
        removed
    }

    /// Removes learned entries at once wherever `fits` says so of their VLAN and port, which is asked once of each pair
    /// that has any; gives back how many. One pass through the table at most.
    pub fn flush_where(&mut self, mut fits: impl FnMut(VlanId, PortNo) -> bool) -> u32 {
        let ports: Vec<PortNo> = PortNo::all()
            .filter(|&port| self.tally.on_port(port) > 0)
            .collect();
        let mut chosen = vec![PortSet::EMPTY; ENTRIES as usize];
        let mut all_ports = PortSet::EMPTY;
        let mut in_vlans = 0;
        for vlan in self.tally.vlans() {
            let set: PortSet = ports.iter().copied().filter(|&p| fits(vlan, p)).collect();
            if !set.is_empty() {
                in_vlans += self.tally.in_vlan(vlan);
            }
            all_ports = all_ports.or(&set);
            chosen[usize::from(vlan.get())] = set;
        }
        let on_ports: u32 = all_ports.iter().map(|p| self.tally.on_port(p)).sum();
        let removed = self.remove_where(in_vlans.min(on_ports), |key, info| {
            let vlan = key.vlan().map(|vlan| &chosen[usize::from(vlan.get())]);
            info.is_dynamic() && vlan.is_some_and(|ports| ports.has(info.port.into()))
        });
        self.stats.flushed += u64::from(removed);
        removed
    }

    /// Removes learned entries where nothing is learned any more: the VLAN is gone, the port is no member of it, or
    /// learning is off. Looks through the whole table.
    pub fn flush_closed(&mut self, view: &View<'_>) -> u32 {
        let removed = self.remove_where(self.tally.total(), |key, info| {
            let vlan = key.vlan();
            info.is_dynamic() && !vlan.is_some_and(|vlan| view.learns(vlan, info.port.into()))
        });
        self.stats.flushed += u64::from(removed);
        removed
    }

    fn flush_address(&mut self, what: &Flush, mac: Mac) -> u32 {
        let vlans: Vec<VlanId> = match what.vlan {
            Some(vlan) => vec![vlan],
            None => self.tally.vlans().collect(),
        };
        let slots: Vec<Slot> = vlans
            .into_iter()
            .filter_map(|vlan| self.table.find(FdbKey::new(vlan, mac)))
            .filter(|&slot| {
                let mirror = self.table.slots();
                what.fits(mirror.key(slot), mirror.info(slot))
            })
            .collect();
        for &slot in &slots {
            self.remove(slot);
        }
        // At most one for each of the 4094 VLANs.
        slots.len() as u32
    }

    fn flush_scan(&mut self, what: &Flush) -> u32 {
        // Nobody else can fit when this many were found.
        let most = match (what.port, what.vlan) {
            (None, None) => self.tally.total(),
            (Some(port), None) => self.tally.on_port(port),
            (None, Some(vlan)) => self.tally.in_vlan(vlan),
            (Some(port), Some(vlan)) => self.tally.on_port(port).min(self.tally.in_vlan(vlan)),
        };
        self.remove_where(most, |key, info| what.fits(key, info))
    }

    /// Removes the learned entries that fit, of which there are `most` at most.
    fn remove_where(&mut self, most: u32, fits: impl Fn(FdbKey, Info) -> bool) -> u32 {
        let mut removed = 0;
        for bucket in 0..self.table.buckets() {
            if removed == most {
                break;
            }
            for index in 0..BUCKET_ENTRIES {
                let slot = Slot::new(bucket, index);
                let mirror = self.table.slots();
                let (key, info) = (mirror.key(slot), mirror.info(slot));
                if key != FdbKey::FREE && fits(key, info) {
                    self.remove(slot);
                    removed += 1;
                }
            }
        }
        removed
    }

    /// Some buckets from that of a slot on, and where the next ones begin.
    fn slice(&self, from: Slot, buckets: u32) -> (Range<u32>, Option<Slot>) {
        let all = self.table.slots().buckets();
        let end = from.bucket().saturating_add(buckets.max(1)).min(all);
        (from.bucket()..end, (end < all).then(|| Slot::new(end, 0)))
    }
}
