//! Connections of other users, which only root can make: the cases do nothing when it is not root who runs them.

use std::os::unix::fs::FileTypeExt;

use nix::unistd::geteuid;

use super::super::super::access::NamedGroup;
use super::*;

const ADMINS: u32 = 54_321;
const LOOKERS: u32 = 54_322;
const ALICE: u32 = 54_001;
const BOB: u32 = 54_002;

fn groups() -> Groups {
    let group = |name: &str, gid| {
        Some(NamedGroup {
            name: name.into(),
            gid,
        })
    };
    Groups {
        admin: group("netops", ADMINS),
        read_only: group("noc", LOOKERS),
    }
}

/// Runs on a thread of another user; credentials are a thread's to the kernel.
fn as_user<T: Send>(uid: u32, supplementary: &[u32], act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let groups = supplementary;
            // SAFETY: system calls with plain numbers and a slice that outlives them; not those of libc, which would
            // change every thread.
            let results = unsafe {
                [
                    libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()),
                    libc::syscall(libc::SYS_setresgid, uid, uid, uid),
                    libc::syscall(libc::SYS_setresuid, uid, uid, uid),
                ]
            };
            assert_eq!(results, [0; 3]);
            act()
        });
        thread.join().unwrap()
    })
}

fn can_be_others() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("only root can be other users; nothing was tested");
    }
    root
}

fn refusal(result: Result<Reply, ClientError>) -> ApiError {
    match result {
        Err(ClientError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn admins_change_and_read_only_users_look() {
    if !can_be_others() {
        return;
    }
    let served = Served::start_with(Access::new(groups()), |_| ());
    let change = Request::Save { bank: None };
    as_user(ALICE, &[5, ADMINS], || {
        let mut client = served.client();
        version(&mut client);
        // It is the stand-in that refuses.
        assert_eq!(refusal(client.call(&change)).message, "not today");
    });
    as_user(BOB, &[LOOKERS, 5], || {
        let mut client = served.client();
        for _ in 0..3 {
            version(&mut client);
            let error = refusal(client.call(&change));
            assert_eq!(error.kind, ErrorKind::Forbidden);
            for words in [
                "uid 54002 may look",
                "`save`",
                "root and members of group netops",
            ] {
                assert!(error.message.contains(words), "{}", error.message);
            }
        }
        // Pipelined in one piece, none slips through.
        let lines =
            "{\"request\":\"clear-quarantine\"}\n".repeat(3) + "{\"request\":\"show-version\"}\n";
        let answers = send(&mut served.stream(), lines.as_bytes());
        let kinds: Vec<ErrorKind> = answers.lines().take(3).map(kind_of).collect();
        assert_eq!(kinds, [ErrorKind::Forbidden; 3]);
        assert!(answers.lines().nth(3).unwrap().starts_with("{\"ok\""));
    });
    assert!(
        served.held.lock().unwrap().try_recv().is_err(),
        "the daemon was not asked"
    );
}

#[test]
fn strangers_are_told_and_hung_up_on() {
    if !can_be_others() {
        return;
    }
    let served = Served::start_with(Access::new(groups()), |server| {
        server.limits.read_only = (1, 1);
    });
    for supplementary in [&[][..], &[0, 5, 6], &[ALICE]] {
        as_user(ALICE, supplementary, || {
            // However often, and whether they ask or not.
            for _ in 0..200 {
                let answer = send(&mut served.stream(), b"");
                assert_eq!(kind_of(&answer), ErrorKind::Forbidden, "{answer}");
            }
            let error = refusal(served.client().call(&Request::ShowVersion {}));
            assert_eq!(error.kind, ErrorKind::Forbidden);
            assert!(error.message.contains("group netops"), "{}", error.message);
        });
    }
    version(&mut served.client());
}

#[test]
fn the_privilege_is_that_of_the_process_that_connected() {
    if !can_be_others() {
        return;
    }
    let served = Served::start_with(Access::new(groups()), |_| ());
    let mut client = as_user(BOB, &[LOOKERS], || served.client());
    // Root writes, and it is still the connection of somebody who may only look.
    let error = refusal(client.call(&Request::Save { bank: None }));
    assert_eq!(error.kind, ErrorKind::Forbidden);
    version(&mut client);
}

#[test]
fn read_only_users_take_no_place_from_admins_nor_all_from_each_other() {
    if !can_be_others() {
        return;
    }
    let served = Served::start_with(Access::new(groups()), |server| {
        server.limits = Limits {
            admin: (2, 2),
            read_only: (6, 2),
            of_one_user: 4,
        };
    });
    let crowd: Vec<Stream> = as_user(BOB, &[LOOKERS], || {
        let all = (0..4).map(|_| served.stream()).collect();
        let error = refusal(served.client().call(&Request::ShowVersion {}));
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(
            error.message.contains("uid 54002 has 4"),
            "{}",
            error.message
        );
        all
    });
    as_user(ALICE, &[LOOKERS], || version(&mut served.client()));
    // Both places of admins are free, and at once: nobody has to make room.
    let mut admins = [served.client(), served.client()];
    admins.iter_mut().for_each(version);
    // A connection that is closed gives its share back.
    drop(crowd);
    let again = || served.client().call(&Request::ShowVersion {});
    as_user(BOB, &[LOOKERS], || while again().is_err() {});
}

#[test]
fn a_question_is_at_most_64_kib_long() {
    if !can_be_others() {
        return;
    }
    let served = Served::start_with(Access::new(groups()), |_| ());
    as_user(BOB, &[LOOKERS], || {
        let mut line = b"{\"request\":\"show-version\"}".to_vec();
        line.resize(64 << 10, b' ');
        line.push(b'\n');
        assert!(send(&mut served.stream(), &line).starts_with("{\"ok\""));
        line.insert(0, b' ');
        let answer = send(&mut served.stream(), &line);
        assert_eq!(kind_of(&answer), ErrorKind::TooLong);
        assert!(
            answer.contains("65536 bytes from read-only users"),
            "{answer}"
        );
    });
}

#[test]
fn the_socket_belongs_to_the_admins() {
    if !can_be_others() {
        return;
    }
    let file = |groups: Groups| {
        let served = Served::start_with(Access::new(groups), |_| ());
        let metadata = fs::symlink_metadata(served.path()).unwrap();
        assert!(metadata.file_type().is_socket());
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    assert_eq!(file(groups()), (0, ADMINS, 0o666));
    let admins_only = Groups {
        read_only: None,
        ..groups()
    };
    assert_eq!(file(admins_only.clone()), (0, ADMINS, 0o660));
    assert_eq!(file(Groups::default()).2, 0o600);
    // Who is not of them is told by the client, since the kernel does not let it connect.
    let served = Served::start_with(Access::new(admins_only), |_| ());
    let error = as_user(BOB, &[LOOKERS], || Client::connect(&served.path())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("group 54321"), "{text}");
    as_user(ALICE, &[ADMINS], || version(&mut served.client()));
}
