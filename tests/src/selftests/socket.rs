//! The control socket: whatever is written to it, and however many hold it open, the switch forwards on and answers
//! those who ask properly. And what becomes of the socket when hitlessd ends.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::bystanders::{Bystanders, FENCED, FENCED_REST, address};
use super::lab::{Lab, Mode};
use super::pinned::Pinned;
use super::trial::{ends, refused};
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
    switch::{DEADLINE, Switch},
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "socket.nonsense",
        "lines that are no request are answered by what is wrong with them, and change nothing",
        nonsense,
    ),
    Case::new(
        "socket.random-bytes",
        "random bytes in the control socket harm neither the switch nor other askers",
        random_bytes,
    ),
    Case::new(
        "socket.hundred-connections",
        "a hundred connections that say nothing, say half a line or never read keep nobody out",
        hundred_connections,
    ),
    Case::new(
        "socket.stopped-by-signal",
        "SIGTERM and SIGINT remove the socket and leave the hardware forwarding (seed: 53)",
        stopped_by_signal,
    )
    .timeout(Duration::from_secs(120)),
    Case::new(
        "socket.stale",
        "the socket of a killed hitlessd is replaced; what is no socket is named and left alone",
        stale,
    ),
    Case::new(
        "socket.clear-hardware",
        "clear hardware on a running switch asks first, then ends forwarding, hitlessd and the socket",
        clear_hardware,
    ),
];

/// Connections of each kind that are held open.
const MANY: usize = 100;

/// The control socket of a switch.
fn socket(switch: &Switch) -> PathBuf {
    switch.state().join("control.sock")
}

/// A connection whose reads and writes give up in the end.
fn connect(path: &Path) -> Result<UnixStream> {
    let stream =
        UnixStream::connect(path).with_context(|| format!("connect to {}", path.display()))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Sends bytes and gives back all lines that come until the switch hangs up, which it may do before it has read
/// everything.
fn say(path: &Path, bytes: &[u8]) -> Result<Vec<String>> {
    let mut stream = connect(path)?;
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => {
            return Err(error).context("the switch neither answers nor hangs up");
        }
        _ => {}
    }
    let text = String::from_utf8(answer).context("the answer is no UTF-8")?;
    Ok(text.lines().map(String::from).collect())
}

/// What must be as it was after every attack.
struct Before {
    pid: Value,
    state: super::pinned::State,
}

impl Before {
    fn of(switch: &Switch) -> Result<Self> {
        Ok(Self {
            pid: switch.show("switch")?["modules"][0]["pid"].clone(),
            state: Pinned::of(switch).state()?,
        })
    }

    /// Same process, same hardware, and it answers and forwards.
    fn unchanged(&self, others: &Bystanders) -> Result<()> {
        let switch = &others.lab.switch;
        let shown = switch.show("switch")?;
        ensure!(
            shown["modules"][0]["pid"] == self.pid,
            "another process answers: {shown}"
        );
        let state = Pinned::of(switch).state()?;
        ensure!(state == self.state, "the hardware was changed");
        let log = switch.log()?;
        ensure!(!log.contains("panic"), "something panicked:\n{log}");
        others.unharmed()
    }
}

fn nonsense(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let before = Before::of(&others.lab.switch)?;
    let path = socket(&others.lab.switch);
    let deep = "[".repeat(60_000) + "\n";
    let long = "a".repeat(17 << 20) + "\n";
    let long_string = format!("{{\"request\":\"{}\"}}\n", "x".repeat(17 << 20));
    let lines: [(&str, &[u8], &str, &str); 13] = [
        (
            "an empty line",
            b"\n",
            "bad-request",
            "the line is no request",
        ),
        (
            "half a line",
            b"{\"request\":\"show-sw",
            "bad-request",
            "the last line has no newline",
        ),
        (
            "words",
            b"show switch\n",
            "bad-request",
            "the line is no request",
        ),
        (
            "NUL octets",
            &[0; 100],
            "bad-request",
            "the last line has no newline",
        ),
        (
            "no UTF-8",
            b"{\"request\":\"\xff\xfe\"}\n",
            "bad-request",
            "the line is no request",
        ),
        (
            "an unknown request",
            b"{\"request\":\"reboot\"}\n",
            "bad-request",
            "unknown variant `reboot`",
        ),
        (
            "an unknown field",
            b"{\"request\":\"clear-fdb\",\"prot\":1}\n",
            "bad-request",
            "unknown field `prot`",
        ),
        (
            "VLAN 0",
            b"{\"request\":\"show-vlan\",\"vlan\":0}\n",
            "bad-request",
            "VLAN id 0",
        ),
        (
            "VLAN 4095",
            b"{\"request\":\"clear-fdb\",\"vlan\":4095}\n",
            "bad-request",
            "VLAN id 4095 is reserved",
        ),
        (
            "port 999",
            b"{\"request\":\"show-ports\",\"port\":999}\n",
            "bad-request",
            "port 999 is not in 1 to",
        ),
        (
            "60,000 brackets",
            deep.as_bytes(),
            "bad-request",
            "the line is no request",
        ),
        (
            "a line of 17 MiB",
            long.as_bytes(),
            "too-long",
            "at most 16777216 bytes",
        ),
        (
            "a request of 17 MiB",
            long_string.as_bytes(),
            "too-long",
            "at most 16777216 bytes",
        ),
    ];
    for (what, line, kind, says) in lines {
        // What follows a line that is no request is not done.
        let mut bytes = line.to_vec();
        if line.ends_with(b"\n") {
            bytes.extend_from_slice(b"{\"request\":\"clear-fdb\"}\n");
        }
        let answers = say(&path, &bytes).context(what)?;
        let [answer] = answers.as_slice() else {
            anyhow::bail!("{what}: {} answers: {answers:.200?}", answers.len());
        };
        let answer: Value =
            serde_json::from_str(answer).with_context(|| format!("{what}: {answer}"))?;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        ensure!(
            answer["error"]["kind"] == kind && message.contains(says),
            "{what}: expected {kind} with {says:?}, the answer is {answer}"
        );
        before.unchanged(&others).context(what)?;
    }
    // Good requests in one connection are answered in their order.
    let answers = say(
        &path,
        b"{\"request\":\"show-version\"}\n{\"request\":\"show-ports\"}\n{\"request\":\"show-vlan\",\"vlan\":99}\n",
    )?;
    let answers: Vec<Value> = answers
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<_, _>>()?;
    ensure!(
        answers.len() == 3
            && answers[0]["ok"]["version"].is_object()
            && answers[1]["ok"]["ports"].is_array()
            && answers[2]["error"]["kind"] == "not-found",
        "{answers:?}"
    );
    others.finish()
}

/// Numbers that look random and are the same in every run.
pub struct Noise(pub u64);

impl Noise {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// So many octets.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.draw() >> 32) as u8).collect()
    }
}

fn random_bytes(ctx: &Ctx) -> Result<()> {
    const ROUNDS: u64 = 400;
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let before = Before::of(&others.lab.switch)?;
    let path = socket(&others.lab.switch);
    let mut noise = Noise(0x5eed_0001);
    let request = b"{\"request\":\"show-fdb\",\"vlan\":10,\"limit\":1}\n";
    for round in 0..ROUNDS {
        let length = 1 + noise.draw() as usize % 5000;
        let mut bytes = noise.bytes(length);
        match round % 4 {
            // All in one line, a good request with a few octets changed, and many lines.
            0 => bytes.retain(|b| *b != b'\n'),
            1 => {
                bytes = request.to_vec();
                for _ in 0..=noise.draw() % 4 {
                    let at = noise.draw() as usize % bytes.len();
                    bytes[at] = noise.draw() as u8;
                }
            }
            2 => bytes.iter_mut().step_by(50).for_each(|b| *b = b'\n'),
            _ => {}
        }
        for line in say(&path, &bytes).with_context(|| format!("round {round}"))? {
            let answer: Value = serde_json::from_str(&line)
                .with_context(|| format!("round {round}: the answer is no JSON: {line:.200}"))?;
            let is_answer = answer["ok"].is_object() || answer["error"]["message"].is_string();
            ensure!(is_answer, "round {round}: {line:.200}");
        }
        if round % 50 == 0 {
            before
                .unchanged(&others)
                .with_context(|| format!("round {round}"))?;
        }
    }
    before.unchanged(&others)?;
    others.finish()
}

fn hundred_connections(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let before = Before::of(&others.lab.switch)?;
    let path = socket(&others.lab.switch);
    let hold = |what: &str, said: &[u8]| -> Result<Vec<UnixStream>> {
        let mut held = Vec::new();
        for _ in 0..MANY {
            let mut stream = connect(&path)?;
            // One that had to make room for another may be gone already.
            let _ = stream.write_all(said);
            held.push(stream);
        }
        for _ in 0..3 {
            before
                .unchanged(&others)
                .with_context(|| format!("beside {MANY} that {what}"))?;
        }
        Ok(held)
    };
    let answers = b"{\"request\":\"show-counters\"}\n".repeat(1000);
    let silent = hold("say nothing", b"")?;
    let half = hold("say half a line", b"{\"request\":\"show-")?;
    let deaf = hold("never read", &answers)?;

    // One that made room is told why.
    let mut line = String::new();
    BufReader::new(&silent[0]).read_line(&mut line)?;
    ensure!(
        line.contains("\"busy\"") && line.contains("connect again"),
        "{line:?}"
    );
    drop((silent, half, deaf));

    // Come and gone, many at a time.
    for _ in 0..10 {
        let streams = (0..MANY)
            .map(|_| connect(&path))
            .collect::<Result<Vec<_>>>()?;
        drop(streams);
    }
    before.unchanged(&others)?;
    let pid = before.pid.as_u64().context("a process id")?;
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    ensure!(open < 100, "{open} descriptors are still open");
    others.finish()
}

fn stopped_by_signal(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Mixed)?;
    let pinned = Pinned::of(&others.lab.switch);
    let state = pinned.state()?;
    let path = socket(&others.lab.switch);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        // One that waits for an answer that it never reads holds nothing up.
        let mut deaf = connect(&path)?;
        deaf.write_all(&b"{\"request\":\"show-counters\"}\n".repeat(1000))?;
        others.phase(&format!("{signal}"))?;
        let status = others.lab.switch.end(signal)?;
        ensure!(
            status.success(),
            "after {signal} hitlessd ended with {status}"
        );
        ensure!(
            !path.exists(),
            "after {signal} {} is still there",
            path.display()
        );
        ensure!(pinned.state()? == state, "{signal} changed the hardware");
        others.unharmed()?;
        let mut show = others.lab.switch.hitless()?;
        let text = ends(
            ctx,
            show.args(["show", "ports"]),
            3,
            &[
                "hitlessd is not running",
                "its hardware is in place and goes on forwarding",
            ],
        )?;
        ensure!(text.contains("hitlessd --config FILE"), "no remedy: {text}");
        others.phase(&format!("after {signal}"))?;
        others.lab.switch.run()?;
        let shown = others.lab.switch.show("switch")?;
        ensure!(
            shown["hardware_writes"]["total"] == 0,
            "something was written: {shown}"
        );
        ensure!(pinned.state()? == state, "the start changed the hardware");
        others.unharmed()?;
    }
    others.finish()
}

fn stale(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let path = socket(&others.lab.switch);
    others.lab.switch.kill()?;
    ensure!(
        path.exists(),
        "a killed hitlessd can not have removed {}",
        path.display()
    );
    let mut show = others.lab.switch.hitless()?;
    ends(
        ctx,
        show.args(["show", "switch"]),
        3,
        &["no hitlessd serves", "hitlessd is not running"],
    )?;
    // What a start that is killed at the right moment leaves beside it.
    drop(UnixListener::bind(path.with_extension("new"))?);
    others.lab.switch.run()?;
    ensure!(
        fs::symlink_metadata(&path)?.file_type().is_socket(),
        "{} is no socket",
        path.display()
    );
    others.unharmed()?;

    // Something else in its place is not ours to remove.
    others.lab.switch.kill()?;
    fs::remove_file(&path)?;
    fs::write(&path, "precious")?;
    let says = format!("{} exists and is no socket; remove it", path.display());
    refused(ctx, &mut others.lab.switch.daemon()?, &[&says])?;
    ensure!(
        fs::read_to_string(&path)? == "precious",
        "the file was changed"
    );
    others.unharmed()?;
    fs::remove_file(&path)?;
    others.lab.switch.run()?;
    others.unharmed()?;
    others.finish()
}

fn clear_hardware(ctx: &Ctx) -> Result<()> {
    let mut lab = Lab::new(ctx, "sw", Mode::Mixed, &[FENCED; 2], FENCED_REST)?;
    let forwards = |lab: &Lab| {
        let frame = Frame::probe(address(1), address(2));
        lab.expect(&[(0, frame.clone())], &[(1, frame)])
    };
    forwards(&lab)?;
    let mut command = lab.switch.hitless()?;
    ends(
        ctx,
        command.args(["clear", "hardware"]),
        2,
        &["forwarding stops on every port", "--yes"],
    )?;
    forwards(&lab)?;

    let answer = lab.switch.json(&["clear", "hardware", "--yes"])?;
    ensure!(answer["pins"].as_u64() > Some(10), "{answer}");
    let status = wait_for("hitlessd to end by itself", DEADLINE, || lab.switch.ended())?;
    ensure!(status.success(), "hitlessd ended with {status}");
    lab.switch.end(Signal::SIGTERM)?;
    for gone in [lab.switch.pins(), lab.switch.state()] {
        ensure!(!gone.exists(), "{} is still there", gone.display());
    }
    // Nothing comes through any more: the switch's devices are there, but no program is.
    for _ in 0..10 {
        lab.ports[0].send(&Frame::probe(address(1), address(2)))?;
    }
    lab.switch.run()?;
    let shown = lab.switch.show("switch")?;
    ensure!(
        shown["adopted"] == false && shown["generation"] == 1,
        "{shown}"
    );
    lab.switch.await_shown("ports", |ports| {
        (0..2).all(|i| ports[i]["link"] == "up" && ports[i]["device_state"] == "attached")
    })?;
    // Only this frame arrives, none of the ten.
    forwards(&lab)
}
