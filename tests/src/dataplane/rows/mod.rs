//! The rows, one file a behaviour.

pub mod admission;
pub mod control;
pub mod fdb;
pub mod flood;
pub mod learning;
pub mod lease;
pub mod lengths;
pub mod storm;
pub mod tags;

use hitless_common::Mac;

use super::row::Row;

/// Source of the frames.
pub(crate) const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
/// A destination.
pub(crate) const B: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);
/// A group address.
pub(crate) const GROUP: Mac = Mac([0x01, 0x00, 0x5e, 0, 0, 5]);
/// Spanning tree of each VLAN by itself, as Cisco has it.
pub(crate) const PVST: Mac = Mac([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd]);

/// Every row.
#[must_use]
pub fn all() -> Vec<Row> {
    [
        admission::rows(),
        tags::rows(),
        lengths::rows(),
        control::rows(),
        fdb::rows(),
        learning::rows(),
        storm::rows(),
        flood::rows(),
        lease::rows(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::row::{Where, Xdp};
    use hitless_common::DropReason;
    use std::collections::BTreeSet;

    /// Reasons that no row can bring about, and why.
    const NO_ROW: &[(DropReason, &str)] = &[];

    #[test]
    fn every_drop_reason_has_a_row() {
        let rows = all();
        for reason in DropReason::ALL {
            let has_row = rows
                .iter()
                .any(|row| row.expect.drops.iter().any(|(_, r)| r == reason));
            let excused = NO_ROW.iter().any(|(r, _)| r == reason);
            assert!(has_row != excused, "{}: {has_row}", reason.name());
        }
    }

    #[test]
    fn what_both_programs_can_do_is_tried_with_both() {
        for reason in [
            DropReason::UnknownPort,
            DropReason::PortDisabled,
            DropReason::Truncated,
            DropReason::VlanReserved,
            DropReason::UntaggedRefused,
            DropReason::TaggedRefused,
            DropReason::VlanUnknown,
            DropReason::VlanFiltered,
            DropReason::PortBlocked,
            DropReason::SamePort,
            DropReason::Blackhole,
            DropReason::EgressBlocked,
            DropReason::MtuExceeded,
            DropReason::NoMaster,
        ] {
            let both = |row: &Row| {
                row.expect.xdp == Xdp::Decides
                    && matches!(row.tried, Where::Everywhere | Where::TestRuns)
                    && row.expect.drops.iter().any(|&(_, r)| r == reason)
            };
            assert!(all().iter().any(both), "{}", reason.name());
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names = BTreeSet::new();
        for row in all() {
            assert!(
                names.insert(row.name.clone()),
                "{} is there twice",
                row.name
            );
        }
    }
}
