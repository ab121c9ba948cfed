//! One long step: says what it does and why, shows that it goes on, and what to do when it fails.

use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a line that can not be rewritten repeats that the step goes on.
const REPEAT: Duration = Duration::from_secs(30);

/// A step of a task.
pub struct Step<'a> {
    /// What is done, such as `install packages`.
    pub name: &'a str,
    /// What for.
    pub why: &'a str,
    /// What to do when it fails, as a sentence.
    pub remedy: &'a str,
    /// Whether what it prints beside progress is shown although all went well, as a compiler's warnings.
    pub warnings: bool,
}

impl Step<'_> {
    /// Announces the step, runs `command` and waits for it.
    ///
    /// # Errors
    /// When it can not be started or does not end well; what it printed is then on standard error.
    pub fn run(&self, command: Command) -> Result<()> {
        let status = self
            .status(command)
            .with_context(|| self.failed("could not be started"))?;
        if !status.success() {
            bail!(self.failed(&format!("failed ({status})")));
        }
        Ok(())
    }

    /// As [`Step::run`], but leaves it to the caller to judge how the command ended.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn status(&self, mut command: Command) -> io::Result<ExitStatus> {
        eprintln!("==> {}: {}", self.name, self.why);
        let started = Instant::now();
        let (reader, writer) = io::pipe()?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn()?;
        // It holds the writing ends, and the pipe would never end.
        drop(command);
        let kept = follow(reader, started);
        let status = child.wait()?;
        if self.warnings || !status.success() {
            for line in &kept {
                eprintln!("    {line}");
            }
        }
        if status.success() {
            eprintln!("    done in {} s", started.elapsed().as_secs());
        }
        Ok(status)
    }

    fn failed(&self, how: &str) -> String {
        format!("{} {how}. {}", self.name, self.remedy)
    }
}

/// Shows progress until the output ends; returns the lines that are more than progress.
fn follow(output: PipeReader, started: Instant) -> Vec<String> {
    let terminal = io::stderr().is_terminal();
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut kept = Vec::new();
    let mut last = String::new();
    let mut shown = Instant::now();
    loop {
        let received = receiver.recv_timeout(Duration::from_millis(500));
        match received {
            Ok(line) => {
                let twice_empty = line.is_empty() && kept.last().is_none_or(String::is_empty);
                if !is_progress(&line) && !twice_empty {
                    kept.push(line.clone());
                }
                if !line.trim().is_empty() {
                    last = line;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let every = if terminal {
            Duration::from_millis(500)
        } else {
            REPEAT
        };
        if shown.elapsed() >= every {
            shown = Instant::now();
            show(terminal, started.elapsed().as_secs(), &last);
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    // It ended when it dropped the sender.
    reader.join().ok();
    kept
}

fn show(terminal: bool, seconds: u64, last: &str) {
    let text: String = last.trim().chars().take(66).collect();
    if terminal {
        eprint!("\r\x1b[K    {seconds} s  {text}");
        io::stderr().flush().ok();
    } else {
        eprintln!("    {seconds} s  {text}");
    }
}

/// Whether cargo prints this line only to show that it goes on.
fn is_progress(line: &str) -> bool {
    const WORDS: [&str; 16] = [
        "Adding",
        "Blocking",
        "Building",
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Executable",
        "Finished",
        "Fresh",
        "Installed",
        "Installing",
        "Locking",
        "Running",
        "Updating",
    ];
    line.split_whitespace()
        .next()
        .is_some_and(|first| WORDS.contains(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const STEP: Step = Step {
        name: "try",
        why: "to see",
        remedy: "Do this.",
        warnings: false,
    };

    #[test]
    fn a_failed_step_says_what_to_do() {
        assert!(STEP.run(shell("exit 0")).is_ok());
        let error = STEP.run(shell("exit 3")).unwrap_err().to_string();
        assert_eq!(error, "try failed (exit status: 3). Do this.");
        let error = format!("{:#}", STEP.run(Command::new("/nonexistent")).unwrap_err());
        assert!(
            error.starts_with("try could not be started. Do this."),
            "{error}"
        );
    }

    #[test]
    fn both_outputs_are_followed_and_progress_is_left_out() {
        let (reader, writer) = io::pipe().unwrap();
        let mut command = shell("echo '   Compiling a v1'; echo one; echo two >&2; printf three");
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        assert_eq!(follow(reader, Instant::now()), ["one", "two", "three"]);
        assert!(child.wait().unwrap().success());
    }
}
