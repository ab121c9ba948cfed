//! What is to be read about commands: help pages, the manual page, the reference.

use super::automaton::{Automaton, Terminal};
use super::matcher;
use super::syntax::Node;
use super::table::{self, Command};
use super::{HelpRow, Line, Privilege, SyntaxError, render_help};

/// An option of the program.
#[derive(Clone, Copy, Debug)]
pub struct ProgramOption {
    /// Its name, with dashes.
    pub name: &'static str,
    /// What its value is called; empty if it has none.
    pub value: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// Options of the program and of each line of the shell; all else is words.
pub const OPTIONS: &[ProgramOption] = &[
    ProgramOption {
        name: "--switch",
        value: "NAME",
        help: "The switch; needed only if there are several",
    },
    ProgramOption {
        name: "--socket",
        value: "PATH",
        help: "Its control socket",
    },
    ProgramOption {
        name: "--json",
        value: "",
        help: "Answers, and errors, as JSON",
    },
    ProgramOption {
        name: "--wait",
        value: "SECONDS",
        help: "How long to look for a new master when one goes away",
    },
    ProgramOption {
        name: "--every",
        value: "SECONDS",
        help: "Show it again and again, whoever is master; Ctrl-C ends it",
    },
    ProgramOption {
        name: "--yes",
        value: "",
        help: "Do not ask for confirmation",
    },
];

/// Exit codes of the program.
const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "refused by the switch"),
    ("2", "wrong usage"),
    ("3", "switch not reachable"),
    ("4", "the master went away during a change"),
    ("5", "done, but not hitless or not equal"),
];

/// What can be said about typing commands, a paragraph each.
const TYPING: &[&str] = &[
    "Keywords may be shortened as long as one command remains: sh msm is show msm-failover. Upper and lower case are one \
     in keywords. \"Quoted words\" are one word and never a keyword; \\\" and \\\\ stand for a quote and a backslash in \
     them. A # at the beginning of a word begins a comment.",
    "In the syntax of commands, [a | b] is a choice, {a} may be left out, {a | b} is a choice that may be left out, <a> \
     stands for a value.",
    "A command that changes the configuration may end in confirmed <seconds>, 10 to 86400: the change is taken back after \
     that time unless confirm configuration follows.",
];

fn visible() -> impl Iterator<Item = (&'static str, Vec<&'static Command>)> {
    table::sections().into_iter().map(|(heading, commands)| {
        let visible = commands.iter().filter(|command| !command.hidden);
        (heading, visible.collect())
    })
}

/// The words of a command that need an explanation, each once: those after its first, and arguments.
#[must_use]
pub fn explained(command: &Command) -> Vec<HelpRow> {
    fn walk(
        command: &Command,
        node: &Node,
        before: &mut Vec<Option<&'static str>>,
        rows: &mut Vec<HelpRow>,
    ) {
        match node {
            Node::Keyword(word) => {
                let terminal = Terminal::Keyword(word);
                let help = table::help_of(command, before, &terminal);
                let first = before.is_empty() && !command.syntax.starts_with('[');
                push(rows, first, terminal.shown(), help.into());
                before.push(Some(word));
            }
            Node::Argument(argument) => {
                let terminal = Terminal::Argument(*argument);
                let help = table::help_of(command, before, &terminal);
                let help = format!("{help}: {}", argument.kind.accepts());
                push(rows, false, terminal.shown(), help);
                before.push(None);
            }
            Node::Sequence(parts) => {
                for part in parts {
                    walk(command, part, before, rows);
                }
            }
            Node::Choice(parts) | Node::AnyOrder(parts) => {
                for part in parts {
                    let mut before = before.clone();
                    walk(command, part, &mut before, rows);
                }
            }
            Node::Optional(inner) => walk(command, inner, &mut before.clone(), rows),
        }
    }
    fn push(rows: &mut Vec<HelpRow>, first: bool, word: String, help: String) {
        if !first && !rows.iter().any(|row| row.word == word) {
            rows.push(HelpRow { word, help });
        }
    }
    let mut rows = Vec::new();
    walk(command, &command.node(), &mut Vec::new(), &mut rows);
    rows
}

/// What `help` shows for the first words of a command: a page if they leave one command, else a list.
///
/// # Errors
/// No command begins so.
pub fn help_page(line: &Line) -> Result<String, SyntaxError> {
    if line.is_empty() {
        let mut text = String::from("Commands begin with\n\n");
        text += &render_help(&super::help("", &())?);
        text += "\nA word may be shortened as long as one command remains. ? shows what can come next, TAB completes.\n\
                 help and the first words of a command: what there is to know about it.\n";
        return Ok(text);
    }
    let automaton = Automaton::of_table();
    let mut commands: Vec<&'static Command> = Vec::new();
    for reading in matcher::readings(line, &line.words)? {
        for place in reading.places() {
            let command = automaton.places[place].command;
            if !commands.iter().any(|known| std::ptr::eq(*known, command)) {
                commands.push(command);
            }
        }
    }
    Ok(match commands.as_slice() {
        [command] => page(command),
        several => several
            .iter()
            .map(|command| format!("{}\n    {}\n", command.node(), command.help))
            .collect(),
    })
}

/// All about one command.
fn page(command: &Command) -> String {
    let mut text = format!("{}\n\n{}.\n", command.node(), command.help);
    if !command.details.is_empty() {
        text += &format!("{}\n", command.details);
    }
    let rows = explained(command);
    if !rows.is_empty() {
        text += &format!("\n{}", render_help(&rows));
    }
    if let Some(who) = who(command) {
        text += &format!("\n{who}\n");
    }
    text
}

fn who(command: &Command) -> Option<&'static str> {
    match command.privilege {
        Privilege::Read => None,
        Privilege::Operate => Some("For admins only."),
        Privilege::Configure => {
            Some("For admins only. May end in confirmed <seconds>, 10 to 86400.")
        }
    }
}

/// The page of `man hitless`, in the language of man(7).
pub(super) fn man() -> String {
    let mut text = String::from(
        ".TH HITLESS 1 \"\" \"Hitless\" \"Hitless\"\n.SH NAME\nhitless \\- shows and commands a Hitless switch\n\
         .SH SYNOPSIS\n.B hitless\n[\\fIOPTION\\fR]... [\\fICOMMAND\\fR]\n.SH DESCRIPTION\n\
         Without a command: a shell on a terminal, else a script from the standard input, which ends at the first \
         error.\n",
    );
    for paragraph in TYPING {
        text += &format!(".PP\n{}\n", roff(paragraph));
    }
    text += ".SH OPTIONS\n";
    for option in OPTIONS {
        text += &format!(".TP\n\\fB{}\\fR", roff(option.name));
        if !option.value.is_empty() {
            text += &format!(" \\fI{}\\fR", roff(option.value));
        }
        text += &format!("\n{}.\n", roff(option.help));
    }
    text += ".SH COMMANDS\n";
    for (heading, commands) in visible() {
        text += &format!(".SS {}\n", roff(heading));
        for command in commands {
            text += &format!(
                ".TP\n\\fB{}\\fR\n{}.\n",
                roff(&command.node().to_string()),
                roff(command.help)
            );
            if !command.details.is_empty() {
                text += &format!("{}\n", roff(command.details));
            }
            let rows = explained(command);
            if !rows.is_empty() {
                text += ".RS\n";
                for row in rows {
                    text += &format!(".TP\n\\fB{}\\fR\n{}\n", roff(&row.word), roff(&row.help));
                }
                text += ".RE\n";
            }
        }
    }
    text += ".SH EXIT STATUS\n";
    for (code, meaning) in EXIT_CODES {
        text += &format!(".TP\n{code}\n{}\n", roff(meaning));
    }
    text
}

/// A text that troff takes as it is.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// The reference of all commands, in Markdown.
pub(super) fn reference() -> String {
    let mut text = String::from(
        "# Command reference\n\nMade by `hitless generate reference` from the table of commands.\n",
    );
    for paragraph in TYPING {
        text += &format!("\n{}\n", markdown(paragraph));
    }
    text += "\nOptions of the program and of each line of the shell:\n\n| Option | Meaning |\n| --- | --- |\n";
    for option in OPTIONS {
        let name = format!("{} {}", option.name, option.value);
        text += &format!("| `{}` | {} |\n", name.trim_end(), markdown(option.help));
    }
    for (heading, commands) in visible() {
        text += &format!("\n## {heading}\n");
        for command in commands {
            text += &format!(
                "\n### {}\n\n```\n{}\n```\n\n{}.\n",
                title(&command.node()),
                command.node(),
                markdown(command.help)
            );
            if !command.details.is_empty() {
                text += &format!("{}\n", markdown(command.details));
            }
            let rows = explained(command);
            if !rows.is_empty() {
                text += "\n| Word | Meaning |\n| --- | --- |\n";
                for row in rows {
                    text += &format!("| `{}` | {} |\n", row.word, markdown(&row.help));
                }
            }
            if let Some(who) = who(command) {
                text += &format!("\n{}\n", markdown(who));
            }
        }
    }
    text += "\n## Exit codes\n\n| Code | Meaning |\n| --- | --- |\n";
    for (code, meaning) in EXIT_CODES {
        text += &format!("| {code} | {meaning} |\n");
    }
    text
}

/// The keywords of a command, as its heading.
fn title(node: &Node) -> String {
    fn keywords(node: &Node, words: &mut Vec<&'static str>) {
        match node {
            Node::Keyword(word) => words.push(word),
            Node::Sequence(parts) => parts.iter().for_each(|part| keywords(part, words)),
            Node::Choice(parts) if words.is_empty() => {
                parts.iter().for_each(|part| keywords(part, words));
            }
            _ => {}
        }
    }
    let mut words = Vec::new();
    keywords(node, &mut words);
    match node {
        Node::Choice(_) => words.join(", "),
        _ => words.join(" "),
    }
}

/// A text that Markdown takes as it is.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '<' | '>' | '|' | '[' | ']' | '{' | '}' | '_' | '*' | '`' | '#'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
