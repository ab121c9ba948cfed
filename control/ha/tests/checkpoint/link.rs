//! The link itself: what makes it useless, and what the modules say about themselves.

use super::model::{Pair, hello, put_all, switch};
use super::raw::*;
use hitless_ha::cause::Cause;
use hitless_ha::link::refusal;
use hitless_ha::message::LinkError;
use hitless_ha::receiver::{self, Receiver};
use hitless_ha::schema::{Subsystem, fingerprint};
use hitless_ha::sender::{self, Sender};
use hitless_ha::slot::ModuleSlot;

fn message() -> Vec<u8> {
    let body = address(1, 10, 1, 1);
    let raw = Raw {
        subsystem: FDB,
        subtype: PUT,
        flags: WHOLE,
        transaction: 9,
        body,
    };
    raw.bytes(9)
}

#[test]
fn octets_that_are_no_messages_close_the_link() {
    let damaged = |at: usize, with: u8| {
        let mut bytes = message();
        bytes[at] ^= with;
        let mut standby = Standby::ready();
        let error = standby.hear(&bytes).unwrap_err();
        // And it stays closed, whatever comes.
        assert_eq!(standby.hear(&message()), Err(error.clone()));
        assert!(standby.database.fdb.is_empty());
        error
    };
    assert!(matches!(damaged(0, 1), LinkError::Magic(_)));
    assert!(matches!(damaged(4, 3), LinkError::Version(2)));
    assert!(matches!(damaged(31, 1), LinkError::TooLong(_)));
    assert!(matches!(damaged(20, 1), LinkError::Checksum { .. }));
    assert!(matches!(damaged(33, 1), LinkError::Checksum { .. }));
    assert!(matches!(damaged(50, 1), LinkError::Checksum { .. }));
    let version = damaged(4, 3).to_string();
    assert!(
        version.contains("version 2") && version.contains("this one 1"),
        "{version}"
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = message();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut standby = Standby::ready();
        let heard = standby.hear(&bytes);
        // A length that became longer, but not too long, waits for octets that never come.
        let waits = heard.is_ok() && (28..32).contains(&(bit / 8));
        assert!(heard.is_err() || waits, "bit {bit}");
        assert!(standby.database.fdb.is_empty());
    }
}

#[test]
fn seed_5_messages_arrive_whole_and_in_order_however_the_octets_are_cut() {
    let model = switch();
    for cut in [1, 2, 7, 35, 36, 37, 100, 4096] {
        let mut pair = Pair::new();
        pair.up();
        pair.bulk(&model);
        // Once more, in pieces of this length.
        let mut open = pair.sender.begin(0);
        for slot in model.fdb.keys() {
            open.delete::<hitless_ha::record::FdbRecord>(*slot);
        }
        open.commit();
        let mut open = pair.sender.begin(0);
        put_all(&mut open, model.fdb.values().rev());
        open.commit();
        while !pair.sender.outgoing().is_empty() {
            pair.down(cut);
        }
        assert_eq!(pair.database, model, "pieces of {cut}");
        assert_eq!(pair.receiver.closed(), pair.sender.committed());
    }
}

#[test]
fn modules_introduce_themselves() {
    let mut pair = Pair::new();
    pair.pump();
    assert_eq!(pair.receiver.peer(), Some(&hello(ModuleSlot::MsmA)));
    assert_eq!(pair.sender.peer(), Some(&hello(ModuleSlot::MsmB)));
    assert_eq!(hello(ModuleSlot::MsmA).schema, fingerprint());
    let events = pair.sender.take_events();
    assert_eq!(events, [sender::Event::Hello(hello(ModuleSlot::MsmB))]);
}

#[test]
fn an_introduction_without_a_slot_closes_the_link() {
    let raw = Raw {
        subsystem: 1,
        subtype: 1,
        flags: 0,
        transaction: 0,
        body: record(&[short(2, b"0.1.0")]),
    };
    let mut sender = Sender::new(0, &hello(ModuleSlot::MsmA), sender::Limits::default());
    let error = sender.receive(0, &raw.bytes(1)).unwrap_err();
    assert!(
        error.to_string().contains("the field slot is missing"),
        "{error}"
    );
    assert!(!sender.ready());
}

#[test]
fn a_module_that_is_not_wanted_is_told_why() {
    let hello = hello(ModuleSlot::MsmB);
    let mut receiver = Receiver::new(0, &hello, receiver::Limits::default());
    let mut database = super::model::Model::default();
    receiver
        .receive(0, &refusal("msm-b is here already"), &mut database)
        .unwrap();
    let expected = receiver::Event::Refused("msm-b is here already".into());
    assert_eq!(receiver.take_events(), [expected]);
}

#[test]
fn the_last_things_that_a_master_says_arrive_after_all_else() {
    let model = switch();
    let mut pair = Pair::ready(&model);
    let mut open = pair.sender.begin(0);
    open.delete::<hitless_ha::record::FdbRecord>(0);
    open.commit();
    pair.sender.last_words("panicked at 'π is wrong'");
    pair.sender.handover(Cause::OperatorCommand);
    pair.sender.goodbye("msm-failover");
    pair.pump();
    assert_eq!(pair.receiver.closed(), pair.sender.committed());
    assert_eq!(
        pair.receiver.take_events(),
        [
            receiver::Event::LastWords("panicked at 'π is wrong'".into()),
            receiver::Event::Handover(Cause::OperatorCommand),
            receiver::Event::Goodbye("msm-failover".into()),
        ]
    );
    pair.receiver.goodbye("as you say");
    pair.pump();
    let events = pair.sender.take_events();
    assert_eq!(events, [sender::Event::Goodbye("as you say".into())]);
}

#[test]
fn last_words_that_are_too_many_are_cut_between_characters() {
    let mut pair = Pair::ready(&switch());
    pair.sender.last_words(&"π".repeat(100_000));
    pair.pump();
    let [receiver::Event::LastWords(text)] = &pair.receiver.take_events()[..] else {
        panic!("no last words");
    };
    assert_eq!(text.chars().count(), 32 << 10);
}

#[test]
fn digests_tell_whether_both_have_the_same() {
    use hitless_ha::receiver::Database;
    let mut model = switch();
    let mut pair = Pair::ready(&model);
    pair.sender.request_digest();
    pair.pump();
    let events = pair.sender.take_events();
    let [
        sender::Event::Digest {
            transaction,
            digests,
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(*transaction, pair.sender.committed());
    assert_eq!(digests.len(), 5);
    for (subsystem, digest) in digests {
        assert_eq!(*digest, model.digest(*subsystem));
        assert_ne!(digest.count, 0);
    }
    model.fdb.get_mut(&0).unwrap().port = 64;
    let fdb = digests
        .iter()
        .find(|(s, _)| *s == Subsystem::Fdb)
        .unwrap()
        .1;
    assert_ne!(fdb, model.digest(Subsystem::Fdb));
    assert_eq!(fdb.count, model.digest(Subsystem::Fdb).count);
}
