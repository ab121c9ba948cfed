//! The Ethernet header with at most one 802.1Q tag (IEEE 802.3-2018 3.2, IEEE 802.1Q-2018 9), and the LLC header
//! behind it (IEEE 802.2).
//!
//! Only a C-tag (8100) is read as a tag; what is inside of it, and an S-tag (88a8), is payload.

use hitless_common::{Mac, VlanId};
use thiserror::Error;

/// EtherType values with a name.
pub mod ether_type {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Customer VLAN tag (C-TAG), IEEE 802.1Q-2018 table 9-1.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// MAC control: PAUSE and priority flow control, IEEE 802.3-2018 clause 31.
    pub const MAC_CONTROL: u16 = 0x8808;
    /// Slow protocols: LACP, marker, OAM, IEEE 802.3-2018 annex 57A.
    pub const SLOW_PROTOCOLS: u16 = 0x8809;
    /// Port access, IEEE 802.1X.
    pub const EAPOL: u16 = 0x888e;
    /// Service VLAN tag (S-TAG), IEEE 802.1Q-2018 table 9-1.
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// LLDP, IEEE 802.1AB.
    pub const LLDP: u16 = 0x88cc;
}

/// Octets of a header without a tag.
pub const HEADER_BYTES: usize = 14;

/// Octets of an 802.1Q tag.
pub const TAG_BYTES: usize = 4;

/// The largest value of the type field that is a length (IEEE 802.3-2018 3.2.6).
const MAX_LENGTH: u16 = 1500;

/// The smallest value of the type field that is an EtherType.
const MIN_ETHER_TYPE: u16 = 0x0600;

/// Tag control information: priority, drop eligibility and VLAN identifier (IEEE 802.1Q-2018 9.6). Any value goes
/// through unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tci(pub u16);

impl Tci {
    /// A tag with a VLAN and a priority; of the priority the low three bits count.
    #[must_use]
    pub const fn new(vlan: VlanId, priority: u8) -> Self {
        Self(((priority as u16 & 7) << 13) | vlan.get())
    }

    /// The twelve bits of the VLAN identifier: 0 in a priority tag, 4095 reserved.
    #[must_use]
    pub const fn vid(self) -> u16 {
        self.0 & 0x0fff
    }

    /// The VLAN; `None` for a priority tag and for the reserved identifier.
    #[must_use]
    pub const fn vlan(self) -> Option<VlanId> {
        VlanId::new(self.vid())
    }

    /// The priority code point, 0 to 7.
    #[must_use]
    pub const fn priority(self) -> u8 {
        (self.0 >> 13) as u8
    }

    /// The drop eligible indicator.
    #[must_use]
    pub const fn drop_eligible(self) -> bool {
        self.0 & 0x1000 != 0
    }
}

/// What the two octets after the addresses, or after the tag, say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeOrLength {
    /// An EtherType, 0600 and above.
    Type(u16),
    /// The number of octets that follow without padding, up to 1500: an LLC header begins there.
    Length(u16),
    /// 1501 to 1535, which have no meaning.
    Undefined(u16),
}

impl TypeOrLength {
    /// The meaning of a number in that place.
    #[must_use]
    pub const fn from_wire(number: u16) -> Self {
        match number {
            0..=MAX_LENGTH => Self::Length(number),
            MIN_ETHER_TYPE.. => Self::Type(number),
            _ => Self::Undefined(number),
        }
    }

    /// The number.
    #[must_use]
    pub const fn to_wire(self) -> u16 {
        match self {
            Self::Type(n) | Self::Length(n) | Self::Undefined(n) => n,
        }
    }
}

/// A frame too short for its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a frame of {found} octets: its Ethernet header alone takes {needed}")]
pub struct Truncated {
    /// Octets that are there.
    pub found: usize,
    /// Octets that the header takes.
    pub needed: usize,
}

/// No room to emit a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a buffer of {found} octets for an Ethernet header of {needed}")]
pub struct NoRoom {
    /// Octets of the buffer.
    pub found: usize,
    /// Octets of the header.
    pub needed: usize,
}

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Destination address.
    pub destination: Mac,
    /// Source address.
    pub source: Mac,
    /// The 802.1Q tag, if the frame has one.
    pub tag: Option<Tci>,
    /// What follows.
    pub kind: TypeOrLength,
}

impl Header {
    /// Reads the header of a frame.
    ///
    /// # Errors
    /// When the frame ends before its header does.
    pub fn parse(frame: &[u8]) -> Result<Self, Truncated> {
        let truncated = |needed| Truncated {
            found: frame.len(),
            needed,
        };
        let (plain, rest) = frame
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or_else(|| truncated(HEADER_BYTES))?;
        let [
            d0,
            d1,
            d2,
            d3,
            d4,
            d5,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            type_high,
            type_low,
        ] = *plain;
        let mut header = Self {
            destination: Mac([d0, d1, d2, d3, d4, d5]),
            source: Mac([s0, s1, s2, s3, s4, s5]),
            tag: None,
            kind: TypeOrLength::from_wire(u16::from_be_bytes([type_high, type_low])),
        };
        if header.kind == TypeOrLength::Type(ether_type::VLAN) {
            let (&[tci_high, tci_low, type_high, type_low], _) = rest
                .split_first_chunk::<TAG_BYTES>()
                .ok_or_else(|| truncated(HEADER_BYTES + TAG_BYTES))?;
            header.tag = Some(Tci(u16::from_be_bytes([tci_high, tci_low])));
            header.kind = TypeOrLength::from_wire(u16::from_be_bytes([type_high, type_low]));
        }
        Ok(header)
    }

    /// Octets of the header: where the payload begins.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self.tag {
            Some(_) => HEADER_BYTES + TAG_BYTES,
            None => HEADER_BYTES,
        }
    }

    /// The payload of the frame that this header was read from, without padding if the header says how long it
    /// is. Shorter than that if the frame was cut.
    #[must_use]
    pub fn payload<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        let rest = frame.get(self.bytes()..).unwrap_or_default();
        match self.kind {
            TypeOrLength::Length(length) => rest.get(..usize::from(length)).unwrap_or(rest),
            TypeOrLength::Type(_) | TypeOrLength::Undefined(_) => rest,
        }
    }

    /// Writes the header to the start of a buffer; gives back its length.
    ///
    /// # Errors
    /// When the buffer is too short. Nothing is written then.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoRoom> {
        let needed = self.bytes();
        let found = buffer.len();
        let out = buffer.get_mut(..needed).ok_or(NoRoom { found, needed })?;
        out[..6].copy_from_slice(&self.destination.0);
        out[6..12].copy_from_slice(&self.source.0);
        if let Some(tci) = self.tag {
            out[12..14].copy_from_slice(&ether_type::VLAN.to_be_bytes());
            out[14..16].copy_from_slice(&tci.0.to_be_bytes());
        }
        out[needed - 2..].copy_from_slice(&self.kind.to_wire().to_be_bytes());
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: [u8; 16] = [
        0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0x00,
    ];
    const TAGGED: [u8; 20] = [
        0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x81, 0x00, 0xf0, 0x64, 0x08, 0x00, 0x45, 0x00,
    ];

    fn header(tag: Option<Tci>) -> Header {
        Header {
            destination: Mac([2, 0, 0, 0, 0, 1]),
            source: Mac([2, 0, 0, 0, 0, 2]),
            tag,
            kind: TypeOrLength::Type(ether_type::IPV4),
        }
    }

    #[test]
    fn headers_are_read() {
        assert_eq!(Header::parse(&PLAIN), Ok(header(None)));
        assert_eq!(Header::parse(&TAGGED), Ok(header(Some(Tci(0xf064)))));
        assert_eq!(header(None).payload(&PLAIN), [0x45, 0]);
        assert_eq!(header(Some(Tci(0xf064))).payload(&TAGGED), [0x45, 0]);
    }

    #[test]
    fn headers_are_written_as_they_were_read() {
        for frame in [&PLAIN[..], &TAGGED[..]] {
            let header = Header::parse(frame).unwrap();
            let mut buffer = [0xa5; 32];
            let n = header.emit(&mut buffer).unwrap();
            assert_eq!(buffer[..n], frame[..header.bytes()]);
            assert!(buffer[n..].iter().all(|&b| b == 0xa5), "no octet more");
            let error = header.emit(&mut buffer[..n - 1]).unwrap_err();
            assert_eq!(
                error,
                NoRoom {
                    found: n - 1,
                    needed: n
                }
            );
        }
    }

    #[test]
    fn a_cut_header_is_truncated() {
        for n in 0..14 {
            assert_eq!(
                Header::parse(&PLAIN[..n]),
                Err(Truncated {
                    found: n,
                    needed: 14
                })
            );
        }
        for n in 14..18 {
            assert_eq!(
                Header::parse(&TAGGED[..n]),
                Err(Truncated {
                    found: n,
                    needed: 18
                })
            );
        }
    }

    #[test]
    fn a_second_tag_and_a_service_tag_are_payload() {
        let mut double = TAGGED.to_vec();
        double.splice(16..16, [0x81, 0x00, 0x00, 0x07]);
        let header = Header::parse(&double).unwrap();
        assert_eq!(
            (header.tag, header.kind),
            (Some(Tci(0xf064)), TypeOrLength::Type(0x8100))
        );
        let mut service = PLAIN;
        service[12..14].copy_from_slice(&[0x88, 0xa8]);
        let header = Header::parse(&service).unwrap();
        assert_eq!(
            (header.tag, header.kind),
            (None, TypeOrLength::Type(ether_type::SERVICE_VLAN))
        );
    }

    #[test]
    fn a_length_ends_the_payload() {
        let mut frame = vec![0; 60];
        frame[13] = 3;
        frame[14..17].copy_from_slice(&[0x42, 0x42, 0x03]);
        let header = Header::parse(&frame).unwrap();
        assert_eq!(header.kind, TypeOrLength::Length(3));
        assert_eq!(header.payload(&frame), [0x42, 0x42, 0x03]);
        assert_eq!(
            header.payload(&frame[..16]),
            [0x42, 0x42],
            "what is there of a cut frame"
        );
        assert_eq!(header.payload(&frame[..3]), []);
    }

    #[test]
    fn types_and_lengths_have_their_ranges() {
        for (number, meaning) in [
            (0, TypeOrLength::Length(0)),
            (1500, TypeOrLength::Length(1500)),
            (1501, TypeOrLength::Undefined(1501)),
            (1535, TypeOrLength::Undefined(1535)),
            (1536, TypeOrLength::Type(1536)),
        ] {
            assert_eq!(TypeOrLength::from_wire(number), meaning);
        }
    }

    #[test]
    fn a_tag_has_priority_drop_and_vlan() {
        let tci = Tci(0xf064);
        assert_eq!(
            (tci.priority(), tci.drop_eligible(), tci.vid()),
            (7, true, 100)
        );
        assert_eq!(Tci::new(VlanId::MAX, 0xff), Tci(0xeffe));
        assert_eq!((Tci(0xe000).vlan(), Tci(0x0fff).vlan()), (None, None));
        assert_eq!(Tci::new(VlanId::MIN, 3).vlan(), Some(VlanId::MIN));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_header_or_truncated(frame in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = Header::parse(&frame) {
                let mut buffer = [0xa5; 18];
                let n = header.emit(&mut buffer).unwrap();
                prop_assert_eq!(&buffer[..n], &frame[..n]);
                prop_assert!(header.payload(&frame).len() <= frame.len() - n);
            } else {
                prop_assert!(frame.len() < 18);
            }
        }
    }
}
