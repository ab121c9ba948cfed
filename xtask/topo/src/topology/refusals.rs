//! Topology files that are refused or warned about: the place, the rule, the words.

use super::tests::{load, node, problems, refused};

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
