//! What a lab is while it is up.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use hitless_topo::{Error, LabStatus, NodeHandle, UpOptions, down, exec, exit_code, up};

use crate::lab::{Lab, PAIR, eventually, named};

pub fn a_lab_from_up_to_down() {
    let lab = Lab::new(PAIR);
    assert!(lab.traces().is_empty());
    let info = lab.up().unwrap();
    assert_eq!(
        (info.name.as_str(), info.status),
        (lab.name.as_str(), LabStatus::Up)
    );
    assert_eq!(info.links, ["a:eth1 -- b:eth1"]);
    assert_eq!(lab.info().unwrap(), info);

    let names = Command::new("ip")
        .args(["netns", "list"])
        .output()
        .unwrap()
        .stdout;
    let names = String::from_utf8(names).unwrap();
    for node in &info.nodes {
        assert!(
            names
                .lines()
                .any(|line| line.split(' ').next() == Some(&node.netns)),
            "{names}"
        );
        assert!(node.log.is_file());
        assert!(info.to_string().contains(node.log.to_str().unwrap()));
    }
    lab.run(
        "a",
        &["ping", "-c", "2", "-i", "0.2", "-W", "5", "10.9.0.2"],
    );
    let link = lab.run("b", &["ip", "-o", "link", "show", "dev", "eth1"]);
    assert!(
        link.contains("mtu 9500") && link.contains("LOWER_UP"),
        "{link}"
    );
    let lo = lab.run("b", &["ip", "-o", "link", "show", "dev", "lo"]);
    assert!(lo.contains(",UP"), "{lo}");
    assert_eq!(
        lab.run("b", &["cat", "/proc/sys/net/ipv6/conf/eth1/disable_ipv6"]),
        "1"
    );
    // The name in the file is not the lab's.
    assert!(matches!(
        NodeHandle::open("in-file", "a"),
        Err(Error::NoSuchLab { .. })
    ));

    assert!(down(&lab.name).unwrap().was_up);
    assert_eq!(lab.traces(), Vec::<String>::new());
    assert!(lab.info().is_none());
    assert!(!down(&lab.name).unwrap().was_up);
    // And again under the same name.
    lab.up().unwrap();
    lab.run("b", &["ping", "-c", "1", "-W", "5", "10.9.0.1"]);
    down(&lab.name).unwrap();
    assert_eq!(lab.traces(), Vec::<String>::new());
}

pub fn a_node_has_its_own_view() {
    let lab = Lab::new(PAIR);
    let info = lab.up().unwrap();
    assert_eq!(lab.sh("a", "hostname; echo $HOSTNAME"), "a\na");
    // Interfaces, as seen by netlink and by sysfs.
    assert_eq!(
        lab.sh("a", "ls /sys/class/net | sort | tr '\\n' ' '"),
        "eth1 lo"
    );
    // Processes: the first is the node's.
    assert!(
        lab.sh("a", "tr '\\0' ' ' < /proc/1/cmdline")
            .starts_with("hitless-topo-init ")
    );
    assert!(
        lab.run("a", &["readlink", "/proc/self"])
            .parse::<u32>()
            .unwrap()
            < 100
    );
    assert!(Path::new(&format!("/proc/{}/root/run", info.nodes[0].pid.unwrap())).is_dir());

    for (place, kind) in [
        ("/sys/fs/bpf", "bpf_fs"),
        ("/run", "tmpfs"),
        ("/tmp", "tmpfs"),
        ("/sys", "sysfs"),
    ] {
        assert_eq!(
            lab.run("a", &["stat", "-f", "-c", "%T", place]),
            kind,
            "{place}"
        );
    }
    // Nothing of the host or of another node is there, nothing gets there.
    for place in ["/run", "/tmp", "/sys/fs/bpf", "/dev/shm"] {
        // Some kernels put programs of their own into every bpffs.
        let list = format!("ls -A {place} | grep -v debug || true");
        assert_eq!(lab.sh("a", &list), "", "{place}");
        let made = format!("{place}/made_by_{}", lab.name);
        lab.run("a", &["mkdir", &made]);
        assert_eq!(lab.sh("b", &list), "", "{place}");
        assert!(!Path::new(&made).exists());
    }
    // The terminal's device files are the host's.
    lab.sh(
        "a",
        "test -c /dev/null && test -c /dev/ptmx && echo x > /dev/null",
    );
    // The host's mounts are gone.
    let mounts = lab.run("a", &["cat", "/proc/self/mountinfo"]);
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    assert_eq!(
        points
            .filter(|point| point.starts_with("/run"))
            .collect::<Vec<_>>(),
        ["/run"]
    );
}

pub fn the_host_is_not_written_to() {
    let lab = Lab::node(
        "      binds: ['conf:/etc/hitless-topo-test/deep/conf', 'conf:/hitless-topo-test']\n      exec: [touch /etc/hitless-topo-test/made]\n",
    );
    lab.write("conf", "text");
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let of_others = |table: &str| {
        let own = |line: &&str| !line.contains("/run/netns");
        table
            .lines()
            .filter(own)
            .map(String::from)
            .collect::<Vec<_>>()
    };
    lab.up().unwrap();
    assert_eq!(
        lab.run("n", &["cat", "/etc/hitless-topo-test/deep/conf"]),
        "text"
    );
    assert_eq!(lab.run("n", &["cat", "/hitless-topo-test"]), "text");
    lab.sh(
        "n",
        "echo n > /etc/hostname.test && rm /etc/passwd && mkdir /usr/x /x /var/x",
    );
    // The rest of the host's files are there, and can be shadowed.
    assert!(lab.run("n", &["ls", "/etc"]).contains("group"));
    for made in [
        "/etc/hitless-topo-test",
        "/hitless-topo-test",
        "/etc/hostname.test",
        "/usr/x",
        "/x",
        "/var/x",
    ] {
        assert!(!Path::new(made).exists(), "{made}");
    }
    assert!(Path::new("/etc/passwd").exists());
    let during = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(of_others(&during), of_others(&before));
}

pub fn binds_and_environment() {
    let lab = Lab::node(
        r#"      binds:
        - ro:/data/ro:ro
        - rw:/data/rw
        - file:/data/rw/over/file:ro
      env: {A: 'b c', N: 1}
      labels: {my.label: x}
      entrypoint: sh -c
      cmd: "'echo started with $$A, $0; exec sleep 1000000'"
"#,
    );
    for directory in ["ro", "rw"] {
        fs::create_dir(lab.path(directory)).unwrap();
    }
    lab.write("ro/f", "in ro");
    lab.write("file", "in file");
    let info = lab.up().unwrap();
    assert_eq!(
        lab.sh("n", "cat /data/ro/f /data/rw/over/file"),
        "in roin file"
    );
    lab.sh(
        "n",
        "! touch /data/ro/f && ! touch /data/rw/over/file && echo new > /data/rw/f",
    );
    // A bind is the host's own directory.
    assert_eq!(fs::read_to_string(lab.path("rw/f")).unwrap(), "new\n");
    assert_eq!(
        lab.sh(
            "n",
            "echo $A $N $HOME $CLAB_LABEL_MY_LABEL $CLAB_INTFS; pwd"
        ),
        "b c 1 /root x 0\n/"
    );
    // Nothing of this process's environment.
    assert!(!lab.run("n", &["env"]).contains("CARGO"));
    eventually("the log", || {
        fs::read_to_string(&info.nodes[0].log).unwrap() == "started with b c, sh\n"
    });
}

pub fn exit_status_and_errors_of_exec() {
    let lab = Lab::new(PAIR);
    lab.up().unwrap();
    let code = |argv: &[&str]| exec(&lab.name, "a", argv).map(exit_code);
    assert_eq!(code(&["true"]).unwrap(), 0);
    assert_eq!(code(&["sh", "-c", "exit 7"]).unwrap(), 7);
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]).unwrap(), 128 + 15);
    assert_eq!(code(&["no-such-program"]).unwrap_err().exit_code(), 127);
    assert_eq!(code(&["/etc/passwd"]).unwrap_err().exit_code(), 126);
    assert!(matches!(code(&[]), Err(Error::NoCommand { .. })));
    match exec(&lab.name, "c", &["true"]) {
        Err(Error::NoSuchNode { nodes, .. }) => assert_eq!(nodes, "a b"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        exec("no-such-lab", "c", &["true"]),
        Err(Error::NoSuchLab { .. })
    ));

    // A program that was started in the node ends with it.
    let handle = lab.handle("a");
    let mut sleep = handle.command("sleep");
    sleep.arg("1000000");
    let mut child = handle.spawn(sleep).unwrap();
    down(&lab.name).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

pub fn a_node_outlives_its_command() {
    let lab = Lab::new(&PAIR.replace("a: {", "a: {cmd: sleep 1000000, "));
    let info = lab.up().unwrap();
    assert_eq!(info.nodes[0].command, ["sleep", "1000000"]);
    let log = || fs::read_to_string(&info.nodes[0].log).unwrap();
    lab.sh("a", "kill -9 $(pidof sleep)");
    eventually("the end in the log", || {
        log().contains("the node's command ended: signal: 9 (SIGKILL)")
    });
    assert_eq!(lab.info().unwrap().status, LabStatus::Up);
    // Not started again, and the link is as it was.
    lab.sh("a", "! pidof sleep");
    lab.run("b", &["ping", "-c", "1", "-W", "5", "10.9.0.1"]);
}

pub fn orphans_are_reaped() {
    let lab = Lab::node("");
    lab.up().unwrap();
    lab.sh("n", "for i in 1 2 3 4 5; do (sleep 0 &) ; done");
    eventually("no zombie", || {
        lab.sh(
            "n",
            "for s in /proc/[0-9]*/stat; do cat $s; done 2>&1 | grep -c ' Z 1 ' || true",
        ) == "0"
            && lab.sh("n", "pidof sleep || true").is_empty()
    });
}

pub fn our_image_runs_the_given_binaries() {
    let lab = Lab::new(
        "name: x\ntopology:\n  nodes:\n    n:\n      kind: linux\n      image: example.org/hitless:1\n      binds: ['conf:/etc/hitless/hitless.yaml:ro']\n      healthcheck: {test: [CMD, hitless, show, switch]}\n",
    );
    lab.write("conf", "switch: n");
    let options = UpOptions {
        bin_dir: Some(lab.path("bin")),
        ..named(&lab.name)
    };
    match up(&lab.file(), &options) {
        Err(Error::NoBinary { binary, node, .. }) => {
            assert_eq!((binary, &node[..]), ("hitless", "n"))
        }
        other => panic!("{other:?}"),
    }
    fs::create_dir(lab.path("bin")).unwrap();
    let script = |name: &str, text: &str| {
        lab.write(name, &format!("#!/bin/sh\n{text}\n"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(lab.path(name), mode).unwrap();
    };
    // In the node the one program is both: what it starts with, and what its health check asks.
    let hitless = |chassis: &str| {
        script(
            "bin/hitless",
            &format!(
                "if test $1 = chassis; then {chassis}; fi\necho not yet; test \"$*\" = 'show switch' && cat /run/ready"
            ),
        );
    };
    hitless("cat $3 > /run/ready.new; mv /run/ready.new /run/ready; exec sleep 1000000");
    match up(&lab.file(), &options) {
        Err(Error::NoBinary { binary, .. }) => assert_eq!(binary, "hitless-boot"),
        other => panic!("{other:?}"),
    }
    for binary in ["bin/hitless-boot", "bin/hitlessd"] {
        script(binary, "exit 9");
    }
    let messages = Mutex::new(Vec::new());
    let progress = |line: &str| messages.lock().unwrap().push(line.to_string());
    let options = UpOptions {
        progress: &progress,
        ..options
    };
    let info = up(&lab.file(), &options).unwrap();
    let messages = messages.lock().unwrap().join("\n");
    assert!(
        messages.contains("example.org/hitless:1 stands for the binaries in "),
        "{messages}"
    );
    assert_eq!(
        info.nodes[0].command.join(" "),
        "hitless chassis --config /etc/hitless/hitless.yaml"
    );
    assert_eq!(lab.run("n", &["cat", "/run/ready"]), "switch: n");
    assert_eq!(
        lab.sh("n", "command -v hitlessd"),
        "/usr/local/lib/hitless/hitlessd"
    );
    lab.sh("n", "! touch /usr/local/lib/hitless/x");
    down(&lab.name).unwrap();

    // Never ready: the reason has what the check said; the command's end is noticed at once.
    hitless("exec sleep 1000000");
    let options = UpOptions {
        ready_timeout: Duration::from_secs(2),
        ..options
    };
    let error = up(&lab.file(), &options).unwrap_err().to_string();
    assert!(
        error.contains("not healthy after 2 s") && error.contains("not yet"),
        "{error}"
    );
    hitless("echo bad configuration; exit 3");
    let options = UpOptions {
        ready_timeout: Duration::from_secs(3600),
        ..options
    };
    let error = up(&lab.file(), &options).unwrap_err().to_string();
    assert!(
        error.contains("ended (exit status: 3)") && error.contains("bad configuration"),
        "{error}"
    );
    assert_eq!(lab.traces(), Vec::<String>::new());
}

pub fn labs_side_by_side() {
    let labs = [Lab::new(PAIR), Lab::new(PAIR)];
    std::thread::scope(|scope| {
        for lab in &labs {
            scope.spawn(|| lab.up().unwrap());
        }
    });
    for lab in &labs {
        lab.run("a", &["ping", "-c", "1", "-W", "5", "10.9.0.2"]);
    }
    down(&labs[0].name).unwrap();
    labs[1].run("a", &["ping", "-c", "1", "-W", "5", "10.9.0.2"]);
}

pub fn a_startup_delay_holds_back_one_node() {
    let lab = Lab::new(
        "name: x\ntopology:\n  defaults: {kind: linux, image: a}\n  nodes:\n    slow: {startup-delay: 1, binds: ['.:/lab'], exec: ['sh -c \"date +%s.%N > /lab/slow\"']}\n    fast: {binds: ['.:/lab'], exec: ['sh -c \"date +%s.%N > /lab/fast\"']}\n",
    );
    lab.up().unwrap();
    let time = |name: &str| {
        fs::read_to_string(lab.path(name))
            .unwrap()
            .trim()
            .parse::<f64>()
            .unwrap()
    };
    // Only a lower bound: a busy machine may take longer.
    assert!(time("fast") < time("slow"));
}
