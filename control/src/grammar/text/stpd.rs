//! Commands about spanning tree domains.

use hitless_proto::config::{StpdChange, StpdName, StpdPortChange};
use hitless_proto::stp::CostMethod;

use super::on_off;
use crate::northbound::api::Request;

/// The command that makes this change of a domain.
pub(super) fn change(stpd: &StpdName, change: &StpdChange) -> String {
    let setting = match change {
        StpdChange::Enabled { enabled } => return format!("{} stpd {stpd}", able(*enabled)),
        StpdChange::Ports {
            ports,
            change: StpdPortChange::Enabled { enabled },
        } => return format!("{} stpd {stpd} ports {ports}", able(*enabled)),
        StpdChange::Mode { mode } => format!("mode {mode}"),
        StpdChange::Tag { tag: Some(tag) } => format!("tag {tag}"),
        StpdChange::Tag { tag: None } => "tag none".into(),
        StpdChange::Priority { priority } => format!("priority {priority}"),
        StpdChange::HelloTime { seconds } => format!("hellotime {seconds}"),
        StpdChange::MaxAge { seconds } => format!("maxage {seconds}"),
        StpdChange::ForwardDelay { seconds } => format!("forwarddelay {seconds}"),
        StpdChange::TxHoldCount { count } => format!("txholdcount {count}"),
        StpdChange::PathCostMethod { method } => match method {
            CostMethod::Short => "pathcost-method short".into(),
            CostMethod::Long => "pathcost-method long".into(),
        },
        StpdChange::DefaultEncapsulation { encapsulation } => {
            format!("default-encapsulation {encapsulation}")
        }
        StpdChange::AddVlan { vlan } => format!("add vlan {vlan}"),
        StpdChange::DeleteVlan { vlan } => format!("delete vlan {vlan}"),
        StpdChange::Ports { ports, change } => format!("ports {ports} {}", port_change(change)),
    };
    format!("configure stpd {stpd} {setting}")
}

fn able(enabled: bool) -> &'static str {
    if enabled { "enable" } else { "disable" }
}

fn port_change(change: &StpdPortChange) -> String {
    match change {
        StpdPortChange::Enabled { enabled } => format!("enabled {}", on_off(*enabled)),
        StpdPortChange::Encapsulation { encapsulation } => match encapsulation {
            Some(encapsulation) => format!("mode {encapsulation}"),
            None => "mode default".into(),
        },
        StpdPortChange::Priority { priority } => format!("priority {priority}"),
        StpdPortChange::Cost { cost: Some(cost) } => format!("cost {cost}"),
        StpdPortChange::Cost { cost: None } => "cost auto".into(),
        StpdPortChange::LinkType { link_type } => format!("link-type {link_type}"),
        StpdPortChange::AutoEdge { enabled } => format!("auto-edge {}", on_off(*enabled)),
        StpdPortChange::BpduGuard { enabled, recovery } => {
            let guard = format!("bpdu-guard {}", on_off(*enabled));
            match recovery {
                Some(seconds) if *enabled => format!("{guard} recovery-timeout {seconds}"),
                _ => guard,
            }
        }
        StpdPortChange::RootGuard { enabled } => format!("root-guard {}", on_off(*enabled)),
        StpdPortChange::BpduFilter { enabled } => format!("bpdu-filter {}", on_off(*enabled)),
        StpdPortChange::LoopGuard { enabled } => format!("loop-guard {}", on_off(*enabled)),
    }
}

/// The line that asks for this; `None` for requests about other things.
pub(super) fn command_line(request: &Request) -> Option<String> {
    Some(match request {
        Request::ShowStpd { stpd: None, .. } => "show stpd".into(),
        Request::ShowStpd {
            stpd: Some(stpd),
            ports: None,
        } => format!("show stpd {stpd}"),
        Request::ShowStpd {
            stpd: Some(stpd),
            ports: Some(ports),
        } => format!("show stpd {stpd} ports {ports}"),
        Request::ClearStpdCounters { stpd: None } => "clear counters stpd".into(),
        Request::ClearStpdCounters { stpd: Some(stpd) } => format!("clear counters stpd {stpd}"),
        Request::RecoverStpdPorts { stpd, ports } => {
            format!("clear stpd {stpd} ports {ports} bpdu-guard")
        }
        Request::CheckStpdMigration { stpd, ports } => {
            format!("clear stpd {stpd} ports {ports} protocol-migration")
        }
        _ => return None,
    })
}
