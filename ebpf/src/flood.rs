//! Copies of a frame for many ports. Only a socket buffer can be copied, so this is the TC program's.

use crate::{maps, vlan::Admitted};
use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_clone_redirect};
use hitless_common::{DropReason, limits::PORT_WORDS, map::vlans::PortSet};

/// The ports that a frame goes to, by the form in which they send it.
pub struct Targets {
    /// Ports that send the VLAN without a tag.
    pub untagged: PortSet,
    /// Ports that send the VLAN with a tag.
    pub tagged: PortSet,
}

impl Targets {
    /// Every forwarding port of the VLAN but the one that the frame came from.
    #[inline(always)]
    pub fn new(admitted: &Admitted, from: u16) -> Self {
        let mut untagged = PortSet::EMPTY;
        let mut tagged = PortSet::EMPTY;
        let bit = from.wrapping_sub(1);
        let mut word = 0;
        while word < PORT_WORDS {
            let mut ports = admitted.open(word);
            if usize::from(bit / 64) == word {
                ports &= !(1 << (bit % 64));
            }
            untagged.0[word] = ports & admitted.vlan.untagged.0[word];
            tagged.0[word] = ports & !admitted.vlan.untagged.0[word];
            word += 1;
        }
        Self { untagged, tagged }
    }
}

/// A frame in the form in which some ports send it.
#[derive(Clone, Copy)]
pub struct Form {
    /// Octets of the frame.
    pub bytes: u32,
    /// The smallest MTU that takes it.
    pub needs_mtu: u32,
}

/// Sends copies to the ports of a set, all but the last one; that one's number is returned, so that the frame
/// itself can go there. `pending` is the last one of an earlier set of the same form, or 0.
#[inline(always)]
pub fn copies(skb: *mut __sk_buff, set: &PortSet, form: Form, mut pending: u16) -> u16 {
    let packed = (u64::from(form.needs_mtu) << 32) | u64::from(form.bytes);
    let mut word = 0;
    while word < PORT_WORDS {
        if set.0[word] != 0 {
            pending = copies_of_word(skb, set.0[word], word as u16 * 64, packed, pending);
        }
        word += 1;
    }
    pending
}

/// As [`copies`], of one word of the set. Its name is left as it is, which makes it global for the verifier: verified once
/// by itself, not anew at each call with all that is known there. The programs load in a tenth of the time.
// SAFETY: nothing else in the object has this name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn copies_of_word(
    skb: *mut __sk_buff,
    mut ports: u64,
    base: u16,
    packed: u64,
    mut pending: u16,
) -> u16 {
    let form = Form {
        bytes: packed as u32,
        needs_mtu: (packed >> 32) as u32,
    };
    let mut i = 0;
    while i < 64 {
        if ports == 0 {
            break;
        }
        let port = base + ports.trailing_zeros() as u16 + 1;
        ports &= ports - 1;
        i += 1;
        let mtu = match maps::egress(port) {
            Some(egress) => egress.mtu,
            None => 0,
        };
        if form.needs_mtu > mtu {
            maps::count_drop(port, DropReason::MtuExceeded);
            continue;
        }
        if pending != 0 {
            copy(skb, pending, form.bytes);
        }
        pending = port;
    }
    pending
}

/// Sends one copy.
#[inline(always)]
pub fn copy(skb: *mut __sk_buff, port: u16, bytes: u32) {
    let ifindex = match maps::egress(port) {
        Some(egress) => egress.ifindex,
        None => 0,
    };
    // SAFETY: the program's own context.
    if unsafe { bpf_clone_redirect(skb, ifindex, 0) } == 0 {
        maps::count_tx(port, bytes);
    } else {
        maps::count_drop(port, DropReason::TxFailed);
    }
}
