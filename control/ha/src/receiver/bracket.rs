//! Brackets on the standby's side (patent, "bracketing"): open, kept, closed or discarded.

use super::{Database, Receiver};
use crate::message::{Message, TransactionId};
use crate::schema::Subsystem;
use crate::state::Reason;

/// Where the standby is in the master's brackets.
#[derive(Debug, Default)]
pub(super) enum Bracket {
    /// Between two of them.
    #[default]
    Closed,
    /// One is open; nothing of it is applied.
    Open {
        id: TransactionId,
        /// When it was opened.
        since: u64,
        /// Its messages so far, as they came.
        messages: Vec<u8>,
    },
    /// One went wrong: the rest of it is ignored.
    Discarded { id: TransactionId, reason: Reason },
}

impl Bracket {
    /// When the open bracket was opened.
    pub const fn since(&self) -> Option<u64> {
        match self {
            Self::Open { since, .. } => Some(*since),
            Self::Closed | Self::Discarded { .. } => None,
        }
    }

    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl Receiver {
    /// A message that belongs to a bracket.
    pub(super) fn bracketed<D: Database>(
        &mut self,
        now: u64,
        message: &Message<'_>,
        database: &mut D,
    ) {
        let header = message.header;
        if header.begin {
            if let Bracket::Open { id, .. } = &self.bracket {
                let detail = format!(
                    "bracket {} was opened while {id} was open",
                    header.transaction
                );
                return self.wrong(message, Reason::InvalidBracket, &detail);
            }
            if header.transaction <= self.begun {
                let detail = format!("bracket {} came after {}", header.transaction, self.begun);
                return self.wrong(message, Reason::InvalidBracket, &detail);
            }
            self.begun = header.transaction;
            self.bracket = Bracket::Closed;
            if header.end {
                self.apply(message.raw, header.transaction, database);
            } else {
                self.bracket = Bracket::Open {
                    id: header.transaction,
                    since: now,
                    messages: message.raw.to_vec(),
                };
            }
            return;
        }
        match &mut self.bracket {
            Bracket::Open { id, messages, .. } if *id == header.transaction => {
                if messages.len() + message.raw.len() > self.limits.bracket {
                    let limit = self.limits.bracket;
                    let detail = format!("bracket {id} is longer than {limit} octets");
                    return self.wrong(message, Reason::BracketOverflow, &detail);
                }
                messages.extend_from_slice(message.raw);
                if header.end {
                    let messages = core::mem::take(messages);
                    self.bracket = Bracket::Closed;
                    self.apply(&messages, header.transaction, database);
                }
            }
            Bracket::Discarded { id, reason } if *id == header.transaction => {
                let (id, reason) = (*id, *reason);
                if header.end {
                    self.bracket = Bracket::Closed;
                }
                self.fail_code(
                    header.subsystem,
                    reason,
                    &format!("bracket {id} was discarded"),
                );
            }
            _ => {
                let detail = format!("bracket {} was not opened", header.transaction);
                self.wrong(message, Reason::InvalidBracket, &detail);
            }
        }
    }

    /// A message that breaks the rules: its subsystem, and those of a bracket that it makes useless, need to be
    /// transferred anew.
    fn wrong(&mut self, message: &Message<'_>, reason: Reason, detail: &str) {
        for subsystem in self.discard(message.header.transaction, reason) {
            self.fail(subsystem, reason, true, detail);
        }
        self.fail_code(message.header.subsystem, reason, detail);
        if message.header.end {
            self.bracket = Bracket::Closed;
        }
    }

    /// The open bracket was not closed in time.
    pub(super) fn discard_late(&mut self) {
        let Bracket::Open { id, .. } = self.bracket else {
            return;
        };
        let detail = format!(
            "bracket {id} was not closed within {} ms",
            self.limits.bracket_ms
        );
        for subsystem in self.discard(id, Reason::InvalidBracket) {
            self.fail(subsystem, Reason::InvalidBracket, true, &detail);
        }
    }

    /// Discards the open bracket; what still comes of bracket `id` is ignored. Gives back the subsystems that the
    /// open bracket had messages of.
    pub(super) fn discard(&mut self, id: TransactionId, reason: Reason) -> Vec<Subsystem> {
        let old = core::mem::replace(&mut self.bracket, Bracket::Discarded { id, reason });
        let Bracket::Open { messages, .. } = old else {
            return Vec::new();
        };
        self.counts.discarded += 1;
        let codes = Message::again(&messages).map(|message| message.header.subsystem);
        let mut found: Vec<Subsystem> = codes.filter_map(Subsystem::from_code).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn fail_code(&mut self, code: u16, reason: Reason, detail: &str) {
        if let Some(subsystem) = Subsystem::from_code(code) {
            self.fail(subsystem, reason, true, detail);
        }
    }
}
