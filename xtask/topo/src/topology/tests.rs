//! Topology files in, resolved topologies or refusals out; no root needed.

use super::*;

fn load(text: &str) -> Result<Topology, Error> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = Document::parse(directory.join("x.clab.yml"), text, &|_| None)?;
    Topology::from_document(&document, None)
}

/// A file with one node that has these settings, from line 5 on.
fn node(settings: &str) -> String {
    format!(
        "name: x\ntopology:\n  nodes:\n    n:\n      image: alpine:3\n      kind: linux\n{settings}"
    )
}

/// The problems as `line path: reason`.
fn problems(text: &str) -> Vec<String> {
    match load(text) {
        Err(Error::Topology(refusal)) => refusal
            .problems
            .iter()
            .map(|p| format!("{} {}: {}", p.line, p.path, p.reason))
            .collect(),
        other => panic!("{text}\n{other:?}"),
    }
}

/// The file has exactly one problem, at that place, and its reason holds the text.
fn refused(text: &str, place: &str, reason: &str) {
    let problems = problems(text);
    assert!(
        problems.len() == 1
            && problems[0].starts_with(&format!("{place}: "))
            && problems[0].contains(reason),
        "expected {place}: ...{reason}...\ngot {problems:#?}\nfor\n{text}"
    );
}

#[test]
fn a_plain_lab() {
    let lab = load(
        "name: x\ntopology:\n  nodes:\n    b: {kind: linux, image: alpine:3}\n    a: {kind: linux, image: hitless:latest}\n  links:\n    - endpoints: [\"a:eth1\", \"b:eth1\"]\n    - {type: veth, mtu: 1500, endpoints: [{node: a, interface: eth2, mac: 02:00:00:00:00:01}, {node: a, interface: eth3}]}\n",
    )
    .unwrap();
    assert_eq!(lab.name, "x");
    let names: Vec<&str> = lab.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(lab.nodes[0].env["CLAB_INTFS"], "3");
    assert_eq!(lab.nodes[0].env["CLAB_LABEL_CLAB_NODE_NAME"], "a");
    let links: Vec<String> = lab.links.iter().map(ToString::to_string).collect();
    assert_eq!(links, ["a:eth1 -- b:eth1", "a:eth2 -- a:eth3"]);
    assert_eq!([lab.links[0].mtu, lab.links[1].mtu], [9500, 1500]);
    assert_eq!(
        lab.links[1].ends[0].mac.as_deref(),
        Some("02:00:00:00:00:01")
    );
    assert!(lab.warnings.is_empty(), "{:?}", lab.warnings);
}

#[test]
fn levels_are_merged_node_first_then_group_kind_defaults() {
    let lab = load(
        r#"
name: x
topology:
  defaults:
    kind: linux
    group: g
    image: from-defaults
    cmd: from-defaults
    entrypoint: from-defaults
    hostname: from-defaults
    startup-delay: 4
    env: {A: defaults, B: defaults, C: defaults, D: defaults}
    exec: [defaults, same]
    binds: [src:/a, src:/b, src:/c, src:/d]
    sysctls: {net.a: 1, net.b: 1}
  kinds:
    linux:
      image: from-kind
      cmd: from-kind
      entrypoint: from-kind
      env: {A: kind, B: kind, C: kind}
      exec: [kind, same]
      binds: [Cargo.toml:/a, Cargo.toml:/b, Cargo.toml:/c]
    nokia_srlinux: {license: not-looked-at}
  groups:
    g:
      image: from-group
      cmd: from-group
      startup-delay: 3
      env: {A: group, B: group}
      exec: [group]
      binds: [tests:/a:ro, tests:/b:ro]
      healthcheck: {test: [CMD, ok], timeout: 7}
    other: {image: from-other}
  nodes:
    n:
      image: from-node
      env: {A: 1, T: true}
      exec: [node]
      binds: [src:/a:rw]
      sysctls: {net.b: 2}
    bare:
    o: {group: other}
"#,
    )
    .unwrap();
    let [bare, n, o] = &lab.nodes[..] else {
        panic!()
    };
    assert_eq!(n.image, "from-node");
    assert_eq!(bare.image, "from-group");
    assert_eq!(o.image, "from-other");
    assert_eq!(
        (&n.cmd[..], &n.entrypoint[..]),
        (&["from-group".into()][..], &["from-kind".into()][..])
    );
    assert_eq!(n.hostname, "from-defaults");
    assert_eq!(n.startup_delay, Duration::from_secs(3));
    assert_eq!(o.startup_delay, Duration::from_secs(4));
    let env = ["A", "B", "C", "D", "T"].map(|key| n.env[key].as_str());
    assert_eq!(env, ["1", "group", "kind", "defaults", "true"]);
    let exec: Vec<String> = n.exec.iter().map(|words| words.join(" ")).collect();
    assert_eq!(exec, ["defaults", "same", "kind", "group", "node"]);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bind = |source: &str, target: &str, read_only| Bind {
        source: here.join(source),
        target: target.into(),
        read_only,
    };
    let binds = [
        bind("src", "/a", false),
        bind("tests", "/b", true),
        bind("Cargo.toml", "/c", false),
        bind("src", "/d", false),
    ];
    assert_eq!(n.binds, binds);
    assert_eq!(
        n.sysctls,
        [("net.a".into(), "1".into()), ("net.b".into(), "2".into())].into()
    );
    let check = n.healthcheck.clone().unwrap();
    assert_eq!(
        (check.command, check.timeout),
        (vec!["ok".into()], Duration::from_secs(7))
    );
    assert!(o.healthcheck.is_none());
}

#[test]
fn a_kind_may_come_from_the_group_and_a_group_may_be_a_label() {
    let lab = load("name: x\ntopology:\n  groups: {g: {kind: linux, image: a}}\n  nodes:\n    n: {group: g}\n    m: {kind: linux, image: a, group: rack1}\n").unwrap();
    assert_eq!(lab.warnings.len(), 1);
    assert!(
        lab.warnings[0].contains("x.clab.yml:6: there is no group 'rack1'"),
        "{:?}",
        lab.warnings
    );
}

#[test]
fn magic_words_and_relative_binds() {
    let text = node(
        "      exec: [echo __clabNodeName__ __clabLabName__]\n      binds:\n        - src/__clabNodeName__:/x\n",
    );
    // The bind's source has the node's name in it, and is not there.
    refused(
        &text,
        "9 topology.nodes.n.binds.0",
        "src/n, which is to be bound, can not be used",
    );
    let lab = load(&text.replace("src/__clabNodeName__", "src/../src")).unwrap();
    assert_eq!(lab.nodes[0].exec, [["echo", "n", "clab-x"]]);
    let text = node("      binds: ['__clabNodeDir__/conf:/conf', '__clabDir__/all:/all']\n");
    let found = problems(&text);
    assert!(
        found.iter().any(|p| p.contains("/clab-x/n/conf, which")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|p| p.contains("/clab-x/all, which")),
        "{found:?}"
    );
}

#[test]
fn a_lab_name_given_instead_counts_everywhere() {
    let text = node("      exec: [echo __clabLabName__]\n");
    let document = Document::parse("/x.clab.yml".into(), &text, &|_| None).unwrap();
    let lab = Topology::from_document(&document, Some("other")).unwrap();
    assert_eq!(
        (lab.name.as_str(), &lab.nodes[0].exec[0][1][..]),
        ("other", "clab-other")
    );
    for bad in ["", "a/b", "../x", "-x", &"x".repeat(64), "ä"] {
        let result = Topology::from_document(&document, Some(bad));
        assert!(matches!(result, Err(Error::LabName { .. })), "{bad}");
    }
}

#[test]
fn what_this_runner_can_not_do_is_refused_by_name() {
    for (settings, key, reason) in [
        ("      license: x\n", "license", "licensed"),
        ("      runtime: podman\n", "runtime", "container runtime"),
        (
            "      components: [{slot: A}]\n",
            "components",
            "nokia_srsim",
        ),
        ("      stages: {create: {}}\n", "stages", "startup-delay"),
        (
            "      devices: [/dev/x]\n",
            "devices",
            "devices of the host",
        ),
        ("      ports: ['80:80']\n", "ports", "published"),
        ("      volumes: ['v:/v']\n", "volumes", "use binds"),
        ("      tmpfs: {/x: ''}\n", "tmpfs", "/run and /tmp"),
        ("      env-files: [x]\n", "env-files", "under env"),
        ("      user: nobody\n", "user", "root"),
        ("      pid-mode: host\n", "pid-mode", "process ids"),
        (
            "      network-mode: host\n",
            "network-mode",
            "own network namespace",
        ),
        (
            "      network-mode: container:y\n",
            "network-mode",
            "own network namespace",
        ),
        (
            "      network-mode: bridge\n",
            "network-mode",
            "must be none, or absent",
        ),
        (
            "      env: {__IMPORT_ENVS: true}\n",
            "env.__IMPORT_ENVS",
            "name each",
        ),
    ] {
        refused(
            &node(settings),
            &format!("7 topology.nodes.n.{key}"),
            reason,
        );
    }
    for kind in ["bridge", "nokia_srlinux", "host", "ext-container"] {
        let text = node("").replace("kind: linux", &format!("kind: {kind}"));
        refused(&text, "6 topology.nodes.n.kind", "only kind linux");
    }
    // On every level, where it is written.
    let text = "name: x\ntopology:\n  defaults: {kind: linux, image: a}\n  kinds:\n    linux:\n      ports: []\n  groups:\n    g:\n      devices: []\n  nodes:\n    n: {}\n";
    let found = problems(text);
    assert!(
        found[0].starts_with("6 topology.kinds.linux.ports: "),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("9 topology.groups.g.devices: "),
        "{found:?}"
    );
}

#[test]
fn links_other_than_veth_are_refused_by_name() {
    let with = |link: &str| {
        format!(
            "name: x\ntopology:\n  nodes:\n    n: {{kind: linux, image: a}}\n  links:\n    - {link}\n"
        )
    };
    for (link, name) in [
        (
            "{type: macvlan, endpoint: {node: n, interface: eth1}, host-interface: eno1}",
            "macvlan",
        ),
        (
            "{type: vxlan, endpoint: {node: n, interface: eth1}, remote: 10.0.0.1, vni: 1, dst-port: 1}",
            "vxlan",
        ),
        (
            "{type: vxlan-stitch, endpoint: {node: n, interface: eth1}}",
            "vxlan-stitch",
        ),
        ("{type: veth-stitch, endpoints: []}", "veth-stitch"),
        (
            "{type: host, endpoint: {node: n, interface: eth1}, host-interface: h}",
            "host",
        ),
        (
            "{type: mgmt-net, endpoint: {node: n, interface: eth1}, host-interface: h}",
            "mgmt-net",
        ),
        (
            "{type: dummy, endpoint: {node: n, interface: eth1}}",
            "dummy",
        ),
        ("{endpoints: ['n:eth1', 'host:veth0']}", "host"),
        ("{endpoints: ['mgmt-net:x', 'n:eth1']}", "mgmt-net"),
        ("{endpoints: ['n:eth1', 'macvlan:eno1']}", "macvlan"),
    ] {
        let reason = format!("a link of type {name} is not supported: ");
        refused(&with(link), "6 topology.links.0", &reason);
    }
    refused(
        &with("{type: wire, endpoints: [{node: n, interface: a}, {node: n, interface: b}]}"),
        "6 topology.links.0.type",
        "must be veth, not \"wire\"",
    );
}

#[test]
fn links_end_at_interfaces_that_are_there_and_free() {
    let with = |links: &str| {
        format!(
            "name: x\ntopology:\n  defaults: {{kind: linux, image: a}}\n  nodes:\n    a: {{}}\n    b: {{network-mode: none}}\n  links:\n{links}"
        )
    };
    let ok = with("    - endpoints: ['a:eth1', 'b:eth0']\n    - endpoints: ['a:eth2', 'a:eth3']\n");
    assert_eq!(load(&ok).unwrap().links.len(), 2);
    refused(
        &with("    - endpoints: ['a:eth1', 'c:eth1']\n"),
        "8 topology.links.0.endpoints.1",
        "there is no node 'c'",
    );
    refused(
        &with("    - endpoints: ['a:eth0', 'b:eth0']\n"),
        "8 topology.links.0.endpoints.0",
        "eth0 is containerlab's management interface",
    );
    refused(
        &with("    - endpoints: ['a:eth1', 'b:eth1']\n    - endpoints: ['b:eth2', 'a:eth1']\n"),
        "9 topology.links.1.endpoints.1",
        "already (line 8)",
    );
    refused(
        &with("    - endpoints: ['a:lo', 'b:eth1']\n"),
        "8 topology.links.0.endpoints.0",
        "loopback",
    );
    for bad in [
        "'a:0123456789abcdef'",
        "'a:e/1'",
        "'a:'",
        "'a'",
        "'a:e 1'",
        "'a:b:c'",
        "7",
        "'a:-n'",
    ] {
        let text = with(&format!("    - endpoints: ['b:eth1', {bad}]\n"));
        refused(
            &text,
            "8 topology.links.0.endpoints.1",
            "must be an endpoint",
        );
    }
    refused(
        &with("    - endpoints: ['a:eth1']\n"),
        "8 topology.links.0.endpoints",
        "two different endpoints",
    );
    refused(
        &with("    - endpoints: ['a:eth1', 'a:eth1']\n"),
        "8 topology.links.0.endpoints",
        "two different endpoints",
    );
    refused(
        &with("    - {endpoints: ['a:e', 'b:e'], mtu: 67}\n"),
        "8 topology.links.0.mtu",
        "68 to 65535",
    );
    refused(
        &with("    - {endpoints: ['a:e', 'b:e'], mtu: 70000}\n"),
        "8 topology.links.0.mtu",
        "68 to 65535",
    );
    refused(
        &with("    - {}\n"),
        "8 topology.links.0",
        "the key \"endpoints\" is missing",
    );
    for mac in ["01:00:00:00:00:00", "02:00:00:00:00", "020000000000"] {
        let text = with(&format!(
            "    - {{type: veth, endpoints: [{{node: a, interface: e, mac: '{mac}'}}, {{node: b, interface: e}}]}}\n"
        ));
        refused(
            &text,
            "8 topology.links.0.endpoints.0.mac",
            "unicast MAC address",
        );
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let text = node(
        "      cpu: 2\n      memory: 1GB\n      restart-policy: always\n      image-pull-policy: never\n      privileged: true\n      user: root\n      mgmt-ipv4: 10.0.0.1\n",
    ) + "    m: {kind: linux, image: a}\n  links:\n    - endpoints: ['n:e', 'm:e']\n      ipv4: ['10.0.0.1/24', '10.0.0.2/24']\nmgmt: {network: x}\n";
    let warnings = load(&text).unwrap().warnings;
    for (line, key) in [
        (7, "cpu"),
        (8, "memory"),
        (9, "restart-policy"),
        (10, "image-pull-policy"),
        (13, "mgmt-ipv4"),
        (17, "topology.links.0.ipv4"),
        (18, "mgmt"),
    ] {
        let expected = format!("x.clab.yml:{line}: ");
        assert!(
            warnings
                .iter()
                .any(|w| w.contains(&expected) && w.contains(key)),
            "{key}: {warnings:#?}"
        );
    }
    assert_eq!(warnings.len(), 7, "{warnings:#?}");
}

#[test]
fn wrong_settings_name_their_place_and_rule() {
    for (settings, place, reason) in [
        (
            "      exec: ip link\n",
            "7 topology.nodes.n.exec",
            "list of at least one command line",
        ),
        (
            "      exec: [5]\n",
            "7 topology.nodes.n.exec.0",
            "must be a text, not 5",
        ),
        (
            "      exec:\n        - ok\n        - echo 'x\n",
            "9 topology.nodes.n.exec.1",
            "quote is not closed",
        ),
        (
            "      exec: [' ']\n",
            "7 topology.nodes.n.exec.0",
            "empty command",
        ),
        ("      cmd: \"'\"\n", "7 topology.nodes.n.cmd", "quote"),
        (
            "      Env: {A: 1}\n",
            "7 topology.nodes.n.Env",
            "unknown key 'Env'",
        ),
        (
            "      env: {A: [1]}\n",
            "7 topology.nodes.n.env.A",
            "text, number or boolean",
        ),
        (
            "      startup-delay: -1\n",
            "7 topology.nodes.n.startup-delay",
            "number of seconds",
        ),
        (
            "      startup-delay: 1.5\n",
            "7 topology.nodes.n.startup-delay",
            "number of seconds",
        ),
        (
            "      sysctls: {kernel.pid_max: 1}\n",
            "7 topology.nodes.n.sysctls.kernel.pid_max",
            "change the host",
        ),
        (
            "      sysctls: {net/../kernel/pid_max: 1}\n",
            "7 topology.nodes.n.sysctls.net/../kernel/pid_max",
            "change the host",
        ),
        (
            "      hostname: a b\n",
            "7 topology.nodes.n.hostname",
            "1 to 63 letters",
        ),
        (
            "      healthcheck: {}\n",
            "7 topology.nodes.n.healthcheck",
            "\"test\" is missing",
        ),
        (
            "      healthcheck: {test: [ls]}\n",
            "7 topology.nodes.n.healthcheck.test",
            "CMD-SHELL",
        ),
        (
            "      healthcheck: {test: [CMD]}\n",
            "7 topology.nodes.n.healthcheck.test",
            "CMD-SHELL",
        ),
        (
            "      binds: [relative]\n",
            "7 topology.nodes.n.binds.0",
            "must have the form",
        ),
        (
            "      binds: ['src:relative']\n",
            "7 topology.nodes.n.binds.0",
            "must have the form",
        ),
        (
            "      binds: ['src:/a/../b']\n",
            "7 topology.nodes.n.binds.0",
            "must have the form",
        ),
        (
            "      binds: ['src:/a:ro:x']\n",
            "7 topology.nodes.n.binds.0",
            "must have the form",
        ),
        (
            "      binds: ['src:/a:rshared']\n",
            "7 topology.nodes.n.binds.0",
            "'rshared' is not supported",
        ),
        (
            "      binds: ['src:/']\n",
            "7 topology.nodes.n.binds.0",
            "root directory",
        ),
        (
            "      binds: ['nowhere:/a']\n",
            "7 topology.nodes.n.binds.0",
            "can not be used",
        ),
    ] {
        refused(&node(settings), place, reason);
    }
    for (text, place, reason) in [
        ("name: x\n", "0 ", "the key \"topology\" is missing"),
        (
            "name: x\ntopology: {}\n",
            "2 topology",
            "\"nodes\" is missing",
        ),
        (
            "name: x\ntopology: {nodes: {}}\n",
            "2 topology.nodes",
            "at least one node",
        ),
        (
            "name: x\ntopology:\n  nodes:\n    -a: {kind: linux, image: a}\n",
            "4 topology.nodes.-a",
            "1 to 63 letters",
        ),
        (
            "name: a/b\ntopology: {nodes: {a: {kind: linux, image: a}}}\n",
            "1 name",
            "1 to 63 letters",
        ),
        (
            "name: a-__gitBranch__\ntopology: {nodes: {a: {kind: linux, image: a}}}\n",
            "1 name",
            "git",
        ),
        (
            "prefix: p\nname: a\ntopology: {nodes: {a: {kind: linux, image: a}}}\n",
            "1 prefix",
            "clab-<lab>-<node>",
        ),
        (
            "name: a\ntopology: {nodes: {a: {image: a}}}\n",
            "2 topology.nodes.a",
            "no kind",
        ),
        (
            "name: a\ntopology: {nodes: {a: {kind: linux}}}\n",
            "2 topology.nodes.a",
            "no image",
        ),
        (
            "name: a\ntopology: {nodes: {a: {kind: linux, image: a}}, links: []}\n",
            "2 topology.links",
            "at least one link",
        ),
        ("[]", "0 ", "must be a map"),
        ("", "0 ", "must be a map"),
    ] {
        refused(text, place, reason);
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = node("      ports: []\n      cmdd: x\n") + "  links:\n    - endpoints: ['n:e']\n";
    let lines: Vec<String> = problems(&text);
    let starts: Vec<&str> = lines.iter().map(|l| l.split(':').next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "7 topology.nodes.n.ports",
            "8 topology.nodes.n.cmdd",
            "10 topology.links.0.endpoints"
        ]
    );
    let shown = load(&text).unwrap_err().to_string();
    assert!(
        shown.lines().all(|line| line.contains("x.clab.yml:")),
        "{shown}"
    );
}

#[test]
fn every_lab_of_the_repository_is_accepted() {
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies");
    let mut seen = 0;
    for lab in std::fs::read_dir(labs).unwrap() {
        let directory = lab.unwrap().path();
        let name = directory.file_name().unwrap().to_str().unwrap().to_string();
        let file = directory.join(format!("{name}.clab.yml"));
        let topology = Topology::load(&file, None).unwrap();
        assert_eq!(topology.name, name);
        assert_eq!(lab_of(file.to_str().unwrap()).unwrap(), name);
        assert!(directory.join("README.md").is_file());
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn a_lab_by_name_or_file() {
    assert_eq!(lab_of("single").unwrap(), "single");
    for bad in ["a/b", "no/such.clab.yml", "", "/"] {
        assert!(matches!(lab_of(bad), Err(Error::LabName { .. })), "{bad}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("l.clab.yml");
    // Enough to take it down, though no longer a valid topology.
    std::fs::write(&file, "name: here\ntopology: broken\n").unwrap();
    assert_eq!(lab_of(file.to_str().unwrap()).unwrap(), "here");
    std::fs::write(&file, "topology: broken\n").unwrap();
    assert!(matches!(
        lab_of(file.to_str().unwrap()),
        Err(Error::Topology(_))
    ));
}

#[test]
fn the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let message = |path: &Path| Topology::load(path, None).unwrap_err().to_string();
    assert!(
        message(&dir.path().join("none.yml")).contains("none.yml: can not be read: No such file")
    );
    assert!(message(dir.path()).contains("is not a file"));
    let big = dir.path().join("big.yml");
    std::fs::write(&big, vec![b'#'; 1 << 21]).unwrap();
    assert!(message(&big).contains("2097152 bytes"));
    let binary = dir.path().join("binary.yml");
    std::fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    assert!(message(&binary).contains("can not be read"));
}
