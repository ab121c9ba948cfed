//! Commands that change masters: sent once, then the next master is waited for and asked what happened.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use super::confirm::{confirm, switch_name};
use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::northbound::api::{ModuleRole, ModuleSlot, MsmFailoverInfo, Reply, Request};

impl Session {
    /// `run msm-failover`.
    pub(super) fn failover(&mut self, force: bool, output: &mut impl Write) -> Result<(), Failure> {
        let before = self.follower.modules()?;
        let began = Instant::now();
        match self.follower.change(&Request::RunMsmFailover { force }) {
            // A master that is quicker to go than its answer did what it was told.
            Ok(Reply::FailoverStarted(_)) | Err(Failure::Interrupted(_)) => {}
            Ok(other) => return Err(self.follower.unexpected(&other)),
            Err(failure) => return Err(failure),
        }
        self.report_master(&before, began, output)
    }

    /// `reboot slot`.
    pub(super) fn reboot(
        &mut self,
        slot: ModuleSlot,
        hard_reset: bool,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        if hard_reset {
            // The words of the T-sync guide, "MSM-3 Initialization".
            let warning = format!(
                "hard-reset restarts {slot} of {} with its hardware: some of the switch forwarding operations may be \
                 briefly\ninterrupted, you will experience some traffic loss, and a hitless upgrade does not occur.",
                switch_name(&self.follower.target)
            );
            confirm(self, "reboot slot with hard-reset", &warning)?;
        }
        let before = self.follower.modules()?;
        let was_master = before
            .in_role(ModuleRole::Master)
            .is_some_and(|master| master.slot == slot);
        let began = Instant::now();
        match self
            .follower
            .change(&Request::RebootSlot { slot, hard_reset })
        {
            Ok(Reply::Done {}) if !was_master => {
                return self.print(output, &json!({"done": true}), || {
                    format!(
                        "{slot} is started again; `hitless show msm-failover` tells when it is ready.\n"
                    )
                });
            }
            Ok(Reply::Done {}) => {}
            Err(Failure::Interrupted(_)) if was_master => {}
            Ok(other) => return Err(self.follower.unexpected(&other)),
            Err(failure) => return Err(failure),
        }
        self.report_master(&before, began, output)
    }

    /// Waits for the next master and tells about the failover.
    fn report_master(
        &mut self,
        before: &MsmFailoverInfo,
        began: Instant,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let after = self.follower.next_master(before)?;
        let answered = began.elapsed();
        let slot = |info: &MsmFailoverInfo| info.in_role(ModuleRole::Master).map(|m| m.slot);
        let value = json!({
            "master": slot(&after),
            "was": slot(before),
            "failover": after.last_failover,
            "answered_ms": millis(answered),
        });
        self.print(output, &value, || {
            render::modules::new_master(slot(before), &after, answered)
        })?;
        match &after.last_failover {
            Some(failover) if !failover.hitless => Err(Failure::Verdict(
                "the failover was not hitless; see `hitless show msm-failover`".into(),
            )),
            _ => Ok(()),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
