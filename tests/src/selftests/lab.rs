//! One switch with a few stations, the topology of most cases:
//!
//! ```text
//!   h1 ─ p1 ┐
//!   h2 ─ p2 ┤ switch
//!   h3 ─ p3 ┘
//! ```

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use serde_json::Value;

use crate::harness::{
    exchange::{Member, Route, exchange},
    features::{self, Feature},
    frames::{Frame, Tag},
    ktap::Ctx,
    netns::Netns,
    port::{Port, assert_received},
    switch::Switch,
};

/// The hook that all ports of a lab are to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// tcx, with the stations as Linux makes them.
    Tc,
    /// Native XDP, with the stations prepared for it.
    Xdp,
    /// XDP on the odd ports, TC on the even ones.
    Mixed,
}

impl Mode {
    /// Every mode: what holds in one must hold in all.
    pub const ALL: [Self; 3] = [Self::Tc, Self::Xdp, Self::Mixed];

    fn offload(self, port: usize) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Mixed if port % 2 == 1 => "xdp",
            Self::Tc | Self::Mixed => "tc",
        }
    }
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    /// The switch.
    pub switch: Switch,
    /// Its namespace, with the devices `p1`, `p2`, ….
    pub netns: Netns,
    /// The stations' namespaces, each with the device `eth1`.
    pub hosts: Vec<Netns>,
    /// The stations' ends of the links.
    pub ports: Vec<Port>,
    /// How each station takes part in the VLAN of the fences.
    pub fence: Vec<Member>,
    mode: Mode,
}

/// The VLAN in which fences travel, tagged.
pub const FENCE_VLAN: u16 = 4000;

/// The VLANs of a configuration: these, and the fences'.
#[must_use]
pub fn vlans(ids: &[u16]) -> String {
    let entries: Vec<String> = ids
        .iter()
        .chain([&FENCE_VLAN])
        .map(|id| format!("{{id: {id}}}"))
        .collect();
    format!("vlans: [{}]", entries.join(", "))
}

/// A station's address: the one behind port `number`, with a second number for more than one.
#[must_use]
pub fn station(number: u8, second: u8) -> Mac {
    Mac([0x02, 0x11, 0, 0, second, number])
}

impl Lab {
    /// Builds namespaces and links and starts the switch. `ports` are the settings of port 1, 2, … as they stand
    /// between the braces of the configuration, without port, device and offload; `rest` is the remaining
    /// configuration. Fences travel tagged in [`FENCE_VLAN`], which the ports must carry, unless [`Lab::fence`] is
    /// changed.
    ///
    /// # Errors
    /// When something can not be made, or a port does not come up in the mode asked for.
    pub fn new(ctx: &Ctx, label: &str, mode: Mode, ports: &[&str], rest: &str) -> Result<Self> {
        Self::started(ctx, label, mode, ports, rest, Switch::run).map(|(lab, ())| lab)
    }

    /// The same with a switch that is started in another way; gives back what that way returns.
    ///
    /// # Errors
    /// As [`Lab::new`], and what `start` returns.
    pub fn started<T>(
        ctx: &Ctx,
        label: &str,
        mode: Mode,
        ports: &[&str],
        rest: &str,
        start: impl FnOnce(&mut Switch) -> Result<T>,
    ) -> Result<(Self, T)> {
        let netns = ctx.netns(&format!("{label}s"))?;
        let mut hosts = Vec::new();
        for number in 1..=ports.len() {
            let host = ctx.netns(&format!("{label}h{number}"))?;
            netns.veth(&format!("p{number}"), &host, "eth1")?;
            if mode.offload(number) == "xdp" {
                make_fit_for_xdp(&host)?;
            }
            hosts.push(host);
        }
        let config = config(mode, ports, rest);
        let mut switch = Switch::prepare(ctx.run(), ctx.files(), &netns, label, &config)?;
        let started = start(&mut switch)?;
        let wanted: Vec<&str> = (1..=ports.len()).map(|n| mode.offload(n)).collect();
        switch.await_shown("ports", |shown| {
            wanted.iter().enumerate().all(|(i, offload)| {
                let off = ports[i].contains("enabled: false");
                shown[i]["offload"] == *offload && (off || shown[i]["link"] == "up")
            })
        })?;
        let ends = hosts
            .iter()
            .map(|host| Port::open(host, "eth1"))
            .collect::<Result<_>>()?;
        let fence = vec![Member::Tagged(FENCE_VLAN); ports.len()];
        let lab = Self {
            switch,
            netns,
            hosts,
            ports: ends,
            fence,
            mode,
        };
        Ok((lab, started))
    }

    /// Sends frames (station's place, frame) and checks that every station receives exactly what is named for it.
    ///
    /// # Errors
    /// Names the port, and what was missing or too much there.
    pub fn expect(&self, sends: &[(usize, Frame)], expected: &[(usize, Frame)]) -> Result<()> {
        let fences = Route::broadcast(&self.fence);
        let mut received = exchange(&self.ports, sends, &fences)?;
        if self.mode != Mode::Tc {
            // XDP hands its frames on at the end of a poll, so a fence, which is flooded by TC, may overtake them.
            // A second one, sent when the first has arrived, belongs to a later poll.
            for (frames, late) in received
                .iter_mut()
                .zip(exchange(&self.ports, &[], &fences)?)
            {
                frames.extend(late);
            }
        }
        for (i, frames) in received.iter().enumerate() {
            let wanted: Vec<Frame> = expected
                .iter()
                .filter(|(to, _)| *to == i)
                .map(|(_, frame)| frame.clone())
                .collect();
            assert_received(frames, &wanted).with_context(|| {
                format!(
                    "station {} in mode {:?} after sending {sends:?}",
                    i + 1,
                    self.mode
                )
            })?;
        }
        Ok(())
    }

    /// Lets whatever is under way arrive, and takes it as it is.
    ///
    /// # Errors
    /// When a fence does not come.
    pub fn settle(&self) -> Result<()> {
        exchange(&self.ports, &[], &Route::broadcast(&self.fence)).map(drop)
    }

    /// Makes the switch learn a station behind each port, in one VLAN, and lets the frames that this takes pass.
    /// `tags` are what each station must send to be in the VLAN.
    ///
    /// # Errors
    /// When an address is not learned.
    pub fn introduce(&self, vlan: u16, tags: &[Option<Tag>]) -> Result<()> {
        for (i, tag) in tags.iter().enumerate() {
            let hello = Frame::probe(station(i as u8 + 1, 0), Mac::BROADCAST);
            self.ports[i].send(&tag.map_or_else(|| hello.clone(), |tag| hello.tagged(tag)))?;
            self.await_learned(vlan, station(i as u8 + 1, 0), i + 1)?;
        }
        self.settle()
    }

    /// A counter of drops at a port (numbered from 1).
    ///
    /// # Errors
    /// When the switch does not answer.
    pub fn drops(&self, port: usize, reason: &str) -> Result<u64> {
        let shown = self.switch.json(&["show", "ports", &port.to_string()])?;
        Ok(shown[0]["drops"][reason].as_u64().unwrap_or(0))
    }

    /// Checks that a drop reason was counted this often at a port, since the lab was made.
    ///
    /// # Errors
    /// Tells all drops of the port.
    pub fn expect_drops(&self, port: usize, reason: &str, count: u64) -> Result<()> {
        let shown = self.switch.json(&["show", "ports", &port.to_string()])?;
        let drops = &shown[0]["drops"];
        ensure!(
            drops[reason].as_u64().unwrap_or(0) == count,
            "port {port}: {count} drops for {reason} expected, found {drops}"
        );
        Ok(())
    }

    /// Waits until an address is known behind a port.
    ///
    /// # Errors
    /// When it does not get there.
    pub fn await_learned(&self, vlan: u16, mac: Mac, port: usize) -> Result<Value> {
        let row = |row: &&Value| row["vlan"] == vlan && row["mac"] == mac.to_string();
        let shown = self
            .switch
            .await_shown("fdb", |rows| {
                rows.as_array()
                    .is_some_and(|rows| rows.iter().any(|r| row(&r) && r["port"] == port))
            })
            .with_context(|| format!("{mac} in VLAN {vlan} on port {port}"))?;
        Ok(shown
            .as_array()
            .and_then(|rows| rows.iter().find(row))
            .cloned()
            .unwrap_or_default())
    }

    /// The FDB without the fences' own address.
    ///
    /// # Errors
    /// When the switch does not answer.
    pub fn fdb(&self) -> Result<Vec<Value>> {
        let shown = self.switch.show("fdb")?;
        let rows = shown.as_array().context("show fdb is an array")?;
        let fence = crate::harness::exchange::FENCE_SOURCE.to_string();
        Ok(rows
            .iter()
            .filter(|row| row["mac"] != fence)
            .cloned()
            .collect())
    }
}

/// The configuration of a lab, without its name.
#[must_use]
pub fn config(mode: Mode, ports: &[&str], rest: &str) -> String {
    let mut config = format!("{rest}\nports:\n");
    for (i, settings) in ports.iter().enumerate() {
        let number = i + 1;
        config += &format!(
            "  - {{port: {number}, device: p{number}, offload: {}, {settings}}}\n",
            mode.offload(number)
        );
    }
    config
}

/// Gives a station's device the features that XDP on the other end needs.
///
/// # Errors
/// When the kernel refuses one.
pub fn make_fit_for_xdp(host: &Netns) -> Result<()> {
    for (feature, on) in [
        (Feature::Gro, true),
        (Feature::TxChecksum, false),
        (Feature::TxVlan, false),
    ] {
        features::set(host, "eth1", feature, on)?;
    }
    Ok(())
}
