//! Named network namespaces and the links between them.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use super::cleanup::Undo;
use super::process::output;
use super::run::{NETNS_DIR, Run, remove_netns};

/// How long a link may take to come up.
const LINK_DEADLINE: Duration = Duration::from_secs(10);

/// A namespace, seen by `ip netns`. One that this run made goes away with the guard.
#[derive(Debug)]
pub struct Netns {
    name: String,
    file: File,
    _undo: Option<Undo>,
}

impl Netns {
    /// A new namespace with the loopback device up and IPv6 off, so that no frame occurs that nobody sent.
    ///
    /// # Errors
    /// When it can not be made (not root, no `ip` command).
    pub fn new(run: &Run, label: &str) -> Result<Self> {
        let name = run.name(label);
        let path = PathBuf::from(NETNS_DIR).join(&name);
        output(Command::new("ip").args(["netns", "add", &name]))?;
        let undo = run.undo(move || remove_netns(&path));
        let mut netns = Self::open(&name)?;
        netns._undo = Some(undo);
        netns.run(|| {
            for which in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
                // A kernel without IPv6 has no such file, and no stray frames either.
                if fs::exists(&path)? {
                    fs::write(&path, "1").with_context(|| format!("write {path}"))?;
                }
            }
            Ok(())
        })?;
        netns.ip(&["link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// A namespace that someone else made and keeps.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn open(name: &str) -> Result<Self> {
        let path = PathBuf::from(NETNS_DIR).join(name);
        let file =
            File::open(&path).with_context(|| format!("namespace {name} ({})", path.display()))?;
        Ok(Self {
            name: name.to_owned(),
            file,
            _undo: None,
        })
    }

    /// The name that `ip netns` shows.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` on a thread of its own inside the namespace. A panic of `f` goes on in the caller.
    ///
    /// # Errors
    /// When the namespace can not be entered, and what `f` returns.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> Result<R> + Send) -> Result<R> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter()?;
                f()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace, for good: only for threads started for that.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<()> {
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("enter namespace {}", self.name))
    }

    /// A command that will run inside the namespace. Other than with `ip netns exec` the mounts stay, and with
    /// them /sys/fs/bpf.
    ///
    /// # Errors
    /// When the namespace's descriptor can not be duplicated.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let file = self.file.try_clone().context("duplicate a descriptor")?;
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe {
            command.pre_exec(move || Ok(setns(&file, CloneFlags::CLONE_NEWNET)?));
        }
        Ok(command)
    }

    /// Runs `ip -n NAME ...` and returns what it printed.
    ///
    /// # Errors
    /// With the command line and its message when it fails.
    pub fn ip(&self, args: &[&str]) -> Result<String> {
        output(Command::new("ip").args(["-n", &self.name]).args(args))
    }

    /// A veth pair between `device` here and `peer_device` in `peer`, both up and able to send.
    ///
    /// # Errors
    /// When a name is taken or the link does not come up.
    pub fn veth(&self, device: &str, peer: &Self, peer_device: &str) -> Result<()> {
        self.ip(&[
            "link",
            "add",
            device,
            "type",
            "veth",
            "peer",
            "name",
            peer_device,
            "netns",
            &peer.name,
        ])?;
        self.ip(&["link", "set", device, "up"])?;
        peer.ip(&["link", "set", peer_device, "up"])?;
        self.wait_until_up(device)?;
        peer.wait_until_up(peer_device)
    }

    /// Waits until the kernel has noticed the device's carrier. Before that it silently drops what is sent, even
    /// if both ends are up.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_until_up(&self, device: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let link = self.link(device)?;
            if link["operstate"] == "UP" {
                return Ok(());
            }
            if start.elapsed() > LINK_DEADLINE {
                bail!(
                    "device {device} in {} is {} after {LINK_DEADLINE:?}, not UP",
                    self.name,
                    link["operstate"]
                );
            }
            std::thread::yield_now();
        }
    }

    /// What `ip -json link show` tells of a device.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn link(&self, device: &str) -> Result<Value> {
        let text = self.ip(&[
            "-details",
            "-statistics",
            "-json",
            "link",
            "show",
            "dev",
            device,
        ])?;
        let mut links: Vec<Value> =
            serde_json::from_str(&text).with_context(|| format!("ip link printed {text:?}"))?;
        links
            .pop()
            .with_context(|| format!("no device {device} in {}", self.name))
    }

    /// Gives a device an address, such as `10.0.10.1/24`.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn address(&self, device: &str, address: &str) -> Result<()> {
        self.ip(&["address", "add", address, "dev", device])?;
        Ok(())
    }

    /// The device's index in this namespace.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn ifindex(&self, device: &str) -> Result<u32> {
        self.run(|| {
            nix::net::if_::if_nametoindex(device)
                .with_context(|| format!("device {device} in {}", self.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_goes_with_its_guard() {
        let run = Run::new().unwrap();
        let netns = Netns::new(&run, "a").unwrap();
        let path = PathBuf::from(NETNS_DIR).join(netns.name());
        assert!(path.exists());
        drop(netns);
        assert!(!path.exists());
    }

    #[test]
    fn a_thread_inside_sees_only_its_own_devices() {
        let run = Run::new().unwrap();
        let (a, b) = (
            Netns::new(&run, "a").unwrap(),
            Netns::new(&run, "b").unwrap(),
        );
        a.veth("x", &b, "y").unwrap();
        assert!(a.ifindex("x").is_ok() && a.ifindex("y").is_err());
        assert!(b.ifindex("y").is_ok() && b.ifindex("x").is_err());
        assert!(nix::net::if_::if_nametoindex("x").is_err());
    }

    #[test]
    fn a_child_inside_keeps_the_mounts() {
        let run = Run::new().unwrap();
        let netns = Netns::new(&run, "a").unwrap();
        let here = fs::read_link("/proc/self/ns/mnt").unwrap();
        let there = output(netns.command("readlink").unwrap().arg("/proc/self/ns/mnt")).unwrap();
        assert_eq!(here.to_str().unwrap(), there.trim());
        let devices = output(netns.command("ip").unwrap().args(["-br", "link"])).unwrap();
        assert_eq!(devices.lines().count(), 1, "{devices}");
    }

    #[test]
    fn a_panic_inside_comes_out() {
        let run = Run::new().unwrap();
        let netns = Netns::new(&run, "a").unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            netns.run::<()>(|| panic!("on purpose"))
        }));
        assert!(caught.is_err());
    }
}
