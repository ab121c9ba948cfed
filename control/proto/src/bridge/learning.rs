//! The master's rules for the FDB: what is learned, moved, held, aged, flushed, configured.
//!
//! [`Learning`] owns the software copy and writes the hardware through it, differences only. Every call is
//! short: what has to look at the whole table comes in slices, so that the event loop stays responsive.

mod adopt;
mod rapid;
mod rules;
mod statics;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;
mod view;

pub use adopt::Adopted;
pub use rules::Rules;
pub use statics::{Reconciled, StaticError};
pub use sweep::{Flush, Slice};
pub use view::View;

use super::shadow::{HELD, Info, Mirror};
use super::table::{FdbTable, Full, Slot};
use crate::time::Epoch;
use adopt::Settling;
use hitless_common::map::events::LearnEvent;
use hitless_common::map::fdb::{FdbEntry, FdbKey, flag};
use hitless_common::{Mac, PortNo, VlanId};
use rapid::Rapid;
use tally::Tally;
use view::Source;

/// Events whose cache lines are fetched at a time.
const FETCH: usize = 32;

/// Notices kept for the caller; what comes while it does not fetch them is only counted in [`Stats`].
const MAX_NOTICES: usize = 256;

/// What an entry is. The number of its kind in BRIDGE-MIB (RFC 4188) is a matter of the MIB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Learned; ages and moves.
    Dynamic,
    /// Configured for a port.
    Static,
    /// Configured: frames from and to it are dropped.
    Blackhole,
}

impl Kind {
    /// The kind of an entry with these [`flag`] bits.
    #[must_use]
    pub const fn of(flags: u16) -> Self {
        if flags & flag::BLACKHOLE != 0 {
            Self::Blackhole
        } else if flags & flag::STATIC != 0 {
            Self::Static
        } else {
            Self::Dynamic
        }
    }

    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
            Self::Blackhole => "blackhole",
        }
    }
}

/// What became of one learning event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// A new entry.
    New,
    /// The entry moved to the event's port.
    Moved {
        /// The port that it was on.
        from: PortNo,
    },
    /// The entry was there, on this port.
    Known,
    /// The address is configured: it neither moves nor is learned.
    Configured,
    /// Not learned: no station's address, or learning is off there (see [`View`]).
    Refused,
    /// Not learned: the port or the VLAN has as many as it may.
    Limited,
    /// Not moved: the entry moved too often lately and is held where it is.
    Damped,
    /// Not learned: the table is full.
    Full,
}

/// Something that an operator should read about, once and not for every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The port has learned as many addresses as it may. Not repeated until it is below its limit again.
    PortLimit {
        /// The port.
        port: PortNo,
        /// Addresses that it may learn.
        limit: u32,
    },
    /// The VLAN has learned as many addresses as it may. Not repeated until it is below its limit again.
    VlanLimit {
        /// The VLAN.
        vlan: VlanId,
        /// Addresses that may be learned in it.
        limit: u32,
    },
    /// An address moved too often and is now held: a loop, a duplicate address or a forged one.
    Held {
        /// Its VLAN.
        vlan: VlanId,
        /// The address.
        mac: Mac,
        /// Where it is held.
        port: PortNo,
        /// Where it was seen.
        seen_on: PortNo,
        /// Seconds for which it is held.
        seconds: u32,
    },
    /// The table is full; frames to further addresses are flooded. Not repeated until there was room again.
    Full(Full),
}

/// Counters since the start of this master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Addresses learned.
    pub learned: u64,
    /// Entries that moved to another port.
    pub moved: u64,
    /// Entries removed because of their age.
    pub aged: u64,
    /// Entries removed by a flush.
    pub flushed: u64,
    /// Moves refused because the entry was held.
    pub damped: u64,
    /// Events not learned because of a port's limit.
    pub limited_port: u64,
    /// Events not learned because of a VLAN's limit.
    pub limited_vlan: u64,
    /// Events not learned because the table was full.
    pub full: u64,
    /// Events refused: no station's address, or learning is off there.
    pub refused: u64,
    /// Learned entries that made room for configured ones in a full table.
    pub evicted: u64,
    /// Invalid entries removed from the hardware at adoption.
    pub invalid_dropped: u64,
    /// Slots of the hardware that had to be repaired.
    pub healed: u64,
    /// Slots of the hardware that were filled, changed or freed, whatever the reason.
    pub writes: u64,
    /// Notices that nobody fetched in time.
    pub notices_lost: u64,
}

/// The forwarding database of a master.
#[derive(Debug)]
pub struct Learning<'hw> {
    table: FdbTable<Mirror<'hw>>,
    rules: Rules,
    tally: Tally,
    /// Where the topology changes.
    rapid: Rapid,
    /// Whether [`Notice::Full`] was given since there was room last.
    full_noticed: bool,
    stats: Stats,
    notices: Vec<Notice>,
    /// While the hardware is being taken over.
    settling: Option<Box<Settling>>,
    /// Learned entries that were in the hardware and not in the copy of the last master.
    unlinked: Vec<(Slot, FdbKey)>,
}

impl Learning<'_> {
    /// Follows a changed configuration. Entries beyond a lowered limit stay until they age.
    pub fn configure(&mut self, rules: Rules) {
        self.table.set_capacity(rules.capacity);
        self.rules = rules;
        self.tally.recheck(&self.rules);
    }

    /// Decides about a batch of events, as [`Learning::learn`] does about each; several times faster.
    pub fn learn_all(
        &mut self,
        now: Epoch,
        view: &View<'_>,
        events: &[LearnEvent],
        mut each: impl FnMut(&LearnEvent, Learned),
    ) {
        for batch in events.chunks(FETCH) {
            self.table.fetch(batch.iter().map(|event| event.key));
            for event in batch {
                each(event, self.learn(now, view, event));
            }
        }
    }

    /// Decides about a source that the data path reports as unknown or moved.
    pub fn learn(&mut self, now: Epoch, view: &View<'_>, event: &LearnEvent) -> Learned {
        let Some(source) = view.source(event) else {
            self.stats.refused += 1;
            return Learned::Refused;
        };
        let place = self.table.place(source.key);
        if let Some(slot) = self.table.find_at(place, source.key) {
            return self.seen(now, slot, &source);
        }
        if self.port_is_full(source.port) || self.vlan_is_full(source.vlan) {
            return Learned::Limited;
        }
        let entry = FdbEntry {
            key: source.key,
            port: source.port.get(),
            flags: 0,
            epoch: now.get(),
        };
        match self.table.insert_at(place, &entry) {
            Ok(_) => {
                self.tally.add(source.port, source.vlan);
                self.stats.learned += 1;
                Learned::New
            }
            Err(full) => {
                self.stats.full += 1;
                if !self.full_noticed {
                    self.full_noticed = true;
                    self.notice(Notice::Full(full));
                }
                Learned::Full
            }
        }
    }

    /// The source has an entry.
    fn seen(&mut self, now: Epoch, slot: Slot, source: &Source) -> Learned {
        let info = self.table.slots().info(slot);
        let Some(from) = info.learned_on() else {
            self.heal(slot, now);
            return Learned::Configured;
        };
        if from == source.port {
            // A report from before the entry was written, or the data path does not see what we wrote.
            self.heal(slot, now);
            return Learned::Known;
        }
        if self.port_is_full(source.port) {
            return Learned::Limited;
        }
        if self.is_damped(now, slot, info, from, source) {
            self.stats.damped += 1;
            return Learned::Damped;
        }
        self.table.update(slot, source.port.get(), 0, now);
        self.tally.remove(&self.rules, from, source.vlan);
        self.tally.add(source.port, source.vlan);
        self.stats.moved += 1;
        Learned::Moved { from }
    }

    /// Counts an attempt to move, and whether it comes too soon after too many others.
    ///
    /// Time is counted in whole epochs and intervals follow one another from an entry's first move on: an
    /// interval may last up to a second longer than configured.
    fn is_damped(
        &mut self,
        now: Epoch,
        slot: Slot,
        old: Info,
        from: PortNo,
        source: &Source,
    ) -> bool {
        let Some(damping) = self.rules.damping else {
            return false;
        };
        let elapsed = now.seconds_since(old.since);
        let mut info = old;
        if old.flags & HELD != 0 {
            if elapsed < damping.hold_seconds {
                return true;
            }
            info.flags &= !HELD;
            info.moves = 0;
        } else if elapsed > damping.within_seconds {
            info.moves = 0;
        }
        if info.moves == 0 {
            info.since = now;
        }
        let held = u32::from(info.moves) >= damping.moves.min(u32::from(u16::MAX));
        if held {
            (info.since, info.moves) = (now, 0);
            info.flags |= HELD;
            self.notice(Notice::Held {
                vlan: source.vlan,
                mac: source.key.mac(),
                port: from,
                seen_on: source.port,
                seconds: damping.hold_seconds,
            });
        } else {
            info.moves += 1;
        }
        *self.table.slots_mut().info_mut(slot) = info;
        held
    }

    fn port_is_full(&mut self, port: PortNo) -> bool {
        let Some(limit) = self.tally.port_limit_reached(&self.rules, port) else {
            return false;
        };
        self.stats.limited_port += 1;
        if self.tally.first_at_port_limit(port) {
            self.notice(Notice::PortLimit { port, limit });
        }
        true
    }

    fn vlan_is_full(&mut self, vlan: VlanId) -> bool {
        let Some(limit) = self.tally.vlan_limit_reached(&self.rules, vlan) else {
            return false;
        };
        self.stats.limited_vlan += 1;
        if self.tally.first_at_vlan_limit(vlan) {
            self.notice(Notice::VlanLimit { vlan, limit });
        }
        true
    }

    /// Removes the entry in a used slot.
    fn remove(&mut self, slot: Slot) {
        let (key, info) = (self.table.slots().key(slot), self.table.slots().info(slot));
        self.table.remove_at(slot);
        self.full_noticed &= self.table.len() >= self.table.capacity();
        if let (Some(port), Some(vlan)) = (info.learned_on(), key.vlan()) {
            self.tally.remove(&self.rules, port, vlan);
        }
    }

    fn heal(&mut self, slot: Slot, now: Epoch) {
        self.stats.healed += u64::from(self.table.slots_mut().heal(slot, now));
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.push(notice);
        } else {
            self.stats.notices_lost += 1;
        }
    }

    /// What an operator should read about, in the order in which it happened.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        core::mem::take(&mut self.notices)
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            writes: self.table.slots().writes(),
            ..self.stats
        }
    }

    /// Begins to list the slots whose copy changes, at most `limit` at a time, or ends it with 0: for the checkpoint.
    pub fn follow(&mut self, limit: usize) {
        self.table.slots_mut().follow(limit);
    }

    /// Moves the listed slots to `into`, in the order of the changes. False if there were more than the limit: then
    /// whoever followed must begin anew.
    #[must_use]
    pub fn take_changes(&mut self, into: &mut Vec<Slot>) -> bool {
        self.table.slots_mut().take_changes(into)
    }

    /// The entry of an address, with the epoch in which the data path saw it last.
    #[must_use]
    pub fn get(&self, vlan: VlanId, mac: Mac) -> Option<FdbEntry> {
        self.table.get(FdbKey::new(vlan, mac))
    }

    /// The table, for reading: [`FdbTable::page`], [`FdbTable::len`].
    #[must_use]
    pub const fn table(&self) -> &FdbTable<Mirror<'_>> {
        &self.table
    }

    /// Addresses learned on a port.
    #[must_use]
    pub fn learned_on(&self, port: PortNo) -> u32 {
        self.tally.on_port(port)
    }

    /// Addresses learned in a VLAN.
    #[must_use]
    pub fn learned_in(&self, vlan: VlanId) -> u32 {
        self.tally.in_vlan(vlan)
    }

    /// Bytes that the table and its copy occupy.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.table.slots().bytes()
    }
}
