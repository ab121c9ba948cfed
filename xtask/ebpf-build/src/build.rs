//! Runs the build of `ebpf/` and collects its objects.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::compiler::Core;
use crate::search::Toolchain;
use crate::{OBJECTS, TARGET};

/// Why the data path was not built although there is a toolchain.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file could not be read, written or locked.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// cargo could not be started.
    #[error("{cargo} can not be run: {error}; see that the compiler is installed completely")]
    Start {
        /// The program.
        cargo: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// cargo ended with an error, which it has printed.
    #[error(
        "the eBPF programs in ebpf/ do not build with {toolchain}; the compiler's messages are above"
    )]
    Failed {
        /// What they were built with.
        toolchain: Box<Toolchain>,
    },
    /// A prebuilt object was given, and the other one is not beside it.
    #[error(
        "HITLESS_EBPF_OBJECT={object} was given, so {wanted} is expected beside it and is not there"
    )]
    NotBeside {
        /// The object that was given.
        object: PathBuf,
        /// The one that is missing.
        wanted: PathBuf,
    },
}

/// Variables of an outer cargo or rustup that would steer the build of another target wrong.
const CLEARED: [&str; 7] = [
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "LD_LIBRARY_PATH",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "MAKEFLAGS",
];

/// Prefixes of such variables.
const CLEARED_PREFIXES: [&str; 5] = [
    "RUSTC",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUST",
    "CARGO_CFG_",
    "CARGO_PROFILE_",
];

impl Toolchain {
    /// Builds every object of [`OBJECTS`] and puts them into `out` as `<name>.bpf.o`.
    ///
    /// # Errors
    /// [`BuildError`]; the compiler's own messages go to standard error.
    pub fn build(&self, root: &Path, out: &Path) -> Result<Vec<PathBuf>, BuildError> {
        OBJECTS
            .iter()
            .map(|name| self.build_one(root, name, out))
            .collect()
    }

    /// Builds one object of [`OBJECTS`] and puts it into `out` as `<name>.bpf.o`.
    ///
    /// # Errors
    /// [`BuildError`]; the compiler's own messages go to standard error.
    pub fn build_one(&self, root: &Path, name: &str, out: &Path) -> Result<PathBuf, BuildError> {
        let target_dir = root.join("target/ebpf");
        fs::create_dir_all(&target_dir).map_err(|error| file_error(&target_dir, error))?;
        fs::create_dir_all(out).map_err(|error| file_error(out, error))?;
        // Two build scripts may get here at once: neither may copy what the other is replacing.
        let lock_path = target_dir.join(".build-lock");
        let lock = File::create(&lock_path).map_err(|error| file_error(&lock_path, error))?;
        lock.lock().map_err(|error| file_error(&lock_path, error))?;

        let built = match self {
            Self::Prebuilt { object } => beside(object, name)?,
            Self::Tools { .. } => {
                self.run(&mut self.command(root, &target_dir, "build", &["--bin", name]))?;
                target_dir.join(TARGET).join("release").join(name)
            }
        };
        let object = out.join(format!("{name}.bpf.o"));
        fs::copy(&built, &object).map_err(|error| file_error(&built, error))?;
        Ok(object)
    }

    /// Runs clippy over `ebpf/` for its own target, with warnings as errors. `Ok(false)` if the
    /// compiler has no clippy beside it, or nothing is built at all.
    ///
    /// # Errors
    /// [`BuildError`]; clippy's own messages go to standard error.
    pub fn clippy(&self, root: &Path) -> Result<bool, BuildError> {
        let Self::Tools { compiler, .. } = self else {
            return Ok(false);
        };
        if !compiler.cargo.with_file_name("cargo-clippy").is_file() {
            return Ok(false);
        }
        let target_dir = root.join("target/ebpf");
        self.run(&mut self.command(root, &target_dir, "clippy", &["--", "-D", "warnings"]))?;
        Ok(true)
    }

    fn run(&self, command: &mut Command) -> Result<(), BuildError> {
        // A build script's standard output is read by cargo, so nothing of the child may get there.
        let status = command
            .stdout(Stdio::null())
            .status()
            .map_err(|error| BuildError::Start {
                cargo: command.get_program().into(),
                error,
            })?;
        if status.success() {
            Ok(())
        } else {
            Err(BuildError::Failed {
                toolchain: Box::new(self.clone()),
            })
        }
    }

    /// `cargo <verb>` for `ebpf/`, in an environment that only this toolchain decides.
    fn command(&self, root: &Path, target_dir: &Path, verb: &str, extra: &[&str]) -> Command {
        let Self::Tools { compiler, linker } = self else {
            unreachable!("a prebuilt object is copied, not built");
        };
        let mut command = Command::new(&compiler.cargo);
        command.current_dir(root.join("ebpf")).arg(verb);
        command
            .args(["--release", "--locked", "--target", TARGET, "--target-dir"])
            .arg(target_dir);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if CLEARED.contains(&&*text) || CLEARED_PREFIXES.iter().any(|p| text.starts_with(p)) {
                command.env_remove(&name);
            }
        }
        command
            .env("RUSTC", &compiler.rustc)
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &linker.wrapper)
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                "-Cdebuginfo=2\x1f-Clink-arg=--btf",
            );
        match compiler.core {
            Core::Precompiled => command.env("RUSTC_BOOTSTRAP", "aya_ebpf"),
            Core::Source => command
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["-Z", "build-std=core"]),
        };
        command.args(extra);
        command
    }
}

/// The object `name` beside the prebuilt product object.
fn beside(object: &Path, name: &str) -> Result<PathBuf, BuildError> {
    if name == OBJECTS[0] {
        return Ok(object.to_owned());
    }
    let wanted = object.with_file_name(format!("{name}.bpf.o"));
    if wanted.is_file() {
        Ok(wanted)
    } else {
        Err(BuildError::NotBeside {
            object: object.to_owned(),
            wanted,
        })
    }
}

fn file_error(path: &Path, error: io::Error) -> BuildError {
    BuildError::File {
        path: path.to_owned(),
        error,
    }
}
