//! What was typed in sessions before: a file of the user that nobody else can read.

use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use reedline::FileBackedHistory;

/// Lines that are kept.
pub(super) const LINES: usize = 1_000;

/// Largest file that is read, in bytes; `LINES` lines are far from it.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Where the history is: `hitless/history` in the user's directory for state (XDG base directories). `None` if the user
/// has no home.
pub(super) fn file() -> Option<PathBuf> {
    place(
        env::var_os("XDG_STATE_HOME").map(PathBuf::from),
        env::home_dir(),
    )
}

fn place(state: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The specification has relative paths ignored.
    let state = state.filter(|dir| dir.is_absolute());
    let home = home.filter(|dir| dir.is_absolute());
    let dir = state.or_else(|| Some(home?.join(".local/state")))?;
    Some(dir.join("hitless/history"))
}

/// Opens the history, and makes it if there is none.
///
/// # Errors
/// The file or its directory can not be made or read, or is no history.
pub(super) fn open(file: &Path) -> io::Result<FileBackedHistory> {
    if let Some(dir) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let opened = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no file of at most 4 MiB",
        ));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        opened.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    FileBackedHistory::with_file(LINES, file.into()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reedline::{History, HistoryItem, SearchDirection, SearchQuery};

    #[test]
    fn where_it_is() {
        let place_of = |state: Option<&str>, home: Option<&str>| {
            place(state.map(PathBuf::from), home.map(PathBuf::from))
        };
        assert_eq!(
            place_of(Some("/s"), Some("/h")),
            Some("/s/hitless/history".into())
        );
        assert_eq!(
            place_of(Some("s"), Some("/h")),
            Some("/h/.local/state/hitless/history".into())
        );
        assert_eq!(place_of(None, None), None);
        assert_eq!(place_of(None, Some("")), None);
    }

    #[test]
    fn lines_outlive_a_session_and_are_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/b/history");
        let mut history = open(&file).unwrap();
        for n in 0..LINES + 10 {
            history
                .save(HistoryItem::from_command_line(format!("show ports {n}")))
                .unwrap();
        }
        drop(history);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let history = open(&file).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let all = SearchQuery::everything(SearchDirection::Forward, None);
        let lines = history.search(all).unwrap();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0].command_line, "show ports 10");
    }

    #[test]
    fn a_directory_is_no_history() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).is_err());
    }
}
