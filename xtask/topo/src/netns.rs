//! Named network namespaces and the links between them, by the host's `ip`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::error::{Context, Error};
use crate::process::ProcessId;
use crate::state::absent;
use crate::topology::{End, Link};

/// Where `ip netns` looks for namespaces.
const DIRECTORY: &str = "/run/netns";

const NONE: Option<&str> = None;

/// The namespace's name in `ip netns`: as containerlab calls the container.
pub(crate) fn name(lab: &str, node: &str) -> String {
    format!("clab-{lab}-{node}")
}

fn path(netns: &str) -> PathBuf {
    PathBuf::from(DIRECTORY).join(netns)
}

pub(crate) fn exists(netns: &str) -> bool {
    path(netns).symlink_metadata().is_ok()
}

/// The inode of a process's network namespace.
pub(crate) fn inode_of(process: ProcessId) -> Result<u64, Error> {
    let file = format!("/proc/{}/ns/net", process.pid);
    let meta = fs::metadata(&file).context(|| format!("examine {file}"))?;
    Ok(meta.ino())
}

/// Gives a process's network namespace a name, as `ip netns attach` does. In this process: an `ip` outlives an `up`
/// that is killed, and could leave a name after the `down` that follows.
pub(crate) fn attach(netns: &str, process: ProcessId) -> Result<(), Error> {
    prepare_directory().context(|| format!("prepare {DIRECTORY}"))?;
    let (path, source) = (path(netns), format!("/proc/{}/ns/net", process.pid));
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o000)
        .open(&path)
        .context(|| format!("create {}", path.display()))?;
    let flags = MsFlags::MS_BIND;
    mount(Some(source.as_str()), &path, NONE, flags, NONE)
        .context(|| format!("mount {source} on {}", path.display()))
}

/// Makes the directory a shared mount, so that a name that is taken away goes from every mount namespace.
fn prepare_directory() -> nix::Result<()> {
    let made = fs::create_dir_all(DIRECTORY);
    made.map_err(|e| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    let share = || {
        mount(
            NONE,
            DIRECTORY,
            NONE,
            MsFlags::MS_SHARED | MsFlags::MS_REC,
            NONE,
        )
    };
    match share() {
        // Not a mount point yet.
        Err(Errno::EINVAL) => {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(DIRECTORY), DIRECTORY, NONE, flags, NONE)?;
            share()
        }
        other => other,
    }
}

/// Takes the name away, unless it belongs to a namespace other than the one with this inode.
pub(crate) fn detach(netns: &str, inode: Option<u64>) -> Result<(), Error> {
    let path = path(netns);
    while let Ok(meta) = fs::metadata(&path) {
        let filesystem = statfs(&path).context(|| format!("examine {}", path.display()))?;
        if filesystem.filesystem_type() != NSFS_MAGIC {
            // Nothing mounted (any more): the file that it was mounted on.
            break;
        }
        if Some(meta.ino()) != inode {
            return Ok(());
        }
        umount2(&path, MntFlags::MNT_DETACH).context(|| format!("unmount {}", path.display()))?;
    }
    absent(fs::remove_file(&path)).context(|| format!("remove {}", path.display()))
}

/// Makes a link, both ends inside their namespaces from the start.
pub(crate) fn create(lab: &str, link: &Link) -> Result<(), Error> {
    let [a, b] = &link.ends;
    let (netns, peer) = (name(lab, &a.node), name(lab, &b.node));
    let mtu = link.mtu.to_string();
    let mut args = vec!["-n", &netns, "link", "add", "dev"];
    args.extend(interface(a, &mtu));
    args.extend(["type", "veth", "peer", "name"]);
    args.extend(interface(b, &mtu));
    args.extend(["netns", &peer]);
    ip(&args, "")
}

fn interface<'a>(end: &'a End, mtu: &'a str) -> Vec<&'a str> {
    let mut args = vec![end.interface.as_str(), "mtu", mtu];
    if let Some(mac) = &end.mac {
        args.extend(["address", mac]);
    }
    args
}

/// Sets the loopback and the link ends of a node up.
pub(crate) fn up(lab: &str, node: &str, links: &[Link]) -> Result<(), Error> {
    let ends = links.iter().flat_map(|link| &link.ends);
    let own = ends
        .filter(|end| end.node == node)
        .map(|end| end.interface.as_str());
    let interfaces: BTreeSet<&str> = own.chain(["lo"]).collect();
    let mut commands = String::new();
    for interface in interfaces {
        let _ = writeln!(commands, "link set dev {interface} up");
    }
    ip(&["-n", &name(lab, node), "-batch", "-"], &commands)
}

/// Runs `ip` with commands on its standard input.
fn ip(args: &[&str], commands: &str) -> Result<(), Error> {
    let run = || -> io::Result<_> {
        let mut child = Command::new("ip")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // When it ends early, its exit status and words say more than the broken pipe.
            let _ = stdin.write_all(commands.as_bytes());
        }
        child.wait_with_output()
    };
    let reason = match run() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            "there is no `ip` in PATH: install iproute2".into()
        }
        Err(e) => e.to_string(),
    };
    let command = format!("ip {}", args.join(" "));
    Err(Error::Host { command, reason })
}
