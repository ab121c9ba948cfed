//! Which protocol a control frame belongs to: enough to count it and to hand it on, not to trust it.
//!
//! Control frames are known by their destination: IEEE 802.1Q-2018 table 8-1, and the addresses 00:e0:2b:00:00:xx
//! of EDP and its sisters, which are unicast addresses. What is in the frame then has to fit, or the frame is
//! named by its address only.

use crate::ether::{Header, TypeOrLength, ether_type};
use core::fmt;
use hitless_common::Mac;

/// The protocol of a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Spanning tree, any version: LLC 42 to 01:80:c2:00:00:00.
    Stp,
    /// MAC control (PAUSE, priority flow control): 8808 to 01:80:c2:00:00:01.
    Pause,
    /// Link aggregation control: 8809 subtype 1 to 01:80:c2:00:00:02.
    Lacp,
    /// Another slow protocol (2 marker, 3 OAM, 10 organisation specific), by its subtype.
    SlowProtocol(u8),
    /// Port access: 888e to 01:80:c2:00:00:03, or to 00 or 0e (IEEE 802.1X-2010 table 11-1).
    Dot1x,
    /// Link layer discovery: 88cc to 01:80:c2:00:00:0e, 03 or 00 (IEEE 802.1AB-2016 table 7-1).
    Lldp,
    /// Anything else to a reserved address, by the last four bits of the address.
    Reserved(u8),
    /// Extreme discovery: SNAP 00e02b/00bb to 00:e0:2b:00:00:00.
    Edp,
    /// Extreme standby router: to 00:e0:2b:00:00:02 or 08, or an ESRP element to 00.
    Esrp,
    /// Ethernet automatic protection switching (RFC 3619): to 00:e0:2b:00:00:04.
    Eaps,
    /// Anything else to 00:e0:2b:00:00:xx, by the last octet of the address.
    EdpOther(u8),
    /// To an address that is not of control protocols.
    Other,
    /// Too short for an Ethernet header.
    Truncated,
}

/// EDP and its sisters in SNAP: LLC AA AA 03, organisation 00:e0:2b, protocol 00bb.
const EDP_SNAP: [u8; 8] = [0xaa, 0xaa, 0x03, 0x00, 0xe0, 0x2b, 0x00, 0xbb];

/// Spanning tree in LLC: both service access points 42, unnumbered information.
const STP_LLC: [u8; 3] = [0x42, 0x42, 0x03];

/// Octets of the EDP header, before the first element.
const EDP_HEADER_BYTES: usize = 16;

/// An element that says ESRP: marker and type.
const ESRP_ELEMENT: [u8; 2] = [0x99, 0x08];

/// The protocol of a frame, with or without an 802.1Q tag. Any octets have an answer.
#[must_use]
pub fn classify(frame: &[u8]) -> Protocol {
    let Ok(header) = Header::parse(frame) else {
        return Protocol::Truncated;
    };
    let Mac([.., last]) = header.destination;
    let payload = header.payload(frame);
    if !header.destination.is_control() {
        Protocol::Other
    } else if header.destination.is_group() {
        reserved(last & 0x0f, header.kind, payload)
    } else {
        extreme(last, header.kind, payload)
    }
}

/// To 01:80:c2:00:00:0n.
fn reserved(n: u8, kind: TypeOrLength, payload: &[u8]) -> Protocol {
    match (n, kind) {
        (0x0, TypeOrLength::Length(_)) if payload.starts_with(&STP_LLC) => Protocol::Stp,
        (0x1, TypeOrLength::Type(ether_type::MAC_CONTROL)) => Protocol::Pause,
        (0x2, TypeOrLength::Type(ether_type::SLOW_PROTOCOLS)) => match payload.first() {
            Some(1) => Protocol::Lacp,
            Some(&subtype) => Protocol::SlowProtocol(subtype),
            None => Protocol::Reserved(n),
        },
        (0x0 | 0x3 | 0xe, TypeOrLength::Type(ether_type::EAPOL)) => Protocol::Dot1x,
        (0x0 | 0x3 | 0xe, TypeOrLength::Type(ether_type::LLDP)) => Protocol::Lldp,
        _ => Protocol::Reserved(n),
    }
}

/// To 00:e0:2b:00:00:n.
fn extreme(n: u8, kind: TypeOrLength, payload: &[u8]) -> Protocol {
    let body = match kind {
        TypeOrLength::Length(_) => payload.strip_prefix(&EDP_SNAP),
        TypeOrLength::Type(_) | TypeOrLength::Undefined(_) => None,
    };
    match (n, body) {
        (0x00, Some(body)) if first_element(body).starts_with(&ESRP_ELEMENT) => Protocol::Esrp,
        (0x00, Some(_)) => Protocol::Edp,
        (0x02 | 0x08, Some(_)) => Protocol::Esrp,
        (0x04, Some(_)) => Protocol::Eaps,
        _ => Protocol::EdpOther(n),
    }
}

fn first_element(edp: &[u8]) -> &[u8] {
    edp.get(EDP_HEADER_BYTES..).unwrap_or_default()
}

impl fmt::Display for Protocol {
    /// A short name in lower case, as counters show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stp => f.pad("stp"),
            Self::Pause => f.pad("pause"),
            Self::Lacp => f.pad("lacp"),
            Self::SlowProtocol(subtype) => f.pad(&format!("slow-{subtype}")),
            Self::Dot1x => f.pad("dot1x"),
            Self::Lldp => f.pad("lldp"),
            Self::Reserved(n) => f.pad(&format!("reserved-{n:02x}")),
            Self::Edp => f.pad("edp"),
            Self::Esrp => f.pad("esrp"),
            Self::Eaps => f.pad("eaps"),
            Self::EdpOther(n) => f.pad(&format!("edp-{n:02x}")),
            Self::Other => f.pad("other"),
            Self::Truncated => f.pad("truncated"),
        }
    }
}

#[cfg(test)]
mod tests;
