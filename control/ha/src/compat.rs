//! Whether one version can follow another without a loss, told before anything is changed, and the way back as well.
//!
//! Both are known by their [`Description`]s alone, so that any version can judge any other.

use crate::describe::Description;
use hitless_common::map::meta::Keeping;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How well two versions go together, or what one item does to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing that is in use is lost.
    Compatible,
    /// The switch goes on without a frame lost, but something that is in use begins anew, or there is no way back.
    Degraded,
    /// It can not be done without an interruption, or not at all.
    Incompatible,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Compatible => "compatible",
            Self::Degraded => "compatible but degraded",
            Self::Incompatible => "incompatible",
        })
    }
}

/// Which of the two takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the running version to the image.
    Forward,
    /// From the image back to the version that runs now.
    Back,
}

/// Something that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Item {
    /// On which way it counts.
    pub direction: Direction,
    /// What differs, as in `field vlans offload` or `map VLANS`.
    pub what: String,
    /// What comes of it, a clause.
    pub consequence: String,
    /// How bad that is.
    pub verdict: Verdict,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The whole: the worst on the way forward; of what is wrong on the way back, that there is none.
    pub verdict: Verdict,
    /// Every difference, those forward first.
    pub items: Vec<Item>,
}

/// What of the running version is in use: what is not, can not be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Sections of the configuration that are not empty.
    pub sections: BTreeSet<String>,
    /// Records by the name of their subsystem; those that are not named have none.
    pub records: BTreeMap<String, u64>,
}

/// Compares the version that runs with an image that is to take its place.
#[must_use]
pub fn compare(running: &Description, image: &Description, in_use: &InUse) -> Report {
    let mut items = Vec::new();
    one_way(running, image, Some(in_use), Direction::Forward, &mut items);
    // What the image knows more is not in use now; what it makes of that later, nobody knows.
    one_way(image, running, None, Direction::Back, &mut items);
    let worst = |direction| {
        let of = items.iter().filter(move |item| item.direction == direction);
        of.map(|item| item.verdict).max()
    };
    let forward = worst(Direction::Forward).unwrap_or(Verdict::Compatible);
    let back = match worst(Direction::Back) {
        Some(Verdict::Incompatible) => Verdict::Degraded,
        _ => Verdict::Compatible,
    };
    Report {
        verdict: forward.max(back),
        items,
    }
}

/// What happens when `to` takes over from `from`. Without `in_use`, whatever only `from` knows is taken for unused.
fn one_way(
    from: &Description,
    to: &Description,
    in_use: Option<&InUse>,
    direction: Direction,
    items: &mut Vec<Item>,
) {
    let mut add = |verdict, what: String, consequence: String| {
        items.push(Item {
            direction,
            what,
            consequence,
            verdict,
        });
    };
    if from.protocol != to.protocol {
        let text = format!(
            "{} speaks version {} of it, {} version {}: nothing can be transferred",
            from.version, from.protocol, to.version, to.protocol
        );
        add(Verdict::Incompatible, "protocol".into(), text);
    }
    if from.layout != to.layout {
        let text = format!(
            "the hardware of {} has layout {}, {} knows layout {}: it would have to be taken down",
            from.version, from.layout, to.version, to.layout
        );
        add(Verdict::Incompatible, "layout".into(), text);
    }
    if let Some(lowest) = number(&to.lowest_compatible)
        && let Some(version) = number(&from.version)
        && version < lowest
    {
        let text = format!(
            "{} takes over from {} and later, not from {}",
            to.version, to.lowest_compatible, from.version
        );
        add(Verdict::Incompatible, "lowest-compatible".into(), text);
    }
    for section in from.config.difference(&to.config) {
        let used = in_use.is_some_and(|used| used.sections.contains(section));
        let (verdict, text) = match used {
            true => (
                Verdict::Incompatible,
                format!(
                    "is configured, and {} refuses what it does not know",
                    to.version
                ),
            ),
            false => (
                Verdict::Compatible,
                format!("must stay unused: {} does not know it", to.version),
            ),
        };
        add(verdict, format!("configuration section {section}"), text);
    }
    schema(from, to, in_use, &mut add);
    maps(from, to, &mut add);
}

fn schema(
    from: &Description,
    to: &Description,
    in_use: Option<&InUse>,
    add: &mut impl FnMut(Verdict, String, String),
) {
    // Whole subsystems first: of one that is not known each field is not, either.
    let (from_subsystems, to_subsystems) = (subsystems(from), subsystems(to));
    let used = |subsystem: &str| {
        let records = in_use.and_then(|used| used.records.get(subsystem));
        records.copied().filter(|&records| records > 0)
    };
    for &subsystem in from_subsystems.difference(&to_subsystems) {
        let what = format!("subsystem {subsystem}");
        match used(subsystem) {
            Some(records) => add(
                Verdict::Degraded,
                what,
                format!(
                    "{} does not know it: {records} records begin anew",
                    to.version
                ),
            ),
            None => add(
                Verdict::Compatible,
                what,
                format!("{} does not know it, and it has no records", to.version),
            ),
        }
    }
    for item in from.schema.difference(&to.schema) {
        let words: Vec<&str> = item.split(' ').collect();
        let [subsystem, kind, number, name, ..] = words[..] else {
            continue;
        };
        if !to_subsystems.contains(subsystem) || kind == "message" {
            continue;
        }
        let what = format!("{kind} {subsystem} {name}");
        match used(subsystem) {
            Some(records) => add(
                Verdict::Degraded,
                what,
                format!(
                    "{} does not know {kind} {number}: its value is lost in {records} records",
                    to.version
                ),
            ),
            None => add(
                Verdict::Compatible,
                what,
                format!("{} does not know it, and nothing has it", to.version),
            ),
        }
    }
}

/// The names of the subsystems that are declared, as in `5 fdb`.
fn subsystems(description: &Description) -> BTreeSet<&str> {
    let items = description.schema.iter();
    items
        .filter_map(|item| {
            let (code, name) = item.split_once(' ')?;
            (code.parse::<u16>().is_ok() && !name.contains(' ')).then_some(name)
        })
        .collect()
}

fn maps(from: &Description, to: &Description, add: &mut impl FnMut(Verdict, String, String)) {
    for (name, map) in &from.maps {
        let what = format!("map {name}");
        let Some(new) = to.maps.get(name) else {
            let text = format!("{} does without it", to.version);
            add(Verdict::Compatible, what, text);
            continue;
        };
        if new.version == map.version {
            continue;
        }
        let change = format!("schema version {} becomes {}", map.version, new.version);
        if to.keeps(name, Keeping::Rebuilt) {
            let text = format!("{change}: filled anew under traffic, nothing is lost");
            add(Verdict::Compatible, what, text);
        } else if to.keeps(name, Keeping::Carried) {
            let text = format!("{change}: what both have is kept");
            add(Verdict::Compatible, what, text);
        } else if to.keeps(name, Keeping::Scratch) {
            let text = format!("{change}: begins empty, nothing of value is in it");
            add(Verdict::Compatible, what, text);
        } else {
            let text = format!("{change}, and {} can not take that over", to.version);
            add(Verdict::Incompatible, what, text);
        }
    }
}

/// A version as numbers that compare; `None` for what is none.
fn number(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests;
