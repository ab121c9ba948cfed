//! The words of a line that is one command, as its handler asks for them.

use std::fmt;
use std::str::FromStr;

use super::automaton::{Automaton, Terminal};
use super::words::Word;

/// The words of a command, each with what it stands for.
#[derive(Clone, Debug)]
pub struct Matched<'a> {
    words: Vec<(Terminal, &'a str)>,
}

impl<'a> Matched<'a> {
    pub(super) fn new(path: &[usize], words: &'a [Word]) -> Self {
        let automaton = Automaton::of_table();
        let words = path
            .iter()
            .zip(words)
            .map(|(&place, word)| (automaton.places[place].terminal, word.text.as_str()));
        Self {
            words: words.collect(),
        }
    }

    /// Whether the keyword is there.
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        self.words
            .iter()
            .any(|(terminal, _)| matches!(terminal, Terminal::Keyword(word) if *word == keyword))
    }

    /// The words after this keyword; none if it is not there.
    #[must_use]
    pub fn after(&self, keyword: &str) -> Self {
        let is_it = |(terminal, _): &(Terminal, &str)| matches!(terminal, Terminal::Keyword(word) if *word == keyword);
        let at = self.words.iter().position(is_it);
        Self {
            words: at.map_or_else(Vec::new, |at| self.words[at + 1..].to_vec()),
        }
    }

    /// What stands for the first of these keywords that is there.
    #[must_use]
    pub fn which<T: Clone>(&self, keywords: &[(&str, T)]) -> Option<T> {
        let found = keywords.iter().find(|(keyword, _)| self.has(keyword));
        found.map(|(_, value)| value.clone())
    }

    /// As [`Matched::which`], of keywords one of which must be there.
    ///
    /// # Errors
    /// None is: the handler does not fit its syntax.
    pub fn one_of<T: Clone>(&self, keywords: &[(&str, T)]) -> Result<T, String> {
        self.which(keywords).ok_or_else(|| {
            let words: Vec<&str> = keywords.iter().map(|(word, _)| *word).collect();
            format!("one of {} is missing", words.join(", "))
        })
    }

    /// All words that stand for this argument.
    pub fn texts<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'a str> + 'm {
        self.words
            .iter()
            .filter(
                move |(terminal, _)| matches!(terminal, Terminal::Argument(a) if a.name == name),
            )
            .map(|(_, text)| *text)
    }

    /// The value of an argument that may be left out.
    ///
    /// # Errors
    /// The word is no value of this type; the kind's own check was less strict.
    pub fn find<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>, String> {
        let text = self.texts(name).next();
        text.map(str::parse).transpose().map_err(|error| {
            // The names of two arguments in the syntax tell them apart; the operator sees one.
            format!("<{name}>: {error}")
        })
    }

    /// The value of an argument that must be there.
    ///
    /// # Errors
    /// As [`Matched::find`], or it is not there: the handler does not fit its syntax.
    pub fn get<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T, String> {
        self.find(name)?
            .ok_or_else(|| format!("<{name}> is missing"))
    }
}
