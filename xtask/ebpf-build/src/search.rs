//! The search for a toolchain, in the order that the crate's documentation gives.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::compiler::{Compiler, rustup_compiler};
use crate::linker::Linker;
use crate::{FALLBACK_TOOLCHAIN, INSTALLED_LINKER, LINKER_RELEASE};

/// What the data path is built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// `HITLESS_EBPF_OBJECT`: nothing is built.
    Prebuilt {
        /// The object with the product's programs.
        object: PathBuf,
    },
    /// The data path is compiled and linked here.
    Tools(Tools),
}

/// A compiler and a linker that fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// Compiles; reads `core` from its own sysroot.
    pub compiler: Compiler,
    /// Links, and writes the BTF.
    pub linker: Linker,
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {}", self.compiler, self.linker)
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prebuilt { object } => {
                write!(
                    f,
                    "{} (HITLESS_EBPF_OBJECT), nothing is built",
                    object.display()
                )
            }
            Self::Tools(tools) => write!(f, "{tools}"),
        }
    }
}

/// A compiler or linker that was looked at and not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was looked at: a path or a name.
    pub candidate: String,
    /// Why it was not taken, as a clause that follows the candidate.
    pub reason: String,
}

/// No toolchain was found. The text says why each candidate was refused, and the remedies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoToolchain {
    /// The compilers that could be used if only a linker fitted, best first.
    pub compilers: Vec<Compiler>,
    /// Everything else that was looked at, in order.
    pub refused: Vec<Refused>,
}

impl std::error::Error for NoToolchain {}

impl fmt::Display for NoToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (release, major) = LINKER_RELEASE;
        writeln!(
            f,
            "no toolchain for eBPF was found, so the data path can not be built."
        )?;
        writeln!(f, "Looked at:")?;
        for compiler in &self.compilers {
            writeln!(f, "  {compiler}: a usable compiler, but no linker fits it")?;
        }
        for Refused { candidate, reason } in &self.refused {
            writeln!(f, "  {candidate} {reason}")?;
        }
        writeln!(
            f,
            "Any one of these helps; `cargo xtask setup` tries the first two:"
        )?;
        writeln!(
            f,
            "  Debian:   apt-get install rustc-web cargo-web libstd-rust-web-dev-bpf"
        )?;
        writeln!(
            f,
            "  rustup:   rustup toolchain install {FALLBACK_TOOLCHAIN} --profile minimal \
             --component rust-src"
        )?;
        writeln!(
            f,
            "  prebuilt: HITLESS_EBPF_OBJECT=/path/to/hitless.bpf.o, built on another machine"
        )?;
        write!(
            f,
            "A compiler with LLVM {major} also needs: cargo install bpf-linker --locked \
             --version {release} --root target/tools; one with another LLVM: cargo binstall bpf-linker"
        )
    }
}

/// Where to look. [`Search::from_env`] is what every caller but a test wants.
#[derive(Debug, Clone)]
pub struct Search {
    /// The root of the repository.
    pub root: PathBuf,
    /// `HITLESS_EBPF_OBJECT`.
    pub object: Option<PathBuf>,
    /// `HITLESS_EBPF_RUSTC`.
    pub rustc: Option<PathBuf>,
    /// The rustup program.
    pub rustup: OsString,
    /// Compilers that the distribution may have installed.
    pub system: Vec<PathBuf>,
    /// `BPF_LINKER`.
    pub linker: Option<PathBuf>,
    /// Directories that may hold `bpf-linker`.
    pub path: Vec<PathBuf>,
}

/// Searches by the environment of this process, for the repository at `root`.
///
/// # Errors
/// [`NoToolchain`], whose text names the remedies.
pub fn find(root: &Path) -> Result<Toolchain, NoToolchain> {
    Search::from_env(root).run()
}

/// Whether `object` is an ELF file for eBPF, by its first 20 bytes.
fn check_object(object: &Path) -> Result<(), String> {
    const EM_BPF: [u8; 2] = 247_u16.to_le_bytes();
    let mut head = [0; 20];
    let read = File::open(object).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) if head.starts_with(b"\x7fELF") && head[18..] == EM_BPF => Ok(()),
        Ok(()) => Err("is not an eBPF object".to_owned()),
        Err(error) => Err(format!("can not be read: {error}")),
    }
}

impl Search {
    /// The search as the environment of this process asks for it.
    #[must_use]
    pub fn from_env(root: &Path) -> Self {
        let path_in = |name: &str| {
            env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        Self {
            root: root.to_owned(),
            object: path_in("HITLESS_EBPF_OBJECT"),
            rustc: path_in("HITLESS_EBPF_RUSTC"),
            rustup: OsString::from("rustup"),
            system: vec!["/usr/bin/rustc".into(), "/usr/local/bin/rustc".into()],
            linker: path_in("BPF_LINKER"),
            path: env::var_os("PATH")
                .map(|p| env::split_paths(&p).collect())
                .unwrap_or_default(),
        }
    }

    /// Looks at every candidate in order and returns the first pair that fits.
    ///
    /// # Errors
    /// [`NoToolchain`] with the reason for each candidate.
    pub fn run(&self) -> Result<Toolchain, NoToolchain> {
        let mut failed = NoToolchain {
            compilers: Vec::new(),
            refused: Vec::new(),
        };
        if let Some(object) = &self.object {
            let Err(reason) = check_object(object) else {
                return Ok(Toolchain::Prebuilt {
                    object: object.clone(),
                });
            };
            let candidate = format!("HITLESS_EBPF_OBJECT={}", object.display());
            failed.refused.push(Refused { candidate, reason });
            return Err(failed);
        }
        for (candidate, located) in self.compilers() {
            match located.and_then(|rustc| Compiler::inspect(&rustc)) {
                Ok(compiler) => match self.linker_for(&compiler, &mut failed.refused) {
                    Some(linker) => return Ok(Toolchain::Tools(Tools { compiler, linker })),
                    None => failed.compilers.push(compiler),
                },
                Err(reason) => failed.refused.push(Refused { candidate, reason }),
            }
        }
        Err(failed)
    }

    /// Every compiler to look at: how to call it in a message, and where it is.
    fn compilers(&self) -> Vec<(String, Result<PathBuf, String>)> {
        if let Some(rustc) = &self.rustc {
            return vec![(
                format!("HITLESS_EBPF_RUSTC={}", rustc.display()),
                Ok(rustc.clone()),
            )];
        }
        let rustup = ["nightly", "stable", FALLBACK_TOOLCHAIN].map(|toolchain| {
            let located = rustup_compiler(&self.rustup, toolchain);
            (format!("rustup's {toolchain}:"), located)
        });
        let system = self
            .system
            .iter()
            .map(|rustc| (rustc.display().to_string(), Ok(rustc.clone())));
        rustup.into_iter().chain(system).collect()
    }

    fn linker_for(&self, compiler: &Compiler, refused: &mut Vec<Refused>) -> Option<Linker> {
        // One directory per compiler: each has another LLVM in it.
        let name = format!("rust-{}-llvm-{}", compiler.release, compiler.llvm[0]);
        let directory = self.root.join("target/ebpf/linker").join(name);
        for program in self.linkers() {
            match Linker::inspect(&program, compiler, &directory) {
                Ok(linker) => return Some(linker),
                Err(reason) => {
                    let found = Refused {
                        candidate: program.display().to_string(),
                        reason,
                    };
                    if !refused.contains(&found) {
                        refused.push(found);
                    }
                }
            }
        }
        None
    }

    fn linkers(&self) -> Vec<PathBuf> {
        if let Some(linker) = &self.linker {
            return vec![linker.clone()];
        }
        let installed = self.root.join(INSTALLED_LINKER);
        let in_path = self
            .path
            .iter()
            .map(|directory| directory.join("bpf-linker"))
            .filter(|program| program.is_file());
        std::iter::once(installed).chain(in_path).collect()
    }
}

#[cfg(test)]
mod tests;
