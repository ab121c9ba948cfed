//! `bench l2`: forwarding and learning beside bare redirects and the kernel's bridge.

use std::path::Path as FilePath;
use std::time::Duration;

use anyhow::{Context, Result};
use hitless_common::Mac;

use super::hosts::Hosts;
use super::path::{self, DESTINATIONS, Hitless, Path, SOURCES, Side};
use super::rounds::{Limit, Subject, Table};
use crate::harness::probe::Pattern;
use crate::harness::run::Run;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Interleaved rounds.
    pub rounds: usize,
    /// Frames of one measurement.
    pub frames: u32,
    /// Time of one TCP measurement.
    pub tcp: Duration,
    /// Stations on either side where many are needed.
    pub stations: u32,
}

impl Effort {
    /// For figures that are quoted.
    pub const FULL: Self = Self {
        rounds: 7,
        frames: 3_000_000,
        tcp: Duration::from_secs(2),
        stations: 512 * 1024,
    };
    /// To see whether something is badly off.
    pub const QUICK: Self = Self {
        rounds: 3,
        frames: 500_000,
        tcp: Duration::from_millis(300),
        stations: 64 * 1024,
    };
}

const BARE_XDP: &str = "bare XDP redirect";
const BARE_TCX: &str = "bare tcx redirect";
const BRIDGE: &str = "Linux bridge, nf-call off";
const CABLE: &str = "direct veth";
const XDP: &str = "hitless XDP";
const TC: &str = "hitless TC";

/// Measures one table.
pub type Measure = fn(&Run, &FilePath, Effort) -> Result<Table>;

/// The tables by name, in the order of the promises.
pub const TABLES: &[(&str, Measure)] = &[
    ("unicast", known_unicast),
    ("stations", many_stations),
    ("learning", learning),
    ("beside", learning_beside),
    ("writes", super::writes::writes),
    ("adoption", adoption),
    ("tcp", tcp),
];

/// How many thousand frames a second pass.
fn rate<'a, F>(
    name: &'static str,
    path: &'a Path<F>,
    effort: Effort,
    pattern: Pattern,
) -> Subject<'a> {
    Subject::new(name, move || path.rate(effort.frames, pattern))
}

/// 64-byte frames (60 octets without frame check sequence) from one known station to another.
fn known_unicast(run: &Run, files: &FilePath, effort: Effort) -> Result<Table> {
    let bare = [path::bare_xdp(run)?, path::bare_tcx(run)?];
    let (cable, bridge) = (path::cable(run)?, path::linux_bridge(run)?);
    let size = 65_536;
    let ours = [
        path::hitless(run, files, "xdp", size)?,
        path::hitless(run, files, "tc", size)?,
    ];
    let mut subjects = [
        rate("nothing between", &cable, effort, Pattern::Fixed).beside(BARE_XDP),
        rate(BARE_XDP, &bare[0], effort, Pattern::Fixed),
        rate(XDP, &ours[0], effort, Pattern::Fixed)
            .promised(BARE_XDP, 0.85)
            .promised(BRIDGE, 2.5),
        rate(BARE_TCX, &bare[1], effort, Pattern::Fixed).beside(BARE_XDP),
        rate(TC, &ours[1], effort, Pattern::Fixed)
            .promised(BARE_TCX, 0.92)
            .promised(BRIDGE, 1.2),
        rate(BRIDGE, &bridge, effort, Pattern::Fixed).beside(BARE_XDP),
    ];
    Table::measure(
        "known unicast, 64-byte frames, one CPU",
        "kpps",
        effort.rounds,
        &mut subjects,
    )
}

/// Random sources and destinations in a forwarding database full of them.
fn many_stations(run: &Run, files: &FilePath, effort: Effort) -> Result<Table> {
    let bare = [path::bare_xdp(run)?, path::bare_tcx(run)?];
    let ours = [
        populated(run, files, "xdp", effort)?,
        populated(run, files, "tc", effort)?,
    ];
    let pattern = path::random(effort.stations);
    let mut subjects = [
        rate(BARE_XDP, &bare[0], effort, pattern),
        rate(XDP, &ours[0], effort, pattern).promised(BARE_XDP, 0.55),
        rate(BARE_TCX, &bare[1], effort, pattern).beside(BARE_XDP),
        rate(TC, &ours[1], effort, pattern).promised(BARE_TCX, 0.7),
    ];
    Table::measure(
        &format!(
            "{} random stations, 64-byte frames, one CPU",
            2 * effort.stations
        ),
        "kpps",
        effort.rounds,
        &mut subjects,
    )
}

/// Hitless that knows `stations` addresses on either side, in a forwarding database that they fill.
fn populated(run: &Run, files: &FilePath, mode: &str, effort: Effort) -> Result<Path<Hitless>> {
    let path = path::hitless(run, files, mode, 2 * effort.stations)?;
    for (side, first) in [(Side::Generator, SOURCES), (Side::Sink, DESTINATIONS)] {
        // The first one is known by configuration.
        path.learn(side, after(first), effort.stations - 1)?;
    }
    Ok(path)
}

fn after(mac: Mac) -> Mac {
    Mac::from_u64(mac.to_u64() + 1)
}

/// First address of the stations that turn up while others talk.
const NEWCOMERS: Mac = Mac([0x02, 0, 0x30, 0, 0, 0]);

/// New stations, and the start over a forwarding database that is full.
fn learning(run: &Run, files: &FilePath, effort: Effort) -> Result<Table> {
    let size = 2 * effort.stations;
    let paths = [
        path::hitless(run, files, "xdp", size)?,
        path::hitless(run, files, "tc", size)?,
    ];
    let learn = |path: &Path<Hitless>| {
        path.forwarder.switch.cli(&["clear", "fdb"])?;
        let took = path.learn(Side::Newcomers, NEWCOMERS, effort.stations)?;
        Ok(f64::from(effort.stations) / took.as_secs_f64() / 1000.0)
    };
    let mut subjects = [
        Subject::new("learned in XDP", || learn(&paths[0])).limited(Limit::AtLeast(800.0)),
        Subject::new("learned in TC", || learn(&paths[1])).limited(Limit::AtLeast(800.0)),
    ];
    Table::measure(
        &format!("{} new stations", effort.stations),
        "thousand addresses a second",
        effort.rounds,
        &mut subjects,
    )
}

/// Known unicast while other stations talk that the switch knows, and while it learns them.
fn learning_beside(run: &Run, files: &FilePath, effort: Effort) -> Result<Table> {
    let size = 2 * effort.stations;
    let paths = [
        path::hitless(run, files, "xdp", size)?,
        path::hitless(run, files, "tc", size)?,
    ];
    // About as many frames as others: the flow ends before everybody is known.
    let beside =
        |path: &Path<Hitless>| path.rate_beside(effort.stations, NEWCOMERS, effort.stations);
    let known = |path: &Path<Hitless>| {
        path.forwarder.switch.cli(&["clear", "fdb"])?;
        path.learn(Side::Newcomers, NEWCOMERS, effort.stations)?;
        beside(path)
    };
    let learned = |path: &Path<Hitless>| {
        path.forwarder.switch.cli(&["clear", "fdb"])?;
        beside(path)
    };
    const KNOWN: [&str; 2] = ["XDP, others are known", "TC, others are known"];
    let mut subjects = [
        Subject::new(KNOWN[0], || known(&paths[0])),
        Subject::new("XDP, others are learned", || learned(&paths[0])).promised(KNOWN[0], 0.9),
        Subject::new(KNOWN[1], || known(&paths[1])),
        Subject::new("TC, others are learned", || learned(&paths[1])).promised(KNOWN[1], 0.9),
    ];
    Table::measure(
        &format!(
            "a known flow on one CPU, {} other stations on another",
            effort.stations
        ),
        "kpps",
        effort.rounds,
        &mut subjects,
    )
}

/// How long a new hitlessd takes to adopt a full forwarding database.
fn adoption(run: &Run, files: &FilePath, effort: Effort) -> Result<Table> {
    let mut path = populated(run, files, "tc", effort)?;
    let switch = &mut path.forwarder.switch;
    let adopt = || {
        switch.kill()?;
        switch.run()?;
        let log = switch.log()?;
        let micros = log
            .rsplit_once("fdb_us=")
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<f64>().ok())
            .with_context(|| format!("no fdb_us= in the log of {}", switch.name()))?;
        Ok(micros / 1000.0)
    };
    let mut subjects = [Subject::new("adopted", adopt).limited(Limit::AtMost(20.0))];
    Table::measure(
        &format!("a start over {} addresses", 2 * effort.stations),
        "ms",
        effort.rounds,
        &mut subjects,
    )
}

/// One TCP connection between two untouched Linux hosts.
fn tcp(run: &Run, files: &FilePath, effort: Effort) -> Result<Table> {
    let direct = Hosts::direct(run)?;
    let bridged = Hosts::over(run, "tcpbr", |middle| path::bridge(middle, &["p1", "p2"]))?;
    let ours = Hosts::over(run, "tcphl", |middle| {
        super::hosts::hitless(run, files, middle)
    })?;
    let mut subjects = [
        Subject::new(CABLE, || direct.throughput(effort.tcp)),
        Subject::new("hitless auto", || ours.throughput(effort.tcp))
            .beside(CABLE)
            .promised(BRIDGE, 1.0),
        Subject::new(BRIDGE, || bridged.throughput(effort.tcp)).beside(CABLE),
    ];
    Table::measure(
        "TCP between two untouched hosts",
        "Gb/s",
        effort.rounds,
        &mut subjects,
    )
}
