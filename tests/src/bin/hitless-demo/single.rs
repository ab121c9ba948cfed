//! The promise in half a minute: the master is taken away under traffic in three ways, then both modules, and no frame
//! notices.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hitless_common::Mac;
use hitless_tests::harness::flow::{Flow, Spec};
use hitless_tests::harness::images::Edition;
use hitless_tests::harness::netns::Netns;
use hitless_tests::harness::report::{PhaseReport, Report};
use hitless_tests::harness::run::Run;
use hitless_tests::harness::switch::DEADLINE;
use hitless_tests::harness::wait::wait_for;
use hitless_topo::{NodeHandle, UpOptions};
use serde_json::Value;

use super::Options;
use super::upgrade::Image;

const TOPOLOGY: &str = "topologies/single/single.clab.yml";
const SWITCH: &str = "sw1";

/// How the switch loses its master, and the name of the phase in which it does.
const LOSSES: [(Loss, &str); 4] = [
    (Loss::Operator, "hitless run msm-failover"),
    (Loss::Signal("KILL"), "kill -KILL of the master"),
    (Loss::Signal("STOP"), "kill -STOP of the master"),
    (Loss::Both, "kill -KILL of both"),
];

/// A way to lose a master.
#[derive(Clone, Copy)]
enum Loss {
    /// By command.
    Operator,
    /// By a signal to its process.
    Signal(&'static str),
    /// With the standby, so that nobody is left.
    Both,
}

/// Runs the demo; whether nothing was lost.
///
/// # Errors
/// When the lab does not come up, or something in it fails.
pub fn show(run: &Run, options: &Options) -> Result<bool> {
    println!(
        "Lab single: one switch, {SWITCH}, with two management modules, and three hosts ({TOPOLOGY})"
    );
    let up = UpOptions {
        ready_timeout: DEADLINE,
        progress: &|line| println!("  {line}"),
        ..UpOptions::default()
    };
    let lab = hitless_topo::up(Path::new(TOPOLOGY), &up)?;
    let name = lab.name.clone();
    let _down = run.undo(move || {
        if let Err(error) = hitless_topo::down(&name) {
            eprintln!("taking the lab down: {error}");
        }
    });
    let node = Node::open(&lab.name)?;
    let hosts = [Host::open(&lab.name, "h1")?, Host::open(&lab.name, "h2")?];
    println!(
        "h1 and h2 send each other {} numbered frames a second from here on.",
        options.rate
    );

    let phase = Duration::from_secs(options.seconds);
    let mut flows = Vec::new();
    for (cpu, [from, to]) in [[0, 1], [1, 0]].into_iter().enumerate() {
        let (from, to) = (&hosts[from], &hosts[to]);
        let title = format!("{} to {}", from.name, to.name);
        let spec = Spec {
            cpu,
            rate: Some(options.rate),
            urgent: true,
            ..Spec::new(
                &title,
                (&from.netns, Host::DEVICE),
                (&to.netns, Host::DEVICE),
                from.mac,
                to.mac,
            )
        };
        flows.push(Flow::start(&spec, "no failover")?);
    }
    let mut master = node.master_beside(None)?;
    println!(
        "{} is master, the other module is its standby.",
        master.slot
    );
    std::thread::sleep(phase);

    let mut gaps = vec![None];
    for (loss, name) in LOSSES {
        flows.iter_mut().try_for_each(|flow| flow.phase(name))?;
        println!("{name} ({}, process {})", master.slot, master.pid);
        let began = node.lose(loss, &master)?;
        master = node.master_beside(Some(&master))?;
        match loss {
            Loss::Both => println!(
                "  {} found the hardware forwarding, and has a standby again.",
                master.slot
            ),
            Loss::Operator | Loss::Signal(_) => println!("  {}", master.story),
        }
        gaps.push(Some(node.master_since(began)?));
        std::thread::sleep(phase);
    }

    for (title, edition) in [
        ("hitless upgrade", Edition::Newer),
        ("and back", Edition::Current),
    ] {
        let image = Image::of(run, edition)?;
        flows.iter_mut().try_for_each(|flow| flow.phase(title))?;
        let file = image.file.display().to_string();
        println!("hitless upgrade {file} (to {})", image.version);
        let said = node.output(&["hitless", "--yes", "upgrade", &file, "--accept-within", "0"])?;
        said.lines().for_each(|line| println!("  {line}"));
        gaps.push(Some(node.without_master()?));
        std::thread::sleep(phase);
    }

    let reports: Vec<Report> = flows.into_iter().map(Flow::stop).collect::<Result<_>>()?;
    let hitless = reports.iter().all(Report::is_hitless);
    println!("\n{}", Table::of(&reports, &gaps));
    println!(
        "{SWITCH}: hitless show msm-failover\n{}",
        node.output(&["hitless", "show", "msm-failover"])?
    );
    println!(
        "{}",
        if hitless {
            "Nothing was lost, doubled or re-ordered."
        } else {
            "NOT hitless: see the table."
        }
    );
    Ok(hitless)
}

/// What became of the frames of all flows, phase by phase, and how long there was no master.
struct Table {
    /// With the milliseconds until the next master answered.
    rows: Vec<(PhaseReport, Option<u64>)>,
}

impl Table {
    fn of(flows: &[Report], gaps: &[Option<u64>]) -> Self {
        let row = |(n, gap): (usize, &Option<u64>)| {
            let phases: Vec<_> = flows.iter().filter_map(|f| f.phases.get(n)).collect();
            let together = Report {
                flow: String::new(),
                phases: phases.iter().copied().cloned().collect(),
            };
            let name = phases.first().map(|phase| phase.name.clone());
            let total = PhaseReport {
                name: name.unwrap_or_default(),
                ..together.total()
            };
            (total, *gap)
        };
        Self {
            rows: gaps.iter().enumerate().map(row).collect(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:24} {:>8} {:>6} {:>8} {:>10} {:>12}  next master after",
            "both ways", "sent", "lost", "doubled", "re-ordered", "longest gap"
        )?;
        for (row, gap) in &self.rows {
            let longest = format!("{:.1} ms", row.longest_gap_us as f64 / 1e3);
            write!(
                f,
                "{:24} {:>8} {:>6} {:>8} {:>10} {longest:>12}",
                row.name, row.sent, row.lost, row.duplicated, row.reordered
            )?;
            match gap {
                Some(ms) => writeln!(f, "  {:>17}", format!("{ms} ms"))?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// A host of the lab.
struct Host {
    name: &'static str,
    netns: Netns,
    mac: Mac,
}

impl Host {
    const DEVICE: &str = "eth1";

    fn open(lab: &str, name: &'static str) -> Result<Self> {
        let netns = Netns::open(&format!("clab-{lab}-{name}"))?;
        let link = netns.link(Self::DEVICE)?;
        let mac = link["address"].as_str().context("a link without address")?;
        Ok(Self {
            name,
            mac: mac.parse()?,
            netns,
        })
    }
}

/// The module in charge.
struct Master {
    slot: String,
    pid: u64,
    /// Its standby's process.
    standby: u64,
    /// How it came to be.
    story: String,
}

/// The switch's node.
struct Node {
    handle: NodeHandle,
}

impl Node {
    fn open(lab: &str) -> Result<Self> {
        Ok(Self {
            handle: NodeHandle::open(lab, SWITCH)?,
        })
    }

    fn output(&self, argv: &[&str]) -> Result<String> {
        let output = self.handle.output(argv)?;
        if !output.status.success() {
            bail!(
                "{argv:?} in {SWITCH}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn show(&self, what: &str) -> Result<Value> {
        let text = self.output(&["hitless", "show", what, "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("the switch answered {text:?}"))
    }

    /// Waits until there is a master other than `before`, with a standby that is ready.
    fn master_beside(&self, before: Option<&Master>) -> Result<Master> {
        let mut last = String::new();
        wait_for("a master and a standby that is ready", DEADLINE, || {
            let shown = self.show("msm-failover")?;
            last = shown.to_string();
            let modules = shown["modules"].as_array().context("its modules")?;
            let ready = |role: &str| {
                let is = |m: &&Value| m["role"] == role && m["state"] == "ready";
                modules.iter().find(is)
            };
            let (Some(master), Some(standby)) = (ready("master"), ready("standby")) else {
                return Ok(None);
            };
            let slot = master["slot"].as_str().context("the master's slot")?;
            let pid = |module: &Value| module["pid"].as_u64().context("a module's process");
            let (pid, standby) = (pid(master)?, pid(standby)?);
            // After the loss of both the slots may be as they were.
            if before.is_some_and(|before| before.pid == pid) {
                return Ok(None);
            }
            let last = &shown["last_failover"];
            let ms = last["duration_us"].as_f64().unwrap_or(0.0) / 1000.0;
            Ok(Some(Master {
                slot: slot.to_owned(),
                pid,
                standby,
                story: format!(
                    "{slot} noticed and was in charge {ms:.1} ms later (cause: {}), and has a standby again.",
                    last["cause"].as_str().unwrap_or("none")
                ),
            }))
        })
        .with_context(|| format!("the switch said: {last}"))
    }

    /// Takes the master away; when, in milliseconds since 1970 by the switch's clock.
    fn lose(&self, loss: Loss, master: &Master) -> Result<u64> {
        let command = match loss {
            Loss::Operator => "hitless run msm-failover".to_owned(),
            Loss::Signal(signal) => format!("kill -{signal} {}", master.pid),
            Loss::Both => format!("kill -KILL {} {}", master.pid, master.standby),
        };
        let said = self.output(&["sh", "-c", &format!("date +%s%3N; {command}")])?;
        let first = said.lines().next().and_then(|line| line.parse().ok());
        first.with_context(|| format!("no time in {said:?}"))
    }

    /// Milliseconds without a master at the failover of the last upgrade.
    fn without_master(&self) -> Result<u64> {
        let shown = self.show("upgrade")?;
        let us = shown["upgrade"]["without_master_us"].as_u64();
        us.map(|us| us.div_ceil(1_000))
            .with_context(|| format!("no time without a master in {shown}"))
    }

    /// Milliseconds from then until a master took requests, by the switch's log.
    fn master_since(&self, began: u64) -> Result<u64> {
        let log = self.show("log")?;
        let mut lines = log.as_array().into_iter().flatten();
        lines
            .find_map(|line| {
                let at = line["at_unix_ms"].as_u64()?;
                at.checked_sub(began).filter(|_| line["message"] == "ready")
            })
            .with_context(|| format!("the log tells of no master since {began}: {log}"))
    }
}
