//! Answers as text. Tables on a terminal have a line under their header and are fitted to its width; anywhere
//! else they are plain columns for `awk` and `diff`.

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use hitless_common::DropReason;

use crate::northbound::api::{CounterSet, CountersInfo, FdbRow, PortInfo, SwitchInfo, VlanInfo};

pub(super) mod image;
pub(super) mod modules;
pub(super) mod ports;
pub(super) mod stpd;
#[cfg(test)]
mod tests;
pub(super) mod upgrade;

/// How tables look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For people in front of it.
    Terminal,
    /// For files and pipes.
    Plain,
}

impl Style {
    /// For whatever the standard output is.
    pub fn of_output() -> Self {
        if io::stdout().is_terminal() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint(pub bool);

impl Paint {
    /// For the standard error.
    pub fn for_errors() -> Self {
        Self(io::stderr().is_terminal() && super::colours_are_welcome())
    }

    /// Text about what went wrong; the end of its last line is not coloured.
    pub fn wrong(self, text: &str) -> String {
        match (self.0, text.strip_suffix('\n')) {
            (false, _) => text.into(),
            (true, Some(text)) => format!("\x1b[31m{text}\x1b[0m\n"),
            (true, None) => format!("\x1b[31m{text}\x1b[0m"),
        }
    }
}

/// A column: its title, and whether it holds numbers.
enum Column {
    Text(&'static str),
    Number(&'static str),
}
use Column::{Number, Text};

fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>, style: Style) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if style == Style::Terminal {
        table.load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─')));
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(columns.iter().map(|column| match column {
        Text(title) | Number(title) => *title,
    }));
    table.add_rows(rows);
    for (column, kind) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, 2));
        if let Number(_) = kind {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

/// Lines of a title and a value.
fn lines(lines: &[(&str, String)]) -> String {
    let width = lines
        .iter()
        .map(|(title, _)| title.len())
        .max()
        .unwrap_or(0)
        + 1;
    let line = |(title, value): &(&str, String)| {
        let title = format!("{title}:");
        format!("{title:width$}  {value}\n")
    };
    lines.iter().map(line).collect()
}

/// Ascending numbers with runs joined, `1-3,7`; `-` if there are none.
fn ranges(numbers: impl IntoIterator<Item = u16>) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, high)) if high.checked_add(1) == Some(number) => *high = number,
            _ => runs.push((number, number)),
        }
    }
    let run = |&(low, high): &(u16, u16)| match high - low {
        0 => low.to_string(),
        1 => format!("{low},{high}"),
        _ => format!("{low}-{high}"),
    };
    or_dash(runs.iter().map(run).collect::<Vec<_>>().join(","))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".into() } else { text }
}

fn optional(value: Option<impl ToString>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.into()
}

fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day {clock}"),
        _ => format!("{days} days {clock}"),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// `show switch`.
pub(super) fn switch(switch: &SwitchInfo) -> String {
    let fdb = &switch.fdb;
    let ageing = match fdb.ageing_seconds {
        0 => "no ageing".to_string(),
        seconds => format!("ageing after {seconds} s"),
    };
    let writes = switch.hardware_writes.tables.iter();
    let writes: Vec<String> = writes
        .map(|(table, writes)| format!("{table} {writes}"))
        .collect();
    let mut text = vec![
        ("Switch", switch.name.to_string()),
        ("SysName", or_dash(switch.sysname.clone())),
        ("SysContact", or_dash(switch.syscontact.clone())),
        ("SysLocation", or_dash(switch.syslocation.clone())),
        ("Uptime", duration(switch.uptime_seconds)),
    ];
    for module in &switch.modules {
        text.push((
            "Module",
            format!(
                "{} {} {}, pid {}, version {}",
                module.slot, module.role, module.state, module.pid, module.version
            ),
        ));
        // As ExtremeWare has it; without banks there is nothing to select.
        if let Some(selected) = module.image_selected {
            let booted = module
                .image_booted
                .map_or("factory".into(), |bank| bank.to_string());
            text.push((
                "Image",
                format!("{} {booted} booted, {selected} selected", module.slot),
            ));
        }
    }
    text.extend([
        (
            "FDB",
            format!(
                "{} of {} addresses ({} configured), {}, {ageing}, {} not learned because it was full",
                fdb.used,
                fdb.size,
                fdb.static_entries,
                bytes(fdb.memory_bytes),
                fdb.full
            ),
        ),
        (
            "Generation",
            format!("{}, hardware {}", switch.generation, if switch.adopted { "adopted" } else { "made new" }),
        ),
        ("Hardware writes", format!("{} ({})", switch.hardware_writes.total, or_dash(writes.join(", ")))),
        ("Repairs", switch.repaired.to_string()),
        (
            "Configuration",
            format!(
                "{} ({}){}{}",
                switch.configuration,
                switch.config_file.display(),
                unsaved_note(switch.unsaved),
                rollback_note(switch.rollback_seconds)
            ),
        ),
    ]);
    lines(&text)
}

/// The asterisk of ExtremeWare's prompt, in words.
fn unsaved_note(unsaved: bool) -> &'static str {
    if unsaved {
        ", with changes that are not saved (*)"
    } else {
        ""
    }
}

fn rollback_note(seconds: Option<u32>) -> String {
    seconds.map_or(String::new(), |s| {
        format!(", gone back from in {s} s unless confirmed")
    })
}

/// `show ports`.
pub(super) fn ports(ports: &[PortInfo], style: Style) -> String {
    let columns = [
        Number("Port"),
        Text("Device"),
        Text("Enabled"),
        Text("Link"),
        Text("Offload"),
        Text("Untagged"),
        Text("Tagged"),
        Number("Received"),
        Number("Sent"),
        Number("Dropped"),
    ];
    let row = |port: &PortInfo| {
        vec![
            port.port.to_string(),
            port.device.clone(),
            yes_no(port.enabled),
            port.link.to_string(),
            port.offload.to_string(),
            optional(port.pvid),
            ranges(port.tagged.iter().map(|vlan| vlan.get())),
            port.counters.rx_frames.to_string(),
            port.counters.tx_frames.to_string(),
            port.counters.dropped().to_string(),
        ]
    };
    table(&columns, ports.iter().map(row), style) + &offload_reasons(ports)
}

/// Why the ports' frames are forwarded where they are, each reason once with its ports.
fn offload_reasons(ports: &[PortInfo]) -> String {
    let mut reasons: Vec<(String, Vec<u16>)> = Vec::new();
    for port in ports {
        let reason = format!("{}: {}", port.offload, port.offload_reason);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, numbers)) => numbers.push(port.port.get()),
            None => reasons.push((reason, vec![port.port.get()])),
        }
    }
    let line = |(reason, numbers): (String, Vec<u16>)| {
        format!("Offload of port {}: {reason}\n", ranges(numbers))
    };
    reasons.into_iter().map(line).collect()
}

/// `show ports <PORT>`.
pub(super) fn port(port: &PortInfo) -> String {
    let counters = &port.counters;
    let mut text = lines(&[
        ("Port", port.port.to_string()),
        ("Device", format!("{}, {}", port.device, port.device_state)),
        ("Enabled", yes_no(port.enabled)),
        ("Link", port.link.to_string()),
        ("MTU", optional(port.mtu)),
        (
            "Offload",
            format!(
                "{} (configured: {}): {}",
                port.offload,
                match port.configured_offload {
                    hitless_proto::config::OffloadMode::Auto => "auto",
                    hitless_proto::config::OffloadMode::Xdp => "xdp",
                    hitless_proto::config::OffloadMode::Tc => "tc",
                },
                port.offload_reason
            ),
        ),
        ("Untagged VLAN", optional(port.pvid)),
        (
            "Tagged VLANs",
            ranges(port.tagged.iter().map(|vlan| vlan.get())),
        ),
        (
            "Received",
            format!("{} frames, {} bytes", counters.rx_frames, counters.rx_bytes),
        ),
        (
            "Sent",
            format!("{} frames, {} bytes", counters.tx_frames, counters.tx_bytes),
        ),
        ("To control plane", format!("{} frames", counters.punted)),
        (
            "Learning deferred",
            format!("{} times", counters.learn_deferred),
        ),
        ("Dropped", format!("{} frames", counters.dropped())),
    ]);
    for (reason, frames) in &counters.drops {
        text += &format!("  {frames} {reason}: {}\n", explanation(reason));
    }
    text
}

/// The sentence for a reason; a newer switch may have reasons that this program does not know.
fn explanation(reason: &str) -> &'static str {
    let known = DropReason::ALL.iter().find(|known| known.name() == reason);
    known.map_or("(unknown to this version)", |known| known.text())
}

/// `show vlan`.
pub(super) fn vlans(vlans: &[VlanInfo], style: Style) -> String {
    let columns = [
        Number("VLAN"),
        Text("Name"),
        Text("Untagged"),
        Text("Tagged"),
        Text("Forwarding"),
        Text("Learning"),
        Number("Learned"),
        Number("Limit"),
    ];
    let row = |vlan: &VlanInfo| {
        vec![
            vlan.vlan.to_string(),
            vlan.name.to_string(),
            ranges(vlan.untagged.iter().map(|port| port.get())),
            ranges(vlan.tagged.iter().map(|port| port.get())),
            ranges(vlan.forwarding.iter().map(|port| port.get())),
            yes_no(vlan.learning),
            vlan.mac_count.to_string(),
            optional(vlan.mac_limit),
        ]
    };
    table(&columns, vlans.iter().map(row), style)
}

/// `show counters`.
pub(super) fn counters(counters: &CountersInfo, style: Style) -> String {
    let columns = [
        Text("Port"),
        Number("Rx frames"),
        Number("Rx bytes"),
        Number("Tx frames"),
        Number("Tx bytes"),
        Number("Dropped"),
        Number("To control plane"),
        Number("Learning deferred"),
    ];
    let row = |name: String, set: &CounterSet| {
        let numbers = [
            set.rx_frames,
            set.rx_bytes,
            set.tx_frames,
            set.tx_bytes,
            set.dropped(),
            set.punted,
            set.learn_deferred,
        ];
        let mut row = vec![name];
        row.extend(numbers.map(|number| number.to_string()));
        row
    };
    let ports = counters
        .ports
        .iter()
        .map(|port| row(port.port.to_string(), &port.counters));
    let rest = [
        row("none".into(), &counters.no_port),
        row("total".into(), &counters.totals),
    ];
    let mut text = table(&columns, ports.chain(rest), style);

    text += "\nDropped frames\n";
    let happened: Vec<_> = counters
        .reasons
        .iter()
        .filter(|reason| reason.frames > 0)
        .collect();
    if happened.is_empty() {
        text += "none\n";
    } else {
        let on = |reason: &str| {
            let ports = counters
                .ports
                .iter()
                .map(|port| (port.port.to_string(), &port.counters));
            ports
                .chain([("none".to_string(), &counters.no_port)])
                .filter_map(|(port, set)| {
                    set.drops
                        .get(reason)
                        .map(|frames| format!("{port}: {frames}"))
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        let columns = [
            Text("Reason"),
            Number("Frames"),
            Text("On port"),
            Text("Explanation"),
        ];
        let rows = happened.iter().map(|reason| {
            vec![
                reason.reason.clone(),
                reason.frames.to_string(),
                on(&reason.reason),
                reason.text.clone(),
            ]
        });
        text += &table(&columns, rows, style);
    }

    text += "\nControl frames\n";
    if counters.control_frames.is_empty() {
        text += "none\n";
    } else {
        let rows = counters
            .control_frames
            .iter()
            .map(|(name, frames)| vec![name.clone(), frames.to_string()]);
        text += &table(&[Text("Protocol"), Number("Frames")], rows, style);
    }

    text += "\nSpanning tree\n";
    text += &lines(&[
        (
            "BPDUs of no domain",
            counters.spanning_tree.no_domain.to_string(),
        ),
        ("No BPDUs", counters.spanning_tree.malformed.to_string()),
    ]);

    let learning = &counters.learning;
    text += "\nLearning\n";
    text + &lines(&[
        ("Learned", learning.learned.to_string()),
        ("Moved", learning.moved.to_string()),
        ("Aged out", learning.aged.to_string()),
        ("Held by damping", learning.damped.to_string()),
        ("Over a port's limit", learning.limited_port.to_string()),
        ("Over a VLAN's limit", learning.limited_vlan.to_string()),
        ("Table full", learning.full.to_string()),
        ("Not to be learned", learning.refused.to_string()),
        ("Deferred", learning.deferred.to_string()),
    ])
}

/// `show fdb`. Not by comfy-table, which takes 1.5 GB for a million rows; all widths are known.
pub(super) fn fdb(output: &mut impl Write, rows: &[FdbRow]) -> io::Result<()> {
    writeln!(output, "VLAN  MAC                Port  Kind        Age (s)")?;
    for row in rows {
        let (port, age) = (optional(row.port), row.age_seconds);
        writeln!(
            output,
            "{:>4}  {}  {port:>4}  {:9}  {age:>8}",
            row.vlan.get(),
            row.mac,
            row.kind
        )?;
    }
    match rows.len() {
        1 => writeln!(output, "\n1 address"),
        count => writeln!(output, "\n{count} addresses"),
    }
}

/// `show fdb --json`: an array with an entry a line.
pub(super) fn fdb_json(output: &mut impl Write, rows: &[FdbRow]) -> io::Result<()> {
    output.write_all(b"[")?;
    for (i, row) in rows.iter().enumerate() {
        output.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *output, row)?;
    }
    output.write_all(b"\n]\n")
}

/// `clear fdb`.
pub(super) fn fdb_cleared(removed: u64) -> String {
    format!(
        "Removed {removed} learned {}.\n",
        if removed == 1 { "address" } else { "addresses" }
    )
}

/// `clear hardware`.
pub(super) fn hardware_cleared(pins: u64) -> String {
    match pins {
        0 => "There was no hardware to take down.\n".into(),
        _ => format!(
            "The hardware is down, {pins} pins were removed. Nothing is forwarded any more.\n"
        ),
    }
}
