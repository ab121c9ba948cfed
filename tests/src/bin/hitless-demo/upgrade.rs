//! Images for the demo, where the programs of its nodes are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hitless_tests::harness::cleanup::Undo;
use hitless_tests::harness::images::{Edition, Maker};
use hitless_tests::harness::run::Run;
use hitless_tests::harness::switch::binary;

/// An image that the switch of a lab can be upgraded to.
pub struct Image {
    /// Its version.
    pub version: String,
    /// Its file, as the switch sees it.
    pub file: PathBuf,
    _removed: Undo,
}

impl Image {
    /// Makes one. It is removed when this is dropped.
    ///
    /// # Errors
    /// When the edition was not built, or there is no room.
    pub fn of(run: &Run, edition: Edition) -> Result<Self> {
        let daemon = binary("hitlessd")?;
        let programs = daemon.parent().context("directory of the programs")?;
        let host = Maker::new(programs).edition(edition, &[])?;
        // The file's name alone would be that of another demo's.
        let name = format!("demo-{}-{edition:?}.image", run.number());
        let named = programs.join(&name);
        fs::rename(&host, &named).with_context(|| named.display().to_string())?;
        let file = Path::new(hitless_topo::BINARIES_IN_NODE).join(&name);
        Ok(Self {
            version: edition.version()?,
            file,
            _removed: run.undo(move || drop(fs::remove_file(named))),
        })
    }
}
