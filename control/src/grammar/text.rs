//! Commands written back: a change or a request as the line that means it.

mod stpd;

use std::fmt::Write as _;

use hitless_common::{Mac, PortNo};
use hitless_proto::config::{
    AcceptFrames, ConfigChange, FdbChange, ImageChange, LinkAction, MsmFailoverChange, OffloadMode,
    PortChange, PreserveState, SnmpChange, StaticTarget, StormKind, SysRecoveryLevel, Tagging,
    VlanChange, VlanRef,
};

use super::words::{quoted, quoted_if_needed};
use crate::northbound::api::{ConfigurationSource, Fault, Request};

/// Changes that [`command_line`] writes out at most; a whole configuration would make a log line of megabytes.
const WRITTEN_OUT: usize = 16;

/// The command that makes this change: `parse(text(change))` is the change again, as long as its values are ones that
/// a configuration can have.
///
/// Three changes that programs can make are no command, since they say nothing or nothing more: a VLAN with neither
/// name nor id, keepalives with neither interval nor misses, state preserved while links are taken down.
#[must_use]
pub fn text(change: &ConfigChange) -> String {
    match change {
        ConfigChange::CreateVlan { name, tag } => match (name, tag) {
            (None, None) => "create vlan".into(),
            (None, Some(tag)) => format!("create vlan {tag}"),
            (Some(name), None) => format!("create vlan {name}"),
            (Some(name), Some(tag)) => format!("create vlan {name} tag {tag}"),
        },
        ConfigChange::DeleteVlan { vlan } => format!("delete vlan {vlan}"),
        ConfigChange::Vlan { vlan, change } => {
            format!("configure vlan {vlan} {}", vlan_change(change))
        }
        ConfigChange::PortDevice { port, device } => format!(
            "configure port {port} device {}",
            quoted_if_needed(device.as_str())
        ),
        ConfigChange::Ports { ports, change } => match change {
            PortChange::Enabled { enabled: true } => format!("enable ports {ports}"),
            PortChange::Enabled { enabled: false } => format!("disable ports {ports}"),
            change => format!("configure ports {ports} {}", port_change(change)),
        },
        ConfigChange::UnconfigurePorts { ports } => format!("unconfigure ports {ports}"),
        ConfigChange::CreateFdbEntry { mac, vlan, target } => {
            let target = match target {
                StaticTarget::Port(port) => format!("port {port}"),
                StaticTarget::Blackhole => "blackhole".into(),
            };
            format!("create fdbentry {mac} vlan {vlan} {target}")
        }
        ConfigChange::DeleteFdbEntry { mac, vlan } => format!("delete fdbentry {mac} vlan {vlan}"),
        ConfigChange::Fdb(change) => format!("configure fdb {}", fdb_change(change)),
        ConfigChange::Snmp(change) => {
            let (name, text) = match change {
                SnmpChange::Sysname { text } => ("sysname", text),
                SnmpChange::Syscontact { text } => ("syscontact", text),
                SnmpChange::Syslocation { text } => ("syslocation", text),
            };
            format!("configure snmp {name} {}", quoted_if_needed(text))
        }
        ConfigChange::UnconfigureSnmp => "unconfigure snmp".into(),
        ConfigChange::MsmFailover(change) => {
            format!("configure msm-failover {}", msm_failover_change(change))
        }
        ConfigChange::UnconfigureMsmFailover => "unconfigure msm-failover".into(),
        ConfigChange::Image(change) => match change {
            ImageChange::Unsigned { policy } => format!("configure image unsigned {policy}"),
            ImageChange::AddKey { key } => format!("configure image add key {key}"),
            ImageChange::DeleteKey { key } => format!("configure image delete key {key}"),
        },
        ConfigChange::CreateStpd { stpd } => format!("create stpd {stpd}"),
        ConfigChange::DeleteStpd { stpd } => format!("delete stpd {stpd}"),
        ConfigChange::UnconfigureStpd { stpd } => format!("unconfigure stpd {stpd}"),
        ConfigChange::Stpd { stpd, change } => stpd::change(stpd, change),
        ConfigChange::SysRecoveryLevel { level } => {
            let level = match level {
                SysRecoveryLevel::All => "all",
                SysRecoveryLevel::Critical => "critical",
            };
            format!("configure sys-recovery-level {level} msm-failover")
        }
    }
}

fn vlan_change(change: &VlanChange) -> String {
    match change {
        VlanChange::Tag { id } => format!("tag {id}"),
        VlanChange::Name { name } => format!("name {name}"),
        VlanChange::AddPorts { ports, tagging } => {
            let tagging = match tagging {
                Tagging::Tagged => "tagged",
                Tagging::Untagged => "untagged",
            };
            format!("add ports {ports} {tagging}")
        }
        VlanChange::DeletePorts { ports } => format!("delete ports {ports}"),
        VlanChange::LimitLearning { limit } => limit_learning(*limit),
        VlanChange::Learning { enabled } => format!("learning {}", on_off(*enabled)),
        VlanChange::LoopFreePorts { ports } => format!("loop-free-ports {ports}"),
    }
}

fn port_change(change: &PortChange) -> String {
    match change {
        PortChange::Enabled { enabled } => format!("enabled {}", on_off(*enabled)),
        PortChange::AcceptFrames { frames } => {
            let frames = match frames {
                AcceptFrames::All => "all",
                AcceptFrames::Tagged => "tagged",
                AcceptFrames::Untagged => "untagged",
            };
            format!("accept-frames {frames}")
        }
        PortChange::IngressFiltering { enabled } => {
            format!("ingress-filtering {}", on_off(*enabled))
        }
        PortChange::Offload { mode } => {
            let mode = match mode {
                OffloadMode::Auto => "auto",
                OffloadMode::Xdp => "xdp",
                OffloadMode::Tc => "tc",
            };
            format!("offload {mode}")
        }
        PortChange::TrustFarEnd { enabled } => format!("trust-far-end {}", on_off(*enabled)),
        PortChange::LimitLearning { limit } => limit_learning(*limit),
        PortChange::RateLimit { kind, rate } => {
            let kind = match kind {
                StormKind::Broadcast => "broadcast",
                StormKind::Multicast => "multicast",
                StormKind::UnknownUnicast => "unknown-unicast",
            };
            match rate {
                Some(rate) => format!("rate-limit {kind} {rate}"),
                None => format!("rate-limit {kind} off"),
            }
        }
    }
}

fn fdb_change(change: &FdbChange) -> String {
    match change {
        FdbChange::AgingTime { seconds } => format!("agingtime {seconds}"),
        FdbChange::Size { entries } => format!("size {entries}"),
        FdbChange::Damping {
            moves,
            within_seconds,
            hold_seconds,
        } => format!("damping moves {moves} within {within_seconds} hold {hold_seconds}"),
        FdbChange::DampingOff => "damping off".into(),
    }
}

fn msm_failover_change(change: &MsmFailoverChange) -> String {
    match change {
        MsmFailoverChange::SlaveConfig(from) => format!("slave-config {from}"),
        MsmFailoverChange::LinkAction { action, preserve } => match (action, preserve) {
            (LinkAction::KeepLinksUp, Some(PreserveState::L2)) => {
                "link-action keep-links-up preserve-state l2".into()
            }
            (LinkAction::KeepLinksUp, Some(PreserveState::L2L3)) => {
                "link-action keep-links-up preserve-state l2_l3".into()
            }
            (action, _) => format!("link-action {action}"),
        },
        MsmFailoverChange::Timeout { seconds } => format!("timeout {seconds}"),
        MsmFailoverChange::Keepalive {
            interval_ms,
            misses,
        } => {
            let mut text = String::from("keepalive");
            if let Some(ms) = interval_ms {
                text += &format!(" interval {ms}");
            }
            if let Some(misses) = misses {
                text += &format!(" misses {misses}");
            }
            text
        }
        MsmFailoverChange::Watchdog { ms: 0 } => "watchdog off".into(),
        MsmFailoverChange::Watchdog { ms } => format!("watchdog {ms}"),
        MsmFailoverChange::Freshness { ms } => format!("freshness {ms}"),
        MsmFailoverChange::Lease { ms } => format!("lease {ms}"),
    }
}

fn limit_learning(limit: Option<i64>) -> String {
    match limit {
        Some(limit) => format!("limit-learning {limit}"),
        None => "limit-learning unlimited".into(),
    }
}

fn on_off(enabled: bool) -> &'static str {
    if enabled { "on" } else { "off" }
}

/// The line that asks for this, for the audit log; `None` if there is no command that asks for it.
///
/// Several changes are separated by `; `. Where the request does not say all that was typed, the rest is left out: the file of a `download configuration`.
#[must_use]
pub fn command_line(request: &Request) -> Option<String> {
    Some(match request {
        Request::ShowVersion {} => "show version".into(),
        Request::ShowSwitch {} => "show switch".into(),
        // Asked by the shell itself, for its prompt.
        Request::ShowSession {} => return None,
        Request::ShowPorts { port: None } => "show ports".into(),
        Request::ShowPorts { port: Some(port) } => format!("show ports {port}"),
        Request::ShowVlan { vlan: None } => "show vlan".into(),
        Request::ShowVlan { vlan: Some(vlan) } => format!("show vlan {vlan}"),
        Request::ShowFdb {
            vlan, port, mac, ..
        } => fdb_filter("show fdb", vlan.as_ref(), *port, *mac),
        Request::ShowCounters {} => "show counters".into(),
        Request::ShowStpd { .. }
        | Request::ClearStpdCounters { .. }
        | Request::RecoverStpdPorts { .. }
        | Request::CheckStpdMigration { .. } => return stpd::command_line(request),
        Request::ClearFdb { vlan, port, mac } => {
            fdb_filter("clear fdb", vlan.as_ref(), *port, *mac)
        }
        Request::ClearHardware {} => "clear hardware".into(),
        Request::ShowMsmFailover {} => "show msm-failover".into(),
        Request::RunMsmFailover { force } => option("run msm-failover", *force, "force"),
        Request::Configure {
            changes,
            confirmed_seconds,
        } => {
            let mut lines: Vec<String> = changes.iter().take(WRITTEN_OUT).map(text).collect();
            let more = changes.len() - lines.len();
            if more > 0 {
                lines.push(format!("and {more} more"));
            }
            confirmed(lines.join("; "), *confirmed_seconds)
        }
        Request::ReplaceConfiguration {
            confirmed_seconds, ..
        } => confirmed("download configuration".into(), *confirmed_seconds),
        Request::ShowConfiguration { which } => match which {
            ConfigurationSource::Running => "show configuration".into(),
            ConfigurationSource::Primary => "show configuration primary".into(),
            ConfigurationSource::Secondary => "show configuration secondary".into(),
            ConfigurationSource::Selected => "show configuration diff".into(),
        },
        Request::ConfirmConfiguration {} => "confirm configuration".into(),
        Request::RollbackConfiguration {} => "rollback configuration".into(),
        Request::UseConfiguration { bank } => format!("use configuration {bank}"),
        Request::DownloadImage { file, bank } => {
            let file = quoted_if_needed(&file.to_string_lossy());
            match bank {
                Some(bank) => format!("download image {file} {bank}"),
                None => format!("download image {file}"),
            }
        }
        Request::ShowDownload {} => "show download image".into(),
        Request::UseImage { bank, slot } => match slot {
            Some(slot) => format!("use image {bank} slot {slot}"),
            None => format!("use image {bank}"),
        },
        Request::RebootSlot { slot, hard_reset } => {
            option(&format!("reboot slot {slot}"), *hard_reset, "hard-reset")
        }
        Request::CheckMsmFailover {} => "check msm-failover".into(),
        Request::ShowLog {
            count, slot, level, ..
        } => {
            let mut line = String::from("show log");
            if *count > 0 {
                let _ = write!(line, " {count}");
            }
            if let Some(slot) = slot {
                let _ = write!(line, " slot {slot}");
            }
            if let Some(level) = level {
                let _ = write!(line, " level {level}");
            }
            line
        }
        Request::ClearQuarantine {} => "clear quarantine".into(),
        Request::Save { bank: None } => "save".into(),
        Request::Save { bank: Some(bank) } => format!("save {bank}"),
        Request::Upgrade {
            file,
            conservative,
            dry_run,
            accept_within_seconds,
            ..
        } => {
            let line = format!("upgrade {}", quoted(&file.display().to_string()));
            let line = option(&line, *conservative, "conservative");
            let mut line = option(&line, *dry_run, "dry-run");
            if let Some(seconds) = accept_within_seconds {
                let _ = write!(line, " accept-within {seconds}s");
            }
            line
        }
        Request::ShowUpgrade {} => "show upgrade".into(),
        Request::AcceptUpgrade {} => "upgrade accept".into(),
        Request::RollBackUpgrade { .. } => "rollback".into(),
        Request::InjectFault { fault } => match fault {
            // In quotes it is no abbreviation of one that is known.
            Fault::Other(name) => format!("debug fault {}", quoted(name)),
            fault => format!("debug fault {fault}"),
        },
    })
}

fn option(line: &str, given: bool, word: &str) -> String {
    if given {
        format!("{line} {word}")
    } else {
        line.into()
    }
}

fn confirmed(line: String, seconds: Option<u32>) -> String {
    match seconds {
        Some(seconds) => format!("{line} confirmed {seconds}"),
        None => line,
    }
}

fn fdb_filter(
    command: &str,
    vlan: Option<&VlanRef>,
    port: Option<PortNo>,
    mac: Option<Mac>,
) -> String {
    let mut line = String::from(command);
    if let Some(vlan) = vlan {
        let _ = write!(line, " vlan {vlan}");
    }
    if let Some(port) = port {
        let _ = write!(line, " port {port}");
    }
    if let Some(mac) = mac {
        let _ = write!(line, " mac {mac}");
    }
    line
}
