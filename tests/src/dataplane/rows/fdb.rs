//! What the forwarding database says about source and destination.

use hitless_common::DropReason::{Blackhole, EgressBlocked, PortBlocked, SamePort, TxFailed};
use hitless_common::Mac;
use hitless_common::map::fdb::flag::{BLACKHOLE, STATIC};
use hitless_common::map::ports::flag::UNTAGGED_ONLY;

use super::{A, B, GROUP};
use crate::dataplane::program::sharing_a_bucket;
use crate::dataplane::row::{Expect, Learning, Row, Where, dropped, flooded, sent};
use crate::dataplane::tables::{Device, Tables};
use crate::harness::frames::{Frame, Tag};

/// Ports 1, 2 and 3 in VLAN 10, untagged.
fn three() -> Tables {
    Tables::new().access(1, 10).access(2, 10).access(3, 10)
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = look_ups();
    rows.extend(kinds());
    rows.extend(ways_out());
    rows
}

fn look_ups() -> Vec<Row> {
    let frame = Frame::probe(A, B);
    let multicast = Frame::probe(A, GROUP);
    let both = || three().station(10, A, 1).station(10, B, 2);
    let stamps_a = |expect: Expect| expect.stamping(&[(10, A)]).learning(Learning::Silent);
    // Four entries fill a bucket: the one asked for stands last.
    let crowded = sharing_a_bucket(10, B, 3)
        .into_iter()
        .fold(three().station(10, A, 1), |t, mac| t.station(10, mac, 3));
    vec![
        Row::new(
            "source and destination known, first buckets",
            both(),
            1,
            &frame,
            stamps_a(sent(2, &frame)),
        ),
        Row::new(
            "source and destination known, second buckets",
            both().in_second_buckets(),
            1,
            &frame,
            stamps_a(sent(2, &frame)),
        ),
        Row::new(
            "destination last in a full bucket",
            crowded.station(10, B, 2),
            1,
            &frame,
            stamps_a(sent(2, &frame)),
        ),
        Row::new(
            "source in its second bucket, destination in its first",
            three()
                .station(10, A, 1)
                .in_second_buckets()
                .station(10, B, 2),
            1,
            &frame,
            stamps_a(sent(2, &frame)),
        ),
        Row::new(
            "destination in its second bucket, source in its first",
            three()
                .station(10, B, 2)
                .in_second_buckets()
                .station(10, A, 1),
            1,
            &frame,
            stamps_a(sent(2, &frame)),
        ),
        Row::new(
            "destination not known",
            three().station(10, A, 1),
            1,
            &frame,
            stamps_a(flooded(&[(2, &frame), (3, &frame)])),
        ),
        Row::new(
            "destination known in another VLAN only",
            three().tagged(4, &[20]).station(10, A, 1).station(20, B, 4),
            1,
            &frame,
            stamps_a(flooded(&[(2, &frame), (3, &frame)])),
        ),
        Row::new(
            "the same address behind two ports in two VLANs",
            three()
                .tagged(1, &[20])
                .without(1, UNTAGGED_ONLY)
                .tagged(4, &[20])
                .station(10, B, 2)
                .station(20, B, 4),
            1,
            &frame.tagged(Tag::vid(20)),
            sent(4, &frame.tagged(Tag::vid(20))),
        ),
        Row::new(
            "source not known: nothing is stamped",
            three().station(10, B, 2),
            1,
            &frame,
            sent(2, &frame).stamping(&[]).learning(Learning::New(10)),
        ),
        Row::new(
            "source known behind another port: nothing is stamped",
            three().station(10, A, 3).station(10, B, 2),
            1,
            &frame,
            sent(2, &frame).stamping(&[]).learning(Learning::Moved(10)),
        ),
        Row::new(
            "a dropped frame's source is not stamped",
            both().blocked(1, 10),
            1,
            &frame,
            dropped(1, PortBlocked).stamping(&[]),
        ),
        Row::new(
            "a group address in the FDB is not looked at",
            three().address(10, GROUP, 2, STATIC),
            1,
            &multicast,
            flooded(&[(2, &multicast), (3, &multicast)]),
        ),
    ]
}

fn kinds() -> Vec<Row> {
    let frame = Frame::probe(A, B);
    vec![
        Row::new(
            "a static destination",
            three().station(10, A, 1).address(10, B, 3, STATIC),
            1,
            &frame,
            sent(3, &frame).stamping(&[(10, A)]),
        ),
        Row::new(
            "a static source at its port",
            three().address(10, A, 1, STATIC).station(10, B, 2),
            1,
            &frame,
            sent(2, &frame)
                .stamping(&[(10, A)])
                .learning(Learning::Silent),
        ),
        Row::new(
            "a static source at another port is forwarded and stays",
            three().address(10, A, 3, STATIC).station(10, B, 2),
            1,
            &frame,
            sent(2, &frame).stamping(&[]).learning(Learning::Silent),
        ),
        Row::new(
            "a blackhole as destination",
            three()
                .station(10, A, 1)
                .address(10, B, 0, BLACKHOLE | STATIC),
            1,
            &frame,
            dropped(1, Blackhole).stamping(&[(10, A)]),
        ),
        Row::new(
            "a blackhole as source",
            three()
                .address(10, A, 0, BLACKHOLE | STATIC)
                .station(10, B, 2),
            1,
            &frame,
            dropped(1, Blackhole)
                .stamping(&[])
                .learning(Learning::Silent),
        ),
        Row::new(
            "a blackhole as source of a broadcast",
            three().address(10, A, 0, BLACKHOLE | STATIC),
            1,
            &Frame::probe(A, Mac::BROADCAST),
            dropped(1, Blackhole).learning(Learning::Silent),
        ),
        Row::new(
            "a blackhole in another VLAN",
            three()
                .vlan(20)
                .address(20, B, 0, BLACKHOLE | STATIC)
                .station(10, B, 2),
            1,
            &frame,
            sent(2, &frame),
        ),
    ]
}

fn ways_out() -> Vec<Row> {
    let frame = Frame::probe(A, B);
    let mut rows = vec![
        Row::new(
            "back to the port it came from",
            three().station(10, B, 1),
            1,
            &frame,
            dropped(1, SamePort),
        ),
        Row::new(
            "to a blocked port",
            three().station(10, B, 2).blocked(2, 10),
            1,
            &frame,
            dropped(1, EgressBlocked),
        ),
        Row::new(
            "to a port that is no member",
            three().access(4, 20).station(10, B, 4),
            1,
            &frame,
            dropped(1, EgressBlocked),
        ),
        Row::new(
            "to a port that is not there",
            three().station(10, B, 9),
            1,
            &frame,
            dropped(1, EgressBlocked),
        ),
        Row::new(
            "to a port whose device XDP has lost",
            three().station(10, B, 2).device(2, Device::NotInXdpTx),
            1,
            &frame,
            dropped(2, TxFailed),
        )
        .only(Where::XdpTestRun),
    ];
    // The ends of both words of a port set.
    for port in [63, 64, 65, 128] {
        rows.push(Row::new(
            format!("to port {port}"),
            three().access(port, 10).station(10, B, port),
            1,
            &frame,
            sent(port, &frame),
        ));
        rows.push(Row::new(
            format!("from port {port}"),
            three()
                .access(port, 10)
                .station(10, B, 2)
                .station(10, A, port),
            port,
            &frame,
            sent(2, &frame).stamping(&[(10, A)]),
        ));
    }
    rows
}
