//! The saved configurations of a switch: primary and secondary, and which of them a module takes that starts without
//! a master.
//!
//! The primary is the file given with `--config`; the secondary and the selection are beside it, with `.secondary` and
//! `.selected` at the end of its name.

use std::io;
use std::path::{Path, PathBuf};

use hitless_boot::directory;
use hitless_proto::config::{Config, ConfigBank};
use tracing::warn;

use super::save::{self, Disk, SaveError, Saved, Storage};
use super::{ConfigError, load};

/// See the module.
#[derive(Clone, Debug)]
pub struct Banks {
    primary: PathBuf,
}

impl Banks {
    /// Those of the switch whose primary configuration is in this file.
    #[must_use]
    pub fn new(primary: &Path) -> Self {
        Self {
            primary: primary.into(),
        }
    }

    /// The file of a bank.
    #[must_use]
    pub fn file(&self, bank: ConfigBank) -> PathBuf {
        match bank {
            ConfigBank::Primary => self.primary.clone(),
            ConfigBank::Secondary => save::beside(&self.primary, ".secondary"),
        }
    }

    fn selection(&self) -> PathBuf {
        save::beside(&self.primary, ".selected")
    }

    /// The bank in use: the primary if none was selected. A selection that can not be read or says something else is
    /// logged and taken for the primary.
    #[must_use]
    pub fn selected(&self) -> ConfigBank {
        let file = self.selection();
        let why = match directory::read_word(&file) {
            Ok(word) => match word.trim_end().parse() {
                Ok(bank) => return bank,
                Err(e) => format!("{e}"),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => return ConfigBank::Primary,
            Err(e) => e.to_string(),
        };
        warn!(
            "{}: {why}; the primary configuration is taken, and `use configuration` selects one",
            file.display()
        );
        ConfigBank::Primary
    }

    /// Makes a bank the one in use, at one stroke. Whether it can be used is for the caller to see first.
    ///
    /// # Errors
    /// What the system refused; the bank before is in use then.
    pub fn select(&self, bank: ConfigBank) -> io::Result<()> {
        self.select_on(&mut Disk, bank)
    }

    fn select_on(&self, disk: &mut impl Storage, bank: ConfigBank) -> io::Result<()> {
        let word = format!("{bank}\n");
        save::put(disk, &self.selection(), word.as_bytes(), None)
    }

    /// The name of the switch by its primary configuration, if that can be read and this one has another.
    fn other_switch(&self, config: &Config) -> Option<String> {
        let ours = self.load(ConfigBank::Primary).ok()?.switch;
        (ours != config.switch).then(|| ours.to_string())
    }

    /// Reads a bank.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, bank: ConfigBank) -> Result<Config, ConfigError> {
        load(&self.file(bank))
    }

    /// Reads the bank in use, and says which that was: the primary, with a line in the log, if it is the secondary
    /// and that can not be used.
    ///
    /// # Errors
    /// If the primary can not be used.
    pub fn load_selected(&self) -> Result<(ConfigBank, Config), ConfigError> {
        if self.selected() == ConfigBank::Secondary {
            let why = match self.load(ConfigBank::Secondary) {
                Ok(config) => match self.other_switch(&config) {
                    None => return Ok((ConfigBank::Secondary, config)),
                    Some(ours) => format!("it is that of switch {}, not {ours}", config.switch),
                },
                Err(e) => e.to_string(),
            };
            warn!(
                "the secondary configuration is selected and can not be used, so the primary is taken: {why}"
            );
        }
        Ok((ConfigBank::Primary, self.load(ConfigBank::Primary)?))
    }

    /// Writes a bank; see [`save::write`].
    ///
    /// # Errors
    /// As [`save::write`].
    pub fn save(&self, config: &Config, bank: ConfigBank) -> Result<Saved, SaveError> {
        save::write(config, &self.file(bank))
    }
}

#[cfg(test)]
mod tests;
