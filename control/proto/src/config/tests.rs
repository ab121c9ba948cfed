//! One test a rule: the document that breaks it, the path it names and the values it reports.

use super::*;

fn vid(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

fn port_no(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

fn vlan(id: i64) -> VlanDoc {
    VlanDoc {
        id,
        name: None,
        mac_limit: None,
        learning: true,
        loop_free_ports: None,
    }
}

fn port(port: i64) -> PortDoc {
    PortDoc {
        port,
        device: format!("eth{port}"),
        enabled: true,
        untagged: None,
        tagged: Vec::new(),
        accept: AcceptFrames::All,
        ingress_filtering: true,
        offload: OffloadMode::Auto,
        trust_far_end: false,
        mac_limit: None,
        storm_control: StormDoc::default(),
    }
}

fn entry(vlan: i64, mac: &str, port: i64) -> StaticDoc {
    StaticDoc {
        vlan,
        mac: mac.into(),
        port: Some(port),
        blackhole: false,
    }
}

/// Two access ports in VLAN 10, a trunk with 20, 30 and 31, one static entry.
fn base() -> Document {
    let mut ports = vec![port(1), port(2), port(3)];
    ports[0].untagged = Some(10);
    ports[1].untagged = Some(10);
    ports[2].tagged = vec![TaggedItem::Id(20), TaggedItem::Range("30-31".into())];
    Document {
        switch: "sw1".into(),
        snmp: SnmpDoc::default(),
        fdb: FdbDoc {
            static_entries: vec![entry(10, "02:00:00:00:00:01", 1)],
            ..FdbDoc::default()
        },
        msm_failover: MsmFailoverDoc::default(),
        images: Default::default(),
        vlans: vec![vlan(10), vlan(20), vlan(30), vlan(31)],
        ports,
        stpds: Vec::new(),
    }
}

/// The only problem of the base document after a change.
fn problem(change: impl FnOnce(&mut Document)) -> (String, Rule) {
    let mut document = base();
    change(&mut document);
    let invalid = document.check().unwrap_err();
    assert_eq!(invalid.problems.len(), 1, "{invalid}");
    let problem = invalid.problems.into_iter().next().unwrap();
    (problem.path.to_string(), problem.rule)
}

#[track_caller]
fn refused(path: &str, rule: Rule, change: impl FnOnce(&mut Document)) {
    assert_eq!(problem(change), (path.to_string(), rule));
}

fn range(value: i64, low: u32, high: u32) -> Rule {
    Rule::Range { value, low, high }
}

#[test]
fn the_base_document_becomes_what_it_says() {
    let config = base().check().unwrap();
    assert_eq!(config.switch.as_str(), "sw1");
    assert_eq!(config.vlans[&vid(10)].name.as_str(), "vlan10");
    assert_eq!(config.vlan_named("vlan20"), Some(vid(20)));
    assert_eq!(config.vlan_named("20"), None);
    let trunk = &config.ports[&port_no(3)];
    assert!(trunk.is_member(vid(30)) && trunk.is_member(vid(31)) && !trunk.is_member(vid(10)));
    assert!(config.ports[&port_no(1)].is_member(vid(10)));
    let mac = "02:00:00:00:00:01".parse().unwrap();
    assert_eq!(
        config.fdb.static_entries[&(vid(10), mac)],
        StaticTarget::Port(port_no(1))
    );
}

#[test]
fn back_to_a_document_and_again() {
    let config = base().check().unwrap();
    let document = Document::from(config.clone());
    assert_eq!(document.ports[2].tagged, [20, 30, 31].map(TaggedItem::Id));
    assert_eq!(document.check(), Ok(config));
}

#[test]
fn names() {
    assert_eq!(problem(|d| d.switch = "../x".into()).0, "switch");
    assert_eq!(
        problem(|d| d.ports[1].device = "a b".into()).0,
        "ports[1].device"
    );
    assert_eq!(
        problem(|d| d.vlans[2].name = Some("30".into())).0,
        "vlans[2].name"
    );
}

#[test]
fn numbers_out_of_range() {
    for id in [0, 4095, -1, i64::MAX] {
        let rule = || Rule::from(VlanId::try_new(id).unwrap_err());
        refused("vlans[4].id", rule(), |d| d.vlans.push(vlan(id)));
        refused("ports[2].untagged", rule(), |d| {
            d.ports[2].untagged = Some(id)
        });
        refused("ports[2].tagged[0]", rule(), |d| {
            d.ports[2].tagged[0] = TaggedItem::Id(id);
        });
    }
    for number in [0, 129, -1] {
        refused(
            "ports[3].port",
            PortNo::try_new(number).unwrap_err().into(),
            |d| {
                d.ports.push(port(number));
            },
        );
    }
    for value in [63, 16_777_217, -1] {
        refused("fdb.size", range(value, 64, 16_777_216), |d| {
            d.fdb.size = value
        });
    }
    for value in [-1, 1, 9, 1_000_001] {
        refused("fdb.ageing_seconds", Rule::Ageing(value), |d| {
            d.fdb.ageing_seconds = value
        });
    }
    refused("fdb.damping.moves", range(-1, 0, 1_000_000), |d| {
        d.fdb.damping.moves = -1
    });
    refused("fdb.damping.within_seconds", range(0, 1, 3_600), |d| {
        d.fdb.damping.within_seconds = 0;
    });
    refused("fdb.damping.hold_seconds", range(86_401, 1, 86_400), |d| {
        d.fdb.damping.hold_seconds = 86_401;
    });
    refused("vlans[0].mac_limit", range(-1, 0, 16_777_216), |d| {
        d.vlans[0].mac_limit = Some(-1);
    });
    refused(
        "ports[0].mac_limit",
        range(16_777_217, 0, 16_777_216),
        |d| {
            d.ports[0].mac_limit = Some(16_777_217);
        },
    );
    for value in [0, -5, 4_294_967_296] {
        refused(
            "ports[0].storm_control.unknown_unicast",
            Rule::Storm(value),
            |d| {
                d.ports[0].storm_control.unknown_unicast = Some(value);
            },
        );
    }
}

#[test]
fn the_ends_of_the_ranges_are_allowed() {
    for (size, ageing, limit) in [
        (64, 0, 0),
        (16_777_216, 10, 16_777_216),
        (65_536, 1_000_000, 1),
    ] {
        let mut document = base();
        document.fdb.size = size;
        document.fdb.ageing_seconds = ageing;
        document.fdb.damping.moves = 0;
        document.ports[0].mac_limit = Some(limit);
        document.ports[0].storm_control.broadcast = Some(4_294_967_295);
        document.ports[0].storm_control.multicast = Some(1);
        let config = document.check().unwrap();
        assert_eq!(config.fdb.ageing_seconds.is_none(), ageing == 0);
        assert_eq!(
            i64::from(config.ports[&port_no(1)].mac_limit.unwrap()),
            limit
        );
    }
}

#[test]
fn duplicates() {
    refused(
        "vlans[4].id",
        Rule::DuplicateVlan {
            id: vid(20),
            first: 1,
        },
        |d| {
            d.vlans.push(vlan(20));
        },
    );
    let name = || "vlan10".to_string();
    refused(
        "vlans[1].name",
        Rule::DuplicateVlanName {
            name: name(),
            other: vid(10),
        },
        |d| {
            d.vlans[1].name = Some(name());
        },
    );
    refused(
        "vlans[1].name",
        Rule::DuplicateVlanName {
            name: "vlan20".into(),
            other: vid(10),
        },
        |d| {
            // The clash is with a default name that the document does not contain.
            d.vlans[0].name = Some("vlan20".into());
        },
    );
    refused(
        "ports[3].port",
        Rule::DuplicatePort {
            port: port_no(2),
            first: 1,
        },
        |d| {
            d.ports.push(port(2));
        },
    );
    let device = "eth1".to_string();
    refused(
        "ports[1].device",
        Rule::DuplicateDevice {
            device,
            other: port_no(1),
        },
        |d| {
            d.ports[1].device = "eth1".into();
        },
    );
    let mac: Mac = "02:00:00:00:00:01".parse().unwrap();
    let rule = Rule::DuplicateStatic {
        vlan: vid(10),
        mac,
        first: 0,
    };
    refused("fdb.static[1]", rule, |d| {
        // The same address in other letters, to another port.
        d.fdb.static_entries.push(entry(10, "02-00-00-00-00-01", 2));
    });
}

#[test]
fn vlans_of_a_port() {
    refused("ports[2].tagged[0]", Rule::UndeclaredVlan(vid(40)), |d| {
        d.ports[2].tagged[0] = TaggedItem::Id(40);
    });
    refused("ports[2].tagged[1]", Rule::UndeclaredVlan(vid(32)), |d| {
        d.ports[2].tagged[1] = TaggedItem::Range("30-39".into());
    });
    refused("ports[2].untagged", Rule::UndeclaredVlan(vid(11)), |d| {
        d.ports[2].untagged = Some(11);
    });
    refused(
        "ports[2].tagged[0]",
        Rule::TaggedAndUntagged(vid(20)),
        |d| {
            d.ports[2].untagged = Some(20);
        },
    );
    refused("ports[2].tagged[2]", Rule::TaggedTwice(vid(31)), |d| {
        d.ports[2].tagged.push(TaggedItem::Id(31));
    });
    for text in ["31-30", "30-", "-", "", "a-b", "30-31-32", "--"] {
        refused("ports[2].tagged[1]", Rule::VlanRange(text.into()), |d| {
            d.ports[2].tagged[1] = TaggedItem::Range(text.into());
        });
    }
    refused("ports[2].accept", Rule::AcceptsUntagged, |d| {
        d.ports[2].accept = AcceptFrames::Untagged;
    });
}

#[test]
fn loop_free_ports_of_a_vlan() {
    let mut document = base();
    document.vlans[0].loop_free_ports = Some(vec![2, 1]);
    document.vlans[1].loop_free_ports = Some(Vec::new());
    let config = document.check().unwrap();
    let ports = |vlan| config.vlans[&vid(vlan)].loop_free_ports.clone();
    assert_eq!(ports(10), Some(BTreeSet::from([1, 2].map(port_no))));
    // No port at all is not the same as no list.
    assert_eq!(ports(20), Some(BTreeSet::new()));
    assert_eq!(ports(30), None);
    assert_eq!(Document::from(config.clone()).check(), Ok(config));

    let list = |numbers: &[i64]| {
        let numbers = Some(numbers.to_vec());
        move |d: &mut Document| d.vlans[0].loop_free_ports = numbers
    };
    let at = "vlans[0].loop_free_ports[1]";
    refused(at, PortNo::try_new(0).unwrap_err().into(), list(&[1, 0]));
    refused(at, Rule::UnknownPort(port_no(9)), list(&[1, 9]));
    refused(at, Rule::LoopFreeTwice(port_no(1)), list(&[1, 1]));
    let rule = Rule::NoMember {
        port: port_no(3),
        vlan: vid(10),
    };
    refused(at, rule, list(&[1, 3]));
}

#[test]
fn accept_tagged_keeps_a_native_vlan_for_sending() {
    let mut document = base();
    document.ports[2].untagged = Some(10);
    document.ports[2].accept = AcceptFrames::Tagged;
    assert_eq!(
        document.check().unwrap().ports[&port_no(3)].untagged,
        Some(vid(10))
    );
}

#[test]
fn one_vlan_as_text_is_a_range_too() {
    let mut document = base();
    document.ports[2].tagged = vec![
        TaggedItem::Range(" 20 ".into()),
        TaggedItem::Range("30 - 31".into()),
    ];
    let tagged: Vec<u16> = document.check().unwrap().ports[&port_no(3)]
        .tagged
        .iter()
        .map(|v| v.get())
        .collect();
    assert_eq!(tagged, [20, 30, 31]);
}

#[test]
fn static_entries() {
    let add = |vlan, mac: &str, to| {
        let entry = entry(vlan, mac, to);
        move |d: &mut Document| d.fdb.static_entries.push(entry)
    };
    let mac = "02:00:00:00:00:02";
    refused("fdb.static[1].vlan", Rule::UndeclaredVlan(vid(11)), |d| {
        d.fdb.static_entries.push(entry(11, mac, 1));
        d.fdb.static_entries[1].port = None;
        d.fdb.static_entries[1].blackhole = true;
    });
    let member = Rule::NoMember {
        port: port_no(1),
        vlan: vid(20),
    };
    refused("fdb.static[1].port", member, add(20, mac, 1));
    refused(
        "fdb.static[1].port",
        Rule::UnknownPort(port_no(4)),
        add(10, mac, 4),
    );
    for group in [
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
    ] {
        let rule = Rule::NotAStation(group.parse().unwrap());
        refused("fdb.static[1].mac", rule, add(10, group, 1));
    }
    for control in ["01:80:c2:00:00:00", "00:e0:2b:00:00:02"] {
        let rule = Rule::ControlAddress(control.parse().unwrap());
        refused("fdb.static[1].mac", rule, add(10, control, 1));
    }
    assert!(
        matches!(problem(add(10, "02:00", 1)), (path, Rule::Id(_)) if path == "fdb.static[1].mac")
    );
    refused("fdb.static[0]", Rule::NoTarget, |d| {
        d.fdb.static_entries[0].port = None
    });
    refused("fdb.static[0]", Rule::TwoTargets, |d| {
        d.fdb.static_entries[0].blackhole = true
    });
    refused(
        "fdb.static",
        Rule::TooManyStatic {
            entries: 65,
            size: 64,
        },
        |d| {
            d.fdb.size = 64;
            d.fdb.static_entries = (0..65)
                .map(|i| entry(10, &format!("02:00:00:00:00:{i:02x}"), 1))
                .collect();
        },
    );
}

#[test]
fn all_problems_are_reported_and_the_rest_is_counted() {
    let mut document = base();
    document.switch = ".".into();
    document.fdb.size = 1;
    document.vlans[0].mac_limit = Some(-1);
    document.ports[0].device = "eth2".into();
    let invalid = document.check().unwrap_err();
    let paths: Vec<String> = invalid
        .problems
        .iter()
        .map(|p| p.path.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "switch",
            "vlans[0].mac_limit",
            "ports[1].device",
            "fdb.size"
        ]
    );

    document.ports[2].tagged = (0..100).map(|_| TaggedItem::Id(4000)).collect();
    let invalid = document.check().unwrap_err();
    assert_eq!(invalid.problems.len(), MAX_PROBLEMS);
    assert_eq!(invalid.more, 104 - MAX_PROBLEMS);
    assert!(invalid.to_string().ends_with("and 84 more problems"));
}

#[test]
fn overlapping_ranges_do_not_cost_their_product() {
    let mut document = base();
    document.ports = (1..=128)
        .map(|number| {
            let mut port = port(number);
            port.tagged = vec![TaggedItem::Range("1-4094".into()); 4094];
            port
        })
        .collect();
    // Would be 2,000 million look-ups if each range was walked to its end.
    let invalid = document.check().unwrap_err();
    assert_eq!(invalid.problems.len() + invalid.more, 128 * 4094);
}

/// The sections are what other versions are told, so the list must be the document's.
#[test]
fn the_list_of_sections_is_that_of_the_document() {
    let error = serde_json::from_str::<Document>(r#"{"nothing-like-it": 1}"#).unwrap_err();
    let known: Vec<String> = error
        .to_string()
        .split('`')
        .skip(3)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(known, SECTIONS, "{error}");
}
