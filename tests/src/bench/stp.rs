//! `bench stp`: what 64 spanning tree domains on 128 ports cost: the CPU of a switch in which nothing happens, and the
//! time until it speaks again when it has lost its master.
//!
//! Every port is in every domain, each domain has a VLAN of its own and EMISTP, and every port is a designated port
//! that speaks every two seconds: 4,096 BPDUs a second. At the far ends nobody answers.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path as FilePath;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hitless::hw::monotonic_nanoseconds;
use hitless::northbound::api::{Request, StpdInfo};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::Value;

use super::failover::watch::{Taken, Watch};
use super::path::has_ready_standby;
use super::rounds::{Limit, Subject, Table};
use crate::harness::bpdus::Recorder;
use crate::harness::chassis::Chassis;
use crate::harness::netns::Netns;
use crate::harness::process::output;
use crate::harness::run::Run;
use crate::harness::switch::{DEADLINE, Switch};
use crate::harness::wait::wait_for;

/// Domains of the switch, s0 not among them.
const DOMAINS: u16 = 63;

/// Its ports.
const PORTS: u16 = 128;

/// VLAN of the first domain.
const FIRST_VLAN: u16 = 100;

/// How long 8,192 ports may take to open on a busy machine.
const SETTLES: Duration = Duration::from_secs(120);

/// Within this time a new master speaks in all of its domains.
const AT_ONCE: Duration = Duration::from_millis(200);

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Failovers of each cause, and looks at the CPU.
    pub rounds: usize,
    /// Seconds of a look at the CPU.
    pub seconds: u64,
}

impl Effort {
    /// For figures that are quoted.
    pub const FULL: Self = Self {
        rounds: 9,
        seconds: 10,
    };
    /// To see whether something is badly off.
    pub const QUICK: Self = Self {
        rounds: 2,
        seconds: 4,
    };
}

/// What the figures are, for those who read them.
pub const MEANING: &str = "64 domains x 128 ports, all designated and forwarding. A new master is in charge when it gives the \
    data path its first lease,\nand is heard when it has spoken in all domains at the other ends of the first and the last link.";

/// The switch.
struct Bench {
    // In this order its parts end.
    _chassis: Chassis,
    switch: Switch,
    watch: Watch,
    /// Hear what its first and its last port send.
    ears: [Recorder; 2],
    _far: Netns,
    _near: Netns,
}

/// Measures everything.
///
/// # Errors
/// When something can not be set up, or a failover is not hitless.
pub fn stp(run: &Run, files: &FilePath, effort: Effort) -> Result<Vec<Table>> {
    let bench = Bench::up(run, files)?;
    let mut tables = vec![bench.idle(effort)?];
    let mut samples = Vec::new();
    for _ in 0..effort.rounds {
        for cause in [Cause::Operator, Cause::Killed] {
            let sample = bench.lose_master(cause)?;
            samples.push((cause, sample));
        }
    }
    let checked = bench.switch.json(&["check", "msm-failover"])?;
    ensure!(
        checked["equal"] == true,
        "master, standby and hardware differ afterwards: {checked}"
    );
    let of = |cause: Cause, value: fn(&Sample) -> f64| -> Vec<f64> {
        let mine = samples.iter().filter(|(c, _)| *c == cause);
        mine.map(|(_, sample)| value(sample)).collect()
    };
    let subject = |name, cause, value: fn(&Sample) -> f64| {
        Subject::recorded(name, of(cause, value)).limited(Limit::AtMost(20.0))
    };
    tables.push(Table::measure(
        "64 domains x 128 ports: loss of the master",
        "ms",
        effort.rounds,
        &mut [
            subject("operator command: in charge", Cause::Operator, |s| s.charge),
            subject("operator command: BPDUs heard", Cause::Operator, |s| {
                s.spoken
            }),
            subject("SIGKILL: in charge", Cause::Killed, |s| s.charge),
            subject("SIGKILL: BPDUs heard", Cause::Killed, |s| s.spoken),
        ],
    )?);
    Ok(tables)
}

/// How a master is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Operator,
    Killed,
}

/// One failover, in milliseconds after its cause.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Until the new master was in charge.
    charge: f64,
    /// Until its BPDUs were heard.
    spoken: f64,
}

/// The configuration: s0 has VLAN 10 on all ports, the other domains a VLAN each.
fn config() -> String {
    let last = FIRST_VLAN + DOMAINS - 1;
    let mut domains = vec!["{name: s0, enabled: true, vlans: [10]}".to_owned()];
    let mut vlans = vec!["{id: 10}".to_owned()];
    for vlan in FIRST_VLAN..=last {
        vlans.push(format!("{{id: {vlan}}}"));
        domains.push(format!(
            "{{name: d{vlan}, enabled: true, tag: {vlan}, vlans: [{vlan}]}}"
        ));
    }
    let port = |port| {
        format!(
            "  - {{port: {port}, device: p{port}, untagged: 10, tagged: [\"{FIRST_VLAN}-{last}\"]}}\n"
        )
    };
    let ports: String = (1..=PORTS).map(port).collect();
    format!(
        "fdb: {{size: 65536}}\nmsm_failover: {{lease_ms: 10000, watchdog_ms: 2000, keepalive_misses: 35}}\n\
         vlans: [{}]\nstpds: [{}]\nports:\n{ports}",
        vlans.join(", "),
        domains.join(", ")
    )
}

impl Bench {
    fn up(run: &Run, files: &FilePath) -> Result<Self> {
        let [near, far] = ["s", "f"].map(|label| Netns::new(run, label));
        let (near, far) = (near?, far?);
        wire(&near, &far)?;
        let switch = Switch::prepare(run, files, &near, "sw", &config())?;
        let chassis = Chassis::spawn(run, &switch, &mut Chassis::command(&switch)?)?;
        switch.await_shown("msm-failover", has_ready_standby)?;
        let (mut wanted, mut last) = (None, None);
        let settled = wait_for("all ports to open", SETTLES, || {
            let shown = switch.json(&["show", "stpd"])?;
            let domains: Vec<StpdInfo> = serde_json::from_value(shown)?;
            let counts = domains.iter().map(|domain| domain.port_counts);
            let open: u32 = counts.clone().map(|c| c.designated.min(c.forwarding)).sum();
            let all = usize::from(DOMAINS + 1) * usize::from(PORTS);
            wanted = Some(all);
            last = Some(open);
            Ok((open as usize == all).then_some(()))
        });
        settled.with_context(|| format!("{last:?} of {wanted:?} are open"))?;
        Ok(Self {
            watch: Watch::open(&switch)?,
            ears: [
                Recorder::start(&far, "q1")?,
                Recorder::start(&far, &format!("q{PORTS}"))?,
            ],
            _chassis: chassis,
            switch,
            _far: far,
            _near: near,
        })
    }

    /// The CPU of both modules while nothing happens.
    fn idle(&self, effort: Effort) -> Result<Table> {
        let shown = self.await_ready()?;
        let [master, standby] = ["master", "standby"].map(|role| pid(&shown, role));
        let (master, standby) = (master?, standby?);
        let mut shares = [Vec::new(), Vec::new()];
        let mut rates = Vec::new();
        for _ in 0..effort.rounds {
            let before = [cpu(master)?, cpu(standby)?];
            let heard = self.ears[0].mark();
            let start = Instant::now();
            std::thread::sleep(Duration::from_secs(effort.seconds));
            let elapsed = start.elapsed().as_secs_f64();
            let after = [cpu(master)?, cpu(standby)?];
            for (shares, (after, before)) in shares.iter_mut().zip(after.iter().zip(before)) {
                shares.push((after - before) / elapsed * 100.0);
            }
            let heard = (self.ears[0].mark() - heard) as f64;
            rates.push(heard * f64::from(PORTS) / elapsed);
        }
        let [of_master, of_standby] = shares;
        Table::measure(
            "64 domains x 128 ports: nothing happens",
            "percent of a CPU; BPDUs a second",
            effort.rounds,
            &mut [
                Subject::recorded("CPU of the master", of_master).limited(Limit::AtMost(5.0)),
                Subject::recorded("CPU of the standby", of_standby),
                Subject::recorded("BPDUs a second, by one port", rates)
                    .limited(Limit::AtLeast(3_000.0)),
            ],
        )
    }

    fn await_ready(&self) -> Result<Value> {
        self.switch.await_shown("msm-failover", has_ready_standby)
    }

    fn lose_master(&self, cause: Cause) -> Result<Sample> {
        let before = self.await_ready()?;
        let master = i32::try_from(pid(&before, "master")?)?;
        let lease_ms = before["settings"]["lease_ms"]
            .as_u64()
            .context("no settings.lease_ms")?;
        let generation = self.watch.generation();
        let mut line = serde_json::to_vec(&Request::RunMsmFailover { force: false })?;
        line.push(b'\n');
        let path = self.switch.state().join("control.sock");
        let mut request =
            UnixStream::connect(&path).with_context(|| format!("connect to {}", path.display()))?;
        let marks = [self.ears[0].mark(), self.ears[1].mark()];
        let (start, at) = (monotonic_nanoseconds(), Instant::now());
        match cause {
            Cause::Operator => request.write_all(&line)?,
            Cause::Killed => kill(Pid::from_raw(master), Signal::SIGKILL)?,
        }
        let Taken { at: charge, .. } = self
            .watch
            .taken(generation, start, lease_ms, None, DEADLINE)?;
        let charge = charge.saturating_sub(start);
        let burst = wait_for("the new master's BPDUs", DEADLINE, || {
            let bursts = self
                .ears
                .iter()
                .zip(marks)
                .map(|(ear, mark)| burst(ear, mark));
            Ok(bursts
                .collect::<Option<Vec<_>>>()
                .and_then(|bursts| bursts.into_iter().max()))
        })?;
        let after = self.await_ready()?;
        ensure!(
            after["last_failover"]["hitless"] == true,
            "it was not hitless: {after}"
        );
        Ok(Sample {
            charge: charge as f64 / 1e6,
            spoken: (burst - at).as_secs_f64() * 1e3,
        })
    }
}

/// When a new master had spoken in every domain on the port that is heard. It speaks in all of them at once, an old one in one
/// after the other, over two seconds.
fn burst(ear: &Recorder, mark: usize) -> Option<Instant> {
    let all = usize::from(DOMAINS + 1);
    let heard = ear.since(mark);
    // The old master may have spoken in some, just before.
    let mut windows = heard.windows(all * 3 / 4);
    let first = windows.find(|some| match some {
        [first, .., last] => last.at - first.at < AT_ONCE,
        _ => false,
    })?;
    first.last().map(|last| last.at)
}

/// A pair of devices for each port, by one command: `p1` to `q1` and so on, all up.
fn wire(near: &Netns, far: &Netns) -> Result<()> {
    let mut script = String::new();
    for port in 1..=PORTS {
        script += &format!(
            "link add p{port} type veth peer name q{port} netns {}\n",
            far.name()
        );
    }
    batch(near, &script)?;
    for (netns, letter) in [(near, 'p'), (far, 'q')] {
        let up: String = (1..=PORTS)
            .map(|port| format!("link set {letter}{port} up\n"))
            .collect();
        batch(netns, &up)?;
    }
    (1..=PORTS).try_for_each(|port| near.wait_until_up(&format!("p{port}")))
}

fn batch(netns: &Netns, script: &str) -> Result<()> {
    let quoted = script.replace('\'', "");
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!(
        "printf '%s' '{quoted}' | ip -n {} -batch -",
        netns.name()
    ));
    output(&mut command).map(drop)
}

/// The process of the module in a role.
fn pid(shown: &Value, role: &str) -> Result<u64> {
    let mut modules = shown["modules"].as_array().into_iter().flatten();
    let module = modules.find(|m| m["role"] == role);
    module
        .and_then(|m| m["pid"].as_u64())
        .with_context(|| format!("no {role} in {shown}"))
}

/// CPU seconds that a process has used.
fn cpu(pid: u64) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let (_, fields) = stat.rsplit_once(')').context("a process' name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // Fields 14 and 15, utime and stime; the first here is field 3.
    let ticks = [11, 12].map(|at| fields.get(at).and_then(|f| f.parse::<f64>().ok()));
    let [Some(user), Some(system)] = ticks else {
        anyhow::bail!("no times in {path}: {stat}");
    };
    let second = sysconf(SysconfVar::CLK_TCK)?.context("clock ticks a second")?;
    Ok((user + system) / second as f64)
}
