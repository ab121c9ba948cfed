use super::Record;
use crate::message::{RecordError, fields};
use crate::schema::Subsystem;
use crate::schema::config::{DOCUMENT, FILE, ROLLBACK, ROLLBACK_AT, ROLLBACK_SAVED, SAVED, id};

/// The running configuration. There is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigRecord {
    /// The document: YAML, or JSON, which is YAML too.
    pub document: Vec<u8>,
    /// Whether it is the one in the file.
    pub saved: bool,
    /// The file that it came from and is saved to.
    pub file: String,
    /// The document that is gone back to unless this one is confirmed; empty: this one needs no confirmation.
    pub rollback: Vec<u8>,
    /// Whether that one is in the file.
    pub rollback_saved: bool,
    /// When, in milliseconds of `CLOCK_MONOTONIC`.
    pub rollback_at: u64,
}

impl Record for ConfigRecord {
    const SUBSYSTEM: Subsystem = Subsystem::Config;
    type Key = ();

    fn key(&self) {}

    fn write_key((): (), _: &mut Vec<u8>) {}

    fn read_key(_: &[u8]) -> Result<(), RecordError> {
        Ok(())
    }

    fn write(&self, base: Option<&Self>, out: &mut Vec<u8>) {
        let blank = Self::default();
        let base = base.unwrap_or(&blank);
        if self.document != base.document {
            DOCUMENT.bytes(out, &self.document);
        }
        if self.saved != base.saved {
            SAVED.number(out, self.saved.into());
        }
        if self.file != base.file {
            FILE.bytes(out, self.file.as_bytes());
        }
        if self.rollback != base.rollback {
            ROLLBACK.bytes(out, &self.rollback);
        }
        if self.rollback_saved != base.rollback_saved {
            ROLLBACK_SAVED.number(out, self.rollback_saved.into());
        }
        if self.rollback_at != base.rollback_at {
            ROLLBACK_AT.number(out, self.rollback_at);
        }
    }

    fn read(base: Option<&Self>, record: &[u8]) -> Result<Self, RecordError> {
        let mut config = base.cloned().unwrap_or_default();
        for field in fields(record) {
            match field? {
                (id::DOCUMENT, value) => config.document = value.bytes(DOCUMENT)?.to_vec(),
                (id::SAVED, value) => config.saved = value.bool(SAVED)?,
                (id::FILE, value) => config.file = value.text(FILE)?.into(),
                (id::ROLLBACK, value) => config.rollback = value.bytes(ROLLBACK)?.to_vec(),
                (id::ROLLBACK_SAVED, value) => {
                    config.rollback_saved = value.bool(ROLLBACK_SAVED)?
                }
                (id::ROLLBACK_AT, value) => config.rollback_at = value.u64(ROLLBACK_AT)?,
                _ => {}
            }
        }
        Ok(config)
    }
}
