//! What happens to the switch.

use hitless_common::map::vlans::PortSet;
use hitless_common::{PortNo, VlanId};
use hitless_proto::config::Config;
use serde_json::json;
use std::sync::LazyLock;

/// One thing that happens. Doing it again changes nothing more, as with everything that a new master meets: frames
/// of unknown sources come again, links are listed, an operator without an answer repeats the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame comes in.
    Frame { vlan: u16, mac: u16, port: u16 },
    /// The operator puts another configuration in force.
    Config(usize),
    /// A link goes up or down.
    Link { port: u16, up: bool },
    /// A second has passed.
    Tick,
    /// The whole table is aged.
    Age,
    /// The operator flushes a port.
    Flush { port: u16 },
    /// What was said last has not reached the standby when the next thing happens.
    Behind,
    /// The standby stood still for too long.
    FallBack,
}

/// Configurations between which the operator changes; the first one is in the file.
pub fn config(number: usize) -> &'static Config {
    static ALL: LazyLock<Vec<Config>> = LazyLock::new(|| (0..4).map(parse).collect());
    &ALL[number]
}

fn parse(number: usize) -> Config {
    let port = |n: u16, tagged: &[u16], enabled: bool| json!({"port": n, "device": format!("p{n}"), "tagged": tagged, "enabled": enabled});
    let (vlans, ports) = match number {
        0 => (
            json!([{"id": 10}, {"id": 20}]),
            json!([
                port(1, &[10, 20], true),
                port(2, &[10, 20], true),
                port(3, &[10, 20], true),
                port(4, &[10, 20], true),
            ]),
        ),
        // Port 2 leaves VLAN 10, VLAN 30 is new, and only some ports go on without a lease.
        1 => (
            json!([{"id": 10, "loop_free_ports": [1]}, {"id": 20}, {"id": 30}]),
            json!([
                port(1, &[10, 20, 30], true),
                port(2, &[20, 30], true),
                port(3, &[10, 20], true),
                port(4, &[10, 30], true),
            ]),
        ),
        // Port 2 is back, port 1 leaves; port 4 is disabled; nothing is learned in VLAN 20.
        2 => (
            json!([{"id": 10, "loop_free_ports": [2, 3]}, {"id": 20, "learning": false}]),
            json!([
                port(1, &[20], true),
                port(2, &[10], true),
                port(3, &[10, 20], true),
                port(4, &[10, 20], false),
            ]),
        ),
        // VLAN 10 is gone.
        _ => (
            json!([{"id": 20}, {"id": 30}]),
            json!([
                port(1, &[20], true),
                port(2, &[20, 30], true),
                port(3, &[30], true),
                port(4, &[20, 30], true),
            ]),
        ),
    };
    let fdb = json!({
        "size": 128,
        "ageing_seconds": 20,
        "damping": {"moves": 1000, "within_seconds": 60, "hold_seconds": 60},
    });
    let document = json!({"switch": "s1", "vlans": vlans, "ports": ports, "fdb": fdb});
    serde_json::from_value(document).unwrap()
}

/// All ports.
pub fn all_ports() -> PortSet {
    (1..=4).filter_map(PortNo::new).collect()
}

pub fn vid(number: u16) -> VlanId {
    VlanId::new(number).unwrap()
}

/// A run of random events, the same for the same seed.
pub fn trace(seed: u64, length: usize) -> Vec<Event> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = move |below: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    };
    let mut events: Vec<Event> = (0..length)
        .map(|_| match random(40) {
            0..=23 => Event::Frame {
                vlan: 10 * (1 + random(3) as u16),
                mac: random(40) as u16,
                port: 1 + random(4) as u16,
            },
            24..=27 => Event::Config(random(4) as usize),
            28..=31 => Event::Link {
                port: 1 + random(4) as u16,
                up: random(3) > 0,
            },
            32..=34 => Event::Tick,
            35 => Event::Age,
            36 => Event::Flush {
                port: 1 + random(4) as u16,
            },
            37..=38 => Event::Behind,
            _ => Event::FallBack,
        })
        .collect();
    // The end is the same whatever was forgotten on the way.
    events.extend([Event::Config(1), Event::Tick, Event::Age]);
    events
}
