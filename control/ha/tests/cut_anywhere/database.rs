//! The standby's temporary database.

use super::hardware::BUCKETS;
use hitless_common::{PortNo, VlanId};
use hitless_ha::digest::Digest;
use hitless_ha::receiver::{Database, Store};
use hitless_ha::record::{
    ConfigRecord, FdbRecord, PortRecord, Record, StpKey, StpRecord, VlanRecord,
};
use hitless_ha::schema::Subsystem;
use hitless_ha::state::Reason;
use hitless_proto::bridge::shadow::{Copied, Replica, ShadowBucket};
use hitless_proto::bridge::table::Slot;
use hitless_proto::time::Epoch;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub config: BTreeMap<(), ConfigRecord>,
    pub ports: BTreeMap<PortNo, PortRecord>,
    pub vlans: BTreeMap<VlanId, VlanRecord>,
    pub stp: BTreeMap<StpKey, StpRecord>,
    pub fdb: BTreeMap<u32, FdbRecord>,
}

macro_rules! store {
    ($($map:ident: $record:ty),*) => {$(
        impl Store<$record> for Memory {
            fn put(&mut self, record: $record) -> Result<(), Reason> {
                self.$map.insert(record.key(), record);
                Ok(())
            }
            fn delete(&mut self, key: <$record as Record>::Key) -> Result<(), Reason> {
                self.$map.remove(&key);
                Ok(())
            }
            fn find(&self, key: <$record as Record>::Key) -> Option<$record> {
                self.$map.get(&key).cloned()
            }
        }
    )*};
}

store!(config: ConfigRecord, ports: PortRecord, vlans: VlanRecord, stp: StpRecord, fdb: FdbRecord);

impl Database for Memory {
    fn clear(&mut self, subsystem: Subsystem) {
        match subsystem {
            Subsystem::Module => {}
            Subsystem::Config => self.config.clear(),
            Subsystem::Ports => self.ports.clear(),
            Subsystem::Vlans => self.vlans.clear(),
            Subsystem::Stp => self.stp.clear(),
            Subsystem::Fdb => self.fdb.clear(),
        }
    }

    fn digest(&self, subsystem: Subsystem) -> Digest {
        match subsystem {
            Subsystem::Module => Digest::default(),
            Subsystem::Config => self.config.values().map(Record::hash).collect(),
            Subsystem::Ports => self.ports.values().map(Record::hash).collect(),
            Subsystem::Vlans => self.vlans.values().map(Record::hash).collect(),
            Subsystem::Stp => self.stp.values().map(Record::hash).collect(),
            Subsystem::Fdb => self.fdb.values().map(Record::hash).collect(),
        }
    }
}

impl Memory {
    /// The number of the configuration, see [`super::events::config`].
    pub fn config_number(&self) -> Option<usize> {
        let document = &self.config.get(&())?.document;
        std::str::from_utf8(document).ok()?.parse().ok()
    }

    /// The database of addresses in the form that a master resumes from.
    pub fn replica<'m>(&self, memory: &'m mut [ShadowBucket]) -> Replica<'m> {
        let mut replica = Replica::new(memory);
        for record in self.fdb.values() {
            let copied = Copied {
                key: record.fdb_key(),
                port: record.port as u8,
                flags: record.flags as u8,
                moves: record.moves,
                since: Epoch::new(record.since),
                held: record.held,
            };
            replica.put(Slot::numbered(record.slot), &copied).unwrap();
        }
        replica
    }
}

/// Memory for a software copy.
pub fn shadow() -> Vec<ShadowBucket> {
    vec![ShadowBucket::default(); BUCKETS]
}

/// The record of a slot of the software copy.
pub fn fdb_record(slot: Slot, copied: &Copied) -> FdbRecord {
    FdbRecord {
        slot: slot.number(),
        vlan: copied.key.vlan().unwrap(),
        mac: copied.key.mac(),
        port: copied.port.into(),
        flags: copied.flags.into(),
        moves: copied.moves,
        since: copied.since.get(),
        held: copied.held,
    }
}
