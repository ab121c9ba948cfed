//! Storm control: three limits that know nothing of each other.

use hitless_common::DropReason::{self, StormBroadcast, StormMulticast, StormUnknown};
use hitless_common::Mac;
use hitless_common::map::limiter::{Bucket, PortLimiters};
use hitless_common::map::ports::flag;

use super::{A, B, GROUP};
use crate::dataplane::row::{Row, dropped, flooded, sent};
use crate::dataplane::tables::{Tables, left};
use crate::harness::frames::Frame;

/// One kind of traffic that is spread over a VLAN.
struct Kind {
    name: &'static str,
    dst: Mac,
    reason: DropReason,
    bucket: fn(&mut PortLimiters) -> &mut Bucket,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "broadcast",
        dst: Mac::BROADCAST,
        reason: StormBroadcast,
        bucket: |l| &mut l.broadcast,
    },
    Kind {
        name: "multicast",
        dst: GROUP,
        reason: StormMulticast,
        bucket: |l| &mut l.multicast,
    },
    Kind {
        name: "unknown unicast",
        dst: B,
        reason: StormUnknown,
        bucket: |l| &mut l.unknown,
    },
];

fn pair() -> Tables {
    Tables::new()
        .access(1, 10)
        .access(2, 10)
        .with(1, flag::STORM)
}

fn with(bucket: fn(&mut PortLimiters) -> &mut Bucket, tokens: u64) -> Tables {
    pair().limit(1, |l| *bucket(l) = left(tokens))
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in &KINDS {
        let frame = Frame::probe(A, kind.dst);
        let passes = || flooded(&[(2, &frame)]);
        let row = |what: &str, tables, expect| {
            Row::new(format!("{} {what}", kind.name), tables, 1, &frame, expect)
        };
        rows.push(row(
            "over its limit",
            with(kind.bucket, 0),
            dropped(1, kind.reason).by_tc(),
        ));
        rows.push(row("within its limit", with(kind.bucket, 1), passes()));
        rows.push(row("without a limit", pair(), passes()));
        rows.push(row(
            "on a port without storm control",
            with(kind.bucket, 0).without(1, flag::STORM),
            passes(),
        ));
        rows.push(row(
            "to a port that is over its own limit",
            pair()
                .with(2, flag::STORM)
                .limit(2, |l| *(kind.bucket)(l) = left(0)),
            passes(),
        ));
        for other in KINDS.iter().filter(|other| other.name != kind.name) {
            rows.push(row(
                &format!("while {} is over its limit", other.name),
                with(other.bucket, 0),
                passes(),
            ));
        }
    }
    let frame = Frame::probe(A, B);
    let exhausted = KINDS.iter().fold(pair(), |t, kind| {
        t.limit(1, |l| *(kind.bucket)(l) = left(0))
    });
    rows.push(Row::new(
        "known unicast while all limits are exceeded",
        exhausted.station(10, B, 2),
        1,
        &frame,
        sent(2, &frame),
    ));
    rows
}
