//! Deaths of everybody at every step, and what an upgrade makes of each.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::desk::{Desk, PATIENCE, Status, unix_ms};
use super::rig::Rig;
use crate::harness::chassis::Part;
use crate::harness::images::Edition;
use crate::harness::ktap::{Case, Ctx};
use crate::harness::switch::DEADLINE;
use crate::harness::wait::wait_for;
use crate::selftests::lab::Mode;

const LONG: Duration = Duration::from_secs(600);

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
        "the standby is killed at each step of an upgrade: it goes on and is accepted, nothing is lost",
        |ctx| dies(ctx, Victim::Standby, Part::Daemon),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.master-dies",
        "the master is killed at each step of an upgrade: before the failover it goes on, after it the old version comes \
         back; one version in both slots, nothing is lost",
        |ctx| dies(ctx, Victim::Master, Part::Daemon),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.boot-dies",
        "the boot ROM of the standby is killed at each step of an upgrade: it goes on and is accepted, nothing is lost",
        |ctx| dies(ctx, Victim::Standby, Part::Boot),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.master-dies-handing-over",
        "the old master is killed at several moments of the failover of an upgrade: it goes on, nothing is lost",
        |ctx| dies_in_failover(ctx, Victim::Master),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.standby-dies-taking-over",
        "the new version is killed at several moments of the failover of an upgrade: it goes on or is gone back from with the \
         reason, one version in both slots, nothing is lost",
        |ctx| dies_in_failover(ctx, Victim::Standby),
    )
    .timeout(LONG),
];

/// Steps that last long enough to be hit as they come. A failover is over in milliseconds, see [`dies_in_failover`].
const STEPS: [&str; 5] = [
    "install",
    "start-standby",
    "verify",
    "start-other",
    "accept",
];

/// In the last step nobody follows the upgrade any more.
fn cli_dies(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    for step in &STEPS[..STEPS.len() - 1] {
        let image = rig.image(Edition::Newer, &[])?;
        let cli = rig.begin(&image, &["accept-within", "10m"])?;
        rig.await_step(step)?;
        let at = unix_ms();
        cli.signal(Signal::SIGKILL)?;
        let ended = cli.wait(DEADLINE)?;
        ensure!(
            ended.signal() == Some(Signal::SIGKILL as i32),
            "{step}: the command line had ended with {ended}"
        );
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
        let status = rig.await_outcome("accepted", "")?;
        status.was_in(step, at)?;
        rig.runs(Edition::Newer).with_context(|| step.to_string())?;
        return_from(&mut rig)?;
    }
    rig.unharmed(&tree)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Master,
    Standby,
}

/// What an upgrade promises for a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// It goes on.
    GoesOn,
    /// The old version comes back, for this reason.
    ComesBack(&'static str),
    /// One of the two, for one of these reasons.
    Either([&'static str; 2]),
}

impl Promise {
    /// An upgrade ended as promised.
    fn kept(self, status: &Status) -> Result<()> {
        let came_back = |reasons: &[&str]| {
            let says = |why: &&str| status.reason().contains(*why);
            status.outcome() == Some("rolled-back") && reasons.iter().any(says)
        };
        let went_on = status.outcome() == Some("accepted");
        let kept = match self {
            Self::GoesOn => went_on,
            Self::ComesBack(why) => came_back(&[why]),
            Self::Either(reasons) => went_on || came_back(&reasons),
        };
        ensure!(kept, "promised was {self:?}, and it became {status}");
        Ok(())
    }
}

fn promise(victim: Victim, step: &str) -> Promise {
    match (victim, step) {
        // A standby is only waited for.
        (Victim::Standby, _) => Promise::GoesOn,
        // The standby, of the old version, takes over and does the step again.
        (Victim::Master, "install") => Promise::GoesOn,
        // The standby has just begun to run the new version. Both slots start then, and whichever module is first becomes
        // master: the old version, which does the step again, or the new one, which was not ready to take over, or was
        // before the upgrade saw that.
        (Victim::Master, "start-standby") => Promise::Either([
            "was not hitless",
            "came before the upgrade was ready for it",
        ]),
        // It is the new version that died.
        (Victim::Master, _) => Promise::ComesBack("was lost"),
    }
}

/// Some steps last a tenth of a second. On a busy machine a step may be over when the signal comes.
const ATTEMPTS: u32 = 5;

fn dies(ctx: &Ctx, victim: Victim, part: Part) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let mut tree = rig.tree()?;
    for step in STEPS {
        let what = format!("{part:?} of the {victim:?} killed in {step}");
        let mut attempt = 1;
        loop {
            let (status, hit) =
                round(&mut rig, victim, part, step).with_context(|| what.clone())?;
            match hit {
                Ok(moment) => {
                    let (outcome, reason) = (status.outcome().unwrap_or("?"), status.reason());
                    ctx.tell(format!("{what}, {moment}: {outcome} {reason}"));
                    promise(victim, step).kept(&status)?;
                    break;
                }
                Err(missed) if attempt == ATTEMPTS => return Err(missed).context(what),
                Err(_) => attempt += 1,
            }
        }
        rig.others.unharmed().with_context(|| what.clone())?;
        let now = rig.tree()?;
        if matches!(promise(victim, step), Promise::Either(_)) || attempt > 1 {
            // Without a standby, which a shot that missed its step may have hit, spanning tree began anew.
            tree = now;
        } else {
            ensure!(now == tree, "{what}: the tree was {tree} and is {now}");
        }
    }
    rig.unharmed(&tree)
}

/// An upgrade with a death in it, and back to where it began. How it ended, and whether the death was in that step.
fn round(
    rig: &mut Rig<'_>,
    victim: Victim,
    part: Part,
    step: &str,
) -> Result<(Status, Result<String>)> {
    rig.others.phase(step)?;
    let image = rig.image(Edition::Newer, &[])?;
    let cli = rig.begin(&image, &["accept-within", "10m"])?;
    rig.await_step(step)?;
    let at = strike(rig, victim, part, step)?;
    let status = end(rig, promise(victim, step))?;
    drop(cli);
    if status.outcome() == Some("accepted") {
        rig.runs(Edition::Newer)?;
        return_from(rig)?;
    } else {
        rig.runs(Edition::Current)?;
    }
    let hit = status.was_in(step, at);
    Ok((status, hit))
}

/// Kills the process in this step, and tells when.
fn strike(rig: &Rig<'_>, victim: Victim, part: Part, step: &str) -> Result<u64> {
    let master = rig.chassis.master()?;
    let slot = match victim {
        Victim::Master => master,
        Victim::Standby => master.other(),
    };
    let starts = match victim {
        Victim::Standby => ["start-standby", "start-other"].contains(&step),
        Victim::Master => step == "start-standby",
    };
    if starts {
        // Not the life that is ended anyway, nor beside it.
        let journal = rig.journal()?.context("no journal")?;
        wait_for("the life with the new image", DEADLINE, || {
            let module = rig.chassis.module(master.other())?;
            let is_new = module.bank.as_deref() == journal.0["to"]["bank"].as_str();
            Ok((is_new && module.daemon.is_some()).then_some(()))
        })?;
    }
    // A master that was lost is started again a moment after its end.
    wait_for("a module to be killed", DEADLINE, || {
        let module = rig.chassis.module(slot)?;
        Ok(module.daemon.is_some().then_some(()))
    })?;
    let said = rig.switch().log()?.len();
    let at = unix_ms();
    let pid = rig.chassis.signal(slot, part, Signal::SIGKILL)?;
    // Whoever was dead before is not told to have been killed.
    let tells = |line: &str| match part {
        Part::Boot => line.contains(&format!("{} is out (signal: 9", slot.name())),
        Part::Daemon => line.contains(&format!("ended: signal {pid} ")),
    };
    wait_for("the death to be told", DEADLINE, || {
        let log = rig.switch().log()?;
        let told = log.get(said..).is_some_and(|log| log.lines().any(tells));
        Ok(told.then_some(()))
    })
    .with_context(|| rig.log())?;
    Ok(at)
}

/// Waits for the end, and accepts the upgrade unless it has to come back by itself.
fn end(rig: &Rig<'_>, promise: Promise) -> Result<Status> {
    let is_over = |status: &Status| status.outcome().is_some();
    if !matches!(promise, Promise::ComesBack(_)) {
        let stands = |status: &Status| is_over(status) || status.step() == "accept";
        if !is_over(&rig.await_status("acceptance or an end", stands)?) {
            rig.switch().cli(&["upgrade", "accept"])?;
        }
    }
    let status = rig.await_status("the end", is_over)?;
    ensure!(
        matches!(status.outcome(), Some("accepted" | "rolled-back")),
        "{status}\n{}",
        rig.log()
    );
    Ok(status)
}

/// Moments of a failover, in milliseconds from when it is on disk that it begins: the old master is gone after some ten of
/// them, the new one has written down that it took over after a hundred.
fn moments(victim: Victim) -> [u64; 4] {
    match victim {
        Victim::Master => [0, 1, 2, 5],
        Victim::Standby => [0, 3, 10, 25],
    }
}

/// A failover is short, and when exactly somebody is hit no test can say.
const SHOTS: u32 = 8;

fn dies_in_failover(ctx: &Ctx, victim: Victim) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let mut hits = 0;
    for after in moments(victim) {
        let what = format!("{victim:?} killed {after} ms after the failover began");
        rig.others.phase(&what)?;
        for _ in 0..SHOTS {
            let image = rig.image(Edition::Newer, &[])?;
            let cli = rig.begin(&image, &["accept-within", "10m"])?;
            let hit = strike_in_failover(&rig, victim, Duration::from_millis(after))
                .with_context(|| what.clone())?;
            let status = end(&rig, Promise::Either([""; 2])).with_context(|| what.clone())?;
            drop(cli);
            let (outcome, reason) = (status.outcome().unwrap_or("?"), status.reason());
            let hit = hit.and_then(|at| status.was_in("failover", at).ok());
            if let Some(moment) = &hit {
                ctx.tell(format!("{what}, {moment}: {outcome} {reason}"));
                hits += 1;
            }
            if outcome == "accepted" {
                rig.runs(Edition::Newer).with_context(|| what.clone())?;
                return_from(&mut rig)?;
            } else {
                ensure!(!reason.is_empty(), "{what}: no reason: {status}");
                // It is ready when it is killed, so whoever kills the old master only hastens what was to come.
                ensure!(
                    victim == Victim::Standby || hit.is_none(),
                    "{what}: {outcome} {reason}\n{}",
                    rig.log()
                );
                rig.runs(Edition::Current).with_context(|| what.clone())?;
            }
            rig.others.unharmed().with_context(|| what.clone())?;
            if hit.is_some() {
                break;
            }
        }
    }
    ensure!(hits > 0, "nobody was killed in a failover\n{}", rig.log());
    // Spanning tree began anew wherever nobody was left.
    rig.others.unharmed()?;
    rig.others.finish()
}

/// Kills a module so long after the failover began, and tells when; `None` if it had ended before.
fn strike_in_failover(rig: &Rig<'_>, victim: Victim, after: Duration) -> Result<Option<u64>> {
    rig.await_step("start-standby")?;
    let master = rig.chassis.master()?;
    let slot = match victim {
        Victim::Master => master,
        Victim::Standby => master.other(),
    };
    let said = rig.switch().log()?.len();
    // Without a pause between two looks: it takes a few milliseconds.
    let began = Instant::now();
    loop {
        let journal = rig.journal()?.context("no journal")?;
        match journal.step() {
            "failover" => break,
            "start-standby" => ensure!(began.elapsed() < PATIENCE, "{journal}\n{}", rig.log()),
            _ => return Ok(None),
        }
    }
    let began = Instant::now();
    while began.elapsed() < after {
        std::hint::spin_loop();
    }
    let at = unix_ms();
    let Ok(pid) = rig.chassis.signal(slot, Part::Daemon, Signal::SIGKILL) else {
        return Ok(None);
    };
    // One that was handing over may have been through.
    wait_for("the end to be told", DEADLINE, || {
        let log = rig.switch().log()?;
        let mut ends = log.get(said..).unwrap_or_default().lines();
        let end = ends.find(|line| line.contains("ended: ") && line.contains(&format!(" {pid}")));
        Ok(end.map(|line| {
            line.contains(&format!("ended: signal {pid} "))
                .then_some(at)
        }))
    })
    .with_context(|| rig.log())
}

/// Back to the version that each upgrade begins with.
fn return_from(rig: &mut Rig<'_>) -> Result<()> {
    rig.switch().cli(&["--yes", "rollback"])?;
    rig.await_outcome("rolled-back", "by command")?;
    rig.runs(Edition::Current)
}
