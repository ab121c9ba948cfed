//! Master, standby and hardware compared, whole contents: by digests, so that a million entries are told in two numbers.

use super::{
    super::{
        Module,
        records::{config_record, fdb_record, stp_records, vlan_record},
    },
    Primary,
    attached::port_records,
};
use crate::{
    master::Master,
    northbound::{
        api::{CheckedTable, MsmCheckInfo, Reply, Response},
        server::Asker,
    },
};
use hitless_common::{VlanId, map::vlans::VlanEntry};
use hitless_ha::{
    digest::{self, Digest},
    record::Record,
    schema::{self, Subsystem},
};
use hitless_proto::bridge::table::Slot;

/// Buckets of the FDB that a check looks at between two signs of life.
const DIGEST_BUCKETS: u32 = 65_536;

/// A check that waits for the standby's digests.
pub(super) struct Check {
    pub reply: Asker,
    tables: Vec<(Subsystem, Digest, Option<Digest>)>,
}

impl Primary {
    /// Compares the master's tables with the hardware now, and with the standby when it has answered.
    pub fn check(&mut self, module: &Module, master: &mut Master, reply: Asker) {
        master.finish_settling();
        let config = config_record(master).ok();
        let vlans = master.vlans();
        let (model, hardware) = self.fdb_digests(module, master);
        let tables = vec![
            (
                Subsystem::Config,
                config.iter().map(Record::hash).collect(),
                None,
            ),
            (
                Subsystem::Ports,
                port_records(master).values().map(Record::hash).collect(),
                None,
            ),
            (
                Subsystem::Vlans,
                vlan_digest(vlans.iter()),
                Some(vlan_digest(
                    master.hardware.vlans.iter().map(|(_, entry)| entry),
                )),
            ),
            (
                Subsystem::Stp,
                stp_records(&master.stp)
                    .map(|record| record.hash())
                    .collect(),
                None,
            ),
            (Subsystem::Fdb, model, Some(hardware)),
        ];
        if let Some(standby) = &mut self.standby {
            standby.sender.request_digest();
            self.checks.push(Check { reply, tables });
        }
    }

    /// The digests of the master's model of the FDB and of the hardware. The hardware knows neither moves nor holds:
    /// those of the model are taken for its own. A large table takes long, so both watchdog and standby are told that
    /// this module lives.
    fn fdb_digests(&mut self, module: &Module, master: &Master) -> (Digest, Digest) {
        let table = master.learning.table();
        let (mut model, mut copy, mut hardware) = Default::default();
        let add = |digest: &mut Digest, slot: Slot, key, port, flags| {
            digest.add(digest::fdb_entry(slot.number(), key, port, flags));
        };
        for first in (0..table.buckets()).step_by(DIGEST_BUCKETS as usize) {
            let buckets = first..first.saturating_add(DIGEST_BUCKETS).min(table.buckets());
            for (slot, _) in table.scan(buckets.clone()) {
                let Some(copied) = table.slots().copied(slot) else {
                    continue;
                };
                if let Some(record) = fdb_record(slot, &copied) {
                    let model: &mut Digest = &mut model;
                    model.add(record.hash());
                }
                add(
                    &mut copy,
                    slot,
                    copied.key,
                    copied.port.into(),
                    copied.flags.into(),
                );
            }
            for (slot, entry) in table.slots().hardware_entries(buckets) {
                add(&mut hardware, slot, entry.key, entry.port, entry.flags);
            }
            module.kick();
            if let Some(standby) = &mut self.standby {
                standby.sender.keepalive();
                let written = standby.link.write(standby.sender.outgoing());
                standby.sender.sent(written.unwrap_or(0));
            }
        }
        let hash = model
            .hash
            .wrapping_add(hardware.hash)
            .wrapping_sub(copy.hash);
        (model, Digest { hash, ..hardware })
    }

    pub(super) fn finish_check(&mut self, digests: &[(Subsystem, Digest)]) {
        let peer = self.sender().and_then(|s| s.peer());
        let peer = peer.map(|peer| (peer.slot, peer.schema == schema::fingerprint()));
        let (Some((slot, comparable)), false) = (peer, self.checks.is_empty()) else {
            return;
        };
        let check = self.checks.remove(0);
        let tables: Vec<CheckedTable> = check
            .tables
            .into_iter()
            .map(|(subsystem, master, hardware)| {
                let standby = digests.iter().find(|(s, _)| *s == subsystem).map(|d| d.1);
                // Another version makes other hashes of the same records; that none is missing can be told all the same.
                let standby = standby.map(|digest| match comparable {
                    true => digest,
                    false => Digest {
                        hash: master.hash,
                        ..digest
                    },
                });
                checked(subsystem, master, standby, hardware)
            })
            .collect();
        let reply = Reply::MsmCheck(Box::new(MsmCheckInfo {
            equal: tables.iter().all(|table| table.differences == 0),
            standby: slot,
            tables,
        }));
        check.reply.send(Response::Ok(reply));
    }
}

fn vlan_digest<'v>(entries: impl Iterator<Item = &'v VlanEntry>) -> Digest {
    let nothing = VlanEntry::default();
    (0..)
        .zip(entries)
        .filter(|(_, entry)| **entry != nothing)
        .filter_map(|(id, entry)| Some(vlan_record(VlanId::new(id)?, entry).hash()))
        .collect()
}

fn checked(
    subsystem: Subsystem,
    master: Digest,
    standby: Option<Digest>,
    hardware: Option<Digest>,
) -> CheckedTable {
    let mut examples = Vec::new();
    let mut differences = 0;
    for (name, other) in [("standby", standby), ("hardware", hardware)] {
        let Some(other) = other.filter(|other| *other != master) else {
            continue;
        };
        let entries = master.count.abs_diff(other.count).max(1);
        differences += entries;
        examples.push(format!(
            "the {name} has {} entries, the master {}{}",
            other.count,
            master.count,
            if other.count == master.count {
                ", and their contents differ"
            } else {
                ""
            }
        ));
    }
    CheckedTable {
        table: subsystem.name().into(),
        master: master.count,
        standby: standby.map(|d| d.count),
        hardware: hardware.map(|d| d.count),
        differences,
        examples,
    }
}
