//! `bench l2`: forwarding beside bare redirects and the kernel's bridge.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;

use super::path::{self, Path};
use super::rounds::{Subject, Table};
use super::tcp;
use crate::harness::netns::Netns;
use crate::harness::probe::Pattern;
use crate::harness::run::Run;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Interleaved rounds.
    pub rounds: usize,
    /// Frames of one measurement.
    pub frames: u32,
    /// Time of one TCP measurement.
    pub tcp: Duration,
}

impl Effort {
    /// For figures that are quoted.
    pub const FULL: Self = Self {
        rounds: 7,
        frames: 3_000_000,
        tcp: Duration::from_secs(2),
    };
    /// To see whether something is badly off.
    pub const QUICK: Self = Self {
        rounds: 3,
        frames: 300_000,
        tcp: Duration::from_millis(300),
    };
}

/// Names of the subjects that others are compared with.
const BARE_XDP: &str = "bare XDP redirect";
const BARE_TCX: &str = "bare tcx redirect";
const BRIDGE: &str = "Linux bridge, nf-call off";
const CABLE: &str = "direct veth";

/// 64-byte frames (without frame check sequence: 60 octets) of one known unicast address.
///
/// # Errors
/// When a path can not be set up or measured.
pub fn known_unicast(run: &Run, effort: Effort) -> Result<Table> {
    let (xdp, tcx, bridge) = (
        Path::bare_xdp(run)?,
        Path::bare_tcx(run)?,
        Path::bridge(run)?,
    );
    let load = (effort.frames, Pattern::Fixed);
    let mut subjects = [
        rate(BARE_XDP, &xdp, load, None),
        rate(BARE_TCX, &tcx, load, Some(BARE_XDP)),
        rate(BRIDGE, &bridge, load, Some(BARE_XDP)),
    ];
    Table::measure(
        "known unicast, 64-byte frames, one CPU",
        "kpps",
        effort.rounds,
        &mut subjects,
    )
}

/// Random addresses, `count` of them on either side.
///
/// # Errors
/// When a path can not be set up or measured.
pub fn random_addresses(run: &Run, effort: Effort, count: u32) -> Result<Table> {
    let (xdp, tcx) = (Path::bare_xdp(run)?, Path::bare_tcx(run)?);
    let load = (effort.frames, path::random(count));
    let mut subjects = [
        rate(BARE_XDP, &xdp, load, None),
        rate(BARE_TCX, &tcx, load, Some(BARE_XDP)),
    ];
    Table::measure(
        &format!("{} random addresses, 64-byte frames, one CPU", 2 * count),
        "kpps",
        effort.rounds,
        &mut subjects,
    )
}

/// A path under a load: how many frames a measurement sends, and with which addresses.
fn rate<'a>(
    name: &'static str,
    path: &'a Path,
    (frames, pattern): (u32, Pattern),
    baseline: Option<&'static str>,
) -> Subject<'a> {
    Subject {
        name,
        baseline,
        target: None,
        measure: Box::new(move || path.rate(frames, pattern)),
    }
}

/// Two untouched Linux hosts with a TCP connection between them.
struct Hosts {
    a: Netns,
    b: Netns,
    _middle: Option<Netns>,
}

impl Hosts {
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 10, 2);

    /// On one cable.
    fn direct(run: &Run) -> Result<Self> {
        let (a, b) = (Netns::new(run, "tcp-a")?, Netns::new(run, "tcp-b")?);
        a.veth("eth1", &b, "eth1")?;
        Self::addressed(a, b, None)
    }

    /// With a namespace between them whose devices `p1` and `p2` lead to them.
    fn over(run: &Run, label: &str, forward: impl FnOnce(&Netns) -> Result<()>) -> Result<Self> {
        let a = Netns::new(run, &format!("{label}-a"))?;
        let b = Netns::new(run, &format!("{label}-b"))?;
        let middle = Netns::new(run, &format!("{label}-m"))?;
        a.veth("eth1", &middle, "p1")?;
        b.veth("eth1", &middle, "p2")?;
        forward(&middle)?;
        Self::addressed(a, b, Some(middle))
    }

    fn addressed(a: Netns, b: Netns, middle: Option<Netns>) -> Result<Self> {
        a.address("eth1", "10.0.10.1/24")?;
        b.address("eth1", &format!("{}/24", Self::ADDRESS))?;
        Ok(Self {
            a,
            b,
            _middle: middle,
        })
    }

    fn subject(
        &self,
        name: &'static str,
        effort: Effort,
        baseline: Option<&'static str>,
    ) -> Subject<'_> {
        Subject {
            name,
            baseline,
            target: None,
            measure: Box::new(move || tcp::throughput(&self.a, &self.b, Self::ADDRESS, effort.tcp)),
        }
    }
}

/// One TCP connection between two untouched hosts.
///
/// # Errors
/// When a path can not be set up or measured.
pub fn tcp_throughput(run: &Run, effort: Effort) -> Result<Table> {
    let direct = Hosts::direct(run)?;
    let bridged = Hosts::over(run, "tcpbr", |netns| path::bridge(netns, &["p1", "p2"]))?;
    let mut subjects = [
        direct.subject(CABLE, effort, None),
        bridged.subject(BRIDGE, effort, Some(CABLE)),
    ];
    Table::measure(
        "TCP between two untouched hosts",
        "Gb/s",
        effort.rounds,
        &mut subjects,
    )
}
