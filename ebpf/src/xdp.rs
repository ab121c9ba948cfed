//! A frame in the driver's buffer: tags are in the payload, nothing can be copied.

use crate::{
    maps,
    packet::{HEADER_BYTES, Header, Packet, Rest, TAG_BYTES, TPID, TagChange, payload},
};
use aya_ebpf::{
    bindings::xdp_action,
    helpers::{bpf_xdp_adjust_head, bpf_xdp_get_buff_len},
    programs::XdpContext,
};
use aya_log_ebpf::debug;
use hitless_common::{
    DropReason,
    map::ports::{PortEntry, flag},
};

/// A frame with more than this in its first buffer may have further buffers; no driver splits earlier.
const MAY_HAVE_FRAGMENTS: u32 = 1024;

/// See the module.
pub struct XdpPacket {
    context: XdpContext,
}

impl XdpPacket {
    #[inline(always)]
    pub fn new(context: XdpContext) -> Self {
        Self { context }
    }

    /// Writes both addresses and a tag, or both addresses only.
    #[inline(always)]
    fn write_addresses(start: *mut u8, header: &Header) {
        // SAFETY: the caller checked 14 octets or more.
        unsafe {
            let both = (header.dst << 16) | (header.src >> 32);
            start.cast::<u64>().write_unaligned(both.to_be());
            start
                .add(8)
                .cast::<u32>()
                .write_unaligned((header.src as u32).to_be());
        }
    }
}

impl Packet for XdpPacket {
    type Action = u32;
    const MAY_LEAVE: bool = true;

    #[inline(always)]
    fn ingress_ifindex(&self) -> u32 {
        self.context.ingress_ifindex() as u32
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        let linear = (self.context.data_end() - self.context.data()) as u32;
        if linear <= MAY_HAVE_FRAGMENTS {
            return linear;
        }
        // SAFETY: the context is the program's own.
        unsafe { bpf_xdp_get_buff_len(self.context.ctx) as u32 }
    }

    #[inline(always)]
    fn fits(&self, tagged: bool, mtu: u32) -> bool {
        payload(self.bytes(), tagged) <= mtu
    }

    #[inline(always)]
    fn first<const N: usize>(&self) -> Option<*mut u8> {
        let start = self.context.data();
        if start + N > self.context.data_end() {
            None
        } else {
            Some(start as *mut u8)
        }
    }

    #[inline(always)]
    fn tag_beside(&self) -> Option<Option<u16>> {
        // XDP sees what is in the frame; where a tag may stand beside it there is no XDP (see the control plane's choice
        // of hook).
        None
    }

    #[inline(always)]
    fn reaches(&self, egress: &PortEntry) -> bool {
        egress.flags & flag::XDP_OUT != 0
    }

    #[inline(always)]
    fn retag(&mut self, header: &Header, change: TagChange) -> bool {
        let shift = match change {
            TagChange::Keep | TagChange::Rewrite(_) => 0,
            TagChange::Pop => TAG_BYTES as i32,
            TagChange::Push(_) => -(TAG_BYTES as i32),
        };
        // SAFETY: the context is the program's own; pointers are taken anew below.
        if shift != 0 && unsafe { bpf_xdp_adjust_head(self.context.ctx, shift) } != 0 {
            return false;
        }
        match change {
            TagChange::Keep => {}
            TagChange::Pop => {
                let Some(start) = self.first::<{ HEADER_BYTES as usize }>() else {
                    return false;
                };
                Self::write_addresses(start, header);
            }
            TagChange::Push(tci) | TagChange::Rewrite(tci) => {
                let Some(start) = self.first::<{ (HEADER_BYTES + TAG_BYTES) as usize }>() else {
                    return false;
                };
                Self::write_addresses(start, header);
                let tag = (u32::from(TPID) << 16) | u32::from(tci);
                // SAFETY: 18 octets were checked.
                unsafe { start.add(12).cast::<u32>().write_unaligned(tag.to_be()) };
            }
        }
        true
    }

    #[inline(always)]
    fn redirect(&mut self, egress: &PortEntry) -> Option<u32> {
        maps::XDP_TX.redirect(u32::from(egress.port), 0).ok()
    }

    #[inline(always)]
    fn dropped(&mut self, port: u16, reason: DropReason) -> u32 {
        debug!(
            &self.context,
            "port {}: dropped, reason {}", port, reason as u32
        );
        xdp_action::XDP_DROP
    }

    #[inline(always)]
    fn leave(&mut self) -> u32 {
        xdp_action::XDP_PASS
    }

    #[inline(always)]
    fn rest(&mut self, _port: &PortEntry, _header: &Header, _rest: Rest) -> u32 {
        self.leave()
    }
}
