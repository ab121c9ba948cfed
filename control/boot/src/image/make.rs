//! Making images, for those who build and test the switch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Base, Manifest, assemble, measure};

/// What is to become an image.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The program `hitlessd`.
    pub program: &'a Path,
    /// What `hitlessd --manifest` prints: what only the program knows.
    pub told: &'a str,
    /// Commit that it was built from, with `-dirty` if there was more than that.
    pub git: &'a str,
    /// When that commit was made.
    pub date: &'a str,
    /// More lines for the manifest.
    pub more: &'a [String],
}

/// Writes an image file that can be run, in the place of one that is there. `sign` makes a signature over the manifest,
/// or an empty text.
///
/// # Errors
/// In words, what is wrong with which part, or what the system refused.
pub fn make(
    parts: &Parts<'_>,
    sign: impl FnOnce(&str) -> Result<String, String>,
    out: &Path,
) -> Result<Manifest, String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    let manifest = manifest(parts).map_err(|why| format!("{}: {why}", parts.program.display()))?;
    let signature = sign(manifest.text())?;
    // One that runs can be replaced but not be written to.
    let mut name = out.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let written = File::open(parts.program).and_then(|mut program| {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o755);
        let mut file = BufWriter::new(options.open(new)?);
        assemble(&mut program, &manifest, &signature, &mut file)?;
        fs::rename(new, out)
    });
    if written.is_err() {
        // What failed is what counts.
        let _ = fs::remove_file(new);
    }
    written.map_err(failed(out))?;
    Ok(manifest)
}

fn manifest(parts: &Parts<'_>) -> Result<Manifest, String> {
    let (size, sha256) = measure(parts.program).map_err(|error| error.to_string())?;
    let told = |key: &str| {
        let mut lines = parts.told.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(found, _)| *found == key);
        let (_, value) = found.ok_or_else(|| format!("--manifest told no {key}"))?;
        Ok::<_, String>(value)
    };
    let version = |key: &str| {
        let value = told(key)?;
        value.parse().map_err(|e| format!("{key} {value:?} {e}"))
    };
    let base = Base {
        version: version("version")?,
        git: parts.git.to_owned(),
        date: parts.date.to_owned(),
        arch: told("arch")?.to_owned(),
        size,
        sha256,
        lowest_compatible: version("lowest-compatible")?,
    };
    let is_base = |line: &&str| {
        ["version ", "arch ", "lowest-compatible "]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let description = parts.told.lines().filter(|line| !is_base(line));
    Manifest::new(
        &base,
        description.chain(parts.more.iter().map(String::as_str)),
    )
}
