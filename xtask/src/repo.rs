//! Where the repository is, and what of this process every task needs to know.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The repository that this xtask was built in.
pub struct Repo {
    /// Its top directory, absolute.
    pub root: PathBuf,
}

impl Repo {
    /// # Errors
    /// When the repository was moved or removed since xtask was built.
    pub fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask is not below a repository")?;
        ensure!(
            root.join("ebpf/Cargo.toml").is_file(),
            "{} is not the repository any more; run cargo xtask where it is now",
            root.display()
        );
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Where release binaries are put.
    pub fn release_dir(&self) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
        self.root
            .join(target.map_or_else(|| PathBuf::from("target"), PathBuf::from))
            .join("release")
    }

    /// The cargo that runs xtask, in the repository's top directory.
    pub fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        command
    }

    /// A program of ours, ready to be run.
    ///
    /// # Errors
    /// When it is not there.
    pub fn binary(&self, name: &str) -> Result<Command> {
        let path = self.release_dir().join(name);
        ensure!(
            path.is_file(),
            "{} is missing; run: cargo xtask build",
            path.display()
        );
        let mut command = Command::new(path);
        command.current_dir(&self.root);
        Ok(command)
    }
}

/// Whether this process may create namespaces and load programs.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// # Errors
/// Without root, with the command that has it; `why` follows "needs root: ".
pub fn need_root(task: &str, why: &str) -> Result<()> {
    ensure!(
        is_root(),
        "`cargo xtask {task}` needs root: {why}.\nRun: sudo -E env \"PATH=$PATH\" cargo xtask {task}"
    );
    Ok(())
}

/// Where `program` is, in `PATH` or where the system keeps programs for root.
pub fn program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}
