//! What hitlessd can not start with: the answer is a sentence that names thing, value, rule and remedy, and the
//! switch that runs beside it, or whose process has just ended, forwards on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::stat::Mode as FileMode;

use super::bystanders::{Bystanders, FENCED, FENCED_REST, PORTS, REST, address};
use super::lab::{Lab, Mode, config};
use super::pinned::Pinned;
use super::trial::{ends, for_everyone, in_own_mounts, launch, refused, through};
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
    switch::Switch,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "refuse.not-root",
        "without root hitlessd names the missing capabilities and touches nothing; nobody else can command the switch",
        not_root,
    ),
    Case::new(
        "refuse.old-kernel",
        "a kernel before 6.6 is refused by its number",
        old_kernel,
    ),
    Case::new(
        "refuse.no-bpffs",
        "without bpffs hitlessd names the mount command, and doing what it says is enough",
        no_bpffs,
    ),
    Case::new(
        "refuse.nothing-without-kernel-btf",
        "a kernel without BTF is no reason to refuse: the switch starts, learns and forwards",
        no_kernel_btf,
    ),
    Case::new(
        "refuse.one-error-in-500-lines",
        "one error in a configuration of 500 lines is named with its place and rule, and nothing of it is applied",
        one_error_in_500_lines,
    )
    .timeout(Duration::from_secs(120)),
    Case::new(
        "refuse.vlan-0-and-4095",
        "VLAN ids 0 and 4095 are refused wherever a configuration can name a VLAN",
        reserved_vlans,
    ),
    Case::new(
        "refuse.files-that-are-no-configuration",
        "missing, giant, binary, cut and special files are refused with their path and what is wrong",
        no_configuration,
    ),
];

/// A second switch beside the one that runs; it is never to start.
fn second_switch(ctx: &Ctx, others: &Bystanders) -> Result<Switch> {
    let config = config(Mode::Tc, &PORTS, REST);
    Switch::prepare(ctx.run(), ctx.files(), &others.lab.netns, "second", &config)
}

/// Checks that a switch that did not start left nothing behind.
fn left_nothing(switch: &Switch) -> Result<()> {
    for path in [switch.pins(), switch.state()] {
        ensure!(!path.exists(), "{} was made", path.display());
    }
    Ok(())
}

fn not_root(ctx: &Ctx) -> Result<()> {
    const NOBODY: [&str; 6] = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ];
    ctx.need_program("setpriv")?;
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let second = second_switch(ctx, &others)?;
    let (lab, pinned) = (&others.lab, Pinned::of(&others.lab.switch));
    let before = pinned.state()?;

    let daemon = for_everyone(ctx, Path::new(second.daemon()?.get_program()))?;
    for switch in [&second, &lab.switch] {
        let mut command = lab.netns.command(NOBODY[0])?;
        command.args(&NOBODY[1..]).arg(&daemon);
        command.arg("--config").arg(switch.config());
        refused(
            ctx,
            &mut command,
            &[
                "hitlessd lacks CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_BPF",
                "run it as root, or give it these capabilities",
            ],
        )?;
    }
    // Root that lacks one capability is told which.
    let one_less = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"];
    let mut command = through(&lab.netns, &second, &one_less)?;
    refused(ctx, &mut command, &["hitlessd lacks CAP_NET_RAW: run it"])?;
    left_nothing(&second)?;

    let cli = for_everyone(ctx, Path::new(lab.switch.hitless()?.get_program()))?;
    for words in [&["show", "ports"][..], &["clear", "hardware", "--yes"]] {
        let mut command = lab.netns.command(NOBODY[0])?;
        command.args(&NOBODY[1..]).arg(&cli);
        command.args(["--switch", lab.switch.name()]).args(words);
        ends(ctx, &mut command, 3, &["only root may"])?;
    }
    ensure!(pinned.state()? == before, "the hardware was changed");
    others.unharmed()?;
    others.finish()
}

fn old_kernel(ctx: &Ctx) -> Result<()> {
    ctx.need_program("setarch")?;
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let second = second_switch(ctx, &others)?;
    let machine = nix::sys::utsname::uname().context("uname")?;
    let machine = machine.machine().to_string_lossy().into_owned();
    // The kernel then says 2.6.60 plus its real minor number.
    let old = ["setarch", machine.as_str(), "--uname-2.6"];
    for switch in [&second, &others.lab.switch] {
        refused(
            ctx,
            &mut through(&others.lab.netns, switch, &old)?,
            &[
                "kernel 2.6.",
                "is too old: hitlessd needs Linux 6.6 or newer",
            ],
        )?;
    }
    left_nothing(&second)?;
    others.unharmed()?;
    others.finish()
}

fn no_bpffs(ctx: &Ctx) -> Result<()> {
    const HIDE: &str = "mount -t tmpfs none /sys/fs/bpf";
    const REMEDY: &str = "mount -t bpf bpf /sys/fs/bpf";
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let second = second_switch(ctx, &others)?;
    let says = format!("no bpffs at /sys/fs/bpf: mount it with `{REMEDY}`");
    for switch in [&second, &others.lab.switch] {
        let mut command = through(&others.lab.netns, switch, &in_own_mounts(HIDE))?;
        refused(ctx, &mut command, &[&says])?;
    }
    left_nothing(&second)?;
    // With devices of its own: two switches can not share theirs.
    let netns = ctx.netns("thirds")?;
    let host = ctx.netns("thirdh1")?;
    netns.veth("p1", &host, "eth1")?;
    let config = config(Mode::Tc, &["untagged: 10"], REST);
    let third = Switch::prepare(ctx.run(), ctx.files(), &netns, "third", &config)?;
    let remedied = in_own_mounts(&format!("{HIDE}; {REMEDY}"));
    let process = launch(ctx, &third, &mut through(&netns, &third, &remedied)?)?;
    third.await_shown("ports", |ports| ports[0]["device_state"] == "attached")?;
    drop(process);
    others.unharmed()?;
    others.finish()
}

fn no_kernel_btf(ctx: &Ctx) -> Result<()> {
    const HIDE: &str = "if [ -d /sys/kernel/btf ]; then mount -t tmpfs none /sys/kernel/btf; fi";
    let mut lab = Lab::new(ctx, "sw", Mode::Mixed, &[FENCED; 3], FENCED_REST)?;
    lab.switch.kill()?;
    lab.switch.cli(&["clear", "hardware", "--yes"])?;
    ensure!(!lab.switch.pins().exists(), "the hardware is still there");

    let mut command = through(&lab.netns, &lab.switch, &in_own_mounts(HIDE))?;
    let process = launch(ctx, &lab.switch, &mut command)?;
    let hidden = format!("/proc/{}/root/sys/kernel/btf/vmlinux", process.pid());
    ensure!(!Path::new(&hidden).exists(), "{hidden} is not hidden");
    let shown = lab.switch.show("switch")?;
    ensure!(
        shown["adopted"] == false,
        "the hardware is not new: {shown}"
    );
    lab.switch.await_shown("ports", |ports| {
        (0..3).all(|i| ports[i]["link"] == "up")
            && ports[0]["offload"] == "xdp"
            && ports[1]["offload"] == "tc"
    })?;

    let (a, b) = (address(1), address(2));
    let first = Frame::probe(a, b);
    lab.expect(&[(0, first.clone())], &[(1, first.clone()), (2, first)])?;
    lab.await_learned(10, a, 1)?;
    let back = Frame::probe(b, a);
    lab.expect(&[(1, back.clone())], &[(0, back)])?;
    lab.await_learned(10, b, 2)?;
    let known = Frame::probe(a, b);
    lab.expect(&[(0, known.clone())], &[(1, known)])
}

/// A configuration of more than 500 lines, one thing a line, with [`PORTS`] at its end.
fn long_rest() -> String {
    let mut rest = String::from("fdb: {size: 4096}\nvlans:\n  - {id: 10}\n  - {id: 20}\n");
    for id in 100..600 {
        rest += &format!("  - {{id: {id}, name: net-{id}}}\n");
    }
    rest
}

fn one_error_in_500_lines(ctx: &Ctx) -> Result<()> {
    /// A line, what takes its place, where in the new line the error is, and what is said there.
    const MISTAKES: [(&str, &str, &str, &str); 6] = [
        (
            "  - {id: 345, name: net-345}",
            "  - {id: 345, nme: net-345}",
            "nme",
            "vlans[247]: unknown field `nme`",
        ),
        (
            "  - {id: 345, name: net-345}",
            "  - {id: 4095, name: net-345}",
            "4095",
            "vlans[247].id: VLAN id 4095 is reserved (IEEE 802.1Q 9.6); use 1 to 4094",
        ),
        (
            "  - {id: 345, name: net-345}",
            "  - {id: 345, name: net-344}",
            "net-344",
            "vlans[247].name: the name \"net-344\" belongs to VLAN 344 already",
        ),
        (
            "  - {id: 345, name: net-345}",
            "  - {id: 345, name: net-345",
            "{id: 346",
            "did not find expected ',' or '}'",
        ),
        (
            "  - {port: 3, device: p3, offload: tc, untagged: 20}",
            "  - {port: 3, device: p3, offload: tc, untagged: 21}",
            "21",
            "ports[2].untagged: VLAN 21 is not declared in vlans",
        ),
        (
            "  - {port: 3, device: p3, offload: tc, untagged: 20}",
            "  - {port: 2, device: p3, offload: tc, untagged: 20}",
            "2,",
            "ports[2].port: port 2 is configured already, in ports[1]",
        ),
    ];
    let lab = Lab::new(ctx, "sw", Mode::Tc, &PORTS, &long_rest())?;
    let mut others = Bystanders::over(lab, Some(20_000))?;
    let file = others.lab.switch.config().to_owned();
    let good = fs::read_to_string(&file)?;
    ensure!(good.lines().count() > 500, "the configuration is short");
    let pinned = Pinned::of(&others.lab.switch);
    let (before, generation) = (pinned.state()?, pinned.meta()?.generation);

    // Without a process nothing but the refusal keeps a new one from the hardware.
    others.phase("refusals")?;
    others.lab.switch.kill()?;
    for (line, by, at, message) in MISTAKES {
        ensure!(
            good.lines().filter(|l| *l == line).count() == 1,
            "{line} is not there once"
        );
        let bad = good.replace(line, by);
        // A bracket left open is noticed only in the line after it.
        let changed = bad.lines().position(|l| l == by).context("the new line")?;
        let (number, column) = bad
            .lines()
            .zip(1..)
            .skip(changed)
            .find_map(|(l, number)| Some((number, l.find(at)? + 1)))
            .context("the place of the error")?;
        fs::write(&file, &bad)?;
        let place = format!("{}:{number}:{column}: ", file.display());
        let text = refused(ctx, &mut others.lab.switch.daemon()?, &[&place, message])?;
        let found = text.matches(&format!("{}:", file.display())).count();
        ensure!(found == 1, "one error was told as {found}:\n{text}");
        refused(ctx, others.lab.switch.daemon()?.arg("--check"), &[&place])?;
        ensure!(pinned.state()? == before, "{by}: the hardware was changed");
        ensure!(
            pinned.meta()?.generation == generation,
            "{by}: there was a master"
        );
        others.unharmed()?;
    }

    others.phase("the good configuration again")?;
    fs::write(&file, &good)?;
    others.lab.switch.run()?;
    let shown = others.lab.switch.show("switch")?;
    ensure!(
        shown["hardware_writes"]["total"] == 0,
        "something was written: {shown}"
    );
    others.unharmed()?;
    others.finish()
}

fn reserved_vlans(ctx: &Ctx) -> Result<()> {
    const RULES: [(&str, &str); 2] = [
        (
            "0",
            "VLAN id 0 marks a priority-tagged frame (IEEE 802.1Q 9.6); use 1 to 4094",
        ),
        (
            "4095",
            "VLAN id 4095 is reserved (IEEE 802.1Q 9.6); use 1 to 4094",
        ),
    ];
    /// Where a configuration names a VLAN: the key path, and the text with `N` for it.
    const PLACES: [(&str, &str); 5] = [
        ("vlans[1].id", "vlans: [{id: 10}, {id: N}]"),
        (
            "ports[0].untagged",
            "vlans: [{id: 10}]\nports: [{port: 1, device: p1, untagged: N}]",
        ),
        (
            "ports[0].tagged[0]",
            "vlans: [{id: 10}]\nports: [{port: 1, device: p1, tagged: [N]}]",
        ),
        (
            "ports[0].tagged[0]",
            "vlans: [{id: 10}]\nports: [{port: 1, device: p1, tagged: [\"N-N\"]}]",
        ),
        (
            "fdb.static[0].vlan",
            "fdb: {static: [{vlan: N, mac: 02:00:00:00:00:01, blackhole: true}]}",
        ),
    ];
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let second = second_switch(ctx, &others)?;
    for (vid, rule) in RULES {
        for (path, text) in PLACES {
            second.write_config(&text.replace('N', vid))?;
            let says = format!("{path}: {rule}");
            refused(ctx, &mut second.daemon()?, &[&says]).context(text)?;
        }
    }
    left_nothing(&second)?;
    // The same numbers on the command line of a running switch.
    for (vid, rule) in RULES {
        let mut show = others.lab.switch.hitless()?;
        ends(ctx, show.args(["show", "vlan", vid]), 2, &[rule])?;
        let mut create = others.lab.switch.hitless()?;
        create.args([
            "create",
            "fdbentry",
            "02:00:00:00:00:01",
            "vlan",
            vid,
            "port",
            "1",
        ]);
        ends(ctx, &mut create, 2, &[rule])?;
    }
    others.unharmed()?;
    others.finish()
}

fn no_configuration(ctx: &Ctx) -> Result<()> {
    const GIANT: usize = 17 * 1024 * 1024;
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let second = second_switch(ctx, &others)?;
    let file = second.config();
    let good = fs::read(file)?;
    let path = file.display();
    let mut garbage = vec![0u8; 64 * 1024];
    for (i, byte) in (0u32..).zip(&mut garbage) {
        *byte = (i.wrapping_mul(0x9e37_79b9) >> 24) as u8;
    }
    let program = fs::read(second.daemon()?.get_program())?;
    let giant = [&good[..], &b"#".repeat(GIANT)].concat();
    let cut = &good[..good.len() - 4];
    let contents: [(&str, &[u8], &str); 7] = [
        ("nothing", b"", ":1:1: "),
        ("random octets", &garbage, "is not UTF-8"),
        (
            "a program",
            &program[..program.len().min(1 << 20)],
            "is not UTF-8",
        ),
        (
            "a giant",
            &giant,
            "is larger than 16777216 bytes, the limit for a configuration",
        ),
        ("a cut one", cut, ".yaml:"),
        ("zeros", &[0; 4096], ".yaml:"),
        ("another format", br#"{"switch": 1"#, ".yaml:2:1: "),
    ];
    for (what, content, says) in contents {
        fs::write(file, content)?;
        let named = format!("{path}:");
        refused(ctx, &mut second.daemon()?, &[&named, says]).context(what)?;
    }

    fs::remove_file(file)?;
    let says = format!("{path}: can not read the configuration: ");
    refused(
        ctx,
        &mut second.daemon()?,
        &[&says, "check the path given with --config"],
    )?;
    let no_file = format!("{path}: is no regular file; a configuration is a YAML file");
    fs::create_dir(file)?;
    refused(ctx, &mut second.daemon()?, &[&no_file]).context("a directory")?;
    fs::remove_dir(file)?;
    symlink("/dev/zero", file)?;
    refused(ctx, &mut second.daemon()?, &[&no_file]).context("an endless device")?;
    fs::remove_file(file)?;
    nix::unistd::mkfifo(file, FileMode::S_IRUSR)?;
    refused(ctx, &mut second.daemon()?, &[&no_file]).context("a pipe that nobody writes")?;
    fs::remove_file(file)?;

    fs::write(file, &good)?;
    ends(
        ctx,
        second.daemon()?.arg("--check"),
        0,
        &["2 VLANs, 4 ports: good"],
    )?;
    left_nothing(&second)?;
    others.unharmed()?;
    others.finish()
}
