//! Whether frames were lost that would not have been: drops by reason since a failover, against those of the time before.

use std::collections::BTreeMap;

use hitless_common::DropReason;

use super::journal::Snapshot;
use super::world::Sample;

/// Frames dropped that should not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The reason's name.
    pub reason: String,
    /// Frames dropped since.
    pub frames: u64,
    /// Frames that would have been by the rate of the time before.
    pub expected: u64,
}

/// Frames of a doubtful reason that mean nothing: a host that says something to nobody in particular.
const NOISE: u64 = 20;

/// What a reason says about the switch.
enum Kind {
    /// It is the switch's failure.
    Own,
    /// It may be the switch's failure, or what neighbours send.
    Doubtful,
    /// It is what neighbours send, or what was configured.
    Theirs,
}

fn kind(reason: &str) -> Kind {
    let known = DropReason::ALL.iter().find(|known| known.name() == reason);
    match known {
        Some(
            DropReason::UnknownPort
            | DropReason::PortDisabled
            | DropReason::TxFailed
            | DropReason::TagFailed
            | DropReason::NoMaster,
        ) => Kind::Own,
        Some(
            DropReason::VlanUnknown
            | DropReason::VlanFiltered
            | DropReason::PortBlocked
            | DropReason::EgressBlocked
            | DropReason::NoEgress,
        )
        | None => Kind::Doubtful,
        Some(_) => Kind::Theirs,
    }
}

/// Frames dropped since a snapshot, by reason; only reasons that occurred.
#[must_use]
pub fn measured(before: &Snapshot, now: &Sample) -> BTreeMap<String, u64> {
    let since = |(reason, &frames): (&String, &u64)| {
        let old = before.drops.get(reason).copied().unwrap_or(0);
        (reason.clone(), frames.saturating_sub(old))
    };
    now.drops
        .iter()
        .map(since)
        .filter(|(_, frames)| *frames > 0)
        .collect()
}

/// What was lost since a snapshot.
///
/// A reason that is the switch's own failure counts from the first frame on, unless it occurred before: then, as a reason
/// that may be the neighbours' doing, from three times its rate on.
#[must_use]
pub fn losses(before: &Snapshot, now: &Sample) -> Vec<Loss> {
    let ms = now.boot_ms.saturating_sub(before.boot_ms);
    let mut found = Vec::new();
    for (reason, frames) in measured(before, now) {
        let earlier = before.span_drops.get(&reason).copied().unwrap_or(0);
        let rate_over = u128::from(earlier) * u128::from(ms) / u128::from(before.span_ms.max(1));
        let expected = u64::try_from(rate_over).unwrap_or(u64::MAX);
        let allowed = match kind(&reason) {
            Kind::Own if earlier == 0 => 0,
            Kind::Own | Kind::Doubtful => expected.saturating_mul(3).saturating_add(NOISE),
            Kind::Theirs => continue,
        };
        if frames > allowed {
            found.push(Loss {
                reason,
                frames,
                expected,
            });
        }
    }
    found
}
