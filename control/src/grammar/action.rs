//! What a command line is to do, once its words are understood.

use hitless_proto::config::{ConfigChange, PortSelection, StpdName};

use super::kinds::{PortPair, Time};
use crate::northbound::api::{ConfigurationSource, ImageBank, LogLevel, ModuleSlot, Request};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the switch, show what it answers. Of `show fdb` all pages: cursor and limit are 0.
    Ask(Request),
    /// Change the running configuration: `Request::Configure` with this change. [`super::Parsed::confirmed`] goes
    /// with it. A script may send several at once.
    Configure(ConfigChange),
    /// Show ports: all, or those that were named.
    ShowPorts {
        /// Which; `None`: all.
        ports: Option<PortSelection>,
        /// What of them.
        view: PortsView,
    },
    /// Show ports of a spanning tree domain.
    ShowStpdPorts {
        /// Which domain.
        stpd: StpdName,
        /// Which ports.
        ports: PortSelection,
        /// All that is known of each, instead of a table.
        detail: bool,
    },
    /// Show lines of the log.
    ShowLog(LogQuery),
    /// Show a configuration.
    ShowConfiguration {
        /// Which.
        which: ConfigurationSource,
        /// How it is written.
        form: ConfigForm,
    },
    /// Show what has to be done to get from a saved configuration to the running one.
    ShowConfigurationDiff {
        /// The saved one: `Selected`, `Primary` or `Secondary`.
        from: ConfigurationSource,
    },
    /// Put a file in the place of the running configuration, or, if incremental, do its commands on top of it.
    /// [`super::Parsed::confirmed`] goes with it.
    Download {
        /// The file on the operator's machine; `-`: the standard input.
        file: String,
        /// On top of what is configured.
        incremental: bool,
    },
    /// Write the running configuration to a file.
    Upload {
        /// The file on the operator's machine; `-`: the standard output.
        file: String,
        /// How it is written.
        form: ConfigForm,
    },
    /// Show versions and images.
    ShowVersion {
        /// All that is known of the images.
        detail: bool,
    },
    /// Load an image into a bank of both modules, and wait until it is there.
    DownloadImage {
        /// The file on the operator's machine, or an address of http or https.
        file: String,
        /// The bank; `None`: the selected one.
        bank: Option<ImageBank>,
    },
    /// Take the data path down, with hitlessd or without. Asks first.
    ClearHardware,
    /// Make the standby the master, and wait for it.
    Failover {
        /// Even if the standby is not ready.
        force: bool,
    },
    /// Start a module again, and wait for the next master if it was the master's. Asks first if `hard_reset`.
    Reboot {
        /// Which.
        slot: ModuleSlot,
        /// With its hardware.
        hard_reset: bool,
    },
    /// Upgrade both modules: looks, asks, begins, follows.
    Upgrade(UpgradeWords),
    /// Follow an upgrade that is under way.
    FollowUpgrade,
    /// Return to the version before. Asks first.
    RollBackUpgrade,
    /// Something of the command line itself: no switch is asked.
    Session(SessionAction),
}

/// What `show ports` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortsView {
    /// State and settings: a table, or a page if it is one port.
    #[default]
    Summary,
    /// Counters.
    Statistics,
    /// Rates, and how much of the link they are.
    Utilization,
}

/// What an upgrade is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeWords {
    /// The image file, on the operator's machine, which is the switch.
    pub file: String,
    /// The old version waits in the other slot.
    pub conservative: bool,
    /// Only look.
    pub dry_run: bool,
    /// Time to accept it; `None`: the usual one.
    pub accept_within: Option<Time>,
    /// Ports of a flow that must lose nothing.
    pub probe: Option<PortPair>,
}

/// Which lines of the log are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Lines at most, 1 to 1,000.
    pub count: u32,
    /// Only of the module in this slot.
    pub slot: Option<ModuleSlot>,
    /// Only as urgent as this, or more.
    pub level: Option<LogLevel>,
    /// Go on with lines as they come.
    pub follow: bool,
}

impl LogQuery {
    /// Lines that `show log` shows if it is not told how many.
    pub const DEFAULT_COUNT: u32 = 100;

    /// Asks for a page of the log: the newest lines, or those after a cursor.
    #[must_use]
    pub fn request(&self, since: Option<u64>) -> Request {
        Request::ShowLog {
            count: self.count,
            slot: self.slot,
            level: self.level,
            since,
        }
    }
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigForm {
    /// As the configuration file is; `upload configuration` writes this unless told otherwise.
    Yaml,
    /// As commands that make it out of the factory's; `show configuration` shows this unless told otherwise, as
    /// ExtremeWare does.
    Commands,
}

/// What concerns only the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionAction {
    /// Show the commands typed before.
    History,
    /// Whether long answers stop at each page.
    Paging(bool),
    /// Explain commands that begin with these words; none: all. [`super::help_page`] has the text.
    Help(Vec<String>),
    /// Check the image in this file of the operator's and show what it is.
    InspectImage(String),
    /// End the shell.
    Exit,
    /// Print something made from the table of commands. [`super::generate`] has the text.
    Generate(Generated),
}

/// What is made from the table of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// The page of `man hitless`, in roff.
    Man,
    /// The reference of all commands, in Markdown.
    Reference,
    /// Completion for bash.
    Bash,
    /// Completion for zsh.
    Zsh,
    /// Completion for fish.
    Fish,
}
