//! Bulk transfers, changes, and what a slow, stopped or broken standby costs.

use super::model::{Model, Pair, learned, ports, put_all, switch, vid};
use hitless_ha::message::HEADER;
use hitless_ha::receiver;
use hitless_ha::record::{ConfigRecord, FdbRecord, VlanRecord};
use hitless_ha::schema::Subsystem;
use hitless_ha::sender::{Event, FallBack, Lag, Limits};
use hitless_ha::state::{Reason, SubState};

fn states(pair: &Pair) -> Vec<SubState> {
    pair.sender
        .states()
        .iter()
        .map(|(_, s)| s.current.state)
        .collect()
}

/// Fills the master's queue until it gives the standby up.
fn overflow(pair: &mut Pair) {
    for n in 0..1_000_000u32 {
        let mut open = pair.sender.begin(pair.now);
        for slot in (4 * n..4 * n + 4).map(|slot| slot % 60_000) {
            open.put(&learned(slot, 10, slot as u16, 1));
        }
        open.commit();
        if !pair.sender.ready() {
            return;
        }
    }
    panic!("the queue has no end");
}

fn fell_back(pair: &mut Pair) -> Option<(FallBack, usize)> {
    pair.sender
        .take_events()
        .into_iter()
        .find_map(|event| match event {
            Event::FellBack { why, dropped } => Some((why, dropped)),
            _ => None,
        })
}

#[test]
fn seed_64_subsystems_go_from_initial_through_xfr_to_ready() {
    let model = switch();
    let mut pair = Pair::new();
    assert_eq!(states(&pair), [SubState::Initial; 5]);
    assert_eq!(pair.sender.next_bulk(), None, "nobody is there");
    pair.pump();
    let mut order = Vec::new();
    pair.now = 100;
    while let Some(subsystem) = pair.sender.next_bulk() {
        order.push(subsystem);
        pair.sender.begin_bulk(pair.now, subsystem);
        assert_eq!(pair.sender.bulk(), Some(subsystem));
        assert_eq!(pair.sender.states().state(subsystem), SubState::Xfr);
        pair.pump();
        assert_eq!(pair.receiver.states().state(subsystem), SubState::Xfr);
        let mut open = pair.sender.begin(pair.now);
        put_all(&mut open, model.fdb.values());
        open.commit();
        pair.sender.end_bulk(pair.now, subsystem);
        assert_eq!(pair.sender.states().state(subsystem), SubState::Xfr);
        pair.now += 10;
        pair.pump();
        assert_eq!(pair.sender.states().state(subsystem), SubState::Ready);
        assert_eq!(pair.receiver.states().state(subsystem), SubState::Ready);
    }
    assert_eq!(order, Subsystem::CHECKPOINTED);
    assert!(pair.sender.ready() && pair.receiver.ready());
    let events = pair.sender.take_events();
    assert_eq!(events.last(), Some(&Event::AllReady { took_ms: 50 }));
    assert_eq!(pair.sender.counts().bulk_ms, Some(50));
    assert_eq!(pair.database.fdb, model.fdb);
    let events = pair.receiver.take_events();
    assert_eq!(events.last(), Some(&receiver::Event::AllReady));
}

#[test]
fn seed_49_after_the_transfer_changes_only() {
    let mut model = switch();
    let mut pair = Pair::ready(&model);
    let before = pair.sender.counts().octets;

    let mut open = pair.sender.begin(0);
    let new = learned(100, 10, 999, 2);
    open.put(&new);
    let id = open.commit();
    pair.pump();
    assert_eq!(pair.sender.acked(), id);
    let octets = pair.sender.counts().octets - before;
    assert_eq!(octets, HEADER as u64 + 26, "one learned address");
    model.fdb.insert(100, new);

    // Of a changed record, only what changed.
    let old = model.vlans[&vid(10)];
    let new = VlanRecord {
        forwarding: ports(&[1]),
        ..old
    };
    let before = pair.sender.counts().octets;
    let mut open = pair.sender.begin(0);
    open.update(&old, &new);
    open.commit();
    pair.pump();
    let octets = pair.sender.counts().octets - before;
    assert_eq!(octets, HEADER as u64 + 4 + (2 + 2) + (2 + 2 + 1));
    model.vlans.insert(vid(10), new);
    assert_eq!(pair.database, model);
}

#[test]
fn nothing_is_sent_of_a_bracket_that_is_not_committed() {
    let model = switch();
    let mut pair = Pair::ready(&model);
    pair.sender.begin(0).put(&learned(100, 10, 1, 1));
    assert!(pair.sender.outgoing().is_empty());
    let newest = pair.sender.committed();
    assert_eq!(
        pair.sender.begin(0).commit(),
        newest,
        "an empty bracket is none"
    );
    let mut open = pair.sender.begin(0);
    open.delete::<FdbRecord>(0);
    assert!(!open.is_empty() && open.len() > HEADER);
    open.commit();
    pair.pump();
    assert_eq!(pair.database.fdb.len(), model.fdb.len() - 1);
}

#[test]
fn changes_of_a_subsystem_that_is_not_transferred_wait_for_its_transfer() {
    let mut model = switch();
    let mut pair = Pair::new();
    pair.pump();
    let mut open = pair.sender.begin(0);
    assert!(!open.sends(Subsystem::Fdb));
    open.put(&learned(100, 10, 1, 1));
    open.commit();
    assert!(pair.sender.outgoing().is_empty());
    model.fdb.insert(100, learned(100, 10, 1, 1));
    pair.bulk(&model);
    assert_eq!(pair.database, model);
}

/// A transfer reads the table while it changes: what was sent last of a slot counts.
#[test]
fn changes_during_a_transfer_are_not_lost() {
    let mut model = switch();
    let mut pair = Pair::ready(&model);
    pair.sender.fall_back(FallBack::NoAnswer);
    pair.pump();
    let slots: Vec<u32> = model.fdb.keys().copied().collect();
    while let Some(subsystem) = pair.sender.next_bulk() {
        pair.sender.begin_bulk(0, subsystem);
        if subsystem == Subsystem::Config {
            let mut open = pair.sender.begin(0);
            open.put(&model.config[&()]);
            open.commit();
        }
        for (n, slot) in slots.iter().enumerate() {
            let mut open = pair.sender.begin(0);
            match subsystem {
                Subsystem::Fdb => {
                    // The slot that was just sent is freed, the one to come next is moved.
                    if let Some(record) = model.fdb.get(slot) {
                        open.put(record);
                    }
                    open.commit();
                    let mut open = pair.sender.begin(0);
                    if n % 3 == 0 {
                        model.fdb.remove(slot);
                        open.delete::<FdbRecord>(*slot);
                    }
                    if let Some(next) = slots.get(n + 1).and_then(|s| model.fdb.get_mut(s)) {
                        let old = *next;
                        next.port = 2;
                        open.put(&old).put(next);
                    }
                    open.commit();
                }
                _ => {
                    put_all(&mut open, model.ports.values());
                    put_all(&mut open, model.vlans.values());
                    put_all(&mut open, model.stp.values());
                    open.commit();
                }
            }
            pair.down(50);
        }
        pair.sender.end_bulk(0, subsystem);
        pair.pump();
    }
    assert!(pair.receiver.ready());
    assert_eq!(pair.database, model);
}

#[test]
fn a_standby_that_stands_still_costs_a_bounded_queue_and_nothing_else() {
    let model = switch();
    let mut pair = Pair::ready(&model);
    overflow(&mut pair);
    let (why, dropped) = fell_back(&mut pair).unwrap();
    assert_eq!(why, FallBack::Queue);
    assert!(
        dropped > (16 << 20) - 100 && dropped <= 16 << 20,
        "{dropped}"
    );
    let left = pair.sender.outgoing().len();
    assert!(left < 1000, "{left} octets");
    for (subsystem, status) in pair.sender.states().iter() {
        assert_eq!(status.current.state, SubState::Initial, "{subsystem}");
        assert_eq!(status.current.reason, Reason::CommError);
        assert_eq!(status.old.state, SubState::Ready);
    }
    // However long it stands still, and whatever happens.
    for _ in 0..10_000 {
        let mut open = pair.sender.begin(0);
        open.put(&learned(1, 10, 1, 1));
        open.commit();
        pair.sender.keepalive();
    }
    assert_eq!(pair.sender.outgoing().len(), left);
    assert_eq!(pair.sender.lag(1000), Lag::default());
    // It goes on: it knows that it is no longer up to date, and gets everything anew.
    pair.down(usize::MAX);
    assert!(!pair.receiver.ready());
    assert_eq!(pair.receiver.take_events(), [receiver::Event::FellBack]);
    pair.bulk(&model);
    assert!(pair.sender.ready() && pair.receiver.ready());
    assert_eq!(pair.database, model);
    assert_eq!(pair.sender.counts().fallbacks, 1);
}

/// A message that the transport has begun to take goes on to its end, and so does its bracket.
#[test]
fn what_was_begun_is_sent_to_its_end() {
    for taken in [1, HEADER + 3, 70_000, 200_000] {
        let model = Model::default();
        let mut pair = Pair::ready(&model);
        let mut open = pair.sender.begin(0);
        for n in 0..10_000u16 {
            open.put(&learned(n.into(), 10, n, 1));
        }
        let id = open.commit();
        let mut open = pair.sender.begin(0);
        open.put(&learned(65_000, 10, 1, 1));
        open.commit();
        pair.down(taken);
        pair.sender.fall_back(FallBack::NoAnswer);
        assert_eq!(
            pair.sender.next_bulk(),
            None,
            "the standby has not caught up"
        );
        pair.down(usize::MAX);
        assert_eq!(pair.sender.next_bulk(), None, "it has not said so");
        assert_eq!(pair.receiver.closed(), id);
        assert_eq!(pair.database.fdb.len(), 10_000);
        pair.up();
        assert_eq!(pair.sender.next_bulk(), Some(Subsystem::Config));
        pair.bulk(&model);
        assert!(pair.receiver.ready());
        assert_eq!(pair.database, model);
    }
}

#[test]
fn a_transfer_that_is_cut_short_by_falling_back_begins_anew() {
    let model = switch();
    let mut pair = Pair::new();
    pair.pump();
    pair.sender.begin_bulk(0, Subsystem::Config);
    pair.sender.fall_back(FallBack::NoAnswer);
    assert_eq!(pair.sender.bulk(), None);
    // Who drives the transfer does not know yet.
    let mut open = pair.sender.begin(0);
    open.put(&model.config[&()]);
    open.commit();
    pair.sender.end_bulk(0, Subsystem::Config);
    pair.pump();
    assert_eq!(states(&pair), [SubState::Initial; 5]);
    pair.bulk(&model);
    assert_eq!(pair.database, model);
    assert!(pair.receiver.ready());
}

#[test]
fn a_transfer_leaves_room_for_changes() {
    let mut pair = Pair::new();
    pair.pump();
    pair.sender.begin_bulk(0, Subsystem::Fdb);
    let mut n = 0u16;
    while pair.sender.room() > 0 {
        let mut open = pair.sender.begin(0);
        for _ in 0..1000 {
            open.put(&learned(n.into(), 10, n, 1));
            n += 1;
        }
        open.commit();
    }
    assert_eq!(pair.sender.counts().fallbacks, 0);
    let queued = pair.sender.outgoing().len();
    assert!(queued < (1 << 20) + 30_000, "{queued}");
    pair.down(usize::MAX);
    assert_eq!(pair.sender.room(), 1 << 20);
}

#[test]
fn acknowledgements_are_merged_and_never_pile_up() {
    let mut pair = Pair::ready(&Model::default());
    for n in 0..1000u16 {
        let mut open = pair.sender.begin(0);
        open.put(&learned(n.into(), 10, n, 1));
        open.commit();
    }
    pair.down(usize::MAX);
    assert_eq!(pair.receiver.outgoing().len(), HEADER);
    // A master that does not read them.
    for n in 0..1000u16 {
        let mut open = pair.sender.begin(0);
        open.put(&learned(n.into(), 10, n, 2));
        open.commit();
        pair.down(usize::MAX);
    }
    assert!(pair.receiver.outgoing().len() < 5000);
    pair.pump();
    assert_eq!(pair.sender.acked(), pair.sender.committed());
    assert_eq!(pair.sender.lag(0), Lag::default());
}

#[test]
fn lag_is_what_is_not_acknowledged() {
    let mut pair = Pair::ready(&Model::default());
    for (now, records) in [(10, 3u16), (25, 2)] {
        let mut open = pair.sender.begin(now);
        for n in 0..records {
            open.put(&learned(n.into(), 10, n, 1));
        }
        open.commit();
    }
    let lag = Lag { records: 5, ms: 30 };
    assert_eq!(pair.sender.lag(40), lag);
    pair.pump();
    assert_eq!(pair.sender.lag(40), Lag::default());
}

#[test]
fn signs_of_life_are_sent_when_nothing_else_is() {
    let mut pair = Pair::ready(&Model::default());
    pair.sender.keepalive();
    pair.sender.keepalive();
    assert_eq!(pair.sender.outgoing().len(), HEADER);
    pair.now = 77;
    pair.down(usize::MAX);
    assert_eq!(pair.receiver.heard(), 77);
    assert_eq!(pair.receiver.checkpoint_age(80), Some(3));
    pair.receiver.keepalive();
    pair.receiver.keepalive();
    assert_eq!(pair.receiver.outgoing().len(), HEADER);
    pair.up();
    assert_eq!(pair.sender.heard(), 77);
}

#[test]
fn the_checkpoint_ages_while_a_bracket_is_open() {
    let mut pair = Pair::ready(&Model::default());
    pair.now = 100;
    pair.sender.keepalive();
    pair.pump();
    let mut open = pair.sender.begin(100);
    for n in 0..10_000u16 {
        open.put(&learned(n.into(), 10, n, 1));
    }
    open.commit();
    pair.now = 150;
    pair.down(100_000);
    assert!(pair.receiver.in_bracket());
    assert_eq!(pair.receiver.checkpoint_age(200), Some(100));
    pair.down(usize::MAX);
    assert_eq!(pair.receiver.checkpoint_age(200), Some(50));
}

#[test]
fn a_standby_that_never_answers_is_given_up() {
    let limits = Limits {
        unanswered: 50,
        ..Limits::default()
    };
    let mut pair = Pair::with(limits, receiver::Limits::default());
    pair.bulk(&Model::default());
    pair.sender.take_events();
    for n in 0..51 {
        let mut open = pair.sender.begin(0);
        open.put(&learned(n, 10, 1, 1));
        open.commit();
        pair.down(usize::MAX);
    }
    assert_eq!(fell_back(&mut pair).unwrap().0, FallBack::NoAnswer);
    pair.bulk(&Model::default());
    assert!(pair.sender.ready());
}

#[test]
fn a_bracket_that_is_too_long_becomes_a_transfer() {
    let limits = Limits {
        bracket: 100_000,
        ..Limits::default()
    };
    let mut pair = Pair::with(limits, receiver::Limits::default());
    pair.bulk(&Model::default());
    pair.sender.take_events();
    let mut open = pair.sender.begin(0);
    for n in 0..60_000u16 {
        open.put(&learned(n.into(), 10, n, 1));
    }
    assert!(
        open.len() < 200_000,
        "memory is bounded while it is put together"
    );
    let newest = open.commit();
    assert_eq!(newest, pair.sender.committed());
    assert_eq!(fell_back(&mut pair).unwrap().0, FallBack::Bracket);
    let status = pair.sender.status(Subsystem::Fdb);
    assert_eq!(status.current.reason, Reason::BracketOverflow);
    assert!(!pair.sender.ready());
}

#[test]
fn a_configuration_that_is_too_long_fails_and_the_rest_goes_on() {
    let mut model = switch();
    model.config.insert(
        (),
        ConfigRecord {
            document: vec![b'#'; 9 << 20],
            ..ConfigRecord::default()
        },
    );
    let mut pair = Pair::new();
    pair.bulk(&model);
    let failed = SubState::Failed;
    let ready = SubState::Ready;
    assert_eq!(states(&pair), [failed, ready, ready, ready, ready]);
    assert_eq!(pair.receiver.states().state(Subsystem::Config), failed);
    let reason = pair.receiver.status(Subsystem::Config).current.reason;
    assert_eq!(reason, Reason::BracketOverflow);
    let too_long =
        |event: &Event| matches!(event, Event::TooLong { octets, .. } if *octets > 3 << 20);
    assert!(pair.sender.take_events().iter().any(too_long));
    assert_eq!(pair.database.fdb, model.fdb);
    // One of a megabyte is nothing special.
    let mut model = switch();
    model.config.get_mut(&()).unwrap().document = vec![b'#'; 1 << 20];
    let mut pair = Pair::new();
    pair.bulk(&model);
    assert_eq!(pair.database, model);
}

#[test]
fn subsystems_can_be_taken_out_and_in_again() {
    let mut model = switch();
    let mut pair = Pair::ready(&model);
    pair.sender.enable(Subsystem::Fdb, false);
    pair.sender.enable(Subsystem::Fdb, false);
    pair.pump();
    assert_eq!(
        pair.receiver.states().state(Subsystem::Fdb),
        SubState::Disable
    );
    assert!(pair.sender.ready() && pair.receiver.ready());
    model.fdb.remove(&0);
    let mut open = pair.sender.begin(0);
    open.delete::<FdbRecord>(0);
    open.commit();
    pair.sender.enable(Subsystem::Fdb, true);
    assert!(!pair.sender.ready());
    pair.bulk(&model);
    assert!(pair.sender.ready() && pair.receiver.ready());
    assert_eq!(pair.database, model);
}

#[test]
fn seed_65_a_standby_that_is_no_heir_is_told_so_and_nothing_else() {
    let mut model = switch();
    let mut pair = Pair::ready(&model);
    pair.sender.bar(Reason::ConfigCommand);
    assert!(!pair.sender.ready());
    model.fdb.remove(&0);
    let committed = pair.sender.committed();
    let mut open = pair.sender.begin(0);
    open.delete::<FdbRecord>(0);
    open.commit();
    assert_eq!(pair.sender.committed(), committed);
    assert_eq!(pair.sender.next_bulk(), None);
    pair.pump();
    for states in [pair.sender.states(), pair.receiver.states()] {
        for (subsystem, status) in states.iter() {
            let found = (status.current.state, status.current.reason);
            assert_eq!(
                found,
                (SubState::Failed, Reason::ConfigCommand),
                "{subsystem}"
            );
            assert_eq!(status.old.state, SubState::Ready);
        }
    }
    let told = |event: &receiver::Event| matches!(event, receiver::Event::Failed { reason, .. } if *reason == Reason::ConfigCommand);
    let events = pair.receiver.take_events();
    assert_eq!(events.iter().filter(|event| told(event)).count(), 5);
    assert_ne!(pair.database, model, "it has what it had");
    // What is taken in again now is barred as well.
    pair.sender.enable(Subsystem::Fdb, false);
    pair.sender.enable(Subsystem::Fdb, true);
    assert_eq!(pair.sender.states().state(Subsystem::Fdb), SubState::Failed);
    pair.sender.admit();
    pair.bulk(&model);
    assert!(pair.sender.ready() && pair.receiver.ready());
    assert_eq!(pair.database, model);
}

#[test]
fn a_standby_may_be_barred_before_it_was_transferred_anything_or_in_the_middle() {
    let model = switch();
    let mut pair = Pair::new();
    pair.pump();
    pair.sender.bar(Reason::Revision);
    pair.bulk(&model);
    assert_eq!(pair.database, Model::default());
    pair.sender.admit();
    pair.pump();
    let subsystem = pair.sender.next_bulk().unwrap();
    pair.sender.begin_bulk(0, subsystem);
    pair.sender.bar(Reason::Hotswap);
    pair.sender.end_bulk(0, subsystem);
    pair.pump();
    assert!(!pair.sender.ready() && !pair.receiver.ready());
    assert_eq!(pair.sender.barred(), Some(Reason::Hotswap));
    pair.sender.admit();
    pair.sender.admit();
    pair.bulk(&model);
    assert!(pair.sender.ready() && pair.receiver.ready());
    assert_eq!(pair.database, model);
}

/// It has everything, and says so only when it could use it.
#[test]
fn a_standby_that_holds_back_does_not_count_as_ready() {
    let model = switch();
    let mut pair = Pair::new();
    pair.receiver.hold(true);
    pair.pump();
    pair.bulk(&model);
    assert!(!pair.sender.ready());
    assert_eq!(pair.database, model);
    pair.receiver.keepalive();
    pair.pump();
    assert!(!pair.sender.ready());
    pair.receiver.hold(false);
    pair.pump();
    assert!(pair.sender.ready());
}
