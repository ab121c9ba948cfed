//! Programs of the product started in unusual ways, most of them to see them refuse.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::harness::{
    ktap::Ctx,
    netns::Netns,
    process::Process,
    switch::{DEADLINE, Switch, tail},
    wait::wait_for,
};

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Everything that it printed.
    pub text: String,
}

/// Runs a program to its end.
///
/// # Errors
/// When it can not be started or does not end; then with what it printed.
pub fn run(ctx: &Ctx, command: &mut Command) -> Result<Ended> {
    let path = ctx.files().join("trial.txt");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let process = Process::spawn(ctx.run(), command)?;
    let status = process
        .wait(DEADLINE)
        .with_context(|| format!("it printed:\n{}", tail(&path)))?;
    let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(Ended {
        code: status.code(),
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

/// Runs a program that must end with this exit code and name all of these; gives back what it printed.
///
/// # Errors
/// When it ends otherwise or leaves something unsaid.
pub fn ends(ctx: &Ctx, command: &mut Command, code: i32, says: &[&str]) -> Result<String> {
    let ended = run(ctx, command)?;
    let unsaid: Vec<_> = says
        .iter()
        .filter(|part| !ended.text.contains(**part))
        .collect();
    if ended.code == Some(code) && unsaid.is_empty() && !ended.text.contains("panicked") {
        return Ok(ended.text);
    }
    bail!(
        "{command:?} ended with {:?} instead of {code}, without saying {unsaid:?}:\n{}",
        ended.code,
        ended.text
    )
}

/// Runs a hitlessd that must refuse to start and name all of these; gives back what it printed.
///
/// # Errors
/// When it starts, or leaves something unsaid.
pub fn refused(ctx: &Ctx, command: &mut Command, says: &[&str]) -> Result<String> {
    ends(ctx, command, 1, says)
}

/// `hitlessd` of a switch, started by another program that is given its command line.
///
/// # Errors
/// When the binary is missing.
pub fn through(netns: &Netns, switch: &Switch, program: &[impl AsRef<OsStr>]) -> Result<Command> {
    let daemon = switch.daemon()?;
    let (first, rest) = program
        .split_first()
        .context("a program to start it with")?;
    let mut command = netns.command(first)?;
    command
        .args(rest)
        .arg(daemon.get_program())
        .args(daemon.get_args());
    Ok(command)
}

/// The words for [`through`] that run a shell command in a mount namespace of its own first.
#[must_use]
pub fn in_own_mounts(script: &str) -> [String; 7] {
    let script = format!("set -e; {script}; exec \"$0\" \"$@\"");
    let words = ["unshare", "--mount", "--propagation", "private", "sh", "-c"];
    let [a, b, c, d, e, f] = words.map(String::from);
    [a, b, c, d, e, f, script]
}

/// Starts a hitlessd by this command and waits until it answers as the switch.
///
/// # Errors
/// When it ends or does not answer, with its log.
pub fn launch(ctx: &Ctx, switch: &Switch, command: &mut Command) -> Result<Process> {
    let path = ctx.files().join("launch.log");
    let log = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let process = Process::spawn(ctx.run(), command)?;
    let pid = process.pid();
    wait_for("the switch to answer", DEADLINE, || {
        if let Some(status) = process.ended()? {
            return Ok(Some(Err(status)));
        }
        let answers = switch.show("switch")?["modules"][0]["pid"] == pid;
        Ok(answers.then_some(Ok(())))
    })
    .and_then(|answered| answered.map_err(|status| anyhow::anyhow!("it ended with {status}")))
    .with_context(|| tail(&path))?;
    Ok(process)
}

/// A copy of a program that every user may run: the directories of a build may be closed to others.
///
/// # Errors
/// When it can not be copied.
pub fn for_everyone(ctx: &Ctx, program: &Path) -> Result<PathBuf> {
    let name = program.file_name().context("a program has a name")?;
    let copy = ctx.files().join(name);
    fs::copy(program, &copy).with_context(|| format!("copy {}", program.display()))?;
    for path in [ctx.files(), &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    ensure!(copy.is_file(), "{} is not there", copy.display());
    Ok(copy)
}
