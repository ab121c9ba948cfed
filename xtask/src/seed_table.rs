//! The capabilities that the seed documents ask for, and the tests that show each.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::results::Outcome;

const TABLE: &str = include_str!("seed_table.txt");

/// The table with the tests of each row.
pub fn render(tests: &BTreeMap<u8, Vec<(String, Outcome)>>) -> String {
    let mut text = String::new();
    let mut shown = 0;
    for line in TABLE.lines() {
        if let Some(group) = line.strip_prefix("## ") {
            writeln!(text, "\n{group}").ok();
            continue;
        }
        let Some((row, capability)) = line.split_once('\t') else {
            continue;
        };
        let tests = row
            .parse()
            .ok()
            .and_then(|row: u8| tests.get(&row))
            .map_or(&[][..], Vec::as_slice);
        let state = state(tests);
        shown += usize::from(state == "shown");
        writeln!(text, "{row:>3}  {state:7}  {capability}").ok();
        for (name, outcome) in tests {
            let how = match outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            writeln!(text, "              {how}: {name}").ok();
        }
    }
    writeln!(
        text,
        "\n{shown} of {} rows are shown by tests that passed",
        rows().count()
    )
    .ok();
    text
}

/// One word for a row: a single failure outweighs all else, and a skip shows nothing.
fn state(tests: &[(String, Outcome)]) -> &'static str {
    let any = |wanted: Outcome| tests.iter().any(|(_, outcome)| *outcome == wanted);
    if any(Outcome::Failed) {
        "FAILED"
    } else if any(Outcome::Passed) {
        "shown"
    } else if any(Outcome::Skipped) {
        "skipped"
    } else {
        "-"
    }
}

fn rows() -> impl Iterator<Item = u8> {
    TABLE
        .lines()
        .filter_map(|line| line.split_once('\t')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_there_once_and_in_order() {
        assert!(rows().eq(1..=68));
    }

    #[test]
    fn rows_show_their_tests() {
        let test = |name: &str, outcome| (name.to_owned(), outcome);
        let tests = BTreeMap::from([
            (16, vec![test("links", Outcome::Passed)]),
            (
                17,
                vec![
                    test("fdb", Outcome::Passed),
                    test("fdb.kill", Outcome::Failed),
                ],
            ),
            (20, vec![test("stp", Outcome::Skipped)]),
        ]);
        let text = render(&tests);
        for expected in [
            " 16  shown    Links stay up",
            "              ok: links\n",
            " 17  FAILED   Learned MAC FDB",
            "              FAILED: fdb.kill\n",
            " 20  skipped  STP/RSTP",
            " 18  -        Load sharing",
            "\nState preserved\n",
            "1 of 68 rows are shown",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
        }
    }
}
