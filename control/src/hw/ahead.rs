//! What a standby of another version, or with other programs, builds while it waits: the kernel takes its time to verify
//! programs, which a takeover then does not wait for. It stands in a directory of its own below that of the hardware, so
//! that it goes when that goes; nothing of it is used by anybody.

use super::{
    Constants, HwError, MetaMap, Programs, opened,
    pins::{self, SwitchDir},
};
use aya::maps::MapInfo;
use hitless_common::map::name;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::watch;
use tracing::{debug, info, warn};

/// How often somebody who waits says that this module lives.
const SIGN_OF_LIFE: Duration = Duration::from_millis(10);

/// Hardware that is being built ahead of a takeover, by another thread.
pub struct Ahead {
    thread: JoinHandle<Result<Prepared, HwError>>,
    /// Its other end is the thread's, and goes with what the thread does.
    at_work: watch::Receiver<()>,
}

/// Maps and programs of this version beside those of another one.
pub(super) struct Prepared {
    dir: PathBuf,
    meta_id: u32,
    constants: Constants,
}

impl Ahead {
    /// Begins to build for the hardware of a switch as it stands there. `slot` tells the two modules apart.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn begin(switch: &str, slot: &str, log_level: u8) -> Result<Self, HwError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let layout = pins::layout_of(switch);
        // One that was given up may still be at work, in a directory of its own.
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = layout.join(format!("ahead_{slot}_{process}_{number}"));
        let (working, at_work) = watch::channel(());
        let build = move || {
            let _working = working;
            let outline = Outline::of(&layout, log_level)?;
            let prepared = Prepared {
                meta_id: outline.meta_id,
                constants: outline.constants,
                dir,
            };
            outline.lay_out(&layout, &prepared.dir, &mut || ())?;
            info!(
                maps = outline.maps.join(" "),
                "the programs of this version are loaded beside those that run"
            );
            Ok(prepared)
        };
        let thread = thread::Builder::new().name("hardware ahead".into());
        let thread = thread.spawn(build).map_err(|source| HwError::Io {
            what: "start a thread".into(),
            source,
        })?;
        Ok(Self { thread, at_work })
    }

    /// Removes what earlier modules in a slot have built and not used.
    pub fn remove_old(switch: &str, slot: &str) {
        let (all, own) = (
            format!("ahead_{slot}_"),
            format!("ahead_{slot}_{}_", std::process::id()),
        );
        let entries = fs::read_dir(pins::layout_of(switch));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&all)
                && !name.starts_with(&own)
                && let Err(e) = pins::remove_tree(&entry.path())
            {
                warn!("{e}");
            }
        }
    }

    /// Whether it is built, or can not be.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.at_work.has_changed().is_err()
    }

    /// Waits until it is built, or can not be. May be dropped while it waits.
    pub async fn finished(&self) {
        let mut at_work = self.at_work.clone();
        while at_work.changed().await.is_ok() {}
    }

    /// Waits for it, if need be, and says meanwhile that this module is `alive`.
    pub(super) fn finish(self, alive: &mut dyn FnMut()) -> Option<Prepared> {
        while !self.is_finished() {
            alive();
            thread::sleep(SIGN_OF_LIFE);
        }
        match self.thread.join() {
            Ok(Ok(prepared)) => Some(prepared),
            Ok(Err(e)) => {
                warn!("nothing was built ahead of the takeover: {e}");
                None
            }
            // The panic was told of; what it was to do is done now.
            Err(_) => None,
        }
    }
}

impl Prepared {
    /// Moves it to where a migration builds, if it is for the hardware that is there.
    pub(super) fn put(&self, dir: &SwitchDir, outline: &Outline) -> bool {
        let same =
            self.meta_id == outline.meta_id && self.constants.image() == outline.constants.image();
        match same.then(|| fs::rename(&self.dir, dir.building_dir())) {
            Some(Ok(())) => true,
            Some(Err(e)) => {
                debug!("what was built ahead is gone: {e}");
                false
            }
            None => false,
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Gone if it was used, or if the hardware was replaced.
        let _ = pins::remove_tree(&self.dir);
    }
}

/// What has to be known of hardware to build other hardware beside it.
pub(super) struct Outline {
    pub(super) meta: MetaMap,
    meta_id: u32,
    /// Bytes of its META.
    pub(super) bytes: usize,
    /// Maps with another schema than ours.
    pub(super) maps: Vec<&'static str>,
    pub(super) constants: Constants,
}

impl Outline {
    /// Looks at the hardware in a directory. Changes nothing.
    pub(super) fn of(layout: &Path, log_level: u8) -> Result<Self, HwError> {
        let info = pins::check_meta(layout)?;
        let meta = MetaMap::new(&pins::open(layout, name::META)?)?;
        meta.check().map_err(|why| HwError::Foreign {
            path: layout.join(name::META),
            why,
        })?;
        let found = meta.read();
        let outline = Self {
            meta_id: MapInfo::id(&info),
            bytes: info.value_size() as usize,
            maps: meta.differences(),
            constants: Constants {
                fdb_buckets: found.fdb_buckets,
                fdb_seed: found.fdb_seed,
                log_level,
            },
            meta,
        };
        let changed: Vec<&str> = pins::map_names()
            .filter(|map| outline.changes(map))
            .collect();
        pins::check_shapes(layout, &changed)?;
        if !outline.changes(name::FDB) {
            opened::check_buckets(layout, &outline.constants)?;
        }
        Ok(outline)
    }

    /// Whether a map does not stay the same one. META never does: with what it says everything changes in one step.
    pub(super) fn changes(&self, map: &str) -> bool {
        map == name::META || self.maps.contains(&map)
    }

    /// Makes `new`: maps that do not change are those in `old`, the others are new and empty, and the programs are over
    /// them. Says meanwhile that this module is `alive`.
    pub(super) fn lay_out(
        &self,
        old: &Path,
        new: &Path,
        alive: &mut dyn FnMut(),
    ) -> Result<(), HwError> {
        fs::create_dir(new).map_err(|source| HwError::Io {
            what: format!("make {}", new.display()),
            source,
        })?;
        for map in pins::map_names().filter(|map| !self.changes(map)) {
            let pin = pins::open(old, map)?.pin(new.join(map));
            pin.map_err(|source| HwError::Pin {
                what: format!("map {map}"),
                source: Box::new(source),
            })?;
        }
        // The kernel verifies for seconds if the machine is busy, and a watchdog waits for nobody.
        thread::scope(|scope| {
            let load = scope.spawn(|| Programs::load(new, &self.constants).map(drop));
            while !load.is_finished() {
                alive();
                thread::sleep(SIGN_OF_LIFE);
            }
            load.join().unwrap_or(Err(HwError::NoObject {
                why: "loading it panicked",
            }))
        })?;
        pins::check_shapes(new, &[])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_end_is_told_also_of_what_can_not_be_built() {
        let ahead = Ahead::begin("there-is-no-such-switch", "msm-a", 0).unwrap();
        ahead.finished().await;
        assert!(ahead.is_finished());
        ahead.finished().await;
        assert!(ahead.finish(&mut || ()).is_none());
    }
}
