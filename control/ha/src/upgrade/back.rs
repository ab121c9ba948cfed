//! The way back to the old image, from wherever it was left.

use super::Now;
use super::journal::{Outcome, Step};
use super::machine::{Action, Start, Upgrade};
use super::world::Observed;
use crate::slot::ModuleSlot;

impl Upgrade {
    pub(super) fn back(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        let old = self.journal.from.clone();
        if observed.master.runs(&old) {
            self.journal.enter(now, Step::Restore);
        } else if self.journal.step == Step::Restore || self.journal.step == Step::Unknown {
            // The old master was lost again.
            self.journal.enter(now, Step::StartOld);
        }
        match self.journal.step {
            Step::Restore => self.restore(now, observed),
            Step::FailBack => match self.hand_over(now, observed) {
                Ok(actions) => actions,
                Err(None) => {
                    self.journal.enter(now, Step::StartOld);
                    Vec::new()
                }
                Err(Some(why)) => self.stuck(now, &why),
            },
            _ => match self.bring_up(now, observed, &old) {
                Start::Ready => {
                    self.journal.enter(now, Step::FailBack);
                    Vec::new()
                }
                Start::Do(actions) => actions,
                Start::Failed(why) => self.stuck(now, &why),
            },
        }
    }

    /// The old image is master: the rest of the switch follows it.
    fn restore(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        let old = self.journal.from.clone();
        for slot in ModuleSlot::BOTH {
            let late = self.journal.in_step_ms(now) > self.limits.ready;
            if observed.selected.get(&slot) != Some(&old.bank) && !late {
                return vec![Action::Select {
                    slot,
                    bank: old.bank,
                }];
            }
        }
        match self.bring_up(now, observed, &old) {
            Start::Ready => self.journal.finish(now, Outcome::RolledBack),
            Start::Do(actions) => return actions,
            // The switch is where it was, but for the standby, which says itself what it lacks.
            Start::Failed(why) => {
                let reason = self.journal.reason.take().unwrap_or_default();
                self.journal.reason = Some(format!("{reason}; then {why}"));
                self.journal.finish(now, Outcome::RolledBack);
            }
        }
        Vec::new()
    }

    /// What runs goes on running.
    fn stuck(&mut self, now: Now, why: &str) -> Vec<Action> {
        let reason = self.journal.reason.take().unwrap_or_default();
        self.journal.reason = Some(format!("{reason}; the way back is barred: {why}"));
        self.journal.finish(now, Outcome::Stuck);
        Vec::new()
    }
}
