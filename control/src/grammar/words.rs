//! A line taken apart into words.

use std::fmt::Write as _;

use super::error::{Problem, SyntaxError};

/// One word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it says, without quotes.
    pub text: String,
    /// Where it begins in the line, in bytes, its quote included.
    pub start: usize,
    /// Where it ends in the line, in bytes, its quote included.
    pub end: usize,
    /// Whether any of it stood in quotes; such a word is never a keyword.
    pub quoted: bool,
}

/// A line and its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// As it was typed.
    pub text: String,
    /// Its words, without a comment at its end.
    pub words: Vec<Word>,
}

impl Line {
    /// Takes a line of the shell or of a script apart. White space separates words, `"quoted words"` are one word
    /// (with `\"`, `\\`, `\n`, `\r`, `\t` and `\u{HEX}` in it), and `#` at the beginning of a word begins a comment.
    ///
    /// # Errors
    /// A quote that is not closed, or a backslash that means nothing.
    pub fn split(text: &str) -> Result<Self, SyntaxError> {
        let scan = scan(text);
        match scan.fault {
            None => Ok(Self {
                text: text.into(),
                words: scan.words,
            }),
            Some((start, end, message)) => {
                Err(SyntaxError::new(text, start, end, Problem::Quote, message))
            }
        }
    }

    /// The words of a program's command line, which a shell has taken apart already. One with white space in it, or
    /// none at all, must have been quoted.
    pub fn from_arguments<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let mut line = Self::default();
        for argument in arguments {
            let text = argument.as_ref();
            if !line.text.is_empty() {
                line.text.push(' ');
            }
            let start = line.text.len();
            line.text.push_str(&quoted_if_needed(text));
            line.words.push(Word {
                text: text.into(),
                start,
                end: line.text.len(),
                quoted: text.is_empty() || text.contains(char::is_whitespace),
            });
        }
        line
    }

    /// Whether there is nothing to be done: no words, or only a comment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// What was found in a line, whether it is whole or not.
pub(super) struct Scan {
    /// The words; the last one may be an open quotation.
    pub words: Vec<Word>,
    /// Whether the line ends within a word.
    pub in_word: bool,
    /// Whether the line ends within a comment.
    pub in_comment: bool,
    /// From where to where something is wrong, and what.
    fault: Option<(usize, usize, String)>,
}

/// Reads words as far as they go.
pub(super) fn scan(line: &str) -> Scan {
    let mut scan = Scan {
        words: Vec::new(),
        in_word: false,
        in_comment: false,
        fault: None,
    };
    let mut word: Option<Word> = None;
    let mut quote: Option<usize> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        if quote.is_none() && c.is_whitespace() {
            scan.words.extend(word.take());
            continue;
        }
        if word.is_none() && c == '#' {
            scan.in_comment = true;
            break;
        }
        let word = word.get_or_insert_with(|| Word {
            text: String::new(),
            start: at,
            end,
            quoted: false,
        });
        word.end = end;
        match (c, quote) {
            ('"', None) => {
                quote = Some(at);
                word.quoted = true;
            }
            ('"', Some(_)) => quote = None,
            ('\\', Some(_)) => {
                let mut sequence = String::new();
                if let Some((_, c)) = chars.next() {
                    sequence.push(c);
                }
                if sequence == "u" && chars.peek().is_some_and(|(_, c)| *c == '{') {
                    for (_, c) in chars.by_ref() {
                        sequence.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                word.end = at + 1 + sequence.len();
                match unescaped(&sequence) {
                    Some(c) => word.text.push(c),
                    None if scan.fault.is_none() => {
                        let message = format!(
                            "\\{sequence} means nothing in quotes; write \\\\ for a backslash, \\\" for a quote"
                        );
                        scan.fault = Some((at, word.end, message));
                    }
                    None => {}
                }
            }
            _ => word.text.push(c),
        }
    }
    if let Some(start) = quote {
        let message = "the quotation is not closed; it needs a \" at its end".into();
        scan.fault.get_or_insert((start, line.len(), message));
    }
    scan.in_word = word.is_some();
    scan.words.extend(word);
    scan
}

fn unescaped(sequence: &str) -> Option<char> {
    match sequence {
        "\"" => Some('"'),
        "\\" => Some('\\'),
        "n" => Some('\n'),
        "r" => Some('\r'),
        "t" => Some('\t'),
        _ => {
            let hex = sequence.strip_prefix("u{")?.strip_suffix('}')?;
            char::from_u32(u32::from_str_radix(hex, 16).ok()?)
        }
    }
}

/// A word in quotes, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Neither a log nor a terminal is to be led astray by what someone typed.
            c if invisible(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A word as it can be typed: in quotes if it would be taken apart, or for a comment or an option, without them.
pub(super) fn quoted_if_needed(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.starts_with(['#', '-'])
        && !text.contains(|c: char| c == '"' || c == '\\' || c.is_whitespace() || invisible(c));
    if plain
        || text.starts_with("--")
            && text[2..]
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b == b'-')
    {
        text.into()
    } else {
        quoted(text)
    }
}

/// Control characters, and those that reorder or hide what stands around them.
pub(super) fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
