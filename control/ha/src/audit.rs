//! The difference between what a table should hold and what it holds, as the changes that lead from one to the
//! other (seed row 50, design invariants 3 and 4).
//!
//! An entry that is right is not touched. Changes that stop frames come before those that let frames through, so
//! that no moment in between, and no crash in it, forwards more than both states do.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;

/// One write to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<K, V> {
    /// The key is missing.
    Add {
        /// The key.
        key: K,
        /// Its value.
        value: V,
    },
    /// The key has another value.
    Update {
        /// The key.
        key: K,
        /// The value that the table has.
        from: V,
        /// The value that it shall have.
        to: V,
    },
    /// The key is not wanted.
    Delete {
        /// The key.
        key: K,
        /// The value that the table has.
        was: V,
    },
}

impl<K, V> Change<K, V> {
    /// The key.
    pub const fn key(&self) -> &K {
        match self {
            Self::Add { key, .. } | Self::Update { key, .. } | Self::Delete { key, .. } => key,
        }
    }
}

/// What a change does to the frames that are forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<V> {
    /// It lets no frame through that did not pass before.
    Closes,
    /// It may let frames through that did not pass before, and stops none.
    Opens,
    /// An update that may do both, a port leaving and another one joining: it is made in two steps, by way of a
    /// value that lets through only what both values do. A step that would change nothing is left out.
    Both {
        /// The value in between.
        between: V,
    },
}

/// The changes that make a table that holds `installed` hold `wanted`: first those that close, then those that
/// open, as `effect` judges them; in the order of their keys within each half. Of a key that comes twice, the
/// last value counts.
pub fn diff<K: Ord + Clone, V: PartialEq + Clone>(
    wanted: impl IntoIterator<Item = (K, V)>,
    installed: impl IntoIterator<Item = (K, V)>,
    effect: impl Fn(&Change<K, V>) -> Effect<V>,
) -> Vec<Change<K, V>> {
    let wanted: BTreeMap<K, V> = wanted.into_iter().collect();
    let installed: BTreeMap<K, V> = installed.into_iter().collect();
    let (mut closing, mut opening) = (Vec::new(), Vec::new());
    let differences = Differences {
        wanted: wanted.into_iter().peekable(),
        installed: installed.into_iter().peekable(),
    };
    for change in differences {
        match (effect(&change), change) {
            (Effect::Closes, change) => closing.push(change),
            (Effect::Both { between }, Change::Update { key, from, to }) => {
                if between != from {
                    let (key, to) = (key.clone(), between.clone());
                    closing.push(Change::Update { key, from, to });
                }
                if between != to {
                    opening.push(Change::Update {
                        key,
                        from: between,
                        to,
                    });
                }
            }
            // What is no update can not be halved: what opens at all waits.
            (Effect::Opens | Effect::Both { .. }, change) => opening.push(change),
        }
    }
    closing.append(&mut opening);
    closing
}

/// The changes between two tables, by key.
struct Differences<W: Iterator, I: Iterator> {
    wanted: Peekable<W>,
    installed: Peekable<I>,
}

impl<K, V, W, I> Iterator for Differences<W, I>
where
    K: Ord,
    V: PartialEq,
    W: Iterator<Item = (K, V)>,
    I: Iterator<Item = (K, V)>,
{
    type Item = Change<K, V>;

    fn next(&mut self) -> Option<Change<K, V>> {
        loop {
            let order = match (self.wanted.peek(), self.installed.peek()) {
                (Some((wanted, _)), Some((installed, _))) => wanted.cmp(installed),
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            match order {
                Ordering::Less => {
                    let (key, value) = self.wanted.next()?;
                    return Some(Change::Add { key, value });
                }
                Ordering::Greater => {
                    let (key, was) = self.installed.next()?;
                    return Some(Change::Delete { key, was });
                }
                Ordering::Equal => {
                    let ((key, to), (_, from)) = (self.wanted.next()?, self.installed.next()?);
                    if from != to {
                        return Some(Change::Update { key, from, to });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
