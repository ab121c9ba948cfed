//! Changes of the running configuration: document, change, check, and only then in force.

use super::refuse;
use crate::{
    master::Master,
    northbound::api::{ApiError, ConfiguredInfo, MsmFailoverChange, MsmFailoverSettings, Reply},
};
use hitless_proto::config::{
    Config, Document, LinkAction, MsmFailoverDoc, PreserveState, SlaveConfig, SysRecoveryLevel,
};

/// Seconds of the failover timer by factory default (T-sync guide, "Configuring Timers").
const GUIDE_TIMEOUT: i64 = 60;

impl Master {
    /// `configure msm-failover`.
    pub(super) fn configure_msm_failover(
        &mut self,
        change: &MsmFailoverChange,
    ) -> Result<Reply, ApiError> {
        let notes = notes(change);
        self.reconfigure(notes, |section| apply(section, change))
    }

    /// `unconfigure msm-failover`, with the four effects that the T-sync guide lists.
    pub(super) fn unconfigure_msm_failover(&mut self) -> Result<Reply, ApiError> {
        let notes = vec![
            "Hitless failover is disabled: links are taken down, no state is preserved, the timeout is 60 s, and \
             a new master uses its configuration file. Keepalives, watchdog, freshness and lease are as Hitless \
             has them by default; sys-recovery-level is as it was."
                .into(),
            "These are ExtremeWare's factory defaults. A switch of ours without a section msm_failover is set for \
             hitless failover instead; to return there: configure msm-failover slave-config inherited, then \
             configure msm-failover link-action keep-links-up preserve-state l2_l3."
                .into(),
        ];
        self.reconfigure(notes, unconfigure)
    }

    /// `configure sys-recovery-level`.
    pub(super) fn configure_sys_recovery_level(
        &mut self,
        level: SysRecoveryLevel,
    ) -> Result<Reply, ApiError> {
        self.reconfigure(Vec::new(), |section| section.sys_recovery_level = level)
    }

    fn reconfigure(
        &mut self,
        notes: Vec<String>,
        change: impl FnOnce(&mut MsmFailoverDoc),
    ) -> Result<Reply, ApiError> {
        let changed_config = changed(&self.config, change)?;
        let changed = changed_config != self.config;
        if changed {
            self.change_config(changed_config);
        }
        Ok(Reply::Configured(Box::new(ConfiguredInfo {
            changed,
            unsaved: self.unsaved,
            settings: MsmFailoverSettings::from(&self.config.msm_failover),
            notes,
        })))
    }
}

/// The configuration after a change, if it keeps every rule.
fn changed(config: &Config, change: impl FnOnce(&mut MsmFailoverDoc)) -> Result<Config, ApiError> {
    let mut document = Document::from(config.clone());
    change(&mut document.msm_failover);
    document.check().map_err(|invalid| {
        refuse(format!(
            "the running configuration would not be valid, so nothing was changed: {invalid}"
        ))
    })
}

fn apply(section: &mut MsmFailoverDoc, change: &MsmFailoverChange) {
    match *change {
        MsmFailoverChange::SlaveConfig(slave_config) => section.slave_config = slave_config,
        MsmFailoverChange::LinkAction { action, preserve } => {
            section.link_action = action;
            section.preserve_state = Some(preserve.unwrap_or(PreserveState::None));
        }
        MsmFailoverChange::Timeout { seconds } => section.timeout = seconds,
        MsmFailoverChange::Keepalive {
            interval_ms,
            misses,
        } => {
            section.keepalive_interval_ms = interval_ms.unwrap_or(section.keepalive_interval_ms);
            section.keepalive_misses = misses.unwrap_or(section.keepalive_misses);
        }
        MsmFailoverChange::Watchdog { ms } => section.watchdog_ms = ms,
        MsmFailoverChange::Freshness { ms } => section.freshness_ms = ms,
        MsmFailoverChange::Lease { ms } => section.lease_ms = ms,
    }
}

fn unconfigure(section: &mut MsmFailoverDoc) {
    *section = MsmFailoverDoc {
        slave_config: SlaveConfig::Flash,
        link_action: LinkAction::TakeLinksDown,
        preserve_state: Some(PreserveState::None),
        timeout: GUIDE_TIMEOUT,
        sys_recovery_level: section.sys_recovery_level,
        ..MsmFailoverDoc::default()
    };
}

/// What to know about a change.
fn notes(change: &MsmFailoverChange) -> Vec<String> {
    let note = match change {
        MsmFailoverChange::LinkAction {
            action: LinkAction::KeepLinksUp,
            preserve: None,
        } => {
            "Without preserve-state no layer 2 and layer 3 state is preserved, and a failover is not hitless."
        }
        MsmFailoverChange::LinkAction {
            action: LinkAction::TakeLinksDown,
            ..
        } => "A failover resets every port, and is not hitless.",
        MsmFailoverChange::SlaveConfig(SlaveConfig::Flash) => {
            "A new master starts from the configuration file: a failover is not hitless, and changes that are not \
             saved are lost."
        }
        MsmFailoverChange::Watchdog { ms: 0 } => {
            "Without a watchdog only missed keepalives tell that a master hangs."
        }
        _ => return Vec::new(),
    };
    vec![note.into()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_file;
    use std::path::Path;

    fn config(section: &str) -> Config {
        let text = format!("switch: sw1\nmsm_failover: {section}\n");
        config_file::parse(text.as_bytes(), Path::new("sw1.yml")).unwrap()
    }

    fn after(section: &str, change: &MsmFailoverChange) -> Result<Config, String> {
        changed(&config(section), |s| apply(s, change)).map_err(|e| e.message)
    }

    #[test]
    fn seed_38_unconfigure_has_the_four_effects() {
        let before = config(
            "{timeout: 300, sys_recovery_level: critical, keepalive_misses: 9, watchdog_ms: 0, lease_ms: 60000}",
        );
        let after = changed(&before, unconfigure).unwrap().msm_failover;
        // "The external ports are reset when an MSM failover occurs"
        assert_eq!(after.link_action, LinkAction::TakeLinksDown);
        // "No state is preserved when a failover occurs"
        assert_eq!(after.preserve_state, PreserveState::None);
        // "The MSM failover timeout returns to 60 seconds"
        assert_eq!(after.timeout_seconds, 60);
        // "The new master uses the configuration file kept in its flash memory upon failover"
        assert_eq!(after.slave_config, SlaveConfig::Flash);
        assert_eq!(after.preservation_level().number(), 1);

        assert_eq!(after.sys_recovery_level, SysRecoveryLevel::Critical);
        assert_eq!(
            (after.keepalive_misses, after.watchdog_ms, after.lease_ms),
            (3, Some(250), 3_000)
        );
    }

    #[test]
    fn seed_33_link_action_and_what_it_preserves() {
        let link_action = |action, preserve| {
            let change = MsmFailoverChange::LinkAction { action, preserve };
            let config = after("{}", &change).map(|c| c.msm_failover);
            (
                config.map(|c| c.preservation_level().number()),
                !notes(&change).is_empty(),
            )
        };
        use LinkAction::{KeepLinksUp, TakeLinksDown};
        assert_eq!(
            link_action(KeepLinksUp, Some(PreserveState::L2L3)),
            (Ok(6), false)
        );
        assert_eq!(
            link_action(KeepLinksUp, Some(PreserveState::L2)),
            (Ok(5), false)
        );
        assert_eq!(link_action(KeepLinksUp, None), (Ok(4), true));
        assert_eq!(link_action(TakeLinksDown, None), (Ok(2), true));
        let (refused, _) = link_action(TakeLinksDown, Some(PreserveState::L2));
        assert!(refused.unwrap_err().contains("take_links_down excludes"));
    }

    #[test]
    fn seed_34_flash_is_refused_while_state_is_preserved() {
        let flash = MsmFailoverChange::SlaveConfig(SlaveConfig::Flash);
        let error = after("{}", &flash).unwrap_err();
        assert!(
            error.contains(
                "nothing was changed: msm_failover.preserve_state: slave_config: flash excludes"
            ),
            "{error}"
        );
        let config = after("{preserve_state: none}", &flash).unwrap();
        assert_eq!(config.msm_failover.preservation_level().number(), 3);
    }

    #[test]
    fn seed_36_the_timer_has_its_range() {
        let error = after("{}", &MsmFailoverChange::Timeout { seconds: 29 }).unwrap_err();
        assert!(
            error.contains("msm_failover.timeout: 29 is not in 30 to 300"),
            "{error}"
        );
        let config = after("{}", &MsmFailoverChange::Timeout { seconds: 300 }).unwrap();
        assert_eq!(config.msm_failover.timeout_seconds, 300);
    }

    #[test]
    fn a_change_changes_nothing_else() {
        let keepalive = MsmFailoverChange::Keepalive {
            interval_ms: None,
            misses: Some(5),
        };
        let before = config("{keepalive_interval_ms: 200, watchdog_ms: 0}");
        let after = changed(&before, |s| apply(s, &keepalive)).unwrap();
        let mut expected = before.clone();
        expected.msm_failover.keepalive_misses = 5;
        assert_eq!(after, expected);
    }
}
