//! What spanning tree costs: 64 domains of 128 ports each, at rest.
//!
//! `cargo run --release -p hitless-proto --example stpd_speed [SECONDS]`, one core, in
//! processor time. Once as the root of all domains,
//! which sends on every port; once as a leaf with a root port and 127 alternate ports in each, which hears a BPDU on
//! every port every two seconds. Frames are encoded and parsed, overlays looked at, and records made of what is dirty.
//! Then what another process does to go on with all of it, and what a storm of BPDUs on one port costs.

use hitless_common::map::vlans::VlanEntry;
use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{Config, StpdName};
use hitless_proto::stp::{BridgeId, Link, PortId, Times};
use hitless_proto::stpd::{BEATS, PortFacts, SavedStpd, Stpds};
use hitless_proto::switch::vlan_entries;
use hitless_proto::time::Epoch;
use hitless_wire::bpdu::{Bpdu, Encapsulation, Frame, MAX_FRAME_BYTES, Rst, RstRole, Vector};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const DOMAINS: u16 = 64;
const PORTS: u16 = 128;
const RESUMES: u32 = 50;
const STORM: usize = 20_000;
const MAC: Mac = Mac([2, 0, 0, 0, 9, 0]);
const ROOT: Mac = Mac([2, 0, 0, 0, 1, 0]);

fn config() -> Result<Config, serde_json::Error> {
    let vlans: Vec<_> = (1..=DOMAINS)
        .map(|id| serde_json::json!({ "id": id }))
        .collect();
    let tagged: Vec<_> = (1..=DOMAINS).collect();
    let port = |n| serde_json::json!({ "port": n, "device": format!("p{n}"), "tagged": tagged });
    let ports: Vec<_> = (1..=PORTS).map(port).collect();
    let name = |id| match id {
        1 => "s0".to_owned(),
        _ => format!("s{id}"),
    };
    let stpd = |id| {
        serde_json::json!({
            "name": name(id), "enabled": true, "tag": id, "vlans": [id], "default_encapsulation": "emistp",
        })
    };
    let stpds: Vec<_> = (1..=DOMAINS).map(stpd).collect();
    serde_json::from_value(serde_json::json!({
        "switch": "sw", "vlans": vlans, "ports": ports, "stpds": stpds,
    }))
}

fn facts() -> BTreeMap<PortNo, PortFacts> {
    let facts = |port: PortNo| PortFacts {
        link: Link {
            up: true,
            mbps: 10_000,
            full_duplex: true,
        },
        mac: Mac([2, 0, 0, 0, 9, port.get() as u8]),
    };
    PortNo::all().map(|port| (port, facts(port))).collect()
}

/// A hello of the root of VLAN `vlan` to one of our ports.
fn hello(vlan: VlanId, port: PortNo, priority: u16) -> Vec<u8> {
    let id = BridgeId {
        priority: priority | vlan.get(),
        mac: ROOT,
    };
    let times = Times {
        message_age: 0,
        max_age: 20,
        hello: 2,
        forward_delay: 15,
    };
    let frame = Frame {
        source: ROOT,
        encapsulation: Encapsulation::Emistp(vlan),
        bpdu: Bpdu::Rst(Rst {
            vector: Vector {
                root: id,
                root_path_cost: 0,
                bridge: id,
                port: PortId(0x8000 | port.get()),
                times: times.to_wire(),
            },
            role: RstRole::Designated,
            topology_change: false,
            topology_change_ack: false,
            proposal: false,
            agreement: false,
            learning: true,
            forwarding: true,
        }),
    };
    let mut buffer = [0; MAX_FRAME_BYTES];
    let length = frame.emit(&mut buffer).unwrap_or(0);
    buffer[..length].to_vec()
}

/// Microseconds that a frame takes of those that come to one port in a row.
fn storm(stpds: &mut Stpds, port: PortNo, frames: &[Vec<u8>]) -> f64 {
    let start = processor_time();
    for frame in frames.iter().cycle().take(STORM) {
        let _counted = stpds.on_frame(port, None, frame);
    }
    stpds.take_work();
    (processor_time() - start).as_secs_f64() * 1e6 / STORM as f64
}

/// Time that this process had a processor, to a few milliseconds: others may be at work on the machine.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// What was done in a while.
#[derive(Default)]
struct Done {
    heard: usize,
    sent: usize,
    records: usize,
    time: Duration,
    longest_beat: Duration,
}

/// What a module does: beats, frames, and what follows from them.
struct Run {
    stpds: Stpds,
    hellos: Vec<(PortNo, Vec<u8>)>,
    epoch: u32,
    beat: u32,
}

impl Run {
    fn seconds(&mut self, seconds: u32) -> Done {
        let mut done = Done::default();
        let begin = processor_time();
        for _ in 0..seconds * BEATS {
            self.beat += 1;
            self.epoch += u32::from(self.beat.is_multiple_of(BEATS));
            let start = Instant::now();
            self.stpds.beat(Epoch::new(self.epoch), self.beat);
            let turn = (self.beat % (2 * BEATS)) as usize;
            for (port, frame) in self.hellos.iter().skip(turn).step_by(2 * BEATS as usize) {
                done.heard += usize::from(self.stpds.on_frame(*port, None, frame).is_ok());
            }
            if self.stpds.has_work() {
                done.sent += self.stpds.take_work().frames.len();
                for (name, port) in self.stpds.take_dirty() {
                    done.records += match port {
                        None => usize::from(self.stpds.saved_bridge(&name).is_some()),
                        Some(port) => usize::from(self.stpds.saved_port(&name, port).is_some()),
                    };
                }
            }
            done.longest_beat = done.longest_beat.max(start.elapsed());
        }
        done.time = processor_time() - begin;
        done
    }

    fn report(&mut self, what: &str, seconds: u32) {
        // Until everything rests.
        self.seconds(90);
        let done = self.seconds(seconds);
        let per_second = f64::from(seconds);
        println!(
            "{what}: {:.2} ms a second ({:.2} % of a core), longest beat {:.2} ms; a second: {:.0} frames heard, \
             {:.0} sent, {:.0} records",
            done.time.as_secs_f64() * 1e3 / per_second,
            done.time.as_secs_f64() * 1e2 / per_second,
            done.longest_beat.as_secs_f64() * 1e3,
            done.heard as f64 / per_second,
            done.sent as f64 / per_second,
            done.records as f64 / per_second,
        );
    }
}

fn saved(stpds: &Stpds) -> BTreeMap<StpdName, SavedStpd> {
    let stpd = |domain: &hitless_proto::stpd::Domain| {
        let name = *domain.name();
        let ports = domain.bridge().ports().iter();
        let saved = SavedStpd {
            bridge: stpds.saved_bridge(&name)?,
            ports: ports
                .filter_map(|p| stpds.saved_port(&name, p.number))
                .collect(),
        };
        Some((name, saved))
    };
    stpds.domains().filter_map(stpd).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(60), |text| text.parse())?;
    let (config, facts) = (config()?, facts());
    let begin = processor_time();
    let mut stpds = Stpds::new(MAC, Epoch::new(1));
    stpds
        .configure(&config, &facts)
        .map_err(|(stpd, error)| format!("{stpd}: {error}"))?;
    println!(
        "{DOMAINS} domains of {PORTS} ports enabled in {:.1} ms",
        (processor_time() - begin).as_secs_f64() * 1e3
    );
    let mut run = Run {
        stpds,
        hellos: Vec::new(),
        epoch: 1,
        beat: 0,
    };
    run.report("root", seconds);
    // In the order in which neighbours would speak: not domain after domain.
    run.hellos = PortNo::all()
        .flat_map(|port| (1..=DOMAINS).filter_map(move |id| Some((port, VlanId::new(id)?))))
        .map(|(port, vlan)| (port, hello(vlan, port, 0x1000)))
        .collect();
    run.report("leaf", seconds);

    let entries: BTreeMap<VlanId, VlanEntry> =
        vlan_entries(&config, &PortNo::all().collect(), |vlan| {
            run.stpds.overlay(vlan)
        });
    let hardware = |vlan| entries.get(&vlan).copied().unwrap_or_default();
    let saved = saved(&run.stpds);
    let epoch = Epoch::new(run.epoch);
    let mut time = Duration::ZERO;
    for _ in 0..RESUMES {
        let saved = saved.clone();
        let begin = processor_time();
        let (mut stpds, result) = Stpds::resume(MAC, &config, &facts, saved, &hardware, epoch);
        result.map_err(|(stpd, error)| format!("{stpd}: {error}"))?;
        let work = stpds.take_work();
        time += processor_time() - begin;
        if !work.events.is_empty() {
            return Err("a resume changed something".into());
        }
    }
    println!(
        "resumed in {:.1} ms (mean of {RESUMES})",
        time.as_secs_f64() * 1e3 / f64::from(RESUMES)
    );
    if let (Some(port), Some(vlan)) = (PortNo::new(7), VlanId::new(1)) {
        let [same, better] = [0x1000, 0].map(|priority| hello(vlan, port, priority));
        let calm = storm(&mut run.stpds, port, std::slice::from_ref(&same));
        let wild = storm(&mut run.stpds, port, &[better, same]);
        println!("a frame more: {calm:.2} us; if each brings another root: {wild:.1} us");
    }
    Ok(())
}
