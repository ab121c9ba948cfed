//! The forwarding database.

use hitless_proto::config::{ConfigChange, FdbChange, StaticTarget};

use super::show::FDB_WORDS;
use super::{CONFIGURE, Command, OPERATE};
use crate::grammar::Action;
use crate::northbound::api::Request;

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "create fdbentry <mac:MAC> vlan <vlan:VLAN> [port <port:PORT> | blackhole]",
        help: "Configure an address that is always behind one port, or whose frames are dropped",
        words: &[
            ("vlan", "Its VLAN"),
            ("port", "Frames to it go to this port"),
            ("blackhole", "Frames from and to it are dropped"),
        ],
        handler: |m| {
            let target = match m.find("port")? {
                Some(port) => StaticTarget::Port(port),
                None => StaticTarget::Blackhole,
            };
            Ok(Action::Configure(ConfigChange::CreateFdbEntry {
                mac: m.get("mac")?,
                vlan: m.get("vlan")?,
                target,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "delete fdbentry <mac:STATIC-MAC> vlan <vlan:VLAN>",
        help: "Remove a configured address",
        words: &[("vlan", "Its VLAN")],
        handler: |m| {
            Ok(Action::Configure(ConfigChange::DeleteFdbEntry {
                mac: m.get("mac")?,
                vlan: m.get("vlan")?,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure fdb agingtime [0 | <time:10-1000000>]",
        help: "Set after how long an address that was not seen is forgotten",
        words: &[
            (
                "agingtime",
                "After how long an address that was not seen is forgotten",
            ),
            ("0", "Never"),
            ("<time>", "Seconds"),
        ],
        handler: |m| {
            let seconds = m.find("time")?.unwrap_or(0);
            Ok(Action::Configure(ConfigChange::Fdb(FdbChange::AgingTime {
                seconds,
            })))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure fdb size <entries:64-16777216>",
        help: "Set how many addresses the forwarding database holds",
        words: &[
            ("size", "How many addresses it holds"),
            ("<entries>", "Addresses"),
        ],
        handler: |m| {
            let entries = m.get("entries")?;
            Ok(Action::Configure(ConfigChange::Fdb(FdbChange::Size {
                entries,
            })))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure fdb damping [off | moves <moves:0-1000000> within <within:1-3600> hold <hold:1-86400>]",
        help: "Hold an address where it is when it moves to and fro",
        words: &[
            ("damping", "What to do about addresses that move to and fro"),
            ("off", "Nothing; the two times stay as they are"),
            ("moves", "Hold an address that moves more often than this"),
            ("<moves>", "Moves; 0: nothing is held"),
            ("within", "In this time"),
            ("<within>", "Seconds"),
            ("hold", "For this time"),
            ("<hold>", "Seconds"),
        ],
        handler: |m| {
            let change = if m.has("off") {
                FdbChange::DampingOff
            } else {
                FdbChange::Damping {
                    moves: m.get("moves")?,
                    within_seconds: m.get("within")?,
                    hold_seconds: m.get("hold")?,
                }
            };
            Ok(Action::Configure(ConfigChange::Fdb(change)))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "clear fdb ({vlan <vlan:VLAN>} & {port <port:PORT>} & {mac <mac:MAC> | <mac:MAC>})",
        help: "Remove learned addresses; configured ones stay",
        details: "Filters may stand in any order; entries that match all of them are removed.",
        words: &[
            ("fdb", "Learned addresses"),
            FDB_WORDS[0],
            FDB_WORDS[1],
            FDB_WORDS[2],
            FDB_WORDS[3],
        ],
        handler: |m| {
            Ok(Action::Ask(Request::ClearFdb {
                vlan: m.find("vlan")?,
                port: m.find("port")?,
                mac: m.find("mac")?,
            }))
        },
        ..OPERATE
    },
];
