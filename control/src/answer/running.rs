//! Changes of the running configuration: document, change, check, and only then in force.

use super::refuse;
use crate::{
    disk,
    master::Master,
    northbound::api::{
        ApiError, CONFIRM_SECONDS, ConfigChange, ConfiguredInfo, ErrorKind, Reply, Request,
    },
};
use hitless_proto::config::{Config, Document};

/// Notes in one answer at most: a file of thousands of commands has no more to say.
const MAX_NOTES: usize = 20;

impl Master {
    /// Does what concerns the running configuration; `None` for anything else.
    pub(super) async fn configure(&mut self, request: &Request) -> Option<Result<Reply, ApiError>> {
        Some(match request {
            Request::ShowConfiguration { .. } => Ok(disk::running(self)),
            Request::Configure {
                changes,
                confirmed_seconds,
            } => match self.config.changed(changes) {
                Ok(config) => {
                    let notes = changes.iter().flat_map(ConfigChange::notes);
                    let notes = notes.take(MAX_NOTES).collect();
                    self.reconfigure(config, *confirmed_seconds, notes).await
                }
                Err(e) => {
                    let kind = match e.is_not_found() {
                        true => ErrorKind::NotFound,
                        false => ErrorKind::Refused,
                    };
                    Err(ApiError::new(kind, format!("{e}; nothing was changed")))
                }
            },
            Request::ReplaceConfiguration {
                document,
                confirmed_seconds,
            } => match checked(document) {
                Ok(config) => {
                    self.reconfigure(config, *confirmed_seconds, Vec::new())
                        .await
                }
                Err(e) => Err(e),
            },
            Request::ConfirmConfiguration {} => match self.confirm() {
                true => Ok(self.configured(true, Vec::new())),
                false => Err(refuse(NOTHING_WAITS)),
            },
            Request::RollbackConfiguration {} => match self.roll_back().await {
                Ok(true) => Ok(self.configured(true, Vec::new())),
                Ok(false) => Err(refuse(NOTHING_WAITS)),
                Err(e) => Err(refuse(format!("{e:#}"))),
            },
            _ => return None,
        })
    }

    async fn reconfigure(
        &mut self,
        config: Config,
        confirmed_seconds: Option<u32>,
        notes: Vec<String>,
    ) -> Result<Reply, ApiError> {
        if let Some(seconds) = confirmed_seconds
            && !CONFIRM_SECONDS.contains(&seconds)
        {
            return Err(refuse(format!(
                "confirmed: {seconds} s is not in {} to {}; nothing was changed",
                CONFIRM_SECONDS.start(),
                CONFIRM_SECONDS.end()
            )));
        }
        let changed = config != self.config;
        // What changes nothing may still ask for more time.
        if changed || (confirmed_seconds.is_some() && self.rollback.is_some()) {
            self.change_config(config, confirmed_seconds)
                .await
                .map_err(|e| refuse(format!("{e:#}")))?;
        }
        Ok(self.configured(changed, notes))
    }

    fn configured(&self, changed: bool, notes: Vec<String>) -> Reply {
        Reply::Configured(Box::new(ConfiguredInfo {
            changed,
            unsaved: self.unsaved,
            notes,
            rollback_seconds: self.rollback.as_ref().map(|back| back.seconds_left()),
        }))
    }
}

const NOTHING_WAITS: &str =
    "no change waits for confirmation; one does that is made with `confirmed <seconds>`";

fn checked(document: &Document) -> Result<Config, ApiError> {
    document.check().map_err(|invalid| {
        refuse(format!(
            "the configuration is not valid, so nothing was changed: {invalid}"
        ))
    })
}
