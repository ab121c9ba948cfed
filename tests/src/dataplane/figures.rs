//! Figures of [`super::speed`] in a file, and what has become slower since.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file that later runs compare with, below the repository's `target`.
pub const FILE: &str = "bench/nanoseconds.json";

/// Growth that counts as a regression.
pub const TOLERANCE: f64 = 0.10;

/// How many times the tolerance holds for random addresses: how much of a large table is in the cache that all CPUs
/// share depends on what else runs.
const SHARED_CACHE: f64 = 3.0;

/// End of the names of paths with random addresses.
pub(super) const RANDOM: &str = " random addresses";

/// Nanoseconds below which a difference is the clock's.
const RESOLUTION: f64 = 2.0;

/// One path's figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Name of the path.
    pub name: String,
    /// Nanoseconds for a frame.
    pub nanoseconds: f64,
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
            "nanoseconds a frame (program test run, least of several rounds)"
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
}
