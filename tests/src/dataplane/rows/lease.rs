//! Ports that must not forward without a master, with a lease and without (design invariant 1).

use hitless_common::DropReason::{EgressBlocked, NoEgress, NoMaster, PortBlocked};
use hitless_common::Mac;
use hitless_common::map::ports::flag::INGRESS_FILTER;

use super::{A, B};
use crate::dataplane::row::{Expect, Learning, Row, dropped, flooded, sent, taken};
use crate::dataplane::tables::{Lease, Tables};
use crate::harness::frames::{Frame, Tag};

/// Ports 1 to 3 in VLAN 10, of which port 2 needs the lease; B is behind it. VLAN 20 on ports 1 and 2 needs none.
fn ring() -> Tables {
    Tables::new()
        .untagged(1, 10)
        .untagged(2, 10)
        .access(3, 10)
        .tagged(1, &[20])
        .tagged(2, &[20])
        .guarded(10, &[1, 3])
        .station(10, B, 2)
        .station(20, B, 2)
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = held();
    for (name, lease) in [("run out", Lease::RanOut), ("none", Lease::None)] {
        rows.extend(not_held(name, lease));
        rows.extend(not_concerned(name, lease));
    }
    rows
}

fn held() -> Vec<Row> {
    let to_b = Frame::probe(A, B);
    let to_all = Frame::probe(A, Mac::BROADCAST);
    let row = |name: &str, from, frame: &Frame, expect: Expect| {
        let expect = expect.learning(Learning::New(10));
        Row::new(format!("lease held, {name}"), ring(), from, frame, expect)
    };
    vec![
        row("to a port that needs it", 1, &to_b, sent(2, &to_b)),
        row(
            "from a port that needs it",
            2,
            &to_all,
            flooded(&[(1, &to_all), (3, &to_all)]),
        ),
        row("to all", 1, &to_all, flooded(&[(2, &to_all), (3, &to_all)])),
    ]
}

fn not_held(name: &str, lease: Lease) -> Vec<Row> {
    let to_a = Frame::probe(B, A);
    let to_b = Frame::probe(A, B);
    let to_all = Frame::probe(A, Mac::BROADCAST);
    let tagged = to_all.tagged(Tag::vid(10));
    let bpdu = Frame::probe(A, Mac([0x01, 0x80, 0xc2, 0, 0, 0]));
    let row = |what: &str, tables: Tables, from, frame: &Frame, expect| {
        let name = format!("lease {name}, {what}");
        Row::new(name, tables.lease(lease), from, frame, expect)
    };
    vec![
        row(
            "to a port that stops",
            ring(),
            1,
            &to_b,
            dropped(1, NoMaster).learning(Learning::New(10)),
        ),
        row(
            "a new source behind a port that stops",
            ring().station(10, A, 3),
            2,
            &Frame::probe(Mac([2, 0, 0, 0, 0, 0x0c]), A),
            dropped(2, NoMaster).learning(Learning::Silent),
        ),
        row(
            "a source that moves to a port that stops",
            ring().station(10, A, 3),
            2,
            &to_all,
            dropped(2, NoMaster).learning(Learning::Silent),
        ),
        row(
            "a source known behind a port that stops",
            ring().station(10, A, 3),
            2,
            &to_a,
            dropped(2, NoMaster)
                .learning(Learning::Silent)
                .stamping(&[]),
        ),
        row("to all", ring(), 1, &to_all, flooded(&[(3, &to_all)])),
        row(
            "to all, from a port that is no member",
            ring().port(4).without(4, INGRESS_FILTER),
            4,
            &tagged,
            flooded(&[(1, &to_all), (3, &to_all)]).learning(Learning::Silent),
        ),
        row(
            "to all, with nobody else going on",
            ring().guarded(10, &[1]),
            1,
            &to_all,
            dropped(1, NoEgress).by_tc(),
        ),
        row(
            "in a VLAN where nobody goes on",
            ring().guarded(10, &[]),
            1,
            &to_all,
            dropped(1, NoMaster).learning(Learning::Silent),
        ),
        row(
            "a frame between neighbours from a port that stops",
            ring(),
            2,
            &bpdu,
            taken(),
        ),
    ]
}

/// What goes on, and what was stopped before.
fn not_concerned(name: &str, lease: Lease) -> Vec<Row> {
    let to_b = Frame::probe(A, B);
    let in_20 = to_b.tagged(Tag::vid(20));
    let row = |what: &str, tables: Tables, from, frame: &Frame, expect| {
        let name = format!("lease {name}, {what}");
        Row::new(name, tables.lease(lease), from, frame, expect)
    };
    let at_3 = || ring().guarded(10, &[1, 3]).blocked(2, 10);
    let wide = Frame::probe(A, Mac::BROADCAST);
    let words = [63, 64, 65, 127, 128]
        .iter()
        .fold(Tables::new(), |t, &port| t.access(port, 10));
    vec![
        row(
            "between ports that go on",
            Tables::new()
                .access(1, 10)
                .access(2, 10)
                .access(3, 10)
                .guarded(10, &[1, 3])
                .station(10, B, 3),
            1,
            &to_b,
            sent(3, &to_b).learning(Learning::New(10)),
        ),
        row(
            "in a VLAN that needs none",
            ring(),
            1,
            &in_20,
            sent(2, &in_20).learning(Learning::New(20)),
        ),
        row(
            "from a port that is blocked",
            at_3().guarded(10, &[3]),
            2,
            &to_b,
            dropped(2, PortBlocked),
        ),
        row(
            "to a port that is blocked",
            at_3().guarded(10, &[1]),
            1,
            &to_b,
            dropped(1, EgressBlocked),
        ),
        row(
            "to both words of ports that go on",
            words.guarded(10, &[63, 65, 128]),
            65,
            &wide,
            flooded(&[(63, &wide), (128, &wide)]),
        ),
    ]
}
