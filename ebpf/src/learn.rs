//! Reporting sources to the master: each one once a round, no port more than its share, nobody woken for it
//! unless the master sleeps.

use crate::{
    bridge::GROUP_BIT,
    fdb::{self, Found},
    maps,
};
use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use hitless_common::map::{
    events::{LEARN_EVENTS_PER_ROUND, LearnEvent},
    fdb::{FdbKey, flag},
};

/// The bits of a key that are the address.
const ADDRESS: u64 = 0xffff_ffff_ffff;

/// Marks the source of a frame as seen, or reports it if its port learns.
#[inline(always)]
pub fn source(found: Option<Found>, key: FdbKey, from: u16, learns: impl Fn() -> bool) {
    match found {
        Some(found) if found.port == from => stamp(&found),
        Some(found) if found.flags & flag::STATIC == 0 && learns() => {
            report(key.0, from, 1);
        }
        // A station that is configured elsewhere: it stays there.
        Some(_) => {}
        None if key.0 & GROUP_BIT == 0 && key.0 & ADDRESS != 0 && learns() => {
            report(key.0, from, 0);
        }
        None => {}
    }
}

/// As [`source`], for a frame that is dropped because its port only learns.
#[inline(always)]
pub fn blocked(key: FdbKey, port: u16) {
    if let Some(place) = fdb::place(key) {
        source(place.find(), key, port, || true);
    }
}

#[inline(always)]
fn stamp(found: &Found) {
    if let Some(meta) = maps::meta() {
        // SAFETY: META is an array value; volatile because the master writes it.
        found.stamp(unsafe { (&raw const (*meta).epoch).read_volatile() });
    }
}

/// Reports that a source is unknown, or known behind another port. Not inlined: the fast path does not need it.
#[inline(never)]
pub fn report(key: u64, port: u16, moved: u16) -> u32 {
    let Some(meta) = maps::meta() else { return 0 };
    // SAFETY: META is an array value; volatile because the master writes it.
    let round = unsafe { (&raw const (*meta).learn_round).read_volatile() };

    // The report's fingerprint: the same source on the same port in the same round was reported already.
    let hash = (key ^ (u64::from(port) << 49)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let fingerprint = hash ^ (u64::from(round) << 17) ^ 1;
    let Some(slot) = maps::reported(hash >> 40) else {
        return 0;
    };
    // SAFETY: an array value; a race with another CPU reports a source twice, which the master tolerates.
    unsafe {
        if slot.read_volatile() == fingerprint {
            return 0;
        }
    }
    let Some(limits) = maps::limiters(port) else {
        return 0;
    };
    if limits.learn_round != round {
        limits.learn_round = round;
        limits.learn_events = 0;
    }
    if limits.learn_events >= LEARN_EVENTS_PER_ROUND {
        maps::count_learn_deferred(port);
        return 0;
    }
    let Some(mut event) = maps::LEARN.reserve::<LearnEvent>(0) else {
        maps::count_learn_deferred(port);
        return 0;
    };
    limits.learn_events += 1;
    event.write(LearnEvent {
        key: FdbKey(key),
        port,
        moved,
        reserved: 0,
    });
    // SAFETY: as above. Of two CPUs that see the master asleep both wake it, which does no harm.
    let flags = unsafe {
        slot.write_volatile(fingerprint);
        let asleep = &raw mut (*meta).learn_asleep;
        if asleep.read_volatile() == 0 {
            BPF_RB_NO_WAKEUP
        } else {
            asleep.write_volatile(0);
            BPF_RB_FORCE_WAKEUP
        }
    };
    event.submit(u64::from(flags));
    1
}
