//! The shell without a terminal: lines and keys in, text out.

use super::*;
use crate::cli::fake::{Act, Switch, answer, refuse, show_modules};
use crate::northbound::api::{ErrorKind, ModuleSlot, Privilege, Reply, Request, SessionInfo};
use ModuleSlot::{MsmA, MsmB};

/// What is typed, and the prompts at which it is.
struct Hands {
    inputs: Vec<Input>,
    prompts: Vec<String>,
}

impl Keyboard for Hands {
    fn read(&mut self, prompt: &ShellPrompt) -> io::Result<Input> {
        self.prompts.push(prompt.text());
        Ok(if self.inputs.is_empty() {
            Input::End
        } else {
            self.inputs.remove(0)
        })
    }
}

/// What is shown, and which answers would stop at a page.
#[derive(Default)]
struct Paper {
    answers: Vec<u8>,
    errors: Vec<u8>,
    paged: Vec<bool>,
}

impl Screen for Paper {
    fn answer(&mut self, paged: bool) -> impl Write {
        self.paged.push(paged);
        &mut self.answers
    }

    fn errors(&mut self) -> impl Write {
        &mut self.errors
    }
}

/// How a conversation went.
struct Talk {
    prompts: Vec<String>,
    answers: String,
    errors: String,
    paged: Vec<bool>,
}

fn line(text: &str) -> Input {
    Input::Line(text.into())
}

fn talk(switch: &Switch, options: &str, inputs: Vec<Input>) -> Talk {
    let session = switch.session(options);
    let mut shell = Shell::new(session, Paint(false), vec!["show version".into()]);
    let mut hands = Hands {
        inputs,
        prompts: Vec::new(),
    };
    let mut paper = Paper::default();
    shell.talk(&mut hands, &mut paper).unwrap();
    Talk {
        prompts: hands.prompts,
        answers: String::from_utf8(paper.answers).unwrap(),
        errors: String::from_utf8(paper.errors).unwrap(),
        paged: paper.paged,
    }
}

fn seen(slot: ModuleSlot, unsaved: bool) -> Act {
    answer(Reply::Session(SessionInfo {
        user: Some("root".into()),
        uid: 0,
        privilege: Privilege::Admin,
        switch: "sw1".parse().unwrap(),
        sysname: "core".into(),
        slot,
        unsaved,
        rollback_seconds: None,
    }))
}

/// Answers to the first look, and to as many more as a test takes.
fn greeted() -> Vec<Act> {
    let mut acts = vec![seen(MsmA, false), show_modules(MsmA, 1)];
    acts.extend(std::iter::repeat_n(seen(MsmA, false), 9));
    acts
}

#[test]
fn a_caret_stays_under_its_word() {
    let text = "show vlam of mine\n     ^^^^\nExpected: vlan or ports";
    assert_eq!(
        explained(text, Some(16)),
        "show vlam of mine\n     ^^^^\nExpected: vlan\nor ports\n"
    );
    assert_eq!(explained("a sentence", Some(8)), "a\nsentence\n");
}

#[test]
fn long_sentences_are_broken_between_words() {
    let text = "port 7 is not configured\nsecond";
    assert_eq!(
        broken(text, Some(16)),
        "port 7 is not\nconfigured\nsecond\n"
    );
    assert_eq!(broken(text, None), "port 7 is not configured\nsecond\n");
}

#[test]
fn lines_are_counted_and_failures_end_nothing() {
    let switch = Switch::new(vec![vec![
        seen(MsmA, false),
        show_modules(MsmA, 1),
        seen(MsmA, false),
        answer(Reply::FdbCleared { removed: 2 }),
        seen(MsmA, true),
        seen(MsmA, true),
        refuse(ErrorKind::NotFound, "VLAN 7 does not exist"),
        seen(MsmA, true),
        seen(MsmA, true),
        seen(MsmA, true),
    ]]);
    let talk = talk(
        &switch,
        "",
        vec![
            line("clear fdb"),
            line("  # nothing"),
            line("clear fdb vlan 7"),
            Input::Cancelled,
            line("show prots"),
            line("quit"),
        ],
    );
    assert_eq!(talk.answers, "Removed 2 learned addresses.\n");
    assert_eq!(
        talk.prompts,
        [
            "core.1 msm-a/master # ",
            "* core.2 msm-a/master # ",
            "* core.2 msm-a/master # ",
            "* core.3 msm-a/master # ",
            "* core.3 msm-a/master # ",
            "* core.4 msm-a/master # ",
        ]
    );
    let mut errors = talk.errors.lines();
    assert_eq!(errors.next(), Some("VLAN 7 does not exist"));
    assert_eq!(
        (errors.next(), errors.next()),
        (Some("show prots"), Some("     ^^^^^"))
    );
}

#[test]
fn several_lines_at_once_are_several_commands() {
    let switch = Switch::new(vec![vec![
        seen(MsmA, false),
        show_modules(MsmA, 1),
        seen(MsmA, false),
        answer(Reply::FdbCleared { removed: 1 }),
        answer(Reply::FdbCleared { removed: 2 }),
        seen(MsmA, false),
    ]]);
    let talk = talk(
        &switch,
        "",
        vec![line("clear fdb\nclear fdb\n\nexit\nnonsense")],
    );
    assert_eq!(
        talk.answers,
        "Removed 1 learned address.\nRemoved 2 learned addresses.\n"
    );
    assert_eq!((talk.errors.as_str(), talk.prompts.len()), ("", 1));
}

#[test]
fn history_and_paging_are_the_shells() {
    let switch = Switch::new(vec![greeted()]);
    let inputs = [
        "help",
        "disable clipaging",
        "help",
        "history",
        "history --json",
    ];
    let talk = talk(&switch, "", inputs.map(line).into());
    assert_eq!(talk.paged, [true, false, false, false]);
    let tail =
        "       show version\n    1  help\n    2  disable clipaging\n    3  help\n    4  history\n";
    assert!(talk.answers.contains(tail), "{}", talk.answers);
    assert!(
        talk.answers.contains("\"number\": null"),
        "{}",
        talk.answers
    );
}

#[test]
fn a_question_mark_keeps_the_number() {
    let switch = Switch::new(vec![greeted()]);
    let inputs = vec![
        Input::Help("show configuration ".into()),
        Input::Help("shwo ".into()),
    ];
    let talk = talk(&switch, "", inputs);
    assert!(
        talk.answers.contains("primary") && talk.answers.contains("<Enter>"),
        "{}",
        talk.answers
    );
    assert!(talk.errors.contains('^'), "{}", talk.errors);
    assert_eq!(talk.prompts, ["core.1 msm-a/master # "; 3]);
}

#[test]
fn seed_63_a_session_survives_a_failover() {
    let switch = Switch::new(vec![
        vec![
            seen(MsmA, true),
            show_modules(MsmA, 1),
            seen(MsmA, true),
            Act::Die,
        ],
        vec![
            answer(Reply::Vlans(Vec::new())),
            show_modules(MsmB, 2),
            seen(MsmB, true),
            show_modules(MsmB, 2),
        ],
    ]);
    let talk = talk(&switch, "", vec![line("show vlan"), line("exit")]);
    assert_eq!(
        talk.prompts,
        ["* core.1 msm-a/master # ", "* core.2 msm-b/master # "]
    );
    assert!(talk.answers.starts_with("VLAN"), "{}", talk.answers);
    assert!(
        talk.errors.starts_with("--- failover: msm-a -> msm-b"),
        "{}",
        talk.errors
    );
}

#[test]
fn seed_63_a_session_survives_a_time_without_a_master() {
    let switch = Switch::new(vec![greeted()]);
    // The last one goes when nobody asks it any more.
    let inputs = vec![
        line("history"),
        line("clear fdb --wait 0"),
        line("show vlan"),
    ];
    let session = switch.session("--wait 0");
    let mut shell = Shell::new(session, Paint(false), Vec::new());
    let mut paper = Paper::default();
    let prompt = shell.prompt(&mut paper).unwrap();
    assert_eq!(prompt.text(), "core.1 msm-a/master # ");
    std::fs::remove_file(switch.socket()).unwrap();
    let mut hands = Hands {
        inputs,
        prompts: Vec::new(),
    };
    shell.talk(&mut hands, &mut paper).unwrap();
    assert_eq!(hands.prompts[0], "core.1 no master # ");
    assert_eq!(hands.prompts[3], "core.4 no master # ");
    let errors = String::from_utf8(paper.errors).unwrap();
    assert!(errors.matches("hitlessd").count() >= 2, "{errors}");
    let failure = shell.session.follower.change(&Request::ClearQuarantine {});
    assert_eq!(failure.unwrap_err().exit_code(), 3);
}

#[test]
fn options_are_for_one_line() {
    let switch = Switch::new(vec![vec![
        seen(MsmA, false),
        show_modules(MsmA, 1),
        seen(MsmA, false),
        answer(Reply::FdbCleared { removed: 1 }),
        seen(MsmA, false),
        refuse(ErrorKind::Refused, "no"),
        seen(MsmA, false),
        answer(Reply::FdbCleared { removed: 1 }),
    ]]);
    let inputs = ["clear fdb --json", "clear fdb --json", "clear fdb"];
    let talk = talk(&switch, "", inputs.map(line).into());
    assert_eq!(
        talk.answers,
        "{\n  \"removed\": 1\n}\nRemoved 1 learned address.\n"
    );
    assert_eq!(
        talk.errors,
        "{\"error\":{\"kind\":\"refused\",\"message\":\"no\"}}\n"
    );
}
