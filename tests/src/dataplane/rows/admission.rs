//! Which frames come in at all: the port, the header, the VLAN.

use hitless_common::DropReason::{
    PortBlocked, PortDisabled, TaggedRefused, Truncated, UnknownPort, UntaggedRefused,
    VlanFiltered, VlanReserved, VlanUnknown,
};
use hitless_common::map::ports::flag;

use super::{A, B};
use crate::dataplane::rig::STRANGER;
use crate::dataplane::row::{Learning, Row, Where, dropped, sent};
use crate::dataplane::tables::Tables;
use crate::harness::frames::{Frame, Tag};

/// Port 1 in VLAN 10 as the row says, and B known behind port 2, which sends everything tagged.
fn known(tables: Tables, vids: &[u16]) -> Tables {
    vids.iter()
        .fold(tables.tagged(2, vids), |t, &vid| t.station(vid, B, 2))
}

fn trunk(vids: &[u16]) -> Tables {
    known(Tables::new().tagged(1, vids), vids)
}

/// The rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    let plain = Frame::probe(A, B);
    let tagged = |vid| plain.tagged(Tag::vid(vid));
    let mut rows = vec![
        Row::new(
            "a device that is no port",
            known(Tables::new().access(1, 10), &[10]),
            STRANGER,
            &plain,
            dropped(STRANGER, UnknownPort).learning(Learning::Silent),
        ),
        Row::new(
            "a disabled port",
            known(Tables::new().access(1, 10).without(1, flag::ENABLED), &[10]),
            1,
            &plain,
            dropped(1, PortDisabled).learning(Learning::Silent),
        ),
        Row::new(
            "a port found in the last slot looked at",
            known(Tables::new().access(1, 10).on(1, |p| p.crowd = 7), &[10]),
            1,
            &plain,
            sent(2, &tagged(10)),
        ),
        Row::new(
            "a port behind the last slot looked at",
            Tables::new().access(1, 10).on(1, |p| p.crowd = 8),
            1,
            &plain,
            dropped(STRANGER, UnknownPort),
        )
        .counted_at(STRANGER),
    ];
    rows.extend(headers());
    rows.extend(vlan_ids());
    rows.extend(accepted_kinds());
    rows.extend(memberships());
    rows
}

/// Frames as short as they can be. The kernel runs no program on less than an Ethernet header, and takes a frame
/// with a tag and nothing after it for its own drop before TC sees it.
fn headers() -> Vec<Row> {
    let mut rows: Vec<Row> = (14..18)
        .map(|length| {
            let whole = Frame::probe(A, B).tagged(Tag::vid(10));
            Row::new(
                format!("{length} octets that begin a tag"),
                trunk(&[10]),
                1,
                &Frame::from_octets(&whole.octets()[..length]),
                dropped(1, Truncated).learning(Learning::Silent),
            )
            .only(Where::TestRuns)
        })
        .collect();
    let header = Frame::from_octets(&Frame::probe(A, B).octets()[..14]);
    rows.push(Row::new(
        "14 octets: a header and no payload",
        known(Tables::new().access(1, 10), &[10]),
        1,
        &header,
        sent(2, &header.tagged(Tag::vid(10))),
    ));
    for payload in [0, 2] {
        let untagged = Frame::from_octets(&Frame::probe(A, B).octets()[..14 + payload]);
        let tagged = untagged.tagged(Tag::vid(10));
        // The kernel takes no tag off a frame with less behind it.
        let tried = if payload < 2 {
            Where::TestRuns
        } else {
            Where::Everywhere
        };
        let kept = Row::new(
            format!("a tag and {payload} octets, kept"),
            trunk(&[10]),
            1,
            &tagged,
            sent(2, &tagged),
        );
        let lost = Row::new(
            format!("a tag and {payload} octets that lose the tag"),
            Tables::new()
                .tagged(1, &[10])
                .untagged(2, 10)
                .station(10, B, 2),
            1,
            &tagged,
            sent(2, &untagged),
        );
        rows.extend([kept.only(tried), lost.only(tried)]);
    }
    rows
}

fn vlan_ids() -> Vec<Row> {
    let plain = Frame::probe(A, B);
    let tagged = |vid| plain.tagged(Tag::vid(vid));
    vec![
        Row::new("VLAN 1", trunk(&[1]), 1, &tagged(1), sent(2, &tagged(1))),
        Row::new(
            "VLAN 4094",
            trunk(&[4094]),
            1,
            &tagged(4094),
            sent(2, &tagged(4094)),
        ),
        Row::new(
            "VLAN 4094 from and to access ports",
            Tables::new()
                .access(1, 4094)
                .access(2, 4094)
                .station(4094, B, 2),
            1,
            &plain,
            sent(2, &plain),
        ),
        Row::new(
            "VLAN id 4095",
            trunk(&[4094]),
            1,
            &tagged(4095),
            dropped(1, VlanReserved).learning(Learning::Silent),
        ),
        Row::new(
            "VLAN id 4095 with a priority",
            trunk(&[4094]).without(1, flag::INGRESS_FILTER),
            1,
            &plain.tagged(Tag::priority(4095, 7)),
            dropped(1, VlanReserved),
        ),
        Row::new(
            "VLAN id 4095 on an access port",
            known(Tables::new().access(1, 10), &[10]),
            1,
            &tagged(4095),
            dropped(1, VlanReserved),
        ),
        Row::new(
            "a VLAN that does not exist",
            trunk(&[10]),
            1,
            &tagged(11),
            dropped(1, VlanUnknown).learning(Learning::Silent),
        ),
        Row::new(
            "a VLAN that does not exist, without ingress filtering",
            trunk(&[10]).without(1, flag::INGRESS_FILTER),
            1,
            &tagged(11),
            dropped(1, VlanUnknown),
        ),
        Row::new(
            "a native VLAN that does not exist",
            trunk(&[10]).on(1, |p| p.pvid = 11),
            1,
            &plain,
            dropped(1, VlanUnknown),
        ),
    ]
}

fn accepted_kinds() -> Vec<Row> {
    let plain = Frame::probe(A, B);
    let tagged = plain.tagged(Tag::vid(10));
    let priority = plain.tagged(Tag::priority(0, 5));
    let only_tagged = || {
        let native = Tables::new().untagged(1, 10).with(1, flag::TAGGED_ONLY);
        known(native, &[10])
    };
    let access = || known(Tables::new().access(1, 10), &[10]);
    vec![
        Row::new(
            "untagged without a PVID",
            trunk(&[10]),
            1,
            &plain,
            dropped(1, UntaggedRefused),
        ),
        Row::new(
            "priority-tagged without a PVID",
            trunk(&[10]),
            1,
            &priority,
            dropped(1, UntaggedRefused),
        ),
        Row::new(
            "untagged where only tagged ones come in",
            only_tagged(),
            1,
            &plain,
            dropped(1, UntaggedRefused),
        ),
        Row::new(
            "priority-tagged where only tagged ones come in",
            only_tagged(),
            1,
            &priority,
            dropped(1, UntaggedRefused),
        ),
        Row::new(
            "tagged where only tagged ones come in",
            only_tagged(),
            1,
            &tagged,
            sent(2, &tagged),
        ),
        Row::new(
            "tagged where only untagged ones come in",
            access(),
            1,
            &tagged,
            dropped(1, TaggedRefused),
        ),
        Row::new(
            "tagged with another VLAN where only untagged ones come in",
            known(Tables::new().access(1, 10), &[10, 20]),
            1,
            &plain.tagged(Tag::vid(20)),
            dropped(1, TaggedRefused),
        ),
        Row::new(
            "priority-tagged where only untagged ones come in",
            access(),
            1,
            &priority,
            sent(2, &plain.tagged(Tag::priority(10, 5))),
        ),
    ]
}

fn memberships() -> Vec<Row> {
    let plain = Frame::probe(A, B);
    let tagged = plain.tagged(Tag::vid(20));
    let outsider = || known(Tables::new().tagged(1, &[10]), &[10, 20]);
    vec![
        Row::new(
            "a VLAN that the port is no member of",
            outsider(),
            1,
            &tagged,
            dropped(1, VlanFiltered).learning(Learning::Silent),
        ),
        Row::new(
            "a native VLAN that the port is no member of",
            outsider().on(1, |p| p.pvid = 20),
            1,
            &plain,
            dropped(1, VlanFiltered),
        ),
        Row::new(
            "a VLAN that the port is no member of, without ingress filtering",
            outsider().without(1, flag::INGRESS_FILTER),
            1,
            &tagged,
            sent(2, &tagged).learning(Learning::Silent),
        ),
        Row::new(
            "a blocked port",
            trunk(&[20]).blocked(1, 20),
            1,
            &tagged,
            dropped(1, PortBlocked).learning(Learning::Silent),
        ),
        Row::new(
            "a blocked port without ingress filtering",
            trunk(&[20]).blocked(1, 20).without(1, flag::INGRESS_FILTER),
            1,
            &tagged,
            dropped(1, PortBlocked),
        ),
        Row::new(
            "a port blocked in another VLAN",
            trunk(&[10, 20]).blocked(1, 10),
            1,
            &tagged,
            sent(2, &tagged),
        ),
    ]
}
