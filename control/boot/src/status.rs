//! What the boot of a slot tells its owner: a file with a word and its value on each line, replaced as a whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::directory;
use crate::slot::Slot;

/// A slot's boot and module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Process of the boot; 0 if unknown.
    pub boot: u32,
    /// Process of the daemon, while there is one.
    pub daemon: Option<u32>,
    /// The role that the daemon told: `master` or `standby`.
    pub role: Option<String>,
    /// The version that the daemon told.
    pub version: Option<String>,
}

/// The status file of a slot in a backplane directory.
#[must_use]
pub fn path(backplane: &Path, slot: Slot) -> PathBuf {
    backplane.join(format!("status-{slot}"))
}

impl Status {
    /// Replaces the slot's status file.
    ///
    /// # Errors
    /// When it can not be written; then the old one stands.
    pub fn write(&self, backplane: &Path, slot: Slot) -> io::Result<()> {
        let path = path(backplane, slot);
        let new = path.with_extension("new");
        directory::write(&new, self.text().as_bytes())?;
        fs::rename(&new, &path)
    }

    /// Reads a slot's status file. What it does not tell, or not in this form, is unknown.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(backplane: &Path, slot: Slot) -> io::Result<Self> {
        let text = fs::read(path(backplane, slot))?;
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn text(&self) -> String {
        let mut text = format!("boot {}\n", self.boot);
        if let Some(pid) = self.daemon {
            // Writing to a string does not fail.
            let _ = writeln!(text, "daemon {pid}");
        }
        for (word, value) in [("role", &self.role), ("version", &self.version)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{word} {value}");
            }
        }
        text
    }

    fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for (word, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "boot" => status.boot = value.parse().unwrap_or(0),
                "daemon" => status.daemon = value.parse().ok(),
                "role" => status.role = Some(value.to_owned()),
                "version" => status.version = Some(value.to_owned()),
                _ => {}
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut status = Status {
            boot: 7,
            ..Status::default()
        };
        assert!(Status::read(directory.path(), Slot::A).is_err());
        for _ in 0..2 {
            status.write(directory.path(), Slot::A).unwrap();
            assert_eq!(Status::read(directory.path(), Slot::A).unwrap(), status);
            status.daemon = Some(8);
            status.role = Some("standby".into());
            status.version = Some("0.1.0".into());
        }
        assert!(Status::read(directory.path(), Slot::B).is_err());
    }

    #[test]
    fn nonsense_is_unknown() {
        let status = Status::parse("boot x\ndaemon -1\n\u{1}\nfuture thing\nrole");
        assert_eq!(status, Status::default());
    }
}
