//! The boot of the other slot. Each boot listens at its own socket and connects to the other's, so there are two
//! connections: one to talk and one to listen. When one that was listened to ends, that boot is gone.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::line::{End, ToPeer};
use crate::slot::Slot;
use crate::socket::{self, Received};

/// Pause after the kernel refused something, so that it is not asked without end.
const PAUSE: Duration = Duration::from_secs(1);

/// Packets read from a peer before anything else gets its turn.
const BATCH: usize = 64;

/// What the other boot did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is there.
    Present,
    /// It is gone.
    Removed,
    /// Its daemon has ended.
    Ended(End),
    /// It asks that our daemon be killed and started anew.
    Reset,
}

/// What can become readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Our socket.
    Listener,
    /// A connection that has not told whose it is.
    Newcomer,
    /// The connection that the other boot talks on.
    From,
    /// The connection that we talk on; nothing but its end comes from there.
    To,
}

/// The way to the other boot.
#[derive(Debug)]
pub struct Neighbour {
    own: Slot,
    other: PathBuf,
    listener: OwnedFd,
    newcomer: Option<OwnedFd>,
    from: Option<OwnedFd>,
    to: Option<OwnedFd>,
    /// Our socket is not looked at before.
    deaf_until: Option<Instant>,
    /// When to connect again.
    again_at: Option<Instant>,
    events: VecDeque<Event>,
}

/// The socket of a slot's boot.
#[must_use]
pub fn socket_path(backplane: &Path, slot: Slot) -> PathBuf {
    backplane.join(format!("backplane-{slot}.sock"))
}

impl Neighbour {
    /// Listens, and connects to the other boot if it is there already.
    ///
    /// # Errors
    /// When the socket can not be made.
    pub fn new(backplane: &Path, own: Slot, now: Instant) -> io::Result<Self> {
        let mut neighbour = Self {
            own,
            other: socket_path(backplane, own.other()),
            listener: socket::listener(&socket_path(backplane, own))?,
            newcomer: None,
            from: None,
            to: None,
            deaf_until: None,
            again_at: None,
            events: VecDeque::new(),
        };
        neighbour.connect(now);
        Ok(neighbour)
    }

    /// Whether the other boot is there.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.from.is_some()
    }

    /// What to wait for, the most urgent first.
    pub fn places(&self) -> impl Iterator<Item = (Place, BorrowedFd<'_>)> {
        let listener = self.deaf_until.is_none().then_some(&self.listener);
        [
            (Place::From, self.from.as_ref()),
            (Place::Newcomer, self.newcomer.as_ref()),
            (Place::To, self.to.as_ref()),
            (Place::Listener, listener),
        ]
        .into_iter()
        .filter_map(|(place, fd)| fd.map(|fd| (place, fd.as_fd())))
    }

    /// When to call [`Neighbour::wake`] even if nothing comes.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        [self.deaf_until, self.again_at].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Instant) {
        if self.deaf_until.is_some_and(|when| when <= now) {
            self.deaf_until = None;
        }
        if self.again_at.is_some_and(|when| when <= now) {
            self.connect(now);
        }
    }

    /// Reads what has come at a place.
    pub fn ready(&mut self, place: Place, now: Instant) {
        match place {
            Place::Listener => match socket::accept(&self.listener) {
                // One that never told whose it is makes room.
                Ok(Some(newcomer)) => self.newcomer = Some(newcomer),
                Ok(None) => {}
                Err(_) => self.deaf_until = Some(now + PAUSE),
            },
            Place::Newcomer => self.greet(now),
            Place::From => self.listen(),
            Place::To => {
                if let Some(to) = &self.to
                    && socket::receive(to) == Received::End
                {
                    self.to = None;
                    // Its end may be the boot's or only the connection's; the other connection tells.
                    self.again_at = self.from.is_some().then_some(now + PAUSE);
                }
            }
        }
    }

    /// The next thing that happened.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Tells the other boot a line; false if nobody is there to hear it.
    pub fn tell(&self, line: &ToPeer) -> bool {
        let told = self.to.as_ref().map(|to| socket::tell(to, line));
        told.is_some_and(|result| result.is_ok())
    }

    fn connect(&mut self, now: Instant) {
        self.again_at = None;
        if self.to.is_some() {
            return;
        }
        self.to = socket::connected(&self.other).ok().flatten();
        if !self.tell(&ToPeer::Hello(self.own)) {
            self.to = None;
        }
        // Nobody there: who comes says hello. But who said hello must be there.
        if self.to.is_none() && self.from.is_some() {
            self.again_at = Some(now + PAUSE);
        }
    }

    fn greet(&mut self, now: Instant) {
        let Some(newcomer) = self.newcomer.take() else {
            return;
        };
        match socket::receive(&newcomer) {
            Received::Nothing => self.newcomer = Some(newcomer),
            Received::Packet(packet)
                if ToPeer::parse(&packet) == Ok(ToPeer::Hello(self.own.other())) =>
            {
                if self.from.is_some() {
                    self.remove();
                }
                self.from = Some(newcomer);
                self.events.push_back(Event::Present);
                self.connect(now);
                self.listen();
            }
            Received::Packet(_) | Received::End => {}
        }
    }

    fn listen(&mut self) {
        for _ in 0..BATCH {
            let received = self.from.as_ref().map(socket::receive);
            match received {
                None | Some(Received::Nothing) => return,
                Some(Received::End) => return self.remove(),
                Some(Received::Packet(packet)) => match ToPeer::parse(&packet) {
                    Ok(ToPeer::End(end)) => self.events.push_back(Event::Ended(end)),
                    Ok(ToPeer::Reset) => self.events.push_back(Event::Reset),
                    // A newer boot may have more to say.
                    Ok(ToPeer::Hello(_)) | Err(_) => {}
                },
            }
        }
    }

    fn remove(&mut self) {
        self.from = None;
        self.to = None;
        self.again_at = None;
        self.events.push_back(Event::Removed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Cause;

    /// Lets both sides read until neither has anything left.
    fn settle(boots: &mut [&mut Neighbour], now: Instant) {
        for _ in 0..8 {
            for boot in boots.iter_mut() {
                boot.wake(now);
                for place in [Place::From, Place::Newcomer, Place::To, Place::Listener] {
                    boot.ready(place, now);
                }
            }
        }
    }

    fn events(boot: &mut Neighbour) -> Vec<Event> {
        std::iter::from_fn(|| boot.event()).collect()
    }

    fn end() -> End {
        End {
            cause: Cause::Signal,
            pid: 3,
            detail: "SIGKILL".into(),
        }
    }

    #[test]
    fn boots_find_each_other_in_any_order_and_notice_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let new = |slot| Neighbour::new(directory.path(), slot, now).unwrap();
        let mut a = new(Slot::A);
        settle(&mut [&mut a], now);
        assert!(!a.is_present() && !a.tell(&ToPeer::Reset) && a.next().is_none());
        for _ in 0..3 {
            let mut b = new(Slot::B);
            settle(&mut [&mut a, &mut b], now);
            assert_eq!(events(&mut a), [Event::Present]);
            assert_eq!(events(&mut b), [Event::Present]);
            assert!(a.tell(&ToPeer::Reset) && b.tell(&ToPeer::End(end())));
            settle(&mut [&mut a, &mut b], now);
            assert_eq!(events(&mut a), [Event::Ended(end())]);
            assert_eq!(events(&mut b), [Event::Reset]);
            // What was said before the end is heard before the end.
            assert!(b.tell(&ToPeer::End(end())));
            drop(b);
            settle(&mut [&mut a], now);
            assert_eq!(events(&mut a), [Event::Ended(end()), Event::Removed]);
            assert!(!a.is_present() && a.next().is_none());
        }
    }

    #[test]
    fn a_boot_that_comes_back_before_its_end_was_seen_is_gone_and_there_again() {
        let directory = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let new = |slot| Neighbour::new(directory.path(), slot, now).unwrap();
        let (mut a, mut b) = (new(Slot::A), new(Slot::B));
        settle(&mut [&mut a, &mut b], now);
        events(&mut a);
        drop(b);
        let mut b = new(Slot::B);
        // The newcomer is heard first.
        for place in [Place::Listener, Place::Newcomer] {
            a.ready(place, now);
        }
        settle(&mut [&mut a, &mut b], now);
        assert_eq!(events(&mut a), [Event::Removed, Event::Present]);
        assert_eq!(events(&mut b), [Event::Present]);
        assert!(a.tell(&ToPeer::Reset));
        settle(&mut [&mut a, &mut b], now);
        assert_eq!(events(&mut b), [Event::Reset]);
    }

    #[test]
    fn strangers_and_nonsense_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut a = Neighbour::new(directory.path(), Slot::A, now).unwrap();
        let path = socket_path(directory.path(), Slot::A);
        let mut strangers = Vec::new();
        for line in ["hello msm-a", "hello", "reset", "\u{0}"] {
            let stranger = socket::connected(&path).unwrap().unwrap();
            socket::tell(&stranger, &line).unwrap();
            strangers.push(stranger);
            settle(&mut [&mut a], now);
        }
        let silent = socket::connected(&path).unwrap().unwrap();
        settle(&mut [&mut a], now);
        assert!(events(&mut a).is_empty() && !a.is_present());
        let mut b = Neighbour::new(directory.path(), Slot::B, now).unwrap();
        settle(&mut [&mut a, &mut b], now);
        assert_eq!(events(&mut a), [Event::Present]);
        drop((silent, strangers));
        socket::tell(b.to.as_ref().unwrap(), &"what is this").unwrap();
        settle(&mut [&mut a, &mut b], now);
        assert!(events(&mut a).is_empty() && a.is_present());
    }

    #[test]
    fn a_connection_that_is_lost_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let new = |slot| Neighbour::new(directory.path(), slot, now).unwrap();
        let (mut a, mut b) = (new(Slot::A), new(Slot::B));
        settle(&mut [&mut a, &mut b], now);
        events(&mut a);
        events(&mut b);
        b.from = None;
        settle(&mut [&mut a, &mut b], now);
        assert!(!a.tell(&ToPeer::Reset));
        settle(&mut [&mut a, &mut b], now + PAUSE);
        assert!(a.tell(&ToPeer::Reset));
        settle(&mut [&mut a, &mut b], now + PAUSE);
        assert!(events(&mut b).contains(&Event::Reset));
    }
}
