//! Locks in the run directory that die with their holder: the right to a slot, and to a master's place.

use anyhow::{Context, Result};
use hitless_boot::directory;
use nix::fcntl::{Flock, FlockArg};
use std::{fs::File, io, path::Path};

/// Something that one process of a switch has.
pub struct Claim {
    _lock: Flock<File>,
}

impl Claim {
    /// Claims what the file of this name stands for; `None` if another process has it.
    ///
    /// # Errors
    /// If the file can not be made or locked.
    pub fn stake(run_dir: &Path, name: &str) -> Result<Option<Self>> {
        let path = run_dir.join(name);
        let file =
            directory::open_lock(&path).with_context(|| format!("open {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self { _lock: lock })),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => {
                Err(io::Error::from(errno)).with_context(|| format!("lock {}", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let first = Claim::stake(dir.path(), "slot").unwrap();
        assert!(first.is_some());
        assert!(Claim::stake(dir.path(), "slot").unwrap().is_none());
        assert!(Claim::stake(dir.path(), "other").unwrap().is_some());
        drop(first);
        assert!(Claim::stake(dir.path(), "slot").unwrap().is_some());
    }
}
