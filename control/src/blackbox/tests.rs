//! A process death is the end of a [`Blackbox`] without [`Blackbox::done`]: the file stays as it is then.

use super::*;
use std::os::unix::fs::FileExt;
use tempfile::TempDir;

const BPDU: &[u8] = b"a frame that is too much for a parser";

struct Switch(TempDir);

impl Switch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn master(&self) -> Blackbox {
        Blackbox::open(self.0.path())
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("blackbox")
    }

    /// A master dies of an input; what the next one finds.
    fn dies_of(&self, kind: Kind, bytes: &[u8]) -> Option<Poison> {
        let master = self.master();
        assert!(!master.is_quarantined(kind, bytes));
        master.handling(kind, bytes);
        drop(master);
        self.master().examine(true)
    }
}

#[test]
fn two_deaths_quarantine_and_nothing_else_is_dropped() {
    let switch = Switch::new();
    let once = switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    assert_eq!((once.deaths, once.is_quarantined()), (1, false));
    let twice = switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    assert_eq!((twice.deaths, twice.is_quarantined()), (2, true));

    for _ in 0..3 {
        // Masters that come and go, with nothing in hand.
        let master = switch.master();
        assert_eq!(master.examine(true), None);
        assert!(master.is_quarantined(Kind::ControlFrame, BPDU));
        assert!(!master.is_quarantined(Kind::ApiRequest, BPDU));
        assert!(!master.is_quarantined(Kind::ControlFrame, &BPDU[1..]));
        assert!(!master.is_quarantined(Kind::ControlFrame, &[BPDU, &[0]].concat()));
    }
    let list = switch.master().list();
    let [poison] = &list[..] else {
        panic!("{list:?}");
    };
    assert_eq!(poison.kind, Kind::ControlFrame);
    assert_eq!(
        (poison.bytes.as_slice(), poison.length),
        (BPDU, BPDU.len() as u32)
    );
    assert_eq!((poison.deaths, poison.drops), (2, 3));
    assert!(poison.at_unix_ms > 0);
}

#[test]
fn what_was_handled_since_is_no_suspect_any_more() {
    let switch = Switch::new();
    switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    let master = switch.master();
    // Another one does not clear it.
    master.handling(Kind::ControlFrame, b"another");
    master.done();
    assert_eq!(master.list().len(), 1);
    master.handling(Kind::ControlFrame, BPDU);
    master.done();
    assert!(master.list().is_empty());
    drop(master);
    assert_eq!(switch.dies_of(Kind::ControlFrame, BPDU).unwrap().deaths, 1);
}

#[test]
fn an_announced_end_is_nobodys_fault() {
    let switch = Switch::new();
    switch.master().handling(Kind::ApiRequest, b"{}");
    assert_eq!(switch.master().examine(false), None);
    // And it was looked at once.
    assert_eq!(switch.master().examine(true), None);
    assert!(switch.master().list().is_empty());
}

#[test]
fn what_was_done_is_not_in_hand() {
    let switch = Switch::new();
    let master = switch.master();
    master.handling(Kind::Timer, b"hello");
    master.done();
    drop(master);
    assert_eq!(switch.master().examine(true), None);
}

#[test]
fn octets_behind_a_short_input_are_not_its() {
    let switch = Switch::new();
    let master = switch.master();
    master.handling(Kind::LinkEvent, &[0xff; 300]);
    master.handling(Kind::LinkEvent, &[1, 2, 3]);
    drop(master);
    let poison = switch.master().examine(true).unwrap();
    assert_eq!((poison.bytes, poison.length), (vec![1, 2, 3], 3));
    assert_eq!(
        switch.dies_of(Kind::LinkEvent, &[1, 2, 3]).unwrap().deaths,
        2
    );
}

#[test]
fn lengths_around_the_edges() {
    for length in [
        0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 257, 2_047, 2_048, 2_049, 70_000,
    ] {
        let switch = Switch::new();
        let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
        switch.dies_of(Kind::LearnBatch, &bytes).unwrap();
        let poison = switch.dies_of(Kind::LearnBatch, &bytes).unwrap();
        assert_eq!(poison.deaths, 2, "{length}");
        assert_eq!(poison.bytes, &bytes[..length.min(BYTES)]);
        let master = switch.master();
        assert!(master.is_quarantined(Kind::LearnBatch, &bytes));
        // Any octet of the first 2,048 makes it another input.
        for at in [0, length / 2, length.min(2_048).wrapping_sub(1)] {
            let mut other = bytes.clone();
            if let Some(octet) = other.get_mut(at).filter(|_| at < 2_048) {
                *octet ^= 0x80;
                assert!(
                    !master.is_quarantined(Kind::LearnBatch, &other),
                    "{at} of {length}"
                );
            }
        }
    }
}

#[test]
fn forgotten_inputs_are_handled_again() {
    let switch = Switch::new();
    for bytes in [&b"one"[..], b"two", b"three"] {
        switch.dies_of(Kind::ControlFrame, bytes).unwrap();
        switch.dies_of(Kind::ControlFrame, bytes).unwrap();
    }
    let master = switch.master();
    let two = master
        .list()
        .into_iter()
        .find(|p| p.bytes == b"two")
        .unwrap();
    assert_eq!(master.forget(Some(two.hash)), 1);
    assert_eq!(master.forget(Some(two.hash)), 0);
    assert!(!master.is_quarantined(Kind::ControlFrame, b"two"));
    assert!(master.is_quarantined(Kind::ControlFrame, b"three"));
    assert_eq!(master.forget(None), 2);
    assert!(!master.is_quarantined(Kind::ControlFrame, b"three"));
    assert!(master.list().is_empty());
    drop(master);
    assert_eq!(
        switch.dies_of(Kind::ControlFrame, b"two").unwrap().deaths,
        1
    );
}

#[test]
fn a_full_list_keeps_what_was_deadliest() {
    let switch = Switch::new();
    switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    for n in 0..u64::from(ENTRIES as u32) * 3 {
        assert_eq!(
            switch
                .dies_of(Kind::ControlFrame, &n.to_be_bytes())
                .unwrap()
                .deaths,
            1
        );
    }
    assert_eq!(switch.master().list().len(), ENTRIES);
    assert!(switch.master().is_quarantined(Kind::ControlFrame, BPDU));
    // Full of quarantined ones: the oldest of them goes.
    for n in 1_000..1_000 + ENTRIES as u64 * 2 {
        switch
            .dies_of(Kind::ControlFrame, &n.to_be_bytes())
            .unwrap();
        assert_eq!(
            switch
                .dies_of(Kind::ControlFrame, &n.to_be_bytes())
                .unwrap()
                .deaths,
            2
        );
    }
    let list = switch.master().list();
    assert_eq!(list.len(), ENTRIES);
}

#[test]
fn foreign_and_damaged_files_are_begun_anew() {
    let good = {
        let switch = Switch::new();
        switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
        fs::read(switch.file()).unwrap()
    };
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    for bytes in [
        Vec::new(),
        b"something else".to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        vec![0xff; SIZE],
        changed(0),
        changed(8),
    ] {
        let switch = Switch::new();
        fs::write(switch.file(), &bytes).unwrap();
        let master = switch.master();
        assert!(master.list().is_empty(), "{} octets", bytes.len());
        drop(master);
        assert_eq!(switch.dies_of(Kind::ControlFrame, BPDU).unwrap().deaths, 1);
        assert_eq!(switch.dies_of(Kind::ControlFrame, BPDU).unwrap().deaths, 2);
    }
    let switch = Switch::new();
    std::os::unix::fs::symlink("/dev/null", switch.file()).unwrap();
    switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    assert!(fs::symlink_metadata(switch.file()).unwrap().is_file());
}

#[test]
fn damage_inside_costs_what_was_damaged_and_no_more() {
    let switch = Switch::new();
    switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    switch.dies_of(Kind::ControlFrame, BPDU).unwrap();
    let good = fs::read(switch.file()).unwrap();
    // Every octet behind the version, one after the other, as a master finds it.
    for at in 16..SIZE {
        let file = OpenOptions::new().write(true).open(switch.file()).unwrap();
        file.write_all_at(&good, 0).unwrap();
        file.write_all_at(&[good[at] ^ 0xa5], at as u64).unwrap();
        let master = switch.master();
        master.examine(true);
        let _ = master.is_quarantined(Kind::ControlFrame, BPDU);
        assert!(master.list().iter().all(|p| p.bytes.len() <= BYTES));
        master.handling(Kind::ControlFrame, b"next");
        master.done();
    }
}

#[test]
fn without_a_file_it_works_while_the_module_lives() {
    let switch = Switch::new();
    fs::create_dir(switch.file()).unwrap();
    let master = switch.master();
    for _ in 0..2 {
        master.handling(Kind::ControlFrame, BPDU);
        master.examine(true);
    }
    assert!(master.is_quarantined(Kind::ControlFrame, BPDU));
    assert!(switch.master().list().is_empty());
}

/// Two versions of this program share the file: the hash of an input must stay what it is.
#[test]
fn the_layout_is_the_recorded_one() {
    let switch = Switch::new();
    switch.dies_of(Kind::ApiRequest, b"show version").unwrap();
    let hash = switch.master().list()[0].hash;
    let bytes = fs::read(switch.file()).unwrap();
    assert_eq!(&bytes[..12], b"HITLSSBB\x01\0\0\0");
    assert_eq!(bytes.len(), 19_232);
    // deaths, kind, length, and behind a reserved word the hash.
    let entry = &bytes[288..];
    assert_eq!(&entry[..12], [1, 0, 0, 0, 2, 0, 0, 0, 12, 0, 0, 0]);
    assert_eq!(&entry[16..24], hash.to_le_bytes());
    assert_eq!(&entry[40..52], b"show version");
    assert_eq!(hash, 0xd70c_8811_63e9_b21b);
}
