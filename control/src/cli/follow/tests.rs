//! Commands through the death of the master.

use std::io::ErrorKind as IoErrorKind;
use std::os::unix::net::UnixListener;

use nix::sys::socket::Backlog;
use serde_json::{Value, json};

use super::*;
use crate::cli::command;
use crate::cli::fake::{Act, Switch, answer, modules, parsed, refuse, show_modules};
use crate::cli::live::Pace;
use crate::cli::render::Style;
use crate::grammar::{Action, LogQuery, PortsView};
use crate::northbound::api::{
    Cause, FailoverStartedInfo, FdbKind, FdbPage, FdbRow, LogLevel, LogLine, LogPage, Response,
};
use ModuleSlot::{MsmA, MsmB};

fn failed((options, line): (crate::cli::options::Options, crate::grammar::Line)) -> Failure {
    let (output, errors) = (&mut Vec::new(), &mut Vec::new());
    command(options, &line, Style::Plain, output, errors).unwrap_err()
}

fn show_ports() -> Action {
    Action::ShowPorts {
        ports: None,
        view: PortsView::Summary,
    }
}

fn ports() -> Reply {
    Reply::Ports(Vec::new())
}

#[test]
fn seed_63_a_show_command_is_asked_again_at_the_new_master() {
    for death in [
        Act::Half(Response::Ok(ports())),
        Act::Die,
        refuse(ErrorKind::Stopping, "about to end"),
    ] {
        let switch = Switch::new(vec![
            vec![death],
            vec![answer(ports()), show_modules(MsmB, 2)],
        ]);
        let outcome = switch.run("show ports --json");
        outcome.result.as_ref().unwrap();
        assert_eq!(outcome.output, "[]\n");
        assert_eq!(
            outcome.requests(),
            [vec!["show-ports"], vec!["show-ports", "show-msm-failover"]]
        );
        let notice: Value = serde_json::from_str(&outcome.errors).unwrap();
        let notice = &notice["notice"];
        assert_eq!(notice["master"], "msm-b");
        assert_eq!(notice["failover"]["from"], "msm-a");
        assert_eq!(notice["failover"]["cause"], "operator-command");
    }
}

#[test]
fn people_are_told_in_words() {
    let switch = Switch::new(vec![
        vec![Act::Die],
        vec![answer(ports()), show_modules(MsmB, 2)],
    ]);
    let outcome = switch.run("show ports");
    let told = "--- failover: msm-a -> msm-b by operator command, hitless; it answered after ";
    assert!(outcome.errors.starts_with(told), "{}", outcome.errors);
    assert!(!outcome.output.contains("failover"));
}

#[test]
fn a_change_is_sent_once() {
    for death in [
        Act::Half(Response::Ok(Reply::FdbCleared { removed: 1 })),
        Act::Die,
        refuse(ErrorKind::Stopping, "about to end"),
    ] {
        let outcome = Switch::new(vec![vec![death]]).run("clear fdb --wait 0");
        let failure = outcome.result.as_ref().unwrap_err();
        assert_eq!(failure.exit_code(), 4, "{failure}");
        assert_eq!(failure.to_json()["error"]["kind"], "interrupted");
        let text = failure.to_string();
        assert!(
            text.contains("may have been carried out or not; it was not repeated")
                && text.contains("`hitless show fdb`"),
            "{text}"
        );
        assert_eq!(outcome.requests(), [["clear-fdb"]]);
    }
    let outcome = Switch::new(vec![vec![Act::Die]]).run("configure msm-failover timeout 60");
    let text = outcome.result.unwrap_err().to_string();
    assert!(text.contains("`hitless show configuration`"), "{text}");
}

#[test]
fn a_search_for_a_master_ends() {
    let outcome = Switch::new(vec![vec![Act::Die]]).run("show ports --wait 0.05");
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    let text = failure.to_string();
    assert!(
        text.starts_with("no master answered for 0.05 s: "),
        "{text}"
    );
}

#[test]
fn where_nothing_runs_nothing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    // What dead processes left.
    drop(UnixListener::bind(dir.path().join("modules.sock")).unwrap());
    drop(UnixListener::bind(dir.path().join("control.sock")).unwrap());
    let failure = failed(parsed(
        "show ports --wait 86400",
        &dir.path().join("control.sock"),
    ));
    assert_eq!(failure.exit_code(), 3);
    let text = failure.to_string();
    assert!(text.starts_with("no hitlessd serves"), "{text}");
}

#[test]
fn where_modules_run_a_master_is_waited_for() {
    for kind in [SockType::Stream, SockType::SeqPacket] {
        let dir = tempfile::tempdir().unwrap();
        let control = dir.path().join("control.sock");
        assert!(!is_attended(&control));

        let flags = SockFlag::SOCK_NONBLOCK;
        let boot = socket::socket(AddressFamily::Unix, kind, flags, None).unwrap();
        let path = dir.path().join("backplane-msm-b.sock");
        socket::bind(boot.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        socket::listen(&boot, Backlog::MAXCONN).unwrap();
        assert!(is_attended(&control));

        let failure = failed(parsed("show ports --wait 0.05", &control));
        let text = failure.to_string();
        assert!(text.starts_with("no master answered for 0.05 s"), "{text}");
        // The modules were not disturbed by any of it.
        assert_eq!(socket::accept(boot.as_raw_fd()), Err(Errno::EAGAIN));
    }
}

#[test]
fn a_table_that_was_cut_off_is_read_from_its_beginning() {
    let row = |last| FdbRow {
        vlan: hitless_common::VlanId::MIN,
        mac: hitless_common::Mac([2, 0, 0, 0, 0, last]),
        port: None,
        kind: FdbKind::Blackhole,
        age_seconds: 0,
    };
    let page = |last, next| {
        answer(Reply::Fdb(FdbPage {
            entries: vec![row(last)],
            next,
        }))
    };
    let switch = Switch::new(vec![
        vec![page(1, Some(7)), Act::Die],
        vec![page(2, Some(8)), page(3, None), show_modules(MsmB, 2)],
    ]);
    let outcome = switch.run("show fdb --json");
    outcome.result.unwrap();
    let rows: Vec<FdbRow> = serde_json::from_str(&outcome.output).unwrap();
    assert_eq!(rows, [row(2), row(3)]);
    assert_eq!(outcome.asked[0][1]["cursor"], 7);
    assert_eq!(outcome.asked[1][0]["cursor"], 0);
}

fn started() -> Act {
    answer(Reply::FailoverStarted(FailoverStartedInfo {
        from: MsmA,
        to: MsmB,
        generation: 1,
    }))
}

#[test]
fn seed_63_run_msm_failover_waits_for_the_new_master_and_reports() {
    // Whether the old master answers, lingers on, or goes without a word.
    for old in [
        vec![show_modules(MsmA, 1), started()],
        vec![
            show_modules(MsmA, 1),
            started(),
            show_modules(MsmA, 1),
            Act::Die,
        ],
        vec![show_modules(MsmA, 1), Act::Die],
    ] {
        let switch = Switch::new(vec![old, vec![show_modules(MsmB, 2)]]);
        let mut output = Vec::new();
        let mut session = switch.session("");
        session.failover(false, &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert!(
            text.starts_with(
                "msm-b is master now; it was msm-a.\n\
                 Failover by operator command: 3.214 ms to the new master in charge, hitless.\n\
                 It answered here "
            ),
            "{text}"
        );
        assert!(session.follower.take_changes().is_empty(), "told once");
    }
}

#[test]
fn a_failover_that_was_not_hitless_has_an_exit_code_of_its_own() {
    let mut after = modules(MsmB, 2);
    if let Some(failover) = &mut after.last_failover {
        failover.hitless = false;
        failover.cause = Cause::SoftwareException;
        failover.detail = Some("panicked at\nhere".into());
    }
    let switch = Switch::new(vec![
        vec![show_modules(MsmA, 1), started()],
        vec![
            answer(Reply::MsmFailover(Box::new(after.clone()))),
            answer(Reply::MsmFailover(Box::new(after))),
        ],
    ]);
    let mut output = Vec::new();
    let mut session = switch.session("--json");
    let failure = session.failover(true, &mut output).unwrap_err();
    drop(session);
    assert_eq!(failure.exit_code(), 5);
    let outcome = switch.end(Err(failure), output, Vec::new());
    assert_eq!(
        outcome.asked[0][1],
        json!({"request": "run-msm-failover", "force": true})
    );
    let value: Value = serde_json::from_str(&outcome.output).unwrap();
    assert_eq!(
        (&value["master"], &value["was"]),
        (&json!("msm-b"), &json!("msm-a"))
    );
    assert_eq!(value["failover"]["cause"], "software-exception");
}

#[test]
fn a_refused_failover_is_not_waited_for() {
    let refusal = refuse(ErrorKind::Refused, "the standby is not ready: fdb is xfr");
    let outcome = Switch::new(vec![vec![show_modules(MsmA, 1), refusal]]).run("run msm-failover");
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    assert!(failure.to_string().contains("fdb is xfr"), "{failure}");
}

#[test]
fn seed_62_the_standby_is_rebooted_and_the_master_fails_over() {
    let done = || answer(Reply::Done {});
    let standby = Switch::new(vec![vec![show_modules(MsmA, 1), done()]]);
    let outcome = standby.run("reboot slot msm-b");
    outcome.result.unwrap();
    assert!(outcome.output.starts_with("msm-b is started again"));
    assert_eq!(outcome.asked[0][1]["hard_reset"], false);

    let master = Switch::new(vec![
        vec![show_modules(MsmA, 1), done()],
        vec![show_modules(MsmB, 2)],
    ]);
    let mut session = master.session("--yes");
    let mut output = Vec::new();
    session.reboot(MsmA, true, &mut output).unwrap();
    drop(session);
    let outcome = master.end(Ok(()), output, Vec::new());
    assert!(outcome.output.starts_with("msm-b is master now"));
    assert_eq!(outcome.asked[0][1]["hard_reset"], true);

    // A master that is gone before it answers about the other slot leaves it open what became of that.
    let gone = Switch::new(vec![vec![show_modules(MsmA, 1), Act::Die]]).run("reboot slot msm-b");
    assert_eq!(gone.result.unwrap_err().exit_code(), 4);
}

/// A number of looks without a pause.
struct Looks(usize);

impl Pace for Looks {
    fn next(&mut self) -> bool {
        self.0 -= 1;
        self.0 > 0
    }
}

#[test]
fn a_live_view_goes_on_at_the_new_master_and_says_so_once() {
    let masters = || {
        Switch::new(vec![
            vec![show_modules(MsmA, 1), answer(ports()), Act::Die],
            vec![answer(ports()), show_modules(MsmB, 2), answer(ports())],
        ])
    };
    let view = |style, json| {
        let switch = masters();
        let mut output = Vec::new();
        let mut session = switch.session(if json { "--json" } else { "" });
        session.style = style;
        let result = session.live(&show_ports(), Looks(3), &mut output);
        drop(session);
        switch.end(result, output, Vec::new()).output
    };
    let text = view(Style::Plain, false);
    assert_eq!(text.matches("Port  Device").count(), 3, "{text}");
    assert_eq!(text.matches("--- failover: msm-a -> msm-b").count(), 1);

    // On a terminal the notice stays in sight while the rest is drawn anew.
    let text = view(Style::Terminal, false);
    assert_eq!(text.matches("\x1b[H\x1b[2J").count(), 3);
    assert_eq!(text.matches("--- failover: msm-a -> msm-b").count(), 2);

    let text = view(Style::Plain, true);
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let documents: Vec<Value> = documents.map(Result::unwrap).collect();
    assert_eq!(documents.len(), 4, "{text}");
    assert_eq!(documents[1]["notice"]["master"], "msm-b");
}

/// Does something between two looks, which says whether there is another one.
struct Between<F>(F);

impl<F: FnMut() -> bool> Pace for Between<F> {
    fn next(&mut self) -> bool {
        (self.0)()
    }
}

#[test]
fn a_live_view_outlives_a_time_without_a_master() {
    let switch = Switch::new(vec![vec![show_modules(MsmA, 1), answer(ports()), Act::Die]]);
    let mut later = None;
    let mut looks = 0;
    let pace = Between(|| {
        looks += 1;
        if looks == 2 {
            // By now the view has looked for a master in vain.
            later = Some(switch.restart(vec![vec![answer(ports()), show_modules(MsmB, 2)]]));
        }
        looks < 3
    });
    let mut session = switch.session("");
    session.follower.wait = Duration::from_millis(20);
    let mut output = Vec::new();
    session.live(&show_ports(), pace, &mut output).unwrap();
    drop(session);
    assert_eq!(later.unwrap().join().unwrap()[0].len(), 2);
    let text = String::from_utf8(output).unwrap();
    let order: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| ["Port", "no", "---"].contains(word))
        .collect();
    assert_eq!(order, ["Port", "no", "---", "Port"], "{text}");
}

#[test]
fn a_connection_that_is_lost_alone_is_no_failover() {
    let switch = Switch::new(vec![
        vec![show_modules(MsmA, 1), Act::Die],
        vec![answer(ports()), show_modules(MsmA, 1)],
    ]);
    let mut session = switch.session("");
    let mut output = Vec::new();
    session.live(&show_ports(), Looks(1), &mut output).unwrap();
    let text = String::from_utf8(output).unwrap();
    assert!(!text.contains("---"), "{text}");
}

#[test]
fn a_live_view_that_never_began_fails() {
    let switch = Switch::new(vec![vec![
        show_modules(MsmA, 1),
        refuse(ErrorKind::NotFound, "no such port"),
    ]]);
    let mut session = switch.session("");
    let failure = session
        .live(&show_ports(), Looks(9), &mut Vec::new())
        .unwrap_err();
    assert_eq!(failure.exit_code(), 1);
}

#[test]
fn the_log_is_followed_across_a_failover() {
    let page = |message: &str, next| {
        answer(Reply::Log(LogPage {
            lines: vec![LogLine {
                at_unix_ms: 0,
                slot: MsmA,
                pid: 1,
                level: LogLevel::Info,
                message: message.into(),
                fields: Default::default(),
            }],
            next,
        }))
    };
    let switch = Switch::new(vec![
        vec![show_modules(MsmA, 1), page("last words", 7), Act::Die],
        vec![page("in charge", 8), show_modules(MsmB, 2)],
    ]);
    let arguments = LogQuery {
        count: 100,
        slot: None,
        level: None,
        follow: true,
    };
    let mut session = switch.session("");
    let mut output = Vec::new();
    let result = session.follow_log(&arguments, Looks(2), &mut output);
    drop(session);
    let outcome = switch.end(result, output, Vec::new());
    outcome.result.unwrap();
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].ends_with("last words") && lines[2].ends_with("in charge"));
    assert!(lines[1].starts_with("--- failover: msm-a -> msm-b"));
    assert_eq!(outcome.asked[1][0]["since"], 7);
}

#[test]
fn the_fault_that_was_asked_for_is_no_failure() {
    let outcome = Switch::new(vec![vec![Act::Die]]).run("debug fault panic --json");
    outcome.result.unwrap();
    assert_eq!(
        outcome.asked[0][0],
        json!({"request": "inject-fault", "fault": "panic"})
    );
    let value: Value = serde_json::from_str(&outcome.output).unwrap();
    assert_eq!(value, json!({"done": true, "gone": true}));
}

#[test]
fn an_io_error_that_is_no_absence_is_told_at_once() {
    let denied = ClientError::Connect {
        path: "/x".into(),
        source: IoErrorKind::PermissionDenied.into(),
    };
    assert!(!went_away(&denied));
}
