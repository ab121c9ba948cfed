//! The network test cases, one file a behaviour. Each case makes its own namespaces, runs the shipped binaries
//! and checks every frame.

pub mod access;
pub mod boot;
pub mod bystanders;
pub mod chassis;
pub mod control;
pub mod devices;
pub mod failover;
pub mod fdb;
pub mod forwarding;
pub mod guide;
pub mod heal;
pub mod images;
pub mod lab;
pub mod labs;
pub mod layouts;
pub mod lease;
pub mod migrate;
pub mod offload;
pub mod pinned;
pub mod reconfigure;
pub mod refusals;
pub mod restart;
pub mod session;
pub mod socket;
pub mod storm;
pub mod stp;
pub mod tagging;
pub mod tcp;
pub mod trial;
pub mod upgrade;

use crate::harness::ktap::Case;

/// Every case, in the order in which they run: what others build on comes first.
pub const ALL: &[&[Case]] = &[
    crate::dataplane::CASES,
    forwarding::CASES,
    tagging::CASES,
    fdb::CASES,
    control::CASES,
    storm::CASES,
    offload::CASES,
    tcp::CASES,
    labs::CASES,
    restart::CASES,
    lease::CASES,
    reconfigure::CASES,
    devices::CASES,
    layouts::CASES,
    heal::CASES,
    refusals::CASES,
    socket::CASES,
    access::CASES,
    boot::CASES,
    chassis::CASES,
    images::banks::CASES,
    images::disk::CASES,
    images::download::CASES,
    images::modules::CASES,
    failover::show::CASES,
    failover::settings::CASES,
    failover::matrix::CASES,
    failover::hard_reset::CASES,
    failover::roles::CASES,
    failover::interfaces::CASES,
    failover::abuse::CASES,
    failover::disk::CASES,
    failover::poison::CASES,
    failover::many::CASES,
    guide::procedures::CASES,
    guide::troubleshooting::CASES,
    migrate::CASES,
    session::scripts::CASES,
    session::reference::CASES,
    session::paging::CASES,
    session::golden::CASES,
    session::lost::CASES,
    session::changes::CASES,
    session::confirmed::CASES,
    session::banks::CASES,
    session::download::CASES,
    session::large::CASES,
    stp::storm::CASES,
    stp::ring::CASES,
    stp::failover::CASES,
    stp::lost::CASES,
    stp::kernel::CASES,
    stp::wire::CASES,
    stp::guards::CASES,
    stp::bad::CASES,
    stp::domains::CASES,
    stp::commands::CASES,
    stp::saved::CASES,
    upgrade::pairs::CASES,
    upgrade::probe::CASES,
    upgrade::ring::CASES,
    upgrade::rules::CASES,
    upgrade::disk::CASES,
    upgrade::faults::CASES,
    upgrade::kills::CASES,
];

/// Cases that take too long for every run; they run when they are called by their whole name.
pub const LONG: &[&[Case]] = &[failover::many::SOAK, stp::lost::SOAK];

/// The cases whose name contains one of the filters; all without filters. Those of [`LONG`] by their whole name.
#[must_use]
pub fn matching(filters: &[String]) -> Vec<Case> {
    let long = LONG
        .iter()
        .copied()
        .flatten()
        .filter(|case| filters.iter().any(|f| f == case.name));
    ALL.iter()
        .copied()
        .flatten()
        .filter(|case| filters.is_empty() || filters.iter().any(|f| case.name.contains(f.as_str())))
        .chain(long)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_fit_a_result_line() {
        let mut names = BTreeSet::new();
        for case in matching(&[]).iter().chain(LONG.iter().copied().flatten()) {
            assert!(names.insert(case.name), "{} is there twice", case.name);
            // KTAP: a `#` ends the description.
            let text = format!("{}{}", case.name, case.description);
            assert!(!text.contains(['#', '\n']), "{text}");
            assert!(!case.name.contains(' '), "{}", case.name);
        }
    }

    #[test]
    fn filters_choose_by_part_of_the_name() {
        assert!(matching(&["no such case".into()]).is_empty());
        assert_eq!(
            matching(&[]).len(),
            ALL.iter().map(|cases| cases.len()).sum::<usize>()
        );
        for case in LONG.iter().copied().flatten() {
            let named = matching(&[case.name.into()]);
            assert_eq!(named.len(), 1, "{}", case.name);
            assert!(matching(&[case.name[1..].into()]).is_empty());
        }
    }
}
