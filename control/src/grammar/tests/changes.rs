//! Changes written as commands, and back.

use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{
    AcceptFrames, Config, ConfigBank, ConfigChange, DeviceName, FdbChange, ImageChange, LinkAction,
    LoopFreePorts, MsmFailoverChange, OffloadMode, PortChange, PortList, PortSelection,
    PreserveState, SlaveConfig, SnmpChange, StaticTarget, StormKind, SysRecoveryLevel, Tagging,
    UnsignedImages, VlanChange, VlanName, VlanRef,
};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::northbound::api::{
    ConfigurationSource, Fault, ImageBank, LogLevel, ModuleSlot, Request,
};

pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn port() -> impl Strategy<Value = PortNo> {
    (1u16..=128).prop_filter_map("port", PortNo::new)
}

fn list() -> impl Strategy<Value = PortList> {
    prop::collection::btree_set(port(), 1..20).prop_filter_map("ports", PortList::new)
}

pub(super) fn ports() -> impl Strategy<Value = PortSelection> {
    prop_oneof![
        Just(PortSelection::All),
        list().prop_map(PortSelection::List)
    ]
}

/// Names that look like keywords and their beginnings among them.
fn vlan_name() -> impl Strategy<Value = VlanName> {
    prop_oneof![
        "[A-Za-z][A-Za-z0-9_.-]{0,31}",
        select(vec!["vlan", "tag", "all", "none", "confirmed", "t", "add"]).prop_map(String::from),
    ]
    .prop_map(|name| parsed(&name))
}

pub(super) fn vlan() -> impl Strategy<Value = VlanRef> {
    prop_oneof![
        (1u16..=4094)
            .prop_filter_map("id", VlanId::new)
            .prop_map(VlanRef::Id),
        vlan_name().prop_map(VlanRef::Name),
    ]
}

fn device() -> impl Strategy<Value = DeviceName> {
    "[!-~]{1,15}|[à-ÿ#\"\\\\-]{1,7}".prop_filter_map("device", |name| name.parse().ok())
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

fn limit() -> impl Strategy<Value = Option<i64>> {
    of(0i64..=16_777_216)
}

fn vlan_change() -> impl Strategy<Value = VlanChange> {
    let tagging = select(vec![Tagging::Tagged, Tagging::Untagged]);
    prop_oneof![
        (1i64..=4094).prop_map(|id| VlanChange::Tag { id }),
        vlan_name().prop_map(|name| VlanChange::Name { name }),
        (ports(), tagging).prop_map(|(ports, tagging)| VlanChange::AddPorts { ports, tagging }),
        ports().prop_map(|ports| VlanChange::DeletePorts { ports }),
        limit().prop_map(|limit| VlanChange::LimitLearning { limit }),
        any::<bool>().prop_map(|enabled| VlanChange::Learning { enabled }),
        prop_oneof![
            Just(LoopFreePorts::All),
            Just(LoopFreePorts::None),
            list().prop_map(LoopFreePorts::List)
        ]
        .prop_map(|ports| VlanChange::LoopFreePorts { ports }),
    ]
}

fn port_change() -> impl Strategy<Value = PortChange> {
    let frames = vec![
        AcceptFrames::All,
        AcceptFrames::Tagged,
        AcceptFrames::Untagged,
    ];
    let kinds = vec![
        StormKind::Broadcast,
        StormKind::Multicast,
        StormKind::UnknownUnicast,
    ];
    let modes = vec![OffloadMode::Auto, OffloadMode::Xdp, OffloadMode::Tc];
    prop_oneof![
        any::<bool>().prop_map(|enabled| PortChange::Enabled { enabled }),
        select(frames).prop_map(|frames| PortChange::AcceptFrames { frames }),
        any::<bool>().prop_map(|enabled| PortChange::IngressFiltering { enabled }),
        select(modes).prop_map(|mode| PortChange::Offload { mode }),
        any::<bool>().prop_map(|enabled| PortChange::TrustFarEnd { enabled }),
        limit().prop_map(|limit| PortChange::LimitLearning { limit }),
        (select(kinds), of(1i64..=4_294_967_295))
            .prop_map(|(kind, rate)| PortChange::RateLimit { kind, rate }),
    ]
}

fn fdb_change() -> impl Strategy<Value = FdbChange> {
    prop_oneof![
        prop_oneof![Just(0i64), 10i64..=1_000_000]
            .prop_map(|seconds| FdbChange::AgingTime { seconds }),
        (64i64..=16_777_216).prop_map(|entries| FdbChange::Size { entries }),
        (0i64..=1_000_000, 1i64..=3_600, 1i64..=86_400).prop_map(
            |(moves, within_seconds, hold_seconds)| FdbChange::Damping {
                moves,
                within_seconds,
                hold_seconds,
            }
        ),
        Just(FdbChange::DampingOff),
    ]
}

fn snmp_change() -> impl Strategy<Value = SnmpChange> {
    prop_oneof![
        "[!-~]{1,255}".prop_map(|text| SnmpChange::Sysname { text }),
        "[ -~]{0,255}".prop_map(|text| SnmpChange::Syscontact { text }),
        "[ -~]{0,40}".prop_map(|text| SnmpChange::Syslocation { text }),
    ]
}

fn image_change() -> impl Strategy<Value = ImageChange> {
    let policy = select(vec![UnsignedImages::Refuse, UnsignedImages::Allow]);
    let key = || "RW[Q-T][A-Za-z0-9+/]{53}".prop_map(|key| parsed(&key));
    prop_oneof![
        policy.prop_map(|policy| ImageChange::Unsigned { policy }),
        key().prop_map(|key| ImageChange::AddKey { key }),
        key().prop_map(|key| ImageChange::DeleteKey { key }),
    ]
}

fn msm_failover_change() -> impl Strategy<Value = MsmFailoverChange> {
    let keep = |preserve| MsmFailoverChange::LinkAction {
        action: LinkAction::KeepLinksUp,
        preserve,
    };
    prop_oneof![
        select(vec![SlaveConfig::Inherited, SlaveConfig::Flash])
            .prop_map(MsmFailoverChange::SlaveConfig),
        select(vec![
            keep(None),
            keep(Some(PreserveState::L2)),
            keep(Some(PreserveState::L2L3)),
            MsmFailoverChange::LinkAction {
                action: LinkAction::TakeLinksDown,
                preserve: None,
            },
        ]),
        (30i64..=300).prop_map(|seconds| MsmFailoverChange::Timeout { seconds }),
        (of(10i64..=10_000), of(2i64..=100))
            .prop_filter("says nothing", |(interval, misses)| interval.is_some()
                || misses.is_some())
            .prop_map(|(interval_ms, misses)| MsmFailoverChange::Keepalive {
                interval_ms,
                misses,
            }),
        prop_oneof![Just(0i64), 50i64..=60_000].prop_map(|ms| MsmFailoverChange::Watchdog { ms }),
        (100i64..=600_000).prop_map(|ms| MsmFailoverChange::Freshness { ms }),
        (1_000i64..=60_000).prop_map(|ms| MsmFailoverChange::Lease { ms }),
    ]
}

fn change() -> impl Strategy<Value = ConfigChange> {
    let target = prop_oneof![
        port().prop_map(StaticTarget::Port),
        Just(StaticTarget::Blackhole)
    ];
    prop_oneof![
        (of(vlan_name()), of(1i64..=4094))
            .prop_filter("says nothing", |(name, tag)| name.is_some()
                || tag.is_some())
            .prop_map(|(name, tag)| ConfigChange::CreateVlan { name, tag }),
        vlan().prop_map(|vlan| ConfigChange::DeleteVlan { vlan }),
        (vlan(), vlan_change()).prop_map(|(vlan, change)| ConfigChange::Vlan { vlan, change }),
        (port(), device()).prop_map(|(port, device)| ConfigChange::PortDevice { port, device }),
        (ports(), port_change()).prop_map(|(ports, change)| ConfigChange::Ports { ports, change }),
        ports().prop_map(|ports| ConfigChange::UnconfigurePorts { ports }),
        (mac(), vlan(), target).prop_map(|(mac, vlan, target)| ConfigChange::CreateFdbEntry {
            mac,
            vlan,
            target
        }),
        (mac(), vlan()).prop_map(|(mac, vlan)| ConfigChange::DeleteFdbEntry { mac, vlan }),
        fdb_change().prop_map(ConfigChange::Fdb),
        snmp_change().prop_map(ConfigChange::Snmp),
        Just(ConfigChange::UnconfigureSnmp),
        msm_failover_change().prop_map(ConfigChange::MsmFailover),
        Just(ConfigChange::UnconfigureMsmFailover),
        image_change().prop_map(ConfigChange::Image),
        stpd::change(),
        select(vec![SysRecoveryLevel::All, SysRecoveryLevel::Critical])
            .prop_map(|level| ConfigChange::SysRecoveryLevel { level }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_change_comes_back_from_its_command(change in change(), confirmed in of(10u32..=86_400)) {
        let written = text(&change);
        let line = Line::split(&written).map_err(|e| TestCaseError::fail(e.render()))?;
        let parsed = parse(&line).map_err(|e| TestCaseError::fail(e.render()))?;
        prop_assert_eq!(parsed.action, Action::Configure(change.clone()));

        let request = Request::Configure { changes: vec![change.clone()], confirmed_seconds: confirmed };
        let written = command_line(&request).unwrap_or_default();
        let line = Line::split(&written).map_err(|e| TestCaseError::fail(e.render()))?;
        let parsed = parse(&line).map_err(|e| TestCaseError::fail(e.render()))?;
        prop_assert_eq!(parsed.action, Action::Configure(change));
        prop_assert_eq!(parsed.confirmed, confirmed);
    }
}

#[test]
fn a_request_comes_back_from_its_command_line() {
    let fdb = |cursor| Request::ShowFdb {
        vlan: Some(parsed("blue")),
        port: PortNo::new(3),
        mac: Some(parsed("02:00:00:00:00:01")),
        cursor,
        limit: 0,
    };
    for request in [
        Request::ShowSwitch {},
        Request::ShowDownload {},
        Request::UseImage {
            bank: ImageBank::Secondary,
            slot: None,
        },
        Request::UseImage {
            bank: ImageBank::Primary,
            slot: Some(ModuleSlot::MsmB),
        },
        Request::ShowVlan { vlan: None },
        Request::ShowVlan {
            vlan: Some(parsed("7")),
        },
        fdb(0),
        Request::ShowCounters {},
        Request::ClearFdb {
            vlan: None,
            port: PortNo::new(128),
            mac: None,
        },
        Request::ShowMsmFailover {},
        Request::CheckMsmFailover {},
        Request::ClearQuarantine {},
        Request::ShowUpgrade {},
        Request::AcceptUpgrade {},
        Request::ConfirmConfiguration {},
        Request::RollbackConfiguration {},
        Request::UseConfiguration {
            bank: ConfigBank::Secondary,
        },
        Request::Save { bank: None },
        Request::Save {
            bank: Some(ConfigBank::Primary),
        },
        Request::InjectFault {
            fault: Fault::CriticalTaskPanic,
        },
        Request::InjectFault {
            fault: Fault::Other("pa \"\n".into()),
        },
    ] {
        let line = command_line(&request).unwrap();
        assert_eq!(action(&line), Action::Ask(request), "{line}");
    }
    for (request, line) in [
        (
            Request::ShowPorts {
                port: PortNo::new(2),
            },
            "show ports 2",
        ),
        (Request::ShowVersion {}, "show version"),
        (
            Request::DownloadImage {
                file: "/tmp/my image".into(),
                bank: Some(ImageBank::Secondary),
            },
            "download image \"/tmp/my image\" secondary",
        ),
        (Request::ClearHardware {}, "clear hardware"),
        (
            Request::RunMsmFailover { force: true },
            "run msm-failover force",
        ),
        (
            Request::RebootSlot {
                slot: ModuleSlot::MsmA,
                hard_reset: true,
            },
            "reboot slot msm-a hard-reset",
        ),
        (
            Request::Upgrade {
                file: "/a b.img".into(),
                conservative: true,
                dry_run: false,
                accept_degraded: true,
                accept_within_seconds: Some(90),
            },
            "upgrade \"/a b.img\" conservative accept-within 90s",
        ),
        (
            Request::RollBackUpgrade {
                reason: Some("the weather".into()),
            },
            "rollback",
        ),
        (
            Request::ShowLog {
                count: 20,
                slot: Some(ModuleSlot::MsmB),
                level: Some(LogLevel::Warn),
                since: Some(9),
            },
            "show log 20 slot msm-b level warn",
        ),
        (
            Request::ShowConfiguration {
                which: ConfigurationSource::Secondary,
            },
            "show configuration secondary",
        ),
    ] {
        assert_eq!(command_line(&request).as_deref(), Some(line));
        understood(line);
    }
}

#[test]
fn very_many_changes_are_not_all_written_out() {
    let changes = (1..=100).map(|tag| ConfigChange::CreateVlan {
        name: None,
        tag: Some(tag),
    });
    let request = Request::Configure {
        changes: changes.collect(),
        confirmed_seconds: Some(60),
    };
    let line = command_line(&request).unwrap();
    assert!(line.starts_with("create vlan 1; create vlan 2; "), "{line}");
    assert!(
        line.ends_with("; create vlan 16; and 84 more confirmed 60"),
        "{line}"
    );
}

/// What limits the number of this change in the grammar.
pub(super) fn range(change: &ConfigChange) -> (i64, i64) {
    let written = text(change);
    let line = Line::split(&written).unwrap();
    let (_, path) = matcher::command(&line).unwrap_or_else(|error| panic!("{error}"));
    let kinds = path.iter().rev().find_map(|&place| {
        match automaton::Automaton::of_table().places[place].terminal {
            Terminal::Argument(Argument {
                kind: Kind::Number { low, high },
                ..
            }) => Some((low, high)),
            Terminal::Argument(Argument { kind, .. }) if format!("{kind:?}") == "VLAN-ID" => {
                Some((1, 4094))
            }
            _ => None,
        }
    });
    kinds.unwrap_or_else(|| panic!("{written} has no number"))
}

#[test]
fn ranges_are_those_of_the_configuration() {
    use ConfigChange::{Fdb, MsmFailover};
    let base: Vec<ConfigChange> = [
        "create vlan blue tag 7",
        "configure port 1 device eth1",
        "configure msm-failover lease 60000",
    ]
    .into_iter()
    .map(|line| match action(line) {
        Action::Configure(change) => change,
        other => panic!("{other:?}"),
    })
    .collect();
    let config = Config::factory(parsed("sw1")).changed(&base).unwrap();
    let vlan = |change| ConfigChange::Vlan {
        vlan: parsed("blue"),
        change,
    };
    let ports = |change| ConfigChange::Ports {
        ports: PortSelection::All,
        change,
    };
    let damping = |moves, within_seconds, hold_seconds| {
        Fdb(FdbChange::Damping {
            moves,
            within_seconds,
            hold_seconds,
        })
    };
    // The last number of the command is the one that is tried, but for damping, whose others are tried by hand.
    let changes: [(i64, &dyn Fn(i64) -> ConfigChange); 14] = [
        (7, &|id| vlan(VlanChange::Tag { id })),
        (7, &|tag| ConfigChange::CreateVlan {
            name: Some(parsed("green")),
            tag: Some(tag),
        }),
        (7, &|n| vlan(VlanChange::LimitLearning { limit: Some(n) })),
        (7, &|n| ports(PortChange::LimitLearning { limit: Some(n) })),
        (7, &|n| {
            ports(PortChange::RateLimit {
                kind: StormKind::Multicast,
                rate: Some(n),
            })
        }),
        (300, &|seconds| Fdb(FdbChange::AgingTime { seconds })),
        (100, &|entries| Fdb(FdbChange::Size { entries })),
        (7, &|hold| damping(5, 1, hold)),
        (60, &|seconds| {
            MsmFailover(MsmFailoverChange::Timeout { seconds })
        }),
        (100, &|ms| {
            MsmFailover(MsmFailoverChange::Keepalive {
                interval_ms: Some(ms),
                misses: None,
            })
        }),
        (3, &|n| {
            MsmFailover(MsmFailoverChange::Keepalive {
                interval_ms: None,
                misses: Some(n),
            })
        }),
        (250, &|ms| MsmFailover(MsmFailoverChange::Watchdog { ms })),
        (2_000, &|ms| {
            MsmFailover(MsmFailoverChange::Freshness { ms })
        }),
        (3_000, &|ms| MsmFailover(MsmFailoverChange::Lease { ms })),
    ];
    for (usual, change) in changes {
        let (low, high) = range(&change(usual));
        // The longest watchdog would need a lease that is longer than the longest.
        let watchdog = text(&change(usual)) == "configure msm-failover watchdog 250";
        for taken in [low, high - i64::from(watchdog)] {
            let change = change(taken);
            if let Err(error) = config.changed(std::slice::from_ref(&change)) {
                panic!("{}: {error}", text(&change));
            }
        }
        for refused in [low - 1, high + 1] {
            let change = change(refused);
            // 0 is a word of its own where it means never.
            let never = matches!(text(&change).as_str(), "configure fdb agingtime 0");
            assert!(
                never || config.changed(std::slice::from_ref(&change)).is_err(),
                "{}",
                text(&change)
            );
        }
    }
    for (moves, within, taken) in [
        (0, 1, true),
        (1_000_000, 3_600, true),
        (-1, 1, false),
        (1_000_001, 1, false),
        (5, 0, false),
        (5, 3_601, false),
    ] {
        let change = damping(moves, within, 10);
        assert_eq!(
            config.changed(std::slice::from_ref(&change)).is_ok(),
            taken,
            "{}",
            text(&change)
        );
        let understood = Line::split(&text(&change)).and_then(|line| parse(&line));
        assert_eq!(understood.is_ok(), taken, "{}", text(&change));
    }
}
