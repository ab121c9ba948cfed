//! Frames for the control plane: which it gets, which are forwarded, and that a flood of them harms nobody.

use anyhow::{Result, ensure};
use hitless_common::Mac;

use super::lab::{Lab, Mode, station, vlans};
use crate::harness::{
    exchange::Member,
    frames::{Builder, Frame, Tag},
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "control.reserved",
        "01:80:c2:00:00:00 to 0f and EDP reach the control plane and no other port",
        reserved,
    ),
    Case::new(
        "control.beyond",
        "other 01:80:c2 addresses are forwarded like any multicast",
        beyond,
    ),
    Case::new(
        "control.copied",
        "ESRP and EAPS are copied to the control plane and flooded in their VLAN",
        copied,
    ),
    Case::new(
        "control.any-port",
        "neighbours' frames are taken on ports without VLAN too",
        any_port,
    ),
    Case::new(
        "control.storm",
        "a storm of BPDUs on one port is limited and counted, and starves nobody",
        storm,
    ),
];

const PORT: &str = "untagged: 10, tagged: [4000]";
const EDP: Mac = Mac([0, 0xe0, 0x2b, 0, 0, 0]);

fn slow(last: u8) -> Mac {
    Mac([1, 0x80, 0xc2, 0, 0, last])
}

/// A spanning tree BPDU (a configuration message in its LLC frame).
fn bpdu() -> Frame {
    let mut payload = vec![0x42, 0x42, 0x03];
    payload.extend([0; 35]);
    // Below 1536 the type field is a length (IEEE 802.3 3.2.6).
    Builder::new(station(1, 0), slow(0))
        .ethertype(38)
        .payload(payload)
        .build()
}

fn punted(lab: &Lab, port: usize) -> Result<u64> {
    let shown = lab.switch.json(&["show", "ports", &port.to_string()])?;
    Ok(shown[0]["punted"].as_u64().unwrap_or(0))
}

fn reserved(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let lab = Lab::new(ctx, "reserved", mode, &[PORT; 3], &vlans(&[10]))?;
        let mut sends: Vec<_> = (0..=0x0f)
            .map(|last| (0, Frame::probe(station(1, 0), slow(last))))
            .collect();
        sends.push((0, Frame::probe(station(1, 0), EDP)));
        sends.push((0, bpdu()));
        sends.push((0, Frame::probe(station(1, 0), slow(0)).tagged(Tag::vid(10))));
        lab.expect(&sends, &[])?;
        ensure!(
            punted(&lab, 1)? == 19,
            "19 control frames, of which the switch took {}",
            punted(&lab, 1)?
        );
        let shown = lab.switch.await_shown("counters", |c| {
            c["control_frames"].as_object().is_some_and(|f| {
                f.values()
                    .filter_map(serde_json::Value::as_u64)
                    .sum::<u64>()
                    == 19
            })
        })?;
        ensure!(
            shown["control_frames"]["stp"]
                .as_u64()
                .is_some_and(|n| n >= 1),
            "{}",
            shown["control_frames"]
        );
        // None of them was an accident: nothing counts as dropped.
        ensure!(
            shown["totals"]["drops"]
                .as_object()
                .is_some_and(serde_json::Map::is_empty),
            "{}",
            shown["totals"]
        );
    }
    Ok(())
}

fn beyond(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let lab = Lab::new(ctx, "beyond", mode, &[PORT; 2], &vlans(&[10]))?;
        for last in [0x10, 0x20, 0x21, 0x2f, 0xff] {
            let frame = Frame::probe(station(1, 0), slow(last));
            lab.expect(&[(0, frame.clone())], &[(1, frame)])?;
        }
        ensure!(punted(&lab, 1)? == 0);
    }
    Ok(())
}

fn copied(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            PORT,
            PORT,
            "untagged: 20, tagged: [4000]",
            "tagged: [10, 4000]",
        ];
        let lab = Lab::new(ctx, "copied", mode, &ports, &vlans(&[10, 20]))?;
        for (count, last) in (1..).zip([1, 2, 4, 6, 8]) {
            let frame = Frame::probe(station(1, 0), Mac([0, 0xe0, 0x2b, 0, 0, last]));
            lab.expect(
                &[(0, frame.clone())],
                &[(1, frame.clone()), (3, frame.tagged(Tag::vid(10)))],
            )?;
            ensure!(
                punted(&lab, 1)? == count,
                "{} copies after {count} frames",
                punted(&lab, 1)?
            );
        }
    }
    Ok(())
}

fn any_port(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let mut lab = Lab::new(
            ctx,
            "anyport",
            mode,
            &["tagged: [10, 4000]", "accept: all", PORT],
            &vlans(&[10]),
        )?;
        lab.fence[1] = Member::No;
        lab.expect(&[(0, bpdu()), (1, bpdu())], &[])?;
        ensure!(punted(&lab, 1)? == 1);
        lab.switch
            .await_shown("ports", |ports| ports[1]["punted"] == 1)?;
    }
    Ok(())
}

fn storm(ctx: &Ctx) -> Result<()> {
    let lab = Lab::new(ctx, "bpdus", Mode::Tc, &[PORT; 3], &vlans(&[10]))?;
    for _ in 0..20_000 {
        lab.ports[0].send(&bpdu())?;
    }
    // Another port's control frames and ordinary traffic get through as before.
    let frame = Frame::probe(station(2, 0), Mac::BROADCAST);
    lab.expect(
        &[(1, bpdu()), (1, frame.clone())],
        &[(0, frame.clone()), (2, frame)],
    )?;
    ensure!(punted(&lab, 2)? == 1);
    let (taken, refused) = (
        punted(&lab, 1)?,
        lab.drops(1, "punt-limit")? + lab.drops(1, "punt-full")?,
    );
    ensure!(
        taken + refused == 20_000,
        "{taken} taken and {refused} refused of 20000"
    );
    ensure!(
        refused > 0,
        "20000 control frames at once were all let through"
    );
    Ok(())
}
