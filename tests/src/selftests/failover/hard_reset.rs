//! A hard reset: the one failover that is meant to interrupt forwarding, and says so first.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::rig::{PATIENT, await_ready, equal, lab};
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
};
use crate::selftests::bystanders::FENCED;
use crate::selftests::lab::{Mode, station};

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "failover.hard-reset",
    "a hard reset warns and asks; then all state is given up, hard-reset is the cause, and traffic comes back \
     (seed: 12, 62)",
    hard_reset,
)
.timeout(Duration::from_secs(120))];

fn hard_reset(ctx: &Ctx) -> Result<()> {
    let rest = format!(
        "fdb: {{size: 4096}}\nmsm_failover: {PATIENT}\nvlans: [{{id: 10}}, {{id: 4000, learning: false}}]"
    );
    let ports = [FENCED; 3];
    for (mode, label) in [(Mode::Tc, "tc"), (Mode::Xdp, "xdp")] {
        let (lab, _chassis) = lab(ctx, label, mode, &ports, &rest)?;
        lab.introduce(10, &[None; 3])?;
        let before = await_ready(&lab.switch)?;
        let master = before.slot("master")?.name();
        let words = ["reboot", "slot", master, "hard-reset"];
        let asked = lab.switch.hitless()?.args(words).output()?;
        let text = String::from_utf8_lossy(&asked.stderr).into_owned();
        ensure!(
            !asked.status.success() && text.contains("you will experience some traffic loss"),
            "{}: {text}",
            asked.status
        );
        let still = await_ready(&lab.switch)?;
        ensure!(
            still.generation()? == before.generation()?,
            "done without an answer: {still}"
        );

        let done = lab.switch.hitless()?.args(words).arg("--yes").output()?;
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(
            done.status.code() == Some(5) && text.contains("not hitless"),
            "{}: {text}",
            done.status
        );
        // The hardware is another one, and counts its masters anew.
        let after = await_ready(&lab.switch)?;
        ensure!(
            after.slot("master")? == before.slot("standby")?
                && after.last()["cause"] == "hard-reset"
                && after.last()["hitless"] == false
                && after.last()["detail"]
                    .as_str()
                    .is_some_and(|d| d.contains("all operational state")),
            "{after}"
        );
        // Nothing is known any more, and everything is learned anew.
        lab.introduce(10, &[None; 3])?;
        let frame = Frame::probe(station(1, 0), station(2, 0));
        lab.expect(&[(0, frame.clone())], &[(1, frame)])?;
        equal(&lab.switch)?;
    }
    Ok(())
}
