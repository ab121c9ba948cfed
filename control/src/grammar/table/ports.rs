//! Ports.

use hitless_proto::config::{AcceptFrames, ConfigChange, OffloadMode, PortChange, StormKind};

use super::show::selection;
use super::vlan::{limit, on_off};
use super::{CONFIGURE, Command};
use crate::grammar::{Action, Matched};

fn change(m: &Matched<'_>, change: PortChange) -> Result<Action, String> {
    let ports = selection(m)?.ok_or("<ports> is missing")?;
    Ok(Action::Configure(ConfigChange::Ports { ports, change }))
}

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "configure port <port:PORT> device <device:DEVICE>",
        help: "Say which network interface is behind a port",
        details: "Makes the port if there is none of this number.",
        words: &[
            ("device", "The network interface behind it"),
            ("<device>", "The interface"),
        ],
        handler: |m| {
            Ok(Action::Configure(ConfigChange::PortDevice {
                port: m.get("port")?,
                device: m.get("device")?,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "unconfigure ports [<ports:PORTS> | all]",
        help: "Remove ports",
        details: "Their memberships and the configured addresses behind them go with them.",
        handler: |m| {
            let ports = selection(m)?.ok_or("<ports> is missing")?;
            Ok(Action::Configure(ConfigChange::UnconfigurePorts { ports }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "enable ports [<ports:PORTS> | all]",
        help: "Let ports accept and send frames",
        handler: |m| change(m, PortChange::Enabled { enabled: true }),
        ..CONFIGURE
    },
    Command {
        syntax: "disable ports [<ports:PORTS> | all]",
        help: "Let ports neither accept nor send frames",
        handler: |m| change(m, PortChange::Enabled { enabled: false }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure ports [<ports:PORTS> | all] accept-frames [all | tagged | untagged]",
        help: "Say which frames ports take in (IEEE 802.1Q-2018 6.9)",
        words: &[
            ("accept-frames", "Which frames they take in"),
            ("all", "All"),
            ("tagged", "Only VLAN-tagged ones"),
            ("untagged", "Only untagged and priority-tagged ones"),
        ],
        handler: |m| {
            let frames = m.after("accept-frames").one_of(&[
                ("all", AcceptFrames::All),
                ("tagged", AcceptFrames::Tagged),
                ("untagged", AcceptFrames::Untagged),
            ])?;
            change(m, PortChange::AcceptFrames { frames })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure ports [<ports:PORTS> | all] ingress-filtering [on | off]",
        help: "Refuse frames of VLANs that a port is no member of (IEEE 802.1Q-2018 8.6.2)",
        words: &[(
            "ingress-filtering",
            "Whether they refuse frames of VLANs that they are no members of",
        )],
        handler: |m| {
            let enabled = on_off(m)?;
            change(m, PortChange::IngressFiltering { enabled })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure ports [<ports:PORTS> | all] offload [auto | xdp | tc]",
        help: "Say how frames of ports are forwarded",
        words: &[
            ("offload", "How their frames are forwarded"),
            ("auto", "XDP where the device is made for it, else TC"),
            ("xdp", "Native XDP"),
            ("tc", "TC, which works on every device"),
        ],
        handler: |m| {
            let mode = m.one_of(&[
                ("auto", OffloadMode::Auto),
                ("xdp", OffloadMode::Xdp),
                ("tc", OffloadMode::Tc),
            ])?;
            change(m, PortChange::Offload { mode })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure ports [<ports:PORTS> | all] trust-far-end [on | off]",
        help: "Vouch that the far ends of veth pairs are fit for XDP",
        details: "Hitless can not see the far end of a veth pair in another network namespace: without a program for \
                  XDP there, frames are lost.",
        words: &[(
            "trust-far-end",
            "Whether the far ends of veth pairs are fit for XDP",
        )],
        handler: |m| {
            let enabled = on_off(m)?;
            change(m, PortChange::TrustFarEnd { enabled })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure ports [<ports:PORTS> | all] limit-learning [<limit:0-16777216> | unlimited]",
        help: "Limit how many addresses are learned behind each port",
        words: &[
            (
                "limit-learning",
                "How many addresses are learned behind each",
            ),
            ("<limit>", "Addresses at most; 0: none"),
            ("unlimited", "No limit but the forwarding database's size"),
        ],
        handler: |m| change(m, PortChange::LimitLearning { limit: limit(m)? }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure ports [<ports:PORTS> | all] rate-limit [broadcast | multicast | unknown-unicast] \
                 [<rate:1-4294967295> | off]",
        help: "Limit how many frames of a kind a port floods a second",
        words: &[
            ("rate-limit", "How many frames each floods a second"),
            ("broadcast", "Broadcast frames"),
            ("multicast", "Multicast frames"),
            (
                "unknown-unicast",
                "Frames to unicast addresses that are not known",
            ),
            ("<rate>", "Frames a second"),
            ("off", "No limit"),
        ],
        handler: |m| {
            let kind = m.one_of(&[
                ("broadcast", StormKind::Broadcast),
                ("multicast", StormKind::Multicast),
                ("unknown-unicast", StormKind::UnknownUnicast),
            ])?;
            let rate = match m.has("off") {
                true => None,
                false => Some(m.get("rate")?),
            };
            change(m, PortChange::RateLimit { kind, rate })
        },
        ..CONFIGURE
    },
];
