//! A compiler and a linker for eBPF, when the search finds none.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use ebpf_build::{FALLBACK_TOOLCHAIN, INSTALLED_LINKER, LINKER_RELEASE, NoToolchain, Toolchain};

use super::packages::{apt_install, has_apt};
use crate::repo::{Repo, is_root, program};
use crate::step::Step;

/// Debian's compiler with a `core` for eBPF, from the security archives of bookworm and trixie.
pub const APT: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];

/// Packages that [`APT`] would push out.
const CONFLICTS: [&str; 2] = ["rustc", "rustup"];

/// What gets a usable compiler.
#[derive(Debug, PartialEq, Eq)]
pub enum Remedy {
    /// There is one already; at most the linker is missing.
    LinkerOnly,
    /// Debian's packages.
    Apt,
    /// A toolchain beside the user's own.
    Rustup,
    /// None that can be taken here without asking.
    None,
}

/// What this system offers.
struct Offer {
    root: bool,
    apt: bool,
    rustup: bool,
}

/// Chooses by what was found and what this system offers.
pub fn remedy_for(reason: &NoToolchain) -> Remedy {
    let apt = has_apt() && apt_offers();
    choose(
        reason,
        &Offer {
            root: is_root(),
            apt,
            rustup: program("rustup").is_some(),
        },
    )
}

fn choose(reason: &NoToolchain, offer: &Offer) -> Remedy {
    let explicit = |variable: &str| {
        reason
            .refused
            .iter()
            .any(|refused| refused.candidate.starts_with(variable))
    };
    if !reason.compilers.is_empty() {
        Remedy::LinkerOnly
    } else if explicit("HITLESS_EBPF_") {
        // Whoever names a compiler or an object wants that one or an error.
        Remedy::None
    } else if offer.apt && (offer.root || !offer.rustup) {
        Remedy::Apt
    } else if offer.rustup {
        Remedy::Rustup
    } else {
        Remedy::None
    }
}

/// Whether apt knows Debian's compiler and would not have to remove another one for it. Lists that
/// were never fetched count as knowing it on Debian: `apt-get install` will tell.
fn apt_offers() -> bool {
    let answers = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    };
    let installed = |package: &&str| {
        answers("dpkg-query", &["-W", "-f", "${db:Status-Abbrev}", package]).starts_with("ii")
    };
    let known = answers("apt-cache", &["policy", APT[2]]).contains("Candidate:");
    let debian = std::fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "ID=debian"));
    (known || debian) && !CONFLICTS.iter().any(installed)
}

/// Carries out `remedy`, installs the linker, and searches again.
///
/// # Errors
/// The reason of the search if nothing can be done, or what failed.
pub fn install(repo: &Repo, reason: NoToolchain, remedy: Remedy) -> Result<Toolchain> {
    match remedy {
        Remedy::LinkerOnly => {}
        Remedy::Apt => {
            let why = "a Rust compiler that knows eBPF builds the data path (about 200 MB)";
            if let Err(error) = apt_install(&APT, why) {
                if program("rustup").is_none() {
                    return Err(error.context(reason));
                }
                eprintln!("warning: {error:#}");
                rustup()?;
            }
        }
        Remedy::Rustup => rustup()?,
        Remedy::None => return Err(reason.into()),
    }
    let reason = match ebpf_build::find(&repo.root) {
        Ok(toolchain) => return Ok(toolchain),
        Err(reason) => reason,
    };
    let major = LINKER_RELEASE.1;
    if !reason
        .compilers
        .iter()
        .any(|compiler| compiler.llvm[0] == major)
    {
        // No compiler at all, or one whose LLVM the linker below does not know.
        return Err(reason.into());
    }
    if let Some(linker) = std::env::var_os("BPF_LINKER") {
        bail!("BPF_LINKER={} can not be used.\n{reason}", linker.display());
    }
    if is_installed(repo) {
        // It was refused for another reason, such as files of another user; installing changes nothing.
        return Err(reason.into());
    }
    install_linker(repo)?;
    ebpf_build::find(&repo.root).context("the linker was installed, and still")
}

fn rustup() -> Result<()> {
    let mut command = Command::new("rustup");
    command.args([
        "toolchain",
        "install",
        FALLBACK_TOOLCHAIN,
        "--profile",
        "minimal",
    ]);
    command.args(["--component", "rust-src", "--no-self-update"]);
    Step {
        name: &format!("install Rust {FALLBACK_TOOLCHAIN} with the sources of core"),
        why: "builds the data path; your own toolchain stays the default",
        remedy: "See what rustup says above; mostly the network.",
        warnings: false,
    }
    .run(command)
}

/// Whether the linker that would be installed is there.
fn is_installed(repo: &Repo) -> bool {
    let linker = repo.root.join(INSTALLED_LINKER);
    let about = Command::new(linker)
        .arg("--version")
        .stderr(Stdio::null())
        .output();
    about.is_ok_and(|about| {
        String::from_utf8_lossy(&about.stdout).trim() == format!("bpf-linker {}", LINKER_RELEASE.0)
    })
}

fn install_linker(repo: &Repo) -> Result<()> {
    let (release, major) = LINKER_RELEASE;
    let mut command = repo.cargo();
    command
        .args([
            "install",
            "bpf-linker",
            "--locked",
            "--version",
            release,
            "--root",
        ])
        .arg(repo.root.join("target/tools"))
        // It links small programs, so what counts is how fast it is built: 58 s, not 99 s.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env_remove("CARGO_TARGET_DIR");
    Step {
        name: &format!("install bpf-linker {release} into target/tools"),
        why: &format!("links the data path with the compiler's LLVM {major} (takes a minute or more)"),
        remedy: "See what cargo says above; mostly the network or a missing C compiler (Debian: gcc, libc6-dev).",
        warnings: false,
    }
    .run(command)
}

#[cfg(test)]
mod tests {
    use ebpf_build::Refused;

    use super::*;

    fn refused(candidate: &str) -> NoToolchain {
        let refused = Refused {
            candidate: candidate.to_owned(),
            reason: "does not exist".to_owned(),
        };
        NoToolchain {
            compilers: Vec::new(),
            refused: vec![refused],
        }
    }

    const ALL: Offer = Offer {
        root: true,
        apt: true,
        rustup: true,
    };

    #[test]
    fn the_remedy_follows_what_the_system_offers() {
        let reason = refused("/usr/bin/rustc");
        assert_eq!(choose(&reason, &ALL), Remedy::Apt);
        assert_eq!(
            choose(&reason, &Offer { apt: false, ..ALL }),
            Remedy::Rustup
        );
        assert_eq!(
            choose(&reason, &Offer { root: false, ..ALL }),
            Remedy::Rustup
        );
        assert_eq!(
            choose(
                &reason,
                &Offer {
                    root: false,
                    rustup: false,
                    ..ALL
                }
            ),
            Remedy::Apt
        );
        assert_eq!(
            choose(
                &reason,
                &Offer {
                    apt: false,
                    rustup: false,
                    ..ALL
                }
            ),
            Remedy::None
        );
    }

    #[test]
    fn a_named_compiler_is_not_replaced() {
        let reason = refused("HITLESS_EBPF_RUSTC=/opt/rustc");
        assert_eq!(choose(&reason, &ALL), Remedy::None);
    }
}
