//! `bench upgrade`: how long each step of `hitless upgrade` takes, to a newer version and back, by how much the switch
//! knows.

use std::fs;
use std::path::Path as FilePath;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use serde_json::Value;

use super::path::{self, Side};
use super::rounds::{Limit, Subject, Table};
use crate::harness::images::{Edition, Maker};
use crate::harness::run::Run;
use crate::harness::switch::Switch;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Upgrades there and back.
    pub rounds: usize,
}

impl Effort {
    /// For figures that are quoted.
    pub const FULL: Self = Self { rounds: 5 };
    /// To see whether something is badly off.
    pub const QUICK: Self = Self { rounds: 1 };
}

/// What is measured: numbers of addresses, by the name that selects them.
pub const SIZES: &[(&str, u32)] = &[("0", 0), ("100k", 100_000), ("1M", MILLION)];

/// What the figures are, for those who read them.
pub const MEANING: &str = "Wall time of the steps of a standard upgrade to a newer version with other maps and records, and \
    back;\nof a new master at least a second is verified. In all: from the command to its end.";

/// The size for which there is a promise.
const MILLION: u32 = 1_000_000;

/// First address of the stations that are learned.
const STATIONS: Mac = Mac([0x02, 0, 0x30, 0, 0, 0]);

/// The steps, and what they are called here.
const STEPS: [(&str, &str); 5] = [
    ("install", "image into banks"),
    ("start-standby", "standby ready with it"),
    ("failover", "failover"),
    ("verify", "verified as master"),
    ("start-other", "other module ready"),
];

/// An upgrade, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    steps: [f64; STEPS.len()],
    all: f64,
    without_master: f64,
}

/// Measures a switch that has learned so many addresses.
///
/// # Errors
/// When something can not be set up, an upgrade fails, or an address is lost.
pub fn upgrade(run: &Run, files: &FilePath, effort: Effort, addresses: u32) -> Result<Vec<Table>> {
    // Room for the configured ones as well.
    let path = path::redundant(run, files, (addresses + 8).max(65_536))?;
    let switch = &path.forwarder.switch;
    switch.cli(&["configure", "image", "unsigned", "allow"])?;
    switch.cli(&["save"])?;
    if addresses > 0 {
        path.learn(Side::Newcomers, STATIONS, addresses)?;
    }
    let known = used(switch)?;
    let maker = Maker::new(files);
    let mut samples: [Vec<Sample>; 2] = Default::default();
    for _ in 0..effort.rounds {
        for (samples, edition) in samples.iter_mut().zip([Edition::Newer, Edition::Current]) {
            let image = maker.edition(edition, &[])?;
            samples.push(once(switch, &image).with_context(|| format!("to {edition:?}"))?);
            // It is in the banks.
            fs::remove_file(&image)?;
            let now = used(switch)?;
            ensure!(now == known, "{now} addresses are known of {known}");
        }
    }
    let check = switch.json(&["check", "msm-failover"])?;
    ensure!(
        check["equal"] == true,
        "master, standby and hardware differ afterwards: {check}"
    );
    let ways = ["to the newer version", "back to this one"];
    let mut tables = Vec::new();
    for (way, samples) in ways.into_iter().zip(&samples) {
        tables.push(table(addresses, way, samples)?);
    }
    Ok(tables)
}

fn table(addresses: u32, way: &str, samples: &[Sample]) -> Result<Table> {
    let mut subjects = Vec::new();
    for (place, (_, name)) in STEPS.iter().enumerate() {
        let times = samples.iter().map(|sample| sample.steps[place]).collect();
        subjects.push(Subject::recorded(name, times));
    }
    let mut all = Subject::recorded("in all", samples.iter().map(|s| s.all).collect());
    if addresses == MILLION {
        all = all.limited(Limit::AtMost(10_000.0));
    }
    subjects.push(all);
    let without = samples.iter().map(|s| s.without_master).collect();
    subjects.push(Subject::recorded("of that without a master", without));
    Table::measure(
        &format!("{addresses} addresses: {way}"),
        "ms",
        samples.len(),
        &mut subjects,
    )
}

/// Addresses in the forwarding database.
fn used(switch: &Switch) -> Result<u64> {
    switch.show("switch")?["fdb"]["used"]
        .as_u64()
        .context("fdb.used")
}

/// One upgrade.
fn once(switch: &Switch, image: &FilePath) -> Result<Sample> {
    let began = Instant::now();
    let ended = switch
        .hitless()?
        .args(["--yes", "--json", "--wait", "30", "upgrade"])
        .arg(image)
        .args(["accept-within", "0"])
        .output()?;
    let all = began.elapsed().as_secs_f64() * 1e3;
    ensure!(
        ended.status.success(),
        "hitless upgrade ended with {}: {}",
        ended.status,
        String::from_utf8_lossy(&ended.stderr)
    );
    let status: Value = serde_json::from_slice(&ended.stdout).context("what it printed")?;
    ensure!(
        status["dropped"]
            .as_object()
            .is_some_and(|drops| drops.is_empty()),
        "frames were dropped: {status}"
    );
    let time = |name: &str| {
        let steps = status["steps"].as_array().into_iter().flatten();
        let of_step = steps.filter(|step| step["step"] == name);
        of_step.filter_map(|step| step["took_ms"].as_f64()).sum()
    };
    Ok(Sample {
        steps: STEPS.map(|(step, _)| time(step)),
        all,
        without_master: status["without_master_us"].as_f64().unwrap_or(0.0) / 1e3,
    })
}
