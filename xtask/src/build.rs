//! `build`: the data path, the shipped binaries, and the programs of tests, demo and benches.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use ebpf_build::{EDITIONS, OBJECTS, SEPARATOR, Toolchain, remapped};

use crate::repo::Repo;
use crate::step::Step;

/// # Errors
/// When there is no toolchain for eBPF, or something does not build.
pub fn run(repo: &Repo) -> Result<()> {
    let toolchain = ebpf_build::find(&repo.root)?;
    data_path(repo, &toolchain)?;
    for name in EDITIONS {
        edition(repo, name)?;
    }
    let mut command = release(repo, "build");
    // xtask itself runs already.
    command.args(["--bins", "--exclude", "xtask"]);
    Step {
        name: "build the switch",
        why: "hitlessd, hitless and the programs of tests, demo and benches",
        remedy: "Correct what the compiler names and run the task again.",
        warnings: true,
    }
    .run(command)
}

/// Builds `hitlessd` of this version alone, and before it that of an edition if there is one named.
///
/// # Errors
/// As [`run`].
pub fn hitlessd(repo: &Repo, of_edition: Option<&str>) -> Result<()> {
    data_path(repo, &ebpf_build::find(&repo.root)?)?;
    if let Some(name) = of_edition {
        edition(repo, name)?;
    }
    let mut command = release(repo, "build");
    // The same packages as in the whole build, for the reason below.
    command.args(["--exclude", "xtask", "--bin", "hitlessd"]);
    Step {
        name: "build hitlessd",
        why: "the program of the image",
        remedy: "Correct what the compiler names and run the task again.",
        warnings: true,
    }
    .run(command)
}

/// Builds the data path alone. The build scripts find it done; their errors would be harder to read.
fn data_path(repo: &Repo, toolchain: &Toolchain) -> Result<()> {
    let out = repo.root.join("target/ebpf/objects");
    let why = format!("XDP and TC programs, by {toolchain}");
    for name in OBJECTS {
        toolchain
            .build(&repo.root, name, None, &out, &mut |command| {
                let step = Step {
                    name: &format!("build the data path ({name})"),
                    why: &why,
                    remedy: "Correct what the compiler names and run the task again.",
                    warnings: true,
                };
                step.status(command)
            })
            .with_context(|| format!("the data path ({name}) was not built"))?;
    }
    Ok(())
}

/// Builds `hitlessd` once more as an edition, `target/release/editions/<edition>/hitlessd`. Before this version's, whose
/// place in `target/release` it takes for a while.
fn edition(repo: &Repo, edition: &str) -> Result<()> {
    let mut command = release(repo, "build");
    // The same packages as in the whole build: their dependencies are then the same as well, and built once.
    command.args(["--exclude", "xtask", "--bin", "hitlessd"]);
    command.args(["--features", &format!("hitless/edition-{edition}")]);
    // Half the time of an edition's build is the optimiser's, in the one crate that is not busy at run time.
    command.args(["--config", "profile.release.package.hitless.opt-level=1"]);
    Step {
        name: &format!("build the {edition} edition"),
        why: "hitlessd as another version of itself, for tests of upgrades",
        remedy: "Correct what the compiler names and run the task again.",
        warnings: true,
    }
    .run(command)?;
    let release = repo.release_dir();
    let place = release.join("editions").join(edition);
    fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
    // Not in the place of a file that runs.
    let (new, place) = (place.join("hitlessd.new"), place.join("hitlessd"));
    fs::copy(release.join("hitlessd"), &new)
        .with_context(|| format!("copy to {}", new.display()))?;
    fs::rename(&new, &place).with_context(|| format!("rename {}", new.display()))
}

/// `cargo <verb>` for the whole workspace, optimised, with a data path or not at all, and without paths of this machine in it.
pub fn release(repo: &Repo, verb: &str) -> Command {
    let mut command = repo.cargo();
    command
        .args([verb, "--release", "--workspace"])
        .env("HITLESS_EBPF", "require")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(repo));
    command
}

/// The compiler's flags: those that the caller wants, and ours.
fn flags(repo: &Repo) -> String {
    let encoded = env::var("CARGO_ENCODED_RUSTFLAGS").ok();
    let wanted = encoded.or_else(|| {
        let spaced = env::var("RUSTFLAGS").ok()?;
        let flags: Vec<&str> = spaced.split_whitespace().collect();
        Some(flags.join(&SEPARATOR.to_string()))
    });
    let wanted = wanted.filter(|flags| !flags.is_empty());
    let all: Vec<String> = wanted.into_iter().chain([remapped(&repo.root)]).collect();
    all.join(&SEPARATOR.to_string())
}
