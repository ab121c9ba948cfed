//! From a valid document to the resolved topology: merging of levels, paths, command lines, ends of links.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::document::{Document, Keys, below};
use crate::error::{Error, Problem};
use crate::expand::words;
use crate::topology::{Bind, End, Healthcheck, Link, Node};

/// MTU of a link that names none, in bytes.
const DEFAULT_MTU: u32 = 9500;

/// Time for one run of a health check that names none, as Docker has it.
const DEFAULT_HEALTH_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of one level (defaults, kind, group or node).
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Level {
    kind: Option<String>,
    group: Option<String>,
    image: Option<String>,
    hostname: Option<String>,
    entrypoint: Option<String>,
    cmd: Option<String>,
    exec: Vec<String>,
    binds: Vec<String>,
    env: BTreeMap<String, Value>,
    labels: BTreeMap<String, Value>,
    sysctls: BTreeMap<String, Value>,
    startup_delay: u64,
    healthcheck: Option<HealthLevel>,
    network_mode: Option<String>,
}

#[derive(Clone, Deserialize)]
struct HealthLevel {
    test: Vec<String>,
    #[serde(default)]
    timeout: u64,
}

/// A level and where it is written.
struct Placed {
    at: Keys,
    level: Level,
}

pub(crate) struct Resolver<'a> {
    document: &'a Document,
    pub lab: String,
    /// Directory of the topology file: relative paths begin here.
    directory: PathBuf,
    pub problems: Vec<Problem>,
    pub warnings: BTreeSet<String>,
}

impl<'a> Resolver<'a> {
    /// The document must be valid.
    pub fn new(document: &'a Document, lab_name: Option<&str>) -> Result<Self, Error> {
        let name = lab_name.or_else(|| document.value["name"].as_str());
        let Some(directory) = document.file.parent() else {
            return Err(Error::whole_file(&document.file, "has no directory"));
        };
        Ok(Self {
            document,
            lab: name.unwrap_or_default().into(),
            directory: directory.into(),
            problems: Vec::new(),
            warnings: BTreeSet::new(),
        })
    }

    fn refuse(&mut self, at: &[String], reason: impl Into<String>) {
        self.problems.push(self.document.problem(at, reason));
    }

    /// The value, or `None` after noting the problem.
    fn take<T>(&mut self, at: &[String], value: Result<T, String>) -> Option<T> {
        value.map_err(|reason| self.refuse(at, reason)).ok()
    }

    fn level(&mut self, at: &[&str]) -> Placed {
        let at: Keys = at.iter().map(ToString::to_string).collect();
        let value = at
            .iter()
            .fold(&self.document.value, |v, key| &v[key.as_str()]);
        let level = match value {
            Value::Null => Level::default(),
            // Can not fail after the schema; if the two ever disagree, the file is refused.
            value => {
                let parsed = Level::deserialize(value).map_err(|e| e.to_string());
                self.take(&at, parsed).unwrap_or_default()
            }
        };
        Placed { at, level }
    }

    pub fn nodes(&mut self) -> Vec<Node> {
        let nodes = self.document.value["topology"]["nodes"].as_object();
        let names: Vec<&String> = nodes.into_iter().flat_map(|map| map.keys()).collect();
        names.into_iter().map(|name| self.node(name)).collect()
    }

    fn node(&mut self, name: &str) -> Node {
        let levels = self.levels(name);
        let at = levels[0].at.clone();
        let first = |get: fn(&Level) -> &Option<String>| {
            levels
                .iter()
                .find_map(|l| get(&l.level).as_ref().map(|v| (&l.at, v)))
        };
        let line = |this: &mut Self, key: &str, found: Option<(&Keys, &String)>| match found {
            Some((at, line)) => this.take(&below(at, key), words(line)).unwrap_or_default(),
            None => Vec::new(),
        };

        if first(|l| &l.kind).is_none() {
            self.refuse(
                &at,
                "has no kind, nor has its group or defaults: add `kind: linux`",
            );
        }
        let image = first(|l| &l.image).map(|(_, image)| image.clone());
        if image.as_ref().is_none_or(String::is_empty) {
            self.refuse(&at, "has no image, nor has its group, kind or defaults");
        }
        let hostname = first(|l| &l.hostname).map_or(name, |(_, hostname)| hostname);
        let entrypoint = line(self, "entrypoint", first(|l| &l.entrypoint));
        let cmd = line(self, "cmd", first(|l| &l.cmd));
        let delays = levels.iter().map(|l| l.level.startup_delay);
        Node {
            name: name.into(),
            hostname: hostname.into(),
            image: image.unwrap_or_default(),
            entrypoint,
            cmd,
            env: self.env(name, &levels),
            binds: self.binds(name, &levels),
            sysctls: self.sysctls(&levels),
            exec: self.exec(name, &levels),
            startup_delay: Duration::from_secs(delays.into_iter().find(|&d| d > 0).unwrap_or(0)),
            healthcheck: self.healthcheck(&levels),
        }
    }

    /// The levels of a node, the most specific first. A node's group may come from its kind or the
    /// defaults, its kind from its group or the defaults.
    fn levels(&mut self, name: &str) -> Vec<Placed> {
        let node = self.level(&["topology", "nodes", name]);
        let kind = self.level(&["topology", "kinds", "linux"]);
        let defaults = self.level(&["topology", "defaults"]);
        let mut levels = vec![node];
        let group = [&levels[0], &kind, &defaults]
            .into_iter()
            .find_map(|l| l.level.group.clone().map(|g| (l.at.clone(), g)));
        if let Some((at, group)) = group {
            if self.document.value["topology"]["groups"]
                .get(&group)
                .is_some()
            {
                levels.push(self.level(&["topology", "groups", &group]));
            } else if self.document.value["topology"]["groups"].is_object() {
                let (file, line) = (
                    &self.document.file,
                    self.document.line(&below(&at, "group")),
                );
                self.warnings.insert(format!(
                    "{}:{line}: there is no group '{group}' in groups: it is a mere label",
                    file.display()
                ));
            }
        }
        levels.extend([kind, defaults]);
        levels
    }

    /// Everything that containerlab tells a node's processes about themselves, and what the file adds.
    fn env(&self, name: &str, levels: &[Placed]) -> BTreeMap<String, String> {
        let (lab, file) = (&self.lab, self.document.file.display());
        let [directory, _] = self.lab_directories(name);
        let group = levels.iter().find_map(|l| l.level.group.clone());
        let mut labels: BTreeMap<String, String> = merged(levels, |l| &l.labels);
        labels.extend(
            [
                ("containerlab", lab.clone()),
                ("clab-node-name", name.into()),
                ("clab-node-longname", format!("clab-{lab}-{name}")),
                ("clab-node-kind", "linux".into()),
                ("clab-node-group", group.unwrap_or_default()),
                ("clab-node-lab-dir", directory),
                ("clab-topo-file", file.to_string()),
            ]
            .map(|(key, value)| (key.to_string(), value)),
        );
        let mut env: BTreeMap<String, String> = labels
            .into_iter()
            .map(|(key, value)| {
                let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
                let key: String = key.to_uppercase().chars().map(plain).collect();
                (format!("CLAB_LABEL_{key}"), value)
            })
            .collect();
        env.insert("CLAB_INTFS".into(), self.ends_of(name).to_string());
        env.extend(merged(levels, |l| &l.env));
        env
    }

    /// The node's directory and the lab's, where containerlab keeps what it makes.
    fn lab_directories(&self, node: &str) -> [String; 2] {
        let lab = self.directory.join(format!("clab-{}", self.lab));
        [lab.join(node), lab].map(|d| d.display().to_string())
    }

    fn magic(&self, node: &str, text: &str) -> String {
        let [node_directory, lab_directory] = self.lab_directories(node);
        text.replace("__clabNodeDir__", &node_directory)
            .replace("__clabDir__", &lab_directory)
            .replace("__clabNodeName__", node)
            .replace("__clabLabName__", &format!("clab-{}", self.lab))
    }

    fn exec(&mut self, node: &str, levels: &[Placed]) -> Vec<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut lines = Vec::new();
        for placed in levels.iter().rev() {
            for (i, line) in placed.level.exec.iter().enumerate() {
                if !seen.insert(line) {
                    continue;
                }
                let at = below(&below(&placed.at, "exec"), i);
                let line = self.magic(node, line);
                match self.take(&at, words(&line)) {
                    Some(words) if words.is_empty() => self.refuse(&at, "is an empty command"),
                    Some(words) => lines.push(words),
                    None => {}
                }
            }
        }
        lines
    }

    fn binds(&mut self, node: &str, levels: &[Placed]) -> Vec<Bind> {
        let mut binds = BTreeMap::new();
        for placed in levels.iter().rev() {
            for (i, text) in placed.level.binds.iter().enumerate() {
                let bind = self.bind(node, text);
                let at = below(&below(&placed.at, "binds"), i);
                if let Some(bind) = self.take(&at, bind) {
                    binds.insert(bind.target.clone(), (at, bind));
                }
            }
        }
        // Only what is left after merging has to exist.
        for (at, bind) in binds.values() {
            if let Err(e) = bind.source.metadata() {
                let source = bind.source.display();
                self.refuse(
                    at,
                    format!("{source}, which is to be bound, can not be used: {e}"),
                );
            }
        }
        binds.into_values().map(|(_, bind)| bind).collect()
    }

    fn bind(&self, node: &str, text: &str) -> Result<Bind, String> {
        let form = "must have the form host-path:/path/in/node or host-path:/path/in/node:ro";
        let mut parts = text.split(':');
        let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
            return Err(format!("'{text}' {form}"));
        };
        let mut read_only = false;
        for option in parts.next().unwrap_or_default().split(',') {
            match option {
                "ro" => read_only = true,
                // Labels of SELinux, which has no say here.
                "" | "rw" | "z" | "Z" => {}
                other => {
                    return Err(format!(
                        "bind option '{other}' is not supported: only ro and rw are"
                    ));
                }
            }
        }
        let target_path = Path::new(target);
        let plain = target_path
            .components()
            .all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        if parts.next().is_some() || source.is_empty() || !target.starts_with('/') || !plain {
            return Err(format!("'{text}' {form}"));
        }
        if target_path.parent().is_none() {
            return Err("a node's root directory can not be replaced".into());
        }
        let source = self.magic(node, source);
        let source = match (source.strip_prefix('~'), std::env::var_os("HOME")) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                Path::new(&home).join(rest.trim_start_matches('/'))
            }
            _ => self.directory.join(source),
        };
        Ok(Bind {
            source,
            target: target_path.components().collect(),
            read_only,
        })
    }

    fn sysctls(&mut self, levels: &[Placed]) -> BTreeMap<String, String> {
        for placed in levels {
            for key in placed.level.sysctls.keys() {
                let key_parts: Vec<&str> = key.split(['.', '/']).collect();
                if key_parts[0] != "net" || key_parts.contains(&"") {
                    let at = below(&below(&placed.at, "sysctls"), key);
                    self.refuse(&at, "is not a setting of the network namespace (net.*): it would change the host");
                }
            }
        }
        merged(levels, |l| &l.sysctls)
    }

    fn healthcheck(&mut self, levels: &[Placed]) -> Option<Healthcheck> {
        let (at, check) = levels
            .iter()
            .find_map(|l| Some((&l.at, l.level.healthcheck.as_ref()?)))?;
        let command = match (check.test[0].as_str(), &check.test[1..]) {
            ("NONE", []) => return None,
            ("CMD", command @ [_, ..]) => command.to_vec(),
            ("CMD-SHELL", [script]) => ["/bin/sh", "-c", script].map(String::from).to_vec(),
            _ => {
                let at = below(&below(at, "healthcheck"), "test");
                self.refuse(
                    &at,
                    "must be [CMD, program, argument...], [CMD-SHELL, \"script\"] or [NONE]",
                );
                return None;
            }
        };
        let timeout = match check.timeout {
            0 => DEFAULT_HEALTH_TIMEOUT,
            seconds => Duration::from_secs(seconds),
        };
        Some(Healthcheck { command, timeout })
    }

    fn raw_links(&self) -> &'a [Value] {
        let links = self.document.value["topology"]["links"].as_array();
        links.map_or(&[], Vec::as_slice)
    }

    fn ends_of(&self, node: &str) -> usize {
        let ends = self.raw_links().iter().flat_map(ends);
        ends.filter(|end| end.node == node).count()
    }

    pub fn links(&mut self) -> Vec<Link> {
        let mut links = Vec::new();
        let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (i, raw) in self.raw_links().iter().enumerate() {
            let at = ["topology".into(), "links".into(), i.to_string()];
            let ends = ends(raw);
            for (j, end) in ends.iter().enumerate() {
                let at = below(&below(&at, "endpoints"), j);
                self.check_end(&at, end);
                let key = (end.node.clone(), end.interface.clone());
                let line = self.document.line(&at);
                if let Some(first) = taken.insert(key, line) {
                    let (node, interface) = (&end.node, &end.interface);
                    self.refuse(
                        &at,
                        format!(
                            "{node}:{interface} is the end of another link already (line {first})"
                        ),
                    );
                }
            }
            if let Ok(ends) = <[End; 2]>::try_from(ends) {
                let mtu = raw["mtu"].as_u64().and_then(|mtu| u32::try_from(mtu).ok());
                links.push(Link {
                    ends,
                    mtu: mtu.unwrap_or(DEFAULT_MTU),
                });
            }
        }
        links
    }

    fn check_end(&mut self, at: &[String], end: &End) {
        let End { node, .. } = end;
        if self.document.value["topology"]["nodes"].get(node).is_none() {
            self.refuse(at, format!("there is no node '{node}'"));
            return;
        }
        let levels = self.levels(node);
        let isolated = levels.iter().any(|l| l.level.network_mode.is_some());
        match end.interface.as_str() {
            "lo" => self.refuse(at, "lo is the loopback interface: choose another name"),
            "eth0" if !isolated => self.refuse(
                at,
                format!("eth0 is containerlab's management interface: choose another name, or give node '{node}' `network-mode: none`"),
            ),
            _ => {}
        }
    }
}

/// The maps of all levels in one, the most specific value of each key.
fn merged(
    levels: &[Placed],
    map: fn(&Level) -> &BTreeMap<String, Value>,
) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(s) => s.clone(),
        value => value.to_string(),
    };
    let all = levels.iter().rev().flat_map(|l| map(&l.level));
    all.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// The ends of a link of a valid document, in either form.
fn ends(link: &Value) -> Vec<End> {
    let ends = link["endpoints"].as_array().into_iter().flatten();
    ends.filter_map(|end| match end {
        Value::String(brief) => brief.split_once(':').map(|(node, interface)| End {
            node: node.into(),
            interface: interface.into(),
            mac: None,
        }),
        end => Some(End {
            node: end["node"].as_str()?.into(),
            interface: end["interface"].as_str()?.into(),
            mac: end["mac"].as_str().map(String::from),
        }),
    })
    .collect()
}
