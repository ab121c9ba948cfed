//! Directories and files that other users of the machine must not get hold of: who can open a file, even only for
//! reading, can lock it, and keep a module from starting.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A file for its owner alone.
pub const OWN_FILE: u32 = 0o600;

/// A directory that others may pass through, to a socket that is for them, and not list or lock.
pub const PASSAGE: u32 = 0o711;

/// A directory for its owner alone.
pub const OWN_DIRECTORY: u32 = 0o700;

/// The longest word that [`read_word`] reads, in octets; what is beyond it is left out.
const LONGEST_WORD: u64 = 64;

/// What a file of one word says, as one that tells which of two banks is selected. One that is no regular file is
/// refused, so that nothing waits for it.
///
/// # Errors
/// When it is none, or what the kernel says.
pub fn read_word(file: &Path) -> io::Result<String> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut word = Vec::new();
    opened.take(LONGEST_WORD).read_to_end(&mut word)?;
    Ok(String::from_utf8_lossy(&word).into_owned())
}

/// Makes a directory of this mode, whatever the umask is, or gives the one that is there this mode. What is missing
/// above it is made for all to list.
///
/// # Errors
/// What the kernel says.
pub fn make(directory: &Path, mode: u32) -> io::Result<()> {
    make_missing(directory)?;
    if fs::metadata(directory)?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(directory, Permissions::from_mode(mode))
}

/// Makes a directory, and what is missing above it, for all to list. One that is there stays as it is.
///
/// # Errors
/// What the kernel says.
pub fn make_missing(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_missing(parent)?;
    }
    match fs::create_dir(directory) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(0o755)),
    }
}

/// Opens a file that is there to be locked, or makes it, for its owner alone.
///
/// # Errors
/// What the kernel says.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(OWN_FILE)
        .open(path)?;
    // One of an earlier version.
    if file.metadata()?.permissions().mode() & 0o777 != OWN_FILE {
        file.set_permissions(Permissions::from_mode(OWN_FILE))?;
    }
    Ok(file)
}

/// Writes a file for its owner alone, in the place of one that is there.
///
/// # Errors
/// What the kernel says.
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    use io::Write;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(OWN_FILE)
        .open(path)?;
    file.write_all(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directories_have_their_modes() {
        let directory = tempfile::tempdir().unwrap();
        let (above, own) = (directory.path().join("a"), directory.path().join("a/b"));
        make(&own, PASSAGE).unwrap();
        assert_eq!((mode(&above), mode(&own)), (0o755, 0o711));
        make_missing(&own).unwrap();
        assert_eq!(mode(&own), 0o711);
        make(&own, OWN_DIRECTORY).unwrap();
        assert_eq!((mode(&above), mode(&own)), (0o755, 0o700));
        fs::write(own.join("file"), "").unwrap();
        assert!(make(&own.join("file"), PASSAGE).is_err());
        assert!(make_missing(&own.join("file/x")).is_err());
    }

    #[test]
    fn files_are_the_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        open_lock(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        open_lock(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let path = directory.path().join("written");
        for contents in [&b"long"[..], b"x"] {
            write(&path, contents).unwrap();
            assert_eq!(fs::read(&path).unwrap(), contents);
        }
        assert_eq!(mode(&path), 0o600);
    }
}
