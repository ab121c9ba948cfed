//! Who is let in: by the credentials of the process that connects, and as long as there is room for its kind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::UnixStream;
use tracing::warn;

use super::places::{Entry, Places};
use super::{HASTE, Limits};
use crate::audit::{self, Attempts};
use crate::northbound::access::{Access, Credentials, Peer};
use crate::northbound::api::{ApiError, ErrorKind, Privilege, Request};

/// The way in.
#[derive(Debug)]
pub(super) struct Door {
    rules: Arc<Rules>,
    admins: Places,
    read_only: Places,
    shares: Shares,
}

/// A connection that is let in.
#[derive(Debug)]
pub(super) struct Admitted {
    pub credentials: Credentials,
    pub privilege: Privilege,
    pub entry: Entry,
    pub rules: Arc<Rules>,
    /// Of a read-only user; it lasts as long as the connection.
    pub share: Option<Share>,
}

impl Door {
    pub fn new(access: Access, limits: Limits) -> Self {
        let places = |(places, newcomers)| Places::new(places, newcomers, HASTE);
        Self {
            rules: Arc::new(Rules {
                access,
                attempts: Mutex::default(),
            }),
            admins: places(limits.admin),
            read_only: places(limits.read_only),
            shares: Shares::new(limits.of_one_user),
        }
    }

    /// Whether the process at the other end is let in; else why it is not.
    pub fn admit(&mut self, stream: &UnixStream) -> Result<Admitted, ApiError> {
        let credentials = Credentials::of(stream).map_err(|errno| {
            warn!("who connects to the control socket is unknown: {errno}");
            let message = format!("the switch can not find out who you are: {errno}");
            ApiError::new(ErrorKind::Forbidden, message)
        })?;
        let Some(privilege) = self.rules.access.privilege(&credentials) else {
            return Err(self.rules.turn_away(credentials));
        };
        let mut share = None;
        let places = match privilege {
            Privilege::Admin => &self.admins,
            _ => {
                share = Some(self.shares.take(credentials.uid)?);
                &self.read_only
            }
        };
        let entry = places.enter().ok_or_else(|| {
            let message = "too many control connections wait for a place; try again later";
            ApiError::new(ErrorKind::Busy, message)
        })?;
        Ok(Admitted {
            credentials,
            privilege,
            entry,
            rules: Arc::clone(&self.rules),
            share,
        })
    }
}

/// What is said and noted about those who may not.
#[derive(Debug)]
pub(super) struct Rules {
    access: Access,
    attempts: Mutex<Attempts>,
}

impl Rules {
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        // Counts, which are right at any time.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a user who may do nothing.
    fn turn_away(&self, credentials: Credentials) -> ApiError {
        let error = self.access.groups().forbidden(credentials.uid);
        let peer = credentials.nameless(None);
        self.attempts()
            .refused(&peer, "connect", &error, Instant::now());
        error
    }

    /// The answer to a change by a user who may only look.
    pub fn refuse(&self, peer: &Peer, request: &Request) -> ApiError {
        let command = audit::command(request);
        let message = format!(
            "{} may look at this switch but not change it, which `{command}` does; {} may",
            peer.who(),
            self.access.groups().who_commands()
        );
        let error = ApiError::new(ErrorKind::Forbidden, message);
        self.attempts()
            .refused(peer, &command, &error, Instant::now());
        error
    }
}

/// Connections by user.
#[derive(Clone, Debug)]
struct Shares {
    by_user: Arc<Mutex<BTreeMap<u32, usize>>>,
    limit: usize,
}

/// A connection of a user, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Shares,
    uid: u32,
}

impl Shares {
    fn new(limit: usize) -> Self {
        Self {
            by_user: Arc::default(),
            limit,
        }
    }

    fn by_user(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        // Every change is whole before anything could panic.
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, uid: u32) -> Result<Share, ApiError> {
        let mut by_user = self.by_user();
        let count = by_user.entry(uid).or_default();
        if *count >= self.limit {
            let message = format!(
                "uid {uid} has {count} control connections already, which is all that a read-only user may have; \
                 close one"
            );
            return Err(ApiError::new(ErrorKind::Busy, message));
        }
        *count += 1;
        Ok(Share {
            shares: self.clone(),
            uid,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut by_user = self.shares.by_user();
        if let Some(count) = by_user.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                by_user.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_has_so_many_and_others_as_many() {
        let shares = Shares::new(2);
        let (first, _second) = (shares.take(7).unwrap(), shares.take(7).unwrap());
        let error = shares.take(7).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(error.message.contains("uid 7 has 2"), "{}", error.message);
        let _other = shares.take(8).unwrap();
        drop(first);
        let third = shares.take(7).unwrap();
        assert!(shares.take(7).is_err());
        drop(third);
        drop(_second);
        assert_eq!(shares.by_user().keys().collect::<Vec<_>>(), [&8]);
    }
}
