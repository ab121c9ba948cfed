//! What containerlab can do and this runner can not: refused by name, or ignored with a warning where the
//! lab still means the same.

use serde_json::{Map, Value};

use crate::document::{Document, Keys, below};
use crate::error::Problem;

/// Keys of a node that change what the lab is, with the reason why they can not be honoured.
const REFUSED: &[(&str, &str)] = &[
    (
        "license",
        "there is no licensed software in a node: the nodes run this host's programs",
    ),
    ("runtime", "no container runtime is used"),
    (
        "components",
        "chassis components are of kind nokia_srsim, only kind linux is supported",
    ),
    (
        "stages",
        "dependencies between nodes are not supported: use startup-delay",
    ),
    (
        "devices",
        "a node has the devices of the host: remove the key",
    ),
    (
        "ports",
        "nothing is published, a node has no management network: use `topo exec`",
    ),
    ("volumes", "there are no volumes: use binds"),
    (
        "tmpfs",
        "a node has a tmpfs on /run and /tmp, others are not supported: mount it in exec",
    ),
    ("env-files", "not supported: write the variables under env"),
    ("user", "every process of a node runs as root"),
    ("pid-mode", "every node has its own process ids"),
];

/// Keys of a node that are ignored with a warning, with what happens instead.
const IGNORED: &[(&str, &str)] = &[
    ("cpu", "nodes share all processors"),
    ("cpu-set", "nodes share all processors"),
    ("memory", "nodes share the memory"),
    ("shm-size", "nodes share the memory"),
    ("restart-policy", "a process that ends is not started again"),
    ("image-pull-policy", "no image is pulled"),
    ("auto-remove", "nodes stay until `topo down`"),
    ("link-apply-mode", "a running lab is not changed"),
    ("mgmt-ipv4", "there is no management network"),
    ("mgmt-ipv6", "there is no management network"),
    ("aliases", "there is no management network"),
    ("dns", "there is no management network"),
    ("certificate", "no certificate is issued"),
    ("credentials", "nobody logs in"),
    ("extras", "only other kinds have any"),
    (
        "startup-config",
        "it has no effect on kind linux: use binds",
    ),
    ("enforce-startup-config", "it has no effect on kind linux"),
    ("suppress-startup-config", "it has no effect on kind linux"),
    ("cap-add", "every process of a node has all capabilities"),
    (
        "security-opts",
        "every process of a node has all capabilities",
    ),
    ("cgroupns-mode", "nodes have no cgroups"),
    ("cgroup-parent", "nodes have no cgroups"),
];

/// Types of links other than veth.
const LINK_TYPES: &[(&str, &str)] = &[
    ("host", "nodes are never linked with the host's own devices"),
    ("mgmt-net", "there is no management network"),
    (
        "macvlan",
        "nodes are never linked with the host's own devices",
    ),
    ("vxlan", "nodes are linked on this host only"),
    ("vxlan-stitch", "nodes are linked on this host only"),
    (
        "veth-stitch",
        "links do not pass through the host's namespace: use type veth",
    ),
    (
        "dummy",
        "not supported: use exec with `ip link add ... type dummy`",
    ),
];

/// What was found in a file.
#[derive(Default)]
pub(crate) struct Findings {
    /// With the place of each, so that the schema does not complain about the same place again.
    pub refused: Vec<(Keys, Problem)>,
    pub warnings: Vec<String>,
}

impl Findings {
    fn refuse(&mut self, document: &Document, path: Keys, reason: String) {
        let problem = document.problem(&path, reason);
        self.refused.push((path, problem));
    }

    fn warn(&mut self, document: &Document, path: &[String], reason: &str) {
        let (file, line) = (document.file.display(), document.line(path));
        let path = path.join(".");
        self.warnings
            .push(format!("{file}:{line}: {path} is ignored: {reason}"));
    }
}

pub(crate) fn scan(document: &Document) -> Findings {
    let mut findings = Findings::default();
    let top = &document.value;
    for (key, reason) in [
        ("mgmt", "there is no management network"),
        ("settings", "no certificate is issued"),
    ] {
        if top.get(key).is_some() {
            findings.warn(document, &[key.to_string()], reason);
        }
    }
    if let Some(prefix) = top.get("prefix").filter(|p| *p != "clab") {
        let reason = format!(
            "{prefix} is not supported: namespaces are called clab-<lab>-<node>; remove the key"
        );
        findings.refuse(document, vec!["prefix".into()], reason);
    }
    if top["name"].as_str().is_some_and(|n| n.contains("__git")) {
        let reason = "git variables in the name are not supported: write the name out".into();
        findings.refuse(document, vec!["name".into()], reason);
    }

    let topology = ["topology".to_string()];
    let at = below(&topology, "defaults");
    node(document, &at, &top["topology"]["defaults"], &mut findings);
    let linux = below(&below(&topology, "kinds"), "linux");
    node(
        document,
        &linux,
        &top["topology"]["kinds"]["linux"],
        &mut findings,
    );
    for section in ["groups", "nodes"] {
        for (name, settings) in entries(&top["topology"][section]) {
            let at = below(&below(&topology, section), name);
            node(document, &at, settings, &mut findings);
        }
    }
    let links = top["topology"]["links"].as_array();
    for (i, value) in links.into_iter().flatten().enumerate() {
        link(
            document,
            below(&below(&topology, "links"), i),
            value,
            &mut findings,
        );
    }
    findings
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn node(document: &Document, at: &[String], settings: &Value, findings: &mut Findings) {
    for (key, value) in entries(settings) {
        let path = below(at, key);
        let text = value.as_str();
        if let Some((_, reason)) = REFUSED.iter().find(|(k, _)| k == key) {
            let root = key == "user" && (text == Some("root") || value.as_u64() == Some(0));
            if !root {
                findings.refuse(document, path, format!("is not supported: {reason}"));
            }
        } else if let Some((_, reason)) = IGNORED.iter().find(|(k, _)| k == key) {
            findings.warn(document, &path, reason);
        } else if key == "kind" && text.is_some_and(|kind| kind != "linux") {
            let reason = format!("kind {value} is not supported: only kind linux is");
            findings.refuse(document, path, reason);
        } else if key == "network-mode"
            && text.is_some_and(|mode| mode == "host" || mode.starts_with("container:"))
        {
            let reason =
                format!("{value} is not supported: every node has its own network namespace");
            findings.refuse(document, path, reason);
        } else if key == "privileged" && value == &Value::Bool(false) {
            findings.warn(
                document,
                &path,
                "every process of a node has all capabilities",
            );
        } else if key == "env" && value.get("__IMPORT_ENVS").is_some() {
            let reason = "is not supported: name each variable, e.g. PROXY: ${PROXY}".into();
            findings.refuse(document, below(&path, "__IMPORT_ENVS"), reason);
        }
    }
}

fn link(document: &Document, at: Keys, link: &Value, findings: &mut Findings) {
    let not_supported =
        |name: &str, reason: &str| format!("a link of type {name} is not supported: {reason}");
    let is_type = |name: &str| LINK_TYPES.iter().find(|(t, _)| *t == name);
    if let Some((name, reason)) = link["type"].as_str().and_then(is_type) {
        findings.refuse(document, at, not_supported(name, reason));
        return;
    }
    let endpoints = link["endpoints"].as_array();
    // In the brief form, these node names stand for link types.
    let special = endpoints.into_iter().flatten().find_map(|e| {
        let node = e.as_str()?.split(':').next()?;
        is_type(node).filter(|(t, _)| ["host", "mgmt-net", "macvlan"].contains(t))
    });
    if let Some((name, reason)) = special {
        findings.refuse(document, at, not_supported(name, reason));
        return;
    }
    let addressed = [link].into_iter().chain(endpoints.into_iter().flatten());
    for key in ["ipv4", "ipv6"] {
        if addressed.clone().any(|part| part.get(key).is_some()) {
            let reason =
                "addresses of links have no effect on kind linux: use exec with `ip addr add`";
            findings.warn(document, &below(&at, key), reason);
        }
    }
}
