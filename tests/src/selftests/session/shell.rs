//! `hitless` in a terminal.

use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};

use super::desk::SYSNAME;
use crate::harness::{
    ktap::Ctx,
    switch::Switch,
    terminal::{Size, Terminal, View, key},
    transcript::Transcript,
};

/// Wide and tall: nothing is cut, and nothing leaves the screen.
pub const LARGE: Size = Size {
    columns: 240,
    rows: 400,
};

/// Whether the line editor waits in this line: it begins `* NAME.N`, the asterisk only if there are unsaved changes, and its
/// prompt ends in `#` or `>`.
#[must_use]
pub fn is_prompt(line: &str) -> bool {
    number(line).is_some()
}

/// The number of the command that is to be typed in a line with a prompt.
#[must_use]
pub fn number(line: &str) -> Option<u32> {
    let line = line.strip_prefix("* ").unwrap_or(line);
    let rest = line.strip_prefix(SYSNAME)?.strip_prefix('.')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    rest.contains(['#', '>'])
        .then(|| rest[..digits].parse().ok())?
}

/// A shell of the operator's, in a terminal.
pub struct Shell {
    /// Its terminal.
    pub terminal: Terminal,
}

impl Shell {
    /// Starts it and waits for its prompt. Its files are the case's, not those of whoever runs the tests.
    ///
    /// # Errors
    /// When it can not be started, or no prompt comes.
    pub fn open(ctx: &Ctx, switch: &Switch, size: Size, options: &[&str]) -> Result<Self> {
        let mut command = switch.hitless()?;
        command
            .args(options)
            .env("HOME", ctx.files())
            .env("XDG_STATE_HOME", ctx.files().join("state"));
        let terminal = Terminal::spawn(ctx.run(), command, size)?;
        let shell = Self { terminal };
        shell.await_prompt()?;
        Ok(shell)
    }

    /// Waits until it waits for a command; gives back what is shown.
    ///
    /// # Errors
    /// When it does not.
    pub fn await_prompt(&self) -> Result<View> {
        self.terminal.await_view("a prompt", |view| {
            is_empty_prompt(view.cursor_line()).then(|| view.clone())
        })
    }

    /// Enters a command and gives back what is shown between it and the next prompt.
    ///
    /// # Errors
    /// When no prompt follows.
    pub fn enter(&mut self, line: &str) -> Result<Vec<String>> {
        let start = self.await_prompt()?.cursor.0;
        self.terminal.line(line)?;
        self.terminal
            .await_view(&format!("the prompt after {line:?}"), |view| {
                let at = view.cursor.0;
                (at > start && is_empty_prompt(view.cursor_line()))
                    .then(|| view.lines[start + 1..at].to_vec())
            })
    }

    /// Leaves it, and gives back how it has ended.
    ///
    /// # Errors
    /// When it does not end.
    pub fn exit(mut self) -> Result<ExitStatus> {
        self.await_prompt()?;
        self.terminal.line("exit")?;
        self.terminal.ended()
    }

    /// Types keys, and rubs the line out when what they bring about has been shown.
    ///
    /// # Errors
    /// When `look` finds nothing in what is shown.
    pub fn look<T>(
        &mut self,
        keys: &str,
        what: &str,
        mut look: impl FnMut(&[String]) -> Option<T>,
    ) -> Result<T> {
        let start = self.await_prompt()?.cursor.0;
        self.terminal.keys(keys)?;
        let (found, line) = self.terminal.await_view(what, |view| {
            let shown = view.lines.get(start..)?;
            // The line editor has the terminal again.
            is_prompt(view.cursor_line()).then_some(())?;
            Some((look(shown)?, view.cursor.0))
        })?;
        self.terminal.keys(key::CTRL_C)?;
        self.terminal.await_view("another prompt", |view| {
            (view.cursor.0 > line && is_empty_prompt(view.cursor_line())).then_some(())
        })?;
        Ok(found)
    }
}

/// Whether a line is a prompt at which nothing is typed.
fn is_empty_prompt(line: &str) -> bool {
    is_prompt(line) && line.ends_with(['#', '>'])
}

/// Plays a golden transcript in a shell of a switch.
///
/// # Errors
/// When the session does not go as the transcript has it.
pub fn play(
    ctx: &Ctx,
    switch: &Switch,
    name: &str,
    text: &str,
    values: &[(&str, &str)],
) -> Result<()> {
    let transcript = Transcript::parse(name, text)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/selftests/session")
        .join(name);
    let mut shell = Shell::open(ctx, switch, LARGE, &[])?;
    transcript
        .play(&mut shell.terminal, is_prompt, values, &source)
        .with_context(|| format!("log of the switch: {}", switch.log_path().display()))?;
    let status = shell.terminal.ended()?;
    ensure!(status.success(), "the shell ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_told_from_other_lines() {
        assert_eq!(number("sw1.1 # "), Some(1));
        assert_eq!(number("* sw1.27 msm-a master # show"), Some(27));
        assert_eq!(number("sw1.3 msm-a master > show"), Some(3));
        for line in ["sw1.1", "sw1. #", "*sw1.1 #", "sw2.1 #", "Switch sw1.1 #"] {
            assert_eq!(number(line), None, "{line}");
        }
        assert!(is_empty_prompt("* sw1.1 #") && !is_empty_prompt("* sw1.1 # x"));
    }
}
