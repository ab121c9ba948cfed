//! `hitless-boot`: what the other slot hears of the end of a module, and what becomes of the module then. In place of
//! hitlessd it starts puppets.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::trial::ends;
use crate::harness::{
    ktap::{Case, Ctx},
    process::Process,
    puppet::{Puppet, Stage},
    switch::{DEADLINE, binary},
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "boot.end-is-told",
        "the other slot hears at once how a module ended: status, signal, or the last words of a panic (seed: 13)",
        end_is_told,
    ),
    Case::new(
        "boot.survived-panic",
        "last words that a module took back, or that it did not die of, explain no later end",
        survived_panic,
    ),
    Case::new(
        "boot.watchdog",
        "a module that hangs is killed when its watchdog runs out, and the other slot hears why (seed: 8)",
        watchdog,
    ),
    Case::new(
        "boot.watchdog-kicked",
        "a module that kicks its watchdog is left alone, until it stops kicking",
        watchdog_kicked,
    ),
    Case::new(
        "boot.watchdog-stalled-machine",
        "a machine that stands still longer than the watchdog's limit kills no module",
        watchdog_stalled_machine,
    ),
    Case::new(
        "boot.restarts",
        "the first failure is mended at once, further ones after doubling pauses, a reboot that was asked for at once",
        restarts,
    ),
    Case::new(
        "boot.head-start",
        "a master that has ended is started a moment later, so that the standby takes over first; nobody else waits",
        head_start,
    ),
    Case::new(
        "boot.program-that-is-not-there",
        "an image that can not be run is tried again and again, and runs when it is there",
        no_program,
    ),
    Case::new(
        "boot.removed",
        "a boot that is killed takes its module along; the other slot hears of the removal, and of the return (seed: 11)",
        removed,
    ),
    Case::new(
        "boot.reset-peer",
        "a module has the other one killed and started anew; the end is told as a reset (seed: 12)",
        reset_peer,
    ),
    Case::new(
        "boot.stopped",
        "SIGTERM and SIGINT stop the module, which is told as exit 0, and leave no file",
        stopped,
    ),
    Case::new(
        "boot.stubborn",
        "a module that does not stop after SIGTERM is killed",
        stubborn,
    ),
    Case::new(
        "boot.one-per-slot",
        "a second boot of a slot is refused by name; the first one works on",
        one_per_slot,
    ),
    Case::new(
        "boot.nonsense",
        "random bytes from the module and from strangers at the socket change nothing",
        nonsense,
    ),
    Case::new(
        "boot.idle",
        "a boot whose module neither speaks nor is watched does not wake up",
        idle,
    ),
];

const SLOTS: [&str; 2] = ["msm-a", "msm-b"];

/// Two slots that share a backplane.
struct Slots<'a> {
    ctx: &'a Ctx,
    directory: PathBuf,
    stages: [Stage; 2],
}

impl<'a> Slots<'a> {
    fn new(ctx: &'a Ctx) -> Result<Self> {
        let directory = ctx.files().join("backplane");
        let stage = |slot| Stage::named(ctx.files(), slot);
        Ok(Self {
            ctx,
            directory,
            stages: [stage(SLOTS[0])?, stage(SLOTS[1])?],
        })
    }

    fn log(&self, slot: usize) -> PathBuf {
        self.ctx.files().join(format!("{}.log", SLOTS[slot]))
    }

    /// The command line of a slot's boot, up to its options.
    fn command(&self, slot: usize) -> Result<Command> {
        let mut command = Command::new(binary("hitless-boot")?);
        command.args(["--slot", SLOTS[slot]]);
        command.arg("--backplane").arg(&self.directory);
        Ok(command)
    }

    /// Starts a boot with these options, with a puppet unless a program is named.
    fn boot(&self, slot: usize, options: &[&str], program: Option<&Path>) -> Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(slot))?;
        let mut command = self.command(slot)?;
        command.args(options).arg("--");
        match program {
            Some(program) => command.arg(program),
            None => command.args(self.stages[slot].command()?),
        };
        command.stdin(Stdio::null()).stderr(log);
        Process::spawn(self.ctx.run(), &mut command)
    }

    /// Both boots with their modules, which have heard of each other.
    fn both(&self) -> Result<[(Process, Puppet); 2]> {
        let a = self.boot(0, &[], None)?;
        let module_a = self.stages[0].next()?;
        let b = self.boot(1, &[], None)?;
        let module_b = self.stages[1].next()?;
        module_a.expect("boot peer-present")?;
        module_b.expect("boot peer-present")?;
        Ok([(a, module_a), (b, module_b)])
    }

    fn status(&self, slot: usize) -> String {
        let path = self.directory.join(format!("status-{}", SLOTS[slot]));
        fs::read_to_string(path).unwrap_or_default()
    }

    fn await_status(&self, slot: usize, line: &str) -> Result<()> {
        wait_for(&format!("status {line:?}"), DEADLINE, || {
            Ok(self.status(slot).lines().any(|l| l == line).then_some(()))
        })
        .with_context(|| self.status(slot))
    }

    /// Checks that a log tells this.
    fn await_log(&self, slot: usize, text: &str) -> Result<()> {
        wait_for(&format!("{text:?} in the log"), DEADLINE, || {
            Ok(fs::read_to_string(self.log(slot))?
                .contains(text)
                .then_some(()))
        })
    }
}

/// Checks that a process is gone, or is about to.
fn gone(pid: u32) -> Result<()> {
    wait_for(&format!("the end of process {pid}"), DEADLINE, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A zombie has ended; who collects it is another question.
        let state = stat
            .rsplit(')')
            .next()
            .and_then(|s| s.trim().chars().next());
        Ok(matches!(state, None | Some('Z' | 'X')).then_some(()))
    })
}

fn end_is_told(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(_a, mut module), (_b, other)] = slots.both()?;
    for (strings, end) in [
        (&["exit 3"][..], "exit {} 3"),
        (&["exit 0"], "exit {} 0"),
        (&["die 9"], "signal {} SIGKILL"),
        (&["die 11"], "signal {} SIGSEGV"),
        (&["die 34"], "signal {} signal 34"),
        (
            &["say last-words out of luck", "die 6"],
            "panic {} out of luck",
        ),
        (
            &["say last-words at a.rs:1:2", "exit 101"],
            "panic {} at a.rs:1:2",
        ),
        (&["exit 101"], "panic {} no last words"),
        (&["exit 75"], "exit {} 75"),
    ] {
        for string in strings {
            module.pull(string)?;
        }
        let told = other.expect("boot peer-ended")?;
        let expected = format!(
            "boot peer-ended {}",
            end.replace("{}", &module.pid().to_string())
        );
        ensure!(told == expected, "{told:?} instead of {expected:?}");
        module = slots.stages[0].next()?;
        module.expect("boot peer-present")?;
    }
    Ok(())
}

fn survived_panic(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(_a, mut module), (_b, other)] = slots.both()?;
    for (strings, end) in [
        (["say last-words caught", "die 9"], "signal"),
        (["say last-words caught", "exit 0"], "exit"),
        (["say last-words caught", "exit 75"], "exit"),
    ] {
        for string in strings {
            module.pull(string)?;
        }
        other.expect(&format!("boot peer-ended {end}"))?;
        module = slots.stages[0].next()?;
        module.expect("boot peer-present")?;
    }
    for string in ["say last-words caught", "say last-words ", "exit 1"] {
        module.pull(string)?;
    }
    other.expect("boot peer-ended exit").map(drop)
}

fn watchdog(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(_a, module), (_b, other)] = slots.both()?;
    module.pull("say watchdog 100")?;
    module.pull("kick 5")?;
    module.settle()?;
    let start = Instant::now();
    module.signal(Signal::SIGSTOP)?;
    let told = other.expect("boot peer-ended")?;
    let expected = format!(
        "boot peer-ended watchdog {} no kick for 100 ms",
        module.pid()
    );
    ensure!(told == expected, "{told:?} instead of {expected:?}");
    ensure!(
        start.elapsed() >= Duration::from_millis(80),
        "killed after {:?}",
        start.elapsed()
    );
    gone(module.pid())?;
    // The next one is not watched until it asks for it.
    let next = slots.stages[0].next()?;
    next.expect("boot peer-present")?;
    let heard = next.listen(Duration::from_millis(300));
    ensure!(heard.is_empty(), "{heard:?}");
    next.settle()
}

fn watchdog_kicked(ctx: &Ctx) -> Result<()> {
    const LIMIT: Duration = Duration::from_millis(1000);
    let slots = Slots::new(ctx)?;
    let [(_a, module), (_b, other)] = slots.both()?;
    module.pull("kick 10")?;
    module.pull(&format!("say watchdog {}", LIMIT.as_millis()))?;
    let heard = other.listen(3 * LIMIT);
    ensure!(heard.is_empty(), "{heard:?}");
    module.settle()?;
    module.pull("kick never")?;
    other.expect("boot peer-ended watchdog")?;
    // Disarmed, it bites no more.
    let module = slots.stages[0].next()?;
    module.expect("boot peer-present")?;
    module.pull("say watchdog 50")?;
    module.pull("say watchdog 0")?;
    let heard = other.listen(Duration::from_millis(300));
    ensure!(heard.is_empty(), "{heard:?}");
    module.settle()
}

fn watchdog_stalled_machine(ctx: &Ctx) -> Result<()> {
    const LIMIT: Duration = Duration::from_millis(500);
    let slots = Slots::new(ctx)?;
    let [(boot, module), (_b, other)] = slots.both()?;
    module.pull("kick 10")?;
    module.pull(&format!("say watchdog {}", LIMIT.as_millis()))?;
    module.settle()?;
    for _ in 0..2 {
        boot.signal(Signal::SIGSTOP)?;
        module.signal(Signal::SIGSTOP)?;
        let heard = other.listen(2 * LIMIT);
        ensure!(heard.is_empty(), "{heard:?}");
        boot.signal(Signal::SIGCONT)?;
        module.signal(Signal::SIGCONT)?;
    }
    let heard = other.listen(LIMIT);
    ensure!(heard.is_empty(), "{heard:?}");
    module.settle()
}

fn restarts(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let boot = slots.boot(0, &[], None)?;
    for pause in [0, 100, 200, 400] {
        let module = slots.stages[0].next()?;
        let start = Instant::now();
        module.pull("exit 1")?;
        module.until_death()?;
        let next = slots.stages[0].next()?;
        let waited = start.elapsed();
        ensure!(
            waited >= Duration::from_millis(pause),
            "the pause of {pause} ms took {waited:?}"
        );
        slots.await_log(
            0,
            &format!(
                "{} 1 (nobody to tell); starts again in {pause} ms",
                module.pid()
            ),
        )?;
        next.pull("exit 75")?;
        slots.await_log(
            0,
            &format!("{} 75 (nobody to tell); starts again in 0 ms", next.pid()),
        )?;
    }
    drop((slots.stages[0].next()?, boot));

    // A life that was long enough ends the row.
    let _boot = slots.boot(0, &["--settled-ms", "0"], None)?;
    for _ in 0..20 {
        let module = slots.stages[0].next()?;
        module.pull("exit 1")?;
        slots.await_log(
            0,
            &format!("{} 1 (nobody to tell); starts again in 0 ms", module.pid()),
        )?;
    }
    Ok(())
}

fn head_start(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(_a, mut module), (b, other)] = slots.both()?;
    for (role, pause) in [("master", 50), ("standby", 0), ("master", 50)] {
        module.pull(&format!("say state {role} 0.4.0"))?;
        module.settle()?;
        let start = Instant::now();
        module.pull("exit 75")?;
        let ended = module.pid();
        module = slots.stages[0].next()?;
        module.expect("boot peer-present")?;
        ensure!(
            start.elapsed() >= Duration::from_millis(pause),
            "a {role} was started again after {:?}",
            start.elapsed()
        );
        slots.await_log(0, &format!("{ended} 75; starts again in {pause} ms"))?;
    }
    // There is nobody who could take over.
    drop((b, other));
    module.expect("boot peer-removed")?;
    module.pull("say state master 0.4.0")?;
    module.settle()?;
    module.pull("exit 75")?;
    let told = format!("{} 75 (nobody to tell); starts again in 0 ms", module.pid());
    slots.await_log(0, &told)
}

fn no_program(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let missing = ctx.files().join("image");
    let _boot = slots.boot(0, &[], Some(&missing))?;
    slots.await_log(0, "tries again in 200 ms")?;
    ensure!(!slots.status(0).contains("daemon"), "{}", slots.status(0));
    // Appears as a whole.
    let image = slots.stages[0].program(ctx.files(), "image.new")?;
    fs::rename(image, &missing)?;
    slots.stages[0].next()?.settle()
}

fn removed(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(mut boot, mut module), (_b, other)] = slots.both()?;
    for _ in 0..3 {
        boot.signal(Signal::SIGKILL)?;
        other.expect("boot peer-removed")?;
        module.until_death()?;
        gone(module.pid())?;
        boot.wait(DEADLINE)?;
        boot = slots.boot(0, &[], None)?;
        module = slots.stages[0].next()?;
        other.expect("boot peer-present")?;
        module.expect("boot peer-present")?;
    }
    Ok(())
}

fn reset_peer(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(_a, module), (b, other)] = slots.both()?;
    for _ in 0..3 {
        other.pull("say reset-peer")?;
        let told = other.expect("boot peer-ended")?;
        ensure!(told.contains("ended reset"), "{told:?}");
        slots.stages[0].next()?.expect("boot peer-present")?;
    }
    gone(module.pid())?;
    // Asked for, so no failure.
    let log = fs::read_to_string(slots.log(0))?;
    ensure!(!log.contains("starts again in 1"), "{log}");
    // Nobody there: nothing happens.
    drop((b, other));
    let alone = slots.boot(1, &[], None)?;
    let module = slots.stages[1].next()?;
    module.expect("boot peer-present")?;
    drop((_a, alone));
    let _alone = slots.boot(1, &[], None)?;
    let module = slots.stages[1].next()?;
    module.pull("say reset-peer")?;
    slots.await_log(1, "but nobody is there")?;
    module.settle()
}

fn stopped(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let [(a, module), (b, other)] = slots.both()?;
        a.signal(signal)?;
        // Once more is not worse.
        a.signal(signal)?;
        module.expect("term")?;
        let told = other.expect("boot peer-ended")?;
        let expected = format!("boot peer-ended exit {} 0", module.pid());
        ensure!(told == expected, "{told:?} instead of {expected:?}");
        other.expect("boot peer-removed")?;
        let status = a.wait(DEADLINE)?;
        ensure!(status.success(), "{signal}: {status}");
        gone(module.pid())?;
        b.signal(signal)?;
        other.expect("term")?;
        let status = b.wait(DEADLINE)?;
        ensure!(status.success(), "{signal}: {status}");
        let left: Vec<_> = fs::read_dir(&slots.directory)?.flatten().collect();
        ensure!(left.is_empty(), "left: {left:?}");
    }
    Ok(())
}

fn stubborn(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let boot = slots.boot(0, &[], None)?;
    let module = slots.stages[0].next()?;
    module.pull("stubborn")?;
    // Its watchdog does not shorten the time that it has.
    module.pull("say watchdog 50")?;
    module.pull("kick 5")?;
    module.settle()?;
    let start = Instant::now();
    boot.signal(Signal::SIGTERM)?;
    module.expect("term")?;
    module.signal(Signal::SIGSTOP)?;
    let status = boot.wait(DEADLINE)?;
    ensure!(status.success(), "{status}");
    ensure!(
        start.elapsed() >= Duration::from_millis(4900),
        "killed after {:?}",
        start.elapsed()
    );
    gone(module.pid())
}

fn one_per_slot(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(_a, module), (_b, other)] = slots.both()?;
    let mut second = slots.command(0)?;
    ends(
        ctx,
        second.args(["--", "true"]),
        1,
        &["another hitless-boot of this slot runs; stop it first"],
    )?;
    for (words, says) in [
        (
            &["--slot", "msm-c", "--", "true"][..],
            "is no slot: msm-a or msm-b",
        ),
        (&["--slot", "msm-a"], "no command"),
    ] {
        let mut wrong = Command::new(binary("hitless-boot")?);
        ends(ctx, wrong.args(words), 2, &[says])?;
    }
    // Nobody noticed.
    module.settle()?;
    other.settle()
}

fn nonsense(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(a, module), (_b, other)] = slots.both()?;
    for line in [
        "kick too much",
        "watchdog 49",
        "watchdog 4294967296",
        "state",
        "state master 0.1 x",
        "reset-peers",
        "peer-removed",
    ] {
        module.pull(&format!("say {line}"))?;
    }
    module.pull(&format!("say {}", "x".repeat(1500)))?;
    let mut seed: u32 = 1;
    for length in 1..200 {
        let bytes: Vec<String> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24).to_string()
            })
            .collect();
        module.pull(&format!("say-bytes {}", bytes.join(" ")))?;
    }
    module.settle()?;
    let socket = slots.directory.join("backplane-msm-a.sock");
    ensure!(
        UnixDatagram::unbound()?.connect(&socket).is_err(),
        "another kind of socket connects"
    );
    module.pull("say state standby 9.9")?;
    slots.await_status(0, "role standby")?;
    slots.await_status(0, "version 9.9")?;
    slots.await_status(0, &format!("boot {}", a.pid()))?;
    slots.await_status(0, &format!("daemon {}", module.pid()))?;
    // Who hangs up on his boot is not killed for it, and starts anew as everybody.
    other.settle()?;
    module.pull("exit 1")?;
    other.expect("boot peer-ended exit")?;
    slots.stages[0]
        .next()?
        .expect("boot peer-present")
        .map(drop)
}

/// How often a process has gone to sleep by itself.
fn sleeps(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
    Ok(line.context("voluntary_ctxt_switches")?.trim().parse()?)
}

fn idle(ctx: &Ctx) -> Result<()> {
    let slots = Slots::new(ctx)?;
    let [(a, module), (b, other)] = slots.both()?;
    module.settle()?;
    other.settle()?;
    slots.await_log(0, "msm-b is present")?;
    slots.await_log(1, "msm-a is present")?;
    let pids = [a.pid(), b.pid()];
    // What they were woken for last may still be under way.
    let quiet = wait_for("a second without waking up", DEADLINE, || {
        let before = pids.map(|pid| sleeps(pid).ok());
        std::thread::sleep(Duration::from_secs(1));
        Ok((before == pids.map(|pid| sleeps(pid).ok())).then_some(()))
    });
    quiet.map(drop)
}
