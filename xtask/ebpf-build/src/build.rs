//! Runs the build of `ebpf/` and collects its objects.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::compiler::Core;
use crate::paths::{SEPARATOR, remapped};
use crate::search::{Toolchain, Tools};
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
        "the eBPF programs in ebpf/ do not build with {tools}; the compiler's messages are above"
    )]
    Failed {
        /// What they were built with.
        tools: Box<Tools>,
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
    /// Builds the object `name` of [`crate::OBJECTS`] and puts it into `out` as `<name>.bpf.o`. Of an
    /// edition, one of [`crate::EDITIONS`], if one is given, else of this version. `run` starts the command that it is given and waits for it.
    ///
    /// # Errors
    /// [`BuildError`]; what the compiler says goes where `run` lets it go.
    pub fn build(
        &self,
        root: &Path,
        name: &str,
        edition: Option<&str>,
        out: &Path,
        run: &mut dyn FnMut(Command) -> io::Result<ExitStatus>,
    ) -> Result<PathBuf, BuildError> {
        let target_dir = target_dir(root);
        fs::create_dir_all(&target_dir).map_err(|error| file_error(&target_dir, error))?;
        fs::create_dir_all(out).map_err(|error| file_error(out, error))?;
        // Two build scripts may get here at once: neither may copy what the other is replacing.
        let lock_path = target_dir.join(".build-lock");
        let lock = File::create(&lock_path).map_err(|error| file_error(&lock_path, error))?;
        lock.lock().map_err(|error| file_error(&lock_path, error))?;

        let built = match self {
            Self::Prebuilt { object } => beside(object, name, edition)?,
            Self::Tools(tools) => {
                let mut command = tools.cargo(root, "build");
                command.args(["--bin", name]);
                if let Some(edition) = edition {
                    command.args(["--features", &format!("edition-{edition}")]);
                }
                let status = run(command).map_err(|error| BuildError::Start {
                    cargo: tools.compiler.cargo.clone(),
                    error,
                })?;
                if !status.success() {
                    return Err(BuildError::Failed {
                        tools: Box::new(tools.clone()),
                    });
                }
                target_dir.join(TARGET).join("release").join(name)
            }
        };
        let object = out.join(format!("{name}.bpf.o"));
        fs::copy(&built, &object).map_err(|error| file_error(&built, error))?;
        Ok(object)
    }
}

impl Tools {
    /// Clippy over `ebpf/` for its own target, with warnings as errors; `None` if the compiler has no
    /// clippy beside it.
    #[must_use]
    pub fn clippy(&self, root: &Path) -> Option<Command> {
        let clippy = self.compiler.cargo.with_file_name("cargo-clippy");
        clippy.is_file().then(|| {
            let mut command = self.cargo(root, "clippy");
            command.args(["--", "-D", "warnings"]);
            command
        })
    }

    /// `cargo <verb>` for `ebpf/`, in an environment that only this toolchain decides.
    fn cargo(&self, root: &Path, verb: &str) -> Command {
        let Self { compiler, linker } = self;
        let mut command = Command::new(&compiler.cargo);
        command.current_dir(root.join("ebpf")).arg(verb);
        command
            .args(["--release", "--locked", "--target", TARGET, "--target-dir"])
            .arg(target_dir(root));
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
                ["-Cdebuginfo=2", "-Clink-arg=--btf", &remapped(root)].join(&SEPARATOR.to_string()),
            );
        match compiler.core {
            Core::Precompiled => command.env("RUSTC_BOOTSTRAP", "aya_ebpf"),
            Core::Source => command
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["-Z", "build-std=core"]),
        };
        command
    }
}

fn target_dir(root: &Path) -> PathBuf {
    root.join("target/ebpf")
}

/// The object `name` beside the prebuilt product object: `<name>.bpf.o`, or `<name>-<edition>.bpf.o`.
fn beside(object: &Path, name: &str, edition: Option<&str>) -> Result<PathBuf, BuildError> {
    let file = match edition {
        None if name == OBJECTS[0] => return Ok(object.to_owned()),
        None => format!("{name}.bpf.o"),
        Some(edition) => format!("{name}-{edition}.bpf.o"),
    };
    let wanted = object.with_file_name(file);
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
