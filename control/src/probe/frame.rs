//! The frames of a probe flow.

use std::time::Duration;

use hitless_common::Mac;

/// Local Experimental EtherType 1 (IEEE 802-2014, 9.2.4): no station does anything with it.
const ETHER_TYPE: [u8; 2] = 0x88b5_u16.to_be_bytes();
/// EtherTypes of a tag (IEEE 802.1Q-2018, 9.6).
const TAGS: [[u8; 2]; 2] = [0x8100_u16.to_be_bytes(), 0x88a8_u16.to_be_bytes()];
const MAGIC: [u8; 8] = *b"hl-probe";

/// The shortest frame of Ethernet, without its checksum.
pub(super) const LENGTH: usize = 60;
/// Octets of the longest frame that is looked at: with two tags.
pub(super) const REACH: usize = LENGTH + 8;

/// A frame with this number, after pauses of so long in all.
pub(super) fn made(destination: Mac, source: Mac, number: u64, paused: Duration) -> [u8; LENGTH] {
    let paused = u64::try_from(paused.as_nanos()).unwrap_or(u64::MAX);
    let mut octets = [0; LENGTH];
    let parts: [&[u8]; 6] = [
        &destination.0,
        &source.0,
        &ETHER_TYPE,
        &MAGIC,
        &number.to_be_bytes(),
        &paused.to_be_bytes(),
    ];
    let mut rest = octets.as_mut_slice();
    for part in parts {
        let (place, after) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = after;
    }
    octets
}

/// Number and pauses of a frame, with tags or without; `None` if it is none of ours.
pub(super) fn read(octets: &[u8]) -> Option<(u64, Duration)> {
    let mut rest = octets.get(12..)?;
    while TAGS.iter().any(|tag| rest.starts_with(tag)) {
        rest = rest.get(4..)?;
    }
    let rest = rest.strip_prefix(&ETHER_TYPE)?.strip_prefix(&MAGIC)?;
    let (number, rest) = rest.split_first_chunk()?;
    let (paused, _) = rest.split_first_chunk()?;
    Some((
        u64::from_be_bytes(*number),
        Duration::from_nanos(u64::from_be_bytes(*paused)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn what_is_made_is_read_with_and_without_tags() {
        let paused = Duration::from_micros(12_345);
        let octets = made(Mac([2, 0, 0, 0, 0, 2]), SOURCE, 7_000_000_001, paused);
        assert_eq!(octets[..6], [2, 0, 0, 0, 0, 2]);
        assert_eq!(octets[6..12], SOURCE.0);
        assert_eq!(octets[12..14], [0x88, 0xb5]);
        let mut octets = octets.to_vec();
        for tag in [[0x81, 0, 0, 10], [0x88, 0xa8, 0, 20]] {
            assert_eq!(read(&octets), Some((7_000_000_001, paused)));
            octets.splice(12..12, tag);
        }
        assert_eq!(read(&octets), Some((7_000_000_001, paused)));
        assert_eq!(octets.len(), REACH);
    }

    #[test]
    fn others_are_none_of_ours() {
        let octets = made(SOURCE, SOURCE, 1, Duration::ZERO);
        for end in 0..38 {
            assert_eq!(read(&octets[..end]), None);
        }
        for place in 12..22 {
            let mut other = octets;
            other[place] ^= 1;
            assert_eq!(read(&other), None);
        }
        assert_eq!(read(&[0x81; 60]), None);
    }
}
