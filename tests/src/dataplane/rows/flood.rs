//! Frames for all of a VLAN: to whom, and to whom not.

use hitless_common::DropReason::{NoEgress, TxFailed};
use hitless_common::Mac;
use hitless_common::map::ports::flag::INGRESS_FILTER;

use super::{A, B, GROUP};
use crate::dataplane::row::{Row, dropped, flooded};
use crate::dataplane::tables::{Device, Tables};
use crate::harness::frames::{Frame, Tag};

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, dst) in [
        ("broadcast", Mac::BROADCAST),
        ("multicast", GROUP),
        ("unknown unicast", B),
    ] {
        rows.extend(members(name, dst));
    }
    rows.extend(words());
    rows.extend(lost_devices());
    rows
}

fn members(name: &str, dst: Mac) -> Vec<Row> {
    let plain = Frame::probe(A, dst);
    let tagged = plain.tagged(Tag::vid(10));
    let access = |ports: &[u16]| {
        ports
            .iter()
            .fold(Tables::new(), |t, &port| t.access(port, 10))
    };
    let row = |what: &str, tables, frame: &Frame, expect| {
        Row::new(format!("{name} {what}"), tables, 1, frame, expect)
    };
    vec![
        row(
            "to the only other port",
            access(&[1, 2]),
            &plain,
            flooded(&[(2, &plain)]),
        ),
        row(
            "to every other port",
            access(&[1, 2, 3, 4, 5, 6]),
            &plain,
            flooded(&[
                (2, &plain),
                (3, &plain),
                (4, &plain),
                (5, &plain),
                (6, &plain),
            ]),
        ),
        row(
            "to tagged ports only",
            access(&[1]).tagged(2, &[10]).tagged(3, &[10]),
            &plain,
            flooded(&[(2, &tagged), (3, &tagged)]),
        ),
        row(
            "from a tagged to untagged ports only",
            access(&[2, 3]).tagged(1, &[10]),
            &tagged,
            flooded(&[(2, &plain), (3, &plain)]),
        ),
        row(
            "not to ports that are blocked, disabled for the VLAN or in another one",
            access(&[1, 2, 3])
                .access(4, 20)
                .tagged(5, &[20])
                .tagged(6, &[10])
                .blocked(3, 10)
                .blocked(6, 10),
            &plain,
            flooded(&[(2, &plain)]),
        ),
        row(
            "with nobody else in the VLAN",
            access(&[1]).access(2, 20),
            &plain,
            dropped(1, NoEgress).by_tc(),
        ),
        row(
            "with nobody else forwarding in the VLAN",
            access(&[1, 2]).blocked(2, 10),
            &plain,
            dropped(1, NoEgress).by_tc(),
        ),
        row(
            "from a port that is no member",
            access(&[2]).tagged(1, &[20]).without(1, INGRESS_FILTER),
            &tagged,
            flooded(&[(2, &plain)]),
        ),
    ]
}

/// Port sets are made of two words; the port that a frame came from is left out in either.
fn words() -> Vec<Row> {
    let plain = Frame::probe(A, Mac::BROADCAST);
    let tagged = plain.tagged(Tag::vid(10));
    let tables = || {
        let untagged = [1, 64, 65, 128];
        let tables = untagged
            .iter()
            .fold(Tables::new(), |t, &port| t.access(port, 10));
        tables.tagged(63, &[10]).tagged(127, &[10])
    };
    let out = [
        (1, &plain),
        (63, &tagged),
        (64, &plain),
        (65, &plain),
        (127, &tagged),
        (128, &plain),
    ];
    out.iter()
        .map(|&(port, _)| {
            let others: Vec<_> = out.iter().copied().filter(|&(to, _)| to != port).collect();
            let frame = if port % 64 == 63 { &tagged } else { &plain };
            Row::new(
                format!("from port {port} to both words"),
                tables(),
                port,
                frame,
                flooded(&others),
            )
        })
        .collect()
}

/// A device that went while no master lives: the others get the frame, and the loss is counted. (The frame itself
/// goes to the last port by a redirect, whose fate no program learns; so the lost device is not the last.)
fn lost_devices() -> Vec<Row> {
    let plain = Frame::probe(A, Mac::BROADCAST);
    let tagged = plain.tagged(Tag::vid(10));
    let tables = || {
        Tables::new()
            .access(1, 10)
            .access(2, 10)
            .access(3, 10)
            .tagged(4, &[10])
            .tagged(5, &[10])
    };
    vec![
        Row::new(
            "to all, an untagged port's device is gone",
            tables().device(2, Device::Gone),
            1,
            &plain,
            flooded(&[(3, &plain), (4, &tagged), (5, &tagged)]).and_dropped(2, TxFailed),
        ),
        Row::new(
            "to all, a tagged port's device is gone",
            tables().device(4, Device::Gone),
            1,
            &plain,
            flooded(&[(2, &plain), (3, &plain), (5, &tagged)]).and_dropped(4, TxFailed),
        ),
    ]
}
