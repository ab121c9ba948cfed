//! Configurations as a whole, and what the switch says of itself.

use hitless_proto::config::{ConfigBank, ConfigChange, SnmpChange};

use super::{COMMAND, CONFIGURE, Command, OPERATE};
use crate::grammar::{Action, ConfigForm, Matched};
use crate::northbound::api::{ConfigurationSource, Request};

const BANKS: &[(&str, ConfigBank)] = &[
    ("primary", ConfigBank::Primary),
    ("secondary", ConfigBank::Secondary),
];

fn source(m: &Matched<'_>, otherwise: ConfigurationSource) -> ConfigurationSource {
    m.which(&[
        ("primary", ConfigurationSource::Primary),
        ("secondary", ConfigurationSource::Secondary),
    ])
    .unwrap_or(otherwise)
}

fn form(m: &Matched<'_>, otherwise: ConfigForm) -> ConfigForm {
    m.which(&[
        ("yaml", ConfigForm::Yaml),
        ("commands", ConfigForm::Commands),
    ])
    .unwrap_or(otherwise)
}

fn snmp(m: &Matched<'_>, change: fn(String) -> SnmpChange) -> Result<Action, String> {
    let text = m.get("text")?;
    Ok(Action::Configure(ConfigChange::Snmp(change(text))))
}

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "show configuration {primary | secondary} {yaml | commands}",
        help: "Show the running configuration, or a saved one",
        details: "As commands unless told otherwise.",
        seeds: &[26],
        handler: |m| {
            Ok(Action::ShowConfiguration {
                which: source(m, ConfigurationSource::Running),
                form: form(m, ConfigForm::Commands),
            })
        },
        ..COMMAND
    },
    Command {
        syntax: "show configuration diff {primary | secondary}",
        help: "Show what is changed but not saved",
        details: "The commands that make the running configuration out of the saved one: the one in use unless told \
                  otherwise.",
        words: &[("diff", "What is changed but not saved")],
        seeds: &[26, 28],
        handler: |m| {
            Ok(Action::ShowConfigurationDiff {
                from: source(m, ConfigurationSource::Selected),
            })
        },
        ..COMMAND
    },
    Command {
        syntax: "save {configuration} {primary | secondary}",
        help: "Write the running configuration to a saved one",
        details: "To the one in use unless told otherwise. The one before is kept beside it.",
        words: &[("configuration", "The running configuration")],
        seeds: &[26, 28],
        handler: |m| {
            Ok(Action::Ask(Request::Save {
                bank: m.which(BANKS),
            }))
        },
        ..OPERATE
    },
    Command {
        syntax: "use configuration [primary | secondary]",
        help: "Choose the saved configuration that a switch starts with",
        words: &[(
            "configuration",
            "The saved configuration that a switch starts with",
        )],
        handler: |m| {
            Ok(Action::Ask(Request::UseConfiguration {
                bank: m.one_of(BANKS)?,
            }))
        },
        ..OPERATE
    },
    Command {
        syntax: "download configuration <file:FILE> {incremental}",
        help: "Put a file in the place of the running configuration",
        details: "YAML or commands, told by what is in it. All or nothing: one mistake, and nothing is changed. With \
                  incremental, commands are done on top of what is configured.",
        words: &[
            ("configuration", "A configuration"),
            (
                "incremental",
                "Do its commands on top of what is configured",
            ),
        ],
        seeds: &[40],
        handler: |m| {
            Ok(Action::Download {
                file: m.get("file")?,
                incremental: m.has("incremental"),
            })
        },
        ..CONFIGURE
    },
    Command {
        syntax: "upload configuration <file:FILE> {yaml | commands}",
        help: "Write the running configuration to a file of your own",
        details: "As YAML, like the configuration file, unless told otherwise.",
        words: &[("configuration", "The running configuration")],
        handler: |m| {
            Ok(Action::Upload {
                file: m.get("file")?,
                form: form(m, ConfigForm::Yaml),
            })
        },
        ..COMMAND
    },
    Command {
        syntax: "confirm configuration",
        help: "Keep what was changed with confirmed",
        words: &[("configuration", "What was changed with confirmed")],
        handler: |_| Ok(Action::Ask(Request::ConfirmConfiguration {})),
        ..OPERATE
    },
    Command {
        syntax: "rollback configuration",
        help: "Take back at once what was changed with confirmed",
        words: &[("configuration", "What was changed with confirmed")],
        handler: |_| Ok(Action::Ask(Request::RollbackConfiguration {})),
        ..OPERATE
    },
    Command {
        syntax: "configure snmp sysname <text:SYSNAME>",
        help: "Set the name of the switch in network management and in the prompt (sysName, RFC 3418)",
        words: &[
            ("sysname", "Its name, also in the prompt"),
            ("<text>", "The name"),
        ],
        seeds: &[39],
        handler: |m| snmp(m, |text| SnmpChange::Sysname { text }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure snmp syscontact <text:TEXT>",
        help: "Set whom to call (sysContact, RFC 3418)",
        words: &[
            ("syscontact", "Whom to call"),
            ("<text>", "The text; \"\" for none"),
        ],
        handler: |m| snmp(m, |text| SnmpChange::Syscontact { text }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure snmp syslocation <text:TEXT>",
        help: "Set where the switch stands (sysLocation, RFC 3418)",
        words: &[
            ("syslocation", "Where it stands"),
            ("<text>", "The text; \"\" for none"),
        ],
        handler: |m| snmp(m, |text| SnmpChange::Syslocation { text }),
        ..CONFIGURE
    },
    Command {
        syntax: "unconfigure snmp",
        help: "Forget name, contact and location: the name is that of the switch again",
        handler: |_| Ok(Action::Configure(ConfigChange::UnconfigureSnmp)),
        ..CONFIGURE
    },
];
