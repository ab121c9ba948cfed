//! Hardware that is open and not taken: what a standby has ready, so that a takeover does not wait for the kernel to
//! map a large forwarding database. Nothing can be done with it: it gives its handles to no one but
//! [`super::Hardware::open`], and that takes proof of mastership.

use super::{
    Constants, HwError, MetaMap, Programs,
    pins::{self, SwitchDir},
    sys::Mapping,
};
use aya::maps::MapData;
use hitless_common::map::{fdb::FdbBucket, name};
use std::{os::fd::AsFd, path::Path};

/// The maps that are used by system calls.
pub(super) struct Maps {
    pub ports: MapData,
    pub egress: MapData,
    pub vlans: MapData,
    pub limiters: MapData,
    pub counters: MapData,
    pub xdp_tx: MapData,
}

/// See the module.
pub struct Opened {
    pub(super) meta: MetaMap,
    /// The kernel's number of META: that of other hardware is another one.
    meta_id: u32,
    /// The image that META told of when the programs were opened.
    image: [u8; 32],
    pub(super) constants: Constants,
    pub(super) fdb: Mapping,
    pub(super) maps: Maps,
    /// The programs, if they are those of this hitlessd: then nothing is loaded, verified or swapped.
    pub(super) programs: Option<Programs>,
}

impl Opened {
    /// Opens the hardware of a switch as it stands there, to look at it until it is taken.
    ///
    /// # Errors
    /// If there is none, if it is not ours, or if the kernel refuses something.
    pub fn beside(switch: &str, log_level: u8) -> Result<Self, HwError> {
        Self::open(&pins::layout_of(switch), log_level)
    }

    pub(super) fn open(layout: &Path, log_level: u8) -> Result<Self, HwError> {
        pins::check_meta(layout)?;
        let pin = pins::open(layout, name::META)?;
        let meta = MetaMap::new(&pin)?;
        meta.check().map_err(|why| HwError::Foreign {
            path: layout.join(name::META),
            why,
        })?;
        let maps = meta.differences();
        if !maps.is_empty() {
            return Err(HwError::OtherSchema { maps });
        }
        pins::check_shapes(layout, &[])?;
        let found = meta.read();
        let constants = Constants {
            fdb_buckets: found.fdb_buckets,
            fdb_seed: found.fdb_seed,
            log_level,
        };
        let fdb = check_buckets(layout, &constants)?;
        let same = found.image == constants.image();
        Ok(Self {
            meta_id: info(name::META, &pin)?.id(),
            image: found.image,
            fdb: map_fdb(&fdb, &constants)?,
            maps: Maps::open(layout)?,
            programs: same.then(|| Programs::adopt(layout)).and_then(Result::ok),
            meta,
            constants,
        })
    }

    /// Whether the programs that run are those of this hitlessd.
    #[must_use]
    pub fn runs_ours(&self) -> bool {
        self.programs.is_some()
    }

    /// Whether this is still the hardware of the directory, with the same programs.
    pub(super) fn is_of(&self, dir: &SwitchDir, log_level: u8) -> bool {
        let pin = pins::open(&dir.layout_dir(), name::META);
        let id = pin.and_then(|pin| info(name::META, &pin).map(|info| info.id()));
        id.is_ok_and(|id| id == self.meta_id)
            && self.meta.read().image == self.image
            && self.constants.log_level == log_level
    }
}

impl Maps {
    pub(super) fn open(layout: &Path) -> Result<Self, HwError> {
        let open = |name| pins::open(layout, name);
        Ok(Self {
            ports: open(name::PORTS)?,
            egress: open(name::EGRESS)?,
            vlans: open(name::VLANS)?,
            limiters: open(name::LIMITERS)?,
            counters: open(name::COUNTERS)?,
            xdp_tx: open(name::XDP_TX)?,
        })
    }
}

/// The FDB, if it has as many buckets as META says.
pub(super) fn check_buckets(layout: &Path, constants: &Constants) -> Result<MapData, HwError> {
    let fdb = pins::open(layout, name::FDB)?;
    let buckets = info(name::FDB, &fdb)?.max_entries();
    if buckets == constants.fdb_buckets {
        return Ok(fdb);
    }
    Err(HwError::Foreign {
        path: layout.join(name::FDB),
        why: format!(
            "it has {buckets} buckets, META says {}",
            constants.fdb_buckets
        ),
    })
}

pub(super) fn map_fdb(fdb: &MapData, constants: &Constants) -> Result<Mapping, HwError> {
    let bytes = constants.fdb_buckets as usize * size_of::<FdbBucket>();
    Mapping::new(fdb.fd().as_fd(), bytes).map_err(|source| HwError::Io {
        what: "map FDB into memory".into(),
        source,
    })
}

fn info(name: &'static str, map: &MapData) -> Result<aya::maps::MapInfo, HwError> {
    map.info().map_err(|source| HwError::Map { name, source })
}
