//! Serves the control socket: reads request lines, hands each to the daemon, writes its answer. Whatever comes
//! in is answered or hung up on; it never reaches the daemon unless it is a [`Request`] of a user who may make it.

use std::fs;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{error, warn};

use super::access::{Access, Peer};
use super::api::{ApiError, ErrorKind, Privilege, Request, Response};
use super::client;
use crate::audit::Record;

mod door;
mod places;
#[cfg(test)]
mod tests;

use door::{Admitted, Door, Rules};
use places::Place;

/// Connections of admins at a time. See the module `places` for who makes room for one more.
pub const MAX_CONNECTIONS: usize = 64;

/// Connections of admins that wait for a place; one more is told so and hung up on.
pub const MAX_NEWCOMERS: usize = 256;

/// Connections of read-only users at a time, and of those that wait. Their places are their own: whatever they do,
/// they take none from admins.
pub const MAX_READ_ONLY: (usize, usize) = (32, 64);

/// Connections of one read-only user, those that wait included.
pub const MAX_OF_ONE_USER: usize = 16;

/// A longer request is taken apart on another thread, so that the event loop does not stand still.
const LONG_REQUEST: usize = 64 << 10;

/// Time that a peer has to do something when others wait for its place.
const HASTE: Duration = Duration::from_millis(200);

/// Time for a whole request line to come, and for an answer to be taken.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests that wait for the daemon; more make their connections wait.
const QUEUE: usize = MAX_CONNECTIONS + MAX_READ_ONLY.0;

/// Time that answers under way get when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// A request on its way to the daemon, and the way back for the answer.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Who asks, and waits for the answer.
    pub reply: Asker,
}

/// Who asks, may do it, and waits for the answer; and the line that the log gets when there is one, if a change was
/// asked for. If it is dropped, the asker is told that hitlessd is about to end.
#[derive(Debug)]
pub struct Asker {
    peer: Arc<Peer>,
    reply: oneshot::Sender<Response>,
    record: Option<Record>,
}

impl Asker {
    /// Who it is.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Logs what became of the change, before the answer is sent: what was done is in the log even if this process
    /// dies while others are waited for.
    pub fn note(&mut self, response: &Response) {
        if let Some(record) = self.record.take() {
            record.ended(response);
        }
    }

    /// Sends the answer to an asker, who may be gone; logs what became of the change, if [`Asker::note`] has not.
    pub fn send(mut self, response: Response) {
        self.note(&response);
        // An asker that went away does not need the answer.
        let _ = self.reply.send(response);
    }
}

/// The way of calls from the server to the daemon.
#[must_use]
pub fn channel() -> (mpsc::Sender<Call>, mpsc::Receiver<Call>) {
    mpsc::channel(QUEUE)
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something else is at its path.
    #[error("{} exists and is no socket; remove it", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process listens there.
    #[error("another process serves {}; stop it first", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("can not {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound control socket. Dropping it removes the socket file.
#[derive(Debug)]
pub struct Server {
    listener: StdListener,
    path: PathBuf,
    /// Device and inode of the socket file, so that only our own is removed.
    file: (u64, u64),
    access: Access,
    limits: Limits,
    idle: Duration,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Places for admins, and for those of them who wait.
    admin: (usize, usize),
    /// As `admin`, for read-only users.
    read_only: (usize, usize),
    /// Of one read-only user, those that wait included.
    of_one_user: usize,
}

impl Server {
    /// Makes the socket for those whom `access` lets in, in the place of one that a dead process left. Its directory
    /// must exist. The caller makes sure (by the switch's lock) that no other hitlessd starts at the same time.
    ///
    /// # Errors
    /// If something that is no dead socket is in the way, or the system refuses.
    pub fn bind(path: &Path, access: Access) -> Result<Self, BindError> {
        let failed = |what, path: &Path| {
            let path = path.to_path_buf();
            move |source: io::Error| BindError::Io { what, path, source }
        };
        clear_the_way(path, failed)?;
        // Made beside its path and renamed, so that there is never a moment without a socket or with one of
        // another mode. A crash in between leaves a file that the next start replaces.
        let new = path.with_extension("new");
        clear_the_way(&new, failed)?;
        if new.exists() {
            fs::remove_file(&new).map_err(failed("remove", &new))?;
        }
        let listener = listen(&new, &access).map_err(failed("listen at", &new))?;
        fs::rename(&new, path).map_err(failed("make", path))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("look at", path))?;
        Ok(Self {
            listener,
            path: path.into(),
            file: (metadata.dev(), metadata.ino()),
            access,
            limits: Limits {
                admin: (MAX_CONNECTIONS, MAX_NEWCOMERS),
                read_only: MAX_READ_ONLY,
                of_one_user: MAX_OF_ONE_USER,
            },
            idle: IDLE_TIMEOUT,
        })
    }

    /// Serves until `stop` is done; then takes no more requests, gives answers under way a moment to be sent
    /// (the daemon goes on answering or drops its receiver), and removes the socket.
    ///
    /// # Errors
    /// If the socket can not be used with the runtime. Trouble with single connections is not an error.
    pub async fn serve(
        self,
        calls: mpsc::Sender<Call>,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        let mut door = Door::new(self.access.clone(), self.limits);
        let (stopping, watch_stop) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => note_panic(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => match door.admit(&stream) {
                        Ok(admitted) => {
                            let (calls, stopping) = (calls.clone(), watch_stop.clone());
                            let idle = self.idle;
                            tasks.spawn(async move {
                                connection(stream, admitted, calls, stopping, idle).await;
                            });
                        }
                        Err(error) => turn_away(&stream, error),
                    },
                    Err(error) => {
                        // Out of descriptors or memory: waits for some to be free again.
                        warn!(%error, "can not accept a connection to the control socket");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(listener);
        // Fails only if no connection is left to be told.
        let _ = stopping.send(true);
        let rest = async {
            while let Some(ended) = tasks.join_next().await {
                note_panic(ended);
            }
        };
        if timeout(GRACE, rest).await.is_err() {
            warn!("control connections were cut because their answers were not taken");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            warn!(%error, path = %self.path.display(), "can not remove the control socket");
        }
    }
}

/// Makes sure that nothing is at a path, or only a socket that nobody serves.
fn clear_the_way<E: FnOnce(io::Error) -> BindError>(
    path: &Path,
    failed: impl Fn(&'static str, &Path) -> E,
) -> Result<(), BindError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed("look at", path))?,
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.into() });
    }
    match client::open(path, Duration::from_secs(1)) {
        // Refused: the file is all that is left of it.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(BindError::InUse { path: path.into() }),
    }
}

/// A listening socket. Nobody can connect before it has its group and mode.
fn listen(path: &Path, access: &Access) -> io::Result<StdListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    socket::bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    chown(path, None, access.owner())?;
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode()))?;
    socket::listen(&fd, Backlog::MAXCONN)?;
    Ok(StdListener::from(fd))
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a control connection ended by a panic");
    }
}

/// Says why a connection is hung up on.
fn turn_away(stream: &UnixStream, error: ApiError) {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    // An empty socket buffer takes the line at once; a client that is gone needs no answer.
    let _ = socket::send(stream.as_raw_fd(), &line_of(&error.into()), flags);
}

/// The line of a response, with its newline.
fn line_of(response: &Response) -> Vec<u8> {
    let mut line = serde_json::to_vec(response).unwrap_or_else(|error| {
        error!(%error, "an answer could not be written as JSON");
        br#"{"error":{"kind":"unknown","message":"the answer could not be written"}}"#.to_vec()
    });
    line.push(b'\n');
    line
}

/// What came instead of a request line, or with it.
enum Line {
    /// A whole line is in the buffer.
    Whole,
    /// The peer closed between lines.
    Closed,
    /// The peer closed within a line.
    CutShort,
    /// The line is longer than allowed.
    TooLong,
}

/// Reads up to a newline, which is not kept, but no more than `limit` octets.
async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Line> {
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(if line.is_empty() {
                Line::Closed
            } else {
                Line::CutShort
            });
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        if line.len() + part.len() > limit {
            return Ok(Line::TooLong);
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Line::Whole);
        }
    }
}

/// Serves a connection when it has a place.
async fn connection(
    stream: UnixStream,
    admitted: Admitted,
    calls: mpsc::Sender<Call>,
    stopping: watch::Receiver<bool>,
    idle: Duration,
) {
    let Admitted {
        credentials,
        privilege,
        entry,
        rules,
        share: _share,
    } = admitted;
    let Some(place) = entry.place().await else {
        return;
    };
    let connection = Connection {
        calls,
        stopping,
        idle,
        peer: Arc::new(credentials.peer(Some(privilege)).await),
        privilege,
        rules,
    };
    connection.run(stream, place).await;
}

/// One connection.
struct Connection {
    calls: mpsc::Sender<Call>,
    stopping: watch::Receiver<bool>,
    idle: Duration,
    peer: Arc<Peer>,
    privilege: Privilege,
    rules: Arc<Rules>,
}

impl Connection {
    async fn run(mut self, stream: UnixStream, mut place: Place) {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        loop {
            line.clear();
            // A connection does not keep the room that one long request took.
            line.shrink_to(LONG_REQUEST);
            let answer = match place.wait(self.next(&mut reader, &mut line)).await {
                Some(Ok(Some(request))) => Ok(self.ask(request).await),
                Some(Ok(None)) => return,
                Some(Err(error)) => Err(error),
                None => break,
            };
            let bad = answer.is_err();
            let response = line_of(&answer.unwrap_or_else(Response::Error));
            let sent = timeout(self.idle, writer.write_all(&response));
            if !matches!(place.wait(sent).await, Some(Ok(Ok(())))) || bad {
                return;
            }
            if place.is_wanted() {
                break;
            }
        }
        let message =
            "this control connection was closed because others wait for its place; connect again";
        // Between two answers the socket's buffer takes a line, unless the peer reads none.
        let _ = writer.try_write(&line_of(&ApiError::new(ErrorKind::Busy, message).into()));
    }

    /// The next request; `None` when there is none to wait for.
    async fn next(
        &mut self,
        reader: &mut (impl AsyncBufRead + Unpin),
        line: &mut Vec<u8>,
    ) -> Result<Option<Request>, ApiError> {
        let bad = |message: String| Err(ApiError::new(ErrorKind::BadRequest, message));
        let limit = self.privilege.max_request_bytes();
        let read = tokio::select! {
            read = timeout(self.idle, read_line(reader, line, limit)) => read,
            _ = self.stopping.wait_for(|&stopping| stopping) => return Ok(None),
        };
        match read {
            Ok(Ok(Line::Whole)) => match parse(line).await {
                Ok(request) => Ok(Some(request)),
                Err(error) => bad(format!("the line is no request: {error}")),
            },
            Ok(Ok(Line::CutShort)) => bad("the last line has no newline".into()),
            Ok(Ok(Line::TooLong)) => {
                let privilege = self.privilege;
                let message = format!("a request has at most {limit} bytes from {privilege} users");
                Err(ApiError::new(ErrorKind::TooLong, message))
            }
            Err(_) if !line.is_empty() => bad(format!(
                "no whole line came within {} s",
                self.idle.as_secs()
            )),
            Ok(Ok(Line::Closed) | Err(_)) | Err(_) => Ok(None),
        }
    }

    async fn ask(&self, request: Request) -> Response {
        if request.is_change() && self.privilege != Privilege::Admin {
            return self.rules.refuse(&self.peer, &request).into();
        }
        let (reply, answer) = oneshot::channel();
        let reply = Asker {
            peer: Arc::clone(&self.peer),
            reply,
            record: Record::of(&self.peer, &request),
        };
        let call = Call { request, reply };
        if self.calls.send(call).await.is_ok()
            && let Ok(response) = answer.await
        {
            return response;
        }
        ApiError::new(
            ErrorKind::Stopping,
            "hitlessd is about to end and takes no more requests",
        )
        .into()
    }
}

/// The request in a line.
async fn parse(line: &mut Vec<u8>) -> Result<Request, String> {
    let parsed = if line.len() > LONG_REQUEST {
        let line = std::mem::take(line);
        tokio::task::spawn_blocking(move || serde_json::from_slice(&line))
            .await
            .map_err(|error| error.to_string())?
    } else {
        serde_json::from_slice(line)
    };
    parsed.map_err(|error| error.to_string())
}
