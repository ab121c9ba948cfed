//! A station that broadcasts numbered frames at a steady rate, and what other stations receive of them: what was
//! lost and for how long, and whether any frame came twice, which is what a loop does.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use hitless_common::Mac;

use super::frames::{Builder, ProbeHeader, Tag};
use super::layout::kind;
use super::netns::Netns;
use super::packet::PacketSocket;
use super::probe::{Hook, Sink};
use super::wait::wait_for;

/// Sequence numbers: at a thousand a second enough for an hour.
const CAPACITY: u64 = 1 << 22;

/// Flow ids beside those of [`super::flow`].
static NEXT: AtomicU32 = AtomicU32::new(1 << 24);

/// A station: its name for messages, its namespace and its device.
#[derive(Clone, Copy, Debug)]
pub struct Station<'a> {
    /// For messages.
    pub name: &'a str,
    /// Where it is.
    pub netns: &'a Netns,
    /// Its device there.
    pub device: &'a str,
}

/// A running broadcast. It ends when dropped.
#[derive(Debug)]
pub struct Broadcast {
    source: String,
    listeners: Vec<(String, Sink)>,
    /// What comes back to the sender.
    own: Sink,
    shared: Arc<Shared>,
    sender: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicUsize,
    /// When each frame was sent.
    times: Mutex<Vec<Instant>>,
}

/// Frames in a row that a station did not receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Number of the first of them.
    pub first: usize,
    /// How many.
    pub frames: usize,
    /// When the first was sent.
    pub from: Instant,
    /// From then until the next one was sent that arrived, or until the end.
    pub lasted: Duration,
}

/// What became of a broadcast at a station.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The station's name.
    pub name: String,
    /// Different frames received.
    pub received: u64,
    /// Frames received once more.
    pub duplicated: u64,
    /// What was lost.
    pub outages: Vec<Outage>,
}

impl Heard {
    /// Frames not received.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.outages.iter().map(|o| o.frames).sum()
    }

    /// The longest time without a frame; zero when nothing was lost.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let times = self.outages.iter().map(|o| o.lasted);
        times.max().unwrap_or_default()
    }
}

/// What became of a broadcast.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The sending station.
    pub source: String,
    /// Frames sent.
    pub sent: usize,
    /// Frames that came back to their sender.
    pub returned: u64,
    /// By station.
    pub heard: Vec<Heard>,
}

impl Outcome {
    /// No frame came twice to anyone, and none to its sender.
    ///
    /// # Errors
    /// Says where.
    pub fn no_loop(&self) -> Result<()> {
        let looped = self.returned > 0 || self.heard.iter().any(|h| h.duplicated > 0);
        ensure!(!looped, "frames went round:\n{self}");
        Ok(())
    }

    /// Every frame came once to everyone.
    ///
    /// # Errors
    /// Says which did not.
    pub fn hitless(&self) -> Result<()> {
        self.no_loop()?;
        let lost = self.heard.iter().any(|h| h.lost() > 0);
        ensure!(self.sent > 0 && !lost, "frames were lost:\n{self}");
        Ok(())
    }

    /// The longest time that any station was without.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let times = self.heard.iter().map(Heard::longest);
        times.max().unwrap_or_default()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            sent,
            returned,
            heard,
        } = self;
        write!(f, "{source} sent {sent}, {returned} came back")?;
        for h in heard {
            write!(
                f,
                "; {} received {}, {} twice, {} lost",
                h.name,
                h.received,
                h.duplicated,
                h.lost()
            )?;
            if !h.outages.is_empty() {
                let ms = h.longest().as_millis();
                write!(f, " ({} times, {ms} ms at most)", h.outages.len())?;
            }
        }
        Ok(())
    }
}

impl Broadcast {
    /// Starts sending from one station to all: so many frames a second, tagged or not.
    ///
    /// # Errors
    /// When a sink can not be attached or the device not be opened.
    pub fn start(
        from: Station<'_>,
        to: &[Station<'_>],
        src: Mac,
        tag: Option<Tag>,
        rate: u32,
    ) -> Result<Self> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let sink = |station: &Station<'_>| {
            let hook = Hook::TcxIngress;
            Sink::attach(station.netns, station.device, hook, id, CAPACITY)
                .with_context(|| format!("listen at {}", station.name))
        };
        let listeners = to
            .iter()
            .map(|station| Ok((station.name.to_owned(), sink(station)?)))
            .collect::<Result<_>>()?;
        let own = sink(&from)?;
        let shared = Arc::new(Shared::default());
        let mut frame = Builder::new(src, Mac::BROADCAST).header(header(id, 0));
        if let Some(tag) = tag {
            frame = frame.tag(tag);
        }
        let (ready_tx, ready) = mpsc::channel();
        let (netns, device) = (Netns::open(from.netns.name())?, from.device.to_owned());
        let ours = shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("broadcast {}", from.name))
            .spawn(move || {
                let opened = netns.enter().and_then(|()| PacketSocket::sender(&device));
                let socket = match opened {
                    Ok(socket) => socket,
                    Err(error) => {
                        let _ = ready_tx.send(Err(error));
                        bail!("the broadcast did not start");
                    }
                };
                let _ = ready_tx.send(Ok(()));
                send(&socket, &ours, id, &frame, rate)
            })
            .context("thread for a broadcast")?;
        ready
            .recv()
            .map_err(|_| anyhow!("the sender of {} panicked", from.name))?
            .with_context(|| format!("broadcast from {}", from.name))?;
        Ok(Self {
            source: from.name.to_owned(),
            listeners,
            own,
            shared,
            sender: Some(thread),
        })
    }

    /// Frames sent so far.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::Acquire)
    }

    /// Different frames that a station (by its place) has received.
    #[must_use]
    pub fn received(&self, station: usize) -> u64 {
        let sink = self.listeners.get(station);
        sink.map_or(0, |(_, sink)| sink.flow().received)
    }

    /// Waits until every station has received a frame that was sent after the call.
    ///
    /// # Errors
    /// When one has not, by the deadline.
    pub fn reaches_all(&self, deadline: Duration) -> Result<()> {
        let places: Vec<usize> = (0..self.listeners.len()).collect();
        self.reaches(&places, deadline)
    }

    /// The same of some stations, by their places.
    ///
    /// # Errors
    /// As [`Broadcast::reaches_all`].
    pub fn reaches(&self, places: &[usize], deadline: Duration) -> Result<()> {
        let from = self.sent() as u64;
        wait_for("a new frame at every station", deadline, || {
            let has = |place: &usize| {
                let sink = self.listeners.get(*place);
                sink.is_some_and(|(_, sink)| sink.flow().next > from)
            };
            Ok(places.iter().all(has).then_some(()))
        })
        .with_context(|| self.so_far().to_string())?;
        self.so_far().no_loop()
    }

    /// What became of the frames until now; of the last ones nobody knows yet.
    #[must_use]
    pub fn so_far(&self) -> Outcome {
        self.outcome(self.sent())
    }

    /// Stops sending, lets what is on its way arrive, and tells.
    ///
    /// # Errors
    /// When the sender failed.
    pub fn stop(mut self) -> Result<Outcome> {
        self.shared.stop.store(true, Ordering::Release);
        let thread = self.sender.take().context("the sender was taken")?;
        thread
            .join()
            .map_err(|_| anyhow!("the sender of {} panicked", self.source))?
            .with_context(|| format!("broadcast from {}", self.source))?;
        // A frame is through a switch in microseconds; a machine that has other things to do needs a little longer.
        let (mut last, mut since) = (self.progress(), Instant::now());
        while since.elapsed() < super::flow::PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
            let now = self.progress();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(self.outcome(self.sent()))
    }

    fn progress(&self) -> Vec<u64> {
        let last = |(_, sink): &(String, Sink)| sink.flow().next;
        self.listeners.iter().map(last).collect()
    }

    fn outcome(&self, sent: usize) -> Outcome {
        let times = self.shared.times.lock();
        let times = times.unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now();
        let heard = |(name, sink): &(String, Sink)| Heard {
            name: name.clone(),
            received: sink.flow().received,
            duplicated: sink.phase(0).duplicated,
            outages: outages(&times[..sent.min(times.len())], end, |n| {
                sink.has_seen(n as u64)
            }),
        };
        Outcome {
            source: self.source.clone(),
            sent,
            returned: self.own.flow().received,
            heard: self.listeners.iter().map(heard).collect(),
        }
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.sender.take() {
            let _ = thread.join();
        }
    }
}

fn header(id: u32, sequence: u64) -> ProbeHeader {
    ProbeHeader {
        flow: id,
        kind: kind::FLOW,
        phase: 0,
        sequence,
    }
}

/// Sends until told to stop.
fn send(socket: &PacketSocket, shared: &Shared, id: u32, frame: &Builder, rate: u32) -> Result<()> {
    let every = Duration::from_secs(1) / rate.max(1);
    let mut due = Instant::now();
    let mut sequence = 0;
    while !shared.stop.load(Ordering::Acquire) {
        ensure!(sequence < CAPACITY, "all sequence numbers are used up");
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
        let octets = frame.clone().header(header(id, sequence)).build();
        // Sent is told after the time is known, so that whoever counts finds it.
        {
            let mut times = shared.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.truncate(sequence as usize);
            times.push(Instant::now());
        }
        match socket.send(octets.octets()) {
            Ok(()) => {
                sequence += 1;
                shared.sent.store(sequence as usize, Ordering::Release);
            }
            // It did not go out: its number is used again.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR | libc::ENETDOWN)
                ) => {}
            Err(error) => return Err(error).context("send"),
        }
        // After a pause of the sender no burst: gaps are the path's.
        due = (due + every).max(Instant::now());
    }
    Ok(())
}

/// The runs of numbers that were not seen.
fn outages(times: &[Instant], end: Instant, seen: impl Fn(usize) -> bool) -> Vec<Outage> {
    let mut found = Vec::new();
    let mut number = 0;
    while number < times.len() {
        if seen(number) {
            number += 1;
            continue;
        }
        let first = number;
        while number < times.len() && !seen(number) {
            number += 1;
        }
        let until = times.get(number).copied().unwrap_or(end);
        found.push(Outage {
            first,
            frames: number - first,
            from: times[first],
            lasted: until.saturating_duration_since(times[first]),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::probe::{Faults, Redirect};
    use crate::harness::run::Run;

    #[test]
    fn outages_are_told_with_their_length() {
        let start = Instant::now();
        let at = |n: u64| start + Duration::from_millis(n);
        let times: Vec<Instant> = (0..8).map(at).collect();
        let lost = [2, 3, 7];
        let found = outages(&times, at(20), |n| !lost.contains(&n));
        let outage = |first: usize, frames, ms| Outage {
            first,
            frames,
            from: times[first],
            lasted: Duration::from_millis(ms),
        };
        assert_eq!(found, [outage(2, 2, 2), outage(7, 1, 13)]);
        assert!(outages(&times, at(20), |_| true).is_empty());
        assert!(outages(&[], at(20), |_| false).is_empty());
    }

    fn through(faults: Faults) -> Outcome {
        let run = Run::new().unwrap();
        let [a, middle, b] = ["a", "m", "b"].map(|l| Netns::new(&run, l).unwrap());
        a.veth("eth1", &middle, "p1").unwrap();
        b.veth("eth1", &middle, "p2").unwrap();
        let _redirect = Redirect::tcx(&middle, "p1", "p2", faults).unwrap();
        let station = |name, netns| Station {
            name,
            netns,
            device: "eth1",
        };
        let src = Mac([2, 0, 0, 0, 0, 1]);
        let broadcast =
            Broadcast::start(station("a", &a), &[station("b", &b)], src, None, 1000).unwrap();
        broadcast.reaches_all(Duration::from_secs(10)).ok();
        wait_for("some frames", Duration::from_secs(20), || {
            Ok((broadcast.sent() > 100).then_some(()))
        })
        .unwrap();
        broadcast.stop().unwrap()
    }

    #[test]
    fn what_is_lost_and_doubled_shows() {
        through(Faults::default()).hitless().unwrap();
        let lost = through(Faults {
            drop_every: 10,
            ..Faults::default()
        });
        assert!(lost.hitless().is_err() && lost.no_loop().is_ok(), "{lost}");
        assert_eq!(lost.heard[0].lost(), lost.sent.div_ceil(10));
        let doubled = through(Faults {
            repeat_every: 50,
            ..Faults::default()
        });
        assert!(doubled.no_loop().is_err(), "{doubled}");
    }
}
