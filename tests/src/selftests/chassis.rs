//! `hitless chassis`: two slots that are never empty for long, and an end in the right order. In place of hitlessd
//! there are puppets; what real modules do is in other files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::trial::ends;
use crate::harness::{
    chassis::{Chassis, Part, Slot},
    ktap::{Case, Ctx},
    puppet::{Puppet, Stage},
    run::STATE_DIR,
    switch::{DEADLINE, Switch},
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "chassis.modules-come-back",
        "both slots are filled; modules and boots that are killed, one or both, come back (seed: 11, 15)",
        modules_come_back,
    )
    .timeout(Duration::from_secs(120)),
    Case::new(
        "chassis.images",
        "the slots can have different images, and hitlessd gets its options",
        images,
    ),
    Case::new(
        "chassis.stop",
        "SIGTERM and SIGINT stop the standby first and the master last, and leave no process",
        stop,
    )
    .timeout(Duration::from_secs(120)),
    Case::new(
        "chassis.stop-stuck",
        "a boot that does not stop is killed with its module, and the chassis ends",
        stop_stuck,
    ),
    Case::new(
        "chassis.first-process",
        "as process 1 the chassis collects orphans, survives every module and ends with its last one",
        first_process,
    ),
    Case::new(
        "chassis.orphans",
        "orphans of modules are collected where the chassis is not process 1",
        orphans,
    ),
    Case::new(
        "chassis.killed",
        "a chassis that is killed leaves no boot and no module, and a new one starts",
        killed,
    ),
    Case::new(
        "chassis.refusals",
        "a second chassis, a missing program and a wrong configuration are refused by name",
        refusals,
    ),
];

/// A switch that need not forward.
const CONFIG: &str = "vlans: []\nports: []\n";

/// A switch whose modules are puppets.
struct Rack<'a> {
    ctx: &'a Ctx,
    switch: Switch,
    stage: Stage,
    image: PathBuf,
}

impl<'a> Rack<'a> {
    fn new(ctx: &'a Ctx) -> Result<Self> {
        let netns = ctx.netns("sw")?;
        let switch = Switch::prepare(ctx.run(), ctx.files(), &netns, "sw", CONFIG)?;
        let stage = Stage::new(ctx.files())?;
        let image = stage.program(ctx.files(), "image")?;
        Ok(Self {
            ctx,
            switch,
            stage,
            image,
        })
    }

    fn command(&self) -> Result<Command> {
        let mut command = Chassis::command(&self.switch)?;
        command.arg("--image").arg(&self.image);
        Ok(command)
    }

    fn start(&self) -> Result<Chassis> {
        Chassis::spawn(self.ctx.run(), &self.switch, &mut self.command()?)
    }

    /// The next two modules that start, in the order of their slots.
    fn pair(&self) -> Result<[Puppet; 2]> {
        let mut pair = [self.stage.next()?, self.stage.next()?];
        pair.sort_by_key(|puppet| slot(puppet).to_owned());
        ensure!(
            slot(&pair[0]) == "msm-a" && slot(&pair[1]) == "msm-b",
            "not one of each: {pair:?}"
        );
        Ok(pair)
    }
}

/// The slot that a module was told.
fn slot(puppet: &Puppet) -> &str {
    let arguments = puppet.arguments();
    let at = arguments.iter().position(|a| a == "--slot");
    at.and_then(|at| arguments.get(at + 1))
        .map_or("", String::as_str)
}

/// Waits until a process has gone, and was collected.
fn collected(pid: u32) -> Result<()> {
    let path = PathBuf::from(format!("/proc/{pid}"));
    wait_for(&format!("nothing at {}", path.display()), DEADLINE, || {
        Ok((!path.exists()).then_some(()))
    })
    .with_context(|| fs::read_to_string(path.join("status")).unwrap_or_default())
}

fn modules_come_back(ctx: &Ctx) -> Result<()> {
    let rack = Rack::new(ctx)?;
    let chassis = rack.start()?;
    let [mut a, mut b] = rack.pair()?;
    for puppet in [&a, &b] {
        puppet.expect("boot peer-present")?;
    }
    // A module: its boot starts it anew, the other hears why.
    let killed = chassis.signal(Slot::A, Part::Daemon, Signal::SIGKILL)?;
    b.expect(&format!("boot peer-ended signal {killed} SIGKILL"))?;
    collected(killed)?;
    a = rack.stage.next()?;
    a.expect("boot peer-present")?;
    ensure!(slot(&a) == "msm-a", "{a:?}");
    // A boot: put back in by the chassis.
    for _ in 0..2 {
        let killed = chassis.signal(Slot::B, Part::Boot, Signal::SIGKILL)?;
        a.expect("boot peer-removed")?;
        b.until_death()?;
        collected(killed)?;
        collected(b.pid())?;
        b = rack.stage.next()?;
        ensure!(slot(&b) == "msm-b", "{b:?}");
        a.expect("boot peer-present")?;
        b.expect("boot peer-present")?;
        chassis.await_module(Slot::B, |m| m.boot != killed && m.daemon == Some(b.pid()))?;
    }
    // Both at once.
    for slot in Slot::ALL {
        chassis.signal(slot, Part::Boot, Signal::SIGKILL)?;
    }
    a.until_death()?;
    b.until_death()?;
    for puppet in rack.pair()? {
        puppet.expect("boot peer-present")?;
    }
    ensure!(
        chassis.process().ended()?.is_none(),
        "the chassis has ended"
    );
    Ok(())
}

fn images(ctx: &Ctx) -> Result<()> {
    let rack = Rack::new(ctx)?;
    let other = Stage::named(ctx.files(), "other")?;
    let image_b = other.program(ctx.files(), "image-b")?;
    let mut command = rack.command()?;
    command.arg("--image-b").arg(image_b);
    command.args(["--", "--log", "debug"]);
    let chassis = Chassis::spawn(ctx.run(), &rack.switch, &mut command)?;
    let config = rack.switch.config().display().to_string();
    for (stage, slot) in [(&rack.stage, "msm-a"), (&other, "msm-b")] {
        let puppet = stage.next()?;
        let expected = ["--slot", slot, "--config", &config, "--log", "debug"];
        ensure!(puppet.arguments() == expected, "{:?}", puppet.arguments());
    }
    drop(chassis);
    Ok(())
}

fn stop(ctx: &Ctx) -> Result<()> {
    let rack = Rack::new(ctx)?;
    for (signal, roles, last) in [
        (Signal::SIGTERM, [Some("master"), Some("standby")], 0),
        (Signal::SIGTERM, [Some("standby"), Some("master")], 1),
        (Signal::SIGINT, [Some("standby"), Some("master")], 1),
        (Signal::SIGTERM, [None, None], 0),
    ] {
        let chassis = rack.start()?;
        let modules = rack.pair()?;
        let mut pids = Vec::new();
        for ((puppet, role), slot) in modules.iter().zip(roles).zip(Slot::ALL) {
            puppet.expect("boot peer-present")?;
            if let Some(role) = role {
                puppet.pull(&format!("say state {role} 0.1.0"))?;
            }
            let told = chassis.await_module(slot, |m| {
                m.daemon == Some(puppet.pid()) && m.role.as_deref() == role
            })?;
            pids.extend([told.boot, puppet.pid()]);
        }
        chassis.process().signal(signal)?;
        // The last one hears of the other's end, and then of its own.
        let (first, second) = (&modules[1 - last], &modules[last]);
        first.expect("term")?;
        second.expect(&format!("boot peer-ended exit {} 0", first.pid()))?;
        second.expect("boot peer-removed")?;
        second.expect("term")?;
        let status = chassis.process().wait(DEADLINE)?;
        ensure!(status.success(), "{signal}, {roles:?}: {status}");
        for pid in pids {
            collected(pid)?;
        }
        let left: Vec<_> = fs::read_dir(rack.switch.state())?.flatten().collect();
        ensure!(left.is_empty(), "left: {left:?}");
    }
    Ok(())
}

fn stop_stuck(ctx: &Ctx) -> Result<()> {
    let rack = Rack::new(ctx)?;
    let chassis = rack.start()?;
    let [a, b] = rack.pair()?;
    for puppet in [&a, &b] {
        puppet.expect("boot peer-present")?;
    }
    let stuck = chassis.signal(Slot::B, Part::Boot, Signal::SIGSTOP)?;
    chassis.process().signal(Signal::SIGTERM)?;
    a.expect("boot peer-removed")?;
    a.expect("term")?;
    let status = chassis.process().wait(DEADLINE)?;
    ensure!(status.success(), "{status}");
    for pid in [stuck, a.pid(), b.pid()] {
        collected(pid)?;
    }
    Ok(())
}

fn first_process(ctx: &Ctx) -> Result<()> {
    ctx.need_program("unshare")?;
    let rack = Rack::new(ctx)?;
    let inner = rack.command()?;
    let mut command = rack.switch.inside_any("unshare")?;
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    command.arg(inner.get_program()).args(inner.get_args());
    let outer = Chassis::spawn(ctx.run(), &rack.switch, &mut command)?;
    let [a, b] = rack.pair()?;
    for puppet in [&a, &b] {
        puppet.expect("boot peer-present")?;
    }
    let first = parent_of(parent_of(a.pid())?)?;
    ensure!(
        parent_of(parent_of(b.pid())?)? == first,
        "not of one chassis"
    );
    ensure!(inner_pid(first)? == "1", "process {first} is not the first");
    for _ in 0..20 {
        a.pull("orphan")?;
        a.expect("orphan")?;
    }
    no_zombies(first)?;
    // Boots and modules die; it stays.
    for puppet in [&a, &b] {
        puppet.signal(Signal::SIGKILL)?;
    }
    let [a, b] = rack.pair()?;
    for puppet in [&a, &b] {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(parent_of(puppet.pid())?.cast_signed()),
            Signal::SIGKILL,
        )?;
        puppet.until_death()?;
    }
    let [a, b] = rack.pair()?;
    ensure!(parent_of(parent_of(a.pid())?)? == first, "another chassis");
    no_zombies(first)?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(first.cast_signed()),
        Signal::SIGTERM,
    )?;
    let status = outer.process().wait(DEADLINE)?;
    ensure!(status.success(), "{status}");
    for puppet in [a, b] {
        ensure!(
            puppet.until_death()?.contains(&"term".to_owned()),
            "not asked to stop"
        );
    }
    Ok(())
}

fn status_line(pid: u32, word: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("status of process {pid}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    Ok(line
        .with_context(|| format!("{word} of {pid}"))?
        .trim()
        .to_owned())
}

fn parent_of(pid: u32) -> Result<u32> {
    Ok(status_line(pid, "PPid:")?.parse()?)
}

/// A process's number in its own PID namespace.
fn inner_pid(pid: u32) -> Result<String> {
    let all = status_line(pid, "NSpid:")?;
    Ok(all.split_whitespace().last().unwrap_or_default().to_owned())
}

/// Waits until a process has nothing to collect and no children but the boots.
fn no_zombies(parent: u32) -> Result<()> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    wait_for("a process with two children", DEADLINE, || {
        let children = fs::read_to_string(&path).with_context(|| path.clone())?;
        Ok((children.split_whitespace().count() == 2).then_some(()))
    })
}

fn orphans(ctx: &Ctx) -> Result<()> {
    let rack = Rack::new(ctx)?;
    let chassis = rack.start()?;
    let [a, _b] = rack.pair()?;
    a.expect("boot peer-present")?;
    for _ in 0..20 {
        a.pull("orphan")?;
        let line = a.expect("orphan")?;
        let pid: u32 = line.trim_start_matches("orphan").trim().parse()?;
        // Who adopted it collects it, and nobody else could.
        if let Ok(parent) = parent_of(pid) {
            ensure!(parent == chassis.process().pid(), "{parent} adopted {pid}");
        }
        collected(pid)?;
    }
    no_zombies(chassis.process().pid())
}

fn killed(ctx: &Ctx) -> Result<()> {
    let rack = Rack::new(ctx)?;
    for _ in 0..3 {
        let chassis = rack.start()?;
        let modules = rack.pair()?;
        for puppet in &modules {
            puppet.expect("boot peer-present")?;
        }
        drop(chassis);
        for puppet in &modules {
            puppet.until_death()?;
            collected(puppet.pid())?;
        }
    }
    Ok(())
}

fn refusals(ctx: &Ctx) -> Result<()> {
    let rack = Rack::new(ctx)?;
    let chassis = rack.start()?;
    let [a, b] = rack.pair()?;
    for puppet in [&a, &b] {
        puppet.expect("boot peer-present")?;
    }
    let second = format!(
        "switch {} already has a running hitless chassis; stop it first",
        rack.switch.name()
    );
    ends(ctx, &mut rack.command()?, 1, &[&second])?;
    for option in ["--boot", "--image", "--image-a", "--image-b"] {
        let mut command = Chassis::command(&rack.switch)?;
        command.args([option, "/nonexistent/program"]);
        ends(ctx, &mut command, 1, &["no program /nonexistent/program"])?;
    }
    let wrong = ctx.files().join("wrong.yaml");
    let unknown = ctx.run().name("wrong");
    fs::write(&wrong, format!("switch: {unknown}\nvlans: [{{id: 0}}]\n"))?;
    let mut command = rack.switch.inside("hitless")?;
    command.arg("chassis").arg("--config").arg(&wrong);
    ends(ctx, &mut command, 1, &["wrong.yaml:2:"])?;
    let state = Path::new(STATE_DIR).join(unknown);
    ensure!(!state.exists(), "{} was made", state.display());
    // Nobody noticed.
    for puppet in [&a, &b] {
        puppet.settle()?;
    }
    let status = chassis.stop()?;
    ensure!(status.success(), "{status}");
    Ok(())
}
