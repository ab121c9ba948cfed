//! Memory of a module that may have to take over in a hurry: the kernel gives each page when it is first touched, and with
//! thousands of ports of spanning tree domains that is most of what a takeover would wait for.

use std::hint::black_box;

/// Octets of freed memory that a module keeps for what it allocates next.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 64 << 20;

/// Allocations of more octets than this come from the kernel directly, and go back to it.
#[cfg(target_env = "gnu")]
const LARGE: i32 = 1 << 20;

/// Octets allocated at a time: no large allocation.
const PIECE: usize = 64 << 10;

/// Octets of a page, or of a part of one.
const PAGE: usize = 4 << 10;

/// Lets all threads share one heap that keeps what is freed. To be called before any other thread allocates; with another
/// C library than glibc [`have_ready`] may help less.
pub fn keep_freed() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, 1),
        (libc::M_TRIM_THRESHOLD, KEPT),
        (libc::M_MMAP_THRESHOLD, LARGE),
    ] {
        // SAFETY: it takes any number, and changes how memory is got, not what was got. What it refuses stays as it was.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Has the kernel give so many octets now that are allocated later.
pub fn have_ready(octets: usize) {
    let mut pieces = Vec::new();
    for _ in 0..octets.div_ceil(PIECE) {
        let mut piece: Vec<u8> = Vec::with_capacity(PIECE);
        for page in piece.spare_capacity_mut().chunks_mut(PAGE) {
            page[0].write(0);
        }
        pieces.push(black_box(piece));
    }
}
