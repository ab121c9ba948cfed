//! What goes wrong, and what is left of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use hitless_topo::{Error, LabStatus, down, exec};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::UP;
use crate::lab::{Lab, PAIR, eventually};

pub fn a_failed_up_leaves_nothing() {
    for (settings, parts) in [
        (
            "      exec: ['true', 'sh -c \"echo it broke; exit 4\"']\n",
            &["node 'n'", "exec `sh -c", "exit status: 4", "it broke"][..],
        ),
        (
            "      exec: [no-such-program]\n",
            &["can not run 'no-such-program'", "No such file"],
        ),
        (
            "      cmd: no-such-program -x\n",
            &[
                "start its command",
                "run `no-such-program -x`",
                "No such file",
            ],
        ),
        (
            "      sysctls: {net.no.such: 1}\n",
            &["prepare the node", "sysctl net.no.such"],
        ),
        (
            "      binds: ['.:/etc/passwd']\n",
            &["/etc/passwd", "one is a directory, the other a file"],
        ),
        (
            "  links:\n    - endpoints: ['n:eth1', 'n:eth2']\n    - endpoints: ['n:eth3', 'n:same']\n      mtu: 1500\n",
            &[],
        ),
    ] {
        let lab = Lab::node(settings);
        match lab.up() {
            Ok(_) => assert!(parts.is_empty(), "{settings}"),
            Err(e) => {
                let text = e.to_string();
                assert!(
                    !parts.is_empty() && parts.iter().all(|p| text.contains(p)),
                    "{settings}: {text}"
                );
                assert_eq!(lab.traces(), Vec::<String>::new(), "{settings}");
            }
        }
    }
}

pub fn a_dead_first_process() {
    let lab = Lab::new(PAIR);
    let info = lab.up().unwrap();
    kill(Pid::from_raw(info.nodes[0].pid.unwrap()), Signal::SIGKILL).unwrap();
    eventually("its end", || {
        lab.info().unwrap().status == LabStatus::Broken
    });
    let info = lab.info().unwrap();
    assert_eq!(
        (info.nodes[0].pid, info.nodes[1].pid.is_some()),
        (None, true)
    );
    assert!(matches!(
        exec(&lab.name, "a", &["true"]),
        Err(Error::NodeDead { .. })
    ));
    lab.run("b", &["true"]);
    let error = lab.up().unwrap_err().to_string();
    assert!(
        error.contains("broken") && error.contains(&format!("topo down {}", lab.name)),
        "{error}"
    );
    assert!(down(&lab.name).unwrap().was_up);
    assert_eq!(lab.traces(), Vec::<String>::new());
}

/// Brings a lab up in another process.
fn up_elsewhere(lab: &Lab) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg(UP)
        .arg(lab.file())
        .arg(&lab.name)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub fn a_killed_up() {
    // At various points; whatever is there then, `down` removes it.
    let lab = Lab::new(&PAIR.replace("a: {", "a: {startup-delay: 3600, "));
    for stage in 0..4 {
        let mut child = up_elsewhere(&lab);
        eventually("the stage", || match stage {
            0 => !lab.traces().is_empty(),
            1 => lab.info().is_some_and(|info| info.nodes[0].pid.is_some()),
            2 => lab.netns("b").exists(),
            // All is there but the node that waits.
            _ => lab.info().is_some_and(|i| {
                i.nodes[1].pid.is_some()
                    && fs::read_to_string(&i.nodes[1].log)
                        .unwrap()
                        .contains("exec")
            }),
        });
        if stage == 3 {
            assert!(matches!(lab.up(), Err(Error::Busy { pid, .. }) if pid == child.id() as i32));
            assert!(matches!(down(&lab.name), Err(Error::Busy { .. })));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if stage > 0 {
            assert_eq!(lab.info().unwrap().status, LabStatus::Incomplete, "{stage}");
            let error = lab.up().unwrap_err().to_string();
            assert!(error.contains("incomplete"), "{error}");
        }
        down(&lab.name).unwrap();
        // A first process that was never recorded ends by itself.
        eventually("nothing is left", || lab.traces().is_empty());
    }
}

pub fn names_in_use() {
    let lab = Lab::new(PAIR);
    let info = lab.up().unwrap();
    match lab.up() {
        Err(e @ Error::AlreadyUp { .. }) => {
            let text = e.to_string();
            assert!(
                text.contains("is up") && text.contains(&format!("topo down {}", lab.name)),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    // The refusal changed nothing.
    assert_eq!(lab.info().unwrap(), info);
    lab.run("a", &["ping", "-c", "1", "-W", "5", "10.9.0.2"]);
    down(&lab.name).unwrap();

    // A namespace of somebody else is neither used nor removed.
    let other = format!("clab-{}-b", lab.name);
    let ip = |args: &[&str]| assert!(Command::new("ip").args(args).status().unwrap().success());
    ip(&["netns", "add", &other]);
    let inode = fs::metadata(lab.netns("b")).unwrap().ino();
    let result = lab.up();
    let still = fs::metadata(lab.netns("b")).unwrap().ino();
    ip(&["netns", "del", &other]);
    assert!(matches!(result, Err(Error::NetnsExists { netns }) if netns == other));
    assert_eq!(inode, still);
    assert_eq!(lab.traces(), Vec::<String>::new());
}
