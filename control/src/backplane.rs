//! The line to `hitless-boot`, the parent of a management module: tells it that we live, and hears what becomes of
//! the other slot. Without it this process is a single module.

use std::cell::Cell;
use std::fmt::Display;
use std::future::pending;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use hitless_boot::FD_VARIABLE;
use hitless_boot::line::{End, ToBoot, ToDaemon};
use hitless_boot::socket::{self, Received};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{SockType, UnixAddr, getsockname, getsockopt, sockopt};
use tokio::io::{Interest, unix::AsyncFd};
use tracing::{debug, warn};

pub use hitless_boot::EXIT_REBOOT;
pub use hitless_boot::line::{Cause, MAX_WATCHDOG_MS, MIN_WATCHDOG_MS};

/// What became of the other slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Its boot is there.
    Present,
    /// Its boot is gone, and its daemon with it: hot-removal.
    Removed,
    /// Its daemon has ended; its boot starts another one.
    Ended {
        /// What ended it.
        cause: Cause,
        /// The process that was.
        pid: u32,
        /// Exit status, name of the signal, message of the panic, or time without a kick.
        detail: String,
    },
}

/// Why a boot that should be there can not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum BackplaneError {
    /// The variable does not name a socket of a boot.
    #[error(
        "{FD_VARIABLE}={value:?} is no socket of a hitless-boot: {why}; unset it, or start hitlessd by hitless-boot"
    )]
    NoSocket {
        /// What the variable says.
        value: String,
        /// What was found.
        why: String,
    },
    /// It was taken before.
    #[error("{FD_VARIABLE} was read twice in one process")]
    Taken,
    /// The kernel refused something.
    #[error("socket to hitless-boot")]
    Io(#[from] io::Error),
}

/// The line to our boot.
#[derive(Debug)]
pub struct Backplane {
    fd: AsyncFd<OwnedFd>,
    ended: Cell<bool>,
}

impl Backplane {
    /// The line that `HITLESS_BOOT_FD` names; `None` if it is not set. Our children do not inherit it. Needs to be
    /// called in a runtime, and once.
    ///
    /// # Errors
    /// When the variable names anything but a connected `SOCK_SEQPACKET` Unix socket.
    pub fn from_env() -> Result<Option<Self>, BackplaneError> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let Some(value) = std::env::var_os(FD_VARIABLE) else {
            return Ok(None);
        };
        let value = value.to_string_lossy();
        let number = number_of_socket(&value).map_err(|why| BackplaneError::NoSocket {
            value: value.to_string(),
            why,
        })?;
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Err(BackplaneError::Taken);
        }
        // SAFETY: it is open, was left to us by our parent, and nobody has taken it before.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        Self::new(fd).map(Some)
    }

    fn new(fd: OwnedFd) -> Result<Self, BackplaneError> {
        let set = |argument| fcntl(&fd, argument).map_err(io::Error::from);
        set(FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        set(FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // SAFETY: this value owns the descriptor, which stays open and the same until it is deregistered by drop.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
            .map_err(io::Error::from)?;
        Ok(Self {
            fd,
            ended: Cell::new(false),
        })
    }

    /// The next thing that becomes of the other slot. May be dropped at any time without losing one. When the boot
    /// is gone nothing ever comes again: the kernel is about to kill this process too.
    pub async fn next(&self) -> PeerEvent {
        while !self.ended.get() {
            let Ok(mut ready) = self.fd.readable().await else {
                break;
            };
            match socket::receive(self.fd.get_ref()) {
                Received::Packet(packet) => match ToDaemon::parse(&packet) {
                    Ok(line) => return line.into(),
                    Err(error) => debug!("from hitless-boot: {error}"),
                },
                Received::Nothing => ready.clear_ready(),
                Received::End => {
                    warn!("hitless-boot is gone");
                    self.ended.set(true);
                }
            }
        }
        pending().await
    }

    /// Tells the watchdog that the event loop goes round.
    pub fn kick(&self) {
        self.tell(&ToBoot::Kick);
    }

    /// Has us killed when no kick comes for so many milliseconds ([`MIN_WATCHDOG_MS`] to [`MAX_WATCHDOG_MS`]); 0
    /// disarms.
    pub fn arm_watchdog(&self, ms: u32) {
        self.tell(&ToBoot::Watchdog(ms));
    }

    /// Tells our role, `master` or `standby`, and our version, a word each.
    pub fn state(&self, role: &str, version: &str) {
        self.tell(&ToBoot::State {
            role: role.to_owned(),
            version: version.to_owned(),
        });
    }

    /// Tells what we are about to die of. An empty text takes back what was told: after a panic that was survived.
    pub fn last_words(&self, text: &str) {
        self.tell(&ToBoot::LastWords(text.to_owned()));
    }

    /// Has the other slot's daemon killed and started anew; its end is told as one by [`Cause::Reset`].
    pub fn reset_peer(&self) {
        self.tell(&ToBoot::ResetPeer);
    }

    /// From now on a panic, on whatever thread, tells its message and place as our last words before anything else
    /// is done about it.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn install_panic_hook(&self) -> io::Result<()> {
        // Its own descriptor: the hook outlives this value.
        let fd = self.fd.get_ref().try_clone()?;
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let message = panic.payload_as_str().unwrap_or("no message");
            let words = match panic.location() {
                Some(place) => format!("{message} at {place}"),
                None => message.to_owned(),
            };
            tell(&fd, &ToBoot::LastWords(words));
            default(panic);
        }));
        Ok(())
    }

    fn tell(&self, line: &ToBoot) {
        tell(self.fd.get_ref(), line);
    }
}

/// A boot that does not read is dead or stopped. Then there is nobody to complain to, and no reason to wait.
fn tell(fd: &impl AsFd, line: &impl Display) {
    let _ = socket::tell(fd, line);
}

impl From<ToDaemon> for PeerEvent {
    fn from(line: ToDaemon) -> Self {
        match line {
            ToDaemon::PeerPresent => Self::Present,
            ToDaemon::PeerRemoved => Self::Removed,
            ToDaemon::PeerEnded(End { cause, pid, detail }) => Self::Ended { cause, pid, detail },
        }
    }
}

/// The descriptor that a text names, if it is a socket as a boot makes it; otherwise what it is instead.
fn number_of_socket(value: &str) -> Result<i32, String> {
    let number: i32 = value.parse().map_err(|_| "not a number".to_owned())?;
    if number <= 2 {
        return Err("standard input and outputs are not it".to_owned());
    }
    // SAFETY: only looked at; the kernel answers EBADF if it is not open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let kind = getsockopt(&fd, sockopt::SockType).map_err(|e| e.desc().to_owned())?;
    let unix = getsockname::<UnixAddr>(fd.as_raw_fd()).is_ok();
    if kind != SockType::SeqPacket || !unix {
        return Err("a socket of another kind".to_owned());
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(boot: &OwnedFd) -> Vec<ToBoot> {
        std::iter::from_fn(|| match socket::receive(boot) {
            Received::Packet(packet) => Some(ToBoot::parse(&packet).unwrap()),
            _ => None,
        })
        .collect()
    }

    #[tokio::test]
    async fn what_is_told_is_heard() {
        let (boot, ours) = socket::pair().unwrap();
        let backplane = Backplane::new(ours).unwrap();
        backplane.arm_watchdog(250);
        backplane.kick();
        backplane.state("standby", "0.1.0");
        backplane.reset_peer();
        backplane.last_words(&"long ".repeat(1000));
        backplane.last_words("");
        let heard = heard(&boot);
        assert_eq!(heard[0], ToBoot::Watchdog(250));
        assert_eq!(heard[1], ToBoot::Kick);
        let state = ToBoot::State {
            role: "standby".into(),
            version: "0.1.0".into(),
        };
        assert_eq!(heard[2..4], [state, ToBoot::ResetPeer]);
        assert!(matches!(&heard[4], ToBoot::LastWords(words) if words.starts_with("long long")));
        assert_eq!(heard[5..], [ToBoot::LastWords(String::new())]);
    }

    #[tokio::test]
    async fn events_come_in_order_and_then_nothing() {
        let (boot, ours) = socket::pair().unwrap();
        let backplane = Backplane::new(ours).unwrap();
        for line in [
            "peer-present",
            "from-a-newer-boot",
            "peer-ended panic 7 out of luck",
            "peer-removed",
        ] {
            socket::tell(&boot, &line).unwrap();
        }
        drop(boot);
        assert_eq!(backplane.next().await, PeerEvent::Present);
        let ended = PeerEvent::Ended {
            cause: Cause::Panic,
            pid: 7,
            detail: "out of luck".into(),
        };
        assert_eq!(backplane.next().await, ended);
        assert_eq!(backplane.next().await, PeerEvent::Removed);
        for _ in 0..2 {
            tokio::select! {
                biased;
                event = backplane.next() => panic!("{event:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        // Nobody listens: not an error, not a signal.
        backplane.kick();
    }

    #[tokio::test]
    async fn a_panic_tells_its_last_words() {
        let (boot, ours) = socket::pair().unwrap();
        let backplane = Backplane::new(ours).unwrap();
        backplane.install_panic_hook().unwrap();
        drop(backplane);
        let thread = std::thread::spawn(|| panic!("out of {}", "luck"));
        assert!(thread.join().is_err());
        let _ = std::panic::take_hook();
        // Other tests may panic on purpose at the same time.
        let told = heard(&boot).into_iter().any(|line| {
            matches!(line, ToBoot::LastWords(words)
                if words.starts_with("out of luck at ") && words.contains("backplane.rs:"))
        });
        assert!(told);
    }

    #[test]
    fn only_a_socket_of_a_boot_will_do() {
        let (_boot, ours) = socket::pair().unwrap();
        let number = ours.as_raw_fd();
        assert_eq!(number_of_socket(&number.to_string()), Ok(number));
        let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        for (value, says) in [
            ("x".to_owned(), "not a number"),
            ("1".to_owned(), "standard"),
            ("2000000".to_owned(), "Bad file"),
            (stream.as_raw_fd().to_string(), "another kind"),
            (file.as_raw_fd().to_string(), "ocket"),
        ] {
            let why = number_of_socket(&value).unwrap_err();
            assert!(why.contains(says), "{value}: {why}");
        }
    }
}
