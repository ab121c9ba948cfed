//! Names whose constructors refuse what the kernel or the command line could not take.

use std::fmt;
use std::str::FromStr;

use hitless_common::VlanId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is no name: the text found and the rule it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl InvalidName {
    pub(super) fn of(text: &str, what: &str, rule: &str) -> Self {
        Self(format!("{text:?} is no {what}: {rule}"))
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidName {}

/// Declares a name type over `String`: what it names, its rule in words, and the check.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName::of(text, $what, $rule))
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// The name of a switch. It names a directory in bpffs, which refuses dots, and one under `/run`.
    SwitchName,
    "switch name",
    "it must be 1 to 32 of the characters A-Z a-z 0-9 _ -, and not start with -",
    |text| {
        (1..=32).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }
);

name!(
    /// The name of a VLAN. It starts with a letter, so that no name can be taken for a VLAN id.
    VlanName,
    "VLAN name",
    "it must be 1 to 32 of the characters A-Z a-z 0-9 _ - . and start with a letter",
    |text| {
        text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    }
);

impl VlanName {
    /// What a VLAN without a name is called.
    #[must_use]
    pub fn default_of(id: VlanId) -> Self {
        Self(format!("vlan{id}"))
    }
}

name!(
    /// The name of a Linux network interface, by the kernel's rule (`dev_valid_name`).
    DeviceName,
    "interface name",
    "it must be 1 to 15 bytes without white space, control characters, / or :, and not . or ..",
    |text| {
        (1..=15).contains(&text.len())
            && text != "."
            && text != ".."
            // 0xa0 is white space to the kernel, which takes the name for ISO 8859-1.
            && text.bytes().all(|b| b > b' ' && !b"/:\x7f\xa0".contains(&b))
    }
);

name!(
    /// The name that a switch goes by in network management (sysName, RFC 3418), and in its prompt.
    SysName,
    "system name",
    "it must be 1 to 255 printable ASCII characters without blanks",
    |text| (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
);

impl From<&SwitchName> for SysName {
    fn from(switch: &SwitchName) -> Self {
        Self(switch.0.clone())
    }
}

name!(
    /// A text for people (DisplayString of RFC 2579, of printable characters only), empty by default.
    #[derive(Default)]
    DisplayText,
    "text for sysContact or sysLocation",
    "it must be at most 255 printable ASCII characters",
    |text| text.len() <= 255 && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switch_names() {
        for good in ["sw1", "a", "_", "SW-1_x", &"x".repeat(32)] {
            assert_eq!(good.parse::<SwitchName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            ".",
            "..",
            "a.b",
            "a/b",
            "a b",
            "é",
            &"x".repeat(33),
        ] {
            assert!(bad.parse::<SwitchName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn vlan_names() {
        for good in ["blue", "v10", "Blue.Lab_1-x", &"x".repeat(32)] {
            assert!(good.parse::<VlanName>().is_ok(), "{good:?}");
        }
        for bad in ["", "10", "1blue", "_x", "a b", "a:b", &"x".repeat(33)] {
            assert!(bad.parse::<VlanName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn device_names() {
        for good in [
            "eth1",
            "lo",
            "eth0.100",
            "a-b_c@d",
            "123456789012345",
            "é0",
            "...",
        ] {
            assert!(good.parse::<DeviceName>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "..",
            "1234567890123456",
            "a b",
            "a/b",
            "a:b",
            "a\tb",
            "a\0b",
            "à",
        ] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn system_names_and_texts() {
        for good in ["sw1", "core.lab", "\"*>#", &"x".repeat(255)] {
            assert!(good.parse::<SysName>().is_ok(), "{good:?}");
            assert!(good.parse::<DisplayText>().is_ok(), "{good:?}");
        }
        for text in ["", "Jo, room 4", " "] {
            assert!(text.parse::<SysName>().is_err(), "{text:?}");
            assert!(text.parse::<DisplayText>().is_ok(), "{text:?}");
        }
        for bad in ["\t", "a\nb", "\u{7f}", "é", &"x".repeat(256)] {
            assert!(bad.parse::<SysName>().is_err(), "{bad:?}");
            assert!(bad.parse::<DisplayText>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_shows_the_text_and_the_rule() {
        let error = "a.b".parse::<SwitchName>().unwrap_err().to_string();
        assert!(
            error.contains("\"a.b\"") && error.contains("1 to 32"),
            "{error}"
        );
    }
}
