//! Hardware of another version: new maps are built beside those that forward, filled, and taken over by all ports one
//! after the other, without a frame lost. Nothing needs to be known of the other version but META, which is only ever
//! appended to, and what the kernel tells of its maps; so it works both ways.
//!
//! The order makes it safe to end at any moment (`steps` of the tests):
//! 1. In `building/` unchanged maps are pinned once more, the others and the programs made anew; nobody uses them.
//! 2. META there is a copy. The old META forgets which programs are attached: whoever opens the old hardware from now on
//!    gives all ports its own again.
//! 3. The master fills the tables, see [`super::Hardware::put_in_charge`]; ports keep the old programs meanwhile.
//! 4. The links get the new programs, one by one. Each frame meets one program, and so one set of maps.
//! 5. The links are pinned in `building/` as well, and that takes the place of the old directory in one step.

use super::{
    Constants, Hardware, HwError, MetaMap, Programs, opened,
    pins::{self, SwitchDir},
    sys,
};
use crate::fault;
use aya::maps::{MapData, MapInfo, MapType};
use hitless_common::{
    VlanId,
    map::{
        meta::{Keeping, keeping},
        name,
        vlans::VlanEntry,
    },
};
use hitless_proto::{
    bridge::{cells, shadow::Replica},
    time::Epoch,
};
use std::{
    collections::BTreeMap, fs, os::fd::AsFd, path::Path, sync::atomic::Ordering, time::Instant,
};
use tracing::{info, warn};

/// What a new master knows of the hardware from the one before.
pub struct Known<'k> {
    /// Its VLANs.
    pub vlans: &'k BTreeMap<VlanId, VlanEntry>,
    /// Its software copy of the FDB.
    pub fdb: Option<&'k Replica<'static>>,
}

static NO_VLANS: BTreeMap<VlanId, VlanEntry> = BTreeMap::new();

impl Known<'static> {
    /// What a first master knows.
    pub const NOTHING: Self = Self {
        vlans: &NO_VLANS,
        fdb: None,
    };
}

/// Hardware of another version, as it was found.
struct Found {
    meta: MetaMap,
    /// Bytes of its META.
    bytes: usize,
    /// Maps with another schema than ours.
    maps: Vec<&'static str>,
    constants: Constants,
    /// Its counters, if they have another schema.
    counters: Option<Words>,
    began: Instant,
}

/// Hardware of another version that still forwards, while this one's is filled.
pub(super) struct Migration {
    found: Found,
    counters: Option<Counters>,
}

/// What was built beside it.
struct Built {
    meta: MetaMap,
    fdb: sys::Mapping,
    maps: opened::Maps,
    programs: Programs,
    counters: Option<Counters>,
}

impl Found {
    /// Looks at the hardware in a directory and finds out whether it can be migrated. Changes nothing.
    fn look(layout: &Path, log_level: u8) -> Result<Self, HwError> {
        let began = Instant::now();
        let bytes = pins::check_meta(layout)?.value_size() as usize;
        let meta = MetaMap::new(&pins::open(layout, name::META)?)?;
        let found = meta.read();
        let mut found = Self {
            bytes,
            maps: meta.differences(),
            constants: Constants {
                fdb_buckets: found.fdb_buckets,
                fdb_seed: found.fdb_seed,
                log_level,
            },
            counters: None,
            began,
            meta,
        };
        let changed: Vec<&str> = pins::map_names().filter(|map| found.changes(map)).collect();
        pins::check_shapes(layout, &changed)?;
        if !found.changes(name::FDB) {
            opened::check_buckets(layout, &found.constants)?;
        }
        // Without them counting begins anew.
        if found.changes(name::COUNTERS) && layout.join(name::COUNTERS).exists() {
            found.counters = Some(Words::open(layout)?);
        }
        Ok(found)
    }

    /// Whether a map does not stay the same one. META never does: with what it says everything changes in one step.
    fn changes(&self, map: &str) -> bool {
        map == name::META || self.maps.contains(&map)
    }

    /// Builds this version's hardware in `new` beside that in `old`.
    fn build(&mut self, old: &Path, new: &Path) -> Result<Built, HwError> {
        fs::create_dir(new).map_err(|source| HwError::Io {
            what: format!("make {}", new.display()),
            source,
        })?;
        fault::step("1 directory made");
        for map in pins::map_names().filter(|map| !self.changes(map)) {
            let pin = pins::open(old, map)?.pin(new.join(map));
            pin.map_err(|source| HwError::Pin {
                what: format!("map {map}"),
                source: Box::new(source),
            })?;
        }
        let programs = Programs::load(new, &self.constants)?;
        pins::check_shapes(new, &[])?;
        fault::step("2 programs loaded");
        let meta = MetaMap::new(&pins::open(new, name::META)?)?;
        meta.carry(&self.meta, self.bytes);
        meta.set_image(&self.constants.image());
        let counters = self.counters.take();
        Ok(Built {
            meta,
            fdb: opened::map_fdb(&pins::open(new, name::FDB)?, &self.constants)?,
            maps: opened::Maps::open(new)?,
            programs,
            counters: counters
                .map(|old| Counters::carry(old, Words::open(new)?))
                .transpose()?,
        })
    }
}

impl Hardware {
    /// Builds hardware of this version beside that of another one, and opens it. If that fails, what stands there is
    /// untouched.
    pub(super) fn migrate(
        dir: SwitchDir,
        log_level: u8,
        known: &Known<'_>,
    ) -> Result<Self, HwError> {
        let mut found = Found::look(&dir.layout_dir(), log_level)?;
        let built = found.build(&dir.layout_dir(), &dir.building_dir());
        let built = built.inspect_err(|_| {
            if let Err(left) = dir.remove_building() {
                warn!("{left}");
            }
        })?;
        let mut hardware = Self::assemble(
            dir,
            built.meta,
            built.fdb,
            built.maps,
            built.programs,
            found.constants,
            true,
        )?;
        hardware.links.hold();
        hardware.recall(known, &found)?;
        fault::step("3 filled");
        // From here on the old hardware is whoever's who opens it.
        found.meta.set_image(&[0; 32]);
        fault::step("4 old image forgotten");
        hardware.migration = Some(Migration {
            found,
            counters: built.counters,
        });
        Ok(hardware)
    }

    /// Puts what the last master knew into the maps that are new.
    fn recall(&mut self, known: &Known<'_>, found: &Found) -> Result<(), HwError> {
        if found.changes(name::VLANS) {
            for (vlan, entry) in known.vlans {
                self.vlans.set(vlan.get().into(), *entry)?;
            }
        }
        if found.changes(name::FDB) {
            let copy = known.fdb.filter(|copy| copy.buckets() == self.fdb.len());
            match (copy, cells::Hardware::new(self.fdb)) {
                (Some(copy), Ok(mut cells)) => {
                    let epoch = Epoch::new(self.meta.epoch().load(Ordering::Relaxed));
                    cells.restore(copy, epoch);
                }
                _ => warn!("no checkpoint of the FDB: addresses are learned anew"),
            }
        }
        Ok(())
    }

    /// Ends what [`Hardware::open`] began with hardware of another version: the ports get this version's programs, and
    /// its maps take the place of the others. To be called when all tables are as they should be. Does nothing otherwise.
    ///
    /// # Errors
    /// If the kernel refuses a step. Ports forward all the same, by one version's programs or the other's.
    pub fn put_in_charge(&mut self) -> Result<(), HwError> {
        let Some(migration) = self.migration.take() else {
            return Ok(());
        };
        let lease = self.meta.lease().load(Ordering::Relaxed);
        migration.found.meta.renew_lease(lease);
        self.links.swap_all(&mut self.programs)?;
        fault::step("5 links swapped");
        if let Some(counters) = &migration.counters {
            counters.add_rest()?;
        }
        self.links.pin_into(&self.dir.building_dir())?;
        fault::step("6 links pinned");
        self.dir.exchange()?;
        fault::step("7 exchanged");
        let what_becomes = |wanted: Keeping| -> String {
            let maps = migration.found.maps.iter();
            let maps = maps.filter(|map| keeping(map) == wanted);
            maps.copied().collect::<Vec<_>>().join(" ")
        };
        info!(
            rebuilt = what_becomes(Keeping::Rebuilt),
            carried = what_becomes(Keeping::Carried),
            scratch = what_becomes(Keeping::Scratch),
            took_us = migration.found.began.elapsed().as_micros() as u64,
            "the hardware of another version is taken over: maps were migrated"
        );
        // The old maps serve nobody any more.
        if let Err(left) = self.dir.remove_building() {
            warn!("{left}");
        }
        Ok(())
    }
}

/// The counters of both versions while one follows the other.
struct Counters {
    old: Words,
    new: Words,
    /// What was carried, by entry.
    carried: Vec<Vec<u64>>,
}

/// A map with an entry per port and CPU, as numbers without meaning.
struct Words {
    map: MapData,
    cpus: usize,
    /// Numbers of one CPU.
    each: usize,
    entries: u32,
}

impl Counters {
    /// Copies the part that both versions have: counters are only ever appended.
    fn carry(old: Words, new: Words) -> Result<Self, HwError> {
        let mut carried = Vec::new();
        for key in 0..old.entries.min(new.entries) {
            let words = old.read(key)?;
            new.add(key, &old, &words)?;
            carried.push(words);
        }
        Ok(Self { old, new, carried })
    }

    /// Adds what the old programs have counted since, now that they run nowhere. A frame that is counted by the new ones
    /// in the microsecond between reading and writing is not; that is the only inaccuracy.
    fn add_rest(&self) -> Result<(), HwError> {
        for (key, carried) in (0..).zip(&self.carried) {
            let mut rest = self.old.read(key)?;
            for (now, then) in rest.iter_mut().zip(carried) {
                *now = now.wrapping_sub(*then);
            }
            if rest.iter().any(|&n| n != 0) {
                self.new.add(key, &self.old, &rest)?;
            }
        }
        Ok(())
    }
}

impl Words {
    fn open(dir: &Path) -> Result<Self, HwError> {
        let refused = |why: String| HwError::Migration {
            map: name::COUNTERS,
            why,
        };
        let info = MapInfo::from_pin(dir.join(name::COUNTERS))
            .map_err(|e| refused(format!("it can not be read as a map: {e}")))?;
        let (kind, value) = (info.map_type().ok(), info.value_size());
        if kind != Some(MapType::PerCpuArray) || info.key_size() != 4 || !value.is_multiple_of(8) {
            return Err(refused("it is no array per CPU of 64-bit numbers".into()));
        }
        Ok(Self {
            cpus: aya::util::nr_cpus()
                .map_err(|(what, e)| refused(format!("the number of CPUs: {what}: {e}")))?,
            each: value as usize / 8,
            entries: info.max_entries(),
            map: pins::open(dir, name::COUNTERS)?,
        })
    }

    fn read(&self, key: u32) -> Result<Vec<u64>, HwError> {
        sys::read_words(self.map.fd().as_fd(), key, self.cpus * self.each)
            .map_err(|source| self.failed("read", source))
    }

    /// Adds numbers laid out as in `other`, as far as this map has them.
    fn add(&self, key: u32, other: &Self, words: &[u64]) -> Result<(), HwError> {
        let mut sum = self.read(key)?;
        for (own, theirs) in sum
            .chunks_exact_mut(self.each)
            .zip(words.chunks_exact(other.each))
        {
            for (own, theirs) in own.iter_mut().zip(theirs) {
                *own = own.wrapping_add(*theirs);
            }
        }
        sys::write_words(self.map.fd().as_fd(), key, sum)
            .map_err(|source| self.failed("write", source))
    }

    fn failed(&self, what: &str, source: std::io::Error) -> HwError {
        HwError::Io {
            what: format!("{what} map {}", name::COUNTERS),
            source,
        }
    }
}
