//! Answers about images.

use super::refuse;
use crate::{
    module::{Module, primary::Primary},
    northbound::api::{
        ApiError, ModuleImages, ModuleRole, ModuleSlot, Reply, Request, VersionInfo,
    },
};

/// What is asked of banks where there are none.
const NO_BANKS: &str = "this switch has no image banks: its modules were started without them (hitless chassis --images, \
                        or hitless-boot --images)";

/// Answers what concerns images; `None` for anything else.
pub fn answer(
    module: &Module,
    primary: &Primary,
    request: &Request,
) -> Option<Result<Reply, ApiError>> {
    Some(match request {
        Request::ShowVersion {} => Ok(Reply::Version(VersionInfo {
            modules: ModuleSlot::BOTH
                .map(|slot| of_slot(module, primary, slot))
                .into(),
            ..VersionInfo::own()
        })),
        Request::ShowDownload {} => Ok(Reply::Download(None)),
        Request::DownloadImage { .. } | Request::UseImage { .. } => Err(refuse(NO_BANKS)),
        _ => return None,
    })
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
