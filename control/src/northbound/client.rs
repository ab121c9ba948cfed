//! The asking end of the control socket, blocking. For the command line, and for tests.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hitless_common::{Mac, PortNo};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::TimeVal;
use nix::unistd::{Gid, Group};

use super::api::{ApiError, FdbPage, FdbRow, MAX_FDB_PAGE, Reply, Request, Response, VlanRef};

/// Time for the daemon to answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer that is read, in bytes.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024 * 1024;

/// Why there is no answer, or no good one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No process serves the socket.
    #[error("no hitlessd serves {}: {source}", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket can not be used by this user, or at all.
    #[error("can not connect to {}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon does not answer.
    #[error("hitlessd at {} does not answer within {} s", path.display(), patience.as_secs_f32())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        patience: Duration,
    },
    /// The daemon hung up.
    #[error("hitlessd at {} hung up without an answer: {source}", path.display())]
    Closed {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is none that this version understands.
    #[error(
        "the answer of hitlessd at {} is not understood ({why}); is it of another version? see `show version`",
        path.display()
    )]
    Garbled {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The switch answered that it does not do it.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl ClientError {
    /// The error for an answer to another question.
    #[must_use]
    pub fn unexpected(path: &Path, reply: &Reply) -> Self {
        let text = format!("{reply:?}");
        let kind = text.split([' ', '(']).next().unwrap_or_default();
        Self::Garbled {
            path: path.into(),
            why: format!("it answers another question: {kind}"),
        }
    }
}

/// Connects, waiting for at most `patience`, which also holds for every later read and write.
pub(super) fn open(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd: OwnedFd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
    let time = TimeVal::new(seconds, i64::from(patience.subsec_micros()));
    // Bounds the wait in connect(2) too, when the backlog of a stopped daemon is full.
    socket::setsockopt(&fd, sockopt::SendTimeout, &time)?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    let stream = UnixStream::from(fd);
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// An error of connecting; one of permissions says who may connect.
fn with_advice(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let socket = fs::symlink_metadata(path);
    let who = match socket.map(|socket| (socket.gid(), socket.mode() & 0o020 != 0)) {
        Ok((gid, true)) => {
            let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
            let group = group.map_or_else(|| gid.to_string(), |group| group.name);
            format!(
                "root and members of group {group} may; who was added to the group has to log in again"
            )
        }
        // It is for its owner alone, or even the way to it is closed.
        _ => "only root may".into(),
    };
    io::Error::new(error.kind(), format!("permission denied; {who}"))
}

/// A connection to a switch.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
    patience: Duration,
}

impl Client {
    /// Connects to a control socket.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if nobody serves it, else what keeps us out.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        Self::connect_within(path, ANSWER_TIMEOUT)
    }

    /// Connects to a control socket, for answers that are of use only for so long.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_within(path: &Path, patience: Duration) -> Result<Self, ClientError> {
        let stream = open(path, patience).map_err(|source| {
            let source = with_advice(path, source);
            let path = path.to_path_buf();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NotRunning { path, source }
                }
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    ClientError::NoAnswer { path, patience }
                }
                _ => ClientError::Connect { path, source },
            }
        })?;
        Ok(Self {
            stream: BufReader::new(stream),
            path: path.into(),
            patience,
        })
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the switch's own error, else why there is no answer.
    pub fn call(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let mut line = serde_json::to_vec(request).map_err(|error| self.garbled(&error))?;
        line.push(b'\n');
        let sent = self.stream.get_mut().write_all(&line);
        // A switch that hangs up early has said why before, so the answer is read all the same.
        let response = self.response();
        match (sent, response) {
            (_, Ok(Response::Ok(reply))) => Ok(reply),
            (_, Ok(Response::Error(error))) => Err(error.into()),
            (Err(error), Err(_)) => Err(self.lost(error)),
            (Ok(()), Err(error)) => Err(error),
        }
    }

    /// Every FDB entry that matches, by VLAN and address, read page by page. Not a snapshot: entries that
    /// come or go meanwhile may be in it or not.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn fdb(
        &mut self,
        vlan: Option<&VlanRef>,
        port: Option<PortNo>,
        mac: Option<Mac>,
    ) -> Result<Vec<FdbRow>, ClientError> {
        let mut rows: Vec<FdbRow> = Vec::new();
        let mut cursor = 0;
        loop {
            let request = Request::ShowFdb {
                vlan: vlan.cloned(),
                port,
                mac,
                cursor,
                limit: MAX_FDB_PAGE,
            };
            let FdbPage { entries, next } = match self.call(&request)? {
                Reply::Fdb(page) => page,
                other => return Err(self.unexpected(&other)),
            };
            rows.extend(entries);
            match next {
                None => break,
                Some(next) if next == cursor => {
                    return Err(self.garbled(&"a page of the FDB leads back to itself"));
                }
                Some(next) => cursor = next,
            }
        }
        rows.sort_by_key(|row| (row.vlan, row.mac));
        rows.dedup_by_key(|row| (row.vlan, row.mac));
        Ok(rows)
    }

    /// The error for an answer to another question.
    #[must_use]
    pub fn unexpected(&self, reply: &Reply) -> ClientError {
        ClientError::unexpected(&self.path, reply)
    }

    fn response(&mut self) -> Result<Response, ClientError> {
        let mut line = Vec::new();
        let read = self
            .stream
            .by_ref()
            .take(MAX_RESPONSE_BYTES)
            .read_until(b'\n', &mut line);
        match read {
            Err(error) => Err(self.lost(error)),
            // The end of the stream, also within an answer: the daemon is gone.
            Ok(read) if read < MAX_RESPONSE_BYTES as usize && !line.ends_with(b"\n") => {
                Err(self.lost(io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(_) => serde_json::from_slice(&line).map_err(|error| self.garbled(&error)),
        }
    }

    fn lost(&self, source: io::Error) -> ClientError {
        let (path, patience) = (self.path.clone(), self.patience);
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::NoAnswer { path, patience }
            }
            _ => ClientError::Closed { path, source },
        }
    }

    fn garbled(&self, why: &dyn std::fmt::Display) -> ClientError {
        ClientError::Garbled {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }
}
