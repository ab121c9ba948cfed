//! Golden transcripts: text files that say what is typed in a session and what the terminal shows then.
//!
//! ```text
//! # A comment; the session's steps follow.
//! $ show vlan 10
//! * sw1.3 # show vlan 10
//! Id  Name  Members
//! 10  blue  {n}
//! ```
//!
//! A line that begins with `$ ` is typed. It is entered, too, unless it ends in `?` or in a key of its own: `<TAB>`, `<UP>`,
//! `<DOWN>`, `<BACKSPACE>`, `<ESC>`, `<CTRL-C>`, `<CTRL-D>`, `<CTRL-U>`, `<WAIT>` (nothing: waits for what follows) or `<ENTER>`.
//! The lines up to the next step are what the terminal must show: from the line with the prompt on, to the last one that is
//! not empty, but without the next prompt.
//!
//! What differs from run to run is written as a placeholder: `{n}` (a number), `{time}` (digits, `:` and `.`), `{*}`
//! (anything, also nothing), and the names that the test gives values to, as `{config}`. In a line with placeholders a run of
//! blanks stands for any run of blanks, since columns are as wide as their contents; rules under headers may be of any length.
//!
//! `HITLESS_RECORD=1` writes the files anew from what is shown (into the source tree that the program was built from): lines
//! that fit what is there already stay as they are, with their placeholders; the rest is to be looked through and committed.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::terminal::{Terminal, View, key};

/// How long a terminal is quiet when a recorded step counts as over.
const QUIET: Duration = Duration::from_millis(1_500);

/// How long a line that is shown may still be redrawn.
const SOON: Duration = Duration::from_secs(3);

/// The variable that asks for recording.
const RECORD: &str = "HITLESS_RECORD";

/// Keys by their names in transcripts.
const KEYS: [(&str, &str); 10] = [
    ("<TAB>", key::TAB),
    ("<UP>", key::UP),
    ("<DOWN>", key::DOWN),
    ("<BACKSPACE>", key::BACKSPACE),
    ("<ESC>", key::ESCAPE),
    ("<CTRL-C>", key::CTRL_C),
    ("<CTRL-D>", key::CTRL_D),
    ("<CTRL-U>", key::CTRL_U),
    ("<ENTER>", key::ENTER),
    ("<WAIT>", ""),
];

/// What is typed, and what is shown after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// As written in the file, without `$ `.
    typed: String,
    shown: Vec<String>,
}

impl Step {
    /// The keys to press.
    fn keys(&self) -> String {
        let mut keys = self.typed.clone();
        for (name, sequence) in KEYS {
            keys = keys.replace(name, sequence);
        }
        if self.is_entered() {
            keys += key::ENTER;
        }
        keys
    }

    /// Whether the line is entered, and so ends in a new prompt.
    fn is_entered(&self) -> bool {
        !self.typed.ends_with('?') && !KEYS.iter().any(|(name, _)| self.typed.ends_with(name))
    }
}

/// A golden transcript.
#[derive(Debug)]
pub struct Transcript {
    /// Name of its file, for messages.
    name: String,
    /// The comment before the first step.
    head: Vec<String>,
    steps: Vec<Step>,
}

impl Transcript {
    /// Reads a file's contents.
    ///
    /// # Errors
    /// When something else than comments stands before the first step.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let (mut head, mut steps) = (Vec::new(), Vec::<Step>::new());
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(typed) = line.strip_prefix("$ ") {
                steps.push(Step {
                    typed: typed.to_owned(),
                    shown: Vec::new(),
                });
            } else if let Some(step) = steps.last_mut() {
                step.shown.push(line.to_owned());
            } else if line.is_empty() || line.starts_with('#') {
                head.push(line.to_owned());
            } else {
                bail!("{name}:{number}: nothing was typed yet, but this is to be shown: {line}");
            }
        }
        Ok(Self {
            name: name.to_owned(),
            head,
            steps,
        })
    }

    /// Plays the session in a terminal that has just been started, step by step. `is_prompt` tells the line editor's line,
    /// `values` what the named placeholders stand for, without their braces. `source` is where the file stands in the source
    /// tree, for recording.
    ///
    /// # Errors
    /// When the terminal does not come to show what it must: with both, side by side.
    pub fn play(
        mut self,
        terminal: &mut Terminal,
        is_prompt: impl Fn(&str) -> bool,
        values: &[(&str, &str)],
        source: &Path,
    ) -> Result<()> {
        let recording = std::env::var_os(RECORD).is_some();
        let mut start = terminal.await_view("the first prompt", |view| {
            let line = view.cursor.0;
            is_prompt(view.cursor_line()).then_some(line)
        })?;
        for (number, step) in (1..).zip(&mut self.steps) {
            terminal.keys(&step.keys())?;
            let entered = step.is_entered();
            // What is shown of this step, and where the next one begins, once all of it is there.
            let shown = |view: &View| -> Option<(Vec<String>, usize)> {
                let lines = view.since(start);
                if view.closed {
                    return Some((lines.to_vec(), start + lines.len()));
                }
                let prompt = lines.iter().rposition(|line| is_prompt(line))?;
                let lines = match entered {
                    // Another prompt than the one that it was typed at.
                    true if prompt > 0 && prompt + 1 == lines.len() => &lines[..prompt],
                    true => return None,
                    false => lines,
                };
                Some((lines.to_vec(), start + prompt))
            };
            if recording {
                terminal.await_quiet(QUIET);
                let view = terminal.view();
                let (lines, next) = shown(&view).with_context(|| {
                    format!("after typing {:?} there is no prompt\n{view}", step.typed)
                })?;
                step.shown = keep(&step.shown, lines, values);
                start = next;
                continue;
            }
            let mut last = Vec::new();
            let mut look = |view: &View, any: bool| {
                last = view.since(start).to_vec();
                let (lines, next) = shown(view)?;
                (any || fits(&step.shown, &lines, values)).then_some(next)
            };
            let what = format!("what {} has", self.name);
            // What does not fit in the end fails soon: only what is being drawn may still change.
            let found = terminal
                .await_view(&what, |view| look(view, entered))
                .and_then(|_| terminal.await_view_for(&what, SOON, |view| look(view, false)));
            start = match found {
                Ok(next) => next,
                Err(error) => {
                    let table = difference(&step.shown, &last, values);
                    return Err(error).with_context(|| {
                        format!(
                            "{} step {number}, after typing {:?} (- expected, + shown):\n{table}",
                            self.name, step.typed
                        )
                    });
                }
            };
        }
        if recording {
            std::fs::write(source, self.text())
                .with_context(|| format!("write {}", source.display()))?;
        }
        Ok(())
    }

    /// As a file.
    fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.head {
            text += line;
            text.push('\n');
        }
        for step in &self.steps {
            let _ = writeln!(text, "$ {}", step.typed);
            for line in &step.shown {
                text += line;
                text.push('\n');
            }
        }
        text
    }
}

/// Whether the lines shown are those expected.
fn fits(expected: &[String], shown: &[String], values: &[(&str, &str)]) -> bool {
    expected.len() == shown.len()
        && expected
            .iter()
            .zip(shown)
            .all(|(expected, shown)| line_fits(expected, shown, values))
}

/// Whether a line is the one expected, see the module.
fn line_fits(expected: &str, shown: &str, values: &[(&str, &str)]) -> bool {
    let is_rule = |line: &str| line.contains('─') && line.chars().all(|c| c == '─' || c == ' ');
    if is_rule(expected) && is_rule(shown) {
        return true;
    }
    let mut wanted = expected.to_owned();
    for (name, value) in values {
        wanted = wanted.replace(&format!("{{{name}}}"), value);
    }
    if wanted == shown {
        return true;
    }
    let loose = expected != wanted || PLACEHOLDERS.iter().any(|(name, _)| wanted.contains(name));
    loose && matches(&squeezed(&wanted), &squeezed(shown))
}

/// With one blank in place of each run of blanks.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a placeholder takes.
type Takes = fn(char) -> bool;

/// Placeholders without a value, and the characters that each takes; all but the last take at least one.
const PLACEHOLDERS: [(&str, Takes); 3] = [
    ("{n}", |c| c.is_ascii_digit()),
    ("{time}", |c| c.is_ascii_digit() || matches!(c, ':' | '.')),
    ("{*}", |_| true),
];

fn matches(wanted: &str, shown: &str) -> bool {
    for (name, takes) in PLACEHOLDERS {
        if let Some(rest) = wanted.strip_prefix(name) {
            let least = usize::from(name != "{*}");
            let taken = shown.chars().take_while(|c| takes(*c)).count();
            let ends = shown.char_indices().map(|(at, _)| at).chain([shown.len()]);
            return ends
                .take(taken + 1)
                .skip(least)
                .any(|end| matches(rest, &shown[end..]));
        }
    }
    match (wanted.chars().next(), shown.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => matches(&wanted[a.len_utf8()..], &shown[b.len_utf8()..]),
        _ => false,
    }
}

/// What a recording writes: an old line where it fits, in their order, else the line shown with names for values.
fn keep(old: &[String], shown: Vec<String>, values: &[(&str, &str)]) -> Vec<String> {
    let mut old = old;
    let line = |shown: String| {
        let found = old.iter().position(|line| line_fits(line, &shown, values));
        if let Some(at) = found {
            let kept = old[at].clone();
            old = &old[at + 1..];
            return kept;
        }
        let mut line = shown;
        for (name, value) in values {
            line = line.replace(value, &format!("{{{name}}}"));
        }
        line
    };
    shown.into_iter().map(line).collect()
}

/// Both, line by line: what is the same once, what differs with `-` and `+`.
fn difference(expected: &[String], shown: &[String], values: &[(&str, &str)]) -> String {
    let (rows, columns) = (expected.len(), shown.len());
    // The longest run of lines in common, from each pair of places to the end.
    let mut common = vec![vec![0usize; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            common[i][j] = if line_fits(&expected[i], &shown[j], values) {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < rows || j < columns {
        if i < rows && j < columns && line_fits(&expected[i], &shown[j], values) {
            let _ = writeln!(text, "  {}", expected[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == columns || (i < rows && common[i + 1][j] >= common[i][j + 1]) {
            let _ = writeln!(text, "- {}", expected[i]);
            i += 1;
        } else {
            let _ = writeln!(text, "+ {}", shown[j]);
            j += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::run::Run;
    use super::super::terminal::Size;
    use super::*;
    use std::process::Command;

    /// Asks for a line, says it back, and goes on until it hears `bye`.
    const ECHO: &str = "n=1; while printf '%s' \"me.$n > \"; read line; do \
        if [ \"$line\" = bye ]; then exit; fi; echo \"heard $line\"; echo; n=$((n+1)); done";

    fn is_prompt(line: &str) -> bool {
        line.starts_with("me.") && line.contains('>')
    }

    fn play(text: &str) -> Result<()> {
        let run = Run::new()?;
        let mut command = Command::new("sh");
        command.args(["-c", ECHO]);
        let mut terminal = Terminal::spawn(&run, command, Size::USUAL)?;
        let transcript = Transcript::parse("echo.txt", text)?;
        transcript.play(
            &mut terminal,
            is_prompt,
            &[("who", "anna")],
            Path::new("echo.txt"),
        )
    }

    #[test]
    fn a_session_that_goes_as_written_passes() {
        play("# Words.\n$ one\nme.1 > one\nheard one\n\n$ two anna\nme.2 > two {who}\nheard two {who}\n\n$ bye\nme.{n} > bye\n").unwrap();
    }

    #[test]
    fn another_line_is_shown_with_its_surroundings() {
        let error = play("$ one\nme.1 > one\nheard two\n\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("echo.txt step 1, after typing \"one\""),
            "{text}"
        );
        assert!(
            text.contains("  me.1 > one\n- heard two\n+ heard one\n"),
            "{text}"
        );
    }

    #[test]
    fn lines_too_many_are_noticed() {
        assert!(play("$ one\nme.1 > one\nheard one\n$ two\nme.2 > two\n").is_err());
        assert!(play("$ one\nme.1 > one\n").is_err());
    }

    #[test]
    fn placeholders_take_what_they_name() {
        let values = [("who", "anna")];
        for (wanted, shown) in [
            ("pid {n}", "pid 123"),
            ("pid {n}, up {time}", "pid 1, up 00:00:12"),
            ("{who} is {*}", "anna is here and there"),
            ("a {n}  b", "a 12 b"),
            ("x{*}", "x"),
            ("──  ───", "────  ─"),
        ] {
            assert!(line_fits(wanted, shown, &values), "{wanted} / {shown}");
        }
        for (wanted, shown) in [
            ("pid {n}", "pid "),
            ("pid {n}", "pid 12a"),
            ("a  b", "a b"),
            ("{who}", "bert"),
            ("──  ───", "a"),
        ] {
            assert!(!line_fits(wanted, shown, &values), "{wanted} / {shown}");
        }
    }

    #[test]
    fn a_recording_keeps_placeholders() {
        let old = ["pid {n}", "gone", "end"].map(String::from);
        let shown = ["pid 7", "new anna", "end"].map(String::from).to_vec();
        assert_eq!(
            keep(&old, shown, &[("who", "anna")]),
            ["pid {n}", "new {who}", "end"]
        );
    }

    #[test]
    fn keys_have_names() {
        let step = |typed: &str| Step {
            typed: typed.into(),
            shown: Vec::new(),
        };
        assert_eq!(step("sh<TAB>").keys(), "sh\t");
        assert_eq!(step("show ?").keys(), "show ?");
        assert_eq!(step("<UP><ENTER>").keys(), "\x1b[A\r");
        assert_eq!(step("show fdb").keys(), "show fdb\r");
        assert!(step("show fdb").is_entered() && !step("<UP>").is_entered());
    }
}
