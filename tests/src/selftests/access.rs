//! Who may do what: other users of the machine at the control socket and in the run directory, and what the log tells
//! of what they did.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::unistd::{Gid, Group, Uid, setgroups, setresgid, setresuid};
use serde_json::Value;

use super::failover::rig::{await_ready, chassis_command};
use super::trial::{Ended, ends, for_everyone, refused, run};
use crate::harness::{
    chassis::Chassis,
    ktap::{Case, Ctx},
    switch::{DEADLINE, Switch, binary},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "access.groups",
        "admins command, read-only users look, strangers are told whom to ask; before a failover and after it",
        groups,
    )
    .timeout(Duration::from_secs(120)),
    Case::new(
        "access.admins-only",
        "without a read-only group the kernel keeps strangers out, and the client says which group may",
        admins_only,
    ),
    Case::new(
        "access.out-of-the-box",
        "groups that are not there are used by no default, and are an error when they are named",
        out_of_the_box,
    ),
    Case::new(
        "access.forgery",
        "nothing that a request contains makes a second line of the log",
        forgery,
    ),
];

/// Groups that every Debian and Ubuntu system has, and no test user is in.
const ADMINS: &str = "games";
const LOOKERS: &str = "users";

/// A switch that need not forward.
const CONFIG: &str = "vlans: [{id: 10, name: blue}]\nports: []\n";

/// A user of this machine who has no name.
#[derive(Clone, Debug)]
struct User {
    uid: u32,
    groups: Vec<Gid>,
}

/// The group that has a name on this machine.
fn gid(name: &str) -> Result<Gid> {
    let group = Group::from_name(name)?;
    Ok(group
        .with_context(|| format!("this machine has no group {name}"))?
        .gid)
}

/// A switch, and the command line tool as other users run it.
struct Desk<'a> {
    ctx: &'a Ctx,
    switch: Switch,
    hitless: PathBuf,
}

impl<'a> Desk<'a> {
    fn new(ctx: &'a Ctx) -> Result<Self> {
        let netns = ctx.netns("sw")?;
        Ok(Self {
            ctx,
            switch: Switch::prepare(ctx.run(), ctx.files(), &netns, "sw", CONFIG)?,
            hitless: for_everyone(ctx, &binary("hitless")?)?,
        })
    }

    /// A chassis with both modules, whose hitlessd get these options.
    fn chassis(&self, options: &[&str]) -> Result<Chassis> {
        let mut command = chassis_command(&self.switch)?;
        command.arg("--").args(options);
        let chassis = Chassis::spawn(self.ctx.run(), &self.switch, &mut command)?;
        await_ready(&self.switch)?;
        Ok(chassis)
    }

    fn command(&self, user: &User, words: &[&str]) -> Command {
        let mut command = Command::new(&self.hitless);
        command
            .args(["--switch", self.switch.name()])
            .args(words)
            .current_dir("/");
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.uid));
        let groups = user.groups.clone();
        // SAFETY: between fork and exec the closure makes system calls and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                setgroups(&groups)?;
                setresgid(gid, gid, gid)?;
                Ok(setresuid(uid, uid, uid)?)
            });
        }
        command
    }

    fn run(&self, user: &User, words: &[&str]) -> Result<Ended> {
        run(self.ctx, &mut self.command(user, words))
    }

    fn may(&self, user: &User, words: &[&str]) -> Result<()> {
        let ended = self.run(user, words)?;
        ensure!(
            ended.code == Some(0),
            "hitless {words:?} of {user:?} ended with {:?}: {}",
            ended.code,
            ended.text
        );
        Ok(())
    }

    fn may_not(&self, user: &User, words: &[&str], code: i32, says: &[&str]) -> Result<()> {
        ends(self.ctx, &mut self.command(user, words), code, says)
            .map(drop)
            .with_context(|| format!("{user:?}"))
    }

    /// The lines of the log about changes and attempts, all of them.
    fn audit(&self) -> Result<Vec<Line>> {
        let lines = self.switch.json(&["show", "log", "1000"])?;
        let lines = lines.as_array().context("the lines")?;
        let about = lines
            .iter()
            .filter(|line| line["fields"]["audit"] == "true");
        Ok(about.map(Line::of).collect())
    }

    /// Sends a request as root and gives back the answer.
    fn ask(&self, request: &Value) -> Result<Value> {
        let mut stream = UnixStream::connect(self.switch.state().join("control.sock"))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        serde_json::from_str(&answer).with_context(|| answer)
    }
}

/// A line of the log about a change.
#[derive(Debug)]
struct Line {
    slot: String,
    level: String,
    message: String,
    fields: Value,
}

impl Line {
    fn of(line: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            slot: text(&line["slot"]),
            level: text(&line["level"]),
            message: text(&line["message"]),
            fields: line["fields"].clone(),
        }
    }
}

/// The one line that begins and ends like this, with a process in between.
fn one<'l>(lines: &'l [Line], begins: &str, ends: &str) -> Result<&'l Line> {
    let found: Vec<&Line> = lines
        .iter()
        .filter(|line| line.message.starts_with(begins) && line.message.contains(ends))
        .collect();
    match found[..] {
        [line] => Ok(line),
        _ => anyhow::bail!(
            "{} lines with {begins:?} … {ends:?}: {lines:#?}",
            found.len()
        ),
    }
}

/// Nobody but root gets at anything in the run directory, except at the control socket.
fn is_closed(switch: &Switch, socket: (u32, u32)) -> Result<()> {
    let look = |path: &Path| -> Result<fs::Metadata> {
        fs::symlink_metadata(path).with_context(|| path.display().to_string())
    };
    let mode = |path: &Path| look(path).map(|found| found.mode() & 0o7777);
    let state = switch.state();
    ensure!(mode(&state)? == 0o711, "{}", state.display());
    ensure!(
        mode(&switch.pins())? == 0o700,
        "{}",
        switch.pins().display()
    );
    let mut names = Vec::new();
    for entry in fs::read_dir(&state)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // What is being replaced may be gone again.
        let Ok(found) = look(&path) else { continue };
        if name == "control.sock" {
            ensure!(found.file_type().is_socket(), "{name} is no socket");
            let is = (found.gid(), found.mode() & 0o7777);
            ensure!(
                is == socket,
                "{name}: group and mode {is:?} instead of {socket:?}"
            );
        } else {
            ensure!(
                found.uid() == 0 && found.mode() & 0o077 == 0,
                "{name} is open to others: {:o}",
                found.mode()
            );
        }
        names.push(name);
    }
    for name in ["control.sock", "log", "blackbox", "modules.sock"] {
        ensure!(names.iter().any(|n| n == name), "no {name} in {names:?}");
    }
    Ok(())
}

fn groups(ctx: &Ctx) -> Result<()> {
    let desk = Desk::new(ctx)?;
    let (admins, lookers) = (gid(ADMINS)?, gid(LOOKERS)?);
    let user = |uid, groups: &[Gid]| User {
        uid,
        groups: groups.to_vec(),
    };
    let admin = user(54_301, &[admins]);
    let looker = user(54_302, &[lookers]);
    let stranger = user(54_303, &[]);
    let _chassis = desk.chassis(&["--admin-group", ADMINS, "--read-only-group", LOOKERS])?;
    let switch = &desk.switch;

    let everybody = |desk: &Desk<'_>| -> Result<()> {
        is_closed(switch, (admins.as_raw(), 0o666))?;
        for what in [
            "switch",
            "version",
            "ports",
            "vlan",
            "fdb",
            "msm-failover",
            "log",
        ] {
            desk.may(&admin, &["show", what])?;
            desk.may(&looker, &["show", what])?;
        }
        desk.may(&admin, &["clear", "fdb"])?;
        for change in [
            &["clear", "fdb"][..],
            &["save"],
            &["create", "vlan", "red"],
            &["run", "msm-failover", "force"],
            &["clear", "quarantine"],
        ] {
            desk.may_not(&looker, change, 1, &["uid 54302 may look", ADMINS])?;
        }
        let whom = ["uid 54303 may not", ADMINS, LOOKERS];
        desk.may_not(&stranger, &["show", "switch"], 1, &whom)?;
        desk.may_not(&stranger, &["clear", "fdb"], 1, &whom)?;
        let vlans = switch.show("vlan")?;
        ensure!(
            vlans
                .as_array()
                .is_some_and(|v| v.iter().all(|v| v["name"] != "red")),
            "{vlans}"
        );
        Ok(())
    };
    everybody(&desk)?;
    let master = await_ready(switch)?;
    switch.cli(&["clear", "quarantine"])?;
    let session = desk.ask(&serde_json::json!({"request": "show-session"}))?;
    let session = &session["ok"]["session"];
    ensure!(
        session["user"] == "root"
            && session["uid"] == 0
            && session["privilege"] == "admin"
            && session["sysname"] == switch.name()
            && session["slot"] == master.slot("master")?.name()
            && session["unsaved"] == false
            && session["rollback_seconds"] == Value::Null,
        "{session}"
    );

    let told = desk.audit()?;
    let line = one(&told, "admin: uid 54301 from ", "hitless): clear fdb: done")?;
    ensure!(line.level == "info", "{line:?}");
    let pid = line.fields["pid"].as_str().unwrap_or_default();
    ensure!(
        pid.parse::<u32>().is_ok() && line.message.contains(&format!("(pid {pid}, ")),
        "{line:?}"
    );
    ensure!(
        line.fields["command"] == "clear fdb" && line.fields["outcome"] == "done",
        "{line:?}"
    );
    one(
        &told,
        "admin: root (uid 0) from ",
        "hitless): clear quarantine: done",
    )?;
    // Attempts: the first one of each is told, the rest are counted.
    let line = one(
        &told,
        "read-only: uid 54302 from ",
        ": clear fdb: refused: ",
    )?;
    ensure!(line.level == "warn", "{line:?}");
    one(&told, "read-only: uid 54302 from ", "")?;
    let line = one(&told, "stranger: uid 54303 from ", ": connect: refused: ")?;
    ensure!(line.level == "warn", "{line:?}");
    ensure!(told.len() == 4, "{told:#?}");

    // The next master has the same rules, and tells what it was asked.
    desk.may(&admin, &["run", "msm-failover"])?;
    let after = await_ready(switch)?;
    ensure!(after.pid("master")? == master.pid("standby")?, "{after}");
    everybody(&desk)?;
    let told = desk.audit()?;
    one(&told, "admin: uid 54301 from ", "): run msm-failover: done")?;
    let mut by_slot: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &told {
        *by_slot.entry(line.slot.as_str()).or_default() += 1;
    }
    // Each master told its own: the first one also of the failover.
    let expected = BTreeMap::from([
        (master.slot("master")?.name(), 5),
        (after.slot("master")?.name(), 3),
    ]);
    ensure!(by_slot == expected, "{by_slot:?}: {told:#?}");
    Ok(())
}

fn admins_only(ctx: &Ctx) -> Result<()> {
    if Group::from_name("hitless-ro")?.is_some() {
        return Err(crate::harness::ktap::skip(
            "this machine has a group hitless-ro",
        ));
    }
    let desk = Desk::new(ctx)?;
    let admins = gid(ADMINS)?;
    let _chassis = desk.chassis(&["--admin-group", ADMINS])?;
    is_closed(&desk.switch, (admins.as_raw(), 0o660))?;
    let user = |groups| User {
        uid: 54_304,
        groups,
    };
    desk.may(&user(vec![admins]), &["show", "switch"])?;
    desk.may_not(
        &user(vec![]),
        &["show", "switch"],
        3,
        &["permission denied", "members of group games"],
    )
}

fn out_of_the_box(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx)?;
    for option in ["--admin-group", "--read-only-group"] {
        let mut daemon = desk.switch.daemon()?;
        refused(
            ctx,
            daemon.args([option, "hlt-no-such-group"]),
            &[option, "hlt-no-such-group", "there is no such group"],
        )?;
    }
    desk.switch.run()?;
    let there = |name| Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw()));
    let (admins, lookers) = (there("hitless")?, there("hitless-ro")?);
    let mode = match (admins, lookers) {
        (_, Some(_)) => 0o666,
        (Some(_), None) => 0o660,
        (None, None) => 0o600,
    };
    is_closed(&desk.switch, (admins.unwrap_or(0), mode))?;
    let stranger = User {
        uid: 54_305,
        groups: vec![],
    };
    let ended = desk.run(&stranger, &["show", "switch"])?;
    ensure!(
        ended.code == Some(if lookers.is_some() { 1 } else { 3 }),
        "{ended:?}"
    );
    desk.switch.terminate()
}

fn forgery(ctx: &Ctx) -> Result<()> {
    const FORGED: &str =
        "2026-01-01T00:00:00.000000Z  INFO admin: nobody (uid 0) from pts/0: forged";
    let mut desk = Desk::new(ctx)?;
    desk.switch.run()?;
    let text = format!("x\r\n{FORGED}\n\u{1b}[2J{FORGED}");
    for request in [
        serde_json::json!({"request": "configure", "changes": [{"snmp": {"syscontact": {"text": text}}}]}),
        serde_json::json!({"request": "inject-fault", "fault": text}),
    ] {
        let answer = desk.ask(&request)?;
        ensure!(answer["error"]["kind"] == "refused", "{answer}");
    }
    let told = desk.audit()?;
    ensure!(told.len() == 2, "{told:#?}");
    for line in &told {
        ensure!(!line.message.contains(char::is_control), "{line:?}");
        ensure!(
            line.message.starts_with("admin: root (uid 0) from "),
            "{line:?}"
        );
        ensure!(line.message.contains("\\r\\n2026-01-01"), "{line:?}");
    }
    for log in [desk.switch.log()?, desk.switch.cli(&["show", "log"])?] {
        ensure!(log.contains(FORGED), "the request is not told:\n{log}");
        let forged = log.lines().find(|line| line.starts_with(FORGED));
        ensure!(
            forged.is_none() && !log.contains('\u{1b}'),
            "forged:\n{log}"
        );
    }
    desk.switch.terminate()
}
