//! What the two management modules do when the master is lost: the settings of ExtremeWare's
//! `configure msm-failover`, and those that a switch made of processes needs besides.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{KeyPath, Rule, check::Checker};

/// What the lease must exceed the detection by keepalives by, in milliseconds: the time of a takeover, with
/// room for a busy machine.
pub const TAKEOVER_ALLOWANCE_MS: u32 = 500;

/// Settings of failover. The defaults are set for a hitless one; ExtremeWare's are not (`flash`,
/// `take-links-down`, nothing preserved).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MsmFailoverConfig {
    /// Where a new master takes its configuration from.
    pub slave_config: SlaveConfig,
    /// What becomes of the ports.
    pub link_action: LinkAction,
    /// Which state is kept. Nothing, unless the configuration is inherited and the links are kept up.
    pub preserve_state: PreserveState,
    /// The failover timer: seconds from a takeover until what is not linked to a live database is deleted,
    /// 30 to 300.
    pub timeout_seconds: u32,
    /// Milliseconds between two keepalives of a module, 10 to 10,000.
    pub keepalive_interval_ms: u32,
    /// Keepalives missed in a row that mean the other module is lost, 2 to 100.
    pub keepalive_misses: u32,
    /// Milliseconds without a sign of life after which hitless-boot ends a hanging hitlessd, 50 to 60,000;
    /// `None`: never (0 in a document).
    pub watchdog_ms: Option<u32>,
    /// Milliseconds that the last checkpoint may be old for an unannounced failover to be hitless, 100 to
    /// 600,000.
    pub freshness_ms: u32,
    /// Whose exceptions make a module fail over.
    pub sys_recovery_level: SysRecoveryLevel,
    /// Milliseconds for which the data path trusts a master that renews nothing, 1,000 to 60,000; longer than
    /// any takeover takes, so that a failover never makes it fall back.
    pub lease_ms: u32,
}

impl Default for MsmFailoverConfig {
    fn default() -> Self {
        Self {
            slave_config: SlaveConfig::Inherited,
            link_action: LinkAction::KeepLinksUp,
            preserve_state: PreserveState::L2L3,
            timeout_seconds: 60,
            keepalive_interval_ms: 100,
            keepalive_misses: 3,
            watchdog_ms: Some(250),
            freshness_ms: 2_000,
            sys_recovery_level: SysRecoveryLevel::All,
            lease_ms: 3_000,
        }
    }
}

impl MsmFailoverConfig {
    /// What of the switch's state outlives a failover.
    #[must_use]
    pub fn preservation_level(&self) -> PreservationLevel {
        match (self.slave_config, self.link_action, self.preserve_state) {
            (SlaveConfig::Flash, LinkAction::TakeLinksDown, _) => PreservationLevel::Nothing,
            (SlaveConfig::Inherited, LinkAction::TakeLinksDown, _) => {
                PreservationLevel::Configuration
            }
            (SlaveConfig::Flash, LinkAction::KeepLinksUp, _) => PreservationLevel::Links,
            (_, _, PreserveState::None) => PreservationLevel::ConfigurationAndLinks,
            (_, _, PreserveState::L2) => PreservationLevel::Layer2,
            (_, _, PreserveState::L2L3) => PreservationLevel::Layer3,
        }
    }

    /// Milliseconds without a keepalive after which the other module is taken for lost.
    #[must_use]
    pub fn keepalive_detection_ms(&self) -> u32 {
        self.keepalive_interval_ms * self.keepalive_misses
    }
}

/// Where a new master takes its configuration from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlaveConfig {
    /// From the master before it, unsaved changes included.
    #[default]
    Inherited,
    /// From its configuration file.
    Flash,
}

impl fmt::Display for SlaveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inherited => "inherited",
            Self::Flash => "flash",
        })
    }
}

/// What becomes of the ports at a failover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkAction {
    /// They are not touched.
    #[default]
    KeepLinksUp,
    /// They are reset, and their neighbours see it.
    TakeLinksDown,
}

impl fmt::Display for LinkAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KeepLinksUp => "keep-links-up",
            Self::TakeLinksDown => "take-links-down",
        })
    }
}

/// Which state outlives a failover, besides configuration and links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreserveState {
    /// None.
    None,
    /// The forwarding database and the states of layer 2 protocols.
    L2,
    /// Those, the layer 3 forwarding database, ARP and access lists.
    #[default]
    #[serde(rename = "l2_l3")]
    L2L3,
}

impl fmt::Display for PreserveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::L2 => "l2",
            Self::L2L3 => "l2_l3",
        })
    }
}

/// Which tasks' exceptions make a module fail over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SysRecoveryLevel {
    /// Every task's.
    #[default]
    All,
    /// Critical tasks' only; another one is started again and logged.
    Critical,
}

impl fmt::Display for SysRecoveryLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::All => "all",
            Self::Critical => "critical",
        })
    }
}

/// What outlives a failover, in ascending order: the six levels of the T-sync guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PreservationLevel {
    /// Links are forced down.
    Nothing = 1,
    /// The configuration.
    Configuration,
    /// Link states.
    Links,
    /// The configuration and link states.
    ConfigurationAndLinks,
    /// Those, and layer 2.
    Layer2,
    /// Those, layer 2 and layer 3.
    Layer3,
}

impl PreservationLevel {
    /// 1 to 6.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether a failover with it can be hitless.
    #[must_use]
    pub fn is_hitless(self) -> bool {
        self >= Self::Layer2
    }
}

/// What is preserved, for a list or a sentence.
impl fmt::Display for PreservationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing, and all links are forced down",
            Self::Configuration => "the configuration",
            Self::Links => "link states",
            Self::ConfigurationAndLinks => "configuration and link states",
            Self::Layer2 => "configuration, link states, layer 2 FDB and states",
            Self::Layer3 => {
                "configuration, link states, layer 2 FDB and states, layer 3 FDB and ARP table"
            }
        })
    }
}

/// See [`MsmFailoverConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MsmFailoverDoc {
    /// See [`MsmFailoverConfig::slave_config`].
    pub slave_config: SlaveConfig,
    /// See [`MsmFailoverConfig::link_action`].
    pub link_action: LinkAction,
    /// See [`MsmFailoverConfig::preserve_state`]. Left out, it is as much as the two keys before it allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preserve_state: Option<PreserveState>,
    /// Seconds. See [`MsmFailoverConfig::timeout_seconds`].
    pub timeout: i64,
    /// See [`MsmFailoverConfig::keepalive_interval_ms`].
    pub keepalive_interval_ms: i64,
    /// See [`MsmFailoverConfig::keepalive_misses`].
    pub keepalive_misses: i64,
    /// 0: never. See [`MsmFailoverConfig::watchdog_ms`].
    pub watchdog_ms: i64,
    /// See [`MsmFailoverConfig::freshness_ms`].
    pub freshness_ms: i64,
    /// See [`MsmFailoverConfig::sys_recovery_level`].
    pub sys_recovery_level: SysRecoveryLevel,
    /// See [`MsmFailoverConfig::lease_ms`].
    pub lease_ms: i64,
}

impl Default for MsmFailoverDoc {
    fn default() -> Self {
        let mut doc = Self::from(MsmFailoverConfig::default());
        doc.preserve_state = None;
        doc
    }
}

impl From<MsmFailoverConfig> for MsmFailoverDoc {
    fn from(config: MsmFailoverConfig) -> Self {
        Self {
            slave_config: config.slave_config,
            link_action: config.link_action,
            preserve_state: Some(config.preserve_state),
            timeout: config.timeout_seconds.into(),
            keepalive_interval_ms: config.keepalive_interval_ms.into(),
            keepalive_misses: config.keepalive_misses.into(),
            watchdog_ms: config.watchdog_ms.map_or(0, i64::from),
            freshness_ms: config.freshness_ms.into(),
            sys_recovery_level: config.sys_recovery_level,
            lease_ms: config.lease_ms.into(),
        }
    }
}

/// The checked section. What a problem leaves without a value gets one that never gets out.
pub(super) fn check(
    checker: &mut Checker,
    at: &KeyPath,
    doc: &MsmFailoverDoc,
) -> MsmFailoverConfig {
    let mut number = |key, value, low, high| checker.in_range(at.key(key), value, low, high);
    let timeout = number("timeout", doc.timeout, 30, 300);
    let interval = number(
        "keepalive_interval_ms",
        doc.keepalive_interval_ms,
        10,
        10_000,
    );
    let misses = number("keepalive_misses", doc.keepalive_misses, 2, 100);
    let freshness = number("freshness_ms", doc.freshness_ms, 100, 600_000);
    let lease = number("lease_ms", doc.lease_ms, 1_000, 60_000);
    let watchdog = match doc.watchdog_ms {
        0 => None,
        value => {
            let watchdog = u32::try_from(value)
                .ok()
                .filter(|ms| (50..=60_000).contains(ms))
                .ok_or(Rule::Watchdog(value));
            checker.take(at.key("watchdog_ms"), watchdog)
        }
    };
    if let (Some(lease), Some(interval), Some(misses)) = (lease, interval, misses) {
        let least = interval * misses + TAKEOVER_ALLOWANCE_MS;
        if lease <= least {
            checker.refuse(
                at.key("lease_ms"),
                Rule::LeaseWithinKeepalive {
                    lease,
                    interval,
                    misses,
                },
            );
        }
    }
    if let (Some(lease), Some(watchdog)) = (lease, watchdog)
        && lease <= watchdog
    {
        let rule = Rule::LeaseWithinWatchdog { lease, watchdog };
        checker.refuse(at.key("lease_ms"), rule);
    }

    let excluded_by = match (doc.slave_config, doc.link_action) {
        (SlaveConfig::Flash, _) => Some("slave_config: flash"),
        (_, LinkAction::TakeLinksDown) => Some("link_action: take_links_down"),
        _ => None,
    };
    let preserve_state = match (doc.preserve_state, excluded_by) {
        (None, None) => PreserveState::default(),
        (None, Some(_)) => PreserveState::None,
        (Some(preserve), Some(by)) if preserve != PreserveState::None => {
            checker.refuse(
                at.key("preserve_state"),
                Rule::PreserveExcluded { preserve, by },
            );
            preserve
        }
        (Some(preserve), _) => preserve,
    };

    MsmFailoverConfig {
        slave_config: doc.slave_config,
        link_action: doc.link_action,
        preserve_state,
        timeout_seconds: timeout.unwrap_or_default(),
        keepalive_interval_ms: interval.unwrap_or_default(),
        keepalive_misses: misses.unwrap_or_default(),
        watchdog_ms: watchdog,
        freshness_ms: freshness.unwrap_or_default(),
        sys_recovery_level: doc.sys_recovery_level,
        lease_ms: lease.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
