//! How fast the forwarding database is: the bare table over memory laid out as the FDB map, and learning into
//! the table and its software copy.
//!
//! `cargo run --release -p hitless-proto --example fdb_speed [ENTRIES]`, one core, medians of seven rounds.
//! Figures are for comparison on one machine; the mapped map itself costs the same, being ordinary memory.

use hitless_common::map::events::LearnEvent;
use hitless_common::map::fdb::{FdbEntry, FdbKey, buckets_for};
use hitless_common::map::vlans::{ENTRIES, PortSet, VlanEntry, flag};
use hitless_common::{PortNo, VlanId};
use hitless_proto::bridge::cells::{BucketCells, Hardware};
use hitless_proto::bridge::learning::{Flush, Learning, Rules, View};
use hitless_proto::bridge::shadow::shadow_memory;
use hitless_proto::bridge::table::{FdbTable, Slot, Slots};
use hitless_proto::time::Epoch;
use std::collections::BTreeMap;
use std::time::Instant;

const ROUNDS: usize = 7;
const SEED: u64 = 0x5eed_0f0f_1234_5678;
const PORTS: u16 = 16;
const VLANS: u16 = 64;

/// A well-spread permutation of the numbers below 2⁴⁸: addresses that never repeat.
const fn scatter(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4b) & 0xffff_ffff_ffff
}

/// The n-th address: locally administered, unicast.
fn key(n: u64) -> FdbKey {
    let mac = scatter(n) & !0x0300_0000_0000 | 0x0200_0000_0000;
    FdbKey::from_raw(1 + (n % u64::from(VLANS)) as u16, mac)
}

fn port(n: u64) -> u16 {
    1 + (n % u64::from(PORTS)) as u16
}

/// Times of one figure, a row of the report.
#[derive(Default)]
struct Figures(BTreeMap<&'static str, (u64, Vec<f64>)>);

impl Figures {
    fn time<T>(&mut self, name: &'static str, count: u64, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        let row = self.0.entry(name).or_default();
        row.0 = count;
        row.1.push(seconds);
        result
    }

    fn print(mut self) {
        println!("{:34}{:>10}{:>12}{:>10}", "", "ms", "M/s", "ns each");
        for (name, (count, times)) in &mut self.0 {
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            let count = *count as f64;
            println!(
                "{name:34}{:>10.2}{:>12.1}{:>10.1}",
                median * 1e3,
                count / median / 1e6,
                median * 1e9 / count
            );
        }
    }
}

/// Memory as a fresh map has it, every page present.
fn cells(entries: u32) -> Vec<BucketCells> {
    (0..buckets_for(entries))
        .map(|_| BucketCells::default())
        .collect()
}

fn bare_table(figures: &mut Figures, keys: &[FdbKey], entries: u32) {
    let memory = cells(entries);
    let n = keys.len() as u64;
    let Ok(hardware) = Hardware::new(&memory) else {
        unreachable!("buckets_for gives a power of two");
    };
    let mut table = FdbTable::new(hardware, SEED, entries);
    let mut refused = 0;
    figures.time("table: insert new", n, || {
        for (i, &key) in keys.iter().enumerate() {
            let entry = FdbEntry {
                key,
                port: port(i as u64),
                flags: 0,
                epoch: 1,
            };
            refused += u32::from(table.insert(&entry).is_err());
        }
    });
    assert_eq!(
        (refused, table.len()),
        (0, entries),
        "a table takes what it was sized for"
    );
    for &key in keys {
        table.remove(key);
    }
    assert!(table.is_empty());
    figures.time("table: insert new, 32 at a time", n, || {
        for batch in keys.chunks(32) {
            table.fetch(batch.iter().copied());
            for &key in batch {
                let entry = FdbEntry {
                    key,
                    port: 1,
                    flags: 0,
                    epoch: 1,
                };
                refused += u32::from(table.insert(&entry).is_err());
            }
        }
    });
    figures.time("table: insert the same again", n, || {
        for (i, &key) in keys.iter().enumerate() {
            let entry = FdbEntry {
                key,
                port: port(i as u64),
                flags: 0,
                epoch: 1,
            };
            refused += u32::from(table.insert(&entry).is_err());
        }
    });
    figures.time("table: insert with another port", n, || {
        for (i, &key) in keys.iter().enumerate() {
            let entry = FdbEntry {
                key,
                port: port(i as u64 + 1),
                flags: 0,
                epoch: 1,
            };
            refused += u32::from(table.insert(&entry).is_err());
        }
    });
    let ports = figures.time("table: scan", n, || {
        table
            .scan(0..table.buckets())
            .map(|(_, e)| u64::from(e.port))
            .sum::<u64>()
    });
    let second = table
        .scan(0..table.buckets())
        .filter(|(slot, e)| slot.bucket() != e.key.buckets(SEED, table.buckets() - 1).0)
        .count();
    let found = figures.time("table: get", n, || {
        keys.iter().filter(|k| table.get(**k).is_some()).count()
    });
    assert_eq!(found, keys.len());
    figures.time("table: remove", n, || {
        for &key in keys {
            table.remove(key);
        }
    });
    assert!(table.is_empty() && ports > 0);
    if figures.0["table: insert new"].1.len() == 1 {
        let share = second as f64 * 100.0 / keys.len() as f64;
        println!("{share:.2} % of the entries stand in their second bucket\n");
    }
}

fn learning(figures: &mut Figures, keys: &[FdbKey], entries: u32) {
    let all: PortSet = (1..=PORTS).filter_map(PortNo::new).collect();
    let vlan = VlanEntry {
        forwarding: all,
        learning: all,
        member: all,
        flags: flag::EXISTS,
        ..VlanEntry::default()
    };
    let mut vlans = vec![VlanEntry::default(); ENTRIES as usize];
    vlans[1..=usize::from(VLANS)].fill(vlan);
    let view = View {
        vlans: &vlans,
        enabled: all,
    };
    let rules = Rules {
        capacity: entries,
        ageing_seconds: Some(300),
        ..Rules::default()
    };
    let n = keys.len() as u64;
    let event = |i: usize, shift: u64| LearnEvent {
        key: keys[i],
        port: port(i as u64 + shift),
        moved: 0,
        reserved: 0,
    };

    let memory = cells(entries);
    let Ok(hardware) = Hardware::new(&memory) else {
        unreachable!("buckets_for gives a power of two");
    };
    let at = Epoch::new(1000);
    let mut copy = shadow_memory(&hardware);
    let (mut fdb, _) = Learning::adopt(hardware, SEED, &mut copy, rules.clone(), &view, at);
    let events = |shift| (0..keys.len()).map(|i| event(i, shift)).collect::<Vec<_>>();
    let (here, there) = (events(0), events(1));
    figures.time("learning: new addresses", n, || {
        fdb.learn_all(at, &view, &here, |_, _| ())
    });
    assert_eq!(fdb.stats().learned, n);
    figures.time("learning: known addresses", n, || {
        fdb.learn_all(at, &view, &here, |_, _| ())
    });
    figures.time("learning: moves", n, || {
        fdb.learn_all(at, &view, &there, |_, _| ())
    });
    assert_eq!(fdb.stats().moved, n);
    let buckets = hardware.buckets();
    figures.time("learning: ageing pass, none aged", n, || {
        fdb.age_slice(at, Slot::START, buckets)
    });
    figures.time("learning: audit pass, none wrong", n, || {
        fdb.audit_slice(at, Slot::START, buckets)
    });
    drop(fdb);
    let mut copy = figures.time("learning: memory for the copy", n, || {
        shadow_memory(&hardware)
    });
    let (mut fdb, adopted) = figures.time("learning: adoption", n, || {
        Learning::adopt(hardware, SEED, &mut copy, rules, &view, at)
    });
    assert_eq!(
        (adopted.entries, adopted.dropped(), fdb.stats().writes),
        (entries, 0, 0)
    );
    let half = PortNo::new(1).map(|port| Flush {
        port: Some(port),
        ..Flush::default()
    });
    figures.time("learning: flush of a port", n / u64::from(PORTS), || {
        half.map(|f| fdb.flush(&f))
    });
    let rest = u64::from(fdb.table().len());
    let old = Epoch::new(2000);
    figures.time("learning: ageing pass, all aged", rest, || {
        fdb.age_slice(old, Slot::START, buckets)
    });
    assert!(fdb.table().is_empty() && fdb.learned_in(VlanId::MIN) == 0);
}

fn main() {
    let entries: u32 = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1 << 20);
    println!("{entries} entries, {} buckets", buckets_for(entries));
    let keys: Vec<FdbKey> = (0..u64::from(entries)).map(key).collect();
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        bare_table(&mut figures, &keys, entries);
        learning(&mut figures, &keys, entries);
    }
    figures.print();
}
