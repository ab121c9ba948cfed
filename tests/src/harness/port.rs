//! A station on a link: sends exact octets and sees every frame that comes in.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::frames::Frame;
use super::netns::Netns;
use super::packet::PacketSocket;

/// How long a frame that must come may take.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// A packet socket on a device in a namespace.
#[derive(Debug)]
pub struct Port {
    name: String,
    socket: PacketSocket,
}

impl Port {
    /// Opens the station; frames that came before are not seen.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn open(netns: &Netns, device: &str) -> Result<Self> {
        let socket = netns.run(|| PacketSocket::receiver(device))?;
        Ok(Self {
            name: format!("{device} in {}", netns.name()),
            socket,
        })
    }

    /// Device and namespace, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a frame. A tag in it stays in the payload, as from a host whose device does not accelerate tags.
    ///
    /// # Errors
    /// When the kernel refuses the frame (see [`PacketSocket::send`]).
    pub fn send(&self, frame: &Frame) -> Result<()> {
        self.socket
            .send(frame.octets())
            .with_context(|| format!("send {frame:?} on {}", self.name))
    }

    /// The next frame, or `None` when there is none now.
    ///
    /// # Errors
    /// When the device goes down.
    pub fn poll(&self) -> Result<Option<Frame>> {
        self.socket
            .receive()
            .with_context(|| format!("receive on {}", self.name))
    }

    /// The frames up to and including the one that `last` accepts.
    ///
    /// # Errors
    /// When that one has not come after [`DEADLINE`]; names what came instead.
    pub fn receive_until(&self, last: impl Fn(&Frame) -> bool) -> Result<Vec<Frame>> {
        let start = Instant::now();
        let mut frames = Vec::new();
        loop {
            while let Some(frame) = self.poll()? {
                let done = last(&frame);
                frames.push(frame);
                if done {
                    return Ok(frames);
                }
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            if left.is_zero() {
                bail!(
                    "{}: the awaited frame has not come after {DEADLINE:?}; received {}",
                    self.name,
                    listing(&frames)
                );
            }
            self.socket.wait(left)?;
        }
    }

    /// Waits for exactly this frame; frames before it are dropped.
    ///
    /// # Errors
    /// When it has not come after [`DEADLINE`].
    pub fn await_frame(&self, frame: &Frame) -> Result<()> {
        self.receive_until(|f| f == frame).map(drop)
    }
}

/// Checks that a port received these frames and no other, in whatever order.
///
/// # Errors
/// Lists what is missing and what is too much.
pub fn assert_received(received: &[Frame], expected: &[Frame]) -> Result<()> {
    let mut surplus = received.to_vec();
    let mut missing = Vec::new();
    for frame in expected {
        match surplus.iter().position(|f| f == frame) {
            Some(at) => {
                surplus.swap_remove(at);
            }
            None => missing.push(frame.clone()),
        }
    }
    if missing.is_empty() && surplus.is_empty() {
        return Ok(());
    }
    bail!(
        "missing {}; not expected {}",
        listing(&missing),
        listing(&surplus)
    )
}

/// The frames for a message, not more than ten of them.
#[must_use]
pub fn listing(frames: &[Frame]) -> String {
    const SHOWN: usize = 10;
    if frames.is_empty() {
        return "nothing".into();
    }
    let mut text: Vec<String> = frames
        .iter()
        .take(SHOWN)
        .map(|f| format!("{f:?}"))
        .collect();
    if frames.len() > SHOWN {
        text.push(format!("and {} more", frames.len() - SHOWN));
    }
    text.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::frames::{Builder, MIN_LEN, Tag};
    use crate::harness::run::Run;
    use hitless_common::Mac;

    const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);

    #[test]
    fn what_is_sent_comes_out_as_it_was() {
        let run = Run::new().unwrap();
        let (a, b) = (
            Netns::new(&run, "a").unwrap(),
            Netns::new(&run, "b").unwrap(),
        );
        a.veth("x", &b, "y").unwrap();
        let (from, to) = (Port::open(&a, "x").unwrap(), Port::open(&b, "y").unwrap());
        let plain = Frame::probe(A, B);
        let frames = [
            plain.clone(),
            plain.tagged(Tag::vid(77)),
            plain.tagged(Tag::priority(0, 7)),
            plain.tagged(Tag::vid(4095)),
            plain.tagged(Tag::vid(20)).tagged(Tag {
                tpid: 0x88a8,
                tci: 10,
            }),
            Frame::from_octets(&plain.octets()[..14]),
            Builder::new(A, B).length(1514).build(),
            Frame::probe(B, A),
        ];
        for frame in &frames {
            from.send(frame).unwrap();
        }
        let received = to.receive_until(|f| *f == frames[7]).unwrap();
        assert_eq!(received, frames);
        // Nothing comes back, and the sender does not see its own frames.
        assert_eq!(from.poll().unwrap(), None);
        assert!(from.send(&Builder::new(A, B).length(1515).build()).is_err());
        assert!(
            from.send(&Frame::from_octets(&plain.octets()[..13]))
                .is_err()
        );
        assert_eq!(plain.len(), MIN_LEN);
    }

    #[test]
    fn differences_are_named() {
        let (one, two) = (Frame::probe(A, B), Frame::probe(A, B));
        let both = [one.clone(), two.clone()];
        assert_received(&both, &[two.clone(), one.clone()]).unwrap();
        let error = assert_received(&both, &[one.clone(), one.clone()])
            .unwrap_err()
            .to_string();
        assert_eq!(error, format!("missing {one:?}; not expected {two:?}"));
        assert!(assert_received(&[], std::slice::from_ref(&one)).is_err());
        assert!(assert_received(&[one], &[]).is_err());
    }
}
