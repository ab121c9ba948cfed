//! What `hitless-boot` boots. Its images hold puppets, and programs that end at once.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use hitless_boot::bank::{Bank, Banks};
use hitless_boot::slot::Slot;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::harness::{
    images::{Maker, foreign_program, put, spoil},
    ktap::{Case, Ctx},
    process::Process,
    puppet::{Puppet, Stage},
    switch::{DEADLINE, binary, tail},
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "images.selected-bank",
        "a boot starts the image of the selected bank, tells its module which, and the factory image while the banks are \
         empty",
        selected_bank,
    ),
    Case::new(
        "images.damaged",
        "an image that is cut short, flipped, foreign or something else in the selected bank boots the other bank, with \
         the reason; two of them the factory image",
        damaged,
    ),
    Case::new(
        "images.bad-selection",
        "a selection that can not be read or says something else boots the primary bank, with the reason",
        bad_selection,
    ),
    Case::new(
        "images.crash-at-start",
        "an image that ends three times in a row at its start gives way to the other bank, until a selection, an image or \
         a reset",
        crash_at_start,
    ),
    Case::new(
        "images.hang-at-start",
        "an image that hangs before it arms its watchdog is killed, and after three times gives way to the other bank",
        hang_at_start,
    ),
    Case::new(
        "images.short-lives",
        "an image that tells its role and ends soon after, three times in a row, gives way to the other bank",
        short_lives,
    ),
];

/// The slot of these cases.
const SLOT: Slot = Slot::A;

/// A boot with image banks.
struct Place<'a> {
    ctx: &'a Ctx,
    stage: Stage,
    maker: Maker,
    banks: Banks,
    log: PathBuf,
}

impl<'a> Place<'a> {
    fn new(ctx: &'a Ctx) -> Result<Self> {
        Ok(Self {
            ctx,
            stage: Stage::new(ctx.files())?,
            maker: Maker::new(ctx.files()),
            banks: Banks::new(&ctx.files().join("images")),
            log: ctx.files().join("boot.log"),
        })
    }

    /// An image whose module is a puppet.
    fn puppet_image(&self, version: &str) -> Result<PathBuf> {
        let own = std::env::current_exe().context("path of this program")?;
        self.maker.program(&own, version)
    }

    fn boot(&self, slot: Slot, options: &[&str]) -> Result<Process> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(binary("hitless-boot")?);
        command.args(["--slot", slot.name(), "--backplane"]);
        command.arg(self.ctx.files().join("backplane"));
        command.args(options).arg("--").args(self.stage.command()?);
        command.stdin(Stdio::null()).stderr(log);
        Process::spawn(self.ctx.run(), &mut command)
    }

    /// Starts the boot of the slot, with its banks.
    fn start(&self, settled_ms: &str) -> Result<Process> {
        let images = self.banks.directory().display().to_string();
        self.boot(SLOT, &["--images", &images, "--settled-ms", settled_ms])
    }

    /// The next module, which must have been started from this; and the boot must tell so.
    fn next_from(&self, origin: &str) -> Result<Puppet> {
        let puppet = self.stage.next().with_context(|| tail(&self.log))?;
        let environ = fs::read(format!("/proc/{}/environ", puppet.pid()))?;
        let environ = String::from_utf8_lossy(&environ).into_owned();
        let has = |text: String| environ.split('\0').any(|variable| variable == text);
        let directory = self.banks.directory().display();
        ensure!(
            has(format!("HITLESS_BANK={origin}")) && has(format!("HITLESS_IMAGES={directory}")),
            "not from {origin}: {environ:?}\n{}",
            tail(&self.log)
        );
        let program = match origin.parse() {
            Ok(bank) => self.banks.path(SLOT, bank),
            Err(_) => std::env::current_exe()?,
        };
        let runs = fs::read_link(format!("/proc/{}/exe", puppet.pid()))?;
        ensure!(runs == program, "{} runs", runs.display());
        self.await_status(|lines| lines.contains(&format!("bank {origin}").as_str()))?;
        Ok(puppet)
    }

    /// Has the module started again, as an operator would; it must be from this now.
    fn again_from(&self, puppet: &Puppet, origin: &str) -> Result<Puppet> {
        puppet.pull("say state standby 0.4.0")?;
        puppet.pull("exit 75")?;
        self.next_from(origin)
    }

    fn status(&self) -> Result<String> {
        let path = self.ctx.files().join("backplane/status-msm-a");
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    fn await_status(&self, is: impl Fn(&[&str]) -> bool) -> Result<()> {
        wait_for("a status", DEADLINE, || {
            let status = self.status()?;
            let lines: Vec<&str> = status.lines().collect();
            Ok(is(&lines).then_some(()))
        })
        .with_context(|| format!("{:?}\n{}", self.status(), tail(&self.log)))
    }

    /// The boot tells that this bank was refused, with these words; and its log does.
    fn await_refused(&self, bank: Bank, words: &str) -> Result<()> {
        let begin = format!("image-refused {bank} ");
        self.await_status(|lines| {
            let mut refused = lines.iter().filter(|line| line.starts_with(&begin));
            refused.any(|line| line.contains(words))
        })?;
        let log = fs::read_to_string(&self.log)?;
        let told = format!("does not boot the {bank} image: ");
        let mut told = log.lines().filter(|line| line.contains(&told));
        ensure!(told.any(|line| line.contains(words)), "{log}");
        Ok(())
    }

    fn select(&self, bank: Bank) -> Result<()> {
        let selected = self.banks.select(SLOT, bank);
        selected.map_err(|error| anyhow!("{error}"))
    }

    fn put(&self, bank: Bank, image: &Path) -> Result<()> {
        put(&self.banks, &[SLOT], bank, image)
    }
}

fn selected_bank(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    let _boot = place.start("60000")?;
    let mut module = place.next_from("factory")?;
    ensure!(!place.banks.directory().exists(), "the banks were made");
    // What is selected is looked up at each start, and no other time.
    for (bank, version) in [(Bank::Secondary, "0.5.0"), (Bank::Primary, "0.4.0")] {
        place.put(bank, &place.puppet_image(version)?)?;
        module.settle()?;
        module = place.again_from(&module, bank.name())?;
    }
    place.select(Bank::Secondary)?;
    module = place.again_from(&module, "secondary")?;
    place.await_status(|lines| !lines.iter().any(|line| line.contains("refused")))?;
    // An image that runs can be replaced.
    place.put(Bank::Secondary, &place.puppet_image("0.5.1")?)?;
    module.settle()?;
    place.again_from(&module, "secondary")?;
    let log = fs::read_to_string(&place.log)?;
    ensure!(
        log.contains("boots the secondary image: version 0.5.1"),
        "{log}"
    );
    Ok(())
}

/// Something that can become of the image in a bank.
type Accident = (&'static str, fn(&Place<'_>, &Path) -> Result<()>);

/// What the boot says of it, and how it comes about.
const ACCIDENTS: &[Accident] = &[
    ("has no footer", |_, bank| {
        spoil(bank, |octets| octets.truncate(0))
    }),
    ("has no footer", |_, bank| {
        spoil(bank, |octets| octets.truncate(1))
    }),
    ("has no footer", |_, bank| {
        spoil(bank, |octets| octets.truncate(octets.len() / 2))
    }),
    ("has no footer", |_, bank| {
        spoil(bank, |octets| octets.truncate(octets.len() - 1))
    }),
    ("has no footer", |_, bank| {
        spoil(bank, |octets| octets.truncate(octets.len() - 72))
    }),
    ("has no footer", |_, bank| {
        spoil(bank, |octets| octets.push(0))
    }),
    // A hole as a file system leaves it after a power cut: the length is right.
    ("has no footer", |_, bank| {
        spoil(bank, |octets| {
            let half = octets.len() / 2;
            octets[half..].fill(0);
        })
    }),
    ("not as long", |_, bank| {
        spoil(bank, |octets| drop(octets.drain(4096..8192)))
    }),
    ("the manifest tells", |_, bank| {
        spoil(bank, |octets| octets[8192] ^= 0x10)
    }),
    ("holds no program", |_, bank| {
        spoil(bank, |octets| octets[..4096].reverse())
    }),
    ("have another checksum", |_, bank| {
        spoil(bank, |octets| {
            let manifest = octets.len() - 100;
            octets[manifest] ^= 1;
        })
    }),
    ("the ELF header has machine 243", foreign),
    // A hitlessd that is no image.
    ("has no footer", |_, bank| {
        fs::remove_file(bank)?;
        fs::copy("/bin/true", bank)?;
        Ok(())
    }),
    ("is no regular file", |_, bank| {
        fs::remove_file(bank)?;
        Ok(fs::create_dir(bank)?)
    }),
    ("is no regular file", |_, bank| {
        fs::remove_dir(bank)?;
        Ok(mkfifo(bank, Mode::S_IRWXU)?)
    }),
    ("is empty", |_, bank| Ok(fs::remove_file(bank)?)),
    ("is empty", |_, bank| {
        Ok(symlink("/nonexistent/hitlessd", bank)?)
    }),
];

/// A whole image for a machine that this one is not.
fn foreign(place: &Place<'_>, bank: &Path) -> Result<()> {
    let program = place.ctx.files().join("foreign");
    foreign_program(&program)?;
    let image = place.maker.program(&program, "0.5.0")?;
    fs::remove_file(bank)?;
    fs::copy(image, bank)?;
    Ok(())
}

fn damaged(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.put(Bank::Primary, &place.puppet_image("0.4.0")?)?;
    // Small, so that it is soon written; it is never run.
    let image = place.maker.program(Path::new("/bin/true"), "0.5.0")?;
    place.put(Bank::Secondary, &image)?;
    let bank = place.banks.path(SLOT, Bank::Secondary);
    let (says, accident) = ACCIDENTS[0];
    accident(&place, &bank)?;
    let _boot = place.start("60000")?;
    let mut module = place.next_from("primary")?;
    place.await_refused(Bank::Secondary, says)?;
    for (number, (says, accident)) in ACCIDENTS.iter().enumerate().skip(1) {
        if bank.is_file() {
            place.put(Bank::Secondary, &image)?;
        }
        accident(&place, &bank).with_context(|| format!("accident {number}"))?;
        module = place.again_from(&module, "primary")?;
        place
            .await_refused(Bank::Secondary, says)
            .with_context(|| format!("accident {number}"))?;
    }
    spoil(&place.banks.path(SLOT, Bank::Primary), |octets| {
        octets[8192] ^= 1
    })?;
    place.again_from(&module, "factory")?;
    place.await_refused(Bank::Primary, "the manifest tells")?;
    Ok(())
}

fn bad_selection(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.put(Bank::Primary, &place.puppet_image("0.4.0")?)?;
    place.put(Bank::Secondary, &place.puppet_image("0.5.0")?)?;
    let file = place.banks.selection(SLOT);
    let _boot = place.start("60000")?;
    let mut module = place.next_from("secondary")?;
    let long = "secondary".repeat(100);
    for contents in [
        "",
        "\n",
        "secondar",
        "tertiary\n",
        "secondary\nprimary\n",
        &long,
        "\0\0\0",
    ] {
        fs::write(&file, contents)?;
        module = place.again_from(&module, "primary")?;
        place.await_status(|lines| {
            let mut refused = lines
                .iter()
                .filter(|line| line.starts_with("selection-refused "));
            refused.any(|line| line.contains("no bank: primary or secondary"))
        })?;
    }
    fs::remove_file(&file)?;
    fs::create_dir(&file)?;
    module = place.again_from(&module, "primary")?;
    fs::remove_dir(&file)?;
    place.select(Bank::Secondary)?;
    module = place.again_from(&module, "secondary")?;
    fs::remove_file(&file)?;
    place.again_from(&module, "primary")?;
    place.await_status(|lines| !lines.iter().any(|line| line.contains("refused")))
}

fn crash_at_start(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.put(Bank::Primary, &place.puppet_image("0.4.0")?)?;
    let crashes = place.maker.program(Path::new("/bin/false"), "0.5.0")?;
    place.put(Bank::Secondary, &crashes)?;
    let boots = |times: usize| -> Result<()> {
        let log = fs::read_to_string(&place.log)?;
        let found = log.matches("boots the secondary image").count();
        ensure!(found == times, "{found} times instead of {times}:\n{log}");
        place.await_refused(Bank::Secondary, "3 times in a row")?;
        place.await_refused(Bank::Secondary, "exit")
    };
    // A settled life is of no use to an image that never told its role.
    let _boot = place.start("0")?;
    let mut module = place.next_from("primary")?;
    boots(3)?;
    // The selection is the operator's, and is not forgotten, only not followed.
    let selected = place.banks.selected(SLOT).0;
    ensure!(selected == Bank::Secondary, "{selected} is selected");
    module = place.again_from(&module, "primary")?;
    boots(3)?;
    // Written anew, it has another chance.
    place.select(Bank::Secondary)?;
    module = place.again_from(&module, "primary")?;
    boots(6)?;
    place.put(Bank::Secondary, &crashes)?;
    module = place.again_from(&module, "primary")?;
    boots(9)?;
    // So it has after a reset.
    module.pull("say state standby 0.4.0")?;
    let _other = place.boot(Slot::B, &[])?;
    let other = place.stage.next()?;
    other.expect("boot peer-present")?;
    other.pull("say reset-peer")?;
    module.until_death()?;
    module = place.next_from("primary")?;
    boots(12)?;
    // Without the other bank it is the factory image's turn.
    fs::remove_file(place.banks.path(SLOT, Bank::Primary))?;
    place.again_from(&module, "factory")?;
    Ok(())
}

fn hang_at_start(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.put(Bank::Primary, &place.puppet_image("0.4.0")?)?;
    place.put(Bank::Secondary, &place.puppet_image("0.5.0")?)?;
    let images = place.banks.directory().display().to_string();
    let limit = ["--images", &images, "--start-ms", "500"];
    let _boot = place.boot(SLOT, &limit)?;
    for _ in 0..3 {
        // It says nothing.
        place.next_from("secondary")?.until_death()?;
    }
    let module = place.next_from("primary")?;
    module.pull("say state standby 0.4.0")?;
    place.await_refused(Bank::Secondary, "no kick for 500 ms")?;
    // It told its role and armed no watchdog: it may be as slow as it likes.
    ensure!(module.listen(Duration::from_secs(2)).is_empty(), "a word");
    module.settle()
}

fn short_lives(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.put(Bank::Primary, &place.puppet_image("0.4.0")?)?;
    place.put(Bank::Secondary, &place.puppet_image("0.5.0")?)?;
    let boot = place.start("60000")?;
    for _ in 0..3 {
        let module = place.next_from("secondary")?;
        module.pull("say state master 0.5.0")?;
        module.pull("say last-words out of luck")?;
        module.pull("exit 101")?;
    }
    let module = place.next_from("primary")?;
    place.await_refused(Bank::Secondary, "out of luck")?;
    module.settle()?;
    // A boot that is put back knows nothing of that.
    boot.signal(Signal::SIGKILL)?;
    module.until_death()?;
    boot.wait(DEADLINE)?;
    let _boot = place.start("0")?;
    // Lives that were long enough, and ends that were wanted, are no failures.
    for _ in 0..5 {
        let module = place.next_from("secondary")?;
        module.pull("say state standby 0.5.0")?;
        module.pull("exit 1")?;
    }
    place.next_from("secondary")?;
    Ok(())
}
