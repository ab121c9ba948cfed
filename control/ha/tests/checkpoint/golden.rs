//! Recordings of a whole checkpoint by each version that changed what is sent: every later one understands them.

use super::model::{Model, Pair, hello, learned, ports, put_all, stp_key, switch, vid};
use hitless_ha::cause::Cause;
use hitless_ha::receiver::{Event, Limits, Receiver, Store};
use hitless_ha::record::{FdbRecord, PortRecord, StpRecord, VlanRecord};
use hitless_ha::schema::Subsystem;
use hitless_ha::slot::ModuleSlot;
use hitless_ha::state::SubState;
use std::fs;
use std::path::Path;

/// What a master says to a standby from its first to its last word.
fn record() -> (String, Model) {
    let mut model = switch();
    let mut pair = Pair::new();
    pair.pump();
    while let Some(subsystem) = pair.sender.next_bulk() {
        pair.sender.begin_bulk(0, subsystem);
        let mut open = pair.sender.begin(0);
        put_all(&mut open, model.config.values());
        put_all(&mut open, model.ports.values());
        put_all(&mut open, model.vlans.values());
        put_all(&mut open, model.stp.values());
        put_all(&mut open, model.fdb.values());
        open.commit();
        pair.sender.end_bulk(0, subsystem);
        pair.pump();
    }
    pair.sender.keepalive();
    pair.pump();
    // One change of every kind, in one bracket.
    let old = model.vlans[&vid(10)];
    let new = VlanRecord {
        forwarding: ports(&[128]),
        untagged: ports(&[]),
        ..old
    };
    let shut = model.stp[&stp_key("s0", 64)];
    let opened = StpRecord {
        rb: 86_420,
        ..super::model::stp_port("s0", 64, true)
    };
    let mut open = pair.sender.begin(0);
    open.update(&old, &new)
        .delete::<VlanRecord>(vid(1))
        .delete::<PortRecord>(super::model::port(2))
        .update(&shut, &opened)
        .delete::<StpRecord>(stp_key("s0", 1))
        .put(&learned(77, 10, 77, 64))
        .delete::<FdbRecord>(0);
    open.commit();
    model.put(new).unwrap();
    model.vlans.remove(&vid(1));
    model.ports.remove(&super::model::port(2));
    model.put(opened).unwrap();
    model.stp.remove(&stp_key("s0", 1));
    model.fdb.insert(77, learned(77, 10, 77, 64));
    model.fdb.remove(&0);
    pair.sender.request_digest();
    pair.sender.last_words("that was all");
    pair.sender.handover(Cause::OperatorCommand);
    pair.sender.goodbye("msm-failover");
    pair.pump();
    assert_eq!(pair.database, model);
    (to_hex(&pair.said), model)
}

/// Hexadecimal octets, 32 a line.
fn to_hex(octets: &[u8]) -> String {
    octets
        .chunks(32)
        .map(|line| line.iter().map(|o| format!("{o:02x}")).collect::<String>() + "\n")
        .collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn recorded() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn seed_46_the_checkpoint_of_every_recorded_version_is_understood() {
    let (_, model) = record();
    let all = recorded();
    assert!(!all.is_empty());
    for (name, text) in all {
        let mut receiver = Receiver::new(0, &hello(ModuleSlot::MsmB), Limits::default());
        let mut database = Model::default();
        receiver
            .receive(0, &from_hex(&text), &mut database)
            .unwrap();
        assert!(receiver.ready(), "{name}");
        let mut expected = model.clone();
        if receiver.states().state(Subsystem::Stp) == SubState::Disable {
            // Those before 0.3.0 have no spanning tree.
            expected.stp.clear();
        }
        assert_eq!(database, expected, "{name}");
        let events = receiver.take_events();
        assert!(
            events.contains(&Event::Handover(Cause::OperatorCommand)),
            "{name}"
        );
        assert!(
            events.contains(&Event::LastWords("that was all".into())),
            "{name}"
        );
        assert_eq!(receiver.counts().unknown, 0, "{name}");
    }
}

/// Whoever changes what is sent records it, as `golden/<version of the crate>.hex`, beside the older ones.
#[test]
fn what_this_version_sends_is_recorded() {
    let (now, _) = record();
    assert!(
        recorded().iter().any(|(_, text)| *text == now),
        "no recording is what this version sends; add tests/golden/{}.hex:\n{now}",
        env!("CARGO_PKG_VERSION")
    );
}
