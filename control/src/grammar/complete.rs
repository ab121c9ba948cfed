//! What can be typed next: completion and `?`.

use std::ops::Range;

use super::SyntaxError;
use super::automaton::{Automaton, Terminal};
use super::kinds::Source;
use super::matcher::{self, Reading};
use super::table;
use super::words::{Line, Word, quoted, quoted_if_needed, scan};

/// Values of a switch that `?` lists at most.
const LISTED: usize = 24;

/// What the switch knows at the moment.
pub trait Live {
    /// Values and what they are, in the order in which they are to be shown; empty if nobody can tell.
    fn values(&self, source: Source) -> Vec<(String, String)>;
}

/// Knows nothing: for help and completion without a switch.
impl Live for () {
    fn values(&self, _: Source) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is to stand in the place of [`Completion::replace`], quoted if need be.
    pub text: String,
    /// What it means; may be empty.
    pub help: String,
    /// Whether it is a beginning that goes on without a blank.
    pub partial: bool,
}

/// The ways to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The word being typed, in bytes of the line; empty at the place of the cursor for a new one.
    pub replace: Range<usize>,
    /// Keywords first, in the table's order, then values; none twice.
    pub candidates: Vec<Candidate>,
}

/// A line of help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpRow {
    /// A keyword, `<argument>`, a value indented by two blanks, or `<Enter>`.
    pub word: String,
    /// What it means.
    pub help: String,
}

/// The words before the one being typed, and that.
struct Cursor {
    line: Line,
    before: Vec<Word>,
    partial: Word,
}

/// `None` within a comment.
fn cursor(line: &str, cursor: usize) -> Option<Cursor> {
    let mut end = cursor.min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let text = &line[..end];
    let mut scan = scan(text);
    if scan.in_comment {
        return None;
    }
    let partial = scan.words.pop_if(|_| scan.in_word).unwrap_or(Word {
        text: String::new(),
        start: end,
        end,
        quoted: false,
    });
    Some(Cursor {
        line: Line {
            text: text.into(),
            words: Vec::new(),
        },
        before: scan.words,
        partial,
    })
}

/// Words that begin as the one before the cursor (a byte of the line) does and can stand there. None if the words before
/// it are wrong.
#[must_use]
pub fn complete(line: &str, at: usize, live: &dyn Live) -> Completion {
    let Some(cursor) = cursor(line, at) else {
        return Completion::default();
    };
    let Ok(readings) = matcher::readings(&cursor.line, &cursor.before) else {
        return Completion::default();
    };
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut add = |candidate: Candidate| {
        if !candidates.iter().any(|c| c.text == candidate.text) {
            candidates.push(candidate);
        }
    };
    let places = places(&readings);
    for (terminal, help) in &places {
        if let Terminal::Keyword(keyword) = terminal
            && begins(&cursor.partial, keyword)
        {
            add(Candidate {
                text: (*keyword).into(),
                help: (*help).into(),
                partial: false,
            });
        }
    }
    for (terminal, _) in &places {
        if let Terminal::Argument(argument) = terminal
            && argument.kind.is_command()
        {
            for candidate in of_command(&cursor, live) {
                add(candidate);
            }
        } else if let Terminal::Argument(argument) = terminal
            && let Some(source) = argument.kind.source()
        {
            let typed = &cursor.partial;
            // Of several only the last one is being typed.
            let separators = argument.kind.separators();
            let list = typed.text.rfind(separators).map_or(0, |at| at + 1);
            let (done, item) = typed.text.split_at(list);
            for (value, help) in live.values(source) {
                if value.starts_with(item) {
                    let value = format!("{done}{value}");
                    add(Candidate {
                        text: if typed.quoted {
                            quoted(&value)
                        } else {
                            quoted_if_needed(&value)
                        },
                        help,
                        partial: false,
                    });
                }
            }
        }
    }
    Completion {
        replace: cursor.partial.start..cursor.partial.end,
        candidates,
    }
}

/// Of the words after `help`.
fn of_command(cursor: &Cursor, live: &dyn Live) -> Vec<Candidate> {
    let Some(rest) = cursor
        .before
        .get(1)
        .map_or(Some(cursor.partial.start), |word| Some(word.start))
    else {
        return Vec::new();
    };
    match cursor.line.text.get(rest..) {
        // Each step is a word shorter.
        Some(rest) => complete(rest, rest.len(), live).candidates,
        None => Vec::new(),
    }
}

/// Whether a file's name can be the next word.
pub(super) fn expects_file(line: &str) -> bool {
    let Some(cursor) = cursor(line, line.len()) else {
        return false;
    };
    let Ok(readings) = matcher::readings(&cursor.line, &cursor.before) else {
        return false;
    };
    places(&readings).iter().any(|(terminal, _)| {
        matches!(terminal, Terminal::Argument(a) if a.kind.source() == Some(Source::Files))
    })
}

fn begins(typed: &Word, keyword: &str) -> bool {
    (typed.text.is_empty() && !typed.quoted) || matcher::keyword_fit(typed, keyword).is_some()
}

/// What can stand next and what it means, each terminal once; hidden commands only after their first word.
fn places(readings: &[Reading]) -> Vec<(Terminal, &'static str)> {
    let automaton = Automaton::of_table();
    let mut places: Vec<(Terminal, &'static str)> = Vec::new();
    for (reading, path, place) in readings.iter().flat_map(|reading| {
        reading
            .next()
            .map(move |(path, place)| (reading, path, place))
    }) {
        let place = &automaton.places[place];
        if path.is_empty() && place.command.hidden {
            continue;
        }
        if !places
            .iter()
            .any(|(terminal, _)| *terminal == place.terminal)
        {
            let help = table::help_of(place.command, reading.keywords(), &place.terminal);
            places.push((place.terminal, help));
        }
    }
    places
}

/// What can stand where the line ends: for `?`. A word that is not finished limits it to what begins so.
///
/// # Errors
/// The words before are wrong.
pub fn help(line: &str, live: &dyn Live) -> Result<Vec<HelpRow>, SyntaxError> {
    let Some(cursor) = cursor(line, line.len()) else {
        return Ok(Vec::new());
    };
    let readings = matcher::readings(&cursor.line, &cursor.before)?;
    let mut rows = Vec::new();
    let typed = &cursor.partial;
    let new_word = typed.text.is_empty() && !typed.quoted;
    for (terminal, help) in places(&readings) {
        match terminal {
            Terminal::Keyword(keyword) => {
                if begins(typed, keyword) {
                    rows.push(HelpRow {
                        word: keyword.into(),
                        help: help.into(),
                    });
                }
            }
            Terminal::Argument(argument) => {
                rows.push(HelpRow {
                    word: terminal.shown(),
                    help: format!("{help}: {}", argument.kind.accepts()),
                });
                let Some(source) = argument.kind.source() else {
                    continue;
                };
                let mut values = live.values(source);
                values.retain(|(value, _)| value.starts_with(&typed.text));
                let more = values.len().saturating_sub(LISTED);
                for (value, help) in values.into_iter().take(LISTED) {
                    let word = format!("  {}", quoted_if_needed(&value));
                    rows.push(HelpRow { word, help });
                }
                if more > 0 {
                    let word = "  …".into();
                    let help = format!("and {more} more");
                    rows.push(HelpRow { word, help });
                }
            }
        }
    }
    if new_word
        && let Some(path) = readings.iter().flat_map(Reading::whole).next()
        && let Some(&place) = path.last()
    {
        rows.push(HelpRow {
            word: "<Enter>".into(),
            help: Automaton::of_table().places[place].command.help.into(),
        });
    }
    if rows.is_empty() {
        // Nothing begins so: say what is wrong with it.
        let words: Vec<Word> = cursor.before.iter().chain([typed]).cloned().collect();
        matcher::readings(&cursor.line, &words)?;
    }
    Ok(rows)
}

/// Rows of help as text, a line each, aligned.
#[must_use]
pub fn render_help(rows: &[HelpRow]) -> String {
    let width = |row: &HelpRow| super::error::width(&row.word);
    let widest = rows.iter().map(width).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let gap = " ".repeat(widest - width(row) + 2);
        text += format!("  {}{gap}{}", row.word, row.help).trim_end();
        text.push('\n');
    }
    text
}
