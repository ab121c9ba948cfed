//! The switch's log, kept across failover: JSON lines in `/run/hitless/<switch>/log`, to which both modules append.
//!
//! Each line is one write to a file opened for appending, so lines of two modules never mix, and one of a dying
//! master is there or is not. No lock is ever waited for: a module that hangs must not hold the other one up. Whatever
//! goes wrong with the file, the module goes on; what it could not write is counted.

mod file;
mod printable;
mod read;
mod time;

#[cfg(test)]
mod tests;

pub use printable::{Events, printable};
pub use read::{Filter, read};
pub use time::{rfc3339, unix_ms};

use crate::northbound::api::{LogLevel, ModuleRole};
use file::LogFile;
use hitless_ha::slot::ModuleSlot;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt, io,
    io::Write as _,
    panic::PanicHookInfo,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Octets of a message; the rest is cut.
const MAX_MESSAGE: usize = 2_048;
/// Octets of a field's value; the rest is cut.
const MAX_VALUE: usize = 512;
/// Fields of a line; the rest is left out.
const MAX_FIELDS: usize = 16;
/// Lines that are kept until the directory is known.
const MAX_EARLY: usize = 256;

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    /// RFC 3339, UTC, milliseconds.
    time: String,
    level: LogLevel,
    slot: ModuleSlot,
    role: ModuleRole,
    pid: u32,
    message: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, String>,
}

/// One module's pen: a layer for [`tracing`], to be cloned wherever something must be written past it.
#[derive(Clone)]
pub struct Logbook(Arc<Shared>);

struct Shared {
    slot: ModuleSlot,
    role: AtomicU8,
    file: OnceLock<LogFile>,
    early: Mutex<Vec<Vec<u8>>>,
    /// Lines that could not be written, since the last one that could.
    lost: AtomicU64,
    failures: AtomicU64,
    told: AtomicBool,
}

/// As [`Shared::role`] keeps them.
const ROLES: [ModuleRole; 3] = [ModuleRole::Absent, ModuleRole::Standby, ModuleRole::Master];

impl Logbook {
    /// The pen of the module in a slot. It keeps the first lines to itself until [`Logbook::open`].
    #[must_use]
    pub fn new(slot: ModuleSlot) -> Self {
        Self(Arc::new(Shared {
            slot,
            role: AtomicU8::new(0),
            file: OnceLock::new(),
            early: Mutex::new(Vec::new()),
            lost: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            told: AtomicBool::new(false),
        }))
    }

    /// Writes to `log` in this directory from now on, first what was kept. Only the first call counts.
    pub fn open(&self, directory: &Path) {
        if self
            .0
            .file
            .set(LogFile::new(directory, self.0.slot))
            .is_err()
        {
            return;
        }
        let early = match self.0.early.lock() {
            Ok(mut early) => std::mem::take(&mut *early),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        for line in early {
            self.append(&line);
        }
    }

    /// What the module is from now on; it stands in each line.
    pub fn set_role(&self, role: ModuleRole) {
        let place = ROLES.iter().position(|&known| known == role).unwrap_or(0);
        self.0.role.store(place as u8, Ordering::Relaxed);
    }

    /// Lines that could not be written since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Writes a line past `tracing`.
    pub fn write(&self, level: LogLevel, message: &str, fields: &[(&str, String)]) {
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        self.line(level, message, fields);
    }

    /// Writes what a panic hook is told. Takes no lock that a panic can have left behind.
    pub fn write_panic(&self, panic: &PanicHookInfo<'_>) {
        let at = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        let fields = [
            ("at", at.unwrap_or_default()),
            ("thread", thread.name().unwrap_or_default().into()),
        ];
        let message = format!("panic: {}", panic_message(panic));
        self.write(LogLevel::Error, &message, &fields);
    }

    fn line<'a>(
        &self,
        level: LogLevel,
        message: &str,
        fields: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        let role = usize::from(self.0.role.load(Ordering::Relaxed));
        let line = Line {
            time: rfc3339(unix_ms()),
            level,
            slot: self.0.slot,
            role: ROLES.get(role).copied().unwrap_or(ModuleRole::Absent),
            pid: std::process::id(),
            message: cut(message, MAX_MESSAGE).into(),
            fields: fields
                .take(MAX_FIELDS)
                .map(|(name, value)| (name.into(), cut(value, MAX_VALUE).into()))
                .collect(),
        };
        // A structure of texts and numbers can be written as JSON.
        let Ok(mut line) = serde_json::to_vec(&line) else {
            return;
        };
        line.push(b'\n');
        self.append(&line);
    }

    fn append(&self, line: &[u8]) {
        let Some(file) = self.0.file.get() else {
            // A panic may have this lock on its own thread; then its line is on standard error only.
            if let Ok(mut early) = self.0.early.try_lock()
                && early.len() < MAX_EARLY
            {
                early.push(line.into());
            }
            return;
        };
        match file.append(line) {
            Ok(()) => {
                let lost = self.0.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let fields = [("lines", lost.to_string())];
                    self.write(
                        LogLevel::Warn,
                        "lines of this log could not be written",
                        &fields,
                    );
                }
            }
            Err(e) => self.count_failure(file, &e),
        }
    }

    fn count_failure(&self, file: &LogFile, why: &io::Error) {
        self.0.lost.fetch_add(1, Ordering::Relaxed);
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        if !self.0.told.swap(true, Ordering::Relaxed) {
            // Not by tracing, which would come here again. Standard error may be closed.
            let _ = writeln!(
                io::stderr(),
                "can not write the log {}: {why}; going on without, and not saying so again",
                file.path().display()
            );
        }
    }
}

impl<S: Subscriber> Layer<S> for Logbook {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let fields = values.fields.iter();
        self.line(
            level(*event.metadata().level()),
            &values.message,
            fields.map(|(name, value)| (*name, value.as_str())),
        );
    }
}

/// The message and the fields of an event.
#[derive(Default)]
struct Values {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.into();
        } else {
            self.fields.push((field.name(), value.into()));
        }
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

/// What a panic says, as text.
#[must_use]
pub fn panic_message(panic: &PanicHookInfo<'_>) -> String {
    panic
        .payload_as_str()
        .unwrap_or("with something that is no text")
        .into()
}

/// As much of a text as `octets` hold.
fn cut(text: &str, octets: usize) -> &str {
    &text[..text.floor_char_boundary(octets)]
}
