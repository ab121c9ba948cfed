//! What the standby says to the master.

use super::{Event, Sender};
use crate::link::{Hello, Report, read_digests, read_text};
use crate::message::{Inbox, LinkError, Message, RecordError, TransactionId};
use crate::schema::{LinkSubtype, Subsystem};
use crate::state::{Reason, SubState};

impl Sender {
    /// Octets from the standby, cut anywhere.
    ///
    /// # Errors
    /// When they are no messages of this protocol: the link is to be closed, and everything else that is received
    /// gives the same error.
    pub fn receive(&mut self, now: u64, bytes: &[u8]) -> Result<(), LinkError> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        let mut inbox: Inbox = core::mem::take(&mut self.inbox);
        let received = inbox.receive(bytes, |message| self.message(now, &message));
        self.inbox = inbox;
        self.dead = received.clone().err();
        received
    }

    fn message(&mut self, now: u64, message: &Message<'_>) -> Result<(), LinkError> {
        let header = message.header;
        if header.sequence != self.expected {
            return Err(LinkError::Sequence {
                expected: self.expected,
                found: header.sequence,
            });
        }
        self.expected += 1;
        self.heard = now;
        if header.subsystem != Subsystem::Module.code() {
            self.counts.unknown += 1;
            return Ok(());
        }
        match LinkSubtype::from_code(header.subtype) {
            Some(LinkSubtype::Hello) => {
                let hello = Hello::read(message.body)?;
                self.states.without(hello.lacks());
                self.peer = Some(hello.clone());
                self.events.push(Event::Hello(hello));
            }
            Some(LinkSubtype::Ack) => self.acknowledged(now, header.transaction)?,
            Some(LinkSubtype::Status) => {
                // Its transaction is the newest that the standby had heard of.
                for report in Report::read_all(message.body)? {
                    self.reported(header.transaction, report);
                }
            }
            Some(LinkSubtype::Digest) => self.events.push(Event::Digest {
                transaction: header.transaction,
                digests: read_digests(message.body)?,
            }),
            Some(what @ LinkSubtype::Goodbye) => {
                let text = read_text(what, message.body)?;
                self.events.push(Event::Goodbye(text));
            }
            Some(LinkSubtype::Keepalive) => {}
            // What only a master says, or a later version.
            _ => self.counts.unknown += 1,
        }
        Ok(())
    }

    fn acknowledged(&mut self, now: u64, id: TransactionId) -> Result<(), LinkError> {
        if id > self.committed {
            return Err(LinkError::Malformed {
                what: LinkSubtype::Ack.name(),
                error: RecordError::Unknown(format!("bracket {id}")),
            });
        }
        self.acked = self.acked.max(id);
        while self.pending.front().is_some_and(|pending| pending.id <= id) {
            self.pending.pop_front();
        }
        for (place, subsystem) in Subsystem::CHECKPOINTED.into_iter().enumerate() {
            let bulk = &mut self.bulks[place];
            let ended = bulk.end.is_some_and(|end| end <= self.acked);
            if ended && self.states.state(subsystem) == SubState::Xfr {
                bulk.resyncs = 0;
                self.states.set(subsystem, SubState::Ready, Reason::None);
                self.events.push(Event::Ready(subsystem));
                self.all_ready(now);
            }
        }
        Ok(())
    }

    /// Tells of the end of a round of transfers.
    fn all_ready(&mut self, now: u64) {
        if !self.states.ready() {
            return;
        }
        if let Some(since) = self.round_since.take() {
            let took_ms = now.saturating_sub(since);
            self.counts.bulk_ms = Some(took_ms);
            self.events.push(Event::AllReady { took_ms });
        }
    }

    /// The standby, which had heard of the brackets up to `seen`, tells of a subsystem. That it is transferred or
    /// ready is known from its acknowledgements; what remains are failures.
    fn reported(&mut self, seen: TransactionId, report: Report) {
        let subsystem = report.subsystem;
        let Some(place) = subsystem.place().filter(|_| self.barred.is_none()) else {
            return;
        };
        let bulk = &mut self.bulks[place];
        // A report from before a transfer that is on its way: that one heals it.
        let outdated = bulk.begin > seen;
        let state = self.states.state(subsystem);
        if report.standing.state != SubState::Failed || outdated || state == SubState::Disable {
            return;
        }
        let resync = report.resync && bulk.resyncs < self.limits.resyncs;
        let reason = report.standing.reason;
        bulk.end = None;
        self.states.set(subsystem, SubState::Failed, reason);
        self.running.take_if(|running| *running == subsystem);
        if resync {
            bulk.resyncs += 1;
            self.counts.resyncs += 1;
            self.states.set(subsystem, SubState::Initial, reason);
        }
        self.events.push(Event::Failed {
            subsystem,
            reason,
            resync,
        });
    }
}
