//! BPDUs on a link, beside the switch: a recorder that hears what the far end sends, tshark's judgement of it, and a
//! talker with a clock of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use hitless_wire::bpdu::{
    self, Bpdu, FrameError, MAX_FRAME_BYTES, PVST_DESTINATION, STP_DESTINATION,
};

use super::frames::Frame;
use super::netns::Netns;
use super::packet::PacketSocket;
use super::process::output;
use super::wait::wait_for;

/// How often a recorder looks whether it has to end.
const LOOK: Duration = Duration::from_millis(50);

/// A frame to one of spanning tree's addresses.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it was taken from the socket.
    pub at: Instant,
    /// The frame.
    pub frame: Frame,
}

impl Heard {
    /// The BPDU in it.
    ///
    /// # Errors
    /// When there is none.
    pub fn bpdu(&self) -> Result<Bpdu, FrameError> {
        bpdu::Frame::parse(self.frame.octets(), None).map(|frame| frame.bpdu)
    }

    /// Whether it is a notification of a topology change, or has the flag.
    #[must_use]
    pub fn tells_of_change(&self) -> bool {
        match self.bpdu() {
            Ok(Bpdu::Rst(rst)) => rst.topology_change,
            Ok(Bpdu::Config(config)) => config.topology_change,
            Ok(Bpdu::Tcn) => true,
            Err(_) => false,
        }
    }
}

/// Records the BPDUs that come in on a device, also where a bridge takes them.
#[derive(Debug)]
pub struct Recorder {
    name: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Recorder {
    /// Begins to record.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn start(netns: &Netns, device: &str) -> Result<Self> {
        let name = format!("{device} in {}", netns.name());
        let socket = netns.run(|| PacketSocket::bpdus(device))?;
        let (heard, stop) = <(Arc<Mutex<Vec<Heard>>>, Arc<AtomicBool>)>::default();
        let (ours, over) = (heard.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name(format!("recorder {device}"))
            .spawn(move || {
                while !over.load(Ordering::Acquire) {
                    socket.wait(LOOK)?;
                    loop {
                        match socket.receive() {
                            Ok(Some(frame)) => {
                                let at = Instant::now();
                                let to = frame.dst();
                                if to == Some(STP_DESTINATION) || to == Some(PVST_DESTINATION) {
                                    lock(&ours).push(Heard { at, frame });
                                }
                            }
                            Ok(None) => break,
                            // Told once when the link goes; it may come back.
                            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
                            Err(error) => return Err(error).context("receive BPDUs"),
                        }
                    }
                }
                Ok(())
            })
            .context("thread for a recorder")?;
        Ok(Self {
            name,
            heard,
            stop,
            thread: Some(thread),
        })
    }

    /// How many so far; a mark for [`Recorder::since`].
    #[must_use]
    pub fn mark(&self) -> usize {
        lock(&self.heard).len()
    }

    /// What was heard after a mark.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<Heard> {
        lock(&self.heard).get(mark..).unwrap_or_default().to_vec()
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<Heard> {
        self.since(0)
    }

    /// Waits for a BPDU after a mark that is like this.
    ///
    /// # Errors
    /// When none has come by the deadline; says what was heard.
    pub fn await_bpdu(
        &self,
        mark: usize,
        what: &str,
        deadline: Duration,
        is: impl Fn(&Bpdu) -> bool,
    ) -> Result<Heard> {
        wait_for(what, deadline, || {
            let mut heard = self.since(mark).into_iter();
            Ok(heard.find(|h| h.bpdu().is_ok_and(|bpdu| is(&bpdu))))
        })
        .with_context(|| {
            let heard = self.since(mark);
            let last: Vec<_> = heard.iter().rev().take(3).map(Heard::bpdu).collect();
            format!(
                "{}: {} frames, the last ones {last:?}",
                self.name,
                heard.len()
            )
        })
    }

    /// Stops and gives back everything.
    ///
    /// # Errors
    /// When recording failed meanwhile.
    pub fn stop(mut self) -> Result<Vec<Heard>> {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .map_err(|_| anyhow!("the recorder of {} panicked", self.name))??;
        }
        Ok(self.all())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tshark says of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its BPDU type; none when it sees no BPDU.
    pub kind: Option<u8>,
    /// Whether it has the topology change flag, or is a notification of one.
    pub topology_change: bool,
    /// What it complains of.
    pub complaint: Option<String>,
}

/// Has tshark read the frames, which are written to `files` under this name.
///
/// # Errors
/// When tshark fails, or does not tell of every frame.
pub fn tshark(files: &Path, name: &str, heard: &[Heard]) -> Result<Vec<Judged>> {
    let path = files.join(format!("{name}.pcap"));
    fs::write(&path, pcap(heard)).with_context(|| format!("write {}", path.display()))?;
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(&path)
        .args(["-T", "fields", "-E", "separator=|"]);
    for field in [
        "frame.number",
        "frame.protocols",
        "stp.type",
        "stp.flags.tc",
        "_ws.expert.message",
        "_ws.malformed",
    ] {
        command.args(["-e", field]);
    }
    let text = output(&mut command)?;
    let judged: Vec<Judged> = text.lines().map(judged).collect::<Result<_>>()?;
    ensure!(
        judged.len() == heard.len(),
        "tshark tells of {} frames of {}:\n{text}",
        judged.len(),
        heard.len()
    );
    Ok(judged)
}

/// Every frame is a BPDU to tshark, and it complains of none.
///
/// # Errors
/// Names the first that is not.
pub fn accepted(judged: &[Judged]) -> Result<()> {
    ensure!(!judged.is_empty(), "there is no frame to be judged");
    for (number, frame) in (1..).zip(judged) {
        ensure!(
            frame.kind.is_some() && frame.complaint.is_none(),
            "frame {number} of {}: {frame:?}",
            judged.len()
        );
    }
    Ok(())
}

/// No frame tells of a topology change.
///
/// # Errors
/// Names the first that does.
pub fn steady(judged: &[Judged]) -> Result<()> {
    let changed = judged.iter().position(|frame| frame.topology_change);
    match changed {
        Some(at) => bail!(
            "frame {} of {} tells of a topology change",
            at + 1,
            judged.len()
        ),
        None => Ok(()),
    }
}

/// A line of tshark's: number, protocols, type, flag, messages, malformed.
fn judged(line: &str) -> Result<Judged> {
    let fields: Vec<&str> = line.split('|').collect();
    let [_number, protocols, kind, flag, message, malformed] = fields[..] else {
        bail!("tshark printed {line:?}");
    };
    let kind = match kind.strip_prefix("0x") {
        Some(digits) if protocols.split(':').any(|p| p == "stp") => {
            Some(u8::from_str_radix(digits, 16).with_context(|| format!("type in {line:?}"))?)
        }
        _ => None,
    };
    let complaint = [message, malformed].iter().any(|field| !field.is_empty());
    Ok(Judged {
        kind,
        topology_change: kind == Some(0x80) || matches!(flag, "1" | "True"),
        complaint: complaint.then(|| line.to_owned()),
    })
}

/// A capture file (libpcap 2.4, Ethernet).
fn pcap(heard: &[Heard]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 4 << 16 | 2, 0, 0, 65_535, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let start = heard.first().map(|h| h.at);
    for h in heard {
        let since = start.map_or(Duration::ZERO, |start| h.at - start);
        let (seconds, length) = (since.as_secs() as u32, h.frame.len() as u32);
        for word in [seconds, since.subsec_micros(), length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(h.frame.octets());
    }
    file
}

/// The frame as it is sent.
///
/// # Errors
/// Never: there is room for all.
pub fn octets(frame: &bpdu::Frame) -> Result<Frame> {
    let mut buffer = [0; MAX_FRAME_BYTES];
    let length = frame.emit(&mut buffer)?;
    Ok(Frame::from_octets(&buffer[..length]))
}

/// Another bridge's voice: sends a frame again and again, by its own clock, until it is dropped.
#[derive(Debug)]
pub struct Talker {
    frame: Arc<Mutex<Frame>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Talker {
    /// Sends the frame now, and from then on every so often.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn start(
        netns: &Netns,
        device: &str,
        every: Duration,
        frame: &bpdu::Frame,
    ) -> Result<Self> {
        let socket = netns.run(|| PacketSocket::sender(device))?;
        let frame = Arc::new(Mutex::new(octets(frame)?));
        let (stop, stopped) = mpsc::channel();
        let said = frame.clone();
        let thread = std::thread::Builder::new()
            .name(format!("talker {device}"))
            .spawn(move || {
                loop {
                    let frame = lock(&said).clone();
                    // A link that is down carries nothing; the switch may have pulled it.
                    let _ = socket.send(frame.octets());
                    if stopped.recv_timeout(every) != Err(mpsc::RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })
            .context("thread for a talker")?;
        Ok(Self {
            frame,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Says something else from the next time on.
    ///
    /// # Errors
    /// Never: there is room for all.
    pub fn say(&self, frame: &bpdu::Frame) -> Result<()> {
        *lock(&self.frame) = octets(frame)?;
        Ok(())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::run::{Run, Scratch};
    use hitless_common::{Mac, VlanId};
    use hitless_wire::bpdu::{Encapsulation, corpus};

    fn frame(bpdu: Bpdu) -> bpdu::Frame {
        bpdu::Frame {
            source: Mac([2, 0, 0, 0, 1, 1]),
            encapsulation: Encapsulation::Emistp(VlanId::new(100).unwrap()),
            bpdu,
        }
    }

    #[test]
    fn what_a_talker_says_is_recorded() {
        let run = Run::new().unwrap();
        let (a, b) = (
            Netns::new(&run, "a").unwrap(),
            Netns::new(&run, "b").unwrap(),
        );
        a.veth("x", &b, "y").unwrap();
        let recorder = Recorder::start(&b, "y").unwrap();
        // Not for spanning tree.
        let other = Frame::probe(Mac([2, 0, 0, 0, 0, 1]), Mac::BROADCAST);
        let socket = a.run(|| PacketSocket::sender("x")).unwrap();
        socket.send(other.octets()).unwrap();
        let every = Duration::from_millis(1);
        let talker = Talker::start(&a, "x", every, &frame(Bpdu::Tcn)).unwrap();
        wait_for("three frames", Duration::from_secs(10), || {
            Ok((recorder.mark() >= 3).then_some(()))
        })
        .unwrap();
        drop(talker);
        let heard = recorder.stop().unwrap();
        let said = octets(&frame(Bpdu::Tcn)).unwrap();
        assert!(heard.iter().all(|h| h.frame == said), "{heard:?}");
        assert!(heard.iter().all(|h| h.bpdu() == Ok(Bpdu::Tcn)));
    }

    #[test]
    fn tshark_tells_good_from_bad() {
        let run = Run::new().unwrap();
        let files = Scratch::new(&run, "t").unwrap();
        let heard = |frame| Heard {
            at: Instant::now(),
            frame,
        };
        let said = octets(&frame(Bpdu::Tcn)).unwrap();
        let good = tshark(files.path(), "good", &[heard(said.clone())]).unwrap();
        accepted(&good).unwrap();
        assert!(steady(&good).is_err());
        let cut = corpus::MALFORMED
            .iter()
            .find(|m| m.name == "Config of 34 octets")
            .unwrap();
        let cut = Frame::from_octets(cut.octets());
        let bad = tshark(files.path(), "bad", &[heard(said), heard(cut)]).unwrap();
        assert!(accepted(&bad).is_err(), "{bad:?}");
        assert!(accepted(&[]).is_err());
    }
}
