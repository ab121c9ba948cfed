//! TCP between Linux hosts as they come: checksum offload, segmentation offload and accelerated tags on.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Result, ensure};

use super::lab::{Lab, Mode, vlans};
use crate::{
    bench::tcp::throughput,
    harness::{
        features::{self, Feature},
        ktap::{Case, Ctx},
        probe::VlanDevice,
    },
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "tcp.untouched",
        "TCP between untouched hosts on access ports, both ways",
        untouched,
    ),
    Case::new(
        "tcp.tagged",
        "TCP from a host that sends accelerated tags to one that sends none",
        tagged,
    ),
    Case::new("tcp.xdp", "TCP between hosts prepared for XDP", xdp),
];

const MOMENT: Duration = Duration::from_millis(300);

fn addressed(lab: &Lab) -> Result<[Ipv4Addr; 2]> {
    let addresses = [Ipv4Addr::new(10, 0, 10, 1), Ipv4Addr::new(10, 0, 10, 2)];
    for (host, address) in lab.hosts.iter().zip(addresses) {
        host.address("eth1", &format!("{address}/24"))?;
    }
    Ok(addresses)
}

/// Runs TCP both ways. A path that mangles checksums or segments still passes a few frames, at a crawl: so a
/// floor far below what any machine does, and far above a crawl.
fn both_ways(ctx: &Ctx, lab: &Lab) -> Result<()> {
    let [one, two] = addressed(lab)?;
    for (from, to, address) in [(0, 1, two), (1, 0, one)] {
        let rate = throughput(&lab.hosts[from], &lab.hosts[to], address, MOMENT)?;
        ctx.note(format!("{rate:.2} Gb/s to {address}"));
        ensure!(rate > 0.1, "{rate:.3} Gb/s to {address}");
    }
    let ports = lab.switch.show("ports")?;
    for port in 0..2 {
        ensure!(
            ports[port]["drops"]
                .as_object()
                .is_some_and(serde_json::Map::is_empty),
            "{ports}"
        );
    }
    Ok(())
}

fn untouched(ctx: &Ctx) -> Result<()> {
    let port = "untagged: 10, tagged: [4000]";
    let lab = Lab::new(ctx, "tcp", Mode::Tc, &[port; 2], &vlans(&[10]))?;
    for host in &lab.hosts {
        for feature in [
            Feature::Tso,
            Feature::Gso,
            Feature::TxChecksum,
            Feature::TxVlan,
        ] {
            ensure!(
                features::get(host, "eth1", feature)?,
                "{feature:?} is off on an untouched veth"
            );
        }
    }
    both_ways(ctx, &lab)
}

fn tagged(ctx: &Ctx) -> Result<()> {
    let ports = ["tagged: [10, 4000]", "untagged: 10, tagged: [4000]"];
    let lab = Lab::new(ctx, "tagtcp", Mode::Tc, &ports, &vlans(&[10]))?;
    let _vlan = VlanDevice::attach(&lab.hosts[0], "eth1", 10)?;
    both_ways(ctx, &lab)
}

fn xdp(ctx: &Ctx) -> Result<()> {
    let port = "untagged: 10, tagged: [4000]";
    let lab = Lab::new(ctx, "xdptcp", Mode::Xdp, &[port; 2], &vlans(&[10]))?;
    both_ways(ctx, &lab)
}
