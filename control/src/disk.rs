//! Work with configuration files, on another thread: a slow disk must not look like a hang.

use crate::{
    config_file::{ConfigError, banks::Banks, save},
    master::{Master, Rollback},
    northbound::{
        api::{
            ApiError, ConfigurationInfo, ConfigurationSource, ErrorKind, Reply, Request, Response,
            SavedInfo,
        },
        server::Asker,
    },
};
use hitless_proto::config::{Config, ConfigBank, Document, SwitchName};
use std::io;
use tokio::task::{JoinError, JoinSet};
use tracing::{info, warn};

/// Why nothing is written now.
const BUSY: &str = "a configuration file is being written already; ask again when that is done";

/// Why a bank was not selected.
#[derive(Debug, thiserror::Error)]
enum Unselected {
    #[error("{0}; write it first: save configuration {1}")]
    Unusable(ConfigError, ConfigBank),
    #[error("the {0} configuration is of switch {1} and this is switch {2}")]
    Foreign(ConfigBank, SwitchName, SwitchName),
    #[error("the selection can not be written: {0}")]
    Unwritable(#[from] io::Error),
}

/// Selects a bank that can be used.
fn select(banks: &Banks, bank: ConfigBank, switch: &SwitchName) -> Result<Box<Config>, Unselected> {
    let config = banks
        .load(bank)
        .map_err(|e| Unselected::Unusable(e, bank))?;
    if config.switch != *switch {
        return Err(Unselected::Foreign(bank, config.switch, switch.clone()));
    }
    banks.select(bank)?;
    Ok(Box::new(config))
}

/// What became of a piece of work.
enum Done {
    /// The configuration was to be written to a bank.
    Saved {
        config: Box<Config>,
        bank: ConfigBank,
        /// Whether that is the one in use.
        in_use: bool,
        result: Result<save::Saved, save::SaveError>,
    },
    /// A bank was to be selected.
    Selected {
        bank: ConfigBank,
        result: Result<Box<Config>, Unselected>,
    },
    /// Which bank is in use.
    Looked(ConfigBank),
    /// A bank was to be read.
    Read {
        source: ConfigurationSource,
        bank: ConfigBank,
        result: Result<Box<Config>, ConfigError>,
    },
}

/// Work under way.
#[derive(Default)]
pub struct Disk {
    work: JoinSet<(Done, Option<Asker>)>,
    /// Whether a file is being written: one at a time.
    writing: bool,
}

impl Disk {
    /// Begins what a request asks of the disk, with what it needs of the master; gives the asker's way back if the
    /// request asks nothing of it.
    pub fn begin(&mut self, master: &Master, request: &Request, reply: Asker) -> Option<Asker> {
        let banks = Banks::new(&master.config_file);
        match *request {
            Request::Save { bank } => {
                let refusal = match (&master.rollback, self.writing) {
                    (_, true) => Some(BUSY.to_owned()),
                    (Some(rollback), false) => Some(format!(
                        "the running configuration waits for `confirm configuration` and is gone back from in {} s; \
                         confirm it first",
                        rollback.seconds_left()
                    )),
                    (None, false) => None,
                };
                if let Some(why) = refusal {
                    reply.send(ApiError::new(ErrorKind::Refused, why).into());
                    return None;
                }
                self.writing = true;
                let config = Box::new(master.config.clone());
                self.work.spawn_blocking(move || {
                    let in_use = banks.selected();
                    let bank = bank.unwrap_or(in_use);
                    let result = banks.save(&config, bank);
                    let done = Done::Saved {
                        config,
                        bank,
                        in_use: bank == in_use,
                        result,
                    };
                    (done, Some(reply))
                });
            }
            Request::UseConfiguration { bank } => {
                if self.writing {
                    reply.send(ApiError::new(ErrorKind::Refused, BUSY).into());
                    return None;
                }
                self.writing = true;
                let switch = master.config.switch.clone();
                self.work.spawn_blocking(move || {
                    let result = select(&banks, bank, &switch);
                    (Done::Selected { bank, result }, Some(reply))
                });
            }
            Request::ShowConfiguration { which } => {
                let bank = match which {
                    ConfigurationSource::Running => return Some(reply),
                    ConfigurationSource::Primary => Some(ConfigBank::Primary),
                    ConfigurationSource::Secondary => Some(ConfigBank::Secondary),
                    ConfigurationSource::Selected => None,
                };
                self.work.spawn_blocking(move || {
                    let bank = bank.unwrap_or_else(|| banks.selected());
                    let result = banks.load(bank).map(Box::new);
                    let done = Done::Read {
                        source: which,
                        bank,
                        result,
                    };
                    (done, Some(reply))
                });
            }
            _ => return Some(reply),
        }
        None
    }

    /// Looks which bank is in use: a new master knows what its module found when it started, and does not wait for a
    /// disk while it takes over.
    pub fn look(&mut self, master: &Master) {
        let banks = Banks::new(&master.config_file);
        self.work
            .spawn_blocking(move || (Done::Looked(banks.selected()), None));
    }

    /// Whether anything is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.work.is_empty()
    }

    /// Waits for a piece of work to be done; the answer to it and who gets it, if somebody asked.
    ///
    /// # Errors
    /// If its thread panicked.
    pub async fn next(
        &mut self,
        master: &mut Master,
    ) -> Option<Result<Option<(Asker, Response)>, JoinError>> {
        let (done, asker) = match self.work.join_next().await? {
            Ok(done) => done,
            Err(e) => return Some(Err(e)),
        };
        self.writing &= matches!(done, Done::Read { .. } | Done::Looked(_));
        let response = Response::from(answer(master, done));
        Some(Ok(asker.map(|asker| (asker, response))))
    }
}

fn answer(master: &mut Master, done: Done) -> Result<Reply, ApiError> {
    let not_written = |why: String| {
        warn!("a configuration file could not be written: {why}");
        ApiError::new(ErrorKind::NotSaved, why)
    };
    match done {
        Done::Saved {
            config,
            bank,
            in_use,
            result,
        } => {
            let saved = result.map_err(|e| not_written(e.to_string()))?;
            // A change that was made in the meantime is not in the file.
            if in_use {
                master.note_saved(*config);
            }
            info!(file = %saved.file.display(), %bank, "the configuration was saved");
            Ok(Reply::Saved(SavedInfo {
                bank,
                path: saved.file,
                previous: saved.previous,
                in_place: saved.in_place,
            }))
        }
        Done::Selected { bank, result } => {
            let config = result.map_err(|e| match e {
                Unselected::Unwritable(_) => not_written(e.to_string()),
                Unselected::Unusable(..) | Unselected::Foreign(..) => {
                    ApiError::new(ErrorKind::Refused, e.to_string())
                }
            })?;
            master.bank = bank;
            master.note_saved(*config);
            info!(%bank, "the next start from a file takes this configuration");
            Ok(Reply::Done {})
        }
        Done::Looked(bank) => {
            master.bank = bank;
            Ok(Reply::Done {})
        }
        Done::Read {
            source,
            bank,
            result,
        } => {
            let config = result.map_err(|e| ApiError::new(ErrorKind::NotFound, e.to_string()))?;
            let banks = Banks::new(&master.config_file);
            Ok(Reply::Configuration(Box::new(ConfigurationInfo {
                source,
                file: Some(banks.file(bank)),
                document: Document::from(*config),
                unsaved: master.unsaved,
                rollback_seconds: None,
            })))
        }
    }
}

/// The running configuration.
pub fn running(master: &Master) -> Reply {
    Reply::Configuration(Box::new(ConfigurationInfo {
        source: ConfigurationSource::Running,
        file: None,
        document: Document::from(master.config.clone()),
        unsaved: master.unsaved,
        rollback_seconds: master.rollback.as_ref().map(Rollback::seconds_left),
    }))
}
