//! What the master answers about spanning tree domains.

mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use hitless_common::PortNo;
use hitless_proto::{
    config::{Config, PortSelection, StpdConfig, StpdMode, StpdName},
    stp::{Bridge, Opening},
    stpd::{Domain, NotThere, Stpds},
};

use super::refuse;
use crate::northbound::api::{
    ApiError, ErrorKind, Reply, StpNotTaken, StpPortCounts, StpRole, StpState, StpTimes, StpTree,
    StpdInfo, StpdPortInfo, StpdPortSettings,
};

/// One domain or all, with some of its ports if they are asked for.
///
/// # Errors
/// There is no such domain, or a port is none of its.
pub fn show(
    stpds: &Stpds,
    config: &Config,
    only: Option<StpdName>,
    ports: Option<&PortSelection>,
) -> Result<Reply, ApiError> {
    if let Some(name) = only {
        domain(config, name)?;
    }
    let infos = config
        .stpds
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == **name))
        .map(|(&name, stpd)| {
            let wanted = match ports {
                Some(ports) => chosen(config, name, stpd, ports)?,
                None => BTreeSet::new(),
            };
            Ok(info(config, name, stpd, bridge(stpds, name), &wanted))
        });
    infos.collect::<Result<_, _>>().map(Reply::Stpds)
}

/// Sets the counters of one domain to zero, or of all.
///
/// # Errors
/// There is no such domain.
pub fn clear_counters(
    stpds: &mut Stpds,
    config: &Config,
    only: Option<StpdName>,
) -> Result<Reply, ApiError> {
    if let Some(name) = only {
        domain(config, name)?;
    }
    // A domain that does not run has counted nothing.
    let _ = stpds.clear_counters(only);
    Ok(Reply::Done {})
}

/// Opens ports to spanning tree again that BPDU guard has shut.
///
/// # Errors
/// There is no such domain or it is disabled, or a port does not take part in it.
pub fn recover(
    stpds: &mut Stpds,
    config: &Config,
    name: StpdName,
    ports: &PortSelection,
) -> Result<Reply, ApiError> {
    let ports = taking_part(stpds, config, name, ports)?;
    let is_shut = |port: &PortNo| {
        let port = bridge(stpds, name).and_then(|bridge| bridge.port(*port));
        port.is_some_and(|port| port.guard_shut)
    };
    let shut: Vec<PortNo> = ports.into_iter().filter(is_shut).collect();
    stpds.recover(name, &shut).map_err(not_there)?;
    Ok(Reply::StpdRecovered { ports: shut })
}

/// Tries RST BPDUs again on ports that fell back to those of 802.1D-1998 (mcheck, 802.1D-2004 17.19.13).
///
/// # Errors
/// There is no such domain, it is disabled or in mode dot1d, or a port does not take part in it.
pub fn check_migration(
    stpds: &mut Stpds,
    config: &Config,
    name: StpdName,
    ports: &PortSelection,
) -> Result<Reply, ApiError> {
    let ports: Vec<PortNo> = taking_part(stpds, config, name, ports)?
        .into_iter()
        .collect();
    if domain(config, name)?.mode == StpdMode::Dot1d {
        return Err(refuse(format!(
            "STP domain {name} is in mode dot1d, which has no RST BPDUs; `configure stpd {name} mode dot1w` \
             changes that"
        )));
    }
    stpds.mcheck(name, &ports).map_err(not_there)?;
    Ok(Reply::Done {})
}

/// Frames to spanning tree's addresses that no domain took.
#[must_use]
pub fn not_taken(stpds: &Stpds) -> StpNotTaken {
    let counters = stpds.not_taken();
    StpNotTaken {
        no_domain: counters.no_domain,
        malformed: counters.malformed,
    }
}

fn not_there(error: NotThere) -> ApiError {
    ApiError::new(ErrorKind::NotFound, error.to_string())
}

fn domain(config: &Config, name: StpdName) -> Result<&StpdConfig, ApiError> {
    config.stpds.get(&name).ok_or_else(|| {
        ApiError::new(
            ErrorKind::NotFound,
            format!(
                "STP domain {name} does not exist; `show stpd` lists those that do, and \
                 `create stpd {name}` makes it one of them"
            ),
        )
    })
}

/// The running bridge of a domain; `None` while it is disabled.
fn bridge(stpds: &Stpds, name: StpdName) -> Option<&Bridge> {
    stpds.domain(&name).map(Domain::bridge)
}

/// The members of a domain's VLANs, whether they take part or not.
fn members(config: &Config, stpd: &StpdConfig) -> BTreeSet<PortNo> {
    let ports = config.ports.iter();
    ports
        .filter(|(_, port)| port.is_member_of_any(&stpd.vlans))
        .map(|(&number, _)| number)
        .collect()
}

/// The ports of a domain that are meant.
fn chosen(
    config: &Config,
    name: StpdName,
    stpd: &StpdConfig,
    ports: &PortSelection,
) -> Result<BTreeSet<PortNo>, ApiError> {
    let members = members(config, stpd);
    let PortSelection::List(list) = ports else {
        return Ok(members);
    };
    match list.iter().find(|port| !members.contains(port)) {
        None => Ok(list.ports().clone()),
        Some(port) => Err(ApiError::new(
            ErrorKind::NotFound,
            format!(
                "port {port} is in no VLAN of STP domain {name}; `show stpd {name} ports` lists those that \
                 are"
            ),
        )),
    }
}

/// As [`chosen`], of an enabled domain: `all` are those that take part, and all that are named must.
fn taking_part(
    stpds: &Stpds,
    config: &Config,
    name: StpdName,
    ports: &PortSelection,
) -> Result<BTreeSet<PortNo>, ApiError> {
    let stpd = domain(config, name)?;
    let mut chosen = chosen(config, name, stpd, ports)?;
    let Some(bridge) = bridge(stpds, name) else {
        return Err(refuse(match stpd.enabled {
            false => format!(
                "STP domain {name} is disabled, all its ports forward; `enable stpd {name}` changes that"
            ),
            true => format!("STP domain {name} does not run; `show log` says why"),
        }));
    };
    match ports {
        PortSelection::All => chosen.retain(|&port| bridge.port(port).is_some()),
        PortSelection::List(_) => {
            if let Some(port) = chosen.iter().find(|&&port| bridge.port(port).is_none()) {
                return Err(refuse(format!(
                    "port {port} takes no part in STP domain {name}; `enable stpd {name} ports {port}` \
                     changes that"
                )));
            }
        }
    }
    Ok(chosen)
}

fn info(
    config: &Config,
    name: StpdName,
    stpd: &StpdConfig,
    bridge: Option<&Bridge>,
    wanted: &BTreeSet<PortNo>,
) -> StpdInfo {
    let mut port_counts = StpPortCounts::default();
    for port in members(config, stpd) {
        let (role, state) = role_and_state(bridge, port);
        port_counts.count(role, state);
    }
    let port_info = |&port: &PortNo| {
        let (role, state) = role_and_state(bridge, port);
        let status = bridge.and_then(|bridge| bridge.port(port));
        StpdPortInfo {
            port,
            role,
            state,
            settings: settings(stpd, port),
            status: status.map(|port| Box::new(status::of(port, stpd.path_cost_method))),
        }
    };
    StpdInfo {
        name,
        enabled: stpd.enabled,
        mode: stpd.mode,
        tag: stpd.tag,
        vlans: stpd.vlans.iter().copied().collect(),
        default_encapsulation: stpd.default_encapsulation,
        priority: stpd.priority,
        bridge_times: StpTimes {
            message_age: 0,
            max_age: stpd.max_age,
            hello_time: stpd.hello_time,
            forward_delay: stpd.forward_delay,
        },
        tx_hold_count: stpd.tx_hold_count,
        path_cost_method: stpd.path_cost_method,
        port_counts,
        tree: bridge.map(tree),
        ports: wanted.iter().map(port_info).collect(),
    }
}

fn role_and_state(bridge: Option<&Bridge>, port: PortNo) -> (StpRole, StpState) {
    match bridge.and_then(|bridge| bridge.port(port)) {
        Some(port) => (port.role.into(), port.opening().into()),
        None => (StpRole::None, Opening::Forwarding.into()),
    }
}

fn settings(stpd: &StpdConfig, port: PortNo) -> StpdPortSettings {
    let settings = stpd.port(port);
    StpdPortSettings {
        enabled: settings.enabled,
        encapsulation: stpd.encapsulation(port),
        default_encapsulation: settings.encapsulation.is_none(),
        priority: settings.priority,
        cost: settings.cost,
        link_type: settings.link_type,
        auto_edge: settings.auto_edge,
        bpdu_guard: settings.bpdu_guard,
        bpdu_guard_recovery_seconds: settings.bpdu_guard_recovery,
        root_guard: settings.root_guard,
        bpdu_filter: settings.bpdu_filter,
        loop_guard: settings.loop_guard,
    }
}

fn tree(bridge: &Bridge) -> StpTree {
    /// The number in a port identifier (9.2.7).
    const NUMBER: u16 = 0x0fff;
    let state = bridge.state();
    StpTree {
        bridge_id: state.config.id().into(),
        root_id: state.root_priority.root.into(),
        root_path_cost: state.root_priority.root_path_cost,
        root_port: PortNo::new(state.root_port_id.0 & NUMBER),
        times: state.root_times.into(),
        topology_changes: state.topology_changes,
        seconds_since_topology_change: Some(state.since_topology_change)
            .filter(|_| state.topology_changes > 0),
        topology_change: bridge.ports().iter().any(|port| port.tc_while > 0),
    }
}
