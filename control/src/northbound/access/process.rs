//! What `/proc` tells of a process: for the log, nothing is decided by it. Whatever can not be found out is left out.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Octets of a program's name that the kernel keeps, and some.
const MAX_PROGRAM: usize = 64;

/// A process, as far as it is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: Option<u32>,
    pub program: Option<String>,
    pub terminal: Option<String>,
}

impl Process {
    /// The process of this number, which is 0 for one that is not in our pid namespace. `pidfd` is a descriptor of it:
    /// when it has ended, the number may be another one's by now.
    pub fn of(pid: i32, pidfd: Option<OwnedFd>) -> Self {
        let Some(pid) = u32::try_from(pid).ok().filter(|&pid| pid > 0) else {
            return Self::default();
        };
        let found = Self::read(Path::new("/proc"), pid);
        match pidfd {
            Some(pidfd) if !has_ended(&pidfd) => found,
            _ => Self {
                pid: Some(pid),
                ..Self::default()
            },
        }
    }

    fn read(proc: &Path, pid: u32) -> Self {
        let directory = proc.join(pid.to_string());
        let program = fs::read(directory.join("comm")).ok().map(|name| {
            let name = String::from_utf8_lossy(&name);
            let name = name.strip_suffix('\n').unwrap_or(&name);
            name[..name.floor_char_boundary(MAX_PROGRAM)].into()
        });
        let stat = fs::read(directory.join("stat")).unwrap_or_default();
        Self {
            pid: Some(pid),
            program,
            terminal: terminal_number(&stat).map(|(major, minor)| terminal(major, minor)),
        }
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) != Ok(0)
}

/// The device of the controlling terminal, from `/proc/<pid>/stat` (proc_pid_stat(5), field 7); `None` without one.
fn terminal_number(stat: &[u8]) -> Option<(u32, u32)> {
    // The name of the program is in parentheses and may contain any octet, more of them too.
    let behind_name = stat.iter().rposition(|&b| b == b')')? + 1;
    let text = std::str::from_utf8(stat.get(behind_name..)?).ok()?;
    let device: i32 = text.split_ascii_whitespace().nth(4)?.parse().ok()?;
    let device = device.cast_unsigned();
    let (major, minor) = (
        device >> 8 & 0xfff,
        device & 0xff | (device >> 12 & 0xf_ff00),
    );
    (device != 0).then_some((major, minor))
}

/// What a terminal is called below `/dev`.
fn terminal(major: u32, minor: u32) -> String {
    /// Unix98 pseudo terminals have no entry in sysfs.
    const PTS: u32 = 136;
    if major == PTS {
        return format!("pts/{minor}");
    }
    let uevent = PathBuf::from(format!("/sys/dev/char/{major}:{minor}/uevent"));
    let text = fs::read_to_string(uevent).unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    name.map_or_else(|| format!("device {major}:{minor}"), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_terminal_is_found_behind_any_name() {
        for (stat, expected) in [
            (&b"7 (sh) S 1 7 7 34819 7 4194304"[..], Some((136, 3))),
            (b"7 (a) R 1) (b) S 1 7 7 34817 7", Some((136, 1))),
            (b"7 (\xff\n) S 1 7 7 1025 7", Some((4, 1))),
            // Minor numbers from 256 on are split.
            (b"7 (sh) S 1 7 7 1083436 7", Some((136, 300))),
            (b"7 (cron) S 1 7 7 0 -1", None),
            (b"7 (sh) S 1 7", None),
            (b"7 sh S 1 7 7 34819 7", None),
            (b"", None),
        ] {
            assert_eq!(terminal_number(stat), expected, "{}", stat.escape_ascii());
        }
    }

    #[test]
    fn terminals_have_names() {
        assert_eq!(terminal(136, 300), "pts/300");
        assert_eq!(terminal(511, 7), "device 511:7");
    }

    #[test]
    fn a_process_that_is_gone_or_elsewhere_is_unknown() {
        assert_eq!(Process::of(0, None), Process::default());
        assert_eq!(Process::of(-1, None), Process::default());
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id();
        let open = || {
            // SAFETY: a system call with plain numbers; its result is checked below.
            let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
            assert!(fd >= 0);
            // SAFETY: a descriptor that the kernel has just given to us alone.
            unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd as i32) }
        };
        let (running, ended) = (open(), open());
        let found = Process::of(pid as i32, Some(running));
        assert_eq!((found.pid, found.program.is_some()), (Some(pid), true));
        child.kill().unwrap();
        child.wait().unwrap();
        let nothing_but_its_number = Process {
            pid: Some(pid),
            ..Process::default()
        };
        assert_eq!(Process::of(pid as i32, Some(ended)), nothing_but_its_number);
        assert_eq!(Process::of(pid as i32, None), nothing_but_its_number);
    }
}
