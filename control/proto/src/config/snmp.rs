//! Who and where the switch is: the system group of SNMP (RFC 3418). The name is also the shell's prompt.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::names::{DisplayText, SwitchName, SysName};
use super::{KeyPath, bounded};

/// What the switch says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnmpConfig {
    /// Its name (sysName), that of the switch unless configured.
    pub sysname: SysName,
    /// Whom to call (sysContact).
    pub syscontact: DisplayText,
    /// Where it stands (sysLocation).
    pub syslocation: DisplayText,
}

impl SnmpConfig {
    /// That of a switch of which nothing is configured.
    #[must_use]
    pub fn factory(switch: &SwitchName) -> Self {
        Self {
            sysname: SysName::from(switch),
            syscontact: DisplayText::default(),
            syslocation: DisplayText::default(),
        }
    }

    /// The section; what is as by default is left out.
    pub(super) fn document(&self, switch: &SwitchName) -> SnmpDoc {
        let text = |text: &DisplayText| {
            (*text != DisplayText::default()).then(|| String::from(text.as_str()))
        };
        SnmpDoc {
            sysname: (self.sysname.as_str() != switch.as_str())
                .then(|| self.sysname.as_str().into()),
            syscontact: text(&self.syscontact),
            syslocation: text(&self.syslocation),
        }
    }
}

/// See [`SnmpConfig`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnmpDoc {
    /// See [`SnmpConfig::sysname`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_text"
    )]
    pub sysname: Option<String>,
    /// See [`SnmpConfig::syscontact`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_text"
    )]
    pub syscontact: Option<String>,
    /// See [`SnmpConfig::syslocation`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_text"
    )]
    pub syslocation: Option<String>,
}

impl SnmpDoc {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The checked section; the name is `None` if it, or what it is by default, is no name.
pub(super) fn check(
    checker: &mut Checker,
    at: &KeyPath,
    doc: &SnmpDoc,
    switch: Option<&SwitchName>,
) -> Option<SnmpConfig> {
    let sysname = match &doc.sysname {
        Some(name) => checker.take(at.key("sysname"), name.parse()),
        None => switch.map(SysName::from),
    };
    let mut text = |key, text: &Option<String>| match text {
        Some(text) => checker.take(at.key(key), text.parse()).unwrap_or_default(),
        None => DisplayText::default(),
    };
    let syscontact = text("syscontact", &doc.syscontact);
    let syslocation = text("syslocation", &doc.syslocation);
    Some(SnmpConfig {
        sysname: sysname?,
        syscontact,
        syslocation,
    })
}
