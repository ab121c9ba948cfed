//! The output of `cargo test`, standard output and standard error together.

use std::process::ExitStatus;

use super::{Outcome, Reader, Results, leading_numbers};

/// Reads several test programs, one after the other.
#[derive(Default)]
pub struct Libtest {
    results: Results,
    /// The program that runs, and how many of its failures were named; none before its first line and
    /// after its result.
    running: Option<(String, u32)>,
}

impl Reader for Libtest {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        // Aligned as only cargo does, so that what a test prints is not taken for it.
        if let Some(program) = line
            .strip_prefix("     Running ")
            .or_else(|| line.strip_prefix("   Doc-tests "))
        {
            self.end_of_program();
            // `unittests src/lib.rs (target/release/deps/hitless-0123456789abcdef)`
            let path = program.rsplit_once('/').map_or(program, |(_, file)| file);
            let name = path
                .trim_end_matches(')')
                .rsplit_once('-')
                .map_or(path, |(name, _)| name);
            self.running = Some((name.to_owned(), 0));
        } else if let Some(result) = text.strip_prefix("test result: ") {
            self.result(result);
        } else if let Some((name, how)) = text
            .strip_prefix("test ")
            .and_then(|test| test.rsplit_once(" ... "))
        {
            self.test(name, how);
        }
    }

    fn finish(mut self, status: ExitStatus) -> Results {
        self.end_of_program();
        if !status.success() && self.results.failed == 0 {
            self.results.fail(format!("cargo test ended with {status}"));
        }
        self.results
    }
}

impl Libtest {
    fn test(&mut self, name: &str, how: &str) {
        let name = match &self.running {
            Some((program, _)) => format!("{program}: {name}"),
            None => name.to_owned(),
        };
        let outcome = if how == "ok" {
            Outcome::Passed
        } else if how == "FAILED" {
            self.results.failures.push(name.clone());
            if let Some((_, named)) = &mut self.running {
                *named += 1;
            }
            Outcome::Failed
        } else if let Some(why) = how.strip_prefix("ignored") {
            let why = why.trim_start_matches(", ");
            let why = if why.is_empty() { "ignored" } else { why };
            self.results.skips.push(format!("{name}: {why}"));
            Outcome::Skipped
        } else {
            return;
        };
        let rows = name
            .split("::")
            .flat_map(|part| part.split("seed_").skip(1))
            .flat_map(|rows| leading_numbers(rows, &['_']))
            .collect::<Vec<u8>>();
        self.results.cover(&name, rows, outcome);
    }

    /// `ok. 13 passed; 0 failed; 1 ignored; 0 measured; ...`: the counts come from here, since a line
    /// of a single test may be torn by what a child process prints.
    fn result(&mut self, text: &str) {
        let counts = text.split_once(". ").map_or(text, |(_, counts)| counts);
        let count = |what: &str| {
            counts
                .split("; ")
                .find_map(|part| part.strip_suffix(what)?.trim().parse::<u32>().ok())
                .unwrap_or(0)
        };
        let failed = count("failed");
        self.results.passed += count("passed");
        self.results.failed += failed;
        self.results.skipped += count("ignored");
        if let Some((program, named)) = self.running.take()
            && named < failed
        {
            self.results
                .failures
                .push(format!("{program}: {} more", failed - named));
        }
    }

    /// A program that gave no result was killed or aborted.
    fn end_of_program(&mut self) {
        if let Some((program, _)) = self.running.take() {
            self.results
                .fail(format!("{program}: ended before its result"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn read(output: &str, code: i32) -> Results {
        let mut reader = Libtest::default();
        output.lines().for_each(|line| reader.line(line));
        reader.finish(ExitStatus::from_raw(code << 8))
    }

    const TWO: &str = "
   Compiling hitless v0.1.0
     Running unittests src/lib.rs (/t/release/deps/hitless_wire-8b5a965480ee51f9)

running 4 tests
test tag::tests::seed_16_17_kept ... ok
test tag::tests::popped ... FAILED
test tag::tests::slow ... ignored, needs an hour
test tag::tests::panics - should panic ... ok

failures:
    tag::tests::popped

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

error: test failed, to rerun pass `-p hitless-wire --lib`
   Doc-tests hitless_wire

running 1 test
test wire/src/lib.rs - tag (line 10) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn counts_names_and_rows() {
        let results = read(TWO, 101);
        assert_eq!(results.summary(), "3 passed, 1 failed, 1 skipped");
        assert_eq!(results.failures, ["hitless_wire: tag::tests::popped"]);
        assert_eq!(
            results.skips,
            ["hitless_wire: tag::tests::slow: needs an hour"]
        );
        assert_eq!(results.rows.keys().copied().collect::<Vec<u8>>(), [16, 17]);
        assert_eq!(results.rows[&16][0].1, Outcome::Passed);
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let died = "     Running tests/a.rs (/t/deps/a-01)\ntest x ... ok\n\
                    \x20    Running tests/b.rs (/t/deps/b-02)\n\
                    test result: ok. 5 passed; 0 failed; 0 ignored\nRunning late (a/c-1)";
        let results = read(died, 101);
        assert_eq!(results.summary(), "5 passed, 1 failed, 0 skipped");
        assert_eq!(results.failures, ["a: ended before its result"]);
    }

    #[test]
    fn a_run_that_fails_without_a_test_is_a_failure() {
        assert_eq!(
            read("error: could not compile", 101).failures,
            ["cargo test ended with exit status: 101"]
        );
        assert_eq!(read("", 0), Results::default());
    }

    #[test]
    fn failures_whose_line_was_torn_are_counted() {
        let torn = "     Running unittests src/lib.rs (/t/deps/a-01)\ntest x ... noise\n\
                    test result: FAILED. 0 passed; 2 failed; 0 ignored";
        let results = read(torn, 101);
        assert_eq!(
            (results.failed, results.failures),
            (2, vec!["a: 2 more".to_owned()])
        );
    }
}
