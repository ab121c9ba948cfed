//! Programs of the test harness: sinks that count, bare redirects to compare with, a traffic generator, and the
//! VLAN device of a host. They are no part of the switch.
#![no_std]
#![no_main]
#![expect(
    missing_docs,
    reason = "the attribute macros do not keep the comments on the programs"
)]

#[path = "../probe/frame.rs"]
mod frame;
#[path = "../probe/generate.rs"]
mod generate;
#[path = "../probe/layout.rs"]
#[allow(dead_code, reason = "the harness uses the rest")]
mod layout;
#[path = "../probe/sink.rs"]
mod sink;

use core::ptr::{addr_of, read_volatile};

use aya_ebpf::{
    bindings::xdp_action,
    helpers::generated::{bpf_clone_redirect, bpf_redirect, bpf_skb_vlan_pop, bpf_skb_vlan_push},
    macros::{classifier, map, xdp},
    maps::DevMap,
    programs::{TcContext, XdpContext},
};

/// Verdicts of tcx programs.
const TCX_NEXT: i32 = -1;
const TCX_DROP: i32 = 2;

/// Octets that a sink looks at: two tags and the probe header.
const PROBE_REACH: u32 = 14 + 4 + layout::HEADER_LEN as u32;

/// Device that the tcx redirect sends to.
#[unsafe(no_mangle)]
static TARGET: u32 = 0;
/// The tcx redirect drops probe frames whose sequence number is a multiple of this; 0 for none.
#[unsafe(no_mangle)]
static DROP_EVERY: u32 = 0;
/// The tcx redirect sends probe frames whose sequence number is a multiple of this twice; 0 for none.
#[unsafe(no_mangle)]
static REPEAT_EVERY: u32 = 0;
/// VLAN of the host's VLAN device.
#[unsafe(no_mangle)]
static VLAN: u16 = 0;

/// Device that the XDP redirect and the generator send to.
#[map]
static TARGET_DEVICE: DevMap = DevMap::with_max_entries(1, 0);

/// The value of a constant that the loader sets.
#[inline(always)]
fn constant<T: Copy>(value: *const T) -> T {
    // SAFETY: the callers pass statics of the program; volatile because the loader changes the value.
    unsafe { read_volatile(value) }
}

/// Consumes and accounts the frames of one flow, on skbs.
#[classifier]
pub fn sink_tcx(ctx: TcContext) -> i32 {
    // Frames from a ring are not linear; what is too short to pull is no probe frame.
    if ctx.data() + PROBE_REACH as usize > ctx.data_end() && ctx.pull_data(PROBE_REACH).is_err() {
        return TCX_NEXT;
    }
    match frame::parse(ctx.data(), ctx.data_end()) {
        Some(frame) if sink::wants(&frame) => {
            sink::record(&frame);
            TCX_DROP
        }
        _ => TCX_NEXT,
    }
}

/// Consumes and accounts the frames of one flow, in XDP.
#[xdp]
pub fn sink_xdp(ctx: XdpContext) -> u32 {
    match frame::parse(ctx.data(), ctx.data_end()) {
        Some(frame) if sink::wants(&frame) => {
            sink::record(&frame);
            xdp_action::XDP_DROP
        }
        _ => xdp_action::XDP_PASS,
    }
}

/// Consumes and counts every frame.
#[xdp]
pub fn count_xdp(_ctx: XdpContext) -> u32 {
    sink::count();
    xdp_action::XDP_DROP
}

/// Sends every frame to one device: what any XDP switch costs at least.
#[xdp]
pub fn redirect_xdp(_ctx: XdpContext) -> u32 {
    TARGET_DEVICE
        .redirect(0, 0)
        .unwrap_or(xdp_action::XDP_ABORTED)
}

/// Sends every frame to one device: what any TC switch costs at least. Loses and repeats frames when told to,
/// for the harness's own tests.
#[classifier]
pub fn redirect_tcx(ctx: TcContext) -> i32 {
    let (drop_every, repeat_every) = (
        constant(addr_of!(DROP_EVERY)),
        constant(addr_of!(REPEAT_EVERY)),
    );
    let target = constant(addr_of!(TARGET));
    if (drop_every | repeat_every) != 0
        && let Some(frame) = frame::parse(ctx.data(), ctx.data_end())
    {
        if frame.sequence.checked_rem(u64::from(drop_every)) == Some(0) {
            return TCX_DROP;
        }
        if frame.sequence.checked_rem(u64::from(repeat_every)) == Some(0) {
            // SAFETY: ctx is the program's context.
            unsafe { bpf_clone_redirect(ctx.skb.skb, target, 0) };
        }
    }
    // SAFETY: no pointers.
    unsafe { bpf_redirect(target, 0) as i32 }
}

/// Addresses each frame of a test run and sends it to the device.
#[xdp]
pub fn generate_xdp(ctx: XdpContext) -> u32 {
    generate::address(ctx.data(), ctx.data_end());
    TARGET_DEVICE
        .redirect(0, 0)
        .unwrap_or(xdp_action::XDP_ABORTED)
}

/// The sending half of a host's VLAN device: an accelerated tag, as a Linux host sends it.
#[classifier]
pub fn push_vlan(ctx: TcContext) -> i32 {
    // SAFETY: ctx is the program's context.
    match unsafe { bpf_skb_vlan_push(ctx.skb.skb, 0x8100u16.to_be(), constant(addr_of!(VLAN))) } {
        0 => TCX_NEXT,
        _ => TCX_DROP,
    }
}

/// The receiving half of a host's VLAN device: takes its own VLAN's tag off and refuses everything else.
#[classifier]
pub fn pop_vlan(ctx: TcContext) -> i32 {
    // SAFETY: ctx is the program's context.
    let (present, tci) = unsafe { ((*ctx.skb.skb).vlan_present, (*ctx.skb.skb).vlan_tci) };
    if present == 0 || tci & 0xfff != u32::from(constant(addr_of!(VLAN))) {
        return TCX_DROP;
    }
    // SAFETY: ctx is the program's context.
    match unsafe { bpf_skb_vlan_pop(ctx.skb.skb) } {
        0 => TCX_NEXT,
        _ => TCX_DROP,
    }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no panic is reachable.
    loop {}
}
