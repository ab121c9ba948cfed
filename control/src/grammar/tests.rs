//! Tests of the grammar: what holds for every command of the table, and what is promised about typing.

mod changes;
mod every_command;
mod junk;
mod pages;
mod samples;
mod shells;
mod stpd;
mod typing;

use super::*;

/// What a line is to do.
fn action(line: &str) -> Action {
    understood(line).action
}

fn understood(line: &str) -> Parsed {
    match Line::split(line).and_then(|line| parse(&line)) {
        Ok(parsed) => parsed,
        Err(error) => panic!("{error}"),
    }
}

/// What is wrong with a line.
fn mistake(line: &str) -> SyntaxError {
    Line::split(line)
        .and_then(|line| parse(&line))
        .err()
        .unwrap_or_else(|| panic!("{line:?} is a command"))
}
