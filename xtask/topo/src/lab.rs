//! Labs: up, down, list.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use crate::boot::Booting;
use crate::enter::NodeHandle;
use crate::error::{Context, Error};
use crate::init::{self, Spec};
use crate::process::Dying;
use crate::state::{NodeState, State, Store};
use crate::topology::{Node, Topology, lab_of};
use crate::{image, netns};

/// How long `down` waits for a node's processes to be gone.
const DEATH_TIMEOUT: Duration = Duration::from_secs(20);

/// How a lab is brought up.
#[derive(Clone)]
pub struct UpOptions<'a> {
    /// Name of the lab instead of the one in the file, so that labs from one file can run side by side.
    pub lab_name: Option<String>,
    /// Directory of `hitless`, `hitless-boot` and `hitlessd` for nodes of our image; by default that of the running
    /// program, or the one above it.
    pub bin_dir: Option<PathBuf>,
    /// How long to wait for each node's health check to pass, counted from the end of its `exec` lines.
    pub ready_timeout: Duration,
    /// Receives a line for each thing that the user should know.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

impl Default for UpOptions<'_> {
    fn default() -> Self {
        Self {
            lab_name: None,
            bin_dir: None,
            ready_timeout: Duration::from_secs(10),
            progress: &|_| {},
        }
    }
}

/// Whether all of a lab is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabStatus {
    /// Every node's first process is alive.
    Up,
    /// `up` was interrupted, or is still at work.
    Incomplete,
    /// At least one node's first process is dead.
    Broken,
}

/// A lab on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabInfo {
    /// Its name.
    pub name: String,
    /// The topology file.
    pub file: PathBuf,
    /// Whether all of it is there.
    pub status: LabStatus,
    /// By name.
    pub nodes: Vec<NodeInfo>,
    /// Each as `node:interface -- node:interface`.
    pub links: Vec<String>,
}

/// A node of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its network namespace, for `ip netns`.
    pub netns: String,
    /// The image that the file names.
    pub image: String,
    /// What it runs, empty for an idle node.
    pub command: Vec<String>,
    /// Process id of its first process, `None` when that is dead. `/proc/<pid>/root` is the node's root
    /// directory.
    pub pid: Option<i32>,
    /// What its processes print.
    pub log: PathBuf,
}

/// What `down` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownReport {
    /// The lab.
    pub lab: String,
    /// Whether there was anything to take down.
    pub was_up: bool,
}

/// Brings the lab of a topology file up: namespaces, links, commands, `exec` lines, in this order, and waits
/// for health checks. Everything made so far is removed again when a step fails.
///
/// # Errors
/// [`Error::Topology`] for a bad file; [`Error::AlreadyUp`] and [`Error::Busy`] when the lab's name is in use;
/// [`Error::Node`] with the end of the node's log when a node does not start.
pub fn up(file: &Path, options: &UpOptions<'_>) -> Result<LabInfo, Error> {
    require_root("bringing a lab up")?;
    if !init::is_hooked() {
        return Err(Error::NoInitHook);
    }
    let topology = Topology::load(file, options.lab_name.as_deref())?;
    for warning in &topology.warnings {
        (options.progress)(&format!("warning: {warning}"));
    }
    let store = Store::default();
    let _lock = store.lock(&topology.name)?;
    if let Some(state) = store.read(&topology.name)? {
        let condition = match info(&state)?.status {
            LabStatus::Up => "is up",
            LabStatus::Incomplete => "was left incomplete by an interrupted `up`",
            LabStatus::Broken => "is broken (a node's first process is dead)",
        };
        let lab = topology.name;
        return Err(Error::AlreadyUp { lab, condition });
    }
    let plans = plan(&topology, options, &store)?;
    if let Some(taken) = plans.iter().find(|plan| netns::exists(&plan.state.netns)) {
        let netns = taken.state.netns.clone();
        return Err(Error::NetnsExists { netns });
    }
    let nodes = plans.iter().map(|plan| plan.state.clone()).collect();
    let links = topology.links.iter().map(ToString::to_string).collect();
    let mut state = State::new(&topology.name, &topology.file, nodes, links)?;
    let logs = store.logs(&topology.name);
    fs::create_dir_all(&logs).context(|| format!("create {}", logs.display()))?;

    let mut result = store.write(&state);
    if result.is_ok() {
        result = bring_up(&topology, &plans, &mut state, &store, options);
    }
    match result.and_then(|()| info(&state)) {
        Ok(info) => Ok(info),
        Err(cause) => {
            if let Err(e) = tear_down(&state, &store) {
                (options.progress)(&format!("warning: cleaning up: {e}"));
            }
            Err(cause)
        }
    }
}

/// Takes a lab down: ends every process in it and removes its namespaces, links, logs and state. Does nothing
/// when the lab is not up. `file_or_lab` is a topology file or a lab's name.
///
/// # Errors
/// [`Error::Busy`] while another process brings the lab up or down; [`Error::WontDie`].
pub fn down(file_or_lab: &str) -> Result<DownReport, Error> {
    let lab = lab_of(file_or_lab)?;
    require_root("taking a lab down")?;
    let store = Store::default();
    let _lock = store.lock(&lab)?;
    let state = store.read(&lab)?;
    let was_up = state.is_some();
    match state {
        Some(state) => tear_down(&state, &store)?,
        // An `up` that was killed very early may have left a directory.
        None => store.remove(&lab)?,
    }
    Ok(DownReport { lab, was_up })
}

/// The labs of this machine, by name.
///
/// # Errors
/// [`Error::State`] when a state file is not one of ours.
pub fn list() -> Result<Vec<LabInfo>, Error> {
    Store::default().all()?.iter().map(info).collect()
}

fn require_root(action: &'static str) -> Result<(), Error> {
    match geteuid() {
        uid if uid.is_root() => Ok(()),
        uid => Err(Error::NeedsRoot {
            action,
            uid: uid.as_raw(),
        }),
    }
}

/// What is known about a node before anything of it exists.
struct Plan<'a> {
    node: &'a Node,
    spec: Spec,
    state: NodeState,
}

fn plan<'a>(
    topology: &'a Topology,
    options: &UpOptions<'_>,
    store: &Store,
) -> Result<Vec<Plan<'a>>, Error> {
    let mut plans = Vec::new();
    for node in &topology.nodes {
        let ours = image::is_ours(&node.image);
        let binaries = match ours {
            true => Some(image::binaries(node, options.bin_dir.as_deref())?),
            false => None,
        };
        let command = image::command(node);
        let (name, image) = (&node.name, &node.image);
        let runs = match command.join(" ") {
            idle if idle.is_empty() => "idle".into(),
            line => format!("runs `{line}`"),
        };
        (options.progress)(&match &binaries {
            Some(directory) => {
                format!(
                    "{name}: image {image} stands for the binaries in {}: {runs}",
                    directory.display()
                )
            }
            None => format!("{name}: image {image} is not used: {runs}, with this host's programs"),
        });
        let env = environment(node);
        plans.push(Plan {
            node,
            state: NodeState {
                name: name.clone(),
                netns: netns::name(&topology.name, name),
                image: image.clone(),
                command: command.clone(),
                env: env.clone(),
                log: store.logs(&topology.name).join(format!("{name}.log")),
                init: None,
                netns_inode: None,
            },
            spec: Spec {
                hostname: node.hostname.clone(),
                command,
                env,
                sysctls: node.sysctls.clone(),
                binds: node.binds.clone(),
                binaries,
            },
        });
    }
    Ok(plans)
}

/// What a container runtime sets, then what the file says.
fn environment(node: &Node) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", image::path(node)),
        ("HOSTNAME", node.hostname.clone()),
        ("HOME", "/root".into()),
        ("TERM", "xterm".into()),
    ]
    .map(|(key, value)| (key.into(), value))
    .into();
    env.extend(node.env.clone());
    env
}

fn bring_up(
    topology: &Topology,
    plans: &[Plan<'_>],
    state: &mut State,
    store: &Store,
    options: &UpOptions<'_>,
) -> Result<(), Error> {
    let lab = &topology.name;
    let mut booting = Vec::new();
    for (i, plan) in plans.iter().enumerate() {
        let mut boot = Booting::create(lab, plan.node, &plan.spec, &plan.state.log)?;
        // Written before the node can outlive this process.
        state.nodes[i].init = Some(boot.init);
        state.nodes[i].netns_inode = Some(netns::inode_of(boot.init)?);
        store.write(state)?;
        boot.build();
        booting.push(boot);
    }
    // The nodes build their file systems at the same time.
    for (boot, plan) in booting.iter_mut().zip(plans) {
        boot.ready()?;
        netns::attach(&plan.state.netns, boot.init)?;
    }
    for link in &topology.links {
        netns::create(lab, link)?;
    }
    for node in &topology.nodes {
        netns::up(lab, &node.name, &topology.links)?;
    }

    // At the same time, since nodes may wait for each other.
    let results: Vec<Result<(), Error>> = std::thread::scope(|scope| {
        let start = |(boot, plan): (Booting<'_>, &Plan<'_>)| {
            let (name, env) = (&plan.node.name, plan.state.env.clone());
            let handle = NodeHandle::of(boot.init, name, env)?.ok_or_else(|| Error::NodeDead {
                lab: lab.clone(),
                node: name.clone(),
            })?;
            if let Some(how) = boot.start(&handle, options.ready_timeout)? {
                let log = plan.state.log.display();
                (options.progress)(&format!(
                    "warning: {name}: its command has ended ({how}), see {log}"
                ));
            }
            Ok(())
        };
        let threads: Vec<_> = booting
            .into_iter()
            .zip(plans)
            .map(|pair| scope.spawn(move || start(pair)))
            .collect();
        let panicked = || Error::Io {
            what: "start a node".into(),
            source: std::io::Error::other("the thread panicked"),
        };
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(panicked())))
            .collect()
    });
    results.into_iter().collect::<Result<(), Error>>()?;
    state.complete = true;
    store.write(state)
}

/// Removes all of a lab, as far as it exists. The caller holds the lab's lock.
fn tear_down(state: &State, store: &Store) -> Result<(), Error> {
    let mut dying = Vec::new();
    for node in &state.nodes {
        if let Some(init) = state.live_init(node)? {
            let killed = Dying::kill(init);
            let killed = killed.context(|| format!("end the processes of node '{}'", node.name))?;
            dying.extend(killed.map(|process| (node, process)));
        }
    }
    for (node, process) in dying {
        let ended = process.wait(DEATH_TIMEOUT);
        if !ended.context(|| format!("wait for the end of node '{}'", node.name))? {
            return Err(Error::WontDie {
                lab: state.lab.clone(),
                node: node.name.clone(),
                pid: process.id.pid,
                seconds: DEATH_TIMEOUT.as_secs(),
            });
        }
    }
    for node in &state.nodes {
        netns::detach(&node.netns, node.netns_inode)?;
    }
    store.remove(&state.lab)
}

fn info(state: &State) -> Result<LabInfo, Error> {
    let mut nodes = Vec::new();
    for node in &state.nodes {
        nodes.push(NodeInfo {
            name: node.name.clone(),
            netns: node.netns.clone(),
            image: node.image.clone(),
            command: node.command.clone(),
            pid: state.live_init(node)?.map(|init| init.pid),
            log: node.log.clone(),
        });
    }
    let status = if !state.complete {
        LabStatus::Incomplete
    } else if nodes.iter().any(|node| node.pid.is_none()) {
        LabStatus::Broken
    } else {
        LabStatus::Up
    };
    Ok(LabInfo {
        name: state.lab.clone(),
        file: state.file.clone(),
        status,
        nodes,
        links: state.links.clone(),
    })
}

impl fmt::Display for LabStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Incomplete => "incomplete",
            Self::Broken => "broken",
        })
    }
}

/// A table of the nodes under a line for the lab.
impl fmt::Display for LabInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "lab {} ({}) from {}",
            self.name,
            self.status,
            self.file.display()
        )?;
        let width = |text: fn(&NodeInfo) -> &str, title: &str| {
            let widths = self.nodes.iter().map(|node| text(node).len());
            widths.chain([title.len()]).max().unwrap_or(0)
        };
        let (name, netns) = (width(|n| &n.name, "NODE"), width(|n| &n.netns, "NETNS"));
        let image = width(|n| &n.image, "IMAGE");
        writeln!(
            f,
            "  {:name$}  {:>7}  {:netns$}  {:image$}  LOG",
            "NODE", "PID", "NETNS", "IMAGE"
        )?;
        for node in &self.nodes {
            let pid = node
                .pid
                .map_or_else(|| "dead".into(), |pid| pid.to_string());
            writeln!(
                f,
                "  {:name$}  {pid:>7}  {:netns$}  {:image$}  {}",
                node.name,
                node.netns,
                node.image,
                node.log.display()
            )?;
        }
        Ok(())
    }
}
