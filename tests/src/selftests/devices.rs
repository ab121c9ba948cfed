//! Ports whose devices come late, go and return, whether hitlessd runs meanwhile or not: they forward again by
//! themselves, and other ports do not notice.

use anyhow::{Context, Result, ensure};

use super::bystanders::{Bystanders, PORTS, REST, address};
use super::lab::{Lab, Mode, config, make_fit_for_xdp, station};
use super::pinned::Pinned;
use crate::harness::{
    exchange::{Member, Route, expect},
    frames::Frame,
    ktap::{Case, Ctx},
    port::Port,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "device.returns-tc",
        "a port's device that is deleted and made again forwards again by itself; other ports lose nothing (TC)",
        |ctx| device_returns(ctx, Mode::Tc, false),
    ),
    Case::new(
        "device.returns-xdp",
        "a port's device that is deleted and made again forwards again by itself; other ports lose nothing (XDP)",
        |ctx| device_returns(ctx, Mode::Xdp, false),
    ),
    Case::new(
        "device.returns-while-dead-tc",
        "a device deleted and made again while no hitlessd runs forwards again after the next start (TC)",
        |ctx| device_returns(ctx, Mode::Tc, true),
    ),
    Case::new(
        "device.returns-while-dead-xdp",
        "a device deleted and made again while no hitlessd runs forwards again after the next start (XDP)",
        |ctx| device_returns(ctx, Mode::Xdp, true),
    ),
    Case::new(
        "device.comes-late",
        "a port whose device is missing at the start waits, and forwards when it comes, is renamed away and back",
        device_comes_late,
    ),
];

fn device_returns(ctx: &Ctx, mode: Mode, dead: bool) -> Result<()> {
    let mut others = Bystanders::over(Lab::new(ctx, "sw", mode, &PORTS, REST)?, Some(20_000))?;
    let before = Pinned::of(&others.lab.switch).state()?;
    for round in 1..=2 {
        others.phase(&format!("gone {round}"))?;
        if dead {
            others.lab.switch.kill()?;
        }
        others.lab.netns.ip(&["link", "delete", "p3"])?;
        if !dead {
            let shown = others
                .lab
                .switch
                .await_shown("ports", |ports| ports[2]["link"] == "absent")?;
            ensure!(
                shown[2]["device_state"] == "waiting for the device",
                "{}",
                shown[2]
            );
            let fdb = others.lab.fdb()?;
            let forgotten = fdb.iter().all(|row| row["mac"] != address(3).to_string());
            ensure!(
                forgotten,
                "what was behind the device is still known: {fdb:?}"
            );
        }
        // To the device that is gone: dropped and counted, not sent anywhere else.
        others.quiet[1].send(&Frame::probe(address(4), address(3)))?;
        others.go_on(1000)?;

        others.phase(&format!("back {round}"))?;
        let host = &others.lab.hosts[2];
        others.lab.netns.veth("p3", host, "eth1")?;
        if mode == Mode::Xdp {
            make_fit_for_xdp(host)?;
        }
        if dead {
            others.lab.switch.run()?;
        }
        let offload = if mode == Mode::Xdp { "xdp" } else { "tc" };
        others.lab.switch.await_shown("ports", |ports| {
            ports[2]["link"] == "up"
                && ports[2]["device_state"] == "attached"
                && ports[2]["offload"] == offload
        })?;
        others.quiet[0] = Port::open(host, "eth1")?;
        others
            .unharmed()
            .with_context(|| format!("round {round}"))?;
        others.lab.await_learned(20, address(3), 3)?;
    }
    // Nobody touched the other ports' links.
    let after = Pinned::of(&others.lab.switch).state()?;
    for (name, link) in &before.links {
        let same = after.links.get(name) == Some(link);
        ensure!(
            same != name.starts_with("link_3_"),
            "{name}: {link:?} became {:?}",
            after.links.get(name)
        );
    }
    others.finish()
}

fn device_comes_late(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let ports = [
        "untagged: 10",
        "untagged: 10",
        "untagged: 20",
        "untagged: 20",
        "untagged: 20",
    ];
    others.lab.switch.kill()?;
    others
        .lab
        .switch
        .write_config(&config(Mode::Tc, &ports, REST))?;
    others.lab.switch.run()?;
    let shown = others.lab.switch.show("ports")?;
    ensure!(
        shown[4]["link"] == "absent" && shown[4]["device_state"] == "waiting for the device",
        "{}",
        shown[4]
    );
    others.unharmed()?;

    let late = ctx.netns("late")?;
    others.lab.netns.veth("p5", &late, "eth1")?;
    let is_up = |up: bool| {
        others.lab.switch.await_shown("ports", |ports| {
            let there = ports[4]["link"] == "up" && ports[4]["device_state"] == "attached";
            let absent = ports[4]["link"] == "absent";
            if up { there } else { absent }
        })
    };
    is_up(true)?;
    let newcomer = Port::open(&late, "eth1")?;
    let ports = [newcomer, Port::open(&others.lab.hosts[2], "eth1")?];
    let fences = Route::broadcast(&[Member::Untagged; 2]);
    let talk = || {
        let there = Frame::probe(station(5, 1), address(3));
        let back = Frame::probe(address(3), station(5, 1));
        expect(
            &ports,
            &[(0, there.clone()), (1, back.clone())],
            &[(1, there), (0, back)],
            &fences,
        )
    };
    talk().context("the late device")?;

    // Under another name it is not the port's; under its own it is again.
    others
        .lab
        .netns
        .ip(&["link", "set", "p5", "name", "other"])?;
    is_up(false)?;
    others.go_on(1000)?;
    others
        .lab
        .netns
        .ip(&["link", "set", "other", "name", "p5"])?;
    is_up(true)?;
    talk().context("the renamed device")?;
    others.finish()
}
