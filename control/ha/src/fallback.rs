//! The way back after an upgrade: which older standby may take over from a newer master.
//!
//! A standby that is older than its master may not know what the master tells it, so it is no heir (`rev(M) > rev(S)`)
//! unless it was master itself until the failover that brought the newer one: the conservative upgrade of the T-sync
//! guide, whose way back is another failover. The first configuration command closes that way (`config command`), since
//! it may say what the older version can not do, and so does taking the older module out (`hotswap`). A standby that is
//! newer than its master is how an upgrade begins, and always welcome.

use crate::cause::Cause;
use crate::slot::ModuleSlot;
use crate::state::Reason;

/// An older module that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// Its slot.
    pub slot: ModuleSlot,
    /// The version that it runs.
    pub version: String,
}

impl Older {
    fn is(&self, slot: ModuleSlot, version: &str) -> bool {
        self.slot == slot && self.version == version
    }
}

/// What a master knows of the way back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// There is none: only standbys that are not older are heirs.
    #[default]
    None,
    /// A downgrade is being made: this module is to take over from a newer master.
    Planned(Older),
    /// This module was master before the newer one, and can be again.
    Open(Older),
    /// It can not be again, for this reason.
    Closed(Older, Reason),
}

impl Fallback {
    /// What is known after a failover to a master of version `own`, from one in `slot`, of `version` if it had said so.
    #[must_use]
    pub fn after_failover(
        own: &str,
        slot: ModuleSlot,
        version: Option<&str>,
        cause: Cause,
    ) -> Self {
        let Some(version) = version.filter(|version| is_older(version, own)) else {
            return Self::None;
        };
        let older = Older {
            slot,
            version: version.into(),
        };
        match cause {
            // With all state lost there was no hitless upgrade that could be gone back from.
            Cause::HardReset => Self::None,
            Cause::HotRemoval => Self::Closed(older, Reason::Hotswap),
            _ => Self::Open(older),
        }
    }

    /// The older module that this is about.
    #[must_use]
    pub const fn older(&self) -> Option<&Older> {
        match self {
            Self::None => None,
            Self::Planned(older) | Self::Open(older) | Self::Closed(older, _) => Some(older),
        }
    }

    /// Why the older module can not be gone back to; [`Reason::None`] if it can, or there is none.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Closed(_, reason) => *reason,
            Self::None | Self::Planned(_) | Self::Open(_) => Reason::None,
        }
    }

    /// Why the module that has introduced itself may not be the heir of a master of version `own`; [`Reason::None`] if
    /// it may. One that is not older takes the place of the older one in its slot, and ends what is known of that.
    pub fn judge(&mut self, own: &str, slot: ModuleSlot, version: &str) -> Reason {
        let same_slot = self.older().is_some_and(|older| older.slot == slot);
        if !is_older(version, own) {
            if same_slot {
                *self = Self::None;
            }
            return Reason::None;
        }
        match self {
            Self::Planned(older) | Self::Open(older) if older.is(slot, version) => Reason::None,
            Self::Closed(older, reason) if older.slot == slot => {
                older.version = version.into();
                *reason
            }
            _ => {
                // Another older version than the one that was master: that one is not there any more.
                if same_slot {
                    *self = Self::None;
                }
                Reason::Revision
            }
        }
    }

    /// The configuration was changed. Whether that has just closed the way back.
    pub fn config_changed(&mut self) -> bool {
        self.close(Reason::ConfigCommand)
    }

    /// The module in a slot was taken out. Whether that has just closed the way back.
    pub fn removed(&mut self, slot: ModuleSlot) -> bool {
        match self {
            Self::Closed(older, reason) if older.slot == slot => {
                *reason = Reason::Hotswap;
                false
            }
            Self::Open(older) if older.slot == slot => self.close(Reason::Hotswap),
            _ => false,
        }
    }

    fn close(&mut self, reason: Reason) -> bool {
        match std::mem::take(self) {
            Self::Open(older) => {
                *self = Self::Closed(older, reason);
                true
            }
            other => {
                *self = other;
                false
            }
        }
    }
}

/// Whether a version comes before another one. One that is no version comes before each that is.
#[must_use]
pub fn is_older(version: &str, than: &str) -> bool {
    number(version) < number(than)
}

/// A version as numbers that compare, without what may follow them (`-dev`, `+build`); `None` for what is none.
fn number(version: &str) -> Option<[u32; 3]> {
    let numbers = version.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ModuleSlot::{MsmA, MsmB};

    const OLD: &str = "0.3.99";
    const OWN: &str = "0.4.0";
    const NEW: &str = "0.5.0";

    fn upgraded(cause: Cause) -> Fallback {
        Fallback::after_failover(OWN, MsmA, Some(OLD), cause)
    }

    #[test]
    fn seed_65_an_older_standby_is_no_heir_unless_it_was_master_before() {
        let mut none = Fallback::default();
        assert_eq!(none.judge(OWN, MsmA, OLD), Reason::Revision);
        assert_eq!(none.judge(OWN, MsmA, OWN), Reason::None);
        assert_eq!(none.judge(OWN, MsmA, NEW), Reason::None);
        let mut mark = upgraded(Cause::OperatorCommand);
        assert_eq!(mark.judge(OWN, MsmA, OLD), Reason::None);
        // Again: a module that is started again is no other one.
        assert_eq!(mark.judge(OWN, MsmA, OLD), Reason::None);
        assert_eq!(mark.reason(), Reason::None);
    }

    #[test]
    fn the_mark_is_for_one_version_in_one_slot() {
        let mut mark = upgraded(Cause::SoftwareException);
        assert_eq!(mark.judge(OWN, MsmB, OLD), Reason::Revision);
        assert!(mark.older().is_some());
        assert_eq!(mark.judge(OWN, MsmA, "0.3.98"), Reason::Revision);
        assert_eq!(mark, Fallback::None);
    }

    #[test]
    fn a_failover_among_equals_or_to_an_older_one_leaves_no_mark() {
        for from in [Some(OWN), Some(NEW), None] {
            let mark = Fallback::after_failover(OWN, MsmA, from, Cause::OperatorCommand);
            assert_eq!(mark, Fallback::None);
        }
        assert_eq!(upgraded(Cause::HardReset), Fallback::None);
    }

    #[test]
    fn seed_60_a_configuration_command_closes_the_way_back_for_good() {
        let mut mark = upgraded(Cause::OperatorCommand);
        assert!(mark.config_changed());
        assert!(!mark.config_changed(), "it is told once");
        assert_eq!(mark.judge(OWN, MsmA, OLD), Reason::ConfigCommand);
        assert_eq!(mark.judge(OWN, MsmA, OLD), Reason::ConfigCommand);
        assert_eq!(mark.reason(), Reason::ConfigCommand);
        // Scenario 1 of the guide: the new image in the other module too.
        assert_eq!(mark.judge(OWN, MsmA, OWN), Reason::None);
        assert_eq!(mark, Fallback::None);
        assert!(!mark.config_changed());
        assert_eq!(mark.judge(OWN, MsmA, OLD), Reason::Revision);
    }

    #[test]
    fn seed_65_taking_the_older_module_out_closes_the_way_back() {
        let mut mark = upgraded(Cause::OperatorCommand);
        assert!(!mark.removed(MsmB));
        assert!(mark.removed(MsmA));
        assert!(!mark.removed(MsmA));
        assert_eq!(mark.judge(OWN, MsmA, OLD), Reason::Hotswap);
        let mut mark = upgraded(Cause::OperatorCommand);
        assert!(mark.config_changed());
        assert!(!mark.removed(MsmA));
        assert_eq!(mark.reason(), Reason::Hotswap);
        assert_eq!(upgraded(Cause::HotRemoval).reason(), Reason::Hotswap);
    }

    #[test]
    fn a_planned_downgrade_lets_an_older_module_in_whatever_is_configured_meanwhile() {
        let older = Older {
            slot: MsmB,
            version: OLD.into(),
        };
        let mut plan = Fallback::Planned(older);
        assert!(!plan.config_changed() && !plan.removed(MsmB));
        assert_eq!(plan.judge(OWN, MsmB, OLD), Reason::None);
        assert_eq!(plan.judge(OWN, MsmB, "0.3.98"), Reason::Revision);
        assert_eq!(plan, Fallback::None);
    }

    #[test]
    fn versions_compare_by_their_numbers() {
        for (older, newer) in [
            ("0.9.9", "0.10.0"),
            ("0.4.0", "1.0.0"),
            ("nonsense", "0.0.0"),
            ("0.4", "0.4.0"),
            ("0.4.0.1", "0.4.0"),
        ] {
            assert!(
                is_older(older, newer) && !is_older(newer, older),
                "{older} {newer}"
            );
        }
        assert!(!is_older("0.4.0-dirty", "0.4.0") && !is_older("0.4.0", "0.4.0+x"));
    }
}
