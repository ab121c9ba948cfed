//! Every command, declared once. A file for each subject; [`commands`] is all of them.

mod config;
mod failover;
mod fdb;
mod image;
mod ports;
mod session;
mod show;
mod stpd;
mod upgrade;
mod vlan;

use super::automaton::Terminal;
use super::{Action, Matched, Privilege};

/// A command.
pub struct Command {
    /// Its words, in the notation of [`super::Node::parse`].
    pub syntax: &'static str,
    /// What it does, a sentence without a full stop.
    pub help: &'static str,
    /// More about it: paragraphs, separated by empty lines; may be empty.
    pub details: &'static str,
    /// What its words mean, where the general meaning ([`help_of`]) does not do. Arguments as `<name>`.
    pub words: &'static [(&'static str, &'static str)],
    /// Who may use it.
    pub privilege: Privilege,
    /// Rows of the seed table that it is part of.
    pub seeds: &'static [u8],
    /// Left out of help, completion, manual and abbreviation: for tests.
    pub hidden: bool,
    /// Makes an action of the words.
    pub(super) handler: fn(&Matched<'_>) -> Result<Action, String>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.syntax)
    }
}

/// What all commands have that do not say otherwise.
const COMMAND: Command = Command {
    syntax: "",
    help: "",
    details: "",
    words: &[],
    privilege: Privilege::Read,
    seeds: &[],
    hidden: false,
    handler: |_| Err("this command has no handler".into()),
};

/// Acts on the switch.
const OPERATE: Command = Command {
    privilege: Privilege::Operate,
    ..COMMAND
};

/// Changes the configuration.
const CONFIGURE: Command = Command {
    privilege: Privilege::Configure,
    ..COMMAND
};

/// Every command, subject after subject.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    sections().into_iter().flat_map(|(_, commands)| commands)
}

/// The commands of each subject, with its heading.
#[must_use]
pub fn sections() -> [(&'static str, &'static [Command]); 10] {
    [
        ("Looking", show::COMMANDS),
        ("VLANs", vlan::COMMANDS),
        ("Ports", ports::COMMANDS),
        ("Spanning tree", stpd::COMMANDS),
        ("Forwarding database", fdb::COMMANDS),
        ("Failover", failover::COMMANDS),
        ("Upgrades", upgrade::COMMANDS),
        ("Configuration", config::COMMANDS),
        ("Images", image::COMMANDS),
        ("The shell", session::COMMANDS),
    ]
}

/// What words mean, by the keywords up to them; a single word stands for it wherever nothing else is said.
static MEANINGS: &[(&str, &str)] = &[
    ("show", "Look at state, counters, log and configuration"),
    ("clear", "Remove learned state, or set counters to zero"),
    (
        "create",
        "Make a VLAN, a spanning tree domain or a configured address",
    ),
    (
        "delete",
        "Remove a VLAN, a spanning tree domain or a configured address",
    ),
    ("configure", "Change the running configuration"),
    (
        "unconfigure",
        "Return parts of the running configuration to defaults",
    ),
    ("enable", "Switch something on"),
    ("disable", "Switch something off"),
    ("run", "Start something"),
    ("reboot", "Start a management module again"),
    ("check", "Compare what should be equal"),
    ("debug", "For tests"),
    ("save", "Write the running configuration to a file"),
    ("use", "Choose what a module starts with"),
    ("download", "Load a configuration or an image"),
    ("upload", "Write a configuration to a file"),
    ("confirm", "Keep what waits for confirmation"),
    ("rollback", "Go back to a configuration or version before"),
    ("upgrade", "Upgrade both modules without losing a frame"),
    ("image", "Image files"),
    ("help", "Explain commands"),
    ("history", "Show the commands typed before"),
    ("exit", "Leave the shell"),
    ("quit", "Leave the shell"),
    ("logout", "Leave the shell"),
    ("generate", "Print manual, reference or shell completions"),
    ("create vlan", "A new VLAN"),
    ("delete vlan", "A VLAN, with its memberships"),
    ("configure vlan", "A VLAN"),
    ("create stpd", "A new spanning tree domain"),
    ("delete stpd", "A spanning tree domain"),
    ("configure stpd", "A spanning tree domain"),
    ("configure stpd ports all", "All ports of the domain"),
    ("enable stpd ports all", "All ports of the domain"),
    ("disable stpd ports all", "All ports of the domain"),
    ("clear stpd ports all", "All ports of the domain"),
    ("show stpd ports all", "All ports of the domain"),
    ("unconfigure stpd", "Settings of a spanning tree domain"),
    (
        "enable stpd",
        "Spanning tree opens and closes the ports of a domain",
    ),
    ("disable stpd", "All ports of a domain forward"),
    ("configure ports", "Settings of ports"),
    ("configure port", "The interface behind a port"),
    ("configure fdb", "The forwarding database"),
    ("configure snmp", "What the switch says of itself"),
    ("configure image", "Which images may be loaded"),
    ("unconfigure snmp", "What the switch says of itself"),
    (
        "configure msm-failover",
        "What happens when the master is lost",
    ),
    (
        "configure sys-recovery-level",
        "Which tasks' exceptions make a module fail over",
    ),
    ("unconfigure ports", "Remove ports"),
    (
        "create fdbentry",
        "An address that is always behind one port, or dropped",
    ),
    ("delete fdbentry", "A configured address"),
    ("enable ports", "Ports accept and send frames"),
    ("disable ports", "Ports neither accept nor send frames"),
    ("enable clipaging", "Long answers stop at each page"),
    ("disable clipaging", "Long answers run through"),
    ("configuration", "The configuration"),
    ("vlan", "In this VLAN"),
    ("<vlan>", "The VLAN"),
    ("<stpd>", "The domain"),
    ("ports", "Its ports"),
    ("<mac>", "The address"),
    ("<port>", "The port"),
    ("<ports>", "The ports"),
    ("<file>", "The file; - is the standard input or output"),
    ("all", "All ports"),
    ("on", "Yes"),
    ("off", "No"),
    ("primary", "The primary saved configuration"),
    ("secondary", "The secondary saved configuration"),
    ("yaml", "As the configuration file is written"),
    ("commands", "As commands"),
    ("msm-a", "Slot A"),
    ("msm-b", "Slot B"),
    (
        "confirmed",
        "Take the change back unless `confirm configuration` follows",
    ),
    ("<seconds>", "Seconds until it is taken back"),
];

/// What a word of a command means: as the command has it, or by the keywords before it, or in general. Empty if nobody
/// said; a test sees to it that someone did.
#[must_use]
pub fn help_of(
    command: &Command,
    before: &[Option<&'static str>],
    terminal: &Terminal,
) -> &'static str {
    let shown = terminal.shown();
    let find = |list: &[(&str, &'static str)], word: &str| {
        list.iter()
            .find(|(key, _)| *key == word)
            .map(|(_, help)| *help)
    };
    let mut path = String::new();
    for keyword in before.iter().flatten() {
        path += keyword;
        path.push(' ');
    }
    path += &shown;
    find(command.words, &shown)
        .or_else(|| find(MEANINGS, &path))
        .or_else(|| find(MEANINGS, &shown))
        .unwrap_or("")
}
