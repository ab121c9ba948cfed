//! The choice of hook per port, its reason, and that XDP is refused where it could not forward rightly.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::lab::{Lab, Mode, config, make_fit_for_xdp, vlans};
use crate::harness::{
    features::{self, Feature},
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new("offload.auto", "auto takes TC on a veth and says why", auto),
    Case::new(
        "offload.refused",
        "XDP on a veth names what the far end lacks, and comes when it has it",
        refused,
    ),
    Case::new(
        "offload.withdrawn",
        "XDP is given up when the far end turns unfit, without a port going down",
        withdrawn,
    ),
    Case::new(
        "offload.trusted",
        "trust_far_end takes XDP on the operator's word",
        trusted,
    ),
];

const PORT: &str = "untagged: 10, tagged: [4000]";

fn text<'a>(ports: &'a Value, key: &str) -> &'a str {
    ports[0][key].as_str().unwrap_or_default()
}

fn auto(ctx: &Ctx) -> Result<()> {
    let (netns, host) = (ctx.netns("s")?, ctx.netns("h")?);
    netns.veth("p1", &host, "eth1")?;
    let rest = format!("{}\nports: [{{port: 1, device: p1, {PORT}}}]", vlans(&[10]));
    let switch = ctx.switch(&netns, "auto", &rest)?;
    let ports = switch.show("ports")?;
    ensure!(
        ports[0]["offload"] == "tc" && ports[0]["configured_offload"] == "auto",
        "{ports}"
    );
    ensure!(text(&ports, "offload_reason").contains("veth"), "{ports}");
    Ok(())
}

fn refused(ctx: &Ctx) -> Result<()> {
    let (netns, host) = (ctx.netns("s")?, ctx.netns("h")?);
    netns.veth("p1", &host, "eth1")?;
    let switch = ctx.switch(
        &netns,
        "refused",
        &config(Mode::Xdp, &[PORT], &vlans(&[10])),
    )?;
    let ports = switch.show("ports")?;
    ensure!(ports[0]["offload"] == "tc", "{ports}");
    for lack in ["gro on", "tx off", "txvlan off"] {
        ensure!(
            text(&ports, "offload_reason").contains(lack),
            "{lack:?} is not named: {ports}"
        );
    }
    // One by one: the reason names just what is left.
    features::set(&host, "eth1", Feature::Gro, true)?;
    features::set(&host, "eth1", Feature::TxChecksum, false)?;
    switch.await_shown("ports", |p| {
        let reason = text(p, "offload_reason");
        reason.contains("txvlan off") && !reason.contains("gro on") && !reason.contains("tx off")
    })?;
    features::set(&host, "eth1", Feature::TxVlan, false)?;
    switch.await_shown("ports", |p| p[0]["offload"] == "xdp")?;
    Ok(())
}

fn withdrawn(ctx: &Ctx) -> Result<()> {
    let lab = Lab::new(ctx, "withdrawn", Mode::Xdp, &[PORT; 2], &vlans(&[10]))?;
    lab.introduce(10, &[None; 2])?;
    let changes = || -> Result<u64> {
        let shown = lab
            .netns
            .ip(&["-s", "-s", "-json", "link", "show", "dev", "p1"])?;
        let link: Value = serde_json::from_str(&shown)?;
        let changes = link[0]["stats64"]["tx"]["carrier_changes"].as_u64();
        changes.with_context(|| format!("no carrier_changes in {shown}"))
    };
    let before = changes()?;
    features::set(&lab.hosts[0], "eth1", Feature::TxChecksum, true)?;
    lab.switch
        .await_shown("ports", |p| p[0]["offload"] == "tc" && p[0]["link"] == "up")?;
    let frame =
        crate::harness::frames::Frame::probe(super::lab::station(2, 0), super::lab::station(1, 0));
    lab.expect(&[(1, frame.clone())], &[(0, frame)])?;
    ensure!(changes()? == before, "the port's link went down and up");
    Ok(())
}

fn trusted(ctx: &Ctx) -> Result<()> {
    let (netns, host) = (ctx.netns("s")?, ctx.netns("h")?);
    netns.veth("p1", &host, "eth1")?;
    make_fit_for_xdp(&host)?;
    features::set(&host, "eth1", Feature::TxVlan, true)?;
    let settings = format!("{PORT}, trust_far_end: true");
    let switch = ctx.switch(
        &netns,
        "trusted",
        &config(Mode::Xdp, &[&settings], &vlans(&[10])),
    )?;
    let ports = switch.show("ports")?;
    ensure!(
        ports[0]["offload"] == "xdp" && text(&ports, "offload_reason").contains("trust"),
        "{ports}"
    );
    Ok(())
}
