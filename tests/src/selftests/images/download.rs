//! Images that come into the banks through the switch, and those that it does not let in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hitless_boot::bank::{Bank, Banks};
use hitless_boot::slot::Slot;

use crate::harness::{
    chassis::Chassis,
    images::{Edition, Maker, foreign_program, spoil},
    ktap::{Case, Ctx},
    netns::Netns,
    switch::Switch,
};
use crate::selftests::failover::rig::{await_ready, chassis_command};
use crate::selftests::trial::{ends, in_own_mounts};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "images.trust",
        "unsigned images are loaded only where that is allowed, signed ones only with a key that the switch was told; \
         damaged and foreign ones never",
        trust,
    ),
    Case::new(
        "images.no-room",
        "a switch whose disk has no room for an image in both banks says so, and its banks are as they were",
        no_room,
    ),
];

/// A switch that need not forward.
const CONFIG: &str = "vlans: []\nports: []\n";

/// A switch with both modules, and its banks.
struct Place<'a> {
    ctx: &'a Ctx,
    _chassis: Chassis,
    switch: Switch,
}

impl<'a> Place<'a> {
    fn new(
        ctx: &'a Ctx,
        around: impl FnOnce(&Switch, &Netns) -> Result<std::process::Command>,
    ) -> Result<Self> {
        let netns = ctx.netns("sw")?;
        let switch = Switch::prepare(ctx.run(), ctx.files(), &netns, "sw", CONFIG)?;
        let mut command = around(&switch, &netns)?;
        let chassis = Chassis::spawn(ctx.run(), &switch, &mut command)?;
        await_ready(&switch)?;
        Ok(Self {
            ctx,
            _chassis: chassis,
            switch,
        })
    }

    fn load(&self, image: &Path) -> Result<()> {
        let image = image.display().to_string();
        self.switch
            .cli(&["download", "image", &image, "secondary"])
            .map(drop)
    }

    /// Loading it must fail, and these words be said.
    fn refuses(&self, image: &Path, says: &[&str]) -> Result<()> {
        let mut command = self.switch.hitless()?;
        command.args(["download", "image"]).arg(image);
        command.arg("secondary");
        ends(self.ctx, &mut command, 1, says).map(drop)
    }
}

/// What is in the secondary bank of both slots; `none` if it is empty.
fn versions(banks: &Banks) -> [String; 2] {
    Slot::ALL.map(|slot| match banks.verify(slot, Bank::Secondary) {
        Ok(manifest) => manifest.version().to_string(),
        Err(error) if error.is_missing() => "none".to_owned(),
        Err(error) => error.to_string(),
    })
}

fn trust(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx, |switch, _| chassis_command(switch))?;
    let switch = &place.switch;
    let banks = switch.images();
    let (unsigned, ours, theirs) = (
        Maker::new(ctx.files()),
        Maker::signing(&directory(ctx, "ours")?)?,
        Maker::signing(&directory(ctx, "theirs")?)?,
    );
    let version = Edition::Current.version()?;
    let nobody = unsigned.edition(Edition::Current, &[])?;
    let signed = ours.edition(Edition::Current, &[])?;
    let foreign = theirs.edition(Edition::Current, &[])?;
    let both = |what: &str| {
        let found = versions(&banks);
        ensure!(found.iter().all(|found| found == what), "{found:?}");
        Ok(())
    };
    place.refuses(
        &nobody,
        &["is not signed", "configure image unsigned allow"],
    )?;
    place.refuses(
        &signed,
        &["by none of the 0 trusted keys", "configure image add key"],
    )?;
    both("none")?;
    let key = ours.public_key().context("a key")?;
    switch.cli(&["configure", "image", "add", "key", &key])?;
    place.load(&signed)?;
    both(&version)?;
    place.refuses(&foreign, &["by none of the 1 trusted keys"])?;
    place.refuses(&nobody, &["is not signed"])?;
    // Who allows unsigned images does not allow those of strangers.
    switch.cli(&["configure", "image", "unsigned", "allow"])?;
    let other = unsigned.program(Path::new("/bin/true"), "9.9.9")?;
    place.load(&other)?;
    both("9.9.9")?;
    place.refuses(&foreign, &["by none of the 1 trusted keys"])?;
    // A signature under another manifest.
    let stolen = directory(ctx, "stolen")?.join("image");
    steal(&signed, &other, &stolen)?;
    place.refuses(&stolen, &["wrong signature", &key])?;
    for (says, change) in [
        (
            "has no footer",
            (|o: &mut Vec<u8>| o.truncate(o.len() / 2)) as fn(&mut Vec<u8>),
        ),
        ("has no footer", |o| o.truncate(0)),
    ] {
        spoil(&nobody, change)?;
        place.refuses(&nobody, &[says])?;
    }
    let damaged = unsigned.edition(Edition::Current, &[])?;
    spoil(&damaged, |octets| octets[100_000] ^= 4)?;
    place.refuses(&damaged, &["is damaged", "SHA-256"])?;
    let program = ctx.files().join("program");
    foreign_program(&program)?;
    let machine = unsigned.program(&program, "1.0.0")?;
    place.refuses(&machine, &["is for another machine", "243"])?;
    place.refuses(&ctx.files().join("nothing"), &["nothing", "No such file"])?;
    both("9.9.9")
}

fn directory(ctx: &Ctx, name: &str) -> Result<PathBuf> {
    let path = ctx.files().join(name);
    fs::create_dir(&path)?;
    Ok(path)
}

/// Writes the image `victim` with the signature of another one.
fn steal(from: &Path, victim: &Path, out: &Path) -> Result<()> {
    use hitless_boot::image::{Image, assemble};
    let open = |path: &Path| Image::open(path).map_err(|e| anyhow::anyhow!("{e}"));
    let (from, image) = (open(from)?, open(victim)?);
    let octets = fs::read(victim)?;
    let size = usize::try_from(image.manifest().size())?;
    let mut file = fs::File::create(out)?;
    assemble(
        &mut &octets[..size],
        image.manifest(),
        from.signature(),
        &mut file,
    )?;
    Ok(())
}

fn no_room(ctx: &Ctx) -> Result<()> {
    let image = Maker::new(ctx.files()).edition(Edition::Current, &[])?;
    let size = fs::metadata(&image)?.len();
    let place = Place::new(ctx, |switch, netns| {
        let directory = switch.images();
        let directory = directory.directory();
        fs::create_dir(directory)?;
        // For one copy and a half.
        let script = format!(
            "mount -t tmpfs -o size={} tmpfs '{}'",
            size * 3 / 2,
            directory.display()
        );
        let words = in_own_mounts(&script);
        let inner = chassis_command(switch)?;
        let mut command = netns.command(&words[0])?;
        command.args(&words[1..]);
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        Ok(command)
    })?;
    let switch = &place.switch;
    switch.cli(&["configure", "image", "unsigned", "allow"])?;
    let small = Maker::new(&directory(ctx, "small")?).program(Path::new("/bin/true"), "9.9.9")?;
    place.load(&small)?;
    place.refuses(&image, &["there is room for", "make room"])?;
    // They are where only the switch sees them.
    let shown = switch.show("version")?.to_string();
    ensure!(shown.matches("9.9.9").count() == 2, "{shown}");
    Ok(())
}
