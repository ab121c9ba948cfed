//! Who changed what, and from where: one line of the log for each change, whether it was done or refused, and for
//! those who tried without the right to.
//!
//! Programs choose their names and requests their texts, so everything is made [`printable`] first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::grammar;
use crate::logbook::printable;
use crate::northbound::access::Peer;
use crate::northbound::api::{ApiError, Request, Response};

/// What these lines are filtered by: `--log` does not turn them off.
pub const TARGET: &str = "audit";

/// Octets of a command at most; a change of many things is cut.
const MAX_COMMAND: usize = 900;

/// Octets of a reason at most.
const MAX_REASON: usize = 600;

/// Between two lines about what one user tries.
const PAUSE: Duration = Duration::from_secs(60);

/// Users who are told apart while they try what they may not; the rest are taken as one.
const MAX_USERS: usize = 32;

/// A change that was asked for, until it is known what became of it.
#[derive(Clone, Debug)]
pub struct Record {
    peer: Arc<Peer>,
    command: String,
}

impl Record {
    /// The record of a request; `None` if that changes nothing.
    #[must_use]
    pub fn of(peer: &Arc<Peer>, request: &Request) -> Option<Self> {
        request.is_change().then(|| Self {
            peer: Arc::clone(peer),
            command: command(request),
        })
    }

    /// Writes the line.
    pub fn ended(&self, response: &Response) {
        let refused = match response {
            Response::Ok(_) => None,
            Response::Error(error) => Some(error),
        };
        let (command, outcome) = (&self.command, outcome(refused));
        let Subject {
            user,
            terminal,
            program,
            text,
        } = Subject::of(&self.peer);
        let Peer { uid, pid, .. } = *self.peer;
        info!(
            target: TARGET, audit = true, user, uid, pid, terminal, program, command, outcome,
            "{text}: {command}: {outcome}"
        );
    }
}

/// A request as it would be typed, cut to [`MAX_COMMAND`].
#[must_use]
pub fn command(request: &Request) -> String {
    let line = grammar::command_line(request)
        // No command asks for it, but some other program did.
        .unwrap_or_else(|| serde_json::to_string(request).unwrap_or_default());
    let line = cut(&printable(&line), MAX_COMMAND);
    match request {
        Request::Configure { changes, .. } if changes.len() > 1 => {
            format!("{} changes: {line}", changes.len())
        }
        _ => line,
    }
}

fn outcome(refused: Option<&ApiError>) -> String {
    refused.map_or_else(
        || "done".into(),
        |error| {
            let why = printable(&error.message);
            format!("refused: {}", cut(&why, MAX_REASON))
        },
    )
}

fn cut(text: &str, octets: usize) -> String {
    if text.len() <= octets {
        return text.into();
    }
    format!("{} …", &text[..text.floor_char_boundary(octets)])
}

/// Who it was, printable.
struct Subject {
    user: Option<String>,
    terminal: Option<String>,
    program: Option<String>,
    text: String,
}

impl Subject {
    fn of(peer: &Peer) -> Self {
        let printed = |text: &Option<String>| text.as_deref().map(|text| printable(text).into());
        let privilege = peer.privilege.map_or("stranger", |known| known.word());
        Self {
            user: printed(&peer.user),
            terminal: printed(&peer.terminal),
            program: printed(&peer.program),
            text: format!("{privilege}: {}", printable(&peer.to_string())),
        }
    }
}

/// What users try who may not. The first attempt of each is told at once, further ones at most every [`PAUSE`], so that
/// they do not push everything else out of the log.
#[derive(Debug, Default)]
pub struct Attempts(BTreeMap<u32, Told>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Attempts since.
    untold: u64,
}

impl Attempts {
    /// Writes a line about an attempt, if it is time for one.
    pub fn refused(&mut self, peer: &Peer, command: &str, why: &ApiError, now: Instant) {
        let Some(untold) = self.note(peer.uid, now) else {
            return;
        };
        let outcome = outcome(Some(why));
        let Subject {
            user,
            terminal,
            program,
            text,
        } = Subject::of(peer);
        let Peer { uid, pid, .. } = *peer;
        let more = match untold {
            0 => String::new(),
            _ => format!(" (and {untold} more attempts before)"),
        };
        warn!(
            target: TARGET, audit = true, user, uid, pid, terminal, program, command, outcome, untold,
            "{text}: {command}: {outcome}{more}"
        );
    }

    /// Counts an attempt; whether to tell it, and how many before it were not told.
    fn note(&mut self, uid: u32, now: Instant) -> Option<u64> {
        /// No user's number.
        const OTHERS: u32 = u32::MAX;
        let is_over = |told: &Told| now.saturating_duration_since(told.at) >= PAUSE;
        let mut key = uid;
        if !self.0.contains_key(&uid) && self.0.len() >= MAX_USERS {
            self.0.retain(|_, told| !is_over(told));
            if self.0.len() >= MAX_USERS {
                key = OTHERS;
            }
        }
        let Some(told) = self.0.get_mut(&key) else {
            self.0.insert(key, Told { at: now, untold: 0 });
            return Some(0);
        };
        if !is_over(told) {
            told.untold += 1;
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests;
