//! The programs: loading them, pinning them, and recognising those that already run.

use super::{HwError, pins};
use aya::{
    EbpfLoader, VerifierLogLevel,
    programs::{Program, SchedClassifier, Xdp},
};
use aya_obj::programs::XdpAttachType;
use hitless_common::map::name;
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// The object file, or nothing when this hitlessd was built without an eBPF toolchain.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/hitless.bpf.o"));

/// Why [`OBJECT`] is empty.
const MISSING: &str = env!("HITLESS_EBPF_MISSING");

const TC: &str = "hitless_tc";
const TC_PIN: &str = "prog_tc";
const XDP: &str = "hitless_xdp";
const XDP_PIN: &str = "prog_xdp";

/// What the programs are built with besides the object file.
#[derive(Clone, Copy, Debug)]
pub struct Constants {
    /// Buckets of the FDB.
    pub fdb_buckets: u32,
    /// Seed of the FDB's hash.
    pub fdb_seed: u64,
    /// Level of the data path's debug log, 0 (off, free) to 5 (trace), as aya-log counts.
    pub log_level: u8,
}

impl Constants {
    /// Identifies the programs that the object file makes with these constants.
    #[must_use]
    pub fn image(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(OBJECT);
        hash.update(self.fdb_buckets.to_le_bytes());
        hash.update(self.fdb_seed.to_le_bytes());
        hash.update([self.log_level]);
        hash.finalize().into()
    }
}

/// The two programs, loaded and pinned.
pub struct Programs {
    /// The whole pipeline.
    pub tc: SchedClassifier,
    /// Its fast part.
    pub xdp: Xdp,
}

impl Programs {
    /// Loads the programs over the maps pinned in `dir`, creating those that are missing, and pins the programs
    /// there in the place of earlier ones. Nothing is attached.
    ///
    /// # Errors
    /// [`HwError::NoObject`] if this hitlessd was built without the data path; else what the verifier says.
    pub fn load(dir: &Path, constants: &Constants) -> Result<Self, HwError> {
        if OBJECT.is_empty() {
            return Err(HwError::NoObject { why: MISSING });
        }
        let mask = constants.fdb_buckets - 1;
        let mut loader = EbpfLoader::new();
        loader
            .verifier_log_level(VerifierLogLevel::STATS)
            .map_max_entries(name::FDB, constants.fdb_buckets)
            .override_global("FDB_MASK", &mask, true)
            .override_global("FDB_SEED", &constants.fdb_seed, true)
            .override_global("AYA_LOG_LEVEL", &constants.log_level, true);
        for map in pins::map_names() {
            loader.map_pin_path(map, dir.join(map));
        }
        let mut object = loader.load(OBJECT).map_err(|source| HwError::Object {
            source: Box::new(source),
        })?;
        for (function, pin) in [(TC, TC_PIN), (XDP, XDP_PIN)] {
            let program = object.program_mut(function).ok_or(HwError::NoObject {
                why: "the object file lacks a program",
            })?;
            let loaded = match program {
                Program::SchedClassifier(tc) => tc.load(),
                Program::Xdp(xdp) => xdp.load(),
                _ => {
                    return Err(HwError::NoObject {
                        why: "the object file has a program of an unexpected type",
                    });
                }
            };
            loaded.map_err(|source| HwError::Program {
                what: "load",
                source: Box::new(source),
            })?;
            let (new, place) = (dir.join(format!("new_{pin}")), dir.join(pin));
            program.pin(&new).map_err(|source| HwError::Pin {
                what: "program".into(),
                source: Box::new(source),
            })?;
            fs::rename(&new, &place).map_err(|source| HwError::Io {
                what: format!("rename {}", new.display()),
                source,
            })?;
        }
        // By their pins from here on, like those of an earlier hitlessd.
        Self::adopt(dir)
    }

    /// Opens the programs pinned in `dir`.
    ///
    /// # Errors
    /// If a pin is missing or no program.
    pub fn adopt(dir: &Path) -> Result<Self, HwError> {
        let open = |e| HwError::Program {
            what: "open the pinned",
            source: Box::new(e),
        };
        Ok(Self {
            tc: SchedClassifier::from_pin(dir.join(TC_PIN)).map_err(open)?,
            xdp: Xdp::from_pin(dir.join(XDP_PIN), XdpAttachType::Interface).map_err(open)?,
        })
    }
}
