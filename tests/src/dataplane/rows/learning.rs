//! Which sources are reported to the master. That it is done once a round takes several frames: see
//! `dataplane::sequences`.

use hitless_common::DropReason::{EgressBlocked, NoMaster, PortBlocked, SamePort};
use hitless_common::Mac;
use hitless_common::map::fdb::flag::{BLACKHOLE, STATIC};

use super::{A, B};
use crate::dataplane::row::{Learning, Row, dropped, flooded, sent};
use crate::dataplane::tables::{Lease, Reported, Tables};
use crate::harness::frames::{Frame, Tag};

/// Ports 1 and 2 in VLAN 10, untagged; B behind port 2.
fn pair() -> Tables {
    Tables::new().access(1, 10).access(2, 10).station(10, B, 2)
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = sources();
    rows.extend(rings());
    rows.extend(learning_state());
    rows
}

fn sources() -> Vec<Row> {
    let frame = Frame::probe(A, B);
    let trunk = || {
        Tables::new()
            .tagged(1, &[10, 20])
            .tagged(2, &[20])
            .station(20, B, 2)
    };
    let group_source = Frame::probe(Mac([3, 0, 0, 0, 0, 1]), B);
    let broadcast_source = Frame::probe(Mac::BROADCAST, B);
    let zero_source = Frame::probe(Mac::ZERO, B);
    let broadcast = Frame::probe(A, Mac::BROADCAST);
    let row = |name, tables, frame: &Frame, learning| {
        Row::new(name, tables, 1, frame, sent(2, frame).learning(learning))
    };
    vec![
        row("a new source", pair(), &frame, Learning::New(10)),
        row(
            "a new source, in the VLAN of its tag",
            trunk(),
            &frame.tagged(Tag::vid(20)),
            Learning::New(20),
        ),
        row(
            "a source known in another VLAN",
            trunk().station(10, A, 1),
            &frame.tagged(Tag::vid(20)),
            Learning::New(20),
        ),
        row(
            "a source that moved",
            pair().access(3, 10).station(10, A, 3),
            &frame,
            Learning::Moved(10),
        ),
        row(
            "a source at its port",
            pair().station(10, A, 1),
            &frame,
            Learning::Silent,
        ),
        row(
            "a group address as source",
            pair(),
            &group_source,
            Learning::Silent,
        ),
        row(
            "the broadcast address as source",
            pair(),
            &broadcast_source,
            Learning::Silent,
        ),
        row(
            "address zero as source",
            pair(),
            &zero_source,
            Learning::Silent,
        ),
        row(
            "a new source, not learning",
            pair().not_learning(1, 10),
            &frame,
            Learning::Silent,
        ),
        row(
            "a source that moved, not learning",
            pair().not_learning(1, 10).access(3, 10).station(10, A, 3),
            &frame,
            Learning::Silent,
        ),
        Row::new(
            "a new source of a broadcast",
            pair(),
            1,
            &broadcast,
            flooded(&[(2, &broadcast)]).learning(Learning::New(10)),
        ),
        Row::new(
            "a new source of a frame that has no way out",
            Tables::new().access(1, 10).station(10, B, 1),
            1,
            &frame,
            dropped(1, SamePort).learning(Learning::New(10)),
        ),
    ]
}

/// What can not be reported now is counted, and the frame goes its way.
fn rings() -> Vec<Row> {
    let frame = Frame::probe(A, B);
    let row = |name, tables, learning| {
        Row::new(name, tables, 1, &frame, sent(2, &frame).learning(learning))
    };
    let full = || Tables {
        learn_full: true,
        ..pair()
    };
    let asleep = || Tables {
        asleep: true,
        ..pair()
    };
    vec![
        row(
            "a port that has used its share",
            pair().reported(1, Reported::ItsShare),
            Learning::Deferred,
        ),
        row(
            "a port that has used its share of the round before",
            pair().reported(1, Reported::ItsShareBefore),
            Learning::New(10),
        ),
        row(
            "another port has used its share",
            pair().reported(2, Reported::ItsShare),
            Learning::New(10),
        ),
        row("no room in the ring of events", full(), Learning::Deferred),
        row(
            "a source at its port needs no room",
            full().station(10, A, 1),
            Learning::Unchecked,
        ),
        row("a sleeping master is woken", asleep(), Learning::New(10)),
        row(
            "a sleeping master is left alone",
            asleep().station(10, A, 1),
            Learning::Silent,
        ),
    ]
}

/// A port that learns but does not forward: everything is dropped, whatever it was for, and its source learned.
fn learning_state() -> Vec<Row> {
    let to_b = Frame::probe(A, B);
    let to_all = Frame::probe(A, Mac::BROADCAST);
    let tagged = to_b.tagged(Tag::vid(20));
    let learns = || pair().learns_only(1, 10);
    let trunk = || {
        Tables::new()
            .untagged(1, 10)
            .tagged(1, &[20])
            .tagged(2, &[10, 20])
            .station(20, B, 2)
            .learns_only(1, 20)
    };
    let row = |name: &str, tables, frame: &Frame, learning| {
        let name = format!("learning state: {name}");
        let expect = dropped(1, PortBlocked).learning(learning);
        Row::new(name, tables, 1, frame, expect)
    };
    vec![
        row("to a known station", learns(), &to_b, Learning::New(10)),
        row("to all", learns(), &to_all, Learning::New(10)),
        row(
            "in the VLAN of the tag",
            trunk(),
            &tagged,
            Learning::New(20),
        ),
        row(
            "with a tag of the port's own VLAN",
            trunk().learns_only(1, 10),
            &to_b.tagged(Tag::vid(0)),
            Learning::New(10),
        ),
        row(
            "a source that moved",
            learns().access(3, 10).station(10, A, 3),
            &to_b,
            Learning::Moved(10),
        ),
        Row::new(
            "learning state: a source at its port is seen",
            learns().station(10, A, 1),
            1,
            &to_b,
            dropped(1, PortBlocked)
                .learning(Learning::Silent)
                .stamping(&[(10, A)]),
        ),
        row(
            "a source that is configured elsewhere",
            learns().address(10, A, 2, STATIC),
            &to_b,
            Learning::Silent,
        ),
        row(
            "a source that nobody shall hear of",
            learns().address(10, A, 0, STATIC | BLACKHOLE),
            &to_b,
            Learning::Silent,
        ),
        row(
            "a group address as source",
            learns(),
            &Frame::probe(Mac([3, 0, 0, 0, 0, 1]), B),
            Learning::Silent,
        ),
        row(
            "address zero as source",
            learns(),
            &Frame::probe(Mac::ZERO, B),
            Learning::Silent,
        ),
        row(
            "no room in the ring of events",
            Tables {
                learn_full: true,
                ..learns()
            },
            &to_b,
            Learning::Deferred,
        ),
        row(
            "without a master, who learns it when there is one",
            learns().lease(Lease::RanOut),
            &to_b,
            Learning::New(10),
        ),
        Row::new(
            "learning state: the other way nothing passes either",
            learns().station(10, A, 1),
            2,
            &Frame::probe(B, A),
            dropped(2, EgressBlocked).learning(Learning::Silent),
        ),
        // Not learning any more than a port that is blocked for good.
        row(
            "none of it, blocked",
            pair().blocked(1, 10),
            &to_b,
            Learning::Silent,
        ),
        Row::new(
            "learning state: none of it where the lease stops the port",
            pair().guarded(10, &[2]).lease(Lease::RanOut),
            1,
            &to_b,
            dropped(1, NoMaster).learning(Learning::Silent),
        ),
        Row::new(
            "learning state in another VLAN",
            trunk().station(10, B, 2),
            1,
            &to_b,
            sent(2, &to_b.tagged(Tag::vid(10))).learning(Learning::New(10)),
        ),
    ]
}
