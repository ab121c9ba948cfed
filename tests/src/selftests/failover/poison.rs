//! Input that kills whoever handles it costs two failovers, not an endless ping-pong.

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use serde_json::Value;

use super::rig::{PATIENT, Rig, Shown, await_ready, await_shown, equal};
use crate::harness::{
    frames::{Builder, Frame},
    ktap::{Case, Ctx},
};
use crate::selftests::bystanders::address;
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "failover.poison",
    "a control frame that kills two masters is dropped, counted and shown from then on, until clear quarantine \
     (seed: 7, 13)",
    poison,
)
.timeout(std::time::Duration::from_secs(120))];

const RATE: u32 = 20_000;

/// A BPDU, as far as the data path looks into it, with a payload that a hitlessd under test takes for deadly.
fn deadly() -> Frame {
    let mut payload = vec![0x42, 0x42, 0x03];
    payload.extend(*b"hitless-poison");
    payload.resize(60 - 14, 0);
    // Below 1536 the type field is a length (IEEE Std 802.3 3.2.6).
    Builder::new(address(3), Mac([1, 0x80, 0xc2, 0, 0, 0]))
        .ethertype(46)
        .payload(payload)
        .build()
}

/// The quarantined inputs that are shown.
fn quarantine(shown: &Shown) -> &[Value] {
    shown.0["quarantine"].as_array().map_or(&[], Vec::as_slice)
}

/// The frame comes, and the master dies of it.
fn kills(rig: &Rig<'_>, frame: &Frame) -> Result<Shown> {
    let before = await_ready(rig.switch())?;
    rig.others.quiet[0].send(frame)?;
    let generation = before.generation()? + 1;
    await_shown(rig.switch(), |shown| {
        shown.generation().is_ok_and(|g| g == generation) && shown.is_ready()
    })
    .context("a failover")?;
    let after = await_shown(rig.switch(), |shown| {
        let detail = shown.last()["detail"].as_str().unwrap_or_default();
        shown.last()["cause"] == "software-exception" && detail.contains("breaks its parser")
    })
    .context("the old master's last words")?;
    ensure!(after.last()["hitless"] == true, "not hitless: {after}");
    Ok(after)
}

fn poison(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let frame = deadly();
    for round in 1..=2 {
        rig.others
            .phase(&format!("the first death of round {round}"))?;
        let after = kills(&rig, &frame)?;
        ensure!(quarantine(&after).is_empty(), "after one death: {after}");
        rig.others
            .phase(&format!("the second death of round {round}"))?;
        let after = kills(&rig, &frame)?;
        ensure!(quarantine(&after).len() == 1, "after two deaths: {after}");

        rig.others.phase(&format!("quarantine of round {round}"))?;
        for _ in 0..3 {
            rig.others.quiet[0].send(&frame)?;
        }
        let shown = await_shown(rig.switch(), |shown| {
            quarantine(shown).iter().any(|input| input["dropped"] == 3)
        })?;
        ensure!(
            shown.generation()? == after.generation()?,
            "a third master died of it: {shown}"
        );
        let text = rig.switch().cli(&["show", "msm-failover"])?;
        ensure!(
            text.to_lowercase().contains("quarantine"),
            "not shown: {text}"
        );
        rig.switch().cli(&["clear", "quarantine"])?;
        let shown = await_ready(rig.switch())?;
        ensure!(quarantine(&shown).is_empty(), "not cleared: {shown}");
    }
    equal(rig.switch())?;
    rig.others.unharmed()?;
    rig.others.finish()
}
