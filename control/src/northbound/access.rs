//! Who may command a switch, and who may look at it: told by the kernel from the credentials of the process at the
//! other end of the control socket, not by anything that it says itself.

use std::fmt;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Group, Uid, geteuid};

use super::api::{ApiError, ErrorKind};

pub use super::api::Privilege;

mod groups_of;
mod process;
#[cfg(test)]
mod tests;
mod users;

use process::Process;

/// The group whose members command a switch, unless another one is named.
pub const ADMIN_GROUP: &str = "hitless";

/// The group whose members look at a switch, unless another one is named.
pub const READ_ONLY_GROUP: &str = "hitless-ro";

/// A group that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedGroup {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// Why a group is not used that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// There is none of this name.
    #[error("{option} {name:?}: there is no such group; make it with `groupadd --system {name}`")]
    Unknown {
        /// The option that names it.
        option: &'static str,
        /// Its name.
        name: String,
    },
    /// The system can not tell.
    #[error("{option} {name:?}: can not look up the group: {errno}")]
    Lookup {
        /// The option that names it.
        option: &'static str,
        /// Its name.
        name: String,
        /// What the system said.
        errno: nix::errno::Errno,
    },
}

/// The groups that have a privilege. Without one, only root and the user of hitlessd have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Whose members command the switch.
    pub admin: Option<NamedGroup>,
    /// Whose members look at it.
    pub read_only: Option<NamedGroup>,
}

impl Groups {
    /// Looks the groups up: those that are named, else [`ADMIN_GROUP`] and [`READ_ONLY_GROUP`] if they are there.
    ///
    /// # Errors
    /// If a group that is named is not there.
    pub fn resolve(admin: Option<&str>, read_only: Option<&str>) -> Result<Self, GroupError> {
        Ok(Self {
            admin: find("--admin-group", admin, ADMIN_GROUP)?,
            read_only: find("--read-only-group", read_only, READ_ONLY_GROUP)?,
        })
    }

    /// What the user and the groups of a process allow it, where `own` is the user of hitlessd.
    #[must_use]
    pub fn privilege(
        &self,
        uid: u32,
        gid: u32,
        supplementary: &[u32],
        own: u32,
    ) -> Option<Privilege> {
        let is_in = |group: &Option<NamedGroup>| {
            group
                .as_ref()
                .is_some_and(|group| group.gid == gid || supplementary.contains(&group.gid))
        };
        if uid == 0 || uid == own || is_in(&self.admin) {
            Some(Privilege::Admin)
        } else if is_in(&self.read_only) {
            Some(Privilege::ReadOnly)
        } else {
            None
        }
    }

    /// Who may command the switch, in words.
    #[must_use]
    pub fn who_commands(&self) -> String {
        match &self.admin {
            Some(group) => format!("root and members of group {}", group.name),
            None => "root".into(),
        }
    }

    /// Why a user is turned away, and what would help.
    #[must_use]
    pub fn forbidden(&self, uid: u32) -> ApiError {
        let commands = self.who_commands();
        let message = match &self.read_only {
            Some(group) => format!(
                "uid {uid} may not use this switch: {commands} command it, members of group {} look at it; \
                 who was added to a group has to log in again",
                group.name
            ),
            None => format!(
                "uid {uid} may not use this switch: {commands} command it; \
                 who was added to a group has to log in again"
            ),
        };
        ApiError::new(ErrorKind::Forbidden, message)
    }
}

fn find(
    option: &'static str,
    named: Option<&str>,
    default: &str,
) -> Result<Option<NamedGroup>, GroupError> {
    let name = named.unwrap_or(default);
    match (Group::from_name(name), named) {
        (Ok(Some(group)), _) => Ok(Some(NamedGroup {
            name: group.name,
            gid: group.gid.as_raw(),
        })),
        // Nobody asked for the default one, whatever keeps it from being found.
        (_, None) => Ok(None),
        (Ok(None), Some(name)) => Err(GroupError::Unknown {
            option,
            name: name.into(),
        }),
        (Err(errno), Some(name)) => Err(GroupError::Lookup {
            option,
            name: name.into(),
            errno,
        }),
    }
}

/// The rules of a control socket.
#[derive(Clone, Debug)]
pub struct Access {
    groups: Groups,
    own: Uid,
}

impl Access {
    /// The rules with these groups, for this process.
    #[must_use]
    pub fn new(groups: Groups) -> Self {
        Self {
            groups,
            own: geteuid(),
        }
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The mode of the socket's file. With a group of those who look anybody may connect, and is told whom to ask;
    /// a file has one group only.
    #[must_use]
    pub fn mode(&self) -> u32 {
        match (&self.groups.admin, &self.groups.read_only) {
            (_, Some(_)) => 0o666,
            (Some(_), None) => 0o660,
            (None, None) => 0o600,
        }
    }

    /// The group of the socket's file; `None`: that of this process.
    #[must_use]
    pub fn owner(&self) -> Option<u32> {
        self.groups.admin.as_ref().map(|group| group.gid)
    }

    /// What the process at the other end may do, if anything.
    pub(super) fn privilege(&self, credentials: &Credentials) -> Option<Privilege> {
        self.groups.privilege(
            credentials.uid,
            credentials.gid,
            &credentials.supplementary,
            self.own.as_raw(),
        )
    }
}

/// The process that connected, as it was then.
#[derive(Debug)]
pub(super) struct Credentials {
    pub uid: u32,
    gid: u32,
    supplementary: Vec<u32>,
    process: Process,
}

impl Credentials {
    /// Asks the kernel.
    ///
    /// # Errors
    /// What `getsockopt(2)` says; who is at the other end is not known then.
    pub fn of(stream: &impl AsFd) -> nix::Result<Self> {
        let peer = getsockopt(stream, sockopt::PeerCredentials)?;
        Ok(Self {
            uid: peer.uid(),
            gid: peer.gid(),
            supplementary: groups_of::peer(stream.as_fd())?,
            process: Process::of(peer.pid(), getsockopt(stream, sockopt::PeerPidfd).ok()),
        })
    }

    /// Who it is. Looks up the user's name, which may take a moment.
    pub async fn peer(self, privilege: Option<Privilege>) -> Peer {
        Peer {
            user: users::name_of(self.uid).await,
            ..self.nameless(privilege)
        }
    }

    /// Who it is, but for the user's name.
    pub fn nameless(self, privilege: Option<Privilege>) -> Peer {
        Peer {
            uid: self.uid,
            gid: self.gid,
            user: None,
            pid: self.process.pid,
            program: self.process.program,
            terminal: self.process.terminal,
            privilege,
        }
    }
}

/// Who asks: the process that connected to the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// The user's name, if it could be found in time.
    pub user: Option<String>,
    /// Its number; `None` if it is in another pid namespace.
    pub pid: Option<u32>,
    /// The name of its program, as the kernel has it; the program may have chosen it.
    pub program: Option<String>,
    /// Its controlling terminal, as `pts/3`.
    pub terminal: Option<String>,
    /// What it may do; `None`: nothing.
    pub privilege: Option<Privilege>,
}

impl Peer {
    /// Whether it may change the switch.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.privilege == Some(Privilege::Admin)
    }

    /// The user, as `alice (uid 1001)`.
    #[must_use]
    pub fn who(&self) -> String {
        match &self.user {
            Some(user) => format!("{user} (uid {})", self.uid),
            None => format!("uid {}", self.uid),
        }
    }
}

/// As `alice (uid 1001) from pts/3 (pid 4711, hitless)`. May contain whatever the program is called.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from ", self.who())?;
        f.write_str(self.terminal.as_deref().unwrap_or("no terminal"))?;
        match (self.pid, &self.program) {
            (Some(pid), Some(program)) => write!(f, " (pid {pid}, {program})"),
            (Some(pid), None) => write!(f, " (pid {pid})"),
            (None, _) => f.write_str(" (unknown process)"),
        }
    }
}
