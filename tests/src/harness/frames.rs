//! Ethernet frames, whole or broken on purpose.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hitless_common::Mac;

use super::layout::{ETHERTYPE, HEADER_LEN, MAGIC, kind, offset};

/// Shortest Ethernet frame without tag and frame check sequence (IEEE Std 802.3 3.2.8).
pub const MIN_LEN: usize = 60;
/// EtherType of an IEEE 802.1Q tag.
pub const TPID_8021Q: u16 = 0x8100;
/// EtherType of an IEEE 802.1ad service tag.
pub const TPID_8021AD: u16 = 0x88a8;

const ADDRESSES: usize = 12;
const TAG_LEN: usize = 4;

/// A VLAN tag, with whatever values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// EtherType of the tag.
    pub tpid: u16,
    /// Tag control information: priority in bits 15 to 13, drop eligible in bit 12, VLAN id below.
    pub tci: u16,
}

impl Tag {
    /// An IEEE 802.1Q tag of priority 0; `vid` may be one that the standard reserves.
    #[must_use]
    pub const fn vid(vid: u16) -> Self {
        Self {
            tpid: TPID_8021Q,
            tci: vid,
        }
    }

    /// An IEEE 802.1Q tag with a priority (0 to 7).
    #[must_use]
    pub const fn priority(vid: u16, priority: u16) -> Self {
        Self {
            tpid: TPID_8021Q,
            tci: priority << 13 | vid,
        }
    }

    fn octets(self) -> [u8; TAG_LEN] {
        let (t, c) = (self.tpid.to_be_bytes(), self.tci.to_be_bytes());
        [t[0], t[1], c[0], c[1]]
    }
}

/// A frame as it is on the wire, without frame check sequence.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// A frame of exactly these octets.
    #[must_use]
    pub fn from_octets(octets: impl Into<Vec<u8>>) -> Self {
        Self(octets.into())
    }

    /// The shortest frame of a test case from `src` to `dst`, untagged, unlike any other of this process.
    #[must_use]
    pub fn probe(src: Mac, dst: Mac) -> Self {
        Builder::new(src, dst).build()
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The length in octets, tags included.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty frame can not be sent"
    )]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The frame with a tag before all others.
    #[must_use]
    pub fn tagged(&self, tag: Tag) -> Self {
        let at = ADDRESSES.min(self.0.len());
        let mut octets = self.0.clone();
        octets.splice(at..at, tag.octets());
        Self(octets)
    }

    /// The frame without its outermost tag; the same frame if it has none.
    #[must_use]
    pub fn untagged(&self) -> Self {
        let mut octets = self.0.clone();
        if self.tags().next().is_some() {
            octets.drain(ADDRESSES..ADDRESSES + TAG_LEN);
        }
        Self(octets)
    }

    /// The tags, outermost first.
    pub fn tags(&self) -> impl Iterator<Item = Tag> + '_ {
        let mut at = ADDRESSES;
        std::iter::from_fn(move || {
            let (tpid, tci) = (self.u16_at(at)?, self.u16_at(at + 2)?);
            if tpid != TPID_8021Q && tpid != TPID_8021AD {
                return None;
            }
            at += TAG_LEN;
            Some(Tag { tpid, tci })
        })
    }

    /// The EtherType behind the tags.
    #[must_use]
    pub fn ethertype(&self) -> Option<u16> {
        self.u16_at(ADDRESSES + TAG_LEN * self.tags().count())
    }

    /// What follows the EtherType.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let at = ADDRESSES + TAG_LEN * self.tags().count() + 2;
        self.0.get(at..).unwrap_or_default()
    }

    /// The destination address; `None` in a frame too short for it.
    #[must_use]
    pub fn dst(&self) -> Option<Mac> {
        self.0.first_chunk().copied().map(Mac)
    }

    /// The source address; `None` in a frame too short for it.
    #[must_use]
    pub fn src(&self) -> Option<Mac> {
        self.0.get(6..)?.first_chunk().copied().map(Mac)
    }

    /// The probe header, if this is a probe frame.
    #[must_use]
    pub fn probe_header(&self) -> Option<ProbeHeader> {
        if self.ethertype()? != ETHERTYPE {
            return None;
        }
        ProbeHeader::read(self.payload())
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.0.get(at..)?.first_chunk()?))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(dst), Some(src)) = (self.dst(), self.src()) else {
            return write!(f, "[{} octets {:02x?}]", self.0.len(), self.0);
        };
        write!(f, "[{src} > {dst}")?;
        for tag in self.tags() {
            let (vid, priority) = (tag.tci & 0xfff, tag.tci >> 13);
            write!(f, " {:04x} vid {vid}", tag.tpid)?;
            if priority != 0 {
                write!(f, " priority {priority}")?;
            }
        }
        if let Some(probe) = self.probe_header() {
            let name = match probe.kind {
                kind::FLOW => "flow",
                kind::CASE => "case",
                kind::FENCE => "fence",
                _ => "probe",
            };
            write!(f, " {name} {}", probe.sequence)?;
        } else if let Some(ethertype) = self.ethertype() {
            write!(f, " ethertype {ethertype:04x}")?;
        }
        write!(f, " len {}]", self.0.len())
    }
}

/// The header in a probe frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeHeader {
    /// Flow id.
    pub flow: u32,
    /// [`kind`] of probe frame.
    pub kind: u16,
    /// Phase of the flow.
    pub phase: u16,
    /// Sequence number.
    pub sequence: u64,
}

impl ProbeHeader {
    /// The header as it stands in a frame.
    #[must_use]
    pub fn octets(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        let mut put = |at: usize, bytes: &[u8]| octets[at..at + bytes.len()].copy_from_slice(bytes);
        put(offset::MAGIC, &MAGIC.to_be_bytes());
        put(offset::FLOW, &self.flow.to_be_bytes());
        put(offset::KIND, &self.kind.to_be_bytes());
        put(offset::PHASE, &self.phase.to_be_bytes());
        put(offset::SEQUENCE, &self.sequence.to_be_bytes());
        octets
    }

    fn read(payload: &[u8]) -> Option<Self> {
        fn field<const N: usize>(payload: &[u8], at: usize) -> Option<[u8; N]> {
            payload.get(at..)?.first_chunk().copied()
        }
        if u32::from_be_bytes(field(payload, offset::MAGIC)?) != MAGIC {
            return None;
        }
        Some(Self {
            flow: u32::from_be_bytes(field(payload, offset::FLOW)?),
            kind: u16::from_be_bytes(field(payload, offset::KIND)?),
            phase: u16::from_be_bytes(field(payload, offset::PHASE)?),
            sequence: u64::from_be_bytes(field(payload, offset::SEQUENCE)?),
        })
    }
}

/// Numbers for probe frames: no two alike in this process.
pub fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Makes a frame field by field.
#[derive(Clone, Debug)]
pub struct Builder {
    dst: Mac,
    src: Mac,
    tags: Vec<Tag>,
    ethertype: u16,
    payload: Vec<u8>,
    length: usize,
}

impl Builder {
    /// A probe frame of a test case with a number of its own.
    #[must_use]
    pub fn new(src: Mac, dst: Mac) -> Self {
        let header = ProbeHeader {
            flow: std::process::id(),
            kind: kind::CASE,
            phase: 0,
            sequence: next_number(),
        };
        Self {
            dst,
            src,
            tags: Vec::new(),
            ethertype: ETHERTYPE,
            payload: header.octets().to_vec(),
            length: MIN_LEN,
        }
    }

    /// Adds a tag behind the ones before.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Replaces the EtherType behind the tags.
    #[must_use]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        self.ethertype = ethertype;
        self
    }

    /// Replaces the payload.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Replaces the payload by another probe header.
    #[must_use]
    pub fn header(self, header: ProbeHeader) -> Self {
        self.payload(header.octets())
    }

    /// The length in octets up to which the frame is padded, tags not counted; 60 unless told.
    #[must_use]
    pub fn length(mut self, length: usize) -> Self {
        self.length = length;
        self
    }

    /// The frame.
    #[must_use]
    pub fn build(self) -> Frame {
        let mut octets = Vec::with_capacity(self.length + TAG_LEN * self.tags.len());
        octets.extend_from_slice(&self.dst.0);
        octets.extend_from_slice(&self.src.0);
        for tag in &self.tags {
            octets.extend_from_slice(&tag.octets());
        }
        octets.extend_from_slice(&self.ethertype.to_be_bytes());
        octets.extend_from_slice(&self.payload);
        let length = self.length + TAG_LEN * self.tags.len();
        if octets.len() < length {
            octets.resize(length, 0);
        }
        Frame(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);

    #[test]
    fn a_probe_frame_is_the_shortest_and_unlike_others() {
        let frame = Frame::probe(A, B);
        assert_eq!(frame.len(), MIN_LEN);
        assert_eq!((frame.src(), frame.dst()), (Some(A), Some(B)));
        assert_eq!(frame.ethertype(), Some(ETHERTYPE));
        assert_ne!(frame, Frame::probe(A, B));
        assert_eq!(frame.probe_header().map(|h| h.kind), Some(kind::CASE));
    }

    #[test]
    fn a_tag_goes_on_and_off() {
        let plain = Frame::probe(A, B);
        let inner = plain.tagged(Tag::vid(20));
        let both = inner.tagged(Tag {
            tpid: TPID_8021AD,
            tci: 0x600a,
        });
        assert_eq!(both.len(), MIN_LEN + 8);
        assert_eq!(
            both.octets()[12..20],
            [0x88, 0xa8, 0x60, 0x0a, 0x81, 0, 0, 20]
        );
        assert_eq!(both.untagged(), inner);
        assert_eq!(inner.untagged(), plain);
        assert_eq!(plain.untagged(), plain);
        assert_eq!(both.probe_header(), plain.probe_header());
        assert_eq!(
            format!("{:?}", inner.tagged(Tag::priority(7, 5))),
            format!(
                "[{A} > {B} 8100 vid 7 priority 5 8100 vid 20 case {} len 68]",
                plain.probe_header().unwrap().sequence
            )
        );
    }

    #[test]
    fn broken_frames_are_shown_and_not_read() {
        for length in 0..MIN_LEN {
            let frame = Frame::from_octets(&Frame::probe(A, B).octets()[..length]);
            let _ = format!("{frame:?}");
            assert_eq!(
                frame.probe_header().is_some(),
                length >= 14 + HEADER_LEN,
                "{length}"
            );
        }
    }

    #[test]
    fn the_builder_sets_every_field() {
        let frame = Builder::new(A, B)
            .tag(Tag::vid(4095))
            .ethertype(0x0800)
            .payload([1, 2, 3])
            .length(0)
            .build();
        assert_eq!(frame.octets()[12..], [0x81, 0, 0x0f, 0xff, 8, 0, 1, 2, 3]);
        assert_eq!(frame.payload(), [1, 2, 3]);
    }
}
