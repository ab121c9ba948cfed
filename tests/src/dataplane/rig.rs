//! Devices for the data path to receive from and send to, and what arrives behind them.
//!
//! All devices are veths of a namespace of the test's own; a station stands at each far end. Everything runs on one
//! thread on one CPU, so frames stay in order: once a fence has come through a cable, whatever the program sent
//! into it before has come too.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, TcAttachType};
use hitless_common::{DropReason, Mac};

use super::counts::{Counts, DEFERRED, RX_FRAMES};
use super::program::{DataPath, FDB_SIZE};
use super::tables::Tables;
use crate::harness::cpu::Pinned;
use crate::harness::exchange::FENCE_SOURCE;
use crate::harness::frames::{Builder, Frame, ProbeHeader, next_number};
use crate::harness::layout::kind;
use crate::harness::netns::Netns;
use crate::harness::packet::PacketSocket;
use crate::harness::port::Port;
use crate::harness::run::Run;
use crate::harness::wait::wait_for;

/// Ports that a test may use at once.
pub const PORTS: usize = 6;

/// The ingress "port" of a frame that comes in on a device that is no port.
pub const STRANGER: u16 = 0;

/// MTU of the devices themselves: more than any test sends. What the program knows stands in its tables.
const DEVICE_MTU: &str = "9300";

/// How long a frame may take through the program.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs of the program that fill the ring of control frames for sure.
const FILLING: u32 = 100;

/// Runs that fill the ring of learning events for sure, if nobody drains it.
const MAX_SOURCES: u32 = 10_000;

struct Station {
    ifindex: u32,
    outside: Port,
    fence: PacketSocket,
}

/// The programs with devices around them.
pub struct Rig {
    /// The programs and their maps.
    pub path: DataPath,
    stations: Vec<Station>,
    assigned: BTreeMap<u16, usize>,
}

impl Rig {
    /// Gives a rig to `test`, on a thread and in namespaces of its own.
    ///
    /// # Errors
    /// When something can not be set up, and what the test returns.
    pub fn with<R: Send>(run: &Run, test: impl FnOnce(&mut Self) -> Result<R> + Send) -> Result<R> {
        let inside = Netns::new(run, "in")?;
        let outside = Netns::new(run, "out")?;
        let names: Vec<(String, String)> = (0..=PORTS)
            .map(|i| (format!("p{i}"), format!("s{i}")))
            .collect();
        for (port, station) in &names {
            inside.veth(port, &outside, station)?;
            inside.ip(&["link", "set", port, "mtu", DEVICE_MTU])?;
            outside.ip(&["link", "set", station, "mtu", DEVICE_MTU])?;
        }
        inside.run(|| {
            let _pinned = Pinned::new(0)?;
            let mut stations = Vec::with_capacity(names.len());
            for (port, station) in &names {
                stations.push(Station {
                    ifindex: nix::net::if_::if_nametoindex(port.as_str())?,
                    outside: Port::open(&outside, station)?,
                    fence: PacketSocket::sender(port)?,
                });
            }
            test(&mut Self {
                path: DataPath::load(FDB_SIZE)?,
                stations,
                assigned: BTreeMap::new(),
            })
        })
    }

    /// Attaches the TC program to every device, for as long as the rig lives.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attach(&mut self) -> Result<()> {
        let program = self.path.tc_mut()?;
        for i in 0..=PORTS {
            let order = TcAttachOptions::TcxOrder(LinkOrder::default());
            program.attach_with_options(&format!("p{i}"), TcAttachType::Ingress, order)?;
        }
        Ok(())
    }

    /// Makes the maps hold these tables, with rings that are empty or full as the tables say.
    ///
    /// # Errors
    /// When there are more ports than devices, or the kernel refuses something.
    pub fn install(&mut self, tables: &Tables) -> Result<()> {
        let ports = tables.ports.keys().copied();
        self.assigned = ports.zip(0..).collect();
        ensure!(
            self.assigned.len() <= PORTS,
            "a test has {PORTS} devices for its ports"
        );
        self.path.punted()?;
        self.path.learned()?;
        if tables.punt_full {
            self.fill_punt()?;
        }
        if tables.learn_full {
            self.fill_learn()?;
        }
        let (stations, assigned) = (&self.stations, &self.assigned);
        self.path
            .install(tables, |port| device(stations, assigned, port))
    }

    fn fill_punt(&mut self) -> Result<()> {
        let ifindex = self.ifindex(STRANGER)?;
        let tables = Tables::new().untagged(1, 1);
        self.path.install(&tables, |_| Ok(ifindex))?;
        let before = self.path.all_counts()?;
        let bpdu = Frame::probe(FENCE_SOURCE, Mac([0x01, 0x80, 0xc2, 0, 0, 0]));
        self.path.run_tc(ifindex, bpdu.octets(), 0, FILLING)?;
        let counted = self.path.all_counts()?.since(&before);
        ensure!(
            counted.of(1, DropReason::PuntFull.name()) > 0,
            "the ring of control frames is not full"
        );
        Ok(())
    }

    fn fill_learn(&mut self) -> Result<()> {
        let ifindex = self.ifindex(STRANGER)?;
        let tables = Tables::new().untagged(1, 1);
        self.path.install(&tables, |_| Ok(ifindex))?;
        let before = self.path.all_counts()?;
        for n in 0..MAX_SOURCES {
            let source = Mac::from_u64(0x0200_0000_0000 + u64::from(n));
            self.path
                .run_tc(ifindex, Frame::probe(source, Mac::BROADCAST).octets(), 0, 1)?;
            if n % 64 == 0 && self.path.all_counts()?.since(&before).of(1, DEFERRED) > 0 {
                return Ok(());
            }
        }
        bail!("the ring of learning events is not full after {MAX_SOURCES} sources")
    }

    /// The ifindex of the device that a port has; [`STRANGER`] is a device that no port has.
    ///
    /// # Errors
    /// When the tables have no such port.
    pub fn ifindex(&self, port: u16) -> Result<u32> {
        device(&self.stations, &self.assigned, port)
    }

    /// Sends a frame into a port's device from outside, and waits until the attached program has seen it.
    ///
    /// # Errors
    /// When the frame can not be sent or the program does not see it.
    pub fn send(&self, port: u16, frame: &Frame) -> Result<()> {
        let before = self.path.all_counts()?;
        self.stations[station(&self.assigned, port)?]
            .outside
            .send(frame)?;
        wait_for("the program to see the frame", DEADLINE, || {
            let counted = self.path.all_counts()?.since(&before);
            Ok((counted.total(RX_FRAMES) > 0).then_some(()))
        })
    }

    /// The frames that have come out of the devices since the last call, by port.
    ///
    /// # Errors
    /// When a fence does not come through.
    pub fn arrived(&self) -> Result<BTreeMap<u16, Vec<Frame>>> {
        let mut arrived = BTreeMap::new();
        for (i, station) in self.stations.iter().enumerate() {
            let header = ProbeHeader {
                flow: std::process::id(),
                kind: kind::FENCE,
                phase: 0,
                sequence: next_number(),
            };
            let fence = Builder::new(FENCE_SOURCE, Mac::BROADCAST)
                .header(header)
                .build();
            station.fence.send(fence.octets()).context("send a fence")?;
            let mut frames = station.outside.receive_until(|f| *f == fence)?;
            frames.pop();
            let port = self.assigned.iter().find(|&(_, &at)| at == i);
            let port = port.map_or(STRANGER, |(&port, _)| port);
            if !frames.is_empty() {
                arrived
                    .entry(port)
                    .or_insert_with(Vec::new)
                    .append(&mut frames);
            }
        }
        Ok(arrived)
    }

    /// What `act` makes the data path count.
    ///
    /// # Errors
    /// What `act` returns, or when the counters can not be read.
    pub fn counting<R>(&mut self, act: impl FnOnce(&mut Self) -> Result<R>) -> Result<(R, Counts)> {
        let before = self.path.all_counts()?;
        let result = act(self)?;
        Ok((result, self.path.all_counts()?.since(&before)))
    }
}

fn station(assigned: &BTreeMap<u16, usize>, port: u16) -> Result<usize> {
    if port == STRANGER {
        return Ok(PORTS);
    }
    assigned
        .get(&port)
        .copied()
        .with_context(|| format!("the tables have no port {port}"))
}

fn device(stations: &[Station], assigned: &BTreeMap<u16, usize>, port: u16) -> Result<u32> {
    Ok(stations[station(assigned, port)?].ifindex)
}
