//! The promise in half a minute: the control plane is killed under traffic, and nobody notices.

use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use hitless_common::Mac;
use hitless_tests::harness::cleanup;
use hitless_tests::harness::flow::{Flow, Spec};
use hitless_tests::harness::netns::Netns;
use hitless_tests::harness::run::{self, Run, Scratch};
use hitless_tests::harness::switch::DEADLINE;
use hitless_tests::harness::wait::wait_for;
use hitless_topo::{NodeHandle, UpOptions};
use serde_json::Value;

const TOPOLOGY: &str = "topologies/single/single.clab.yml";
const SWITCH: &str = "sw1";
const CONFIG: &str = "/etc/hitless/hitless.yaml";

/// Shows that frames do not depend on the control plane.
///
/// Brings up the lab `single`, sends numbered frames between h1 and h2 both ways, kills hitlessd with SIGKILL,
/// starts it again, and counts. Exit code 0 only if nothing was lost, doubled or re-ordered.
#[derive(Parser)]
struct Options {
    /// Which demo
    #[arg(value_parser = ["single"], default_value = "single")]
    demo: String,
    /// Seconds that each phase lasts at least
    #[arg(long, default_value_t = 3, value_name = "N")]
    seconds: u64,
    /// Frames a second that each host sends
    #[arg(long, default_value_t = 250_000, value_name = "N")]
    rate: u32,
}

fn main() -> Result<ExitCode> {
    // A node's first process is this program in another role.
    hitless_topo::init_hook();
    let options = Options::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo needs root: it creates network namespaces and loads programs into the kernel"
    );
    cleanup::on_signals()?;
    run::sweep();
    let run = Run::new()?;
    let hitless = show(&run, &options)?;
    Ok(if hitless {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the demo; whether nothing was lost.
fn show(run: &Run, options: &Options) -> Result<bool> {
    println!(
        "Lab {}: one switch, {SWITCH}, and three hosts ({TOPOLOGY})",
        options.demo
    );
    let up = UpOptions {
        ready_timeout: DEADLINE,
        progress: &|line| println!("  {line}"),
        ..UpOptions::default()
    };
    let lab = hitless_topo::up(Path::new(TOPOLOGY), &up)?;
    let name = lab.name.clone();
    let _down = run.undo(move || {
        if let Err(error) = hitless_topo::down(&name) {
            eprintln!("taking the lab down: {error}");
        }
    });
    let mut node = Node::open(&lab.name)?;
    let hosts = [Host::open(&lab.name, "h1")?, Host::open(&lab.name, "h2")?];
    println!(
        "h1 and h2 send each other {} numbered frames a second from here on.",
        options.rate
    );

    let phase = Duration::from_secs(options.seconds);
    let mut flows = Vec::new();
    for (cpu, [from, to]) in [[0, 1], [1, 0]].into_iter().enumerate() {
        let (from, to) = (&hosts[from], &hosts[to]);
        let title = format!("{} to {}", from.name, to.name);
        let spec = Spec {
            cpu,
            rate: Some(options.rate),
            urgent: true,
            ..Spec::new(
                &title,
                (&from.netns, Host::DEVICE),
                (&to.netns, Host::DEVICE),
                from.mac,
                to.mac,
            )
        };
        flows.push(Flow::start(&spec, "hitlessd runs")?);
    }
    std::thread::sleep(phase);

    let pid = node.pid()?;
    begin(&mut flows, "hitlessd is killed")?;
    println!("kill -KILL {pid}: hitlessd is gone.");
    node.kill(pid)?;
    begin(&mut flows, "no hitlessd")?;
    std::thread::sleep(phase);

    begin(&mut flows, "hitlessd starts")?;
    let scratch = Scratch::new(run, "demo")?;
    let pid = node.start(&scratch.path().join("hitlessd.log"))?;
    println!("hitlessd runs again, as process {pid}.");
    begin(&mut flows, "hitlessd runs again")?;
    std::thread::sleep(phase);

    let mut hitless = true;
    for flow in flows {
        let report = flow.stop()?;
        println!("\n{report}");
        hitless &= report.is_hitless();
    }
    println!(
        "{SWITCH}: hitless show fdb\n{}",
        node.output(&["hitless", "show", "fdb"])?
    );
    println!(
        "{}",
        if hitless {
            "Nothing was lost, doubled or re-ordered."
        } else {
            "NOT hitless: see the table."
        }
    );
    Ok(hitless)
}

fn begin(flows: &mut [Flow], phase: &str) -> Result<()> {
    flows.iter_mut().try_for_each(|flow| flow.phase(phase))
}

/// A host of the lab.
struct Host {
    name: &'static str,
    netns: Netns,
    mac: Mac,
}

impl Host {
    const DEVICE: &str = "eth1";

    fn open(lab: &str, name: &'static str) -> Result<Self> {
        let netns = Netns::open(&format!("clab-{lab}-{name}"))?;
        let link = netns.link(Self::DEVICE)?;
        let mac = link["address"].as_str().context("a link without address")?;
        Ok(Self {
            name,
            mac: mac.parse()?,
            netns,
        })
    }
}

/// The switch's node.
struct Node {
    handle: NodeHandle,
    daemon: Option<Child>,
}

impl Node {
    fn open(lab: &str) -> Result<Self> {
        Ok(Self {
            handle: NodeHandle::open(lab, SWITCH)?,
            daemon: None,
        })
    }

    fn output(&self, argv: &[&str]) -> Result<String> {
        let output = self.handle.output(argv)?;
        if !output.status.success() {
            bail!(
                "{argv:?} in {SWITCH}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The master's process id, as the node counts processes.
    fn pid(&self) -> Result<u64> {
        let text = self.output(&["hitless", "show", "switch", "--json"])?;
        let switch: Value = serde_json::from_str(&text).context("answer of the switch")?;
        switch["modules"][0]["pid"]
            .as_u64()
            .with_context(|| format!("no process id in {text}"))
    }

    /// Kills a process of the node and waits until it has gone.
    fn kill(&self, pid: u64) -> Result<()> {
        let pid = pid.to_string();
        self.output(&["sh", "-c", &format!("kill -KILL {pid}")])?;
        wait_for("the end of hitlessd", DEADLINE, || {
            let alive = self.output(&["sh", "-c", &format!("kill -0 {pid}")]);
            Ok(alive.is_err().then_some(()))
        })
    }

    /// Starts hitlessd as the node did, and waits until it answers.
    fn start(&mut self, log: &Path) -> Result<u64> {
        let file =
            std::fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let mut command = self.handle.command("hitlessd");
        command
            .args(["--config", CONFIG])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        self.daemon = Some(self.handle.spawn(command)?);
        wait_for("hitlessd to answer", DEADLINE, || self.pid().map(Some)).with_context(|| {
            format!(
                "its log:\n{}",
                std::fs::read_to_string(log).unwrap_or_default()
            )
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The node's end kills whatever still runs in it; this one is our child.
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
