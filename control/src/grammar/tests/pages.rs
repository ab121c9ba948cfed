//! Help pages, the manual page and the reference.

use super::*;
use crate::grammar::table;
use crate::northbound::api::{CONFIRM_SECONDS, MAX_LOG_PAGE};

fn page(line: &str) -> String {
    help_page(&Line::split(line).unwrap()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_page_of_a_command() {
    assert_eq!(
        page("conf msm link"),
        "configure msm-failover link-action [keep-links-up {preserve-state [l2 | l2_l3]} | take-links-down]

Say what becomes of ports and state at a failover.
Without preserve-state no layer 2 and layer 3 state is preserved, and a failover is not hitless.

  msm-failover     What happens when the master is lost
  link-action      What becomes of ports and state
  keep-links-up    Ports are not touched
  preserve-state   State is preserved
  l2               The forwarding database and the states of layer 2 protocols
  l2_l3            Those, the layer 3 forwarding database, ARP and access lists
  take-links-down  Ports are reset, and their neighbours see it

For admins only. May end in confirmed <seconds>, 10 to 86400.
"
    );
}

#[test]
fn the_list_of_commands_that_begin_alike() {
    assert_eq!(
        page("show configuration"),
        "show configuration {primary | secondary} {yaml | commands}
    Show the running configuration, or a saved one
show configuration diff {primary | secondary}
    Show what is changed but not saved
"
    );
    assert_eq!(
        help_page(&Line::split("show nothing").unwrap())
            .unwrap_err()
            .start,
        5
    );
}

#[test]
fn the_overview_names_every_first_word_but_hidden_ones() {
    let overview = page("");
    for command in table::commands() {
        let first = command.syntax.split(' ').next().unwrap_or_default();
        let first = first.trim_start_matches('[');
        let named = overview
            .lines()
            .any(|line| line.trim_start().starts_with(&format!("{first} ")));
        assert_eq!(named, !command.hidden, "{first}");
    }
}

#[test]
fn manual_and_reference_have_every_command_and_no_hidden_one() {
    let (man, reference) = (generate(Generated::Man), generate(Generated::Reference));
    for command in table::commands() {
        let syntax = command.node().to_string();
        let in_man = man.contains(&format!("\\fB{}\\fR\n", syntax.replace('-', "\\-")));
        let in_reference = reference.contains(&format!("\n```\n{syntax}\n```\n"));
        assert_eq!(
            (in_man, in_reference),
            (!command.hidden, !command.hidden),
            "{syntax}"
        );
        for row in explained(command) {
            assert!(!row.help.is_empty(), "{command:?}: {}", row.word);
        }
    }
    for option in OPTIONS {
        assert!(
            reference.contains(&format!("| `{}", option.name)),
            "{}",
            option.name
        );
        assert!(
            man.contains(&option.name.replace('-', "\\-")),
            "{}",
            option.name
        );
    }
}

#[test]
fn a_line_of_the_manual_is_no_request_by_accident() {
    for line in generate(Generated::Man).lines() {
        if let Some(request) = line.strip_prefix('.') {
            let name = request.split(' ').next().unwrap_or_default();
            assert!(
                ["TH", "SH", "SS", "TP", "PP", "B", "RS", "RE"].contains(&name),
                "{line}"
            );
        }
        assert!(!line.starts_with('\'') && !line.is_empty(), "{line:?}");
    }
}

#[test]
fn limits_are_those_of_the_api() {
    let (low, high) = (CONFIRM_SECONDS.start(), CONFIRM_SECONDS.end());
    let seconds = format!("confirmed <seconds>, {low} to {high}");
    assert!(page("create vlan").contains(&seconds));
    assert!(
        generate(Generated::Reference).contains(&seconds.replace('<', "\\<").replace('>', "\\>"))
    );
    assert!(page("show log").contains(&format!("Lines at most: 1 to {MAX_LOG_PAGE}\n")));
}
