//! Golden texts.

use std::collections::BTreeMap;

use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{ConfigBank, OffloadMode};

use super::*;
use crate::northbound::api::{
    FdbInfo, FdbKind, ImageBank, LearningInfo, LinkState, ModuleInfo, ModuleRole, ModuleSlot,
    OffloadState, PortCounterSet, StpNotTaken, SubState,
};

fn port_no(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

fn vid(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

fn drops(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter()
        .map(|&(reason, frames)| (reason.to_string(), frames))
        .collect()
}

fn two_ports() -> Vec<PortInfo> {
    let up = PortInfo {
        port: port_no(1),
        device: "eth1".into(),
        enabled: true,
        link: LinkState::Up,
        device_state: "attached".into(),
        offload: OffloadState::Tc,
        offload_reason: "A veth takes TC.".into(),
        configured_offload: OffloadMode::Auto,
        mtu: Some(1500),
        speed_mbps: Some(10_000),
        pvid: Some(vid(10)),
        tagged: [20, 30, 31, 32].map(vid).into(),
        counters: CounterSet {
            rx_frames: 1_234_567,
            rx_bytes: 80_000_000,
            tx_frames: 12,
            tx_bytes: 720,
            punted: 3,
            learn_deferred: 4,
            drops: drops(&[("same-port", 5), ("future-reason", 1)]),
        },
    };
    let absent = PortInfo {
        port: port_no(12),
        device: "eth12".into(),
        enabled: false,
        link: LinkState::Absent,
        device_state: "waiting for the device".into(),
        offload: OffloadState::None,
        offload_reason: "There is no device.".into(),
        configured_offload: OffloadMode::Xdp,
        mtu: None,
        speed_mbps: None,
        pvid: None,
        tagged: Vec::new(),
        counters: CounterSet::default(),
    };
    vec![up, absent]
}

#[test]
fn show_ports() {
    let expected = "\
Port  Device  Enabled  Link    Offload  Untagged  Tagged    Received  Sent  Dropped
   1  eth1    yes      up      tc       10        20,30-32   1234567    12        6
  12  eth12   no       absent  none     -         -                0     0        0
Offload of port 1: tc: A veth takes TC.
Offload of port 12: none: There is no device.
";
    assert_eq!(ports(&two_ports(), Style::Plain), expected);
}

#[test]
fn tables_on_a_terminal_have_a_line_under_the_header() {
    let text = ports(&two_ports(), Style::Terminal);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("Port  Device"), "{text}");
    assert!(lines[1].starts_with('─'), "{text}");
}

#[test]
fn show_one_port() {
    let expected = "\
Port:               1
Device:             eth1, attached
Enabled:            yes
Link:               up
MTU:                1500
Offload:            tc (configured: auto): A veth takes TC.
Untagged VLAN:      10
Tagged VLANs:       20,30-32
Received:           1234567 frames, 80000000 bytes
Sent:               12 frames, 720 bytes
To control plane:   3 frames
Learning deferred:  4 times
Dropped:            6 frames
  1 future-reason: (unknown to this version)
  5 same-port: The destination is known behind the port that the frame came from.
";
    assert_eq!(port(&two_ports()[0]), expected);
}

#[test]
fn show_vlan() {
    let vlan = |id, name: &str, tagged: &[u16], mac_limit| VlanInfo {
        vlan: vid(id),
        name: name.parse().unwrap(),
        untagged: vec![port_no(1), port_no(2)],
        tagged: tagged.iter().map(|&n| port_no(n)).collect(),
        forwarding: vec![port_no(1)],
        mac_count: 7,
        mac_limit,
        learning: mac_limit.is_none(),
    };
    let expected = "\
VLAN  Name    Untagged  Tagged  Forwarding  Learning  Learned  Limit
  10  blue    1,2       3-5,9   1           yes             7      -
  20  vlan20  1,2       -       1           no              7   1000
";
    let rows = [
        vlan(10, "blue", &[3, 4, 5, 9], None),
        vlan(20, "vlan20", &[], Some(1000)),
    ];
    assert_eq!(vlans(&rows, Style::Plain), expected);
}

fn fdb_rows() -> Vec<FdbRow> {
    let row = |vlan, last, port, kind, age_seconds| FdbRow {
        vlan: vid(vlan),
        mac: Mac([2, 0, 0, 0, 0, last]),
        port,
        kind,
        age_seconds,
    };
    vec![
        row(10, 1, PortNo::new(3), FdbKind::Dynamic, 12),
        row(10, 2, PortNo::new(128), FdbKind::Static, 0),
        row(4094, 3, None, FdbKind::Blackhole, 0),
    ]
}

#[test]
fn show_fdb() {
    let mut text = Vec::new();
    fdb(&mut text, &fdb_rows()).unwrap();
    let expected = "\
VLAN  MAC                Port  Kind        Age (s)
  10  02:00:00:00:00:01     3  dynamic          12
  10  02:00:00:00:00:02   128  static            0
4094  02:00:00:00:00:03     -  blackhole         0

3 addresses
";
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn show_fdb_as_json() {
    let json = |rows: &[FdbRow]| {
        let mut text = Vec::new();
        fdb_json(&mut text, rows).unwrap();
        String::from_utf8(text).unwrap()
    };
    let expected = r#"[
{"vlan":10,"mac":"02:00:00:00:00:01","port":3,"kind":"dynamic","age_seconds":12},
{"vlan":10,"mac":"02:00:00:00:00:02","port":128,"kind":"static","age_seconds":0},
{"vlan":4094,"mac":"02:00:00:00:00:03","port":null,"kind":"blackhole","age_seconds":0}
]
"#;
    assert_eq!(json(&fdb_rows()), expected);
    assert_eq!(json(&[]), "[\n]\n");
    let back: Vec<FdbRow> = serde_json::from_str(&json(&fdb_rows())).unwrap();
    assert_eq!(back, fdb_rows());
}

#[test]
fn show_switch() {
    let info = SwitchInfo {
        name: "sw1".parse().unwrap(),
        uptime_seconds: 93_784,
        modules: vec![ModuleInfo {
            slot: ModuleSlot::MsmA,
            role: ModuleRole::Master,
            pid: 42,
            state: SubState::Ready,
            version: "0.1.0".into(),
            image_booted: None,
            image_selected: Some(ImageBank::Secondary),
        }],
        fdb: FdbInfo {
            size: 65_536,
            used: 3,
            static_entries: 1,
            memory_bytes: 2_097_152,
            ageing_seconds: 300,
            full: 0,
        },
        generation: 2,
        adopted: true,
        hardware_writes: [("FDB".to_string(), 3), ("VLANS".to_string(), 1)]
            .into_iter()
            .collect(),
        repaired: 6,
        sysname: "core".into(),
        syscontact: "noc".into(),
        syslocation: String::new(),
        configuration: ConfigBank::Primary,
        config_file: "sw1.yml".into(),
        unsaved: true,
        rollback_seconds: Some(50),
    };
    let expected = "\
Switch:           sw1
SysName:          core
SysContact:       noc
SysLocation:      -
Uptime:           1 day 02:03:04
Module:           msm-a master ready, pid 42, version 0.1.0
Image:            msm-a factory booted, secondary selected
FDB:              3 of 65536 addresses (1 configured), 2.0 MiB, ageing after 300 s, 0 not learned because it was full
Generation:       2, hardware adopted
Hardware writes:  4 (FDB 3, VLANS 1)
Repairs:          6
Configuration:    primary (sw1.yml), with changes that are not saved (*), gone back from in 50 s unless confirmed
";
    assert_eq!(switch(&info), expected);
}

#[test]
fn show_counters() {
    let ports = two_ports().into_iter().map(|port| PortCounterSet {
        port: port.port,
        counters: port.counters,
    });
    let mut ports: Vec<PortCounterSet> = ports.collect();
    ports[1].counters.drops = drops(&[("same-port", 2)]);
    let no_port = CounterSet {
        drops: drops(&[("unknown-port", 9)]),
        ..CounterSet::default()
    };
    let control = [("stp".to_string(), 8)].into();
    let learning = LearningInfo {
        learned: 100,
        moved: 2,
        deferred: 4,
        ..LearningInfo::default()
    };
    let mut info = CountersInfo::new(ports, no_port, control, learning);
    info.spanning_tree = StpNotTaken {
        no_domain: 3,
        malformed: 2,
    };
    let expected = "\
Port   Rx frames  Rx bytes  Tx frames  Tx bytes  Dropped  To control plane  Learning deferred
1        1234567  80000000         12       720        6                 3                  4
12             0         0          0         0        2                 0                  0
none           0         0          0         0        9                 0                  0
total    1234567  80000000         12       720       17                 3                  4

Dropped frames
Reason        Frames  On port      Explanation
unknown-port       9  none: 9      The frame came in on a device that is no configured port.
same-port          7  1: 5, 12: 2  The destination is known behind the port that the frame came from.

Control frames
Protocol  Frames
stp            8

Spanning tree
BPDUs of no domain:  3
No BPDUs:            2

Learning
Learned:              100
Moved:                2
Aged out:             0
Held by damping:      0
Over a port's limit:  0
Over a VLAN's limit:  0
Table full:           0
Not to be learned:    0
Deferred:             4
";
    assert_eq!(counters(&info, Style::Plain), expected);

    let quiet = CountersInfo::new(
        Vec::new(),
        CounterSet::default(),
        BTreeMap::new(),
        LearningInfo::default(),
    );
    let text = counters(&quiet, Style::Plain);
    assert!(
        text.contains("\nDropped frames\nnone\n\nControl frames\nnone\n"),
        "{text}"
    );
}

#[test]
fn what_was_done() {
    assert_eq!(fdb_cleared(1), "Removed 1 learned address.\n");
    assert_eq!(fdb_cleared(0), "Removed 0 learned addresses.\n");
    assert!(hardware_cleared(0).starts_with("There was no hardware"));
    assert!(hardware_cleared(12).contains("12 pins"));
}

#[test]
fn numbers_and_times() {
    assert_eq!(ranges([]), "-");
    assert_eq!(ranges([1, 2, 3, 5, 6, 128]), "1-3,5,6,128");
    assert_eq!(ranges([u16::MAX]), "65535");
    assert_eq!(
        (duration(0), duration(59), duration(172_800)),
        (
            "00:00:00".into(),
            "00:00:59".into(),
            "2 days 00:00:00".into()
        )
    );
    assert_eq!(
        (bytes(1023), bytes(2048), bytes(1 << 29)),
        ("1023 B".into(), "2.0 KiB".into(), "512.0 MiB".into())
    );
}
