//! The commands for domains, and what `show stpd` says after each.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::net::{Net, Node, Ours, Plan, SETTLES};
use super::ring::LONG;
use super::view::{self, counters};
use super::wire::{config, root_vector, rst};
use crate::harness::{
    bpdus::octets,
    ktap::{Case, Ctx},
    port::Port,
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "stp.commands",
        "every command for domains does in the live switch what show stpd then tells, in JSON and as text (seed: 20, 39)",
        every_command,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.refused",
        "what breaks a rule is refused with domain, value and rule, and changes nothing (seed: 20, 39)",
        refused,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.counters",
        "counters count by kind and are cleared; a port that an old bridge was heard on tries RST BPDUs again when told to \
         (seed: 20)",
        counting,
    )
    .timeout(LONG)
    .waits(),
];

/// Words after `configure stpd lab`, what they change by its JSON pointer, and the value then.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("tag 20", "/tag", "20"),
    ("mode dot1d", "/mode", "\"dot1d\""),
    ("mode dot1w", "/mode", "\"dot1w\""),
    ("priority 4096", "/priority", "4096"),
    ("hellotime 1", "/bridge_times/hello_time", "1"),
    ("maxage 18", "/bridge_times/max_age", "18"),
    ("forwarddelay 12", "/bridge_times/forward_delay", "12"),
    ("txholdcount 9", "/tx_hold_count", "9"),
    ("pathcost-method short", "/path_cost_method", "\"short\""),
    (
        "default-encapsulation pvst-plus",
        "/default_encapsulation",
        "\"pvst-plus\"",
    ),
    (
        "default-encapsulation emistp",
        "/default_encapsulation",
        "\"emistp\"",
    ),
    ("ports 2 cost 1000", "/ports/0/settings/cost", "1000"),
    ("ports 2 cost auto", "/ports/0/settings/cost", "null"),
    ("ports all priority 64", "/ports/1/settings/priority", "64"),
    (
        "ports 3 mode pvst-plus",
        "/ports/1/settings/encapsulation",
        "\"pvst-plus\"",
    ),
    (
        "ports 3 mode default",
        "/ports/1/settings/encapsulation",
        "\"emistp\"",
    ),
    (
        "ports 2 link-type broadcast",
        "/ports/0/settings/link_type",
        "\"broadcast\"",
    ),
    (
        "ports 2 link-type point-to-point",
        "/ports/0/settings/link_type",
        "\"point-to-point\"",
    ),
    (
        "ports 2 link-type edge",
        "/ports/0/settings/link_type",
        "\"edge\"",
    ),
    (
        "ports 2-3 auto-edge off",
        "/ports/1/settings/auto_edge",
        "false",
    ),
    (
        "ports 2 bpdu-guard on recovery-timeout 30",
        "/ports/0/settings/bpdu_guard_recovery_seconds",
        "30",
    ),
    (
        "ports 3 bpdu-guard on",
        "/ports/1/settings/bpdu_guard",
        "true",
    ),
    (
        "ports 3 bpdu-guard off",
        "/ports/1/settings/bpdu_guard",
        "false",
    ),
    (
        "ports 3 root-guard on",
        "/ports/1/settings/root_guard",
        "true",
    ),
    (
        "ports 3 bpdu-filter on",
        "/ports/1/settings/bpdu_filter",
        "true",
    ),
    (
        "ports 3 bpdu-filter off",
        "/ports/1/settings/bpdu_filter",
        "false",
    ),
    (
        "ports 3 loop-guard on",
        "/ports/1/settings/loop_guard",
        "true",
    ),
];

/// A switch with three stations, and VLAN 20 on the ports of two of them.
///
/// # Errors
/// When it does not start.
pub fn up(ctx: &Ctx) -> Result<Net> {
    let a = Ours::new("a", 32768)
        .vlans("[{id: 10}, {id: 20, name: green}]")
        .port(2, "untagged: 10, tagged: [20]")
        .port(3, "untagged: 10, tagged: [20]")
        .both();
    let hosts = [("a", 1), ("a", 2), ("a", 3)];
    let net = Net::up(ctx, &Plan::default().ours([a]).hosts(hosts))?;
    net.await_settled(0)?;
    Ok(net)
}

fn domain(node: &Node, name: &str) -> Result<Value> {
    let shown = view::json(&node.switch, &[name, "ports"])?;
    let found = shown.get(0).cloned();
    found.with_context(|| format!("no domain {name}: {shown}"))
}

fn names(node: &Node) -> Result<Vec<String>> {
    let shown = view::json(&node.switch, &[])?;
    let all = shown.as_array().context("domains")?;
    let name = |domain: &Value| domain["name"].as_str().map(str::to_owned);
    all.iter().map(|d| name(d).context("a name")).collect()
}

/// Makes domain lab with everything set that can be.
///
/// # Errors
/// When a command is refused, or is not shown to have done what it is for.
pub fn make_lab(node: &Node) -> Result<()> {
    node.command("create stpd lab")?;
    ensure!(names(node)? == ["lab", "s0"], "{:?}", names(node)?);
    node.command("configure stpd lab add vlan green")?;
    for (words, pointer, value) in SETTINGS {
        let line = format!("configure stpd lab {words}");
        node.command(&line)?;
        let shown = domain(node, "lab")?;
        let value: Value = serde_json::from_str(value)?;
        ensure!(
            shown.pointer(pointer) == Some(&value),
            "after {line:?} {pointer} is {:?}, not {value}: {shown}",
            shown.pointer(pointer)
        );
    }
    node.command("enable stpd lab")?;
    let shown = domain(node, "lab")?;
    ensure!(
        shown["enabled"] == true && shown["tree"].is_object(),
        "{shown}"
    );
    Ok(())
}

fn every_command(ctx: &Ctx) -> Result<()> {
    let net = up(ctx)?;
    let node = net.node("a")?;
    make_lab(node)?;
    let tree = node.await_tree("lab", "both ports open", SETTLES, |tree| {
        tree.serves(2) && tree.ports.len() == 2
    })?;
    ensure!(tree.id.priority == 4096 | 20 && tree.is_root(), "{tree:?}");

    // As text.
    let all = view::text(&node.switch, &[])?;
    let row = all.lines().find(|line| line.starts_with("lab"));
    let row: Vec<&str> = row.context("no row of lab")?.split_whitespace().collect();
    ensure!(
        row[..5] == ["lab", "20", "yes", "dot1w", "2"],
        "show stpd:\n{all}"
    );
    let one = view::text(&node.switch, &["lab"])?;
    for wanted in ["lab", "4096", &tree.id.to_string(), "short"] {
        ensure!(one.contains(wanted), "no {wanted} in show stpd lab:\n{one}");
    }
    for words in [&["s0", "ports"][..], &["s0", "ports", "1", "detail"]] {
        let ports = view::text(&node.switch, words)?;
        ensure!(
            ports.contains("designated") && ports.contains("forwarding"),
            "show stpd {words:?}:\n{ports}"
        );
    }

    // Ports of one domain, one at a time.
    node.command("disable stpd lab ports 3")?;
    let port = |number: usize| anyhow::Ok(domain(node, "lab")?["ports"][number].clone());
    ensure!(port(1)?["role"] == "none", "{}", port(1)?);
    node.command("enable stpd lab ports all")?;
    ensure!(port(1)?["role"] != "none", "{}", port(1)?);

    // Back to how they were made.
    node.command("unconfigure stpd lab")?;
    let shown = domain(node, "lab")?;
    ensure!(
        shown["priority"] == 32768
            && shown["bridge_times"]
                == json!({"message_age": 0, "max_age": 20, "hello_time": 2, "forward_delay": 15})
            && shown["vlans"] == json!([20])
            && shown["enabled"] == true
            && shown["ports"][1]["settings"]["loop_guard"] == false,
        "{shown}"
    );
    node.command("disable stpd lab")?;
    ensure!(domain(node, "lab")?["tree"].is_null());
    let entry = node.hardware(20)?;
    ensure!(
        entry.forwarding.has(2) && entry.forwarding.has(3),
        "ports of a disabled domain do not forward: {entry:?}"
    );
    node.command("configure stpd lab delete vlan green")?;
    ensure!(domain(node, "lab")?["vlans"] == json!([]));
    node.command("delete stpd lab")?;
    ensure!(names(node)? == ["s0"], "{:?}", names(node)?);
    let log = node.switch.show("log")?.to_string();
    ensure!(log.contains("s0"), "the log tells of no domain: {log}");
    Ok(())
}

fn refused(ctx: &Ctx) -> Result<()> {
    let net = up(ctx)?;
    let node = net.node("a")?;
    node.command("create stpd lab")?;
    node.command("configure stpd lab add vlan green")?;
    let before = node.switch.show("configuration")?;
    let mut wrong = Vec::new();
    for (line, why) in [
        ("create stpd 1lab", "1lab"),
        ("delete stpd s0", "s0"),
        ("delete stpd nobody", "nobody"),
        ("configure stpd lab priority 4097", "4096"),
        ("configure stpd lab priority 65536", "61440"),
        ("configure stpd lab hellotime 3", "1 to 2"),
        ("configure stpd lab maxage 5", "6 to 40"),
        ("configure stpd lab forwarddelay 31", "4 to 30"),
        ("configure stpd lab txholdcount 11", "1 to 10"),
        // 2 x (forward delay - 1) >= max age >= 2 x (hello time + 1).
        ("configure stpd lab forwarddelay 4", "forward delay 4"),
        ("configure stpd lab maxage 40", "max age 40"),
        ("configure stpd lab ports 2 priority 8", "16"),
        ("configure stpd lab ports 2 cost 0", "200000000"),
        ("configure stpd lab ports 1 cost 10", "1"),
        ("configure stpd lab tag 10", "10"),
        ("configure stpd lab add vlan 10", "s0"),
        ("configure stpd s0 add vlan green", "lab"),
        // Its BPDUs would have no tag.
        ("enable stpd lab", "tag"),
    ] {
        if let Err(error) = node.is_refused(line, why) {
            wrong.push(format!("{error:#}"));
        }
        ensure!(
            node.switch.show("configuration")? == before,
            "{line:?} has changed something"
        );
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn counting(ctx: &Ctx) -> Result<()> {
    let net = up(ctx)?;
    let node = net.node("a")?;
    let station = Port::open(&net.hosts[1].netns, super::net::DEVICE)?;
    let ear = net.hear(("a", 2))?;
    let is_rapid =
        |bpdu: &hitless_wire::bpdu::Bpdu| matches!(bpdu, hitless_wire::bpdu::Bpdu::Rst(_));
    ear.await_bpdu(0, "an RST BPDU", SETTLES, is_rapid)?;

    let await_count = |what: &str, is: &dyn Fn(&hitless::northbound::api::StpCounters) -> bool| {
        wait_for(what, SETTLES, || {
            Ok(is(&counters(&node.switch, "s0", 2)?).then_some(()))
        })
        .with_context(|| format!("{:?}", counters(&node.switch, "s0", 2)))
    };
    // Worse than the switch: it answers and stays the root.
    station.send(&octets(&rst(root_vector(61440)))?)?;
    await_count("an RST BPDU to be counted", &|c| c.rx_rst == 1)?;
    // An old bridge: after its Config BPDUs the switch speaks as it does.
    let old = octets(&config(root_vector(61440)))?;
    let mark = ear.mark();
    wait_for("a Config BPDU for the old bridge", SETTLES, || {
        station.send(&old)?;
        std::thread::sleep(std::time::Duration::from_millis(100));
        let heard = ear.since(mark);
        let is = |h: &crate::harness::bpdus::Heard| {
            matches!(h.bpdu(), Ok(hitless_wire::bpdu::Bpdu::Config(_)))
        };
        Ok(heard.iter().any(is).then_some(()))
    })?;
    await_count("both directions to be counted", &|c| {
        c.rx_config > 0 && c.tx_config > 0 && c.tx_rst > 0
    })?;
    // Told to try again.
    node.command("clear stpd s0 ports 2 protocol-migration")?;
    ear.await_bpdu(ear.mark(), "an RST BPDU again", SETTLES, is_rapid)?;

    node.command("clear counters stpd s0")?;
    let now = counters(&node.switch, "s0", 2)?;
    ensure!(
        now.rx_config == 0 && now.rx_rst == 0,
        "not cleared: {now:?}"
    );
    Ok(())
}
