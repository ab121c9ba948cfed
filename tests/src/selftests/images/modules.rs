//! Image files and real modules that were started from banks.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use hitless_boot::bank::Bank;
use hitless_boot::slot::Slot as Place;
use serde_json::Value;

use crate::harness::{
    chassis::{Chassis, Slot},
    images::{DATE, Edition, GIT, Maker, put, spoil},
    ktap::{Case, Ctx},
    process::output,
    switch::{Switch, binary},
};
use crate::selftests::failover::rig::{await_ready, chassis_command};
use crate::selftests::trial::ends;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "images.modules",
        "both modules of a switch are started from their banks one after the other, fail over, and end on the factory \
         image when the banks are spoiled",
        modules,
    ),
    Case::new(
        "images.factory-image",
        "an image file takes the place of hitlessd as the factory image, and is the program itself",
        factory_image,
    ),
    Case::new(
        "images.inspect",
        "hitless image inspect tells what an image is, and what is wrong with one",
        inspect,
    ),
    Case::new(
        "images.reproducible",
        "an image that is made twice is the same, octet by octet, also when it is signed but for the signature",
        reproducible,
    ),
];

/// A switch that need not forward.
const CONFIG: &str = "vlans: []\nports: []\n";

/// A module of the switch is master or standby, from this.
fn await_bank(chassis: &Chassis, slot: Slot, bank: &str) -> Result<()> {
    let is = |module: &crate::harness::chassis::Module| {
        module.role.is_some() && module.bank.as_deref() == Some(bank)
    };
    chassis.await_module(slot, is).map(drop)
}

fn modules(ctx: &Ctx) -> Result<()> {
    let netns = ctx.netns("sw")?;
    let switch = Switch::prepare(ctx.run(), ctx.files(), &netns, "sw", CONFIG)?;
    let chassis = Chassis::spawn(ctx.run(), &switch, &mut chassis_command(&switch)?)?;
    await_ready(&switch)?;
    for slot in Slot::ALL {
        await_bank(&chassis, slot, "factory")?;
    }
    let banks = switch.images();
    ensure!(!banks.directory().exists(), "the banks were made");
    let image = Maker::new(ctx.files()).edition(Edition::Current, &[])?;
    put(&banks, &Place::ALL, Bank::Secondary, &image)?;
    // Nothing is started for that.
    let master = chassis.master()?;
    switch.cli(&["reboot", "slot", master.other().name()])?;
    await_bank(&chassis, master.other(), "secondary")?;
    await_ready(&switch)?;
    switch.cli(&["run", "msm-failover"])?;
    await_bank(&chassis, master, "secondary")?;
    await_ready(&switch)?;
    ensure!(chassis.master()? == master.other(), "no failover");
    let version = chassis.module(master)?.version;
    ensure!(version == Some(Edition::Current.version()?), "{version:?}");
    for place in Place::ALL {
        spoil(&banks.path(place, Bank::Secondary), |octets| {
            octets.truncate(1000)
        })?;
    }
    switch.cli(&["reboot", "slot", master.name()])?;
    await_bank(&chassis, master, "factory")?;
    let refused = chassis.module(master)?.refused;
    ensure!(
        refused.len() == 1 && refused[0].starts_with("secondary ") && refused[0].contains("footer"),
        "{refused:?}"
    );
    await_ready(&switch)?;
    Ok(())
}

fn factory_image(ctx: &Ctx) -> Result<()> {
    let netns = ctx.netns("sw")?;
    let switch = Switch::prepare(ctx.run(), ctx.files(), &netns, "sw", CONFIG)?;
    let image = Maker::new(ctx.files()).edition(Edition::Current, &[])?;
    let mut command = chassis_command(&switch)?;
    command.arg("--image").arg(&image);
    let chassis = Chassis::spawn(ctx.run(), &switch, &mut command)?;
    await_ready(&switch)?;
    for slot in Slot::ALL {
        let daemon = chassis.module(slot)?.daemon.context("a module")?;
        let runs = fs::read_link(format!("/proc/{daemon}/exe"))?;
        ensure!(runs == fs::canonicalize(&image)?, "{} runs", runs.display());
    }
    Ok(())
}

fn inspect(ctx: &Ctx) -> Result<()> {
    let hitless = binary("hitless")?;
    let command = |file: &Path| {
        let mut command = std::process::Command::new(&hitless);
        command.args(["image", "inspect"]).arg(file);
        command
    };
    let version = Edition::Current.version()?;
    let maker = Maker::signing(ctx.files())?;
    let image = maker.edition(Edition::Current, &["future line"])?;
    let text = output(&mut command(&image))?;
    for says in [
        &version,
        GIT,
        DATE,
        "signed (a test's)",
        "  future line\n",
        "  layout ",
    ] {
        ensure!(text.contains(says), "{says:?} is not in\n{text}");
    }
    let shown: Value = serde_json::from_str(&output(command(&image).arg("--json"))?)?;
    let program = fs::metadata(Edition::Current.program()?)?.len();
    ensure!(
        shown["version"] == *version
            && shown["size"] == program
            && shown["signature"] == "a test's",
        "{shown}"
    );
    let lines = shown["description"].as_array().context("a description")?;
    ensure!(lines.iter().any(|line| line == "future line"), "{shown}");
    let unsigned = Maker::new(ctx.files()).edition(Edition::Current, &[])?;
    let shown: Value = serde_json::from_str(&output(command(&unsigned).arg("--json"))?)?;
    ensure!(shown["signature"].is_null(), "{shown}");
    let name = image.display().to_string();
    for (says, change) in [
        (
            "the manifest tells",
            (|o: &mut Vec<u8>| o[5000] ^= 1) as fn(&mut Vec<u8>),
        ),
        ("has no footer", |o| o.truncate(o.len() / 2)),
        ("has no footer", |o| o.truncate(0)),
    ] {
        spoil(&image, change)?;
        ends(ctx, &mut command(&image), 1, &[&name, says])?;
    }
    let none = ctx.files().join("none");
    ends(ctx, &mut command(&none), 1, &["none", "No such file"])?;
    Ok(())
}

fn reproducible(ctx: &Ctx) -> Result<()> {
    let maker = Maker::new(ctx.files());
    let made = [
        maker.edition(Edition::Current, &[])?,
        maker.edition(Edition::Current, &[])?,
    ];
    let [first, second] = [fs::read(&made[0])?, fs::read(&made[1])?];
    ensure!(first == second, "they differ");
    let signing = Maker::signing(ctx.files())?;
    let manifest = |path: &Path| {
        let image = hitless_boot::image::Image::open(path).map_err(|e| anyhow!("{e}"))?;
        Ok::<_, anyhow::Error>(image.manifest_text().to_owned())
    };
    let signed = signing.edition(Edition::Current, &[])?;
    ensure!(
        manifest(&signed)? == manifest(&made[0])?,
        "manifests differ"
    );
    let program = usize::try_from(fs::metadata(Edition::Current.program()?)?.len())?;
    ensure!(
        fs::read(&signed)?[..program] == first[..program],
        "programs differ"
    );
    Ok(())
}
