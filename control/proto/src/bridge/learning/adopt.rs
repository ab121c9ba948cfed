//! Start of a master: what the hardware holds becomes the software copy, so that nothing is written that is
//! already there (design invariant 3).

use super::super::cells::Hardware;
use super::super::shadow::{Mirror, Replica, ShadowBucket};
use super::super::table::{FdbTable, Slot, Slots};
use super::rapid::Rapid;
use super::tally::Tally;
use super::view::may_be_known;
use super::{FETCH, Learning, Rules, Stats, View};
use crate::time::Epoch;
use core::hint::black_box;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbEntry, FdbKey, flag};
use hitless_common::map::vlans::PortSet;
use hitless_common::{PortNo, VlanId};

/// What adoption found in the hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Entries taken over, learned and configured ones.
    pub entries: u32,
    /// Removed: no station's address, no such VLAN or port, the port no member or disabled, impossible flags.
    pub invalid: u32,
    /// Removed: in a bucket where nobody looks for the key.
    pub misplaced: u32,
    /// Removed: the key stood twice, as after a displacement that was cut short.
    pub duplicate: u32,
}

impl Adopted {
    /// Entries removed from the hardware.
    #[must_use]
    pub const fn dropped(&self) -> u32 {
        self.invalid + self.misplaced + self.duplicate
    }
}

/// Why an entry is removed.
enum Fault {
    Invalid,
    Misplaced,
    Duplicate,
}

/// A start that is under way: the hardware becomes the software copy bucket by bucket.
#[derive(Debug)]
pub(super) struct Settling {
    /// Where it goes on.
    next: u32,
    /// Whether the copy came from the last master: what it knows of entries that are still there is kept.
    inherited: bool,
    /// By VLAN id, the ports on which it may have learned entries.
    learned: Box<[PortSet]>,
    adopted: Adopted,
    /// Entries taken over in their second bucket, and their first one.
    displaced: Vec<(Slot, u32)>,
    faulty: Vec<Slot>,
    /// Entries that an inherited copy did not have.
    unlinked: Vec<(Slot, FdbKey)>,
}

impl<'hw> Learning<'hw> {
    /// Takes over the hardware, whose META says `seed`: the start of every master, on an empty table as on one
    /// that another master left. Entries that this switch would not have written are removed.
    ///
    /// `memory` is for the software copy, see [`shadow_memory`](super::super::shadow::shadow_memory).
    ///
    /// # Panics
    /// When `memory` does not have as many buckets as the hardware.
    pub fn adopt(
        hardware: Hardware<'hw>,
        seed: u64,
        memory: &'hw mut [ShadowBucket],
        rules: Rules,
        view: &View<'_>,
        now: Epoch,
    ) -> (Self, Adopted) {
        let all = hardware.buckets();
        let mut learning = Self::begin(hardware, seed, memory, rules, view, false);
        let adopted = learning.settle(view, now, all).unwrap_or_default();
        (learning, adopted)
    }

    /// The start of a master that has the last one's software copy: at once, however large the table. The hardware
    /// decides what is known; the copy adds what damping knows. Until [`Learning::settle`] has gone through the whole
    /// table, nothing else may be asked of it, and nothing is known.
    ///
    /// # Panics
    /// When the copy does not have as many buckets as the hardware.
    pub fn resume(
        hardware: Hardware<'hw>,
        seed: u64,
        copy: Replica<'hw>,
        rules: Rules,
        view: &View<'_>,
    ) -> Self {
        Self::begin(hardware, seed, copy.into_memory(), rules, view, true)
    }

    fn begin(
        hardware: Hardware<'hw>,
        seed: u64,
        memory: &'hw mut [ShadowBucket],
        rules: Rules,
        view: &View<'_>,
        inherited: bool,
    ) -> Self {
        assert!(
            memory.len() == hardware.buckets() as usize,
            "the software copy of an FDB has as many buckets as the FDB"
        );
        let settling = Settling {
            next: 0,
            inherited,
            learned: view.learned_ports(),
            adopted: Adopted::default(),
            displaced: Vec::new(),
            faulty: Vec::new(),
            unlinked: Vec::new(),
        };
        let mirror = Mirror::new(hardware, memory);
        Self {
            table: FdbTable::with_len(mirror, seed, rules.capacity, 0),
            rules,
            tally: Tally::default(),
            rapid: Rapid::default(),
            full_noticed: false,
            stats: Stats::default(),
            notices: Vec::new(),
            settling: Some(Box::new(settling)),
            unlinked: Vec::new(),
        }
    }

    /// Whether [`Learning::settle`] has not yet gone through the whole table.
    #[must_use]
    pub const fn is_settling(&self) -> bool {
        self.settling.is_some()
    }

    /// Goes through some more buckets of the hardware, with the same `view` as at the beginning; what was found, once
    /// all is done. 16,384 buckets take about half a millisecond.
    pub fn settle(&mut self, view: &View<'_>, now: Epoch, buckets: u32) -> Option<Adopted> {
        let mut settling = self.settling.take()?;
        let seed = self.table.seed();
        let (copy, hardware) = self.table.slots_mut().parts();
        let end = settling
            .next
            .saturating_add(buckets)
            .min(hardware.buckets());
        let mut pass = Pass {
            hardware,
            seed,
            view,
            tally: &mut self.tally,
            settling: &mut settling,
        };
        for bucket in pass.settling.next..end {
            pass.bucket(bucket, &mut copy[bucket as usize]);
        }
        pass.settling.next = end;
        if end < hardware.buckets() {
            self.settling = Some(settling);
            return None;
        }
        pass.drop_twins(&self.rules, copy);
        let adopted = settling.adopted;
        self.table.set_len(adopted.entries);
        for slot in settling.faulty {
            self.table.slots_mut().heal(slot, now);
        }
        self.stats.invalid_dropped = adopted.dropped().into();
        self.unlinked = settling.unlinked;
        Some(adopted)
    }

    /// The end of the failover timer: removes learned entries that the copy of the last master did not have and that
    /// no frame came from since the epoch `since` (seed row 37). How many.
    pub fn sweep_unlinked(&mut self, since: Epoch) -> u32 {
        let mut removed = 0;
        for (slot, key) in core::mem::take(&mut self.unlinked) {
            let mirror = self.table.slots();
            let same = mirror.key(slot) == key && mirror.info(slot).is_dynamic();
            if same && mirror.hardware().epoch(slot) < since {
                self.remove(slot);
                removed += 1;
            }
        }
        removed
    }
}

/// Some buckets of a pass through the hardware.
struct Pass<'p, 'hw> {
    hardware: Hardware<'hw>,
    seed: u64,
    view: &'p View<'p>,
    tally: &'p mut Tally,
    settling: &'p mut Settling,
}

impl Pass<'_, '_> {
    /// Copies a bucket.
    #[inline]
    fn bucket(&mut self, bucket: u32, copy: &mut ShadowBucket) {
        let entries = self.hardware.bucket(bucket);
        let before = *copy;
        copy.keys = [FdbKey::FREE; BUCKET_ENTRIES];
        for (index, entry) in entries.iter().enumerate() {
            if entry.key == FdbKey::FREE {
                continue;
            }
            if let Some((port, vlan)) = self.plain(bucket, &entries[..index], entry) {
                self.tally.add(port, vlan);
            } else if let Err(fault) = self.judge(bucket, copy, index, entry) {
                self.fault(Slot::new(bucket, index), fault);
                continue;
            }
            copy.put(index, entry);
            self.settling.adopted.entries += 1;
            if !self.settling.inherited {
                continue;
            }
            let known = before.infos[index];
            if before.keys[index] != entry.key || known.target() != (entry.port, entry.flags) {
                self.settling
                    .unlinked
                    .push((Slot::new(bucket, index), entry.key));
            } else {
                copy.infos[index] = known;
            }
        }
    }

    /// Port and VLAN of a valid learned entry in its first bucket, as nearly all are: the same rules as
    /// [`View::accepts`] and [`Pass::judge`], but without a question that this entry answers otherwise than the
    /// last one.
    #[inline]
    fn plain(
        &self,
        bucket: u32,
        before: &[FdbEntry],
        entry: &FdbEntry,
    ) -> Option<(PortNo, VlanId)> {
        let (port, vlan) = (PortNo::new(entry.port)?, entry.key.vlan()?);
        let ports = self.settling.learned.get(usize::from(vlan.get()))?;
        let mut plain = ports.has(port.get())
            & (entry.flags == 0)
            & may_be_known(entry.key.mac())
            & (self.buckets(entry.key).0 == bucket);
        for other in before {
            plain &= other.key != entry.key;
        }
        plain.then_some((port, vlan))
    }

    /// Whether an entry that is not plain may stay. `copy` has the entries before it in its bucket.
    fn judge(
        &mut self,
        bucket: u32,
        copy: &ShadowBucket,
        index: usize,
        entry: &FdbEntry,
    ) -> Result<(), Fault> {
        let (first, second) = self.buckets(entry.key);
        if !self.view.accepts(entry) {
            return Err(Fault::Invalid);
        }
        if bucket != first && bucket != second {
            return Err(Fault::Misplaced);
        }
        if copy.keys.contains(&entry.key) {
            return Err(Fault::Duplicate);
        }
        if bucket == second {
            self.settling
                .displaced
                .push((Slot::new(bucket, index), first));
        }
        if entry.flags & flag::STATIC == 0
            && let (Some(port), Some(vlan)) = (PortNo::new(entry.port), entry.key.vlan())
        {
            self.tally.add(port, vlan);
        }
        Ok(())
    }

    /// Drops the entries whose key stands in both of its buckets from the second one: the data path finds the
    /// other.
    fn drop_twins(&mut self, rules: &Rules, shadow: &mut [ShadowBucket]) {
        for batch in core::mem::take(&mut self.settling.displaced).chunks(FETCH) {
            let touched = batch
                .iter()
                .fold(0, |sum, &(_, first)| sum ^ self.hardware.touch(first));
            black_box(touched);
            for &(slot, first) in batch {
                let (bucket, index) = (slot.bucket() as usize, slot.index());
                let (key, info) = (shadow[bucket].keys[index], shadow[bucket].infos[index]);
                if !shadow[first as usize].keys.contains(&key) {
                    continue;
                }
                shadow[bucket].keys[index] = FdbKey::FREE;
                self.settling.adopted.entries -= 1;
                if let (Some(port), Some(vlan)) = (info.learned_on(), key.vlan()) {
                    self.tally.remove(rules, port, vlan);
                }
                self.fault(slot, Fault::Duplicate);
            }
        }
    }

    fn fault(&mut self, slot: Slot, fault: Fault) {
        self.settling.faulty.push(slot);
        match fault {
            Fault::Invalid => self.settling.adopted.invalid += 1,
            Fault::Misplaced => self.settling.adopted.misplaced += 1,
            Fault::Duplicate => self.settling.adopted.duplicate += 1,
        }
    }

    #[inline]
    fn buckets(&self, key: FdbKey) -> (u32, u32) {
        key.buckets(self.seed, self.hardware.buckets() - 1)
    }
}
