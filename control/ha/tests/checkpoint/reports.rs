//! What a standby reports of its failures, and what the master makes of it.

use super::model::{Pair, hello, messages, switch};
use super::raw::{self, FDB, WHOLE};
use hitless_ha::message::{LinkError, TransactionId};
use hitless_ha::schema::Subsystem;
use hitless_ha::sender::{Event, Limits, Sender};
use hitless_ha::slot::ModuleSlot;
use hitless_ha::state::{Reason, SubState};

fn states(pair: &Pair) -> Vec<SubState> {
    let all = pair.sender.states().iter();
    all.map(|(_, status)| status.current.state).collect()
}

/// What a standby reports of itself, with the newest bracket that it had heard of.
fn report(subsystem: u16, reason: u8, resync: bool, seen: u64, sequence: u64) -> Vec<u8> {
    let body = raw::record(&[
        raw::u16(9, subsystem),
        raw::u8(10, 4),
        raw::u8(11, reason),
        raw::u8(12, resync.into()),
    ]);
    let message = raw::Raw {
        subsystem: 1,
        subtype: 4,
        flags: 0,
        transaction: seen,
        body,
    };
    message.bytes(sequence)
}

#[test]
fn a_standby_may_ask_for_another_transfer_a_few_times() {
    let model = switch();
    let mut pair = Pair::ready(&model);
    pair.sender.take_events();
    let next = messages(&pair.answered) + 1;
    for (sequence, round) in (next..).zip(0..5u32) {
        let seen = pair.sender.committed().0;
        pair.sender
            .receive(0, &report(FDB, 6, true, seen, sequence))
            .unwrap();
        let resync = round < Limits::default().resyncs;
        let expected = Event::Failed {
            subsystem: Subsystem::Fdb,
            reason: Reason::InvalidBracket,
            resync,
        };
        assert_eq!(pair.sender.take_events(), [expected]);
        let due = resync.then_some(Subsystem::Fdb);
        assert_eq!(pair.sender.next_bulk(), due, "round {round}");
        if let Some(subsystem) = due {
            pair.sender.begin_bulk(0, subsystem);
        }
    }
    assert_eq!(pair.sender.states().state(Subsystem::Fdb), SubState::Failed);
    assert_eq!(pair.sender.counts().resyncs, 3);
}

/// The report was on its way while the transfer that heals it began.
#[test]
fn a_report_of_the_past_does_not_stop_a_transfer() {
    let mut pair = Pair::new();
    pair.pump();
    for subsystem in Subsystem::CHECKPOINTED {
        pair.sender.begin_bulk(0, subsystem);
        pair.sender.end_bulk(0, subsystem);
    }
    pair.sender.receive(0, &report(FDB, 6, true, 8, 2)).unwrap();
    assert_eq!(states(&pair), [SubState::Xfr; 5]);
    pair.sender.receive(0, &report(FDB, 6, true, 9, 3)).unwrap();
    assert_eq!(
        pair.sender.states().state(Subsystem::Fdb),
        SubState::Initial
    );
}

#[test]
fn what_a_standby_does_not_know_it_fails_and_the_master_shows_it() {
    let mut pair = Pair::ready(&switch());
    // As a later version would: a kind of FDB message that does not exist yet.
    let message = raw::Raw {
        subsystem: FDB,
        subtype: 77,
        flags: WHOLE,
        transaction: pair.sender.committed().0 + 1,
        body: vec![],
    };
    let bytes = message.bytes(messages(&pair.said) + 1);
    pair.receiver
        .receive(0, &bytes, &mut pair.database)
        .unwrap();
    let up = pair.receiver.outgoing().to_vec();
    // The acknowledgement is of a bracket that this master never sent; the report comes before it.
    let error = pair.sender.receive(0, &up).unwrap_err();
    assert!(
        matches!(error, LinkError::Malformed { what: "ack", .. }),
        "{error}"
    );
    let status = pair.sender.status(Subsystem::Fdb).current;
    assert_eq!(
        (status.state, status.reason),
        (SubState::Failed, Reason::InvalidSubtype)
    );
    assert!(!pair.sender.ready());
}

#[test]
fn a_missing_message_from_the_standby_closes_the_link() {
    let mut sender = Sender::new(0, &hello(ModuleSlot::MsmA), Limits::default());
    let error = sender.receive(0, &report(FDB, 6, true, 0, 2)).unwrap_err();
    assert_eq!(
        error,
        LinkError::Sequence {
            expected: 1,
            found: 2
        }
    );
    assert_eq!(sender.acked(), TransactionId::NONE);
    assert_eq!(sender.next_bulk(), None);
    sender.keepalive();
}
