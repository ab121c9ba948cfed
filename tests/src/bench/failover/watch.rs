//! The change of masters as the hardware shows it.

use std::fs;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aya::maps::MapData;
use hitless::hw::monotonic_nanoseconds;
use hitless_common::map::meta::{LAYOUT, Meta};
use hitless_common::map::name;
use memmap2::{MmapOptions, MmapRaw};

use super::patience;
use crate::harness::switch::Switch;

/// Between two looks: seldom enough to leave the CPU to those who are watched.
const PAUSE: Duration = Duration::from_micros(50);

/// META of a running switch, which is only looked at.
#[derive(Debug)]
pub struct Watch {
    memory: MmapRaw,
}

/// A change of masters, in nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// When the new master was in charge.
    pub at: u64,
    /// When the old one, which hung, was ended.
    pub detected: Option<u64>,
}

impl Watch {
    /// Maps META.
    ///
    /// # Errors
    /// When the switch has none.
    pub fn open(switch: &Switch) -> Result<Self> {
        let path = switch.pins().join(format!("v{LAYOUT}")).join(name::META);
        let what = || format!("map {}", path.display());
        let map = MapData::from_pin(&path).with_context(what)?;
        let memory = MmapOptions::new()
            .len(size_of::<Meta>().next_multiple_of(4096))
            .map_raw_read_only(map.fd().as_fd().as_raw_fd())
            .with_context(what)?;
        Ok(Self { memory })
    }

    /// How many masters there were.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.field(offset_of!(Meta, generation))
    }

    /// Waits for the master after `generation` to be in charge: until it renews the lease, which says when that was
    /// (after `since`). If the old master is process `stopped`, looks as well when that is stopped no more.
    ///
    /// # Errors
    /// When there is none by the deadline.
    pub fn taken(
        &self,
        generation: u64,
        since: u64,
        lease_ms: u64,
        stopped: Option<i32>,
        deadline: Duration,
    ) -> Result<Taken> {
        let start = Instant::now();
        let stat = stopped.map(|pid| format!("/proc/{pid}/stat"));
        let given = || self.lease().saturating_sub(lease_ms * 1_000_000);
        let mut was_stopped = false;
        let mut detected = None;
        // The old master's last renewal, if it lives long enough for one after the cause.
        let mut old = since;
        while self.generation() == generation {
            old = old.max(given());
            if let (Some(stat), None) = (&stat, detected) {
                let is_stopped = fs::read_to_string(stat).is_ok_and(|text| {
                    let state = text.rsplit_once(')').map(|(_, rest)| rest.trim_start());
                    state.is_some_and(|state| state.starts_with('T'))
                });
                was_stopped |= is_stopped;
                if was_stopped && !is_stopped {
                    detected = Some(monotonic_nanoseconds());
                }
            }
            patience(start, deadline, "another master")?;
            std::thread::sleep(PAUSE);
        }
        while given() <= old {
            patience(start, deadline, "the new master's lease")?;
            std::thread::sleep(PAUSE);
        }
        Ok(Taken {
            at: given(),
            detected,
        })
    }

    fn lease(&self) -> u64 {
        self.field(offset_of!(Meta, lease))
    }

    fn field(&self, offset: usize) -> u64 {
        // SAFETY: the mapping holds a Meta, in which `offset` is that of an aligned field of 64 bits; volatile
        // because masters write at the same time.
        unsafe {
            self.memory
                .as_ptr()
                .add(offset)
                .cast::<u64>()
                .read_volatile()
        }
    }
}
