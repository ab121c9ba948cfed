//! `soak`, `demo` and `bench`: everything before, then one program of ours in place of this one.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::repo::{Repo, need_root};
use crate::{build, setup};

/// # Errors
/// Without root, and when setting up or building fails.
pub fn soak(repo: &Repo) -> Result<ExitCode> {
    need_root(
        "soak",
        "the network tests create namespaces and load programs into the kernel",
    )?;
    prepare(repo)?;
    let mut command = repo.binary("hitless-selftests")?;
    command.args(["failover.soak", "stp.soak"]);
    become_it(command)
}

/// # Errors
/// Without root, and when setting up or building fails.
pub fn demo(repo: &Repo, name: Option<&str>) -> Result<ExitCode> {
    need_root(
        "demo",
        "it creates network namespaces and loads programs into the kernel",
    )?;
    prepare(repo)?;
    let mut command = repo.binary("hitless-demo")?;
    command.args(name);
    become_it(command)
}

/// # Errors
/// Without root, and when setting up or building fails.
pub fn bench(repo: &Repo, name: Option<&str>, json: bool, more: &[String]) -> Result<ExitCode> {
    need_root(
        "bench",
        "it creates network namespaces and loads programs into the kernel",
    )?;
    prepare(repo)?;
    let mut command = repo.binary("hitless-bench")?;
    command.args(name).args(json.then_some("--json")).args(more);
    become_it(command)
}

fn prepare(repo: &Repo) -> Result<()> {
    setup::run(repo, false)?;
    build::run(repo)
}

/// Its signals and its exit code are then those of the task.
fn become_it(mut command: Command) -> Result<ExitCode> {
    let error = command.exec();
    Err(error).with_context(|| format!("{} can not be run", command.get_program().display()))
}
