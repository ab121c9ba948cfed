use super::Record;
use crate::message::{RecordError, fields};
use crate::schema::Subsystem;
use crate::schema::census::{FORWARDING, MEMBERS, VLAN, id};
use hitless_common::VlanId;

/// The ports of a VLAN, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CensusRecord {
    /// Its id.
    pub vlan: VlanId,
    /// Ports that belong to it.
    pub members: u16,
    /// Ports that forward its frames.
    pub forwarding: u16,
}

impl Record for CensusRecord {
    const SUBSYSTEM: Subsystem = Subsystem::Census;
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
        Self::write_key(self.vlan, out);
        let (members, forwarding) = base.map_or((0, 0), |b| (b.members, b.forwarding));
        if self.members != members {
            MEMBERS.number(out, self.members.into());
        }
        if self.forwarding != forwarding {
            FORWARDING.number(out, self.forwarding.into());
        }
    }

    fn read(base: Option<&Self>, record: &[u8]) -> Result<Self, RecordError> {
        let mut census = Self {
            vlan: Self::read_key(record)?,
            members: base.map_or(0, |b| b.members),
            forwarding: base.map_or(0, |b| b.forwarding),
        };
        for field in fields(record) {
            match field? {
                (id::MEMBERS, value) => census.members = value.u16(MEMBERS)?,
                (id::FORWARDING, value) => census.forwarding = value.u16(FORWARDING)?,
                _ => {}
            }
        }
        Ok(census)
    }
}
