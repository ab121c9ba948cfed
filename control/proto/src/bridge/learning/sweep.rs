//! What goes through the table bucket by bucket: ageing, flushing and the audit of the hardware.

use super::super::table::{Slot, Slots};
use super::{Learning, View};
use crate::time::Epoch;
use core::ops::Range;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbKey};
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

impl Learning<'_> {
    /// Removes learned entries that no frame came from for longer than the ageing time, in some buckets from
    /// that of `from` on; 16,384 buckets take well under a millisecond.
    pub fn age_slice(&mut self, now: Epoch, from: Slot, buckets: u32) -> Slice {
        let Some(limit) = self.rules.ageing_seconds else {
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
                let aged =
                    entry.key != FdbKey::FREE && now.seconds_since(Epoch::new(entry.epoch)) > limit;
                if !aged {
                    continue;
                }
                let slot = Slot::new(bucket, index);
                let mirror = self.table.slots();
                if mirror.key(slot) == entry.key && mirror.info(slot).is_dynamic() {
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

    /// Removes learned entries where nothing is learned any more: the VLAN is gone, the port is no member of it, or
    /// learning is off. Looks through the whole table.
    pub fn flush_closed(&mut self, view: &View<'_>) -> u32 {
        let mut removed = 0;
        for bucket in 0..self.table.buckets() {
            for slot in (0..BUCKET_ENTRIES).map(|index| Slot::new(bucket, index)) {
                let mirror = self.table.slots();
                let (key, info) = (mirror.key(slot), mirror.info(slot));
                let closed = key != FdbKey::FREE
                    && info.is_dynamic()
                    && !key
                        .vlan()
                        .is_some_and(|vlan| view.learns(vlan, info.port.into()));
                if closed {
                    self.remove(slot);
                    removed += 1;
                }
            }
        }
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
            .filter(|&slot| self.fits(what, slot))
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
        let mut removed = 0;
        for bucket in 0..self.table.buckets() {
            if removed == most {
                break;
            }
            for index in 0..BUCKET_ENTRIES {
                let slot = Slot::new(bucket, index);
                if self.fits(what, slot) {
                    self.remove(slot);
                    removed += 1;
                }
            }
        }
        removed
    }

    fn fits(&self, what: &Flush, slot: Slot) -> bool {
        let mirror = self.table.slots();
        let (key, info) = (mirror.key(slot), mirror.info(slot));
        key != FdbKey::FREE
            && info.is_dynamic()
            && what.port.is_none_or(|p| p.get() == u16::from(info.port))
            && what.vlan.is_none_or(|v| Some(v) == key.vlan())
    }

    /// Some buckets from that of a slot on, and where the next ones begin.
    fn slice(&self, from: Slot, buckets: u32) -> (Range<u32>, Option<Slot>) {
        let all = self.table.slots().buckets();
        let end = from.bucket().saturating_add(buckets.max(1)).min(all);
        (from.bucket()..end, (end < all).then(|| Slot::new(end, 0)))
    }
}
