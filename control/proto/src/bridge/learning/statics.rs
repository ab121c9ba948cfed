//! Configured entries: static ones and blackholes. They neither age nor move, no limit counts them, and they
//! take the place of learned entries.

use super::super::table::{Full, Outcome, Place, Slot};
use super::view::BLACKHOLE;
use super::{Learning, View};
use crate::config::{Rule, StaticTarget, station_address};
use crate::time::Epoch;
use hitless_common::map::fdb::{BUCKET_ENTRIES, FdbEntry, FdbKey, flag};
use hitless_common::{Mac, PortNo, VlanId};
use std::collections::BTreeMap;
use thiserror::Error;

/// Why a configured entry was not made or not deleted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StaticError {
    /// No station can have the address.
    #[error(transparent)]
    Address(#[from] Rule),
    /// The VLAN does not exist.
    #[error("VLAN {0} does not exist; create it first")]
    NoVlan(VlanId),
    /// The port does not exist or does not carry the VLAN.
    #[error("port {port} is no member of VLAN {vlan}; add it to the VLAN first")]
    NoMember {
        /// The port.
        port: PortNo,
        /// The VLAN.
        vlan: VlanId,
    },
    /// The table holds nothing but configured entries.
    #[error(transparent)]
    Full(#[from] Full),
    /// There is no entry to delete.
    #[error("{mac} in VLAN {vlan} has no entry")]
    NoEntry {
        /// The address.
        mac: Mac,
        /// The VLAN.
        vlan: VlanId,
    },
    /// The entry was learned, not configured.
    #[error("the entry of {mac} in VLAN {vlan} was learned; `clear fdb` removes it")]
    NotConfigured {
        /// The address.
        mac: Mac,
        /// The VLAN.
        vlan: VlanId,
    },
}

/// What [`Learning::reconcile_static`] had to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Entries made.
    pub created: u32,
    /// Entries that had another target, or had been learned.
    pub updated: u32,
    /// Configured entries that are wanted no longer.
    pub deleted: u32,
    /// Entries that could not be made.
    pub failed: Vec<StaticError>,
}

/// Port and flags of a configured entry.
const fn port_and_flags(target: StaticTarget) -> (u16, u16) {
    match target {
        StaticTarget::Port(port) => (port.get(), flag::STATIC),
        StaticTarget::Blackhole => (0, BLACKHOLE),
    }
}

impl Learning<'_> {
    /// Makes a configured entry, or changes it; one that was learned becomes configured. In a full table a learned
    /// entry gives way.
    ///
    /// # Errors
    /// When no station can have the address, the VLAN does not exist, the port is no member of it, or the
    /// table is full of configured entries.
    pub fn create_static(
        &mut self,
        now: Epoch,
        view: &View<'_>,
        vlan: VlanId,
        mac: Mac,
        target: StaticTarget,
    ) -> Result<Outcome, StaticError> {
        station_address(mac)?;
        if !view.has_vlan(vlan) {
            return Err(StaticError::NoVlan(vlan));
        }
        if let StaticTarget::Port(port) = target
            && !view.is_member(vlan, port)
        {
            return Err(StaticError::NoMember { port, vlan });
        }
        let (port, flags) = port_and_flags(target);
        let key = FdbKey::new(vlan, mac);
        let entry = FdbEntry {
            key,
            port,
            flags,
            epoch: now.get(),
        };
        let place = self.table.place(key);
        if let Some(slot) = self.table.find_at(place, key) {
            return Ok(self.configure_slot(slot, &entry, vlan));
        }
        if let Err(full) = self.table.insert_at(place, &entry) {
            let slot = self.evictable(place).ok_or(full)?;
            self.remove(slot);
            self.stats.evicted += 1;
            self.table.insert_at(place, &entry)?;
        }
        Ok(Outcome::Inserted)
    }

    /// Makes the entry in a used slot a configured one.
    fn configure_slot(&mut self, slot: Slot, wanted: &FdbEntry, vlan: VlanId) -> Outcome {
        let info = self.table.slots().info(slot);
        if info.target() == (wanted.port, wanted.flags) {
            return Outcome::Unchanged;
        }
        self.table
            .update(slot, wanted.port, wanted.flags, Epoch::new(wanted.epoch));
        if let Some(port) = info.learned_on() {
            self.tally.remove(&self.rules, port, vlan);
        }
        Outcome::Updated
    }

    /// Deletes a configured entry.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete_static(&mut self, vlan: VlanId, mac: Mac) -> Result<(), StaticError> {
        let found = self.table.find(FdbKey::new(vlan, mac));
        let slot = found.ok_or(StaticError::NoEntry { mac, vlan })?;
        if self.table.slots().info(slot).is_dynamic() {
            return Err(StaticError::NotConfigured { mac, vlan });
        }
        self.remove(slot);
        Ok(())
    }

    /// Makes the configured entries be these and no others, writing differences only. Looks through the whole table.
    pub fn reconcile_static(
        &mut self,
        now: Epoch,
        view: &View<'_>,
        wanted: &BTreeMap<(VlanId, Mac), StaticTarget>,
    ) -> Reconciled {
        let mut done = Reconciled::default();
        for bucket in 0..self.table.buckets() {
            for slot in (0..BUCKET_ENTRIES).map(|index| Slot::new(bucket, index)) {
                let mirror = self.table.slots();
                let (key, info) = (mirror.key(slot), mirror.info(slot));
                let Some(vlan) = key.vlan().filter(|_| !info.is_dynamic()) else {
                    continue;
                };
                if !wanted.contains_key(&(vlan, key.mac())) {
                    self.remove(slot);
                    done.deleted += 1;
                }
            }
        }
        for (&(vlan, mac), &target) in wanted {
            match self.create_static(now, view, vlan, mac, target) {
                Ok(Outcome::Inserted) => done.created += 1,
                Ok(Outcome::Updated) => done.updated += 1,
                Ok(Outcome::Unchanged) => {}
                Err(error) => done.failed.push(error),
            }
        }
        done
    }

    /// A learned entry that can make room for a new one: the next one from the new one's first bucket on.
    fn evictable(&self, place: Place) -> Option<Slot> {
        let (all, start) = (self.table.buckets(), place.first());
        let mirror = self.table.slots();
        (start..all)
            .chain(0..start)
            .flat_map(|bucket| (0..BUCKET_ENTRIES).map(move |index| Slot::new(bucket, index)))
            .find(|&slot| mirror.key(slot) != FdbKey::FREE && mirror.info(slot).is_dynamic())
    }
}
