//! Interleaved rounds, their medians, and ratios to a baseline.

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

/// One thing to be measured.
pub struct Subject<'a> {
    /// Its name, unlike the others'.
    pub name: &'static str,
    /// The subject that it is compared with.
    pub baseline: Option<&'static str>,
    /// The least ratio to the baseline that the project promises.
    pub target: Option<f64>,
    /// Measures once.
    pub measure: Box<dyn FnMut() -> Result<f64> + 'a>,
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
    /// The subject that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Median of the rounds' ratios to the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The least ratio that the project promises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
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
        let figures = subjects
            .iter()
            .zip(&samples)
            .map(|(subject, own)| Figure {
                name: subject.name.to_owned(),
                median: median(own.clone()),
                min: own.iter().copied().fold(f64::INFINITY, f64::min),
                max: own.iter().copied().fold(0.0, f64::max),
                baseline: subject.baseline.map(str::to_owned),
                ratio: subject
                    .baseline
                    .and_then(|base| subjects.iter().position(|s| s.name == base))
                    .map(|base| {
                        median(own.iter().zip(&samples[base]).map(|(a, b)| a / b).collect())
                    }),
                target: subject.target,
            })
            .collect();
        Ok(Self {
            title: title.to_owned(),
            unit,
            rounds,
            figures,
        })
    }

    /// The figures whose ratio is less than promised.
    pub fn missed(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|f| f.is_missed())
    }
}

impl Figure {
    /// Whether the ratio is less than promised.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        matches!((self.ratio, self.target), (Some(ratio), Some(target)) if ratio < target)
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
        writeln!(
            f,
            "{} ({}, medians of {} interleaved rounds)",
            self.title, self.unit, self.rounds
        )?;
        let width = self
            .figures
            .iter()
            .map(|g| g.name.chars().count())
            .max()
            .unwrap_or(0);
        for g in &self.figures {
            write!(
                f,
                "  {:width$} {:>9.1}  ({:.1} to {:.1})",
                g.name, g.median, g.min, g.max
            )?;
            if let (Some(ratio), Some(baseline)) = (g.ratio, &g.baseline) {
                write!(f, "  {ratio:.2} of {baseline}")?;
            }
            if let Some(target) = g.target {
                let verdict = if g.is_missed() { "MISSED" } else { "met" };
                write!(f, ", target {target:.2} {verdict}")?;
            }
            writeln!(f)?;
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
            move || {
                order.borrow_mut().push(name);
                next.next().context("too many rounds")
            }
        };
        let mut subjects = [
            Subject {
                name: "base",
                baseline: None,
                target: None,
                measure: Box::new(series("base", [100.0, 50.0, 200.0])),
            },
            Subject {
                name: "ours",
                baseline: Some("base"),
                target: Some(0.8),
                measure: Box::new(series("ours", [90.0, 45.0, 100.0])),
            },
        ];
        let table = Table::measure("t", "kpps", 3, &mut subjects).unwrap();
        assert_eq!(
            *order.borrow(),
            ["base", "ours", "base", "ours", "base", "ours"]
        );
        let ours = &table.figures[1];
        assert_eq!((ours.median, ours.min, ours.max), (90.0, 45.0, 100.0));
        assert_eq!(ours.ratio, Some(0.9));
        assert!(table.to_string().contains("0.90 of base, target 0.80 met"));
        // One round more than there are values fails and says where.
        let error = Table::measure("t", "kpps", 1, &mut subjects).unwrap_err();
        assert!(format!("{error:#}").starts_with("base"));
    }
}
