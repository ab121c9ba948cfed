//! The standby's half of the checkpoint.
//!
//! A bracket's messages are kept as they came and applied to the database only when the bracket is closed; until
//! then they change nothing. What is wrong with a message costs the subsystem that it belongs to and no other;
//! only octets that are no messages cost the link.

mod apply;
mod bracket;

pub use apply::{Database, Store};

use crate::cause::Cause;
use crate::link::{self, Hello, Report, read_cause, read_text, write_digests};
use crate::message::{Header, Inbox, LinkError, Message, TransactionId};
use crate::outbox::Outbox;
use crate::schema::{LinkSubtype, Subsystem};
use crate::state::{Reason, States, Status, SubState};
use bracket::Bracket;

/// What a standby puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one bracket.
    pub bracket: usize,
    /// Milliseconds in which a bracket has to be closed.
    pub bracket_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bracket: 16 << 20,
            bracket_ms: 3000,
        }
    }
}

/// Something that the standby should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The master introduced itself.
    Hello(Hello),
    /// A subsystem is completely transferred.
    Ready(Subsystem),
    /// All of them are: this standby could take over.
    AllReady,
    /// A subsystem failed, or has to be transferred anew.
    Failed {
        /// Which.
        subsystem: Subsystem,
        /// Why.
        reason: Reason,
        /// The same in full.
        detail: String,
    },
    /// The master says that this standby no longer has what the master has: everything is transferred anew.
    FellBack,
    /// The master hands over: take over now.
    Handover(Cause),
    /// Why the master is dying.
    LastWords(String),
    /// The master does not want this module; the link is to be closed.
    Refused(String),
    /// The master closes the link in order.
    Goodbye(String),
}

/// Counters since the link was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Brackets applied.
    pub brackets: u64,
    /// Records applied.
    pub records: u64,
    /// Octets received.
    pub octets: u64,
    /// Brackets discarded.
    pub discarded: u64,
    /// Messages of subsystems and kinds of link messages that this version does not know.
    pub unknown: u64,
}

/// The standby's half of the link to the master. All times are milliseconds of one clock.
#[derive(Debug)]
pub struct Receiver {
    limits: Limits,
    inbox: Inbox,
    outbox: Outbox,
    states: States,
    bracket: Bracket,
    /// The number of the master's next message.
    expected: u64,
    /// The newest bracket that was begun.
    begun: TransactionId,
    /// The newest bracket that the master has spoken of.
    seen: TransactionId,
    /// The newest bracket that was applied.
    closed: TransactionId,
    /// The newest bracket that was acknowledged.
    acked: TransactionId,
    peer: Option<Hello>,
    heard: u64,
    /// When the database was last as new as the last message.
    current: Option<u64>,
    counts: Counts,
    events: Vec<Event>,
    /// Whether acknowledgements wait for something else than octets of the master.
    held: bool,
    dead: Option<LinkError>,
}

/// Octets of acknowledgements that may wait; beyond them, the next one waits for room and stands for all before it.
const ACKS: usize = 4 << 10;

impl Receiver {
    /// The link to a master that was just connected to. Introduces the standby.
    #[must_use]
    pub fn new(now: u64, hello: &Hello, limits: Limits) -> Self {
        let mut receiver = Self {
            limits,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            states: States::initial(),
            bracket: Bracket::default(),
            expected: 1,
            begun: TransactionId::NONE,
            seen: TransactionId::NONE,
            closed: TransactionId::NONE,
            acked: TransactionId::NONE,
            peer: None,
            heard: now,
            current: None,
            counts: Counts::default(),
            events: Vec::new(),
            held: false,
            dead: None,
        };
        receiver.link_message(LinkSubtype::Hello, |out| hello.write(out));
        receiver
    }

    /// Octets from the master, cut anywhere. Closed brackets are applied to the database and acknowledged.
    ///
    /// # Errors
    /// When they are no messages of this protocol: the link is to be closed, and everything else that is received
    /// gives the same error. The database is as the last closed bracket left it.
    pub fn receive<D: Database>(
        &mut self,
        now: u64,
        bytes: &[u8],
        database: &mut D,
    ) -> Result<(), LinkError> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        self.counts.octets += bytes.len() as u64;
        let mut inbox = core::mem::take(&mut self.inbox);
        let received = inbox.receive(bytes, |message| self.message(now, &message, database));
        self.inbox = inbox;
        self.dead = received.clone().err();
        self.acknowledge();
        received
    }

    /// Looks after the bracket timer (seed row 48). To be called after everything that had arrived was received: a
    /// standby that was stopped for a while must not blame the master. A master that has fallen silent is not late with
    /// its bracket: that is for its keepalives to find, and what it closed before is as good as ever.
    pub fn tick(&mut self) {
        if self
            .deadline()
            .is_some_and(|deadline| self.heard >= deadline)
        {
            self.discard_late();
        }
    }

    /// When the open bracket is late, if the master still speaks; never while none is open.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.bracket
            .since()
            .map(|since| since + self.limits.bracket_ms)
    }

    /// Octets to send, in order, as much as the transport takes.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.outbox.outgoing()
    }

    /// The transport took this many octets of [`Receiver::outgoing`].
    pub fn sent(&mut self, octets: usize) {
        self.outbox.sent(octets);
        self.acknowledge();
    }

    /// Acknowledges nothing for now, so that this standby does not count as ready: it could not take over at once for
    /// reasons of its own. Or goes on.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
        self.acknowledge();
    }

    /// Says that the standby lives, unless something else that waits to be sent says so.
    pub fn keepalive(&mut self) {
        if self.outbox.len() == 0 {
            self.link_message(LinkSubtype::Keepalive, |_| {});
        }
    }

    /// Tells the master that the link is closed in order.
    pub fn goodbye(&mut self, text: &str) {
        self.link_message(LinkSubtype::Goodbye, |out| link::write_text(text, out));
    }

    /// The newest bracket that was applied.
    #[must_use]
    pub const fn closed(&self) -> TransactionId {
        self.closed
    }

    /// Whether a bracket is open: what it brought so far is lost if the master ends now.
    #[must_use]
    pub const fn in_bracket(&self) -> bool {
        self.bracket.since().is_some()
    }

    /// Milliseconds since the database was last known to be as new as everything that the master had said; `None`
    /// before the first message.
    #[must_use]
    pub fn checkpoint_age(&self, now: u64) -> Option<u64> {
        self.current.map(|current| now.saturating_sub(current))
    }

    /// When the master was last heard.
    #[must_use]
    pub const fn heard(&self) -> u64 {
        self.heard
    }

    /// Whether a takeover now would find everything.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.states.ready()
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

    /// Who the master is, once it has said so.
    #[must_use]
    pub const fn peer(&self) -> Option<&Hello> {
        self.peer.as_ref()
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

    fn message<D: Database>(
        &mut self,
        now: u64,
        message: &Message<'_>,
        database: &mut D,
    ) -> Result<(), LinkError> {
        self.heard = now;
        self.count(&message.header);
        if message.header.subsystem == Subsystem::Module.code() {
            self.link(message, database)?;
        } else {
            self.bracketed(now, message, database);
        }
        if self.bracket.is_closed() {
            self.current = Some(now);
        }
        Ok(())
    }

    /// Checks the message's number. If some are missing, nobody knows what was in them.
    fn count(&mut self, header: &Header) {
        self.seen = self.seen.max(header.transaction);
        let expected = core::mem::replace(&mut self.expected, header.sequence.wrapping_add(1));
        if header.sequence != expected {
            let detail = format!(
                "message {expected} is missing: it was followed by {}",
                header.sequence
            );
            self.discard(header.transaction, Reason::InvalidBracket);
            for subsystem in Subsystem::CHECKPOINTED {
                self.fail(subsystem, Reason::InvalidBracket, true, &detail);
            }
        }
    }

    fn link<D: Database>(
        &mut self,
        message: &Message<'_>,
        database: &mut D,
    ) -> Result<(), LinkError> {
        match LinkSubtype::from_code(message.header.subtype) {
            Some(LinkSubtype::Hello) => {
                let hello = Hello::read(message.body)?;
                self.states.without(hello.lacks());
                self.peer = Some(hello.clone());
                self.events.push(Event::Hello(hello));
            }
            Some(LinkSubtype::Status) => self.told(&Report::read_all(message.body)?),
            Some(LinkSubtype::Handover) => {
                let cause = read_cause(message.body)?;
                self.events.push(Event::Handover(cause));
            }
            Some(LinkSubtype::DigestRequest) => {
                let digests = Subsystem::CHECKPOINTED
                    .map(|subsystem| (subsystem, database.digest(subsystem)));
                self.link_message(LinkSubtype::Digest, |out| write_digests(&digests, out));
            }
            Some(what @ LinkSubtype::LastWords) => {
                let text = read_text(what, message.body)?;
                self.events.push(Event::LastWords(text));
            }
            Some(what @ LinkSubtype::Refuse) => {
                let text = read_text(what, message.body)?;
                self.events.push(Event::Refused(text));
            }
            Some(what @ LinkSubtype::Goodbye) => {
                let text = read_text(what, message.body)?;
                self.events.push(Event::Goodbye(text));
            }
            Some(LinkSubtype::Keepalive) => {}
            // What only a standby says, or a later version.
            _ => self.counts.unknown += 1,
        }
        Ok(())
    }

    /// The master tells what it thinks of subsystems that it does not transfer, or has to transfer anew.
    fn told(&mut self, reports: &[Report]) {
        let mut fell_back = false;
        for report in reports {
            let (new, old) = (report.standing, self.states.state(report.subsystem));
            match new.state {
                SubState::Initial | SubState::Disable | SubState::Failed => {
                    let changed = self.states.set(report.subsystem, new.state, new.reason);
                    if changed && new.state == SubState::Failed {
                        self.events.push(Event::Failed {
                            subsystem: report.subsystem,
                            reason: new.reason,
                            detail: "the master does not transfer it".into(),
                        });
                    }
                    fell_back |= new.state == SubState::Initial
                        && matches!(old, SubState::Xfr | SubState::Ready);
                }
                SubState::Xfr | SubState::Ready | SubState::Unknown => {}
            }
        }
        if fell_back {
            self.events.push(Event::FellBack);
        }
    }

    /// A subsystem is of no use until it is transferred anew, for which `resync` asks.
    fn fail(&mut self, subsystem: Subsystem, reason: Reason, resync: bool, detail: &str) {
        if self.states.state(subsystem) == SubState::Disable
            || !self.states.set(subsystem, SubState::Failed, reason)
        {
            return;
        }
        let report = Report {
            subsystem,
            standing: self.states.get(subsystem).current,
            resync,
        };
        // The master compares this with what it has sent: a transfer that it began later heals the failure.
        self.message_after(self.seen, LinkSubtype::Status, |out| report.write(out));
        self.events.push(Event::Failed {
            subsystem,
            reason,
            detail: detail.into(),
        });
    }

    /// Acknowledges what was applied, if there is room.
    fn acknowledge(&mut self) {
        if self.closed > self.acked && self.outbox.len() < ACKS && self.dead.is_none() && !self.held
        {
            self.acked = self.closed;
            self.link_message(LinkSubtype::Ack, |_| {});
        }
    }

    fn link_message(&mut self, subtype: LinkSubtype, body: impl FnOnce(&mut Vec<u8>)) {
        self.message_after(self.closed, subtype, body);
    }

    fn message_after(
        &mut self,
        transaction: TransactionId,
        subtype: LinkSubtype,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        let sequence = self.outbox.sequence();
        link::message(self.outbox.tail(), subtype, transaction, sequence, body);
        self.outbox.commit(1, None);
    }
}
