//! A flow of numbered frames through the switch, from one port to another, for whoever wants to know whether a frame is
//! lost meanwhile: `hitless upgrade --probe`.
//!
//! Frames are written to a TAP device of this process, from where a program hands them to the first port as if they had
//! come by its wire (`ebpf/src/bin/inject.rs`); a packet socket hears them leave by the second port's device. All of it
//! ends with the process, however that ends.

mod count;
mod frame;
mod listener;
mod tap;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hitless_common::Mac;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

pub use count::Count;
use count::{OVERDUE, Tally};
use listener::Listener;
use tap::Tap;

/// Between two frames.
const PERIOD: Duration = Duration::from_millis(1);
/// A sender that is later than this has paused: it leaves frames out, and does not send them all at once.
const LATE: Duration = Duration::from_millis(5);
/// Between two looks of the listener, if nothing comes.
const LISTEN: Duration = Duration::from_millis(20);
/// Between two looks of whoever waits for frames.
const LOOK: Duration = Duration::from_millis(5);
/// Frames that have to come out before a flow is one.
const ENOUGH: u64 = 50;
/// Time that they have for it.
const START: Duration = Duration::from_secs(3);

/// Why there is no flow.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Without a TAP device no frame gets in.
    #[error(
        "/dev/net/tun can not be used ({0}); the probe flow needs a TAP device: load the module tun, give a container that \
         device, and ask as root"
    )]
    Tun(io::Error),
    /// A step of making the device failed.
    #[error("can not {what} of the probe flow: {source}; it needs CAP_NET_ADMIN and CAP_NET_RAW")]
    Device {
        /// What.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program that hands frames to the port is not there, or is refused.
    #[error(
        "the program of the probe flow can not be used: {0}; it needs CAP_BPF and CAP_NET_ADMIN"
    )]
    Program(String),
    /// The device is none of this network namespace.
    #[error(
        "device {device} is not in the network namespace of this command; give the command where the switch runs, such as \
         by `ip netns exec`"
    )]
    NoDevice {
        /// Its name.
        device: String,
    },
    /// Frames went in, and too few came out.
    #[error("only {received} of {sent} probe frames came out")]
    Lossy {
        /// Frames that went in.
        sent: u64,
        /// Frames that came out.
        received: u64,
    },
    /// Frames went in, and none came out.
    #[error("no probe frame came out, of {sent} that went in")]
    Nothing {
        /// Frames that went in.
        sent: u64,
    },
    /// It broke off before it began.
    #[error("the probe flow broke off: {0}")]
    Broken(String),
}

fn device_error(what: impl Into<String>, source: impl Into<io::Error>) -> ProbeError {
    ProbeError::Device {
        what: what.into(),
        source: source.into(),
    }
}

/// Where frames go in, where they come out, and whom they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The device of the port that they come in at.
    pub from: String,
    /// The device of the port that they leave by.
    pub to: String,
    /// The station that they are addressed to, behind the second port.
    pub destination: Mac,
}

impl Path {
    /// Whether a flow could be made, as far as that can be known without making anything.
    ///
    /// # Errors
    /// What is missing.
    pub fn look(&self) -> Result<(), ProbeError> {
        tap::open().map_err(ProbeError::Tun)?;
        [&self.from, &self.to]
            .into_iter()
            .try_for_each(|device| index(device).map(drop))
    }
}

/// The number of a device of this network namespace.
fn index(device: &str) -> Result<u32, ProbeError> {
    if_nametoindex(device).map_err(|_| ProbeError::NoDevice {
        device: device.into(),
    })
}

/// What the sender is doing.
#[derive(Debug, Default)]
struct Sending {
    sent: u64,
    waits: bool,
}

#[derive(Debug, Default)]
struct Shared {
    ends: AtomicBool,
    sending: Mutex<Sending>,
    tally: Mutex<Tally>,
    broken: Mutex<Option<String>>,
}

/// The threads leave what they share in order even if one of them panics.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// The first reason counts.
    fn break_off(&self, why: String) {
        locked(&self.broken).get_or_insert(why);
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// A flow that goes on until it is dropped.
#[derive(Debug)]
pub struct Flow {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Flow {
    /// Begins, once it has been seen that frames come out.
    ///
    /// # Errors
    /// What can not be made, or that frames do not come out.
    pub fn start(path: &Path) -> Result<Self, ProbeError> {
        let (from, to) = (index(&path.from)?, index(&path.to)?);
        let tap = Tap::new(from)?;
        let listener = Listener::open(to, tap.address())?;
        let shared = Arc::new(Shared::default());
        let mut flow = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        let destination = path.destination;
        let (sends, hears) = (Arc::clone(&shared), shared);
        flow.spawn("probe-listen", move || listen(&listener, &hears))?;
        flow.spawn("probe-send", move || send(&tap, destination, &sends))?;
        flow.await_first()?;
        Ok(flow)
    }

    fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), ProbeError> {
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(work)
            .map_err(|e| device_error("start a thread", e))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Waits until enough frames came out, and none of them is missing.
    fn await_first(&self) -> Result<(), ProbeError> {
        let began = Instant::now();
        while self.count().received < ENOUGH && began.elapsed() < START && self.broken().is_none() {
            thread::sleep(LOOK);
        }
        let Count {
            sent,
            received,
            lost,
            ..
        } = self.settle();
        if let Some(why) = self.broken() {
            return Err(ProbeError::Broken(why));
        }
        if received == 0 {
            return Err(ProbeError::Nothing { sent });
        }
        if lost > 0 || received < ENOUGH {
            return Err(ProbeError::Lossy { sent, received });
        }
        self.resume();
        Ok(())
    }

    /// What has become of its frames so far.
    #[must_use]
    pub fn count(&self) -> Count {
        // In this order: no frame is received before it was sent.
        let mut count = locked(&self.shared.tally).count();
        count.sent = locked(&self.shared.sending).sent;
        count
    }

    /// Why no more frames are sent or heard; `None` while all is well.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        locked(&self.shared.broken).clone()
    }

    /// Lets it wait, and what is under way arrive, for a little more than a second at most.
    #[must_use]
    pub fn settle(&self) -> Count {
        locked(&self.shared.sending).waits = true;
        let began = Instant::now();
        loop {
            let count = self.count();
            let done = count.received + count.lost >= count.sent;
            // A listener that is kept from its work has to get to it.
            if done || self.broken().is_some() || began.elapsed() > OVERDUE * 3 {
                return count;
            }
            thread::sleep(LOOK);
        }
    }

    /// Goes on after [`Flow::settle`].
    pub fn resume(&self) {
        locked(&self.shared.sending).waits = false;
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has left its reason if it broke off.
            let _ = thread.join();
        }
    }
}

fn send(tap: &Tap, destination: Mac, shared: &Shared) {
    let mut paused = Duration::ZERO;
    let mut next = Instant::now();
    while !shared.ends() {
        let now = Instant::now();
        if next > now {
            thread::sleep(next - now);
        }
        let late = Instant::now().saturating_duration_since(next);
        if late > LATE {
            paused += late;
            next += late;
        }
        let mut sending = locked(&shared.sending);
        if sending.waits {
            drop(sending);
            thread::sleep(PERIOD);
            continue;
        }
        let octets = frame::made(destination, tap.address(), sending.sent, paused);
        match tap.write(&octets) {
            Ok(()) => sending.sent += 1,
            // It is tried again with the next one's time.
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::EINTR) => {}
            Err(e) => shared.break_off(format!("its device {} takes no frames: {e}", tap.name())),
        }
        drop(sending);
        next += PERIOD;
    }
}

fn listen(listener: &Listener, shared: &Shared) {
    let began = Instant::now();
    while !shared.ends() {
        // What was sent by now can be heard by now, unless it is under way.
        let (now, sent) = (began.elapsed(), locked(&shared.sending).sent);
        loop {
            match listener.receive() {
                Ok(Some(heard)) => {
                    locked(&shared.tally).arrive(heard.number, heard.at, heard.paused)
                }
                Ok(None) => break,
                Err(e) => return shared.break_off(format!("nothing can be heard: {e}")),
            }
        }
        locked(&shared.tally).look(now, sent);
        if let Err(e) = listener.wait(LISTEN) {
            return shared.break_off(format!("nothing can be waited for: {e}"));
        }
    }
}
