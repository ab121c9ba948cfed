//! The standby that is attached: what it was told, and how it is told what has changed since.

use super::super::{
    link::Link,
    records::{config_record, fdb_record, port_record, stp_key, stp_record, vlan_record},
};
use crate::master::Master;
use hitless_common::{
    PortNo, VlanId,
    map::{fdb::BUCKET_ENTRIES, vlans::VlanEntry},
};
use hitless_ha::{
    record::{FdbRecord, PortRecord, StpKey, StpRecord, VlanRecord},
    schema::Subsystem,
    sender::{FallBack, Open, Sender},
};
use hitless_proto::{
    bridge::table::Slot,
    stpd::{self, Stpds},
};
use std::collections::BTreeMap;
use tracing::{debug, error};

/// Buckets of the FDB that one step of a bulk transfer looks at: less than a millisecond.
const BULK_BUCKETS: u32 = 8_192;

/// The standby and what it was told.
pub(super) struct Attached {
    pub link: Link,
    pub sender: Sender,
    /// [`Master::config_version`] of the configuration that it has.
    pub config: Option<u64>,
    pub ports: BTreeMap<PortNo, PortRecord>,
    pub vlans: Vec<VlanEntry>,
    pub stp: BTreeMap<StpKey, StpRecord>,
    #[cfg(feature = "edition-newer")]
    pub census: BTreeMap<VlanId, hitless_ha::record::CensusRecord>,
    /// The bucket at which the bulk transfer of the FDB goes on.
    pub fdb_next: u32,
    /// Counts when the transfer of everything began.
    pub counted: (u64, u64),
    /// When it connected.
    pub since: u64,
}

impl Attached {
    /// Makes a step of the bulk transfer of the FDB.
    pub fn bulk_fdb(&mut self, master: &Master, now: u64) {
        let table = master.learning.table();
        let end = self
            .fdb_next
            .saturating_add(BULK_BUCKETS)
            .min(table.buckets());
        let mut open = self.sender.begin(now);
        for bucket in self.fdb_next..end {
            for index in 0..BUCKET_ENTRIES {
                put_slot(&mut open, master, Slot::new(bucket, index), false);
            }
        }
        open.commit();
        self.fdb_next = end;
        if end == table.buckets() {
            self.sender.end_bulk(now, Subsystem::Fdb);
        }
    }

    /// Sends what has changed of everything; whether tables had, see [`Master::take_table_changes`].
    pub fn changes(&mut self, master: &mut Master, now: u64, slots: &mut Vec<Slot>) -> bool {
        slots.clear();
        let tables = master.take_table_changes();
        let stp = master.stp.take_dirty();
        if !master.learning.take_changes(slots) {
            self.sender.fall_back(FallBack::Queue);
            return tables;
        }
        if slots.is_empty() && !tables && stp.is_empty() {
            return false;
        }
        let mut open = self.sender.begin(now);
        if tables {
            put_tables(
                &mut open,
                master,
                &mut self.config,
                &mut self.ports,
                &mut self.vlans,
            );
            #[cfg(feature = "edition-newer")]
            put_census(&mut open, master, &mut self.census);
        }
        put_stp(&mut open, &master.stp, &mut self.stp, stp);
        if open.sends(Subsystem::Fdb) {
            for &slot in slots.iter() {
                put_slot(&mut open, master, slot, true);
            }
        }
        open.commit();
        tables
    }

    /// Makes the bulk transfer of spanning tree, in one step.
    pub fn bulk_stp(&mut self, master: &Master, now: u64) {
        self.stp.clear();
        let mut open = self.sender.begin(now);
        let keys = master.stp.all_keys();
        put_stp(&mut open, &master.stp, &mut self.stp, keys);
        open.commit();
        self.sender.end_bulk(now, Subsystem::Stp);
    }

    /// Sends what has changed of configuration, ports and VLANs.
    pub fn tables(&mut self, master: &Master, now: u64) {
        let mut open = self.sender.begin(now);
        put_tables(
            &mut open,
            master,
            &mut self.config,
            &mut self.ports,
            &mut self.vlans,
        );
        #[cfg(feature = "edition-newer")]
        put_census(&mut open, master, &mut self.census);
        open.commit();
    }
}

#[inline]
fn put_slot(open: &mut Open<'_>, master: &Master, slot: Slot, free: bool) {
    match master.learning.table().slots().copied(slot) {
        Some(copied) => {
            if let Some(record) = fdb_record(slot, &copied) {
                open.put(&record);
            }
        }
        None if free => {
            open.delete::<FdbRecord>(slot.number());
        }
        None => {}
    }
}

/// Puts the records that differ from those that were sent last.
fn put_tables(
    open: &mut Open<'_>,
    master: &Master,
    config: &mut Option<u64>,
    ports: &mut BTreeMap<PortNo, PortRecord>,
    vlans: &mut Vec<VlanEntry>,
) {
    // Writing it out takes long for a large one.
    if open.sends(Subsystem::Config) && *config != Some(master.config_version()) {
        match config_record(master) {
            Ok(new) => {
                open.put(&new);
                *config = Some(master.config_version());
            }
            Err(e) => error!("the configuration can not be checkpointed: {e:#}"),
        }
    }
    if open.sends(Subsystem::Ports) {
        let new = port_records(master);
        for gone in ports.keys().filter(|port| !new.contains_key(port)) {
            open.delete::<PortRecord>(*gone);
        }
        for (port, record) in &new {
            if ports.get(port) != Some(record) {
                open.put(record);
            }
        }
        *ports = new;
    }
    if open.sends(Subsystem::Vlans) {
        let new = master.vlans();
        let nothing = VlanEntry::default();
        for (id, entry) in (0..).zip(new) {
            let Some(vlan) = VlanId::new(id) else {
                continue;
            };
            let old = vlans.get(usize::from(id)).unwrap_or(&nothing);
            if old == entry {
                continue;
            }
            match *entry == nothing {
                true => open.delete::<VlanRecord>(vlan),
                false => open.put(&vlan_record(vlan, entry)),
            };
        }
        vlans.clear();
        vlans.extend_from_slice(new);
    }
    debug!(octets = open.len(), "tables checkpointed");
}

/// Puts the counts of VLANs that differ from those that were sent last.
#[cfg(feature = "edition-newer")]
fn put_census(
    open: &mut Open<'_>,
    master: &Master,
    told: &mut BTreeMap<VlanId, hitless_ha::record::CensusRecord>,
) {
    use super::super::records::census_record;
    use hitless_ha::record::CensusRecord;

    if !open.sends(Subsystem::Census) {
        return;
    }
    let entries = (0..).zip(master.vlans());
    let new: BTreeMap<VlanId, CensusRecord> = entries
        .filter(|(_, entry)| **entry != VlanEntry::default())
        .filter_map(|(id, entry)| VlanId::new(id).map(|vlan| (vlan, census_record(vlan, entry))))
        .collect();
    for gone in told.keys().filter(|vlan| !new.contains_key(vlan)) {
        open.delete::<CensusRecord>(*gone);
    }
    for (vlan, record) in &new {
        if told.get(vlan) != Some(record) {
            open.put(record);
        }
    }
    *told = new;
}

/// Puts of these records of spanning tree what differs from what was sent last.
fn put_stp(
    open: &mut Open<'_>,
    stpds: &Stpds,
    told: &mut BTreeMap<StpKey, StpRecord>,
    keys: Vec<stpd::StpKey>,
) {
    if !open.sends(Subsystem::Stp) {
        return;
    }
    for (stpd, port) in keys {
        let Some(key) = stp_key(stpd, port) else {
            continue;
        };
        let Some(new) = stp_record(stpds, (stpd, port)) else {
            if told.remove(&key).is_some() {
                open.delete::<StpRecord>(key);
            }
            continue;
        };
        match told.insert(key, new) {
            Some(old) if old == new => {}
            Some(old) => drop(open.update(&old, &new)),
            None => drop(open.put(&new)),
        }
    }
}

pub(super) fn port_records(master: &Master) -> BTreeMap<PortNo, PortRecord> {
    master
        .ports
        .iter()
        .map(|(&port, state)| (port, port_record(master, port, state)))
        .collect()
}

#[cfg(test)]
mod tests;
