//! Messages that wait for the transport to take them.

use crate::message::TransactionId;
use std::collections::VecDeque;

/// A queue of messages: octets, and where they may be cut.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Octets from `sent` on, and what is being written behind `committed`.
    octets: Vec<u8>,
    /// Octets at the beginning that the transport has taken.
    sent: usize,
    /// Octets up to which everything is complete.
    committed: usize,
    /// Pieces of which at least one octet was not taken; only the first may have been begun.
    pieces: VecDeque<Piece>,
    /// The number of the next message.
    sequence: u64,
}

/// Messages that are sent all or none.
#[derive(Debug)]
struct Piece {
    /// Where it ends in [`Outbox::octets`].
    end: usize,
    octets: usize,
    /// The number of its first message.
    sequence: u64,
    transaction: Option<TransactionId>,
}

/// Taken octets beyond which the rest is moved to the beginning, if it is the smaller part.
const COMPACT: usize = 256 << 10;

impl Outbox {
    /// Octets to send.
    pub fn outgoing(&self) -> &[u8] {
        &self.octets[self.sent..self.committed]
    }

    /// Octets that wait.
    pub const fn len(&self) -> usize {
        self.committed - self.sent
    }

    /// The number of the next message.
    pub const fn sequence(&self) -> u64 {
        self.sequence + 1
    }

    /// The transport took this many octets.
    pub fn sent(&mut self, octets: usize) {
        self.sent = (self.sent + octets).min(self.committed);
        while self
            .pieces
            .front()
            .is_some_and(|piece| piece.end <= self.sent)
        {
            self.pieces.pop_front();
        }
        if self.sent == self.committed || self.sent >= COMPACT.max(self.octets.len() / 2) {
            let taken = core::mem::take(&mut self.sent);
            self.octets.drain(..taken);
            self.committed -= taken;
            for piece in &mut self.pieces {
                piece.end -= taken;
            }
        }
    }

    /// Where the next piece is to be written. What an abandoned writer left there is gone.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        self.octets.truncate(self.committed);
        &mut self.octets
    }

    /// The octets, to go on writing a piece.
    pub const fn octets(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    /// Octets written so far of the piece.
    pub const fn written(&self) -> usize {
        self.octets.len() - self.committed
    }

    /// What was written to the tail is a piece of this many messages.
    pub fn commit(&mut self, messages: u64, transaction: Option<TransactionId>) {
        let octets = self.written();
        self.committed += octets;
        self.pieces.push_back(Piece {
            end: self.committed,
            octets,
            sequence: self.sequence + 1,
            transaction,
        });
        self.sequence += messages;
    }

    /// Drops everything but a piece of which some octets were taken already.
    pub fn drop_unsent(&mut self) -> Dropped {
        let begun = |piece: &Piece| piece.end - self.sent < piece.octets;
        let (keep, end) = match self.pieces.front() {
            Some(first) if begun(first) => (1, first.end),
            _ => (0, self.sent),
        };
        let dropped = Dropped {
            octets: self.committed - end,
            first: self.pieces.iter().skip(keep).find_map(|p| p.transaction),
        };
        if let Some(first) = self.pieces.get(keep) {
            self.sequence = first.sequence - 1;
        }
        self.pieces.truncate(keep);
        self.octets.truncate(end);
        self.committed = end;
        dropped
    }
}

/// What [`Outbox::drop_unsent`] dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub octets: usize,
    /// The first bracket of it; all later ones are dropped, too.
    pub first: Option<TransactionId>,
}
