//! Frames longer than a port sends. The MTU is about payload: the VLAN's tag is not counted, tags inside it are.

use hitless_common::DropReason::MtuExceeded;
use hitless_common::Mac;

use super::{A, B};
use crate::dataplane::row::{Expect, Row, Where, dropped, flooded, sent};
use crate::dataplane::tables::Tables;
use crate::harness::frames::{Builder, Frame, TPID_8021AD, Tag};

/// Octets of an Ethernet header.
const HEADER: usize = 14;
/// Payload of a jumbo frame.
const JUMBO: usize = 9000;

fn frame(dst: Mac, payload: usize) -> Frame {
    Builder::new(A, dst).length(HEADER + payload).build()
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = known_unicast();
    rows.extend(nested_tags());
    rows.extend(jumbo());
    rows.extend(segments());
    rows.extend(floods());
    rows
}

/// Exactly the MTU passes and one octet more does not, with the VLAN's tag coming, going, staying or absent.
fn known_unicast() -> Vec<Row> {
    let mut rows = Vec::new();
    let tag = Tag::vid(10);
    for (tag_in, tag_out) in [
        (None, None),
        (None, Some(tag)),
        (Some(tag), None),
        (Some(tag), Some(tag)),
    ] {
        let form = |plain: &Frame, tag: Option<Tag>| {
            tag.map_or_else(|| plain.clone(), |t| plain.tagged(t))
        };
        let member = |tables: Tables, port, tag: Option<Tag>| match tag {
            Some(_) => tables.tagged(port, &[10]),
            None => tables.untagged(port, 10),
        };
        let tables = member(member(Tables::new(), 1, tag_in), 2, tag_out).station(10, B, 2);
        let name = |tag: Option<Tag>| if tag.is_some() { "tagged" } else { "untagged" };
        let (name_in, name_out) = (name(tag_in), name(tag_out));
        let (fits, over) = (frame(B, 1500), frame(B, 1501));
        rows.push(Row::new(
            format!("payload of the MTU, {name_in} to {name_out}"),
            tables.clone(),
            1,
            &form(&fits, tag_in),
            sent(2, &form(&fits, tag_out)),
        ));
        rows.push(Row::new(
            format!("payload over the MTU, {name_in} to {name_out}"),
            tables,
            1,
            &form(&over, tag_in),
            dropped(2, MtuExceeded),
        ));
    }
    let priority = Tag::priority(0, 3);
    let to_trunk = || {
        Tables::new()
            .untagged(1, 10)
            .tagged(2, &[10])
            .station(10, B, 2)
    };
    let fits = frame(B, 1500);
    rows.push(Row::new(
        "payload of the MTU, priority-tagged to tagged",
        to_trunk(),
        1,
        &fits.tagged(priority),
        sent(2, &fits.tagged(Tag::priority(10, 3))),
    ));
    rows.push(Row::new(
        "payload over the MTU, priority-tagged to tagged",
        to_trunk(),
        1,
        &frame(B, 1501).tagged(priority),
        dropped(2, MtuExceeded),
    ));
    rows.push(Row::new(
        "the ingress port's own MTU does not matter",
        to_trunk().mtu(1, 576),
        1,
        &fits,
        sent(2, &fits.tagged(Tag::vid(10))),
    ));
    rows
}

fn nested_tags() -> Vec<Row> {
    let trunks = || {
        Tables::new()
            .tagged(1, &[10])
            .tagged(2, &[10])
            .station(10, B, 2)
    };
    let access = || Tables::new().access(1, 10).access(2, 10).station(10, B, 2);
    let two = |payload| frame(B, payload).tagged(Tag::vid(20)).tagged(Tag::vid(10));
    let service = |payload| {
        frame(B, payload).tagged(Tag {
            tpid: TPID_8021AD,
            tci: 20,
        })
    };
    let (inner_fits, service_fits) = (two(1496), service(1496));
    vec![
        Row::new(
            "an inner tag is payload: MTU",
            trunks(),
            1,
            &inner_fits,
            sent(2, &inner_fits),
        ),
        Row::new(
            "an inner tag is payload: over the MTU",
            trunks(),
            1,
            &two(1497),
            dropped(2, MtuExceeded),
        ),
        Row::new(
            "an S-tag is payload: MTU",
            access(),
            1,
            &service_fits,
            sent(2, &service_fits),
        ),
        Row::new(
            "an S-tag is payload: over the MTU",
            access(),
            1,
            &service(1497),
            dropped(2, MtuExceeded),
        ),
    ]
}

/// In XDP such a frame does not fit into one buffer.
fn jumbo() -> Vec<Row> {
    let tables = || {
        let ports = Tables::new()
            .untagged(1, 10)
            .tagged(2, &[10])
            .station(10, B, 2);
        ports.mtu(2, JUMBO as u32)
    };
    let (fits, over) = (frame(B, JUMBO), frame(B, JUMBO + 1));
    let broadcast = frame(Mac::BROADCAST, JUMBO);
    let rows = vec![
        Row::new(
            "a jumbo frame of the MTU",
            tables(),
            1,
            &fits,
            sent(2, &fits.tagged(Tag::vid(10))),
        ),
        Row::new(
            "a jumbo frame over the MTU",
            tables(),
            1,
            &over,
            dropped(2, MtuExceeded),
        ),
        Row::new(
            "a jumbo frame to all",
            tables(),
            1,
            &broadcast,
            flooded(&[(2, &broadcast.tagged(Tag::vid(10)))]),
        ),
    ];
    rows.into_iter()
        .map(|row| row.only(Where::NotTcTestRun))
        .collect()
}

/// What counts is each segment that the device will make, with its IP and TCP headers of at least 40 octets.
fn segments() -> Vec<Row> {
    let tables = || {
        Tables::new()
            .untagged(1, 10)
            .untagged(2, 10)
            .tagged(3, &[10])
    };
    let large = frame(B, 3000);
    let untagged = |gso, expect| {
        Row::new(
            format!("segments of {gso} octets"),
            tables().station(10, B, 2),
            1,
            &large,
            expect,
        )
        .segments(gso)
    };
    let tagged = |gso, expect| {
        Row::new(
            format!("segments of {gso} octets, tagged"),
            tables().station(10, B, 3),
            1,
            &large,
            expect,
        )
        .segments(gso)
    };
    vec![
        untagged(1460, sent(2, &large)),
        untagged(1461, dropped(2, MtuExceeded)),
        tagged(1460, sent(3, &large.tagged(Tag::vid(10)))),
        tagged(1461, dropped(3, MtuExceeded)),
    ]
}

/// Each port that is too narrow counts its own drop, and the others get the frame.
fn floods() -> Vec<Row> {
    let plain = frame(Mac::BROADCAST, 1400);
    let tagged = plain.tagged(Tag::vid(10));
    let tables = || {
        Tables::new()
            .access(1, 10)
            .access(2, 10)
            .access(3, 10)
            .tagged(4, &[10])
            .tagged(5, &[10])
    };
    let narrow = |ports: &[u16]| ports.iter().fold(tables(), |t, &port| t.mtu(port, 1399));
    let over = |expect: Expect, ports: &[u16]| {
        let expect = expect.by_tc();
        ports
            .iter()
            .fold(expect, |e, &port| e.and_dropped(port, MtuExceeded))
    };
    vec![
        Row::new(
            "to all, payload of the MTU",
            [2, 3, 4, 5]
                .iter()
                .fold(tables(), |t, &port| t.mtu(port, 1400)),
            1,
            &plain,
            flooded(&[(2, &plain), (3, &plain), (4, &tagged), (5, &tagged)]),
        ),
        Row::new(
            "to all, the first of each form too narrow",
            narrow(&[2, 4]),
            1,
            &plain,
            over(flooded(&[(3, &plain), (5, &tagged)]), &[2, 4]),
        ),
        Row::new(
            "to all, the last of each form too narrow",
            narrow(&[3, 5]),
            1,
            &plain,
            over(flooded(&[(2, &plain), (4, &tagged)]), &[3, 5]),
        ),
        Row::new(
            "to all, every tagged port too narrow",
            narrow(&[4, 5]),
            1,
            &plain,
            over(flooded(&[(2, &plain), (3, &plain)]), &[4, 5]),
        ),
        Row::new(
            "to all, every untagged port too narrow",
            narrow(&[2, 3]),
            1,
            &plain,
            over(flooded(&[(4, &tagged), (5, &tagged)]), &[2, 3]),
        ),
        Row::new(
            "to all, every port too narrow",
            narrow(&[2, 3, 4, 5]),
            1,
            &plain,
            over(flooded(&[]), &[2, 3, 4, 5]),
        ),
    ]
}
