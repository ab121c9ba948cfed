//! The file system of a node, built by its first process in its own mount namespace.
//!
//! A node sees the host's file systems through overlays: what it writes stays in the node's memory and ends
//! with it, so neither a mount point that a bind needs nor any program in the node ever changes the host.
//! `/run`, `/tmp`, `/proc`, `/sys` and `/sys/fs/bpf` are new and the node's own; `/dev` is the host's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir, pivot_root};

use crate::image::BINARIES_IN_NODE;
use crate::init::Spec;
use crate::state::DIRECTORY;

/// Directories that a node does not take over from the host.
const OWN: [&str; 5] = ["/proc", "/sys", "/run", "/tmp", "/dev/shm"];

/// Kinds of file systems that can be below an overlay.
const OVERLAYABLE: [&str; 9] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "tmpfs",
];

/// Adds the step to an error: "open /x: No such file or directory".
fn step<T, E: Into<io::Error>>(
    result: Result<T, E>,
    what: impl FnOnce() -> String,
) -> Result<T, String> {
    result.map_err(|e| format!("{}: {}", what(), e.into()))
}

/// A file or directory of the host, held while its name is covered by the node's own mounts.
struct Held {
    fd: OwnedFd,
    target: PathBuf,
    read_only: bool,
}

/// Builds the file system and makes it the root of the calling process, which must be alone in its mount
/// namespace.
pub(crate) fn build(spec: &Spec) -> Result<(), String> {
    mount_at(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)?;
    let mut held = Vec::new();
    if let Some(directory) = &spec.binaries {
        held.push(hold(directory, Path::new(BINARIES_IN_NODE), true)?);
    }
    for bind in &spec.binds {
        held.push(hold(&bind.source, &bind.target, bind.read_only)?);
    }
    let mounts = visible_mounts()?;

    // Covers the host's directory of that name in this namespace only.
    mount_at(
        Some("tmpfs"),
        DIRECTORY,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )?;
    let base = Path::new(DIRECTORY);
    let root = base.join("root");
    step(fs::create_dir(&root), || {
        format!("create {}", root.display())
    })?;
    overlay(Path::new("/"), &root, &base.join("layer"))?;
    for (i, host) in mounts.iter().enumerate() {
        take_over(host, &root, &base.join(format!("layer{i}")));
    }
    own_mounts(&root)?;

    let old = step(
        open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()),
        || "open /".into(),
    )?;
    step(chdir(&root), || format!("enter {}", root.display()))?;
    step(pivot_root(".", "."), || "change the root directory".into())?;
    // From here on names mean the node's files, so that a link in the way of a bind's target can not lead
    // out of the node; the held files of the host are still reachable until the old root goes.
    for held in &held {
        bind(held).map_err(|e| format!("bind to {}: {e}", held.target.display()))?;
    }
    step(fchdir(&old), || "enter the old root directory".into())?;
    step(umount2(".", MntFlags::MNT_DETACH), || {
        "leave the old root directory".into()
    })?;
    step(chdir("/"), || "enter the root directory".into())
}

/// Mounts with an error that names the place.
fn mount_at(
    source: Option<&str>,
    target: impl AsRef<Path>,
    kind: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) -> Result<(), String> {
    let target = target.as_ref();
    step(mount(source, target, kind, flags, data), || {
        let kind = kind.or(source).unwrap_or("mount");
        format!("mount {kind} at {}", target.display())
    })
}

fn hold(source: &Path, target: &Path, read_only: bool) -> Result<Held, String> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    Ok(Held {
        fd: step(open(source, flags, Mode::empty()), || {
            format!("open {}", source.display())
        })?,
        target: target.into(),
        read_only,
    })
}

/// Mounts an overlay that shows `lower` at `target` and keeps writes below `layer`.
fn overlay(lower: &Path, target: &Path, layer: &Path) -> Result<(), String> {
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    for directory in [&upper, &work] {
        step(fs::create_dir_all(directory), || {
            format!("create {}", directory.display())
        })?;
    }
    let text = |path: &Path| {
        path.to_str()
            .filter(|p| !p.contains([',', ':', '\\']))
            .map(String::from)
    };
    let parts = (text(lower), text(&upper), text(&work));
    let (Some(lower), Some(upper), Some(work)) = parts else {
        return Err(format!(
            "{}: an overlay can not have such a name",
            lower.display()
        ));
    };
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    mount_at(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(&options)).map_err(|e| {
        format!("{e} (over {lower}; the kernel needs overlayfs, and allows two overlays on each other at most)")
    })
}

/// A mount of the host.
#[derive(Debug, PartialEq, Eq)]
struct HostMount {
    id: u64,
    point: PathBuf,
    kind: String,
}

/// The host's mounts other than its root that a node takes over and that are not covered by others, outer
/// ones first.
fn visible_mounts() -> Result<Vec<HostMount>, String> {
    let table = step(fs::read_to_string("/proc/self/mountinfo"), || {
        "read /proc/self/mountinfo".into()
    })?;
    let mut mounts: Vec<HostMount> = table
        .lines()
        .filter_map(parse_mount)
        .filter(|m| m.point != Path::new("/") && m.kind != "autofs")
        .filter(|m| !OWN.iter().any(|own| m.point.starts_with(own)))
        .filter(|m| mount_id(&m.point) == Some(m.id))
        .collect();
    mounts.sort_by(|a, b| a.point.cmp(&b.point));
    Ok(mounts)
}

/// A line of proc_pid_mountinfo(5).
fn parse_mount(line: &str) -> Option<HostMount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    Some(HostMount {
        id: fields.next()?.parse().ok()?,
        point: unescape(fields.nth(3)?).into(),
        kind: filesystem.split(' ').next()?.into(),
    })
}

/// The kernel writes blanks, line ends and backslashes as three octal digits.
fn unescape(field: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(field.to_string(), |text, (escape, plain)| {
            text.replace(escape, plain)
        })
}

/// The mount that a name leads to; `None` when it leads nowhere.
fn mount_id(path: &Path) -> Option<u64> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let fd = open(path, flags, Mode::empty()).ok()?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok()
}

/// Shows a mount of the host in the node: devices as they are, the rest so that the node can not change it.
/// A mount that can not be shown is left out with a line in the log: few nodes need them.
fn take_over(host: &HostMount, root: &Path, layer: &Path) {
    let Ok(inside) = host.point.strip_prefix("/") else {
        return;
    };
    let target = root.join(inside);
    let bind = || {
        let source = host.point.to_str();
        mount_at(source, &target, None, MsFlags::MS_BIND, None)
    };
    let read_only = || {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount_at(None, &target, None, flags, None)
    };
    let shown = if host.point.starts_with("/dev") {
        bind()
    } else if OVERLAYABLE.contains(&host.kind.as_str()) && host.point.is_dir() {
        overlay(&host.point, &target, layer).or_else(|_| bind().and_then(|()| read_only()))
    } else {
        bind().and_then(|()| read_only())
    };
    if let Err(e) = shown {
        eprintln!(
            "hitless-topo: {} is not visible in the node: {e}",
            host.point.display()
        );
    }
}

/// What every node has for itself.
fn own_mounts(root: &Path) -> Result<(), String> {
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    for (place, kind, flags, data) in [
        ("proc", "proc", safe | MsFlags::MS_NOEXEC, None),
        ("sys", "sysfs", safe | MsFlags::MS_NOEXEC, None),
        ("sys/fs/bpf", "bpf", safe | MsFlags::MS_NOEXEC, None),
        ("run", "tmpfs", safe, Some("mode=755")),
        ("tmp", "tmpfs", safe, Some("mode=1777")),
        (
            "dev/shm",
            "tmpfs",
            safe | MsFlags::MS_NOEXEC,
            Some("mode=1777"),
        ),
    ] {
        let target = root.join(place);
        if place.starts_with("dev") && !target.is_dir() {
            // The host has none, and its /dev is not ours to add to.
            continue;
        }
        step(fs::create_dir_all(&target), || format!("create /{place}"))?;
        mount_at(Some(kind), &target, Some(kind), flags, data)?;
    }
    Ok(())
}

/// Mounts a held file or directory of the host at its place, making the place when it is not there.
fn bind(held: &Held) -> Result<(), String> {
    let source = format!("/proc/self/fd/{}", held.fd.as_raw_fd());
    let is_directory = step(fs::metadata(&source), || "examine the source".into())?.is_dir();
    let target = &held.target;
    match fs::metadata(target) {
        Ok(there) if there.is_dir() == is_directory => {}
        Ok(_) => return Err("one is a directory, the other a file".into()),
        Err(_) => {
            let directory = if is_directory {
                Some(target.as_path())
            } else {
                target.parent()
            };
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o755);
            let made = directory.map_or(Ok(()), |d| builder.create(d));
            step(made, || "create the directory".into())?;
            if !is_directory {
                let file: io::Result<File> = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o644)
                    .open(target);
                step(file, || "create the file".into())?;
            }
        }
    }
    mount_at(Some(&source), target, None, MsFlags::MS_BIND, None)?;
    if held.read_only {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount_at(None, target, None, flags, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_as_the_kernel_writes_them() {
        let line = r"36 35 98:0 /mnt1 /mnt\0402\134 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let expected = HostMount {
            id: 36,
            point: "/mnt 2\\".into(),
            kind: "ext3".into(),
        };
        assert_eq!(parse_mount(line), Some(expected));
        assert_eq!(parse_mount("36 35"), None);
    }

    #[test]
    fn the_mount_behind_a_name() {
        let proc = mount_id(Path::new("/proc")).unwrap();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts: Vec<HostMount> = table.lines().filter_map(parse_mount).collect();
        assert!(mounts.iter().any(|m| m.id == proc && m.kind == "proc"));
        assert_eq!(mount_id(Path::new("/nowhere")), None);
    }
}
