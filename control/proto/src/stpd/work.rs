//! What is to be done.

use crate::config::StpdName;
use crate::stp::{Event, Flush};
use hitless_common::PortNo;
use hitless_common::map::vlans::PortSet;

use hitless_wire::bpdu::{Frame, MAX_FRAME_BYTES};
use hitless_wire::ether::NoRoom;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;

/// What followed from inputs. The order: close in the hardware, flush, checkpoint what is dirty, with `sync` wait for
/// the standby, open in the hardware, send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Domains whose [`super::Overlay`] changed, or that are there no more.
    pub changed: BTreeSet<StpdName>,
    /// Entries of the forwarding database to forget.
    pub flush: Vec<FlushJob>,
    /// Whether the standby is to have the checkpoint before something is opened or sent (design invariant 4).
    pub sync: bool,
    /// Frames to send, in this order.
    pub frames: Vec<OutFrame>,
    /// For the log, in the order in which they happened.
    pub events: Vec<(StpdName, Event)>,
}

/// Addresses of a domain's VLANs to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushJob {
    /// In the VLANs of this domain.
    pub stpd: StpdName,
    /// Behind these ports.
    pub ports: PortSet,
    /// `None`: at once. Else those that were not seen for so many seconds, for as long: Forward Delay, while the
    /// topology changes (802.1D-1998 8.3.5).
    pub ageing: Option<u16>,
}

/// A frame to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutFrame {
    /// Out of this port.
    pub port: PortNo,
    /// The whole frame, with a tag if it has one, without checksum.
    pub octets: FrameOctets,
}

/// The octets of a frame where they stand: a new master makes thousands, and would wait for the memory of each.
#[derive(Clone, PartialEq, Eq)]
pub struct FrameOctets {
    octets: [u8; MAX_FRAME_BYTES],
    length: u8,
}

const _: () = assert!(MAX_FRAME_BYTES <= u8::MAX as usize);

impl FrameOctets {
    /// Those of a frame.
    ///
    /// # Errors
    /// As [`Frame::emit`].
    pub(super) fn of(frame: &Frame) -> Result<Self, NoRoom> {
        let mut octets = [0; MAX_FRAME_BYTES];
        let length = frame.emit(&mut octets)?;
        let length = length as u8;
        Ok(Self { octets, length })
    }
}

impl Deref for FrameOctets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

impl fmt::Debug for FrameOctets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Work that gathers.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    changed: BTreeSet<StpdName>,
    flush: BTreeMap<(StpdName, Option<u16>), PortSet>,
    pub sync: bool,
    pub frames: Vec<OutFrame>,
    pub events: Vec<(StpdName, Event)>,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
            && self.flush.is_empty()
            && !self.sync
            && self.frames.is_empty()
            && self.events.is_empty()
    }

    /// Adds other work, of other domains.
    pub fn add(&mut self, other: Self) {
        self.changed.extend(other.changed);
        self.flush.extend(other.flush);
        self.sync |= other.sync;
        self.events.extend(other.events);
        if self.frames.is_empty() {
            self.frames = other.frames;
        } else {
            self.frames.extend(other.frames);
        }
    }

    /// The overlay of a domain changed.
    pub fn changed(&mut self, stpd: StpdName) {
        self.changed.insert(stpd);
    }

    /// Ports or VLANs left a domain and open.
    pub fn reopened(&mut self, stpd: StpdName) {
        self.changed.insert(stpd);
        self.sync = true;
    }

    /// Adds to what is to be flushed.
    pub fn flush(&mut self, stpd: StpdName, flush: Flush) {
        let (port, ageing) = match flush {
            Flush::Now(port) => (port, None),
            Flush::Ageing { port, seconds } => (port, Some(seconds)),
        };
        self.flush.entry((stpd, ageing)).or_default().insert(port);
    }

    pub fn work(self) -> Work {
        let job = |((stpd, ageing), ports)| FlushJob {
            stpd,
            ports,
            ageing,
        };
        Work {
            changed: self.changed,
            flush: self.flush.into_iter().map(job).collect(),
            sync: self.sync,
            frames: self.frames,
            events: self.events,
        }
    }
}
