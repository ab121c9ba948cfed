//! COUNTERS, summed over the CPUs.

use super::{HwError, pins};
use aya::maps::{MapData, PerCpuArray};
use hitless_common::{
    map::{counters::PortCounters, name},
    reason::REASON_SLOTS,
};

/// The counters of every port.
pub struct CounterMap(PerCpuArray<MapData, PortCounters>);

impl CounterMap {
    /// Opens the map.
    ///
    /// # Errors
    /// If it is not the map that it should be.
    pub fn new(map: MapData) -> Result<Self, HwError> {
        PerCpuArray::try_from(pins::as_per_cpu_array(map))
            .map(Self)
            .map_err(|source| HwError::Map {
                name: name::COUNTERS,
                source,
            })
    }

    /// A port's counters; index 0 is for frames of no known port.
    ///
    /// # Errors
    /// If the map can not be read.
    pub fn read(&self, port: u16) -> Result<PortCounters, HwError> {
        let per_cpu = self
            .0
            .get(&u32::from(port), 0)
            .map_err(|source| HwError::Map {
                name: name::COUNTERS,
                source,
            })?;
        let mut sum = PortCounters {
            rx_frames: 0,
            rx_bytes: 0,
            tx_frames: 0,
            tx_bytes: 0,
            punted: 0,
            learn_deferred: 0,
            drops: [0; REASON_SLOTS],
        };
        for cpu in per_cpu.iter() {
            sum.rx_frames += cpu.rx_frames;
            sum.rx_bytes += cpu.rx_bytes;
            sum.tx_frames += cpu.tx_frames;
            sum.tx_bytes += cpu.tx_bytes;
            sum.punted += cpu.punted;
            sum.learn_deferred += cpu.learn_deferred;
            for (sum, n) in sum.drops.iter_mut().zip(cpu.drops) {
                *sum += n;
            }
        }
        Ok(sum)
    }
}
