//! Writes the running configuration to its file, so that at any moment there is a whole one: the old or the new.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use hitless_proto::config::Config;

/// Mode of a configuration file that is new.
const MODE: u32 = 0o644;

/// Symbolic links that are followed, as the kernel does.
const MAX_LINKS: usize = 40;

/// First lines of a saved file.
const HEADER: &str = "# Written by `hitless save`. The file before it is beside it, with .previous at the end of its name.\n";

/// Where the configuration went.
#[derive(Debug, PartialEq, Eq)]
pub struct Saved {
    /// The file, symbolic links resolved.
    pub file: PathBuf,
    /// Where the file before is now; `None` if there was none, or it said the same.
    pub previous: Option<PathBuf>,
    /// Whether the file was overwritten where it is, because it is mounted and can not be replaced.
    pub in_place: bool,
}

/// Why the configuration was not saved. The file is as it was, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The configuration can not be put as text.
    #[error("{}: the configuration can not be written as YAML: {source}", file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// What the writer said.
        source: serde_yaml::Error,
    },
    /// The system refused.
    #[error("{}: can not {what}: {source}{}", file.display(), advice(source))]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file is mounted, could not be replaced, and writing into it failed half-way.
    #[error(
        "{}: writing into the mounted file failed, and it may be cut short: {source}{}; a whole copy of what it held \
         is {}: copy it back, or save again",
        file.display(), advice(source), previous.display()
    )]
    CutShort {
        /// The file.
        file: PathBuf,
        /// A whole copy of what it held.
        previous: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "; it is mounted read-only: mount the directory of the file writable and save again"
        }
        io::ErrorKind::PermissionDenied => "; hitlessd must be allowed to write there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room there and save again"
        }
        io::ErrorKind::NotFound => "; make its directory and save again",
        _ => "",
    }
}

/// The text of a configuration file.
///
/// # Errors
/// What the YAML writer says.
pub fn to_yaml(config: &Config) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(config).map(|text| format!("{HEADER}{text}"))
}

/// Writes the configuration to its file, and keeps the file before beside it with `.previous` at the end of its
/// name. Symbolic links are followed. Nothing is written if the file says the same already.
///
/// # Errors
/// What the system refused, with the file and what to do; the file is then as it was, except after
/// [`SaveError::CutShort`].
pub fn write(config: &Config, file: &Path) -> Result<Saved, SaveError> {
    write_to(&mut Disk, config, file)
}

/// What saving does to a file system; each may be the last thing that the process does.
pub(super) trait Storage {
    /// Makes a file, in the place of one of this name, with owner and mode of another one. Its contents are on
    /// disk afterwards.
    fn create(
        &mut self,
        file: &Path,
        contents: &[u8],
        like: Option<&fs::Metadata>,
    ) -> io::Result<()>;
    /// Changes the contents of a file. They are on disk afterwards.
    fn overwrite(&mut self, file: &mut File, contents: &[u8]) -> io::Result<()>;
    /// Puts a file in the place of another one at one stroke. The names are on disk afterwards.
    fn replace(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, file: &Path) -> io::Result<()>;
}

/// The real one.
pub(super) struct Disk;

impl Storage for Disk {
    fn create(
        &mut self,
        file: &Path,
        contents: &[u8],
        like: Option<&fs::Metadata>,
    ) -> io::Result<()> {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Nobody but us may read it before it has the mode of the file that it is for.
        let mut made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if like.is_some() { 0o600 } else { MODE })
            .open(file)?;
        if let Some(like) = like {
            // Refused to users other than root, whose files are their own anyway.
            let _ = fchown(&made, Some(like.uid()), Some(like.gid()));
            made.set_permissions(Permissions::from_mode(like.mode() & 0o777))?;
        }
        made.write_all(contents)?;
        made.sync_all()
    }

    fn overwrite(&mut self, file: &mut File, contents: &[u8]) -> io::Result<()> {
        file.write_all(contents)?;
        file.set_len(contents.len() as u64)?;
        file.sync_all()
    }

    fn replace(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        // A bare name is in the working directory.
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn remove(&mut self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }
}

fn write_to(disk: &mut impl Storage, config: &Config, file: &Path) -> Result<Saved, SaveError> {
    let text = to_yaml(config).map_err(|source| SaveError::Yaml {
        file: file.into(),
        source,
    })?;
    let file = &followed(file).map_err(failed(file, "follow the link"))?;
    let old = match fs::read(file) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(file, "read what it holds")(error)),
    };
    let mut saved = Saved {
        file: file.clone(),
        previous: None,
        in_place: false,
    };
    if old.as_deref() == Some(text.as_bytes()) {
        return Ok(saved);
    }
    let Some(old) = old else {
        put(disk, file, text.as_bytes(), None).map_err(failed(file, "write it"))?;
        return Ok(saved);
    };
    // Before the copy of an earlier save gives way: a file that can not be written stays as it is.
    let mut opened = OpenOptions::new()
        .write(true)
        .open(file)
        .map_err(failed(file, "write it"))?;
    let like = opened
        .metadata()
        .map_err(failed(file, "see its owner and mode"))?;
    let previous = beside(file, ".previous");
    put(disk, &previous, &old, Some(&like)).map_err(failed(&previous, "keep the file before"))?;
    match put(disk, file, text.as_bytes(), Some(&like)) {
        Ok(()) => {}
        // A mount point, as containerlab binds a file, can be written but not replaced.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            disk.overwrite(&mut opened, text.as_bytes())
                .map_err(|source| SaveError::CutShort {
                    file: file.clone(),
                    previous: previous.clone(),
                    source,
                })?;
            saved.in_place = true;
        }
        Err(error) => return Err(failed(file, "write it")(error)),
    }
    saved.previous = Some(previous);
    Ok(saved)
}

/// Makes or replaces a file at one stroke.
pub(super) fn put(
    disk: &mut impl Storage,
    file: &Path,
    contents: &[u8],
    like: Option<&fs::Metadata>,
) -> io::Result<()> {
    let new = beside(file, ".new");
    let put = disk
        .create(&new, contents, like)
        .and_then(|()| disk.replace(&new, file));
    if put.is_err() {
        // The next save replaces one that can not be removed now.
        let _ = disk.remove(&new);
    }
    put
}

fn failed(file: &Path, what: &'static str) -> impl FnOnce(io::Error) -> SaveError {
    let file = file.to_path_buf();
    move |source| SaveError::Io { file, what, source }
}

/// The path with more at its end.
pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}

/// Where a path leads to: the file behind symbolic links, which need not exist.
fn followed(file: &Path) -> io::Result<PathBuf> {
    let mut file = file.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&file) {
            Ok(target) => file = file.parent().unwrap_or(Path::new("")).join(target),
            // It is no link, or not there.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
                ) =>
            {
                return Ok(file);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

#[cfg(test)]
pub(super) mod tests;
