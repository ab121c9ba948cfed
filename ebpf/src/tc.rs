//! A frame in a socket buffer: the outer tag is usually beside the payload, copies are cheap.

use crate::{
    bridge,
    control::{self, Claim},
    flood::{self, Form, Targets},
    maps,
    packet::{Header, Packet, Rest, TAG_BYTES, TPID, TagChange, payload},
    storm,
    vlan::Admitted,
};
use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT},
    helpers::{
        bpf_ktime_get_ns,
        generated::{bpf_redirect, bpf_skb_load_bytes, bpf_skb_vlan_pop, bpf_skb_vlan_push},
    },
    programs::TcContext,
};
use aya_log_ebpf::debug;
use hitless_common::{
    DropReason,
    limits::PUNT_BYTES,
    map::{
        events::{PuntHeader, PuntRecord, tag},
        ports::PortEntry,
    },
};

/// The smallest IP and TCP headers that segmentation puts before its payload.
const SEGMENT_HEADERS: u32 = 40;

/// See the module.
pub struct TcPacket {
    context: TcContext,
}

impl TcPacket {
    #[inline(always)]
    pub fn new(context: TcContext) -> Self {
        Self { context }
    }

    #[inline(always)]
    fn skb(&self) -> *mut __sk_buff {
        self.context.skb.skb
    }

    /// The smallest MTU that takes the frame's payload, or each segment's.
    #[inline(always)]
    fn needs_mtu(&self, tagged: bool) -> u32 {
        // SAFETY: the program's own context.
        let segment = unsafe { (*self.skb()).gso_size };
        if segment == 0 {
            payload(self.bytes(), tagged)
        } else {
            segment + SEGMENT_HEADERS
        }
    }

    /// Gives the frame, or a copy, to the control plane.
    #[inline(always)]
    fn punt(&mut self, port: u16, header: &Header) -> Result<(), DropReason> {
        control::admit(port)?;
        if punt(self.skb(), port, header.tagged, header.tci) == 0 {
            return Err(DropReason::PuntFull);
        }
        maps::count_punt(port);
        Ok(())
    }

    /// Gives the frame to the control plane alone.
    #[inline(always)]
    fn take(&mut self, port: u16, header: &Header) -> i32 {
        match self.punt(port, header) {
            Ok(()) => TC_ACT_SHOT,
            Err(reason) => bridge::drop(self, port, port, reason),
        }
    }

    #[inline(always)]
    fn spread(&mut self, port: &PortEntry, header: &Header, admitted: &Admitted) -> i32 {
        let claim = if header.dst & bridge::GROUP_BIT != 0 {
            control::group(header.dst, admitted.vlan)
        } else {
            control::unicast(header.dst, admitted.vlan)
        };
        match claim {
            Claim::None => {}
            Claim::Take => return self.take(port.port, header),
            Claim::Copy => {
                if let Err(reason) = self.punt(port.port, header) {
                    // Only the copy is lost; the frame goes on.
                    maps::count_drop(port.port, reason);
                }
            }
        }
        if let Some(reason) = storm::excess(port, header.dst) {
            return bridge::drop(self, port.port, port.port, reason);
        }
        self.flood(port.port, header, admitted)
    }

    /// Sends a copy to each port, first to those that send the frame in the form it has now: one change of tag
    /// serves all the others. The frame itself goes to the last port.
    #[inline(always)]
    fn flood(&mut self, from: u16, header: &Header, admitted: &Admitted) -> i32 {
        let vid = admitted.vid;
        let targets = Targets::new(admitted, from);
        if targets.untagged.is_empty() && targets.tagged.is_empty() {
            return bridge::drop(self, from, from, DropReason::NoEgress);
        }
        let needs_mtu = self.needs_mtu(header.tagged);
        let mut bytes = self.bytes();
        let mut tagged = header.tagged;
        let mut change = if tagged {
            TagChange::Pop
        } else {
            TagChange::Push(vid)
        };
        if tagged && header.tci & 0x0fff == 0 {
            // A priority tag is neither form: off with it, its priority comes back with the VLAN tag.
            if !self.retag(header, TagChange::Pop) {
                return bridge::drop(self, from, from, DropReason::TagFailed);
            }
            bytes -= TAG_BYTES;
            tagged = false;
            change = TagChange::Push(header.tci | vid);
        }
        let (now, then) = if tagged {
            (&targets.tagged, &targets.untagged)
        } else {
            (&targets.untagged, &targets.tagged)
        };

        let mut pending = flood::copies(self.skb(), now, Form { bytes, needs_mtu }, 0);
        if !then.is_empty() {
            if pending != 0 {
                flood::copy(self.skb(), pending, bytes);
            }
            if !self.retag(header, change) {
                return bridge::drop(self, from, from, DropReason::TagFailed);
            }
            bytes = change.resized(bytes);
            pending = flood::copies(self.skb(), then, Form { bytes, needs_mtu }, 0);
        }
        match maps::egress(pending) {
            Some(egress) if pending != 0 => {
                maps::count_tx(pending, bytes);
                redirect(egress)
            }
            // Every port was too narrow; each has counted it.
            _ => TC_ACT_SHOT,
        }
    }
}

impl Packet for TcPacket {
    type Action = i32;
    const MAY_LEAVE: bool = false;

    #[inline(always)]
    fn ingress_ifindex(&self) -> u32 {
        // SAFETY: the program's own context.
        unsafe { (*self.skb()).ingress_ifindex }
    }

    #[inline(always)]
    fn bytes(&self) -> u32 {
        // SAFETY: the program's own context.
        let (octets, beside) = unsafe { ((*self.skb()).len, (*self.skb()).vlan_present) };
        if beside == 0 {
            octets
        } else {
            octets + TAG_BYTES
        }
    }

    #[inline(always)]
    fn fits(&self, tagged: bool, mtu: u32) -> bool {
        payload(self.bytes(), tagged) <= mtu || self.needs_mtu(tagged) <= mtu
    }

    #[inline(always)]
    fn first<const N: usize>(&self) -> Option<*mut u8> {
        if self.context.data() + N > self.context.data_end() {
            // The header may be in a fragment (frames from a transmit ring are).
            self.context.pull_data(N as u32).ok()?;
            if self.context.data() + N > self.context.data_end() {
                return None;
            }
        }
        Some(self.context.data() as *mut u8)
    }

    #[inline(always)]
    fn tag_beside(&self) -> Option<Option<u16>> {
        // SAFETY: the program's own context.
        unsafe {
            let skb = self.skb();
            if (*skb).vlan_present == 0 {
                return None;
            }
            let is_ours = (*skb).vlan_proto as u16 == TPID.to_be();
            Some(is_ours.then_some((*skb).vlan_tci as u16))
        }
    }

    #[inline(always)]
    fn reaches(&self, _egress: &PortEntry) -> bool {
        true
    }

    #[inline(always)]
    fn retag(&mut self, _header: &Header, change: TagChange) -> bool {
        let proto = TPID.to_be();
        // SAFETY: the program's own context; no pointer into the frame is used after this.
        unsafe {
            match change {
                TagChange::Keep => true,
                TagChange::Pop => bpf_skb_vlan_pop(self.skb()) == 0,
                TagChange::Push(tci) => bpf_skb_vlan_push(self.skb(), proto, tci) == 0,
                TagChange::Rewrite(tci) => {
                    bpf_skb_vlan_pop(self.skb()) == 0
                        && bpf_skb_vlan_push(self.skb(), proto, tci) == 0
                }
            }
        }
    }

    #[inline(always)]
    fn redirect(&mut self, egress: &PortEntry) -> Option<i32> {
        Some(redirect(egress))
    }

    #[inline(always)]
    fn dropped(&mut self, port: u16, reason: DropReason) -> i32 {
        debug!(
            &self.context,
            "port {}: dropped, reason {}", port, reason as u32
        );
        TC_ACT_SHOT
    }

    #[inline(always)]
    fn leave(&mut self) -> i32 {
        TC_ACT_SHOT
    }

    #[inline(always)]
    fn rest(&mut self, port: &PortEntry, header: &Header, rest: Rest) -> i32 {
        match rest {
            Rest::Spread(admitted) => self.spread(port, header, &admitted),
            Rest::Take => self.take(port.port, header),
        }
    }
}

/// Hands the frame to a port's device, whatever becomes of it there.
#[inline(always)]
fn redirect(egress: &PortEntry) -> i32 {
    // SAFETY: a helper on a number.
    unsafe { bpf_redirect(egress.ifindex, 0) as i32 }
}

/// Copies a frame into the PUNT ring; 0 if there is no room. Not inlined: the fast path does not need it.
#[inline(never)]
fn punt(skb: *mut __sk_buff, port: u16, tagged: bool, tci: u16) -> u32 {
    let Some(mut record) = maps::PUNT.reserve::<PuntRecord>(0) else {
        return 0;
    };
    // SAFETY: the program's own context.
    let (bytes, beside, beside_tci) =
        unsafe { ((*skb).len, (*skb).vlan_present, (*skb).vlan_tci as u16) };
    let (tagged, tci) = if tagged {
        (tag::CUSTOMER, tci)
    } else if beside != 0 {
        (tag::SERVICE, beside_tci)
    } else {
        (tag::NONE, 0)
    };
    let length = if bytes > PUNT_BYTES as u32 {
        PUNT_BYTES as u32
    } else {
        bytes
    };
    // SAFETY: the record has room for PUNT_BYTES, and `length` is at most that; reserved memory is not
    // initialised, and only `length` octets of the frame are ever read.
    unsafe {
        let record = record.as_mut_ptr();
        (&raw mut (*record).header).write(PuntHeader {
            when: bpf_ktime_get_ns(),
            port,
            tagged,
            tci,
            length: length as u16,
        });
        if length == 0
            || bpf_skb_load_bytes(skb.cast(), 0, (&raw mut (*record).frame).cast(), length) != 0
        {
            (&raw mut (*record).header.length).write(0);
        }
    }
    record.submit(0);
    1
}
