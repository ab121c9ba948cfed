//! Where an upgrade stands, as it is answered.

use hitless_ha::upgrade::{Image, StepTime};

use super::{Upgrades, look};
use crate::module::{Module, primary::Primary};
use crate::northbound::api::{
    Reply, UpgradeImage, UpgradeInfo, UpgradeModule, UpgradeStatus, UpgradeStep,
};

fn image(image: &Image) -> UpgradeImage {
    UpgradeImage {
        version: image.version.clone(),
        git: image.git.clone(),
        bank: image.bank,
    }
}

impl Upgrades {
    pub(super) fn show(&self, module: &Module, primary: &Primary) -> Reply {
        let upgrade = self.journal().map(|journal| {
            let now = look::now();
            let step = |time: &StepTime| UpgradeStep {
                step: time.step,
                began_unix_ms: time.began_unix_ms,
                took_ms: time
                    .took_ms
                    .unwrap_or_else(|| now.boot_ms.saturating_sub(time.began_boot_ms)),
                under_way: time.took_ms.is_none(),
            };
            let progress = self.store.as_ref().and_then(|store| store.progress());
            let own = look::master_runs(module);
            let master = UpgradeModule {
                slot: own.slot,
                master: true,
                version: own.version,
                bank: own.bank,
                ready: true,
            };
            let standby = look::standby(module, primary).map(|standby| UpgradeModule {
                slot: standby.running.slot,
                master: false,
                version: standby.running.version,
                bank: standby.running.bank,
                ready: standby.ready,
            });
            let mut modules: Vec<UpgradeModule> =
                [Some(master), standby].into_iter().flatten().collect();
            modules.sort_by_key(|module| module.slot);
            UpgradeStatus {
                file: journal.file.clone().into(),
                mode: journal.mode,
                from: image(&journal.from),
                to: image(&journal.to),
                direction: journal.direction,
                step: journal.step,
                steps: journal.steps.iter().map(step).collect(),
                waiting: journal.waiting.clone(),
                installed: progress.map(|progress| (progress.done, progress.of)),
                accept_seconds_left: journal.accept_seconds_left(now),
                without_master_us: journal.without_master_us,
                dropped: journal.lost.clone(),
                outcome: journal.outcome,
                reason: journal.reason.clone(),
                modules,
            }
        });
        Reply::Upgrade(Box::new(UpgradeInfo { upgrade }))
    }
}
