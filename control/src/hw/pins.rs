//! The pin directory: `/sys/fs/bpf/hitless/<switch>/v<layout>/`. Finding, checking, locking and removing it.

use super::{HwError, sys};
use aya::maps::{Map, MapData, MapInfo, MapType};
use hitless_boot::directory;
use hitless_common::{
    limits::{MAX_PORTS, PORT_SLOTS},
    map::{
        counters::PortCounters,
        events::{LEARN_RING_BYTES, PUNT_RING_BYTES, REPORTED_SLOTS},
        fdb::FdbBucket,
        limiter::PortLimiters,
        meta::{LAYOUT, Meta},
        name,
        ports::PortEntry,
        vlans::{self, VlanEntry},
    },
};
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, RenameFlags, renameat2};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Where bpffs is mounted.
pub const BPFFS: &str = "/sys/fs/bpf";

/// What is known of a map before it is used: aya checks nothing of a pinned map.
struct Shape {
    name: &'static str,
    kind: MapType,
    key: u32,
    value: u32,
    /// `None` where the configuration decides.
    entries: Option<u32>,
}

const BY_PORT: u32 = MAX_PORTS as u32 + 1;

const SHAPES: &[Shape] = &[
    Shape {
        name: name::META,
        kind: MapType::Array,
        key: 4,
        value: size_of::<Meta>() as u32,
        entries: Some(1),
    },
    Shape {
        name: name::PORTS,
        kind: MapType::Array,
        key: 4,
        value: size_of::<PortEntry>() as u32,
        entries: Some(PORT_SLOTS),
    },
    Shape {
        name: name::EGRESS,
        kind: MapType::Array,
        key: 4,
        value: size_of::<PortEntry>() as u32,
        entries: Some(BY_PORT),
    },
    Shape {
        name: name::XDP_TX,
        kind: MapType::DevMap,
        key: 4,
        value: 8,
        entries: Some(BY_PORT),
    },
    Shape {
        name: name::VLANS,
        kind: MapType::Array,
        key: 4,
        value: size_of::<VlanEntry>() as u32,
        entries: Some(vlans::ENTRIES),
    },
    Shape {
        name: name::FDB,
        kind: MapType::Array,
        key: 4,
        value: size_of::<FdbBucket>() as u32,
        entries: None,
    },
    Shape {
        name: name::COUNTERS,
        kind: MapType::PerCpuArray,
        key: 4,
        value: size_of::<PortCounters>() as u32,
        entries: Some(BY_PORT),
    },
    Shape {
        name: name::LIMITERS,
        kind: MapType::Array,
        key: 4,
        value: size_of::<PortLimiters>() as u32,
        entries: Some(BY_PORT),
    },
    Shape {
        name: name::LEARN,
        kind: MapType::RingBuf,
        key: 0,
        value: 0,
        entries: Some(LEARN_RING_BYTES),
    },
    Shape {
        name: name::REPORTED,
        kind: MapType::Array,
        key: 4,
        value: 8,
        entries: Some(REPORTED_SLOTS),
    },
    Shape {
        name: name::PUNT,
        kind: MapType::RingBuf,
        key: 0,
        value: 0,
        entries: Some(PUNT_RING_BYTES),
    },
    #[cfg(feature = "edition-newer")]
    Shape {
        name: name::CENSUS,
        kind: MapType::Array,
        key: 4,
        value: 8,
        entries: Some(hitless_common::map::events::CENSUS_SLOTS),
    },
];

/// The names of the maps that are pinned.
pub fn map_names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|s| s.name)
}

/// A map as aya's typed views want it.
pub(super) fn as_array(map: MapData) -> Map {
    Map::Array(map)
}

/// A map as aya's typed views want it.
pub(super) fn as_per_cpu_array(map: MapData) -> Map {
    Map::PerCpuArray(map)
}

/// One switch's place in bpffs. While it lives no other process can be the switch's master.
pub struct SwitchDir {
    path: PathBuf,
    _lock: Flock<File>,
}

/// What stands in a switch's directory.
#[derive(Debug, PartialEq, Eq)]
pub enum Present {
    /// No hardware yet.
    Nothing,
    /// Pins of this layout, not yet checked.
    Ours,
}

impl SwitchDir {
    /// Opens, and if need be makes, the directory of a switch and takes the role lock, which dies with this
    /// process.
    ///
    /// # Errors
    /// [`HwError::Busy`] if another process holds the lock; else what the kernel says.
    pub fn lock(switch: &str) -> Result<Self, HwError> {
        let path = Path::new(BPFFS).join("hitless").join(switch);
        // Whoever could open it could take the lock, and no module would become master.
        directory::make(&path, directory::OWN_DIRECTORY).map_err(|source| HwError::Io {
            what: format!("make {}", path.display()),
            source,
        })?;
        let file = File::open(&path).map_err(|source| HwError::Io {
            what: format!("open {}", path.display()),
            source,
        })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(HwError::Busy {
                switch: switch.into(),
            }),
            Err((_, errno)) => Err(HwError::Io {
                what: format!("lock {}", path.display()),
                source: errno.into(),
            }),
        }
    }

    /// The pins of this program's layout.
    #[must_use]
    pub fn layout_dir(&self) -> PathBuf {
        layout_in(&self.path)
    }

    /// Where a new set of pins is put together before it is renamed to [`Self::layout_dir`].
    #[must_use]
    pub fn building_dir(&self) -> PathBuf {
        self.path.join("building")
    }

    /// Puts what was built in the place of what is there, in one step, and removes the latter. Links that are pinned in
    /// both go on.
    ///
    /// # Errors
    /// What the kernel says; if it can not be removed, it was replaced all the same.
    pub fn exchange(&self) -> Result<(), HwError> {
        let (new, old) = (self.building_dir(), self.layout_dir());
        renameat2(AT_FDCWD, &new, AT_FDCWD, &old, RenameFlags::RENAME_EXCHANGE).map_err(|errno| {
            HwError::Io {
                what: format!("exchange {} and {}", new.display(), old.display()),
                source: errno.into(),
            }
        })
    }

    /// Removes what was being built, or what it has replaced.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_building(&self) -> Result<(), HwError> {
        remove_tree(&self.building_dir()).map(drop)
    }

    /// What stands here. Remains of a creation or a migration that was cut short are removed: what runs is pinned beside
    /// them.
    ///
    /// # Errors
    /// [`HwError::OtherLayout`] if another layout's pins are here.
    pub fn present(&self) -> Result<Present, HwError> {
        remove_tree(&self.building_dir())?;
        let ours = self.layout_dir();
        let mut present = Present::Nothing;
        for entry in read_dir(&self.path)? {
            if entry == ours {
                present = Present::Ours;
            } else {
                let found = entry
                    .file_name()
                    .map(|n| n.to_string_lossy().into_owned())
                    .unwrap_or_default();
                return Err(HwError::OtherLayout {
                    path: entry,
                    found,
                    ours: LAYOUT,
                });
            }
        }
        Ok(present)
    }
}

/// The pins of this program's layout of a switch, whoever is its master.
#[must_use]
pub fn layout_of(switch: &str) -> PathBuf {
    layout_in(&Path::new(BPFFS).join("hitless").join(switch))
}

fn layout_in(directory: &Path) -> PathBuf {
    directory.join(format!("v{LAYOUT}"))
}

/// What the kernel says of a pinned map.
fn info_of(dir: &Path, map: &str) -> Result<MapInfo, HwError> {
    let path = dir.join(map);
    let why = if path.exists() {
        match MapInfo::from_pin(&path) {
            Ok(info) => return Ok(info),
            Err(e) => format!("it can not be read as a map: {e}"),
        }
    } else {
        "the map is missing".into()
    };
    Err(HwError::Foreign { path, why })
}

/// Checks that a directory holds META as far as every version has it.
///
/// # Errors
/// [`HwError::Foreign`] says what is wrong with it.
pub fn check_meta(dir: &Path) -> Result<MapInfo, HwError> {
    let info = info_of(dir, name::META)?;
    let foreign = |why| HwError::Foreign {
        path: dir.join(name::META),
        why,
    };
    let found = (info.map_type().ok(), info.key_size(), info.max_entries());
    if found != (Some(MapType::Array), 4, 1) || info.value_size() < size_of::<Meta>() as u32 {
        return Err(foreign(format!(
            "it is no array of one entry with {} bytes or more",
            size_of::<Meta>()
        )));
    }
    Ok(info)
}

/// Checks that a directory holds every map in the shape that this program knows, those in `others` excepted: they have
/// another schema, so that nothing is known of them.
///
/// # Errors
/// [`HwError::Foreign`] names the first map that is missing or different.
pub fn check_shapes(dir: &Path, others: &[&str]) -> Result<(), HwError> {
    for shape in SHAPES.iter().filter(|s| !others.contains(&s.name)) {
        let info = info_of(dir, shape.name)?;
        let foreign = |why| HwError::Foreign {
            path: dir.join(shape.name),
            why,
        };
        let kind = info.map_type().map_err(|e| foreign(e.to_string()))?;
        if kind != shape.kind {
            return Err(foreign(format!(
                "its type is {kind:?}, expected {:?}",
                shape.kind
            )));
        }
        for (what, found, expected) in [
            ("key size", info.key_size(), Some(shape.key)),
            ("value size", info.value_size(), Some(shape.value)),
            ("number of entries", info.max_entries(), shape.entries),
        ] {
            if let Some(expected) = expected
                && found != expected
            {
                return Err(foreign(format!(
                    "its {what} is {found}, expected {expected}"
                )));
            }
        }
    }
    Ok(())
}

/// Opens a pinned map.
///
/// # Errors
/// If the pin can not be opened.
pub fn open(dir: &Path, name: &'static str) -> Result<MapData, HwError> {
    MapData::from_pin(dir.join(name)).map_err(|source| HwError::Map { name, source })
}

/// What [`remove`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Pins taken away; 0 if the switch had no hardware.
    pub pins: usize,
}

/// Takes a switch's hardware down: every link, program and map. Forwarding stops.
///
/// # Errors
/// [`HwError::Busy`] if a hitlessd runs for this switch (ask that one instead); else what the kernel says.
pub fn remove(switch: &str) -> Result<Removed, HwError> {
    let path = Path::new(BPFFS).join("hitless").join(switch);
    if !path.exists() {
        return Ok(Removed { pins: 0 });
    }
    let dir = SwitchDir::lock(switch)?;
    dir.remove()
}

impl SwitchDir {
    /// As [`remove`], for the process that holds the lock.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove(&self) -> Result<Removed, HwError> {
        // Links first: no program may run on maps that are half gone.
        let mut pins = 0;
        for layout in read_dir(&self.path)? {
            for link in read_dir(&layout)? {
                if link
                    .file_name()
                    .is_some_and(|n| n.to_string_lossy().starts_with("link_"))
                {
                    // The device may be gone, or the pin no link: removing it is all there is to do then.
                    let _ = sys::detach_link(&link);
                    fs::remove_file(&link).map_err(|source| HwError::Io {
                        what: format!("remove {}", link.display()),
                        source,
                    })?;
                    pins += 1;
                }
            }
            pins += remove_tree(&layout)?;
        }
        fs::remove_dir(&self.path).map_err(|source| HwError::Io {
            what: format!("remove {}", self.path.display()),
            source,
        })?;
        Ok(Removed { pins })
    }
}

fn read_dir(path: &Path) -> Result<Vec<PathBuf>, HwError> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(path)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .map_err(|source| HwError::Io {
            what: format!("list {}", path.display()),
            source,
        })
}

/// Removes pins, and directories of them; how many there were.
pub(super) fn remove_tree(path: &Path) -> Result<usize, HwError> {
    let failed = |source| HwError::Io {
        what: format!("remove {}", path.display()),
        source,
    };
    if !path.is_dir() {
        return match fs::remove_file(path) {
            Ok(()) => Ok(1),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(failed(e)),
        };
    }
    let mut removed = 0;
    for entry in read_dir(path)? {
        removed += remove_tree(&entry)?;
    }
    fs::remove_dir(path).map_err(failed)?;
    Ok(removed)
}
