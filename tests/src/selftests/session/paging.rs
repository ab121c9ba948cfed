//! What a terminal gets that a pipe does not: pages, colours, a history.

use anyhow::{Context, Result, ensure};

use super::desk::SYSNAME;
use super::shell::{Shell, is_prompt};
use crate::harness::{
    ktap::{Case, Ctx},
    process::output,
    switch::Switch,
    terminal::{Size, Terminal, key},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.paging",
        "long answers stop after a page of whatever terminal there is: a page more, a line more, enough; clipaging can be \
         disabled and enabled",
        paging,
    ),
    Case::new(
        "session.colour",
        "colours on a terminal only, and none with NO_COLOR; a pipe gets text without escape sequences",
        colour,
    ),
    Case::new(
        "session.history",
        "what was typed is there in the next session, for its user only; the arrow keys bring it back",
        history,
    ),
];

const MORE: &str = "-- more --";

/// A switch with many VLANs, `net-101` to `net-200`, and no ports.
fn switch(ctx: &Ctx) -> Result<Switch> {
    let netns = ctx.netns("sw")?;
    let vlans: Vec<String> = (101..=200)
        .map(|id| format!("{{id: {id}, name: net-{id}}}"))
        .collect();
    let config = format!(
        "fdb: {{size: 64}}\nsnmp: {{sysname: {SYSNAME}}}\nvlans: [{}]\nports: []\n",
        vlans.join(", ")
    );
    ctx.switch(&netns, "sw", &config)
}

/// The VLANs that are shown in lines.
fn vlans(lines: &[String]) -> usize {
    lines.iter().filter(|line| line.contains("net-")).count()
}

fn paging(ctx: &Ctx) -> Result<()> {
    let switch = switch(ctx)?;
    for size in [
        Size::USUAL,
        Size {
            columns: 100,
            rows: 10,
        },
    ] {
        let rows = usize::from(size.rows);
        let mut shell = Shell::open(ctx, &switch, size, &[])?;
        let start = shell.await_prompt()?.cursor.0;
        shell.terminal.line("show vlan")?;
        let shown = |shell: &Shell, more: usize| {
            shell
                .terminal
                .await_view(&format!("{more} VLANs and the question for more"), |view| {
                    (view.last_line() == MORE && vlans(&view.lines[start..]) >= more)
                        .then(|| (vlans(&view.lines[start..]), vlans(view.screen())))
                })
        };
        let (first, _) = shown(&shell, 1)?;
        ensure!(
            first < rows && first + 6 > rows,
            "{first} VLANs on the first of {rows} rows"
        );
        // A page more, of which nothing was skipped.
        shell.terminal.keys(" ")?;
        let (second, visible) = shown(&shell, first + 1)?;
        ensure!(
            second < first + rows && second + 3 > first + rows && visible + 3 > rows,
            "{second} VLANs after two pages of {rows} rows"
        );
        shell.terminal.keys(key::ENTER)?;
        let (third, _) = shown(&shell, second + 1)?;
        ensure!(third == second + 1, "{third} VLANs after a line more");
        shell.terminal.keys("q")?;
        let view = shell.await_prompt()?;
        ensure!(
            vlans(&view.lines[start..]) == third && !view.contains(MORE),
            "after q:\n{view}"
        );
        // Every VLAN once, in order.
        let numbers: Vec<usize> = view.lines[start..]
            .iter()
            .filter_map(|line| line.split("net-").nth(1))
            .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
            .collect();
        ensure!(
            numbers == (101..101 + third).collect::<Vec<_>>(),
            "{numbers:?}"
        );

        shell.enter("disable clipaging")?;
        let lines = shell.enter("show vlan")?;
        ensure!(vlans(&lines) == 100, "{} VLANs in one", vlans(&lines));
        shell.enter("enable clipaging")?;
        shell.terminal.line("show vlan")?;
        shell.terminal.await_view("the question", |view| {
            (view.last_line() == MORE).then_some(())
        })?;
        // An interrupt ends the answer and not the shell.
        shell.terminal.keys(key::CTRL_C)?;
        shell.await_prompt()?;
        let lines = shell.enter("show version")?;
        ensure!(
            lines.iter().any(|line| line.starts_with("hitlessd")),
            "{lines:#?}"
        );
        shell.exit()?;
    }
    Ok(())
}

/// Whether colours or bold letters are set anywhere in what was printed.
fn is_coloured(output: &[u8]) -> bool {
    let text = String::from_utf8_lossy(output);
    text.split("\x1b[").skip(1).any(|rest| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic());
        end.is_some_and(|end| {
            rest[end..].starts_with('m')
                && rest[..end]
                    .split(';')
                    .filter_map(|n| n.parse::<u8>().ok())
                    .any(|n| matches!(n, 30..=38 | 40..=48 | 90..=107))
        })
    })
}

fn colour(ctx: &Ctx) -> Result<()> {
    let switch = switch(ctx)?;
    // In the shell.
    let mut shell = Shell::open(ctx, &switch, Size::USUAL, &[])?;
    shell.enter("show nonsense")?;
    let with = shell.terminal.output();
    shell.exit()?;
    ensure!(
        is_coloured(&with),
        "no colours on a terminal: {}",
        String::from_utf8_lossy(&with).escape_debug()
    );
    let mut command = switch.hitless()?;
    command.env("HOME", ctx.files());
    // The terminal takes the variable away, so that the tests' own surroundings do not matter.
    let mut through = std::process::Command::new("env");
    through
        .arg("NO_COLOR=1")
        .arg(command.get_program())
        .args(command.get_args())
        .env("HOME", ctx.files());
    let mut terminal = Terminal::spawn(ctx.run(), through, Size::USUAL)?;
    for (number, line) in (1..).zip(["show nonsense", "show vlan 101", "exit"]) {
        // One at a time: what is typed while an answer is printed is the terminal's to keep.
        let prompt = format!("{SYSNAME}.{number} ");
        terminal.await_view("the next prompt", |view| {
            let line = view.cursor_line();
            (is_prompt(line) && line.contains(&prompt)).then_some(())
        })?;
        terminal.line(line)?;
    }
    terminal.ended()?;
    let without = terminal.output();
    ensure!(
        !is_coloured(&without) && terminal.view().contains("net-101"),
        "colours with NO_COLOR: {}",
        String::from_utf8_lossy(&without).escape_debug()
    );
    // In a pipe, nothing but text.
    for words in [
        &["show", "vlan"][..],
        &["show", "ports"],
        &["show", "switch"],
    ] {
        let text = switch.cli(words)?;
        ensure!(!text.contains('\x1b'), "{words:?}: {}", text.escape_debug());
    }
    Ok(())
}

fn history(ctx: &Ctx) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let switch = switch(ctx)?;
    let mut shell = Shell::open(ctx, &switch, Size::USUAL, &[])?;
    for line in ["show version", "show vlan 101", "show vlan 102"] {
        shell.enter(line)?;
    }
    let said = shell.enter("history")?;
    let place = |text: &str| said.iter().position(|line| line.ends_with(text));
    ensure!(
        place("show version").is_some() && place("show version") < place("show vlan 102"),
        "{said:#?}"
    );
    shell.exit()?;
    let file = ctx.files().join("state/hitless/history");
    let mode = std::fs::metadata(&file)
        .with_context(|| file.display().to_string())?
        .permissions()
        .mode();
    ensure!(mode & 0o077 == 0, "others may read it: {mode:o}");

    let mut shell = Shell::open(ctx, &switch, Size::USUAL, &[])?;
    for wanted in ["exit", "history", "show vlan 102", "show vlan 101"] {
        shell.terminal.keys(key::UP)?;
        shell.terminal.await_view(wanted, |view| {
            let line = view.cursor_line();
            (is_prompt(line) && line.ends_with(wanted)).then_some(())
        })?;
    }
    shell.terminal.keys(key::ENTER)?;
    shell.terminal.await_text("net-101")?;
    shell.exit()?;

    // A history that can not be kept is no reason not to work.
    let mut command = switch.hitless()?;
    command
        .env("HOME", "/proc/1/nowhere")
        .env("XDG_STATE_HOME", "/proc/1/nowhere");
    let mut terminal = Terminal::spawn(ctx.run(), command, Size::USUAL)?;
    terminal.line("show vlan 103")?;
    terminal.await_text("net-103")?;
    terminal.line("exit")?;
    let status = terminal.ended()?;
    ensure!(status.success(), "it ended with {status}");
    // Nobody is at the terminal of a pipe, and nothing is kept of what comes through it.
    let before = std::fs::read_to_string(&file)?;
    output(switch.hitless()?.args(["show", "vlan", "104"]))?;
    ensure!(
        std::fs::read_to_string(&file)? == before,
        "a single command is in the history"
    );
    Ok(())
}
