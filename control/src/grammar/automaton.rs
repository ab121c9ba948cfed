//! The whole table as one automaton (Glushkov's): each place where a word can stand in a command is a state, and knows
//! the places that can follow. Matching, completion and help all walk it.

use std::sync::LazyLock;

use super::Privilege;
use super::kinds::Kind;
use super::syntax::{Argument, Node};
use super::table::{self, Command};
use crate::northbound::api::CONFIRM_SECONDS;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// A word as it is.
    Keyword(&'static str),
    /// A value.
    Argument(Argument),
}

impl Terminal {
    /// As help shows it: `word` or `<name>`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Keyword(word) => (*word).into(),
            Self::Argument(argument) => format!("<{}>", argument.name),
        }
    }
}

/// A place in a command.
pub(super) struct Place {
    pub command: &'static Command,
    pub terminal: Terminal,
    /// Where the next word can stand.
    pub next: Vec<usize>,
    /// Whether the command may end here.
    pub last: bool,
}

/// All commands.
pub(super) struct Automaton {
    pub places: Vec<Place>,
    /// Where the first word can stand.
    pub first: Vec<usize>,
}

/// A part of a syntax whose places are made.
#[derive(Clone, Default)]
struct Part {
    first: Vec<usize>,
    last: Vec<usize>,
    nullable: bool,
}

/// The name of the argument of `confirmed`.
pub(super) const CONFIRMED: &str = "seconds";

impl Automaton {
    /// That of [`table::COMMANDS`].
    pub fn of_table() -> &'static Self {
        static AUTOMATON: LazyLock<Automaton> = LazyLock::new(|| {
            let mut automaton = Automaton {
                places: Vec::new(),
                first: Vec::new(),
            };
            for command in table::commands() {
                automaton.add(command, &command.whole());
            }
            automaton
        });
        &AUTOMATON
    }

    fn add(&mut self, command: &'static Command, node: &Node) {
        let part = self.part(command, node);
        self.first.extend(part.first);
        for place in part.last {
            self.places[place].last = true;
        }
    }

    fn follow(&mut self, from: &[usize], to: &[usize]) {
        for &place in from {
            let next = &mut self.places[place].next;
            for place in to {
                if !next.contains(place) {
                    next.push(*place);
                }
            }
        }
    }

    fn place(&mut self, command: &'static Command, terminal: Terminal) -> Part {
        let place = self.places.len();
        self.places.push(Place {
            command,
            terminal,
            next: Vec::new(),
            last: false,
        });
        Part {
            first: vec![place],
            last: vec![place],
            nullable: false,
        }
    }

    fn part(&mut self, command: &'static Command, node: &Node) -> Part {
        match node {
            Node::Keyword(word) => self.place(command, Terminal::Keyword(word)),
            Node::Argument(argument) => {
                let part = self.place(command, Terminal::Argument(*argument));
                if argument.repeated {
                    self.follow(&part.last, &part.first);
                }
                part
            }
            Node::Sequence(parts) => {
                let mut whole = Part {
                    nullable: true,
                    ..Part::default()
                };
                for node in parts {
                    let part = self.part(command, node);
                    whole = self.then(whole, &part);
                }
                whole
            }
            Node::Choice(parts) => {
                let mut whole = Part::default();
                for node in parts {
                    let part = self.part(command, node);
                    either(&mut whole, part);
                }
                whole
            }
            Node::Optional(inner) => Part {
                nullable: true,
                ..self.part(command, inner)
            },
            Node::AnyOrder(parts) => {
                let mut known = vec![None; 1 << parts.len()];
                self.any_order(command, parts, known.len() - 1, &mut known)
            }
        }
    }

    /// One part after the other.
    fn then(&mut self, mut whole: Part, part: &Part) -> Part {
        self.follow(&whole.last, &part.first);
        if whole.nullable {
            whole.first.extend(&part.first);
        }
        if part.nullable {
            whole.last.extend(&part.last);
        } else {
            whole.last.clone_from(&part.last);
        }
        whole.nullable &= part.nullable;
        whole
    }

    /// Those of the parts whose bits are set, in any order: one of them, then the others in any order. What follows
    /// depends only on which are left, so each set of those is made once.
    fn any_order(
        &mut self,
        command: &'static Command,
        parts: &[Node],
        left: usize,
        known: &mut [Option<Part>],
    ) -> Part {
        if let Some(part) = &known[left] {
            return part.clone();
        }
        let mut whole = Part::default();
        for (i, node) in parts.iter().enumerate() {
            if left & (1 << i) == 0 {
                continue;
            }
            let one = match node {
                Node::Optional(inner) => self.part(command, inner),
                node => self.part(command, node),
            };
            let rest = self.any_order(command, parts, left & !(1 << i), known);
            let both = self.then(one, &rest);
            either(&mut whole, both);
        }
        whole.nullable = parts
            .iter()
            .enumerate()
            .all(|(i, node)| left & (1 << i) == 0 || node.is_nullable());
        known[left] = Some(whole.clone());
        whole
    }
}

fn either(whole: &mut Part, part: Part) {
    whole.first.extend(part.first);
    whole.last.extend(part.last);
    whole.nullable |= part.nullable;
}

impl Command {
    /// The syntax as declared.
    #[must_use]
    pub fn node(&self) -> Node {
        match Node::parse(self.syntax) {
            Ok(node) => node,
            // The table is part of the program, and a test reads all of it.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// The syntax with what commands of its privilege may end in.
    pub(super) fn whole(&self) -> Node {
        let node = self.node();
        if self.privilege != Privilege::Configure {
            return node;
        }
        let kind = Kind::Number {
            low: (*CONFIRM_SECONDS.start()).into(),
            high: (*CONFIRM_SECONDS.end()).into(),
        };
        let seconds = Argument {
            name: CONFIRMED,
            kind,
            repeated: false,
        };
        let confirmed = Node::Sequence(vec![Node::Keyword("confirmed"), Node::Argument(seconds)]);
        Node::Sequence(vec![node, Node::Optional(Box::new(confirmed))])
    }
}
