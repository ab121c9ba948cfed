//! What the machine must offer, checked before anything is touched, so that the answer is a sentence and not an
//! errno from deep inside.

use super::pins::BPFFS;
use nix::sys::{
    statfs::{FsType, statfs},
    utsname::uname,
};
use std::fmt;

/// The oldest kernel that has everything: tcx links came with 6.6. (Multi-buffer XDP needs 5.18, ring buffers
/// 5.8, mappable arrays 5.5.) Kernel BTF is not needed: no program of ours reads kernel structures.
pub const LOWEST_KERNEL: (u32, u32) = (6, 6);

const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// What is missing, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The kernel is too old.
    Kernel {
        /// Its release.
        release: String,
    },
    /// Capabilities are missing.
    Capabilities {
        /// Their names.
        missing: Vec<&'static str>,
    },
    /// No bpffs.
    NoBpffs,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { release } => write!(
                f,
                "kernel {release} is too old: hitlessd needs Linux {}.{} or newer (tcx links)",
                LOWEST_KERNEL.0, LOWEST_KERNEL.1
            ),
            Self::Capabilities { missing } => write!(
                f,
                "hitlessd lacks {}: run it as root, or give it these capabilities (systemd: AmbientCapabilities=)",
                missing.join(", ")
            ),
            Self::NoBpffs => write!(
                f,
                "no bpffs at {BPFFS}: mount it with `mount -t bpf bpf {BPFFS}`"
            ),
        }
    }
}

impl std::error::Error for Unfit {}

/// Checks this machine.
///
/// # Errors
/// The first thing that is missing.
pub fn check() -> Result<(), Unfit> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    capabilities(&status)?;
    let release = uname()
        .map(|u| u.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    kernel(&release)?;
    match statfs(BPFFS) {
        Ok(fs) if fs.filesystem_type() == FsType(BPF_FS_MAGIC) => Ok(()),
        _ => Err(Unfit::NoBpffs),
    }
}

/// Checks a kernel release such as `6.18.44-fc`.
fn kernel(release: &str) -> Result<(), Unfit> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) < LOWEST_KERNEL => Err(Unfit::Kernel {
            release: release.into(),
        }),
        // A release that says nothing is no reason to refuse; the kernel itself will.
        _ => Ok(()),
    }
}

/// Checks the effective capabilities in the text of `/proc/self/status`.
fn capabilities(status: &str) -> Result<(), Unfit> {
    const NEEDED: [(u32, &str); 4] = [
        (12, "CAP_NET_ADMIN"),
        (13, "CAP_NET_RAW"),
        (38, "CAP_PERFMON"),
        (39, "CAP_BPF"),
    ];
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(u64::MAX);
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|&(_, name)| name)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Unfit::Capabilities { missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_6_6_are_refused_by_name() {
        for old in ["2.6.78", "5.15.0-91-generic", "6.5.13", "6.1.0-18-amd64"] {
            let refusal = kernel(old).unwrap_err();
            assert!(
                refusal.to_string().contains(old) && refusal.to_string().contains("6.6"),
                "{refusal}"
            );
        }
        for new in ["6.6.0", "6.18.44-fc-v669", "7.0", "10.1.2"] {
            assert_eq!(kernel(new), Ok(()), "{new}");
        }
    }

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(
            capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"),
            Ok(())
        );
        let refusal = capabilities("CapEff:\t0000000000000000\n")
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("CAP_BPF") && refusal.contains("root"),
            "{refusal}"
        );
        assert_eq!(
            capabilities("CapEff:\t0000008000003000\n"),
            Err(Unfit::Capabilities {
                missing: vec!["CAP_PERFMON"]
            })
        );
    }
}
