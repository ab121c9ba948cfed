//! A switch for tests: masters at a socket, one after the other, that answer as they are told and die.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::command;
use super::failure::Failure;
use super::options::{self, Options, Said};
use super::render::Style;
use super::session::Session;
use super::target::Target;
use crate::grammar::Line;
use crate::northbound::api::{
    ApiError, Cause, CheckpointLag, ErrorKind, FailoverInfo, FailoverTimer, LeaseInfo, LeaseState,
    ModuleRole, ModuleSlot, ModuleStatus, MsmFailoverInfo, MsmFailoverSettings, Reason, Reply,
    Response, SubState, SubsystemStatus, TransferInfo,
};
use hitless_proto::config::MsmFailoverConfig;

/// What a master does about a request.
#[derive(Clone)]
pub(super) enum Act {
    /// Answers it.
    Answer(Response),
    /// Dies within the answer.
    Half(Response),
    /// Dies without one.
    Die,
}

pub(super) fn answer(reply: Reply) -> Act {
    Act::Answer(Response::Ok(reply))
}

pub(super) fn refuse(kind: ErrorKind, message: &str) -> Act {
    Act::Answer(Response::Error(ApiError::new(kind, message)))
}

/// Masters of a switch. Each but the last dies after what it has to do, and leaves its socket file. The last one
/// goes on as it did last until its client is gone.
pub(super) struct Switch {
    dir: tempfile::TempDir,
    masters: JoinHandle<Vec<Vec<Value>>>,
}

impl Switch {
    pub fn new(masters: Vec<Vec<Act>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let masters = spawn(socket, masters);
        Self { dir, masters }
    }

    /// Further masters, after the end of those there were.
    pub fn restart(&self, masters: Vec<Vec<Act>>) -> JoinHandle<Vec<Vec<Value>>> {
        spawn(self.socket(), masters)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// Runs a command to its end. Gives back what it printed and what each master was asked.
    pub fn run(self, line: &str) -> Outcome {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let (options, line) = parsed(line, &self.socket());
        let result = command(options, &line, Style::Plain, &mut output, &mut errors);
        self.end(result, output, errors)
    }

    pub fn end(self, result: Result<(), Failure>, output: Vec<u8>, errors: Vec<u8>) -> Outcome {
        Outcome {
            output: String::from_utf8(output).unwrap(),
            errors: String::from_utf8(errors).unwrap(),
            asked: self.masters.join().unwrap(),
            result,
        }
    }

    /// Options that lead to it.
    pub fn options(&self, line: &str) -> Options {
        parsed(line, &self.socket()).0
    }

    /// A session with it, with these options.
    pub fn session(&self, line: &str) -> Session {
        let target = Target {
            switch: Some("sw1".parse().unwrap()),
            socket: self.socket(),
        };
        Session::with(target, self.options(line), Style::Plain)
    }
}

pub(super) struct Outcome {
    pub output: String,
    pub errors: String,
    /// The requests that each master got.
    pub asked: Vec<Vec<Value>>,
    pub result: Result<(), Failure>,
}

impl Outcome {
    /// The names of the requests that each master got.
    pub fn requests(&self) -> Vec<Vec<&str>> {
        fn name(request: &Value) -> &str {
            request["request"].as_str().unwrap()
        }
        self.asked
            .iter()
            .map(|requests| requests.iter().map(name).collect())
            .collect()
    }
}

/// Listens at a socket by now, as the first of some masters.
fn spawn(socket: PathBuf, masters: Vec<Vec<Act>>) -> JoinHandle<Vec<Vec<Value>>> {
    let listen = move || {
        // What the one before left.
        let _ = fs::remove_file(&socket);
        UnixListener::bind(&socket).unwrap()
    };
    let mut first = Some(listen());
    thread::spawn(move || {
        let last = masters.len() - 1;
        let mut heard = Vec::new();
        for (i, acts) in masters.into_iter().enumerate() {
            let listener = first.take().unwrap_or_else(&listen);
            heard.push(live(&listener, acts, i == last));
        }
        heard
    })
}

fn live(listener: &UnixListener, acts: Vec<Act>, is_last: bool) -> Vec<Value> {
    let mut asked = Vec::new();
    let mut stream: Option<BufReader<UnixStream>> = None;
    for i in 0.. {
        let act = match acts.get(i) {
            Some(act) => act,
            None if is_last => acts.last().unwrap(),
            None => break,
        };
        // One that has done what it had to do does not wait for another client.
        let Some(request) = next_request(listener, &mut stream, i < acts.len()) else {
            break;
        };
        asked.push(serde_json::from_str(&request).unwrap());
        let (response, part) = match act {
            Act::Answer(response) => (response, 1),
            Act::Half(response) => (response, 2),
            Act::Die => break,
        };
        let line = serde_json::to_string(response).unwrap() + "\n";
        let writer = stream.as_mut().unwrap().get_mut();
        writer
            .write_all(&line.as_bytes()[..line.len() / part])
            .unwrap();
        if part > 1 {
            break;
        }
    }
    asked
}

/// The next request of the client there is, or of another one if that may be.
fn next_request(
    listener: &UnixListener,
    stream: &mut Option<BufReader<UnixStream>>,
    another: bool,
) -> Option<String> {
    loop {
        let mut request = String::new();
        if let Some(reader) = stream
            && reader.read_line(&mut request).unwrap() > 0
        {
            return Some(request);
        }
        if !another {
            return None;
        }
        *stream = Some(BufReader::new(listener.accept().unwrap().0));
    }
}

/// Options and words of a command line, asked at that socket.
pub(super) fn parsed(line: &str, socket: &Path) -> (Options, Line) {
    let words = ["--socket", socket.to_str().unwrap()];
    let words = words.into_iter().chain(line.split_whitespace());
    match options::of_program(words.map(String::from).collect()).unwrap() {
        Said::Command(options, line) => (options, line),
        Said::Chassis(_) => panic!("{line} is no command to a switch"),
    }
}

/// Two modules of which the one in this slot is the master, after a failover if it is not the first.
pub(super) fn modules(master: ModuleSlot, generation: u64) -> MsmFailoverInfo {
    let subsystem = |name: &str, records| SubsystemStatus {
        name: name.into(),
        state: SubState::Ready,
        reason: Reason::None,
        old_state: Some(SubState::Xfr),
        old_reason: Some(Reason::None),
        records,
    };
    let module = |slot| ModuleStatus {
        slot,
        present: true,
        role: if slot == master {
            ModuleRole::Master
        } else {
            ModuleRole::Standby
        },
        state: Some(SubState::Ready),
        reason: Some(Reason::None),
        old_state: Some(SubState::Initial),
        old_reason: Some(Reason::None),
        image: Some("/usr/bin/hitlessd".into()),
        version: Some("0.1.0".into()),
        pid: Some(42),
        uptime_seconds: Some(3_661),
        memory_bytes: Some(12_582_912),
        subsystems: vec![subsystem("config", 1), subsystem("fdb", 1_000_000)],
    };
    let failover = FailoverInfo {
        cause: Cause::OperatorCommand,
        at_unix_ms: 1_763_691_038_123,
        duration_us: 3_214,
        from: master.other(),
        to: master,
        hitless: true,
        detail: None,
    };
    let failed_over = generation > 1;
    MsmFailoverInfo {
        switch: "sw1".parse().unwrap(),
        generation,
        modules: ModuleSlot::BOTH.map(module).into(),
        settings: MsmFailoverSettings::from(&MsmFailoverConfig::default()),
        unsaved: false,
        last_failover: failed_over.then_some(failover),
        failovers: failed_over
            .then_some((Cause::OperatorCommand, generation - 1))
            .into_iter()
            .collect(),
        checkpoint: Some(CheckpointLag { records: 3, ms: 2 }),
        last_transfer: Some(TransferInfo {
            at_unix_ms: 1_763_691_040_000,
            duration_ms: 210,
            records: 1_000_005,
            bytes: 18_000_000,
        }),
        timer: FailoverTimer {
            running: failed_over,
            seconds_left: if failed_over { 57 } else { 0 },
            deleted: 4,
        },
        quarantine: Vec::new(),
        lease: LeaseInfo {
            state: LeaseState::Valid,
            ms_left: 2_870,
        },
        fallback: None,
    }
}

pub(super) fn show_modules(master: ModuleSlot, generation: u64) -> Act {
    answer(Reply::MsmFailover(Box::new(modules(master, generation))))
}
