//! What `hitless complete` answers, and the scripts that ask it.

use std::io::Write;
use std::process::{Command as Process, Stdio};

use super::*;

struct Switch;

impl Live for Switch {
    fn values(&self, source: Source) -> Vec<(String, String)> {
        match source {
            Source::Vlans => vec![
                ("blue".into(), "10".into()),
                ("büro".into(), "a\tb\nc".into()),
            ],
            Source::Macs => vec![("02:00:00:00:00:01".into(), String::new())],
            Source::Files => vec![("switch.yaml".into(), String::new())],
            _ => Vec::new(),
        }
    }
}

fn answer(words: &[&str]) -> String {
    shell_completion(words, &Switch)
}

#[test]
fn candidates_of_the_command_line() {
    assert_eq!(answer(&["sh", "vl"]), "vlan\tVLANs and their members\n");
    assert_eq!(answer(&["delete", "vlan", ""]), "blue\t10\nbüro\ta b c\n");
    assert_eq!(answer(&["show", "fdb", "02:00"]), "02:00:00:00:00:01\t\n");
    assert!(answer(&[]).contains("show\t"), "{}", answer(&[]));
    assert!(answer(&[""]).contains("configure\t") && !answer(&[""]).contains("debug"));
    assert_eq!(answer(&["nonsense", ""]), "");
}

#[test]
fn options_are_no_words_of_a_command() {
    assert_eq!(
        answer(&["--switch", "sw1", "--json", "sh", "vl"]),
        answer(&["sh", "vl"])
    );
    assert_eq!(
        answer(&["show", "--every", "1", "vl"]),
        answer(&["show", "vl"])
    );
    assert_eq!(answer(&["--switch", ""]), "");
    assert_eq!(answer(&["--socket", "/ru"]), "\tfiles\n");
    assert_eq!(
        answer(&["show", "--js"]),
        "--json\tAnswers, and errors, as JSON\n"
    );
    assert_eq!(
        answer(&["--json"]),
        "--json\tAnswers, and errors, as JSON\n"
    );
}

#[test]
fn files_are_the_shells_business() {
    assert_eq!(answer(&["download", "configuration", ""]), "\tfiles\n");
    assert!(!answer(&["create", "vlan", ""]).contains("files"));
}

/// bash with our script and a program that says what it was asked.
fn bash(line: &str, answer: &str) -> String {
    let script = format!(
        "{}\ncompopt() {{ echo \"compopt $*\"; }}\nprogram() {{ printf '<%s>' \"$@\" >&2; printf '{answer}'; }}\n\
         COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}\n_hitless 2> >(cat)\n\
         printf 'reply %s\\n' \"${{COMPREPLY[@]}}\"\n",
        generate(Generated::Bash).replace("2>/dev/null", "")
    );
    let mut bash = Process::new("bash")
        .arg("--norc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash");
    bash.stdin
        .take()
        .expect("a pipe")
        .write_all(script.as_bytes())
        .expect("bash reads");
    String::from_utf8(bash.wait_with_output().expect("bash ends").stdout).expect("text")
}

#[test]
fn bash_asks_for_the_words_up_to_the_cursor() {
    let output = bash("program show vl", "vlan\\tVLANs\\n");
    assert!(output.contains("<complete><--><show><vl>"), "{output}");
    assert!(output.contains("reply vlan\n"), "{output}");
    let output = bash("program show ", "vlan\\tVLANs\\nfdb\\tx\\n");
    assert!(output.contains("<complete><--><show><>"), "{output}");
    assert!(output.contains("reply vlan\nreply fdb\n"), "{output}");
}

#[test]
fn bash_breaks_words_at_colons_and_gets_what_is_after_them() {
    let output = bash("program show fdb 02:00:0", "02:00:00:00:00:01\\t\\n");
    assert!(output.contains("<fdb><02:00:0>"), "{output}");
    assert!(output.contains("reply 00:00:00:01\n"), "{output}");
}

#[test]
fn bash_completes_files_where_they_can_stand() {
    let output = bash("program download configuration ", "\\tfiles\\n");
    assert!(output.contains("compopt -o default"), "{output}");
}
