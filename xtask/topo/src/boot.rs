//! Starts one node: its first process, and later its command, `exec` lines and health check.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::enter::NodeHandle;
use crate::error::{Context, Error};
use crate::init::{ARGV0, Answer, Order, Spec};
use crate::process::{PidFd, ProcessId, readable};
use crate::topology::{Healthcheck, Node};

/// Time for each step of a node's first process; a healthy machine needs milliseconds.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for one `exec` line.
const EXEC_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause between two runs of a health check that failed.
const HEALTH_PAUSE: Duration = Duration::from_millis(100);

/// How much of a node's log goes into an error.
const TAIL_LINES: usize = 15;

/// A node on its way up.
pub(crate) struct Booting<'a> {
    node: &'a Node,
    log: &'a Path,
    orders: ChildStdin,
    answers: ChildStdout,
    /// Read, but not yet used.
    pending: Vec<u8>,
    pub init: ProcessId,
}

/// An error about the node, with the end of its log.
fn failed(node: &Node, log: &Path, step: impl Into<String>, reason: impl Into<String>) -> Error {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    Error::Node {
        node: node.name.clone(),
        step: step.into(),
        reason: reason.into(),
        log: tail.join("\n"),
    }
}

fn append(log: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().create(true).append(true).open(log);
    file.context(|| format!("open {}", log.display()))
}

impl<'a> Booting<'a> {
    /// Creates the node's namespaces and its first process, which waits for [`Booting::build`] and then for
    /// [`Booting::start`]. It ends by itself when this value is dropped before.
    pub fn create(lab: &str, node: &'a Node, spec: &Spec, log: &'a Path) -> Result<Self, Error> {
        let here = |what: &str, e: io::Error| failed(node, log, what, e.to_string());
        let mut child = Command::new("/proc/self/exe")
            .arg0(ARGV0)
            // For the reader of ps(1) only.
            .args([lab, node.name.as_str()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(append(log)?)
            .spawn()
            .map_err(|e| here("re-execute this program as its first process", e))?;
        let (Some(mut orders), Some(mut answers)) = (child.stdin.take(), child.stdout.take())
        else {
            return Err(failed(
                node,
                log,
                "create its first process",
                "it has no pipes",
            ));
        };
        let mut line = serde_json::to_vec(spec).map_err(|e| here("write its orders", e.into()))?;
        line.push(b'\n');
        let sent = orders.write_all(&line);

        let (mut pending, step) = (Vec::new(), "create its namespaces");
        let answer = answer(&mut answers, &mut pending, STEP_TIMEOUT);
        if answer.is_err() {
            // It may have ended in between; then there is nothing to kill.
            let _ = child.kill();
        }
        // The process that made the namespaces ends by itself after its answer.
        let ended = child.wait();
        let pid = match answer.map_err(|e| here(step, e))? {
            Some(Answer::Pid(pid)) => pid,
            Some(Answer::Failed(reason)) => return Err(failed(node, log, step, reason)),
            other => {
                return Err(failed(
                    node,
                    log,
                    step,
                    format!("unexpected answer {other:?}"),
                ));
            }
        };
        sent.and(ended).map_err(|e| here(step, e))?;
        let init = ProcessId::of(pid);
        let init = init.ok_or_else(|| failed(node, log, step, "its first process died at once"))?;
        Ok(Self {
            node,
            log,
            orders,
            answers,
            pending,
            init,
        })
    }

    /// Has the node's file system built.
    pub fn build(&mut self) {
        self.order(Order::Build);
    }

    /// When the other side is gone, its missing answer says so.
    fn order(&mut self, order: Order) {
        let _ = writeln!(self.orders, "{}", order.line());
    }

    /// Waits until links can be made.
    pub fn ready(&mut self) -> Result<(), Error> {
        self.expect("prepare the node", &Answer::Ready)
    }

    /// Starts the node's command, runs its `exec` lines and waits until it is healthy. Tells how the command
    /// ended if it did so in the meantime.
    pub fn start(
        mut self,
        handle: &NodeHandle,
        ready_timeout: Duration,
    ) -> Result<Option<String>, Error> {
        std::thread::sleep(self.node.startup_delay);
        self.order(Order::Start);
        self.expect("start its command", &Answer::Started)?;
        for line in &self.node.exec {
            let step = format!("exec `{}`", line.join(" "));
            let mut log = append(self.log)?;
            let _ = writeln!(log, "hitless-topo: {step}");
            let output = log.try_clone().context(|| "duplicate the log".into())?;
            let result = self.run(handle, line, log, output, EXEC_TIMEOUT);
            result.map_err(|reason| failed(self.node, self.log, step, reason))?;
        }
        if let Some(check) = &self.node.healthcheck {
            self.healthy(handle, check, ready_timeout)?;
        }
        match answer(&mut self.answers, &mut self.pending, Duration::ZERO) {
            Ok(Some(Answer::Ended(how))) => Ok(Some(how)),
            _ => Ok(None),
        }
    }

    fn healthy(
        &mut self,
        handle: &NodeHandle,
        check: &Healthcheck,
        ready_timeout: Duration,
    ) -> Result<(), Error> {
        let step = format!("wait for its health check `{}`", check.command.join(" "));
        let deadline = Instant::now() + ready_timeout;
        let mut complaint = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (reader, writer) = io::pipe().context(|| "make a pipe".into())?;
            let errors = writer.try_clone().context(|| "duplicate a pipe".into())?;
            let (output, errors) = (Stdio::from(writer), Stdio::from(errors));
            let timeout = check.timeout.min(left);
            let Err(reason) = self.run(handle, &check.command, output, errors, timeout) else {
                return Ok(());
            };
            let late = Instant::now() + HEALTH_PAUSE >= deadline;
            // A run that was cut short has less to say than the one before.
            if !late || complaint.is_empty() {
                complaint = format!("{reason}{}", said(reader));
            }
            if late {
                let seconds = ready_timeout.as_secs_f32();
                let reason = format!("not healthy after {seconds} s: {complaint}");
                return Err(failed(self.node, self.log, step, reason));
            }
            // A node whose command ended will not become healthy.
            let answer = answer(&mut self.answers, &mut self.pending, HEALTH_PAUSE);
            match answer {
                Ok(Some(Answer::Ended(how))) => {
                    let reason = format!("the node's command ended ({how})");
                    return Err(failed(self.node, self.log, step, reason));
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {}
                Err(e) => return Err(failed(self.node, self.log, step, e.to_string())),
            }
        }
    }

    /// Runs a command in the node; the error says how it failed.
    fn run(
        &self,
        handle: &NodeHandle,
        argv: &[String],
        output: impl Into<Stdio>,
        errors: impl Into<Stdio>,
        timeout: Duration,
    ) -> Result<(), String> {
        let mut command = handle.command_line(argv).map_err(|e| e.to_string())?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut child = handle.spawn(command).map_err(|e| e.to_string())?;
        let ended = PidFd::open(child.id() as i32).and_then(|fd| fd.wait(timeout));
        if !matches!(ended, Ok(true)) {
            // It may have ended in between; then there is nothing to kill.
            let _ = child.kill();
        }
        match (ended, child.wait()) {
            (Ok(true), Ok(status)) if status.success() => Ok(()),
            (Ok(true), Ok(status)) => Err(status.to_string()),
            (Ok(false), _) => Err(format!("it did not end within {} s", timeout.as_secs_f32())),
            (Err(e), _) | (_, Err(e)) => Err(e.to_string()),
        }
    }

    fn expect(&mut self, step: &str, expected: &Answer) -> Result<(), Error> {
        let reason = match answer(&mut self.answers, &mut self.pending, STEP_TIMEOUT) {
            Ok(Some(answer)) if answer == *expected => return Ok(()),
            Ok(Some(Answer::Failed(reason))) => reason,
            Ok(Some(other)) => format!("unexpected answer {other:?}"),
            Ok(None) => "its first process ended".into(),
            Err(e) => e.to_string(),
        };
        Err(failed(self.node, self.log, step, reason))
    }
}

/// The next answer, `None` when the other side is gone.
fn answer(
    answers: &mut ChildStdout,
    pending: &mut Vec<u8>,
    timeout: Duration,
) -> io::Result<Option<Answer>> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(end) = pending.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            return Ok(Some(serde_json::from_slice(&line)?));
        }
        if !readable(answers, deadline.saturating_duration_since(Instant::now()))? {
            let reason = format!("no answer within {} s", timeout.as_secs_f32());
            return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        let mut buffer = [0; 4096];
        match answers.read(&mut buffer)? {
            0 => return Ok(None),
            n => pending.extend(&buffer[..n]),
        }
    }
}

/// What a command printed so far, as the end of a sentence.
fn said(mut reader: PipeReader) -> String {
    let mut text = [0; 4096];
    let read = match readable(&reader, Duration::ZERO) {
        // A part of it is better than nothing.
        Ok(true) => reader.read(&mut text).unwrap_or(0),
        _ => 0,
    };
    match String::from_utf8_lossy(&text[..read]).trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
