//! What ours says, octet by octet, and tshark's opinion of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use hitless_wire::bpdu::{
    self, Bpdu, BridgeId, Config, Encapsulation, PortId, Rst, RstRole, Vector, WireTimes,
};

use super::net::{Net, Node, Ours, Plan, SETTLES};
use super::ring::LONG;
use crate::harness::{
    bpdus::{Heard, Judged, Talker, accepted, octets, tshark},
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "stp.wire",
    "every kind of BPDU in every encapsulation, octet by octet, and tshark takes all of them (seed: 20)",
    every_kind,
)
.timeout(LONG)
.waits()];

/// The source address of the stations here.
const STATION: Mac = Mac([0x02, 0x66, 0, 0, 0, 1]);

/// Seconds as they stand in BPDUs.
#[must_use]
pub fn wire_times(message_age: u16, max_age: u16, hello: u16, forward_delay: u16) -> WireTimes {
    WireTimes {
        message_age: message_age * 256,
        max_age: max_age * 256,
        hello: hello * 256,
        forward_delay: forward_delay * 256,
    }
}

/// What a bridge says that takes itself for the root, with this priority.
#[must_use]
pub fn root_vector(priority: u16) -> Vector {
    let id = BridgeId {
        priority,
        mac: STATION,
    };
    Vector {
        root: id,
        root_path_cost: 0,
        bridge: id,
        port: PortId(0x8001),
        times: wire_times(0, 20, 2, 15),
    }
}

/// A Config BPDU of such a bridge, untagged.
#[must_use]
pub fn config(vector: Vector) -> bpdu::Frame {
    frame(Bpdu::Config(Config {
        vector,
        topology_change: false,
        topology_change_ack: false,
    }))
}

/// An RST BPDU of a designated port that forwards, untagged.
#[must_use]
pub fn rst(vector: Vector) -> bpdu::Frame {
    frame(Bpdu::Rst(Rst {
        vector,
        role: RstRole::Designated,
        topology_change: false,
        topology_change_ack: false,
        proposal: false,
        agreement: false,
        learning: true,
        forwarding: true,
    }))
}

/// A frame with this BPDU, untagged.
#[must_use]
pub fn frame(bpdu: Bpdu) -> bpdu::Frame {
    bpdu::Frame {
        source: STATION,
        encapsulation: Encapsulation::Dot1d,
        bpdu,
    }
}

/// A domain at each port: its name, its VLAN, how port 1 to 5 carries it, and its other settings.
const DOMAINS: [(&str, u16, &str, &str); 5] = [
    ("s0", 10, "untagged: 10", "mode: dot1w"),
    (
        "old",
        20,
        "untagged: 20",
        "mode: dot1d, default_encapsulation: dot1d, hello_time: 1, max_age: 6, forward_delay: 4",
    ),
    ("emistp", 30, "tagged: [30]", "tag: 30"),
    (
        "pvst",
        40,
        "tagged: [40]",
        "tag: 40, default_encapsulation: pvst-plus",
    ),
    (
        "native",
        50,
        "untagged: 50",
        "tag: 50, default_encapsulation: pvst-plus, mode: dot1d",
    ),
];

fn every_kind(ctx: &Ctx) -> Result<()> {
    let domains = DOMAINS.map(|(name, vlan, _, more)| {
        format!("{{name: {name}, enabled: true, priority: 32768, vlans: [{vlan}], {more}}}")
    });
    let vlans = DOMAINS.map(|(_, vlan, _, _)| format!("{{id: {vlan}}}"));
    let mut ours = Ours::new("a", 32768)
        .vlans(&format!("[{}]", vlans.join(", ")))
        .domains(&domains.join(", "));
    for (port, (_, _, carries, _)) in (1..).zip(DOMAINS) {
        ours = ours.port(port, carries);
    }
    // Of the domain that sends notifications.
    ours = ours.port(6, "untagged: 20");
    let plan = Plan::default()
        .ours([ours])
        .hosts((1..=6).map(|port| ("a", port)));
    let net = Net::up(ctx, &plan)?;
    let node = net.node("a")?;
    let recorders = (1..=5)
        .map(|port| net.hear(("a", port)))
        .collect::<Result<Vec<_>>>()?;

    // From the first word after a link comes up.
    let mut marks = Vec::new();
    for (place, (recorder, (name, ..))) in recorders.iter().zip(DOMAINS).enumerate() {
        let port = place as u16 + 1;
        net.plug_host(place, false)?;
        node.await_tree(name, "a port without a link", SETTLES, |tree| {
            tree.is_off(port)
        })?;
        marks.push(recorder.mark());
        net.plug_host(place, true)?;
    }
    for ((recorder, mark), (name, ..)) in recorders.iter().zip(&marks).zip(DOMAINS) {
        recorder.await_bpdu(*mark, &format!("a BPDU of {name}"), SETTLES, |bpdu| {
            *bpdu != Bpdu::Tcn
        })?;
    }
    // A better bridge on the port of domain old, until that has told it of a change: port 6 opens.
    let better = config(Vector {
        times: wire_times(0, 6, 1, 4),
        ..root_vector(4096)
    });
    let device = super::net::DEVICE;
    let every = Duration::from_secs(1);
    let talker = Talker::start(&net.hosts[1].netns, device, every, &better)?;
    node.await_tree("old", "a root behind port 2", SETTLES, |tree| tree.leads(2))?;
    net.plug_host(5, false)?;
    net.plug_host(5, true)?;
    recorders[1].await_bpdu(marks[1], "a notification", SETTLES, |bpdu| {
        *bpdu == Bpdu::Tcn
    })?;
    drop(talker);

    let mut all = Vec::new();
    for (recorder, mark) in recorders.into_iter().zip(marks) {
        all.push(recorder.stop()?.split_off(mark));
    }
    golden(node, &net, &all)?;
    judged(ctx, &all)
}

/// The octets of a BPDU by themselves, from what the domain's bridge is.
fn golden(node: &Node, net: &Net, all: &[Vec<Heard>]) -> Result<()> {
    for (port, ((name, vlan, _, _), heard)) in (1_u16..).zip(DOMAINS.iter().zip(all)) {
        let id = node.tree(name)?.id;
        let extension = if *name == "s0" || *name == "old" {
            0
        } else {
            *vlan
        };
        ensure!(
            id.priority == 32768 | extension,
            "bridge {id} of {name} has not extension {extension}"
        );
        let source = node.netns.link(&format!("p{port}"))?;
        let source: Mac = source["address"].as_str().context("an address")?.parse()?;
        let [times, quick] = [wire_times(0, 20, 2, 15), wire_times(0, 6, 1, 4)];
        let vector = Vector {
            root: id,
            root_path_cost: 0,
            bridge: id,
            port: PortId(0x8000 | port),
            times: if *name == "old" { quick } else { times },
        };
        let vlan = hitless_common::VlanId::new(*vlan).context("a VLAN")?;
        let (encapsulation, start): (_, &[u8]) = match *name {
            "s0" | "old" => (Encapsulation::Dot1d, &[0x01, 0x80, 0xc2, 0, 0, 0]),
            "emistp" => (Encapsulation::Emistp(vlan), &[0x01, 0x80, 0xc2, 0, 0, 0]),
            _ => (
                Encapsulation::PvstPlus {
                    vlan,
                    tagged: *name == "pvst",
                },
                &[0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd],
            ),
        };
        let is_config = |heard: &&Heard| {
            let parsed = bpdu::Frame::parse(heard.frame.octets(), None);
            parsed.is_ok_and(|f| f.encapsulation == encapsulation && f.bpdu != Bpdu::Tcn)
        };
        let first = heard.iter().find(is_config);
        let first = first.with_context(|| format!("no BPDU of {name} as {encapsulation:?}"))?;
        ensure!(first.frame.octets().starts_with(start), "{:?}", first.frame);
        let rapid = !matches!(*name, "old" | "native");
        let bpdu = if rapid {
            // The first one proposes.
            Bpdu::Rst(Rst {
                vector,
                role: RstRole::Designated,
                topology_change: false,
                topology_change_ack: false,
                proposal: true,
                agreement: false,
                learning: false,
                forwarding: false,
            })
        } else {
            Bpdu::Config(Config {
                vector,
                topology_change: false,
                topology_change_ack: false,
            })
        };
        let wanted = octets(&bpdu::Frame {
            source,
            encapsulation,
            bpdu,
        })?;
        ensure!(
            first.frame == wanted,
            "{name}: {:02x?} instead of {:02x?}",
            first.frame.octets(),
            wanted.octets()
        );
    }
    // PVST+ on its native VLAN says it once more for all who know no PVST+.
    let plain = |heard: &Heard| heard.frame.dst() == Some(bpdu::STP_DESTINATION);
    ensure!(
        all[4].iter().any(plain) && !all[3].iter().any(plain),
        "plain BPDUs not on the native VLAN alone of {}",
        net.hosts.len()
    );
    Ok(())
}

/// tshark has nothing against any of them.
fn judged(ctx: &Ctx, all: &[Vec<Heard>]) -> Result<()> {
    ctx.need_program("tshark")?;
    let heard: Vec<Heard> = all.iter().flatten().cloned().collect();
    let judged: Vec<Judged> = tshark(ctx.files(), "all", &heard)?;
    accepted(&judged)?;
    for kind in [0x00, 0x02, 0x80] {
        ensure!(
            judged.iter().any(|j| j.kind == Some(kind)),
            "no BPDU of type {kind:02x} among {}",
            judged.len()
        );
    }
    ctx.tell(format!("tshark took {} BPDUs", judged.len()));
    Ok(())
}
