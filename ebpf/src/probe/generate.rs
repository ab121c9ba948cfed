//! The traffic generator: run by BPF_PROG_TEST_RUN with live frames, it addresses each frame and sends it out.

use core::ptr::addr_of;

use aya_ebpf::{macros::map, maps::PerCpuArray};

use crate::{constant, layout::generate};

/// Progress of one CPU's generator.
#[repr(C)]
pub struct Progress {
    /// State of the pseudo-random generator; 0 is replaced by a fixed seed.
    random: u64,
    /// Frames sent in sequential mode.
    frames: u64,
}

#[map]
static PROGRESS: PerCpuArray<Progress> = PerCpuArray::with_max_entries(1, 0);

/// [`generate`] mode.
#[unsafe(no_mangle)]
static GENERATE_MODE: u32 = generate::FIXED;
/// First source address, in the low 48 bits.
#[unsafe(no_mangle)]
static GENERATE_SOURCE: u64 = 0;
/// Number of source addresses, at least 1.
#[unsafe(no_mangle)]
static GENERATE_SOURCES: u32 = 1;
/// First destination address, in the low 48 bits.
#[unsafe(no_mangle)]
static GENERATE_DESTINATION: u64 = 0;
/// Number of destination addresses, at least 1.
#[unsafe(no_mangle)]
static GENERATE_DESTINATIONS: u32 = 1;

/// Maps the upper half of a random number to 0..range without a division.
#[inline(always)]
fn scale(random: u32, range: u32) -> u64 {
    (u64::from(random) * u64::from(range)) >> 32
}

#[inline(always)]
fn next_random(progress: &mut Progress) -> u64 {
    // xorshift64: the harness needs speed and spread, not quality.
    let mut x = progress.random;
    if x == 0 {
        x = 0x9e37_79b9_7f4a_7c15;
    }
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    progress.random = x;
    x
}

/// Writes the addresses of the next frame at `start`; leaves a frame without room for them as it is.
#[inline(always)]
pub fn address(start: usize, end: usize) {
    let mode = constant(addr_of!(GENERATE_MODE));
    if mode == generate::FIXED || start + 12 > end {
        return;
    }
    let Some(progress) = PROGRESS.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a valid map value of this CPU.
    let progress = unsafe { &mut *progress };
    let sources = constant(addr_of!(GENERATE_SOURCES));
    let destinations = constant(addr_of!(GENERATE_DESTINATIONS));
    let (source, destination) = if mode == generate::SEQUENTIAL {
        let n = progress.frames;
        progress.frames = n + 1;
        (
            n.checked_rem(u64::from(sources)).unwrap_or(0),
            n.checked_rem(u64::from(destinations)).unwrap_or(0),
        )
    } else {
        let random = next_random(progress);
        (
            scale(random as u32, sources),
            scale((random >> 32) as u32, destinations),
        )
    };
    let d = (constant(addr_of!(GENERATE_DESTINATION)) + destination).to_be_bytes();
    let s = (constant(addr_of!(GENERATE_SOURCE)) + source).to_be_bytes();
    // SAFETY: the frame has room for twelve octets.
    unsafe {
        (start as *mut [u8; 6]).write([d[2], d[3], d[4], d[5], d[6], d[7]]);
        ((start + 6) as *mut [u8; 6]).write([s[2], s[3], s[4], s[5], s[6], s[7]]);
    }
}
