//! Commands about management modules: failover, its settings, the log.

use clap::{Args, Subcommand, ValueEnum};
use hitless_proto::config::{LinkAction, PreserveState, SlaveConfig, SysRecoveryLevel};

use super::{not_understood, once, value};
use crate::northbound::api::{LogLevel, ModuleSlot, MsmFailoverChange, Request};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Run {
    /// Make the standby the master, and wait for it
    MsmFailover {
        /// Even if the standby is not ready: state is lost then
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Configure {
    /// What happens when the master is lost
    #[command(subcommand, infer_subcommands = true)]
    MsmFailover(Setting),
    /// Which tasks' exceptions make a module fail over
    #[command(override_usage = "hitless configure sys-recovery-level all|critical [msm-failover]")]
    SysRecoveryLevel {
        /// The level
        #[arg(value_name = "LEVEL", required = true)]
        words: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Setting {
    /// Where a new master takes its configuration from
    SlaveConfig {
        /// The master before it, or its configuration file
        source: Source,
    },
    /// What becomes of ports and state
    #[command(
        override_usage = "hitless configure msm-failover link-action keep-links-up [preserve-state l2|l2_l3]\n       \
                          hitless configure msm-failover link-action take-links-down"
    )]
    LinkAction {
        /// Whether links are kept, and which state
        #[arg(value_name = "ACTION", required = true)]
        words: Vec<String>,
    },
    /// The failover timer: what is not linked to a live database when it ends is deleted
    Timeout {
        /// 30 to 300
        #[arg(value_name = "SECONDS", allow_negative_numbers = true)]
        seconds: i64,
    },
    /// When a module is taken for lost
    #[command(
        override_usage = "hitless configure msm-failover keepalive [interval <MS>] [misses <COUNT>]"
    )]
    Keepalive {
        /// Interval of keepalives (10 to 10000) and how many may be missed (2 to 100)
        #[arg(value_name = "SETTING", required = true)]
        words: Vec<String>,
    },
    /// When a hanging module is ended
    Watchdog {
        /// 50 to 60000, or off
        #[arg(value_name = "MS|off")]
        limit: String,
    },
    /// How old a checkpoint may be for an unannounced failover to be hitless
    Freshness {
        /// 100 to 600000
        #[arg(value_name = "MS", allow_negative_numbers = true)]
        ms: i64,
    },
    /// How long the data path trusts a silent master
    Lease {
        /// 1000 to 60000
        #[arg(value_name = "MS", allow_negative_numbers = true)]
        ms: i64,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Source {
    /// The master before it, unsaved changes included
    Inherited,
    /// Its configuration file
    Flash,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Unconfigure {
    /// Disable hitless failover: links down, nothing preserved, 60 s, configuration file
    MsmFailover,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Reboot {
    /// Start a management module again
    Slot {
        /// msm-a or msm-b
        slot: ModuleSlot,
        /// With its hardware: interrupts forwarding, and asks
        #[arg(value_name = "hard-reset")]
        hard: Option<HardReset>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum HardReset {
    /// With its hardware
    HardReset,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Check {
    /// Compare master, standby and hardware, whole contents
    MsmFailover,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Debug {
    /// Bring a failure about in the master; hitlessd must run with HITLESS_FAULTS=1
    Fault {
        /// panic, hang, exit, abort, task-panic, critical-task-panic, diagnostic
        kind: String,
    },
}

/// `show log`.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub(in crate::cli) struct LogArguments {
    /// Lines at most
    #[arg(value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Only of the module in this slot
    #[arg(long)]
    pub slot: Option<ModuleSlot>,
    /// Only as urgent as this, or more: error, warn, info, debug, trace
    #[arg(long)]
    pub level: Option<LogLevel>,
    /// Go on with lines as they come
    #[arg(long)]
    pub follow: bool,
}

impl LogArguments {
    /// Asks for a page of the log, the newest lines or those after a cursor.
    pub fn request(&self, since: Option<u64>) -> Request {
        Request::ShowLog {
            count: self.count,
            slot: self.slot,
            level: self.level,
            since,
        }
    }
}

impl Setting {
    /// The change that is meant.
    pub fn change(self) -> Result<MsmFailoverChange, String> {
        Ok(match self {
            Self::SlaveConfig { source } => MsmFailoverChange::SlaveConfig(match source {
                Source::Inherited => SlaveConfig::Inherited,
                Source::Flash => SlaveConfig::Flash,
            }),
            Self::LinkAction { words } => link_action(&words)?,
            Self::Timeout { seconds } => MsmFailoverChange::Timeout { seconds },
            Self::Keepalive { words } => keepalive(&words)?,
            Self::Watchdog { limit } => MsmFailoverChange::Watchdog {
                ms: match limit.as_str() {
                    "off" => 0,
                    number => value("watchdog", number)?,
                },
            },
            Self::Freshness { ms } => MsmFailoverChange::Freshness { ms },
            Self::Lease { ms } => MsmFailoverChange::Lease { ms },
        })
    }
}

/// Reads `keep-links-up [preserve-state l2|l2_l3]` or `take-links-down`.
fn link_action(words: &[String]) -> Result<MsmFailoverChange, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (action, preserve) = match words.as_slice() {
        ["keep-links-up"] => (LinkAction::KeepLinksUp, None),
        ["keep-links-up", "preserve-state", "l2"] => {
            (LinkAction::KeepLinksUp, Some(PreserveState::L2))
        }
        ["keep-links-up", "preserve-state", "l2_l3"] => {
            (LinkAction::KeepLinksUp, Some(PreserveState::L2L3))
        }
        ["take-links-down"] => (LinkAction::TakeLinksDown, None),
        _ => {
            return Err(not_understood(
                &words,
                "keep-links-up [preserve-state l2|l2_l3], or take-links-down",
            ));
        }
    };
    Ok(MsmFailoverChange::LinkAction { action, preserve })
}

/// Reads `[interval MS] [misses COUNT]` in any order, each at most once.
fn keepalive(words: &[String]) -> Result<MsmFailoverChange, String> {
    let (mut interval_ms, mut misses) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "interval" => once(&mut interval_ms, "interval", words.next())?,
            "misses" => once(&mut misses, "misses", words.next())?,
            _ => {
                return Err(format!(
                    "{word:?} is not understood; expected interval <MS> or misses <COUNT>"
                ));
            }
        }
    }
    Ok(MsmFailoverChange::Keepalive {
        interval_ms,
        misses,
    })
}

/// Reads `all|critical [msm-failover]`.
pub(super) fn recovery_level(words: &[String]) -> Result<SysRecoveryLevel, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["all"] | ["all", "msm-failover"] => Ok(SysRecoveryLevel::All),
        ["critical"] | ["critical", "msm-failover"] => Ok(SysRecoveryLevel::Critical),
        _ => Err(not_understood(&words, "all or critical, then msm-failover")),
    }
}
