//! The demonstration: traffic through a switch whose control plane is killed and started again.

use std::{
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use hitless_common::Mac;
use hitless_tests::harness::{
    cleanup,
    flow::{Flow, Spec},
    netns::Netns,
    report::Report,
    run,
    wait::wait_for,
};
use hitless_topo::{NodeHandle, UpOptions};
use serde_json::Value;

/// The lab's file, from the root of the repository.
const LAB: &str = "topologies/single/single.clab.yml";
/// How long each phase lasts.
const PHASE: Duration = Duration::from_secs(3);
/// How long the switch may take to answer.
const DEADLINE: Duration = Duration::from_secs(20);

/// Shows what Hitless promises: the control plane of a switch dies, and no frame is lost.
///
/// Exit code 0 only if nothing was lost, doubled or put out of order.
#[derive(Parser)]
struct Options {
    /// What to show
    #[arg(value_enum, default_value = "restart")]
    demo: Demo,
    /// Seconds that each phase lasts
    #[arg(long, default_value_t = PHASE.as_secs())]
    seconds: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Demo {
    /// SIGKILL of hitlessd under traffic, and a new start
    Restart,
}

fn main() -> Result<ExitCode> {
    hitless_topo::init_hook();
    let options = Options::parse();
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo needs root: it creates network namespaces and loads programs into the kernel"
    );
    cleanup::on_signals()?;
    for left in run::sweep() {
        eprintln!("removed {left}, left by a run that was cut off");
    }
    match options.demo {
        Demo::Restart => restart(Duration::from_secs(options.seconds.max(1))),
    }
}

/// A lab that goes away with this value.
struct Lab {
    name: String,
    _undo: cleanup::Undo,
}

impl Lab {
    fn up() -> Result<Self> {
        // The lab's own name if it is free, so that its namespaces are where the documents say.
        let taken = hitless_topo::list()?.iter().any(|lab| lab.name == "single");
        let name = if taken {
            format!("single-{}", std::process::id())
        } else {
            "single".to_string()
        };
        let binaries = std::env::current_exe()?
            .parent()
            .map(std::path::Path::to_path_buf);
        let options = UpOptions {
            lab_name: Some(name.clone()),
            bin_dir: binaries,
            ready_timeout: DEADLINE,
            progress: &|line| println!("  {line}"),
        };
        let ours = name.clone();
        let run = run::Run::new()?;
        let undo = run.undo(move || {
            let _ = hitless_topo::down(&ours);
        });
        hitless_topo::up(LAB.as_ref(), &options)?;
        Ok(Self { name, _undo: undo })
    }

    fn host(&self, node: &str) -> Result<(Netns, Mac)> {
        let netns = Netns::open(&format!("clab-{}-{node}", self.name))?;
        let address = netns.link("eth1")?["address"]
            .as_str()
            .unwrap_or_default()
            .to_string();
        let mac = address
            .parse()
            .with_context(|| format!("address of eth1 in {}", netns.name()))?;
        Ok((netns, mac))
    }

    fn switch(&self) -> Result<NodeHandle> {
        Ok(NodeHandle::open(&self.name, "sw1")?)
    }

    /// What `hitless show …` answers inside the switch.
    fn show(&self, what: &str) -> Result<Value> {
        let output = self
            .switch()?
            .output(&["hitless", "show", what, "--json"])?;
        ensure!(
            output.status.success(),
            "show {what}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("hitless printed no JSON")
    }

    /// The process that is master now.
    fn master(&self) -> Result<u64> {
        let shown = self.show("switch")?;
        shown["modules"][0]["pid"]
            .as_u64()
            .with_context(|| format!("no master in {shown}"))
    }
}

fn restart(phase: Duration) -> Result<ExitCode> {
    println!("Lab single: sw1 with h1, h2 (VLAN 10) and h3 (VLAN 20)");
    let lab = Lab::up()?;
    let ((h1, mac1), (h2, mac2)) = (lab.host("h1")?, lab.host("h2")?);

    println!("Numbered frames both ways between h1 and h2");
    let there = Spec::new("h1 → h2", (&h1, "eth1"), (&h2, "eth1"), mac1, mac2);
    let back = Spec {
        cpu: 1,
        ..Spec::new("h2 → h1", (&h2, "eth1"), (&h1, "eth1"), mac2, mac1)
    };
    let mut flows = [
        Flow::start(&there, "hitlessd up")?,
        Flow::start(&back, "hitlessd up")?,
    ];
    let first = lab.master()?;
    run_for(&flows, phase)?;

    println!("SIGKILL for hitlessd (process {first} in the node); nothing restarts it");
    for flow in &mut flows {
        flow.phase("hitlessd dead")?;
    }
    let killed = lab
        .switch()?
        .output(&["sh", "-c", &format!("kill -9 {first}")])?;
    ensure!(
        killed.status.success(),
        "kill: {}",
        String::from_utf8_lossy(&killed.stderr)
    );
    wait_for("the end of hitlessd", DEADLINE, || {
        Ok(lab.show("switch").is_err().then_some(()))
    })?;
    run_for(&flows, phase)?;

    println!("hitlessd starts again and adopts what it finds");
    for flow in &mut flows {
        flow.phase("new hitlessd")?;
    }
    start_hitlessd(&lab)?;
    wait_for("an answer of the new hitlessd", DEADLINE, || {
        Ok(lab.show("switch").ok())
    })?;
    run_for(&flows, phase)?;

    let [there, back] = flows;
    let reports = [there.stop()?, back.stop()?];
    println!();
    for report in &reports {
        println!("{report}");
    }
    let shown = lab.show("switch")?;
    println!(
        "The new hitlessd (generation {}) wrote {} entries of the hardware.\n",
        shown["generation"], shown["hardware_writes"]["total"]
    );
    println!("hitless show fdb:");
    let fdb = lab.switch()?.output(&["hitless", "show", "fdb"])?;
    println!("{}", String::from_utf8_lossy(&fdb.stdout));
    if reports.iter().all(Report::is_hitless) {
        println!("Nothing was lost.");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("FRAMES WERE LOST, DOUBLED OR OUT OF ORDER.");
        Ok(ExitCode::FAILURE)
    }
}

/// Lets both flows run, and makes sure that each of them does.
fn run_for(flows: &[Flow], duration: Duration) -> Result<()> {
    let before: Vec<u64> = flows.iter().map(Flow::received).collect();
    let end = Instant::now() + duration;
    wait_for("the end of the phase", duration * 2, || Ok((Instant::now() >= end).then_some(())))?;
    for (flow, before) in flows.iter().zip(before) {
        ensure!(flow.received() > before, "no frame arrived for {duration:?}");
    }
    Ok(())
}

fn start_hitlessd(lab: &Lab) -> Result<()> {
    let switch = lab.switch()?;
    let mut command: Command = switch.command("hitlessd");
    command.args(["--config", "/etc/hitless/hitless.yaml"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It outlives this handle and ends with the node.
    switch.spawn(command).map(drop)?;
    Ok(())
}
