//! Interleaved rounds, their medians, and ratios to what is measured beside.

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

/// One thing to be measured.
pub struct Subject<'a> {
    name: &'static str,
    /// Baselines, and the least ratio to them that the project promises.
    comparisons: Vec<(&'static str, Option<f64>)>,
    limit: Option<Limit>,
    /// The most that any round may have.
    worst: Option<f64>,
    measure: Box<dyn FnMut() -> Result<f64> + 'a>,
}

impl<'a> Subject<'a> {
    /// Something measured by this function, under a name unlike the others'.
    pub fn new(name: &'static str, measure: impl FnMut() -> Result<f64> + 'a) -> Self {
        Self {
            name,
            comparisons: Vec::new(),
            limit: None,
            worst: None,
            measure: Box::new(measure),
        }
    }

    /// Something that was measured already, round by round.
    #[must_use]
    pub fn recorded(name: &'static str, samples: Vec<f64>) -> Self {
        let mut samples = samples.into_iter();
        Self::new(name, move || {
            samples.next().context("fewer samples than rounds")
        })
    }

    /// Compared with another subject.
    #[must_use]
    pub fn beside(mut self, baseline: &'static str) -> Self {
        self.comparisons.push((baseline, None));
        self
    }

    /// Promised to reach this ratio to another subject.
    #[must_use]
    pub fn promised(mut self, baseline: &'static str, ratio: f64) -> Self {
        self.comparisons.push((baseline, Some(ratio)));
        self
    }

    /// Promised to keep a limit.
    #[must_use]
    pub fn limited(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Promised to have no round above this.
    #[must_use]
    pub fn worst(mut self, most: f64) -> Self {
        self.worst = Some(most);
        self
    }
}

/// What the project promises of a figure itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

/// A figure beside another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Name of the other.
    pub baseline: String,
    /// Median of the rounds' ratios.
    pub ratio: f64,
    /// The least that the project promises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised: Option<f64>,
}

/// The figures of one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Name of the subject.
    pub name: String,
    /// Median over the rounds.
    pub median: f64,
    /// Lowest round.
    pub min: f64,
    /// Highest round.
    pub max: f64,
    /// Beside others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ratios: Vec<Ratio>,
    /// What the project promises of the figure itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The most that the project promises of the highest round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<f64>,
    /// Whether a promise was broken.
    pub missed: bool,
}

/// A table of figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// What was measured.
    pub title: String,
    /// Unit of the figures.
    pub unit: &'static str,
    /// Rounds measured.
    pub rounds: usize,
    /// In the order of the subjects.
    pub figures: Vec<Figure>,
}

impl Table {
    /// Measures each subject once a round.
    ///
    /// # Errors
    /// Names the subject whose measurement failed.
    pub fn measure(
        title: &str,
        unit: &'static str,
        rounds: usize,
        subjects: &mut [Subject<'_>],
    ) -> Result<Self> {
        let mut samples = vec![Vec::with_capacity(rounds); subjects.len()];
        for _ in 0..rounds {
            for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
                samples.push((subject.measure)().with_context(|| subject.name.to_owned())?);
            }
        }
        let of = |name: &str| {
            let place = subjects.iter().position(|s| s.name == name);
            place.map(|place| samples[place].as_slice())
        };
        let figures = subjects
            .iter()
            .zip(&samples)
            .map(|(subject, own)| Figure::new(subject, own, of))
            .collect();
        Ok(Self {
            title: title.to_owned(),
            unit,
            rounds,
            figures,
        })
    }

    /// The figures that broke a promise.
    pub fn missed(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|figure| figure.missed)
    }
}

impl Figure {
    /// `others` gives the samples of a subject, round by round.
    fn new<'a>(
        subject: &Subject<'_>,
        own: &[f64],
        others: impl Fn(&str) -> Option<&'a [f64]>,
    ) -> Self {
        let middle = median(own.to_vec());
        let ratios: Vec<Ratio> = subject
            .comparisons
            .iter()
            .filter_map(|&(baseline, promised)| {
                let base = others(baseline)?;
                Some(Ratio {
                    baseline: baseline.to_owned(),
                    ratio: median(own.iter().zip(base).map(|(a, b)| a / b).collect()),
                    promised,
                })
            })
            .collect();
        // As it is printed: no verdict over a difference that nobody sees.
        let shown = |ratio: f64| (ratio * 100.0).round() / 100.0;
        let short = |r: &Ratio| r.promised.is_some_and(|promised| shown(r.ratio) < promised);
        let outside = match subject.limit {
            Some(Limit::AtLeast(least)) => middle < least,
            Some(Limit::AtMost(most)) => middle > most,
            None => false,
        };
        let max = own.iter().copied().fold(0.0, f64::max);
        let beyond = subject.worst.is_some_and(|most| max > most);
        Self {
            name: subject.name.to_owned(),
            median: middle,
            min: own.iter().copied().fold(f64::INFINITY, f64::min),
            max,
            missed: outside || beyond || ratios.iter().any(short),
            ratios,
            limit: subject.limit,
            worst: subject.worst,
        }
    }
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            title,
            unit,
            rounds,
            figures,
        } = self;
        writeln!(
            f,
            "{title} ({unit}, medians of {rounds} interleaved rounds)"
        )?;
        let width = figures.iter().map(|g| g.name.chars().count()).max();
        let width = width.unwrap_or(0);
        for g in figures {
            write!(f, "  {:width$} {:>9.1}", g.name, g.median)?;
            write!(f, "  ({:.1} to {:.1})", g.min, g.max)?;
            match g.limit {
                Some(Limit::AtLeast(least)) => write!(f, "; promised at least {least}")?,
                Some(Limit::AtMost(most)) => write!(f, "; promised at most {most}")?,
                None => {}
            }
            if let Some(most) = g.worst {
                write!(f, "; promised never above {most}")?;
            }
            for r in &g.ratios {
                write!(f, "; {:.2} of {}", r.ratio, r.baseline)?;
                if let Some(promised) = r.promised {
                    write!(f, " (promised {promised:.2})")?;
                }
            }
            writeln!(f, "{}", if g.missed { "  MISSED" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn rounds_are_interleaved_and_ratios_taken_round_by_round() {
        let order = RefCell::new(Vec::new());
        let series = |name, values: [f64; 3]| {
            let (order, mut next) = (&order, values.into_iter());
            Subject::new(name, move || {
                order.borrow_mut().push(name);
                next.next().context("too many rounds")
            })
        };
        let mut subjects = [
            series("base", [100.0, 50.0, 200.0]),
            series("ours", [90.0, 45.0, 100.0]).promised("base", 0.8),
        ];
        let table = Table::measure("t", "kpps", 3, &mut subjects).unwrap();
        assert_eq!(
            *order.borrow(),
            ["base", "ours", "base", "ours", "base", "ours"]
        );
        let ours = &table.figures[1];
        assert_eq!((ours.median, ours.min, ours.max), (90.0, 45.0, 100.0));
        assert_eq!(ours.ratios[0].ratio, 0.9);
        assert!(!ours.missed && table.missed().count() == 0);
        assert!(
            table
                .to_string()
                .contains("; 0.90 of base (promised 0.80)\n")
        );
        // One round more than there are values fails and says where.
        let error = Table::measure("t", "kpps", 1, &mut subjects).unwrap_err();
        assert!(format!("{error:#}").starts_with("base"));
    }

    #[test]
    fn broken_promises_are_named() {
        let missed = |subject: Subject<'_>, value: f64| {
            Figure::new(&subject, &[value], |name| {
                (name == "base").then_some(&[10.0][..])
            })
            .missed
        };
        let subject = || Subject::new("s", || Ok(0.0));
        for (value, is) in [(7.9, true), (8.0, false)] {
            assert_eq!(missed(subject().promised("base", 0.8), value), is);
            assert_eq!(missed(subject().limited(Limit::AtLeast(8.0)), value), is);
            assert_eq!(missed(subject().limited(Limit::AtMost(7.95)), value), !is);
            assert!(!missed(subject().beside("base"), value));
            assert_eq!(missed(subject().worst(7.95), value), !is);
        }
    }
}
