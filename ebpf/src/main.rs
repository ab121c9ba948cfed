//! The data path of Hitless: one pipeline, compiled as an XDP and as a TC (tcx) program.
//!
//! Mechanism only: what is forwarded where stands in pinned maps that the master writes. The TC program does
//! everything. The XDP program does the part that needs no copy of a frame (known unicast and drops) and passes
//! the rest, untouched and uncounted, to the TC program on the same port.
#![no_std]
#![no_main]
#![expect(
    missing_docs,
    reason = "the functions that the program macros generate carry no docs"
)]

mod bridge;
mod control;
mod egress;
mod fdb;
mod flood;
mod learn;
mod maps;
mod packet;
mod storm;
mod tc;
mod vlan;
mod xdp;

use aya_ebpf::{
    macros::{classifier, xdp as xdp_program},
    programs::{TcContext, XdpContext},
};

/// The pipeline on a frame in a socket buffer.
#[classifier]
pub fn hitless_tc(context: TcContext) -> i32 {
    bridge::forward(&mut tc::TcPacket::new(context))
}

/// The fast part of the pipeline on a frame in the driver's buffer.
#[xdp_program(frags)]
pub fn hitless_xdp(context: XdpContext) -> u32 {
    bridge::forward(&mut xdp::XdpPacket::new(context))
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier proves that no path comes here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
