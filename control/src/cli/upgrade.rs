//! Upgrades: looks, asks, begins, and follows what the master does. The upgrade is the master's: this program may end at
//! any time, and `upgrade status` follows it again. A probe flow is this program's, and ends with it.

mod probe;

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::confirm::{confirm, switch_name};
use super::failure::Failure;
use super::render::upgrade as render;
use super::session::Session;
use crate::grammar::UpgradeWords;
use crate::northbound::api::{
    ApiError, Direction, ErrorKind, Outcome, Reply, Request, Step, UpgradeInfo, UpgradePlan,
    UpgradeStatus, UpgradeVerdict,
};
pub(super) use probe::ProbeReport;
use probe::Watch;

/// Between two looks at an upgrade.
const PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// `upgrade <image>`.
    pub(super) fn upgrade(
        &mut self,
        words: &UpgradeWords,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let file = absolute(&words.file)?;
        let request = |dry_run| Request::Upgrade {
            file: file.clone(),
            conservative: words.conservative,
            dry_run,
            accept_degraded: !dry_run,
            accept_within_seconds: words.accept_within.map(|time| time.seconds),
        };
        let mut plan = match self.follower.show(|client| client.call(&request(true)))? {
            Reply::UpgradePlan(plan) => *plan,
            other => return Err(self.follower.unexpected(&other)),
        };
        let mut probe = None;
        if let Some(ports) = words.probe {
            let route = self.probe_route(ports)?;
            plan.checks.push(route.check());
            probe = Some(route);
        }
        let refused = plan
            .refusal()
            .map(|why| Failure::from(ApiError::new(ErrorKind::Refused, why)));
        if words.dry_run {
            self.print(output, &plan, || render::plan(&plan))?;
            return refused.map_or(Ok(()), Err);
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        if !self.options.json {
            output.write_all(render::verdict(&plan).as_bytes())?;
            output.flush()?;
        }
        self.agree(&plan)?;
        let flow = probe.map(|route| route.start()).transpose()?;
        match self.follower.change(&request(false)) {
            Ok(Reply::Upgrade(_)) | Err(Failure::Interrupted(_)) => {}
            Ok(other) => return Err(self.follower.unexpected(&other)),
            Err(failure) => return Err(failure),
        }
        let watch = flow.as_ref().zip(words.probe);
        self.follow(watch.map(|(flow, ports)| Watch::new(flow, ports)), output)
    }

    /// Asks whether what is lost may be lost.
    fn agree(&self, plan: &UpgradePlan) -> Result<(), Failure> {
        match plan.verdict {
            Some(UpgradeVerdict::Compatible) => Ok(()),
            _ => confirm(
                self,
                "upgrade",
                &format!("{}Something is lost, as listed.", render::items(plan)),
            ),
        }
    }

    /// `rollback`.
    pub(super) fn roll_back_upgrade(&mut self, output: &mut impl Write) -> Result<(), Failure> {
        let status = match self.upgrade_info()?.upgrade {
            Some(status) => status,
            None => {
                let why = "there was no upgrade that could be gone back from";
                return Err(ApiError::new(ErrorKind::Refused, why).into());
            }
        };
        let warning = format!(
            "{} goes back from version {} to {}.",
            switch_name(&self.follower.target),
            status.to.version,
            status.from.version
        );
        confirm(self, "rollback", &warning)?;
        match self
            .follower
            .change(&Request::RollBackUpgrade { reason: None })
        {
            Ok(Reply::Upgrade(_)) | Err(Failure::Interrupted(_)) => {}
            Ok(other) => return Err(self.follower.unexpected(&other)),
            Err(failure) => return Err(failure),
        }
        match self.follow_upgrade(output) {
            // It is what was asked for.
            Err(Failure::Verdict(_))
                if self
                    .upgrade_info()?
                    .upgrade
                    .is_some_and(|now| now.outcome == Some(Outcome::RolledBack)) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn upgrade_info(&mut self) -> Result<UpgradeInfo, Failure> {
        match self
            .follower
            .show(|client| client.call(&Request::ShowUpgrade {}))?
        {
            Reply::Upgrade(info) => Ok(*info),
            other => Err(self.follower.unexpected(&other)),
        }
    }

    /// Shows steps as they are done, until it is over or waits to be accepted; then the report.
    pub(super) fn follow_upgrade(&mut self, output: &mut impl Write) -> Result<(), Failure> {
        self.follow(None, output)
    }

    /// As [`Session::follow_upgrade`]; asks for the way back if a frame of the probe flow is lost.
    fn follow(
        &mut self,
        mut watch: Option<Watch<'_>>,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let mut told = HashSet::new();
        loop {
            let info = self.upgrade_info()?;
            let Some(status) = info.upgrade else {
                return self.print(output, &info, || render::NONE.into());
            };
            if !self.options.json {
                for line in render::progress(&status, &mut told) {
                    output.write_all(line.as_bytes())?;
                }
                output.flush()?;
            }
            let goes_back = match &mut watch {
                Some(watch) => self.go_back_if_lost(watch, &status)?,
                None => false,
            };
            if (status.outcome.is_some() || status.step == Step::Accept) && !goes_back {
                let probe = watch.as_ref().map(Watch::report);
                let report = Report {
                    status: &status,
                    probe: probe.as_ref(),
                };
                self.print(output, &report, || {
                    render::report(report.status, report.probe)
                })?;
                verdict(&status)?;
                return watch.and_then(|watch| watch.verdict()).map_or(Ok(()), Err);
            }
            match &self.interrupts {
                Some(interrupts) if !Rc::clone(interrupts).sleep(PAUSE) => {
                    return Err(Failure::Stopped);
                }
                Some(_) => {}
                None => thread::sleep(PAUSE),
            }
        }
    }

    /// Asks for the way back if a frame was lost and nobody has yet. Whether it can be expected; it has begun when the status
    /// says so, since the master that was asked may be gone before it has.
    fn go_back_if_lost(
        &mut self,
        watch: &mut Watch<'_>,
        status: &UpgradeStatus,
    ) -> Result<bool, Failure> {
        let over = status.outcome.is_some() || status.step == Step::Accept;
        let Some(reason) = watch.loss(over) else {
            return Ok(false);
        };
        if status.direction != Direction::Forward || watch.refused.is_some() {
            return Ok(false);
        }
        let request = Request::RollBackUpgrade {
            reason: Some(reason),
        };
        match self.follower.change(&request) {
            Ok(Reply::Upgrade(_)) | Err(Failure::Interrupted(_)) => Ok(true),
            Ok(other) => Err(self.follower.unexpected(&other)),
            // It may have turned back by itself meanwhile.
            Err(Failure::Refused(why)) => {
                watch.refused = self
                    .upgrade_info()?
                    .upgrade
                    .is_some_and(|now| now.direction == Direction::Forward)
                    .then(|| why.to_string());
                Ok(watch.refused.is_none())
            }
            Err(failure) => Err(failure),
        }
    }
}

/// An upgrade as `--json` has it at its end.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    status: &'a UpgradeStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'a ProbeReport>,
}

/// What the program ends with.
fn verdict(status: &UpgradeStatus) -> Result<(), Failure> {
    let reason = status.reason.as_deref().unwrap_or("no reason is known");
    match status.outcome {
        None | Some(Outcome::Accepted) => Ok(()),
        Some(Outcome::RolledBack) => Err(Failure::Verdict(format!(
            "version {} runs again: {reason}",
            status.from.version
        ))),
        Some(Outcome::Stuck | Outcome::Unknown) => {
            Err(Failure::Verdict(format!("the upgrade is stuck: {reason}")))
        }
    }
}

/// The file as the switch finds it.
fn absolute(file: &str) -> Result<PathBuf, Failure> {
    std::path::absolute(Path::new(file)).map_err(|e| Failure::File(format!("{file}: {e}")))
}

#[cfg(test)]
mod tests;
