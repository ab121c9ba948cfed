//! Control frames: who gets them, and what the control plane sees of them.

use hitless_common::DropReason::{
    NoMaster, PortBlocked, PortDisabled, PuntFull, PuntLimit, StormMulticast, StormUnknown,
    TaggedRefused, UnknownPort, VlanFiltered,
};
use hitless_common::Mac;
use hitless_common::limits::PUNT_BYTES;
use hitless_common::map::ports;
use hitless_common::map::vlans::flag::{CLAIM_EAPS, CLAIM_ESRP, CLAIM_PVST};

use super::{A, PVST};
use crate::dataplane::rig::STRANGER;
use crate::dataplane::row::{Expect, Learning, Row, dropped, flooded, taken};
use crate::dataplane::tables::{Lease, Tables, left};
use crate::harness::frames::{Builder, Frame, Tag};

/// Extreme Discovery Protocol.
const EDP: Mac = Mac([0x00, 0xe0, 0x2b, 0, 0, 0x00]);
/// Extreme Standby Router Protocol.
const ESRP: [Mac; 2] = [
    Mac([0x00, 0xe0, 0x2b, 0, 0, 0x02]),
    Mac([0x00, 0xe0, 0x2b, 0, 0, 0x08]),
];
/// Ethernet Automatic Protection Switching (RFC 3619).
const EAPS: Mac = Mac([0x00, 0xe0, 0x2b, 0, 0, 0x04]);
/// Nearest bridge: spanning tree.
const BPDU: Mac = reserved(0);

const fn reserved(last: u8) -> Mac {
    Mac([0x01, 0x80, 0xc2, 0, 0, last])
}

/// Ports 1 and 2 in VLAN 10, untagged.
fn pair() -> Tables {
    Tables::new().access(1, 10).access(2, 10)
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = addresses();
    rows.extend(refused_elsewhere());
    rows.extend(tags());
    rows.extend(claims());
    rows.extend(pvst());
    rows.extend(limits());
    rows
}

fn addresses() -> Vec<Row> {
    let to = |dst, name: String, expect: fn(&Frame) -> Expect| {
        let frame = Frame::probe(A, dst);
        Row::new(name, pair(), 1, &frame, expect(&frame))
    };
    let mut rows: Vec<Row> = (0..=0x0f)
        .map(|last| {
            to(
                reserved(last),
                format!("reserved address {last:02x}"),
                |_| taken(),
            )
        })
        .collect();
    for last in [0x10, 0x1f, 0x20, 0xff] {
        rows.push(to(
            reserved(last),
            format!("01:80:c2 address {last:02x}"),
            |f| flooded(&[(2, f)]),
        ));
    }
    let neighbours = [
        (Mac([0x01, 0x80, 0xc2, 0, 1, 0]), "01:80:c2:00:01:00"),
        (Mac([0x01, 0x80, 0xc3, 0, 0, 0]), "01:80:c3:00:00:00"),
        (Mac([0x03, 0x80, 0xc2, 0, 0, 0]), "03:80:c2:00:00:00"),
        (Mac([0x00, 0xe0, 0x2b, 0, 1, 0]), "00:e0:2b:00:01:00"),
        (Mac([0x02, 0xe0, 0x2b, 0, 0, 0]), "02:e0:2b:00:00:00"),
    ];
    for (dst, name) in neighbours {
        rows.push(to(dst, format!("no control address: {name}"), |f| {
            flooded(&[(2, f)])
        }));
    }
    rows.push(to(EDP, "EDP".into(), |_| taken()));
    for dst in [ESRP[0], ESRP[1], EAPS, Mac([0x00, 0xe0, 0x2b, 0, 0, 0x01])] {
        rows.push(to(dst, format!("unclaimed {dst}"), |f| {
            flooded(&[(2, f)]).copied()
        }));
    }
    for length in [14, PUNT_BYTES, PUNT_BYTES + 1, 2500] {
        let frame = Builder::new(A, BPDU).length(length).build();
        let frame = Frame::from_octets(&frame.octets()[..length]);
        rows.push(Row::new(
            format!("a control frame of {length} octets"),
            pair(),
            1,
            &frame,
            taken(),
        ));
    }
    rows
}

/// Frames between neighbours arrive where nothing else does.
fn refused_elsewhere() -> Vec<Row> {
    let mut rows = Vec::new();
    for (dst, name) in [(BPDU, "BPDU"), (reserved(0x0e), "LLDP"), (EDP, "EDP")] {
        let plain = Frame::probe(A, dst);
        let tagged = |vid| plain.tagged(Tag::vid(vid));
        let trunk = || Tables::new().tagged(1, &[10]).access(2, 10).vlan(20);
        let row = |what: &str, tables, frame: &Frame| {
            Row::new(format!("{name} {what}"), tables, 1, frame, taken())
        };
        rows.extend([
            row("on a blocked port", pair().blocked(1, 10), &plain),
            row("on a port without a PVID", trunk(), &plain),
            row(
                "in a VLAN that the port is no member of",
                trunk(),
                &tagged(20),
            ),
            row("in a VLAN that does not exist", trunk(), &tagged(30)),
            row("with VLAN id 4095", trunk(), &tagged(4095)),
            row(
                "tagged where only untagged ones come in",
                pair(),
                &tagged(10),
            ),
            row(
                "untagged where only tagged ones come in",
                Tables::new()
                    .untagged(1, 10)
                    .with(1, ports::flag::TAGGED_ONLY),
                &plain,
            ),
            row("alone in its VLAN", Tables::new().access(1, 10), &plain),
        ]);
        rows.push(Row::new(
            format!("{name} on a disabled port"),
            pair().without(1, ports::flag::ENABLED),
            1,
            &plain,
            dropped(1, PortDisabled),
        ));
        rows.push(Row::new(
            format!("{name} on a device that is no port"),
            pair(),
            STRANGER,
            &plain,
            dropped(STRANGER, UnknownPort),
        ));
    }
    rows
}

/// The whole of the tag's control information reaches the control plane.
fn tags() -> Vec<Row> {
    let trunk = || {
        Tables::new()
            .untagged(1, 10)
            .tagged(1, &[20])
            .tagged(2, &[10, 20])
    };
    let bpdu = Frame::probe(A, BPDU);
    let esrp = Frame::probe(A, ESRP[0]);
    vec![
        Row::new(
            "a tagged BPDU",
            trunk(),
            1,
            &bpdu.tagged(Tag::priority(20, 7)),
            taken(),
        ),
        Row::new(
            "a priority-tagged BPDU",
            trunk(),
            1,
            &bpdu.tagged(Tag::vid(0x3000)),
            taken(),
        ),
        Row::new(
            "a tagged ESRP frame",
            trunk(),
            1,
            &esrp.tagged(Tag::vid(0xf000 | 20)),
            flooded(&[(2, &esrp.tagged(Tag::vid(0xf000 | 20)))]).copied(),
        ),
        Row::new(
            "a priority-tagged ESRP frame",
            trunk(),
            1,
            &esrp.tagged(Tag::vid(0x7000)),
            flooded(&[(2, &esrp.tagged(Tag::vid(0x7000 | 10)))]).copied(),
        ),
    ]
}

/// A protocol that claims its addresses in a VLAN gets their frames for itself, there and only there.
fn claims() -> Vec<Row> {
    let mut rows = Vec::new();
    let protocols = [
        (ESRP[0], CLAIM_ESRP, CLAIM_EAPS),
        (ESRP[1], CLAIM_ESRP, CLAIM_EAPS),
        (EAPS, CLAIM_EAPS, CLAIM_ESRP),
    ];
    for (dst, own, other) in protocols {
        let frame = Frame::probe(A, dst);
        let flood = || flooded(&[(2, &frame)]).copied();
        rows.extend([
            Row::new(
                format!("{dst} claimed"),
                pair().claim(10, own),
                1,
                &frame,
                taken(),
            ),
            Row::new(
                format!("{dst} not claimed by the other protocol"),
                pair().claim(10, other),
                1,
                &frame,
                flood(),
            ),
            Row::new(
                format!("{dst} claimed in another VLAN"),
                pair().vlan(20).claim(20, own),
                1,
                &frame,
                flood(),
            ),
        ]);
    }
    let frame = Frame::probe(A, ESRP[0]);
    rows.push(Row::new(
        "a claimed frame on a blocked port",
        pair().claim(10, CLAIM_ESRP).blocked(1, 10),
        1,
        &frame,
        dropped(1, PortBlocked),
    ));
    rows
}

/// PVST+ is any other group address, but where it is claimed: there the control plane gets it from every member, whatever
/// the state of its port.
fn pvst() -> Vec<Row> {
    let plain = Frame::probe(A, PVST);
    let in_20 = plain.tagged(Tag::priority(20, 7));
    // The VLAN's frames have a tag between ports 1 and 2, and none at port 3.
    let trunk = || {
        Tables::new()
            .untagged(1, 10)
            .tagged(1, &[20])
            .tagged(2, &[10, 20])
            .access(3, 20)
    };
    let claimed = || trunk().claim(20, CLAIM_PVST);
    let row = |name: &str, tables, frame: &Frame, expect| {
        Row::new(format!("PVST+ {name}"), tables, 1, frame, expect)
    };
    vec![
        row(
            "not claimed",
            trunk(),
            &in_20,
            flooded(&[(2, &in_20), (3, &plain)]),
        ),
        row(
            "not claimed by the other protocols",
            trunk().claim(20, CLAIM_ESRP | CLAIM_EAPS),
            &in_20,
            flooded(&[(2, &in_20), (3, &plain)]),
        ),
        row(
            "claimed in another VLAN",
            claimed(),
            &plain,
            flooded(&[(2, &plain.tagged(Tag::vid(10)))]),
        ),
        row(
            "not claimed, on a blocked port",
            trunk().blocked(1, 20),
            &in_20,
            dropped(1, PortBlocked),
        ),
        row(
            "not claimed, in learning state",
            trunk().learns_only(1, 20),
            &in_20,
            dropped(1, PortBlocked).learning(Learning::New(20)),
        ),
        row("claimed", claimed(), &in_20, taken()),
        row(
            "claimed, in the native VLAN",
            claimed().claim(10, CLAIM_PVST),
            &plain,
            taken(),
        ),
        row(
            "claimed, with a priority tag",
            claimed().claim(10, CLAIM_PVST),
            &plain.tagged(Tag::priority(0, 7)),
            taken(),
        ),
        row(
            "claimed, on a blocked port",
            claimed().blocked(1, 20),
            &in_20,
            taken().learning(Learning::Silent),
        ),
        row(
            "claimed, in learning state",
            claimed().learns_only(1, 20),
            &in_20,
            taken().learning(Learning::Silent),
        ),
        row(
            "claimed, on a blocked port in the native VLAN",
            claimed().claim(10, CLAIM_PVST).blocked(1, 10),
            &plain,
            taken(),
        ),
        row(
            "claimed, on a port that stops without a lease",
            claimed().guarded(20, &[2]).lease(Lease::RanOut),
            &in_20,
            taken(),
        ),
        row(
            "claimed: another address",
            claimed().blocked(1, 20),
            &Frame::probe(A, Mac([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc])).tagged(Tag::vid(20)),
            dropped(1, PortBlocked),
        ),
        row(
            "not claimed, on a port that stops without a lease",
            trunk().guarded(20, &[2]).lease(Lease::RanOut),
            &in_20,
            dropped(1, NoMaster),
        ),
        row(
            "claimed, from a port that is no member",
            claimed().vlan(30).claim(30, CLAIM_PVST),
            &plain.tagged(Tag::vid(30)),
            dropped(1, VlanFiltered),
        ),
        row(
            "claimed, tagged where only untagged frames come in",
            claimed().with(1, ports::flag::UNTAGGED_ONLY),
            &in_20,
            dropped(1, TaggedRefused),
        ),
        row(
            "claimed, on a disabled port",
            claimed().without(1, ports::flag::ENABLED),
            &in_20,
            dropped(1, PortDisabled),
        ),
        row(
            "claimed: storm control is not about what the control plane takes",
            claimed()
                .with(1, ports::flag::STORM)
                .limit(1, |l| l.multicast = left(0)),
            &in_20,
            taken(),
        ),
        row(
            "not claimed: it is in the limit of all group addresses",
            trunk()
                .with(1, ports::flag::STORM)
                .limit(1, |l| l.multicast = left(0)),
            &in_20,
            dropped(1, StormMulticast).by_tc(),
        ),
        row(
            "claimed: one more than the limit, on a blocked port",
            claimed().blocked(1, 20).limit(1, |l| l.punt = left(0)),
            &in_20,
            dropped(1, PuntLimit).by_tc(),
        ),
    ]
}

/// The control plane takes so many frames a second from a port; a full ring takes none.
fn limits() -> Vec<Row> {
    let over = || pair().limit(1, |l| l.punt = left(0));
    let full = || Tables {
        punt_full: true,
        ..pair()
    };
    let (bpdu, esrp) = (Frame::probe(A, BPDU), Frame::probe(A, ESRP[0]));
    let not_taken = |reason| dropped(1, reason).by_tc();
    let not_copied = |reason| flooded(&[(2, &esrp)]).and_dropped(1, reason);
    vec![
        Row::new(
            "one more within the limit",
            pair().limit(1, |l| l.punt = left(1)),
            1,
            &bpdu,
            taken(),
        ),
        Row::new(
            "one more than the limit",
            over(),
            1,
            &bpdu,
            not_taken(PuntLimit),
        ),
        Row::new(
            "one more than the limit, on a blocked port",
            over().blocked(1, 10),
            1,
            &bpdu,
            not_taken(PuntLimit),
        ),
        Row::new(
            "one copy more than the limit",
            over(),
            1,
            &esrp,
            not_copied(PuntLimit),
        ),
        Row::new(
            "another port's limit",
            pair().limit(2, |l| l.punt = left(0)),
            1,
            &bpdu,
            taken(),
        ),
        Row::new("no room in the ring", full(), 1, &bpdu, not_taken(PuntFull)),
        Row::new(
            "no room in the ring, on a blocked port",
            full().blocked(1, 10),
            1,
            &bpdu,
            not_taken(PuntFull),
        ),
        Row::new(
            "no room in the ring for a copy",
            full(),
            1,
            &esrp,
            not_copied(PuntFull),
        ),
        Row::new(
            "storm control is not about what the control plane takes",
            pair()
                .with(1, ports::flag::STORM)
                .limit(1, |l| (l.multicast, l.unknown) = (left(0), left(0))),
            1,
            &bpdu,
            taken(),
        ),
        Row::new(
            "storm control stops the flood, not the copy",
            pair()
                .with(1, ports::flag::STORM)
                .limit(1, |l| l.unknown = left(0)),
            1,
            &esrp,
            dropped(1, StormUnknown).by_tc().copied(),
        ),
    ]
}
