//! Which sources are reported to the master. That it is done once a round takes several frames: see
//! `dataplane::sequences`.

use hitless_common::DropReason::SamePort;
use hitless_common::Mac;

use super::{A, B};
use crate::dataplane::row::{Learning, Row, dropped, flooded, sent};
use crate::dataplane::tables::{Reported, Tables};
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
