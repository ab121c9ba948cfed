//! What the boot of a slot tells its owner: a file with a word and its value on each line, replaced as a whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::bank::Bank;
use crate::choice::Origin;
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
    /// What the daemon was started from, or the last one was; unknown in a slot without image banks.
    pub bank: Option<Origin>,
    /// Banks that were to be booted and could not be, with the reason.
    pub refused: Vec<(Bank, String)>,
    /// Why the selection of a bank could not be used.
    pub unselected: Option<String>,
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
        if let Some(origin) = self.bank {
            let _ = writeln!(text, "bank {origin}");
        }
        for (bank, why) in &self.refused {
            let _ = writeln!(text, "image-refused {bank} {}", line(why));
        }
        if let Some(why) = &self.unselected {
            let _ = writeln!(text, "selection-refused {}", line(why));
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
                "bank" => status.bank = value.parse().ok(),
                "image-refused" => {
                    let (bank, why) = value.split_once(' ').unwrap_or((value, ""));
                    if let Ok(bank) = bank.parse() {
                        status.refused.push((bank, why.to_owned()));
                    }
                }
                "selection-refused" => status.unselected = Some(value.to_owned()),
                _ => {}
            }
        }
        status
    }
}

/// A text of one line: names of files may have more.
fn line(text: &str) -> String {
    text.replace('\n', " ")
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
            status.bank = Some(Origin::Factory);
            status.refused = vec![
                (Bank::Secondary, "/x: is damaged".into()),
                (Bank::Primary, "is empty".into()),
            ];
            status.unselected = Some("/x: is no bank".into());
        }
        assert!(Status::read(directory.path(), Slot::B).is_err());
    }

    #[test]
    fn nonsense_is_unknown() {
        let status = Status::parse(
            "boot x\ndaemon -1\n\u{1}\nfuture thing\nrole\nbank x\nimage-refused x y",
        );
        assert_eq!(status, Status::default());
    }
}
