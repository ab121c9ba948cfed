//! Brackets: all or nothing, closed in time, in order, and not too long.

use super::model::Model;
use super::raw::*;
use hitless_ha::receiver::{Event, Limits};
use hitless_ha::schema::Subsystem;
use hitless_ha::state::{Reason, SubState};

fn failed(standby: &Standby) -> Vec<(Subsystem, Reason)> {
    let all = standby.receiver.states().iter();
    all.filter(|(_, status)| status.current.state == SubState::Failed)
        .map(|(subsystem, status)| (subsystem, status.current.reason))
        .collect()
}

#[test]
fn seed_47_a_bracket_is_applied_when_it_is_closed_and_not_before() {
    let mut standby = Standby::ready();
    standby.part(VLANS, PUT, BEGIN, &record(&[u16(1, 10)]));
    standby.part(FDB, PUT, 0, &address(1, 10, 1, 1));
    standby.part(FDB, PUT, 0, &address(2, 10, 2, 1));
    assert_eq!(standby.database, Model::default());
    assert!(standby.receiver.in_bracket());
    let closed = standby.receiver.closed();
    // A sign of life is no part of any bracket.
    standby.message(1, 2, 0, 0, &[]);
    standby.part(PORTS, PUT, END, &record(&[u16(1, 3)]));
    assert_eq!(standby.receiver.closed().0, closed.0 + 1);
    let found = &standby.database;
    assert_eq!(
        (found.vlans.len(), found.fdb.len(), found.ports.len()),
        (1, 2, 1)
    );
}

/// The master dies in the middle of a bracket: the database is the last complete state, and it is ready.
#[test]
fn seed_47_an_unfinished_bracket_leaves_the_last_complete_state() {
    let mut standby = Standby::ready();
    standby.whole(FDB, PUT, &[address(1, 10, 1, 1)]);
    let before = standby.database.clone();
    standby.part(FDB, DELETE, BEGIN, &record(&[u32(1, 1)]));
    standby.part(FDB, PUT, 0, &address(9, 10, 9, 1));
    assert_eq!(standby.database, before);
    assert!(standby.receiver.ready());
}

/// A master that hangs in the middle of a bracket, and whose keepalives are waited for longer than a bracket may take:
/// what it closed before is not lost.
#[test]
fn seed_47_a_silent_master_is_not_late() {
    let mut standby = Standby::ready();
    standby.whole(FDB, PUT, &[address(1, 10, 1, 1)]);
    let before = standby.database.clone();
    standby.part(FDB, DELETE, BEGIN, &record(&[u32(1, 1)]));
    standby.now += 10 * Limits::default().bracket_ms;
    standby.receiver.tick();
    assert!(standby.receiver.ready());
    assert_eq!(standby.database, before);
}

#[test]
fn seed_48_a_bracket_that_is_not_closed_in_time_is_discarded() {
    let mut standby = Standby::ready();
    assert_eq!(
        standby.receiver.deadline(),
        None,
        "an idle standby has no timer"
    );
    standby.now = 1000;
    standby.part(FDB, PUT, BEGIN, &address(1, 10, 1, 1));
    standby.part(VLANS, PUT, 0, &record(&[u16(1, 10)]));
    let deadline = 1000 + Limits::default().bracket_ms;
    assert_eq!(standby.receiver.deadline(), Some(deadline));
    standby.now = deadline - 1;
    standby.keepalive();
    standby.receiver.tick();
    assert!(standby.receiver.ready());
    standby.now = deadline;
    standby.keepalive();
    standby.receiver.tick();
    assert_eq!(standby.receiver.deadline(), None);
    let invalid = |subsystem| (subsystem, Reason::InvalidBracket);
    assert_eq!(
        failed(&standby),
        [invalid(Subsystem::Vlans), invalid(Subsystem::Fdb)]
    );
    // What comes of it later changes nothing, and costs what else was in it.
    let closed = standby.receiver.closed();
    standby.part(FDB, PUT, 0, &address(2, 10, 2, 1));
    standby.part(PORTS, PUT, END, &record(&[u16(1, 3)]));
    assert_eq!(standby.database, Model::default());
    assert_eq!(standby.receiver.closed(), closed);
    assert_eq!(failed(&standby)[0], invalid(Subsystem::Ports));
    assert_eq!(failed(&standby).len(), 3);
    // The next bracket is as any other, and a transfer heals what failed.
    standby.whole(CONFIG, PUT, &[record(&[long(1, 7, b"x")])]);
    assert_eq!(standby.database.config.len(), 1);
    for subsystem in [PORTS, VLANS, FDB] {
        standby.whole(subsystem, BULK_BEGIN, &[]);
        standby.whole(subsystem, BULK_END, &[]);
    }
    assert!(standby.receiver.ready());
}

#[test]
fn seed_65_a_bracket_in_a_bracket_is_invalid() {
    let mut standby = Standby::ready();
    standby.part(FDB, PUT, BEGIN, &address(1, 10, 1, 1));
    standby.part(VLANS, PUT, BEGIN, &record(&[u16(1, 10)]));
    standby.part(PORTS, PUT, END, &record(&[u16(1, 3)]));
    assert_eq!(standby.database, Model::default());
    let found: Vec<Subsystem> = failed(&standby).iter().map(|f| f.0).collect();
    assert_eq!(found, [Subsystem::Ports, Subsystem::Vlans, Subsystem::Fdb]);
    // Its end ended the disorder.
    standby.whole(CONFIG, PUT, &[record(&[long(1, 7, b"x")])]);
    assert_eq!(standby.database.config.len(), 1);
}

#[test]
fn a_bracket_that_was_not_opened_is_invalid() {
    let mut standby = Standby::ready();
    standby.message(FDB, PUT, END, 99, &address(1, 10, 1, 1));
    assert_eq!(failed(&standby), [(Subsystem::Fdb, Reason::InvalidBracket)]);
    standby.message(VLANS, PUT, 0, 100, &record(&[u16(1, 10)]));
    standby.message(PORTS, PUT, END, 100, &record(&[u16(1, 3)]));
    assert_eq!(failed(&standby).len(), 3);
    assert_eq!(standby.database, Model::default());
}

#[test]
fn another_brackets_message_in_an_open_one_is_invalid() {
    let mut standby = Standby::ready();
    standby.part(FDB, PUT, BEGIN, &address(1, 10, 1, 1));
    let id = standby.transaction;
    standby.message(VLANS, PUT, END, id + 5, &record(&[u16(1, 10)]));
    assert_eq!(failed(&standby).len(), 2);
    assert_eq!(standby.database, Model::default());
}

#[test]
fn a_bracket_of_the_past_is_invalid() {
    let mut standby = Standby::ready();
    standby.whole(FDB, PUT, &[address(1, 10, 1, 1)]);
    let id = standby.transaction;
    standby.message(FDB, PUT, WHOLE, id, &address(2, 10, 2, 1));
    assert_eq!(failed(&standby), [(Subsystem::Fdb, Reason::InvalidBracket)]);
    assert_eq!(standby.database.fdb.len(), 1);
    // Numbers may be left out.
    standby.message(VLANS, PUT, WHOLE, id + 10, &record(&[u16(1, 10)]));
    assert_eq!(standby.database.vlans.len(), 1);
}

#[test]
fn a_missing_message_costs_all_subsystems() {
    let mut standby = Standby::ready();
    standby.sequence += 1;
    standby.whole(FDB, PUT, &[address(1, 10, 1, 1)]);
    assert_eq!(failed(&standby).len(), 5);
    assert!(standby.database.fdb.is_empty());
    for subsystem in [CONFIG, PORTS, VLANS, STP, FDB] {
        standby.whole(subsystem, BULK_BEGIN, &[]);
        standby.whole(subsystem, BULK_END, &[]);
    }
    assert!(standby.receiver.ready());
}

#[test]
fn a_bracket_that_lost_a_message_is_not_applied() {
    let mut standby = Standby::ready();
    standby.part(FDB, PUT, BEGIN, &address(1, 10, 1, 1));
    standby.sequence += 1;
    standby.part(FDB, PUT, 0, &address(3, 10, 3, 1));
    standby.part(FDB, PUT, END, &address(4, 10, 4, 1));
    assert_eq!(standby.database, Model::default());
    assert_eq!(failed(&standby).len(), 5);
}

#[test]
fn seed_65_a_bracket_that_is_too_long_overflows() {
    let mut standby = Standby::ready_with(Limits {
        bracket: 1000,
        ..Limits::default()
    });
    let records: Vec<Vec<u8>> = (0..20).map(|n| address(n, 10, n as u8, 1)).collect();
    standby.part(FDB, PUT, BEGIN, &records.concat());
    standby.part(FDB, PUT, 0, &records.concat());
    assert_eq!(
        failed(&standby),
        [(Subsystem::Fdb, Reason::BracketOverflow)]
    );
    standby.part(VLANS, PUT, END, &record(&[u16(1, 10)]));
    assert_eq!(standby.database, Model::default());
    assert_eq!(failed(&standby).len(), 2);
    let discarded = standby.receiver.counts().discarded;
    assert_eq!(discarded, 1);
}

#[test]
fn what_fails_is_told_once() {
    let mut standby = Standby::ready();
    for transaction in 100..110 {
        standby.message(FDB, PUT, END, transaction, &address(1, 10, 1, 1));
    }
    let events = standby.receiver.take_events();
    assert!(
        matches!(
            &events[..],
            [Event::Failed {
                subsystem: Subsystem::Fdb,
                ..
            }]
        ),
        "{events:?}"
    );
}
