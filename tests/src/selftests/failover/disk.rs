//! A run directory without room: what is written there is lost, mastership is not.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::rig::{PATIENT, Shown, chassis_command};
use crate::harness::{
    chassis::Chassis,
    ktap::{Case, Ctx},
    process::output,
    run::STATE_DIR,
    switch::{DEADLINE, Switch, tail},
    wait::wait_for,
};
use crate::selftests::bystanders::{Bystanders, PORTS, REST};
use crate::selftests::lab::{Lab, Mode};
use crate::selftests::trial::in_own_mounts;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "failover.full-disk",
    "with a run directory that is full failovers work and lose nothing; with room again the log goes on (seed: 6, 7)",
    full_disk,
)
.timeout(Duration::from_secs(120))];

const RATE: u32 = 20_000;

/// A switch whose run directory is a small file system that only its own processes see.
struct Small {
    /// The directory, through one of those processes.
    dir: PathBuf,
}

impl Small {
    fn start(ctx: &Ctx, switch: &Switch) -> Result<(Chassis, Self)> {
        let dir = Path::new(STATE_DIR).join(switch.name());
        fs::create_dir_all(&dir)?;
        let mount = format!("mount -t tmpfs -o size=512k hitless {}", dir.display());
        let plain = chassis_command(switch)?;
        let words = in_own_mounts(&mount);
        let mut command = switch.inside_any(&words[0])?;
        command
            .env("HITLESS_FAULTS", "1")
            .args(&words[1..])
            .arg(plain.get_program())
            .args(plain.get_args());
        let chassis = Chassis::spawn(ctx.run(), switch, &mut command)?;
        let root = PathBuf::from(format!("/proc/{}/root", chassis.process().pid()));
        let small = Self {
            dir: root.join(dir.strip_prefix("/")?),
        };
        Ok((chassis, small))
    }

    fn json(&self, switch: &Switch, words: &[&str]) -> Result<Value> {
        let mut command = switch.hitless()?;
        let socket = self.dir.join("control.sock");
        command
            .args(words)
            .arg("--json")
            .arg("--socket")
            .arg(socket);
        let text = output(&mut command)?;
        serde_json::from_str(&text).with_context(|| format!("{words:?} printed {text:?}"))
    }

    fn await_ready(&self, switch: &Switch, generation: u64) -> Result<Shown> {
        let mut last = Value::Null;
        wait_for("two modules that are ready", DEADLINE, || {
            last = self.json(switch, &["show", "msm-failover"])?;
            let shown = Shown(last.clone());
            Ok((shown.is_ready() && shown.generation()? == generation).then_some(shown))
        })
        .with_context(|| format!("{last}; log:\n{}", tail(switch.log_path())))
    }

    /// Takes all the room there is.
    fn fill(&self) -> Result<PathBuf> {
        let path = self.dir.join("filler");
        let mut file = File::create(&path)?;
        loop {
            match file.write_all(&[0; 512]) {
                Ok(()) => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOSPC) => return Ok(path),
                Err(e) => bail!("fill {}: {e}", path.display()),
            }
        }
    }
}

fn full_disk(ctx: &Ctx) -> Result<()> {
    let rest = format!("{REST}\nmsm_failover: {PATIENT}");
    // By itself first: a lab is asked at the socket in the usual place.
    let lab = Lab::new(ctx, "sw", Mode::Mixed, &PORTS, &rest)?;
    let mut others = Bystanders::over(lab, Some(RATE))?;
    let mut generation = super::rig::shown(&others.lab.switch)?.generation()?;
    others.phase("with two modules")?;
    others.lab.switch.terminate()?;
    let (_chassis, small) = Small::start(ctx, &others.lab.switch)?;
    let switch = &others.lab.switch;
    generation += 1;
    small.await_ready(switch, generation)?;
    let filler = small.fill()?;
    let more = fs::write(small.dir.join("more"), [0; 4096]);
    ensure!(more.is_err(), "there is room for more");
    others.phase("full")?;
    for round in 0..3 {
        small.json(switch_of(&others), &["run", "msm-failover"])?;
        generation += 1;
        let now = small.await_ready(switch_of(&others), generation)?;
        let master = Pid::from_raw(now.pid("master")?.cast_signed());
        kill(master, Signal::SIGKILL)?;
        generation += 1;
        small
            .await_ready(switch_of(&others), generation)
            .with_context(|| format!("round {round}"))?;
        let checked = small.json(switch_of(&others), &["check", "msm-failover"])?;
        ensure!(checked["equal"] == true, "they differ: {checked}");
        others.unharmed()?;
    }
    others.phase("room again")?;
    fs::remove_file(filler)?;
    small.json(switch_of(&others), &["run", "msm-failover"])?;
    small.await_ready(switch_of(&others), generation + 1)?;
    let log = small.json(switch_of(&others), &["show", "log"])?;
    let text = log.to_string();
    ensure!(
        text.contains("Slave MSM initialized for hitless failover operation."),
        "the log does not go on: {text}"
    );
    others.unharmed()?;
    others.finish()
}

fn switch_of(others: &Bystanders) -> &Switch {
    &others.lab.switch
}
