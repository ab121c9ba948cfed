//! What is wrong with a line, and where.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar;

use super::words::invisible;

/// Expected words that an error names at most; the rest is counted.
const EXPECTED_SHOWN: usize = 24;

/// A line that is no command: what is wrong, where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyntaxError {
    /// What sort of mistake it is.
    pub problem: Problem,
    /// The sentence for people.
    pub message: String,
    /// The line as it was typed.
    pub line: String,
    /// Where the wrong word begins, in bytes of the line; its length if something is missing at the end.
    pub start: usize,
    /// Where the wrong word ends, in bytes of the line.
    pub end: usize,
    /// What could have stood there: keywords, and arguments such as `<vlan>`.
    pub expected: Vec<String>,
    /// The expected keyword that is most like the wrong word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

/// Sorts of mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// Quotes or backslashes that make no sense.
    Quote,
    /// A word that does not fit where it stands.
    Word,
    /// A value that breaks the rule for its argument.
    Value,
    /// An abbreviation of several keywords.
    Ambiguous,
    /// The line ends too early.
    Incomplete,
    /// Every word fits, but not together.
    Contradiction,
}

impl SyntaxError {
    pub(super) fn new(
        line: &str,
        start: usize,
        end: usize,
        problem: Problem,
        message: impl Into<String>,
    ) -> Self {
        Self {
            problem,
            message: message.into(),
            line: line.into(),
            start,
            end,
            expected: Vec::new(),
            did_you_mean: None,
        }
    }

    /// The line, a caret under each column of the wrong word, the message and what was expected; each on a line of its
    /// own, without a line end after the last.
    #[must_use]
    pub fn render(&self) -> String {
        // What is missing at the end would stand after a blank.
        let blank = self.problem == Problem::Incomplete && !self.line.is_empty();
        let before = width(self.line.get(..self.start).unwrap_or(&self.line)) + usize::from(blank);
        let wrong = width(self.line.get(self.start..self.end).unwrap_or(""));
        let shown: String = self.line.chars().map(visible).collect();
        let mut text = format!(
            "{}\n{}{}\n{}",
            shown.trim_end(),
            " ".repeat(before),
            "^".repeat(wrong.max(1)),
            self.message
        );
        if let Some(word) = &self.did_you_mean {
            text += &format!("; did you mean {word}?");
        }
        if !self.expected.is_empty() {
            text += &format!("\nExpected: {}", listed(&self.expected, "or"));
        }
        text
    }

    /// `{"kind": "usage", "message": …, "line": …, "start": …, …}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut value = serde_json::json!({"kind": "usage"});
        if let (Some(object), Ok(serde_json::Value::Object(fields))) =
            (value.as_object_mut(), serde_json::to_value(self))
        {
            object.extend(fields);
        }
        value
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl std::error::Error for SyntaxError {}

/// `a, b or c`.
pub(super) fn listed<S: AsRef<str>>(words: &[S], conjunction: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).into(),
        many if many.len() > EXPECTED_SHOWN => format!(
            "{} {conjunction} {} more",
            many[..EXPECTED_SHOWN].join(", "),
            many.len() - EXPECTED_SHOWN
        ),
        [first @ .., last] => format!("{} {conjunction} {last}", first.join(", ")),
    }
}

/// What stands for a character on a terminal: one column for those that are invisible or move the cursor.
fn visible(c: char) -> char {
    match c {
        c if c.is_whitespace() => ' ',
        c if invisible(c) => '\u{fffd}',
        c => c,
    }
}

/// Columns on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| visible(c).width().unwrap_or(1)).sum()
}
