//! `image` and `image-key`: a version of the switch as one file, and the keys that sign it.

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use hitless_boot::image::{Parts, make};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

use crate::build;
use crate::repo::Repo;

/// What `cargo xtask image` is told.
#[derive(Args)]
pub struct Options {
    /// Secret key that signs the image, as `cargo xtask image-key` or minisign makes it [default: unsigned]
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,

    /// Another edition than this version: see README, "Three versions from one tree"
    #[arg(long)]
    edition: Option<Edition>,

    /// A fault that the newer edition is to have, as `panic-after 5`; for tests of upgrades
    #[arg(long, value_name = "FAULT")]
    fault: Option<String>,

    /// The image file [default: hitless-VERSION.image in the target directory]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What `cargo xtask image-key` is told.
#[derive(Args)]
pub struct KeyOptions {
    /// Where the keys go: NAME.key, which signs, and NAME.pub, which a switch is told
    #[arg(default_value = "hitless-image", value_name = "NAME")]
    name: PathBuf,

    /// Ask for a password that `cargo xtask image` will ask for too
    #[arg(long)]
    password: bool,
}

/// Another version made from the same tree.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Edition {
    Older,
    Newer,
}

impl Edition {
    fn name(self) -> &'static str {
        match self {
            Self::Older => "older",
            Self::Newer => "newer",
        }
    }
}

/// Builds the switch and writes its image. Of one tree and one compiler the image is the same, octet by octet, whenever
/// it is made; only a signature differs each time.
///
/// # Errors
/// When something does not build, or a file can not be read or written.
pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let key = options.sign.as_deref().map(secret_key).transpose()?;
    ensure!(
        options.fault.is_none() || options.edition == Some(Edition::Newer),
        "--fault: only the newer edition has faults; give --edition newer"
    );
    build::hitlessd(repo, options.edition.map(Edition::name))?;
    let release = repo.release_dir();
    let program = match options.edition {
        None => release.join("hitlessd"),
        Some(edition) => release
            .join("editions")
            .join(edition.name())
            .join("hitlessd"),
    };
    let told = output(Command::new(&program).arg("--manifest"))?;
    let (git, date) = commit(repo)?;
    let version = told.lines().find_map(|line| line.strip_prefix("version "));
    let name = format!("hitless-{}.image", version.unwrap_or("unknown"));
    let default = || release.parent().unwrap_or(&release).join(name);
    let out = options.output.clone().unwrap_or_else(default);
    let more: Vec<String> = options.fault.iter().map(|f| format!("fault {f}")).collect();
    let parts = Parts {
        program: &program,
        told: &told,
        git: &git,
        date: &date,
        more: &more,
    };
    let signed = |manifest: &str| match &key {
        Some(key) => sign(key, manifest, version).map_err(|e| format!("sign the image: {e:#}")),
        None => Ok(String::new()),
    };
    let manifest = make(&parts, signed, &out).map_err(anyhow::Error::msg)?;
    let by = match &key {
        Some(key) => format!(
            "signed, public key {}",
            PublicKey::from_secret_key(key)?.to_base64()
        ),
        None => "not signed".to_owned(),
    };
    println!(
        "{}: version {} ({git}), {by}",
        out.display(),
        manifest.version()
    );
    Ok(())
}

/// Makes a pair of keys in files that are not there yet.
///
/// # Errors
/// When a file is there already or can not be written.
pub fn key(options: &KeyOptions) -> Result<()> {
    let file = |end: &str| {
        let mut name = options.name.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    let (secret, public) = (file(".key"), file(".pub"));
    for file in [&secret, &public] {
        ensure!(!file.exists(), "{} is there already", file.display());
    }
    let pair = if options.password {
        KeyPair::generate_encrypted_keypair(None)?
    } else {
        KeyPair::generate_unencrypted_keypair()?
    };
    write(&secret, 0o600, &pair.sk.to_box(None)?.into_string())?;
    write(&public, 0o644, &pair.pk.to_box()?.into_string())?;
    println!("{}: signs images; keep it to yourself", secret.display());
    println!(
        "{}: for switches: configure image add key {}",
        public.display(),
        pair.pk.to_base64()
    );
    Ok(())
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| path.display().to_string())
}

/// Reads a secret key, and asks for its password if it has one.
fn secret_key(path: &Path) -> Result<SecretKey> {
    let read = || -> Result<SecretKey> {
        let text = fs::read_to_string(path)?;
        let plain = SecretKeyBox::from_string(&text)?.into_unencrypted_secret_key();
        if let Ok(key) = plain {
            return Ok(key);
        }
        if !std::io::stdin().is_terminal() {
            bail!("it has a password, and there is no terminal to ask for it");
        }
        Ok(SecretKeyBox::from_string(&text)?.into_secret_key(None)?)
    };
    read().with_context(|| path.display().to_string())
}

fn sign(key: &SecretKey, manifest: &str, version: Option<&str>) -> Result<String> {
    let comment = version.map(|version| format!("hitless {version}"));
    let public = PublicKey::from_secret_key(key)?;
    let signature = minisign::sign(
        Some(&public),
        key,
        manifest.as_bytes(),
        comment.as_deref(),
        Some("signature of a hitless image"),
    )?;
    Ok(signature.into_string())
}

/// Commit that the tree is, with `-dirty` if there is more, and when it was made.
fn commit(repo: &Repo) -> Result<(String, String)> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&repo.root).args(arguments);
        output(command.env("TZ", "UTC")).map(|text| text.trim_end().to_owned())
    };
    // A tree without its history.
    if !repo.root.join(".git").exists() {
        return Ok(("unknown".to_owned(), "unknown".to_owned()));
    }
    let id = git(&["rev-parse", "--short=12", "HEAD"])?;
    let dirty = match git(&["status", "--porcelain"])?.is_empty() {
        true => "",
        false => "-dirty",
    };
    let date = git(&[
        "log",
        "-1",
        "--format=%cd",
        "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
    ])?;
    Ok((id + dirty, date))
}

/// What a command prints.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let done = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let done = done.with_context(|| format!("run {name}"))?;
    ensure!(done.status.success(), "{name} failed ({})", done.status);
    String::from_utf8(done.stdout).with_context(|| format!("what {name} prints"))
}
