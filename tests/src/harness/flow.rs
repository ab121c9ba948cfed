//! Numbered traffic at a high rate whose losses can only be the switch's: the sender never has more frames on
//! the way than the kernel's queues hold, because it watches the sink's counter.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use hitless_common::Mac;

use super::cpu::{Pinned, make_urgent};
use super::frames::{Builder, ProbeHeader, Tag};
use super::layout::{HEADER_LEN, MAX_PHASES, kind, offset};
use super::netns::Netns;
use super::packet::{BATCH, PacketSocket};
use super::probe::{Hook, Sink};
use super::report::{PhaseReport, Report};

#[cfg(test)]
mod tests;

/// Frames on the way at most. A CPU's backlog holds 1000 and a veth's XDP ring 256.
pub const WINDOW: u64 = 128;

/// When the window is full and nothing has arrived for this long, what is on the way counts as lost and the
/// sender goes on. A late frame still counts as received.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// Sequence numbers of a flow: over a minute at a million frames a second; 8 MB of bitmap.
pub const CAPACITY: u64 = 64 << 20;

/// Where and what a flow sends.
#[derive(Clone, Debug)]
pub struct Spec<'a> {
    /// Name in reports.
    pub name: &'a str,
    /// Namespace and device that send.
    pub from: (&'a Netns, &'a str),
    /// Namespace and device that receive. Frames may arrive there with or without tag.
    pub to: (&'a Netns, &'a str),
    /// Source address.
    pub src: Mac,
    /// Destination address.
    pub dst: Mac,
    /// Tag that frames are sent with.
    pub tag: Option<Tag>,
    /// Length in octets, tag not counted; 60 unless told.
    pub length: usize,
    /// Where the sink is attached.
    pub hook: Hook,
    /// CPU that sends, and processes the frames: the n-th of those allowed, counted around.
    pub cpu: usize,
    /// Frames on the way at most; `None` sends on whatever arrives.
    pub window: Option<u64>,
    /// Frames a second at most.
    pub rate: Option<u32>,
    /// With a `rate` well below what a CPU can send: gaps are the path's, and not those of a sender that has to
    /// wait for a CPU.
    pub urgent: bool,
    /// Sequence numbers; the flow fails when they are used up.
    pub capacity: u64,
}

impl<'a> Spec<'a> {
    /// The shortest untagged frames, as fast as one CPU sends them, to a tcx sink.
    #[must_use]
    pub fn new(
        name: &'a str,
        from: (&'a Netns, &'a str),
        to: (&'a Netns, &'a str),
        src: Mac,
        dst: Mac,
    ) -> Self {
        Self {
            name,
            from,
            to,
            src,
            dst,
            tag: None,
            length: super::frames::MIN_LEN,
            hook: Hook::TcxIngress,
            cpu: 0,
            window: Some(WINDOW),
            rate: None,
            urgent: false,
            capacity: CAPACITY,
        }
    }
}

/// What the sender and its owner tell each other.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Phase that frames shall be sent in.
    wanted: AtomicUsize,
    /// Phase that they are sent in.
    current: AtomicUsize,
    /// The sender has ended.
    ended: AtomicBool,
}

/// What the sender knows of one phase.
#[derive(Clone, Copy, Debug)]
struct SentPhase {
    sent: u64,
    started: Instant,
    ended: Instant,
}

/// A running flow. It ends when dropped.
#[derive(Debug)]
pub struct Flow {
    name: String,
    phases: Vec<String>,
    shared: Arc<Shared>,
    sink: Arc<Sink>,
    sender: Option<JoinHandle<Result<Vec<SentPhase>>>>,
}

/// Flow ids of this process: no sink takes another flow's frames for its own.
fn next_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Flow {
    /// Attaches the sink and starts sending, in a first phase of this name.
    ///
    /// # Errors
    /// When the sink can not be attached or the device not be opened.
    pub fn start(spec: &Spec<'_>, phase: &str) -> Result<Self> {
        let id = next_id();
        let sink = Arc::new(Sink::attach(
            spec.to.0,
            spec.to.1,
            spec.hook,
            id,
            spec.capacity,
        )?);
        let shared = Arc::new(Shared::default());
        let (ready_tx, ready) = mpsc::channel();
        // The thread enters the namespace by itself: it must not borrow from the caller.
        let netns = Netns::open(spec.from.0.name())?;
        let device = spec.from.1.to_owned();
        let (cpu, urgent) = (spec.cpu, spec.urgent && spec.rate.is_some());
        let mut sender = Sender::new(spec, id, shared.clone(), sink.clone());
        let thread = std::thread::Builder::new()
            .name(format!("flow {}", spec.name))
            .spawn(move || {
                let opened = netns.enter().and_then(|()| {
                    let pinned = Pinned::new(cpu)?;
                    if urgent {
                        make_urgent()?;
                    }
                    Ok((pinned, PacketSocket::sender(&device)?))
                });
                let (_pinned, socket) = match opened {
                    Ok(opened) => opened,
                    Err(error) => {
                        let _ = ready_tx.send(Err(error));
                        bail!("the flow did not start");
                    }
                };
                let _ = ready_tx.send(Ok(()));
                let result = sender.run(&socket);
                sender.shared.ended.store(true, Ordering::Release);
                result
            })
            .context("thread for a flow")?;
        ready
            .recv()
            .map_err(|_| anyhow!("the sender of flow {} panicked", spec.name))?
            .with_context(|| format!("flow {}", spec.name))?;
        Ok(Self {
            name: spec.name.to_owned(),
            phases: vec![phase.to_owned()],
            shared,
            sink,
            sender: Some(thread),
        })
    }

    /// Begins a new phase: when this returns, every frame sent from now on belongs to it, and none sent before.
    ///
    /// # Errors
    /// When the sender has ended, or the flow has had all the phases it can have.
    pub fn phase(&mut self, name: &str) -> Result<()> {
        if self.phases.len() == MAX_PHASES {
            bail!("flow {} has had {MAX_PHASES} phases", self.name);
        }
        let index = self.phases.len();
        self.phases.push(name.to_owned());
        self.shared.wanted.store(index, Ordering::Release);
        while self.shared.current.load(Ordering::Acquire) != index {
            if self.shared.ended.load(Ordering::Acquire) {
                bail!("the sender of flow {} has ended", self.name);
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Different frames received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.sink.flow().received
    }

    /// Waits until this many more frames have been received.
    ///
    /// # Errors
    /// When they have not come by the deadline.
    pub fn await_received(&self, more: u64, deadline: Duration) -> Result<()> {
        let (start, wanted) = (Instant::now(), self.received() + more);
        while self.received() < wanted {
            if start.elapsed() > deadline {
                bail!(
                    "flow {}: {} frames are still missing after {deadline:?}",
                    self.name,
                    wanted - self.received()
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Stops sending, waits for what is on the way and tells what became of each phase.
    ///
    /// # Errors
    /// When the sender failed, or the sink saw frames of this flow that nobody sent.
    pub fn stop(mut self) -> Result<Report> {
        self.shared.stop.store(true, Ordering::Release);
        let thread = self.sender.take().context("the sender was taken")?;
        let sent = thread
            .join()
            .map_err(|_| anyhow!("the sender of flow {} panicked", self.name))?
            .with_context(|| format!("flow {}", self.name))?;
        let total: u64 = sent.iter().map(|p| p.sent).sum();
        let (mut last, mut since) = (self.received(), Instant::now());
        while last < total && since.elapsed() < PATIENCE {
            std::thread::yield_now();
            let now = self.received();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        let flow = self.sink.flow();
        if flow.unaccounted != 0 || flow.next > total {
            bail!(
                "flow {}: {} frames with numbers that were never sent; highest {} of {total}",
                self.name,
                flow.unaccounted,
                flow.next
            );
        }
        let phases = self
            .phases
            .iter()
            .zip(&sent)
            .enumerate()
            .map(|(i, (name, sent))| {
                let got = self.sink.phase(i);
                let seconds = (sent.ended - sent.started).as_secs_f64();
                PhaseReport {
                    name: name.clone(),
                    sent: sent.sent,
                    received: got.received,
                    lost: sent.sent.saturating_sub(got.received),
                    duplicated: got.duplicated,
                    reordered: got.reordered,
                    longest_gap_us: got.longest_gap_ns.div_ceil(1000),
                    rate_kpps: if seconds > 0.0 {
                        sent.sent as f64 / seconds / 1000.0
                    } else {
                        0.0
                    },
                }
            })
            .collect();
        Ok(Report {
            flow: self.name.clone(),
            phases,
        })
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.sender.take() {
            let _ = thread.join();
        }
    }
}

/// The sending thread's state.
struct Sender {
    shared: Arc<Shared>,
    sink: Arc<Sink>,
    frames: Vec<Vec<u8>>,
    /// Where the probe header stands in each frame.
    header: usize,
    window: Option<u64>,
    rate: Option<u32>,
    capacity: u64,
    /// Next sequence number.
    next: u64,
    /// Frames given up.
    written_off: u64,
    phases: Vec<SentPhase>,
}

impl Sender {
    fn new(spec: &Spec<'_>, id: u32, shared: Arc<Shared>, sink: Arc<Sink>) -> Self {
        let mut frame = Builder::new(spec.src, spec.dst)
            .header(ProbeHeader {
                flow: id,
                kind: kind::FLOW,
                phase: 0,
                sequence: 0,
            })
            .length(spec.length)
            .build();
        if let Some(tag) = spec.tag {
            frame = frame.tagged(tag);
        }
        Self {
            shared,
            sink,
            header: frame.len() - frame.payload().len(),
            frames: vec![frame.octets().to_vec(); BATCH],
            window: spec.window,
            rate: spec.rate,
            capacity: spec.capacity,
            next: 0,
            written_off: 0,
            phases: Vec::new(),
        }
    }

    fn run(&mut self, socket: &PacketSocket) -> Result<Vec<SentPhase>> {
        self.begin_phase();
        let started = Instant::now();
        let (mut arrived, mut progress) = (0, started);
        while !self.shared.stop.load(Ordering::Acquire) {
            if self.shared.wanted.load(Ordering::Acquire) + 1 > self.phases.len() {
                self.begin_phase();
            }
            let mut room = BATCH as u64;
            if let Some(rate) = self.rate {
                let due = started.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000;
                let due = u64::try_from(due).unwrap_or(u64::MAX);
                room = room.min(due.saturating_sub(self.next));
                if room == 0 {
                    std::thread::sleep(Duration::from_micros(50));
                    continue;
                }
            }
            if let Some(window) = self.window {
                let received = self.sink.flow().received;
                if received != arrived {
                    (arrived, progress) = (received, Instant::now());
                }
                let on_the_way = self.next.saturating_sub(received + self.written_off);
                room = room.min(window.saturating_sub(on_the_way));
                if room == 0 {
                    if progress.elapsed() > PATIENCE {
                        self.written_off += on_the_way;
                        progress = Instant::now();
                    } else {
                        std::thread::yield_now();
                    }
                    continue;
                }
            }
            if self.next + room > self.capacity {
                bail!("all {} sequence numbers are used up", self.capacity);
            }
            self.send(socket, room as usize)?;
        }
        if let Some(phase) = self.phases.last_mut() {
            phase.ended = Instant::now();
        }
        Ok(std::mem::take(&mut self.phases))
    }

    /// Numbers and sends up to `count` frames.
    fn send(&mut self, socket: &PacketSocket, count: usize) -> Result<()> {
        for (i, frame) in self.frames[..count].iter_mut().enumerate() {
            let sequence = (self.next + i as u64).to_be_bytes();
            let at = self.header + offset::SEQUENCE;
            frame[at..at + sequence.len()].copy_from_slice(&sequence);
        }
        match socket.send_batch(&self.frames[..count]) {
            Ok(sent) => {
                self.next += sent as u64;
                if let Some(phase) = self.phases.last_mut() {
                    phase.sent += sent as u64;
                }
                Ok(())
            }
            // The frame did not go out: its number is used again.
            Err(error)
                if error.kind() == ErrorKind::WouldBlock
                    || error.kind() == ErrorKind::Interrupted
                    || error.raw_os_error() == Some(libc::ENOBUFS) =>
            {
                std::thread::yield_now();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NetworkDown => {
                std::thread::sleep(Duration::from_millis(1));
                Ok(())
            }
            Err(error) => Err(error).context("send"),
        }
    }

    /// Marks all frames from now on with the next phase.
    fn begin_phase(&mut self) {
        let now = Instant::now();
        if let Some(phase) = self.phases.last_mut() {
            phase.ended = now;
        }
        let index = self.phases.len();
        self.phases.push(SentPhase {
            sent: 0,
            started: now,
            ended: now,
        });
        let at = self.header + offset::PHASE;
        for frame in &mut self.frames {
            frame[at..at + 2].copy_from_slice(&(index as u16).to_be_bytes());
        }
        self.shared.current.store(index, Ordering::Release);
    }
}

const _: () = assert!(HEADER_LEN <= super::frames::MIN_LEN - 14 && MAX_PHASES <= u16::MAX as usize);
