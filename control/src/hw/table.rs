//! Tables indexed by a small number, each with its software copy: only differences are written, and counted.

use super::{HwError, pins, sys};
use aya::{
    Pod,
    maps::{Array, MapData},
};
use hitless_common::{
    PortNo,
    limits::{PORT_PROBES, PORT_SLOTS},
    map::{
        limiter::{Bucket, PortLimiters},
        name,
        ports::{PortEntry, home_slot},
    },
};
use std::os::fd::AsFd;

/// An array map and what it holds.
pub struct Table<V: Pod> {
    name: &'static str,
    array: Array<MapData, V>,
    installed: Vec<V>,
    writes: u64,
}

impl<V: Pod + PartialEq + Default> Table<V> {
    /// Reads the whole map into the software copy.
    ///
    /// # Errors
    /// If the map can not be read.
    pub fn adopt(name: &'static str, map: MapData) -> Result<Self, HwError> {
        let entries = map.info().map(|info| info.max_entries());
        let entries = entries.map_err(|source| HwError::Map { name, source })?;
        let installed =
            sys::read_array(map.fd().as_fd(), entries).map_err(|source| HwError::Io {
                what: format!("read map {name}"),
                source,
            })?;
        let array =
            Array::try_from(pins::as_array(map)).map_err(|source| HwError::Map { name, source })?;
        Ok(Self {
            name,
            array,
            installed,
            writes: 0,
        })
    }

    /// What the hardware holds.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&V> {
        self.installed.get(index as usize)
    }

    /// Every index and what the hardware holds there.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        (0..).zip(&self.installed)
    }

    /// Makes the hardware hold `value`; true if it had to be written.
    ///
    /// # Errors
    /// If the kernel refuses the write.
    pub fn set(&mut self, index: u32, value: V) -> Result<bool, HwError> {
        if self.installed.get(index as usize) == Some(&value) {
            return Ok(false);
        }
        self.array
            .set(index, value, 0)
            .map_err(|source| HwError::Map {
                name: self.name,
                source,
            })?;
        if let Some(installed) = self.installed.get_mut(index as usize) {
            *installed = value;
        }
        self.writes += 1;
        Ok(true)
    }

    /// Compares an entry with the hardware itself and writes it again if something else stands there; true if so.
    ///
    /// # Errors
    /// If the map can not be read or written.
    pub fn heal(&mut self, index: u32) -> Result<bool, HwError> {
        let found = self.array.get(&index, 0).map_err(|source| HwError::Map {
            name: self.name,
            source,
        })?;
        match self.installed.get(index as usize) {
            Some(wanted) if *wanted != found => {
                self.array
                    .set(index, *wanted, 0)
                    .map_err(|source| HwError::Map {
                        name: self.name,
                        source,
                    })?;
                self.writes += 1;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Reads from the hardware itself.
    ///
    /// # Errors
    /// If the map can not be read.
    pub fn probe(&self) -> Result<(), HwError> {
        let first = self.array.get(&0, 0);
        first.map(drop).map_err(|source| HwError::Map {
            name: self.name,
            source,
        })
    }

    /// Entries of the table.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.installed.len() as u32
    }

    /// Whether the table has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.installed.is_empty()
    }

    /// Writes since it was adopted.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes
    }
}

/// PORTS: [`Table`] with open addressing by ifindex.
pub struct PortTable(Table<PortEntry>);

impl PortTable {
    /// See [`Table::adopt`].
    ///
    /// # Errors
    /// If the map can not be read.
    pub fn adopt(map: MapData) -> Result<Self, HwError> {
        Table::adopt(name::PORTS, map).map(Self)
    }

    /// Makes `wanted` the entry of its device.
    ///
    /// # Errors
    /// If the kernel refuses the write, or the device's slots are all taken by others.
    pub fn set(&mut self, wanted: PortEntry) -> Result<bool, HwError> {
        let slots = || Self::slots(wanted.ifindex);
        let has = |slot: &u32, ifindex| self.0.get(*slot).is_some_and(|e| e.ifindex == ifindex);
        let slot = slots()
            .find(|s| has(s, wanted.ifindex))
            .or_else(|| slots().find(|s| has(s, 0)))
            .ok_or(HwError::PortSlots {
                ifindex: wanted.ifindex,
            })?;
        self.0.set(slot, wanted)
    }

    /// Takes out the entries of devices that `keep` refuses; how many there were.
    ///
    /// # Errors
    /// If the kernel refuses a write.
    pub fn retain(&mut self, keep: impl Fn(&PortEntry) -> bool) -> Result<usize, HwError> {
        let stale: Vec<u32> = self
            .0
            .iter()
            .filter(|(_, e)| e.ifindex != 0 && !keep(e))
            .map(|(slot, _)| slot)
            .collect();
        for &slot in &stale {
            self.0.set(slot, PortEntry::default())?;
        }
        Ok(stale.len())
    }

    /// The slots of the table, for the audit.
    pub fn table(&mut self) -> &mut Table<PortEntry> {
        &mut self.0
    }

    fn slots(ifindex: u32) -> impl Iterator<Item = u32> {
        (0..PORT_PROBES).map(move |i| (home_slot(ifindex) + i) & (PORT_SLOTS - 1))
    }
}

/// LIMITERS: the data path keeps its tokens in the entries, so only the configured part is compared.
pub struct LimiterTable(Table<PortLimiters>);

impl LimiterTable {
    /// See [`Table::adopt`].
    ///
    /// # Errors
    /// If the map can not be read.
    pub fn adopt(map: MapData) -> Result<Self, HwError> {
        Table::adopt(name::LIMITERS, map).map(Self)
    }

    /// Makes `wanted` the limits of a port; true if they had to be written.
    ///
    /// # Errors
    /// If the kernel refuses the write.
    pub fn set(&mut self, port: PortNo, wanted: PortLimiters) -> Result<bool, HwError> {
        let rates = |l: &PortLimiters| {
            [l.broadcast, l.multicast, l.unknown, l.punt]
                .map(|Bucket { rate, burst, .. }| (rate, burst))
        };
        match self.0.get(u32::from(port.get())) {
            Some(installed) if rates(installed) == rates(&wanted) => Ok(false),
            _ => self.0.set(u32::from(port.get()), wanted),
        }
    }

    /// Writes since it was adopted.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.writes()
    }
}
