//! The pinned maps, as `hitless_common::map` lays them out, and how the pipeline reads them.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, DevMap, PerCpuArray, RingBuf},
};
use hitless_common::{
    DropReason,
    limits::{MAX_PORTS, PORT_PROBES, PORT_SLOTS},
    map::{
        counters::PortCounters,
        events::{LEARN_RING_BYTES, PUNT_RING_BYTES, REPORTED_SLOTS},
        fdb::FdbBucket,
        limiter::PortLimiters,
        meta::Meta,
        ports::{PortEntry, home_slot},
        vlans::{self, VlanEntry},
    },
};

/// Entries of a table that is indexed by port number; entry 0 is no port.
const BY_PORT: u32 = MAX_PORTS as u32 + 1;

#[map]
static META: Array<Meta> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static PORTS: Array<PortEntry> = Array::with_max_entries(PORT_SLOTS, 0);
#[map]
static EGRESS: Array<PortEntry> = Array::with_max_entries(BY_PORT, 0);
#[map]
pub static XDP_TX: DevMap = DevMap::with_max_entries(BY_PORT, 0);
#[map]
static VLANS: Array<VlanEntry> = Array::with_max_entries(vlans::ENTRIES, 0);
/// The loader sets the size.
#[map]
static FDB: Array<FdbBucket> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
static COUNTERS: PerCpuArray<PortCounters> = PerCpuArray::with_max_entries(BY_PORT, 0);
#[map]
static LIMITERS: Array<PortLimiters> = Array::with_max_entries(BY_PORT, 0);
#[map]
pub static LEARN: RingBuf = RingBuf::with_byte_size(LEARN_RING_BYTES, 0);
#[map]
static REPORTED: Array<u64> = Array::with_max_entries(REPORTED_SLOTS, 0);
#[map]
pub static PUNT: RingBuf = RingBuf::with_byte_size(PUNT_RING_BYTES, 0);
#[cfg(feature = "edition-newer")]
#[map]
static CENSUS: Array<u64> = Array::with_max_entries(hitless_common::map::events::CENSUS_SLOTS, 0);

/// Buckets of the FDB less one; the loader sets it from META.
#[unsafe(no_mangle)]
static FDB_MASK: u32 = 0;
/// Seed of the FDB's hash; the loader sets it from META.
#[unsafe(no_mangle)]
static FDB_SEED: u64 = 0;

/// [`FDB_MASK`] as loaded.
#[inline(always)]
pub fn fdb_mask() -> u32 {
    // SAFETY: a static of this program; volatile because the loader writes it before the program is loaded.
    unsafe { core::ptr::read_volatile(&raw const FDB_MASK) }
}

/// [`FDB_SEED`] as loaded.
#[inline(always)]
pub fn fdb_seed() -> u64 {
    // SAFETY: as for `fdb_mask`.
    unsafe { core::ptr::read_volatile(&raw const FDB_SEED) }
}

/// META, shared with the master.
#[inline(always)]
pub fn meta() -> Option<*mut Meta> {
    META.get_ptr_mut(0)
}

/// The port that a device is.
#[inline(always)]
pub fn port_by_ifindex(ifindex: u32) -> Option<&'static PortEntry> {
    let mut slot = home_slot(ifindex);
    let mut probes = 0;
    while probes < PORT_PROBES {
        let entry = PORTS.get(slot)?;
        if entry.ifindex == ifindex {
            return Some(entry);
        }
        slot = (slot + 1) & (PORT_SLOTS - 1);
        probes += 1;
    }
    None
}

/// The device behind a port number; `ifindex` 0 if there is none now.
#[inline(always)]
pub fn egress(port: u16) -> Option<&'static PortEntry> {
    EGRESS.get(u32::from(port))
}

/// A VLAN's entry, for any 12-bit number.
#[inline(always)]
pub fn vlan(vid: u16) -> Option<&'static VlanEntry> {
    VLANS.get(u32::from(vid))
}

/// A bucket of the FDB, shared with the master that may write it right now.
#[inline(always)]
pub fn bucket(index: u32) -> Option<*mut FdbBucket> {
    FDB.get_ptr_mut(index)
}

/// The limits of a port.
#[inline(always)]
pub fn limiters(port: u16) -> Option<&'static mut PortLimiters> {
    // SAFETY: an array value lives as long as the map; CPUs race on it by design (see `limiter`).
    LIMITERS
        .get_ptr_mut(u32::from(port))
        .map(|p| unsafe { &mut *p })
}

/// The slot that remembers reports of a source.
#[inline(always)]
pub fn reported(hash: u64) -> Option<*mut u64> {
    REPORTED.get_ptr_mut(hash as u32 & (REPORTED_SLOTS - 1))
}

/// This CPU's counters of a port.
#[inline(always)]
fn counters(port: u16) -> Option<&'static mut PortCounters> {
    // SAFETY: a per-CPU value is this CPU's alone while the program runs (preemption off, one level).
    COUNTERS
        .get_ptr_mut(u32::from(port))
        .map(|p| unsafe { &mut *p })
}

/// Counts a frame that came in.
#[inline(always)]
pub fn count_rx(port: u16, bytes: u32) {
    if let Some(c) = counters(port) {
        c.rx_frames += 1;
        c.rx_bytes += u64::from(bytes);
    }
}

/// Counts a frame that was handed to a device.
#[inline(always)]
pub fn count_tx(port: u16, bytes: u32) {
    if let Some(c) = counters(port) {
        c.tx_frames += 1;
        c.tx_bytes += u64::from(bytes);
    }
}

/// Counts a drop.
#[inline(always)]
pub fn count_drop(port: u16, reason: DropReason) {
    if let Some(c) = counters(port) {
        c.drops[reason as usize] += 1;
    }
}

/// Counts a frame that the control plane got.
#[inline(always)]
pub fn count_punt(port: u16) {
    if let Some(c) = counters(port) {
        c.punted += 1;
    }
    #[cfg(feature = "edition-newer")]
    if let Some(frames) =
        CENSUS.get_ptr_mut(u32::from(port) % hitless_common::map::events::CENSUS_SLOTS)
    {
        // SAFETY: an array value; CPUs that race lose a count.
        unsafe { *frames += 1 };
    }
}

/// Counts a learning event that must wait for the next frame of its source.
#[inline(always)]
pub fn count_learn_deferred(port: u16) {
    if let Some(c) = counters(port) {
        c.learn_deferred += 1;
    }
}
