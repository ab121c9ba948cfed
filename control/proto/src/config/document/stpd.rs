//! Spanning tree domains as people write them. What is as by default is left out, and so is s0 where all of it is.

use std::collections::{BTreeMap, BTreeSet};

use hitless_common::limits::MAX_PORTS;
use hitless_common::{PortNo, VlanId};
use serde::{Deserialize, Serialize};

use super::{MAX_VLANS, TaggedItem, is_false, ranges};
use crate::config::stpd::DEFAULT_VLAN;
use crate::config::{
    StpEncapsulation, StpLinkType, StpdConfig, StpdMode, StpdName, StpdPortConfig, bounded,
};
use crate::stp::CostMethod;

/// See [`StpdConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StpdDoc {
    /// Its name.
    #[serde(deserialize_with = "bounded::text")]
    pub name: String,
    /// See [`StpdConfig::enabled`].
    #[serde(default)]
    pub enabled: bool,
    /// See [`StpdConfig::mode`].
    #[serde(default)]
    pub mode: StpdMode,
    /// See [`StpdConfig::tag`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<i64>,
    /// See [`StpdConfig::priority`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// See [`StpdConfig::hello_time`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello_time: Option<i64>,
    /// See [`StpdConfig::max_age`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// See [`StpdConfig::forward_delay`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_delay: Option<i64>,
    /// See [`StpdConfig::tx_hold_count`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hold_count: Option<i64>,
    /// See [`StpdConfig::path_cost_method`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub path_cost_method: CostMethod,
    /// See [`StpdConfig::default_encapsulation`]; dot1d in s0 and emistp in others if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_encapsulation: Option<StpEncapsulation>,
    /// See [`StpdConfig::vlans`]. If it is not given: VLAN 1 in s0, if there is one that no other domain has;
    /// none in others.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_list::<_, _, MAX_VLANS>"
    )]
    pub vlans: Option<Vec<TaggedItem>>,
    /// See [`StpdConfig::ports`].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_PORTS>"
    )]
    pub ports: Vec<StpdPortDoc>,
}

/// See [`StpdPortConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StpdPortDoc {
    /// The port's number.
    pub port: i64,
    /// See [`StpdPortConfig::enabled`].
    #[serde(default = "super::yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// See [`StpdPortConfig::encapsulation`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encapsulation: Option<StpEncapsulation>,
    /// See [`StpdPortConfig::priority`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// See [`StpdPortConfig::cost`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
    /// See [`StpdPortConfig::link_type`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub link_type: StpLinkType,
    /// See [`StpdPortConfig::auto_edge`].
    #[serde(default = "super::yes", skip_serializing_if = "is_true")]
    pub auto_edge: bool,
    /// See [`StpdPortConfig::bpdu_guard`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub bpdu_guard: bool,
    /// See [`StpdPortConfig::bpdu_guard_recovery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bpdu_guard_recovery: Option<i64>,
    /// See [`StpdPortConfig::root_guard`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub root_guard: bool,
    /// See [`StpdPortConfig::bpdu_filter`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub bpdu_filter: bool,
    /// See [`StpdPortConfig::loop_guard`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub loop_guard: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_true(value: &bool) -> bool {
    *value
}

/// The VLANs of s0 where the document does not name them.
pub(in crate::config) fn default_vlans(exists: bool, elsewhere: bool) -> BTreeSet<VlanId> {
    (exists && !elsewhere)
        .then_some(DEFAULT_VLAN)
        .into_iter()
        .collect()
}

/// The section; `exists` is whether there is a VLAN 1.
pub(in crate::config) fn section(
    stpds: BTreeMap<StpdName, StpdConfig>,
    exists: bool,
) -> Vec<StpdDoc> {
    let elsewhere = stpds
        .iter()
        .any(|(&name, stpd)| name != StpdName::S0 && stpd.vlans.contains(&DEFAULT_VLAN));
    let vlans_of_s0 = default_vlans(exists, elsewhere);
    let mut docs = Vec::new();
    for (name, stpd) in stpds {
        let mut factory = StpdConfig::new(name);
        if name == StpdName::S0 {
            factory.vlans = vlans_of_s0.clone();
            if stpd == factory {
                continue;
            }
        }
        docs.push(doc(name, stpd, &factory));
    }
    docs
}

fn doc(name: StpdName, stpd: StpdConfig, factory: &StpdConfig) -> StpdDoc {
    fn other<T: Into<i64> + PartialEq>(value: T, factory: T) -> Option<i64> {
        (value != factory).then(|| value.into())
    }
    StpdDoc {
        name: name.as_str().into(),
        enabled: stpd.enabled,
        mode: stpd.mode,
        tag: stpd.tag.map(|tag| tag.get().into()),
        priority: other(stpd.priority, factory.priority),
        hello_time: other(stpd.hello_time, factory.hello_time),
        max_age: other(stpd.max_age, factory.max_age),
        forward_delay: other(stpd.forward_delay, factory.forward_delay),
        tx_hold_count: other(stpd.tx_hold_count, factory.tx_hold_count),
        path_cost_method: stpd.path_cost_method,
        default_encapsulation: Some(stpd.default_encapsulation)
            .filter(|&encapsulation| encapsulation != factory.default_encapsulation),
        vlans: (stpd.vlans != factory.vlans).then(|| ranges(stpd.vlans)),
        ports: stpd.ports.into_iter().map(StpdPortDoc::from).collect(),
    }
}

impl From<(PortNo, StpdPortConfig)> for StpdPortDoc {
    fn from((number, port): (PortNo, StpdPortConfig)) -> Self {
        let priority = StpdPortConfig::default().priority;
        Self {
            port: number.get().into(),
            enabled: port.enabled,
            encapsulation: port.encapsulation,
            priority: (port.priority != priority).then(|| port.priority.into()),
            cost: port.cost.map(i64::from),
            link_type: port.link_type,
            auto_edge: port.auto_edge,
            bpdu_guard: port.bpdu_guard,
            bpdu_guard_recovery: port.bpdu_guard_recovery.map(i64::from),
            root_guard: port.root_guard,
            bpdu_filter: port.bpdu_filter,
            loop_guard: port.loop_guard,
        }
    }
}
