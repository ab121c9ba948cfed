//! Whether an upgrade can be made, and what it would do: found out before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hitless_boot::image::{self, hex};
use hitless_ha::compat::{self, InUse, Verdict};
use hitless_ha::describe::Description;
use hitless_ha::schema::Subsystem;
use hitless_ha::slot::ModuleSlot;
use hitless_ha::upgrade::{Bank, Direction, Image, Mode, Running};
use hitless_proto::config::SlaveConfig;

use super::files;
use super::look;
use crate::describe;
use crate::images::signature::{Signer, Trust};
use crate::images::store::Images;
use crate::master::Master;
use crate::module::{Module, primary::Primary};
use crate::northbound::api::{
    UpgradeCheck, UpgradeImage, UpgradeItem, UpgradePlan, UpgradeVerdict,
};

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub file: PathBuf,
    pub mode: Mode,
    pub dry_run: bool,
    pub accept_degraded: bool,
    pub accept_within_s: u32,
}

/// What was found.
pub(super) struct Prepared {
    pub asked: Asked,
    pub plan: UpgradePlan,
    /// The old image and the new one, if the file is an image.
    pub images: Option<(Image, Image)>,
}

/// What is known without the disk.
pub(super) struct Known {
    checks: Vec<UpgradeCheck>,
    in_use: InUse,
    bank: Option<Bank>,
    standby: Option<Running>,
    trust: Result<Trust, String>,
}

fn check(name: &str, found: Result<String, String>) -> UpgradeCheck {
    UpgradeCheck {
        check: name.into(),
        passed: found.is_ok(),
        detail: found.unwrap_or_else(|why| why),
    }
}

/// Looks at the switch.
pub(super) fn look(
    module: &Module,
    primary: &Primary,
    master: &Master,
    running: Option<&str>,
) -> Known {
    let checks = vec![
        check("modules", modules(module, primary)),
        check(
            "upgrade",
            match running {
                Some(why) => Err(why.into()),
                None => Ok("none is under way".into()),
            },
        ),
        check("configuration", configuration(master)),
        check("failover", failover(master)),
        check("network", settled(master)),
    ];
    Known {
        checks,
        in_use: in_use(master),
        bank: look::master_runs(module).bank,
        standby: look::standby(module, primary).map(|standby| standby.running),
        trust: super::trust(master),
    }
}

/// Both slots have a module with the same image, and the standby is ready.
fn modules(module: &Module, primary: &Primary) -> Result<String, String> {
    let own = look::master_runs(module);
    let other = module.slot.other();
    if module.backplane.is_none() {
        return Err("this module was not started by hitless-boot, which could start another image; use `hitless chassis` or the service".into());
    }
    let Some(standby) = look::standby(module, primary) else {
        return Err(format!(
            "{other} has no module that could take over; `show msm-failover` shows both slots"
        ));
    };
    if !standby.ready {
        return Err(format!(
            "{other} is not ready: {}; wait until `show msm-failover` says ready",
            standby.state
        ));
    }
    // A program from no bank may be the one in a bank all the same; that is looked at on the disk.
    let banks = standby.running.bank.zip(own.bank);
    let differ = banks.is_some_and(|(standby, own)| standby != own);
    if standby.running.version != own.version || differ {
        return Err(format!(
            "{} and {}; {}",
            told(&own),
            told(&standby.running),
            one_image(other)
        ));
    }
    Ok(format!("both run {}, {other} is ready", own.version))
}

/// What a module runs, a clause.
fn told(running: &Running) -> String {
    let bank = running
        .bank
        .map_or("no bank".into(), |bank| format!("bank {bank}"));
    format!("{} runs {} of {bank}", running.slot, running.version)
}

/// What helps.
fn one_image(other: ModuleSlot) -> String {
    format!("have both run one image first: `use image`, then `reboot slot {other}`")
}

fn configuration(master: &Master) -> Result<String, String> {
    if let Some(rollback) = &master.rollback {
        return Err(format!(
            "it waits for `confirm configuration` and is gone back from in {} s; confirm it first",
            rollback.seconds_left()
        ));
    }
    match master.unsaved {
        true => Err("it has changes that are not saved; `save` them first".into()),
        false => Ok("saved".into()),
    }
}

fn failover(master: &Master) -> Result<String, String> {
    let settings = &master.config.msm_failover;
    if !settings.preservation_level().is_hitless()
        || settings.slave_config != SlaveConfig::Inherited
    {
        return Err("the settings of msm-failover preserve no state; configure msm-failover link-action keep-links-up \
                    preserve-state l2_l3 and slave-config inherited"
            .into());
    }
    Ok("hitless".into())
}

fn settled(master: &Master) -> Result<String, String> {
    if master.learning.is_settling() {
        return Err("this master is still comparing the forwarding database after a failover; try again in a moment".into());
    }
    match look::topology_change(master) {
        Some(domain) => Err(format!(
            "spanning tree domain {domain} is telling of a topology change; try again when it is at rest"
        )),
        None => Ok("nothing is changing".into()),
    }
}

/// What the configuration and the checkpoint hold now.
fn in_use(master: &Master) -> InUse {
    let document =
        serde_json::to_value(hitless_proto::config::Document::from(master.config.clone()));
    let sections = document.ok().and_then(|value| match value {
        serde_json::Value::Object(sections) => Some(sections),
        _ => None,
    });
    let is_used = |value: &serde_json::Value| !matches!(value, serde_json::Value::Null);
    let sections = sections
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, value)| is_used(value));
    let counts = [
        (Subsystem::Config, 1),
        (Subsystem::Ports, master.ports.len() as u64),
        (Subsystem::Vlans, master.config.vlans.len() as u64),
        (Subsystem::Fdb, master.learning.table().len().into()),
        (Subsystem::Stp, master.stp.all_keys().len() as u64),
    ];
    InUse {
        sections: sections.map(|(name, _)| name).collect::<BTreeSet<String>>(),
        records: counts
            .iter()
            .map(|(subsystem, count)| (subsystem.name().to_owned(), *count))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Looks at the file and the banks, which may take a while.
pub(super) fn prepare(asked: Asked, known: Known, images: &Images) -> Prepared {
    let Known {
        mut checks,
        in_use,
        bank,
        standby,
        trust,
    } = known;
    let from = from_image(images, bank, standby.as_ref());
    let own = UpgradeImage {
        version: hitless_common::VERSION.into(),
        git: from
            .as_ref()
            .map(|from| from.git.clone())
            .unwrap_or_default(),
        bank: from.as_ref().map_or(Bank::Primary, |from| from.bank),
    };
    let opened = open(&asked.file);
    checks.push(check(
        "image",
        opened
            .as_ref()
            .map(|image| image.1.clone())
            .map_err(Clone::clone),
    ));
    let mut plan = UpgradePlan {
        file: asked.file.clone(),
        mode: asked.mode,
        from: own.clone(),
        to: None,
        verdict: None,
        checks: Vec::new(),
        items: Vec::new(),
        steps: Vec::new(),
    };
    let mut pair = None;
    if let Ok((image, _)) = &opened {
        let manifest = image.manifest();
        let to = Image {
            version: manifest.version().to_string(),
            bank: own.bank.other(),
            factory: false,
            git: manifest.git().into(),
            sha256: hex(manifest.sha256()),
        };
        checks.push(check("signature", signature(trust, image)));
        checks.push(check("space", space(images, &asked.file)));
        match Description::parse(manifest.text()) {
            Ok(description) => {
                let report = compat::compare(&describe::own(), &description, &in_use);
                plan.verdict = Some(verdict(report.verdict));
                // What differs and costs nothing is nobody's concern.
                let items = report
                    .items
                    .into_iter()
                    .filter(|item| item.verdict != Verdict::Compatible);
                plan.items = items.map(item).collect();
            }
            Err(e) => checks.push(check(
                "description",
                Err(format!("{}: {e}", asked.file.display())),
            )),
        }
        plan.to = Some(UpgradeImage {
            version: to.version.clone(),
            git: to.git.clone(),
            bank: to.bank,
        });
        plan.steps = steps(&asked, &own, &to);
        match from {
            Ok(from) => pair = Some((from, to)),
            Err(why) => checks.push(check("running image", Err(why))),
        }
    }
    plan.checks = checks;
    Prepared {
        asked,
        plan,
        images: pair,
    }
}

/// The image that runs, with the bank that it is in, or will be.
pub(super) fn from_image(
    images: &Images,
    own: Option<Bank>,
    standby: Option<&Running>,
) -> Result<Image, String> {
    let version = hitless_common::VERSION.to_owned();
    let sha256 = files::own_sha256()?;
    // The first upgrade keeps the program in a bank, from which a module comes that was started again since.
    if let Some(standby) = standby.filter(|standby| standby.bank != own) {
        let program = format!("/proc/{}/exe", standby.pid);
        if files::sha256_of(Path::new(&program))? != sha256 {
            return Err(format!(
                "{}, which is another program than the master's; {}",
                told(standby),
                one_image(standby.slot)
            ));
        }
    }
    let of_standby = standby.map_or(own, |standby| standby.bank);
    let (Some(bank), Some(_)) = (own, of_standby) else {
        return Ok(Image {
            version,
            bank: own.or(of_standby).unwrap_or(Bank::Primary),
            factory: true,
            git: String::new(),
            sha256,
        });
    };
    let mut found = None;
    for slot in hitless_boot::slot::Slot::ALL {
        let manifest = images
            .banks
            .inspect(slot, look::boot_bank(bank))
            .map_err(|e| e.to_string())?;
        if hex(manifest.sha256()) != sha256 {
            return Err(format!(
                "bank {bank} of {slot} holds another image than the one that runs, which could not be gone back to; \
                 download that again"
            ));
        }
        found = Some(manifest.git().to_owned());
    }
    Ok(Image {
        version,
        bank,
        factory: false,
        git: found.unwrap_or_default(),
        sha256,
    })
}

/// Opens and checks an image.
fn open(file: &Path) -> Result<(image::Image, String), String> {
    let image = image::Image::open(file).map_err(|e| e.to_string())?;
    image.verify().map_err(|e| e.to_string())?;
    let manifest = image.manifest();
    let text = format!(
        "version {} of {}, {}",
        manifest.version(),
        manifest.git(),
        manifest.date()
    );
    Ok((image, text))
}

fn signature(trust: Result<Trust, String>, image: &image::Image) -> Result<String, String> {
    match trust?.check(image) {
        Ok(Signer::Key { key, comment }) => Ok(format!("by {key} ({comment})")),
        Ok(Signer::Nobody) => Ok("none, which the configuration allows".into()),
        Err(why) => Err(why.to_string()),
    }
}

/// Room for the new image and, if the one that runs is in no bank, for that, in both slots.
fn space(images: &Images, file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file)
        .map_err(|e| format!("{}: {e}", file.display()))?
        .len();
    let there = images
        .banks
        .space()
        .map_err(|e| format!("{}: {e}", images.banks.directory().display()))?;
    let needed = size.saturating_mul(5);
    let directory = images.banks.directory().display();
    match there >= needed {
        true => Ok(format!("{there} octets are free in {directory}")),
        false => Err(format!(
            "{there} octets are free in {directory} and {needed} may be needed; make room there"
        )),
    }
}

fn verdict(verdict: Verdict) -> UpgradeVerdict {
    match verdict {
        Verdict::Compatible => UpgradeVerdict::Compatible,
        Verdict::Degraded => UpgradeVerdict::Degraded,
        Verdict::Incompatible => UpgradeVerdict::Incompatible,
    }
}

fn item(item: compat::Item) -> UpgradeItem {
    UpgradeItem {
        direction: match item.direction {
            compat::Direction::Forward => Direction::Forward,
            compat::Direction::Back => Direction::Back,
        },
        what: item.what,
        consequence: item.consequence,
    }
}

/// What would be done.
fn steps(asked: &Asked, from: &UpgradeImage, to: &Image) -> Vec<String> {
    let mut steps = vec![
        format!(
            "Put {} into bank {} of both slots; {} stays in bank {}.",
            to.version, to.bank, from.version, from.bank
        ),
        format!(
            "Start the standby with {} and wait until it is ready.",
            to.version
        ),
        format!(
            "Fail over to it, and verify it: roles, subsystems, protocols, counters, drops by reason; {} waits in the other slot.",
            from.version
        ),
    ];
    if asked.mode == Mode::Standard {
        steps.push(format!(
            "Start the other module with {} and wait until it is ready.",
            to.version
        ));
    }
    steps.push(match asked.accept_within_s {
        0 => "Keep it.".into(),
        seconds => format!(
            "Wait for `upgrade accept` for {seconds} s, else go back to {}.",
            from.version
        ),
    });
    if asked.mode == Mode::Conservative {
        steps.push(format!(
            "Once accepted, start the other module with {}.",
            to.version
        ));
    }
    steps
}
