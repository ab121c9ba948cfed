//! Every command that there is: it has help wherever one can ask for it, and its mistakes are told where they are.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use hitless::grammar::table::commands;
use hitless::grammar::{Command, Kind, Line, Node, parse};
use serde_json::Value;

use super::desk::{SYSNAME, said};
use super::shell::{LARGE, Shell};
use crate::harness::{
    ktap::{Case, Ctx},
    switch::Switch,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.every-help",
        "every command is in the reference, explains itself by help, and each of its words by a question mark",
        help,
    )
    .timeout(LONG),
    Case::new(
        "session.every-error",
        "every command names the place of a word too many, too few, misspelt or out of range, and what was expected",
        errors,
    )
    .timeout(LONG),
];

const LONG: std::time::Duration = std::time::Duration::from_secs(180);

/// Commands for operators.
fn known() -> impl Iterator<Item = &'static Command> {
    commands().filter(|command| !command.hidden)
}

/// The shortest line that is this: the first of each choice, an example for each argument, nothing that may be left out.
fn shortest(node: &Node) -> Vec<String> {
    match node {
        Node::Keyword(word) => vec![(*word).to_owned()],
        Node::Argument(argument) => vec![argument.kind.example()],
        Node::Sequence(parts) | Node::AnyOrder(parts) => parts.iter().flat_map(shortest).collect(),
        Node::Choice(parts) => parts.first().map(shortest).unwrap_or_default(),
        Node::Optional(_) => Vec::new(),
    }
}

/// The words that a command begins with, whatever follows: one list for each that it may begin with.
fn beginnings(node: &Node) -> Vec<Vec<&'static str>> {
    let parts = match node {
        Node::Sequence(parts) => &parts[..],
        one => std::slice::from_ref(one),
    };
    let mut all = vec![Vec::new()];
    for part in parts {
        match part {
            Node::Keyword(word) => all.iter_mut().for_each(|words| words.push(*word)),
            Node::Choice(choices) if all == [Vec::<&str>::new()] => {
                let words = choices.iter().filter_map(|choice| match choice {
                    Node::Keyword(word) => Some(vec![*word]),
                    _ => None,
                });
                return words.collect();
            }
            _ => break,
        }
    }
    all
}

/// The numbers that a command takes, each with a line that ends in it.
fn numbers(node: &Node, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, i64, i64)>) {
    match node {
        Node::Argument(argument) => {
            if let Kind::Number { low, high } = argument.kind {
                found.push((before.clone(), low, high));
            }
            before.push(argument.kind.example());
        }
        Node::Keyword(word) => before.push((*word).to_owned()),
        Node::Sequence(parts) => parts.iter().for_each(|part| numbers(part, before, found)),
        // Each alternative from the same place; the line goes on behind the first.
        Node::Choice(parts) | Node::AnyOrder(parts) => {
            let start = before.clone();
            for part in parts.iter().rev() {
                before.clone_from(&start);
                numbers(part, before, found);
            }
        }
        Node::Optional(part) => {
            let mut inside = before.clone();
            numbers(part, &mut inside, found);
        }
    }
}

/// A syntax as operators see it: arguments without their kinds, and what may stand in any order just one after the other.
fn shown(syntax: &str) -> String {
    let syntax = syntax.replace(" & ", " ").replace(['(', ')'], "");
    let mut parts = syntax.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (argument, rest) = part.split_once('>').unwrap_or((part, ""));
        let name = argument.split(':').next().unwrap_or_default();
        text += &format!("<{name}>{rest}");
    }
    text
}

/// A text with each run of white space as one blank: what a terminal's width has broken is whole again.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn node(command: &Command) -> Result<Node> {
    Node::parse(command.syntax).context(command.syntax)
}

fn help(ctx: &Ctx) -> Result<()> {
    let netns = ctx.netns("sw")?;
    let config = format!("fdb: {{size: 64}}\nsnmp: {{sysname: {SYSNAME}}}\nvlans: []\nports: []\n");
    let switch = ctx.switch(&netns, "sw", &config)?;
    let reference = switch.cli(&["generate", "reference"])?;
    let manual = flat(&switch.cli(&["generate", "man"])?.replace('\\', ""));
    let mut asked = BTreeSet::new();
    let mut shell = Shell::open(ctx, &switch, LARGE, &[])?;
    for command in known() {
        let syntax = shown(command.syntax);
        ensure!(
            reference.contains(&syntax) && reference.contains(command.help),
            "{syntax} is not in the reference"
        );
        ensure!(
            manual.contains(&flat(command.help)),
            "{syntax} is not in the manual"
        );
        for words in beginnings(&node(command)?) {
            let asked_for = [&["help"], &words[..]].concat();
            let text = flat(&switch.cli(&asked_for)?);
            ensure!(
                text.contains(&flat(command.help)) && text.contains(&flat(&syntax)),
                "{asked_for:?} does not explain {syntax}:\n{text}"
            );
            for end in 0..words.len() {
                let (before, word) = (words[..end].join(" "), words[end]);
                if !asked.insert((before.clone(), word)) {
                    continue;
                }
                let keys = match before.as_str() {
                    "" => "?".to_owned(),
                    before => format!("{before} ?"),
                };
                let meaning = shell
                    .look(&keys, &format!("{word} after {keys:?}"), |lines| {
                        lines.iter().find_map(|line| {
                            let (first, rest) = line.trim_start().split_once(' ')?;
                            (first == word).then(|| rest.trim().to_owned())
                        })
                    })
                    .with_context(|| syntax.clone())?;
                ensure!(
                    meaning.contains(char::is_alphabetic),
                    "{before} {word} has no meaning: {meaning:?}"
                );
            }
        }
    }
    shell.exit()?;
    Ok(())
}

/// Runs a line that is no command, and gives back what is told of it as JSON. Nobody is asked: there is no such switch.
fn wrong(line: &[String]) -> Result<Value> {
    let mut command = std::process::Command::new(crate::harness::switch::binary("hitless")?);
    command
        .args(["--switch", "nobody", "--json"])
        .args(line)
        .stdin(std::process::Stdio::null());
    let ended = command.output().context("run hitless")?;
    let text = said(&ended);
    ensure!(
        ended.status.code() == Some(2),
        "{line:?} ended with {}: {text}",
        ended.status
    );
    let told: Value = serde_json::from_str(&text).with_context(|| format!("{line:?}: {text}"))?;
    let error = told["error"].clone();
    ensure!(
        error["kind"] == "usage"
            && error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
        "{line:?}: {told}"
    );
    Ok(error)
}

/// The word that an error points at.
fn pointed_at(error: &Value) -> Option<&str> {
    let line = error["line"].as_str()?;
    let place = |key: &str| usize::try_from(error[key].as_u64()?).ok();
    line.get(place("start")?..place("end")?)
}

fn errors(ctx: &Ctx) -> Result<()> {
    let mut ranges = 0;
    for command in known() {
        let (syntax, node) = (command.syntax, node(command)?);
        let line = shortest(&node);
        let with = |line: &[String], word: &str| [line, &[word.to_owned()]].concat();

        // A word too many. Some take whatever comes.
        if !syntax.contains("...") {
            let error = wrong(&with(&line, "q!q")).context(syntax)?;
            ensure!(
                pointed_at(&error) == Some("q!q"),
                "{syntax}: a word too many: {error}"
            );
        }
        // A word too few, unless that is another command.
        let short = &line[..line.len() - 1];
        let is_command = known()
            .any(|other| Node::parse(other.syntax).is_ok_and(|other| shortest(&other) == short));
        if !short.is_empty() && !is_command {
            let error = wrong(short).context(syntax)?;
            ensure!(
                error["problem"] == "incomplete"
                    && error["expected"]
                        .as_array()
                        .is_some_and(|words| !words.is_empty()),
                "{syntax}: too short: {error}"
            );
        }
        // Each keyword misspelt.
        for at in 0..line.len() {
            let is_keyword = beginnings(&node)
                .iter()
                .any(|words| words.get(at) == Some(&line[at].as_str()));
            if !is_keyword || line[at].len() < 4 {
                continue;
            }
            let mut mistake = line.clone();
            mistake[at].insert(2, 'q');
            // Where a file can stand as well, any word is one.
            if parse(&Line::from_arguments(&mistake)).is_ok() {
                continue;
            }
            let error = wrong(&mistake).context(syntax)?;
            ensure!(
                pointed_at(&error) == Some(mistake[at].as_str())
                    && error["did_you_mean"] == line[at].as_str(),
                "{syntax}: {mistake:?}: {error}"
            );
        }
        // Numbers beyond their ranges.
        let mut found = Vec::new();
        numbers(&node, &mut Vec::new(), &mut found);
        for (before, low, high) in found {
            for number in [high + 1, i64::MAX]
                .into_iter()
                .chain((low > 1).then(|| low - 1))
            {
                let error = wrong(&with(&before, &number.to_string())).context(syntax)?;
                let message = error["message"].as_str().unwrap_or_default();
                ensure!(
                    pointed_at(&error) == Some(number.to_string().as_str())
                        && message.contains(&low.to_string())
                        && message.contains(&high.to_string()),
                    "{syntax}: {number}: {error}"
                );
                ranges += 1;
            }
        }
    }
    ensure!(ranges > 20, "only {ranges} numbers out of range");

    // The same for people: the line, a caret under the wrong word, and what is wrong.
    let netns = ctx.netns("sw")?;
    let switch = Switch::prepare(ctx.run(), ctx.files(), &netns, "sw", "vlans: []\n")?;
    let ended = switch.hitless()?.args(["show", "prots"]).output()?;
    let text = said(&ended);
    ensure!(
        ended.status.code() == Some(2)
            && text.contains("show prots\n")
            && text.contains("\n     ^^^^^\n")
            && text.contains("did you mean ports?"),
        "{}: {text}",
        ended.status
    );
    Ok(())
}
