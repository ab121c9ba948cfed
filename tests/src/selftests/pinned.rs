//! The pinned hardware from outside: what it holds, for comparison, and damage done to it on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aya::Pod;
use aya::maps::{Array, Map, MapData};
use aya::programs::ProgramInfo;
use aya::programs::links::{FdLink, PinnedLink};
use hitless_common::map::fdb::{FdbBucket, FdbKey};
use hitless_common::map::meta::{LAYOUT, Meta};
use hitless_common::map::name;
use hitless_common::map::ports::PortEntry;
use hitless_common::map::vlans::VlanEntry;

use crate::harness::switch::Switch;

/// The pins of a switch.
#[derive(Debug)]
pub struct Pinned {
    dir: PathBuf,
}

/// What decides about forwarding. Without counters, epochs and the number of masters, which change while nothing
/// is done to the hardware.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Used entries of PORTS by slot.
    pub ports: BTreeMap<u32, PortEntry>,
    /// Used entries of EGRESS by port number.
    pub egress: BTreeMap<u32, PortEntry>,
    /// Used entries of VLANS by VLAN id.
    pub vlans: BTreeMap<u32, VlanEntry>,
    /// Port and flags by the FDB's keys.
    pub fdb: BTreeMap<u64, (u16, u16)>,
    /// The kernel's numbers of each link and its program, by pin.
    pub links: BTreeMap<String, (u32, u32)>,
}

impl Pinned {
    /// The pins of a switch, in the layout that this program knows.
    #[must_use]
    pub fn of(switch: &Switch) -> Self {
        Self {
            dir: switch.pins().join(format!("v{LAYOUT}")),
        }
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A pinned map.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn map(&self, name: &str) -> Result<MapData> {
        let path = self.dir.join(name);
        MapData::from_pin(&path).with_context(|| format!("open {}", path.display()))
    }

    /// A pinned map as an array.
    ///
    /// # Errors
    /// When there is none, or its values are of another size.
    pub fn array<V: Pod>(&self, name: &str) -> Result<Array<MapData, V>> {
        Array::try_from(Map::Array(self.map(name)?)).with_context(|| format!("map {name}"))
    }

    /// How many instructions the kernel followed to verify each program, if it tells.
    ///
    /// # Errors
    /// When a program is missing.
    pub fn verified(&self) -> Result<[(&'static str, Option<u32>); 2]> {
        let verified = |pin| {
            let info = ProgramInfo::from_pin(self.dir.join(pin)).context(pin)?;
            anyhow::Ok((pin, info.verified_instruction_count()))
        };
        Ok([verified("prog_tc")?, verified("prog_xdp")?])
    }

    /// META.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn meta(&self) -> Result<Meta> {
        Ok(self.array(name::META)?.get(&0, 0)?)
    }

    /// Changes META.
    ///
    /// # Errors
    /// When it can not be read or written.
    pub fn change_meta(&self, change: impl FnOnce(&mut Meta)) -> Result<()> {
        let mut array = self.array(name::META)?;
        let mut meta = array.get(&0, 0)?;
        change(&mut meta);
        Ok(array.set(0, meta, 0)?)
    }

    /// The whole, for comparison.
    ///
    /// # Errors
    /// When a map or link can not be read.
    pub fn state(&self) -> Result<State> {
        let mut state = State {
            ports: used(&self.array(name::PORTS)?)?,
            egress: used(&self.array(name::EGRESS)?)?,
            vlans: used(&self.array(name::VLANS)?)?,
            ..State::default()
        };
        for bucket in used::<FdbBucket>(&self.array(name::FDB)?)?.values() {
            for entry in bucket.0.iter().filter(|entry| entry.key.0 != 0) {
                state.fdb.insert(entry.key.0, (entry.port, entry.flags));
            }
        }
        let listed = fs::read_dir(&self.dir);
        for file in listed.with_context(|| format!("list {}", self.dir.display()))? {
            let name = file?.file_name().to_string_lossy().into_owned();
            if name.starts_with("link_") {
                let link = FdLink::from(PinnedLink::from_pin(self.dir.join(&name))?).info()?;
                state.links.insert(name, (link.id(), link.program_id()));
            }
        }
        Ok(state)
    }
}

impl State {
    /// The entries that differ, as `VLANS 20`, `FDB 02:00:00:00:00:01` and `link_4_tc`; those of PORTS by port number.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let by_port = |state: &Self| -> BTreeMap<u16, PortEntry> {
            state
                .ports
                .values()
                .map(|entry| (entry.port, *entry))
                .collect()
        };
        let mac = |key: &u64| format!("FDB {}", FdbKey(*key).mac());
        [
            differing(&self.egress, &other.egress, |port| format!("EGRESS {port}")),
            differing(&self.fdb, &other.fdb, mac),
            differing(&by_port(self), &by_port(other), |port| {
                format!("PORTS {port}")
            }),
            differing(&self.vlans, &other.vlans, |vid| format!("VLANS {vid}")),
            differing(&self.links, &other.links, Clone::clone),
        ]
        .concat()
    }
}

/// The keys, as text, of entries that are in one map only or have another value.
fn differing<K: Ord, V: PartialEq>(
    a: &BTreeMap<K, V>,
    b: &BTreeMap<K, V>,
    text: impl Fn(&K) -> String,
) -> Vec<String> {
    let keys: BTreeSet<&K> = a.keys().chain(b.keys()).collect();
    let differ = keys.into_iter().filter(|key| a.get(*key) != b.get(*key));
    differ.map(text).collect()
}

/// The entries of an array that are not empty, by index.
fn used<V: Pod + Default + PartialEq>(array: &Array<MapData, V>) -> Result<BTreeMap<u32, V>> {
    let mut entries = BTreeMap::new();
    for index in 0..array.len() {
        let entry = array.get(&index, 0)?;
        if entry != V::default() {
            entries.insert(index, entry);
        }
    }
    Ok(entries)
}
