//! A switch at work while a case does something to it or beside it: numbered flows both ways between h1 and h2
//! in VLAN 10, and single frames between h3 and h4 in VLAN 20.

use anyhow::{Context, Result, bail};
use hitless_common::Mac;

use super::lab::{Lab, Mode, station};
use crate::harness::{
    exchange::{Member, Route, exchange},
    flow::{Flow, Spec},
    frames::Frame,
    ktap::Ctx,
    port::{Port, assert_received},
    switch::DEADLINE,
};

/// The settings of the four ports, as [`Lab::new`] takes them.
pub const PORTS: [&str; 4] = [
    "untagged: 10",
    "untagged: 10",
    "untagged: 20",
    "untagged: 20",
];
/// The rest of the configuration. A small FDB makes it quick to look through.
pub const REST: &str = "fdb: {size: 4096}\nvlans: [{id: 10}, {id: 20}]";

/// A port of VLAN 10 that carries the fences of [`Lab::expect`], and the VLANs of a lab of such ports. The fences' VLAN
/// learns nothing, so that they change nothing.
pub const FENCED: &str = "untagged: 10, tagged: [4000]";
/// See [`FENCED`].
pub const FENCED_REST: &str =
    "fdb: {size: 4096}\nvlans: [{id: 10}, {id: 20}, {id: 4000, learning: false}]";

/// Frames a second that leave the CPUs to others.
const RATE: u32 = 20_000;

/// Frames of each flow that show that it goes on.
pub const SOME: u64 = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Bystanders {
    /// The switch and its surroundings. Its [`Lab::ports`] are empty: they would fill up with the flows.
    pub lab: Lab,
    /// The stations h3 and h4.
    pub quiet: Vec<Port>,
    flows: Vec<Flow>,
    rate: Option<u32>,
    /// See [`backlog_drops`]; when the flows began.
    dropped_before: u64,
}

/// The address of the station behind a port.
#[must_use]
pub fn address(number: u8) -> Mac {
    station(number, 1)
}

impl Bystanders {
    /// A new lab with this traffic, at a rate that leaves the CPUs to others.
    ///
    /// # Errors
    /// When something can not be made, or the addresses are not learned.
    pub fn start(ctx: &Ctx, mode: Mode) -> Result<Self> {
        let lab = Lab::new(ctx, "sw", mode, &PORTS, REST)?;
        Self::over(lab, Some(RATE))
    }

    /// This traffic over a lab whose first ports are [`PORTS`], with so many frames a second and flow, or as many as
    /// there can be. Every address is learned before, and the flows are in their first phase, `before`.
    ///
    /// # Errors
    /// As [`Bystanders::start`].
    pub fn over(mut lab: Lab, rate: Option<u32>) -> Result<Self> {
        for (port, number) in lab.ports.iter().zip(1..=4) {
            port.send(&Frame::probe(address(number), Mac::BROADCAST))?;
        }
        for (vlan, number) in [(10, 1), (10, 2), (20, 3), (20, 4)] {
            lab.await_learned(vlan, address(number), usize::from(number))?;
        }
        let mut quiet = lab.ports.split_off(2);
        quiet.truncate(2);
        lab.ports.clear();
        exchange(&quiet, &[], &routes())?;
        let mut started = Self {
            lab,
            quiet,
            flows: Vec::new(),
            rate,
            dropped_before: 0,
        };
        started.begin()?;
        Ok(started)
    }

    /// Starts the flows, in the phase `before`; also again, after [`Bystanders::finish`].
    ///
    /// # Errors
    /// When one can not be started, or does not go on.
    pub fn begin(&mut self) -> Result<()> {
        let flow = |name, from: u8, to: u8| {
            let host = |number: u8| (&self.lab.hosts[usize::from(number) - 1], "eth1");
            let spec = Spec {
                rate: self.rate,
                cpu: usize::from(from),
                ..Spec::new(name, host(from), host(to), address(from), address(to))
            };
            Flow::start(&spec, "before")
        };
        self.dropped_before = backlog_drops()?;
        self.flows = vec![flow("h1 to h2", 1, 2)?, flow("h2 to h1", 2, 1)?];
        self.go_on(SOME)
    }

    /// From now on the frames of both flows belong to this phase.
    ///
    /// # Errors
    /// When a sender has ended.
    pub fn phase(&mut self, name: &str) -> Result<()> {
        self.flows.iter_mut().try_for_each(|flow| flow.phase(name))
    }

    /// Waits for so many more frames of each flow.
    ///
    /// # Errors
    /// When they do not come.
    pub fn go_on(&self, frames: u64) -> Result<()> {
        self.flows
            .iter()
            .try_for_each(|flow| flow.await_received(frames, DEADLINE))
    }

    /// Shows that the switch forwards: the flows go on, and h3 and h4 hear each other.
    ///
    /// # Errors
    /// Tells what is missing or too much.
    pub fn unharmed(&self) -> Result<()> {
        self.go_on(SOME).context("the flows of VLAN 10")?;
        self.pair().context("h3 and h4 in VLAN 20")
    }

    /// Sends a frame from h3 to h4 and one back, and checks that these and no others come.
    ///
    /// # Errors
    /// Tells what is missing or too much.
    pub fn pair(&self) -> Result<()> {
        let there = Frame::probe(address(3), address(4));
        let back = Frame::probe(address(4), address(3));
        let sends = [(0, there.clone()), (1, back.clone())];
        let mut received = exchange(&self.quiet, &sends, &routes())?;
        // In XDP a fence may overtake the frames before it, but not a fence that is sent after it came: see
        // [`Lab::expect`].
        for (frames, late) in received
            .iter_mut()
            .zip(exchange(&self.quiet, &[], &routes())?)
        {
            frames.extend(late);
        }
        assert_received(&received[0], &[back]).context("at h3")?;
        assert_received(&received[1], &[there]).context("at h4")
    }

    /// Ends the flows.
    ///
    /// # Errors
    /// When a frame was lost, doubled or came out of order in any phase, with a table of the phases.
    pub fn finish(&mut self) -> Result<()> {
        let mut hit = String::new();
        for flow in self.flows.drain(..) {
            let report = flow.stop()?;
            if !report.is_hitless() {
                hit += &report.to_string();
            }
        }
        if hit.is_empty() {
            return Ok(());
        }
        let elsewhere = backlog_drops()?.saturating_sub(self.dropped_before);
        bail!(
            "the flows were hit (and {elsewhere} frames of whatever namespace found a CPU's backlog full meanwhile):\n{hit}"
        )
    }
}

/// Frames that the kernel has dropped because a CPU's backlog was full, which all namespaces share. The flows keep well
/// below what fits, so only other traffic on the machine can have filled it.
fn backlog_drops() -> Result<u64> {
    let path = "/proc/net/softnet_stat";
    let text = std::fs::read_to_string(path).context(path)?;
    let second = |line: &str| {
        let column = line.split_whitespace().nth(1).unwrap_or("0");
        u64::from_str_radix(column, 16).with_context(|| format!("{path}: {line}"))
    };
    text.lines().map(second).sum()
}

/// Fences between h3 and h4 from their own addresses, so that they teach the switch nothing.
fn routes() -> Vec<Route> {
    let mut routes = Route::broadcast(&[Member::Untagged; 2]);
    for (route, number) in routes.iter_mut().zip(3..) {
        route.src = address(number);
    }
    routes
}
