//! What can be typed. Words in the manner of ExtremeWare: `show fdb vlan 10 port 3`. Options only say which
//! switch is meant and how the answer is to look.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hitless_common::{Mac, PortNo};
use hitless_proto::config::{SwitchName, SysRecoveryLevel};

use crate::chassis;
use crate::northbound::api::{Fault, FdbTarget, ModuleSlot, MsmFailoverChange, VlanRef};

mod modules;
#[cfg(test)]
mod tests;

pub(super) use modules::LogArguments;
use modules::{Check, Configure, Debug, HardReset, Reboot, Run, Unconfigure};

/// Shows and commands a Hitless switch.
///
/// Commands may be shortened as long as they are unambiguous: `hitless sh po`.
#[derive(Debug, Parser)]
#[command(name = "hitless", version, infer_subcommands = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused by the switch, 2 wrong usage, 3 switch not reachable, 4 the master went \
                  away during a change, 5 done, but not hitless or not equal."
)]
pub(super) struct Arguments {
    /// The switch; needed only if there are several
    #[arg(long, global = true, value_name = "NAME", env = "HITLESS_SWITCH")]
    pub switch: Option<SwitchName>,

    /// Its control socket [default: /run/hitless/<NAME>/control.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Answers, and errors, as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// How long to look for a new master when one goes away
    #[arg(long, global = true, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub wait: Duration,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show state and counters
    Show(ShowArguments),
    /// Remove learned state
    #[command(subcommand, infer_subcommands = true)]
    Clear(Clear),
    /// Make a configured entry
    #[command(subcommand, infer_subcommands = true)]
    Create(Create),
    /// Remove a configured entry
    #[command(subcommand, infer_subcommands = true)]
    Delete(Delete),
    /// Change the running configuration
    #[command(subcommand, infer_subcommands = true)]
    Configure(Configure),
    /// Return parts of the running configuration to factory defaults
    #[command(subcommand, infer_subcommands = true)]
    Unconfigure(Unconfigure),
    /// Write the running configuration to the configuration file
    Save,
    /// Make the standby the master
    #[command(subcommand, infer_subcommands = true)]
    Run(Run),
    /// Start a management module again
    #[command(subcommand, infer_subcommands = true)]
    Reboot(Reboot),
    /// Compare what should be equal
    #[command(subcommand, infer_subcommands = true)]
    Check(Check),
    /// For tests
    #[command(subcommand, infer_subcommands = true, hide = true)]
    Debug(Debug),
    /// Hold two management modules: for containers and labs
    Chassis(Box<chassis::Options>),
}

#[derive(Debug, Args)]
#[command(infer_subcommands = true)]
pub(super) struct ShowArguments {
    /// Show it again and again, whoever is master; Ctrl-C ends it
    #[arg(long, global = true, value_name = "SECONDS", value_parser = interval)]
    pub every: Option<Duration>,

    #[command(subcommand)]
    pub what: Show,
}

#[derive(Debug, Subcommand)]
pub(super) enum Show {
    /// Versions of this program and of hitlessd
    Version,
    /// The switch as a whole
    Switch,
    /// All ports, or one in detail
    Ports {
        /// The port's number
        port: Option<PortNo>,
    },
    /// All VLANs, or one
    Vlan {
        /// The VLAN's id or name
        vlan: Option<VlanRef>,
    },
    /// Addresses of the forwarding database
    #[command(override_usage = "hitless show fdb [vlan <VLAN>] [port <PORT>] [mac <MAC>]")]
    Fdb {
        /// Which entries; all without a filter
        #[arg(value_name = "FILTER")]
        words: Vec<String>,
    },
    /// Counters of ports, drops, control frames and learning
    Counters,
    /// Management modules, failover settings and the last failover
    MsmFailover,
    /// The log of both modules
    Log(LogArguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum Clear {
    /// Remove learned addresses; configured ones stay
    #[command(override_usage = "hitless clear fdb [vlan <VLAN>] [port <PORT>] [mac <MAC>]")]
    Fdb {
        /// Which entries; all without a filter
        #[arg(value_name = "FILTER")]
        words: Vec<String>,
    },
    /// Take the data path down: forwarding stops
    Hardware {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take in again what ended two masters and was dropped since
    Quarantine,
}

#[derive(Debug, Subcommand)]
pub(super) enum Create {
    /// An address that is always behind one port, or whose frames are dropped
    #[command(
        override_usage = "hitless create fdbentry <MAC> vlan <VLAN> port <PORT>\n       \
                                hitless create fdbentry <MAC> vlan <VLAN> blackhole"
    )]
    Fdbentry {
        /// The address, its VLAN (id or name) and its port
        #[arg(value_name = "ENTRY", required = true)]
        words: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Delete {
    /// A configured address
    #[command(override_usage = "hitless delete fdbentry <MAC> vlan <VLAN>")]
    Fdbentry {
        /// The address and its VLAN (id or name)
        #[arg(value_name = "ENTRY", required = true)]
        words: Vec<String>,
    },
}

/// A command with its words understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Needs hitlessd.
    Session(Task),
    /// Done without hitlessd if there is none.
    ClearHardware { yes: bool },
    /// Runs until it is told to stop.
    Chassis(Box<chassis::Options>),
}

/// A command to hitlessd.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// A question, and its answer.
    Ask(Question),
    /// The same, again and again.
    Live { question: Question, every: Duration },
    /// Lines of the log as they come.
    FollowLog(LogArguments),
    /// A failover, which is waited for.
    Failover { force: bool },
    /// A module is started again.
    Reboot {
        slot: ModuleSlot,
        hard_reset: bool,
        yes: bool,
    },
}

/// What is asked of hitlessd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Version,
    Switch,
    Ports(Option<PortNo>),
    Vlan(Option<VlanRef>),
    Fdb(FdbFilter),
    Counters,
    ClearFdb(FdbFilter),
    Create(NewEntry),
    Delete { vlan: VlanRef, mac: Mac },
    Modules,
    Log(LogArguments),
    Configure(MsmFailoverChange),
    Unconfigure,
    RecoveryLevel(SysRecoveryLevel),
    CheckModules,
    ClearQuarantine,
    Save,
    Fault(Fault),
}

impl ShowArguments {
    fn task(self) -> Result<Task, String> {
        let question = match self.what {
            Show::Version => Question::Version,
            Show::Switch => Question::Switch,
            Show::Ports { port } => Question::Ports(port),
            Show::Vlan { vlan } => Question::Vlan(vlan),
            Show::Fdb { words } => Question::Fdb(fdb_filter(&words)?),
            Show::Counters => Question::Counters,
            Show::MsmFailover => Question::Modules,
            Show::Log(arguments) if arguments.follow => {
                return match self.every {
                    None => Ok(Task::FollowLog(arguments)),
                    Some(_) => Err("--follow and --every exclude each other".into()),
                };
            }
            Show::Log(arguments) => Question::Log(arguments),
        };
        Ok(match self.every {
            None => Task::Ask(question),
            Some(every) => Task::Live { question, every },
        })
    }
}

impl Command {
    /// Understands the words of the command, or says what was expected.
    pub fn plan(self) -> Result<Plan, String> {
        let question = match self {
            Self::Show(arguments) => return arguments.task().map(Plan::Session),
            Self::Clear(Clear::Fdb { words }) => Question::ClearFdb(fdb_filter(&words)?),
            Self::Clear(Clear::Hardware { yes }) => return Ok(Plan::ClearHardware { yes }),
            Self::Chassis(options) => return Ok(Plan::Chassis(options)),
            Self::Create(Create::Fdbentry { words }) => Question::Create(new_entry(&words)?),
            Self::Delete(Delete::Fdbentry { words }) => {
                let (mac, vlan) = entry(&words)?;
                Question::Delete { vlan, mac }
            }
            Self::Clear(Clear::Quarantine) => Question::ClearQuarantine,
            Self::Configure(Configure::MsmFailover(setting)) => {
                Question::Configure(setting.change()?)
            }
            Self::Configure(Configure::SysRecoveryLevel { words }) => {
                Question::RecoveryLevel(modules::recovery_level(&words)?)
            }
            Self::Unconfigure(Unconfigure::MsmFailover) => Question::Unconfigure,
            Self::Save => Question::Save,
            Self::Run(Run::MsmFailover { force }) => {
                return Ok(Plan::Session(Task::Failover { force }));
            }
            Self::Reboot(Reboot::Slot { slot, hard, yes }) => {
                return Ok(Plan::Session(Task::Reboot {
                    slot,
                    hard_reset: hard == Some(HardReset::HardReset),
                    yes,
                }));
            }
            Self::Check(Check::MsmFailover) => Question::CheckModules,
            Self::Debug(Debug::Fault { kind }) => Question::Fault(Fault::from(kind)),
        };
        Ok(Plan::Session(Task::Ask(question)))
    }
}

/// Which FDB entries are meant: those that match everything given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FdbFilter {
    pub vlan: Option<VlanRef>,
    pub port: Option<PortNo>,
    pub mac: Option<Mac>,
}

/// A configured entry to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewEntry {
    pub vlan: VlanRef,
    pub mac: Mac,
    pub target: FdbTarget,
}

/// Reads `[vlan V] [port P] [mac M]` in any order, each at most once; a bare address is taken for a `mac`.
fn fdb_filter(words: &[String]) -> Result<FdbFilter, String> {
    let mut filter = FdbFilter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "vlan" => once(&mut filter.vlan, "vlan", words.next())?,
            "port" | "ports" => once(&mut filter.port, "port", words.next())?,
            "mac" => once(&mut filter.mac, "mac", words.next())?,
            _ if word.parse::<Mac>().is_ok() => once(&mut filter.mac, "mac", Some(word))?,
            _ => {
                return Err(format!(
                    "{word:?} is not understood; expected vlan <VLAN>, port <PORT> or mac <MAC>"
                ));
            }
        }
    }
    Ok(filter)
}

/// Reads `<MAC> vlan <VLAN> port <PORT>` or `<MAC> vlan <VLAN> blackhole`.
fn new_entry(words: &[String]) -> Result<NewEntry, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (mac, vlan, target) = match words.as_slice() {
        [mac, "vlan", vlan, "port" | "ports", port] => {
            (mac, vlan, FdbTarget::Port(value("port", port)?))
        }
        [mac, "vlan", vlan, "blackhole"] => (mac, vlan, FdbTarget::Blackhole),
        _ => {
            return Err(not_understood(
                &words,
                "<MAC> vlan <VLAN> port <PORT>, or <MAC> vlan <VLAN> blackhole",
            ));
        }
    };
    Ok(NewEntry {
        vlan: value("vlan", vlan)?,
        mac: value("mac", mac)?,
        target,
    })
}

/// Reads `<MAC> vlan <VLAN>`.
fn entry(words: &[String]) -> Result<(Mac, VlanRef), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [mac, "vlan", vlan] => Ok((value("mac", mac)?, value("vlan", vlan)?)),
        _ => Err(not_understood(&words, "<MAC> vlan <VLAN>")),
    }
}

fn not_understood(words: &[&str], expected: &str) -> String {
    format!(
        "{:?} is not understood; expected {expected}",
        words.join(" ")
    )
}

fn once<T>(slot: &mut Option<T>, what: &str, word: Option<&String>) -> Result<(), String>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let word = word.ok_or_else(|| format!("{what} needs a value"))?;
    if slot.is_some() {
        return Err(format!("{what} is given twice"));
    }
    *slot = Some(value(what, word)?);
    Ok(())
}

/// A number of seconds, which may have a fraction.
fn seconds(word: &str) -> Result<Duration, String> {
    let number = word.parse().ok();
    number
        .filter(|seconds| (0.0..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{word:?} is no number of seconds from 0 to 86400"))
}

/// An interval between two looks.
fn interval(word: &str) -> Result<Duration, String> {
    let interval = seconds(word)?;
    if interval < Duration::from_millis(100) {
        return Err(format!(
            "{word} s is less than 0.1 s, the shortest interval"
        ));
    }
    Ok(interval)
}

fn value<T: FromStr<Err: std::fmt::Display>>(what: &str, word: &str) -> Result<T, String> {
    word.parse().map_err(|error| format!("{what}: {error}"))
}
