//! One Rust compiler: what it is, and whether it can build for eBPF.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::TARGET;

/// Where a compiler takes `core` from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// Compiled, in the sysroot.
    Precompiled,
    /// Built from the sources in the sysroot (`-Z build-std=core`).
    Source,
}

/// A compiler that can build for eBPF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// The compiler, an absolute path.
    pub rustc: PathBuf,
    /// The `cargo` beside it.
    pub cargo: PathBuf,
    /// Its release, such as `1.96.0`.
    pub release: String,
    /// The host's target triple.
    pub host: String,
    /// The directory that holds its libraries.
    pub sysroot: PathBuf,
    /// The LLVM that it was built with: major, minor, patch.
    pub llvm: [u32; 3],
    /// Where `core` comes from.
    pub core: Core,
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.core {
            Core::Precompiled => "precompiled core",
            Core::Source => "core from rust-src",
        };
        write!(
            f,
            "{} {} (LLVM {}, {core})",
            self.rustc.display(),
            self.release,
            dotted(self.llvm)
        )
    }
}

impl Compiler {
    /// Asks the compiler at `rustc` what it is and looks into its sysroot.
    ///
    /// # Errors
    /// Why it can not build for eBPF, as a clause that follows the compiler's path.
    pub fn inspect(rustc: &Path) -> Result<Self, String> {
        let about = ask(rustc, &["-vV"])?;
        let sysroot = PathBuf::from(ask(rustc, &["--print", "sysroot"])?.trim());
        let release = field(&about, "release")
            .ok_or("its -vV names no release")?
            .to_owned();
        let host = field(&about, "host")
            .ok_or("its -vV names no host")?
            .to_owned();
        let llvm = field(&about, "LLVM version")
            .and_then(parse_version)
            .ok_or("its -vV names no LLVM version (it was built without LLVM)")?;
        let least = env!("CARGO_PKG_RUST_VERSION");
        if parse_version(&release) < parse_version(least) {
            return Err(format!("is Rust {release}, at least {least} is needed"));
        }
        let cargo = rustc.with_file_name("cargo");
        if !cargo.is_file() {
            return Err("has no cargo beside it".to_owned());
        }
        let core = core_in(&sysroot).ok_or_else(|| {
            format!("has neither a compiled core for {TARGET} nor the sources of core (rust-src)")
        })?;
        Ok(Self {
            rustc: rustc.to_owned(),
            cargo,
            release,
            host,
            sysroot,
            llvm,
            core,
        })
    }

    /// The shared library with this compiler's own LLVM, if it has one.
    #[must_use]
    pub fn llvm_library(&self) -> Option<PathBuf> {
        let major = self.llvm[0];
        // Debian names directories after the triple without its vendor part.
        let mut triple = self.host.split('-');
        let multiarch = [triple.next(), triple.nth(1), triple.next()]
            .map(Option::unwrap_or_default)
            .join("-");
        let lib = self.sysroot.join("lib");
        let directories = [
            lib.clone(),
            lib.join(multiarch),
            self.sysroot.join("lib64"),
            lib.join(format!("llvm-{major}/lib")),
            PathBuf::from(format!("/usr/lib/llvm-{major}/lib")),
        ];
        // The second spelling is a linker script in rustup's toolchains, so it comes second.
        [
            format!("libLLVM.so.{major}."),
            format!("libLLVM-{major}.so"),
        ]
        .iter()
        .find_map(|prefix| {
            directories
                .iter()
                .find_map(|directory| first_with_prefix(directory, prefix))
        })
    }
}

/// The first entry of `directory`, by name, that starts with `prefix`.
fn first_with_prefix(directory: &Path, prefix: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter().next()
}

fn core_in(sysroot: &Path) -> Option<Core> {
    let rustlib = sysroot.join("lib/rustlib");
    if first_with_prefix(&rustlib.join(TARGET).join("lib"), "libcore-").is_some() {
        Some(Core::Precompiled)
    } else if rustlib.join("src/rust/library/core").is_dir() {
        Some(Core::Source)
    } else {
        None
    }
}

fn ask(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "does not exist".to_owned(),
            _ => format!("can not be run: {error}"),
        })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!(
            "failed at `{}` ({})",
            arguments.join(" "),
            output.status
        ))
    }
}

/// The value of `name: value` in the output of `rustc -vV`.
fn field<'a>(about: &'a str, name: &str) -> Option<&'a str> {
    about
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::trim)
}

/// Reads `22.1.8`, `22.1` or `1.97.0-nightly`; missing parts are 0.
pub(crate) fn parse_version(text: &str) -> Option<[u32; 3]> {
    let numeric = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    let mut parts = numeric.split('.').filter(|part| !part.is_empty());
    let major = parts.next()?.parse().ok()?;
    let mut rest = || parts.next().map_or(Some(0), |part| part.parse().ok());
    Some([major, rest()?, rest()?])
}

pub(crate) fn dotted([major, minor, patch]: [u32; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

/// What rustup calls the compiler of `toolchain`; never downloads one.
pub(crate) fn rustup_compiler(rustup: &OsStr, toolchain: &str) -> Result<PathBuf, String> {
    let output = Command::new(rustup)
        .args(["which", "--toolchain", toolchain, "rustc"])
        .env("RUSTUP_AUTO_INSTALL", "0")
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "rustup is not installed".to_owned(),
            _ => format!("rustup can not be run: {error}"),
        })?;
    if output.status.success() {
        Ok(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ))
    } else {
        Err("that toolchain is not installed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_nightlies_and_distributions() {
        assert_eq!(parse_version("22.1.8"), Some([22, 1, 8]));
        assert_eq!(parse_version("22.1"), Some([22, 1, 0]));
        assert_eq!(parse_version("1.97.0-nightly"), Some([1, 97, 0]));
        assert_eq!(parse_version("22.1.2-rust-1.95.0-stable"), Some([22, 1, 2]));
        assert_eq!(parse_version("unknown"), None);
        assert_eq!(parse_version(""), None);
        assert!(parse_version("1.100.0") > parse_version("1.95"));
    }

    #[test]
    fn fields_of_verbose_version() {
        let about = "rustc 1.96.0 (x) (built from a source tarball)\nhost: x86_64-unknown-linux-gnu\n\
                     release: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(field(about, "release"), Some("1.96.0"));
        assert_eq!(field(about, "LLVM version"), Some("22.1.8"));
        assert_eq!(field(about, "LLVM"), None);
    }
}
