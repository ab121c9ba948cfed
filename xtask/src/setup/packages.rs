//! The tools that come from the distribution.

use std::process::Command;
use std::sync::Once;

use anyhow::{Result, bail};

use crate::repo::program;
use crate::step::Step;

/// A package of Debian and Ubuntu.
pub struct Package {
    /// Its name for apt.
    pub name: &'static str,
    /// It is there when this program is there.
    program: &'static str,
    /// Whether nothing can be shown without it. Other tools are used by tests, which skip without them.
    required: bool,
    /// What for.
    pub why: &'static str,
}

const fn package(
    name: &'static str,
    program: &'static str,
    required: bool,
    why: &'static str,
) -> Package {
    Package {
        name,
        program,
        required,
        why,
    }
}

/// Every package that is installed if its program is not there.
pub const PACKAGES: [Package; 6] = [
    package(
        "iproute2",
        "ip",
        true,
        "looks into the namespaces of a topology, and builds those of tests",
    ),
    package(
        "iputils-ping",
        "ping",
        false,
        "shows that hosts reach each other",
    ),
    package(
        "ethtool",
        "ethtool",
        false,
        "switches the offloads of a host's interface in tests",
    ),
    package(
        "tshark",
        "tshark",
        false,
        "judges the frames that the switch sends in tests",
    ),
    package(
        "iperf3",
        "iperf3",
        false,
        "measures TCP between untouched hosts",
    ),
    package(
        "tcpdump",
        "tcpdump",
        false,
        "records frames when a test fails",
    ),
];

/// The packages whose program is not there.
pub fn missing() -> Vec<&'static Package> {
    PACKAGES
        .iter()
        .filter(|package| program(package.program).is_none())
        .collect()
}

/// Installs `missing` with apt.
///
/// # Errors
/// When one that is required is still not there.
pub fn install(missing: &[&Package]) -> Result<()> {
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    for package in missing {
        eprintln!(
            "missing: {} ({}): {}",
            package.program, package.name, package.why
        );
    }
    let done = apt_install(&names, "as listed above");
    let still: Vec<&&Package> = missing
        .iter()
        .filter(|package| program(package.program).is_none())
        .collect();
    if let Some(package) = still.iter().find(|package| package.required) {
        let reason = done
            .err()
            .map(|error| format!("{error:#}\n"))
            .unwrap_or_default();
        bail!(
            "{reason}`{}` is missing. Install it (Debian: {}) and run the task again.",
            package.program,
            package.name
        );
    }
    for package in still {
        eprintln!(
            "warning: `{}` is still missing; tests that need it are skipped",
            package.program
        );
    }
    Ok(())
}

/// Whether this system installs packages with apt.
pub fn has_apt() -> bool {
    program("apt-get").is_some()
}

/// Once in a run is enough. Lists that can not be renewed may still do.
fn renew_lists(remedy: &str) {
    static RENEWED: Once = Once::new();
    RENEWED.call_once(|| {
        let mut update = Command::new("apt-get");
        update.args(["update", "-q"]);
        let step = Step {
            name: "apt-get update",
            why: "renews the lists of packages",
            remedy,
            warnings: false,
        };
        if let Err(error) = step.run(update) {
            eprintln!("warning: {error:#}");
        }
    });
}

/// `apt-get install`, without questions and without what is only recommended.
///
/// # Errors
/// When apt is not there or fails.
pub fn apt_install(names: &[&str], why: &str) -> Result<()> {
    if !has_apt() {
        bail!(
            "this system has no apt-get; install by its own means: {}",
            names.join(", ")
        );
    }
    let remedy = "See what apt says above; mostly the network or another apt that runs.";
    renew_lists(remedy);
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(names)
        // tshark would ask whether other users may record frames; the answer stays no.
        .env("DEBIAN_FRONTEND", "noninteractive");
    Step {
        name: &format!("install {}", names.join(", ")),
        why,
        remedy,
        warnings: false,
    }
    .run(install)
}
