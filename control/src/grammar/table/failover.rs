//! Management modules: failover, its settings, and what it takes to look after them.

use hitless_proto::config::{
    ConfigChange, LinkAction, MsmFailoverChange, PreserveState, SlaveConfig, SysRecoveryLevel,
};

use super::show::SLOTS;
use super::{COMMAND, CONFIGURE, Command, OPERATE};
use crate::grammar::{Action, Matched};
use crate::northbound::api::{Fault, Request};

fn change(change: MsmFailoverChange) -> Action {
    Action::Configure(ConfigChange::MsmFailover(change))
}

/// Milliseconds.
fn ms(m: &Matched<'_>) -> Result<i64, String> {
    m.get("ms")
}

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "configure msm-failover slave-config [inherited | flash]",
        help: "Say where a new master takes its configuration from",
        details: "With flash a failover is not hitless, and preserve-state can not be set.",
        words: &[
            (
                "slave-config",
                "Where a new master takes its configuration from",
            ),
            (
                "inherited",
                "From the master before it, unsaved changes included",
            ),
            ("flash", "From its configuration file"),
        ],
        seeds: &[26, 27, 29, 34],
        handler: |m| {
            m.one_of(&[
                ("inherited", SlaveConfig::Inherited),
                ("flash", SlaveConfig::Flash),
            ])
            .map(MsmFailoverChange::SlaveConfig)
            .map(change)
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure msm-failover link-action [keep-links-up {preserve-state [l2 | l2_l3]} | take-links-down]",
        help: "Say what becomes of ports and state at a failover",
        details: "Without preserve-state no layer 2 and layer 3 state is preserved, and a failover is not hitless.",
        words: &[
            ("link-action", "What becomes of ports and state"),
            ("keep-links-up", "Ports are not touched"),
            (
                "take-links-down",
                "Ports are reset, and their neighbours see it",
            ),
            ("preserve-state", "State is preserved"),
            (
                "l2",
                "The forwarding database and the states of layer 2 protocols",
            ),
            (
                "l2_l3",
                "Those, the layer 3 forwarding database, ARP and access lists",
            ),
        ],
        seeds: &[32, 33],
        handler: |m| {
            let action = m.one_of(&[
                ("keep-links-up", LinkAction::KeepLinksUp),
                ("take-links-down", LinkAction::TakeLinksDown),
            ])?;
            let preserve = m.which(&[("l2", PreserveState::L2), ("l2_l3", PreserveState::L2L3)]);
            Ok(change(MsmFailoverChange::LinkAction { action, preserve }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure msm-failover timeout <time:30-300>",
        help: "Set the failover timer",
        details: "What is not linked to a live database when it ends is deleted.",
        words: &[("timeout", "The failover timer"), ("<time>", "Seconds")],
        seeds: &[36, 37],
        handler: |m| {
            let seconds = m.get("time")?;
            Ok(change(MsmFailoverChange::Timeout { seconds }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure msm-failover keepalive [interval <interval:10-10000> {misses <misses:2-100>} | \
                 misses <misses:2-100> {interval <interval:10-10000>}]",
        help: "Set when a module is taken for lost",
        words: &[
            ("keepalive", "When a module is taken for lost"),
            ("interval", "The time between two keepalives"),
            ("<interval>", "Milliseconds"),
            ("misses", "How many in a row may not be missed"),
            ("<misses>", "Keepalives"),
        ],
        handler: |m| {
            Ok(change(MsmFailoverChange::Keepalive {
                interval_ms: m.find("interval")?,
                misses: m.find("misses")?,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure msm-failover watchdog [off | <ms:50-60000>]",
        help: "Set when a module that hangs is ended",
        words: &[
            ("watchdog", "When a module that hangs is ended"),
            ("off", "Never"),
            ("<ms>", "Milliseconds without a sign of life"),
        ],
        handler: |m| {
            let ms = match m.has("off") {
                true => 0,
                false => ms(m)?,
            };
            Ok(change(MsmFailoverChange::Watchdog { ms }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure msm-failover freshness <ms:100-600000>",
        help: "Set how old a checkpoint may be for an unannounced failover to be hitless",
        words: &[
            ("freshness", "How old a checkpoint may be"),
            ("<ms>", "Milliseconds"),
        ],
        handler: |m| Ok(change(MsmFailoverChange::Freshness { ms: ms(m)? })),
        ..CONFIGURE
    },
    Command {
        syntax: "configure msm-failover lease <ms:1000-60000>",
        help: "Set how long the data path trusts a silent master",
        words: &[
            ("lease", "How long the data path trusts a silent master"),
            ("<ms>", "Milliseconds"),
        ],
        handler: |m| Ok(change(MsmFailoverChange::Lease { ms: ms(m)? })),
        ..CONFIGURE
    },
    Command {
        syntax: "unconfigure msm-failover",
        help: "Disable hitless failover: links down, nothing preserved, 60 s, configuration file",
        details: "These are ExtremeWare's factory defaults. To return to hitless failover: configure msm-failover \
                  slave-config inherited, then configure msm-failover link-action keep-links-up preserve-state l2_l3.",
        words: &[("msm-failover", "Disable hitless failover")],
        seeds: &[38],
        handler: |_| Ok(Action::Configure(ConfigChange::UnconfigureMsmFailover)),
        ..CONFIGURE
    },
    Command {
        syntax: "configure sys-recovery-level [all | critical] {msm-failover}",
        help: "Say which tasks' exceptions make a module fail over",
        words: &[
            ("all", "Those of all tasks"),
            ("critical", "Those of critical tasks only"),
            (
                "msm-failover",
                "The other module takes over (there is nothing else)",
            ),
        ],
        seeds: &[35],
        handler: |m| {
            let level = m.one_of(&[
                ("all", SysRecoveryLevel::All),
                ("critical", SysRecoveryLevel::Critical),
            ])?;
            Ok(Action::Configure(ConfigChange::SysRecoveryLevel { level }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "run msm-failover {force}",
        help: "Make the standby the master, and wait for it",
        words: &[
            ("msm-failover", "Make the standby the master"),
            (
                "force",
                "Even if the standby is not ready: state is lost then",
            ),
        ],
        seeds: &[6],
        handler: |m| {
            Ok(Action::Failover {
                force: m.has("force"),
            })
        },
        ..OPERATE
    },
    Command {
        syntax: "reboot slot [msm-a | msm-b] {hard-reset}",
        help: "Start a management module again",
        details: "The master's slot: a failover. With hard-reset some of the switch forwarding operations may be \
                  briefly interrupted, and it is asked for confirmation first.",
        words: &[
            ("slot", "The module in this slot"),
            ("hard-reset", "With its hardware: forwarding is interrupted"),
        ],
        seeds: &[53, 62],
        handler: |m| {
            Ok(Action::Reboot {
                slot: m.one_of(SLOTS)?,
                hard_reset: m.has("hard-reset"),
            })
        },
        ..OPERATE
    },
    Command {
        syntax: "check msm-failover",
        help: "Compare master, standby and hardware, whole contents",
        words: &[("msm-failover", "Master, standby and hardware")],
        seeds: &[50],
        handler: |_| Ok(Action::Ask(Request::CheckMsmFailover {})),
        ..COMMAND
    },
    Command {
        syntax: "clear quarantine",
        help: "Take in again what ended two masters and was dropped since",
        words: &[("quarantine", "What ended two masters and was dropped since")],
        handler: |_| Ok(Action::Ask(Request::ClearQuarantine {})),
        ..OPERATE
    },
    Command {
        syntax: "clear hardware",
        help: "Take the data path down: forwarding stops",
        details: "All tables are gone, and hitlessd ends. It is asked for confirmation first.",
        words: &[("hardware", "The data path: forwarding stops")],
        handler: |_| Ok(Action::ClearHardware),
        ..OPERATE
    },
    Command {
        syntax: "debug fault [panic | hang | exit | abort | task-panic | critical-task-panic | diagnostic | <kind:WORD>]",
        help: "Bring a failure about in the master; hitlessd must run with HITLESS_FAULTS=1",
        words: &[
            ("fault", "Bring a failure about in the master"),
            ("panic", "The event loop panics"),
            ("hang", "The event loop hangs"),
            ("exit", "The process exits"),
            ("abort", "The process aborts"),
            ("task-panic", "A task panics that a switch can do without"),
            (
                "critical-task-panic",
                "A task panics that a switch can not do without",
            ),
            ("diagnostic", "The next self-test fails"),
            ("<kind>", "Another one, by its name"),
        ],
        hidden: true,
        handler: |m| {
            let named = m.which(&[
                ("panic", Fault::Panic),
                ("hang", Fault::Hang),
                ("exit", Fault::Exit),
                ("abort", Fault::Abort),
                ("task-panic", Fault::TaskPanic),
                ("critical-task-panic", Fault::CriticalTaskPanic),
                ("diagnostic", Fault::Diagnostic),
            ]);
            let fault = match named {
                Some(fault) => fault,
                None => Fault::from(m.get::<String>("kind")?),
            };
            Ok(Action::Ask(Request::InjectFault { fault }))
        },
        ..OPERATE
    },
];
