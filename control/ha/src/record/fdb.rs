use super::{KEY_LAST, Record};
use crate::digest;
use crate::message::{FieldError, RecordError, fields, wrong};
use crate::schema::Subsystem;
use crate::schema::fdb::{FLAGS, HELD, MAC, MOVES, PORT, SINCE, SLOT, VLAN, id};
use hitless_common::limits::MAX_PORTS;
use hitless_common::map::fdb::FdbKey;
use hitless_common::{Mac, VlanId};

/// What one slot of the forwarding database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbRecord {
    /// Which slot: bucket × 4 + place in the bucket.
    pub slot: u32,
    /// The address's VLAN.
    pub vlan: VlanId,
    /// The address.
    pub mac: Mac,
    /// Port number; 0 for a blackhole.
    pub port: u16,
    /// [`hitless_common::map::fdb::flag`] bits.
    pub flags: u16,
    /// Moves counted since `since`.
    pub moves: u16,
    /// The epoch of the first of these moves, or in which the entry was put on hold.
    pub since: u32,
    /// Whether the entry moved too often and is held where it is.
    pub held: bool,
}

impl FdbRecord {
    /// The address and its VLAN.
    #[must_use]
    pub const fn fdb_key(&self) -> FdbKey {
        FdbKey::new(self.vlan, self.mac)
    }
}

impl Record for FdbRecord {
    const SUBSYSTEM: Subsystem = Subsystem::Fdb;
    type Key = u32;

    fn key(&self) -> u32 {
        self.slot
    }

    fn write_key(slot: u32, out: &mut Vec<u8>) {
        SLOT.number(out, slot.into());
    }

    fn read_key(record: &[u8]) -> Result<u32, RecordError> {
        let mut slot = None;
        for field in fields(record) {
            if let (id::SLOT, value) = field? {
                slot = Some(value.u32(SLOT)?);
            }
        }
        slot.ok_or(RecordError::Missing(SLOT.name))
    }

    #[inline]
    fn write(&self, base: Option<&Self>, out: &mut Vec<u8>) {
        if !KEY_LAST {
            Self::write_key(self.slot, out);
        }
        // Address and port have no defaults.
        if base.is_none_or(|b| b.vlan != self.vlan) {
            VLAN.number(out, self.vlan.get().into());
        }
        if base.is_none_or(|b| b.mac != self.mac) {
            MAC.number(out, self.mac.to_u64());
        }
        if base.is_none_or(|b| b.port != self.port) {
            PORT.number(out, self.port.into());
        }
        if self.flags != base.map_or(0, |b| b.flags) {
            FLAGS.number(out, self.flags.into());
        }
        if self.moves != base.map_or(0, |b| b.moves) {
            MOVES.number(out, self.moves.into());
        }
        if self.since != base.map_or(0, |b| b.since) {
            SINCE.number(out, self.since.into());
        }
        if self.held != base.is_some_and(|b| b.held) {
            HELD.number(out, self.held.into());
        }
        if KEY_LAST {
            Self::write_key(self.slot, out);
        }
    }

    #[inline]
    fn read(base: Option<&Self>, record: &[u8]) -> Result<Self, RecordError> {
        let (mut slot, mut vlan, mut mac, mut port) = (None, None, None, None);
        let (mut flags, mut moves, mut since, mut held) = (0, 0, 0, false);
        if let Some(base) = base {
            slot = Some(base.slot);
            (vlan, mac, port) = (Some(base.vlan), Some(base.mac), Some(base.port));
            (flags, moves, since, held) = (base.flags, base.moves, base.since, base.held);
        }
        for field in fields(record) {
            match field? {
                (id::SLOT, value) => slot = Some(value.u32(SLOT)?),
                (id::VLAN, value) => vlan = Some(value.vlan(VLAN)?),
                (id::MAC, value) => mac = Some(value.mac(MAC)?),
                (id::PORT, value) => port = Some(value.u16(PORT)?),
                (id::FLAGS, value) => flags = value.u16(FLAGS)?,
                (id::MOVES, value) => moves = value.u16(MOVES)?,
                (id::SINCE, value) => since = value.u32(SINCE)?,
                (id::HELD, value) => held = value.bool(HELD)?,
                _ => {}
            }
        }
        let port = port.ok_or(RecordError::Missing(PORT.name))?;
        if usize::from(port) > MAX_PORTS {
            let (value, max) = (port.into(), MAX_PORTS as u64);
            return Err(wrong(PORT, FieldError::Range { value, max }));
        }
        Ok(Self {
            slot: slot.ok_or(RecordError::Missing(SLOT.name))?,
            vlan: vlan.ok_or(RecordError::Missing(VLAN.name))?,
            mac: mac.ok_or(RecordError::Missing(MAC.name))?,
            port,
            flags,
            moves,
            since,
            held,
        })
    }

    #[inline]
    fn hash(&self) -> u64 {
        let small = u64::from(self.moves) << 33 | u64::from(self.since) << 1 | u64::from(self.held);
        digest::fdb_entry(self.slot, self.fdb_key(), self.port, self.flags) ^ digest::mix(small, 1)
    }
}
