//! Why a change is not made: the thing, the value, the rule and what to do.

use std::fmt;

use hitless_common::{Mac, PortNo, VlanId};

use super::{Document, MAX_STATIC_ENTRIES, Rule, StaticTarget, StpdName, UnknownVlan, VlanName};
use crate::config::{ImageKey, Invalid, KeyPath, MAX_STPDS, Step, StpdDoc};

/// Why changes were not made; none of them was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeError {
    /// The change that can not be made, from 0; `None` if it is what they come to together.
    pub index: Option<usize>,
    /// How many changes there were.
    pub of: usize,
    /// What is wrong.
    pub problem: Box<ChangeProblem>,
}

impl ChangeError {
    /// Whether a change names something that does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            *self.problem,
            ChangeProblem::UnknownVlan(_)
                | ChangeProblem::UnknownPort(_)
                | ChangeProblem::UnknownEntry { .. }
                | ChangeProblem::UnknownStpd(_)
                | ChangeProblem::UnknownImageKey(_)
        )
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index.filter(|_| self.of > 1) {
            write!(f, "change {} of {}: ", index + 1, self.of)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for ChangeError {}

/// What is wrong with a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the messages say it, and the fields are what they name"
)]
pub enum ChangeProblem {
    #[error(transparent)]
    UnknownVlan(#[from] UnknownVlan),
    #[error(
        "port {0} is not configured; `show ports` lists those that are, and `configure port {0} device <device>` \
         makes it one of them"
    )]
    UnknownPort(PortNo),
    #[error(
        "{mac} has no configured entry in VLAN {vlan}; `show fdb vlan {vlan}` lists those that it has"
    )]
    UnknownEntry { vlan: VlanId, mac: Mac },
    #[error(
        "VLAN {id} exists already and is called {name}; choose another id, or rename it with `configure vlan {id} name <name>`"
    )]
    VlanExists { id: VlanId, name: VlanName },
    #[error(
        "the name {name} belongs to VLAN {other} already, and VLAN names are unique; choose another name, or rename \
         that VLAN with `configure vlan {other} name <name>`"
    )]
    NameTaken { name: VlanName, other: VlanId },
    #[error("all 4094 VLAN ids are taken; delete a VLAN first")]
    NoFreeVlan,
    #[error(
        "VLAN {vlan} can not have the id {id}, which is that of the VLAN called {name}; choose another id, or `delete \
         vlan {id}` first"
    )]
    TagTaken {
        vlan: VlanId,
        id: VlanId,
        name: VlanName,
    },
    #[error(
        "port {port} is untagged in VLAN {native} and can not be so in VLAN {vlan} as well; remove it there first with \
         `configure vlan {native} delete ports {port}`, or add it tagged"
    )]
    OtherNative {
        port: PortNo,
        native: VlanId,
        vlan: VlanId,
    },
    #[error(
        "port {port} is no member of VLAN {vlan}; `configure vlan {vlan} add ports {port}` makes it one"
    )]
    NoMember { port: PortNo, vlan: VlanId },
    #[error(
        "{mac} in VLAN {vlan} is configured already, {}; remove it first with `delete fdbentry {mac} vlan {vlan}`",
        target(*there)
    )]
    EntryExists {
        vlan: VlanId,
        mac: Mac,
        there: StaticTarget,
    },
    #[error(
        "there are {MAX_STATIC_ENTRIES} configured entries, and a configuration can not have more; delete some first"
    )]
    EntriesFull,
    #[error(
        "STP domain {0} does not exist; `show stpd` lists those that do, and `create stpd {0}` makes it one of them"
    )]
    UnknownStpd(StpdName),
    #[error(
        "STP domain s0 can not be deleted; `disable stpd s0` stops it, and `unconfigure stpd s0` resets it"
    )]
    StpdStays,
    #[error("there are {MAX_STPDS} STP domains, and a switch can not have more; delete one first")]
    StpdsFull,
    #[error(
        "VLAN {vlan} is in STP domain {there} and can not be in {name} as well; remove it there first with `configure \
         stpd {there} delete vlan {vlan}`"
    )]
    OtherStpd {
        vlan: VlanId,
        there: StpdName,
        name: StpdName,
    },
    #[error(
        "port {port} is a member of no VLAN of STP domain {name}; `configure vlan <vlan> add ports {port}` makes it one, \
         and `configure stpd {name} add vlan <vlan>` takes a VLAN into the domain"
    )]
    OutsideStpd { port: PortNo, name: StpdName },
    #[error("{0} is no key of images; `show configuration` lists those that are")]
    UnknownImageKey(ImageKey),
    #[error("{thing}: {rule}")]
    Value { thing: String, rule: Rule },
    /// What a configuration is not allowed to be, a sentence each; at least one.
    #[error("{}", sentences.join("; "))]
    Rules { sentences: Vec<String> },
}

fn target(target: StaticTarget) -> String {
    match target {
        StaticTarget::Port(port) => format!("behind port {port}"),
        StaticTarget::Blackhole => "as a blackhole".into(),
    }
}

/// For `map_err`: the rule, and whose value broke it.
pub(super) fn of<E: Into<Rule>>(thing: impl FnOnce() -> String) -> impl FnOnce(E) -> ChangeProblem {
    move |rule| ChangeProblem::Value {
        thing: thing(),
        rule: rule.into(),
    }
}

/// What the rules say about a changed document, in the operator's words: a port for its index in a list.
pub(super) fn broken_rules(document: &Document, invalid: &Invalid) -> ChangeProblem {
    let mut sentences: Vec<String> = invalid
        .problems
        .iter()
        .map(|problem| {
            let thing = thing(document, &problem.path);
            format!("{thing}: {}{}", problem.rule, advice(&problem.rule))
        })
        .collect();
    if invalid.more > 0 {
        sentences.push(format!("and {} more problems", invalid.more));
    }
    ChangeProblem::Rules { sentences }
}

fn thing(document: &Document, path: &KeyPath) -> String {
    match path.steps() {
        [Step::Key("ports"), Step::Index(index), ..] => match document.ports.get(*index) {
            Some(port) => format!("port {}", port.port),
            None => path.to_string(),
        },
        [Step::Key("vlans"), Step::Index(index), ..] => match document.vlans.get(*index) {
            Some(vlan) => format!("VLAN {}", vlan.id),
            None => path.to_string(),
        },
        [Step::Key("stpds"), Step::Index(index), rest @ ..] => match document.stpds.get(*index) {
            Some(stpd) => stpd_thing(stpd, rest),
            None => path.to_string(),
        },
        _ => path.to_string(),
    }
}

fn stpd_thing(stpd: &StpdDoc, rest: &[Step]) -> String {
    let port = match rest {
        [Step::Key("ports"), Step::Index(index), ..] => stpd.ports.get(*index),
        _ => None,
    };
    match port {
        Some(port) => format!("STP domain {}, port {}", stpd.name, port.port),
        None => format!("STP domain {}", stpd.name),
    }
}

/// What to do where the rule does not say so itself.
fn advice(rule: &Rule) -> String {
    match rule {
        Rule::AcceptsUntagged => {
            "; take the port out of its tagged VLANs with `configure vlan <vlan> delete ports`, \
                                  or have it accept all frames"
                .into()
        }
        Rule::DuplicateDevice { other, .. } => {
            format!(
                "; give port {other} another device, or remove it with `unconfigure ports {other}`"
            )
        }
        Rule::TagOutsideStpd(tag) => {
            format!("; `configure stpd <stpd> add vlan {tag}` makes it one of them")
        }
        Rule::NoCarrier { .. } => {
            "; `configure stpd <stpd> tag <vlan-id>` says which, and `configure stpd <stpd> default-encapsulation \
             dot1d` does without"
                .into()
        }
        Rule::MoreThanPvst { .. } => "; let the others go with `configure stpd <stpd> delete vlan \
                                      <vlan>`"
            .into(),
        Rule::NotCarried { port, tag } => format!(
            "; make it one with `configure vlan {tag} add ports {port} tagged`, or let the port take no part with \
             `disable stpd <stpd> ports {port}`"
        ),
        Rule::TwoPlainStpds { port, other } => format!(
            "; give it another encapsulation with `configure stpd <stpd> ports {port} mode emistp`, or let it take no \
             part in one of them with `disable stpd {other} ports {port}`"
        ),
        _ => String::new(),
    }
}
