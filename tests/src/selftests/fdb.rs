//! The forwarding database: what is learned, moved, held, limited, aged, flushed and configured.

use std::time::Duration;

use anyhow::{Result, ensure};
use hitless_common::Mac;
use serde_json::Value;

use super::lab::{Lab, Mode, station, vlans};
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "fdb.learn",
        "sources are learned by VLAN and shown with port, kind and age; seed: 17",
        learn,
    ),
    Case::new(
        "fdb.never",
        "group, zero and control addresses are never learned",
        never,
    ),
    Case::new(
        "fdb.move",
        "a station that moves is followed; one that moves too often is held",
        moves,
    ),
    Case::new(
        "fdb.static",
        "static entries win over learning, neither age nor move, and can be made and deleted",
        statics,
    ),
    Case::new(
        "fdb.blackhole",
        "frames from and to a blackhole entry are dropped and counted",
        blackhole,
    ),
    Case::new(
        "fdb.limits",
        "limits per port and VLAN; beyond them frames are flooded, not lost",
        limits,
    ),
    Case::new(
        "fdb.full",
        "a full table is counted and shown, and its frames are flooded",
        full,
    ),
    Case::new(
        "fdb.flush",
        "clear fdb by port, VLAN, address and altogether",
        flush,
    ),
    Case::new(
        "fdb.ageing",
        "addresses that send nothing are forgotten after the ageing time, others are not",
        ageing,
    )
    .timeout(Duration::from_secs(90)),
    Case::new(
        "fdb.size",
        "a table of a million addresses is made, and its memory shown",
        size,
    ),
];

const PORT: &str = "untagged: 10, tagged: [4000]";

fn learn(ctx: &Ctx) -> Result<()> {
    for mode in Mode::ALL {
        let ports = [
            "untagged: 10, tagged: [20, 4000]",
            PORT,
            "untagged: 20, tagged: [4000]",
        ];
        let lab = Lab::new(ctx, "learn", mode, &ports, &vlans(&[10, 20]))?;
        lab.ports[0].send(&Frame::probe(station(1, 0), Mac::BROADCAST))?;
        lab.ports[2].send(&Frame::probe(station(1, 0), Mac::BROADCAST))?;
        let row = lab.await_learned(10, station(1, 0), 1)?;
        ensure!(
            row["kind"] == "dynamic" && row["age_seconds"].as_u64().is_some_and(|age| age < 30),
            "{row}"
        );
        // The same address in another VLAN is another entry.
        lab.await_learned(20, station(1, 0), 3)?;
        ensure!(lab.fdb()?.len() == 2, "{:?}", lab.fdb()?);
        let vlan = lab.switch.json(&["show", "vlan", "10"])?;
        ensure!(vlan[0]["mac_count"] == 1, "{vlan}");
    }
    Ok(())
}

fn never(ctx: &Ctx) -> Result<()> {
    let lab = Lab::new(ctx, "never", Mode::Tc, &[PORT; 2], &vlans(&[10]))?;
    let sources = [
        Mac::ZERO,
        Mac::BROADCAST,
        Mac([1, 0, 0x5e, 1, 2, 3]),
        Mac([0, 0xe0, 0x2b, 0, 0, 2]),
    ];
    for src in sources {
        let frame = Frame::probe(src, Mac([2, 0x77, 0, 0, 0, 1]));
        lab.expect(&[(0, frame.clone())], &[(1, frame)])?;
    }
    // Learned after all of them, so they have been looked at.
    lab.ports[0].send(&Frame::probe(station(1, 0), Mac::BROADCAST))?;
    lab.await_learned(10, station(1, 0), 1)?;
    ensure!(lab.fdb()?.len() == 1, "{:?}", lab.fdb()?);
    Ok(())
}

fn moves(ctx: &Ctx) -> Result<()> {
    let rest = format!(
        "{}\nfdb: {{damping: {{moves: 4, within_seconds: 3600, hold_seconds: 3600}}}}",
        vlans(&[10])
    );
    let lab = Lab::new(ctx, "move", Mode::Tc, &[PORT; 3], &rest)?;
    let wanderer = station(9, 9);
    for round in 0..5 {
        let at = round % 2;
        lab.ports[at].send(&Frame::probe(wanderer, Mac::BROADCAST))?;
        lab.await_learned(10, wanderer, at + 1)?;
    }
    lab.settle()?;
    // Now it is on port 1 and has moved as often as it may.
    let to_it = Frame::probe(station(3, 0), wanderer);
    lab.expect(&[(2, to_it.clone())], &[(0, to_it)])?;
    lab.ports[1].send(&Frame::probe(wanderer, Mac::BROADCAST))?;
    lab.switch.await_shown("counters", |c| {
        c["learning"]["damped"].as_u64().is_some_and(|n| n > 0)
    })?;
    lab.settle()?;
    let to_it = Frame::probe(station(3, 0), wanderer);
    lab.expect(&[(2, to_it.clone())], &[(0, to_it)])?;
    ensure!(
        lab.switch.log()?.contains("held on port 1"),
        "the log says nothing:\n{}",
        lab.switch.log()?
    );
    let counters = lab.switch.show("counters")?;
    // Four moves of the station; the address of the fences moves too.
    ensure!(
        counters["learning"]["moved"]
            .as_u64()
            .is_some_and(|n| n >= 4),
        "{counters}"
    );
    Ok(())
}

fn statics(ctx: &Ctx) -> Result<()> {
    let fixed = station(8, 8);
    let rest = format!(
        "{}\nfdb: {{static: [{{vlan: 10, mac: \"{fixed}\", port: 2}}]}}",
        vlans(&[10])
    );
    for mode in Mode::ALL {
        let lab = Lab::new(ctx, "static", mode, &[PORT; 3], &rest)?;
        let kind = |mac: Mac| -> Result<Value> {
            let rows = lab.fdb()?;
            Ok(rows
                .iter()
                .find(|r| r["mac"] == mac.to_string())
                .map_or(Value::Null, |r| r["kind"].clone()))
        };
        ensure!(kind(fixed)? == "static");
        let to_it = Frame::probe(station(1, 0), fixed);
        lab.expect(&[(0, to_it.clone())], &[(1, to_it)])?;
        // Its own frames from elsewhere do not move it.
        let liar = Frame::probe(fixed, Mac::BROADCAST);
        lab.expect(&[(2, liar.clone())], &[(0, liar.clone()), (1, liar)])?;
        lab.ports[0].send(&Frame::probe(station(1, 0), Mac::BROADCAST))?;
        lab.await_learned(10, station(1, 0), 1)?;
        lab.settle()?;
        let to_it = Frame::probe(station(1, 0), fixed);
        lab.expect(&[(0, to_it.clone())], &[(1, to_it)])?;
        // Made and deleted by command.
        let made = station(7, 7);
        let text = made.to_string();
        lab.switch
            .cli(&["create", "fdbentry", &text, "vlan", "10", "port", "3"])?;
        let to_it = Frame::probe(station(1, 0), made);
        lab.expect(&[(0, to_it.clone())], &[(2, to_it.clone())])?;
        let twice = lab
            .switch
            .cli(&["create", "fdbentry", &text, "vlan", "10", "port", "2"]);
        ensure!(
            twice.is_err_and(|e| format!("{e:#}").contains("already")),
            "a second entry for one address"
        );
        lab.switch.cli(&["clear", "fdb"])?;
        ensure!(kind(made)? == "static" && kind(fixed)? == "static");
        lab.switch
            .cli(&["delete", "fdbentry", &text, "vlan", "10"])?;
        lab.expect(&[(0, to_it.clone())], &[(1, to_it.clone()), (2, to_it)])?;
        let gone = lab.switch.cli(&["delete", "fdbentry", &text, "vlan", "10"]);
        ensure!(
            gone.is_err_and(|e| format!("{e:#}").contains("no configured entry")),
            "an entry was deleted twice"
        );
    }
    Ok(())
}

fn blackhole(ctx: &Ctx) -> Result<()> {
    let hole = station(6, 6);
    let rest = format!(
        "{}\nfdb: {{static: [{{vlan: 10, mac: \"{hole}\", blackhole: true}}]}}",
        vlans(&[10])
    );
    for mode in Mode::ALL {
        let lab = Lab::new(ctx, "hole", mode, &[PORT; 2], &rest)?;
        lab.expect(
            &[
                (0, Frame::probe(station(1, 0), hole)),
                (1, Frame::probe(hole, Mac::BROADCAST)),
            ],
            &[],
        )?;
        lab.expect_drops(1, "blackhole", 1)?;
        lab.expect_drops(2, "blackhole", 1)?;
        let row = lab
            .fdb()?
            .into_iter()
            .find(|r| r["mac"] == hole.to_string())
            .unwrap_or_default();
        ensure!(row["kind"] == "blackhole" && row["port"].is_null(), "{row}");
    }
    Ok(())
}

fn limits(ctx: &Ctx) -> Result<()> {
    let limited = format!("{PORT}, mac_limit: 3");
    let rest = "vlans: [{id: 10, mac_limit: 5}, {id: 4000}]";
    let lab = Lab::new(ctx, "limit", Mode::Tc, &[&limited, PORT], rest)?;
    // Until everything is counted no fence is sent: its address would take a part of a port's share.
    let send = |port: usize, n: u8| {
        lab.ports[port].send(&Frame::probe(station(port as u8 + 1, n), Mac::BROADCAST))
    };
    for n in 1..=10 {
        send(0, n)?;
    }
    let shown = lab.switch.await_shown("counters", |c| {
        c["learning"]["limited_port"]
            .as_u64()
            .is_some_and(|n| n >= 7)
    })?;
    ensure!(
        lab.fdb()?.len() == 3,
        "port limit 3: {:?} {shown}",
        lab.fdb()?
    );
    for n in 1..=10 {
        send(1, n)?;
    }
    lab.switch.await_shown("counters", |c| {
        c["learning"]["limited_vlan"]
            .as_u64()
            .is_some_and(|n| n >= 8)
    })?;
    ensure!(lab.fdb()?.len() == 5, "VLAN limit 5: {:?}", lab.fdb()?);
    lab.settle()?;
    // What was not learned is still reached, by flooding.
    let frame = Frame::probe(station(2, 1), station(1, 10));
    lab.expect(&[(1, frame.clone())], &[(0, frame)])?;
    let log = lab.switch.log()?;
    ensure!(
        log.contains("limit of 3 addresses") && log.contains("limit of 5 addresses"),
        "{log}"
    );
    Ok(())
}

fn full(ctx: &Ctx) -> Result<()> {
    let rest = format!("{}\nfdb: {{size: 64}}", vlans(&[10]));
    let lab = Lab::new(ctx, "full", Mode::Tc, &[PORT; 2], &rest)?;
    for n in 0..200 {
        lab.ports[0].send(&Frame::probe(station(1, n), Mac::BROADCAST))?;
    }
    let shown = lab.switch.await_shown("switch", |s| {
        s["fdb"]["full"].as_u64().is_some_and(|n| n > 0)
    })?;
    ensure!(
        shown["fdb"]["used"].as_u64().is_some_and(|n| n <= 64) && shown["fdb"]["size"] == 64,
        "{shown}"
    );
    lab.settle()?;
    let known: Vec<String> = lab
        .fdb()?
        .iter()
        .filter_map(|r| r["mac"].as_str().map(str::to_string))
        .collect();
    let unknown = (0..200)
        .map(|n| station(1, n))
        .find(|mac| !known.contains(&mac.to_string()));
    let unknown = unknown.ok_or_else(|| anyhow::anyhow!("200 addresses fit into a table of 64"))?;
    let frame = Frame::probe(station(2, 0), unknown);
    lab.expect(&[(1, frame.clone())], &[(0, frame)])
}

fn flush(ctx: &Ctx) -> Result<()> {
    let ports = [
        "untagged: 10, tagged: [20, 4000]",
        "untagged: 20, tagged: [10, 4000]",
    ];
    let lab = Lab::new(ctx, "flush", Mode::Tc, &ports, &vlans(&[10, 20]))?;
    let fill = || -> Result<()> {
        for port in 0..2 {
            for n in 1..=3 {
                lab.ports[port].send(&Frame::probe(station(port as u8 + 1, n), Mac::BROADCAST))?;
            }
            lab.await_learned(10 + 10 * port as u16, station(port as u8 + 1, 3), port + 1)?;
        }
        ensure!(lab.fdb()?.len() == 6, "{:?}", lab.fdb()?);
        Ok(())
    };
    for (what, left) in [
        (vec!["port", "1"], 3),
        (vec!["vlan", "20"], 3),
        (vec!["mac", "02:11:00:00:02:01"], 5),
        (vec![], 0),
    ] {
        fill()?;
        lab.switch.cli(&[&["clear", "fdb"], &what[..]].concat())?;
        ensure!(
            lab.fdb()?.len() == left,
            "after clear fdb {what:?}: {:?}",
            lab.fdb()?
        );
    }
    Ok(())
}

fn ageing(ctx: &Ctx) -> Result<()> {
    for mode in [Mode::Tc, Mode::Xdp] {
        let rest = format!("{}\nfdb: {{ageing_seconds: 10}}", vlans(&[10]));
        let lab = Lab::new(ctx, "age", mode, &[PORT; 2], &rest)?;
        lab.introduce(10, &[None; 2])?;
        let silent = station(2, 0).to_string();
        // Station 1 goes on sending known unicast while station 2 is silent.
        let start = std::time::Instant::now();
        lab.switch.await_shown("fdb", |rows| {
            let _ = lab.ports[0].send(&Frame::probe(station(1, 0), station(2, 0)));
            rows.as_array()
                .is_some_and(|rows| rows.iter().all(|r| r["mac"] != silent))
        })?;
        ensure!(
            start.elapsed() >= Duration::from_secs(9),
            "forgotten after {:?}",
            start.elapsed()
        );
        lab.await_learned(10, station(1, 0), 1)?;
        let counters = lab.switch.show("counters")?;
        ensure!(
            counters["learning"]["aged"]
                .as_u64()
                .is_some_and(|n| n >= 1),
            "{counters}"
        );
    }
    Ok(())
}

fn size(ctx: &Ctx) -> Result<()> {
    let rest = format!("{}\nfdb: {{size: 1048576}}", vlans(&[10]));
    let lab = Lab::new(ctx, "size", Mode::Tc, &[PORT; 2], &rest)?;
    let shown = lab.switch.show("switch")?;
    ensure!(
        shown["fdb"]["size"] == 1_048_576 && shown["fdb"]["memory_bytes"] == 33_554_432,
        "{shown}"
    );
    lab.introduce(10, &[None; 2])
}
