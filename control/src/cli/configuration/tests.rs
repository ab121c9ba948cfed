//! Files of the operator's, without a switch; what is asked of one is in the tests of whole command lines.

use super::*;
use crate::cli::fake::{Switch, answer};
use crate::cli::render::Style;
use std::os::unix::fs::{PermissionsExt, symlink};

fn name() -> &'static Path {
    Path::new("sw1.cfg")
}

#[test]
fn yaml_and_commands_are_told_apart() {
    for yaml in [
        "switch: sw1\n",
        "# comment\n\nswitch: sw1",
        "{switch: sw1}",
        "--- \nswitch: x",
        "\"switch\": sw1",
    ] {
        assert!(is_yaml(yaml.as_bytes()), "{yaml}");
    }
    for commands in [
        "",
        "# only: a comment\n",
        "create vlan blue tag 10\n",
        "  configure snmp syslocation \"Rack: 5\"\n",
        "create fdbentry 02:00:00:00:00:01 vlan blue blackhole\n",
    ] {
        assert!(!is_yaml(commands.as_bytes()), "{commands}");
    }
}

#[test]
fn wrong_lines_are_named_with_a_caret() {
    let file = b"create vlan blue tag 10\n\n  create vlna green\nshow ports\n";
    let failure = read_commands(file, name()).unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("sw1.cfg:3:10: "), "{text}");
    assert!(text.contains("\n         ^^^^\n"), "{text}");
    assert!(
        text.contains("sw1.cfg:4:1: `show ports` does not change"),
        "{text}"
    );
    assert_eq!(failure.exit_code(), 1);

    let failure = read_commands(b"create vlan blue tag 10 confirmed 60\n\xff\n", name());
    let text = failure.unwrap_err().to_string();
    assert!(text.contains("sw1.cfg:1:1: a single line"), "{text}");
    assert!(text.contains("sw1.cfg:2:1: is not UTF-8"), "{text}");

    let many = "nonsense\n".repeat(SHOWN + 5);
    let text = read_commands(many.as_bytes(), name())
        .unwrap_err()
        .to_string();
    assert!(text.ends_with("sw1.cfg: and 5 more lines"), "{text}");
}

#[test]
fn commands_and_their_lines() {
    let file = b"# a file\r\ncreate vlan blue tag 10\r\n\r\nenable ports all # now\n";
    let changes = read_commands(file, name()).unwrap();
    let lines: Vec<usize> = changes.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4]);
}

#[test]
fn differences_keep_their_order() {
    let lines = |text: &str| -> Vec<String> { text.split(' ').map(String::from).collect() };
    let (old, new) = (lines("a b c d"), lines("a x c d y"));
    assert_eq!(compared(&old, &new), [('-', "b"), ('+', "x"), ('+', "y")]);
    assert_eq!(compared(&old, &old), []);
    assert_eq!(compared(&[], &lines("a")), [('+', "a")]);
    assert_eq!(compared(&lines("a"), &[]), [('-', "a")]);
}

#[test]
fn files_are_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.cfg");
    write(&file, b"one").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let link = dir.path().join("link");
    symlink(&file, &link).unwrap();
    assert_eq!(
        write(&link, b"two").unwrap(),
        fs::canonicalize(&file).unwrap()
    );
    assert_eq!(fs::read(&file).unwrap(), b"two");
    assert!(link.is_symlink());
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);

    let failure = write(dir.path(), b"three").unwrap_err();
    assert!(failure.to_string().contains("is a directory"), "{failure}");
    let failure = write(&dir.path().join("none/x"), b"three").unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    // Nothing is left beside them.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn what_is_no_file_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert!(
        read(path)
            .unwrap_err()
            .to_string()
            .contains("no regular file")
    );
    assert!(
        read("/nonexistent/x")
            .unwrap_err()
            .to_string()
            .contains("can not be read")
    );
}

/// What `download configuration` says about a file with these bytes; the switch has nothing to answer.
fn refused(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sw1.cfg");
    fs::write(&path, bytes).unwrap();
    let switch = Switch::new(vec![vec![answer(Reply::Done {})]]);
    let mut session = Session::new(switch.options(""), Style::Plain).unwrap();
    let path = path.to_str().unwrap();
    download(&mut session, path, false, None, &mut Vec::new())
        .unwrap_err()
        .to_string()
}

#[test]
fn an_empty_file_is_no_configuration() {
    for bytes in ["", "\n\n", "# cut short\n", "\u{feff}"] {
        let text = refused(bytes.as_bytes());
        assert!(
            text.contains("sw1.cfg: has no command"),
            "{bytes:?}: {text}"
        );
    }
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_text() {
    let text = refused("\u{feff}create vlna green\n".as_bytes());
    assert!(text.contains("sw1.cfg:1:8: "), "{text}");
    let text = refused("\u{feff}switch: sw1\nvlnas: []\n".as_bytes());
    assert!(text.contains("unknown field `vlnas`"), "{text}");
}
