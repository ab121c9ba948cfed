//! What a version knows: the text that `hitlessd --describe` prints and that an image's manifest has. It says enough to
//! tell before an upgrade what will be kept, see [`crate::compat`], of versions that this one has never heard of.

use crate::schema;
use hitless_common::map::meta::{self, Keeping};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A map of the data path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapVersion {
    /// Version of its schema.
    pub version: u16,
    /// What becomes of its contents when the other version's is another one: a word of [`Keeping::name`], or that of a
    /// later version.
    pub keeping: String,
}

/// A version's description. What is missing in a text is empty or 0 here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The version.
    pub version: String,
    /// The lowest version that it works together with.
    pub lowest_compatible: String,
    /// Version of the header and the fields' layout of messages between the modules.
    pub protocol: u16,
    /// The items of the checkpoint's schema, as [`schema::print`] writes them.
    pub schema: BTreeSet<String>,
    /// The pinned maps by name.
    pub maps: BTreeMap<String, MapVersion>,
    /// The layout of the pin directory.
    pub layout: u32,
    /// The sections of the configuration.
    pub config: BTreeSet<String>,
}

impl Description {
    /// The description of this version; `sections` are those of the configuration that it knows.
    #[must_use]
    pub fn own(sections: &[&str]) -> Self {
        let schema = schema::print();
        let maps = meta::SCHEMA.iter().map(|&(name, version)| {
            let keeping = meta::keeping(name).name().to_owned();
            (name.to_owned(), MapVersion { version, keeping })
        });
        Self {
            version: hitless_common::VERSION.into(),
            lowest_compatible: hitless_common::LOWEST_COMPATIBLE.into(),
            protocol: crate::message::PROTOCOL,
            schema: schema
                .lines()
                .filter(|line| !line.starts_with("protocol "))
                .map(str::to_owned)
                .collect(),
            maps: maps.collect(),
            layout: meta::LAYOUT,
            config: sections.iter().map(|&section| section.to_owned()).collect(),
        }
    }

    /// The description as text, a line an item: without the versions, which a manifest has anyway.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = format!("protocol {}\n", self.protocol);
        // Writing to a string does not fail.
        for item in &self.schema {
            let _ = writeln!(text, "schema {item}");
        }
        for (name, map) in &self.maps {
            let _ = writeln!(text, "map {name} {} {}", map.version, map.keeping);
        }
        let _ = writeln!(text, "layout {}", self.layout);
        for section in &self.config {
            let _ = writeln!(text, "config {section}");
        }
        text
    }

    /// Reads a description from the text of a manifest. Lines that are not known are skipped: a later version may have
    /// more to say.
    ///
    /// # Errors
    /// Names a line that is known and makes no sense, or a number that is missing.
    pub fn parse(text: &str) -> Result<Self, InvalidDescription> {
        let mut found = Self::default();
        let (mut protocol, mut layout) = (None, None);
        for line in text.lines() {
            let invalid = || InvalidDescription::Line(line.to_owned());
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "version" => found.version = value.into(),
                "lowest-compatible" => found.lowest_compatible = value.into(),
                "protocol" => protocol = Some(value.parse().map_err(|_| invalid())?),
                "layout" => layout = Some(value.parse().map_err(|_| invalid())?),
                "schema" => {
                    found.schema.insert(value.into());
                }
                "config" => {
                    found.config.insert(value.into());
                }
                "map" => {
                    let mut words = value.split(' ');
                    let (Some(name), Some(version), Some(keeping)) =
                        (words.next(), words.next(), words.next())
                    else {
                        return Err(invalid());
                    };
                    let map = MapVersion {
                        version: version.parse().map_err(|_| invalid())?,
                        keeping: keeping.into(),
                    };
                    found.maps.insert(name.into(), map);
                }
                _ => {}
            }
        }
        found.protocol = protocol.ok_or(InvalidDescription::Missing("protocol"))?;
        found.layout = layout.ok_or(InvalidDescription::Missing("layout"))?;
        Ok(found)
    }

    /// Whether this version fills a map of that name by itself, or goes on with its contents, if the one that it finds
    /// has another schema.
    pub(crate) fn keeps(&self, map: &str, what: Keeping) -> bool {
        self.maps.get(map).is_some_and(|m| m.keeping == what.name())
    }
}

/// A text that is no description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// A line that makes no sense.
    #[error(
        "the line {0:?} of the description makes no sense: the image is damaged, build it anew"
    )]
    Line(String),
    /// A line that each description has.
    #[error(
        "the description has no line `{0}`: the image was built without `hitlessd --describe`, build it anew"
    )]
    Missing(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let own = Description::own(&["switch", "ports"]);
        let manifest = format!(
            "version {}\nlowest-compatible {}\n{}later thing\n",
            own.version,
            own.lowest_compatible,
            own.lines()
        );
        assert_eq!(Description::parse(&manifest), Ok(own));
    }

    #[test]
    fn every_line_is_a_key_and_a_value_of_printable_ascii() {
        let text = Description::own(&["switch"]).lines();
        for line in text.lines() {
            assert!(line.contains(' '), "{line}");
            assert!(
                line.bytes().all(|b| b.is_ascii_graphic() || b == b' '),
                "{line}"
            );
        }
        assert!(text.contains("\nschema vlans field 3 untagged bytes16\n"));
        assert!(text.contains("\nmap META 2 carried\n"));
        assert!(text.contains("\nconfig switch\n"));
    }

    #[test]
    fn nonsense_is_named() {
        for line in [
            "protocol x",
            "layout -1",
            "map VLANS",
            "map VLANS x rebuilt",
        ] {
            let text = format!("protocol 1\nlayout 2\n{line}\n");
            let error = Description::parse(&text).unwrap_err();
            assert_eq!(error, InvalidDescription::Line(line.into()));
        }
        let error = Description::parse("protocol 1\n").unwrap_err();
        assert_eq!(error, InvalidDescription::Missing("layout"));
        let error = Description::parse("layout 1\n").unwrap_err();
        assert_eq!(error, InvalidDescription::Missing("protocol"));
    }
}
