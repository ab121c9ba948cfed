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
    Constants, Hardware, HwError, MetaMap, Programs, monotonic_nanoseconds, opened,
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

/// Hardware of another version that still forwards, while this one's is filled.
pub(super) struct Migration {
    /// Its META.
    old: MetaMap,
    /// Its counters, if they have another schema.
    counters: Option<Counters>,
    /// Maps that are not the same ones any more.
    maps: Vec<&'static str>,
    began: Instant,
}

impl Hardware {
    /// Builds hardware of this version beside that of another one, and opens it.
    pub(super) fn migrate(
        dir: SwitchDir,
        log_level: u8,
        known: &Known<'_>,
    ) -> Result<Self, HwError> {
        let built = Self::build_beside(&dir, log_level, known);
        match built {
            Ok((meta, constants, fdb, maps, programs, migration)) => {
                let mut hardware = Self::assemble(dir, meta, fdb, maps, programs, constants, true)?;
                hardware.links.hold();
                hardware.recall(known, &migration)?;
                // From the next line on the old hardware is whoever's who opens it.
                fault::step("3 filled");
                migration.old.set_image(&[0; 32]);
                fault::step("4 old image forgotten");
                hardware.migration = Some(migration);
                Ok(hardware)
            }
            Err(e) => {
                // What stands there is untouched, and the next start removes what can not be removed now.
                if let Err(left) = dir.remove_building() {
                    warn!("{left}");
                }
                Err(e)
            }
        }
    }

    fn build_beside(
        dir: &SwitchDir,
        log_level: u8,
        known: &Known<'_>,
    ) -> Result<
        (
            MetaMap,
            Constants,
            sys::Mapping,
            opened::Maps,
            Programs,
            Migration,
        ),
        HwError,
    > {
        let began = Instant::now();
        let (old, new) = (dir.layout_dir(), dir.building_dir());
        let old_meta = pins::open(&old, name::META)?;
        let bytes = pins::check_meta(&old)?.value_size() as usize;
        let old_meta = MetaMap::new(&old_meta)?;
        let maps = old_meta.differences();
        // META is another one in any case: with what it says all else changes in one step.
        let changed = |map: &str| map == name::META || maps.contains(&map);
        let names: Vec<&str> = pins::map_names().filter(|map| changed(map)).collect();
        pins::check_shapes(&old, &names)?;
        let found = old_meta.read();
        if changed(name::FDB)
            && let Some(copy) = known.fdb
            && copy.buckets() != found.fdb_buckets as usize
        {
            warn!("the last master's FDB has another size than the hardware: it is learned anew");
        }

        fs::create_dir(&new).map_err(|source| HwError::Io {
            what: format!("make {}", new.display()),
            source,
        })?;
        fault::step("1 directory made");
        for map in pins::map_names().filter(|map| !changed(map)) {
            let pin = pins::open(&old, map)?.pin(new.join(map));
            pin.map_err(|source| HwError::Pin {
                what: format!("map {map}"),
                source: Box::new(source),
            })?;
        }
        let constants = Constants {
            fdb_buckets: found.fdb_buckets,
            fdb_seed: found.fdb_seed,
            log_level,
        };
        let programs = Programs::load(&new, &constants)?;
        pins::check_shapes(&new, &[])?;
        fault::step("2 programs loaded");
        let meta = MetaMap::new(&pins::open(&new, name::META)?)?;
        meta.carry(&old_meta, bytes);
        meta.set_image(&constants.image());
        let counters = match changed(name::COUNTERS) && old.join(name::COUNTERS).exists() {
            true => Some(Counters::carry(&old, &new)?),
            false => None,
        };
        let fdb = opened::map_fdb(&pins::open(&new, name::FDB)?, &constants)?;
        let opened = opened::Maps::open(&new)?;
        let migration = Migration {
            old: old_meta,
            counters,
            maps,
            began,
        };
        Ok((meta, constants, fdb, opened, programs, migration))
    }

    /// Puts what the last master knew into the maps that are new.
    fn recall(&mut self, known: &Known<'_>, migration: &Migration) -> Result<(), HwError> {
        if migration.maps.contains(&name::VLANS) {
            for (vlan, entry) in known.vlans {
                self.vlans.set(vlan.get().into(), *entry)?;
            }
        }
        if migration.maps.contains(&name::FDB)
            && let Some(copy) = known.fdb
            && copy.buckets() == self.fdb.len()
            && let Ok(mut cells) = cells::Hardware::new(self.fdb)
        {
            let epoch = Epoch::new(self.meta.epoch().load(Ordering::Relaxed));
            cells.restore(copy, epoch);
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
        migration
            .old
            .renew_lease(lease.max(monotonic_nanoseconds()));
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
            let maps = migration.maps.iter().filter(|map| keeping(map) == wanted);
            maps.copied().collect::<Vec<_>>().join(" ")
        };
        info!(
            rebuilt = what_becomes(Keeping::Rebuilt),
            carried = what_becomes(Keeping::Carried),
            scratch = what_becomes(Keeping::Scratch),
            took_us = migration.began.elapsed().as_micros() as u64,
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
    fn carry(old: &Path, new: &Path) -> Result<Self, HwError> {
        let (old, new) = (Words::open(old)?, Words::open(new)?);
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
            return Err(refused(format!(
                "it is a {kind:?} of {value} bytes; counters are 64-bit numbers in an array per CPU"
            )));
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
