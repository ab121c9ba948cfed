//! A generator, something that forwards, and a sink: each in a namespace of its own, all work on one CPU.

use std::fs;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use serde_json::Value;

use crate::harness::chassis::Chassis;
use crate::harness::cpu::{Pinned, keep_on};
use crate::harness::features::{self, Feature};
use crate::harness::frames::Builder;
use crate::harness::netns::Netns;
use crate::harness::probe::{Addresses, Counter, Faults, Generator, Pattern, Redirect};
use crate::harness::process::output;
use crate::harness::run::Run;
use crate::harness::switch::Switch;

/// First address behind the port that frames come in on.
pub const SOURCES: Mac = Mac([0x02, 0, 0x10, 0, 0, 0]);
/// First address behind the port that frames go out of.
pub const DESTINATIONS: Mac = Mac([0x02, 0, 0x20, 0, 0, 0]);

/// Device names: the generator's, the forwarder's two, the sink's.
const DEVICES: [&str; 4] = ["g0", "p1", "p2", "s0"];

/// CPU that sends and forwards; the n-th of those allowed, counted around.
const CPU: usize = 1;

/// Times that stations are heard before the switch is said not to learn them.
const MAX_PASSES: u32 = 100;

/// A path from a generator over a forwarder to a sink that counts.
pub struct Path<F> {
    /// Whatever forwards.
    pub forwarder: F,
    generator: Netns,
    counter: Counter,
    sink: Netns,
    // Kept because its devices are in use.
    _middle: Option<Netns>,
}

/// Nothing between generator and sink: what generating and counting alone cost.
///
/// # Errors
/// When something can not be set up.
pub fn cable(run: &Run) -> Result<Path<()>> {
    let [g0, _, _, s0] = DEVICES;
    let generator = Netns::new(run, "cable-g")?;
    let sink = Netns::new(run, "cable-s")?;
    generator.veth(g0, &sink, s0)?;
    let counter = Counter::attach(&sink, s0)?;
    Ok(Path {
        forwarder: (),
        generator,
        counter,
        sink,
        _middle: None,
    })
}

impl<F> Path<F> {
    /// A path over what `forward` sets up between the devices `p1` and `p2` of a namespace. It also gets the
    /// namespaces of generator and sink, with the devices `g0` and `s0`.
    ///
    /// # Errors
    /// When something can not be set up.
    pub fn new(
        run: &Run,
        label: &str,
        forward: impl FnOnce(&Netns, &Netns, &Netns) -> Result<F>,
    ) -> Result<Self> {
        let [g0, p1, p2, s0] = DEVICES;
        let generator = Netns::new(run, &format!("{label}-g"))?;
        let middle = Netns::new(run, &format!("{label}-f"))?;
        let sink = Netns::new(run, &format!("{label}-s"))?;
        generator.veth(g0, &middle, p1)?;
        sink.veth(s0, &middle, p2)?;
        // Without NAPI at the far end an XDP frame sent into a veth is lost; XDP programs bring it, tcx does not.
        for port in [p1, p2] {
            features::set(&middle, port, Feature::Gro, true)?;
        }
        let counter = Counter::attach(&sink, s0)?;
        let forwarder =
            forward(&middle, &generator, &sink).with_context(|| format!("forwarder of {label}"))?;
        Ok(Self {
            forwarder,
            generator,
            counter,
            sink,
            _middle: Some(middle),
        })
    }

    /// Sends frames from the generator and returns how many thousand a second the sink received.
    ///
    /// # Errors
    /// When less than half arrive or the test run is refused.
    pub fn rate(&self, frames: u32, pattern: Pattern) -> Result<f64> {
        self.delivered(
            &mut generator(&self.generator, DEVICES[0], pattern)?,
            frames,
        )
    }

    fn delivered(&self, generator: &mut Generator, frames: u32) -> Result<f64> {
        let _pinned = Pinned::new(CPU)?;
        let before = self.counter.frames()?;
        let each = generator.send(frames)?;
        let arrived = self.counter.frames()? - before;
        ensure!(
            arrived > u64::from(frames / 2),
            "only {arrived} of {frames} frames arrived"
        );
        Ok(arrived as f64 / (each * frames).as_secs_f64() / 1000.0)
    }
}

/// Bare XDP redirects without a look-up: the most that XDP can do.
///
/// # Errors
/// When something can not be set up.
pub fn bare_xdp(run: &Run) -> Result<Path<[Redirect; 2]>> {
    let [_, p1, p2, _] = DEVICES;
    Path::new(run, "xdp", |middle, _, _| {
        Ok([
            Redirect::xdp(middle, p1, p2)?,
            Redirect::xdp(middle, p2, p1)?,
        ])
    })
}

/// Bare tcx redirects without a look-up: the most that TC can do.
///
/// # Errors
/// When something can not be set up.
pub fn bare_tcx(run: &Run) -> Result<Path<[Redirect; 2]>> {
    let [_, p1, p2, _] = DEVICES;
    let none = Faults::default();
    Path::new(run, "tcx", |middle, _, _| {
        Ok([
            Redirect::tcx(middle, p1, p2, none)?,
            Redirect::tcx(middle, p2, p1, none)?,
        ])
    })
}

/// The kernel's bridge that knows the first destination.
///
/// # Errors
/// When something can not be set up.
pub fn linux_bridge(run: &Run) -> Result<Path<()>> {
    let [_, p1, p2, _] = DEVICES;
    Path::new(run, "bridge", |middle, _, _| {
        bridge(middle, &[p1, p2])?;
        let mac = DESTINATIONS.to_string();
        let mut add = middle.command("bridge")?;
        add.args(["fdb", "add", &mac, "dev", p2, "master", "static"]);
        output(&mut add).map(drop)
    })
}

/// Hitless with a third port, `p3`, on which other stations can be heard.
#[derive(Debug)]
pub struct Hitless {
    /// Both management modules, where the switch has two.
    pub chassis: Option<Chassis>,
    /// The switch.
    pub switch: Switch,
    newcomers: Netns,
}

/// Hitless with all ports in one mode (`xdp` or `tc`) and room for `size` addresses, that knows the first
/// source and destination.
///
/// # Errors
/// When something can not be set up, or the ports do not take the mode.
pub fn hitless(run: &Run, files: &std::path::Path, mode: &str, size: u32) -> Result<Path<Hitless>> {
    with_modules(run, files, mode, [size, 300], |switch| {
        switch.run()?;
        Ok(None)
    })
}

/// The same in mode `tc` with two management modules, of which one is a standby that is ready. No address gets old.
///
/// # Errors
/// When something can not be set up, or no standby gets ready.
pub fn redundant(run: &Run, files: &std::path::Path, size: u32) -> Result<Path<Hitless>> {
    with_modules(run, files, "tc", [size, 0], |switch| {
        let chassis = Chassis::spawn(run, switch, &mut Chassis::command(switch)?)?;
        switch.await_shown("msm-failover", has_ready_standby)?;
        Ok(Some(chassis))
    })
}

/// Whether `show msm-failover` tells of a standby that is ready.
#[must_use]
pub fn has_ready_standby(shown: &Value) -> bool {
    let mut modules = shown["modules"].as_array().into_iter().flatten();
    modules.any(|m| m["role"] == "standby" && m["state"] == "ready")
}

fn with_modules(
    run: &Run,
    files: &std::path::Path,
    mode: &str,
    [size, ageing]: [u32; 2],
    start: impl FnOnce(&mut Switch) -> Result<Option<Chassis>>,
) -> Result<Path<Hitless>> {
    let [g0, p1, p2, s0] = DEVICES;
    let label = format!("h{mode}");
    Path::new(run, &label, |middle, generator, sink| {
        let newcomers = Netns::new(run, &format!("{label}-n"))?;
        newcomers.veth("n0", middle, "p3")?;
        features::set(middle, "p3", Feature::Gro, true)?;
        for (netns, device) in [(generator, g0), (sink, s0), (&newcomers, "n0")] {
            fit_for_xdp(netns, device)?;
        }
        let config = format!(
            "fdb:\n  size: {size}\n  ageing_seconds: {ageing}\n  static:\n    \
             - {{vlan: 10, mac: \"{SOURCES}\", port: 1}}\n    \
             - {{vlan: 10, mac: \"{DESTINATIONS}\", port: 2}}\n\
             vlans: [{{id: 10}}]\nports:\n\
             \x20 - {{port: 1, device: {p1}, untagged: 10, offload: {mode}}}\n\
             \x20 - {{port: 2, device: {p2}, untagged: 10, offload: {mode}}}\n\
             \x20 - {{port: 3, device: p3, untagged: 10, offload: {mode}}}\n"
        );
        let mut switch = Switch::prepare(run, files, middle, &label, &config)?;
        let chassis = start(&mut switch)?;
        switch.await_shown("ports", |ports| {
            ports.as_array().is_some_and(|ports| {
                ports.len() == 3
                    && ports
                        .iter()
                        .all(|p| p["offload"] == mode && p["link"] == "up")
            })
        })?;
        Ok(Hitless {
            chassis,
            switch,
            newcomers,
        })
    })
}

/// Gives a host's device the features that XDP at the other end needs.
fn fit_for_xdp(netns: &Netns, device: &str) -> Result<()> {
    for (feature, on) in [
        (Feature::Gro, true),
        (Feature::TxChecksum, false),
        (Feature::TxVlan, false),
    ] {
        features::set(netns, device, feature, on)?;
    }
    Ok(())
}

impl Hitless {
    /// How many addresses the switch knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn known(&self) -> Result<u64> {
        let shown = self.switch.show("switch")?;
        shown["fdb"]["used"]
            .as_u64()
            .with_context(|| format!("no fdb.used in {shown}"))
    }
}

/// Where stations are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Behind port 1, where the generator is.
    Generator,
    /// Behind port 2, where the sink is.
    Sink,
    /// Behind port 3.
    Newcomers,
}

impl Path<Hitless> {
    /// Sends frames between the first stations, as [`Path::rate`] does, while `count` stations from address `first` on
    /// are heard behind port 3, once each, on another CPU than the frames'. hitlessd works on that one too.
    ///
    /// # Errors
    /// When less than half of the frames arrive, or a test run is refused.
    pub fn rate_beside(&self, frames: u32, first: Mac, count: u32) -> Result<f64> {
        let pid = self.forwarder.switch.pid().context("no hitlessd runs")?;
        keep_on(pid, CPU + 1)?;
        let pattern = Pattern::Sequential {
            src: Addresses { first, count },
            dst: Addresses {
                first: SOURCES,
                count: 1,
            },
        };
        let ready = Barrier::new(2);
        std::thread::scope(|scope| {
            let others = scope.spawn(|| {
                let heard = generator(&self.forwarder.newcomers, "n0", pattern)
                    .and_then(|heard| Ok((heard, Pinned::new(CPU + 1)?)));
                // Whatever came of it: the other side waits.
                ready.wait();
                let (mut heard, _pinned) = heard?;
                heard.send(count)
            });
            let generator = generator(&self.generator, DEVICES[0], Pattern::Fixed);
            ready.wait();
            let rate = generator.and_then(|mut generator| self.delivered(&mut generator, frames));
            others
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            rate
        })
    }

    /// Lets `count` stations from address `first` on be heard again and again until the switch knows them all;
    /// returns how long that took.
    ///
    /// # Errors
    /// When it does not learn them.
    pub fn learn(&self, side: Side, first: Mac, count: u32) -> Result<Duration> {
        let [g0, _, _, s0] = DEVICES;
        let (netns, device, target) = match side {
            Side::Generator => (&self.generator, g0, DESTINATIONS),
            Side::Sink => (&self.sink, s0, SOURCES),
            Side::Newcomers => (&self.forwarder.newcomers, "n0", SOURCES),
        };
        let pattern = Pattern::Sequential {
            src: Addresses { first, count },
            dst: Addresses {
                first: target,
                count: 1,
            },
        };
        let mut heard = generator(netns, device, pattern)?;
        let before = self.forwarder.known()?;
        let (start, mut passes) = (Instant::now(), 0);
        loop {
            let known = self.forwarder.known()? - before;
            if known >= u64::from(count) {
                return Ok(start.elapsed());
            }
            ensure!(
                passes < MAX_PASSES,
                "{known} of {count} stations are known after {passes} passes"
            );
            passes += 1;
            let _pinned = Pinned::new(CPU)?;
            heard.send(count)?;
        }
    }
}

fn generator(netns: &Netns, device: &str, pattern: Pattern) -> Result<Generator> {
    let frame = Builder::new(SOURCES, DESTINATIONS).build();
    Generator::new(netns, device, frame, pattern)
}

/// `count` random addresses on either side.
#[must_use]
pub fn random(count: u32) -> Pattern {
    Pattern::Random {
        src: Addresses {
            first: SOURCES,
            count,
        },
        dst: Addresses {
            first: DESTINATIONS,
            count,
        },
    }
}

/// A kernel bridge of these devices, without spanning tree, snooping or netfilter.
///
/// # Errors
/// When it can not be made.
pub fn bridge(netns: &Netns, devices: &[&str]) -> Result<()> {
    netns.ip(&[
        "link",
        "add",
        "br0",
        "type",
        "bridge",
        "stp_state",
        "0",
        "mcast_snooping",
        "0",
    ])?;
    netns.run(|| {
        for table in ["iptables", "ip6tables", "arptables"] {
            let path = format!("/proc/sys/net/bridge/bridge-nf-call-{table}");
            // Without the module there is neither the file nor the cost.
            if fs::exists(&path)? {
                fs::write(&path, "0").with_context(|| format!("write {path}"))?;
            }
        }
        Ok(())
    })?;
    for device in devices {
        netns.ip(&["link", "set", device, "master", "br0"])?;
    }
    netns.ip(&["link", "set", "br0", "up"])?;
    Ok(())
}
