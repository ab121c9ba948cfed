//! The place and the rule of one error among 500 lines; files that are none; hostile files; round trips.

use std::fs;
use std::os::unix::fs::symlink;

use hitless_common::PortNo;
use proptest::prelude::*;

use super::*;

mod round_trip;

/// A correct configuration of more than 500 lines: VLANs 1 to 120, ports 1 to 48.
fn long_config() -> Vec<String> {
    let mut lines: Vec<String> = [
        "# A configuration",
        "switch: sw1",
        "fdb:",
        "  size: 65536",
        "  ageing_seconds: 300",
        "  damping: {moves: 5, within_seconds: 1, hold_seconds: 10}",
        "  static:",
    ]
    .map(String::from)
    .into();
    for i in 1..=100 {
        let mac = format!("02:00:00:00:00:{i:02x}");
        lines.push(format!("    - {{vlan: 10, mac: \"{mac}\", port: 1}}"));
    }
    lines.push("    - {vlan: 10, mac: 02:00:00:00:01:00, blackhole: true}".into());
    lines.push("vlans:".into());
    for id in 1..=120 {
        lines.push(format!("  - {{id: {id}, name: net-{id}}}"));
    }
    lines.push("ports:".into());
    for port in 1..=48 {
        lines.push(format!("  - port: {port}"));
        lines.push(format!("    device: eth{port}"));
        lines.push("    untagged: 10".into());
        lines.push(format!("    tagged: [{}, \"30-39\"]", port + 40));
        lines.push(format!("    mac_limit: {}", 1000 + port));
        lines.push(format!("    storm_control: {{broadcast: {}}}", 1000 + port));
    }
    let stpds = [
        "stpds:",
        "  - name: lab",
        "    enabled: true",
        "    priority: 4096",
        "    default_encapsulation: dot1d",
        "    vlans: [10, \"30-39\"]",
        "    ports:",
        "      - {port: 41, cost: 7}",
    ];
    lines.extend(stpds.map(String::from));
    assert!(lines.len() > 500);
    lines
}

fn text_of(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text.as_bytes(), Path::new("sw1.yml"))
}

fn findings(text: &str) -> Vec<Finding> {
    match read(text) {
        Err(ConfigError::Invalid { findings, .. }) => findings,
        other => panic!("{other:?}"),
    }
}

/// Replaces a line of the long configuration and expects one error at `at` in the new line, or at the line's
/// first character that is no white space or list mark if `at` is empty.
#[track_caller]
fn one_error(line: &str, by: &str, at: &str, message: &str) {
    let mut lines = long_config();
    let index = lines
        .iter()
        .position(|l| l == line)
        .expect("the line exists");
    assert_eq!(lines.iter().filter(|l| *l == line).count(), 1, "{line}");
    lines[index] = by.into();
    let found = findings(&text_of(&lines));
    let [finding] = found.as_slice() else {
        panic!("{found:#?}")
    };
    let column = by.find(at).expect("the value is in the line") + 1;
    assert_eq!(
        (finding.line, finding.column),
        (index + 1, column),
        "{finding:?}"
    );
    assert!(finding.message.contains(message), "{finding:?}");
}

#[test]
fn the_long_configuration_is_correct() {
    let config = read(&text_of(&long_config())).unwrap();
    assert_eq!(config.ports.len(), 48);
    assert_eq!(config.vlans.len(), 120);
    assert_eq!(config.fdb.static_entries.len(), 101);
    assert_eq!(config.stpds.len(), 2);
}

#[test]
fn one_wrong_shape_in_500_lines() {
    // Unknown keys, at every level.
    one_error(
        "  size: 65536",
        "  sise: 65536",
        "sise",
        "fdb: unknown field `sise`",
    );
    one_error(
        "# A configuration",
        "swich: sw2",
        "swich",
        "unknown field `swich`",
    );
    one_error(
        "    device: eth40",
        "    devise: eth40",
        "devise",
        "ports[39]: unknown field `devise`",
    );
    one_error(
        "    storm_control: {broadcast: 1040}",
        "    storm_control: {brodcast: 1040}",
        "brodcast",
        "ports[39].storm_control: unknown field `brodcast`",
    );
    one_error(
        "  - {id: 100, name: net-100}",
        "  - {id: 100, nam: net-100}",
        "nam:",
        "vlans[99]: unknown field `nam`",
    );
    one_error(
        "  damping: {moves: 5, within_seconds: 1, hold_seconds: 10}",
        "  damping: {moves: 5, within: 1}",
        "within",
        "fdb.damping: unknown field `within`",
    );
    // Wrong types.
    one_error(
        "  ageing_seconds: 300",
        "  ageing_seconds: soon",
        "soon",
        "fdb.ageing_seconds: invalid type",
    );
    one_error(
        "  - port: 40",
        "  - port: [40]",
        "[40]",
        "ports[39].port: invalid type",
    );
    one_error(
        "    tagged: [80, \"30-39\"]",
        "    tagged: 80",
        "80",
        "ports[39].tagged: invalid type",
    );
    one_error(
        "    tagged: [80, \"30-39\"]",
        "    tagged: [80, {}]",
        "{}",
        "ports[39].tagged[1]: invalid type",
    );
    one_error(
        "    mac_limit: 1040",
        "    accept: most",
        "most",
        "ports[39].accept: unknown variant `most`",
    );
    one_error(
        "    mac_limit: 1040",
        "    enabled: 1",
        "1",
        "ports[39].enabled: invalid type",
    );
    one_error(
        "    mac_limit: 1040",
        "    mac_limit: 1e3",
        "1e3",
        "ports[39].mac_limit: invalid type",
    );
    // A missing key is missing in its mapping; a key given twice.
    one_error(
        "  - {id: 100, name: net-100}",
        "  - {name: net-100}",
        "{",
        "vlans[99]: missing field `id`",
    );
    one_error(
        "    mac_limit: 1040",
        "    device: eth1",
        "device",
        "ports[39]: duplicate field `device`",
    );
    // No YAML at all.
    let broken = long_config().join("\n").replace(
        "  - {id: 100, name: net-100}",
        "  - {id: 100, name: net-100",
    );
    let found = findings(&broken);
    let line = broken
        .lines()
        .position(|l| l == "  - {id: 100, name: net-100")
        .unwrap()
        + 1;
    assert!((line..=line + 1).contains(&found[0].line), "{found:?}");
}

#[test]
fn one_broken_rule_in_500_lines() {
    one_error(
        "switch: sw1",
        "switch: sw/1",
        "sw/1",
        "switch: \"sw/1\" is no switch name",
    );
    one_error(
        "  size: 65536",
        "  size: 63",
        "63",
        "fdb.size: 63 is not in 64 to 16777216",
    );
    one_error(
        "  ageing_seconds: 300",
        "  ageing_seconds: 5",
        "5",
        "fdb.ageing_seconds: an ageing time of 5 s",
    );
    one_error(
        "  damping: {moves: 5, within_seconds: 1, hold_seconds: 10}",
        "  damping: {moves: 5, hold_seconds: 0}",
        "0}",
        "fdb.damping.hold_seconds: 0 is not in 1 to 86400",
    );
    for (by, at, message) in [
        (
            "id: 0",
            "0",
            "vlans[99].id: VLAN id 0 marks a priority-tagged frame",
        ),
        ("id: 4095", "4095", "vlans[99].id: VLAN id 4095 is reserved"),
        (
            "id: 12",
            "12",
            "vlans[99].id: VLAN 12 is configured already, in vlans[11]",
        ),
        (
            "id: 100, name: net-12",
            "net-12",
            "vlans[99].name: the name \"net-12\" belongs to VLAN 12",
        ),
        (
            "id: 100, name: 7up",
            "7up",
            "vlans[99].name: \"7up\" is no VLAN name",
        ),
        (
            "id: 100, mac_limit: -1",
            "-1",
            "vlans[99].mac_limit: -1 is not in 0 to 16777216",
        ),
        (
            "id: 100, loop_free_ports: [77]",
            "77",
            "vlans[99].loop_free_ports[0]: port 77 is not configured",
        ),
    ] {
        one_error(
            "  - {id: 100, name: net-100}",
            &format!("  - {{{by}}}"),
            at,
            message,
        );
    }
    for (by, at, message) in [
        (
            "  - port: 129",
            "129",
            "ports[39].port: port 129 is not in 1 to 128",
        ),
        (
            "  - port: 4",
            "4",
            "ports[39].port: port 4 is configured already, in ports[3]",
        ),
    ] {
        one_error("  - port: 40", by, at, message);
    }
    for (by, at, message) in [
        (
            "eth4",
            "eth4",
            "ports[39].device: device eth4 is that of port 4 already",
        ),
        (
            "no such/device",
            "no such",
            "ports[39].device: \"no such/device\" is no interface name",
        ),
    ] {
        one_error(
            "    device: eth40",
            &format!("    device: {by}"),
            at,
            message,
        );
    }
    for (by, at, message) in [
        (
            "tagged: [121]",
            "121",
            "ports[39].tagged[0]: VLAN 121 is not declared",
        ),
        (
            "tagged: [80, \"110-130\"]",
            "\"110",
            "ports[39].tagged[1]: VLAN 121 is not declared",
        ),
        (
            "tagged: [80, 10]",
            "10",
            "ports[39].tagged[1]: VLAN 10 is untagged on this port",
        ),
        (
            "tagged: [80, 70-90]",
            "70-90",
            "ports[39].tagged[1]: VLAN 80 is listed twice",
        ),
        (
            "tagged: [80, 39-30]",
            "39-30",
            "ports[39].tagged[1]: \"39-30\" is no range",
        ),
        (
            "tagged: [80, 4095]",
            "4095",
            "ports[39].tagged[1]: VLAN id 4095 is reserved",
        ),
    ] {
        one_error(
            "    tagged: [80, \"30-39\"]",
            &format!("    {by}"),
            at,
            message,
        );
    }
    for (by, at, message) in [
        (
            "mac_limit: 99999999",
            "99999999",
            "ports[39].mac_limit: 99999999 is not in",
        ),
        (
            "accept: untagged",
            "untagged",
            "ports[39].accept: a port that accepts only untagged",
        ),
    ] {
        one_error("    mac_limit: 1040", &format!("    {by}"), at, message);
    }
    one_error(
        "    storm_control: {broadcast: 1040}",
        "    storm_control: {multicast: 7, broadcast: 0}",
        "0}",
        "ports[39].storm_control.broadcast: storm control of 0 frames/s",
    );
    for (by, at, message) in [
        (
            "{vlan: 121, mac: 02:00:00:00:01:00, blackhole: true}",
            "121",
            "fdb.static[100].vlan: VLAN 121 is not declared",
        ),
        (
            "{vlan: 10, mac: 02:00:00:00:01, port: 1}",
            "02",
            "fdb.static[100].mac: \"02:00:00:00:01\" is not a MAC",
        ),
        (
            "{vlan: 10, mac: 01:00:5e:00:00:01, port: 1}",
            "01",
            "fdb.static[100].mac: 01:00:5e:00:00:01 is no station",
        ),
        (
            "{vlan: 10, mac: 00:e0:2b:00:00:02, port: 1}",
            "00",
            "fdb.static[100].mac: 00:e0:2b:00:00:02 is an address of control",
        ),
        (
            "{vlan: 10, mac: 02:00:00:00:01:00, port: 49}",
            "49",
            "fdb.static[100].port: port 49 is not configured",
        ),
        (
            "{vlan: 99, mac: 02:00:00:00:01:00, port: 1}",
            "1}",
            "fdb.static[100].port: port 1 is no member of VLAN 99",
        ),
        (
            "{vlan: 10, mac: 02:00:00:00:01:00}",
            "{",
            "fdb.static[100]: the entry needs either port or blackhole",
        ),
        (
            "{vlan: 10, mac: 02:00:00:00:01:00, port: 1, blackhole: true}",
            "{",
            "fdb.static[100]: the entry has both",
        ),
        (
            "{vlan: 10, mac: 02:00:00:00:00:63, port: 2}",
            "{",
            "fdb.static[100]: 02:00:00:00:00:63 in VLAN 10 is configured already, in fdb.static[98]",
        ),
    ] {
        let line = "    - {vlan: 10, mac: 02:00:00:00:01:00, blackhole: true}";
        one_error(line, &format!("    - {by}"), at, message);
    }
    let mut lines = long_config();
    lines[3] = "  size: 100".into();
    let found = findings(&text_of(&lines));
    // `static:` stands in line 7, its list begins in line 8.
    assert_eq!((found[0].line, found.len()), (8, 1));
    assert!(
        found[0].message.contains("101 static entries do not fit"),
        "{found:?}"
    );
}

#[test]
fn one_broken_rule_of_spanning_tree_domains() {
    let short = "    priority: 4096";
    for (line, by, at, message) in [
        (
            "  - name: lab",
            "  - name: 1lab",
            "1lab",
            "stpds[0].name: \"1lab\" is no STP domain name",
        ),
        (
            "  - name: lab",
            "  - nome: lab",
            "nome",
            "stpds[0]: unknown field `nome`",
        ),
        (
            short,
            "    priority: 4095",
            "4095",
            "stpds[0].priority: bridge priority 4095: choose 0 to 61440",
        ),
        (
            short,
            "    mode: dot1s",
            "dot1s",
            "stpds[0].mode: unknown variant `dot1s`",
        ),
        (
            short,
            "    hello_time: 3",
            "3",
            "stpds[0].hello_time: hello time 3: choose 1 to 2",
        ),
        (
            short,
            "    max_age: 40",
            "40",
            "stpds[0].max_age: forward delay 15, max age 40, hello time 2: 2 x",
        ),
        (
            short,
            "    tag: 40",
            "40",
            "stpds[0].tag: VLAN 40 is none of the domain's",
        ),
        (
            "    default_encapsulation: dot1d",
            "    default_encapsulation: emistp",
            "emistp",
            "stpds[0].default_encapsulation: an enabled domain with emistp needs a tag",
        ),
        (
            "    vlans: [10, \"30-39\"]",
            "    vlans: [10, \"30-39\", 121]",
            "121",
            "stpds[0].vlans[2]: VLAN 121 is not declared",
        ),
        (
            "    vlans: [10, \"30-39\"]",
            "    vlans: [10, \"30-39\", \"1-100\"]",
            "\"1-100",
            "stpds[0].vlans[2]: VLAN 10 is listed twice in vlans",
        ),
    ] {
        one_error(line, by, at, message);
    }
    for (port, at, message) in [
        (
            "port: 49",
            "49",
            ".port: port 49 is not configured in ports",
        ),
        (
            "port: 41, cost: 0",
            "0}",
            ".cost: path cost 0: choose 1 to 200000000",
        ),
        (
            "port: 41, priority: 100",
            "100",
            ".priority: port priority 100: choose 0 to 240 in steps of 16",
        ),
        (
            "port: 41, link_type: wire",
            "wire",
            ".link_type: unknown variant `wire`",
        ),
        (
            "port: 41, encapsulation: emistp",
            "emistp",
            ".encapsulation: an enabled domain with emistp needs a tag",
        ),
        (
            "port: 41, bpdu_guard_recovery: 5",
            "5",
            ".bpdu_guard_recovery: a recovery time without BPDU guard",
        ),
    ] {
        let by = format!("      - {{{port}}}");
        let message = format!("stpds[0].ports[0]{message}");
        one_error("      - {port: 41, cost: 7}", &by, at, &message);
    }
}

#[test]
fn all_broken_rules_are_listed_in_the_order_of_the_file() {
    let text = "ports:\n- {port: 0, device: eth1}\n- {port: 2, device: eth2, untagged: 3}\nswitch: -x\nvlans: [{id: 0}]\n";
    let error = read(text).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines,
        [
            "sw1.yml:2:10: ports[0].port: port 0 is not in 1 to 128",
            "sw1.yml:3:37: ports[1].untagged: VLAN 3 is not declared in vlans",
            "sw1.yml:4:9: switch: \"-x\" is no switch name: it must be 1 to 32 of the characters A-Z a-z 0-9 _ -, and not start with -",
            "sw1.yml:5:14: vlans[0].id: VLAN id 0 marks a priority-tagged frame (IEEE 802.1Q 9.6); use 1 to 4094",
        ]
    );
}

#[test]
fn the_rest_of_very_many_problems_is_counted() {
    let vlans: String = (0..100).map(|_| "- {id: 0}\n").collect();
    let error = read(&format!("switch: a\nvlans:\n{vlans}"))
        .unwrap_err()
        .to_string();
    assert_eq!(error.lines().count(), 21);
    assert!(error.ends_with("sw1.yml: and 80 more problems"), "{error}");
}

#[test]
fn a_problem_with_a_default_is_reported_where_the_key_would_be() {
    let text = "switch: a\nvlans:\n  - {id: 1, name: vlan2}\n  - id: 2\n    learning: false\n";
    let found = findings(text);
    assert_eq!((found[0].line, found[0].column), (4, 5), "{found:?}");
    assert!(found[0].message.starts_with("vlans[1].name: "), "{found:?}");
}

#[test]
fn seed_34_the_failover_section_is_refused_with_line_key_and_rule() {
    for (section, at, message) in [
        (
            "  slave_config: flash\n  preserve_state: l2\n",
            (4, 19),
            "msm_failover.preserve_state: slave_config: flash excludes preserve_state: l2",
        ),
        (
            "  timeout: 20\n",
            (3, 12),
            "msm_failover.timeout: 20 is not in 30 to 300",
        ),
        // The default of a key that is not there is the problem: it would be in the section.
        (
            "  watchdog_ms: 4000\n",
            (3, 3),
            "msm_failover.lease_ms: a lease of 3000 ms runs out before the watchdog",
        ),
        (
            "  slave_config: inherit\n",
            (3, 17),
            "msm_failover.slave_config: unknown variant `inherit`, expected `inherited` or `flash`",
        ),
        (
            "  time_out: 60\n",
            (3, 3),
            "msm_failover: unknown field `time_out`",
        ),
    ] {
        let found = findings(&format!("switch: a\nmsm_failover:\n{section}"));
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((finding.line, finding.column), at, "{finding:?}");
        assert!(finding.message.starts_with(message), "{finding:?}");
    }
}

#[test]
fn a_problem_behind_an_alias_is_reported_where_the_value_is_written() {
    let text = "switch: a\nvlans: [{id: 7}]\nports:\n- {port: 1, device: a, tagged: &t [7, 8]}\n- {port: 2, device: b, tagged: *t}\n";
    let found = findings(text);
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|f| (f.line, f.column) == (4, 39)),
        "{found:?}"
    );
}

#[test]
fn a_small_file_takes_the_defaults() {
    let config = read("switch: sw1\nports:\n- {port: 1, device: eth1}\n").unwrap();
    assert_eq!(config.fdb, hitless_proto::config::FdbConfig::default());
    let port = &config.ports[&PortNo::new(1).unwrap()];
    assert!(port.enabled && port.ingress_filtering && !port.trust_far_end);
    assert!(read("switch: sw1\n").unwrap().ports.is_empty());
    assert!(read("switch: 7\nports:\nvlans: []\n").is_ok());
}

#[test]
fn files_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let error = |file: &Path| load(file).unwrap_err().to_string();

    assert!(
        error(&path("missing")).contains("missing: can not read the configuration: No such file")
    );
    assert!(error(dir.path()).ends_with("is no regular file; a configuration is a YAML file"));
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(error(&path("fifo")).contains("fifo: is no regular file"));
    assert!(error(Path::new("/dev/zero")).contains("is no regular file"));

    fs::File::create(path("giant"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(error(&path("giant")).contains("giant: is larger than 16777216 bytes"));
    fs::write(path("latin1"), b"# caf\xc3\xa9\nswitch: caf\xe9\n").unwrap();
    assert!(error(&path("latin1")).contains("latin1:2:12: byte 0xe9 is not UTF-8"));
    fs::write(path("empty"), "").unwrap();
    assert!(
        error(&path("empty")).contains("empty:1:1: "),
        "{}",
        error(&path("empty"))
    );
    fs::write(path("nul"), [0; 4096]).unwrap();
    assert!(matches!(
        load(&path("nul")),
        Err(ConfigError::Invalid { .. })
    ));
    fs::write(path("two"), "switch: a\n---\nswitch: b\n").unwrap();
    assert!(error(&path("two")).contains("more than one document"));

    fs::write(path("good"), "switch: sw1\n").unwrap();
    symlink(path("good"), path("link")).unwrap();
    assert!(load(&path("link")).is_ok());
}

#[test]
fn long_values_are_not_echoed_in_full() {
    let long = "x".repeat(100_000);
    for text in [
        format!("{long}: 1\n"),
        format!("switch: {long}\n"),
        format!("switch: a\nports: [{{port: {long}}}]\n"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.len() < 1000, "{} bytes", error.len());
    }
}

#[test]
fn alias_bombs_stay_small() {
    // Nine levels of ten: a thousand million items if it was expanded.
    let mut nested = String::from("a: &a0 [x]\n");
    for i in 1..=9 {
        let items = vec![format!("*a{}", i - 1); 10].join(", ");
        nested += &format!("b{i}: &a{i} [{items}]\n");
    }
    assert!(read(&format!("switch: a\nports: *a9\n{nested}")).is_err());
    assert!(read(&format!("{nested}switch: a\nports: *a9\n")).is_err());

    // One long text and one long list, each referred to as often as fits.
    let text = format!(
        "switch: &t {}\nvlans:\n{}",
        "x".repeat(1 << 20),
        "- {id: 1, name: *t}\n".repeat(100_000)
    );
    assert!(read(&text).is_err());
    let list = format!(
        "switch: a\nports:\n- {{port: 1, device: a, tagged: &t [{}]}}\n{}",
        "1,".repeat(500_000),
        "- {port: 1, device: a, tagged: *t}\n".repeat(50_000)
    );
    assert!(read(&list).is_err());
    let ports = format!(
        "switch: a\nports:\n- &p {{port: 1, device: a}}\n{}",
        "- *p\n".repeat(500_000)
    );
    assert!(
        read(&ports)
            .unwrap_err()
            .to_string()
            .contains("more than 128 items")
    );
}

#[test]
fn deep_nesting_is_refused() {
    for open in ["[", "{a: ", "- ", "? "] {
        let deep = open.repeat((MAX_BYTES / 4) / open.len());
        assert!(read(&deep).is_err(), "{open}");
    }
    let deep = format!("switch: a\n{}", "[".repeat(2000));
    let error = read(&deep).unwrap_err().to_string();
    assert!(
        error.starts_with("sw1.yml:2:1001: more than 1000"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(parse(&bytes, Path::new("x")).is_err());
    }

    #[test]
    fn any_change_of_a_line_gives_an_answer(line in 0..500usize, by in "[ -~\n]{0,40}") {
        let mut lines = long_config();
        lines[line] = by;
        // A configuration or an error that names a line of the file.
        if let Err(error) = read(&text_of(&lines)) {
            let ConfigError::Invalid { findings, .. } = error else { panic!("{error}") };
            prop_assert!(findings[0].line >= 1 && findings[0].line <= text_of(&lines).lines().count() + 1);
        }
    }
}
