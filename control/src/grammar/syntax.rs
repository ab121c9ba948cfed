//! The notation of ExtremeWare's manuals, in which the table declares commands:
//!
//! - `word`: a keyword; `<name:KIND>`: an argument of a kind that [`super::kinds`] knows; `<name:30-300>`: a number;
//!   `<name:KIND>...`: one or more of them;
//! - `[a | b]`: one of them; `{a}`: may be left out; `{a | b}`: one of them, or none;
//! - `(a & b & c)`: all of them, in any order. Those in braces may be left out, as in
//!   `({vlan <vlan:VLAN>} & {port <port:PORT>})`.

use std::fmt;

use super::kinds::{self, Kind};

/// An argument of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name, by which the handler asks for it; shown as `<name>`.
    pub name: &'static str,
    /// What words it accepts.
    pub kind: Kind,
    /// Whether more than one word may stand for it.
    pub repeated: bool,
}

/// A part of a command's syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A word as it is.
    Keyword(&'static str),
    /// A value.
    Argument(Argument),
    /// All, one after the other.
    Sequence(Vec<Node>),
    /// One of them.
    Choice(Vec<Node>),
    /// It or nothing.
    Optional(Box<Node>),
    /// All, in any order.
    AnyOrder(Vec<Node>),
}

/// A syntax that is none. Only [`super::table`] has syntaxes, and a test reads them all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax {syntax:?}: {message} before {rest:?}")]
pub struct InvalidSyntax {
    syntax: &'static str,
    message: String,
    rest: &'static str,
}

impl Node {
    /// Reads the notation.
    ///
    /// # Errors
    /// What was expected and is not there.
    pub fn parse(syntax: &'static str) -> Result<Self, InvalidSyntax> {
        let mut reader = Reader {
            syntax,
            rest: syntax.trim_start(),
        };
        let node = reader.sequence()?;
        if reader.rest.is_empty() {
            Ok(node)
        } else {
            Err(reader.error("expected the end"))
        }
    }

    /// Whether no word at all can stand for it.
    pub(super) fn is_nullable(&self) -> bool {
        match self {
            Self::Keyword(_) | Self::Argument(_) => false,
            Self::Sequence(parts) | Self::AnyOrder(parts) => parts.iter().all(Self::is_nullable),
            Self::Choice(parts) => parts.iter().any(Self::is_nullable),
            Self::Optional(_) => true,
        }
    }
}

struct Reader {
    syntax: &'static str,
    rest: &'static str,
}

impl Reader {
    fn error(&self, message: impl Into<String>) -> InvalidSyntax {
        InvalidSyntax {
            syntax: self.syntax,
            message: message.into(),
            rest: self.rest,
        }
    }

    /// Takes this character and the white space after it, if it comes next.
    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Result<(), InvalidSyntax> {
        if self.take(c) {
            Ok(())
        } else {
            Err(self.error(format!("expected {c:?}")))
        }
    }

    /// Takes what the predicate wants.
    fn take_while(&mut self, wanted: fn(char) -> bool) -> &'static str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn sequence(&mut self) -> Result<Node, InvalidSyntax> {
        let mut parts = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', '&', ']', '}', ')']) {
            parts.push(self.item()?);
        }
        match parts.len() {
            0 => Err(self.error("expected a word")),
            1 => Ok(parts.remove(0)),
            _ => Ok(Node::Sequence(parts)),
        }
    }

    fn separated(&mut self, separator: char, close: char) -> Result<Vec<Node>, InvalidSyntax> {
        let mut parts = vec![self.sequence()?];
        while self.take(separator) {
            parts.push(self.sequence()?);
        }
        self.expect(close)?;
        Ok(parts)
    }

    fn item(&mut self) -> Result<Node, InvalidSyntax> {
        if self.take('[') {
            return Ok(Node::Choice(self.separated('|', ']')?));
        }
        if self.take('(') {
            return Ok(Node::AnyOrder(self.separated('&', ')')?));
        }
        if self.take('{') {
            let mut parts = self.separated('|', '}')?;
            let inner = match parts.len() {
                1 => parts.remove(0),
                _ => Node::Choice(parts),
            };
            return Ok(Node::Optional(Box::new(inner)));
        }
        if self.take('<') {
            return self.argument();
        }
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        self.rest = self.rest.trim_start();
        if word.is_empty() {
            return Err(self.error("expected a word"));
        }
        Ok(Node::Keyword(word))
    }

    fn argument(&mut self) -> Result<Node, InvalidSyntax> {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '-');
        self.expect(':')?;
        let kind = self.take_while(|c| c != '>');
        let kind = kinds::named(kind).ok_or_else(|| self.error(format!("{kind:?} is no kind")))?;
        if !self.rest.starts_with('>') || name.is_empty() {
            return Err(self.error("expected <name:KIND>"));
        }
        self.rest = &self.rest[1..];
        let repeated = match self.rest.strip_prefix("...") {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        };
        self.rest = self.rest.trim_start();
        Ok(Node::Argument(Argument {
            name,
            kind,
            repeated,
        }))
    }
}

/// As manuals have it: arguments without their kinds, any order as braces one after the other.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], separator: &str| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(separator)?;
                }
                part.fmt(f)?;
            }
            Ok(())
        };
        match self {
            Self::Keyword(word) => f.write_str(word),
            Self::Argument(argument) => {
                write!(f, "<{}>", argument.name)?;
                f.write_str(if argument.repeated { "..." } else { "" })
            }
            Self::Sequence(parts) | Self::AnyOrder(parts) => joined(f, parts, " "),
            Self::Choice(parts) => {
                f.write_str("[")?;
                joined(f, parts, " | ")?;
                f.write_str("]")
            }
            Self::Optional(inner) => {
                f.write_str("{")?;
                match &**inner {
                    Self::Choice(parts) => joined(f, parts, " | ")?,
                    inner => inner.fmt(f)?,
                }
                f.write_str("}")
            }
        }
    }
}
