//! `show`, but for configurations.

use hitless_proto::config::PortSelection;

use super::{COMMAND, Command};
use crate::grammar::{Action, LogQuery, Matched, PortsView};
use crate::northbound::api::{LogLevel, ModuleSlot, Request};

/// Slots by their words.
pub(super) const SLOTS: &[(&str, ModuleSlot)] =
    &[("msm-a", ModuleSlot::MsmA), ("msm-b", ModuleSlot::MsmB)];

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// `<ports>` or `all`, of commands that may have neither. What comes first counts: `all` may come again as a setting.
pub(super) fn selection(matched: &Matched<'_>) -> Result<Option<PortSelection>, String> {
    let ports: Option<PortSelection> = matched.find("ports")?;
    Ok(ports.or(matched.which(&[("all", PortSelection::All)])))
}

/// The filters of the forwarding database: VLAN, port, address.
pub(super) const FDB_WORDS: &[(&str, &str)] = &[
    ("vlan", "Only in this VLAN"),
    ("port", "Only behind this port"),
    ("mac", "Only this address"),
    ("<mac>", "Only this address"),
];

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "show version {detail}",
        help: "Show the versions of this program and of both modules, and the images in their banks",
        details: "The version that each module runs and the bank it was booted from; what is in both banks of both \
                  slots, and which of them is booted next.",
        words: &[
            (
                "version",
                "Versions of this program and of both modules, and images",
            ),
            ("detail", "With sizes, digests and signatures"),
        ],
        seeds: &[67],
        handler: |m| {
            Ok(Action::ShowVersion {
                detail: m.has("detail"),
            })
        },
        ..COMMAND
    },
    Command {
        syntax: "show switch",
        help: "Show the switch as a whole",
        words: &[("switch", "The switch as a whole")],
        seeds: &[28, 67],
        handler: |_| Ok(Action::Ask(Request::ShowSwitch {})),
        ..COMMAND
    },
    Command {
        syntax: "show ports {<ports:PORTS> | all} {statistics | utilization}",
        help: "Show ports: all in a table, or one in detail",
        details: "With --every statistics and utilization are shown again and again, whoever is master.",
        words: &[
            ("ports", "State, counters or rates of ports"),
            ("<ports>", "Only these ports"),
            ("statistics", "Counters"),
            ("utilization", "Rates, and how much of the link they are"),
        ],
        handler: |m| {
            Ok(Action::ShowPorts {
                ports: selection(m)?.filter(|ports| *ports != PortSelection::All),
                view: m
                    .which(&[
                        ("statistics", PortsView::Statistics),
                        ("utilization", PortsView::Utilization),
                    ])
                    .unwrap_or_default(),
            })
        },
        ..COMMAND
    },
    Command {
        syntax: "show vlan {<vlan:VLAN>}",
        help: "Show all VLANs, or one",
        words: &[
            ("vlan", "VLANs and their members"),
            ("<vlan>", "Only this VLAN"),
        ],
        handler: |m| {
            Ok(Action::Ask(Request::ShowVlan {
                vlan: m.find("vlan")?,
            }))
        },
        ..COMMAND
    },
    Command {
        syntax: "show stpd {<stpd:STPD> {ports {<ports:PORTS> | all} {detail}}}",
        help: "Show spanning tree domains, one of them, or its ports",
        words: &[
            ("stpd", "Spanning tree domains and their ports"),
            ("<stpd>", "Only this domain"),
            ("ports", "Its ports"),
            ("<ports>", "Only these ports"),
            (
                "detail",
                "All that is known of each, with counters and timers",
            ),
        ],
        seeds: &[20],
        handler: |m| {
            if !m.has("ports") {
                let stpd = m.find("stpd")?;
                return Ok(Action::Ask(Request::ShowStpd { stpd, ports: None }));
            }
            Ok(Action::ShowStpdPorts {
                stpd: m.get("stpd")?,
                ports: selection(m)?.unwrap_or(PortSelection::All),
                detail: m.has("detail"),
            })
        },
        ..COMMAND
    },
    Command {
        syntax: "show fdb ({vlan <vlan:VLAN>} & {port <port:PORT>} & {mac <mac:MAC> | <mac:MAC>})",
        help: "Show addresses of the forwarding database",
        details: "Filters may stand in any order; entries that match all of them are shown.",
        words: &[
            ("fdb", "The forwarding database"),
            FDB_WORDS[0],
            FDB_WORDS[1],
            FDB_WORDS[2],
            FDB_WORDS[3],
        ],
        seeds: &[17],
        handler: |m| {
            Ok(Action::Ask(Request::ShowFdb {
                vlan: m.find("vlan")?,
                port: m.find("port")?,
                mac: m.find("mac")?,
                cursor: 0,
                limit: 0,
            }))
        },
        ..COMMAND
    },
    Command {
        syntax: "show counters",
        help: "Show counters of ports, drops, control frames and learning",
        words: &[(
            "counters",
            "Counters of ports, drops, control frames and learning",
        )],
        handler: |_| Ok(Action::Ask(Request::ShowCounters {})),
        ..COMMAND
    },
    Command {
        syntax: "show msm-failover",
        help: "Show management modules, failover settings and the last failover",
        details: "Role, image and state of both modules, with the reason for each state and the state before the \
                  last failover; cause, duration and verdict of the last failover; the settings; how far the standby \
                  is behind; what is quarantined.",
        words: &[(
            "msm-failover",
            "Management modules, failover settings and the last failover",
        )],
        seeds: &[63, 64, 65, 68],
        handler: |_| Ok(Action::Ask(Request::ShowMsmFailover {})),
        ..COMMAND
    },
    Command {
        syntax: "show log ({<count:1-1000>} & {slot [msm-a | msm-b]} & {level [error | warn | info | debug | trace]} \
                 & {follow})",
        help: "Show the log of both modules",
        details: "The newest lines, 100 unless told otherwise, the oldest first.",
        words: &[
            ("log", "The log of both modules"),
            ("<count>", "Lines at most"),
            ("slot", "Only of the module in this slot"),
            ("level", "Only as urgent as this, or more"),
            ("follow", "Go on with lines as they come"),
            ("error", "Something failed"),
            ("warn", "Something needs attention"),
            ("info", "Something noteworthy happened"),
            ("debug", "For developers"),
            ("trace", "For developers, in detail"),
        ],
        seeds: &[66],
        handler: |m| {
            Ok(Action::ShowLog(LogQuery {
                count: m.find("count")?.unwrap_or(LogQuery::DEFAULT_COUNT),
                slot: m.which(SLOTS),
                level: m.which(LEVELS),
                follow: m.has("follow"),
            }))
        },
        ..COMMAND
    },
];
