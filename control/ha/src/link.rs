//! What the modules tell each other about themselves and their link.

use crate::cause::Cause;
use crate::digest::Digest;
use crate::message::{
    Header, LinkError, RecordError, TransactionId, fields, finish, record, records,
};
use crate::schema::link as field;
use crate::schema::link::id;
use crate::schema::{LinkSubtype, Subsystem};
use crate::slot::ModuleSlot;
use crate::state::{Reason, Standing, SubState};

/// Who a module is: the first message in each direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its slot.
    pub slot: ModuleSlot,
    /// The version of its software.
    pub version: String,
    /// Which of its images runs, `primary` or `secondary`.
    pub image: String,
    /// The switch that it belongs to.
    pub switch: String,
    /// Its process.
    pub pid: u32,
    /// Buckets of the forwarding database; 0 from a standby.
    pub fdb_buckets: u32,
    /// The seed of the forwarding database's hash; 0 from a standby.
    pub fdb_seed: u64,
    /// [`crate::schema::fingerprint`] of its software.
    pub schema: u32,
    /// What it checkpoints, as far as this version knows it too.
    pub subsystems: Vec<Subsystem>,
}

impl Hello {
    /// The introduction of a module of this software.
    #[must_use]
    pub fn new(slot: ModuleSlot, version: &str, switch: &str, pid: u32) -> Self {
        Self {
            slot,
            version: version.into(),
            image: String::new(),
            switch: switch.into(),
            pid,
            fdb_buckets: 0,
            fdb_seed: 0,
            schema: crate::schema::fingerprint(),
            subsystems: Subsystem::CHECKPOINTED.into(),
        }
    }

    /// The subsystems of this version that the module does not checkpoint: its version is an earlier one.
    pub(crate) fn lacks(&self) -> impl Iterator<Item = Subsystem> + '_ {
        let all = Subsystem::CHECKPOINTED.into_iter();
        all.filter(|subsystem| !self.subsystems.contains(subsystem))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        record(out, |out| {
            field::SLOT.number(out, self.slot.code().into());
            field::VERSION.bytes(out, self.version.as_bytes());
            field::IMAGE.bytes(out, self.image.as_bytes());
            field::SWITCH.bytes(out, self.switch.as_bytes());
            field::PID.number(out, self.pid.into());
            field::FDB_BUCKETS.number(out, self.fdb_buckets.into());
            field::FDB_SEED.number(out, self.fdb_seed);
            field::SCHEMA.number(out, self.schema.into());
            let codes = self.subsystems.iter().flat_map(|s| s.code().to_le_bytes());
            field::SUBSYSTEMS.bytes(out, &codes.collect::<Vec<u8>>());
        });
    }

    pub(crate) fn read(body: &[u8]) -> Result<Self, LinkError> {
        let read = || {
            let mut slot = None;
            let mut hello = Self::new(ModuleSlot::MsmA, "", "", 0);
            hello.schema = 0;
            hello.subsystems = Subsystem::FIRST.into();
            for entry in fields(only(body)?) {
                match entry? {
                    (id::SLOT, value) => slot = ModuleSlot::from_code(value.u8(field::SLOT)?),
                    (id::VERSION, value) => hello.version = value.text(field::VERSION)?.into(),
                    (id::IMAGE, value) => hello.image = value.text(field::IMAGE)?.into(),
                    (id::SWITCH, value) => hello.switch = value.text(field::SWITCH)?.into(),
                    (id::PID, value) => hello.pid = value.u32(field::PID)?,
                    (id::FDB_BUCKETS, value) => {
                        hello.fdb_buckets = value.u32(field::FDB_BUCKETS)?
                    }
                    (id::FDB_SEED, value) => hello.fdb_seed = value.u64(field::FDB_SEED)?,
                    (id::SCHEMA, value) => hello.schema = value.u32(field::SCHEMA)?,
                    (id::SUBSYSTEMS, value) => {
                        let codes = value.bytes(field::SUBSYSTEMS)?.as_chunks().0.iter();
                        let codes = codes.map(|code| u16::from_le_bytes(*code));
                        hello.subsystems = codes.filter_map(Subsystem::from_code).collect();
                    }
                    _ => {}
                }
            }
            hello.slot = slot.ok_or(RecordError::Missing(field::SLOT.name))?;
            Ok(hello)
        };
        read().map_err(malformed(LinkSubtype::Hello))
    }
}

/// The standing of a subsystem, told to the other module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub subsystem: Subsystem,
    pub standing: Standing,
    /// Whether the standby asks for all of the subsystem again.
    pub resync: bool,
}

impl Report {
    pub fn write(self, out: &mut Vec<u8>) {
        record(out, |out| {
            field::SUBSYSTEM.number(out, self.subsystem.code().into());
            field::STATE.number(out, self.standing.state.code().into());
            field::REASON.number(out, self.standing.reason.code().into());
            field::RESYNC.number(out, self.resync.into());
        });
    }

    /// The reports in a body, without those about subsystems that this version does not know.
    pub fn read_all(body: &[u8]) -> Result<Vec<Self>, LinkError> {
        let read = |record: Result<&[u8], RecordError>| {
            let (mut subsystem, mut resync) = (0, false);
            let mut standing = Standing::default();
            for entry in fields(record?) {
                match entry? {
                    (id::SUBSYSTEM, value) => subsystem = value.u16(field::SUBSYSTEM)?,
                    (id::STATE, value) => {
                        standing.state = SubState::from_code(value.u8(field::STATE)?);
                    }
                    (id::REASON, value) => {
                        standing.reason = Reason::from_code(value.u8(field::REASON)?);
                    }
                    (id::RESYNC, value) => resync = value.bool(field::RESYNC)?,
                    _ => {}
                }
            }
            Ok(Subsystem::from_code(subsystem).map(|subsystem| Self {
                subsystem,
                standing,
                resync,
            }))
        };
        records(body)
            .filter_map(|record| read(record).transpose())
            .collect::<Result<_, _>>()
            .map_err(malformed(LinkSubtype::Status))
    }
}

/// Writes the digests of a database.
pub(crate) fn write_digests(digests: &[(Subsystem, Digest)], out: &mut Vec<u8>) {
    for (subsystem, digest) in digests {
        record(out, |out| {
            field::SUBSYSTEM.number(out, subsystem.code().into());
            field::COUNT.number(out, digest.count);
            field::HASH.number(out, digest.hash);
        });
    }
}

/// The inverse of [`write_digests`], without subsystems that this version does not know.
pub(crate) fn read_digests(body: &[u8]) -> Result<Vec<(Subsystem, Digest)>, LinkError> {
    let read = |record: Result<&[u8], RecordError>| {
        let mut subsystem = 0;
        let mut digest = Digest::default();
        for entry in fields(record?) {
            match entry? {
                (id::SUBSYSTEM, value) => subsystem = value.u16(field::SUBSYSTEM)?,
                (id::COUNT, value) => digest.count = value.u64(field::COUNT)?,
                (id::HASH, value) => digest.hash = value.u64(field::HASH)?,
                _ => {}
            }
        }
        Ok(Subsystem::from_code(subsystem).map(|subsystem| (subsystem, digest)))
    };
    records(body)
        .filter_map(|record| read(record).transpose())
        .collect::<Result<_, _>>()
        .map_err(malformed(LinkSubtype::Digest))
}

pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    // A text that fits into a message with room to spare, cut where a character ends.
    const LONGEST: usize = 64 << 10;
    let text = &text[..text.floor_char_boundary(LONGEST)];
    record(out, |out| field::TEXT.bytes(out, text.as_bytes()));
}

/// The text of a message; empty without one. What is not UTF-8 is replaced: these are for people to read.
pub(crate) fn read_text(what: LinkSubtype, body: &[u8]) -> Result<String, LinkError> {
    let read = || {
        let mut text = String::new();
        for entry in fields(only(body)?) {
            if let (id::TEXT, value) = entry? {
                text = String::from_utf8_lossy(value.bytes(field::TEXT)?).into_owned();
            }
        }
        Ok(text)
    };
    read().map_err(malformed(what))
}

pub(crate) fn write_cause(cause: Cause, out: &mut Vec<u8>) {
    record(out, |out| field::CAUSE.number(out, cause.code().into()));
}

pub(crate) fn read_cause(body: &[u8]) -> Result<Cause, LinkError> {
    let read = || {
        let mut cause = Cause::Unknown;
        for entry in fields(only(body)?) {
            if let (id::CAUSE, value) = entry? {
                cause = Cause::from_code(value.u8(field::CAUSE)?);
            }
        }
        Ok(cause)
    };
    read().map_err(malformed(LinkSubtype::Handover))
}

/// The message that tells a module, which is then disconnected, why it is not wanted: the first and only one of
/// its link.
#[must_use]
pub fn refusal(why: &str) -> Vec<u8> {
    let mut out = Vec::new();
    message(
        &mut out,
        LinkSubtype::Refuse,
        TransactionId::NONE,
        1,
        |out| {
            write_text(why, out);
        },
    );
    out
}

/// Appends a message about the link.
pub(crate) fn message(
    out: &mut Vec<u8>,
    subtype: LinkSubtype,
    transaction: TransactionId,
    sequence: u64,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    Header {
        subsystem: Subsystem::Module.code(),
        subtype: subtype.code(),
        begin: false,
        end: false,
        transaction,
        sequence,
    }
    .start(out);
    body(out);
    finish(out, start, false);
}

/// The first record of a body, or none at all: then every field is missing.
fn only(body: &[u8]) -> Result<&[u8], RecordError> {
    records(body).next().unwrap_or(Ok(&[]))
}

fn malformed(what: LinkSubtype) -> impl Fn(RecordError) -> LinkError {
    move |error| LinkError::Malformed {
        what: what.name(),
        error,
    }
}
