//! `hitless < FILE`: a command a line, up to the first that fails.

use std::io::{BufRead, Read, Write};

use super::failure::Failure;
use super::options::Options;
use super::render::Style;
use super::session::{Session, understand, without_switch};
use crate::grammar::{Action, SessionAction};

/// Longest line, in bytes, with its end.
const MAX_LINE: u64 = 64 * 1024;

/// Before the first line, as some editors write it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Runs the lines of a script. Blank lines and comments count, but do nothing; `exit` ends it.
///
/// # Errors
/// What failed, with the number of the line.
pub(super) fn run(
    options: &Options,
    style: Style,
    input: &mut impl BufRead,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> Result<(), Failure> {
    let mut session = None;
    for line in 1.. {
        let done = read(input).and_then(|text| match text {
            // What an editor may put before everything else is no part of it.
            Some(text) => run_line(
                text.trim_start_matches(BYTE_ORDER_MARK),
                options,
                style,
                &mut session,
                output,
                errors,
            ),
            None => Ok(Step::End),
        });
        match done {
            Ok(Step::Next) => {}
            Ok(Step::End) => break,
            // Nobody is there to read more: well at the end, and else the rest is not done.
            Err(failure) if failure.exit_code() == 0 => {
                return Err(match is_at_end(input) {
                    true => failure,
                    false => Failure::Line {
                        line: line + 1,
                        failure: Box::new(Failure::File(CLOSED.into())),
                    },
                });
            }
            Err(failure) => {
                return Err(Failure::Line {
                    line,
                    failure: Box::new(failure),
                });
            }
        }
    }
    let note = session.map_or("", |session: Session| session.unsaved_note());
    Ok(errors.write_all(note.as_bytes())?)
}

/// Why a script ends whose output nobody reads.
const CLOSED: &str =
    "this line and those after it were not run: whoever read the output has closed it";

/// Whether nothing but blank lines and comments is left.
fn is_at_end(input: &mut impl BufRead) -> bool {
    loop {
        match read(input) {
            Ok(None) => return true,
            Ok(Some(text))
                if text.trim_start().is_empty() || text.trim_start().starts_with('#') => {}
            _ => return false,
        }
    }
}

enum Step {
    Next,
    End,
}

/// The next line, without its end; `None` after the last one.
fn read(input: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let read = input
        .take(MAX_LINE)
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::File(format!("the script can not be read: {error}")))?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 == MAX_LINE && !line.ends_with(b"\n") {
        let message = format!("is longer than {MAX_LINE} bytes");
        return Err(Failure::Usage(message));
    }
    let line = String::from_utf8(line).map_err(|_| Failure::Usage("is not UTF-8 text".into()))?;
    Ok(Some(line.trim_end_matches(['\n', '\r']).into()))
}

fn run_line(
    text: &str,
    base: &Options,
    style: Style,
    session: &mut Option<Session>,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> Result<Step, Failure> {
    let Some((options, parsed)) = understand(text, base)? else {
        return Ok(Step::Next);
    };
    match &parsed.action {
        Action::Session(SessionAction::Exit) => return Ok(Step::End),
        Action::Session(action) => without_switch(action, options.json, output)?,
        action => {
            let session = match session {
                Some(session) => session,
                None => {
                    let options = options.clone();
                    let mut new = match action {
                        Action::ClearHardware => Session::for_hardware(options, style)?,
                        _ => Session::new(options, style)?,
                    };
                    new.stdin_is_script = true;
                    session.insert(new)
                }
            };
            session.run_line(options, &parsed, output, errors)?;
        }
    }
    Ok(Step::Next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::{Switch, answer, refuse};
    use crate::northbound::api::{ConfiguredInfo, ErrorKind, Reply};
    use std::io;

    fn ran(switch: &Switch, script: &[u8]) -> (Result<(), Failure>, String) {
        let mut output = Vec::new();
        let options = switch.options("");
        let result = run(
            &options,
            Style::Plain,
            &mut &*script,
            &mut output,
            &mut Vec::new(),
        );
        (result, String::from_utf8(output).unwrap())
    }

    #[test]
    fn blank_lines_and_comments_do_nothing() {
        let switch = Switch::new(vec![vec![answer(Reply::FdbCleared { removed: 3 })]]);
        let script = b"# a script\r\n\r\n  clear fdb  # all\n\ndisable clipaging\nclear fdb --json";
        let (result, output) = ran(&switch, script);
        result.unwrap();
        assert_eq!(
            output,
            "Removed 3 learned addresses.\n{\n  \"removed\": 3\n}\n"
        );
    }

    #[test]
    fn the_first_failure_ends_it() {
        let switch = Switch::new(vec![vec![
            answer(Reply::FdbCleared { removed: 1 }),
            refuse(ErrorKind::NotFound, "VLAN 7 does not exist"),
        ]]);
        let (result, output) = ran(&switch, b"clear fdb\nclear fdb vlan 7\nclear fdb\n");
        let failure = result.unwrap_err();
        assert_eq!(failure.to_string(), "line 2: VLAN 7 does not exist");
        assert_eq!(
            (
                failure.exit_code(),
                failure.to_json()["script_line"].as_u64()
            ),
            (1, Some(2))
        );
        assert_eq!(output, "Removed 1 learned address.\n");
    }

    #[test]
    fn a_word_that_is_wrong_is_shown_in_its_line() {
        let switch = Switch::new(vec![vec![answer(Reply::Done {})]]);
        let (result, _) = ran(&switch, b"\n\nshow prots\n");
        let failure = result.unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        let text = failure.report();
        assert!(
            text.starts_with("hitless: line 3:\nshow prots\n     ^^^^^\n"),
            "{text}"
        );
    }

    /// Takes nothing, as a pipe that was closed at its other end.
    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_is_closed_is_no_success_while_lines_are_left() {
        for (rest, code) in [("", 0), ("\n# the end\n", 0), ("clear fdb\n", 1)] {
            let switch = Switch::new(vec![vec![answer(Reply::FdbCleared { removed: 3 })]]);
            let script = format!("\u{feff}clear fdb\n{rest}");
            let result = run(
                &switch.options(""),
                Style::Plain,
                &mut script.as_bytes(),
                &mut ClosedPipe,
                &mut Vec::new(),
            );
            let failure = result.unwrap_err();
            assert_eq!(failure.exit_code(), code, "{rest:?}: {failure}");
            assert!(code == 0 || failure.to_string().starts_with("line 2: "));
        }
    }

    #[test]
    fn what_is_not_saved_is_said_once_at_the_end() {
        let configured = |unsaved| {
            answer(Reply::Configured(Box::new(ConfiguredInfo {
                changed: true,
                unsaved,
                notes: Vec::new(),
                rollback_seconds: None,
            })))
        };
        for (unsaved, lines) in [(true, 1), (false, 0)] {
            let switch = Switch::new(vec![vec![configured(true), configured(unsaved)]]);
            let mut errors = Vec::new();
            run(
                &switch.options(""),
                Style::Plain,
                &mut &b"create vlan 10\ndelete vlan 10\n"[..],
                &mut Vec::new(),
                &mut errors,
            )
            .unwrap();
            let errors = String::from_utf8(errors).unwrap();
            assert_eq!(errors.matches("not saved").count(), lines, "{errors}");
        }
    }

    #[test]
    fn exit_ends_it_well() {
        let switch = Switch::new(vec![vec![answer(Reply::Done {})]]);
        ran(&switch, b"exit\nnonsense\n").0.unwrap();
    }

    #[test]
    fn lines_that_are_none() {
        let switch = Switch::new(vec![vec![answer(Reply::Done {})]]);
        let (result, _) = ran(&switch, b"\n\xff\n");
        assert_eq!(result.unwrap_err().to_string(), "line 2: is not UTF-8 text");
        let (result, _) = ran(&switch, &vec![b'x'; 100_000]);
        assert_eq!(result.unwrap_err().exit_code(), 2);
        // The script itself is what comes from there.
        let (result, _) = ran(&switch, b"download configuration -\n");
        assert!(
            result
                .unwrap_err()
                .to_string()
                .contains("commands of this script")
        );
    }
}
