//! A generator, something that forwards, and a sink: each in a namespace of its own, all work on one CPU.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;

use crate::harness::cpu::Pinned;
use crate::harness::features::{self, Feature};
use crate::harness::frames::Builder;
use crate::harness::netns::Netns;
use crate::harness::probe::{Addresses, Counter, Faults, Generator, Pattern, Redirect};
use crate::harness::run::Run;

/// First address behind the port that frames come in on.
pub const SOURCES: Mac = Mac([0x02, 0, 0x10, 0, 0, 0]);
/// First address behind the port that frames go out of.
pub const DESTINATIONS: Mac = Mac([0x02, 0, 0x20, 0, 0, 0]);

/// Device names: the generator's, the forwarder's two, the sink's.
const DEVICES: [&str; 4] = ["g0", "p1", "p2", "s0"];

/// CPU that sends and forwards; the n-th of those allowed, counted around.
const CPU: usize = 1;

/// A path from a generator over a forwarder to a sink that counts.
pub struct Path {
    generator: Netns,
    /// Where the forwarder lives.
    pub forwarder: Netns,
    /// Behind the forwarder.
    pub sink: Netns,
    counter: Counter,
    // Whatever forwards, kept until the path goes.
    _guard: Box<dyn std::any::Any>,
}

impl Path {
    /// A path over what `forward` sets up between the devices `p1` and `p2` of a namespace.
    ///
    /// # Errors
    /// When something can not be set up.
    pub fn new<G: 'static>(
        run: &Run,
        label: &str,
        forward: impl FnOnce(&Netns) -> Result<G>,
    ) -> Result<Self> {
        let [g0, p1, p2, s0] = DEVICES;
        let generator = Netns::new(run, &format!("{label}-g"))?;
        let forwarder = Netns::new(run, &format!("{label}-f"))?;
        let sink = Netns::new(run, &format!("{label}-s"))?;
        generator.veth(g0, &forwarder, p1)?;
        sink.veth(s0, &forwarder, p2)?;
        // Without NAPI at the far end an XDP frame sent into a veth is lost; XDP programs bring it, tcx does not.
        for port in [p1, p2] {
            features::set(&forwarder, port, Feature::Gro, true)?;
        }
        let guard = forward(&forwarder).with_context(|| format!("forwarder of {label}"))?;
        let counter = Counter::attach(&sink, s0)?;
        Ok(Self {
            generator,
            forwarder,
            sink,
            counter,
            _guard: Box::new(guard),
        })
    }

    /// Bare XDP redirects without a look-up: the most that XDP can do.
    ///
    /// # Errors
    /// When something can not be set up.
    pub fn bare_xdp(run: &Run) -> Result<Self> {
        Self::new(run, "xdp", |netns| {
            Ok([
                Redirect::xdp(netns, DEVICES[1], DEVICES[2])?,
                Redirect::xdp(netns, DEVICES[2], DEVICES[1])?,
            ])
        })
    }

    /// Bare tcx redirects without a look-up: the most that TC can do.
    ///
    /// # Errors
    /// When something can not be set up.
    pub fn bare_tcx(run: &Run) -> Result<Self> {
        Self::new(run, "tcx", |netns| {
            Ok([
                Redirect::tcx(netns, DEVICES[1], DEVICES[2], Faults::default())?,
                Redirect::tcx(netns, DEVICES[2], DEVICES[1], Faults::default())?,
            ])
        })
    }

    /// The kernel's bridge that knows the first destination.
    ///
    /// # Errors
    /// When something can not be set up.
    pub fn bridge(run: &Run) -> Result<Self> {
        Self::new(run, "bridge", |netns| {
            bridge(netns, &DEVICES[1..3])?;
            netns.run(|| {
                let mac = DESTINATIONS.to_string();
                let args = ["fdb", "add", &mac, "dev", DEVICES[2], "master", "static"];
                crate::harness::process::output(std::process::Command::new("bridge").args(args))
            })
        })
    }

    /// Sends frames from the generator and returns how many thousand a second the sink received.
    ///
    /// # Errors
    /// When nothing arrives or the test run is refused.
    pub fn rate(&self, frames: u32, pattern: Pattern) -> Result<f64> {
        let mut generator = generator(&self.generator, DEVICES[0], pattern)?;
        let _pinned = Pinned::new(CPU)?;
        let before = self.counter.frames()?;
        let each = generator.send(frames)?;
        let arrived = self.counter.frames()? - before;
        ensure!(arrived > 0, "none of {frames} frames arrived");
        Ok(arrived as f64 / (each * frames).as_secs_f64() / 1000.0)
    }

    /// Sends a frame from each of `count` addresses on both sides, for a forwarder that learns. Returns the time
    /// that took.
    ///
    /// # Errors
    /// When the test run is refused.
    pub fn introduce(&self, count: u32) -> Result<Duration> {
        let mut all = Duration::ZERO;
        for (netns, device, own, other) in [
            (&self.sink, DEVICES[3], DESTINATIONS, SOURCES),
            (&self.generator, DEVICES[0], SOURCES, DESTINATIONS),
        ] {
            let pattern = Pattern::Sequential {
                src: Addresses { first: own, count },
                dst: Addresses {
                    first: other,
                    count: 1,
                },
            };
            let each = generator(netns, device, pattern)?.send(count)?;
            all += each * count;
        }
        Ok(all)
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
