//! A domain that runs, one that is disabled, and what is asked of them.

use std::collections::BTreeMap;

use hitless_common::{Mac, PortNo};
use hitless_proto::config::Config;
use hitless_proto::stp::Link;
use hitless_proto::stpd::{PortFacts, Stpds};
use hitless_proto::time::Epoch;
use serde_json::json;

use super::*;
use crate::northbound::api::StpInfo;

fn port(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

fn name(name: &str) -> StpdName {
    name.parse().unwrap()
}

fn list(text: &str) -> PortSelection {
    text.parse().unwrap()
}

/// s0 runs on ports 1 and 2; port 3 takes no part in it, and port 4 is in a disabled domain.
fn config() -> Config {
    let port = |number: u16, vlan: u16| json!({"port": number, "device": format!("p{number}"), "untagged": vlan});
    serde_json::from_value(json!({
        "switch": "sw1",
        "vlans": [{"id": 1}, {"id": 10}],
        "ports": [port(1, 1), port(2, 1), port(3, 1), port(4, 10)],
        "stpds": [
            {"name": "s0", "enabled": true, "vlans": [1], "ports": [
                {"port": 1, "link_type": "edge", "bpdu_guard": true, "bpdu_guard_recovery": 60},
                {"port": 3, "enabled": false},
            ]},
            {"name": "lab", "vlans": [10]},
        ],
    }))
    .unwrap()
}

fn running(config: &Config, last: u8) -> Stpds {
    let facts = |&number: &PortNo| {
        let link = Link {
            up: true,
            mbps: 1_000,
            full_duplex: true,
        };
        let mac = Mac([2, 0, 0, 0, last, number.get() as u8]);
        (number, PortFacts { link, mac })
    };
    let ports: BTreeMap<PortNo, PortFacts> = config.ports.keys().map(facts).collect();
    let mut stpds = Stpds::new(Mac([2, 0, 0, 0, last, 0]), Epoch::new(1));
    stpds.configure(config, &ports).unwrap();
    stpds
}

fn shown(
    stpds: &Stpds,
    only: Option<StpdName>,
    ports: Option<&PortSelection>,
) -> Result<Vec<StpdInfo>, ApiError> {
    match show(stpds, &config(), only, ports)? {
        Reply::Stpds(infos) => Ok(infos),
        other => panic!("{other:?}"),
    }
}

/// A BPDU of another bridge arrives.
fn hear(stpds: &mut Stpds, number: u16) {
    let mut other = running(&config(), 9);
    let frames = other.take_work().frames;
    let frame = frames.iter().find(|frame| frame.port == port(2)).unwrap();
    stpds.on_frame(port(number), None, &frame.octets).unwrap();
}

#[test]
fn all_domains_without_their_ports() {
    let infos = shown(&running(&config(), 1), None, None).unwrap();
    let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["lab", "s0"]);
    assert!(infos.iter().all(|info| info.ports.is_empty()));
    let (lab, s0) = (&infos[0], &infos[1]);
    assert_eq!((lab.enabled, &lab.tree), (false, &None));
    assert_eq!((lab.port_counts.total, lab.port_counts.no_part), (1, 1));
    let counts = s0.port_counts;
    assert_eq!((counts.total, counts.no_part, counts.designated), (3, 1, 2));
    // The edge port forwards at once, the other not yet.
    assert_eq!((counts.forwarding, counts.discarding), (1, 1));
    let tree = s0.tree.as_ref().unwrap();
    assert_eq!(tree.root_id, tree.bridge_id);
    assert_eq!((tree.root_port, tree.root_path_cost), (None, 0));
    assert_eq!(tree.seconds_since_topology_change, None);
}

#[test]
fn a_domain_that_is_no_root_says_which_way_the_root_is() {
    let mut stpds = running(&config(), 10);
    hear(&mut stpds, 2);
    let infos = shown(&stpds, Some(name("s0")), Some(&PortSelection::All)).unwrap();
    let [s0] = infos.as_slice() else {
        panic!("{infos:?}");
    };
    let tree = s0.tree.as_ref().unwrap();
    assert_eq!(tree.root_id.mac, Mac([2, 0, 0, 0, 9, 0]));
    assert_eq!(
        (tree.root_port, tree.root_path_cost),
        (Some(port(2)), 20_000)
    );
    let roles: Vec<StpRole> = s0.ports.iter().map(|port| port.role).collect();
    assert_eq!(roles, [StpRole::Designated, StpRole::Root, StpRole::None]);
    let status = s0.ports[1].status.as_ref().unwrap();
    assert_eq!(
        (status.info, status.counters.rx_rst, status.cost),
        (StpInfo::Received, 1, 20_000)
    );
    assert_eq!(status.designated_bridge, tree.root_id);
    let aside = &s0.ports[2];
    assert_eq!((aside.state, &aside.status), (StpState::Forwarding, &None));
    assert!(!aside.settings.enabled && s0.ports[1].settings.enabled);
}

#[test]
fn what_is_not_there_is_named() {
    let mut stpds = running(&config(), 1);
    let config = config();
    let errors = [
        shown(&stpds, Some(name("s9")), None).unwrap_err(),
        clear_counters(&mut stpds, &config, Some(name("s9"))).unwrap_err(),
        recover(&mut stpds, &config, name("s9"), &PortSelection::All).unwrap_err(),
        check_migration(&mut stpds, &config, name("s9"), &PortSelection::All).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(
            error.message.contains("s9 does not exist") && error.message.contains("`show stpd`"),
            "{error}"
        );
    }
    for (ports, missing) in [("1-4", 4), ("128", 128)] {
        let error = shown(&stpds, Some(name("s0")), Some(&list(ports))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        let says = format!("port {missing} is in no VLAN of STP domain s0");
        assert!(error.message.starts_with(&says), "{error}");
    }
}

#[test]
fn a_port_that_its_guard_shut_is_opened_once() {
    let (config, mut stpds) = (config(), running(&config(), 10));
    hear(&mut stpds, 1);
    let shut = |stpds: &Stpds| {
        let infos = shown(stpds, Some(name("s0")), Some(&list("1"))).unwrap();
        let port = infos[0].ports[0].clone();
        let status = port.status.unwrap();
        (port.role, status.bpdu_guard_shut, status.bpdu_guard_seconds)
    };
    assert_eq!(shut(&stpds), (StpRole::Disabled, true, Some(60)));
    let mut opened = |ports: &str| recover(&mut stpds, &config, name("s0"), &list(ports));
    let none = Ok(Reply::StpdRecovered { ports: Vec::new() });
    let one = Ok(Reply::StpdRecovered {
        ports: vec![port(1)],
    });
    assert_eq!(opened("2"), none);
    assert_eq!(opened("all"), one);
    assert_eq!(opened("all"), none);
    let (role, shut, seconds) = shut(&stpds);
    assert_eq!((role, shut, seconds), (StpRole::Designated, false, None));
}

#[test]
fn what_can_not_be_done_says_what_to_do() {
    let mut config = config();
    let mut stpds = running(&config, 1);
    let refused = |result: Result<Reply, ApiError>, says: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains(says), "{error}");
    };
    let (s0, lab) = (name("s0"), name("lab"));
    refused(
        recover(&mut stpds, &config, lab, &PortSelection::All),
        "lab is disabled, all its ports forward; `enable stpd lab`",
    );
    refused(
        recover(&mut stpds, &config, s0, &list("2-3")),
        "port 3 takes no part in STP domain s0; `enable stpd s0 ports 3`",
    );
    let all = check_migration(&mut stpds, &config, s0, &PortSelection::All);
    assert_eq!(all, Ok(Reply::Done {}));
    if let Some(stpd) = config.stpds.get_mut(&s0) {
        stpd.mode = StpdMode::Dot1d;
    }
    refused(
        check_migration(&mut stpds, &config, s0, &PortSelection::All),
        "`configure stpd s0 mode dot1w`",
    );
}

#[test]
fn counters_begin_anew() {
    let (config, mut stpds) = (config(), running(&config(), 10));
    let received = |stpds: &Stpds| {
        let infos = shown(stpds, Some(name("s0")), Some(&list("2"))).unwrap();
        infos[0].ports[0].status.as_ref().unwrap().counters.rx_rst
    };
    hear(&mut stpds, 2);
    assert_eq!(received(&stpds), 1);
    assert!(stpds.on_frame(port(4), None, &[0; 60]).is_err());
    assert_eq!(not_taken(&stpds).malformed, 1);
    let done = Ok(Reply::Done {});
    // One that does not run has none.
    assert_eq!(clear_counters(&mut stpds, &config, Some(name("lab"))), done);
    assert_eq!(received(&stpds), 1);
    assert_eq!(clear_counters(&mut stpds, &config, None), done);
    assert_eq!(received(&stpds), 0);
    assert_eq!(not_taken(&stpds), StpNotTaken::default());
}
