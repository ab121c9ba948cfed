//! A topology file as text and as a tree of values, and the line of every value in it. The only module
//! that knows serde_yaml.

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, Problem, Refusal};
use crate::expand::{self, Lookup};

/// Largest accepted topology file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Keys and indices from the top of the document to a value.
pub(crate) type Keys = Vec<String>;

pub(crate) struct Document {
    pub file: PathBuf,
    /// After the expansion of variables.
    text: String,
    pub value: Value,
}

impl Document {
    /// Reads a file and expands the variables of the environment in it.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let refuse = |e: std::io::Error| Error::whole_file(file, format!("can not be read: {e}"));
        let meta = fs::metadata(file).map_err(refuse)?;
        if !meta.is_file() {
            return Err(Error::whole_file(file, "is not a file"));
        }
        if meta.len() > MAX_FILE {
            let size = meta.len();
            return Err(Error::whole_file(
                file,
                format!("has {size} bytes; a topology file has at most {MAX_FILE}"),
            ));
        }
        let text = fs::read_to_string(file).map_err(refuse)?;
        let file = fs::canonicalize(file).map_err(refuse)?;
        Self::parse(file, &text, &|name| std::env::var(name).ok())
    }

    /// Like [`Document::read`], from text.
    pub fn parse(file: PathBuf, text: &str, lookup: Lookup<'_>) -> Result<Self, Error> {
        let problem = |line, reason| {
            Error::Topology(Refusal {
                file: file.clone(),
                problems: vec![Problem {
                    line,
                    path: String::new(),
                    reason,
                }],
            })
        };
        if let Some(i) = text
            .lines()
            .position(|l| l.contains("{{") && !l.trim_start().starts_with('#'))
        {
            let reason = "Go templates ({{ }}) are not supported by this runner: write the file out, or use ${VARIABLE:-default}";
            return Err(problem(i + 1, reason.into()));
        }
        let text = expand::expand(text, lookup).map_err(|bad| problem(bad.line, bad.reason))?;
        let yaml = |e: serde_yaml::Error| {
            let line = e.location().map_or(0, |l| l.line());
            problem(line, format!("not valid YAML: {e}"))
        };
        let mut tree: serde_yaml::Value = serde_yaml::from_str(&text).map_err(yaml)?;
        tree.apply_merge().map_err(yaml)?;
        let value = json(tree).map_err(|reason| problem(0, reason))?;
        Ok(Self { file, text, value })
    }

    /// The line of the key (or list item) at the path, or of the nearest one above it that the file has;
    /// from 1, and 0 for the whole file.
    pub fn line(&self, path: &[String]) -> usize {
        (1..=path.len())
            .rev()
            .find_map(|n| locate(&self.text, &path[..n]))
            .unwrap_or(0)
    }

    pub fn problem(&self, path: &[String], reason: impl Into<String>) -> Problem {
        Problem {
            line: self.line(path),
            path: path.join("."),
            reason: reason.into(),
        }
    }
}

/// The path one level deeper.
pub(crate) fn below(path: &[String], key: impl ToString) -> Keys {
    let mut deeper = path.to_vec();
    deeper.push(key.to_string());
    deeper
}

fn json(value: serde_yaml::Value) -> Result<Value, String> {
    use serde_yaml::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => Value::Bool(b),
        Yaml::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => i.into(),
            (_, Some(u), _) => u.into(),
            (_, _, f) => f.map_or(Value::Null, Value::from),
        },
        Yaml::String(s) => Value::String(s),
        Yaml::Sequence(items) => items.into_iter().map(json).collect::<Result<_, _>>()?,
        Yaml::Mapping(map) => {
            let mut object = Map::new();
            for (key, value) in map {
                let key = match json(key)? {
                    Value::String(s) => s,
                    key @ (Value::Bool(_) | Value::Number(_)) => key.to_string(),
                    key => return Err(format!("{key} can not be a key: keys are plain words")),
                };
                object.insert(key, json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            return Err(format!("YAML tags ({}) have no meaning here", tagged.tag));
        }
    })
}

/// The line of a key or list item. serde_yaml puts a position on errors only, so every walk ends in one,
/// and only the flag tells the one that was meant.
fn locate(text: &str, path: &[String]) -> Option<usize> {
    let found = Cell::new(false);
    let walk = Walk {
        path,
        found: &found,
    };
    match walk.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Err(e) if found.get() => e.location().map(|l| l.line()),
        _ => None,
    }
}

/// Goes down the path.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [String],
    found: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            self.found.set(true);
            deserializer.deserialize_any(Nothing)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map or list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(matches) = map.next_key_seed(Key(self))? {
            if matches {
                let path = &self.path[1..];
                map.next_value_seed(Walk { path, ..self })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let wanted = self.path[0].parse::<usize>().ok();
        for i in 0.. {
            let more = if wanted == Some(i) {
                let path = &self.path[1..];
                seq.next_element_seed(Walk { path, ..self })?.is_some()
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// Refuses every value, and so yields its position.
struct Nothing;

impl Visitor<'_> for Nothing {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

/// A key on the way: tells whether it is the one of the path, and stops at the last.
struct Key<'a>(Walk<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        let matches = self.0.path[0] == key;
        if matches && self.0.path.len() == 1 {
            self.0.found.set(true);
            return Err(E::custom("found"));
        }
        Ok(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document, Error> {
        Document::parse("lab.clab.yml".into(), text, &|_| None)
    }

    #[test]
    fn every_value_has_its_line() {
        let document = parse(
            "name: x\n\ntopology:\n  nodes:\n    a:\n      exec:\n        - one\n        - two\n    b: {kind: linux}\n  links:\n    - endpoints: [\"a:e\",\n        \"b:e\"]\n",
        )
        .unwrap();
        for (path, line) in [
            ("name", 1),
            ("topology", 3),
            ("topology.nodes.a.exec.0", 7),
            ("topology.nodes.a.exec.1", 8),
            ("topology.nodes.b", 9),
            ("topology.nodes.b.kind", 9),
            ("topology.links.0", 11),
            ("topology.links.0.endpoints.1", 12),
            // Not in the file: the nearest above it.
            ("topology.nodes.a.exec.7", 6),
            ("topology.nodes.b.kind.deeper", 9),
            ("nowhere", 0),
        ] {
            let path: Keys = path.split('.').map(String::from).collect();
            assert_eq!(document.line(&path), line, "{path:?}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let document = parse("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n").unwrap();
        assert_eq!(document.value["b"], serde_json::json!({"k": 1, "l": 3}));
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_line() {
        for (text, line, reason) in [
            ("a: 1\nb: [", 2, "YAML"),
            ("a: 1\na: 2\n", 1, "duplicate"),
            ("a: 1\nb: {{ .x }}\n", 2, "template"),
            ("a: ${\n", 1, "closing"),
            ("a: !t {x: 1}\n", 0, "tags"),
            ("[a]: 1\n", 0, "key"),
        ] {
            match parse(text).map(|d| d.value) {
                Err(Error::Topology(refusal)) => {
                    let problem = &refusal.problems[0];
                    assert!(problem.reason.contains(reason), "{text:?}: {refusal}");
                    assert!(
                        problem.line >= line && problem.line <= line + 1,
                        "{text:?}: {refusal}"
                    );
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
