//! Cut anywhere: a recorded run of events drives a master and its standby; at every write to the hardware and at
//! every message of the checkpoint (and in the middle of each) the master is dropped, the standby resumes from its
//! database and the hardware, and what follows ends like the run that was not cut.
//!
//! Everything is simulated but what decides: learning, the tables from the configuration, the order of changes, the
//! checkpoint and the verdict are the shipped code.

// Helpers of tests fail by panicking, as the tests do.
#![allow(clippy::unwrap_used)]

mod database;
mod events;
mod hardware;
mod master;
mod run;

use events::{Event, trace};
use run::{Recording, record};

/// Runs a trace to its end and then, for every cut, what follows it.
fn cut_everywhere(events: &[Event]) -> Recording {
    let recording = record(events);
    recording.check_order();
    recording.resume_from_every_cut();
    recording
}

#[test]
fn seed_47_51_every_cut_of_a_random_run_ends_like_the_uncut_one() {
    let mut cuts = 0;
    for seed in 1..=4 {
        let recording = cut_everywhere(&trace(seed, 90));
        assert!(
            recording.was_ready(),
            "seed {seed}: the standby was never ready"
        );
        cuts += recording.cuts();
    }
    assert!(cuts > 1000, "{cuts} cuts are too few to mean anything");
}

/// A port leaves a VLAN and another one joins it, by configuration and by link, with a standby that answers at once
/// and with one that is behind.
#[test]
fn seed_47_every_cut_of_openings_and_closings_ends_like_the_uncut_one() {
    let mut events = vec![Event::Tick; 12];
    for round in 0..3 {
        for config in [1, 2, 0, 3, 1] {
            events.push(Event::Config(config));
            if round == 1 {
                events.push(Event::Behind);
            }
            for port in [1, 3] {
                events.push(Event::Link { port, up: false });
                if round == 2 {
                    events.push(Event::Behind);
                }
                events.push(Event::Link { port, up: true });
            }
        }
    }
    let recording = cut_everywhere(&events);
    assert!(recording.was_ready());
    assert!(recording.openings_that_waited() > 20);
}

/// A nearly full table, in which learning one address moves others.
#[test]
fn seed_47_every_cut_of_displacements_ends_like_the_uncut_one() {
    let frames = (0..118).map(|mac| Event::Frame {
        vlan: 10 + 10 * (mac % 2),
        mac,
        port: 1 + mac % 4,
    });
    let events: Vec<Event> = frames.collect();
    let recording = cut_everywhere(&events);
    assert!(recording.longest_chain() > 2, "no address was displaced");
}

/// Addresses that move: the new master goes on counting where the old one was.
#[test]
fn seed_51_every_cut_of_moves_ends_like_the_uncut_one() {
    let mut events = vec![Event::Tick; 12];
    for round in 0..10 {
        events.extend((0..6).map(|mac| Event::Frame {
            vlan: 10,
            mac,
            port: 1 + (mac + round) % 4,
        }));
        events.push(Event::Tick);
    }
    let recording = cut_everywhere(&events);
    assert!(recording.was_ready());
    assert_eq!(recording.moved(), 6);
}

/// The standby falls behind and gets everything anew, again and again.
#[test]
fn seed_49_every_cut_of_bulk_transfers_ends_like_the_uncut_one() {
    let mut events = trace(9, 40);
    for at in [35, 22, 14] {
        events.insert(at, Event::FallBack);
    }
    let recording = cut_everywhere(&events);
    assert!(recording.was_ready());
}
