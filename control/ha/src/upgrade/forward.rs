//! The steps to the new image.

use super::Now;
use super::journal::{Mode, Outcome, Snapshot, Step};
use super::loss::{losses, measured};
use super::machine::{Action, Start, Upgrade};
use super::world::{Job, Observed};

/// So many frames are traffic, and so many that are to be expected are not all missing by chance.
const CERTAIN: u128 = 20;

impl Upgrade {
    pub(super) fn install(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        match &observed.install {
            Job::Idle => vec![Action::Install],
            Job::Done => {
                self.journal.enter(now, Step::StartStandby);
                Vec::new()
            }
            Job::Failed(why) => {
                self.go_back(now, format!("the image could not be installed: {why}"));
                Vec::new()
            }
            Job::Running if self.journal.in_step_ms(now) > self.limits.install => {
                let seconds = self.limits.install / 1_000;
                self.go_back(
                    now,
                    format!("the image was not installed within {seconds} s"),
                );
                Vec::new()
            }
            Job::Running => Vec::new(),
        }
    }

    pub(super) fn start_standby(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        let image = self.journal.to.clone();
        match self.bring_up(now, observed, &image) {
            Start::Ready => {
                self.journal.before = Some(snapshot(observed));
                self.journal.enter(now, Step::Failover);
                Vec::new()
            }
            Start::Do(actions) => actions,
            Start::Failed(why) => {
                self.go_back(now, why);
                Vec::new()
            }
        }
    }

    pub(super) fn failover(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        let slot = observed.master.slot.other();
        if self.journal.mode == Mode::Conservative
            && observed.selected.get(&slot) != Some(&self.journal.from.bank)
        {
            return vec![Action::Select {
                slot,
                bank: self.journal.from.bank,
            }];
        }
        match self.hand_over(now, observed) {
            Ok(actions) => actions,
            Err(None) => {
                self.journal.enter(now, Step::StartStandby);
                Vec::new()
            }
            Err(Some(why)) => {
                self.go_back(now, why);
                Vec::new()
            }
        }
    }

    pub(super) fn verify(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        let Some(before) = &self.journal.before else {
            // The failover came before anybody looked.
            self.go_back(
                now,
                "the failover came before the upgrade was ready for it".into(),
            );
            return Vec::new();
        };
        if let Some(why) = damage(before, observed) {
            self.go_back(now, why);
            return Vec::new();
        }
        let lost = measured(before, &observed.counters);
        let mut waiting = Vec::new();
        let watched = self.journal.in_step_ms(now);
        if is_missed(before, watched) && observed.counters.frames <= before.frames {
            waiting.push("no frame was received since the failover".to_owned());
        }
        match &observed.standby {
            None => waiting.push(format!("{} is not there", observed.master.slot.other())),
            Some(standby) if !standby.ready => {
                waiting.push(format!(
                    "{} is not ready: {}",
                    standby.running.slot, standby.state
                ));
            }
            Some(_) => {}
        }
        if waiting.is_empty() && watched >= self.limits.watch {
            self.journal.lost = lost;
            match self.journal.mode {
                Mode::Standard => self.journal.enter(now, Step::StartOther),
                Mode::Conservative => self.journal.enter(now, Step::Accept),
            }
        } else if watched > self.limits.verify {
            self.go_back(
                now,
                format!(
                    "{} s after the failover {}",
                    watched / 1_000,
                    waiting.join(", ")
                ),
            );
        } else {
            self.wait_for(waiting.join(", "));
        }
        Vec::new()
    }

    pub(super) fn start_other(&mut self, now: Now, observed: &Observed) -> Vec<Action> {
        let (slot, bank) = (observed.master.slot, self.journal.to.bank);
        if observed.selected.get(&slot) != Some(&bank) {
            return vec![Action::Select { slot, bank }];
        }
        if let Some(before) = &self.journal.before
            && !self.journal.accepted
        {
            if let Some(why) = damage(before, observed) {
                self.go_back(now, why);
                return Vec::new();
            }
            self.journal.lost = measured(before, &observed.counters);
        }
        let image = self.journal.to.clone();
        match self.bring_up(now, observed, &image) {
            Start::Ready if self.journal.accepted => self.journal.finish(now, Outcome::Accepted),
            Start::Ready => self.journal.enter(now, Step::Accept),
            Start::Do(actions) => return actions,
            Start::Failed(why) => self.go_back(now, why),
        }
        Vec::new()
    }

    pub(super) fn wait_for_acceptance(&mut self, now: Now) -> Vec<Action> {
        let within = u64::from(self.journal.accept_within_s) * 1_000;
        if within == 0 {
            // Waits for nobody; it can not fail in this step.
            let _ = self.accept(now);
        } else if self.journal.in_step_ms(now) >= within {
            self.go_back(
                now,
                format!("nobody accepted it within {} s", within / 1_000),
            );
        }
        Vec::new()
    }
}

/// Whether there would certainly have been a frame in so many milliseconds after a failover, by the traffic of the seconds
/// before it. A switch on which hardly anybody speaks has nothing to show.
fn is_missed(before: &Snapshot, ms: u64) -> bool {
    let frames = u128::from(before.recent_frames);
    frames >= CERTAIN && frames * u128::from(ms) >= CERTAIN * u128::from(before.recent_ms.max(1))
}

/// What a failover must be measured against.
fn snapshot(observed: &Observed) -> Snapshot {
    let (now, then, recent) = (&observed.counters, &observed.minute, &observed.recent);
    let as_snapshot = Snapshot {
        drops: then.drops.clone(),
        ..Snapshot::default()
    };
    Snapshot {
        boot_ms: now.boot_ms,
        span_ms: now.boot_ms.saturating_sub(then.boot_ms),
        span_frames: now.frames.saturating_sub(then.frames),
        span_drops: measured(&as_snapshot, now),
        recent_ms: now.boot_ms.saturating_sub(recent.boot_ms),
        recent_frames: now.frames.saturating_sub(recent.frames),
        frames: now.frames,
        drops: now.drops.clone(),
        protocols: observed.protocols.clone(),
    }
}

/// What a failover has damaged, a sentence; `None`: nothing.
fn damage(before: &Snapshot, observed: &Observed) -> Option<String> {
    let lost: Vec<String> = losses(before, &observed.counters)
        .iter()
        .map(|loss| {
            format!(
                "{} frames {} ({} were to be expected)",
                loss.frames, loss.reason, loss.expected
            )
        })
        .collect();
    if !lost.is_empty() {
        return Some(format!(
            "frames were dropped since the failover: {}",
            lost.join(", ")
        ));
    }
    let moved: Vec<String> = before
        .protocols
        .iter()
        .filter(|(what, state)| observed.protocols.get(*what) != Some(state))
        .map(|(what, state)| match observed.protocols.get(what) {
            Some(now) => format!("{what} was {state} and is {now}"),
            None => format!("{what} was {state} and is gone"),
        })
        .collect();
    (!moved.is_empty()).then(|| format!("protocols moved: {}", moved.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_missed_only_where_there_was_traffic() {
        let before = |recent_ms, recent_frames| Snapshot {
            recent_ms,
            recent_frames,
            // What was sent earlier in that minute says nothing.
            span_frames: 1_000_000,
            span_ms: 60_000,
            ..Snapshot::default()
        };
        assert!(is_missed(&before(1_000, 1_000), 20));
        assert!(!is_missed(&before(1_000, 1_000), 19));
        assert!(!is_missed(&before(2_000, 0), 60_000));
        assert!(!is_missed(&before(0, 0), 60_000));
        assert!(is_missed(&before(1_500, 20), 60_000));
        assert!(!is_missed(&before(1_500, 19), 60_000), "a few in passing");
    }
}
