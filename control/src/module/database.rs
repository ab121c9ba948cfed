//! A standby's temporary database: what its master told it. It takes part in nothing until a takeover.

use super::records::{SavedStpds, copied, fdb_record, vlan_entry};
use crate::{
    config_file, heap,
    hw::{Ahead, Opened, shadow_memory},
    master::Rollback,
    netlink::{Interfaces, LinkChange},
};
use hitless_common::{PortNo, VlanId, map::vlans::VlanEntry};
#[cfg(feature = "edition-newer")]
use hitless_ha::record::CensusRecord;
use hitless_ha::{
    digest::Digest,
    receiver::{Database, Store},
    record::{ConfigRecord, FdbRecord, PortRecord, Record, StpKey, StpRecord, VlanRecord},
    schema::Subsystem,
    state::Reason,
};
use hitless_proto::{
    bridge::{shadow::Replica, table::Slot},
    config::{Config, StpdName},
    stpd::SavedStpd,
};
use std::{collections::BTreeMap, path::Path};
use tracing::{error, warn};

/// Octets that a new master allocates, whatever it takes over.
const ROOM: usize = 2 << 20;

/// Octets that it allocates for each bridge and port of spanning tree: state, what it sends, and what it looks up.
const ROOM_OF_STP: usize = 768;

/// The records, by subsystem.
#[derive(Default)]
pub struct Memory {
    /// The running configuration.
    pub config: Option<ConfigRecord>,
    /// The same, checked.
    running: Option<Config>,
    /// What is gone back to unless that is confirmed.
    rollback: Option<Rollback>,
    /// The ports.
    pub ports: BTreeMap<PortNo, PortRecord>,
    /// The VLANs.
    pub vlans: BTreeMap<VlanId, VlanRecord>,
    /// The spanning tree domains and their ports.
    pub stp: BTreeMap<StpKey, StpRecord>,
    /// The same, in the form that a new master goes on from.
    saved_stp: SavedStpds,
    /// The ports of the VLANs, counted.
    #[cfg(feature = "edition-newer")]
    pub census: BTreeMap<VlanId, CensusRecord>,
    /// The forwarding database, once its size is known.
    pub fdb: Option<Replica<'static>>,
    /// Buckets of the forwarding database.
    fdb_buckets: u32,
    /// The hardware, open to be looked at: taking it does not wait for that then.
    pub hardware: Option<Opened>,
    /// Hardware of this version, if another one's is in charge.
    pub ahead: Option<Ahead>,
    /// The interfaces, kept up with.
    pub interfaces: Option<Interfaces>,
    /// Octets that were made ready for a takeover.
    room: usize,
}

impl Memory {
    /// Makes room for a forwarding database of so many buckets. What was known of one of another size is forgotten;
    /// memory of the same size is used again.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn size_fdb(&mut self, buckets: u32) -> std::io::Result<()> {
        if self.fdb.is_none() || self.fdb_buckets != buckets {
            self.fdb = Some(Replica::new(shadow_memory(buckets as usize)?));
            self.fdb_buckets = buckets;
        }
        Ok(())
    }

    /// Has the memory ready that a takeover would allocate now.
    pub fn make_room(&mut self) {
        let room = ROOM + self.stp.len() * ROOM_OF_STP;
        if room > self.room {
            heap::have_ready(room);
            self.room = room;
        }
    }

    /// Follows a change of the interfaces; without one they can not be followed any more, and a takeover lists them.
    pub async fn follow_interfaces(&mut self, change: Option<LinkChange>) {
        let Some(interfaces) = &mut self.interfaces else {
            return;
        };
        let followed = match change {
            Some(change) => interfaces.follow(change).await,
            None => Err(anyhow::anyhow!("the connection to the kernel has ended")),
        };
        if let Err(e) = followed {
            warn!("the interfaces are not followed any more: {e:#}");
            self.interfaces = None;
        }
    }

    /// The running configuration of the master, once it is known.
    #[must_use]
    pub const fn running(&self) -> Option<&Config> {
        self.running.as_ref()
    }

    /// The same, to go on with.
    pub const fn take_running(&mut self) -> Option<Config> {
        self.running.take()
    }

    /// What the master would go back to unless its running configuration is confirmed.
    pub const fn take_rollback(&mut self) -> Option<Rollback> {
        self.rollback.take()
    }

    /// The spanning tree domains, in the form that a new master goes on from.
    pub fn take_stp(&mut self) -> BTreeMap<StpdName, SavedStpd> {
        self.saved_stp.take()
    }

    /// The VLANs as the master's hardware held them.
    pub fn vlan_entries(&self) -> BTreeMap<VlanId, VlanEntry> {
        let vlans = self.vlans.iter();
        vlans
            .map(|(&vlan, record)| (vlan, vlan_entry(record)))
            .collect()
    }

    /// Records of a subsystem.
    #[must_use]
    pub fn count(&self, subsystem: Subsystem) -> u64 {
        match subsystem {
            Subsystem::Config => self.config.is_some().into(),
            Subsystem::Ports => self.ports.len() as u64,
            Subsystem::Vlans => self.vlans.len() as u64,
            Subsystem::Stp => self.stp.len() as u64,
            Subsystem::Fdb => self.fdb.as_ref().map_or(0, |fdb| fdb.len().into()),
            #[cfg(feature = "edition-newer")]
            Subsystem::Census => self.census.len() as u64,
            Subsystem::Module => 0,
        }
    }
}

impl Store<ConfigRecord> for Memory {
    fn put(&mut self, record: ConfigRecord) -> Result<(), Reason> {
        let file = Path::new(&record.file);
        let checked = |document: &[u8]| {
            config_file::parse_any(document, file).map_err(|e| {
                error!("the master's configuration can not be used by this version: {e}");
                Reason::ConfigFailed
            })
        };
        let unchanged = self
            .config
            .as_ref()
            .is_some_and(|known| known.document == record.document);
        if !unchanged || self.running.is_none() {
            self.running = Some(checked(&record.document)?);
        }
        self.rollback = match record.rollback.as_slice() {
            [] => None,
            document => Some(Rollback {
                config: checked(document)?,
                saved: record.rollback_saved,
                at_ms: record.rollback_at,
            }),
        };
        self.config = Some(record);
        Ok(())
    }

    fn delete(&mut self, (): ()) -> Result<(), Reason> {
        self.clear(Subsystem::Config);
        Ok(())
    }

    fn find(&self, (): ()) -> Option<ConfigRecord> {
        self.config.clone()
    }
}

impl Store<PortRecord> for Memory {
    fn put(&mut self, record: PortRecord) -> Result<(), Reason> {
        self.ports.insert(record.port, record);
        Ok(())
    }

    fn delete(&mut self, port: PortNo) -> Result<(), Reason> {
        self.ports.remove(&port);
        Ok(())
    }

    fn find(&self, port: PortNo) -> Option<PortRecord> {
        self.ports.get(&port).cloned()
    }
}

impl Store<VlanRecord> for Memory {
    fn put(&mut self, record: VlanRecord) -> Result<(), Reason> {
        self.vlans.insert(record.vlan, record);
        Ok(())
    }

    fn delete(&mut self, vlan: VlanId) -> Result<(), Reason> {
        self.vlans.remove(&vlan);
        Ok(())
    }

    fn find(&self, vlan: VlanId) -> Option<VlanRecord> {
        self.vlans.get(&vlan).cloned()
    }
}

impl Store<StpRecord> for Memory {
    fn put(&mut self, record: StpRecord) -> Result<(), Reason> {
        self.saved_stp.put(&record);
        self.stp.insert(record.key, record);
        Ok(())
    }

    fn delete(&mut self, key: StpKey) -> Result<(), Reason> {
        self.saved_stp.delete(key);
        self.stp.remove(&key);
        Ok(())
    }

    fn find(&self, key: StpKey) -> Option<StpRecord> {
        self.stp.get(&key).copied()
    }
}

#[cfg(feature = "edition-newer")]
impl Store<CensusRecord> for Memory {
    fn put(&mut self, record: CensusRecord) -> Result<(), Reason> {
        self.census.insert(record.vlan, record);
        Ok(())
    }

    fn delete(&mut self, vlan: VlanId) -> Result<(), Reason> {
        self.census.remove(&vlan);
        Ok(())
    }

    fn find(&self, vlan: VlanId) -> Option<CensusRecord> {
        self.census.get(&vlan).copied()
    }
}

impl Store<FdbRecord> for Memory {
    #[inline]
    fn put(&mut self, record: FdbRecord) -> Result<(), Reason> {
        let fdb = self.fdb.as_mut().ok_or(Reason::Memory)?;
        fdb.put(Slot::numbered(record.slot), &copied(&record)?)
            .map_err(|_| Reason::CommError)
    }

    fn delete(&mut self, slot: u32) -> Result<(), Reason> {
        let fdb = self.fdb.as_mut().ok_or(Reason::Memory)?;
        fdb.free(Slot::numbered(slot))
            .map_err(|_| Reason::CommError)
    }

    fn find(&self, slot: u32) -> Option<FdbRecord> {
        let slot = Slot::numbered(slot);
        let copied = self.fdb.as_ref()?.get(slot)?;
        fdb_record(slot, &copied)
    }
}

impl Database for Memory {
    fn clear(&mut self, subsystem: Subsystem) {
        match subsystem {
            Subsystem::Config => {
                (self.config, self.running, self.rollback) = (None, None, None);
            }
            Subsystem::Ports => self.ports.clear(),
            Subsystem::Vlans => self.vlans.clear(),
            Subsystem::Stp => {
                self.stp.clear();
                self.saved_stp.clear();
            }
            #[cfg(feature = "edition-newer")]
            Subsystem::Census => self.census.clear(),
            Subsystem::Fdb => {
                if let Some(fdb) = &mut self.fdb {
                    fdb.clear();
                }
            }
            Subsystem::Module => {}
        }
    }

    fn digest(&self, subsystem: Subsystem) -> Digest {
        match subsystem {
            Subsystem::Config => self.config.iter().map(Record::hash).collect(),
            Subsystem::Ports => self.ports.values().map(Record::hash).collect(),
            Subsystem::Vlans => self.vlans.values().map(Record::hash).collect(),
            Subsystem::Stp => self.stp.values().map(Record::hash).collect(),
            #[cfg(feature = "edition-newer")]
            Subsystem::Census => self.census.values().map(Record::hash).collect(),
            Subsystem::Fdb => {
                let slots = self.fdb.iter().flat_map(Replica::iter);
                slots
                    .filter_map(|(slot, copied)| fdb_record(slot, &copied))
                    .map(|record| record.hash())
                    .collect()
            }
            Subsystem::Module => Digest::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hitless_common::Mac;

    fn entry(slot: u32, port: u16) -> FdbRecord {
        FdbRecord {
            slot,
            vlan: VlanId::MIN,
            mac: Mac([2, 0, 0, 0, 0, slot as u8]),
            port,
            flags: 0,
            moves: 3,
            since: 7,
            held: true,
        }
    }

    #[test]
    fn addresses_need_a_table_and_a_slot_in_it() {
        let mut memory = Memory::default();
        assert_eq!(memory.put(entry(1, 1)), Err(Reason::Memory));
        memory.size_fdb(2).unwrap();
        assert_eq!(memory.put(entry(8, 1)), Err(Reason::CommError));
        memory.put(entry(7, 1)).unwrap();
        assert_eq!(Store::<FdbRecord>::find(&memory, 7), Some(entry(7, 1)));
        assert_eq!(memory.count(Subsystem::Fdb), 1);
        let digest = memory.digest(Subsystem::Fdb);
        memory.size_fdb(2).unwrap();
        assert_eq!(memory.digest(Subsystem::Fdb), digest, "the same table");
        Store::<FdbRecord>::delete(&mut memory, 7).unwrap();
        assert_eq!(memory.digest(Subsystem::Fdb), Digest::default());
        memory.put(entry(0, 2)).unwrap();
        memory.clear(Subsystem::Fdb);
        assert_eq!(memory.count(Subsystem::Fdb), 0);
        memory.put(entry(0, 2)).unwrap();
        memory.size_fdb(4).unwrap();
        assert_eq!(memory.count(Subsystem::Fdb), 0, "another table");
    }
}
