//! What concerns only the command line.

use super::{COMMAND, Command};
use crate::grammar::{Action, Generated, SessionAction};

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "help {<command:COMMAND>...}",
        help: "Explain the commands that begin with these words",
        words: &[("<command>", "The first words of a command")],
        handler: |m| {
            let words = m.texts("command").map(String::from).collect();
            Ok(Action::Session(SessionAction::Help(words)))
        },
        ..COMMAND
    },
    Command {
        syntax: "image inspect <file:FILE>",
        help: "Check an image file and show what it is",
        details: "No switch is asked. Whether a signature is trusted is for a switch to say: it has the keys.",
        words: &[("inspect", "Check an image file")],
        handler: |m| {
            let file = m.get("file")?;
            Ok(Action::Session(SessionAction::InspectImage(file)))
        },
        ..COMMAND
    },
    Command {
        syntax: "history",
        help: "Show the commands typed before",
        handler: |_| Ok(Action::Session(SessionAction::History)),
        ..COMMAND
    },
    Command {
        syntax: "enable clipaging",
        help: "Let long answers stop at each page",
        handler: |_| Ok(Action::Session(SessionAction::Paging(true))),
        ..COMMAND
    },
    Command {
        syntax: "disable clipaging",
        help: "Let long answers run through",
        handler: |_| Ok(Action::Session(SessionAction::Paging(false))),
        ..COMMAND
    },
    Command {
        syntax: "[exit | quit | logout]",
        help: "Leave the shell",
        handler: |_| Ok(Action::Session(SessionAction::Exit)),
        ..COMMAND
    },
    Command {
        syntax: "generate [man | reference | bash | zsh | fish]",
        help: "Print the manual page, the command reference or completions of a shell",
        words: &[
            ("man", "The manual page, in roff"),
            ("reference", "The reference of all commands, in Markdown"),
            ("bash", "Completions for bash"),
            ("zsh", "Completions for zsh"),
            ("fish", "Completions for fish"),
        ],
        handler: |m| {
            let what = m.one_of(&[
                ("man", Generated::Man),
                ("reference", Generated::Reference),
                ("bash", Generated::Bash),
                ("zsh", Generated::Zsh),
                ("fish", Generated::Fish),
            ])?;
            Ok(Action::Session(SessionAction::Generate(what)))
        },
        ..COMMAND
    },
];
