//! How frames of `hitless upgrade --probe` get in at a port: the command line writes them to a TAP device of its own, and
//! this program, on that device's tcx ingress hook, hands them to the port as if they had come by its wire. So the port's
//! own programs see them, whichever version they are of.
#![no_std]
#![no_main]
#![expect(
    missing_docs,
    reason = "the attribute macro does not keep the comment on the program"
)]

use core::ptr::{addr_of, read_volatile};

use aya_ebpf::{
    bindings::BPF_F_INGRESS, helpers::generated::bpf_redirect, macros::classifier,
    programs::TcContext,
};

/// The port's device; the loader sets it.
#[unsafe(no_mangle)]
static TARGET: u32 = 0;

/// Every frame comes in at the port.
#[classifier]
pub fn inject_tcx(_ctx: TcContext) -> i32 {
    // SAFETY: a static of the program; volatile because the loader changes the value.
    let target = unsafe { read_volatile(addr_of!(TARGET)) };
    // SAFETY: no pointers.
    unsafe { bpf_redirect(target, u64::from(BPF_F_INGRESS)) as i32 }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no panic is reachable.
    loop {}
}
