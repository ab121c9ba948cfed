//! VLAN tags: which VLAN a frame belongs to, who may bring it in, and in which form it goes out.

use anyhow::Result;
use hitless_common::Mac;

use super::lab::{Lab, Mode, station, vlans};
use crate::harness::{
    frames::{Builder, Frame, TPID_8021AD, Tag},
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "tagging.access",
        "access ports: untagged in and out, nothing leaves the VLAN",
        access,
    ),
    Case::new(
        "tagging.trunk",
        "tags are pushed, popped and kept between access, trunk and native ports",
        trunk,
    ),
    Case::new("tagging.known", "the same for known unicast", known_unicast),
    Case::new(
        "tagging.priority",
        "priority-tagged frames (VID 0) take the PVID and keep their priority",
        priority_tags,
    ),
    Case::new(
        "tagging.range",
        "VIDs 1 to 4094 are forwarded, 4095 is refused with its reason",
        range,
    ),
    Case::new(
        "tagging.ingress-filter",
        "frames of VLANs that the port is no member of are refused",
        ingress_filter,
    ),
    Case::new(
        "tagging.accept",
        "ports that accept only tagged or only untagged frames",
        accept,
    ),
    Case::new(
        "tagging.inner",
        "QinQ payloads and S-tags pass untouched",
        inner_tags,
    ),
    Case::new(
        "tagging.mtu",
        "the MTU counts the payload without the tag; what is longer is counted, not lost silently",
        mtu,
    ),
];

fn broadcast(from: u8) -> Frame {
    Frame::probe(station(from, 0), Mac::BROADCAST)
}

fn access(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let port = |vid: u16| format!("untagged: {vid}, tagged: [4000]");
        let (ten, twenty) = (port(10), port(20));
        let lab = Lab::new(
            ctx,
            "access",
            mode,
            &[&ten, &ten, &twenty, &twenty],
            &vlans(&[10, 20]),
        )?;
        let (a, b) = (broadcast(1), broadcast(3));
        lab.expect(&[(0, a.clone()), (2, b.clone())], &[(1, a), (3, b)])?;
        // A tag of the port's own VLAN is as good as none on the way in, and gone on the way out.
        let plain = broadcast(1);
        lab.expect(&[(0, plain.tagged(Tag::vid(10)))], &[(1, plain)])?;
        // A station can not reach another VLAN by tagging.
        lab.expect(&[(0, broadcast(1).tagged(Tag::vid(20)))], &[])?;
        lab.expect_drops(1, "vlan-filtered", 1)?;
    }
    Ok(())
}

fn trunk(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [4000]",
            "tagged: [10, 20, 4000]",
            "untagged: 20, tagged: [10, 4000]",
            "untagged: 20, tagged: [4000]",
        ];
        let lab = Lab::new(ctx, "trunk", mode, &ports, &vlans(&[10, 20]))?;
        let plain = broadcast(1);
        let tagged = plain.tagged(Tag::vid(10));
        lab.expect(&[(0, plain.clone())], &[(1, tagged.clone()), (2, tagged)])?;
        // The priority in a tag survives a trunk and is lost with the tag.
        let plain = broadcast(2);
        let tagged = plain.tagged(Tag::priority(10, 6));
        lab.expect(&[(1, tagged.clone())], &[(0, plain), (2, tagged)])?;
        // VLAN 20 is native on port 3 and tagged on port 2.
        let plain = broadcast(4);
        lab.expect(
            &[(3, plain.clone())],
            &[(1, plain.tagged(Tag::vid(20))), (2, plain)],
        )?;
        let plain = broadcast(3);
        lab.expect(
            &[(2, plain.clone())],
            &[(1, plain.tagged(Tag::vid(20))), (3, plain)],
        )?;
    }
    Ok(())
}

fn known_unicast(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [4000]",
            "tagged: [10, 4000]",
            "untagged: 10, tagged: [4000]",
            "tagged: [10, 4000]",
        ];
        let lab = Lab::new(ctx, "known", mode, &ports, &vlans(&[10]))?;
        for number in 1..=4 {
            let hello = broadcast(number);
            let form = if number % 2 == 0 {
                hello.tagged(Tag::vid(10))
            } else {
                hello
            };
            lab.ports[usize::from(number) - 1].send(&form)?;
            lab.await_learned(10, station(number, 0), number.into())?;
        }
        lab.settle()?;
        for from in 1..=4u8 {
            for to in (1..=4u8).filter(|to| *to != from) {
                let plain = Frame::probe(station(from, 0), station(to, 0));
                let form = |number: u8| {
                    if number.is_multiple_of(2) {
                        plain.tagged(Tag::priority(10, if from % 2 == 0 { 3 } else { 0 }))
                    } else {
                        plain.clone()
                    }
                };
                lab.expect(
                    &[(usize::from(from) - 1, form(from))],
                    &[(usize::from(to) - 1, form(to))],
                )?;
            }
        }
        // A station that sends to itself through the switch hears nothing.
        lab.expect(&[(0, Frame::probe(station(1, 1), station(1, 0)))], &[])?;
        lab.expect_drops(1, "same-port", 1)?;
    }
    Ok(())
}

fn priority_tags(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [4000]",
            "tagged: [10, 4000]",
            "untagged: 10, tagged: [4000]",
        ];
        let lab = Lab::new(ctx, "prio", mode, &ports, &vlans(&[10]))?;
        let plain = broadcast(1);
        let sent = plain.tagged(Tag::priority(0, 5));
        lab.expect(
            &[(0, sent)],
            &[(1, plain.tagged(Tag::priority(10, 5))), (2, plain)],
        )?;
        // A port without a native VLAN has no place for it.
        lab.expect(&[(1, broadcast(2).tagged(Tag::priority(0, 5)))], &[])?;
        lab.expect_drops(2, "untagged-refused", 1)?;
        // Known unicast: the tag is rewritten in place.
        lab.ports[1].send(&broadcast(2).tagged(Tag::vid(10)))?;
        lab.await_learned(10, station(2, 0), 2)?;
        lab.settle()?;
        let plain = Frame::probe(station(1, 0), station(2, 0));
        lab.expect(
            &[(0, plain.tagged(Tag::priority(0, 7)))],
            &[(1, plain.tagged(Tag::priority(10, 7)))],
        )?;
    }
    Ok(())
}

fn range(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let port = "tagged: [\"1-4094\"]";
        let ids: Vec<u16> = (1..=4094)
            .filter(|id| *id != super::lab::FENCE_VLAN)
            .collect();
        let lab = Lab::new(ctx, "range", mode, &[port, port], &vlans(&ids))?;
        let plain = broadcast(1);
        let all: Vec<Frame> = [1, 2, 15, 16, 255, 256, 1023, 2048, 4093, 4094]
            .map(|vid| plain.tagged(Tag::vid(vid)))
            .to_vec();
        let sends: Vec<_> = all.iter().map(|f| (0, f.clone())).collect();
        let arrive: Vec<_> = all.iter().map(|f| (1, f.clone())).collect();
        lab.expect(&sends, &arrive)?;
        lab.expect(&[(0, plain.tagged(Tag::vid(4095)))], &[])?;
        lab.expect_drops(1, "vlan-reserved", 1)?;
    }
    Ok(())
}

fn ingress_filter(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [4000]",
            "tagged: [20, 4000]",
            "untagged: 10, tagged: [4000], ingress_filtering: false",
        ];
        let lab = Lab::new(ctx, "filter", mode, &ports, &vlans(&[10, 20]))?;
        let foreign = broadcast(1).tagged(Tag::vid(20));
        lab.expect(&[(0, foreign)], &[])?;
        lab.expect_drops(1, "vlan-filtered", 1)?;
        let unknown = broadcast(1).tagged(Tag::vid(30));
        lab.expect(&[(0, unknown.clone()), (2, unknown)], &[])?;
        lab.expect_drops(1, "vlan-unknown", 1)?;
        lab.expect_drops(3, "vlan-unknown", 1)?;
        // Without filtering the frame comes in, but nothing is learned behind a port that is no member.
        let foreign = broadcast(3).tagged(Tag::vid(20));
        lab.expect(&[(2, foreign.clone())], &[(1, foreign)])?;
        anyhow::ensure!(
            lab.fdb()?
                .iter()
                .all(|row| row["mac"] != station(3, 0).to_string()),
            "{:?}",
            lab.fdb()?
        );
    }
    Ok(())
}

fn accept(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [4000], accept: tagged",
            "untagged: 10, accept: untagged",
            "untagged: 10, tagged: [4000]",
        ];
        let mut lab = Lab::new(ctx, "accept", mode, &ports, &vlans(&[10]))?;
        lab.fence[1] = crate::harness::exchange::Member::No;
        lab.expect(&[(0, broadcast(1))], &[])?;
        lab.expect_drops(1, "untagged-refused", 1)?;
        let plain = broadcast(1);
        lab.expect(
            &[(0, plain.tagged(Tag::vid(10)))],
            &[(1, plain.clone()), (2, plain)],
        )?;
        lab.expect(&[(1, broadcast(2).tagged(Tag::vid(10)))], &[])?;
        lab.expect_drops(2, "tagged-refused", 1)?;
        let plain = broadcast(2);
        lab.expect(
            &[(1, plain.tagged(Tag::priority(0, 1)))],
            &[(0, plain.clone()), (2, plain)],
        )?;
    }
    Ok(())
}

fn inner_tags(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [4000]",
            "tagged: [10, 20, 4000]",
            "untagged: 10, tagged: [4000]",
        ];
        let lab = Lab::new(ctx, "inner", mode, &ports, &vlans(&[10, 20]))?;
        // Two and three tags: only the outer one is ours.
        let inner = broadcast(2).tagged(Tag::vid(99)).tagged(Tag::vid(4095));
        lab.expect(
            &[(1, inner.tagged(Tag::vid(10)))],
            &[(0, inner.clone()), (2, inner)],
        )?;
        // Behind an access port the outer tag is the station's: VLAN 10's frames may carry VLAN 10's tag, and
        // what is inside stays.
        let inner = broadcast(1).tagged(Tag::vid(77));
        lab.expect(
            &[(0, inner.tagged(Tag::vid(10)))],
            &[(1, inner.tagged(Tag::vid(10))), (2, inner)],
        )?;
        // An S-tag is payload to a C-VLAN bridge (IEEE 802.1Q 5.5): the frame is untagged.
        let service = broadcast(1).tagged(Tag {
            tpid: TPID_8021AD,
            ..Tag::vid(20)
        });
        lab.expect(
            &[(0, service.clone())],
            &[(1, service.tagged(Tag::vid(10))), (2, service)],
        )?;
    }
    Ok(())
}

fn mtu(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [4000]",
            "tagged: [10, 4000]",
            "untagged: 10, tagged: [4000]",
        ];
        let lab = Lab::new(ctx, "mtu", mode, &ports, &vlans(&[10]))?;
        // Port 3 is narrow, the others take 3000 octets of payload.
        for (i, mtu) in [3000, 3000, 1500].iter().enumerate() {
            let mtu = mtu.to_string();
            lab.netns
                .ip(&["link", "set", &format!("p{}", i + 1), "mtu", &mtu])?;
            lab.hosts[i].ip(&["link", "set", "eth1", "mtu", &mtu])?;
        }
        lab.switch.await_shown("ports", |ports| {
            ports[0]["mtu"] == 3000 && ports[1]["mtu"] == 3000 && ports[2]["mtu"] == 1500
        })?;
        let frame = |payload: usize| {
            Builder::new(station(1, 0), Mac::BROADCAST)
                .length(14 + payload)
                .build()
        };
        let fits = frame(1500);
        lab.expect(
            &[(0, fits.clone())],
            &[(1, fits.tagged(Tag::vid(10))), (2, fits)],
        )?;
        let wide = frame(1501);
        lab.expect(&[(0, wide.clone())], &[(1, wide.tagged(Tag::vid(10)))])?;
        let widest = frame(3000);
        lab.expect(&[(0, widest.clone())], &[(1, widest.tagged(Tag::vid(10)))])?;
        lab.expect_drops(3, "mtu-exceeded", 2)?;
        // Known unicast takes another path to the same answer.
        lab.ports[2].send(&broadcast(3))?;
        lab.await_learned(10, station(3, 0), 3)?;
        lab.settle()?;
        let to_narrow = |payload: usize| {
            Builder::new(station(1, 0), station(3, 0))
                .length(14 + payload)
                .build()
        };
        let fits = to_narrow(1500);
        lab.expect(&[(0, fits.clone()), (0, to_narrow(1501))], &[(2, fits)])?;
        lab.expect_drops(3, "mtu-exceeded", 3)?;
    }
    Ok(())
}
