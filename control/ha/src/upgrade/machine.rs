//! The way forward, and what is common to both ways.

use super::Now;
use super::journal::{Bank, Direction, FORMAT, Image, Journal, Mode, Outcome, Reboot, Step};
use super::world::{Observed, Standby};
use crate::cause::Cause;
use crate::slot::ModuleSlot;
use thiserror::Error;

/// What the master is to do. It writes the journal first; doing it twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put the image of [`Journal::file`] into the bank of [`Journal::to`] of both slots; if the image that runs is not
    /// in a bank, that into the bank of [`Journal::from`] first.
    Install,
    /// Select a bank for a slot.
    Select {
        /// The slot.
        slot: ModuleSlot,
        /// The bank.
        bank: Bank,
    },
    /// Start the module in the other slot again.
    Reboot {
        /// The slot.
        slot: ModuleSlot,
    },
    /// Hand over to the standby.
    Failover,
}

/// Times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For an image to be in all banks.
    pub install: u64,
    /// For a module that was started again to be ready.
    pub ready: u64,
    /// For a failover.
    pub failover: u64,
    /// For a new master to find everything in order.
    pub verify: u64,
    /// That a new master is watched at least.
    pub watch: u64,
    /// After which a module that was told to start again is told once more.
    pub repeat: u64,
    /// After which a slot whose module says nothing is started again.
    pub silent: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            install: 300_000,
            ready: 60_000,
            failover: 15_000,
            verify: 60_000,
            watch: 1_000,
            repeat: 5_000,
            silent: 15_000,
        }
    }
}

/// A module that comes back this often with another image than the selected one will not change its mind.
const REBOOTS: u32 = 2;
/// Failovers tried.
const ATTEMPTS: u32 = 3;
/// Unexpected ends of modules before the failover that an upgrade lives with.
const DISTURBANCES: u32 = 5;

/// Why a command is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotNow {
    /// Nothing waits for it.
    #[error("no upgrade waits to be accepted; `show upgrade` shows where it stands")]
    NothingToAccept,
    /// There is nothing to be gone back from.
    #[error("there is nothing to go back to: {0}")]
    NothingToRollBack(&'static str),
}

/// An upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    pub(super) journal: Journal,
    pub(super) limits: Limits,
}

/// What became of a module that is to run an image.
pub(super) enum Start {
    /// It runs it and is ready.
    Ready,
    /// Not yet; this is to be done.
    Do(Vec<Action>),
    /// It will not.
    Failed(String),
}

impl Upgrade {
    /// A new upgrade from what runs to what is in `file`.
    #[must_use]
    pub fn new(
        now: Now,
        file: String,
        mode: Mode,
        from: Image,
        to: Image,
        accept_within_s: u32,
        observed: &Observed,
    ) -> Self {
        let mut journal = Journal {
            format: FORMAT,
            file,
            mode,
            from,
            to,
            direction: Direction::Forward,
            step: Step::Install,
            steps: Vec::new(),
            master: observed.master.slot,
            generation: observed.generation,
            reboot: None,
            attempts: 0,
            disturbances: 0,
            accept_within_s,
            accepted: false,
            before: None,
            without_master_us: None,
            lost: Default::default(),
            outcome: None,
            reason: None,
            waiting: None,
            other: Default::default(),
        };
        journal.enter(now, Step::Install);
        Self::resume(journal)
    }

    /// One that another master has begun.
    #[must_use]
    pub fn resume(journal: Journal) -> Self {
        Self {
            journal,
            limits: Limits::default(),
        }
    }

    /// One whose journal was lost, so that nobody knows how far it was, or where it went. The image of whoever is master
    /// now stays, and the other module follows it.
    #[must_use]
    pub fn lost(now: Now, own: Image, observed: &Observed, why: String) -> Self {
        let mut upgrade = Self::new(
            now,
            String::new(),
            Mode::Standard,
            own.clone(),
            own,
            0,
            observed,
        );
        let journal = &mut upgrade.journal;
        journal.direction = Direction::Back;
        journal.reason = Some(why);
        journal.steps.clear();
        journal.enter(now, Step::Restore);
        upgrade
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What it remembers.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The image that the module in the other slot is to run, or to come up with; `None` while that is nobody's concern.
    #[must_use]
    pub fn awaits(&self) -> Option<&Image> {
        let journal = &self.journal;
        if journal.direction == Direction::Back && !journal.is_over() {
            return Some(&journal.from);
        }
        match (journal.step, journal.mode) {
            (Step::StartStandby | Step::Failover | Step::StartOther, _)
            | (Step::Accept, Mode::Standard) => Some(&journal.to),
            (Step::Verify, _) | (Step::Accept, Mode::Conservative) => Some(&journal.from),
            _ => None,
        }
    }

    /// The operator accepts it.
    ///
    /// # Errors
    /// If it does not wait for that.
    pub fn accept(&mut self, now: Now) -> Result<(), NotNow> {
        if self.journal.step != Step::Accept || self.journal.direction != Direction::Forward {
            return Err(NotNow::NothingToAccept);
        }
        self.journal.accepted = true;
        match self.journal.mode {
            Mode::Standard => self.journal.finish(now, Outcome::Accepted),
            Mode::Conservative => self.journal.enter(now, Step::StartOther),
        }
        Ok(())
    }

    /// The operator wants the old image back.
    ///
    /// # Errors
    /// If it is back already, or on its way.
    pub fn roll_back(&mut self, now: Now, why: &str) -> Result<(), NotNow> {
        if self.journal.direction == Direction::Back && !self.journal.is_over() {
            return Err(NotNow::NothingToRollBack(
                "it is being gone back from already; `show upgrade` shows how far",
            ));
        }
        if self.journal.outcome == Some(Outcome::RolledBack) {
            return Err(NotNow::NothingToRollBack("the old image is back already"));
        }
        self.journal.outcome = None;
        self.go_back(now, why.into());
        Ok(())
    }

    /// The journal or a selection can not be written: a way forward ends, a way back goes on.
    pub fn give_up(&mut self, now: Now, why: &str) {
        if self.journal.direction == Direction::Forward && self.journal.is_under_way() {
            self.go_back(now, why.into());
        }
    }

    /// Looks at the switch and says what is to be done next. To be called again after that was done, and from time to time.
    #[must_use]
    pub fn advance(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        if self.journal.is_over() {
            return Vec::new();
        }
        if (observed.generation, observed.master.slot)
            != (self.journal.generation, self.journal.master)
        {
            self.on_new_master(now, observed);
            self.journal.generation = observed.generation;
            self.journal.master = observed.master.slot;
        }
        // Steps without anything to do follow each other at once.
        for _ in 0..8 {
            let step = self.journal.step;
            let actions = self.step(now, observed);
            if !actions.is_empty() || self.journal.step == step || self.journal.is_over() {
                return actions;
            }
        }
        Vec::new()
    }

    fn step(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        if self.journal.direction == Direction::Back {
            return self.back(now, observed);
        }
        match self.journal.step {
            Step::Install => self.install(now, observed),
            Step::StartStandby => self.start_standby(now, observed),
            Step::Failover => self.failover(now, observed),
            Step::Verify => self.verify(now, observed),
            Step::StartOther => self.start_other(now, observed),
            Step::Accept => self.wait_for_acceptance(now),
            Step::StartOld | Step::FailBack | Step::Restore | Step::Done | Step::Unknown => {
                let step = self.journal.step;
                self.go_back(
                    now,
                    format!(
                        "step {step} of the upgrade is not known to version {}",
                        observed.master.version
                    ),
                );
                Vec::new()
            }
        }
    }

    /// Turns back.
    pub(super) fn go_back(&mut self, now: Now, why: String) {
        self.journal.direction = Direction::Back;
        self.journal.reason.get_or_insert(why);
        self.journal.enter(now, Step::StartOld);
    }

    /// Another process is master than when this was last looked at.
    fn on_new_master(&mut self, now: Now, observed: &Observed) {
        self.journal.reboot = None;
        if self.journal.direction == Direction::Back {
            return;
        }
        let is_new = observed.master.runs(&self.journal.to);
        let how = || match &observed.takeover {
            Some(takeover) => {
                let detail = takeover
                    .detail
                    .as_deref()
                    .map(|detail| format!(": {detail}"));
                format!("{}{}", takeover.cause, detail.unwrap_or_default())
            }
            None => "no module was left to take over".into(),
        };
        match self.journal.step {
            Step::Install | Step::StartStandby | Step::Failover if is_new => {
                self.journal.without_master_us = observed.takeover.as_ref().map(|t| t.took_us);
                self.journal.enter(now, Step::Verify);
                match &observed.takeover {
                    Some(takeover) if takeover.hitless => {}
                    _ => self.go_back(
                        now,
                        format!(
                            "the failover to {} was not hitless: {}",
                            self.journal.to.version,
                            how()
                        ),
                    ),
                }
            }
            Step::Install | Step::StartStandby | Step::Failover => {
                self.journal.disturbances += 1;
                if self.journal.disturbances > DISTURBANCES {
                    self.go_back(
                        now,
                        format!("the master was lost {DISTURBANCES} times: {}", how()),
                    );
                } else if self.journal.step == Step::Failover {
                    self.journal.enter(now, Step::StartStandby);
                }
            }
            Step::Accept
                if is_new
                    && observed
                        .takeover
                        .as_ref()
                        .is_some_and(|takeover| takeover.cause == Cause::OperatorCommand) => {}
            // An operator who fails over to the old image wants it back (guide, "Conservative Software Upgrade").
            Step::Accept
                if observed
                    .takeover
                    .as_ref()
                    .is_some_and(|takeover| takeover.cause == Cause::OperatorCommand) =>
            {
                self.go_back(
                    now,
                    format!("a failover to {} by command", observed.master.version),
                );
            }
            _ => self.go_back(
                now,
                format!(
                    "the master with {} was lost: {}",
                    self.journal.to.version,
                    how()
                ),
            ),
        }
    }

    /// Hands over to a standby that is ready; without a reason if there is none any more.
    pub(super) fn hand_over(
        &mut self,
        now: Now,
        observed: &Observed,
    ) -> Result<Vec<Action>, Option<String>> {
        if self.journal.in_step_ms(now) > self.limits.failover || self.journal.attempts >= ATTEMPTS
        {
            return Err(Some(format!(
                "{} did not become master at {} attempts",
                observed.master.slot.other(),
                self.journal.attempts
            )));
        }
        if !observed
            .standby
            .as_ref()
            .is_some_and(|standby| standby.ready)
        {
            return Err(None);
        }
        self.journal.attempts += 1;
        Ok(vec![Action::Failover])
    }

    /// Has the module in the other slot run an image.
    pub(super) fn bring_up(&mut self, now: Now, observed: &Observed, image: &Image) -> Start {
        let slot = observed.master.slot.other();
        let late = self.journal.in_step_ms(now) > self.limits.ready;
        if observed.selected.get(&slot) != Some(&image.bank)
            && !late
            && !(self.is_settled_on(observed, image) && self.journal.reboot.is_none())
        {
            return Start::Do(vec![Action::Select {
                slot,
                bank: image.bank,
            }]);
        }
        let limit = self.limits.ready / 1_000;
        match &observed.standby {
            Some(standby) if standby.running.runs(image) => {
                if standby.ready {
                    return Start::Ready;
                }
                if late {
                    return Start::Failed(format!(
                        "{slot} runs {} and is not ready after {limit} s: {}",
                        image.version, standby.state
                    ));
                }
                self.wait_for(format!("{slot} gets ready: {}", standby.state));
                Start::Do(Vec::new())
            }
            Some(standby) => self.reboot(now, standby.clone(), image),
            None if late => Start::Failed(format!(
                "{slot} did not come up with {} within {limit} s",
                image.version
            )),
            None => {
                // What hangs at its start hears nobody; its boot does.
                let silent = self.journal.in_step_ms(now) > self.limits.silent;
                if silent && self.journal.reboot.is_none() {
                    self.journal.reboot = Some(Reboot {
                        slot,
                        pid: None,
                        boot_ms: now.boot_ms,
                        times: 1,
                    });
                    return Start::Do(vec![Action::Reboot { slot }]);
                }
                self.wait_for(format!("{slot} starts"));
                Start::Do(Vec::new())
            }
        }
    }

    /// Whether the standby runs the image and is ready, whatever is selected.
    fn is_settled_on(&self, observed: &Observed, image: &Image) -> bool {
        self.journal.mode == Mode::Conservative
            && observed
                .standby
                .as_ref()
                .is_some_and(|standby| standby.ready && standby.running.runs(image))
    }

    /// Tells a module that runs another image to start again, unless it was told.
    fn reboot(&mut self, now: Now, standby: Standby, image: &Image) -> Start {
        let slot = standby.running.slot;
        let pid = Some(standby.running.pid);
        let told = self
            .journal
            .reboot
            .as_ref()
            .filter(|told| told.slot == slot);
        let times = told.map_or(0, |told| told.times);
        if let Some(told) = told {
            let waited = now.boot_ms.saturating_sub(told.boot_ms);
            if told.pid == pid && waited < self.limits.repeat {
                self.wait_for(format!("{slot} starts again"));
                return Start::Do(Vec::new());
            }
            if told.pid != pid && times >= REBOOTS {
                return Start::Failed(format!(
                    "{slot} came up with {} instead of {}: its boot found the image in bank {} unfit; `show version \
                     detail` and `show log` say why",
                    standby.running.version, image.version, image.bank
                ));
            }
            if self.journal.in_step_ms(now) > self.limits.ready {
                return Start::Failed(format!("{slot} did not start again"));
            }
        }
        self.journal.reboot = Some(Reboot {
            slot,
            pid,
            boot_ms: now.boot_ms,
            times: times + 1,
        });
        Start::Do(vec![Action::Reboot { slot }])
    }

    pub(super) fn wait_for(&mut self, what: String) {
        self.journal.waiting = (!what.is_empty()).then_some(what);
    }
}
