//! Hardware of another version: new maps are built beside those that forward, filled, and taken over by all ports one
//! after the other, without a frame lost. Nothing needs to be known of the other version but META, which is only ever
//! appended to, and what the kernel tells of its maps; so it works both ways.
//!
//! The order makes it safe to end at any moment (`steps` of the tests):
//! 1. In `building/` unchanged maps are pinned once more, the others and the programs made anew, or what [`super::ahead`]
//!    has made is moved there; nobody uses them.
//! 2. META there is a copy. The old META forgets which programs are attached: whoever opens the old hardware from now on
//!    gives all ports its own again.
//! 3. The master fills the tables, see [`super::Hardware::put_in_charge`]; ports keep the old programs meanwhile.
//! 4. The links get the new programs, one by one. Each frame meets one program, and so one set of maps.
//! 5. The links are pinned in `building/` as well, and that takes the place of the old directory in one step.

use super::{
    Ahead, Hardware, HwError, MetaMap, Programs,
    ahead::Outline,
    opened,
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
use std::{collections::BTreeMap, os::fd::AsFd, path::Path, sync::atomic::Ordering, time::Instant};
use tracing::{info, warn};

/// What a new master knows of the hardware from the one before.
pub struct Known<'k> {
    /// Its VLANs.
    pub vlans: &'k BTreeMap<VlanId, VlanEntry>,
    /// Its software copy of the FDB.
    pub fdb: Option<&'k Replica<'static>>,
    /// What was built while that one was in charge.
    pub ahead: Option<Ahead>,
    /// Says that this module lives, while something takes its time.
    pub alive: &'k mut dyn FnMut(),
}

/// Hardware of another version that still forwards, while this one's is filled.
pub(super) struct Migration {
    found: Outline,
    counters: Option<Counters>,
    began: Instant,
}

impl Hardware {
    /// Builds hardware of this version beside that of another one, and opens it. If that fails, what stands there is
    /// untouched.
    pub(super) fn migrate(
        dir: SwitchDir,
        log_level: u8,
        known: &mut Known<'_>,
    ) -> Result<Self, HwError> {
        let began = Instant::now();
        let (old, new) = (dir.layout_dir(), dir.building_dir());
        let new_dir = new.clone();
        let found = Outline::of(&old, log_level)?;
        // Without them counting begins anew.
        let counters = match found.changes(name::COUNTERS) && old.join(name::COUNTERS).exists() {
            true => Some(Words::open(&old)?),
            false => None,
        };
        let ahead = known.ahead.take();
        let ahead = ahead.and_then(|ahead| ahead.finish(known.alive));
        let build = || -> Result<Self, HwError> {
            fault::step("1 begun");
            if !ahead.is_some_and(|ahead| ahead.put(&dir, &found)) {
                found.lay_out(&old, &new, known.alive)?;
            }
            fault::step("2 built");
            let meta = MetaMap::new(&pins::open(&new, name::META)?)?;
            meta.carry(&found.meta, found.bytes);
            meta.set_image(&found.constants.image());
            let counters = counters
                .map(|old| Counters::carry(old, Words::open(&new)?))
                .transpose()?;
            let fdb = opened::map_fdb(&pins::open(&new, name::FDB)?, &found.constants)?;
            let maps = opened::Maps::open(&new)?;
            let programs = Programs::adopt(&new)?;
            let mut hardware =
                Self::assemble(dir, meta, fdb, maps, programs, found.constants, true)?;
            hardware.links.hold();
            hardware.recall(known, &found)?;
            fault::step("3 filled");
            // From here on the old hardware is whoever's who opens it.
            found.meta.set_image(&[0; 32]);
            fault::step("4 old image forgotten");
            hardware.migration = Some(Migration {
                found,
                counters,
                began,
            });
            Ok(hardware)
        };
        build().inspect_err(|_| {
            if let Err(left) = pins::remove_tree(&new_dir) {
                warn!("{left}");
            }
        })
    }

    /// Puts what the last master knew into the maps that are new.
    fn recall(&mut self, known: &Known<'_>, found: &Outline) -> Result<(), HwError> {
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
