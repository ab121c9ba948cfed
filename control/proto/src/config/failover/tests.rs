//! Every rule of the section, and the levels that it comes to.

use super::*;
use crate::config::{Config, Document, SnmpDoc};

fn document(section: MsmFailoverDoc) -> Document {
    Document {
        switch: "sw1".into(),
        snmp: SnmpDoc::default(),
        fdb: Default::default(),
        msm_failover: section,
        images: Default::default(),
        vlans: Vec::new(),
        ports: Vec::new(),
        stpds: Vec::new(),
    }
}

fn checked(change: impl FnOnce(&mut MsmFailoverDoc)) -> Result<MsmFailoverConfig, String> {
    let mut section = MsmFailoverDoc::default();
    change(&mut section);
    let config: Result<Config, _> = document(section).check();
    config.map(|c| c.msm_failover).map_err(|e| e.to_string())
}

#[track_caller]
fn refused(parts: &[&str], change: impl FnOnce(&mut MsmFailoverDoc)) {
    let error = checked(change).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn seed_34_out_of_the_box_a_failover_is_hitless() {
    let config = checked(|_| ()).unwrap();
    assert_eq!(config, MsmFailoverConfig::default());
    assert!(config.preservation_level().is_hitless());
    assert_eq!(config.keepalive_detection_ms(), 300);
}

#[test]
fn seed_36_the_failover_timer_and_other_ranges() {
    type Key = fn(&mut MsmFailoverDoc) -> &mut i64;
    let keys: [(&str, Key, i64, i64); 5] = [
        ("timeout", |d| &mut d.timeout, 30, 300),
        (
            "keepalive_interval_ms",
            |d| &mut d.keepalive_interval_ms,
            10,
            10_000,
        ),
        ("keepalive_misses", |d| &mut d.keepalive_misses, 2, 100),
        ("freshness_ms", |d| &mut d.freshness_ms, 100, 600_000),
        ("lease_ms", |d| &mut d.lease_ms, 1_000, 60_000),
    ];
    for (name, key, low, high) in keys {
        for value in [low - 1, high + 1, i64::MAX, i64::MIN] {
            let rule = format!("{value} is not in {low} to {high}");
            refused(&[&format!("msm_failover.{name}: "), &rule], |d| {
                *key(d) = value;
            });
        }
        for value in [low, high] {
            let config = checked(|d| {
                (d.lease_ms, d.keepalive_interval_ms, d.keepalive_misses) = (60_000, 100, 3);
                *key(d) = value;
            });
            assert!(config.is_ok(), "{name} {value}: {config:?}");
        }
    }
    for value in [-1, 1, 49, 60_001] {
        refused(
            &[
                "msm_failover.watchdog_ms: a watchdog of",
                &value.to_string(),
            ],
            |d| {
                d.watchdog_ms = value;
            },
        );
    }
    assert_eq!(checked(|d| d.watchdog_ms = 0).unwrap().watchdog_ms, None);
    assert_eq!(
        checked(|d| d.watchdog_ms = 50).unwrap().watchdog_ms,
        Some(50)
    );
}

#[test]
fn seed_34_flash_excludes_preserve_state() {
    for preserve in [PreserveState::L2, PreserveState::L2L3] {
        refused(
            &[
                "msm_failover.preserve_state: slave_config: flash excludes preserve_state",
                &preserve.to_string(),
            ],
            |d| {
                d.slave_config = SlaveConfig::Flash;
                d.preserve_state = Some(preserve);
            },
        );
        refused(&["link_action: take_links_down excludes"], |d| {
            d.link_action = LinkAction::TakeLinksDown;
            d.preserve_state = Some(preserve);
        });
    }
    // Left out, it gives way.
    let flash = checked(|d| d.slave_config = SlaveConfig::Flash).unwrap();
    assert_eq!(flash.preserve_state, PreserveState::None);
}

#[test]
fn the_lease_outlasts_every_detection() {
    let keepalive = |lease, interval, misses| {
        checked(move |d| {
            (d.lease_ms, d.keepalive_interval_ms, d.keepalive_misses) = (lease, interval, misses);
        })
    };
    assert!(keepalive(1_501, 100, 10).is_ok());
    let error = keepalive(1_500, 100, 10).unwrap_err();
    for part in [
        "msm_failover.lease_ms: ",
        "1500 ms",
        "(100)",
        "(10)",
        "500 ms",
    ] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    // Far beyond what a lease can be, without overflow.
    assert!(keepalive(60_000, 10_000, 100).is_err());

    assert!(checked(|d| d.watchdog_ms = 2_999).is_ok());
    refused(
        &["msm_failover.lease_ms: ", "3000 ms", "watchdog_ms (3000)"],
        |d| {
            d.watchdog_ms = 3_000;
        },
    );
}

#[test]
fn seed_32_six_levels_from_links_down_to_layer_3() {
    use LinkAction::{KeepLinksUp, TakeLinksDown};
    use SlaveConfig::{Flash, Inherited};
    let level = |slave_config, link_action, preserve| {
        checked(|d| {
            (d.slave_config, d.link_action, d.preserve_state) =
                (slave_config, link_action, Some(preserve));
        })
        .unwrap()
        .preservation_level()
    };
    let levels = [
        level(Flash, TakeLinksDown, PreserveState::None),
        level(Inherited, TakeLinksDown, PreserveState::None),
        level(Flash, KeepLinksUp, PreserveState::None),
        level(Inherited, KeepLinksUp, PreserveState::None),
        level(Inherited, KeepLinksUp, PreserveState::L2),
        level(Inherited, KeepLinksUp, PreserveState::L2L3),
    ];
    assert_eq!(
        levels.map(PreservationLevel::number),
        [1, 2, 3, 4, 5, 6],
        "the order of the guide"
    );
    // "Hitless failover operation utilizes the last two options."
    let hitless = levels.map(PreservationLevel::is_hitless);
    assert_eq!(hitless, [false, false, false, false, true, true]);
}

#[test]
fn back_to_a_document_and_again() {
    let config = checked(|d| {
        d.slave_config = SlaveConfig::Flash;
        d.link_action = LinkAction::TakeLinksDown;
        d.watchdog_ms = 0;
        d.timeout = 300;
        d.sys_recovery_level = SysRecoveryLevel::Critical;
    })
    .unwrap();
    let again = document(config.into()).check().unwrap().msm_failover;
    assert_eq!(again, config);
}
