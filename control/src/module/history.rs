//! The failovers of a switch, in a file that outlives every module: counts by cause, and the last one.

use hitless_boot::directory;
use hitless_ha::{cause::Cause, slot::ModuleSlot};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use tracing::warn;

use crate::{logbook::unix_ms, northbound::api::FailoverInfo};

/// What is in the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Contents {
    /// How many failovers there were, by cause.
    #[serde(default)]
    failovers: BTreeMap<Cause, u64>,
    /// The last one.
    #[serde(default)]
    last: Option<FailoverInfo>,
}

/// See the module.
#[derive(Debug)]
pub struct History {
    file: PathBuf,
    contents: Contents,
}

impl History {
    /// Reads the file. One that is missing or damaged is an empty history.
    #[must_use]
    pub fn read(run_dir: &Path) -> Self {
        let file = run_dir.join("failovers");
        let contents = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
                warn!(file = %file.display(), "the history of failovers is damaged and begins anew: {e}");
                Contents::default()
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Contents::default(),
            Err(e) => {
                warn!(file = %file.display(), "the history of failovers can not be read: {e}");
                Contents::default()
            }
        };
        Self { file, contents }
    }

    /// Reads the file again: the other module may have written it.
    pub fn refresh(&mut self) {
        if let Some(dir) = self.file.parent() {
            *self = Self::read(dir);
        }
    }

    /// Counts a failover.
    pub fn add(&mut self, failover: FailoverInfo) {
        *self.contents.failovers.entry(failover.cause).or_default() += 1;
        self.contents.last = Some(failover);
        self.write();
    }

    /// Gives the last failover a better cause.
    pub fn correct(&mut self, cause: Cause, detail: Option<String>) {
        let Some(last) = &mut self.contents.last else {
            return;
        };
        if last.cause != cause {
            if let Some(count) = self.contents.failovers.get_mut(&last.cause) {
                *count = count.saturating_sub(1);
            }
            self.contents.failovers.retain(|_, count| *count > 0);
            *self.contents.failovers.entry(cause).or_default() += 1;
            last.cause = cause;
        }
        if detail.is_some() {
            last.detail = detail;
        }
        self.write();
    }

    /// The last failover.
    #[must_use]
    pub const fn last(&self) -> Option<&FailoverInfo> {
        self.contents.last.as_ref()
    }

    /// How many failovers there were, by cause.
    #[must_use]
    pub const fn failovers(&self) -> &BTreeMap<Cause, u64> {
        &self.contents.failovers
    }

    /// Writes the file, whole or not at all. A full disk costs the history, not the switch.
    fn write(&self) {
        let new = self.file.with_extension("new");
        let written = serde_json::to_vec(&self.contents)
            .map_err(io::Error::other)
            .and_then(|bytes| directory::write(&new, &bytes))
            .and_then(|()| fs::rename(&new, &self.file));
        if let Err(e) = written {
            warn!(file = %self.file.display(), "the history of failovers can not be written: {e}");
        }
    }
}

/// A failover that was not timed yet.
#[must_use]
pub fn failover(cause: Cause, from: ModuleSlot, to: ModuleSlot) -> FailoverInfo {
    FailoverInfo {
        cause,
        at_unix_ms: unix_ms(),
        duration_us: 0,
        from,
        to,
        hitless: true,
        detail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_63_failovers_are_counted_across_modules() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = History::read(dir.path());
        assert!(first.last().is_none());
        let event = |cause| failover(cause, ModuleSlot::MsmA, ModuleSlot::MsmB);
        first.add(event(Cause::OperatorCommand));
        first.add(event(Cause::SoftwareException));
        let mut second = History::read(dir.path());
        second.add(event(Cause::SoftwareException));
        second.correct(Cause::WatchdogTimeout, Some("no kick for 250 ms".into()));
        first.refresh();
        let counts: Vec<_> = first.failovers().iter().map(|(c, n)| (*c, *n)).collect();
        assert_eq!(
            counts,
            [
                (Cause::OperatorCommand, 1),
                (Cause::SoftwareException, 1),
                (Cause::WatchdogTimeout, 1)
            ]
        );
        let last = first.last().unwrap();
        assert_eq!(last.cause, Cause::WatchdogTimeout);
        assert_eq!(last.detail.as_deref(), Some("no kick for 250 ms"));
    }

    #[test]
    fn a_damaged_file_is_an_empty_history() {
        let dir = tempfile::tempdir().unwrap();
        for contents in ["", "{", "[1]", "{\"failovers\":{\"none\":-1}}"] {
            fs::write(dir.path().join("failovers"), contents).unwrap();
            assert!(History::read(dir.path()).failovers().is_empty());
        }
    }
}
