//! Spanning tree domains (STPDs), as ExtremeWare has them.

use hitless_proto::config::{
    ConfigChange, PortSelection, StpEncapsulation, StpLinkType, StpdChange, StpdMode,
    StpdPortChange,
};
use hitless_proto::stp::CostMethod;

use super::show::selection;
use super::vlan::on_off;
use super::{CONFIGURE, Command, OPERATE};
use crate::grammar::{Action, Matched};
use crate::northbound::api::Request;

const ENCAPSULATIONS: &[(&str, StpEncapsulation)] = &[
    ("dot1d", StpEncapsulation::Dot1d),
    ("emistp", StpEncapsulation::Emistp),
    ("pvst-plus", StpEncapsulation::PvstPlus),
];

/// What encapsulations are.
const DOT1D: (&str, &str) = ("dot1d", "Without a tag, as IEEE 802.1D has them");
const EMISTP: (&str, &str) = ("emistp", "With the tag of the domain's carrier VLAN");
const PVST_PLUS: (&str, &str) = ("pvst-plus", "One spanning tree for one VLAN, as PVST+");

fn change(m: &Matched<'_>, change: StpdChange) -> Result<Action, String> {
    Ok(Action::Configure(ConfigChange::Stpd {
        stpd: m.get("stpd")?,
        change,
    }))
}

fn ports(m: &Matched<'_>) -> Result<PortSelection, String> {
    selection(m)?.ok_or_else(|| "<ports> is missing".into())
}

fn port_change(m: &Matched<'_>, port_change: StpdPortChange) -> Result<Action, String> {
    let ports = ports(m)?;
    change(
        m,
        StpdChange::Ports {
            ports,
            change: port_change,
        },
    )
}

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "create stpd <name:STPD-NAME>",
        help: "Make a spanning tree domain",
        details: "It is disabled and has no VLANs. The domain s0 is always there.",
        words: &[("<name>", "Its name")],
        seeds: &[20],
        handler: |m| {
            Ok(Action::Configure(ConfigChange::CreateStpd {
                stpd: m.get("name")?,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "delete stpd <stpd:STPD>",
        help: "Remove a spanning tree domain",
        details: "The ports of its VLANs forward then, whatever loop they are part of. s0 can not be removed.",
        handler: |m| {
            Ok(Action::Configure(ConfigChange::DeleteStpd {
                stpd: m.get("stpd")?,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "enable stpd <stpd:STPD>",
        help: "Let spanning tree open and close the ports of a domain",
        details: "The domain's ports are the members of its VLANs.",
        seeds: &[20],
        handler: |m| change(m, StpdChange::Enabled { enabled: true }),
        ..CONFIGURE
    },
    Command {
        syntax: "enable stpd <stpd:STPD> ports [<ports:PORTS> | all]",
        help: "Let ports of a domain take part in spanning tree",
        words: &[("ports", "Only these ports of it")],
        handler: |m| port_change(m, StpdPortChange::Enabled { enabled: true }),
        ..CONFIGURE
    },
    Command {
        syntax: "disable stpd <stpd:STPD>",
        help: "Let all ports of a domain forward",
        details: "Loops through them are not broken then.",
        handler: |m| change(m, StpdChange::Enabled { enabled: false }),
        ..CONFIGURE
    },
    Command {
        syntax: "disable stpd <stpd:STPD> ports [<ports:PORTS> | all]",
        help: "Let ports of a domain forward without spanning tree",
        details: "Loops through them are not broken then.",
        words: &[("ports", "Only these ports of it")],
        handler: |m| port_change(m, StpdPortChange::Enabled { enabled: false }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> mode [dot1d | dot1w]",
        help: "Choose the protocol of a spanning tree domain",
        words: &[
            ("mode", "Its protocol"),
            ("dot1d", "Spanning tree by timers (IEEE 802.1D-1998)"),
            ("dot1w", "Rapid spanning tree (IEEE 802.1D-2004)"),
        ],
        seeds: &[20],
        handler: |m| {
            let mode = m.one_of(&[("dot1d", StpdMode::Dot1d), ("dot1w", StpdMode::Dot1w)])?;
            change(m, StpdChange::Mode { mode })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> tag [<id:VLAN-ID> | none]",
        help: "Choose the VLAN whose tag is on a domain's tagged BPDUs (StpdID)",
        details: "It is one of the domain's VLANs, and its id is part of the bridge identifier.",
        words: &[
            ("tag", "The VLAN whose tag is on its BPDUs"),
            ("<id>", "This VLAN's"),
            ("none", "None: BPDUs are without a tag"),
        ],
        handler: |m| {
            let tag = match m.has("none") {
                true => None,
                false => Some(m.get("id")?),
            };
            change(m, StpdChange::Tag { tag })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> priority <priority:0-61440>",
        help: "Set the bridge priority of a spanning tree domain",
        details: "The bridge with the lowest becomes the root.",
        words: &[
            ("priority", "Its bridge priority"),
            ("<priority>", "In steps of 4096"),
        ],
        handler: |m| {
            let priority = m.get("priority")?;
            change(m, StpdChange::Priority { priority })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> hellotime <hello:1-10>",
        help: "Set the time between the BPDUs of a spanning tree domain",
        details: "Above 2 only in mode dot1d. In force while this bridge is the root.",
        words: &[
            ("hellotime", "The time between its BPDUs"),
            ("<hello>", "Seconds"),
        ],
        handler: |m| {
            let seconds = m.get("hello")?;
            change(m, StpdChange::HelloTime { seconds })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> maxage <age:6-40>",
        help: "Set after how long a spanning tree domain forgets a silent neighbour",
        details: "2 x (forward delay - 1) >= max age >= 2 x (hello time + 1) must hold. In force while this bridge is \
                  the root.",
        words: &[
            ("maxage", "After how long it forgets a silent neighbour"),
            ("<age>", "Seconds"),
        ],
        handler: |m| {
            let seconds = m.get("age")?;
            change(m, StpdChange::MaxAge { seconds })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> forwarddelay <delay:4-30>",
        help: "Set how long ports of a spanning tree domain listen, and then learn, before they forward",
        details: "In force while this bridge is the root.",
        words: &[
            ("forwarddelay", "How long its ports listen, and then learn"),
            ("<delay>", "Seconds"),
        ],
        handler: |m| {
            let seconds = m.get("delay")?;
            change(m, StpdChange::ForwardDelay { seconds })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> txholdcount <count:1-10>",
        help: "Limit how many BPDUs a port of a spanning tree domain sends in a second",
        words: &[
            ("txholdcount", "How many BPDUs a port sends in a second"),
            ("<count>", "BPDUs"),
        ],
        handler: |m| {
            let count = m.get("count")?;
            change(m, StpdChange::TxHoldCount { count })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> pathcost-method [short | long]",
        help: "Say how ports without a configured path cost get one",
        words: &[
            (
                "pathcost-method",
                "How ports without a configured cost get one",
            ),
            ("short", "16 bits (IEEE 802.1D-1998), 4 for 1 Gbit/s"),
            ("long", "32 bits (IEEE 802.1D-2004), 20000 for 1 Gbit/s"),
        ],
        handler: |m| {
            let method = m.one_of(&[("short", CostMethod::Short), ("long", CostMethod::Long)])?;
            change(m, StpdChange::PathCostMethod { method })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> default-encapsulation [dot1d | emistp | pvst-plus]",
        help: "Say how the BPDUs of a spanning tree domain look",
        words: &[
            ("default-encapsulation", "How its BPDUs look"),
            DOT1D,
            EMISTP,
            PVST_PLUS,
        ],
        handler: |m| {
            let encapsulation = m.one_of(ENCAPSULATIONS)?;
            change(m, StpdChange::DefaultEncapsulation { encapsulation })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> add vlan <vlan:VLAN>",
        help: "Put a VLAN, with its ports, into a spanning tree domain",
        details: "A VLAN is in one domain at most.",
        words: &[("add", "Put a VLAN into it"), ("vlan", "The VLAN")],
        seeds: &[20],
        handler: |m| {
            let vlan = m.get("vlan")?;
            change(m, StpdChange::AddVlan { vlan })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> delete vlan <vlan:VLAN>",
        help: "Take a VLAN, with its ports, out of a spanning tree domain",
        details: "They forward in it then, whatever loop they are part of.",
        words: &[("delete", "Take a VLAN out of it"), ("vlan", "The VLAN")],
        handler: |m| {
            let vlan = m.get("vlan")?;
            change(m, StpdChange::DeleteVlan { vlan })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] cost [<cost:1-200000000> | auto]",
        help: "Set the path cost of ports in a spanning tree domain",
        details: "With short costs 65535 at most.",
        words: &[
            ("cost", "Their path cost"),
            ("<cost>", "The way to the root costs so much more over them"),
            ("auto", "By their speed"),
        ],
        handler: |m| {
            let cost = match m.has("auto") {
                true => None,
                false => Some(m.get("cost")?),
            };
            port_change(m, StpdPortChange::Cost { cost })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] priority <priority:0-240>",
        help: "Set the priority of ports in a spanning tree domain",
        details: "Of several ways to the root that cost the same, the one over the neighbour's port with the lowest is \
                  taken.",
        words: &[
            ("priority", "Their priority"),
            ("<priority>", "In steps of 16"),
        ],
        handler: |m| {
            let priority = m.get("priority")?;
            port_change(m, StpdPortChange::Priority { priority })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] mode [dot1d | emistp | pvst-plus | default]",
        help: "Say how BPDUs look on ports of a spanning tree domain",
        words: &[
            ("mode", "How BPDUs look on them"),
            DOT1D,
            EMISTP,
            PVST_PLUS,
            ("default", "As the domain has it by default"),
        ],
        handler: |m| {
            let encapsulation = match m.has("default") {
                true => None,
                false => Some(m.one_of(ENCAPSULATIONS)?),
            };
            port_change(m, StpdPortChange::Encapsulation { encapsulation })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] \
                 link-type [auto | edge | broadcast | point-to-point]",
        help: "Say what is at the other end of ports in a spanning tree domain",
        details: "An edge port forwards at once. It is one until it hears a BPDU.",
        words: &[
            ("link-type", "What is at their other end"),
            ("auto", "To be found out: by duplex and by BPDUs"),
            ("edge", "Stations, no bridge"),
            ("broadcast", "A segment with more than two bridges"),
            ("point-to-point", "One bridge"),
        ],
        handler: |m| {
            let link_type = m.one_of(&[
                ("auto", StpLinkType::Auto),
                ("edge", StpLinkType::Edge),
                ("broadcast", StpLinkType::Broadcast),
                ("point-to-point", StpLinkType::PointToPoint),
            ])?;
            port_change(m, StpdPortChange::LinkType { link_type })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] auto-edge [on | off]",
        help: "Say whether ports that hear no BPDU become edge ports",
        words: &[(
            "auto-edge",
            "Whether they become edge ports if they hear no BPDU",
        )],
        handler: |m| {
            let enabled = on_off(m)?;
            port_change(m, StpdPortChange::AutoEdge { enabled })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] \
                 bpdu-guard [on {recovery-timeout <recovery:1-3600>} | off]",
        help: "Shut edge ports that hear a BPDU",
        details: "Without recovery-timeout they stay shut until `clear stpd <stpd> ports <ports> bpdu-guard` or until \
                  the guard is switched off.",
        words: &[
            ("bpdu-guard", "Whether edge ports that hear a BPDU are shut"),
            ("recovery-timeout", "Open them again after this time"),
            ("<recovery>", "Seconds"),
        ],
        handler: |m| {
            let enabled = on_off(m)?;
            let recovery = m.find("recovery")?;
            port_change(m, StpdPortChange::BpduGuard { enabled, recovery })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] root-guard [on | off]",
        help: "Keep the root from being behind these ports",
        details: "A port that hears of a better root is closed for as long.",
        words: &[("root-guard", "Whether the root must not be behind them")],
        handler: |m| {
            let enabled = on_off(m)?;
            port_change(m, StpdPortChange::RootGuard { enabled })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] bpdu-filter [on | off]",
        help: "Let ports neither send nor take BPDUs",
        details: "Loops through them are not broken then.",
        words: &[("bpdu-filter", "Whether they neither send nor take BPDUs")],
        handler: |m| {
            let enabled = on_off(m)?;
            port_change(m, StpdPortChange::BpduFilter { enabled })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure stpd <stpd:STPD> ports [<ports:PORTS> | all] loop-guard [on | off]",
        help: "Keep ports closed whose neighbour falls silent",
        words: &[(
            "loop-guard",
            "Whether they stay closed when their neighbour falls silent",
        )],
        handler: |m| {
            let enabled = on_off(m)?;
            port_change(m, StpdPortChange::LoopGuard { enabled })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "unconfigure stpd <stpd:STPD>",
        help: "Return the settings of a spanning tree domain and its ports to defaults",
        details: "It keeps its VLANs, and stays enabled or disabled.",
        handler: |m| {
            Ok(Action::Configure(ConfigChange::UnconfigureStpd {
                stpd: m.get("stpd")?,
            }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "clear counters stpd {<stpd:STPD>}",
        help: "Set the counters of spanning tree to zero",
        words: &[
            ("counters", "Counters are zero again"),
            ("stpd", "Those of spanning tree"),
            ("<stpd>", "Only of this domain"),
        ],
        handler: |m| {
            Ok(Action::Ask(Request::ClearStpdCounters {
                stpd: m.find("stpd")?,
            }))
        },
        ..OPERATE
    },
    Command {
        syntax: "clear stpd <stpd:STPD> ports [<ports:PORTS> | all] [bpdu-guard | protocol-migration]",
        help: "Open ports again that BPDU guard has shut, or try RST BPDUs again",
        words: &[
            ("stpd", "What spanning tree remembers of ports"),
            ("bpdu-guard", "That BPDU guard has shut them"),
            (
                "protocol-migration",
                "That their neighbours do not know RST BPDUs",
            ),
        ],
        handler: |m| {
            let (stpd, ports) = (m.get("stpd")?, ports(m)?);
            Ok(Action::Ask(match m.has("bpdu-guard") {
                true => Request::RecoverStpdPorts { stpd, ports },
                false => Request::CheckStpdMigration { stpd, ports },
            }))
        },
        ..OPERATE
    },
];
