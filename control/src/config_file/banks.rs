//! The saved configurations of a switch: primary and secondary, and which of them a module takes that starts without
//! a master.
//!
//! The primary is the file given with `--config`; the secondary and the selection are beside it, with `.secondary` and
//! `.selected` at the end of its name.

use super::{ConfigError, load, save};
use hitless_proto::config::{Config, ConfigBank};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tracing::warn;

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

    /// The bank in use. A selection that can not be read or says nothing is the primary.
    #[must_use]
    pub fn selected(&self) -> ConfigBank {
        let file = self.selection();
        match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().unwrap_or_else(|e| {
                warn!(
                    "{}: {e}; the primary configuration is taken",
                    file.display()
                );
                ConfigBank::Primary
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => ConfigBank::Primary,
            Err(e) => {
                warn!(
                    "{}: {e}; the primary configuration is taken",
                    file.display()
                );
                ConfigBank::Primary
            }
        }
    }

    /// Makes a bank the one in use, at one stroke.
    ///
    /// # Errors
    /// What the system refused; the one before is in use then.
    pub fn select(&self, bank: ConfigBank) -> io::Result<()> {
        save::replace_file(&self.selection(), format!("{bank}\n").as_bytes())
    }

    /// Reads a bank.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, bank: ConfigBank) -> Result<Config, ConfigError> {
        load(&self.file(bank))
    }

    /// Reads the bank in use; the primary if that is the secondary and can not be used. Which it was.
    ///
    /// # Errors
    /// If the primary can not be used.
    pub fn load_selected(&self) -> Result<(ConfigBank, Config), ConfigError> {
        if self.selected() == ConfigBank::Secondary {
            let primary = self.load(ConfigBank::Primary);
            let why = match (self.load(ConfigBank::Secondary), &primary) {
                // Another name is another switch.
                (Ok(config), Ok(primary)) if config.switch != primary.switch => {
                    format!("it is of switch {}", config.switch)
                }
                (Ok(config), _) => return Ok((ConfigBank::Secondary, config)),
                (Err(e), _) => e.to_string(),
            };
            warn!(
                "the secondary configuration is selected and can not be used, so the primary is taken: {why}"
            );
            return Ok((ConfigBank::Primary, primary?));
        }
        Ok((ConfigBank::Primary, self.load(ConfigBank::Primary)?))
    }

    /// Writes a bank; see [`save::write`].
    ///
    /// # Errors
    /// As [`save::write`].
    pub fn save(&self, config: &Config, bank: ConfigBank) -> Result<save::Saved, save::SaveError> {
        save::write(config, &self.file(bank))
    }
}
