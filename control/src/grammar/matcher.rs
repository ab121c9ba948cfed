//! Which commands a line can mean.
//!
//! A word is taken for, in this order: a keyword that it spells out; a value of a kind that only such words have
//! (numbers, addresses, lists of ports); a keyword that it is the beginning of; any other value. A beginning that several
//! keywords share is followed up for each of them, and is an error unless the rest of the line leaves one.

use std::collections::BTreeMap;

use super::automaton::{Automaton, Terminal};
use super::error::{Problem, SyntaxError, listed};
use super::kinds::Fit;
use super::suggest;
use super::table::Command;
use super::words::{Line, Word};

/// Words of a line at most; no command needs a tenth of them.
const MAX_WORDS: usize = 256;

/// One way to read the words so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Each word: the keyword that it is taken for, or a value.
    keywords: Vec<Option<&'static str>>,
    /// The places of the words, for each command that they can belong to.
    paths: Vec<Vec<usize>>,
}

/// The beginning of every line.
pub(super) fn beginning() -> Vec<Reading> {
    vec![Reading {
        keywords: Vec::new(),
        paths: vec![Vec::new()],
    }]
}

impl Reading {
    /// The places where the next word can stand, each with the path to it.
    pub fn next(&self) -> impl Iterator<Item = (&[usize], usize)> {
        let automaton = Automaton::of_table();
        self.paths.iter().flat_map(move |path| {
            let next = match path.last() {
                Some(&place) => &automaton.places[place].next,
                None => &automaton.first,
            };
            next.iter().map(move |&place| (path.as_slice(), place))
        })
    }

    /// The paths on which a command may end here.
    pub fn whole(&self) -> impl Iterator<Item = &[usize]> {
        let automaton = Automaton::of_table();
        let whole = move |path: &&Vec<usize>| {
            path.last()
                .is_some_and(|&place| automaton.places[place].last)
        };
        self.paths.iter().filter(whole).map(Vec::as_slice)
    }

    /// The keywords that its words stand for.
    pub fn keywords(&self) -> &[Option<&'static str>] {
        &self.keywords
    }

    /// The places of the last word, for each command that it can belong to.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.paths.iter().filter_map(|path| path.last().copied())
    }

    fn with(&self, keyword: Option<&'static str>, paths: Vec<Vec<usize>>) -> Self {
        let mut keywords = self.keywords.clone();
        keywords.push(keyword);
        Self { keywords, paths }
    }

    /// The ways to read one word more.
    fn advance(&self, word: &Word) -> Vec<Self> {
        let automaton = Automaton::of_table();
        let mut exact: BTreeMap<&'static str, Vec<Vec<usize>>> = BTreeMap::new();
        let mut begun: BTreeMap<&'static str, Vec<Vec<usize>>> = BTreeMap::new();
        let (mut closed, mut open) = (Vec::new(), Vec::new());
        for (path, place) in self.next() {
            let longer = || {
                let mut path = path.to_vec();
                path.push(place);
                path
            };
            match automaton.places[place].terminal {
                Terminal::Keyword(keyword) => {
                    let hidden = path.is_empty() && automaton.places[place].command.hidden;
                    match keyword_fit(word, keyword) {
                        Some(true) => exact.entry(keyword).or_default().push(longer()),
                        Some(false) if !hidden => begun.entry(keyword).or_default().push(longer()),
                        _ => {}
                    }
                }
                Terminal::Argument(argument) => match argument.kind.fit(&word.text) {
                    Fit::Closed => closed.push(longer()),
                    Fit::Open => open.push(longer()),
                    Fit::No { .. } => {}
                },
            }
        }
        if !exact.is_empty() {
            return self.each(exact);
        }
        if !closed.is_empty() {
            return vec![self.with(None, closed)];
        }
        if !begun.is_empty() {
            return self.each(begun);
        }
        if open.is_empty() {
            Vec::new()
        } else {
            vec![self.with(None, open)]
        }
    }

    fn each(&self, keywords: BTreeMap<&'static str, Vec<Vec<usize>>>) -> Vec<Self> {
        keywords
            .into_iter()
            .map(|(keyword, paths)| self.with(Some(keyword), paths))
            .collect()
    }
}

/// Whether the word spells the keyword out, or is the beginning of it. Upper and lower case are one, and scripts for
/// earlier versions may write keywords as options: `--force`.
pub(super) fn keyword_fit(word: &Word, keyword: &str) -> Option<bool> {
    if word.quoted {
        return None;
    }
    let text = bare(&word.text);
    let begins = !text.is_empty()
        && keyword.len() >= text.len()
        && keyword.as_bytes()[..text.len()].eq_ignore_ascii_case(text.as_bytes());
    begins.then_some(keyword.len() == text.len())
}

/// The word without the dashes of an option.
pub(super) fn bare(text: &str) -> &str {
    text.strip_prefix("--").unwrap_or(text)
}

/// All ways to read these words, at least one.
///
/// # Errors
/// The first word that fits none of the ways to read those before it.
pub(super) fn readings(line: &Line, words: &[Word]) -> Result<Vec<Reading>, SyntaxError> {
    if let Some(word) = words.get(MAX_WORDS) {
        let message = format!("a line has {MAX_WORDS} words at most");
        let (start, end) = (word.start, word.end);
        return Err(SyntaxError::new(
            &line.text,
            start,
            end,
            Problem::Word,
            message,
        ));
    }
    let mut readings = beginning();
    for (i, word) in words.iter().enumerate() {
        let next: Vec<Reading> = readings.iter().flat_map(|r| r.advance(word)).collect();
        if next.is_empty() {
            return Err(ambiguous(line, words, &readings, i)
                .unwrap_or_else(|| wrong_word(line, word, &readings)));
        }
        readings = next;
    }
    Ok(readings)
}

/// The one command that the line means: its words' places. Where a line that is not complete could go on in several ways,
/// it is none of them, even if one would be complete as it stands: who types `s` is not to have saved.
///
/// # Errors
/// It means none, or several.
pub(super) fn command(line: &Line) -> Result<(&'static Command, Vec<usize>), SyntaxError> {
    let readings = readings(line, &line.words)?;
    if let Some(error) = ambiguous(line, &line.words, &readings, line.words.len()) {
        return Err(error);
    }
    let path = readings.iter().flat_map(Reading::whole).next();
    match path.and_then(|path| Some((*path.first()?, path.to_vec()))) {
        Some((first, path)) => Ok((Automaton::of_table().places[first].command, path)),
        None => Err(incomplete(line, &readings)),
    }
}

/// If there are several readings of the first `upto` words: the first word in which they differ.
fn ambiguous(
    line: &Line,
    words: &[Word],
    readings: &[Reading],
    upto: usize,
) -> Option<SyntaxError> {
    let (i, mut keywords) = (0..upto).find_map(|i| {
        let mut keywords: Vec<&str> = readings
            .iter()
            .filter_map(|reading| *reading.keywords.get(i)?)
            .collect();
        keywords.sort_unstable();
        keywords.dedup();
        (keywords.len() > 1).then_some((i, keywords))
    })?;
    let word = words.get(i)?;
    keywords.retain(|keyword| keyword_fit(word, keyword).is_some());
    let message = format!(
        "{:?} is short for more than one word: {}",
        word.text,
        listed(&keywords, "and")
    );
    Some(SyntaxError::new(
        &line.text,
        word.start,
        word.end,
        Problem::Ambiguous,
        message,
    ))
}

/// What can stand after these readings, hidden commands apart: each terminal once, in the table's order.
pub(super) fn expected(readings: &[Reading]) -> Vec<Terminal> {
    let automaton = Automaton::of_table();
    let mut terminals: Vec<Terminal> = Vec::new();
    for (path, place) in readings.iter().flat_map(Reading::next) {
        let place = &automaton.places[place];
        let hidden = path.is_empty() && place.command.hidden;
        if !hidden && !terminals.contains(&place.terminal) {
            terminals.push(place.terminal);
        }
    }
    terminals
}

fn shown(terminals: &[Terminal]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for terminal in terminals {
        let shown = match terminal {
            Terminal::Keyword(word) => (*word).into(),
            Terminal::Argument(a) => format!("<{}> ({})", a.name, a.kind.accepts()),
        };
        if !words.contains(&shown) {
            words.push(shown);
        }
    }
    words
}

fn wrong_word(line: &Line, word: &Word, readings: &[Reading]) -> SyntaxError {
    let expected = expected(readings);
    let arguments = expected.iter().filter_map(|terminal| match terminal {
        Terminal::Argument(argument) => Some(argument),
        Terminal::Keyword(_) => None,
    });
    let mut why: Option<String> = None;
    for argument in arguments {
        if let Fit::No { why: reason, near } = argument.kind.fit(&word.text)
            && (near || expected.len() == 1)
        {
            why.get_or_insert(reason);
        }
    }
    let keyword = |text: &str| {
        expected
            .iter()
            .any(|t| matches!(t, Terminal::Keyword(k) if k.eq_ignore_ascii_case(text)))
    };
    let at_end = readings.iter().any(|r| r.whole().next().is_some());
    let (problem, message) = match why {
        Some(why) => (Problem::Value, why),
        None if word.quoted && keyword(&word.text) => (
            Problem::Word,
            format!(
                "{:?} in quotes is never a keyword; write it without them",
                word.text
            ),
        ),
        None if expected.is_empty() => (
            Problem::Word,
            format!(
                "{:?} is one word too many: the command ends before it",
                word.text
            ),
        ),
        None => (
            Problem::Word,
            format!("{:?} is not understood here", word.text),
        ),
    };
    let mut error = SyntaxError::new(&line.text, word.start, word.end, problem, message);
    if !word.quoted {
        error.did_you_mean = suggest::closest(bare(&word.text), &expected);
    }
    error.expected = shown(&expected);
    if at_end && !expected.is_empty() {
        error.expected.push("the end of the command".into());
    }
    error
}

fn incomplete(line: &Line, readings: &[Reading]) -> SyntaxError {
    // Not after a comment.
    let end = line.words.last().map_or(0, |word| word.end);
    let mut error = SyntaxError::new(
        line.text.get(..end).unwrap_or(&line.text),
        end,
        end,
        Problem::Incomplete,
        "the command is not complete",
    );
    error.expected = shown(&expected(readings));
    error
}
