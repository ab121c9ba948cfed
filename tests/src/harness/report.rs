//! What became of a flow's frames, phase by phase.

use std::fmt;

use serde::Serialize;

/// One phase of a flow. Frames belong to the phase in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PhaseReport {
    /// Name of the phase.
    pub name: String,
    /// Frames sent.
    pub sent: u64,
    /// Different frames received.
    pub received: u64,
    /// Frames never received.
    pub lost: u64,
    /// Frames received once more.
    pub duplicated: u64,
    /// Frames received after one that was sent later.
    pub reordered: u64,
    /// Longest time between two frames received, in microseconds; it ended in this phase.
    pub longest_gap_us: u64,
    /// Thousand frames sent a second.
    pub rate_kpps: f64,
}

impl PhaseReport {
    /// Nothing lost, nothing doubled, nothing out of order, and something sent at all.
    #[must_use]
    pub fn is_hitless(&self) -> bool {
        self.sent > 0 && self.lost == 0 && self.duplicated == 0 && self.reordered == 0
    }
}

/// A flow's whole story.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Name of the flow.
    pub flow: String,
    /// Its phases in order.
    pub phases: Vec<PhaseReport>,
}

impl Report {
    /// All phases together. The rate is that of the fastest phase.
    #[must_use]
    pub fn total(&self) -> PhaseReport {
        let mut total = PhaseReport {
            name: "total".into(),
            ..PhaseReport::default()
        };
        for phase in &self.phases {
            total.sent += phase.sent;
            total.received += phase.received;
            total.lost += phase.lost;
            total.duplicated += phase.duplicated;
            total.reordered += phase.reordered;
            total.longest_gap_us = total.longest_gap_us.max(phase.longest_gap_us);
            total.rate_kpps = total.rate_kpps.max(phase.rate_kpps);
        }
        total
    }

    /// Whether every phase is hitless.
    #[must_use]
    pub fn is_hitless(&self) -> bool {
        !self.phases.is_empty() && self.phases.iter().all(PhaseReport::is_hitless)
    }

    /// The phase of this name.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<&PhaseReport> {
        self.phases.iter().find(|p| p.name == name)
    }
}

impl fmt::Display for Report {
    /// A table, a line for each phase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .phases
            .iter()
            .map(|p| p.name.chars().count())
            .chain([self.flow.chars().count()])
            .max()
            .unwrap_or(0);
        writeln!(
            f,
            "{:width$} {:>10} {:>10} {:>7} {:>10} {:>10} {:>11} {:>8}",
            self.flow,
            "sent",
            "received",
            "lost",
            "duplicated",
            "re-ordered",
            "longest gap",
            "kpps"
        )?;
        for p in &self.phases {
            writeln!(
                f,
                "{:width$} {:>10} {:>10} {:>7} {:>10} {:>10} {:>8} us {:>8.0}",
                p.name,
                p.sent,
                p.received,
                p.lost,
                p.duplicated,
                p.reordered,
                p.longest_gap_us,
                p.rate_kpps
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(sent: u64, lost: u64) -> PhaseReport {
        PhaseReport {
            name: "p".into(),
            sent,
            received: sent - lost,
            lost,
            ..PhaseReport::default()
        }
    }

    #[test]
    fn one_lost_frame_is_a_hit() {
        let report = |phases| Report {
            flow: "f".into(),
            phases,
        };
        assert!(report(vec![phase(10, 0), phase(5, 0)]).is_hitless());
        assert!(!report(vec![phase(10, 0), phase(5, 1)]).is_hitless());
        assert!(!report(vec![phase(10, 0), phase(0, 0)]).is_hitless());
        assert!(!report(vec![]).is_hitless());
        assert_eq!(report(vec![phase(10, 2), phase(5, 1)]).total().lost, 3);
    }
}
