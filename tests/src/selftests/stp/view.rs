//! `show stpd` as the cases look at it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use hitless::northbound::api::{StpCounters, StpRole, StpState, StpdInfo, StpdPortInfo};
use hitless_wire::bpdu::BridgeId;
use serde_json::Value;

use crate::harness::switch::Switch;

/// A domain of a switch. Without what changes by itself (timers, counters), two looks are equal when nothing moved.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    /// Its bridge.
    pub id: BridgeId,
    /// The root that it knows.
    pub root: BridgeId,
    /// Where the root is; none when this is it.
    pub root_port: Option<u16>,
    /// Its path cost to the root.
    pub root_path_cost: u32,
    /// Topology changes since it began.
    pub topology_changes: u32,
    /// By number.
    pub ports: BTreeMap<u16, Port>,
}

/// A port of a domain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its role.
    pub role: StpRole,
    /// What it does with frames.
    pub state: StpState,
    /// Whether it is an edge port at this time.
    pub edge: bool,
}

impl fmt::Debug for Tree {
    /// In one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, root, .. } = self;
        write!(f, "[{id}, root {root}")?;
        if let Some(port) = self.root_port {
            write!(f, " by port {port}, cost {}", self.root_path_cost)?;
        }
        write!(f, ", {} changes", self.topology_changes)?;
        for (number, port) in &self.ports {
            write!(f, "; {number} {port:?}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Port {
    /// As in `root forwarding`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edge = if self.edge { " edge" } else { "" };
        let (role, state) = (self.role.to_string(), self.state.to_string());
        write!(f, "{role} {state}{edge}")
    }
}

impl Tree {
    /// Every port does what its role is for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.ports.values().all(|port| {
            let open = matches!(
                port.role,
                StpRole::Root | StpRole::Designated | StpRole::None
            );
            port.state
                == if open {
                    StpState::Forwarding
                } else {
                    StpState::Discarding
                }
        })
    }

    /// Ports that are closed although their links are up, because another way is better.
    #[must_use]
    pub fn closed(&self) -> usize {
        let is = |port: &&Port| matches!(port.role, StpRole::Alternate | StpRole::Backup);
        self.ports.values().filter(is).count()
    }

    /// Whether the port has this role and is in this state.
    #[must_use]
    pub fn has(&self, port: u16, role: StpRole, state: StpState) -> bool {
        self.ports
            .get(&port)
            .is_some_and(|port| port.role == role && port.state == state)
    }

    /// Whether the port leads to the root, and is open.
    #[must_use]
    pub fn leads(&self, port: u16) -> bool {
        self.root_port == Some(port) && self.has(port, StpRole::Root, StpState::Forwarding)
    }

    /// Whether the port is another way to the root, and closed.
    #[must_use]
    pub fn closes(&self, port: u16) -> bool {
        self.has(port, StpRole::Alternate, StpState::Discarding)
    }

    /// Whether the port serves its LAN, and is open.
    #[must_use]
    pub fn serves(&self, port: u16) -> bool {
        self.has(port, StpRole::Designated, StpState::Forwarding)
    }

    /// Whether the port is without a link, or shut.
    #[must_use]
    pub fn is_off(&self, port: u16) -> bool {
        self.has(port, StpRole::Disabled, StpState::Discarding)
    }

    /// Whether this bridge is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root == self.id && self.root_port.is_none()
    }
}

/// What `show stpd <stpd> ports` tells.
///
/// # Errors
/// When no master answers, or there is no such domain.
pub fn shown(switch: &Switch, stpd: &str) -> Result<StpdInfo> {
    let shown = switch.json(&["show", "stpd", stpd, "ports"])?;
    let read: Vec<StpdInfo> =
        serde_json::from_value(shown.clone()).with_context(|| format!("domains: {shown}"))?;
    let mut read = read.into_iter();
    read.find(|info| info.name.as_str() == stpd)
        .with_context(|| format!("no domain {stpd} in {shown}"))
}

/// An enabled domain.
///
/// # Errors
/// As [`shown`], or when the domain has no tree.
pub fn tree(switch: &Switch, stpd: &str) -> Result<Tree> {
    let info = shown(switch, stpd)?;
    let tree = info
        .tree
        .as_ref()
        .with_context(|| format!("domain {stpd} has no tree"))?;
    let id = |of: hitless::northbound::api::StpBridgeId| BridgeId {
        priority: of.priority,
        mac: of.mac,
    };
    let port = |port: &StpdPortInfo| {
        let status = port.status.as_ref();
        let of = Port {
            role: port.role,
            state: port.state,
            edge: status.is_some_and(|status| status.edge),
        };
        (port.port.get(), of)
    };
    Ok(Tree {
        id: id(tree.bridge_id),
        root: id(tree.root_id),
        root_port: tree.root_port.map(hitless_common::PortNo::get),
        root_path_cost: tree.root_path_cost,
        topology_changes: tree.topology_changes,
        ports: info.ports.iter().map(port).collect(),
    })
}

/// The counters of a port that takes part.
///
/// # Errors
/// When there is no such port.
pub fn counters(switch: &Switch, stpd: &str, port: u16) -> Result<StpCounters> {
    let info = shown(switch, stpd)?;
    let found = info.ports.iter().find(|p| p.port.get() == port);
    let status = found.and_then(|port| port.status.as_ref());
    let status = status.with_context(|| format!("port {port} takes no part in {stpd}"))?;
    Ok(status.counters)
}

/// `show stpd` as text.
///
/// # Errors
/// When no master answers.
pub fn text(switch: &Switch, words: &[&str]) -> Result<String> {
    switch.cli(&[&["show", "stpd"], words].concat())
}

/// `show stpd … --json` as it is.
///
/// # Errors
/// When no master answers.
pub fn json(switch: &Switch, words: &[&str]) -> Result<Value> {
    switch.json(&[&["show", "stpd"], words].concat())
}
