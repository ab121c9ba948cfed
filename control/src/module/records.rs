//! Between what a master holds and the records of the checkpoint.

mod stp;

pub(super) use stp::{SavedStpds, stp_key, stp_record, stp_records};

use crate::{
    master::{Master, PortState},
    offload::Offload,
};
use anyhow::{Context, Result};
use hitless_common::{PortNo, VlanId, map::vlans::VlanEntry};
use hitless_ha::{
    record::{ConfigRecord, FdbRecord, PortRecord, VlanRecord},
    state::Reason,
};
use hitless_proto::{
    bridge::{shadow::Copied, table::Slot},
    time::Epoch,
};

/// The record of a slot of the software copy; `None` if what stands there is no address.
#[inline]
pub(super) fn fdb_record(slot: Slot, copied: &Copied) -> Option<FdbRecord> {
    Some(FdbRecord {
        slot: slot.number(),
        vlan: copied.key.vlan()?,
        mac: copied.key.mac(),
        port: copied.port.into(),
        flags: copied.flags.into(),
        moves: copied.moves,
        since: copied.since.get(),
        held: copied.held,
    })
}

/// The inverse of [`fdb_record`].
#[inline]
pub(super) fn copied(record: &FdbRecord) -> Result<Copied, Reason> {
    let small = |value: u16| u8::try_from(value).map_err(|_| Reason::CommError);
    Ok(Copied {
        key: record.fdb_key(),
        port: small(record.port)?,
        flags: small(record.flags)?,
        moves: record.moves,
        since: Epoch::new(record.since),
        held: record.held,
    })
}

/// The record of the running configuration.
pub(super) fn config_record(master: &Master) -> Result<ConfigRecord> {
    // JSON is YAML too, and read ten times as fast.
    let text = |config| serde_json::to_vec(config).context("write the configuration as JSON");
    let rollback = master.rollback.as_ref();
    Ok(ConfigRecord {
        document: text(&master.config)?,
        saved: !master.unsaved,
        file: master.config_file.display().to_string(),
        rollback: rollback.map_or(Ok(Vec::new()), |back| text(&back.config))?,
        rollback_saved: rollback.is_some_and(|back| back.saved),
        rollback_at: rollback.map_or(0, |back| back.at_ms),
    })
}

/// The record of a port.
pub(super) fn port_record(master: &Master, port: PortNo, state: &PortState) -> PortRecord {
    let device = state.device.as_ref();
    let choice = state.choice.as_ref().map(|choice| choice.offload);
    PortRecord {
        device: device.map(|d| d.name.clone()).unwrap_or_default(),
        ifindex: device.map_or(0, |d| d.ifindex),
        link_up: device.is_some_and(|d| d.link_up),
        enabled: master.config.ports.get(&port).is_some_and(|p| p.enabled),
        offload: match choice {
            None => 0,
            Some(Offload::Tc) => 1,
            Some(Offload::Xdp) => 2,
        },
        up: master.port_is_up(port),
        #[cfg(feature = "edition-newer")]
        mtu: device.map_or(0, |d| d.mtu),
        ..PortRecord::new(port)
    }
}

/// The inverse of [`vlan_record`].
pub(super) fn vlan_entry(record: &VlanRecord) -> VlanEntry {
    VlanEntry {
        member: record.member,
        untagged: record.untagged,
        forwarding: record.forwarding,
        learning: record.learning,
        fallback: record.fallback,
        flags: record.flags,
        #[cfg(feature = "edition-newer")]
        reserved: [0; 2],
    }
}

/// The record of a VLAN.
pub(super) fn vlan_record(vlan: VlanId, entry: &VlanEntry) -> VlanRecord {
    VlanRecord {
        vlan,
        member: entry.member,
        untagged: entry.untagged,
        forwarding: entry.forwarding,
        learning: entry.learning,
        fallback: entry.fallback,
        flags: entry.flags,
    }
}

/// The ports of a VLAN, counted.
#[cfg(feature = "edition-newer")]
pub(super) fn census_record(vlan: VlanId, entry: &VlanEntry) -> hitless_ha::record::CensusRecord {
    hitless_ha::record::CensusRecord {
        vlan,
        members: entry.member.iter().count() as u16,
        forwarding: entry.forwarding.iter().count() as u16,
    }
}
