//! Upgrades for people.

use std::collections::HashSet;
use std::fmt::Write;

use crate::cli::upgrade::ProbeReport;
use crate::northbound::api::{
    Direction, Mode, Outcome, Step, UpgradeImage, UpgradePlan, UpgradeStatus, UpgradeVerdict,
};

/// When there is nothing to show.
pub(in crate::cli) const NONE: &str = "There was no upgrade.\n";

/// What a step does, as a title.
fn title(step: Step, status: &UpgradeStatus) -> String {
    let (new, old) = (&status.to.version, &status.from.version);
    match step {
        Step::Install => format!("Image {new} into bank {} of both slots", status.to.bank),
        Step::StartStandby => format!("Standby starts with {new}"),
        Step::Failover => format!("Failover to {new}"),
        Step::Verify => format!("{new} is master and verified"),
        Step::StartOther => format!("Other module starts with {new}"),
        Step::Accept => "Waits to be accepted".into(),
        Step::StartOld => format!("Standby starts with {old}"),
        Step::FailBack => format!("Failover back to {old}"),
        Step::Restore => format!("Other module starts with {old}"),
        Step::Done | Step::Unknown => step.to_string(),
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1_000, ms % 1_000)
}

fn image(image: &UpgradeImage) -> String {
    match image.git.is_empty() {
        true => image.version.clone(),
        false => format!("{} ({})", image.version, image.git),
    }
}

/// The answer that comes first.
pub(in crate::cli) fn verdict(plan: &UpgradePlan) -> String {
    let to = plan.to.as_ref().map(image).unwrap_or_default();
    let answer = match plan.verdict {
        Some(UpgradeVerdict::Compatible) => "compatible",
        Some(UpgradeVerdict::Degraded) => "compatible but degraded",
        Some(UpgradeVerdict::Incompatible) => "incompatible",
        Some(UpgradeVerdict::Unknown) | None => "not known",
    };
    format!("From {} to {to}: {answer}.\n", image(&plan.from))
}

/// What is lost.
pub(in crate::cli) fn items(plan: &UpgradePlan) -> String {
    let mut text = String::new();
    for item in &plan.items {
        let way = match item.direction {
            Direction::Forward => "to the new version",
            Direction::Back => "and back",
        };
        let _ = writeln!(text, "  {way}: {}: {}", item.what, item.consequence);
    }
    text
}

/// `upgrade … dry-run`.
pub(in crate::cli) fn plan(plan: &UpgradePlan) -> String {
    let mut text = verdict(plan);
    text += &items(plan);
    text += "\nChecks\n";
    for check in &plan.checks {
        let mark = if check.passed { "good" } else { "BAD " };
        let _ = writeln!(text, "  {mark}  {}: {}", check.check, check.detail);
    }
    text += "\nSteps\n";
    for (number, step) in (1..).zip(&plan.steps) {
        let _ = writeln!(text, "  {number}. {step}");
    }
    text += "\nNothing was changed.\n";
    text
}

/// Lines about what has happened since `told`, which then knows them.
pub(in crate::cli) fn progress(
    status: &UpgradeStatus,
    told: &mut HashSet<(usize, bool)>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (number, step) in status.steps.iter().enumerate() {
        if step.step == Step::Done {
            continue;
        }
        if told.insert((number, false)) && step.under_way && step.step != Step::Accept {
            lines.push(format!("  {} …\n", title(step.step, status)));
        }
        if !step.under_way && told.insert((number, true)) {
            lines.push(format!(
                "  {:<48} {:>10}\n",
                title(step.step, status),
                seconds(step.took_ms)
            ));
        }
        if status.direction == Direction::Back
            && step.step == Step::StartOld
            && told.insert((usize::MAX, false))
        {
            let why = status.reason.as_deref().unwrap_or_default();
            lines.push(format!("  Going back: {why}\n"));
        }
    }
    lines
}

/// `show upgrade`, and the end of an upgrade, with what became of its probe flow if it had one.
pub(in crate::cli) fn report(status: &UpgradeStatus, probe: Option<&ProbeReport>) -> String {
    let mut text = format!(
        "Upgrade from {} to {}, {}\n",
        image(&status.from),
        image(&status.to),
        match status.mode {
            Mode::Standard => "standard",
            Mode::Conservative => "conservative",
        }
    );
    for step in status.steps.iter().filter(|step| step.step != Step::Done) {
        let so_far = if step.under_way { " so far" } else { "" };
        let _ = writeln!(
            text,
            "  {:<48} {:>10}{so_far}",
            title(step.step, status),
            seconds(step.took_ms)
        );
    }
    if let Some((done, of)) = status.installed {
        let _ = writeln!(text, "Installed          {done} of {of} octets");
    }
    if let Some(waiting) = &status.waiting {
        let _ = writeln!(text, "Waits              {waiting}");
    }
    if let Some(us) = status.without_master_us {
        let _ = writeln!(
            text,
            "Without a master   {}.{} ms",
            us / 1_000,
            us % 1_000 / 100
        );
        let dropped: Vec<String> = status
            .dropped
            .iter()
            .map(|(reason, frames)| format!("{frames} {reason}"))
            .collect();
        let none = "none".to_owned();
        let dropped = if dropped.is_empty() {
            none
        } else {
            dropped.join(", ")
        };
        let _ = writeln!(text, "Dropped meanwhile  {dropped}");
    }
    if let Some(probe) = probe {
        let gap = probe.count.longest_gap_us;
        let _ = writeln!(
            text,
            "Probe {:<12} sent {}, received {}, lost {}, twice {}, longest gap {}.{} ms{}",
            format!("{} to {}", probe.from, probe.to),
            thousands(probe.count.sent),
            thousands(probe.count.received),
            thousands(probe.count.lost),
            thousands(probe.count.twice),
            gap / 1_000,
            gap % 1_000 / 100,
            probe
                .broken
                .as_ref()
                .map(|why| format!("; broke off: {why}"))
                .unwrap_or_default(),
        );
    }
    for module in &status.modules {
        let _ = writeln!(
            text,
            "{:<18} {} {}{}{}",
            module.slot.to_string(),
            if module.master { "master" } else { "standby" },
            module.version,
            module
                .bank
                .map(|bank| format!(" ({bank})"))
                .unwrap_or_default(),
            if module.ready { "" } else { ", not ready" },
        );
    }
    text += &match (status.outcome, status.accept_seconds_left) {
        (Some(Outcome::Accepted), _) => format!("Accepted: {} stays.\n", status.to.version),
        (Some(Outcome::RolledBack), _) => {
            format!("Gone back to {}: {}\n", status.from.version, reason(status))
        }
        (Some(Outcome::Stuck | Outcome::Unknown), _) => format!("Stuck: {}\n", reason(status)),
        (None, Some(left)) => format!(
            "Say `hitless upgrade accept` within {} to keep {}; otherwise {} comes back.\n",
            time(left),
            status.to.version,
            status.from.version
        ),
        (None, None) => "Under way.\n".into(),
    };
    text
}

/// A number for people: `2,345`.
pub(in crate::cli) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn reason(status: &UpgradeStatus) -> &str {
    status.reason.as_deref().unwrap_or("no reason is known")
}

fn time(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}
