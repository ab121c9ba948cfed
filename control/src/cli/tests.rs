//! Whole command lines against a socket that gives one prepared answer.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::Value;

use super::*;
use crate::northbound::api::{ApiError, ErrorKind, FdbPage, Response};

/// What a command printed, the request that it made, and how it ended.
struct Outcome {
    output: String,
    request: Value,
    result: Result<(), Failure>,
}

fn answered(line: &str, response: &Response) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let response = serde_json::to_string(response).unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
        let mut request = String::new();
        stream.read_line(&mut request).unwrap();
        writeln!(stream.get_mut(), "{response}").unwrap();
        serde_json::from_str(&request).unwrap()
    });
    let mut output = Vec::new();
    let result = run(
        parsed(line, &socket),
        Style::Plain,
        &mut output,
        &mut Vec::new(),
    );
    Outcome {
        output: String::from_utf8(output).unwrap(),
        request: server.join().unwrap(),
        result,
    }
}

fn parsed(line: &str, socket: &Path) -> Arguments {
    let words = ["hitless", "--socket", socket.to_str().unwrap()];
    Arguments::try_parse_from(words.into_iter().chain(line.split_whitespace())).unwrap()
}

#[test]
fn text_and_json_of_an_answer() {
    let cleared = Response::Ok(Reply::FdbCleared { removed: 12 });
    let text = answered("clear fdb vlan 10", &cleared);
    text.result.unwrap();
    assert_eq!(text.output, "Removed 12 learned addresses.\n");
    assert_eq!(text.request, json!({"request": "clear-fdb", "vlan": 10}));
    let json = answered("clear fdb --json", &cleared);
    assert_eq!(json.output, "{\n  \"removed\": 12\n}\n");
    assert_eq!(json.request, json!({"request": "clear-fdb"}));

    let ports = answered("show ports --json", &Response::Ok(Reply::Ports(Vec::new())));
    assert_eq!(ports.output, "[]\n");
    let fdb = answered(
        "show fdb port 3 --json",
        &Response::Ok(Reply::Fdb(FdbPage::default())),
    );
    assert_eq!(fdb.output, "[\n]\n");
    assert_eq!(fdb.request["port"], 3);
    let created = answered(
        "create fdbentry 02:00:00:00:00:01 vlan blue blackhole --json",
        &Response::Ok(Reply::Done {}),
    );
    assert_eq!(created.output, "{\n  \"done\": true\n}\n");
    assert_eq!(created.request["target"], "blackhole");
    let version = answered(
        "show version --json",
        &Response::Ok(Reply::Version(VersionInfo::own())),
    );
    let version: Value = serde_json::from_str(&version.output).unwrap();
    assert_eq!(version["hitlessd"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["hitless"], version["hitlessd"]);
}

#[test]
fn a_refusal_is_passed_on() {
    let refusal = ApiError::new(ErrorKind::NotFound, "VLAN 7 does not exist");
    let outcome = answered("show vlan 7", &Response::Error(refusal));
    let failure = outcome.result.unwrap_err();
    assert_eq!((outcome.output.as_str(), failure.exit_code()), ("", 1));
    assert_eq!(
        failure.to_json(),
        json!({"error": {"kind": "not-found", "message": "VLAN 7 does not exist"}})
    );
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let outcome = answered("show ports", &Response::Ok(Reply::Done {}));
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert!(failure.to_string().contains("same version"), "{failure}");
}

#[test]
fn nobody_there() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = parsed("show ports", &dir.path().join("none.sock"));
    let failure = run(arguments, Style::Plain, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert_eq!(failure.to_json()["error"]["kind"], "unreachable");
}

#[test]
fn wrong_words_are_found_before_anyone_is_asked() {
    let failure = run(
        parsed("show fdb colour", Path::new("/none")),
        Style::Plain,
        &mut Vec::new(),
        &mut Vec::new(),
    )
    .unwrap_err();
    assert_eq!(failure.exit_code(), 2);
}

/// A pipe whose reader is gone.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let version = VersionInfo::own();
    for json in [true, false] {
        let failure = print(&mut Gone, json, &version, || "text".into()).unwrap_err();
        assert_eq!(failure.exit_code(), 0, "{failure}");
    }
}
