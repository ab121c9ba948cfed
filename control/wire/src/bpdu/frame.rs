//! The frames that carry BPDUs: LLC to the bridge group address, the same behind a tag (EMISTP), and PVST+.

use super::{Bpdu, BpduError, RST_BYTES};
use crate::ether::{Header, NoRoom, TAG_BYTES, Tci, Truncated, TypeOrLength};
use hitless_common::{Mac, VlanId};
use thiserror::Error;

/// The bridge group address (802.1D-2004 table 7-10).
pub const STP_DESTINATION: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x00]);

/// Cisco's shared spanning tree address.
pub const PVST_DESTINATION: Mac = Mac([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd]);

/// Octets of the longest frame that [`Frame::emit`] writes.
pub const MAX_FRAME_BYTES: usize = MIN_FRAME_BYTES + 2 * TAG_BYTES;

/// Octets of the shortest Ethernet frame without its checksum (802.3 3.2.8).
const MIN_FRAME_BYTES: usize = 60;

/// LLC of 802.1D-2004 9.1.2: both service access points 42, unnumbered information.
const LLC: [u8; 3] = [0x42, 0x42, 0x03];

/// LLC and SNAP of PVST+.
const SNAP: [u8; 8] = [0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x01, 0x0b];

/// The element behind a PVST+ BPDU, before the VLAN: type 0, two octets.
const ORIGINATING_VLAN: [u8; 4] = [0, 0, 0, 2];

/// How a BPDU travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encapsulation {
    /// Untagged to [`STP_DESTINATION`], as 802.1D has it.
    Dot1d,
    /// The same, behind the tag of the domain's carrier VLAN.
    Emistp(VlanId),
    /// To [`PVST_DESTINATION`], for one VLAN.
    PvstPlus {
        /// The VLAN whose tree it is.
        vlan: VlanId,
        /// Whether the frame carries its tag; the native VLAN's does not.
        tagged: bool,
    },
}

/// A frame with a BPDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Address of the sending port.
    pub source: Mac,
    /// How the BPDU travels.
    pub encapsulation: Encapsulation,
    /// The BPDU.
    pub bpdu: Bpdu,
}

/// A frame that is none with a BPDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No whole Ethernet header.
    #[error(transparent)]
    Header(#[from] Truncated),
    /// To another address than BPDUs go to.
    #[error("destination {0}: BPDUs go to 01:80:c2:00:00:00 or 01:00:0c:cc:cc:cd")]
    Destination(Mac),
    /// A group address, or none, as source.
    #[error("source {0}: a port has an individual address")]
    Source(Mac),
    /// An EtherType where the length of an LLC frame has to be.
    #[error("type {0:04x} instead of a length: BPDUs are in LLC (802.1D 9.1.2)")]
    NotLlc(u16),
    /// The length says more than there is.
    #[error("length {length} with {found} octets behind it: the frame was cut")]
    Cut {
        /// What the length says.
        length: u16,
        /// Octets that are there.
        found: usize,
    },
    /// Neither the LLC header of spanning tree nor, to Cisco's address, the SNAP header of PVST+.
    #[error("the LLC header is not that of a BPDU to this destination")]
    Llc,
    /// A priority tag or the reserved VLAN 4095.
    #[error("VLAN {0} in the tag: a domain's carrier is 1 to 4094")]
    Tag(u16),
    /// A tag beside the frame and another in it.
    #[error("two tags: a BPDU has at most one")]
    SecondTag,
    /// PVST+ without its VLAN.
    #[error("a PVST+ frame without the element that names its VLAN")]
    NoVlan,
    /// PVST+ of another VLAN than its tag says, or of none.
    #[error(
        "a PVST+ frame of VLAN {element}, tagged with {tag:?}: the native VLANs of the two ends differ"
    )]
    OtherVlan {
        /// VLAN in the element.
        element: u16,
        /// VLAN in the tag.
        tag: Option<VlanId>,
    },
    /// What it carries is no BPDU.
    #[error(transparent)]
    Bpdu(#[from] BpduError),
}

impl Frame {
    /// Reads a frame. `beside` is the tag that was taken out of it, as the data path hands over; the frame itself
    /// has none then.
    ///
    /// # Errors
    /// When the frame is none with a BPDU: the first rule that it breaks.
    pub fn parse(frame: &[u8], beside: Option<Tci>) -> Result<Self, FrameError> {
        let header = Header::parse(frame)?;
        if header.destination != STP_DESTINATION && header.destination != PVST_DESTINATION {
            return Err(FrameError::Destination(header.destination));
        }
        if !header.source.is_station() {
            return Err(FrameError::Source(header.source));
        }
        let tag = match (beside, header.tag) {
            (Some(_), Some(_)) => return Err(FrameError::SecondTag),
            (tag, None) | (None, tag) => tag,
        };
        let tag = match tag {
            Some(tci) => Some(tci.vlan().ok_or(FrameError::Tag(tci.vid()))?),
            None => None,
        };
        let payload = header.payload(frame);
        match header.kind {
            TypeOrLength::Length(length) if usize::from(length) > payload.len() => {
                let found = payload.len();
                return Err(FrameError::Cut { length, found });
            }
            TypeOrLength::Length(_) => {}
            other => return Err(FrameError::NotLlc(other.to_wire())),
        }
        let (encapsulation, bpdu) = if header.destination == STP_DESTINATION {
            let octets = payload.strip_prefix(&LLC).ok_or(FrameError::Llc)?;
            let encapsulation = tag.map_or(Encapsulation::Dot1d, Encapsulation::Emistp);
            (encapsulation, Bpdu::parse(octets)?)
        } else {
            let octets = payload.strip_prefix(&SNAP).ok_or(FrameError::Llc)?;
            pvst_plus(octets, tag)?
        };
        Ok(Self {
            source: header.source,
            encapsulation,
            bpdu,
        })
    }

    /// Writes the frame, padded to the shortest that Ethernet has; gives back its length.
    ///
    /// # Errors
    /// When the buffer is too short; [`MAX_FRAME_BYTES`] are always enough.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let (destination, tag, llc, vlan) = match self.encapsulation {
            Encapsulation::Dot1d => (STP_DESTINATION, None, &LLC[..], None),
            Encapsulation::Emistp(vlan) => (STP_DESTINATION, Some(vlan), &LLC[..], None),
            Encapsulation::PvstPlus { vlan, tagged } => {
                let tag = tagged.then_some(vlan);
                (PVST_DESTINATION, tag, &SNAP[..], Some(vlan))
            }
        };
        let (bpdu, bytes) = self.bpdu.to_wire();
        // The element stands at the same place behind a Config and an RST BPDU; a notification has it too.
        let bpdu = if vlan.is_some() {
            &bpdu[..]
        } else {
            &bpdu[..bytes]
        };
        let element = vlan.map(|vlan| {
            let [a, b, c, d] = ORIGINATING_VLAN;
            let [high, low] = vlan.get().to_be_bytes();
            [a, b, c, d, high, low]
        });
        let element = element.as_ref().map_or(&[][..], |octets| &octets[..]);
        let length = llc.len() + bpdu.len() + element.len();
        let header = Header {
            destination,
            source: self.source,
            tag: tag.map(|vlan| Tci::new(vlan, 0)),
            kind: TypeOrLength::Length(length as u16),
        };
        let start = header.bytes();
        let needed = (start + length).max(MIN_FRAME_BYTES);
        let found = buffer.len();
        let out = buffer.get_mut(..needed).ok_or(NoRoom { found, needed })?;
        header.emit(out)?;
        out[start..].fill(0);
        let mut at = start;
        for part in [llc, bpdu, element] {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Ok(needed)
    }
}

/// The BPDU in a PVST+ frame, and the VLAN that the element behind it names.
fn pvst_plus(octets: &[u8], tag: Option<VlanId>) -> Result<(Encapsulation, Bpdu), FrameError> {
    let bpdu = Bpdu::parse(octets)?;
    let tagged = tag.is_some();
    let element = octets
        .get(RST_BYTES..)
        .and_then(|rest| rest.strip_prefix(&ORIGINATING_VLAN))
        .and_then(|vlan| vlan.first_chunk().copied())
        .map(u16::from_be_bytes);
    let vlan = match (element, tag) {
        (Some(element), tag) => VlanId::new(element)
            .filter(|&vlan| tag.is_none_or(|tag| tag == vlan))
            .ok_or(FrameError::OtherVlan { element, tag })?,
        // Some senders put the element behind Config and RST only.
        (None, Some(vlan)) if bpdu == Bpdu::Tcn => vlan,
        (None, _) => return Err(FrameError::NoVlan),
    };
    Ok((Encapsulation::PvstPlus { vlan, tagged }, bpdu))
}
