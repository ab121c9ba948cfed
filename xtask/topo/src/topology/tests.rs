//! Topology files in, resolved topologies or refusals out; no root needed.

use super::*;

pub(super) fn load(text: &str) -> Result<Topology, Error> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = Document::parse(directory.join("x.clab.yml"), text, &|_| None)?;
    Topology::from_document(&document, None)
}

/// A file with one node that has these settings, from line 5 on.
pub(super) fn node(settings: &str) -> String {
    format!(
        "name: x\ntopology:\n  nodes:\n    n:\n      image: alpine:3\n      kind: linux\n{settings}"
    )
}

/// The problems as `line path: reason`.
pub(super) fn problems(text: &str) -> Vec<String> {
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
pub(super) fn refused(text: &str, place: &str, reason: &str) {
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
