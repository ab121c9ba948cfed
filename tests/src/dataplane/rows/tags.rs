//! Every kind of frame that comes in with every kind of port that it goes out of, tags inside tags included.

use hitless_common::DropReason::{TagFailed, TaggedRefused, UntaggedRefused};
use hitless_common::Mac;

use super::{A, B};
use crate::dataplane::row::{Row, Where, dropped, flooded, sent};
use crate::dataplane::tables::Tables;
use crate::harness::frames::{Frame, TPID_8021AD, Tag};

/// Drop eligible and priority 5.
const PRIORITY: u16 = 0xb000;

const fn tag(tci: u16) -> Tag {
    Tag::vid(tci)
}

const fn service(tci: u16) -> Tag {
    Tag {
        tpid: TPID_8021AD,
        tci,
    }
}

/// A way in: port 1, what comes, and the VLAN that it belongs to.
struct Ingress {
    name: &'static str,
    tables: Tables,
    tag: Option<Tag>,
    vid: u16,
}

fn ways_in() -> Vec<Ingress> {
    let way = |name, tables, tag, vid| Ingress {
        name,
        tables,
        tag,
        vid,
    };
    let native = || Tables::new().untagged(1, 10).tagged(1, &[20]);
    vec![
        way(
            "untagged on an access port",
            Tables::new().access(1, 10),
            None,
            10,
        ),
        way(
            "priority tag on an access port",
            Tables::new().access(1, 10),
            Some(tag(PRIORITY)),
            10,
        ),
        way(
            "priority tag 0 on an access port",
            Tables::new().access(1, 10),
            Some(tag(0)),
            10,
        ),
        way(
            "tagged on a trunk",
            Tables::new().tagged(1, &[10]),
            Some(tag(10)),
            10,
        ),
        way(
            "tagged with priority on a trunk",
            Tables::new().tagged(1, &[10]),
            Some(tag(PRIORITY | 10)),
            10,
        ),
        way("untagged on a native port", native(), None, 10),
        way(
            "priority tag on a native port",
            native(),
            Some(tag(PRIORITY)),
            10,
        ),
        way(
            "native VLAN tagged on a native port",
            native(),
            Some(tag(PRIORITY | 10)),
            10,
        ),
        way(
            "other VLAN tagged on a native port",
            native(),
            Some(tag(PRIORITY | 20)),
            20,
        ),
    ]
}

/// The form in which a frame leaves (IEEE 802.1Q 6.9.2): the priority stays, the VLAN id is there or not.
fn leaving(plain: &Frame, tag_in: Option<Tag>, vid: u16, untagged: bool) -> Frame {
    if untagged {
        return plain.clone();
    }
    let priority = tag_in.map_or(0, |t| t.tci & 0xf000);
    plain.tagged(tag(priority | vid))
}

fn arriving(plain: &Frame, tag_in: Option<Tag>) -> Frame {
    tag_in.map_or_else(|| plain.clone(), |t| plain.tagged(t))
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for way in ways_in() {
        for dst in [B, Mac::BROADCAST] {
            rows.extend(every_way_out(&way, dst));
        }
    }
    rows.extend(inner_tags());
    rows.extend(service_tags());
    rows.extend(cut_short());
    rows
}

/// To a known station behind an access port, a trunk, and a native port in its native and another VLAN; and to all
/// of them at once.
fn every_way_out(way: &Ingress, dst: Mac) -> Vec<Row> {
    let &Ingress { vid, .. } = way;
    let plain = Frame::probe(A, dst);
    let frame = arriving(&plain, way.tag);
    let untagged = leaving(&plain, way.tag, vid, true);
    let tagged = leaving(&plain, way.tag, vid, false);
    let out = way
        .tables
        .clone()
        .access(2, vid)
        .tagged(3, &[10, 20])
        .untagged(4, vid)
        .tagged(4, &[30])
        .untagged(5, 30)
        .tagged(5, &[10, 20]);
    if dst == Mac::BROADCAST {
        let expect = flooded(&[(2, &untagged), (3, &tagged), (4, &untagged), (5, &tagged)]);
        return vec![Row::new(
            format!("{}, to all", way.name),
            out,
            1,
            &frame,
            expect,
        )];
    }
    let ways_out = [
        (2, "an access port", &untagged),
        (3, "a trunk", &tagged),
        (4, "a native port, native VLAN", &untagged),
        (5, "a native port, other VLAN", &tagged),
    ];
    ways_out
        .into_iter()
        .map(|(port, name, leaves)| {
            Row::new(
                format!("{}, to {name}", way.name),
                out.clone().station(vid, dst, port),
                1,
                &frame,
                sent(port, leaves),
            )
        })
        .collect()
}

/// Two C-VLAN tags: the inner one is payload.
fn inner_tags() -> Vec<Row> {
    let plain = Frame::probe(A, B);
    let inner = plain.tagged(tag(PRIORITY | 20));
    let outer = inner.tagged(tag(10));
    let all_inner = Frame::probe(A, Mac::BROADCAST).tagged(tag(20));
    let all_outer = all_inner.tagged(tag(10));
    let to_trunk = || Tables::new().tagged(2, &[10, 20]).station(10, B, 2);
    let to_access = || Tables::new().access(2, 10).station(10, B, 2);
    vec![
        Row::new(
            "two tags stay",
            to_trunk().tagged(1, &[10, 20]),
            1,
            &outer,
            sent(2, &outer),
        ),
        Row::new(
            "two tags, the outer one comes off",
            to_access().tagged(1, &[10]),
            1,
            &outer,
            sent(2, &inner),
        ),
        Row::new(
            "a priority tag before a tag becomes the VLAN's",
            to_trunk().untagged(1, 10),
            1,
            &inner.tagged(tag(0x6000)),
            sent(2, &inner.tagged(tag(0x6000 | 10))),
        ),
        Row::new(
            "a priority tag before a tag comes off",
            to_access().untagged(1, 10),
            1,
            &inner.tagged(tag(0x6000)),
            sent(2, &inner),
        ),
        Row::new(
            "two tags, to all",
            Tables::new()
                .tagged(1, &[10])
                .access(2, 10)
                .tagged(3, &[10])
                .access(4, 10)
                .tagged(5, &[10]),
            1,
            &all_outer,
            flooded(&[
                (2, &all_inner),
                (3, &all_outer),
                (4, &all_inner),
                (5, &all_outer),
            ]),
        ),
        Row::new(
            "two tags on a port that takes none",
            to_trunk().access(1, 10),
            1,
            &outer,
            dropped(1, TaggedRefused),
        ),
    ]
}

/// A second tag that is cut short: the kernel can not take off the first one from a socket buffer. XDP can.
fn cut_short() -> Vec<Row> {
    let whole = |dst| Frame::probe(A, dst).tagged(tag(20)).tagged(tag(10));
    let cut = |frame: &Frame| Frame::from_octets(&frame.octets()[..20]);
    let (known, all) = (cut(&whole(B)), cut(&whole(Mac::BROADCAST)));
    let tables = || {
        Tables::new()
            .tagged(1, &[10])
            .access(2, 10)
            .access(3, 10)
            .station(10, B, 2)
    };
    vec![
        Row::new(
            "a second tag cut short, in TC",
            tables(),
            1,
            &known,
            dropped(2, TagFailed),
        )
        .only(Where::TcTestRun),
        Row::new(
            "a second tag cut short, in XDP",
            tables(),
            1,
            &known,
            sent(2, &known.untagged()),
        )
        .only(Where::XdpTestRun),
        Row::new(
            "a second tag cut short, to all",
            tables(),
            1,
            &all,
            dropped(1, TagFailed).by_tc(),
        )
        .only(Where::TcTestRun),
    ]
}

/// An S-VLAN tag is payload: the frame is untagged to this switch, whatever is inside.
fn service_tags() -> Vec<Row> {
    let plain = Frame::probe(A, B);
    let single = plain.tagged(service(20));
    let double = plain.tagged(tag(20)).tagged(service(PRIORITY | 30));
    let to_trunk = || {
        Tables::new()
            .tagged(2, &[10, 20])
            .station(10, B, 2)
            .station(20, B, 2)
    };
    let mut rows = Vec::new();
    for (what, frame) in [("S-tag", &single), ("S-tag before a C-tag", &double)] {
        rows.push(Row::new(
            format!("{what} from access to access port"),
            Tables::new().access(1, 10).access(2, 10).station(10, B, 2),
            1,
            frame,
            sent(2, frame),
        ));
        rows.push(Row::new(
            format!("{what} from access port to trunk"),
            to_trunk().access(1, 10),
            1,
            frame,
            sent(2, &frame.tagged(tag(10))),
        ));
        rows.push(Row::new(
            format!("{what} without a PVID"),
            to_trunk().tagged(1, &[10, 20]),
            1,
            frame,
            dropped(1, UntaggedRefused),
        ));
        let outer = frame.tagged(tag(PRIORITY | 10));
        rows.push(Row::new(
            format!("{what} inside the VLAN's tag, kept"),
            to_trunk().tagged(1, &[10]),
            1,
            &outer,
            sent(2, &outer),
        ));
        rows.push(Row::new(
            format!("{what} inside the VLAN's tag that comes off"),
            Tables::new()
                .tagged(1, &[10])
                .access(2, 10)
                .station(10, B, 2),
            1,
            &outer,
            sent(2, frame),
        ));
    }
    let broadcast = Frame::probe(A, Mac::BROADCAST)
        .tagged(tag(20))
        .tagged(service(30));
    let outer = broadcast.tagged(tag(10));
    rows.push(Row::new(
        "S-tag before a C-tag, to all",
        Tables::new()
            .access(1, 10)
            .access(2, 10)
            .tagged(3, &[10])
            .access(4, 10)
            .tagged(5, &[10]),
        1,
        &broadcast,
        flooded(&[(2, &broadcast), (3, &outer), (4, &broadcast), (5, &outer)]),
    ));
    rows
}
