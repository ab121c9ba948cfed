//! Lines made from the syntax of a command by walking it.

use crate::grammar::words::{quoted, quoted_if_needed};
use crate::grammar::{Argument, Command, Fit, Kind, Node, Terminal};

/// A word of a sample.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub terminal: Terminal,
    pub text: String,
}

/// Lines of a command: every choice taken, everything optional there and not there, any order in two orders, arguments at
/// both ends of their range.
pub(super) fn of(command: &Command) -> Vec<Vec<Token>> {
    expand(&command.whole())
}

pub(super) fn joined(tokens: &[Token]) -> String {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    texts.join(" ")
}

fn expand(node: &Node) -> Vec<Vec<Token>> {
    match node {
        Node::Keyword(word) => vec![vec![Token {
            terminal: Terminal::Keyword(word),
            text: (*word).into(),
        }]],
        Node::Argument(argument) => values(argument)
            .into_iter()
            .map(|text| {
                vec![Token {
                    terminal: Terminal::Argument(*argument),
                    text,
                }]
            })
            .collect(),
        Node::Sequence(parts) => sequence(parts.iter().map(expand)),
        Node::Choice(parts) => parts.iter().flat_map(expand).collect(),
        Node::Optional(inner) => {
            let mut lines = vec![Vec::new()];
            lines.extend(expand(inner));
            lines
        }
        Node::AnyOrder(parts) => {
            let mut lines = sequence(parts.iter().map(expand));
            lines.extend(sequence(parts.iter().rev().map(expand)));
            lines
        }
    }
}

fn sequence(parts: impl Iterator<Item = Vec<Vec<Token>>>) -> Vec<Vec<Token>> {
    parts.fold(vec![Vec::new()], |lines, part| {
        let longer = |line: &Vec<Token>| {
            let line = line.clone();
            part.iter()
                .map(move |more| [line.clone(), more.clone()].concat())
        };
        lines.iter().flat_map(longer).collect()
    })
}

fn values(argument: &Argument) -> Vec<String> {
    match argument.kind {
        Kind::Number { low, high } => vec![low.to_string(), high.to_string()],
        kind if format!("{kind:?}") == "VLAN" => vec!["blue".into(), "4094".into()],
        kind => vec![kind.example()],
    }
}

/// A word, in quotes, that can stand for none of these; `None` if any word can.
pub(super) fn wrong(terminals: &[Terminal]) -> Option<String> {
    let fits = |terminal: &Terminal, text| match terminal {
        Terminal::Keyword(_) => false,
        Terminal::Argument(argument) => !matches!(argument.kind.fit(text), Fit::No { .. }),
    };
    ["\u{7f}é", ""]
        .into_iter()
        .find(|text| !terminals.iter().any(|terminal| fits(terminal, text)))
        .map(quoted)
}

#[test]
fn examples_are_typed_as_they_are_shown() {
    for command in crate::grammar::table::commands() {
        for token in of(command).into_iter().flatten() {
            let line = crate::grammar::Line::split(&token.text).unwrap();
            assert_eq!(line.words.len(), 1, "{}", token.text);
            assert_eq!(quoted_if_needed(&line.words[0].text), token.text);
        }
    }
}
