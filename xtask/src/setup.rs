//! `setup`: installs what is missing, and nothing else. Says each step and why before it is done.

mod packages;
mod toolchain;

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::repo::{Repo, is_root, program};
use crate::step::Step;
use packages::Package;
use toolchain::{Remedy, remedy_for};

/// Where the switch pins its hardware.
const BPFFS: &str = "/sys/fs/bpf";

/// # Errors
/// When a step needs root and there is none, or when a step fails without which nothing can be built or
/// run. Missing tools of tests alone are reported, and the tests that need them are skipped.
pub fn run(repo: &Repo, lint: bool) -> Result<()> {
    let missing = packages::missing();
    let found = ebpf_build::find(&repo.root);
    let remedy = found.as_ref().err().map(remedy_for);
    let mount = !is_bpffs(&fs::read_to_string("/proc/mounts").unwrap_or_default());
    let deny = lint && lint_tool(repo).is_none();

    let for_root = needs_root(&missing, remedy.as_ref(), mount);
    if !for_root.is_empty() && !is_root() {
        bail!(
            "these steps of setup need root:\n{}Run: sudo -E env \"PATH=$PATH\" cargo xtask setup",
            for_root
                .iter()
                .map(|step| format!("  {step}\n"))
                .collect::<String>()
        );
    }
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    if mount {
        mount_bpffs()?;
    }
    if deny {
        install_deny(repo)?;
    }
    let toolchain = match (found, remedy) {
        (Err(reason), Some(remedy)) => toolchain::install(repo, reason, remedy)?,
        (Ok(toolchain), _) => toolchain,
        (Err(reason), None) => return Err(reason.into()),
    };
    eprintln!("setup: done; the data path is built by {toolchain}");
    Ok(())
}

/// The steps to be done that need root, each with its reason.
fn needs_root(missing: &[&Package], remedy: Option<&Remedy>, mount: bool) -> Vec<String> {
    let mut steps: Vec<String> = missing
        .iter()
        .map(|p| format!("install {}: {}", p.name, p.why))
        .collect();
    if let Some(Remedy::Apt) = remedy {
        steps.push(format!(
            "install {}: to build the data path",
            toolchain::APT.join(", ")
        ));
    }
    if mount {
        steps.push(format!("mount {BPFFS}: the switch keeps its tables there"));
    }
    steps
}

/// Whether the last thing mounted on [`BPFFS`] by this text of /proc/mounts is a bpffs.
fn is_bpffs(mounts: &str) -> bool {
    let last = mounts.lines().rev().find_map(|line| {
        let mut fields = line.split(' ');
        (fields.nth(1)? == BPFFS).then(|| fields.next())?
    });
    last == Some("bpf")
}

fn mount_bpffs() -> Result<()> {
    let mut command = Command::new("mount");
    command.args(["-t", "bpf", "bpf", BPFFS]);
    Step {
        name: "mount the BPF file system",
        why: "the switch keeps its tables and programs there, independent of any process",
        remedy: "The kernel needs CONFIG_BPF_SYSCALL, and in a container /sys must be writable and \
                 CAP_SYS_ADMIN be given.",
        warnings: false,
    }
    .run(command)
}

/// cargo-deny, from `setup --lint` or wherever it is in `PATH`.
pub fn lint_tool(repo: &Repo) -> Option<std::path::PathBuf> {
    let installed = repo.root.join("target/tools/bin/cargo-deny");
    if installed.is_file() {
        Some(installed)
    } else {
        program("cargo-deny")
    }
}

fn install_deny(repo: &Repo) -> Result<()> {
    let mut command = repo.cargo();
    command
        .args(["install", "cargo-deny", "--locked", "--root"])
        .arg(repo.root.join("target/tools"));
    Step {
        name: "install cargo-deny into target/tools",
        why: "lint checks licences and known vulnerabilities with it (takes some minutes)",
        remedy: "See what cargo says above; `cargo xtask lint` works without it and says what it left out.",
        warnings: false,
    }
    .run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpffs_is_recognised_by_what_is_mounted_last() {
        let sys = "sysfs /sys sysfs rw 0 0\n";
        let bpf = "bpf /sys/fs/bpf bpf rw,mode=700 0 0\n";
        let over = "tmpfs /sys/fs/bpf tmpfs rw 0 0\n";
        assert!(is_bpffs(&format!("{sys}{bpf}")));
        assert!(!is_bpffs(sys));
        assert!(!is_bpffs("bpf /sys/fs/bpf/other bpf rw 0 0\n"));
        assert!(!is_bpffs(&format!("{bpf}{over}")));
        assert!(is_bpffs(&format!("{over}{bpf}")));
    }

    #[test]
    fn steps_for_root_are_named_with_their_reason() {
        assert!(needs_root(&[], Some(&Remedy::Rustup), false).is_empty());
        let steps = needs_root(&[&packages::PACKAGES[0]], Some(&Remedy::Apt), true).join("\n");
        for word in [
            packages::PACKAGES[0].name,
            packages::PACKAGES[0].why,
            "rustc-web",
            BPFFS,
        ] {
            assert!(steps.contains(word), "{word} is not in:\n{steps}");
        }
    }
}
