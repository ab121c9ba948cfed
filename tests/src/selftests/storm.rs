//! Storm control: frames a second per port, for broadcast, multicast and unknown unicast.

use anyhow::{Result, ensure};
use hitless_common::Mac;

use super::lab::{Lab, Mode, station, vlans};
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "storm.limits",
        "each kind is limited by itself, counted, and known unicast is not touched",
        limits,
    ),
    Case::new("storm.off", "without a limit nothing is dropped", off),
];

const PORT: &str = "untagged: 10, tagged: [4000]";
const FRAMES: u64 = 4000;
const STRANGER: Mac = Mac([2, 0x99, 0, 0, 0, 1]);
const GROUP: Mac = Mac([1, 0, 0x5e, 0, 0, 5]);

/// Sends many frames at once; how many came through, by their destination.
fn burst(lab: &Lab, dst: Mac) -> Result<u64> {
    for _ in 0..FRAMES {
        lab.ports[0].send(&Frame::probe(station(1, 0), dst))?;
        // The station behind port 2 takes them as they come, so that its socket never overflows.
        while lab.ports[1].poll()?.is_some_and(|f| f.dst() == Some(dst)) {}
    }
    // Fences are broadcasts and might be limited themselves; known unicast never is.
    let last = Frame::probe(station(1, 0), station(2, 0));
    lab.ports[0].send(&last)?;
    lab.ports[1].await_frame(&last)?;
    let shown = lab.switch.json(&["show", "ports", "1"])?;
    let drops = shown[0]["drops"].as_object().cloned().unwrap_or_default();
    Ok(drops.values().filter_map(serde_json::Value::as_u64).sum())
}

fn limits(ctx: &Ctx) -> Result<()> {
    // A hundred a second: even a machine that takes ten seconds for the burst must drop most of it.
    let kinds = [
        ("broadcast", "storm-broadcast", Mac::BROADCAST),
        ("multicast", "storm-multicast", GROUP),
        ("unknown_unicast", "storm-unknown", STRANGER),
    ];
    for (setting, reason, dst) in kinds {
        let limited = format!("{PORT}, storm_control: {{{setting}: 100}}");
        let lab = Lab::new(ctx, "storm", Mode::Tc, &[&limited, PORT], &vlans(&[10]))?;
        lab.introduce(10, &[None; 2])?;
        for (_, other, other_dst) in kinds.iter().filter(|(s, _, _)| *s != setting) {
            burst(&lab, *other_dst)?;
            lab.expect_drops(1, other, 0)?;
        }
        burst(&lab, station(2, 0))?;
        lab.expect_drops(1, reason, 0)?;
        burst(&lab, dst)?;
        let dropped = lab.drops(1, reason)?;
        ensure!(
            dropped > FRAMES / 2 && dropped < FRAMES,
            "{reason}: {dropped} of {FRAMES} dropped at 100 a second"
        );
        let ports = lab.switch.show("ports")?;
        ensure!(
            ports[1]["drops"]
                .as_object()
                .is_some_and(serde_json::Map::is_empty),
            "the other port is limited too: {ports}"
        );
    }
    Ok(())
}

fn off(ctx: &Ctx) -> Result<()> {
    let lab = Lab::new(ctx, "calm", Mode::Tc, &[PORT; 2], &vlans(&[10]))?;
    lab.introduce(10, &[None; 2])?;
    for dst in [Mac::BROADCAST, GROUP, STRANGER] {
        ensure!(burst(&lab, dst)? == 0);
    }
    Ok(())
}
