//! Places for connections. Whoever does nothing keeps nobody out: when all places are taken, the connection that has
//! waited longest for its peer makes room for a newcomer; when all are being answered, the first one that has its
//! answer does.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// All places, shared by those who hold one.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Newcomers that may wait at a time.
    limit: usize,
    /// Time that every wait has, even if there are newcomers.
    grace: Duration,
    free: usize,
    /// Who gets the next places.
    newcomers: VecDeque<oneshot::Sender<()>>,
    /// Connections that were told to make room and still hold their place.
    leaving: usize,
    /// Waits for peers by number, in the order in which they began, and how to end them.
    waits: BTreeMap<u64, oneshot::Sender<()>>,
    next_wait: u64,
}

impl State {
    /// Ends as many waits, the longest first, as there are newcomers for whom nobody is leaving.
    fn make_room(&mut self) {
        while self.newcomers.len() > self.leaving
            && let Some((_, end)) = self.waits.pop_first()
        {
            self.leaving += 1;
            // A wait that is just over finds that it is not listed any more.
            let _ = end.send(());
        }
    }
}

/// A way to a place.
#[derive(Debug)]
pub(super) enum Entry {
    /// Here it is.
    Now(Place),
    /// It comes when another connection has left.
    Later(Places, oneshot::Receiver<()>),
}

/// A place; dropped, it is the next newcomer's.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    leaving: bool,
}

impl Places {
    /// So many places, all free, for which so many newcomers may wait. A peer has `grace` to do something before its
    /// connection makes room.
    pub(super) fn new(places: usize, newcomers: usize, grace: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            limit: newcomers,
            grace,
            free: places,
            newcomers: VecDeque::new(),
            leaving: 0,
            waits: BTreeMap::new(),
            next_wait: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a newcomer; `None` when too many wait already.
    pub(super) fn enter(&self) -> Option<Entry> {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return Some(Entry::Now(Place {
                places: self.clone(),
                leaving: false,
            }));
        }
        if state.newcomers.len() >= state.limit {
            return None;
        }
        let (give, given) = oneshot::channel();
        state.newcomers.push_back(give);
        state.make_room();
        Some(Entry::Later(self.clone(), given))
    }
}

impl Entry {
    /// The place, when there is one. `None` never, as long as connections end.
    pub(super) async fn place(self) -> Option<Place> {
        match self {
            Self::Now(place) => Some(place),
            Self::Later(places, given) => given.await.ok().map(|()| Place {
                places,
                leaving: false,
            }),
        }
    }
}

impl Place {
    /// Waits for a peer; `None` if the connection is to make room instead.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let (end, ended) = oneshot::channel();
        let (number, grace) = {
            let mut state = self.places.state();
            state.next_wait += 1;
            let number = state.next_wait;
            state.waits.insert(number, end);
            state.make_room();
            (number, Instant::now() + state.grace)
        };
        let told_to_leave = async {
            // Never dropped without having been sent.
            let _ = ended.await;
            sleep_until(grace).await;
        };
        let done = tokio::select! {
            biased;
            done = work => Some(done),
            () = told_to_leave => None,
        };
        let mut state = self.places.state();
        if done.is_none() {
            self.leaving = true;
        } else if state.waits.remove(&number).is_none() {
            // The peer moved after all: another one makes room.
            state.leaving -= 1;
            state.make_room();
        }
        done
    }

    /// Whether a newcomer waits for whom nobody is leaving yet.
    pub(super) fn is_wanted(&self) -> bool {
        let state = self.places.state();
        state.newcomers.len() > state.leaving
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        if self.leaving {
            state.leaving -= 1;
        }
        while let Some(newcomer) = state.newcomers.pop_front() {
            if newcomer.send(()).is_ok() {
                return;
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(places: &Places) -> Place {
        match places.enter() {
            Some(Entry::Now(place)) => place,
            other => panic!("{other:?}"),
        }
    }

    fn later(places: &Places) -> oneshot::Receiver<()> {
        match places.enter() {
            Some(Entry::Later(_, given)) => given,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_longest_wait_makes_room() {
        let places = Places::new(2, 2, Duration::ZERO);
        let (mut first, mut second) = (now(&places), now(&places));
        // Second waits since before first does.
        let never = std::future::pending::<()>;
        let waits = async {
            tokio::join!(
                async { (second.wait(never()).await, drop(second)) },
                async {
                    tokio::task::yield_now().await;
                    first.wait(async { tokio::task::yield_now().await }).await
                },
                async {
                    tokio::task::yield_now().await;
                    let mut given = later(&places);
                    assert!(given.try_recv().is_err());
                    given.await.unwrap();
                }
            )
        };
        let ((ended, ()), served, ()) = waits.await;
        assert_eq!((ended, served), (None, Some(())));
        assert!(!first.is_wanted());
    }

    #[tokio::test]
    async fn who_has_its_answer_makes_room_once() {
        let places = Places::new(2, 2, Duration::ZERO);
        let (first, second) = (now(&places), now(&places));
        assert!(!first.is_wanted());
        let given = later(&places);
        assert!(first.is_wanted());
        drop(first);
        given.await.unwrap();
        assert!(!second.is_wanted());
    }

    #[tokio::test]
    async fn a_wait_that_is_over_is_not_ended() {
        let places = Places::new(1, 1, Duration::ZERO);
        let mut place = now(&places);
        let mut newcomer = None;
        // The newcomer comes while the wait ends well.
        let served = place.wait(async { newcomer = Some(later(&places)) }).await;
        assert_eq!(served, Some(()));
        assert!(place.is_wanted());
        drop(place);
        newcomer.unwrap().await.unwrap();
    }

    #[tokio::test]
    async fn a_newcomer_before_the_first_wait_is_not_forgotten() {
        let places = Places::new(1, 1, Duration::ZERO);
        let mut silent = now(&places);
        let given = later(&places);
        assert_eq!(silent.wait(std::future::pending::<()>()).await, None);
        drop(silent);
        given.await.unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_moves_in_time_stays() {
        let places = Places::new(1, 1, Duration::from_secs(600));
        let mut place = now(&places);
        let _newcomer = later(&places);
        let moves = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(place.wait(moves).await, Some(()));
        // With its answer it makes room all the same.
        assert!(place.is_wanted());
    }

    #[test]
    fn newcomers_are_limited_and_may_give_up() {
        let places = Places::new(2, 2, Duration::ZERO);
        let held = (now(&places), now(&places));
        let waiting = (later(&places), later(&places));
        assert!(places.enter().is_none());
        drop(waiting);
        drop(held);
        // Both are free again.
        let _held = (now(&places), now(&places));
        assert!(matches!(places.enter(), Some(Entry::Later(..))));
    }
}
