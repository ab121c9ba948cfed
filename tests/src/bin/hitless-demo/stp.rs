//! Spanning tree that survives its masters: the lab `ring` loses a link, gets it back, and loses masters.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hitless::northbound::api::{StpRole, StpState, StpdInfo};
use hitless_common::Mac;
use hitless_tests::harness::bpdus::Recorder;
use hitless_tests::harness::netns::Netns;
use hitless_tests::harness::numbered::{Broadcast, Outcome, Station};
use hitless_tests::harness::run::Run;
use hitless_tests::harness::switch::DEADLINE;
use hitless_tests::harness::wait::wait_for;
use hitless_topo::{NodeHandle, UpOptions};
use serde_json::Value;

use super::Options;

const TOPOLOGY: &str = "topologies/ring/ring.clab.yml";

const SWITCHES: [&str; 3] = ["sw1", "sw2", "sw3"];

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// Broadcasts a second of each host: a gap is known to two milliseconds.
const RATE: u32 = 500;

/// How long the tree may take to settle on a busy machine.
const SETTLES: Duration = Duration::from_secs(60);

/// What a pulled link may cost.
const RAPID: Duration = Duration::from_secs(3);

/// Runs the demo; whether everything was kept that is promised.
///
/// # Errors
/// When the lab does not come up, or something in it fails.
pub fn show(run: &Run, options: &Options) -> Result<bool> {
    println!(
        "Lab ring: three switches in a ring, each with two management modules, and a host on each ({TOPOLOGY})"
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
    let ring = Ring::open(&lab.name)?;
    ring.await_settled(1)?;
    println!("\nThe tree: sw1 is the root, and sw3 has closed the link that would make it a loop.");
    ring.print_tree()?;

    let phase = Duration::from_secs(options.seconds);
    let mut rows = Vec::new();
    println!(
        "Each host broadcasts {RATE} numbered frames a second from here on; every other host must see each once."
    );

    rows.push(ring.watch("nothing happens", phase, Promise::NothingLost, || Ok(None))?);

    rows.push(
        ring.watch("link sw1-sw3 goes down", phase, Promise::NoLoop, || {
            ring.link("disable")?;
            ring.await_settled(0)?;
            Ok(None)
        })?,
    );
    ring.print_tree()?;

    rows.push(
        ring.watch("link sw1-sw3 comes up", phase, Promise::NoLoop, || {
            ring.link("enable")?;
            ring.await_settled(1)?;
            Ok(None)
        })?,
    );

    // What the root's neighbours hear of it.
    let ear = Recorder::start(&Netns::open(&ring.space("sw2"))?, "eth3")?;
    for (what, signal) in [
        ("run msm-failover on the root", None),
        ("kill -KILL of the root's master", Some("KILL")),
        ("kill -STOP of the root's master", Some("STOP")),
    ] {
        rows.push(ring.watch(what, phase, Promise::NothingLost, || {
            let at = ring.lose_master("sw1", signal)?;
            let next = wait_for("the next BPDU of the root", DEADLINE, || {
                Ok(ear.all().into_iter().find(|heard| heard.at > at))
            })?;
            Ok(Some(next.at - at))
        })?);
    }
    let changes: Vec<u32> = SWITCHES
        .iter()
        .map(|name| {
            Ok(ring
                .domain(name)?
                .tree
                .map_or(0, |tree| tree.topology_changes))
        })
        .collect::<Result<_>>()?;
    println!(
        "\nTopology changes counted by {}: {changes:?}",
        SWITCHES.join(", ")
    );
    ring.print_tree()?;

    println!(
        "\n{:32} {:>6} {:>6} {:>6} {:>16} {:>20}",
        "all six ways", "sent", "lost", "twice", "longest without", "root heard again in"
    );
    for row in &rows {
        println!("{row}");
    }
    let kept = rows.iter().all(Row::is_kept);
    println!(
        "{}",
        if kept {
            "No frame came twice, and no lost master cost one."
        } else {
            "NOT as promised: see the table."
        }
    );
    Ok(kept)
}

/// What must hold of a phase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// Every frame comes once.
    NothingLost,
    /// No frame comes twice, and traffic goes on soon.
    NoLoop,
}

/// What became of a phase.
struct Row {
    name: &'static str,
    outcomes: Vec<Outcome>,
    promise: Promise,
    /// Until the root was heard again.
    heard: Option<Duration>,
}

impl Row {
    fn is_kept(&self) -> bool {
        self.outcomes.iter().all(|outcome| match self.promise {
            Promise::NothingLost => outcome.hitless().is_ok(),
            Promise::NoLoop => outcome.no_loop().is_ok() && outcome.longest() < RAPID,
        })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sent: usize = self.outcomes.iter().map(|o| o.sent).sum();
        let heard = || self.outcomes.iter().flat_map(|o| &o.heard);
        let lost: usize = heard().map(|h| h.lost()).sum();
        let returned: u64 = self.outcomes.iter().map(|o| o.returned).sum();
        let twice = returned + heard().map(|h| h.duplicated).sum::<u64>();
        let longest = self.outcomes.iter().map(Outcome::longest).max();
        let ms = |time: Duration| format!("{} ms", time.as_millis());
        write!(
            f,
            "{:32} {sent:>6} {lost:>6} {twice:>6} {:>16} {:>20}",
            self.name,
            ms(longest.unwrap_or_default()),
            self.heard.map(ms).unwrap_or_default()
        )
    }
}

/// The running lab.
struct Ring {
    lab: String,
    hosts: Vec<(Netns, Mac)>,
}

impl Ring {
    fn open(lab: &str) -> Result<Self> {
        let host = |name: &&str| {
            let netns = Netns::open(&format!("clab-{lab}-{name}"))?;
            let link = netns.link("eth1")?;
            let mac = link["address"].as_str().context("a link without address")?;
            Ok((netns, mac.parse()?))
        };
        Ok(Self {
            lab: lab.to_owned(),
            hosts: HOSTS.iter().map(host).collect::<Result<_>>()?,
        })
    }

    fn space(&self, node: &str) -> String {
        format!("clab-{}-{node}", self.lab)
    }

    fn output(&self, node: &str, argv: &[&str]) -> Result<String> {
        let output = NodeHandle::open(&self.lab, node)?.output(argv)?;
        if !output.status.success() {
            bail!(
                "{argv:?} in {node}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn json(&self, node: &str, words: &[&str]) -> Result<Value> {
        let text = self.output(node, &[&["hitless"], words, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{node} answered {text:?}"))
    }

    fn domain(&self, node: &str) -> Result<StpdInfo> {
        let shown = self.json(node, &["show", "stpd", "s0", "ports"])?;
        let domains: Vec<StpdInfo> = serde_json::from_value(shown)?;
        domains.into_iter().next().context("domain s0")
    }

    /// Waits until the switches agree on a root and so many ports are closed because of another way.
    fn await_settled(&self, closed: usize) -> Result<()> {
        wait_for("the tree to settle", SETTLES, || {
            let domains = SWITCHES
                .iter()
                .map(|name| self.domain(name))
                .collect::<Result<Vec<_>>>()?;
            let mut roots = domains.iter().map(|d| d.tree.as_ref().map(|t| t.root_id));
            let root = roots.next().flatten();
            let agreed = root.is_some() && roots.all(|other| other == root);
            let ports = || domains.iter().flat_map(|d| &d.ports);
            let at_rest = ports().all(|port| {
                let open = matches!(port.role, StpRole::Root | StpRole::Designated);
                (port.state == StpState::Forwarding) == open
            });
            let found = ports().filter(|p| p.role == StpRole::Alternate).count();
            Ok((agreed && at_rest && found == closed).then_some(()))
        })
    }

    fn print_tree(&self) -> Result<()> {
        for name in SWITCHES {
            let text = self.output(name, &["hitless", "show", "stpd", "s0", "ports"])?;
            // The legend of the flags needs not be there three times.
            let table = text.split("\nFlags").next().unwrap_or_default();
            println!("\n{name}: hitless show stpd s0 ports\n{}", table.trim_end());
        }
        println!();
        Ok(())
    }

    /// Takes the link of sw1 and sw3 down or up: sw1 switches its device, sw3 sees it by the carrier.
    fn link(&self, verb: &str) -> Result<()> {
        self.output("sw1", &["hitless", verb, "ports", "3"])
            .map(drop)
    }

    /// Counts the frames of all hosts while something happens, and some time longer.
    fn watch(
        &self,
        name: &'static str,
        phase: Duration,
        promise: Promise,
        happens: impl FnOnce() -> Result<Option<Duration>>,
    ) -> Result<Row> {
        println!("{name}");
        let station = |place: usize| {
            let name = HOSTS.get(place).context("a host")?;
            let (netns, _) = self.hosts.get(place).context("a host")?;
            anyhow::Ok(Station {
                name,
                netns,
                device: "eth1",
            })
        };
        let mut flows = Vec::new();
        for (place, (_, mac)) in self.hosts.iter().enumerate() {
            let others = (0..HOSTS.len()).filter(|&other| other != place);
            let others: Vec<Station<'_>> = others.map(station).collect::<Result<_>>()?;
            flows.push(Broadcast::start(
                station(place)?,
                &others,
                *mac,
                None,
                RATE,
            )?);
        }
        let all_hear = || flows.iter().try_for_each(|flow| flow.reaches_all(SETTLES));
        all_hear()?;
        let heard = happens()?;
        std::thread::sleep(phase);
        all_hear()?;
        let outcomes = flows.into_iter().map(Broadcast::stop);
        let row = Row {
            name,
            outcomes: outcomes.collect::<Result<_>>()?,
            promise,
            heard,
        };
        Ok(row)
    }

    /// Takes a switch's master away, by command or by a signal, and waits until it has two modules again. When that
    /// was.
    fn lose_master(&self, node: &str, signal: Option<&str>) -> Result<Instant> {
        let ready = |after: u64| {
            wait_for("a master and a standby that is ready", SETTLES, || {
                let shown = self.json(node, &["show", "msm-failover"])?;
                let modules = shown["modules"].as_array().context("its modules")?;
                let pid = |role: &str| {
                    let is = |m: &&Value| m["role"] == role && m["state"] == "ready";
                    modules.iter().find(is).and_then(|m| m["pid"].as_u64())
                };
                let generation = shown["generation"].as_u64().unwrap_or(0);
                Ok(match (pid("master"), pid("standby")) {
                    (Some(master), Some(_)) if generation > after => Some((generation, master)),
                    _ => None,
                })
            })
        };
        let (generation, master) = ready(0)?;
        let at = Instant::now();
        match signal {
            Some(signal) => {
                let kill = format!("kill -{signal} {master}");
                self.output(node, &["sh", "-c", &kill])?
            }
            None => self.output(node, &["hitless", "run", "msm-failover"])?,
        };
        ready(generation)?;
        Ok(at)
    }
}
