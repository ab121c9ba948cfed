//! Answers about management modules and failover.

use std::time::Duration;

use super::{Number, Style, Text, bytes, duration, lines, optional, table};
use crate::cli::follow::MasterChange;
use crate::logbook::rfc3339;
use crate::northbound::api::{
    ConfiguredInfo, FailoverInfo, FailoverTimer, LeaseInfo, LeaseState, LogLine, LogPage,
    ModuleRole, ModuleSlot, ModuleStatus, MsmCheckInfo, MsmFailoverInfo, MsmFailoverSettings,
    Reason, SavedInfo,
};

#[cfg(test)]
mod tests;

/// What the T-sync guide has for a module that is absent or being started.
const NOT_AVAILABLE: &str = "<not available>";

/// `show msm-failover`.
pub(in crate::cli) fn failover(info: &MsmFailoverInfo, style: Style) -> String {
    let mut text = format!(
        "{}Switch {}, generation {} of masters\n\n",
        if info.unsaved { "* " } else { "" },
        info.switch,
        info.generation
    );
    text += &modules(&info.modules);
    let subsystems = subsystems(&info.modules, style);
    if !subsystems.is_empty() {
        text += "\nFailover status of the subsystems\n";
        text += &subsystems;
    }
    text += "\nFailover configuration\n";
    text += &settings(&info.settings);
    text += "\nFailover\n";
    text + &lines(&[
        (
            "Cause of last MSM failover",
            info.last_failover
                .as_ref()
                .map_or("none".into(), last_failover),
        ),
        ("Failovers by cause", counts(info)),
        ("Failover timer", timer(&info.timer)),
        (
            "Checkpoint lag",
            info.checkpoint.map_or("no standby".into(), |lag| {
                format!("{} records, {} ms", lag.records, lag.ms)
            }),
        ),
        (
            "Last bulk transfer",
            info.last_transfer.map_or("none".into(), |transfer| {
                format!(
                    "{}, {} records, {} in {} ms",
                    rfc3339(transfer.at_unix_ms),
                    transfer.records,
                    bytes(transfer.bytes),
                    transfer.duration_ms
                )
            }),
        ),
        ("Fallback", fallback(info)),
        ("Lease", lease(&info.lease)),
        ("Quarantined inputs", quarantine(info)),
        (
            "Configuration",
            if info.unsaved {
                "* has changes that are not saved".into()
            } else {
                "saved".into()
            },
        ),
    ])
}

/// The modules side by side.
fn modules(modules: &[ModuleStatus]) -> String {
    let row = |title: &str, value: &dyn Fn(&ModuleStatus) -> String| {
        let values = modules.iter().map(|module| format!("{:34}", value(module)));
        let line = format!("{title:14}{}", values.collect::<String>());
        line.trim_end().to_string() + "\n"
    };
    let old = |module: &ModuleStatus| match (module.old_state, module.old_reason) {
        (None, None) => "-".into(),
        (state, reason) => format!("{} ({})", optional(state), optional(reason)),
    };
    [
        row("Slot", &|m| m.slot.to_string()),
        row("Role", &|m| match m.role {
            ModuleRole::Absent if m.present => "absent, its hitless-boot runs".into(),
            role => role.to_string(),
        }),
        row("State", &|m| or_not_available(m.state)),
        row("Reason", &|m| or_not_available(m.reason)),
        row("Old state", &old),
        row("Version", &|m| optional(m.version.as_ref())),
        row("Process", &|m| optional(m.pid)),
        row("Uptime", &|m| optional(m.uptime_seconds.map(duration))),
        row("Memory", &|m| optional(m.memory_bytes.map(bytes))),
    ]
    .concat()
        + &images(modules)
}

/// Paths may be long, so they have a line each.
fn images(modules: &[ModuleStatus]) -> String {
    let image = |module: &ModuleStatus| {
        let image = module.image.as_ref()?;
        Some(format!("Image {:8}{}\n", module.slot, image.display()))
    };
    modules.iter().filter_map(image).collect()
}

fn or_not_available(value: Option<impl ToString>) -> String {
    value.map_or(NOT_AVAILABLE.into(), |value| value.to_string())
}

fn subsystems(modules: &[ModuleStatus], style: Style) -> String {
    let columns = [
        Text("Slot"),
        Text("Subsystem"),
        Text("State"),
        Text("Reason"),
        Text("Old state"),
        Text("Old reason"),
        Number("Records"),
    ];
    let rows: Vec<Vec<String>> = modules
        .iter()
        .flat_map(|module| module.subsystems.iter().map(move |s| (module.slot, s)))
        .map(|(slot, s)| {
            vec![
                slot.to_string(),
                s.name.clone(),
                s.state.to_string(),
                s.reason.to_string(),
                optional(s.old_state),
                optional(s.old_reason),
                s.records.to_string(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&columns, rows, style)
}

fn settings(settings: &MsmFailoverSettings) -> String {
    lines(&[
        ("Slave configuration", settings.slave_config.to_string()),
        ("Link action", settings.link_action.to_string()),
        ("Preserve state", settings.preserve_state.to_string()),
        (
            "Preservation level",
            format!("{} of 6", settings.preservation_level),
        ),
        ("Preserved", settings.preservation.clone()),
        ("Timeout", format!("{} s", settings.timeout_seconds)),
        (
            "System recovery",
            format!("after exceptions of {} tasks", settings.sys_recovery_level),
        ),
        (
            "Keepalives",
            format!(
                "every {} ms, lost after {}",
                settings.keepalive_interval_ms, settings.keepalive_misses
            ),
        ),
        (
            "Watchdog",
            settings
                .watchdog_ms
                .map_or("off".into(), |ms| format!("{ms} ms")),
        ),
        ("Freshness", format!("{} ms", settings.freshness_ms)),
        ("Lease", format!("{} ms", settings.lease_ms)),
    ])
}

fn last_failover(failover: &FailoverInfo) -> String {
    let mut text = format!(
        "{}, {} to {}\n{:29}{}, {}, {}",
        failover.cause,
        failover.from,
        failover.to,
        "",
        rfc3339(failover.at_unix_ms),
        milliseconds(failover.duration_us),
        verdict(failover)
    );
    if let Some(detail) = &failover.detail {
        text += &format!("\n{:29}{}", "", one_line(detail));
    }
    text
}

fn verdict(failover: &FailoverInfo) -> &'static str {
    if failover.hitless {
        "hitless"
    } else {
        "not hitless"
    }
}

fn counts(info: &MsmFailoverInfo) -> String {
    let counts = info.failovers.iter();
    let counts: Vec<String> = counts
        .map(|(cause, count)| format!("{count} {cause}"))
        .collect();
    if counts.is_empty() {
        "none".into()
    } else {
        counts.join(", ")
    }
}

fn timer(timer: &FailoverTimer) -> String {
    let state = if timer.running {
        format!("{} s left", timer.seconds_left)
    } else {
        "not running".into()
    };
    format!(
        "{state}, {} entries deleted when it ended last",
        timer.deleted
    )
}

/// Where `run msm-failover` leads back to.
fn fallback(info: &MsmFailoverInfo) -> String {
    let Some(fallback) = &info.fallback else {
        return "none".into();
    };
    let place = format!("{} in {}", fallback.version, fallback.slot);
    match fallback.reason {
        Reason::None => place,
        reason => format!("{place} is not possible any more ({reason})"),
    }
}

fn lease(lease: &LeaseInfo) -> String {
    match lease.state {
        LeaseState::Valid => format!("valid, {} ms left", lease.ms_left),
        state => state.to_string(),
    }
}

fn quarantine(info: &MsmFailoverInfo) -> String {
    let inputs = info.quarantine.iter().map(|input| {
        format!(
            "\n  {} {}, since {}, {} dropped",
            one_line(&input.kind),
            input.digest,
            rfc3339(input.at_unix_ms),
            input.dropped
        )
    });
    match info.quarantine.len() {
        0 => "none".into(),
        count => format!("{count}{}", inputs.collect::<String>()),
    }
}

/// Who is master after a failover.
pub(in crate::cli) fn new_master(
    was: Option<ModuleSlot>,
    after: &MsmFailoverInfo,
    answered: Duration,
) -> String {
    let master = after.in_role(ModuleRole::Master).map(|m| m.slot);
    let mut text = match (master, was) {
        (Some(now), Some(was)) if now != was => format!("{now} is master now; it was {was}.\n"),
        (Some(now), _) => format!("{now} is master again.\n"),
        (None, _) => "There is another master now.\n".into(),
    };
    match &after.last_failover {
        Some(failover) => {
            text += &format!(
                "Failover by {}: {} to the new master in charge, {}.\n",
                failover.cause,
                milliseconds(failover.duration_us),
                verdict(failover)
            );
            if let Some(detail) = &failover.detail {
                text += &format!("{}\n", one_line(detail));
            }
        }
        None => text += "It took over from nobody: the hardware was found without a master.\n",
    }
    text + &format!(
        "It answered here {} ms after the command.\n",
        answered.as_millis()
    )
}

/// A line about a change of mastership that happened meanwhile.
pub(in crate::cli) fn change(change: &MasterChange) -> String {
    let gap = change.gap_ms;
    match (&change.failover, change.master) {
        (Some(failover), _) => format!(
            "--- failover: {} -> {} by {}, {}; it answered after {gap} ms",
            failover.from,
            failover.to,
            failover.cause,
            verdict(failover)
        ),
        (None, Some(master)) => format!(
            "--- hitlessd was started again in {master} without a failover; it answered after {gap} ms"
        ),
        (None, None) => format!("--- another hitlessd answers, after {gap} ms"),
    }
}

/// The asterisk of ExtremeWare's prompt, in words.
pub(in crate::cli) const UNSAVED: &str =
    "* The running configuration has changes that are not saved; `save` keeps them.\n";

/// What a change of the running configuration came to: nothing to tell, mostly.
pub(in crate::cli) fn configured(done: &str, info: &ConfiguredInfo, hint: bool) -> String {
    let mut text = String::new();
    if !done.is_empty() {
        text += &format!("{done}\n");
    }
    for note in &info.notes {
        text += &format!("{note}\n");
    }
    if let Some(seconds) = info.rollback_seconds {
        text += &format!(
            "The configuration before is in force again in {seconds} s, unless you `confirm configuration`.\n"
        );
    }
    if info.unsaved && hint {
        text += UNSAVED;
    }
    text
}

/// `save`.
pub(in crate::cli) fn saved(info: &SavedInfo) -> String {
    let mut text = format!("Saved to {}.\n", info.path.display());
    if let Some(previous) = &info.previous {
        text += &format!("The file before is {}.\n", previous.display());
    }
    if info.in_place {
        text += "The file is mounted and could not be replaced at one stroke; it was overwritten where it is.\n";
    }
    text
}

/// `check msm-failover`.
pub(in crate::cli) fn check(info: &MsmCheckInfo, style: Style) -> String {
    let columns = [
        Text("Table"),
        Number("Master"),
        Number("Standby"),
        Number("Hardware"),
        Number("Differences"),
    ];
    let rows = info.tables.iter().map(|table| {
        vec![
            table.table.clone(),
            table.master.to_string(),
            optional(table.standby),
            optional(table.hardware),
            table.differences.to_string(),
        ]
    });
    let mut text = table(&columns, rows, style);
    for table in &info.tables {
        for example in &table.examples {
            text += &format!("{}: {}\n", table.table, one_line(example));
        }
    }
    text + &if info.equal {
        format!("Master, standby {} and hardware are equal.\n", info.standby)
    } else {
        format!("Master, standby {} and hardware differ.\n", info.standby)
    }
}

/// `clear quarantine`.
pub(in crate::cli) fn quarantine_cleared(removed: u64) -> String {
    match removed {
        0 => "Nothing was quarantined.\n".into(),
        1 => "1 input is taken in again.\n".into(),
        _ => format!("{removed} inputs are taken in again.\n"),
    }
}

/// `show log`.
pub(in crate::cli) fn log(page: &LogPage) -> String {
    page.lines.iter().map(log_line).collect()
}

/// A line of the log, with its newline. What a line about a change tells, its text tells already.
pub(in crate::cli) fn log_line(line: &LogLine) -> String {
    let mut text = format!(
        "{} {} {:5} {}",
        rfc3339(line.at_unix_ms),
        line.slot,
        line.level,
        one_line(&line.message)
    );
    if !line.fields.contains_key("audit") {
        for (name, value) in &line.fields {
            text += &format!(" {name}={}", one_line(value));
        }
    }
    text + "\n"
}

/// The text without anything that could make it more than a line, or command a terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn milliseconds(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}
