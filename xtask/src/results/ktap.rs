//! KTAP, as the kernel's selftests print it, nested or not.

use std::process::ExitStatus;

use super::{Outcome, Reader, Results, leading_numbers};

/// The exit code of a selftest that skipped everything.
const SKIPPED: i32 = 4;

/// Reads the output of one program.
#[derive(Default)]
pub struct Ktap {
    results: Results,
    /// How many results the plan on the outermost level promises.
    planned: Option<u32>,
    /// How many there were on that level.
    reported: u32,
    /// For each level, outermost first: its indentation and the results since the level above had one.
    levels: Vec<(usize, u32, u32)>,
    /// Why the test failed that the next result is of, if it said so.
    reason: Option<String>,
}

/// One result line.
struct Line<'a> {
    indentation: usize,
    ok: bool,
    description: &'a str,
    /// What follows `# SKIP`.
    skip: Option<&'a str>,
}

fn parse(line: &str) -> Option<Line<'_>> {
    let text = line.trim_start();
    let indentation = line.len() - text.len();
    let (ok, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    number.parse::<u32>().ok()?;
    let (description, directive) = rest.split_once('#').unwrap_or((rest, ""));
    let skip = directive.trim().strip_prefix("SKIP").map(str::trim);
    let description = description.trim().trim_start_matches("- ");
    Some(Line {
        indentation,
        ok,
        description,
        skip,
    })
}

/// `1..N`, and what follows `# SKIP` if there is nothing to run.
fn parse_plan(line: &str) -> Option<(u32, Option<&str>)> {
    let (count, rest) = line
        .strip_prefix("1..")?
        .split_once(' ')
        .unwrap_or((&line[3..], ""));
    let skip = rest
        .trim_start_matches(['#', ' '])
        .strip_prefix("SKIP")
        .map(str::trim);
    Some((count.trim().parse().ok()?, skip))
}

impl Reader for Ktap {
    fn line(&mut self, line: &str) {
        if let Some((planned, skip)) = parse_plan(line) {
            self.planned = Some(planned);
            if let Some(why) = skip {
                self.skip("all network tests", why);
            }
        } else if let Some(result) = parse(line) {
            let reason = self.reason.take();
            self.result(&result, reason);
        } else if let Some(reason) = line.trim_start().strip_prefix("# reason: ") {
            self.reason = Some(reason.to_owned());
        }
    }

    fn finish(mut self, status: ExitStatus) -> Results {
        match self.planned {
            Some(planned) if planned == self.reported => {}
            Some(planned) => {
                let reported = self.reported;
                self.results.fail(format!(
                    "network tests: {planned} were planned, {reported} reported"
                ));
            }
            None => self
                .results
                .fail("network tests: they printed no plan".to_owned()),
        }
        let fine = matches!(status.code(), Some(0 | SKIPPED));
        if !fine && self.results.failed == 0 {
            self.results
                .fail(format!("network tests: they ended with {status}"));
        }
        self.results
    }
}

impl Ktap {
    fn result(&mut self, line: &Line<'_>, reason: Option<String>) {
        // Whatever is deeper than this line are the parts of the test that it sums up.
        let mut parts = (0, 0);
        while let Some((_, count, failed)) = self
            .levels
            .pop_if(|(indentation, ..)| *indentation > line.indentation)
        {
            parts = (parts.0 + count, parts.1 + failed);
        }
        if self
            .levels
            .last()
            .is_none_or(|(indentation, ..)| *indentation < line.indentation)
        {
            self.levels.push((line.indentation, 0, 0));
        }
        if line.indentation == 0 {
            self.reported += 1;
        }
        let failed = !line.ok && line.skip.is_none();
        if let Some((_, count, failures)) = self.levels.last_mut() {
            *count += 1;
            *failures += u32::from(failed);
        }

        let outcome = match line.skip {
            Some(_) => Outcome::Skipped,
            None if line.ok => Outcome::Passed,
            None => Outcome::Failed,
        };
        let (_, rows) = line.description.split_once("seed:").unwrap_or_default();
        self.results.cover(
            line.description,
            leading_numbers(rows, &[',', ' ']),
            outcome,
        );
        if parts.0 > 0 && (!failed || parts.1 > 0) {
            // Its parts are counted, and they explain it.
            return;
        }
        match outcome {
            Outcome::Skipped => self.skip(line.description, line.skip.unwrap_or_default()),
            Outcome::Passed => self.results.passed += 1,
            Outcome::Failed => self.results.fail(match reason {
                Some(reason) => format!("{}: {reason}", line.description),
                None => line.description.to_owned(),
            }),
        }
    }

    fn skip(&mut self, name: &str, why: &str) {
        let why = if why.is_empty() {
            "no reason given"
        } else {
            why
        };
        self.results.skipped += 1;
        self.results.skips.push(format!("{name}: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn read(output: &str, code: i32) -> Results {
        let mut reader = Ktap::default();
        output.lines().for_each(|line| reader.line(line));
        reader.finish(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn flat() {
        let results = read(
            "KTAP version 1\n1..4\n# vlan: made ns a\nok 1 vlan.access (seed: 17)\n\
             # reason: lost 3\nnot ok 2 - vlan.trunk (seed: 16, 17)\nok 3 stp.kernel # SKIP no bridge module\nok 4 mtu\n\
             # Totals: pass:2 fail:1\n",
            1,
        );
        assert_eq!(results.summary(), "2 passed, 1 failed, 1 skipped");
        assert_eq!(results.failures, ["vlan.trunk (seed: 16, 17): lost 3"]);
        assert_eq!(results.skips, ["stp.kernel: no bridge module"]);
        let row: Vec<Outcome> = results.rows[&17]
            .iter()
            .map(|(_, outcome)| *outcome)
            .collect();
        assert_eq!(row, [Outcome::Passed, Outcome::Failed]);
        assert_eq!(results.rows[&16].len(), 1);
    }

    #[test]
    fn parts_count_instead_of_the_test_that_sums_them_up() {
        let results = read(
            "TAP version 13\n1..3\n  KTAP version 1\n  1..2\n  ok 1 a\n  not ok 2 b\nnot ok 1 first\n\
             \x20 1..1\n  ok 1 c\nok 2 second\nok 3 third\n",
            1,
        );
        assert_eq!(results.summary(), "3 passed, 1 failed, 0 skipped");
        assert_eq!(results.failures, ["b"]);
    }

    #[test]
    fn a_sum_that_fails_without_its_parts_is_a_failure() {
        let results = read("1..1\n  1..1\n  ok 1 a\nnot ok 1 clean-up\n", 1);
        assert_eq!(results.summary(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(results.failures, ["clean-up"]);
    }

    #[test]
    fn a_run_that_stops_in_the_middle_is_a_failure() {
        let results = read("1..3\nok 1 a\n", 0);
        assert_eq!(
            results.failures,
            ["network tests: 3 were planned, 1 reported"]
        );
        assert_eq!(read("1..1\nok 1 a\n", 9).failed, 1);
        assert_eq!(
            read("", 0).failures,
            ["network tests: they printed no plan"]
        );
        let killed = Ktap::default().finish(ExitStatus::from_raw(9));
        assert_eq!(killed.failed, 1);
    }

    #[test]
    fn skipping_everything_is_no_failure_and_no_pass() {
        let results = read("KTAP version 1\n1..0 # SKIP no root\n", SKIPPED);
        assert_eq!(results.summary(), "0 passed, 0 failed, 1 skipped");
        assert_eq!(results.skips, ["all network tests: no root"]);
        assert_eq!(
            read("1..1\nok 1 a # SKIP\n", SKIPPED).skips,
            ["a: no reason given"]
        );
    }

    #[test]
    fn other_lines_are_no_results() {
        for line in ["ok", "okay 1 a", "ok then", "# ok 1 a", "not ok", "1..x"] {
            assert!(
                parse(line).is_none() && parse_plan(line).is_none(),
                "{line}"
            );
        }
    }
}
