//! What operators ask for.

use hitless_boot::image::hex;
use hitless_boot::slot::Slot;
use hitless_ha::fallback::Fallback;
use hitless_ha::upgrade::{Journal, Mode, NotNow, Upgrade};
use tracing::info;

use super::files::Reserve;
use super::prepare::{self, Asked, Prepared};
use super::{Done, Turn, Upgrades, limits, look, tell};
use crate::images::store::Images;
use crate::master::Master;
use crate::module::{Module, primary::Primary};
use crate::northbound::api::{
    ACCEPT_SECONDS, ApiError, ErrorKind, MAX_ACCEPT_SECONDS, MAX_REASON, Reply, Request, Response,
    UpgradeVerdict,
};
use crate::northbound::server::Asker;

fn refuse(why: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::Refused, why)
}

impl Upgrades {
    /// Answers what concerns upgrades, now or later; gives the asker back with the answer if there is one now.
    ///
    /// # Errors
    /// The asker, if the request concerns something else.
    pub fn answer(
        &mut self,
        request: &Request,
        asker: Asker,
        module: &Module,
        primary: &Primary,
        master: &mut Master,
    ) -> Result<Option<(Asker, Response)>, Asker> {
        let concerns = matches!(
            request,
            Request::ShowUpgrade {}
                | Request::AcceptUpgrade {}
                | Request::RollBackUpgrade { .. }
                | Request::Upgrade { .. }
        );
        if concerns && self.loading {
            self.early.push_back((request.clone(), asker));
            return Ok(None);
        }
        let answered = match request {
            Request::ShowUpgrade {} => Ok(self.show(module, primary)),
            Request::AcceptUpgrade {} => self.accept(module, primary),
            Request::RollBackUpgrade { reason } => match self.way_back(asker, reason.clone()) {
                Ok(()) => return Ok(None),
                Err((asker, error)) => return Ok(Some((asker, Response::Error(error)))),
            },
            Request::Upgrade {
                file,
                conservative,
                dry_run,
                accept_degraded,
                accept_within_seconds,
            } => {
                let asked = Asked {
                    file: file.clone(),
                    mode: if *conservative {
                        Mode::Conservative
                    } else {
                        Mode::Standard
                    },
                    dry_run: *dry_run,
                    accept_degraded: *accept_degraded,
                    accept_within_s: accept_within_seconds.unwrap_or(ACCEPT_SECONDS),
                };
                match self.prepare(asked, asker, module, primary, master) {
                    Ok(()) => return Ok(None),
                    Err((asker, error)) => return Ok(Some((asker, Response::Error(error)))),
                }
            }
            _ => return Err(asker),
        };
        Ok(Some((asker, Response::from(answered))))
    }

    /// Finds out whether it can be done, on another thread.
    fn prepare(
        &mut self,
        asked: Asked,
        asker: Asker,
        module: &Module,
        primary: &Primary,
        master: &mut Master,
    ) -> Result<(), (Asker, ApiError)> {
        let Some(images) = self.images.clone() else {
            let why =
                "this switch has no image banks: its hitless-boot was started without --images";
            return Err((asker, refuse(why)));
        };
        if asked.accept_within_s > MAX_ACCEPT_SECONDS {
            let why = format!(
                "accept_within_seconds {} is more than {MAX_ACCEPT_SECONDS}, a week",
                asked.accept_within_s
            );
            return Err((asker, refuse(why)));
        }
        let known = prepare::look(module, primary, master, self.running().as_deref());
        self.work.spawn_blocking(move || {
            Done::Prepared(Box::new(prepare::prepare(asked, known, &images)), asker)
        });
        Ok(())
    }

    /// Why no other upgrade can begin.
    fn running(&self) -> Option<String> {
        let journal = self.journal().filter(|journal| !journal.is_over())?;
        Some(match journal.is_under_way() {
            true => format!(
                "one to {} is under way, in step {}",
                journal.to.version, journal.step
            ),
            false => format!(
                "the one to {} waits to be accepted; say `upgrade accept` or `rollback` first",
                journal.to.version
            ),
        })
    }

    /// It is known whether it can be done: answers, and begins if it was asked to.
    pub(super) fn prepared(
        &mut self,
        prepared: Prepared,
        asker: Asker,
        module: &Module,
        primary: &Primary,
        master: &mut Master,
    ) -> Turn {
        let Prepared {
            asked,
            plan,
            images,
        } = prepared;
        if asked.dry_run {
            return Turn::Answer(asker, Response::Ok(Reply::UpgradePlan(Box::new(plan))));
        }
        // Another one may have begun meanwhile.
        let why = self.running().or_else(|| plan.refusal()).or_else(|| {
            let degraded = plan.verdict == Some(UpgradeVerdict::Degraded) && !asked.accept_degraded;
            let items: Vec<String> = plan
                .items
                .iter()
                .map(|item| format!("{}: {}", item.what, item.consequence))
                .collect();
            degraded.then(|| format!("something would be lost: {}", items.join("; ")))
        });
        let observed = self.observe(module, primary, master);
        let (Some((from, to)), Some(observed), None) = (images, observed, &why) else {
            return Turn::Answer(asker, refuse(why.unwrap_or_default()).into());
        };
        info!(file = %asked.file.display(), from = from.version, to = to.version, mode = ?asked.mode, "upgrade");
        let file = asked.file.display().to_string();
        let upgrade = Upgrade::new(
            look::now(),
            file,
            asked.mode,
            from,
            to,
            asked.accept_within_s,
            &observed,
        );
        self.install = hitless_ha::upgrade::Job::Idle;
        self.sample(master);
        self.machine = Some(upgrade.with_limits(limits()));
        Turn::Answer(asker, Response::Ok(self.show(module, primary)))
    }

    fn accept(&mut self, module: &Module, primary: &Primary) -> Result<Reply, ApiError> {
        let Some(machine) = &mut self.machine else {
            return Err(refuse(NotNow::NothingToAccept.to_string()));
        };
        machine
            .accept(look::now())
            .map_err(|why| refuse(why.to_string()))?;
        self.decided();
        Ok(self.show(module, primary))
    }

    /// The machine was told something: it has to be on disk.
    fn decided(&mut self) {
        if let Some(journal) = self.journal().cloned() {
            tell(&journal);
            self.write(journal, Vec::new());
        }
        self.soon();
    }

    /// Finds out whether there is something to go back to, on another thread.
    fn way_back(&mut self, asker: Asker, reason: Option<String>) -> Result<(), (Asker, ApiError)> {
        if let Some(why) = reason.as_deref().and_then(unfit) {
            return Err((asker, refuse(why)));
        }
        let found = self.journal().cloned().zip(self.images.clone());
        let Some((journal, images)) = found else {
            return Err((
                asker,
                refuse("there was no upgrade that could be gone back from"),
            ));
        };
        self.work
            .spawn_blocking(move || Done::WayBack(is_there(&journal, &images), reason, asker));
        Ok(())
    }

    pub(super) fn go_back(
        &mut self,
        reason: Option<&str>,
        module: &Module,
        primary: &Primary,
    ) -> Result<Reply, ApiError> {
        let Some(machine) = &mut self.machine else {
            return Err(refuse("there was no upgrade that could be gone back from"));
        };
        if let Fallback::Closed(older, reason) = primary.fallback() {
            return Err(refuse(format!(
                "{} in {} can not take over any more: {reason}, {}; start {} with the new image to have a standby again",
                older.version,
                older.slot,
                reason.meaning(),
                older.slot
            )));
        }
        machine
            .roll_back(look::now(), reason.unwrap_or("rollback by command"))
            .map_err(|why| refuse(why.to_string()))?;
        self.decided();
        Ok(self.show(module, primary))
    }
}

/// What is wrong with a reason that somebody gives; `None`: nothing.
fn unfit(reason: &str) -> Option<String> {
    let length = reason.chars().count();
    if !(1..=MAX_REASON).contains(&length) {
        return Some(format!(
            "a reason of {length} characters; 1 to {MAX_REASON} are taken"
        ));
    }
    let odd = reason.chars().find(|c| c.is_control())?;
    Some(format!(
        "the reason has the character {odd:?}; it has to be one line of text"
    ))
}

/// Whether the old image is still where it was, and there is room for the way back.
fn is_there(journal: &Journal, images: &Images) -> Result<(), String> {
    // Before the installation is through, there is nothing that could be missing.
    if !journal.is_over() {
        return Ok(());
    }
    for slot in Slot::ALL {
        let bank = look::boot_bank(journal.from.bank);
        let manifest = images
            .banks
            .verify(slot, bank)
            .map_err(|e| format!("{} can not be gone back to: {e}", journal.from.version))?;
        if hex(manifest.sha256()) != journal.from.sha256 {
            return Err(format!(
                "bank {bank} of {slot} holds {} now, no longer the {} that ran before the upgrade",
                manifest.version(),
                journal.from.version
            ));
        }
    }
    Reserve::in_directory(images.banks.directory()).hold()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_text() {
        let longest = "ä".repeat(MAX_REASON);
        for good in ["x", "frames were lost: 3 of 2,345", &longest] {
            assert_eq!(unfit(good), None);
        }
        for (bad, says) in [
            ("", "0 characters"),
            (&*format!("{longest}x"), "201 characters"),
            ("two\nlines", "'\\n'"),
            ("\u{1b}[2J", "one line"),
        ] {
            let why = unfit(bad).unwrap();
            assert!(why.contains(says), "{why}");
        }
    }
}
