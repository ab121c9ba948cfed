//! The shell: `hitless` alone on a terminal.

mod editor;
mod history;
mod interrupt;
mod pager;
mod prompt;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::complete::LiveValues;
use super::failure::Failure;
use super::options::Options;
use super::render::{self, Paint, Style};
use super::session::{self, Session, understand};
use crate::grammar::{self, Action, SessionAction};
pub(super) use interrupt::Interrupts;
use pager::{Pager, Terminal};
use prompt::ShellPrompt;

/// Time that a switch has to tell what the prompt shows.
const PATIENCE: Duration = Duration::from_secs(1);

/// What comes from the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    /// A line, or several that were pasted.
    Line(String),
    /// `?` after these words.
    Help(String),
    /// Ctrl-C: not that line.
    Cancelled,
    /// Ctrl-D: no more.
    End,
}

/// Where lines come from.
trait Keyboard {
    /// The next line.
    ///
    /// # Errors
    /// The terminal is gone.
    fn read(&mut self, prompt: &ShellPrompt) -> io::Result<Input>;
}

/// Where answers go to.
trait Screen {
    /// A place for one answer, a page at a time if it is long and that is wanted.
    fn answer(&mut self, paged: bool) -> impl Write;
    /// A place for errors and notices.
    fn errors(&mut self) -> impl Write;
    /// Columns of that place; sentences may be as long as they are without.
    fn columns(&self) -> Option<usize> {
        None
    }
}

/// The terminal.
struct Tty {
    is_terminal: bool,
}

impl Screen for Tty {
    fn answer(&mut self, paged: bool) -> impl Write {
        let output = io::BufWriter::new(io::stdout().lock());
        Pager::new(Terminal::default(), output, paged && self.is_terminal)
    }

    fn errors(&mut self) -> impl Write {
        io::stderr()
    }

    fn columns(&self) -> Option<usize> {
        self.is_terminal.then(|| pager::window_size().0)
    }
}

/// A mistake: the line and its caret as they are, the sentences after them broken between words.
fn explained(text: &str, columns: Option<usize>) -> String {
    match text.match_indices('\n').nth(1) {
        Some((end, _)) if text[..end].ends_with('^') => {
            format!("{}\n{}", &text[..end], broken(&text[end + 1..], columns))
        }
        _ => broken(text, columns),
    }
}

/// A text with its lines broken between words.
fn broken(text: &str, columns: Option<usize>) -> String {
    let lines = text.lines().flat_map(|line| match columns {
        Some(columns) => textwrap::wrap(line, columns),
        None => vec![line.into()],
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs a shell until the operator leaves it.
///
/// # Errors
/// There is no switch to begin with, or no terminal any more.
pub(super) fn run(options: Options, style: Style) -> Result<(), Failure> {
    let mut session = Session::new(options, style)?;
    // Before there are other threads, which have what the first one has.
    let interrupts = Rc::new(Interrupts::take()?);
    interrupt::end_in_order()?;
    session.set_interrupts(interrupts);
    let paint = Paint::for_errors();
    let (history, trouble) = editor::history();
    if let Some(trouble) = trouble {
        writeln!(io::stderr(), "{trouble}")?;
    }
    let earlier = editor::lines(history.as_ref());
    let mut editor = editor::Editor::new(history, session.follower.target.clone(), paint.0);
    let mut screen = Tty {
        is_terminal: io::stdout().is_terminal(),
    };
    Shell::new(session, paint, earlier).talk(&mut editor, &mut screen)
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Next,
    End,
}

/// A conversation with an operator.
struct Shell {
    session: Session,
    paint: Paint,
    paging: bool,
    /// What the switch called itself last.
    name: String,
    /// Lines of sessions before.
    earlier: Vec<String>,
    /// Lines of this session.
    lines: Vec<String>,
}

impl Shell {
    fn new(session: Session, paint: Paint, earlier: Vec<String>) -> Self {
        let name = session.follower.target.switch.as_ref();
        Self {
            name: name.map_or_else(|| "hitless".into(), ToString::to_string),
            session,
            paint,
            paging: true,
            earlier,
            lines: Vec::new(),
        }
    }

    fn talk(
        &mut self,
        keyboard: &mut impl Keyboard,
        screen: &mut impl Screen,
    ) -> Result<(), Failure> {
        // The master to begin with, so that another one is noticed.
        let _ = self.session.follower.glance(PATIENCE);
        loop {
            let prompt = self.prompt(screen)?;
            match keyboard.read(&prompt)? {
                Input::Line(text) => {
                    for line in text.lines() {
                        if self.line(line, screen)? == Step::End {
                            return Ok(());
                        }
                    }
                }
                Input::Help(line) => self.help(&line, screen)?,
                Input::Cancelled => {}
                Input::End => return Ok(()),
            }
        }
    }

    /// Looks at the switch, and tells what has changed since.
    fn prompt(&mut self, screen: &mut impl Screen) -> Result<ShellPrompt, Failure> {
        let info = self.session.follower.glance(PATIENCE);
        for change in self.session.follower.take_changes() {
            let notice = match self.session.options.json {
                true => json!({"notice": change}).to_string(),
                false => render::modules::change(&change),
            };
            writeln!(screen.errors(), "{notice}")?;
        }
        // Whoever sits at a prompt takes no place away from others.
        self.session.follower.rest();
        if let Some(info) = &info {
            self.name.clone_from(&info.sysname);
        }
        Ok(ShellPrompt {
            name: self.name.clone(),
            number: self.lines.len() + 1,
            session: info,
        })
    }

    /// Does what a line says. Failures are reported, and end nothing.
    ///
    /// # Errors
    /// There is no place for reports any more.
    fn line(&mut self, text: &str, screen: &mut impl Screen) -> Result<Step, Failure> {
        if let Some(interrupts) = &self.session.interrupts {
            // What was hit before is not meant for this line.
            interrupts.forget();
        }
        let understood = understand(text, &self.session.options);
        if !matches!(understood, Ok(None)) {
            self.lines.push(text.trim().to_string());
        }
        let (json, result) = match understood {
            Ok(None) => return Ok(Step::Next),
            Ok(Some((options, parsed))) => {
                let json = options.json;
                match &parsed.action {
                    Action::Session(SessionAction::Exit) => return Ok(Step::End),
                    Action::Session(SessionAction::Paging(on)) => {
                        self.paging = *on;
                        (json, Ok(()))
                    }
                    Action::Session(SessionAction::History) => (
                        json,
                        self.show_history(json, &mut screen.answer(self.paging)),
                    ),
                    _ => (json, self.run(options, &parsed, screen)),
                }
            }
            Err(failure) => (self.session.options.json, Err(failure)),
        };
        if let Err(failure) = result
            && failure.exit_code() != 0
        {
            let text = match (json, &failure) {
                (true, _) => format!("{}\n", failure.to_json()),
                // The caret stands under its word.
                (false, Failure::Syntax(error)) => self
                    .paint
                    .wrong(&explained(&error.to_string(), screen.columns())),
                (false, failure) => {
                    let text = broken(&failure.to_string(), screen.columns());
                    self.paint.wrong(&text)
                }
            };
            screen.errors().write_all(text.as_bytes())?;
        }
        Ok(Step::Next)
    }

    fn run(
        &mut self,
        options: Options,
        parsed: &grammar::Parsed,
        screen: &mut impl Screen,
    ) -> Result<(), Failure> {
        let follows = matches!(&parsed.action, Action::ShowLog(query) if query.follow);
        let paged = self.paging && options.every.is_none() && !follows;
        let mut errors = Vec::new();
        let result = {
            let mut output = screen.answer(paged);
            self.session
                .run_line(options, parsed, &mut output, &mut errors)
        };
        if let Some(interrupts) = &self.session.interrupts
            && interrupts.forget()
        {
            // The terminal has shown it as ^C.
            writeln!(screen.errors())?;
        }
        screen.errors().write_all(&errors)?;
        result
    }

    /// `history`: lines of this session have the numbers that their prompts had.
    fn show_history(&self, json: bool, output: &mut impl Write) -> Result<(), Failure> {
        let earlier = self.earlier.iter().map(|line| (None, line));
        let own = (1..).zip(&self.lines).map(|(n, line)| (Some(n), line));
        let all = earlier.chain(own);
        if json {
            let all: Vec<_> = all
                .map(|(number, line): (Option<usize>, _)| json!({"number": number, "line": line}))
                .collect();
            session::print(output, true, &all, String::new)?;
        } else {
            for (number, line) in all {
                let number = number.map_or(String::new(), |number| number.to_string());
                writeln!(output, "{number:>5}  {line}")?;
            }
        }
        Ok(output.flush()?)
    }

    /// `?`: what can come next.
    fn help(&mut self, line: &str, screen: &mut impl Screen) -> Result<(), Failure> {
        let typed = line.split_whitespace().next_back().unwrap_or_default();
        let live = LiveValues::of(Some(&self.session.follower.target), typed);
        let result = match grammar::help(line, &live) {
            Ok(rows) => {
                let text = grammar::render_help(&rows);
                let mut output = screen.answer(self.paging);
                output.write_all(text.as_bytes()).and(output.flush())
            }
            Err(error) => {
                let text = self.paint.wrong(&format!("{error}\n"));
                screen.errors().write_all(text.as_bytes())
            }
        };
        match result {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
