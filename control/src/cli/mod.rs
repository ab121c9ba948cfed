//! The command line: turns words into requests of [`crate::northbound::api`] by the [`crate::grammar`], and answers into
//! tables or JSON. It decides nothing itself. One command, a script on the standard input, or a shell on a terminal.

mod complete;
mod configuration;
mod confirm;
mod failover;
mod failure;
#[cfg(test)]
mod fake;
mod follow;
mod hardware;
mod image;
mod image_file;
mod live;
mod options;
mod ports;
mod render;
mod script;
mod session;
mod shell;
mod stpd;
mod target;
#[cfg(test)]
mod tests;
mod upgrade;

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::because::because;
use crate::chassis;
use crate::grammar::{self, Action, Line};
use crate::northbound::RUN_DIR;
use complete::LiveValues;
use failure::Failure;
use options::{Options, Said};
use render::{Paint, Style};
use session::Session;

/// Runs one command line, its first word being the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Result<Vec<String>, OsString> = arguments
        .into_iter()
        .skip(1)
        .map(OsString::into_string)
        .collect();
    let (result, json) = match arguments {
        Ok(arguments) => {
            if let Some(words) = options::completed(&arguments) {
                complete_words(words);
                return ExitCode::SUCCESS;
            }
            let json = arguments.iter().any(|word| word == "--json");
            match options::of_program(arguments) {
                Ok(said) => (run(said), json),
                // What clap prints for people, help included, is more than an error's message.
                Err(error) if !json || !error.use_stderr() => {
                    // Nowhere to report that the report can not be written.
                    let _ = error.print();
                    return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
                }
                Err(error) => (
                    Err(Failure::Usage(error.to_string().trim_end().to_string())),
                    json,
                ),
            }
        }
        Err(word) => {
            let message = format!("{} is not UTF-8 text", word.display());
            (Err(Failure::Usage(message)), false)
        }
    };
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    if failure.exit_code() != 0 {
        let text = if json {
            format!("{}\n", failure.to_json())
        } else {
            Paint::for_errors().wrong(&failure.report())
        };
        let _ = io::stderr().write_all(text.as_bytes());
    }
    ExitCode::from(failure.exit_code())
}

fn run(said: Said) -> Result<(), Failure> {
    let (options, line) = match said {
        Said::Chassis(options) => {
            return chassis::run(&options).map_err(|e| Failure::Chassis(because(e.as_ref())));
        }
        Said::Command(options, line) => (options, line),
    };
    let style = Style::of_output();
    if line.is_empty() && io::stdin().is_terminal() {
        return shell::run(options, style);
    }
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut errors = io::stderr();
    let result = if line.is_empty() {
        let mut input = io::stdin().lock();
        script::run(&options, style, &mut input, &mut output, &mut errors)
    } else {
        command(options, &line, style, &mut output, &mut errors)
    };
    // What was found out before a failure is shown all the same.
    result.and(output.flush().map_err(Failure::from))
}

/// Runs one command.
fn command(
    options: Options,
    line: &Line,
    style: Style,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> Result<(), Failure> {
    // The words are understood before anyone is asked.
    let parsed = grammar::parse(line)?;
    let mut session = match &parsed.action {
        Action::Session(action) => return session::without_switch(action, options.json, output),
        Action::ClearHardware => Session::for_hardware(options, style)?,
        _ => Session::new(options, style)?,
    };
    session.run(&parsed, output, errors)
}

/// What `hitless complete -- WORDS` prints: nothing that is not sure, and never an error.
fn complete_words(words: &[String]) {
    let options = match options::of_program(words.to_vec()) {
        Ok(Said::Command(options, _)) => options,
        _ => Options::default(),
    };
    let target = target::find(Path::new(RUN_DIR), options.switch, options.socket).ok();
    let live = LiveValues::of(target.as_ref(), "");
    let text = grammar::shell_completion(words, &live);
    // The shell that asks may have lost interest.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Whether colours are welcome at a terminal: see no-color.org.
fn colours_are_welcome() -> bool {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
