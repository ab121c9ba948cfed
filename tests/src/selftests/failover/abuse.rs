//! The link between the modules: strangers that talk nonsense into it, and a standby that does not listen.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_ha::{
    link::Hello,
    receiver::{Limits, Receiver},
    slot::ModuleSlot,
};
use nix::sys::signal::Signal;

use super::rig::{Crowd, PATIENT, Rig, await_ready, equal, shown};
use crate::harness::{
    chassis::Part,
    ktap::{Case, Ctx},
    process::Process,
    switch::{DEADLINE, Switch, tail},
    wait::wait_for,
};
use crate::selftests::bystanders::Bystanders;
use crate::selftests::lab::Mode;
use crate::selftests::socket::Noise;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "failover.link-nonsense",
        "random, damaged and truncated octets, another protocol and a stranger's introduction at the module link are \
         refused with the reason, and the standby that comes then is taken (seed: 5, 65)",
        nonsense,
    )
    .timeout(Duration::from_secs(180)),
    Case::new(
        "failover.link-silence",
        "connections that say nothing, or half of it, do not keep the standby out",
        silence,
    ),
    Case::new(
        "failover.standby-stopped",
        "a standby that is stopped holds up neither forwarding nor learning; everything is transferred anew when it \
         goes on (seed: 27, 49, 64)",
        standby_stopped,
    )
    .timeout(Duration::from_secs(120)),
    Case::new(
        "failover.standby-dies-in-handover",
        "a failover to a standby that dies meanwhile is refused, and mastership stays where it is (seed: 6, 14)",
        dies_in_handover,
    ),
];

const RATE: u32 = 20_000;

/// Stations that a stopped standby is not told of: more than their queue holds.
const MANY: u32 = 150_000;

/// What a standby says first.
fn introduction(slot: ModuleSlot, switch: &str) -> Vec<u8> {
    let hello = Hello::new(slot, "0.0.1", switch, std::process::id());
    Receiver::new(0, &hello, Limits::default())
        .outgoing()
        .to_vec()
}

fn socket(switch: &Switch) -> PathBuf {
    switch.state().join("modules.sock")
}

/// Says something at the module link and waits until the master hangs up.
fn say(switch: &Switch, octets: &[u8]) -> Result<()> {
    let path = socket(switch);
    let mut stream =
        UnixStream::connect(&path).with_context(|| format!("connect to {}", path.display()))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    // It may hang up before it has read everything.
    let _ = stream.write_all(octets);
    let _ = stream.shutdown(Shutdown::Write);
    match stream.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => {
            Err(error).context("the master does not hang up")
        }
        _ => Ok(()),
    }
}

/// A hitlessd in msm-b of a switch whose master runs without boot.
fn standby(ctx: &Ctx, switch: &Switch) -> Result<Process> {
    let log = File::create(ctx.files().join("standby.log"))?;
    let mut command = switch.daemon()?;
    command
        .args(["--slot", "msm-b"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Process::spawn(ctx.run(), &mut command)
}

fn nonsense(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Mixed)?;
    let switch = &others.lab.switch;
    let before = shown(switch)?;
    let name = switch.name().to_owned();
    let good = introduction(ModuleSlot::MsmB, &name);
    for length in 0..good.len() {
        say(switch, &good[..length]).with_context(|| format!("cut after {length} octets"))?;
    }
    for at in 0..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 0x41;
        say(switch, &damaged).with_context(|| format!("octet {at} damaged"))?;
    }
    let mut noise = Noise(0x6d6f_6475_6c65_7321);
    for _ in 0..200 {
        let length = (noise.draw() % 5_000) as usize;
        say(switch, &noise.bytes(length))?;
        // Behind an introduction they are as bad.
        say(switch, &[&good[..], &noise.bytes(length)].concat())?;
    }
    // The octets after the magic number are the version of the protocol.
    let mut foreign = good.clone();
    foreign[4..6].copy_from_slice(&9u16.to_le_bytes());
    say(switch, &foreign)?;
    say(switch, &introduction(ModuleSlot::MsmB, "another-switch"))?;
    say(switch, &introduction(ModuleSlot::MsmA, &name))?;
    say(switch, &[])?;
    let log = switch.log()?;
    for why in [
        "was damaged: checksum",
        "version 9",
        "it belongs to switch another-switch",
        "it says that it is in the master's own slot",
        "its link is closed",
    ] {
        ensure!(log.contains(why), "{why:?} is not in the log");
    }
    ensure!(!log.contains("panicked"), "a panic is in the log");

    let module = standby(ctx, switch)?;
    let after = await_ready(switch)?;
    ensure!(
        after.pid("master")? == before.pid("master")? && after.pid("standby")? == module.pid(),
        "not the master and the standby that were started: {after}"
    );
    equal(switch)?;
    others.unharmed()?;
    others.finish()
}

fn silence(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Mixed)?;
    let switch = &others.lab.switch;
    let good = introduction(ModuleSlot::MsmB, switch.name());
    let mut silent = UnixStream::connect(socket(switch))?;
    silent.write_all(&good[..good.len() / 2])?;
    let module = standby(ctx, switch)?;
    let now = await_ready(switch)?;
    ensure!(now.pid("standby")? == module.pid(), "not it: {now}");
    // Beside a standby nobody else has a chance, and nothing waits for them.
    let _more: Vec<UnixStream> = (0..20)
        .map(|_| UnixStream::connect(socket(switch)))
        .collect::<Result<_, _>>()?;
    equal(switch)?;
    drop(silent);
    others.unharmed()?;
    others.finish()
}

fn standby_stopped(ctx: &Ctx) -> Result<()> {
    // Without a watchdog, whose boot would end what is stopped.
    let settings = "{watchdog_ms: 0, keepalive_misses: 20, lease_ms: 10000}";
    let mut rig = Rig::new(ctx, Mode::Mixed, settings, Some(RATE))?;
    let mut crowd = Crowd::new(&rig.others.lab.hosts[4], 5, MANY)?;
    let before = await_ready(rig.switch())?;
    let slot = before.slot("standby")?;
    let known = rig.known()?;
    rig.others.phase("the standby is stopped")?;
    rig.chassis.signal(slot, Part::Daemon, Signal::SIGSTOP)?;
    crowd.until_known(&rig, known + u64::from(MANY))?;
    rig.others.unharmed()?;
    wait_for("a word about it in the log", DEADLINE, || {
        let log = rig.switch().log()?;
        Ok(log.contains("the standby does not keep up").then_some(()))
    })
    .with_context(|| tail(rig.switch().log_path()))?;
    let now = shown(rig.switch())?;
    ensure!(
        !now.is_ready() && now.standby_state("fdb")? == "initial",
        "it is taken for ready: {now}"
    );
    rig.is_refused(&["run", "msm-failover"], "the standby is not ready")?;
    rig.others.phase("it goes on")?;
    rig.chassis.signal(slot, Part::Daemon, Signal::SIGCONT)?;
    let after = await_ready(rig.switch())?;
    ensure!(
        after.pid("standby")? == before.pid("standby")?,
        "another standby: {after}"
    );
    equal(rig.switch())?;
    rig.others.unharmed()?;
    rig.others.finish()
}

fn dies_in_handover(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let before = await_ready(rig.switch())?;
    let slot = before.slot("standby")?;
    rig.chassis.signal(slot, Part::Daemon, Signal::SIGSTOP)?;
    // Something that it can not acknowledge.
    let mut crowd = Crowd::new(&rig.others.lab.hosts[4], 5, 1_000)?;
    let known = rig.known()?;
    crowd.until_known(&rig, known + 1_000)?;
    let (asker, said) = rig.background(&["run", "msm-failover"])?;
    wait_for("the handover to begin", DEADLINE, || {
        let log = rig.switch().log()?;
        Ok(log.contains("handing over to the standby").then_some(()))
    })?;
    rig.chassis.signal(slot, Part::Daemon, Signal::SIGKILL)?;
    let status = asker.wait(DEADLINE)?;
    ensure!(
        status.code() == Some(1),
        "it ended with {status}: {}",
        tail(&said)
    );
    let after = await_ready(rig.switch())?;
    ensure!(
        after.generation()? == before.generation()?
            && after.pid("master")? == before.pid("master")?,
        "mastership changed: {after}"
    );
    equal(rig.switch())?;
    rig.others.unharmed()?;
    rig.others.finish()
}
