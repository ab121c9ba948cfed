//! Where frames go: to the one port behind which a station is known, else to all others of the VLAN.

use anyhow::{Result, ensure};
use hitless_common::Mac;
use serde_json::Value;

use super::lab::{Lab, Mode, station, vlans};
use crate::harness::{
    features::{self, Feature},
    frames::{Builder, Frame},
    ktap::{Case, Ctx},
    port::Port,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "forwarding.flood",
        "broadcast, multicast and unknown unicast go to all other ports, never back",
        flood,
    ),
    Case::new(
        "forwarding.unicast",
        "known unicast goes to one port alone; counters of frames and octets are exact",
        unicast,
    ),
    Case::new(
        "forwarding.many-ports",
        "a flood reaches every one of 40 ports once",
        many_ports,
    ),
    Case::new(
        "forwarding.short-and-long",
        "frames of every length that a port takes come out as they went in",
        lengths,
    ),
    Case::new(
        "forwarding.link-down",
        "a port without link gets nothing and its addresses are forgotten; others do not notice",
        link_down,
    ),
    Case::new(
        "forwarding.disabled",
        "a disabled port takes and sends nothing and its link is down",
        disabled,
    ),
    Case::new(
        "forwarding.accelerated-tags",
        "tags that the sender's device keeps beside the frame are seen (TC)",
        accelerated_tags,
    ),
];

const PORT: &str = "untagged: 10, tagged: [4000]";

fn flood(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let lab = Lab::new(ctx, "flood", mode, &[PORT; 4], &vlans(&[10]))?;
        let stranger = Mac([2, 0x99, 0, 0, 0, 1]);
        for dst in [
            Mac::BROADCAST,
            Mac([1, 0, 0x5e, 0, 0, 5]),
            Mac([0x33, 0x33, 0, 0, 0, 1]),
            stranger,
        ] {
            for from in 0..4 {
                let frame = Frame::probe(station(from as u8 + 1, 0), dst);
                let arrive: Vec<_> = (0..4)
                    .filter(|to| *to != from)
                    .map(|to| (to, frame.clone()))
                    .collect();
                lab.expect(&[(from, frame)], &arrive)?;
            }
        }
    }
    Ok(())
}

fn unicast(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let lab = Lab::new(ctx, "unicast", mode, &[PORT; 3], &vlans(&[10]))?;
        lab.introduce(10, &[None; 3])?;
        let before = lab.switch.show("ports")?;
        let frames: Vec<Frame> = (0..50)
            .map(|_| {
                Builder::new(station(1, 0), station(2, 0))
                    .length(200)
                    .build()
            })
            .collect();
        let sends: Vec<_> = frames.iter().map(|f| (0, f.clone())).collect();
        let arrive: Vec<_> = frames.iter().map(|f| (1, f.clone())).collect();
        lab.expect(&sends, &arrive)?;
        let after = lab.switch.show("ports")?;
        let grew = |port: usize, what: &str| {
            after[port][what].as_u64().unwrap_or(0) - before[port][what].as_u64().unwrap_or(0)
        };
        // The fences (one or two rounds of two, 64 octets with their tag) are counted too, the same at each port.
        let fences = grew(2, "rx_frames") + grew(2, "tx_frames");
        ensure!(
            grew(0, "rx_frames") + grew(0, "tx_frames") == 50 + fences,
            "port 1: {before} {after}"
        );
        ensure!(
            grew(1, "rx_frames") + grew(1, "tx_frames") == 50 + fences,
            "port 2: {before} {after}"
        );
        ensure!(
            grew(0, "rx_bytes") + grew(0, "tx_bytes") == 50 * 200 + fences * 64,
            "port 1: {before} {after}"
        );
        ensure!(
            grew(1, "rx_bytes") + grew(1, "tx_bytes") == 50 * 200 + fences * 64,
            "port 2: {before} {after}"
        );
        for port in 1..=3 {
            ensure!(
                after[port - 1]["drops"]
                    .as_object()
                    .is_some_and(serde_json::Map::is_empty),
                "{after}"
            );
        }
    }
    Ok(())
}

fn many_ports(ctx: &Ctx) -> Result<()> {
    let lab = Lab::new(ctx, "many", Mode::Tc, &[PORT; 40], &vlans(&[10]))?;
    for from in [0, 7, 39] {
        let frame = Frame::probe(station(from as u8 + 1, 0), Mac::BROADCAST);
        let arrive: Vec<_> = (0..40)
            .filter(|to| *to != from)
            .map(|to| (to, frame.clone()))
            .collect();
        lab.expect(&[(from, frame)], &arrive)?;
    }
    Ok(())
}

fn lengths(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let lab = Lab::new(ctx, "length", mode, &[PORT; 2], &vlans(&[10]))?;
        lab.introduce(10, &[None; 2])?;
        let frames: Vec<Frame> = [
            14, 15, 18, 34, 60, 64, 128, 512, 1023, 1024, 1025, 1500, 1513, 1514,
        ]
        .map(sized)
        .to_vec();
        let sends: Vec<_> = frames.iter().map(|f| (0, f.clone())).collect();
        let arrive: Vec<_> = frames.iter().map(|f| (1, f.clone())).collect();
        lab.expect(&sends, &arrive)?;
    }
    Ok(())
}

/// A frame of `octets` from station 1 to station 2, of which each octet beyond the header is different.
fn sized(octets: usize) -> Frame {
    let payload: Vec<u8> = (0..octets - 14).map(|i| (i * 7 % 251) as u8).collect();
    Builder::new(station(1, 0), station(2, 0))
        .payload(payload)
        .length(0)
        .build()
}

fn link_down(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let mut lab = Lab::new(ctx, "down", mode, &[PORT; 3], &vlans(&[10]))?;
        lab.introduce(10, &[None; 3])?;
        lab.hosts[2].ip(&["link", "set", "eth1", "down"])?;
        lab.switch
            .await_shown("ports", |ports| ports[2]["link"] == "down")?;
        ensure!(
            lab.fdb()?.iter().all(|row| row["port"] != 3),
            "{:?}",
            lab.fdb()?
        );
        lab.fence[2] = crate::harness::exchange::Member::No;
        let sent = || -> Result<Value> {
            Ok(lab.switch.json(&["show", "ports", "3"])?[0]["tx_frames"].clone())
        };
        let before = sent()?;
        // The station behind it is unknown again: flooded, but not to the port without link.
        let frame = Frame::probe(station(1, 0), station(3, 0));
        lab.ports[0].send(&frame)?;
        lab.ports[1].await_frame(&frame)?;
        let known = Frame::probe(station(1, 0), station(2, 0));
        lab.ports[0].send(&known)?;
        lab.ports[1].await_frame(&known)?;
        ensure!(sent()? == before, "frames went out of a port without link");
        lab.hosts[2].ip(&["link", "set", "eth1", "up"])?;
        lab.switch
            .await_shown("ports", |ports| ports[2]["link"] == "up")?;
        lab.hosts[2].wait_until_up("eth1")?;
        // A new socket: the old one has seen its device go down.
        let back = Port::open(&lab.hosts[2], "eth1")?;
        let frame = Frame::probe(station(1, 0), Mac::BROADCAST);
        lab.ports[0].send(&frame)?;
        lab.ports[1].await_frame(&frame)?;
        back.await_frame(&frame)?;
    }
    Ok(())
}

fn disabled(ctx: &Ctx) -> Result<()> {
    let off = format!("{PORT}, enabled: false");
    let mut lab = Lab::new(ctx, "off", Mode::Tc, &[PORT, PORT, &off], &vlans(&[10]))?;
    lab.fence[2] = crate::harness::exchange::Member::No;
    let frame = Frame::probe(station(1, 0), Mac::BROADCAST);
    lab.expect(&[(0, frame.clone())], &[(1, frame)])?;
    let ports = lab.switch.show("ports")?;
    ensure!(
        ports[2]["enabled"] == false && ports[2]["link"] == "down",
        "{ports}"
    );
    ensure!(
        lab.hosts[2].link("eth1")?["operstate"] != "UP",
        "the neighbour of a disabled port sees a link"
    );
    Ok(())
}

fn accelerated_tags(ctx: &Ctx) -> Result<()> {
    let ports = [
        "untagged: 10, tagged: [20, 4000]",
        "untagged: 10, tagged: [4000]",
        "untagged: 20, tagged: [4000]",
    ];
    let lab = Lab::new(ctx, "accel", Mode::Tc, &ports, &vlans(&[10, 20]))?;
    ensure!(
        features::get(&lab.hosts[0], "eth1", Feature::TxVlan)?,
        "veth accelerates tags unless told otherwise"
    );
    // A program on the station's way out puts the tag beside the frame, as a VLAN device does.
    let _vlan = crate::harness::probe::VlanDevice::attach(&lab.hosts[0], "eth1", 20)?;
    let frame = Frame::probe(station(1, 0), Mac::BROADCAST);
    lab.ports[0].send(&frame)?;
    lab.ports[2].await_frame(&frame)?;
    ensure!(
        lab.ports[1].poll()?.is_none(),
        "a tagged frame came out of another VLAN's port"
    );
    Ok(())
}
