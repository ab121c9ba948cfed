//! Which ports are to be looked at.

use hitless_common::limits::MAX_PORTS;

/// Ports of a bridge by their place in its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u128);

const _: () = assert!(MAX_PORTS as u32 <= u128::BITS);

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);

    /// Every place that a port can have.
    pub const ALL: Self = Self(u128::MAX);

    /// This one.
    pub const fn one(i: usize) -> Self {
        Self(1 << i)
    }

    /// Adds those.
    pub const fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// The first marked place of a list of `end` ports, from `from` on.
    pub const fn next(self, from: usize, end: usize) -> Option<usize> {
        if from >= end {
            return None;
        }
        let first = (self.0 >> from).trailing_zeros() as usize;
        let i = from + first;
        if i < end { Some(i) } else { None }
    }

    /// Every marked place of a list of `end` ports, ascending.
    pub fn iter(self, end: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.next(0, end), move |&i| self.next(i + 1, end))
    }
}
