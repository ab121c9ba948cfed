//! `lint`: formatting, clippy, licences and advisories. All of it runs, even if something fails.

use std::process::{Command, ExitCode};

use anyhow::Result;
use ebpf_build::Toolchain;

use crate::repo::Repo;
use crate::setup::lint_tool;
use crate::step::Step;

const WORKSPACE: &str = "Cargo.toml";
const DATA_PATH: &str = "ebpf/Cargo.toml";

/// # Errors
/// When nothing can be checked at all. Findings are an exit code, not an error.
pub fn run(repo: &Repo) -> Result<ExitCode> {
    let mut failed = Vec::new();
    let mut unchecked = Vec::new();
    let mut check = |name: &'static str, why: &str, remedy: &str, command: Command| {
        let step = Step {
            name,
            why,
            remedy,
            warnings: true,
        };
        if let Err(error) = step.run(command) {
            eprintln!("error: {error:#}");
            failed.push(name);
        }
    };

    let format = "Run: cargo fmt --all; (cd ebpf && cargo fmt)";
    let mut command = repo.cargo();
    command.args(["fmt", "--all", "--check"]);
    check("formatting", "of the workspace", format, command);
    let mut command = repo.cargo();
    command.args(["fmt", "--check", "--manifest-path", DATA_PATH]);
    check("formatting of the data path", "of ebpf/", format, command);

    let clippy = "Correct what clippy names. It is missing? rustup component add clippy rustfmt";
    let mut command = repo.cargo();
    command.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]);
    // Nothing is loaded by a lint, so it works without a toolchain for eBPF.
    command.env("HITLESS_EBPF", "skip");
    check(
        "clippy",
        "every crate of the workspace, with its tests",
        clippy,
        command,
    );

    let own = match ebpf_build::find(&repo.root) {
        Ok(Toolchain::Tools(tools)) => tools.clippy(&repo.root),
        _ => None,
    };
    let why = if own.is_some() {
        "ebpf/, for its own target"
    } else {
        "ebpf/, for this machine instead of its own target: the eBPF compiler has no clippy"
    };
    check(
        "clippy of the data path",
        why,
        clippy,
        own.unwrap_or_else(|| clippy_for_host(repo)),
    );

    match lint_tool(repo) {
        Some(deny) => {
            let deny = |manifest: &str, arguments: &[&str]| {
                let mut command = Command::new(&deny);
                command.current_dir(&repo.root);
                command.args([
                    "--locked",
                    "--config",
                    "deny.toml",
                    "--manifest-path",
                    manifest,
                ]);
                command.args(arguments);
                command
            };
            let fetched = Step {
                name: "fetch the list of advisories",
                why: "known vulnerabilities of dependencies",
                remedy: "It comes over the network.",
                warnings: false,
            }
            .run(deny(WORKSPACE, &["fetch", "db"]));
            let mut checks = vec!["check", "bans", "licenses", "sources"];
            match fetched {
                Ok(()) => checks.push("advisories"),
                Err(_) => unchecked.push("advisories (their list could not be fetched, see above)"),
            }
            let remedy = "See what it says above, and deny.toml.";
            check(
                "cargo-deny",
                "the workspace's dependencies",
                remedy,
                deny(WORKSPACE, &checks),
            );
            check(
                "cargo-deny of the data path",
                "ebpf/'s dependencies",
                remedy,
                deny(DATA_PATH, &checks),
            );
        }
        None => unchecked
            .push("licences and advisories (cargo-deny is missing: cargo xtask setup --lint)"),
    }

    for what in unchecked {
        println!("not checked: {what}");
    }
    if failed.is_empty() {
        println!("lint: nothing found");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("lint: failed: {}", failed.join(", "));
        Ok(ExitCode::FAILURE)
    }
}

/// The workspace's clippy over `ebpf/`, compiled for this machine: finds all but what only the target
/// shows.
fn clippy_for_host(repo: &Repo) -> Command {
    let mut command = repo.cargo();
    command.args(["clippy", "--manifest-path", DATA_PATH, "--locked"]);
    command
        .arg("--target-dir")
        .arg(repo.root.join("target/ebpf/host"));
    command.args(["--", "-D", "warnings"]);
    command
}
