//! Whole command lines against a socket that gives one prepared answer.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::thread;

use serde_json::{Value, json};

use super::fake::{Switch, answer, parsed};
use super::session::print;
use super::*;
use crate::northbound::api::{
    ApiError, ConfigurationInfo, ConfigurationSource, ConfiguredInfo, ErrorKind, FdbPage, Reply,
    Response, VersionInfo,
};
use hitless_common::PortNo;
use hitless_proto::config::Document;

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
    let result = run_line(line, &socket, &mut output);
    Outcome {
        output: String::from_utf8(output).unwrap(),
        request: server.join().unwrap(),
        result,
    }
}

fn run_line(line: &str, socket: &Path, output: &mut Vec<u8>) -> Result<(), Failure> {
    let (options, line) = parsed(line, socket);
    command(options, &line, Style::Plain, output, &mut Vec::new())
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
    let configured = ConfiguredInfo {
        changed: true,
        unsaved: true,
        notes: Vec::new(),
        rollback_seconds: None,
    };
    let created = answered(
        "create fdbentry 02:00:00:00:00:01 vlan blue blackhole --json",
        &Response::Ok(Reply::Configured(Box::new(configured))),
    );
    assert!(
        created.output.contains("\"unsaved\": true"),
        "{}",
        created.output
    );
    assert_eq!(
        created.request["changes"][0]["create-fdb-entry"]["target"],
        "blackhole"
    );
    let version = answered(
        "show version --json",
        &Response::Ok(Reply::Version(VersionInfo::own())),
    );
    let version: Value = serde_json::from_str(&version.output).unwrap();
    assert_eq!(version["hitlessd"]["version"], hitless_common::VERSION);
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
    let socket = dir.path().join("none.sock");
    let failure = run_line("show ports", &socket, &mut Vec::new()).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert_eq!(failure.to_json()["error"]["kind"], "unreachable");
}

#[test]
fn wrong_words_are_found_before_anyone_is_asked() {
    let failure = run_line("show fdb colour", Path::new("/none"), &mut Vec::new()).unwrap_err();
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

/// A configuration as the switch tells it.
fn configuration(source: ConfigurationSource, yaml: &str) -> fake::Act {
    let config = crate::config_file::parse(yaml.as_bytes(), Path::new("x")).unwrap();
    answer(Reply::Configuration(Box::new(ConfigurationInfo {
        source,
        file: None,
        document: Document::from(config),
        unsaved: false,
        rollback_seconds: None,
    })))
}

fn configured() -> fake::Act {
    answer(Reply::Configured(Box::new(ConfiguredInfo {
        changed: true,
        unsaved: true,
        notes: vec!["A note.".into()],
        rollback_seconds: Some(60),
    })))
}

const TWO_PORTS: &str = "switch: sw1\nvlans: [{id: 10, name: blue}]\n\
                         ports: [{port: 1, device: a, untagged: 10}, {port: 2, device: b}]\n";
const NO_PORTS: &str =
    "switch: sw1\nvlans: [{id: 10, name: blue}, {id: 20, name: green}]\nports: []\n";

#[test]
fn seed_28_a_configuration_is_shown_as_commands_as_yaml_and_as_json() {
    use ConfigurationSource::Running;
    let shown = |line: &str| {
        let switch = Switch::new(vec![vec![configuration(Running, TWO_PORTS)]]);
        let outcome = switch.run(line);
        outcome.result.unwrap();
        (outcome.output, outcome.asked)
    };
    let (commands, asked) = shown("show configuration");
    assert!(
        commands
            .lines()
            .any(|line| line == "create vlan blue tag 10"),
        "{commands}"
    );
    assert_eq!(
        asked[0][0],
        json!({"request": "show-configuration", "which": "running"})
    );
    for line in commands.lines() {
        grammar::parse(&Line::split(line).unwrap()).unwrap();
    }
    let (yaml, _) = shown("show configuration yaml");
    let config = crate::config_file::parse(yaml.as_bytes(), Path::new("x")).unwrap();
    assert_eq!(config.ports.len(), 2);
    assert!(!yaml.contains('#'), "{yaml}");
    let (document, asked) = shown("show configuration primary --json");
    let document: Document = serde_json::from_str(&document).unwrap();
    assert_eq!(document.check().unwrap(), config);
    assert_eq!(asked[0][0]["which"], "primary");
}

#[test]
fn seed_28_what_is_not_saved_is_shown_as_commands() {
    use ConfigurationSource::{Running, Selected};
    let switch = Switch::new(vec![vec![
        configuration(Selected, NO_PORTS),
        configuration(Running, TWO_PORTS),
    ]]);
    let outcome = switch.run("show configuration diff");
    outcome.result.unwrap();
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert!(lines.contains(&"- create vlan green tag 20"), "{lines:?}");
    assert!(lines.contains(&"+ configure port 1 device a"), "{lines:?}");
    assert!(!outcome.output.contains("create vlan blue"), "{lines:?}");
    let same = || {
        Switch::new(vec![vec![
            configuration(Selected, NO_PORTS),
            configuration(Running, NO_PORTS),
        ]])
    };
    assert_eq!(
        same().run("show configuration diff").output,
        "no difference\n"
    );
    let value: Value =
        serde_json::from_str(&same().run("show configuration diff --json").output).unwrap();
    assert_eq!(value["equal"], true);
}

#[test]
fn seed_28_files_go_to_the_switch_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let file = dir.path().join("sw1.cfg");
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_string()
    };
    let running = || configuration(ConfigurationSource::Running, NO_PORTS);

    // YAML, and commands that start from nothing.
    let path = file(TWO_PORTS);
    let line = format!("download configuration {path} confirmed 60");
    let outcome = Switch::new(vec![vec![configured()]]).run(&line);
    outcome.result.unwrap();
    assert_eq!(outcome.asked[0][0]["request"], "replace-configuration");
    assert_eq!(outcome.asked[0][0]["confirmed_seconds"], 60);
    assert!(
        outcome
            .output
            .starts_with("A note.\nThe configuration before"),
        "{}",
        outcome.output
    );
    let whole = outcome.asked[0][0]["document"].clone();

    let path = file(
        "create vlan blue tag 10\nconfigure port 1 device a\nconfigure port 2 device b\n\
                     configure vlan blue add ports 1 untagged\n",
    );
    let line = format!("download configuration {path}");
    let outcome = Switch::new(vec![vec![running(), configured()]]).run(&line);
    outcome.result.unwrap();
    assert_eq!(outcome.asked[0][1]["document"], whole);

    // On top of what there is, in one request.
    let path = file("delete vlan green\ncreate vlan red tag 30\n");
    let line = format!("download configuration {path} incremental");
    let outcome = Switch::new(vec![vec![running(), configured()]]).run(&line);
    outcome.result.unwrap();
    assert_eq!(outcome.asked[0][1]["request"], "configure");
    assert_eq!(outcome.asked[0][1]["changes"].as_array().unwrap().len(), 2);

    // A change that can not be made is told by its line, and nothing is sent.
    let path = file("create vlan red tag 30\n\ndelete vlan pink\n");
    let line = format!("download configuration {path} incremental");
    let outcome = Switch::new(vec![vec![running()]]).run(&line);
    let failure = outcome.result.unwrap_err();
    assert!(
        failure.to_string().starts_with(&format!("{path}:3: ")),
        "{failure}"
    );
    assert_eq!((failure.exit_code(), outcome.asked[0].len()), (1, 1));

    let path = file(TWO_PORTS);
    let failure = run_line(
        &format!("download configuration {path} incremental"),
        Path::new("/none"),
        &mut Vec::new(),
    );
    assert_eq!(failure.unwrap_err().exit_code(), 2);
    let path = file("switch: sw1\nvlans: [{id: 5000, name: x}]\nports: []\n");
    let failure = run_line(
        &format!("download configuration {path}"),
        Path::new("/none"),
        &mut Vec::new(),
    );
    let text = failure.unwrap_err().to_string();
    assert!(text.starts_with(&format!("{path}:2:")), "{text}");
}

#[test]
fn seed_28_what_is_uploaded_can_be_downloaded() {
    let dir = tempfile::tempdir().unwrap();
    let running = || configuration(ConfigurationSource::Running, TWO_PORTS);
    for form in ["yaml", "commands"] {
        let file = dir.path().join(form);
        let path = file.to_str().unwrap();
        let line = format!("upload configuration {path} {form}");
        let outcome = Switch::new(vec![vec![running()]]).run(&line);
        outcome.result.unwrap();
        assert!(
            outcome.output.starts_with("Written to "),
            "{}",
            outcome.output
        );
        let line = format!("download configuration {path}");
        let acts = match form {
            "yaml" => vec![configured()],
            _ => vec![running(), configured()],
        };
        let outcome = Switch::new(vec![acts]).run(&line);
        outcome.result.unwrap();
        let sent = outcome.asked[0].last().unwrap()["document"].clone();
        let document: Document = serde_json::from_value(sent).unwrap();
        let config = crate::config_file::parse(TWO_PORTS.as_bytes(), Path::new("x")).unwrap();
        assert_eq!(document.check().unwrap(), config, "{form}");
    }
    let outcome = Switch::new(vec![vec![running()]]).run("upload configuration - commands");
    assert!(
        outcome.output.contains("create vlan blue"),
        "{}",
        outcome.output
    );
    let line = format!("upload configuration {}", dir.path().display());
    let outcome = Switch::new(vec![vec![running()]]).run(&line);
    assert!(
        outcome
            .result
            .unwrap_err()
            .to_string()
            .contains("directory")
    );
}

#[test]
fn help_and_generated_pages_need_no_switch() {
    for line in [
        "help",
        "help show",
        "generate bash",
        "generate man",
        "history",
    ] {
        let mut output = Vec::new();
        run_line(line, Path::new("/none"), &mut output).unwrap();
        assert_eq!(output.is_empty(), line == "history", "{line}");
    }
    let failure = run_line("help nonsense", Path::new("/none"), &mut Vec::new());
    assert_eq!(failure.unwrap_err().exit_code(), 2);
}

#[test]
fn only_what_shows_is_shown_again_and_again() {
    for line in [
        "clear fdb --every 1",
        "show log follow --every 1",
        "help --every 1",
    ] {
        let result = run_line(line, Path::new("/none"), &mut Vec::new());
        match line {
            "help --every 1" => result.unwrap(),
            _ => assert_eq!(result.unwrap_err().exit_code(), 2, "{line}"),
        }
    }
}

#[test]
fn spanning_tree_domains_and_their_ports() {
    let none = Response::Ok(Reply::Stpds(Vec::new()));
    let all = answered("show stpd", &none);
    all.result.unwrap();
    assert!(
        all.output.starts_with("STPD  Tag  Enabled"),
        "{}",
        all.output
    );
    assert_eq!(all.request, json!({"request": "show-stpd"}));
    let one = answered("show stpd s0 --json", &none);
    assert_eq!(one.output, "[]\n");
    assert_eq!(one.request, json!({"request": "show-stpd", "stpd": "s0"}));
    let ports = answered("show stpd s0 ports", &none);
    assert!(
        ports.output.starts_with("Port  Mode  Role"),
        "{}",
        ports.output
    );
    assert_eq!(
        ports.request,
        json!({"request": "show-stpd", "stpd": "s0", "ports": "all"})
    );
    let detail = answered("show stpd s0 ports 3 detail", &none);
    detail.result.unwrap();
    assert_eq!(detail.output, "");
    assert_eq!(
        detail.request,
        json!({"request": "show-stpd", "stpd": "s0", "ports": "3"})
    );

    let done = Response::Ok(Reply::Done {});
    let cleared = answered("clear counters stpd", &done);
    assert_eq!(cleared.output, "The counters are zero.\n");
    assert_eq!(cleared.request, json!({"request": "clear-stpd-counters"}));
    let checked = answered("clear stpd s0 ports all protocol-migration --json", &done);
    assert_eq!(checked.output, "{\n  \"done\": true\n}\n");
    let recovered = Response::Ok(Reply::StpdRecovered {
        ports: vec![PortNo::new(1).unwrap()],
    });
    let recovered = answered("clear stpd s0 ports 1-3 bpdu-guard", &recovered);
    assert_eq!(recovered.output, "Open to spanning tree again: 1.\n");
    assert_eq!(
        recovered.request,
        json!({"request": "recover-stpd-ports", "stpd": "s0", "ports": "1-3"})
    );
}
