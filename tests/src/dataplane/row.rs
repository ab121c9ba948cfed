//! A row: what the maps hold, the frame that comes in, and everything that must come of it.

use hitless_common::limits::PUNT_BYTES;
use hitless_common::map::fdb::FdbKey;
use hitless_common::{DropReason, Mac};

use super::counts::{Counts, DEFERRED, PUNTED};
use super::tables::Tables;
use crate::harness::frames::{Frame, TPID_8021Q};

/// What the XDP program does with a row's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xdp {
    /// It decides, exactly as the TC program would.
    Decides,
    /// It leaves the frame, untouched and uncounted, to the TC program.
    Leaves,
}

/// Where a row can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// In test runs of both programs, and with real frames through the TC program.
    Everywhere,
    /// In test runs only: no device brings in such a frame.
    TestRuns,
    /// In test runs of the TC program only: XDP has no such frame.
    TcTestRun,
    /// In test runs of the XDP program only: TC does something else, which is said elsewhere.
    XdpTestRun,
    /// Not in test runs of the TC program, which the kernel limits to frames of one page.
    NotTcTestRun,
}

/// A learning event that a frame must give rise to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Not the row's concern.
    Unchecked,
    /// No event.
    Silent,
    /// The source is new in this VLAN.
    New(u16),
    /// The source is known behind another port.
    Moved(u16),
    /// There would be an event, but it must wait.
    Deferred,
}

/// Everything that must come of a frame.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Frames handed to devices, by port.
    pub out: Vec<(u16, Frame)>,
    /// Drops counted, by port.
    pub drops: Vec<(u16, DropReason)>,
    /// Whether the control plane gets the frame.
    pub punted: bool,
    /// The learning event.
    pub learning: Learning,
    /// FDB entries stamped with the present epoch; `None` if that is not the row's concern.
    pub stamped: Option<Vec<FdbKey>>,
    /// What the XDP program does.
    pub xdp: Xdp,
}

/// Dropped, counted at a port.
#[must_use]
pub fn dropped(port: u16, reason: DropReason) -> Expect {
    Expect {
        out: Vec::new(),
        drops: vec![(port, reason)],
        punted: false,
        learning: Learning::Unchecked,
        stamped: None,
        xdp: Xdp::Decides,
    }
}

/// Sent out of one port as a known unicast frame.
#[must_use]
pub fn sent(port: u16, frame: &Frame) -> Expect {
    Expect {
        out: vec![(port, frame.clone())],
        drops: Vec::new(),
        ..dropped(0, DropReason::UnknownPort)
    }
}

/// Spread over ports, each with the frame in its form.
#[must_use]
pub fn flooded(out: &[(u16, &Frame)]) -> Expect {
    Expect {
        out: out
            .iter()
            .map(|&(port, frame)| (port, frame.clone()))
            .collect(),
        drops: Vec::new(),
        xdp: Xdp::Leaves,
        ..dropped(0, DropReason::UnknownPort)
    }
}

/// Given to the control plane alone.
#[must_use]
pub fn taken() -> Expect {
    flooded(&[]).copied()
}

impl Expect {
    /// A copy goes to the control plane.
    #[must_use]
    pub fn copied(mut self) -> Self {
        self.punted = true;
        self
    }

    /// Something is dropped, too.
    #[must_use]
    pub fn and_dropped(mut self, port: u16, reason: DropReason) -> Self {
        self.drops.push((port, reason));
        self
    }

    /// The XDP program leaves it.
    #[must_use]
    pub fn by_tc(mut self) -> Self {
        self.xdp = Xdp::Leaves;
        self
    }

    /// With this learning event.
    #[must_use]
    pub fn learning(mut self, learning: Learning) -> Self {
        self.learning = learning;
        self
    }

    /// With exactly these entries stamped.
    #[must_use]
    pub fn stamping(mut self, entries: &[(u16, Mac)]) -> Self {
        let key = |&(vid, mac): &(u16, Mac)| FdbKey::from_raw(vid, mac.to_u64());
        self.stamped = Some(entries.iter().map(key).collect());
        self
    }
}

/// One test.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it shows.
    pub name: String,
    /// Contents of the maps.
    pub tables: Tables,
    /// The port that the frame comes in on.
    pub ingress: u16,
    /// The port that its reception is counted at.
    pub receiver: u16,
    /// The frame.
    pub frame: Frame,
    /// Payload octets of the segments that the frame stands for; 0 if it is one frame.
    pub gso: u32,
    /// Where it is tried.
    pub tried: Where,
    /// What must come of it.
    pub expect: Expect,
}

impl Row {
    /// A row.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        tables: Tables,
        ingress: u16,
        frame: &Frame,
        expect: Expect,
    ) -> Self {
        Self {
            name: name.into(),
            tables,
            ingress,
            receiver: ingress,
            frame: frame.clone(),
            gso: 0,
            tried: Where::Everywhere,
            expect,
        }
    }

    /// Tries it only in some places.
    #[must_use]
    pub fn only(mut self, tried: Where) -> Self {
        self.tried = tried;
        self
    }

    /// Its reception is counted at another port.
    #[must_use]
    pub fn counted_at(mut self, port: u16) -> Self {
        self.receiver = port;
        self
    }

    /// The frame stands for segments with this payload.
    #[must_use]
    pub fn segments(mut self, gso: u32) -> Self {
        self.gso = gso;
        self.only(Where::TcTestRun)
    }

    /// What must have been counted once the frame is through.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        counts.received(self.receiver, self.frame.len());
        for (port, frame) in &self.expect.out {
            counts.sent(*port, frame.len());
        }
        for &(port, reason) in &self.expect.drops {
            counts.dropped(port, reason);
        }
        counts.add(self.ingress, PUNTED, self.expect.punted.into());
        let deferred = self.expect.learning == Learning::Deferred;
        counts.add(self.ingress, DEFERRED, deferred.into());
        counts
    }

    /// The control information of the frame's C-VLAN tag.
    #[must_use]
    pub fn tci(&self) -> Option<u16> {
        let outer = self.frame.tags().next()?;
        (outer.tpid == TPID_8021Q).then_some(outer.tci)
    }

    /// The frame as the control plane gets it. Devices bring in frames with the outer tag beside them; only in a
    /// test run it is in the payload.
    #[must_use]
    pub fn punted(&self, tag_beside: bool) -> Frame {
        let whole = if tag_beside {
            self.frame.untagged()
        } else {
            self.frame.clone()
        };
        let octets = whole.octets();
        Frame::from_octets(&octets[..octets.len().min(PUNT_BYTES)])
    }
}
