//! The command grammar as data: [`table`] declares every command once, and parsing with abbreviations, errors with a
//! caret, help, completion, manual page, reference and shell completions are all made from it.
//!
//! ```
//! use hitless::grammar::{Action, Line, parse};
//!
//! let parsed = parse(&Line::split("sh vl blue  # a comment").unwrap()).unwrap();
//! assert!(matches!(parsed.action, Action::Ask(_)));
//! assert_eq!(parsed.command.syntax, "show vlan {<vlan:VLAN>}");
//!
//! let error = parse(&Line::split("show prots").unwrap()).unwrap_err();
//! assert!(error.render().starts_with("show prots\n     ^^^^^\n\"prots\" is not understood"));
//! ```
//!
//! The way of a line: [`Line::split`] into words, `matcher` over the `automaton` of all commands, [`Matched`] to the
//! command's handler, which makes an [`Action`]. Nothing here does I/O; what a switch knows comes through [`Live`].

mod action;
mod automaton;
mod complete;
mod error;
mod kinds;
mod matched;
mod matcher;
mod pages;
mod shells;
mod suggest;
mod syntax;
pub mod table;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use action::{Action, ConfigForm, Generated, LogQuery, PortsView, SessionAction, UpgradeWords};
pub use automaton::Terminal;
pub use complete::{Candidate, Completion, HelpRow, Live, complete, help, render_help};
pub use error::{Problem, SyntaxError};
pub use kinds::{Fit, Kind, PortPair, Source, Time};
pub use matched::Matched;
pub use pages::{OPTIONS, ProgramOption, explained, help_page};
pub use shells::shell_completion;
pub use syntax::{Argument, InvalidSyntax, Node};
pub use table::Command;
pub use text::{command_line, text};
pub use words::{Line, Word};

/// What someone must be allowed to, to use a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// To look: members of the read-only group may.
    Read,
    /// To act on the switch: admins only.
    Operate,
    /// To change its configuration: admins only. Such a command may end in `confirmed <seconds>`.
    Configure,
}

/// A line that was understood.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What is to be done.
    pub action: Action,
    /// Seconds, 10 to 86,400, after which the change is taken back unless it is confirmed.
    pub confirmed: Option<u32>,
    /// The command that it is.
    pub command: &'static Command,
}

/// Understands a line.
///
/// # Errors
/// It is no command, or several; [`SyntaxError::render`] shows where. An empty line is no command: see
/// [`Line::is_empty`].
pub fn parse(line: &Line) -> Result<Parsed, SyntaxError> {
    let (command, path) = matcher::command(line)?;
    let matched = Matched::new(&path, &line.words);
    let understood = (command.handler)(&matched)
        .and_then(|action| Ok((action, matched.find(automaton::CONFIRMED)?)));
    match understood {
        Ok((action, confirmed)) => Ok(Parsed {
            action,
            confirmed,
            command,
        }),
        Err(message) => {
            let start = line.words.first().map_or(0, |word| word.start);
            let end = line.words.last().map_or(start, |word| word.end);
            let problem = Problem::Contradiction;
            Err(SyntaxError::new(&line.text, start, end, problem, message))
        }
    }
}

/// What is made from the table of commands.
#[must_use]
pub fn generate(what: Generated) -> String {
    match what {
        Generated::Man => pages::man(),
        Generated::Reference => pages::reference(),
        Generated::Bash => shells::BASH.into(),
        Generated::Zsh => shells::ZSH.into(),
        Generated::Fish => shells::FISH.into(),
    }
}
