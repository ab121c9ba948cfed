//! Spanning tree domains and their ports.

use hitless_proto::config::{StpEncapsulation, StpLinkType, StpdMode};
use hitless_proto::stp::CostMethod;

use super::{Number, Style, Text, duration, lines, optional, or_dash, ranges, table, yes_no};
use crate::northbound::api::{
    StpCounters, StpInfo, StpRole, StpTimers, StpTimes, StpTree, StpdInfo, StpdPortInfo,
    StpdPortSettings, StpdPortStatus,
};

/// What the letters of the port table mean, as ExtremeWare explains its own.
const FLAGS: &str = "
Flags: (1) e=enabled in the domain, d=disabled
       (2) configured link type: a=auto, e=edge, b=broadcast, p=point-to-point
       (3) link type now: e=edge, b=broadcast, p=point-to-point
       (4) p=proposing, a=agreed
       (5) BPDUs sent: d=802.1D, w=802.1w
       (6) B=shut by BPDU guard, L=held by loop guard, R=held by root guard,
           !=disputed
";

/// `clear counters stpd`.
pub(in crate::cli) const COUNTERS_CLEARED: &str = "The counters are zero.\n";

/// `clear stpd <stpd> ports <ports> protocol-migration`.
pub(in crate::cli) const MIGRATION_CHECKED: &str =
    "These ports send RST BPDUs, unless a neighbour goes on with others.\n";

/// `show stpd`.
pub(in crate::cli) fn summary(stpds: &[StpdInfo], style: Style) -> String {
    let columns = [
        Text("STPD"),
        Number("Tag"),
        Text("Enabled"),
        Text("Mode"),
        Number("Ports"),
        Text("Designated root"),
        Text("Root port"),
    ];
    let row = |stpd: &StpdInfo| {
        vec![
            stpd.name.to_string(),
            optional(stpd.tag),
            yes_no(stpd.enabled),
            stpd.mode.to_string(),
            stpd.port_counts.total.to_string(),
            optional(stpd.tree.as_ref().map(|tree| tree.root_id)),
            optional(stpd.tree.as_ref().map(root_port)),
        ]
    };
    table(&columns, stpds.iter().map(row), style)
}

/// `show stpd <stpd>`.
pub(in crate::cli) fn domain(stpd: &StpdInfo) -> String {
    let counts = &stpd.port_counts;
    let roles = listed(&[
        (counts.root, "root"),
        (counts.designated, "designated"),
        (counts.alternate, "alternate"),
        (counts.backup, "backup"),
        (counts.disabled, "disabled"),
        (counts.no_part, "taking no part"),
    ]);
    let states = listed(&[
        (counts.forwarding, "forwarding"),
        (counts.learning, "learning"),
        (counts.discarding, "discarding"),
    ]);
    let mut text = vec![
        ("STPD", stpd.name.to_string()),
        (
            "Enabled",
            match (stpd.enabled, &stpd.tree) {
                (true, None) => "yes, but it does not run: see show log".into(),
                (enabled, _) => yes_no(enabled),
            },
        ),
        ("Mode", stpd.mode.to_string()),
        ("Tag (StpdID)", optional(stpd.tag)),
        (
            "Default encapsulation",
            stpd.default_encapsulation.to_string(),
        ),
        ("VLANs", ranges(stpd.vlans.iter().map(|vlan| vlan.get()))),
        ("Ports", counts.total.to_string()),
        ("Roles", or_dash(roles)),
        ("States", or_dash(states)),
        ("Bridge priority", stpd.priority.to_string()),
    ];
    if let Some(tree) = &stpd.tree {
        text.extend(tree_lines(tree));
    }
    text.extend([
        ("Configured times", times(&stpd.bridge_times)),
        ("Transmit hold count", stpd.tx_hold_count.to_string()),
        (
            "Path cost method",
            cost_method(stpd.path_cost_method).into(),
        ),
    ]);
    lines(&text)
}

fn tree_lines(tree: &StpTree) -> [(&'static str, String); 8] {
    let since = tree
        .seconds_since_topology_change
        .map(|seconds| format!("{} ago", duration(seconds.into())));
    [
        ("Bridge id", tree.bridge_id.to_string()),
        ("Designated root", tree.root_id.to_string()),
        ("Root path cost", tree.root_path_cost.to_string()),
        ("Root port", root_port(tree)),
        ("Times in force", times(&tree.times)),
        ("Topology changes", tree.topology_changes.to_string()),
        ("Last topology change", optional(since)),
        ("Topology change now", yes_no(tree.topology_change)),
    ]
}

/// The port towards the root, or that there is none.
fn root_port(tree: &StpTree) -> String {
    match tree.root_port {
        Some(port) => port.to_string(),
        None if tree.root_id == tree.bridge_id => "is root".into(),
        None => "-".into(),
    }
}

fn times(times: &StpTimes) -> String {
    format!(
        "max age {} s, hello time {} s, forward delay {} s",
        times.max_age, times.hello_time, times.forward_delay
    )
}

/// `1 root, 2 designated`, without what is zero.
fn listed(counts: &[(impl Into<u64> + Copy, &str)]) -> String {
    let counts = counts.iter().map(|&(count, name)| (count.into(), name));
    let counts: Vec<String> = counts
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    counts.join(", ")
}

/// `show stpd <stpd> ports`.
pub(in crate::cli) fn ports(ports: &[StpdPortInfo], style: Style) -> String {
    let columns = [
        Number("Port"),
        Text("Mode"),
        Text("Role"),
        Text("State"),
        Number("Cost"),
        Text("Flags"),
        Text("Designated bridge"),
    ];
    let row = |port: &StpdPortInfo| {
        let status = port.status.as_deref();
        vec![
            port.port.to_string(),
            short(port.settings.encapsulation).into(),
            role(port.role),
            port.state.to_string(),
            optional(status.map(|status| status.cost).or(port.settings.cost)),
            flags(&port.settings, status),
            optional(
                status
                    .filter(|status| status.info != StpInfo::Disabled)
                    .map(|status| status.designated_bridge),
            ),
        ]
    };
    table(&columns, ports.iter().map(row), style) + FLAGS
}

fn role(role: StpRole) -> String {
    match role {
        StpRole::None => "-".into(),
        role => role.to_string(),
    }
}

fn flags(settings: &StpdPortSettings, status: Option<&StpdPortStatus>) -> String {
    let configured = match settings.link_type {
        StpLinkType::Auto => 'a',
        StpLinkType::Edge => 'e',
        StpLinkType::Broadcast => 'b',
        StpLinkType::PointToPoint => 'p',
    };
    let of_status = |letter: fn(&StpdPortStatus) -> char| status.map_or('-', letter);
    [
        if settings.enabled { 'e' } else { 'd' },
        configured,
        of_status(|status| match (status.edge, status.point_to_point) {
            _ if !status.link_up => '-',
            (true, _) => 'e',
            (false, true) => 'p',
            (false, false) => 'b',
        }),
        // An edge port has nobody to wait for.
        of_status(|status| match (status.proposing, status.agreed) {
            (true, _) if !status.edge => 'p',
            (_, true) => 'a',
            _ => '-',
        }),
        of_status(|status| match status.sends {
            StpdMode::Dot1d => 'd',
            StpdMode::Dot1w => 'w',
        }),
        of_status(|status| match status {
            _ if status.bpdu_guard_shut => 'B',
            _ if status.loop_guarding => 'L',
            _ if status.root_guarding => 'R',
            _ if status.disputed => '!',
            _ => '-',
        }),
    ]
    .iter()
    .collect()
}

/// `show stpd <stpd> ports detail`.
pub(in crate::cli) fn details(ports: &[StpdPortInfo]) -> String {
    let pages: Vec<String> = ports.iter().map(detail).collect();
    pages.join("\n")
}

fn detail(port: &StpdPortInfo) -> String {
    let settings = &port.settings;
    let status = port.status.as_deref();
    let mut text = vec![
        ("Port", port.port.to_string()),
        ("Enabled", yes_no(settings.enabled)),
        ("Role", role(port.role)),
        ("State", port.state.to_string()),
        (
            "Encapsulation",
            match settings.default_encapsulation {
                true => format!("{} (by default)", settings.encapsulation),
                false => settings.encapsulation.to_string(),
            },
        ),
        ("Priority", settings.priority.to_string()),
        (
            "Cost",
            match (status, settings.cost) {
                (_, Some(cost)) => cost.to_string(),
                (Some(status), None) => format!("{} (auto)", status.cost),
                (None, None) => "auto".into(),
            },
        ),
        ("Link type", link(settings, status)),
        ("Auto edge", on_off(settings.auto_edge, None)),
        ("BPDU guard", bpdu_guard(settings, status)),
        (
            "Root guard",
            on_off(
                settings.root_guard,
                status
                    .filter(|status| status.root_guarding)
                    .map(|_| "keeps a better root out"),
            ),
        ),
        (
            "Loop guard",
            on_off(
                settings.loop_guard,
                status
                    .filter(|status| status.loop_guarding)
                    .map(|_| "holds the port closed"),
            ),
        ),
        ("BPDU filter", on_off(settings.bpdu_filter, None)),
    ];
    if let Some(status) = status {
        text.extend(status_lines(status));
        text.extend(counter_lines(&status.counters));
    }
    lines(&text)
}

fn status_lines(status: &StpdPortStatus) -> Vec<(&'static str, String)> {
    let handshake = [
        (status.proposing, "proposing"),
        (status.proposed, "proposed"),
        (status.agree, "agree"),
        (status.agreed, "agreed"),
        (status.synced, "synced"),
        (status.disputed, "disputed"),
    ];
    let handshake: Vec<&str> = handshake
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| *name)
        .collect();
    let machines = &status.machines;
    vec![
        ("Port id", format!("{:04x}", status.port_id)),
        ("BPDUs sent", version(status.sends).into()),
        ("Information", status.info.to_string()),
        ("Designated root", status.designated_root.to_string()),
        ("Designated cost", status.designated_cost.to_string()),
        ("Designated bridge", status.designated_bridge.to_string()),
        ("Designated port", format!("{:04x}", status.designated_port)),
        ("Message age", format!("{} s", status.times.message_age)),
        ("Times", times(&status.times)),
        ("Handshake", or_dash(handshake.join(", "))),
        ("Timers (s)", timers(&status.timers)),
        (
            "Receive machines",
            format!(
                "PRX {}, PPM {}, BDM {}",
                machines.receive, machines.migration, machines.detection
            ),
        ),
        (
            "Tree machines",
            format!(
                "PIM {}, PRT {}, PST {}, TCM {}",
                machines.information,
                machines.role_transitions,
                machines.state_transition,
                machines.topology_change
            ),
        ),
    ]
}

/// What spanning tree calls the protocol of a neighbour's or a port's BPDUs.
fn version(mode: StpdMode) -> &'static str {
    match mode {
        StpdMode::Dot1d => "802.1D",
        StpdMode::Dot1w => "802.1w",
    }
}

/// An encapsulation in few letters, as ExtremeWare has it in its tables.
fn short(encapsulation: StpEncapsulation) -> &'static str {
    match encapsulation {
        StpEncapsulation::Dot1d => "802.1D",
        StpEncapsulation::Emistp => "EMISTP",
        StpEncapsulation::PvstPlus => "PVST+",
    }
}

fn cost_method(method: CostMethod) -> &'static str {
    match method {
        CostMethod::Short => "short",
        CostMethod::Long => "long",
    }
}

fn on_off(on: bool, more: Option<&str>) -> String {
    let word = if on { "on" } else { "off" };
    more.map_or(word.into(), |more| format!("{word}, {more}"))
}

fn link(settings: &StpdPortSettings, status: Option<&StpdPortStatus>) -> String {
    let now = status.map(|status| {
        let kind = match (status.edge, status.point_to_point) {
            (true, _) => "edge",
            (false, true) => "point-to-point",
            (false, false) => "broadcast",
        };
        match (status.link_up, status.speed_mbps) {
            (false, _) => "no link".into(),
            (true, None) => kind.to_string(),
            (true, Some(mbps)) => format!("{kind}, {mbps} Mbit/s"),
        }
    });
    match now {
        None => settings.link_type.to_string(),
        Some(now) => format!("{now} (configured: {})", settings.link_type),
    }
}

fn bpdu_guard(settings: &StpdPortSettings, status: Option<&StpdPortStatus>) -> String {
    let mut text = on_off(settings.bpdu_guard, None);
    if let Some(seconds) = settings.bpdu_guard_recovery_seconds {
        text += &format!(", recovery after {seconds} s");
    }
    match status {
        Some(status) if status.bpdu_guard_shut => match status.bpdu_guard_seconds {
            Some(seconds) => text += &format!("; has shut the port for {seconds} s more"),
            None => text += "; has shut the port",
        },
        _ => {}
    }
    text
}

/// Those that run.
fn timers(timers: &StpTimers) -> String {
    let running = timers.named().into_iter().filter(|(_, left)| *left > 0);
    let running: Vec<String> = running
        .map(|(name, left)| format!("{name} {left}"))
        .collect();
    or_dash(running.join(", "))
}

fn counter_lines(counters: &StpCounters) -> [(&'static str, String); 5] {
    let dropped = listed(&[
        (counters.malformed, "malformed"),
        (counters.on_disabled, "on a disabled port"),
        (counters.other_version, "of another version"),
        (counters.own, "its own"),
        (counters.filtered, "filtered"),
    ]);
    let incidents = listed(&[
        (counters.bpdu_guard, "BPDU guard"),
        (counters.root_guard, "root guard"),
        (counters.loop_guard, "loop guard"),
        (counters.info_aged, "neighbour silent"),
        (counters.disputed, "disputed"),
        (counters.too_old, "BPDU too old"),
        (counters.on_edge, "BPDU on an edge port"),
    ]);
    let bpdus = |rst, config, tcn| format!("{rst} RST, {config} Config, {tcn} TCN");
    [
        (
            "Received",
            bpdus(counters.rx_rst, counters.rx_config, counters.rx_tcn),
        ),
        (
            "Sent",
            bpdus(counters.tx_rst, counters.tx_config, counters.tx_tcn),
        ),
        ("Dropped", or_dash(dropped)),
        ("Incidents", or_dash(incidents)),
        (
            "Changes",
            format!(
                "began to forward {} times, heard of {} topology changes",
                counters.forward_transitions, counters.rx_topology_change
            ),
        ),
    ]
}

/// What a `clear stpd <stpd> ports <ports> bpdu-guard` opened.
pub(in crate::cli) fn recovered(ports: &[hitless_common::PortNo]) -> String {
    match ports {
        [] => "BPDU guard had shut none of these ports.\n".into(),
        ports => format!(
            "Open to spanning tree again: {}.\n",
            ranges(ports.iter().map(|port| port.get()))
        ),
    }
}

#[cfg(test)]
mod tests;
