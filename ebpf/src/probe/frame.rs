//! Reading a probe frame, the same for XDP and TC.

use crate::layout::{ETHERTYPE, HEADER_LEN, MAGIC, kind, offset};

/// The fields of a flow's frame.
pub struct Numbered {
    /// Flow id.
    pub flow: u32,
    /// Phase in which it was sent.
    pub phase: u32,
    /// Sequence number.
    pub sequence: u64,
}

const ETH_HLEN: usize = 14;
const TAG_LEN: usize = 4;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;

/// Reads `N` octets at `at` if they lie before `end`.
#[inline(always)]
fn read<const N: usize>(at: usize, end: usize) -> Option<[u8; N]> {
    if at + N > end {
        return None;
    }
    // SAFETY: at is derived from the packet's start and at + N was compared with the packet's end.
    Some(unsafe { (at as *const [u8; N]).read() })
}

/// The numbered frame in `start..end`, behind at most two tags; `None` for anything else.
#[inline(always)]
pub fn parse(start: usize, end: usize) -> Option<Numbered> {
    let mut at = start + ETH_HLEN;
    let mut ethertype = u16::from_be_bytes(read(at - 2, end)?);
    for _ in 0..2 {
        if ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD {
            at += TAG_LEN;
            ethertype = u16::from_be_bytes(read(at - 2, end)?);
        }
    }
    if ethertype != ETHERTYPE || at + HEADER_LEN > end {
        return None;
    }
    let magic = u32::from_be_bytes(read(at + offset::MAGIC, end)?);
    let what = u16::from_be_bytes(read(at + offset::KIND, end)?);
    if magic != MAGIC || what != kind::FLOW {
        return None;
    }
    Some(Numbered {
        flow: u32::from_be_bytes(read(at + offset::FLOW, end)?),
        phase: u32::from(u16::from_be_bytes(read(at + offset::PHASE, end)?)),
        sequence: u64::from_be_bytes(read(at + offset::SEQUENCE, end)?),
    })
}
