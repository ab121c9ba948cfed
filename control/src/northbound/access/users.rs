//! Names of users. They may come from a directory service that is slow or gone, so they are looked up aside and not
//! waited for long: hitlessd must not stand still, and a name is only for people.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Time that a name may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Look-ups at a time; while so many hang, users stay nameless.
const MAX_LOOKUPS: usize = 8;

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// One of the look-ups at a time.
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        let taken = LOOKUPS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
            (n < MAX_LOOKUPS).then_some(n + 1)
        });
        taken.is_ok().then_some(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        LOOKUPS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The name of a user, if there is one and it is found in time.
pub(super) async fn name_of(uid: u32) -> Option<String> {
    // Root commands the switch whatever is broken, and is not made to wait for it.
    if uid == 0 {
        return Some("root".into());
    }
    let turn = Turn::take()?;
    let (tell, told) = oneshot::channel();
    // A thread of its own: the end of the runtime would wait for one of its.
    std::thread::Builder::new()
        .name("user name".into())
        .spawn(move || {
            let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            drop(turn);
            // Who asked may be gone.
            let _ = tell.send(user.map(|user| user.name));
        })
        .ok()?;
    timeout(PATIENCE, told).await.ok()?.ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn users_have_names_or_not() {
        assert_eq!(name_of(0).await.as_deref(), Some("root"));
        assert_eq!(name_of(u32::MAX - 7).await, None);
        let own = nix::unistd::geteuid();
        let known = User::from_uid(own).unwrap().map(|user| user.name);
        assert_eq!(name_of(own.as_raw()).await, known);
    }
}
