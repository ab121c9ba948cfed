//! Versions of both modules; what is in their banks is told by [`crate::images::desk`].

use crate::{
    module::{Module, primary::Primary},
    northbound::api::{ModuleImages, ModuleRole, ModuleSlot, VersionInfo},
};

/// `show version`, without banks.
#[must_use]
pub fn versions(module: &Module, primary: &Primary) -> VersionInfo {
    VersionInfo {
        modules: ModuleSlot::BOTH
            .map(|slot| of_slot(module, primary, slot))
            .into(),
        ..VersionInfo::own()
    }
}

/// What a slot runs.
fn of_slot(module: &Module, primary: &Primary, slot: ModuleSlot) -> ModuleImages {
    let standby = primary.sender().and_then(|sender| sender.peer());
    let (role, version) = match standby.filter(|standby| standby.slot == slot) {
        _ if slot == module.slot => (ModuleRole::Master, Some(VersionInfo::own().version)),
        Some(standby) => (ModuleRole::Standby, Some(standby.version.clone())),
        None => (ModuleRole::Absent, None),
    };
    ModuleImages {
        slot,
        role,
        version,
        booted: None,
        selected: None,
        selection_fault: None,
        banks: Vec::new(),
    }
}
