//! Reads what unit tests (libtest) and network tests (KTAP) print, and sums it up.
//!
//! A test names rows of the seed table in its description (`seed: 16, 17`) or, a unit test, in its name
//! (`seed_16_17_...`).

use std::collections::BTreeMap;
use std::process::ExitStatus;

mod ktap;
mod libtest;

pub use ktap::Ktap;
pub use libtest::Libtest;

/// How a test ended. A skip is never a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not.
    Failed,
    /// It was not tried.
    Skipped,
}

/// Everything that the end of a run reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// Tests that held.
    pub passed: u32,
    /// Tests that did not.
    pub failed: u32,
    /// Tests that were not tried.
    pub skipped: u32,
    /// The names of failed tests, and whatever else went wrong.
    pub failures: Vec<String>,
    /// The names of skipped tests, each with what was missing.
    pub skips: Vec<String>,
    /// The tests of each row of the seed table.
    pub rows: BTreeMap<u8, Vec<(String, Outcome)>>,
}

impl Results {
    /// Adds what another part of the run reports.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
        for (row, tests) in other.rows {
            self.rows.entry(row).or_default().extend(tests);
        }
    }

    /// Adds a failure that no test reports.
    fn fail(&mut self, what: String) {
        self.failed += 1;
        self.failures.push(what);
    }

    /// The last line of a run.
    pub fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }

    fn cover(&mut self, name: &str, rows: impl IntoIterator<Item = u8>, outcome: Outcome) {
        for row in rows {
            self.rows
                .entry(row)
                .or_default()
                .push((name.to_owned(), outcome));
        }
    }
}

/// A reader of a test program's standard output.
pub trait Reader {
    /// Takes the next line, without its end.
    fn line(&mut self, line: &str);
    /// Takes how the program ended, and gives the results.
    fn finish(self, status: ExitStatus) -> Results;
}

/// The numbers at the start of `text`, between which only `separators` stand.
fn leading_numbers(text: &str, separators: &[char]) -> Vec<u8> {
    text.split(separators)
        .filter(|part| !part.is_empty())
        .map_while(|part| {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number = part[..digits].parse().ok()?;
            Some((number, digits == part.len()))
        })
        // A part such as `20)` ends the list, but counts.
        .scan(true, |go_on, (number, whole)| {
            std::mem::replace(go_on, *go_on && whole).then_some(number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_up_to_the_first_thing_that_is_no_number() {
        let spaced: &[char] = &[',', ' '];
        assert_eq!(leading_numbers(" 20", spaced), [20]);
        assert_eq!(leading_numbers(" 16, 17) and 18", spaced), [16, 17]);
        assert_eq!(leading_numbers("16,17 kill -9", spaced), [16, 17]);
        assert!(leading_numbers("300", spaced).is_empty());
        assert_eq!(leading_numbers("16_17_links_5", &['_']), [16, 17]);
        assert!(leading_numbers("", spaced).is_empty());
    }

    #[test]
    fn parts_add_up() {
        let mut all = Results {
            passed: 2,
            ..Results::default()
        };
        let mut other = Results {
            passed: 1,
            skipped: 1,
            ..Results::default()
        };
        other.fail("x".to_owned());
        other.cover("t", [16, 17], Outcome::Passed);
        all.add(other);
        assert_eq!(all.summary(), "3 passed, 1 failed, 1 skipped");
        assert_eq!(all.failures, ["x"]);
        assert_eq!(all.rows[&17], [("t".to_owned(), Outcome::Passed)]);
    }
}
