//! Counting a numbered flow: which numbers came, how often, in which order, and the longest silence.

use core::ptr::addr_of;

use aya_ebpf::{
    bindings::bpf_spin_lock as SpinLock,
    btf_maps,
    helpers::generated::{bpf_ktime_get_ns, bpf_spin_lock, bpf_spin_unlock},
    macros::{btf_map, map},
    maps::{Array, PerCpuArray},
};

use crate::constant;
use crate::frame::Numbered;
use crate::layout::{FlowState, MAX_PHASES, PhaseState, SEEN_BITS};

const BPF_F_MMAPABLE: u32 = 1 << 10;

#[map]
static FLOW: Array<FlowState> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
static PHASES: Array<PhaseState> = Array::with_max_entries(MAX_PHASES as u32, BPF_F_MMAPABLE);

/// One bit a sequence number; the harness sizes it.
#[map]
static SEEN: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The kernel finds the lock in the map's type information.
#[repr(C)]
pub struct Lock {
    lock: SpinLock,
}

/// Orders the CPUs that account frames. The maps above can not hold it: they are mapped into memory.
#[btf_map]
static LOCK: btf_maps::Array<Lock, 1> = btf_maps::Array::new();

/// Frames seen by the counting sink.
#[map]
static COUNT: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Flow that a sink consumes.
#[unsafe(no_mangle)]
static SINK_FLOW: u32 = 0;

/// Whether this is a frame of the sink's flow.
#[inline(always)]
pub fn wants(frame: &Numbered) -> bool {
    frame.flow == constant(addr_of!(SINK_FLOW))
}

/// Accounts one frame of the flow. Exact on whatever CPUs the frames come.
#[inline(always)]
pub fn record(frame: &Numbered) {
    let (Some(lock), Some(flow)) = (LOCK.get_ptr_mut(0), FLOW.get_ptr_mut(0)) else {
        return;
    };
    let word = frame.sequence / SEEN_BITS;
    let seen = if word > u64::from(u32::MAX) {
        None
    } else {
        SEEN.get_ptr_mut(word as u32)
    };
    let phase = PHASES.get_ptr_mut(frame.phase);
    // SAFETY: no pointers; a helper that must not be called under the lock.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the pointers are valid map values, and the lock orders the CPUs that write to them.
    unsafe {
        bpf_spin_lock(&raw mut (*lock).lock);
        if let (Some(seen), Some(phase)) = (seen, phase) {
            let bit = 1u64 << (frame.sequence % SEEN_BITS);
            account(
                frame.sequence,
                bit,
                now,
                &mut *flow,
                &mut *phase,
                &mut *seen,
            );
        } else {
            (*flow).unaccounted += 1;
        }
        bpf_spin_unlock(&raw mut (*lock).lock);
    }
}

#[inline(always)]
fn account(
    sequence: u64,
    bit: u64,
    now: u64,
    flow: &mut FlowState,
    phase: &mut PhaseState,
    seen: &mut u64,
) {
    if *seen & bit != 0 {
        phase.duplicated += 1;
    } else {
        *seen |= bit;
        phase.received += 1;
        flow.received += 1;
        if sequence < flow.next {
            phase.reordered += 1;
        } else {
            flow.next = sequence + 1;
        }
    }
    if flow.last_ns != 0 && now > flow.last_ns && now - flow.last_ns > phase.longest_gap_ns {
        phase.longest_gap_ns = now - flow.last_ns;
    }
    flow.last_ns = now;
}

/// Counts a frame of whatever kind.
#[inline(always)]
pub fn count() {
    if let Some(count) = COUNT.get_ptr_mut(0) {
        // SAFETY: a valid map value of this CPU.
        unsafe { *count += 1 };
    }
}
