//! `build`: the data path, the shipped binaries, and the programs of tests, demo and benches.

use std::process::Command;

use anyhow::{Context, Result};
use ebpf_build::{OBJECTS, Toolchain};

use crate::repo::Repo;
use crate::step::Step;

/// # Errors
/// When there is no toolchain for eBPF, or something does not build.
pub fn run(repo: &Repo) -> Result<()> {
    let toolchain = ebpf_build::find(&repo.root)?;
    data_path(repo, &toolchain)?;
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

/// Builds the data path alone. The build scripts find it done; their errors would be harder to read.
fn data_path(repo: &Repo, toolchain: &Toolchain) -> Result<()> {
    let out = repo.root.join("target/ebpf/objects");
    let why = format!("XDP and TC programs, by {toolchain}");
    for name in OBJECTS {
        toolchain
            .build(&repo.root, name, &out, &mut |command| {
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

/// `cargo <verb>` for the whole workspace, optimised, with a data path or not at all.
pub fn release(repo: &Repo, verb: &str) -> Command {
    let mut command = repo.cargo();
    command
        .args([verb, "--release", "--workspace"])
        .env("HITLESS_EBPF", "require");
    command
}
