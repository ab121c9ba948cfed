//! A bracket that is being put together.

use super::{Event, FallBack, Pending, Sender};
use crate::message::{FULL, HEADER, Header, MAX_MESSAGE, TransactionId, finish, record};
use crate::record::Record;
use crate::schema::{RecordSubtype, Subsystem};
use crate::state::{Reason, SubState};

/// A bracket that is not committed. Dropping it sends nothing.
///
/// Records of a subsystem whose bulk transfer has not begun are left out: the transfer will bring them.
#[derive(Debug)]
pub struct Open<'s> {
    sender: &'s mut Sender,
    now: u64,
    /// By [`Subsystem::place`], whether its records are sent.
    sends: [bool; Subsystem::CHECKPOINTED.len()],
    message: Option<Unfinished>,
    /// Messages begun.
    messages: u64,
    records: u64,
    overflow: Option<FallBack>,
    too_long: Option<(Subsystem, usize)>,
}

/// The message that the next record may join.
#[derive(Clone, Copy, Debug)]
struct Unfinished {
    start: usize,
    subsystem: Subsystem,
    subtype: RecordSubtype,
}

impl<'s> Open<'s> {
    pub(super) fn new(sender: &'s mut Sender, now: u64) -> Self {
        let dead = sender.dead.is_some();
        let sends = Subsystem::CHECKPOINTED.map(|subsystem| {
            let state = sender.states.state(subsystem);
            !dead && matches!(state, SubState::Xfr | SubState::Ready)
        });
        // Removes what a bracket left that was neither committed nor dropped.
        sender.outbox.tail();
        Self {
            sender,
            now,
            sends,
            message: None,
            messages: 0,
            records: 0,
            overflow: None,
            too_long: None,
        }
    }

    /// Whether records of this subsystem are sent at all.
    #[inline]
    #[must_use]
    pub fn sends(&self, subsystem: Subsystem) -> bool {
        subsystem.place().is_some_and(|place| self.sends[place])
    }

    /// A record as it is.
    #[inline]
    pub fn put<R: Record>(&mut self, new: &R) -> &mut Self {
        self.add::<R>(RecordSubtype::Put, |out| new.write(None, out))
    }

    /// What changed in a record that the standby has.
    #[inline]
    pub fn update<R: Record>(&mut self, old: &R, new: &R) -> &mut Self {
        self.add::<R>(RecordSubtype::Update, |out| new.write(Some(old), out))
    }

    /// The record with this key is no more.
    #[inline]
    pub fn delete<R: Record>(&mut self, key: R::Key) -> &mut Self {
        self.add::<R>(RecordSubtype::Delete, |out| R::write_key(key, out))
    }

    /// Octets so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.sender.outbox.written()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Closes the bracket and queues it. Gives back its number: when [`Sender::acked`] has reached it, or the
    /// standby is not [ready](Sender::ready), nobody has to wait for it any longer. Of an empty bracket, or one
    /// that did not fit, that is the number of the newest one that was queued.
    pub fn commit(mut self) -> TransactionId {
        if let Some((subsystem, octets)) = self.too_long {
            let failed = Reason::BracketOverflow;
            self.sender.states.set(subsystem, SubState::Failed, failed);
            self.sender.running.take_if(|running| *running == subsystem);
            self.sender
                .events
                .push(Event::TooLong { subsystem, octets });
        }
        self.measure();
        if let Some(why) = self.overflow {
            self.sender.fall_back(why);
            return self.sender.committed;
        }
        self.close(true);
        if self.messages > 0 {
            let id = TransactionId(self.sender.committed.0 + 1);
            let counts = &mut self.sender.counts;
            counts.brackets += 1;
            counts.records += self.records;
            counts.octets += self.sender.outbox.written() as u64;
            self.sender.outbox.commit(self.messages, Some(id));
            self.sender.committed = id;
            self.sender.pending.push_back(Pending {
                id,
                records: self.records,
                at: self.now,
            });
        }
        if self.too_long.is_some() {
            self.sender.tell_states();
        }
        self.sender.committed
    }

    /// A message without records.
    pub(super) fn mark(&mut self, subsystem: Subsystem, subtype: RecordSubtype) {
        if self.sends(subsystem) {
            self.message(subsystem, subtype);
        }
    }

    #[inline]
    fn add<R: Record>(
        &mut self,
        subtype: RecordSubtype,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> &mut Self {
        if self.sends(R::SUBSYSTEM) && self.overflow.is_none() {
            let start = self.message(R::SUBSYSTEM, subtype);
            let octets = self.sender.outbox.octets();
            let before = octets.len();
            record(octets, write);
            self.records += 1;
            if octets.len() - start > MAX_MESSAGE {
                self.withdraw(R::SUBSYSTEM, before);
            }
        }
        self
    }

    /// Where the message begins that the next record goes into.
    #[inline]
    fn message(&mut self, subsystem: Subsystem, subtype: RecordSubtype) -> usize {
        if let Some(message) = self.message
            && (message.subsystem, message.subtype) == (subsystem, subtype)
            && self.sender.outbox.octets().len() - message.start < FULL
        {
            return message.start;
        }
        self.close(false);
        self.measure();
        let header = Header {
            subsystem: subsystem.code(),
            subtype: subtype.code(),
            begin: self.messages == 0,
            end: false,
            transaction: TransactionId(self.sender.committed.0 + 1),
            sequence: self.sender.outbox.sequence() + self.messages,
        };
        let octets = self.sender.outbox.octets();
        let start = octets.len();
        header.start(octets);
        self.messages += 1;
        self.message = Some(Unfinished {
            start,
            subsystem,
            subtype,
        });
        start
    }

    /// Completes the unfinished message; the last one of the bracket if `end`.
    fn close(&mut self, end: bool) {
        if let Some(message) = self.message.take() {
            finish(self.sender.outbox.octets(), message.start, end);
        }
    }

    /// Stops taking records when there are too many, so that memory is bounded whatever is put in.
    fn measure(&mut self) {
        let limits = &self.sender.limits;
        let written = self.sender.outbox.written();
        if written > limits.bracket {
            self.overflow = Some(FallBack::Bracket);
        } else if self.sender.outbox.len() + written > limits.queue {
            self.overflow = Some(FallBack::Queue);
        } else if self.sender.pending.len() >= limits.unanswered {
            self.overflow = Some(FallBack::NoAnswer);
        }
    }

    /// Takes back a record that is too long for any message.
    fn withdraw(&mut self, subsystem: Subsystem, before: usize) {
        let octets = self.sender.outbox.octets();
        self.too_long = Some((subsystem, HEADER + octets.len() - before));
        octets.truncate(before);
        self.records -= 1;
        if let Some(place) = subsystem.place() {
            self.sends[place] = false;
        }
    }
}
