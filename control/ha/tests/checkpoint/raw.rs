//! Messages put together by hand, octet by octet, as another version or a mad one would.

use super::model::{Model, hello};
use hitless_ha::message::LinkError;
use hitless_ha::receiver::{Limits, Receiver};
use hitless_ha::slot::ModuleSlot;

pub const BEGIN: u16 = 1;
pub const END: u16 = 2;
pub const WHOLE: u16 = BEGIN | END;

pub const MODULE: u16 = 1;
pub const CONFIG: u16 = 2;
pub const PORTS: u16 = 3;
pub const VLANS: u16 = 4;
pub const FDB: u16 = 5;
pub const STP: u16 = 6;

pub const KEEPALIVE: u16 = 2;
pub const PUT: u16 = 1;
pub const UPDATE: u16 = 2;
pub const DELETE: u16 = 3;
pub const BULK_BEGIN: u16 = 4;
pub const BULK_END: u16 = 5;

/// A message, without its number.
#[derive(Clone, Debug)]
pub struct Raw {
    pub subsystem: u16,
    pub subtype: u16,
    pub flags: u16,
    pub transaction: u64,
    pub body: Vec<u8>,
}

impl Raw {
    pub fn bytes(&self, sequence: u64) -> Vec<u8> {
        let mut out = b"HTLS".to_vec();
        out.extend(1u16.to_le_bytes());
        out.extend(self.subsystem.to_le_bytes());
        out.extend(self.subtype.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend(self.transaction.to_le_bytes());
        out.extend(sequence.to_le_bytes());
        out.extend((self.body.len() as u32).to_le_bytes());
        let mut covered = out.clone();
        covered.extend(&self.body);
        out.extend(crc32fast::hash(&covered).to_le_bytes());
        out.extend(&self.body);
        out
    }
}

/// A field with a kind and the octets that follow its tag.
pub fn field(id: u16, kind: u16, octets: &[u8]) -> Vec<u8> {
    let mut out = ((id << 4) | kind).to_le_bytes().to_vec();
    out.extend(octets);
    out
}

pub fn u8(id: u16, value: u8) -> Vec<u8> {
    field(id, 1, &[value])
}

pub fn u16(id: u16, value: u16) -> Vec<u8> {
    field(id, 2, &value.to_le_bytes())
}

pub fn u32(id: u16, value: u32) -> Vec<u8> {
    field(id, 3, &value.to_le_bytes())
}

pub fn mac(id: u16, value: u64) -> Vec<u8> {
    field(id, 4, &value.to_le_bytes()[..6])
}

pub fn u64(id: u16, value: u64) -> Vec<u8> {
    field(id, 5, &value.to_le_bytes())
}

pub fn short(id: u16, value: &[u8]) -> Vec<u8> {
    let mut octets = (value.len() as u16).to_le_bytes().to_vec();
    octets.extend(value);
    field(id, 6, &octets)
}

pub fn long(id: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    let mut octets = (value.len() as u32).to_le_bytes().to_vec();
    octets.extend(value);
    field(id, kind, &octets)
}

/// A record of these fields.
pub fn record(fields: &[Vec<u8>]) -> Vec<u8> {
    let fields = fields.concat();
    let mut out = (fields.len() as u32).to_le_bytes().to_vec();
    out.extend(fields);
    out
}

/// A learned address as this version writes it.
pub fn address(slot: u32, vlan: u16, last: u8, port: u16) -> Vec<u8> {
    let mac = mac(3, 0x0200_0000_0000 | u64::from(last));
    record(&[u32(1, slot), u16(2, vlan), mac, u16(4, port)])
}

/// A standby that hears what is put together by hand.
pub struct Standby {
    pub receiver: Receiver,
    pub database: Model,
    pub sequence: u64,
    pub transaction: u64,
    pub now: u64,
}

impl Standby {
    pub fn new(limits: Limits) -> Self {
        let mut receiver = Receiver::new(0, &hello(ModuleSlot::MsmB), limits);
        receiver.sent(usize::MAX);
        Self {
            receiver,
            database: Model::default(),
            sequence: 0,
            transaction: 0,
            now: 0,
        }
    }

    /// A standby whose subsystems are all ready, and empty.
    pub fn ready() -> Self {
        Self::ready_with(Limits::default())
    }

    pub fn ready_with(limits: Limits) -> Self {
        let mut standby = Self::new(limits);
        for subsystem in [CONFIG, PORTS, VLANS, STP, FDB] {
            standby.whole(subsystem, BULK_BEGIN, &[]);
            standby.whole(subsystem, BULK_END, &[]);
        }
        assert!(standby.receiver.ready());
        standby.receiver.sent(usize::MAX);
        standby.receiver.take_events();
        standby
    }

    pub fn hear(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.receiver.receive(self.now, bytes, &mut self.database)
    }

    /// A message of the bracket `transaction` with the number that is due.
    pub fn message(
        &mut self,
        subsystem: u16,
        subtype: u16,
        flags: u16,
        transaction: u64,
        body: &[u8],
    ) {
        self.sequence += 1;
        let raw = Raw {
            subsystem,
            subtype,
            flags,
            transaction,
            body: body.to_vec(),
        };
        let bytes = raw.bytes(self.sequence);
        self.hear(&bytes).unwrap();
    }

    /// A sign of life of the master.
    pub fn keepalive(&mut self) {
        self.message(MODULE, KEEPALIVE, 0, self.transaction, &[]);
    }

    /// The same in the current bracket, which `flags` may open or close.
    pub fn part(&mut self, subsystem: u16, subtype: u16, flags: u16, body: &[u8]) {
        if flags & BEGIN != 0 {
            self.transaction += 1;
        }
        self.message(subsystem, subtype, flags, self.transaction, body);
    }

    /// A bracket of one message.
    pub fn whole(&mut self, subsystem: u16, subtype: u16, records: &[Vec<u8>]) {
        self.part(subsystem, subtype, WHOLE, &records.concat());
    }
}
