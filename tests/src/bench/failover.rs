//! `bench failover`: how long a switch has no master, by cause and by how much the master knew; what bringing a
//! standby to readiness takes, and what both modules weigh.
//!
//! A new master is in charge when it has given the data path its first lease: then the hardware is its own and in
//! line with its state. META tells that instant, in the clock that the causes are noted in, so that nothing has to
//! be asked, and nothing is disturbed. (The first frame that a master sends will be the better mark; no protocol
//! sends any yet.)

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hitless::hw::monotonic_nanoseconds;
use hitless::northbound::api::Request;
use hitless_common::Mac;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::path::{self, Hitless, Path, Side};
use super::rounds::{Limit, Subject, Table};
use crate::harness::run::Run;
use crate::harness::switch::{DEADLINE, Switch};

pub(super) mod watch;

use watch::{Taken, Watch};

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Failovers of each cause.
    pub rounds: usize,
    /// The same with a million addresses.
    pub rounds_of_a_million: usize,
}

impl Effort {
    /// For figures that are quoted.
    pub const FULL: Self = Self {
        rounds: 9,
        rounds_of_a_million: 5,
    };
    /// To see whether something is badly off.
    pub const QUICK: Self = Self {
        rounds: 3,
        rounds_of_a_million: 1,
    };
}

/// What is measured: numbers of addresses, by the name that selects them.
pub const SIZES: &[(&str, u32)] = &[
    ("0", 0),
    ("10k", 10_000),
    ("100k", 100_000),
    ("1M", MILLION),
];

/// What the figures are, for those who read them.
pub const MEANING: &str = "A new master is in charge when it gives the data path its first lease, which META shows; \
    no protocol sends frames yet\nwhose first one could be waited for. Hang: SIGSTOP, ended by the watchdog of 250 ms.";

/// The size for which there are promises.
const MILLION: u32 = 1_000_000;

/// First address of the stations that are learned.
const STATIONS: Mac = Mac([0x02, 0, 0x30, 0, 0, 0]);

/// The addresses that the configuration has.
const CONFIGURED: u64 = 2;

/// How a master is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The request of `hitless run msm-failover`.
    Operator,
    /// SIGKILL.
    Killed,
    /// SIGSTOP: a master that does nothing any more. Its watchdog ends it.
    Hang,
}

impl Cause {
    const ALL: [Self; 3] = [Self::Operator, Self::Killed, Self::Hang];

    /// The name of the time without a master, and that of what the new one reports of it.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Operator => ["operator command", "operator command, as reported"],
            Self::Killed => ["SIGKILL", "SIGKILL, as reported"],
            Self::Hang => ["hang, after its detection", "hang, as reported"],
        }
    }
}

/// One failover, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// From the cause to the new master in charge.
    total: f64,
    /// Of that, until somebody ended the master that hung.
    detection: f64,
    /// From the standby's notice to the new master in charge, by its own account.
    reported: f64,
}

/// A bulk transfer.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    ms: f64,
    records: f64,
    bytes: f64,
}

/// What a process weighs, in megabytes.
#[derive(Clone, Copy, Debug)]
struct Weight {
    own: f64,
    resident: f64,
}

impl Weight {
    fn of(pid: u64) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let megabytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kilobytes = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<f64>().ok());
            kilobytes
                .map(|kilobytes| kilobytes * 1024.0 / 1e6)
                .with_context(|| format!("no {field} in {path}"))
        };
        Ok(Self {
            own: megabytes("RssAnon:")?,
            resident: megabytes("VmRSS:")?,
        })
    }
}

/// Measures a switch that has learned so many addresses.
///
/// # Errors
/// When something can not be set up, a failover is not hitless, or an address is lost.
pub fn failover(run: &Run, files: &FilePath, effort: Effort, addresses: u32) -> Result<Vec<Table>> {
    let rounds = match addresses {
        MILLION => effort.rounds_of_a_million,
        _ => effort.rounds,
    };
    // Room for the configured ones as well; the data path's smallest default below that.
    let path = path::redundant(run, files, (addresses + 8).max(65_536))?;
    if addresses > 0 {
        path.learn(Side::Newcomers, STATIONS, addresses)?;
    }
    let bench = Bench {
        switch: &path.forwarder.switch,
        known: u64::from(addresses) + CONFIGURED,
        watch: Watch::open(&path.forwarder.switch)?,
    };
    let mut samples = Cause::ALL.map(|_| Vec::with_capacity(rounds));
    let mut transfers = Vec::new();
    for _ in 0..rounds {
        for (cause, samples) in Cause::ALL.into_iter().zip(&mut samples) {
            let (sample, transfer) = bench
                .lose_master(cause)
                .with_context(|| format!("{cause:?} with {addresses} addresses"))?;
            samples.push(sample);
            transfers.push(transfer);
        }
    }
    let check = bench.switch.json(&["check", "msm-failover"])?;
    ensure!(
        check["equal"] == true,
        "master, standby and hardware differ afterwards: {check}"
    );
    let mut tables = vec![
        times(addresses, rounds, &samples)?,
        bulk(addresses, &transfers)?,
        bench.memory(addresses)?,
    ];
    if addresses == MILLION {
        tables.push(incremental(&path, &bench, rounds)?);
    }
    Ok(tables)
}

/// How long there was no master.
fn times(addresses: u32, rounds: usize, samples: &[Vec<Sample>; 3]) -> Result<Table> {
    let promised = addresses == MILLION;
    let mut subjects = Vec::new();
    for (cause, samples) in Cause::ALL.into_iter().zip(samples) {
        let of = |f: fn(&Sample) -> f64| samples.iter().map(f).collect::<Vec<f64>>();
        let [name, reported] = cause.names();
        let gap = match cause {
            Cause::Hang => {
                subjects.push(Subject::recorded("hang, in all", of(|s| s.total)));
                subjects.push(Subject::recorded(
                    "hang, until detected",
                    of(|s| s.detection),
                ));
                of(|s| s.total - s.detection)
            }
            Cause::Operator | Cause::Killed => of(|s| s.total),
        };
        let mut subject = Subject::recorded(name, gap);
        if promised {
            subject = subject.limited(Limit::AtMost(5.0));
            if cause != Cause::Hang {
                subject = subject.worst(20.0);
            }
        }
        subjects.push(subject);
        subjects.push(Subject::recorded(reported, of(|s| s.reported)));
    }
    Table::measure(
        &format!("{addresses} addresses: cause to new master in charge"),
        "ms",
        rounds,
        &mut subjects,
    )
}

/// What bringing a new standby to readiness took.
fn bulk(addresses: u32, transfers: &[Transfer]) -> Result<Table> {
    let of = |f: fn(&Transfer) -> f64| transfers.iter().map(f).collect::<Vec<f64>>();
    let mut time = Subject::recorded("transfer, ms", of(|t| t.ms));
    if addresses == MILLION {
        time = time.limited(Limit::AtMost(500.0));
    }
    Table::measure(
        &format!("{addresses} addresses: everything to a new standby"),
        "see names",
        transfers.len(),
        &mut [
            time,
            Subject::recorded("bytes a record", of(|t| t.bytes / t.records.max(1.0))),
            Subject::recorded("records", of(|t| t.records)),
        ],
    )
}

/// New addresses with a standby that is ready and acknowledges each bracket; all have to be known, and acknowledged.
fn incremental(path: &Path<Hitless>, bench: &Bench<'_>, rounds: usize) -> Result<Table> {
    let mut rates = Vec::with_capacity(rounds);
    let mut transfers = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        bench.switch.cli(&["clear", "fdb"])?;
        bench.await_ready()?;
        let before = bench.switch.log()?.len();
        let start = Instant::now();
        path.learn(Side::Newcomers, STATIONS, MILLION)?;
        let shown = bench.switch.await_shown("msm-failover", |shown| {
            path::has_ready_standby(shown) && shown["checkpoint"]["records"] == 0
        })?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(
            records(&shown, "standby", "fdb") == Some(bench.known),
            "the standby does not have all addresses: {shown}"
        );
        let log = bench.switch.log()?;
        let fell_back = log.get(before..).unwrap_or_default();
        transfers.push(fell_back.matches("does not keep up").count() as f64);
        rates.push(f64::from(MILLION) / seconds / 1e6);
    }
    Table::measure(
        "changes to a ready standby, at the pace at which the switch learns",
        "million records a second; new transfers",
        rounds,
        &mut [
            Subject::recorded("learned, told and acknowledged", rates),
            Subject::recorded("standby fell back to a transfer", transfers)
                .limited(Limit::AtMost(0.0)),
        ],
    )
}

/// Records of a subsystem in the module of a role.
fn records(shown: &Value, role: &str, subsystem: &str) -> Option<u64> {
    let module = shown["modules"]
        .as_array()?
        .iter()
        .find(|m| m["role"] == role)?;
    let mut subsystems = module["subsystems"].as_array()?.iter();
    subsystems.find(|s| s["name"] == subsystem)?["records"].as_u64()
}

/// The process of the module in a role.
fn pid(shown: &Value, role: &str) -> Result<u64> {
    let mut modules = shown["modules"].as_array().into_iter().flatten();
    let module = modules.find(|m| m["role"] == role);
    module
        .and_then(|m| m["pid"].as_u64())
        .with_context(|| format!("no {role} in {shown}"))
}

/// A switch under measurement.
struct Bench<'s> {
    switch: &'s Switch,
    /// The addresses that it must always know.
    known: u64,
    watch: Watch,
}

impl Bench<'_> {
    /// Waits until the standby could take over.
    fn await_ready(&self) -> Result<Value> {
        self.switch
            .await_shown("msm-failover", path::has_ready_standby)
    }

    /// Makes the switch lose its master, and waits until it has two modules again.
    fn lose_master(&self, cause: Cause) -> Result<(Sample, Transfer)> {
        let before = self.await_ready()?;
        let master = i32::try_from(pid(&before, "master")?)?;
        let lease_ms = before["settings"]["lease_ms"]
            .as_u64()
            .context("no settings.lease_ms")?;
        let mut request = self.request()?;
        let generation = self.watch.generation();
        let line = serde_json::to_vec(&Request::RunMsmFailover { force: false })?;
        // From here on nothing of ours runs that the takeover would have to share a CPU with, but a look every now
        // and then.
        let start = monotonic_nanoseconds();
        match cause {
            Cause::Operator => {
                request.write_all(&line)?;
                request.write_all(b"\n")?;
            }
            Cause::Killed => kill(Pid::from_raw(master), Signal::SIGKILL)?,
            Cause::Hang => kill(Pid::from_raw(master), Signal::SIGSTOP)?,
        }
        let stopped = (cause == Cause::Hang).then_some(master);
        let Taken { at, detected } = self
            .watch
            .taken(generation, start, lease_ms, stopped, DEADLINE)?;
        if cause == Cause::Operator {
            let mut answer = String::new();
            BufReader::new(request).read_line(&mut answer)?;
            ensure!(answer.contains("\"ok\""), "it answered {answer:?}");
        }
        let after = self.await_ready()?;
        let failover = &after["last_failover"];
        ensure!(
            failover["hitless"] == true,
            "it was not hitless: {failover}"
        );
        ensure!(
            after["generation"] == generation + 1,
            "more than one failover: {} after {generation}",
            after["generation"]
        );
        let known = records(&after, "master", "fdb");
        ensure!(
            known == Some(self.known),
            "{known:?} addresses are known of {}",
            self.known
        );
        let ms = |nanoseconds: u64| nanoseconds.saturating_sub(start) as f64 / 1e6;
        let reported = failover["duration_us"].as_f64().context("duration_us")? / 1e3;
        let transfer = &after["last_transfer"];
        let number = |field: &str| {
            transfer[field]
                .as_f64()
                .with_context(|| format!("no {field} in {transfer}"))
        };
        Ok((
            Sample {
                total: ms(at),
                detection: detected.map_or(0.0, ms),
                reported,
            },
            Transfer {
                ms: number("duration_ms")?,
                records: number("records")?,
                bytes: number("bytes")?,
            },
        ))
    }

    /// A connection on which the operator's command can be given without delay.
    fn request(&self) -> Result<UnixStream> {
        let path = self.switch.state().join("control.sock");
        let stream =
            UnixStream::connect(&path).with_context(|| format!("connect to {}", path.display()))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    fn memory(&self, addresses: u32) -> Result<Table> {
        let shown = self.await_ready()?;
        let [master, standby] = [
            Weight::of(pid(&shown, "master")?)?,
            Weight::of(pid(&shown, "standby")?)?,
        ];
        let mut resident = Subject::recorded("standby, all resident", vec![standby.resident]);
        if addresses == MILLION {
            resident = resident.limited(Limit::AtMost(200.0));
        }
        Table::measure(
            &format!("{addresses} addresses: memory, a module"),
            "MB",
            1,
            &mut [
                Subject::recorded("master, its own", vec![master.own]),
                Subject::recorded("master, all resident", vec![master.resident]),
                Subject::recorded("standby, its own", vec![standby.own]),
                resident,
            ],
        )
    }
}

/// Fails unless the time is over; for loops that look.
fn patience(since: Instant, limit: Duration, what: &str) -> Result<()> {
    if since.elapsed() > limit {
        bail!("waited {limit:?} for {what} in vain");
    }
    Ok(())
}
