//! What holds for every command of the table.

use std::collections::BTreeSet;

use super::samples::{self, Token, joined};
use super::*;
use crate::grammar::{matcher, table};

fn each(mut check: impl FnMut(&'static Command, &[Token])) {
    for command in table::commands() {
        for tokens in samples::of(command) {
            check(command, &tokens);
        }
    }
}

#[test]
fn syntaxes_are_whole_and_say_what_the_notation_says() {
    for command in table::commands() {
        let node = Node::parse(command.syntax).unwrap_or_else(|error| panic!("{error}"));
        assert!(!node.is_nullable(), "{command:?}");
        assert!(
            !command.help.is_empty() && !command.help.ends_with('.'),
            "{command:?}"
        );
        let details = command.details;
        assert!(details.is_empty() || details.ends_with('.'), "{command:?}");
    }
    for (bad, says) in [
        ("", "expected a word"),
        ("a [b", "expected ']'"),
        ("a {b]", "expected '}'"),
        ("a {b | }", "expected a word"),
        ("a <b>", "expected ':'"),
        ("a <b:NOTHING>", "\"NOTHING\" is no kind"),
        ("a <b:9-1>", "is no kind"),
        ("a | b", "expected the end"),
        ("a (b & )", "expected a word"),
        ("a ?", "expected a word"),
    ] {
        let error = Node::parse(bad).unwrap_err().to_string();
        assert!(error.contains(says), "{bad:?}: {error}");
    }
}

#[test]
fn every_line_of_every_command_is_that_command_and_no_other() {
    let mut lines = 0;
    each(|command, tokens| {
        lines += 1;
        let text = joined(tokens);
        let line = Line::split(&text).unwrap();
        let parsed = parse(&line).unwrap_or_else(|error| panic!("{command:?}\n{error}"));
        assert!(
            std::ptr::eq(parsed.command, command),
            "{text}: {:?}",
            parsed.command
        );
        let readings = matcher::readings(&line, &line.words).unwrap();
        let whole: usize = readings.iter().map(|r| r.whole().count()).sum();
        assert_eq!(whole, 1, "{text} can be read in {whole} ways");
    });
    assert!(lines > 500, "{lines}");
}

#[test]
fn arguments_of_a_command_have_names_of_their_own() {
    // Two with one name would overwrite each other; the same name in two branches of a choice is one argument.
    each(|command, tokens| {
        let mut names = BTreeSet::new();
        for token in tokens {
            if let Terminal::Argument(argument) = token.terminal {
                assert!(
                    names.insert(argument.name),
                    "{command:?}: <{}>",
                    argument.name
                );
            }
        }
    });
}

#[test]
fn words_in_any_case_are_understood() {
    each(|_, tokens| {
        let upper: Vec<String> = tokens
            .iter()
            .map(|token| match token.terminal {
                Terminal::Keyword(word) => word.to_uppercase(),
                Terminal::Argument(_) => token.text.clone(),
            })
            .collect();
        assert_eq!(action(&upper.join(" ")), action(&joined(tokens)));
    });
}

#[test]
fn every_prefix_gives_help_and_completions() {
    each(|command, tokens| {
        for (i, token) in tokens.iter().enumerate() {
            let mut before = joined(&tokens[..i]);
            if i > 0 {
                before.push(' ');
            }
            let rows = help(&before, &()).unwrap_or_else(|error| panic!("{error}"));
            for row in &rows {
                assert!(
                    !row.help.is_empty(),
                    "{before:?}: nobody says what {} means",
                    row.word
                );
            }
            if command.hidden && i == 0 {
                continue;
            }
            let shown = token.terminal.shown();
            assert!(
                rows.iter().any(|row| row.word == shown),
                "{before:?}: {shown} is not in {rows:?}"
            );
            let Terminal::Keyword(keyword) = token.terminal else {
                continue;
            };
            for end in 0..=keyword.len() {
                let line = format!("{before}{}", &keyword[..end]);
                let completion = complete(&line, line.len(), &());
                assert_eq!(completion.replace, before.len()..line.len());
                assert!(
                    completion.candidates.iter().any(|c| c.text == keyword),
                    "{line:?}: {keyword} is not in {completion:?}"
                );
                let rows = help(&line, &()).unwrap();
                assert!(rows.iter().any(|row| row.word == keyword), "{line:?}");
            }
        }
        let whole = format!("{} ", joined(tokens));
        let rows = help(&whole, &()).unwrap();
        let end = rows
            .last()
            .map(|row| (row.word.as_str(), row.help.as_str()));
        assert_eq!(end, Some(("<Enter>", command.help)), "{whole}");
    });
}

#[test]
fn what_completion_offers_is_understood() {
    each(|_, tokens| {
        for i in 0..tokens.len() {
            let before = joined(&tokens[..i]);
            for candidate in complete(&format!("{before} "), before.len() + 1, &()).candidates {
                let line = Line::split(&format!("{before} {}", candidate.text)).unwrap();
                assert!(
                    matcher::readings(&line, &line.words).is_ok(),
                    "{}",
                    line.text
                );
            }
        }
    });
}

#[test]
fn a_wrong_word_at_any_place_has_the_caret_under_it() {
    each(|_, tokens| {
        for i in 0..tokens.len() {
            let before = Line::split(&joined(&tokens[..i])).unwrap();
            let readings = matcher::readings(&before, &before.words).unwrap();
            let Some(wrong) = samples::wrong(&matcher::expected(&readings)) else {
                continue;
            };
            let mut words: Vec<String> = tokens.iter().map(|token| token.text.clone()).collect();
            words[i].clone_from(&wrong);
            let before: String = words[..i].iter().map(|word| format!("{word} ")).collect();
            let line = words.join(" ");
            let error = mistake(&line);
            assert_eq!(
                (error.start, error.end),
                (before.len(), before.len() + wrong.len()),
                "{line}"
            );
            assert!(!error.expected.is_empty(), "{line}");
            let caret = error
                .render()
                .lines()
                .nth(1)
                .map(String::from)
                .unwrap_or_default();
            let columns = before.chars().count();
            assert_eq!(
                caret,
                " ".repeat(columns) + &"^".repeat(wrong.chars().count()),
                "{line}"
            );
        }
    });
}

#[test]
fn a_word_too_many_has_the_caret_under_it() {
    each(|_, tokens| {
        let line = joined(tokens);
        // After `help` and some words any word can stand.
        if line.starts_with("help") {
            return;
        }
        let error = mistake(&format!("{line} \"\\u{{7f}}é\""));
        assert_eq!(error.start, line.len() + 1, "{line}");
    });
}

#[test]
fn a_line_that_ends_too_early_says_what_is_missing() {
    each(|_, tokens| {
        for i in 1..tokens.len() {
            let line = joined(&tokens[..i]);
            let Err(error) = Line::split(&line).and_then(|line| parse(&line)) else {
                continue;
            };
            assert_eq!(error.problem, Problem::Incomplete, "{error}");
            let expected = error.expected.join(" ");
            assert!(
                expected.contains(&tokens[i].terminal.shown()),
                "{line}: {expected}"
            );
            assert!(
                error
                    .render()
                    .contains(&format!("\n{}^\n", " ".repeat(line.len() + 1))),
                "{line}"
            );
        }
    });
}

#[test]
fn who_may_use_a_command_is_who_may_ask_for_it() {
    each(|command, tokens| {
        let parsed = understood(&joined(tokens));
        let changes = match &parsed.action {
            Action::Ask(request) => request.is_change(),
            Action::Configure(_)
            | Action::Download { .. }
            | Action::ClearHardware
            | Action::DownloadImage { .. }
            | Action::Failover { .. }
            | Action::Upgrade(_)
            | Action::RollBackUpgrade
            | Action::Reboot { .. } => true,
            Action::ShowPorts { .. }
            | Action::ShowStpdPorts { .. }
            | Action::ShowLog(_)
            | Action::FollowUpgrade
            | Action::ShowConfiguration { .. }
            | Action::ShowConfigurationDiff { .. }
            | Action::Upload { .. }
            | Action::ShowVersion { .. }
            | Action::Session(_) => false,
        };
        assert_eq!(changes, command.privilege != Privilege::Read, "{command:?}");
        let takes_back = matches!(
            parsed.action,
            Action::Configure(_) | Action::Download { .. }
        );
        assert_eq!(
            takes_back,
            command.privilege == Privilege::Configure,
            "{command:?}"
        );
        assert_eq!(
            parsed.confirmed.is_some(),
            joined(tokens).contains(" confirmed ")
        );
    });
}

/// seed: 20, 26-29, 33-38, 40, 62-68: the commands that they need are there.
#[test]
fn seed_rows_have_their_commands() {
    for (row, line) in [
        (20, "show stpd"),
        (20, "enable stpd s0"),
        (26, "show configuration diff"),
        (27, "configure msm-failover slave-config inherited"),
        (28, "save"),
        (29, "configure msm-failover slave-config inherited"),
        (32, "configure msm-failover link-action take-links-down"),
        (
            33,
            "configure msm-failover link-action keep-links-up preserve-state l2_l3",
        ),
        (34, "configure msm-failover slave-config flash"),
        (35, "configure sys-recovery-level critical msm-failover"),
        (36, "configure msm-failover timeout 300"),
        (37, "configure msm-failover timeout 30"),
        (38, "unconfigure msm-failover"),
        (39, "configure snmp sysname core1"),
        (40, "download configuration changes.txt incremental"),
        (55, "download image hitless.image"),
        (57, "use image secondary"),
        (62, "reboot slot msm-b hard-reset"),
        (63, "show msm-failover"),
        (64, "show msm-failover"),
        (65, "show msm-failover"),
        (66, "show log"),
        (67, "show version"),
        (67, "show switch"),
        (68, "show msm-failover"),
    ] {
        let command = understood(line).command;
        assert!(command.seeds.contains(&row), "row {row}: {command:?}");
    }
}
