//! Nanoseconds that the programs take for a frame, by BPF_PROG_TEST_RUN: no driver, no sockets, no other CPU. Good
//! for telling a regression of a few per cent on a machine where throughput varies by ten.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use hitless_common::map::fdb::FdbKey;
use serde::{Deserialize, Serialize};

use super::program::{DataPath, Ran, tc, xdp};
use super::random::Random;
use super::tables::{Address, Bucket, Tables};
use crate::harness::cpu::Pinned;
use crate::harness::frames::{Builder, Frame, Tag};
use crate::harness::netns::Netns;
use crate::harness::run::Run;

/// The file that later runs compare with, below the repository's `target`.
pub const FILE: &str = "bench/nanoseconds.json";

/// Growth that counts as a regression.
pub const TOLERANCE: f64 = 0.10;

/// How many times the tolerance holds for random addresses: how much of a large table is in the cache that all CPUs
/// share depends on what else runs.
const SHARED_CACHE: f64 = 3.0;

/// End of the names of paths with random addresses.
const RANDOM: &str = " random addresses";

/// Nanoseconds below which a difference is the clock's.
const RESOLUTION: f64 = 2.0;

/// Interleaved rounds; the least of them is the figure, because whatever disturbs a round makes it longer.
const ROUNDS: usize = 8;

/// Single runs in a round, at most.
const SINGLES: u32 = 20_000;

/// Sizes of the forwarding database for random addresses.
const SIZES: [(u32, &str); 3] = [(1 << 10, "1k"), (1 << 16, "64k"), (1 << 20, "1M")];

/// First address behind port 1 and behind port 2.
const SIDES: [u64; 2] = [0x0200_1000_0000, 0x0200_2000_0000];

/// One path's figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Name of the path.
    pub name: String,
    /// Nanoseconds for a frame.
    pub nanoseconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    Tc,
    Xdp,
}

impl Hook {
    const BOTH: [Self; 2] = [Self::Xdp, Self::Tc];

    const fn name(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
        }
    }

    fn run(self, path: &DataPath, device: u32, frame: &Frame, repeat: u32) -> Result<f64> {
        let (ran, sent): (Ran, u32) = match self {
            Self::Tc => (
                path.run_tc(device, frame.octets(), 0, repeat)?,
                tc::REDIRECT,
            ),
            Self::Xdp => (path.run_xdp(device, frame.octets(), repeat)?, xdp::REDIRECT),
        };
        ensure!(
            ran.verdict == sent,
            "{} did not send {frame:?}: {ran:?}",
            self.name()
        );
        Ok(f64::from(ran.nanoseconds))
    }
}

/// Frames come in on port 1, untagged in VLAN 10 and tagged in VLAN 20. Ports 2 and 4 send untagged, port 3 tagged.
fn tables() -> Tables {
    Tables::new()
        .untagged(1, 10)
        .tagged(1, &[20])
        .untagged(2, 10)
        .tagged(3, &[10, 20])
        .untagged(4, 20)
}

/// A path with fixed addresses.
struct Fixed {
    name: &'static str,
    tag: Option<Tag>,
    vid: u16,
    to: u16,
    /// Whether the frame leaves as it came, so that the next run gets the same frame.
    kept: bool,
}

const FIXED: [Fixed; 4] = [
    Fixed {
        name: "untagged",
        tag: None,
        vid: 10,
        to: 2,
        kept: true,
    },
    Fixed {
        name: "tagged",
        tag: Some(Tag::vid(20)),
        vid: 20,
        to: 3,
        kept: true,
    },
    Fixed {
        name: "tag pushed",
        tag: None,
        vid: 10,
        to: 3,
        kept: false,
    },
    Fixed {
        name: "tag popped",
        tag: Some(Tag::vid(20)),
        vid: 20,
        to: 4,
        kept: false,
    },
];

impl Fixed {
    const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn destination(&self) -> Mac {
        Mac([2, 0, 0, 0, 1, self.to as u8])
    }

    fn frame(&self) -> Frame {
        let plain = Builder::new(Self::SOURCE, self.destination()).build();
        self.tag
            .map_or_else(|| plain.clone(), |tag| plain.tagged(tag))
    }
}

/// Measures every path `repeat` times in each round. The figures of the paths that change a frame or that look up a
/// different address each time come from single runs, less what the clock takes of a single run.
///
/// # Errors
/// When the programs are missing or refused.
pub fn nanoseconds(run: &Run, repeat: u32) -> Result<Vec<Figure>> {
    let netns = Netns::new(run, "ns")?;
    netns.run(|| {
        let _pinned = Pinned::new(0)?;
        // Nothing leaves in a test run; every port may be the loopback device, which each namespace has.
        let device = nix::net::if_::if_nametoindex("lo")?;
        let mut figures = Figures::default();
        let mut random = Random::new(1);
        let mut fixtures = Vec::with_capacity(SIZES.len());
        for (size, name) in SIZES {
            fixtures.push((Fixture::new(size, device)?, name));
        }
        for _ in 0..ROUNDS {
            fixtures[0].0.fixed_addresses(repeat, &mut figures)?;
            for (fixture, name) in &fixtures {
                fixture.random_addresses(name, repeat, &mut random, &mut figures)?;
            }
        }
        Ok(figures.into_list())
    })
}

/// The least figure of each path so far, in the order of their first measurement.
#[derive(Default)]
struct Figures {
    order: Vec<String>,
    least: BTreeMap<String, f64>,
}

impl Figures {
    fn add(&mut self, name: String, nanoseconds: f64) {
        if let Some(least) = self.least.get_mut(&name) {
            *least = least.min(nanoseconds);
        } else {
            self.least.insert(name.clone(), nanoseconds);
            self.order.push(name);
        }
    }

    fn into_list(self) -> Vec<Figure> {
        let figure = |name: String| Figure {
            nanoseconds: self.least.get(&name).copied().unwrap_or(f64::NAN),
            name,
        };
        self.order.into_iter().map(figure).collect()
    }
}

/// The programs with an FDB that is full to its size.
struct Fixture {
    path: DataPath,
    device: u32,
    /// Addresses behind port 1 and behind port 2 that the FDB had room for.
    known: [Vec<Mac>; 2],
}

impl Fixture {
    fn new(size: u32, device: u32) -> Result<Self> {
        let mut path = DataPath::load(size)?;
        let mut tables = tables();
        for fixed in &FIXED {
            tables = tables
                .station(fixed.vid, fixed.destination(), fixed.to)
                .station(fixed.vid, Fixed::SOURCE, 1);
        }
        // First of all, so that they have room, and each once.
        tables.fdb.sort_by_key(|a| a.key);
        tables.fdb.dedup_by_key(|a| a.key);
        for (first, port) in SIDES.into_iter().zip([1, 2]) {
            tables.fdb.extend((0..u64::from(size / 2)).map(|n| Address {
                key: FdbKey::from_raw(10, first + n),
                port,
                flags: 0,
                bucket: Bucket::Either,
            }));
        }
        let fdb = std::mem::take(&mut tables.fdb);
        path.install(&tables, |_| Ok(device))?;
        let left_out = path.install_fdb(&fdb)?;
        let left_out: HashSet<FdbKey> = left_out.iter().map(|a| a.key).collect();
        let known = SIDES.map(|first| {
            let keys = (first..first + u64::from(size / 2)).map(|mac| FdbKey::from_raw(10, mac));
            keys.filter(|key| !left_out.contains(key))
                .map(FdbKey::mac)
                .collect()
        });
        Ok(Self {
            path,
            device,
            known,
        })
    }

    /// One round over the paths with fixed addresses.
    fn fixed_addresses(&self, repeat: u32, figures: &mut Figures) -> Result<()> {
        for hook in Hook::BOTH {
            let clock = self.clock(hook, repeat)?;
            for fixed in &FIXED {
                let frame = fixed.frame();
                let nanoseconds = if fixed.kept {
                    hook.run(&self.path, self.device, &frame, repeat)?
                } else {
                    self.singles(hook, repeat, || frame.clone())? - clock
                };
                figures.add(format!("{} {}", hook.name(), fixed.name), nanoseconds);
            }
        }
        Ok(())
    }

    /// One round with other addresses in each frame.
    fn random_addresses(
        &self,
        size: &str,
        repeat: u32,
        random: &mut Random,
        figures: &mut Figures,
    ) -> Result<()> {
        let mut any = |of: &[Mac]| of[random.below(of.len() as u64) as usize];
        let mut next = || Builder::new(any(&self.known[0]), any(&self.known[1])).build();
        for hook in Hook::BOTH {
            let clock = self.clock(hook, repeat)?;
            // A table that fits into a cache gets there before it is measured, whatever else ran meanwhile.
            self.singles(hook, repeat, &mut next)?;
            let nanoseconds = self.singles(hook, repeat, &mut next)? - clock;
            figures.add(format!("{} {size}{RANDOM}", hook.name()), nanoseconds);
        }
        Ok(())
    }

    /// What a single run takes longer than one of many: the clock is read around it, and it comes from a system
    /// call.
    fn clock(&self, hook: Hook, repeat: u32) -> Result<f64> {
        let frame = FIXED[0].frame();
        let many = hook.run(&self.path, self.device, &frame, repeat)?;
        Ok(self.singles(hook, repeat, || frame.clone())? - many)
    }

    /// Mean of single runs without the slowest tenth, which something interrupted.
    fn singles(&self, hook: Hook, repeat: u32, mut frame: impl FnMut() -> Frame) -> Result<f64> {
        let mut times = Vec::with_capacity(SINGLES.min(repeat) as usize);
        for _ in 0..SINGLES.min(repeat).max(1) {
            times.push(hook.run(&self.path, self.device, &frame(), 1)?);
        }
        times.sort_by(f64::total_cmp);
        times.truncate((times.len() * 9 / 10).max(1));
        Ok(times.iter().sum::<f64>() / times.len() as f64)
    }
}

/// Figures and the machine that they are from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    machine: String,
    figures: Vec<Figure>,
}

/// Kernel and processor: figures of another machine tell nothing.
fn machine() -> Result<String> {
    let kernel =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("read the kernel's release")?;
    let cpus = fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    Ok(format!("Linux {}, {model}", kernel.trim()))
}

/// Keeps figures for [`compare`] with later ones.
///
/// # Errors
/// When the file can not be written.
pub fn save(file: &Path, figures: &[Figure]) -> Result<()> {
    let record = Record {
        machine: machine()?,
        figures: figures.to_vec(),
    };
    let text = serde_json::to_string_pretty(&record)?;
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    }
    fs::write(file, text + "\n").with_context(|| format!("write {}", file.display()))
}

/// A path before and now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Name of the path.
    pub name: String,
    /// Nanoseconds in the file; nothing for a path that was not there.
    pub before: Option<f64>,
    /// Nanoseconds now.
    pub now: f64,
    /// Whether it takes longer than the tolerance allows.
    pub regressed: bool,
}

/// Figures compared with earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Why there is nothing to compare with, if so.
    pub not_compared: Option<String>,
    /// Every path measured now.
    pub changes: Vec<Change>,
}

impl Report {
    /// The paths that take longer than they may.
    pub fn regressions(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.regressed)
    }
}

/// Compares figures with those in a file of [`save`]. A path regressed if it takes longer by more than `tolerance`
/// (a share: 0.1 is a tenth), with random addresses by three times that. Figures of another machine are not compared, nor is a file that is not there.
///
/// # Errors
/// When the file is there and can not be read.
pub fn compare(previous: &Path, now: &[Figure], tolerance: f64) -> Result<Report> {
    let here = machine()?;
    let what = || format!("figures in {}", previous.display());
    let (before, not_compared) = match fs::read_to_string(previous) {
        Ok(text) => {
            let record: Record = serde_json::from_str(&text).with_context(what)?;
            if record.machine == here {
                (record.figures, None)
            } else {
                (
                    Vec::new(),
                    Some(format!(
                        "{} are from {}, this is {here}",
                        what(),
                        record.machine
                    )),
                )
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            (Vec::new(), Some(format!("there are no {}", what())))
        }
        Err(e) => return Err(e).with_context(what),
    };
    let changes = now
        .iter()
        .map(|figure| {
            let old = before
                .iter()
                .find(|f| f.name == figure.name)
                .map(|f| f.nanoseconds);
            let tolerance = if figure.name.ends_with(RANDOM) {
                tolerance * SHARED_CACHE
            } else {
                tolerance
            };
            let limit = |old: f64| old * (1.0 + tolerance) + RESOLUTION;
            Change {
                name: figure.name.clone(),
                before: old,
                now: figure.nanoseconds,
                regressed: old.is_some_and(|old| figure.nanoseconds > limit(old)),
            }
        })
        .collect();
    Ok(Report {
        not_compared,
        changes,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "nanoseconds a frame (program test run, least of {ROUNDS} interleaved rounds)"
        )?;
        if let Some(why) = &self.not_compared {
            writeln!(f, "  not compared: {why}")?;
        }
        let width = self
            .changes
            .iter()
            .map(|c| c.name.chars().count())
            .max()
            .unwrap_or(0);
        for change in &self.changes {
            write!(f, "  {:width$} {:>8.1}", change.name, change.now)?;
            if let Some(before) = change.before {
                write!(
                    f,
                    "  was {before:.1} ({:+.0} %)",
                    (change.now / before - 1.0) * 100.0
                )?;
            }
            writeln!(f, "{}", if change.regressed { "  REGRESSED" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: &[(&str, f64)]) -> Vec<Figure> {
        let figure = |&(name, nanoseconds): &(&str, f64)| Figure {
            name: name.to_owned(),
            nanoseconds,
        };
        values.iter().map(figure).collect()
    }

    #[test]
    fn what_takes_longer_than_the_tolerance_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("new/figures.json");
        let first = figures(&[
            ("same", 100.0),
            ("slower", 100.0),
            ("faster", 100.0),
            ("short", 5.0),
            ("gone", 1.0),
        ]);
        let report = compare(&file, &first, TOLERANCE).unwrap();
        assert!(report.not_compared.is_some() && report.regressions().count() == 0);

        save(&file, &first).unwrap();
        let now = figures(&[
            ("same", 109.0),
            ("slower", 113.0),
            ("faster", 50.0),
            ("short", 7.0),
            ("new", 9.0),
        ]);
        let report = compare(&file, &now, TOLERANCE).unwrap();
        assert_eq!(report.not_compared, None);
        let regressed: Vec<&str> = report.regressions().map(|c| c.name.as_str()).collect();
        assert_eq!(regressed, ["slower"]);
        assert_eq!((report.changes.len(), report.changes[4].before), (5, None));
        let text = report.to_string();
        assert!(text.contains("was 100.0 (+13 %)  REGRESSED"), "{text}");
    }

    #[test]
    fn figures_of_another_machine_are_not_compared() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("figures.json");
        fs::write(
            &file,
            r#"{"machine": "Linux 2.4, i486", "figures": [{"name": "a", "nanoseconds": 1.0}]}"#,
        )
        .unwrap();
        let report = compare(&file, &figures(&[("a", 900.0)]), TOLERANCE).unwrap();
        assert!(report.not_compared.unwrap().contains("i486"));
        assert!(!report.changes[0].regressed);
        fs::write(&file, "{}").unwrap();
        assert!(compare(&file, &[], TOLERANCE).is_err());
    }

    #[test]
    fn the_least_of_the_rounds_counts() {
        let mut all = Figures::default();
        for (name, value) in [("b", 3.0), ("a", 9.0), ("b", 2.0), ("a", 11.0)] {
            all.add(name.to_owned(), value);
        }
        assert_eq!(all.into_list(), figures(&[("b", 2.0), ("a", 9.0)]));
    }
}
