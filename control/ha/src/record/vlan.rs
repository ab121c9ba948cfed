use super::{KEY_LAST, Record, in_order};
use crate::message::{RecordError, fields};
use crate::schema::Subsystem;
use crate::schema::vlan::{FALLBACK, FLAGS, FORWARDING, LEARNING, MEMBER, UNTAGGED, VLAN, id};
use hitless_common::VlanId;
use hitless_common::map::vlans::PortSet;

/// A VLAN as the hardware has it, or is about to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanRecord {
    /// Its id.
    pub vlan: VlanId,
    /// Ports that belong to it.
    pub member: PortSet,
    /// Ports that send its frames without a tag.
    pub untagged: PortSet,
    /// Ports that forward its frames.
    pub forwarding: PortSet,
    /// Ports behind which addresses are learned.
    pub learning: PortSet,
    /// Ports that forward its frames while no master renews the lease.
    pub fallback: PortSet,
    /// The flags of its entry in VLANS.
    pub flags: u64,
}

impl VlanRecord {
    /// The record of a VLAN without ports.
    #[must_use]
    pub const fn new(vlan: VlanId) -> Self {
        Self {
            vlan,
            member: PortSet::EMPTY,
            untagged: PortSet::EMPTY,
            forwarding: PortSet::EMPTY,
            learning: PortSet::EMPTY,
            fallback: PortSet::EMPTY,
            flags: 0,
        }
    }
}

impl Record for VlanRecord {
    const SUBSYSTEM: Subsystem = Subsystem::Vlans;
    type Key = VlanId;

    fn key(&self) -> VlanId {
        self.vlan
    }

    fn write_key(vlan: VlanId, out: &mut Vec<u8>) {
        VLAN.number(out, vlan.get().into());
    }

    fn read_key(record: &[u8]) -> Result<VlanId, RecordError> {
        let mut vlan = None;
        for field in fields(record) {
            if let (id::VLAN, value) = field? {
                vlan = Some(value.vlan(VLAN)?);
            }
        }
        vlan.ok_or(RecordError::Missing(VLAN.name))
    }

    fn write(&self, base: Option<&Self>, out: &mut Vec<u8>) {
        if !KEY_LAST {
            Self::write_key(self.vlan, out);
        }
        let blank = Self::new(self.vlan);
        let base = base.unwrap_or(&blank);
        let mut sets = [
            (MEMBER, &self.member, &base.member),
            (UNTAGGED, &self.untagged, &base.untagged),
            (FORWARDING, &self.forwarding, &base.forwarding),
            (LEARNING, &self.learning, &base.learning),
            (FALLBACK, &self.fallback, &base.fallback),
        ];
        in_order(&mut sets);
        for (field, new, old) in sets {
            if new != old {
                field.ports(out, new);
            }
        }
        if self.flags != base.flags {
            FLAGS.number(out, self.flags);
        }
        if KEY_LAST {
            Self::write_key(self.vlan, out);
        }
    }

    fn read(base: Option<&Self>, record: &[u8]) -> Result<Self, RecordError> {
        let key = Self::read_key(record)?;
        let mut vlan = base.copied().unwrap_or_else(|| Self::new(key));
        vlan.vlan = key;
        for field in fields(record) {
            match field? {
                (id::MEMBER, value) => vlan.member = value.ports(MEMBER)?,
                (id::UNTAGGED, value) => vlan.untagged = value.ports(UNTAGGED)?,
                (id::FORWARDING, value) => vlan.forwarding = value.ports(FORWARDING)?,
                (id::LEARNING, value) => vlan.learning = value.ports(LEARNING)?,
                (id::FALLBACK, value) => vlan.fallback = value.ports(FALLBACK)?,
                (id::FLAGS, value) => vlan.flags = value.u64(FLAGS)?,
                _ => {}
            }
        }
        Ok(vlan)
    }
}
