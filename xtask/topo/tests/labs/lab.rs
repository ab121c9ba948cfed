//! A lab of a test's own, and what tests ask of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hitless_topo::{Error, LabInfo, NodeHandle, UpOptions, down, list, up};

pub fn named(lab: &str) -> UpOptions<'static> {
    UpOptions {
        lab_name: Some(lab.into()),
        ..Default::default()
    }
}

/// A topology file in a directory of its own, and a lab name that nobody else uses. Takes the lab down when
/// the test ends, also by a panic.
pub struct Lab {
    pub name: String,
    directory: tempfile::TempDir,
}

/// Two idle hosts on one link.
pub const PAIR: &str = "
name: in-file
topology:
  defaults:
    kind: linux
    image: alpine:3
    sysctls: {net.ipv6.conf.all.disable_ipv6: 1}
  nodes:
    a: {exec: ['ip addr add 10.9.0.1/24 dev eth1']}
    b: {exec: ['ip addr add 10.9.0.2/24 dev eth1']}
  links:
    - endpoints: ['a:eth1', 'b:eth1']
";

impl Lab {
    pub fn new(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let lab = Self {
            name: format!("t{}-{n}", std::process::id()),
            directory: tempfile::tempdir().unwrap(),
        };
        lab.write("lab.clab.yml", text);
        lab
    }

    /// One node `n` with these settings, each a line with its indentation of six.
    pub fn node(settings: &str) -> Self {
        Self::new(&format!(
            "name: x\ntopology:\n  nodes:\n    n:\n      kind: linux\n      image: alpine:3\n{settings}"
        ))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn file(&self) -> PathBuf {
        self.path("lab.clab.yml")
    }

    pub fn up(&self) -> Result<LabInfo, Error> {
        up(&self.file(), &named(&self.name))
    }

    pub fn handle(&self, node: &str) -> NodeHandle {
        NodeHandle::open(&self.name, node).unwrap()
    }

    /// What a command prints in a node; it must succeed.
    pub fn run(&self, node: &str, argv: &[&str]) -> String {
        let output = self.handle(node).output(argv).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{node}: {argv:?}: {}: {text}{errors}",
            output.status
        );
        text.trim_end().into()
    }

    pub fn sh(&self, node: &str, script: &str) -> String {
        self.run(node, &["sh", "-c", script])
    }

    pub fn info(&self) -> Option<LabInfo> {
        list()
            .unwrap()
            .into_iter()
            .find(|lab| lab.name == self.name)
    }

    pub fn netns(&self, node: &str) -> PathBuf {
        Path::new("/run/netns").join(format!("clab-{}-{node}", self.name))
    }

    /// Everything on this machine that has to do with the lab.
    pub fn traces(&self) -> Vec<String> {
        let mut traces = Vec::new();
        let ours = format!("clab-{}-", self.name);
        for directory in ["/run/netns", "/run/hitless-topo", "/run/hitless-topo/logs"] {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.starts_with(&ours)
                    || name == self.name
                    || name.starts_with(&format!("{}.", self.name))
                {
                    traces.push(format!("{directory}/{name}"));
                }
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let left = points.filter(|p| p.contains(&ours) || p.starts_with("/run/hitless-topo"));
        traces.extend(left.map(String::from));
        for entry in fs::read_dir("/proc").unwrap() {
            let file = entry.unwrap().path().join("cmdline");
            let line = fs::read_to_string(file).unwrap_or_default();
            if line.starts_with("hitless-topo-init\0")
                && line.contains(&format!("\0{}\0", self.name))
            {
                traces.push(line);
            }
        }
        traces
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(e) = down(&self.name) {
            eprintln!("{e}");
        }
    }
}

/// Waits for something that another process does.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        // Nothing to wait on: it is the state of files and processes of others.
        std::thread::sleep(Duration::from_millis(5));
    }
}
