//! The master's half of the checkpoint to one connected standby.
//!
//! Nothing here ever waits: what the standby does not take in time is dropped, and it gets everything anew when it
//! has caught up with what was already on its way. So a slow, stopped or broken standby costs the master nothing
//! but a bounded queue.

mod open;
mod receive;

pub use open::Open;

use crate::cause::Cause;
use crate::digest::Digest;
use crate::link::{self, Hello, Report};
use crate::message::{Inbox, LinkError, TransactionId};
use crate::outbox::Outbox;
use crate::schema::{LinkSubtype, RecordSubtype, Subsystem};
use crate::state::{Reason, States, Status, SubState};
use std::collections::VecDeque;

/// How much may wait for a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets that wait to be sent. A bracket that would make it more starts a new bulk transfer.
    pub queue: usize,
    /// Octets that a bulk transfer fills: the rest of the queue is for changes.
    pub bulk: usize,
    /// Octets of one bracket.
    pub bracket: usize,
    /// Brackets that are not acknowledged.
    pub unanswered: usize,
    /// New bulk transfers that the standby may ask for, one after the other, before a subsystem stays failed.
    pub resyncs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 16 << 20,
            bulk: 1 << 20,
            bracket: 16 << 20,
            unanswered: 1 << 18,
            resyncs: 3,
        }
    }
}

/// Something that the master should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The standby introduced itself; bulk transfers may begin.
    Hello(Hello),
    /// A subsystem is completely transferred and acknowledged.
    Ready(Subsystem),
    /// All of them are: the standby could take over.
    AllReady {
        /// Milliseconds from the beginning of the first transfer.
        took_ms: u64,
    },
    /// The standby reports that a subsystem failed there.
    Failed {
        /// Which.
        subsystem: Subsystem,
        /// Why.
        reason: Reason,
        /// Whether it is transferred anew.
        resync: bool,
    },
    /// The standby did not keep up, or did not answer in time: everything is transferred anew.
    FellBack {
        /// Why.
        why: FallBack,
        /// Octets that were dropped instead of sent.
        dropped: usize,
    },
    /// A record is too long for any message; its subsystem can not be checkpointed.
    TooLong {
        /// Which subsystem.
        subsystem: Subsystem,
        /// Octets of the record.
        octets: usize,
    },
    /// The digests of the standby's database.
    Digest {
        /// The newest bracket in that database.
        transaction: TransactionId,
        /// By subsystem.
        digests: Vec<(Subsystem, Digest)>,
    },
    /// The standby leaves, in order.
    Goodbye(String),
}

/// Why a standby was dropped to a new bulk transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallBack {
    /// More waits for it than [`Limits::queue`].
    Queue,
    /// One bracket was longer than [`Limits::bracket`].
    Bracket,
    /// It did not acknowledge in time.
    NoAnswer,
}

impl FallBack {
    /// The reason code that `show msm-failover` gives for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Queue | Self::NoAnswer => Reason::CommError,
            Self::Bracket => Reason::BracketOverflow,
        }
    }
}

/// What the standby has not acknowledged yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Records.
    pub records: u64,
    /// Milliseconds since the oldest of them was committed.
    pub ms: u64,
}

/// Counters since the standby connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Brackets committed.
    pub brackets: u64,
    /// Records committed.
    pub records: u64,
    /// Octets committed.
    pub octets: u64,
    /// Times that the standby was dropped to a new bulk transfer.
    pub fallbacks: u64,
    /// Bulk transfers that the standby asked for because something went wrong.
    pub resyncs: u64,
    /// Milliseconds that the last complete transfer of all subsystems took.
    pub bulk_ms: Option<u64>,
    /// Messages of a kind that this version does not know.
    pub unknown: u64,
}

/// A bracket that is not acknowledged.
#[derive(Debug)]
struct Pending {
    id: TransactionId,
    records: u64,
    at: u64,
}

/// A subsystem's bulk transfer.
#[derive(Clone, Copy, Debug, Default)]
struct Bulk {
    /// The bracket that began the newest one.
    begin: TransactionId,
    /// The bracket that ended it.
    end: Option<TransactionId>,
    /// How many the standby asked for since the last one that succeeded.
    resyncs: u32,
}

/// The master's half of the link to one standby. All times are milliseconds of one clock.
#[derive(Debug)]
pub struct Sender {
    limits: Limits,
    inbox: Inbox,
    outbox: Outbox,
    states: States,
    bulks: [Bulk; Subsystem::CHECKPOINTED.len()],
    /// Why the standby is no heir, see [`Sender::bar`].
    barred: Option<Reason>,
    /// The subsystem whose bulk transfer is going on.
    running: Option<Subsystem>,
    /// The bracket that must be acknowledged, and the queue empty, before another bulk transfer begins.
    drain: Option<TransactionId>,
    /// When the first of the current round of bulk transfers began.
    round_since: Option<u64>,
    pending: VecDeque<Pending>,
    committed: TransactionId,
    acked: TransactionId,
    peer: Option<Hello>,
    /// The number of the standby's next message.
    expected: u64,
    heard: u64,
    counts: Counts,
    events: Vec<Event>,
    dead: Option<LinkError>,
}

impl Sender {
    /// The link to a standby that has just connected. Introduces the master.
    #[must_use]
    pub fn new(now: u64, hello: &Hello, limits: Limits) -> Self {
        let mut sender = Self {
            limits,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            states: States::initial(),
            bulks: Default::default(),
            barred: None,
            running: None,
            drain: None,
            round_since: None,
            pending: VecDeque::new(),
            committed: TransactionId::NONE,
            acked: TransactionId::NONE,
            peer: None,
            expected: 1,
            heard: now,
            counts: Counts::default(),
            events: Vec::new(),
            dead: None,
        };
        sender.link_message(LinkSubtype::Hello, |out| hello.write(out));
        sender
    }

    /// Takes a subsystem out of the checkpoint, or in again: settings may say that it is not preserved. What the
    /// standby does not know stays out.
    pub fn enable(&mut self, subsystem: Subsystem, enabled: bool) {
        let disabled = self.states.state(subsystem) == SubState::Disable;
        let unknown = |peer: &Hello| peer.lacks().any(|lacking| lacking == subsystem);
        if subsystem.place().is_none()
            || enabled != disabled
            || (enabled && self.peer.as_ref().is_some_and(unknown))
        {
            return;
        }
        let (state, reason) = match (enabled, self.barred) {
            (true, None) => (SubState::Initial, Reason::None),
            (true, Some(reason)) => (SubState::Failed, reason),
            (false, _) => (SubState::Disable, Reason::None),
        };
        self.states.set(subsystem, state, reason);
        if self.running == Some(subsystem) {
            self.running = None;
        }
        self.tell_states();
    }

    /// The standby is not to take over, for this reason: all subsystems fail, and nothing is checkpointed to it until
    /// [`Sender::admit`]. It is told so, since it may have to take over all the same.
    pub fn bar(&mut self, reason: Reason) {
        self.barred = Some(reason);
        self.running = None;
        self.round_since = None;
        self.bulks = self.bulks.map(|bulk| Bulk { end: None, ..bulk });
        for subsystem in Subsystem::CHECKPOINTED {
            if self.states.state(subsystem) != SubState::Disable {
                self.states.set(subsystem, SubState::Failed, reason);
            }
        }
        self.tell_states();
    }

    /// The standby may take over, as far as its version goes: what [`Sender::bar`] did is undone by transferring
    /// everything.
    pub fn admit(&mut self) {
        if self.barred.take().is_none() {
            return;
        }
        let newest = self.pending.back().map_or(self.acked, |pending| pending.id);
        self.drain = Some(newest);
        for subsystem in Subsystem::CHECKPOINTED {
            if self.states.state(subsystem) == SubState::Failed {
                self.states.set(subsystem, SubState::Initial, Reason::None);
            }
        }
        self.tell_states();
    }

    /// Why the standby is not to take over.
    #[must_use]
    pub const fn barred(&self) -> Option<Reason> {
        self.barred
    }

    /// Octets to send, in order, as much as the transport takes.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.outbox.outgoing()
    }

    /// The transport took this many octets of [`Sender::outgoing`].
    pub fn sent(&mut self, octets: usize) {
        self.outbox.sent(octets);
    }

    /// Octets that a bulk transfer may add now.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.limits.bulk.saturating_sub(self.outbox.len())
    }

    /// Begins a bracket. Nothing of it is sent unless it is committed.
    pub fn begin(&mut self, now: u64) -> Open<'_> {
        Open::new(self, now)
    }

    /// The subsystem whose bulk transfer is due: the standby is there and has caught up, and none is going on.
    #[must_use]
    pub fn next_bulk(&self) -> Option<Subsystem> {
        let drained = self
            .drain
            .is_none_or(|id| self.acked >= id && self.outbox.len() == 0);
        if self.peer.is_none() || self.running.is_some() || !drained || self.dead.is_some() {
            return None;
        }
        let mut due = self
            .states
            .iter()
            .filter(|(_, status)| status.current.state == SubState::Initial);
        due.next().map(|(subsystem, _)| subsystem)
    }

    /// The subsystem whose bulk transfer is going on. When this changes by itself (the standby fell back or asked
    /// for another transfer), whoever drives the transfer starts over with [`Sender::next_bulk`].
    #[must_use]
    pub const fn bulk(&self) -> Option<Subsystem> {
        self.running
    }

    /// Begins a bulk transfer: the standby clears what it has of the subsystem. All of its records are put by the
    /// brackets that follow, in any order; changes that happen meanwhile are committed as always.
    pub fn begin_bulk(&mut self, now: u64, subsystem: Subsystem) {
        let Some(place) = subsystem.place() else {
            return;
        };
        self.drain = None;
        self.round_since.get_or_insert(now);
        self.states.set(subsystem, SubState::Xfr, Reason::None);
        self.running = Some(subsystem);
        let begin = self.mark(now, subsystem, RecordSubtype::BulkBegin);
        self.bulks[place] = Bulk {
            begin,
            end: None,
            ..self.bulks[place]
        };
    }

    /// Ends the bulk transfer that is going on: the subsystem is ready when the standby acknowledges this. Does
    /// nothing if [`Sender::bulk`] is another one.
    pub fn end_bulk(&mut self, now: u64, subsystem: Subsystem) {
        if self.running != Some(subsystem) {
            return;
        }
        self.running = None;
        let end = self.mark(now, subsystem, RecordSubtype::BulkEnd);
        if let Some(place) = subsystem.place() {
            self.bulks[place].end = Some(end);
        }
    }

    /// Drops what was not sent and transfers everything anew as soon as the standby has caught up.
    pub fn fall_back(&mut self, why: FallBack) {
        let dropped = self.outbox.drop_unsent();
        if let Some(first) = dropped.first {
            while self
                .pending
                .back()
                .is_some_and(|pending| pending.id >= first)
            {
                self.pending.pop_back();
            }
        }
        let newest = self.pending.back().map_or(self.acked, |pending| pending.id);
        self.drain = Some(newest);
        self.running = None;
        self.round_since = None;
        for subsystem in Subsystem::CHECKPOINTED {
            if matches!(
                self.states.state(subsystem),
                SubState::Xfr | SubState::Ready
            ) {
                self.states.set(subsystem, SubState::Initial, why.reason());
            }
        }
        self.bulks = self.bulks.map(|bulk| Bulk { end: None, ..bulk });
        self.counts.fallbacks += 1;
        self.events.push(Event::FellBack {
            why,
            dropped: dropped.octets,
        });
        // What it has is no longer what we have: if we died now, it would have to know.
        self.tell_states();
    }

    /// Says that the master lives, unless something else that waits to be sent says so.
    pub fn keepalive(&mut self) {
        if self.outbox.len() == 0 {
            self.link_message(LinkSubtype::Keepalive, |_| {});
        }
    }

    /// Tells the standby to take over: everything was sent.
    pub fn handover(&mut self, cause: Cause) {
        self.link_message(LinkSubtype::Handover, |out| link::write_cause(cause, out));
    }

    /// Tells the standby why the master is dying.
    pub fn last_words(&mut self, text: &str) {
        self.link_message(LinkSubtype::LastWords, |out| link::write_text(text, out));
    }

    /// Tells the standby that the link is closed in order.
    pub fn goodbye(&mut self, text: &str) {
        self.link_message(LinkSubtype::Goodbye, |out| link::write_text(text, out));
    }

    /// Asks for the digests of the standby's database as it is after everything committed so far; the answer is
    /// [`Event::Digest`].
    pub fn request_digest(&mut self) {
        self.link_message(LinkSubtype::DigestRequest, |_| {});
    }

    /// The newest bracket committed.
    #[must_use]
    pub const fn committed(&self) -> TransactionId {
        self.committed
    }

    /// The newest bracket that the standby applied.
    #[must_use]
    pub const fn acked(&self) -> TransactionId {
        self.acked
    }

    /// Whether a takeover now would find everything, the brackets not yet acknowledged excepted.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.dead.is_none() && self.states.ready()
    }

    /// The standing of a subsystem.
    #[must_use]
    pub fn status(&self, subsystem: Subsystem) -> Status {
        self.states.get(subsystem)
    }

    /// The standing of all subsystems.
    #[must_use]
    pub const fn states(&self) -> &States {
        &self.states
    }

    /// Who the standby is, once it has said so.
    #[must_use]
    pub const fn peer(&self) -> Option<&Hello> {
        self.peer.as_ref()
    }

    /// What the standby has not acknowledged yet.
    #[must_use]
    pub fn lag(&self, now: u64) -> Lag {
        Lag {
            records: self.pending.iter().map(|pending| pending.records).sum(),
            ms: self
                .pending
                .front()
                .map_or(0, |pending| now.saturating_sub(pending.at)),
        }
    }

    /// When the standby was last heard.
    #[must_use]
    pub const fn heard(&self) -> u64 {
        self.heard
    }

    /// The counters.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// Queues a bracket that has no records.
    fn mark(&mut self, now: u64, subsystem: Subsystem, subtype: RecordSubtype) -> TransactionId {
        let mut open = self.begin(now);
        open.mark(subsystem, subtype);
        open.commit()
    }

    fn tell_states(&mut self) {
        let reports = self.states.iter().map(|(subsystem, status)| Report {
            subsystem,
            standing: status.current,
            resync: false,
        });
        let reports: Vec<Report> = reports.collect();
        self.link_message(LinkSubtype::Status, |out| {
            reports.iter().for_each(|report| report.write(out));
        });
    }

    fn link_message(&mut self, subtype: LinkSubtype, body: impl FnOnce(&mut Vec<u8>)) {
        if self.dead.is_some() {
            return;
        }
        let sequence = self.outbox.sequence();
        link::message(self.outbox.tail(), subtype, self.committed, sequence, body);
        self.outbox.commit(1, None);
    }
}
