//! What can be typed. Words in the manner of ExtremeWare: `show fdb vlan 10 port 3`. Options only say which
//! switch is meant and how the answer is to look.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, Subcommand};
use hitless_common::{Mac, PortNo};
use hitless_proto::config::SwitchName;

use crate::chassis;
use crate::northbound::api::{FdbTarget, VlanRef};

#[cfg(test)]
mod tests;

/// Shows and commands a Hitless switch.
///
/// Commands may be shortened as long as they are unambiguous: `hitless sh po`.
#[derive(Debug, Parser)]
#[command(name = "hitless", version, infer_subcommands = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused by the switch, 2 wrong usage, 3 switch not reachable."
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

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show state and counters
    #[command(subcommand, infer_subcommands = true)]
    Show(Show),
    /// Remove learned state
    #[command(subcommand, infer_subcommands = true)]
    Clear(Clear),
    /// Make a configured entry
    #[command(subcommand, infer_subcommands = true)]
    Create(Create),
    /// Remove a configured entry
    #[command(subcommand, infer_subcommands = true)]
    Delete(Delete),
    /// Hold two management modules: for containers and labs
    Chassis(Box<chassis::Options>),
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
    Ask(Question),
    /// Done without hitlessd if there is none.
    ClearHardware { yes: bool },
    /// Runs until it is told to stop.
    Chassis(Box<chassis::Options>),
}

/// What is asked of hitlessd.
#[derive(Debug, PartialEq, Eq)]
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
}

impl Command {
    /// Understands the words of the command, or says what was expected.
    pub fn plan(self) -> Result<Plan, String> {
        Ok(Plan::Ask(match self {
            Self::Show(Show::Version) => Question::Version,
            Self::Show(Show::Switch) => Question::Switch,
            Self::Show(Show::Ports { port }) => Question::Ports(port),
            Self::Show(Show::Vlan { vlan }) => Question::Vlan(vlan),
            Self::Show(Show::Fdb { words }) => Question::Fdb(fdb_filter(&words)?),
            Self::Show(Show::Counters) => Question::Counters,
            Self::Clear(Clear::Fdb { words }) => Question::ClearFdb(fdb_filter(&words)?),
            Self::Clear(Clear::Hardware { yes }) => return Ok(Plan::ClearHardware { yes }),
            Self::Chassis(options) => return Ok(Plan::Chassis(options)),
            Self::Create(Create::Fdbentry { words }) => Question::Create(new_entry(&words)?),
            Self::Delete(Delete::Fdbentry { words }) => {
                let (mac, vlan) = entry(&words)?;
                Question::Delete { vlan, mac }
            }
        }))
    }
}

/// Which FDB entries are meant: those that match everything given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FdbFilter {
    pub vlan: Option<VlanRef>,
    pub port: Option<PortNo>,
    pub mac: Option<Mac>,
}

/// A configured entry to be made.
#[derive(Debug, PartialEq, Eq)]
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

fn value<T: FromStr<Err: std::fmt::Display>>(what: &str, word: &str) -> Result<T, String> {
    word.parse().map_err(|error| format!("{what}: {error}"))
}
