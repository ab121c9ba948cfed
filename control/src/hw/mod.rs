//! The hardware: pinned maps, programs and links, behind one value. Only the master makes one of these, and only
//! through it is anything written.

mod ahead;
mod counters;
mod link;
mod meta;
mod migrate;
mod opened;
pub mod pins;
pub mod preflight;
mod program;
mod ring;
mod sys;
mod table;

pub use ahead::Ahead;
pub use link::{Hook, Links};
pub use meta::MetaMap;
pub use migrate::Known;
pub use opened::Opened;
pub use program::{Constants, Programs};
pub use ring::Ring;
pub use sys::{Attachment, shadow_memory};
pub use table::{LimiterTable, PortTable, Table};

use aya::maps::{Map, MapData, xdp::DevMap};
use counters::CounterMap;
use hitless_common::{
    PortNo,
    map::{
        fdb::{FdbBucket, buckets_for},
        name,
        ports::PortEntry,
        vlans::VlanEntry,
    },
};
use hitless_proto::bridge::cells::BucketCells;
use std::{io, path::PathBuf};
use tracing::info;

/// What can go wrong with the hardware.
#[derive(Debug, thiserror::Error)]
pub enum HwError {
    /// The kernel refused something ordinary.
    #[error("can not {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another hitlessd is this switch's master.
    #[error(
        "switch {switch} already has a running hitlessd: stop that one first, or give this one another `switch:` name"
    )]
    Busy {
        /// The switch's name.
        switch: String,
    },
    /// Pins of another layout.
    #[error(
        "{path} holds pins of layout {found}, this hitlessd has layout v{ours}: run the hitlessd that made them, or \
         take the hardware down with `hitless clear hardware` (forwarding stops)"
    )]
    OtherLayout {
        /// What stands there.
        path: PathBuf,
        /// Its name.
        found: String,
        /// Our layout.
        ours: u32,
    },
    /// A pin that this program did not make, or damaged pins.
    #[error(
        "{path} was not made by this hitlessd: {why}; take the hardware down with `hitless clear hardware` (forwarding stops)"
    )]
    Foreign {
        /// The pin.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Maps of another version, which a master takes over by migrating them.
    #[error("maps of another version: {}", maps.join(", "))]
    OtherSchema {
        /// Which.
        maps: Vec<&'static str>,
    },
    /// Maps of another version that can not be migrated.
    #[error(
        "map {map} of another version can not be taken over: {why}; go back to that version, or take the hardware down \
         with `hitless clear hardware` (forwarding stops)"
    )]
    Migration {
        /// The map.
        map: &'static str,
        /// Why not.
        why: String,
    },
    /// A map could not be used.
    #[error("map {name}: {source}")]
    Map {
        /// The map.
        name: &'static str,
        /// What aya said.
        source: aya::maps::MapError,
    },
    /// The built-in object file is missing.
    #[error("this hitlessd has no data path: {why}")]
    NoObject {
        /// Why.
        why: &'static str,
    },
    /// The object file could not be loaded.
    #[error("the data path can not be loaded: {source}")]
    Object {
        /// What aya said.
        source: Box<aya::EbpfError>,
    },
    /// A program could not be used.
    #[error("can not {what} program: {source}")]
    Program {
        /// What was tried.
        what: &'static str,
        /// What aya or the verifier said.
        source: Box<aya::programs::ProgramError>,
    },
    /// Something could not be pinned.
    #[error("can not pin the {what}: {source}")]
    Pin {
        /// What.
        what: String,
        /// What aya said.
        source: Box<aya::pin::PinError>,
    },
    /// A program could not be attached.
    #[error("port {port}: can not attach to {device}: {why}")]
    Attach {
        /// The port.
        port: PortNo,
        /// Its device.
        device: String,
        /// What the kernel said.
        why: String,
    },
    /// Every slot of PORTS where a device may stand is taken.
    #[error(
        "device {ifindex} finds no slot in PORTS: eight other ports have the same ifindex modulo 1024; re-create the device"
    )]
    PortSlots {
        /// The device.
        ifindex: u32,
    },
}

/// The hardware of one switch, held by its master.
pub struct Hardware {
    dir: pins::SwitchDir,
    /// META.
    pub meta: MetaMap,
    /// The FDB in memory, for as long as this process lives; see `proto::bridge` for how it is written.
    pub fdb: &'static [BucketCells],
    /// PORTS.
    pub ports: PortTable,
    /// EGRESS.
    pub egress: Table<PortEntry>,
    /// VLANS.
    pub vlans: Table<VlanEntry>,
    /// LIMITERS.
    pub limiters: LimiterTable,
    /// COUNTERS.
    pub counters: CounterMap,
    /// XDP_TX.
    pub xdp_tx: RedirectTable,
    /// The links.
    pub links: Links,
    /// The programs.
    pub programs: Programs,
    /// Whether the pins were there already.
    pub adopted: bool,
    /// Buckets of the FDB.
    pub fdb_buckets: u32,
    /// Seed of the FDB's hash.
    pub fdb_seed: u64,
    /// Level of the data path's log.
    log_level: u8,
    /// The hardware of another version, while this one takes its place.
    migration: Option<migrate::Migration>,
}

impl Hardware {
    /// Opens the hardware of a switch; makes it if there is none. What is `ready` needs not be opened again, if it is
    /// still the same. Hardware of another version is migrated, with what is `known` of it: when the tables are as they
    /// should be, [`Hardware::put_in_charge`] ends that.
    ///
    /// # Errors
    /// If what stands there is not ours, or if the kernel refuses something. The
    /// hardware that stands there is unharmed.
    pub fn open(
        dir: pins::SwitchDir,
        fdb_size: u32,
        log_level: u8,
        ready: Option<Opened>,
        known: &mut Known<'_>,
    ) -> Result<Self, HwError> {
        match dir.present()? {
            pins::Present::Ours => Self::adopt(dir, log_level, ready, known),
            pins::Present::Nothing => Self::create(dir, fdb_size, log_level),
        }
    }

    fn create(dir: pins::SwitchDir, fdb_size: u32, log_level: u8) -> Result<Self, HwError> {
        let building = dir.building_dir();
        let io = |what: &str| {
            let what = format!("{what} {}", building.display());
            move |source| HwError::Io { what, source }
        };
        std::fs::create_dir(&building).map_err(io("make"))?;
        let constants = Constants {
            fdb_buckets: buckets_for(fdb_size),
            fdb_seed: random_seed()?,
            log_level,
        };
        let programs = Programs::load(&building, &constants)?;
        let meta = MetaMap::new(&pins::open(&building, name::META)?)?;
        meta.create(constants.fdb_buckets, constants.fdb_seed, boot_seconds());
        meta.set_image(&constants.image());
        // From here on the hardware exists; before, it was rubbish that the next start removes.
        std::fs::rename(&building, dir.layout_dir()).map_err(io("rename"))?;
        let layout = dir.layout_dir();
        let fdb = opened::map_fdb(&pins::open(&layout, name::FDB)?, &constants)?;
        let maps = opened::Maps::open(&layout)?;
        Self::assemble(dir, meta, fdb, maps, programs, constants, false)
    }

    fn adopt(
        dir: pins::SwitchDir,
        log_level: u8,
        ready: Option<Opened>,
        known: &mut Known<'_>,
    ) -> Result<Self, HwError> {
        let layout = dir.layout_dir();
        let opened = match ready {
            Some(opened) if opened.is_of(&dir, log_level) => Ok(opened),
            Some(_) => {
                info!("the hardware is another one than was opened ahead of time");
                Opened::open(&layout, log_level)
            }
            None => Opened::open(&layout, log_level),
        };
        let opened = match opened {
            Err(HwError::OtherSchema { .. }) => return Self::migrate(dir, log_level, known),
            opened => opened?,
        };
        let Opened {
            meta,
            constants,
            fdb,
            maps,
            programs,
            ..
        } = opened;
        match programs {
            Some(programs) => Self::assemble(dir, meta, fdb, maps, programs, constants, true),
            // Others run, of the same schema.
            None => Self::migrate(dir, log_level, known),
        }
    }

    fn assemble(
        dir: pins::SwitchDir,
        meta: MetaMap,
        fdb: sys::Mapping,
        maps: opened::Maps,
        programs: Programs,
        constants: Constants,
        adopted: bool,
    ) -> Result<Self, HwError> {
        let layout = dir.layout_dir();
        let (tables, links) = std::thread::scope(|scope| {
            // With many ports their links take as long as everything else.
            let tables = scope.spawn(|| Tables::adopt(maps));
            let links = Links::adopt(&layout);
            let tables = tables.join();
            (
                tables.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                links,
            )
        });
        let Tables {
            ports,
            egress,
            vlans,
            limiters,
            counters,
            xdp_tx,
        } = tables?;
        Ok(Self {
            meta,
            fdb: fdb.leak_buckets(),
            ports,
            egress,
            vlans,
            limiters,
            counters,
            xdp_tx,
            links: links?,
            programs,
            adopted,
            fdb_buckets: constants.fdb_buckets,
            fdb_seed: constants.fdb_seed,
            log_level: constants.log_level,
            migration: None,
            dir,
        })
    }

    /// The ring of learning events.
    ///
    /// # Errors
    /// If the ring can not be mapped.
    pub fn learn_ring(&self) -> Result<Ring, HwError> {
        Ring::new(
            name::LEARN,
            pins::open(&self.dir.layout_dir(), name::LEARN)?,
        )
    }

    /// The ring of control frames.
    ///
    /// # Errors
    /// If the ring can not be mapped.
    pub fn punt_ring(&self) -> Result<Ring, HwError> {
        Ring::new(name::PUNT, pins::open(&self.dir.layout_dir(), name::PUNT)?)
    }

    /// Shows the data path's own log, if the programs were loaded with one.
    ///
    /// # Errors
    /// If its ring can not be read.
    pub fn follow_datapath_log(&self) -> Result<(), HwError> {
        if self.log_level == 0 {
            Ok(())
        } else {
            ring::follow_log(self.programs.id(Hook::Tc)?)
        }
    }

    /// Uses each handle that this module has on maps and programs; the first one that is broken.
    ///
    /// # Errors
    /// What the kernel says of it.
    pub fn self_test(&self) -> Result<(), HwError> {
        self.programs.id(Hook::Tc)?;
        self.programs.id(Hook::Xdp)?;
        self.egress.probe()?;
        self.vlans.probe()?;
        self.counters.read(0)?;
        Ok(())
    }

    /// Takes the hardware down; forwarding stops.
    ///
    /// # Errors
    /// If a pin can not be removed.
    pub fn clear(&self) -> Result<pins::Removed, HwError> {
        self.dir.remove()
    }

    /// Bytes of kernel memory that the FDB takes.
    #[must_use]
    pub fn fdb_bytes(&self) -> u64 {
        u64::from(self.fdb_buckets) * size_of::<FdbBucket>() as u64
    }

    /// Writes to each table since this master started.
    pub fn writes(&mut self) -> [(&'static str, u64); 6] {
        [
            (name::PORTS, self.ports.table().writes()),
            (name::EGRESS, self.egress.writes()),
            (name::VLANS, self.vlans.writes()),
            (name::LIMITERS, self.limiters.writes()),
            (name::XDP_TX, self.xdp_tx.writes),
            ("LINKS", self.links.writes()),
        ]
    }
}

/// The tables that are used by system calls.
struct Tables {
    ports: PortTable,
    egress: Table<PortEntry>,
    vlans: Table<VlanEntry>,
    limiters: LimiterTable,
    counters: CounterMap,
    xdp_tx: RedirectTable,
}

impl Tables {
    fn adopt(maps: opened::Maps) -> Result<Self, HwError> {
        Ok(Self {
            ports: PortTable::adopt(maps.ports)?,
            egress: Table::adopt(name::EGRESS, maps.egress)?,
            vlans: Table::adopt(name::VLANS, maps.vlans)?,
            limiters: LimiterTable::adopt(maps.limiters)?,
            counters: CounterMap::new(maps.counters)?,
            xdp_tx: RedirectTable::adopt(maps.xdp_tx)?,
        })
    }
}

/// XDP_TX and what it holds: the devices that native XDP may redirect to.
pub struct RedirectTable {
    map: DevMap<MapData>,
    installed: Vec<u32>,
    writes: u64,
}

impl RedirectTable {
    fn adopt(map: MapData) -> Result<Self, HwError> {
        let failed = |source| HwError::Map {
            name: name::XDP_TX,
            source,
        };
        let map = DevMap::try_from(Map::DevMap(map)).map_err(failed)?;
        let installed = (0..map.len())
            .map(|i| match map.get(i, 0) {
                Ok(value) => Ok(value.if_index),
                Err(aya::maps::MapError::KeyNotFound) => Ok(0),
                Err(e) => Err(failed(e)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            map,
            installed,
            writes: 0,
        })
    }

    /// Makes a device the one behind a port, 0 for none; true if it had to be written.
    ///
    /// # Errors
    /// If the kernel refuses the write, for instance because the device is gone.
    pub fn set(&mut self, port: PortNo, ifindex: u32) -> Result<bool, HwError> {
        let Some(installed) = self.installed.get_mut(usize::from(port.get())) else {
            return Ok(false);
        };
        if *installed == ifindex {
            return Ok(false);
        }
        let key = u32::from(port.get());
        self.map
            .set(key, ifindex, None, 0)
            .map_err(|e| HwError::Io {
                what: format!("let XDP redirect to device {ifindex}"),
                source: io::Error::other(e),
            })?;
        *installed = ifindex;
        self.writes += 1;
        Ok(true)
    }

    /// What the hardware holds, by looking: the kernel takes a device out by itself when it disappears.
    pub fn refresh(&mut self) {
        for (key, installed) in (0..).zip(&mut self.installed) {
            if *installed != 0 && self.map.get(key, 0).is_err() {
                *installed = 0;
            }
        }
    }
}

fn random_seed() -> Result<u64, HwError> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| io::Read::read_exact(&mut f, &mut bytes))
        .map_err(|source| HwError::Io {
            what: "read /dev/urandom".into(),
            source,
        })?;
    Ok(u64::from_le_bytes(bytes))
}

/// CLOCK_BOOTTIME in seconds.
#[must_use]
pub fn boot_seconds() -> u64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(0, |t| t.tv_sec() as u64)
}

/// CLOCK_MONOTONIC in nanoseconds, the clock of the data path. In a time namespace with an offset of its own the two
/// differ; no container engine makes one unless asked to.
#[must_use]
pub fn monotonic_nanoseconds() -> u64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
    })
}
