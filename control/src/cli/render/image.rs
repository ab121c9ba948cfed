//! Versions and images as text.

use super::{Style, Text, lines, optional, or_dash, table};
use crate::northbound::api::{
    BankInfo, DownloadInfo, DownloadState, ImageBank, ImageInfo, ImageSelected, ModuleImages,
    ModuleSlot, VersionInfo,
};

/// `show version`.
pub(in crate::cli) fn version(
    own: &VersionInfo,
    daemon: &VersionInfo,
    detail: bool,
    style: Style,
) -> String {
    let line = |info: &VersionInfo| format!("{}, hardware layout {}", info.version, info.layout);
    let mut text = lines(&[("hitless", line(own)), ("hitlessd", line(daemon))]);
    if daemon.modules.is_empty() {
        return text;
    }
    let columns = [
        Text("Slot"),
        Text("Role"),
        Text("Version"),
        Text("Image booted"),
        Text("Image selected"),
    ];
    let rows = daemon.modules.iter().map(|module| {
        vec![
            module.slot.to_string(),
            module.role.to_string(),
            optional(module.version.as_ref()),
            booted(module),
            optional(module.selected),
        ]
    });
    text += "\n";
    text += &table(&columns, rows, style);
    let banks = || {
        let modules = daemon.modules.iter();
        modules.flat_map(|module| module.banks.iter().map(move |bank| (module.slot, bank)))
    };
    if banks().next().is_none() {
        return text;
    }
    let columns = [
        Text("Slot"),
        Text("Bank"),
        Text("Version"),
        Text("Built of"),
        Text("Date"),
        Text("State"),
    ];
    let rows = banks().map(|(slot, bank)| row(slot, bank));
    text += "\n";
    text += &table(&columns, rows, style);
    for (slot, bank) in banks() {
        if let Some(why) = &bank.refused {
            text += &format!("{slot} {} can not be booted: {why}\n", bank.bank);
        }
    }
    for module in &daemon.modules {
        if let Some(why) = &module.selection_fault {
            text += &format!(
                "{} takes {} because {why}\n",
                module.slot,
                optional(module.selected)
            );
        }
    }
    if detail {
        for (slot, bank) in banks() {
            if let Some(image) = &bank.image {
                text += &format!("\n{slot} {}\n{}", bank.bank, image_lines(image));
            }
        }
        if let Some(place) = &daemon.images {
            text += &format!("\nBanks in {}\n", place.display());
        }
    }
    text
}

fn booted(module: &ModuleImages) -> String {
    match (&module.version, module.booted) {
        (None, _) => "-".into(),
        (Some(_), None) => "factory".into(),
        (Some(_), Some(bank)) => bank.to_string(),
    }
}

fn row(slot: ModuleSlot, bank: &BankInfo) -> Vec<String> {
    let image = bank.image.as_ref();
    let state = match (&bank.refused, image) {
        (Some(_), _) => "refused",
        (None, Some(_)) => "good",
        (None, None) => "empty",
    };
    let states = [
        (true, state),
        (bank.booted, "booted"),
        (bank.selected, "selected"),
    ];
    let states: Vec<&str> = states
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, word)| *word)
        .collect();
    vec![
        slot.to_string(),
        bank.bank.to_string(),
        optional(image.map(|image| &image.version)),
        optional(image.and_then(|image| image.git.as_ref())),
        optional(image.and_then(|image| image.date.as_ref())),
        states.join(", "),
    ]
}

fn image_lines(image: &ImageInfo) -> String {
    lines(&[
        ("Version", image.version.clone()),
        ("Built of", optional(image.git.as_ref())),
        ("Date", optional(image.date.as_ref())),
        ("Size", format!("{} bytes", image.size)),
        ("SHA-256", image.sha256.clone()),
        (
            "Works with",
            match &image.lowest_compatible {
                Some(version) => format!("{version} and later"),
                None => "-".into(),
            },
        ),
        ("Signed", if image.signed { "yes" } else { "no" }.into()),
    ])
}

/// How far a load is.
pub(in crate::cli) fn progress(done: u64, total: u64) -> String {
    match total {
        0 => "The image is checked ...".into(),
        _ => format!(
            "{:3} % of {:.1} MiB",
            done.saturating_mul(100) / total,
            total as f64 / 1_048_576.0
        ),
    }
}

/// How far an image is fetched.
pub(in crate::cli) fn fetching(done: u64, total: u64) -> String {
    match total {
        0 => format!("{:.1} MiB fetched", done as f64 / 1_048_576.0),
        _ => format!("fetched: {}", progress(done, total)),
    }
}

/// `show download image`.
pub(in crate::cli) fn download(info: Option<&DownloadInfo>) -> String {
    let Some(info) = info else {
        return "No image was loaded since this master began.\n".into();
    };
    let place = place(info.bank, &info.slots);
    let file = info.file.display();
    let version = or_dash(info.version.clone().unwrap_or_default());
    match info.state {
        DownloadState::Running => format!(
            "{file} is loaded into {place}: {}\n",
            progress(info.done, info.total)
        ),
        DownloadState::Done => format!("Version {version} is in {place}.\n"),
        DownloadState::Failed | DownloadState::Unknown => format!(
            "{file} was not loaded into {place}: {}\n",
            optional(info.error.as_ref())
        ),
    }
}

/// `use image`.
pub(in crate::cli) fn selected(info: &ImageSelected) -> String {
    let mut text = format!(
        "The image of {} is booted next.\n",
        place(info.bank, &info.slots)
    );
    for note in &info.notes {
        text += &format!("{note}\n");
    }
    text
}

fn place(bank: ImageBank, slots: &[ModuleSlot]) -> String {
    let slots: Vec<String> = slots.iter().map(ToString::to_string).collect();
    format!("{bank} of {}", slots.join(" and "))
}

#[cfg(test)]
mod tests;
