//! Deaths of everybody at every step.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::rig::Rig;
use crate::harness::chassis::Part;
use crate::harness::images::Edition;
use crate::harness::ktap::{Case, Ctx};
use crate::selftests::lab::Mode;

const LONG: Duration = Duration::from_secs(500);

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "upgrade.cli-dies",
        "the command line is killed at each step of an upgrade, which goes on; upgrade status attaches again",
        cli_dies,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.standby-dies",
        "the standby is killed at each step of an upgrade: it ends with one version in both slots, nothing is lost",
        |ctx| module_dies(ctx, Who::Standby, Part::Daemon),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.master-dies",
        "the master is killed at each step of an upgrade: it ends with one version in both slots",
        |ctx| module_dies(ctx, Who::Master, Part::Daemon),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.boot-dies",
        "the boot ROM of the standby is killed and started again at each step of an upgrade, likewise",
        |ctx| module_dies(ctx, Who::Standby, Part::Boot),
    )
    .timeout(LONG),
];

/// Steps of an upgrade that last long enough to be seen.
const STEPS: [&str; 5] = [
    "install",
    "start-standby",
    "verify",
    "start-other",
    "accept",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Master,
    Standby,
}

fn cli_dies(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let (mut here, mut there) = (Edition::Current, Edition::Newer);
    for step in STEPS {
        let image = rig.image(there, &[])?;
        let cli = rig.begin(&image, &["accept-within", "10m"])?;
        // Whatever is the next step when it is looked at.
        rig.await_status(step, |status| {
            status.step() == step || status.step() == "accept"
        })?;
        let _ = cli.signal(Signal::SIGKILL);
        drop(cli);
        let followed = rig
            .switch()
            .hitless()?
            .args(["--wait", "30", "upgrade", "status"])
            .output()?;
        ensure!(
            followed.status.success(),
            "{step}: {}{}",
            String::from_utf8_lossy(&followed.stdout),
            String::from_utf8_lossy(&followed.stderr)
        );
        rig.switch().cli(&["upgrade", "accept"])?;
        rig.await_outcome("accepted", "")?;
        rig.runs(there).with_context(|| step.to_owned())?;
        std::mem::swap(&mut here, &mut there);
    }
    rig.unharmed(&tree)
}

fn module_dies(ctx: &Ctx, who: Who, part: Part) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let (mut here, mut there) = (Edition::Current, Edition::Newer);
    for step in STEPS {
        rig.others.phase(step)?;
        let image = rig.image(there, &[])?;
        let cli = rig.begin(&image, &["accept-within", "15s"])?;
        rig.await_status(step, |status| {
            status.step() == step || status.step() == "accept"
        })?;
        let master = rig.chassis.master().with_context(|| step.to_owned())?;
        let slot = match who {
            Who::Master => master,
            Who::Standby => master.other(),
        };
        // It may be between two lives.
        let _ = rig.chassis.signal(slot, part, Signal::SIGKILL);
        let status = rig
            .await_status("accept or an end", |status| {
                status.outcome().is_some() || status.step() == "accept"
            })
            .with_context(|| format!("{who:?} killed in {step}"))?;
        if status.step() == "accept" {
            let _ = rig.switch().cli(&["upgrade", "accept"]);
        }
        let status = rig.await_status("the end", |status| status.outcome().is_some())?;
        drop(cli);
        ctx.tell(format!(
            "{who:?} killed in {step}: {:?} {}",
            status.outcome(),
            status.reason()
        ));
        match status.outcome() {
            Some("accepted") => {
                rig.runs(there).with_context(|| step.to_owned())?;
                std::mem::swap(&mut here, &mut there);
            }
            Some("rolled-back") => rig.runs(here).with_context(|| step.to_owned())?,
            _ => anyhow::bail!("{step}: {status}\n{}", rig.log()),
        }
    }
    rig.others.unharmed()?;
    rig.others.finish()
}
