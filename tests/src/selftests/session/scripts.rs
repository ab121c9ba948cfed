//! Commands from a file, answers for programs, exit codes.

use std::fs::{self, File};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::desk::{SYSNAME, said};
use crate::harness::{
    ktap::{Case, Ctx},
    process::output,
    switch::Switch,
};
use crate::selftests::bystanders::{FENCED, FENCED_REST};
use crate::selftests::lab::{Lab, Mode};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.scripts",
        "hitless < file does a command a line, stops at the first error and names the line; comments and empty lines are none \
         (seed: 39, 40)",
        scripts,
    ),
    Case::new(
        "session.json",
        "every show answers JSON with --json, and so do errors; the exit codes are what the manual says",
        json,
    ),
    Case::new(
        "session.generated",
        "manual, reference and completions come from the commands that there are, and shells take them",
        generated,
    ),
];

fn lab(ctx: &Ctx) -> Result<Lab> {
    let rest = format!("snmp: {{sysname: {SYSNAME}}}\n{FENCED_REST}");
    Lab::new(ctx, "sw", Mode::Tc, &[FENCED; 2], &rest)
}

/// Runs a script, as `hitless < file`.
fn script(ctx: &Ctx, switch: &Switch, text: &str, options: &[&str]) -> Result<Output> {
    let path = ctx.files().join("script.txt");
    fs::write(&path, text)?;
    let mut command = switch.hitless()?;
    command.args(options).stdin(File::open(&path)?);
    command.output().context("run hitless")
}

fn scripts(ctx: &Ctx) -> Result<()> {
    let lab = lab(ctx)?;
    let vlans = || -> Result<String> { Ok(lab.switch.show("vlan")?.to_string()) };
    let ended = script(
        ctx,
        &lab.switch,
        "# A VLAN for the guests.\n\ncreate vlan guests tag 30   # theirs\nconfigure vlan guests add ports 1 tagged\n\
         show vlan guests\n",
        &[],
    )?;
    let text = said(&ended);
    ensure!(
        ended.status.success() && text.contains("guests"),
        "{}: {text}",
        ended.status
    );
    ensure!(
        !text.contains('\x1b') && !text.contains(&format!("{SYSNAME}.1")),
        "a script is answered as a terminal: {}",
        text.escape_debug()
    );
    // Without a line end after the last command, with those of other systems, and abbreviated.
    let ended = script(ctx, &lab.switch, "cr vl last t 31\r\nsh vl last", &[])?;
    ensure!(ended.status.success(), "{}", said(&ended));

    for (what, wrong, code, says) in [
        (
            "no command",
            "configure vlam guests learning off",
            2,
            "vlam",
        ),
        ("no end", "create fdbentry 02:00:00:00:00:01", 2, "vlan"),
        ("out of range", "configure fdb agingtime 9", 2, "9"),
        ("refused", "create vlan guests tag 99", 1, "guests"),
        ("not found", "delete vlan nobody", 1, "nobody"),
        (
            "a quote",
            "configure snmp syslocation \"Room",
            2,
            "quotation",
        ),
    ] {
        let text =
            format!("create vlan first tag 40\n\n# Wrong:\n{wrong}\ncreate vlan after tag 41\n");
        let ended = script(ctx, &lab.switch, &text, &[])?;
        let said = said(&ended);
        ensure!(
            ended.status.code() == Some(code) && said.contains("line 4") && said.contains(says),
            "{what}: not {code}, or line 4 and {says:?} are not named: {}: {said}",
            ended.status
        );
        let vlans = vlans()?;
        ensure!(
            vlans.contains("first") && !vlans.contains("after"),
            "{what}: done until the mistake, and not beyond: {vlans}"
        );
        lab.switch.cli(&["delete", "vlan", "first"])?;
    }
    // What asks, asks nobody in a script.
    let ended = script(ctx, &lab.switch, "clear hardware\nyes\n", &[])?;
    ensure!(
        ended.status.code() == Some(2) && said(&ended).contains("--yes"),
        "{}: {}",
        ended.status,
        said(&ended)
    );
    // Leaving ends it; what follows is not done.
    let ended = script(ctx, &lab.switch, "show version\nexit\nnonsense\n", &[])?;
    ensure!(ended.status.success(), "{}", said(&ended));
    let ended = script(ctx, &lab.switch, "", &[])?;
    ensure!(ended.status.success(), "an empty script: {}", said(&ended));

    // No text at all is refused as such, wherever it is.
    let path = ctx.files().join("octets");
    fs::write(&path, b"show version\n\xff\xfe\n")?;
    let mut command = lab.switch.hitless()?;
    let ended = command.stdin(File::open(&path)?).output()?;
    ensure!(
        ended.status.code() == Some(2) && said(&ended).contains("line 2"),
        "{}: {}",
        ended.status,
        said(&ended)
    );
    Ok(())
}

fn json(ctx: &Ctx) -> Result<()> {
    let mut lab = lab(ctx)?;
    for words in [
        "show version",
        "show switch",
        "show ports",
        "show ports 1-2",
        "show ports statistics",
        "show ports 1 utilization",
        "show vlan",
        "show vlan 10",
        "show fdb",
        "show fdb vlan 10 port 1",
        "show counters",
        "show msm-failover",
        "show log",
        "show log 5 level warn",
        "show configuration",
        "show configuration primary",
        "show configuration diff",
    ] {
        let list: Vec<&str> = words.split_whitespace().collect();
        let shown = lab.switch.json(&list).with_context(|| words.to_owned())?;
        ensure!(shown.is_object() || shown.is_array(), "{words}: {shown}");
    }
    // In a script each answer is one, one after the other.
    let ended = script(
        ctx,
        &lab.switch,
        "show version\nshow vlan 10\n",
        &["--json"],
    )?;
    let answers: Vec<Value> = serde_json::Deserializer::from_slice(&ended.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .with_context(|| said(&ended))?;
    ensure!(answers.len() == 2, "{answers:?}");

    for (line, code, kind) in [
        ("show nonsense", 2, "usage"),
        ("show", 2, "usage"),
        ("show vlan 99", 1, "not-found"),
        ("create vlan x tag 10", 1, "refused"),
        ("save nowhere", 2, "usage"),
        ("download configuration /nowhere", 1, ""),
    ] {
        let mut command = lab.switch.hitless()?;
        let ended = command
            .args(line.split_whitespace())
            .arg("--json")
            .output()?;
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        let error: Value =
            serde_json::from_str(&text).with_context(|| format!("{line}: {text}"))?;
        let shown = &error["error"];
        ensure!(
            ended.status.code() == Some(code)
                && shown["message"].is_string()
                && (kind.is_empty() || shown["kind"] == kind),
            "{line}: not {code} and {kind}: {}: {error}",
            ended.status
        );
    }
    lab.switch.kill()?;
    let ended = lab
        .switch
        .hitless()?
        .args(["show", "vlan", "--json", "--wait", "0"])
        .output()?;
    ensure!(
        ended.status.code() == Some(3)
            && serde_json::from_slice::<Value>(&ended.stderr)?["error"]["kind"] == "unreachable",
        "{}: {}",
        ended.status,
        said(&ended)
    );
    Ok(())
}

fn generated(ctx: &Ctx) -> Result<()> {
    let netns = ctx.netns("sw")?;
    let switch = Switch::prepare(
        ctx.run(),
        ctx.files(),
        &netns,
        "sw",
        "vlans: []\nports: []\n",
    )?;
    // None of them needs a switch that runs.
    let mut texts = Vec::new();
    for what in ["man", "reference", "bash", "zsh", "fish"] {
        let text = switch.cli(&["generate", what]).context(what)?;
        ensure!(text.len() > 100, "{what}: {text}");
        fs::write(ctx.files().join(what), &text)?;
        texts.push(text);
    }
    for word in [
        "show msm-failover",
        "create fdbentry",
        "confirmed",
        "--json",
    ] {
        ensure!(texts[1].contains(word), "the reference lacks {word:?}");
    }
    ensure!(
        !texts[0].contains("debug fault") && !texts[1].contains("debug fault"),
        "what is for tests only is in the manual"
    );
    ensure!(texts[0].starts_with("."), "no roff: {}", &texts[0][..40]);
    // A shell can read its own, and it calls the program for what follows.
    let path = ctx.files().join("bash");
    output(std::process::Command::new("bash").arg("-n").arg(&path))?;
    ensure!(texts[2].contains("complete"), "{}", texts[2]);
    if ctx.need_program("man").is_ok() {
        let man = ctx.files().join("man");
        output(
            std::process::Command::new("man")
                .arg("--warnings")
                .arg("-l")
                .arg(&man),
        )?;
    }
    Ok(())
}
