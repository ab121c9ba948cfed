//! A terminal of one's own: a program runs in it, keys are typed, and what is on the screen is waited for.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::unistd::setsid;

use super::process::Process;
use super::run::Run;
use super::switch::DEADLINE;

/// Lines that are remembered after they have left the screen.
const SCROLLBACK: usize = 20_000;

/// Keys that are no letters, as terminals send them.
pub mod key {
    /// Carriage return.
    pub const ENTER: &str = "\r";
    /// Tabulator.
    pub const TAB: &str = "\t";
    /// Arrow up.
    pub const UP: &str = "\x1b[A";
    /// Arrow down.
    pub const DOWN: &str = "\x1b[B";
    /// Rubs out to the left.
    pub const BACKSPACE: &str = "\x7f";
    /// Escape, alone.
    pub const ESCAPE: &str = "\x1b";
    /// Interrupts.
    pub const CTRL_C: &str = "\x03";
    /// End of input.
    pub const CTRL_D: &str = "\x04";
    /// Rubs out the line.
    pub const CTRL_U: &str = "\x15";
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: u16,
    /// Lines on the screen.
    pub rows: u16,
}

impl Size {
    /// What terminals have had since the VT100.
    pub const USUAL: Self = Self {
        columns: 80,
        rows: 24,
    };
}

/// What a terminal shows at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Everything since the start, in lines without blanks at their ends; the last ones are on the screen.
    pub lines: Vec<String>,
    /// The first of them that is on the screen.
    pub top: usize,
    /// Line and column of the cursor.
    pub cursor: (usize, usize),
    /// Nobody has the terminal open any more: nothing more will be shown.
    pub closed: bool,
}

impl View {
    /// What is on the screen.
    #[must_use]
    pub fn screen(&self) -> &[String] {
        &self.lines[self.top.min(self.lines.len())..]
    }

    /// The lines from one on, without empty ones at the end.
    #[must_use]
    pub fn since(&self, start: usize) -> &[String] {
        let used = self.lines.iter().rposition(|line| !line.is_empty());
        self.lines
            .get(start..used.map_or(0, |last| last + 1))
            .unwrap_or_default()
    }

    /// The line with the cursor.
    #[must_use]
    pub fn cursor_line(&self) -> &str {
        self.lines.get(self.cursor.0).map_or("", String::as_str)
    }

    /// The last line that is not empty.
    #[must_use]
    pub fn last_line(&self) -> &str {
        let mut lines = self.lines.iter().rev();
        lines
            .find(|line| !line.is_empty())
            .map_or("", String::as_str)
    }

    /// Whether a text is anywhere, also above the screen.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.since(0) {
            writeln!(f, "| {line}")?;
        }
        Ok(())
    }
}

/// What a terminal must answer when it is asked, and has not answered yet.
#[derive(Debug, Default)]
struct Answers(Vec<u8>);

impl vt100::Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        i1: Option<u8>,
        _i2: Option<u8>,
        params: &[&[u16]],
        c: char,
    ) {
        match (i1, params, c) {
            // Where is the cursor? Line editors ask before each prompt.
            (None, [[6]], 'n') => {
                let (row, column) = screen.cursor_position();
                let report = format!("\x1b[{};{}R", row + 1, column + 1);
                self.0.extend(report.bytes());
            }
            // What kind of terminal is it? A VT102.
            (None, [] | [[0]], 'c') => self.0.extend(b"\x1b[?6c"),
            _ => {}
        }
    }
}

struct State {
    parser: vt100::Parser<Answers>,
    output: Vec<u8>,
    closed: bool,
}

impl State {
    fn view(&mut self) -> View {
        let screen = self.parser.screen_mut();
        let (rows, columns) = screen.size();
        let (rows, above) = (usize::from(rows.get()), screen.scrollback_len());
        let mut lines: Vec<String> = Vec::with_capacity(above + rows);
        // A window of the screen's height is moved down over what was ever shown.
        while lines.len() < above + rows {
            let first = lines.len().min(above);
            screen.set_scrollback(above - first);
            let shown = screen.rows(0, columns.get()).skip(lines.len() - first);
            lines.extend(shown.map(|line| line.trim_end().to_owned()));
        }
        screen.set_scrollback(0);
        let (row, column) = screen.cursor_position();
        View {
            lines,
            top: above,
            cursor: (above + usize::from(row), usize::from(column)),
            closed: self.closed,
        }
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the program prints, and answers what it asks, until nobody has the terminal open.
    fn follow(&self, mut terminal: File) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = terminal.read(&mut buffer) {
            let mut state = self.state();
            state.output.extend(&buffer[..count]);
            state.parser.process(&buffer[..count]);
            let answers = std::mem::take(&mut state.parser.callbacks_mut().0);
            drop(state);
            // Nobody to answer any more: the next read says so, too.
            let _ = terminal.write_all(&answers);
            self.changed.notify_all();
        }
        self.state().closed = true;
        self.changed.notify_all();
    }
}

/// A program in a terminal. Killed when dropped.
pub struct Terminal {
    process: Process,
    keyboard: File,
    shared: Arc<Shared>,
}

impl Terminal {
    /// Starts a command in a new terminal, which it is in control of, in a session of its own.
    ///
    /// # Errors
    /// When there is no terminal to be had, or the command can not be started.
    pub fn spawn(run: &Run, mut command: Command, size: Size) -> Result<Self> {
        let window = Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&window, None).context("a new terminal")?;
        for side in [&pair.master, &pair.slave] {
            keep_from_children(side)?;
        }
        command
            .stdin(pair.slave.try_clone()?)
            .stdout(pair.slave.try_clone()?)
            .stderr(pair.slave)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR");
        // SAFETY: between fork and exec the closure makes system calls only, and allocates nothing.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                // As after a login, whatever we were started with: in the background of a script interrupts are ignored.
                for signal in [libc::SIGINT, libc::SIGQUIT] {
                    if libc::signal(signal, libc::SIG_DFL) == libc::SIG_ERR {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                if libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let process = Process::spawn(run, &mut command)?;
        // With the command go its copies of the terminal: the end is noticed when the program has closed its own.
        drop(command);
        let one = |n| NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN);
        let parser = vt100::Parser::new_with_callbacks(
            one(size.rows),
            one(size.columns),
            SCROLLBACK,
            Answers::default(),
        );
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                parser,
                output: Vec::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let keyboard = File::from(pair.master);
        let (follower, screen) = (shared.clone(), keyboard.try_clone()?);
        std::thread::Builder::new()
            .name("terminal".into())
            .spawn(move || follower.follow(screen))
            .context("thread for a terminal")?;
        Ok(Self {
            process,
            keyboard,
            shared,
        })
    }

    /// The program's process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Types letters and keys ([`key`]).
    ///
    /// # Errors
    /// When the terminal is closed.
    pub fn keys(&mut self, keys: &str) -> Result<()> {
        self.keyboard
            .write_all(keys.as_bytes())
            .with_context(|| format!("type {keys:?}"))
    }

    /// Types a line and enters it.
    ///
    /// # Errors
    /// As [`Terminal::keys`].
    pub fn line(&mut self, line: &str) -> Result<()> {
        self.keys(&format!("{line}{}", key::ENTER))
    }

    /// What it shows now.
    #[must_use]
    pub fn view(&self) -> View {
        self.shared.state().view()
    }

    /// Everything that was printed, with all escape sequences.
    #[must_use]
    pub fn output(&self) -> Vec<u8> {
        self.shared.state().output.clone()
    }

    /// Waits until `look` finds something in what is shown.
    ///
    /// # Errors
    /// When it does not until the usual deadline, or until the program has ended: with what is shown then.
    pub fn await_view<T>(&self, what: &str, look: impl FnMut(&View) -> Option<T>) -> Result<T> {
        self.await_view_for(what, DEADLINE, look)
    }

    /// The same with a deadline of its own.
    ///
    /// # Errors
    /// As [`Terminal::await_view`].
    pub fn await_view_for<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&View) -> Option<T>,
    ) -> Result<T> {
        let start = Instant::now();
        let mut state = self.shared.state();
        loop {
            let view = state.view();
            if let Some(found) = look(&view) {
                return Ok(found);
            }
            if state.closed {
                bail!("the program has ended without {what}; the terminal shows\n{view}");
            }
            let left = deadline.saturating_sub(start.elapsed());
            if left.is_zero() {
                bail!("waited {deadline:?} for {what} in vain; the terminal shows\n{view}");
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a text is shown, anywhere since the start.
    ///
    /// # Errors
    /// As [`Terminal::await_view`].
    pub fn await_text(&self, text: &str) -> Result<()> {
        self.await_view(&format!("{text:?}"), |view| {
            view.contains(text).then_some(())
        })
    }

    /// Waits until nothing was printed for so long. For recording only: a test waits for what it expects.
    pub fn await_quiet(&self, pause: Duration) {
        let mut state = self.shared.state();
        loop {
            let before = state.output.len();
            let waited = self
                .shared
                .changed
                .wait_timeout_while(state, pause, |s| s.output.len() == before && !s.closed);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() || now.closed {
                return;
            }
            state = now;
        }
    }

    /// Waits for the end of the program, and of what it has printed.
    ///
    /// # Errors
    /// When it does not end; with what is shown.
    pub fn ended(&self) -> Result<ExitStatus> {
        let status = self
            .process
            .wait(DEADLINE)
            .with_context(|| format!("the terminal shows\n{}", self.view()))?;
        let start = Instant::now();
        let mut state = self.shared.state();
        while !state.closed {
            let left = DEADLINE.saturating_sub(start.elapsed());
            if left.is_zero() {
                bail!("the program has ended, but its terminal is still open");
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(status)
    }

    /// Hangs up, as a connection that is lost.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn hang_up(&self) -> Result<()> {
        self.process.signal(Signal::SIGHUP)
    }
}

/// No other child that is started meanwhile may hold a terminal open.
fn keep_from_children(side: &OwnedFd) -> Result<()> {
    fcntl(side.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).context("mark a terminal")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, size: Size) -> (Run, Terminal) {
        let run = Run::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let terminal = Terminal::spawn(&run, command, size).unwrap();
        (run, terminal)
    }

    #[test]
    fn a_program_has_the_terminal_and_its_size() {
        let (_run, terminal) = shell(
            "test -t 0 && stty size </dev/tty",
            Size {
                columns: 91,
                rows: 17,
            },
        );
        terminal.await_text("17 91").unwrap();
        assert!(terminal.ended().unwrap().success());
    }

    #[test]
    fn what_is_typed_arrives() {
        let (_run, mut terminal) = shell("read line; echo got $line", Size::USUAL);
        terminal.line("a word").unwrap();
        terminal.await_text("got a word").unwrap();
        assert!(terminal.ended().unwrap().success());
        let error = terminal.await_text("more").unwrap_err().to_string();
        assert!(
            error.contains("has ended") && error.contains("| got a word"),
            "{error}"
        );
    }

    #[test]
    fn what_has_left_the_screen_is_remembered() {
        let size = Size {
            columns: 20,
            rows: 5,
        };
        for count in [1usize, 4, 5, 12, 103] {
            let (_run, terminal) = shell(&format!("seq -f line%g {count}"), size);
            terminal.ended().unwrap();
            let view = terminal.view();
            let wanted: Vec<String> = (1..=count).map(|n| format!("line{n}")).collect();
            assert_eq!(view.lines[..count], wanted, "{count}");
            assert!(view.lines[count..].iter().all(String::is_empty), "{view}");
            assert_eq!(view.screen().len(), 5);
            assert_eq!(view.cursor, (count, 0));
            assert_eq!(view.last_line(), wanted[count - 1]);
        }
    }

    #[test]
    fn a_question_for_the_cursor_is_answered() {
        let (_run, terminal) = shell(
            "stty raw -echo; printf 'abc\\033[6n'; dd bs=1 count=6 2>/dev/null | tail -c 4; stty sane",
            Size::USUAL,
        );
        terminal.ended().unwrap();
        assert!(terminal.view().contains("abc1;4R"), "{}", terminal.view());
    }

    #[test]
    fn an_interrupt_reaches_the_program() {
        use std::os::unix::process::ExitStatusExt;
        // No trap of the shell's: an interrupt between two commands of a script is heard after the second one.
        let (_run, mut terminal) = shell("echo ready; exec cat", Size::USUAL);
        terminal.await_text("ready").unwrap();
        terminal.keys(key::CTRL_C).unwrap();
        let status = terminal.ended().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGINT));
    }
}
