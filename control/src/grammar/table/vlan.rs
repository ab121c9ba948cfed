//! VLANs and their members.

use hitless_proto::config::{ConfigChange, LoopFreePorts, Tagging, VlanChange};

use super::show::selection;
use super::{CONFIGURE, Command};
use crate::grammar::{Action, Matched};

/// Addresses that are learned at most: a number or no limit.
pub(super) fn limit(m: &Matched<'_>) -> Result<Option<i64>, String> {
    if m.has("unlimited") {
        return Ok(None);
    }
    m.get("limit").map(Some)
}

/// `on` or `off`.
pub(super) fn on_off(m: &Matched<'_>) -> Result<bool, String> {
    m.one_of(&[("on", true), ("off", false)])
}

fn change(m: &Matched<'_>, change: VlanChange) -> Result<Action, String> {
    Ok(Action::Configure(ConfigChange::Vlan {
        vlan: m.get("vlan")?,
        change,
    }))
}

fn ports(m: &Matched<'_>) -> Result<hitless_proto::config::PortSelection, String> {
    selection(m)?.ok_or_else(|| "<ports> is missing".into())
}

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "create vlan [<id:VLAN-ID> | <name:VLAN-NAME> {tag <tag:VLAN-ID>}]",
        help: "Make a VLAN",
        details: "A VLAN that is made by its id is named vlan<id>. One that is made by its name without a tag gets the \
                  highest id that is free.",
        words: &[
            ("<id>", "Its id"),
            ("<name>", "Its name"),
            ("tag", "With this id"),
            ("<tag>", "Its id"),
        ],
        handler: |m| {
            let id = m.find("id")?;
            Ok(Action::Configure(ConfigChange::CreateVlan {
                name: m.find("name")?,
                tag: id.or(m.find("tag")?),
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "delete vlan <vlan:VLAN>",
        help: "Remove a VLAN, with its memberships and configured addresses",
        handler: |m| {
            Ok(Action::Configure(ConfigChange::DeleteVlan {
                vlan: m.get("vlan")?,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure vlan <vlan:VLAN> tag <id:VLAN-ID>",
        help: "Give a VLAN another id",
        details: "Its members and configured addresses go with it.",
        words: &[("tag", "Its id"), ("<id>", "The new id")],
        handler: |m| change(m, VlanChange::Tag { id: m.get("id")? }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure vlan <vlan:VLAN> name <name:VLAN-NAME>",
        help: "Give a VLAN another name",
        words: &[("name", "Its name"), ("<name>", "The new name")],
        handler: |m| {
            change(
                m,
                VlanChange::Name {
                    name: m.get("name")?,
                },
            )
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure vlan <vlan:VLAN> add ports [<ports:PORTS> | all] {tagged | untagged}",
        help: "Make ports members of a VLAN",
        details: "Untagged unless told otherwise. A port that is a member already changes from tagged to untagged, or \
                  back. A port has one untagged VLAN at most.",
        words: &[
            ("add", "Make ports members"),
            ("ports", "The ports"),
            ("tagged", "Frames of the VLAN have a tag on them"),
            ("untagged", "Frames of the VLAN have no tag on them"),
        ],
        handler: |m| {
            let tagging = m.which(&[("tagged", Tagging::Tagged), ("untagged", Tagging::Untagged)]);
            let change_ports = VlanChange::AddPorts {
                ports: ports(m)?,
                tagging: tagging.unwrap_or_default(),
            };
            change(m, change_ports)
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure vlan <vlan:VLAN> delete ports [<ports:PORTS> | all]",
        help: "Take ports out of a VLAN",
        details: "The configured addresses that the VLAN has behind them go with them.",
        words: &[("delete", "Take ports out"), ("ports", "The ports")],
        handler: |m| change(m, VlanChange::DeletePorts { ports: ports(m)? }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure vlan <vlan:VLAN> limit-learning [<limit:0-16777216> | unlimited]",
        help: "Limit how many addresses are learned in a VLAN",
        words: &[
            ("limit-learning", "How many addresses are learned in it"),
            ("<limit>", "Addresses at most; 0: none"),
            ("unlimited", "No limit but the forwarding database's size"),
        ],
        handler: |m| change(m, VlanChange::LimitLearning { limit: limit(m)? }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure vlan <vlan:VLAN> learning [on | off]",
        help: "Learn addresses in a VLAN, or flood",
        words: &[
            ("learning", "Whether addresses are learned in it"),
            ("on", "Addresses are learned"),
            (
                "off",
                "Frames to an address without a configured entry are flooded",
            ),
        ],
        handler: |m| {
            let enabled = on_off(m)?;
            change(m, VlanChange::Learning { enabled })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure vlan <vlan:VLAN> loop-free-ports [<ports:PORTS> | all | none]",
        help: "Say which members of a VLAN go on forwarding without a master",
        details: "When no master has renewed the lease, only these members forward. They must not be part of a loop \
                  among themselves.",
        words: &[
            (
                "loop-free-ports",
                "Members that go on forwarding without a master",
            ),
            ("<ports>", "These members"),
            ("all", "All members, for ever"),
            ("none", "No member"),
        ],
        handler: |m| {
            let ports = match m.which(&[("all", LoopFreePorts::All), ("none", LoopFreePorts::None)])
            {
                Some(ports) => ports,
                None => LoopFreePorts::List(m.get("ports")?),
            };
            change(m, VlanChange::LoopFreePorts { ports })
        },
        ..CONFIGURE
    },
];
