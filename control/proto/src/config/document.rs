//! The configuration as people write it, before any rule but its shape was applied.
//!
//! Numbers are `i64` and names are text here, so that a value out of range is a [`super::Problem`] with its
//! key path like any other, reported together with the rest.

use std::fmt;

use hitless_common::limits::MAX_PORTS;
use hitless_common::{Mac, PortNo, VlanId};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::{
    AcceptFrames, Config, Damping, FdbConfig, ImagesDoc, MAX_STPDS, MsmFailoverDoc, OffloadMode,
    PortConfig, SnmpDoc, StaticTarget, VlanConfig, bounded, stpd::DEFAULT_VLAN,
};

pub(super) mod stpd;

pub use stpd::{StpdDoc, StpdPortDoc};

/// Static FDB entries in one document at most.
pub const MAX_STATIC_ENTRIES: usize = 65_536;

const MAX_VLANS: usize = 4094;

/// The sections of a [`Document`], by their keys: a version that does not know one of them refuses a document with it.
pub const SECTIONS: &[&str] = &[
    "switch",
    "snmp",
    "fdb",
    "msm_failover",
    "images",
    "vlans",
    "ports",
    "stpds",
];

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// See [`Config::switch`].
    #[serde(deserialize_with = "bounded::text")]
    pub switch: String,
    /// See [`Config::snmp`].
    #[serde(default, skip_serializing_if = "SnmpDoc::is_empty")]
    pub snmp: SnmpDoc,
    /// See [`Config::fdb`].
    #[serde(default)]
    pub fdb: FdbDoc,
    /// See [`Config::msm_failover`].
    #[serde(default)]
    pub msm_failover: MsmFailoverDoc,
    /// See [`Config::images`].
    #[serde(default, skip_serializing_if = "ImagesDoc::is_empty")]
    pub images: ImagesDoc,
    /// See [`Config::vlans`].
    #[serde(default, deserialize_with = "bounded::list::<_, _, MAX_VLANS>")]
    pub vlans: Vec<VlanDoc>,
    /// See [`Config::ports`].
    #[serde(default, deserialize_with = "bounded::list::<_, _, MAX_PORTS>")]
    pub ports: Vec<PortDoc>,
    /// See [`Config::stpds`].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_STPDS>"
    )]
    pub stpds: Vec<StpdDoc>,
}

/// See [`FdbConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FdbDoc {
    /// See [`FdbConfig::size`].
    pub size: i64,
    /// Seconds; 0: never. See [`FdbConfig::ageing_seconds`].
    pub ageing_seconds: i64,
    /// See [`FdbConfig::damping`].
    pub damping: DampingDoc,
    /// See [`FdbConfig::static_entries`].
    #[serde(
        rename = "static",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_STATIC_ENTRIES>"
    )]
    pub static_entries: Vec<StaticDoc>,
}

impl Default for FdbDoc {
    fn default() -> Self {
        FdbConfig::default().into()
    }
}

/// See [`Damping`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DampingDoc {
    /// See [`Damping::moves`].
    pub moves: i64,
    /// See [`Damping::within_seconds`].
    pub within_seconds: i64,
    /// See [`Damping::hold_seconds`].
    pub hold_seconds: i64,
}

impl Default for DampingDoc {
    fn default() -> Self {
        Damping::default().into()
    }
}

/// A configured address: exactly one of `port` and `blackhole: true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticDoc {
    /// The VLAN's id.
    pub vlan: i64,
    /// The address.
    #[serde(deserialize_with = "bounded::text")]
    pub mac: String,
    /// See [`StaticTarget::Port`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
    /// See [`StaticTarget::Blackhole`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub blackhole: bool,
}

/// See [`super::VlanConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VlanDoc {
    /// The VLAN's id.
    pub id: i64,
    /// See [`super::VlanConfig::name`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_text"
    )]
    pub name: Option<String>,
    /// See [`super::VlanConfig::mac_limit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_limit: Option<i64>,
    /// See [`super::VlanConfig::learning`].
    #[serde(default = "yes")]
    pub learning: bool,
    /// See [`super::VlanConfig::loop_free_ports`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded::optional_list::<_, _, MAX_PORTS>"
    )]
    pub loop_free_ports: Option<Vec<i64>>,
}

/// See [`super::PortConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortDoc {
    /// The port's number.
    pub port: i64,
    /// See [`super::PortConfig::device`].
    #[serde(deserialize_with = "bounded::text")]
    pub device: String,
    /// See [`super::PortConfig::enabled`].
    #[serde(default = "yes")]
    pub enabled: bool,
    /// See [`super::PortConfig::untagged`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untagged: Option<i64>,
    /// See [`super::PortConfig::tagged`].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, MAX_VLANS>"
    )]
    pub tagged: Vec<TaggedItem>,
    /// See [`super::PortConfig::accept`].
    #[serde(default)]
    pub accept: AcceptFrames,
    /// See [`super::PortConfig::ingress_filtering`].
    #[serde(default = "yes")]
    pub ingress_filtering: bool,
    /// See [`super::PortConfig::offload`].
    #[serde(default)]
    pub offload: OffloadMode,
    /// See [`super::PortConfig::trust_far_end`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub trust_far_end: bool,
    /// See [`super::PortConfig::mac_limit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_limit: Option<i64>,
    /// See [`super::PortConfig::storm_control`].
    #[serde(default, skip_serializing_if = "StormDoc::is_empty")]
    pub storm_control: StormDoc,
}

/// See [`super::StormControl`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StormDoc {
    /// See [`super::StormControl::broadcast`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<i64>,
    /// See [`super::StormControl::multicast`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multicast: Option<i64>,
    /// See [`super::StormControl::unknown_unicast`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_unicast: Option<i64>,
}

impl StormDoc {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An item of a port's `tagged` list: a VLAN id, or a range of them as text, `30-39`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TaggedItem {
    /// One VLAN.
    Id(i64),
    /// `LOW-HIGH`, both included.
    Range(String),
}

impl<'de> Deserialize<'de> for TaggedItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;

        impl Visitor<'_> for ItemVisitor {
            type Value = TaggedItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a VLAN id or a range such as \"30-39\"")
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> Result<TaggedItem, E> {
                Ok(TaggedItem::Id(id))
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<TaggedItem, E> {
                // Any number beyond i64 is as far out of range as the largest.
                Ok(TaggedItem::Id(i64::try_from(id).unwrap_or(i64::MAX)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TaggedItem, E> {
                bounded::short(text).map(|text| TaggedItem::Range(text.into()))
            }
        }

        deserializer.deserialize_any(ItemVisitor)
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

impl From<Damping> for DampingDoc {
    fn from(damping: Damping) -> Self {
        Self {
            moves: damping.moves.into(),
            within_seconds: damping.within_seconds.into(),
            hold_seconds: damping.hold_seconds.into(),
        }
    }
}

impl FdbDoc {
    /// The section without entries.
    pub(super) fn settings(fdb: &FdbConfig) -> Self {
        Self {
            size: fdb.size.into(),
            ageing_seconds: fdb.ageing_seconds.map_or(0, i64::from),
            damping: fdb.damping.into(),
            static_entries: Vec::new(),
        }
    }
}

impl From<FdbConfig> for FdbDoc {
    fn from(fdb: FdbConfig) -> Self {
        Self {
            static_entries: fdb
                .static_entries
                .iter()
                .map(|(&key, &target)| StaticDoc::from((key, target)))
                .collect(),
            ..Self::settings(&fdb)
        }
    }
}

impl From<((VlanId, Mac), StaticTarget)> for StaticDoc {
    fn from(((vlan, mac), target): ((VlanId, Mac), StaticTarget)) -> Self {
        Self {
            vlan: vlan.get().into(),
            mac: mac.to_string(),
            port: match target {
                StaticTarget::Port(port) => Some(port.get().into()),
                StaticTarget::Blackhole => None,
            },
            blackhole: target == StaticTarget::Blackhole,
        }
    }
}

impl From<(VlanId, VlanConfig)> for VlanDoc {
    fn from((id, vlan): (VlanId, VlanConfig)) -> Self {
        Self {
            id: id.get().into(),
            name: Some(vlan.name.as_str().into()),
            mac_limit: vlan.mac_limit.map(i64::from),
            learning: vlan.learning,
            loop_free_ports: vlan
                .loop_free_ports
                .map(|ports| ports.iter().map(|port| port.get().into()).collect()),
        }
    }
}

impl From<(PortNo, PortConfig)> for PortDoc {
    fn from((number, port): (PortNo, PortConfig)) -> Self {
        Self {
            port: number.get().into(),
            device: port.device.as_str().into(),
            enabled: port.enabled,
            untagged: port.untagged.map(|vlan| vlan.get().into()),
            tagged: ranges(port.tagged),
            accept: port.accept,
            ingress_filtering: port.ingress_filtering,
            offload: port.offload,
            trust_far_end: port.trust_far_end,
            mac_limit: port.mac_limit.map(i64::from),
            storm_control: StormDoc {
                broadcast: port.storm_control.broadcast.map(|n| n.get().into()),
                multicast: port.storm_control.multicast.map(|n| n.get().into()),
                unknown_unicast: port.storm_control.unknown_unicast.map(|n| n.get().into()),
            },
        }
    }
}

impl From<Config> for Document {
    fn from(config: Config) -> Self {
        Self {
            snmp: config.snmp.document(&config.switch),
            switch: config.switch.as_str().into(),
            fdb: config.fdb.into(),
            msm_failover: config.msm_failover.into(),
            images: config.images.into(),
            stpds: stpd::section(config.stpds, config.vlans.contains_key(&DEFAULT_VLAN)),
            vlans: config.vlans.into_iter().map(VlanDoc::from).collect(),
            ports: config.ports.into_iter().map(PortDoc::from).collect(),
        }
    }
}

/// Ascending VLANs with each run of three or more as a range.
fn ranges(vlans: impl IntoIterator<Item = VlanId>) -> Vec<TaggedItem> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for vlan in vlans {
        match runs.last_mut() {
            Some((_, high)) if *high + 1 == vlan.get() => *high += 1,
            _ => runs.push((vlan.get(), vlan.get())),
        }
    }
    let item = |(low, high): (u16, u16)| match high - low {
        0 => vec![TaggedItem::Id(low.into())],
        1 => vec![TaggedItem::Id(low.into()), TaggedItem::Id(high.into())],
        _ => vec![TaggedItem::Range(format!("{low}-{high}"))],
    };
    runs.into_iter().flat_map(item).collect()
}

/// The numbers of a range, for [`super::check`]: `LOW-HIGH`, white space around them allowed.
pub(super) fn parse_range(text: &str) -> Option<(i64, i64)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
}
