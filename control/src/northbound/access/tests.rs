use std::os::unix::net::UnixStream;

use proptest::prelude::*;

use super::*;

/// Users and groups of the examples.
const OWN: u32 = 990;
const ALICE: u32 = 1001;
const ADMINS: u32 = 70;
const LOOKERS: u32 = 71;
const OTHERS: u32 = 1000;

fn groups(admin: bool, read_only: bool) -> Groups {
    let group = |name: &str, gid| NamedGroup {
        name: name.into(),
        gid,
    };
    Groups {
        admin: admin.then(|| group("netops", ADMINS)),
        read_only: read_only.then(|| group("noc", LOOKERS)),
    }
}

#[test]
fn who_may_do_what() {
    use Privilege::{Admin, ReadOnly};
    let both = groups(true, true);
    for (uid, gid, supplementary, expected) in [
        (0, 0, &[][..], Some(Admin)),
        (0, OTHERS, &[OTHERS], Some(Admin)),
        (OWN, OTHERS, &[], Some(Admin)),
        (ALICE, ADMINS, &[], Some(Admin)),
        (ALICE, OTHERS, &[OTHERS, ADMINS], Some(Admin)),
        (ALICE, LOOKERS, &[], Some(ReadOnly)),
        (ALICE, OTHERS, &[5, LOOKERS, 6], Some(ReadOnly)),
        // The greater privilege counts.
        (ALICE, LOOKERS, &[ADMINS], Some(Admin)),
        (ALICE, ADMINS, &[LOOKERS], Some(Admin)),
        (ALICE, OTHERS, &[], None),
        // Group 0 is not user 0, nor is a group with the number of our user.
        (ALICE, 0, &[0, OWN], None),
        // Nor does a user get anything by the number of a group.
        (ADMINS, OTHERS, &[], None),
        (LOOKERS, OTHERS, &[], None),
    ] {
        assert_eq!(
            both.privilege(uid, gid, supplementary, OWN),
            expected,
            "uid {uid}, gid {gid}, groups {supplementary:?}"
        );
    }
    let may = |groups: &Groups, gid| groups.privilege(ALICE, gid, &[], OWN);
    assert_eq!(may(&groups(true, false), LOOKERS), None);
    assert_eq!(may(&groups(false, true), ADMINS), None);
    assert_eq!(may(&groups(false, true), LOOKERS), Some(ReadOnly));
    assert_eq!(may(&groups(false, false), 0), None);
}

proptest! {
    #[test]
    fn nobody_gets_in_without_a_group(
        uid in 1..u32::MAX, gid in any::<u32>(), supplementary in proptest::collection::vec(any::<u32>(), 0..20),
    ) {
        prop_assume!(uid != OWN);
        let all = || supplementary.iter().chain([&gid]);
        let expected = if all().any(|&g| g == ADMINS) {
            Some(Privilege::Admin)
        } else if all().any(|&g| g == LOOKERS) {
            Some(Privilege::ReadOnly)
        } else {
            None
        };
        prop_assert_eq!(groups(true, true).privilege(uid, gid, &supplementary, OWN), expected);
        prop_assert_eq!(Groups::default().privilege(uid, gid, &supplementary, OWN), None);
    }
}

#[test]
fn the_socket_is_as_open_as_it_must_be() {
    let access = |admin, read_only| {
        let access = Access::new(groups(admin, read_only));
        (access.owner(), access.mode())
    };
    assert_eq!(access(false, false), (None, 0o600));
    assert_eq!(access(true, false), (Some(ADMINS), 0o660));
    assert_eq!(access(false, true), (None, 0o666));
    assert_eq!(access(true, true), (Some(ADMINS), 0o666));
}

#[test]
fn a_group_is_missed_only_if_it_was_named() {
    let root = Groups::resolve(Some("root"), None).unwrap();
    assert_eq!(
        root.admin,
        Some(NamedGroup {
            name: "root".into(),
            gid: 0
        })
    );
    for (admin, read_only, option) in [
        (Some("no-such-group"), None, "--admin-group"),
        (None, Some("no-such-group"), "--read-only-group"),
        (Some(""), None, "--admin-group"),
    ] {
        let error = Groups::resolve(admin, read_only).unwrap_err().to_string();
        assert!(error.starts_with(option), "{error}");
    }
    let error = Groups::resolve(Some("no-such-group"), None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("groupadd --system no-such-group"),
        "{error}"
    );
    assert_eq!(find("--x", None, "no-such-group"), Ok(None));
}

#[test]
fn who_is_turned_away_is_told_whom_to_join() {
    let error = groups(true, true).forbidden(ALICE);
    assert_eq!(error.kind, ErrorKind::Forbidden);
    for words in ["uid 1001", "root and members of group netops", "group noc"] {
        assert!(error.message.contains(words), "{}", error.message);
    }
    let error = groups(false, false).forbidden(ALICE);
    assert!(
        error.message.contains(": root command"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn the_process_at_the_other_end_is_this_one() {
    let (here, _there) = UnixStream::pair().unwrap();
    let credentials = Credentials::of(&here).unwrap();
    assert_eq!(
        credentials.supplementary.len(),
        nix::unistd::getgroups().unwrap().len()
    );
    let access = Access::new(Groups::default());
    let privilege = access.privilege(&credentials);
    assert_eq!(privilege, Some(Privilege::Admin));
    let peer = credentials.peer(privilege).await;
    assert_eq!(peer.uid, geteuid().as_raw());
    assert_eq!(peer.pid, Some(std::process::id()));
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(peer.program.as_deref(), Some(name.trim_end()));
    assert!(peer.is_admin());
}

#[test]
fn a_peer_in_words() {
    let mut peer = Peer {
        uid: ALICE,
        gid: OTHERS,
        user: Some("alice".into()),
        pid: Some(4711),
        program: Some("hitless".into()),
        terminal: Some("pts/3".into()),
        privilege: Some(Privilege::Admin),
    };
    assert_eq!(
        peer.to_string(),
        "alice (uid 1001) from pts/3 (pid 4711, hitless)"
    );
    (peer.user, peer.program, peer.terminal) = (None, None, None);
    assert_eq!(peer.to_string(), "uid 1001 from no terminal (pid 4711)");
    peer.pid = None;
    assert_eq!(
        peer.to_string(),
        "uid 1001 from no terminal (unknown process)"
    );
}
