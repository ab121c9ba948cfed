//! The resolved topology: every node with all its settings, every link with both its ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::{Error, Refusal};
use crate::resolve::Resolver;
use crate::{refuse, schema};

/// A lab as its file describes it, with variables expanded and the settings of defaults, kind and group
/// merged into every node.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// The lab's name: from the file, or the one given instead.
    pub name: String,
    /// The file, absolute.
    pub file: PathBuf,
    /// By name.
    pub nodes: Vec<Node>,
    /// In the order of the file.
    pub links: Vec<Link>,
    /// What the file asks for and this runner ignores, with file and line.
    pub warnings: Vec<String>,
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name in the file.
    pub name: String,
    /// Its host name, the node's name unless the file says otherwise.
    pub hostname: String,
    /// The container image that the file names.
    pub image: String,
    /// `entrypoint`, split into words; empty when not given.
    pub entrypoint: Vec<String>,
    /// `cmd`, split into words; empty when not given.
    pub cmd: Vec<String>,
    /// Environment of its processes, as far as the file gives it.
    pub env: BTreeMap<String, String>,
    /// Files and directories of the host that it sees, by place in the node.
    pub binds: Vec<Bind>,
    /// Settings below `/proc/sys/net`, with dots.
    pub sysctls: BTreeMap<String, String>,
    /// Commands to run once links are there, split into words.
    pub exec: Vec<Vec<String>>,
    /// How long to wait before its processes start.
    pub startup_delay: Duration,
    /// The command that tells whether the node is ready.
    pub healthcheck: Option<Healthcheck>,
}

/// A file or directory of the host in a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the node.
    pub target: PathBuf,
    /// Whether the node can not write to it.
    pub read_only: bool,
}

/// The command that tells whether a node is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// Its words, a shell with `-c` for `CMD-SHELL`.
    pub command: Vec<String>,
    /// How long one run may take.
    pub timeout: Duration,
}

/// A veth pair between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its ends; both may be in the same node.
    pub ends: [End; 2],
    /// In bytes, without the Ethernet header.
    pub mtu: u32,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The node's name.
    pub node: String,
    /// The interface's name in the node.
    pub interface: String,
    /// Its MAC address, chosen by the kernel when absent.
    pub mac: Option<String>,
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b] = &self.ends;
        write!(
            f,
            "{}:{} -- {}:{}",
            a.node, a.interface, b.node, b.interface
        )
    }
}

impl Topology {
    /// Reads and checks a topology file; needs no root and changes nothing. With `lab_name` the lab gets
    /// that name instead of the one in the file.
    ///
    /// # Errors
    /// [`Error::Topology`] with every problem of the file; [`Error::LabName`] for an unusable `lab_name`.
    pub fn load(file: &Path, lab_name: Option<&str>) -> Result<Self, Error> {
        Self::from_document(&Document::read(file)?, lab_name)
    }

    pub(crate) fn from_document(
        document: &Document,
        lab_name: Option<&str>,
    ) -> Result<Self, Error> {
        if let Some(name) = lab_name {
            check_lab_name(name)?;
        }
        let findings = refuse::scan(document);
        let refused = |path: &[String]| findings.refused.iter().any(|(at, _)| path.starts_with(at));
        let mut problems: Vec<_> = schema::check(document)?
            .into_iter()
            .filter(|(path, _)| !refused(path))
            .map(|(_, problem)| problem)
            .collect();
        problems.extend(findings.refused.iter().map(|(_, problem)| problem.clone()));
        if problems.is_empty() {
            let mut resolver = Resolver::new(document, lab_name)?;
            let (nodes, links) = (resolver.nodes(), resolver.links());
            problems = resolver.problems;
            if problems.is_empty() {
                let mut warnings = findings.warnings;
                warnings.extend(resolver.warnings);
                return Ok(Self {
                    name: resolver.lab,
                    file: document.file.clone(),
                    nodes,
                    links,
                    warnings,
                });
            }
        }
        problems.sort();
        problems.dedup();
        Err(Error::Topology(Refusal {
            file: document.file.clone(),
            problems,
        }))
    }
}

/// The rule for names of labs and nodes: the schema's pattern for them.
pub(crate) fn check_lab_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 63
        && name.chars().all(allowed)
    {
        Ok(())
    } else {
        Err(Error::LabName { name: name.into() })
    }
}

/// The lab that a command means: the name in the file when there is such a file, else the text itself.
///
/// # Errors
/// [`Error::LabName`] when the text is neither, [`Error::Topology`] when the file names no lab.
pub fn lab_of(file_or_lab: &str) -> Result<String, Error> {
    let file = Path::new(file_or_lab);
    if !file.is_file() {
        check_lab_name(file_or_lab)?;
        return Ok(file_or_lab.into());
    }
    // Only the name matters, so that a lab can be taken down though its file was broken since.
    let document = Document::read(file)?;
    match document.value["name"].as_str() {
        Some(name) => {
            check_lab_name(name)?;
            Ok(name.into())
        }
        None => Err(Error::whole_file(
            file,
            "the key \"name\" is missing, or not a text",
        )),
    }
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
