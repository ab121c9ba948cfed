//! Golden texts.

use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::stp::CostMethod;

use super::*;
use crate::northbound::api::{StpBridgeId, StpMachines, StpPortCounts, StpState};

/// What a terminal has at least.
const COLUMNS: usize = 80;

fn port_no(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

fn bridge(priority: u16, last: u8) -> StpBridgeId {
    StpBridgeId {
        priority,
        mac: Mac([2, 0, 0, 0, 0, last]),
    }
}

fn default_times() -> StpTimes {
    StpTimes {
        message_age: 0,
        max_age: 20,
        hello_time: 2,
        forward_delay: 15,
    }
}

fn default_settings() -> StpdPortSettings {
    StpdPortSettings {
        enabled: true,
        encapsulation: StpEncapsulation::Dot1d,
        default_encapsulation: true,
        priority: 128,
        cost: None,
        link_type: StpLinkType::Auto,
        auto_edge: true,
        bpdu_guard: false,
        bpdu_guard_recovery_seconds: None,
        root_guard: false,
        bpdu_filter: false,
        loop_guard: false,
    }
}

/// Of a root port.
fn status() -> StpdPortStatus {
    StpdPortStatus {
        link_up: true,
        speed_mbps: Some(10_000),
        port_id: 0x8003,
        cost: 2_000,
        edge: false,
        point_to_point: true,
        sends: StpdMode::Dot1w,
        info: StpInfo::Received,
        designated_root: bridge(4_096, 1),
        designated_cost: 0,
        designated_bridge: bridge(4_096, 1),
        designated_port: 0x8001,
        times: StpTimes {
            message_age: 1,
            ..default_times()
        },
        proposing: false,
        proposed: true,
        agree: true,
        agreed: false,
        synced: true,
        disputed: false,
        bpdu_guard_shut: false,
        bpdu_guard_seconds: None,
        root_guarding: false,
        loop_guarding: false,
        timers: StpTimers {
            rr_while: 15,
            rcvd_info_while: 6,
            hello_when: 1,
            ..StpTimers::default()
        },
        machines: StpMachines {
            receive: "RECEIVE".into(),
            migration: "SENSING".into(),
            detection: "NOT_EDGE".into(),
            information: "CURRENT".into(),
            role_transitions: "ROOT_PORT".into(),
            state_transition: "FORWARDING".into(),
            topology_change: "ACTIVE".into(),
        },
        counters: StpCounters {
            rx_rst: 1_234,
            rx_tcn: 1,
            tx_rst: 7,
            malformed: 2,
            own: 1,
            info_aged: 3,
            rx_topology_change: 4,
            forward_transitions: 2,
            ..StpCounters::default()
        },
    }
}

fn port(
    number: u16,
    role: StpRole,
    state: StpState,
    settings: StpdPortSettings,
    status: Option<StpdPortStatus>,
) -> StpdPortInfo {
    StpdPortInfo {
        port: port_no(number),
        role,
        state,
        settings,
        status: status.map(Box::new),
    }
}

fn root_port_3() -> StpdPortInfo {
    port(
        3,
        StpRole::Root,
        StpState::Forwarding,
        default_settings(),
        Some(status()),
    )
}

/// A port with all that can be wrong or special.
fn shut_port() -> StpdPortInfo {
    let settings = StpdPortSettings {
        encapsulation: StpEncapsulation::PvstPlus,
        default_encapsulation: false,
        cost: Some(200_000_000),
        link_type: StpLinkType::Edge,
        auto_edge: false,
        bpdu_guard: true,
        bpdu_guard_recovery_seconds: Some(300),
        root_guard: true,
        bpdu_filter: true,
        loop_guard: true,
        ..default_settings()
    };
    let status = StpdPortStatus {
        speed_mbps: None,
        port_id: 0x8080,
        cost: 200_000_000,
        edge: true,
        info: StpInfo::Disabled,
        sends: StpdMode::Dot1d,
        bpdu_guard_shut: true,
        bpdu_guard_seconds: Some(299),
        root_guarding: true,
        loop_guarding: true,
        proposed: false,
        agree: false,
        synced: false,
        timers: StpTimers::default(),
        counters: StpCounters::default(),
        ..status()
    };
    port(
        128,
        StpRole::Disabled,
        StpState::Discarding,
        settings,
        Some(status),
    )
}

fn ports_of_s0() -> Vec<StpdPortInfo> {
    let designated = StpdPortStatus {
        designated_root: bridge(4_096, 1),
        designated_cost: 2_000,
        designated_bridge: bridge(0x800a, 2),
        designated_port: 0x8004,
        info: StpInfo::Mine,
        proposing: true,
        point_to_point: false,
        ..status()
    };
    let no_part = StpdPortSettings {
        enabled: false,
        encapsulation: StpEncapsulation::Emistp,
        link_type: StpLinkType::PointToPoint,
        ..default_settings()
    };
    vec![
        root_port_3(),
        port(
            4,
            StpRole::Designated,
            StpState::Learning,
            default_settings(),
            Some(designated),
        ),
        port(5, StpRole::None, StpState::Forwarding, no_part, None),
        shut_port(),
    ]
}

fn s0() -> StpdInfo {
    let mut port_counts = StpPortCounts::default();
    for port in ports_of_s0() {
        port_counts.count(port.role, port.state);
    }
    StpdInfo {
        name: "s0".parse().unwrap(),
        enabled: true,
        mode: StpdMode::Dot1w,
        tag: VlanId::new(10),
        vlans: [1, 10, 11, 12].map(|id| VlanId::new(id).unwrap()).into(),
        default_encapsulation: StpEncapsulation::Dot1d,
        priority: 32_768,
        bridge_times: default_times(),
        tx_hold_count: 6,
        path_cost_method: CostMethod::Long,
        port_counts,
        tree: Some(StpTree {
            bridge_id: bridge(0x800a, 2),
            root_id: bridge(4_096, 1),
            root_path_cost: 2_000,
            root_port: PortNo::new(3),
            times: StpTimes {
                hello_time: 1,
                ..default_times()
            },
            topology_changes: 5,
            seconds_since_topology_change: Some(93_784),
            topology_change: false,
        }),
        ports: Vec::new(),
    }
}

fn disabled() -> StpdInfo {
    StpdInfo {
        name: "lab".parse().unwrap(),
        enabled: false,
        mode: StpdMode::Dot1d,
        tag: None,
        vlans: Vec::new(),
        default_encapsulation: StpEncapsulation::Emistp,
        path_cost_method: CostMethod::Short,
        port_counts: StpPortCounts::default(),
        tree: None,
        ..s0()
    }
}

#[test]
fn show_stpd() {
    let mut root = s0();
    root.name = "a-domain".parse().unwrap();
    root.tree = root.tree.map(|tree| StpTree {
        root_id: tree.bridge_id,
        root_path_cost: 0,
        root_port: None,
        ..tree
    });
    let expected = "\
STPD      Tag  Enabled  Mode   Ports  Designated root          Root port
a-domain   10  yes      dot1w      4  80:0a:02:00:00:00:00:02  is root
lab         -  no       dot1d      0  -                        -
s0         10  yes      dot1w      4  10:00:02:00:00:00:00:01  3
";
    assert_eq!(summary(&[root, disabled(), s0()], Style::Plain), expected);
}

#[test]
fn show_stpd_s0() {
    let expected = "\
STPD:                   s0
Enabled:                yes
Mode:                   dot1w
Tag (StpdID):           10
Default encapsulation:  dot1d
VLANs:                  1,10-12
Ports:                  4
Roles:                  1 root, 1 designated, 1 disabled, 1 taking no part
States:                 1 forwarding, 1 learning, 1 discarding
Bridge priority:        32768
Bridge id:              80:0a:02:00:00:00:00:02
Designated root:        10:00:02:00:00:00:00:01
Root path cost:         2000
Root port:              3
Times in force:         max age 20 s, hello time 1 s, forward delay 15 s
Topology changes:       5
Last topology change:   1 day 02:03:04 ago
Topology change now:    no
Configured times:       max age 20 s, hello time 2 s, forward delay 15 s
Transmit hold count:    6
Path cost method:       long
";
    assert_eq!(domain(&s0()), expected);
}

#[test]
fn show_a_disabled_domain() {
    let expected = "\
STPD:                   lab
Enabled:                no
Mode:                   dot1d
Tag (StpdID):           -
Default encapsulation:  emistp
VLANs:                  -
Ports:                  0
Roles:                  -
States:                 -
Bridge priority:        32768
Configured times:       max age 20 s, hello time 2 s, forward delay 15 s
Transmit hold count:    6
Path cost method:       short
";
    assert_eq!(domain(&disabled()), expected);
}

#[test]
fn a_domain_that_does_not_run_says_so() {
    let mut stpd = disabled();
    stpd.enabled = true;
    let text = domain(&stpd);
    assert!(text.contains("yes, but it does not run"), "{text}");
}

#[test]
fn show_stpd_s0_ports() {
    let expected = "\
Port  Mode    Role        State            Cost  Flags   Designated bridge
   3  802.1D  root        forwarding       2000  eap-w-  10:00:02:00:00:00:00:01
   4  802.1D  designated  learning         2000  eabpw-  80:0a:02:00:00:00:00:02
   5  EMISTP  -           forwarding          -  dp----  -
 128  PVST+   disabled    discarding  200000000  eee-dB  -
";
    let text = ports(&ports_of_s0(), Style::Plain);
    assert_eq!(text, expected.to_string() + FLAGS);
    // The widest values of every column are among these ports.
    for line in text.lines() {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
}

#[test]
fn each_flag_has_its_letter() {
    let with = |change: fn(&mut StpdPortStatus)| {
        let mut status = status();
        change(&mut status);
        flags(&default_settings(), Some(&status))
    };
    assert_eq!(with(|_| ()), "eap-w-");
    assert_eq!(with(|s| s.agreed = true), "eapaw-");
    assert_eq!(with(|s| s.proposing = true), "eappw-");
    assert_eq!(with(|s| s.disputed = true), "eap-w!");
    assert_eq!(with(|s| s.root_guarding = true), "eap-wR");
    assert_eq!(with(|s| s.loop_guarding = true), "eap-wL");
    assert_eq!(with(|s| s.bpdu_guard_shut = true), "eap-wB");
    assert_eq!(with(|s| s.edge = true), "eae-w-");
    let waits_for_nobody = with(|s| (s.edge, s.proposing) = (true, true));
    assert_eq!(waits_for_nobody, "eae-w-");
    assert_eq!(with(|s| s.point_to_point = false), "eab-w-");
    assert_eq!(with(|s| s.link_up = false), "ea--w-");
    assert_eq!(with(|s| s.sends = StpdMode::Dot1d), "eap-d-");
    let settings = StpdPortSettings {
        enabled: false,
        link_type: StpLinkType::Broadcast,
        ..default_settings()
    };
    assert_eq!(flags(&settings, None), "db----");
}

#[test]
fn show_a_port_in_detail() {
    let expected = "\
Port:               3
Enabled:            yes
Role:               root
State:              forwarding
Encapsulation:      dot1d (by default)
Priority:           128
Cost:               2000 (auto)
Link type:          point-to-point, 10000 Mbit/s (configured: auto)
Auto edge:          on
BPDU guard:         off
Root guard:         off
Loop guard:         off
BPDU filter:        off
Port id:            8003
BPDUs sent:         802.1w
Information:        received
Designated root:    10:00:02:00:00:00:00:01
Designated cost:    0
Designated bridge:  10:00:02:00:00:00:00:01
Designated port:    8001
Message age:        1 s
Times:              max age 20 s, hello time 2 s, forward delay 15 s
Handshake:          proposed, agree, synced
Timers (s):         helloWhen 1, rcvdInfoWhile 6, rrWhile 15
Receive machines:   PRX RECEIVE, PPM SENSING, BDM NOT_EDGE
Tree machines:      PIM CURRENT, PRT ROOT_PORT, PST FORWARDING, TCM ACTIVE
Received:           1234 RST, 0 Config, 1 TCN
Sent:               7 RST, 0 Config, 0 TCN
Dropped:            2 malformed, 1 its own
Incidents:          3 neighbour silent
Changes:            began to forward 2 times, heard of 4 topology changes

Port:               128
Enabled:            yes
Role:               disabled
State:              discarding
Encapsulation:      pvst-plus
Priority:           128
Cost:               200000000
Link type:          edge (configured: edge)
Auto edge:          off
BPDU guard:         on, recovery after 300 s; has shut the port for 299 s more
Root guard:         on, keeps a better root out
Loop guard:         on, holds the port closed
BPDU filter:        on
Port id:            8080
BPDUs sent:         802.1D
Information:        disabled
Designated root:    10:00:02:00:00:00:00:01
Designated cost:    0
Designated bridge:  10:00:02:00:00:00:00:01
Designated port:    8001
Message age:        1 s
Times:              max age 20 s, hello time 2 s, forward delay 15 s
Handshake:          -
Timers (s):         -
Receive machines:   PRX RECEIVE, PPM SENSING, BDM NOT_EDGE
Tree machines:      PIM CURRENT, PRT ROOT_PORT, PST FORWARDING, TCM ACTIVE
Received:           0 RST, 0 Config, 0 TCN
Sent:               0 RST, 0 Config, 0 TCN
Dropped:            -
Incidents:          -
Changes:            began to forward 0 times, heard of 0 topology changes
";
    assert_eq!(details(&[root_port_3(), shut_port()]), expected);
}

#[test]
fn a_port_that_takes_no_part_has_its_settings() {
    let text = details(&ports_of_s0()[2..3]);
    assert!(text.contains("Role:           -\n"), "{text}");
    assert!(!text.contains("Timers"), "{text}");
}

#[test]
fn what_was_done() {
    assert_eq!(
        recovered(&[port_no(3), port_no(4), port_no(5)]),
        "Open to spanning tree again: 3-5.\n"
    );
    assert!(recovered(&[]).contains("none of these ports"));
}
