//! How fast the master writes the forwarding database: its own code on a pinned and mapped table, without a switch
//! around it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use hitless::hw::{Hardware, Known, pins, shadow_memory};
use hitless_common::map::events::LearnEvent;
use hitless_common::map::fdb::FdbKey;
use hitless_common::map::vlans::{PortSet, VlanEntry, flag};
use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::bridge::cells;
use hitless_proto::bridge::learning::{Flush, Learning, Rules, View};
use hitless_proto::time::Epoch;

use super::l2::Effort;
use super::rounds::{Limit, Subject, Table};
use crate::harness::run::Run;

const VLAN: u16 = 10;
const NOW: Epoch = Epoch::new(1);

/// Addresses written a second, into a table of a million.
///
/// # Errors
/// When the table can not be made.
pub fn writes(run: &Run, _files: &Path, effort: Effort) -> Result<Table> {
    let addresses = 2 * effort.stations;
    let name = run.name("fdb");
    let gone = name.clone();
    let _undo = run.undo(move || {
        // Nothing is attached; what can not be removed is swept by the next run.
        let _ = pins::remove(&gone);
    });
    let (vlans, mut alive) = (BTreeMap::new(), || ());
    let mut known = Known {
        vlans: &vlans,
        fdb: None,
        ahead: None,
        alive: &mut alive,
    };
    let hardware = Hardware::open(
        pins::SwitchDir::lock(&name)?,
        addresses,
        0,
        None,
        &mut known,
    )?;
    let cells = cells::Hardware::new(hardware.fdb).map_err(|e| anyhow!("FDB: {e:?}"))?;
    let memory = shadow_memory(hardware.fdb.len()).context("memory for the software copy")?;

    let port = PortNo::new(1).context("port 1")?;
    let vlan = VlanId::new(VLAN).context("VLAN 10")?;
    let ports: PortSet = [port].into_iter().collect();
    let mut vlans = vec![VlanEntry::default(); usize::from(VLAN) + 1];
    vlans[usize::from(VLAN)] = VlanEntry {
        forwarding: ports,
        untagged: ports,
        learning: ports,
        member: ports,
        fallback: ports,
        flags: flag::EXISTS,
    };
    let view = View {
        vlans: &vlans,
        enabled: ports,
    };
    let rules = Rules {
        capacity: addresses,
        ..Rules::default()
    };
    let (mut learning, _) = Learning::adopt(cells, hardware.fdb_seed, memory, rules, &view, NOW);
    let events: Vec<LearnEvent> = (0..addresses)
        .map(|n| LearnEvent {
            key: FdbKey::new(vlan, Mac::from_u64(0x0200_0000_0000 + u64::from(n))),
            port: port.get(),
            moved: 0,
            reserved: 0,
        })
        .collect();
    let learn = || {
        learning.flush(&Flush::default());
        let start = Instant::now();
        learning.learn_all(NOW, &view, &events, |_, _| {});
        let seconds = start.elapsed().as_secs_f64();
        ensure!(
            learning.table().len() == addresses,
            "{} of {addresses} addresses are in the table",
            learning.table().len()
        );
        Ok(f64::from(addresses) / seconds / 1e6)
    };
    let mut subjects = [Subject::new("written", learn).limited(Limit::AtLeast(10.0))];
    Table::measure(
        &format!("{addresses} new addresses, hardware and software copy, one CPU"),
        "million a second",
        effort.rounds,
        &mut subjects,
    )
}
