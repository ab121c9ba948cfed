//! What stands in the log, read as `show log` reads it.

use hitless_common::VlanId;
use proptest::prelude::*;
use tempfile::TempDir;
use tracing_subscriber::prelude::*;

use super::*;
use crate::logbook::{self, Filter, Logbook};
use crate::northbound::api::{
    ConfigChange, ErrorKind, LogLevel, LogLine, ModuleSlot, Privilege, Reply, VlanRef,
};

/// What is logged while `act` runs.
fn logged(act: impl FnOnce()) -> Vec<LogLine> {
    let directory = TempDir::new().unwrap();
    let book = Logbook::new(ModuleSlot::MsmA);
    book.open(directory.path());
    let subscriber = tracing_subscriber::registry().with(book);
    tracing::subscriber::with_default(subscriber, act);
    logbook::read(directory.path(), 0, &Filter::default())
        .unwrap()
        .lines
}

fn one(act: impl FnOnce()) -> LogLine {
    let mut lines = logged(act);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

fn alice() -> Peer {
    Peer {
        uid: 1001,
        gid: 1000,
        user: Some("alice".into()),
        pid: Some(4711),
        program: Some("hitless".into()),
        terminal: Some("pts/3".into()),
        privilege: Some(Privilege::Admin),
    }
}

fn done() -> Response {
    Response::Ok(Reply::Done {})
}

fn refused(why: &str) -> Response {
    ApiError::new(ErrorKind::Refused, why).into()
}

fn record(peer: Peer, request: &Request) -> Record {
    Record::of(&Arc::new(peer), request).unwrap()
}

fn blue(tag: i64) -> ConfigChange {
    ConfigChange::CreateVlan {
        name: Some("blue".parse().unwrap()),
        tag: Some(tag),
    }
}

fn configure(changes: Vec<ConfigChange>) -> Request {
    Request::Configure {
        changes,
        confirmed_seconds: None,
    }
}

#[test]
fn a_change_is_one_line_that_tells_who_what_and_from_where() {
    let request = configure(vec![blue(10)]);
    let line = one(|| record(alice(), &request).ended(&done()));
    assert_eq!(
        line.message,
        "admin: alice (uid 1001) from pts/3 (pid 4711, hitless): create vlan blue tag 10: done"
    );
    assert_eq!(line.level, LogLevel::Info);
    let fields: Vec<(&str, &str)> = line
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("audit", "true"),
            ("command", "create vlan blue tag 10"),
            ("outcome", "done"),
            ("pid", "4711"),
            ("program", "hitless"),
            ("terminal", "pts/3"),
            ("uid", "1001"),
            ("user", "alice"),
        ]
    );
}

#[test]
fn a_change_that_was_refused_is_told_with_the_reason() {
    let request = Request::Save { bank: None };
    let line = one(|| record(alice(), &request).ended(&refused("the disk is full")));
    assert!(
        line.message
            .ends_with("(pid 4711, hitless): save: refused: the disk is full"),
        "{}",
        line.message
    );
    assert_eq!(line.fields["outcome"], "refused: the disk is full");
}

#[test]
fn what_changes_nothing_is_not_told() {
    assert!(Record::of(&Arc::new(alice()), &Request::ShowSwitch {}).is_none());
    assert!(Record::of(&Arc::new(alice()), &Request::ShowSession {}).is_none());
}

#[test]
fn many_changes_are_one_line_with_their_count() {
    let request = configure((1..=4_094).map(blue).collect());
    let line = one(|| record(alice(), &request).ended(&done()));
    assert!(
        line.message
            .contains("): 4094 changes: create vlan blue tag 1; create vlan blue tag 2; "),
        "{}",
        line.message
    );
    assert!(line.message.len() < 2_000, "{}", line.message.len());
    assert!(line.message.ends_with(": done"), "{}", line.message);
}

#[test]
fn what_is_unknown_is_left_out() {
    let nobody = Peer {
        user: None,
        pid: None,
        program: None,
        terminal: None,
        ..alice()
    };
    let line = one(|| record(nobody, &Request::ClearQuarantine {}).ended(&done()));
    assert_eq!(
        line.message,
        "admin: uid 1001 from no terminal (unknown process): clear quarantine: done"
    );
    for name in ["user", "pid", "program", "terminal"] {
        assert!(!line.fields.contains_key(name), "{name}");
    }
}

#[test]
fn attempts_are_told_once_a_minute_for_each_user() {
    let stranger = |uid| Peer {
        uid,
        user: None,
        privilege: None,
        ..alice()
    };
    let why = ApiError::new(ErrorKind::Forbidden, "ask for group hitless");
    let start = Instant::now();
    let mut attempts = Attempts::default();
    let mut at = |uid, seconds| {
        let when = start + Duration::from_secs(seconds);
        let lines = logged(|| attempts.refused(&stranger(uid), "connect", &why, when));
        lines.into_iter().next()
    };
    let first = at(7, 0).unwrap();
    assert_eq!(first.level, LogLevel::Warn);
    assert_eq!(
        first.message,
        "stranger: uid 7 from pts/3 (pid 4711, hitless): connect: refused: ask for group hitless"
    );
    assert!((1..60).all(|second| at(7, second).is_none()));
    assert!(at(8, 59).is_some());
    let again = at(7, 60).unwrap();
    assert!(
        again.message.ends_with("(and 59 more attempts before)"),
        "{}",
        again.message
    );
    assert_eq!(again.fields["untold"], "59");
    assert!(at(7, 61).is_none());
}

#[test]
fn a_thousand_strangers_do_not_fill_the_log() {
    let start = Instant::now();
    let mut attempts = Attempts::default();
    let told = |attempts: &mut Attempts, when| {
        let all = (0..1_000).filter(|&uid| attempts.note(uid, when).is_some());
        all.count()
    };
    assert_eq!(told(&mut attempts, start), MAX_USERS + 1);
    assert_eq!(told(&mut attempts, start + PAUSE / 2), 0);
    // A minute later there is room for others again.
    assert_eq!(attempts.note(2_000, start + PAUSE), Some(0));
    assert!(attempts.0.len() <= MAX_USERS + 1);
}

proptest! {
    /// Whatever programs call themselves and requests contain, a line of the log stays one line, and tells whose it is
    /// where it always does.
    #[test]
    fn nothing_forges_a_line(program in any::<String>(), user in any::<String>(), why in any::<String>()) {
        let peer = Peer { user: Some(user), program: Some(program), ..alice() };
        let request = Request::ClearFdb { vlan: Some(VlanRef::Id(VlanId::MIN)), port: None, mac: None };
        let line = one(|| record(peer, &request).ended(&refused(&why)));
        prop_assert!(!line.message.contains(char::is_control), "{:?}", line.message);
        prop_assert!(line.fields.values().all(|value| !value.contains(char::is_control)), "{:?}", line.fields);
        prop_assert!(line.message.starts_with("admin: "));
        prop_assert_eq!(&line.fields["uid"], "1001");
    }
}
