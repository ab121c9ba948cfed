//! Asks whoever is master: when the one that was asked goes away, looks for the next one until a deadline. What
//! only shows is asked again there; what changes something is not.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};
use serde::Serialize;

use super::failure::Failure;
use super::shell::Interrupts;
use super::target::Target;
use crate::northbound::api::{
    ApiError, ErrorKind, FailoverInfo, ModuleRole, ModuleSlot, MsmFailoverInfo, Reply, Request,
    SessionInfo,
};
use crate::northbound::client::{Client, ClientError};

#[cfg(test)]
mod tests;

/// Between two looks for a master.
const RETRY: Duration = Duration::from_millis(5);

/// Mastership changed hands while we were asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct MasterChange {
    /// Who answers now.
    pub master: Option<ModuleSlot>,
    /// What the new master says about it; `null` if it took over from nobody.
    pub failover: Option<FailoverInfo>,
    /// Milliseconds from the loss of the old master to an answer of the new one, as seen here.
    pub gap_ms: u64,
}

/// Which master it is. Hardware that was made anew counts its masters anew, so the process belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Master {
    generation: u64,
    pid: Option<u32>,
}

impl Master {
    fn of(info: &MsmFailoverInfo) -> Self {
        Self {
            generation: info.generation,
            pid: info.in_role(ModuleRole::Master).and_then(|m| m.pid),
        }
    }
}

/// A way to the master of a switch, whoever that is.
#[derive(Debug)]
pub(super) struct Follower {
    pub target: Target,
    wait: Duration,
    client: Option<Client>,
    /// When a master that had been reached was lost, until the next one answers.
    lost: Option<Instant>,
    /// The master that answered last, if that was asked for.
    master: Option<Master>,
    changes: Vec<MasterChange>,
    /// Where the master was at the last glance.
    slot: Option<ModuleSlot>,
    /// Nobody took over while somebody could wait for it.
    gave_up: bool,
    /// Ctrl-C ends the search.
    pub interrupts: Option<Rc<Interrupts>>,
}

impl Follower {
    /// One that looks for a master for at most `wait`.
    pub fn new(target: Target, wait: Duration) -> Self {
        Self {
            target,
            wait,
            client: None,
            lost: None,
            master: None,
            changes: Vec::new(),
            slot: None,
            gave_up: false,
            interrupts: None,
        }
    }

    /// How long to look for a master from now on.
    pub fn set_wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Lets the connection go: whoever sits at a prompt takes no place away from others.
    pub fn rest(&mut self) {
        self.client = None;
    }

    /// What a prompt shows, without waiting longer than this for anybody. `None`: there is no master, or it does not
    /// answer.
    pub fn glance(&mut self, patience: Duration) -> Option<SessionInfo> {
        // The one that was answered last may be told to make room for others meanwhile.
        self.rest();
        let look = |path| {
            let mut client = Client::connect_within(path, patience)?;
            match client.call(&Request::ShowSession {})? {
                Reply::Session(info) => Ok((client, info)),
                other => Err(client.unexpected(&other)),
            }
        };
        match look(&self.target.socket) {
            Ok((client, info)) => {
                let lost = self.lost.take();
                self.gave_up = false;
                let slot = self.slot.replace(info.slot);
                if slot != Some(info.slot) || lost.is_some() {
                    self.client = Some(client);
                    if slot.is_none() && lost.is_none() {
                        // To know another one from it.
                        let first = self.client.as_mut().map(modules);
                        self.master = first.and_then(Result::ok).map(|info| Master::of(&info));
                    } else {
                        self.note_change(lost.map(|lost| lost.elapsed()).unwrap_or_default());
                    }
                    self.client = None;
                }
                Some(info)
            }
            Err(error) => {
                if went_away(&error) && self.slot.is_some() {
                    self.lost.get_or_insert_with(Instant::now);
                }
                None
            }
        }
    }

    /// The changes of mastership since this was called last.
    pub fn take_changes(&mut self) -> Vec<MasterChange> {
        std::mem::take(&mut self.changes)
    }

    /// Asks for something that changes nothing, as often as it takes.
    pub fn show<T>(
        &mut self,
        mut ask: impl FnMut(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let mut began = None;
        loop {
            let mut client = self.client(&mut began)?;
            match ask(&mut client) {
                Ok(answer) => {
                    self.client = Some(client);
                    self.gave_up = false;
                    if let Some(lost) = self.lost.take() {
                        self.note_change(lost.elapsed());
                    }
                    return Ok(answer);
                }
                Err(error) => {
                    if !went_away(&error) {
                        return Err(self.target.explain(error));
                    }
                    self.lost.get_or_insert_with(Instant::now);
                    self.pause(&mut began, error)?;
                }
            }
        }
    }

    /// Asks for something that changes the switch, once.
    pub fn change(&mut self, request: &Request) -> Result<Reply, Failure> {
        let mut client = self.client(&mut None)?;
        match client.call(request) {
            Ok(reply) => {
                self.client = Some(client);
                Ok(reply)
            }
            Err(error) if went_away(&error) => {
                self.lost.get_or_insert_with(Instant::now);
                Err(Failure::Interrupted(interrupted(request)))
            }
            Err(error) => Err(self.target.explain(error)),
        }
    }

    /// The state of the modules.
    pub fn modules(&mut self) -> Result<MsmFailoverInfo, Failure> {
        let info = self.show(modules)?;
        self.master = Some(Master::of(&info));
        Ok(info)
    }

    /// Waits for another master than that one.
    pub fn next_master(&mut self, before: &MsmFailoverInfo) -> Result<MsmFailoverInfo, Failure> {
        let before = Master::of(before);
        let deadline = Instant::now() + self.wait;
        loop {
            let info = self.show(modules)?;
            if Master::of(&info) != before {
                self.master = Some(Master::of(&info));
                // It is what was waited for, and told as such.
                self.changes.clear();
                return Ok(info);
            }
            if Instant::now() >= deadline {
                return Err(Failure::Unreachable(format!(
                    "the master is still the same one {} s after the failover began; see `hitless show msm-failover` \
                     and `hitless show log`",
                    self.wait.as_secs_f32()
                )));
            }
            self.retry()?;
        }
    }

    /// The error for an answer to another question.
    pub fn unexpected(&self, reply: &Reply) -> Failure {
        let error = ClientError::unexpected(&self.target.socket, reply);
        self.target.explain(error)
    }

    /// A connection, the one there is or a new one, for which is looked since `began`. Whoever gets an answer by it
    /// puts it back.
    fn client(&mut self, began: &mut Option<Instant>) -> Result<Client, Failure> {
        if let Some(client) = self.client.take() {
            return Ok(client);
        }
        loop {
            let error = match Client::connect(&self.target.socket) {
                Ok(client) => return Ok(client),
                Err(error) => error,
            };
            // Nobody was there, and nobody is about to take over.
            let expected = self.lost.is_some() && !self.gave_up;
            let hopeless = !expected && !is_attended(&self.target.socket);
            if !went_away(&error) || hopeless {
                return Err(self.target.explain(error));
            }
            self.pause(began, error)?;
        }
    }

    /// Waits a moment, or gives up.
    fn pause(&mut self, began: &mut Option<Instant>, error: ClientError) -> Result<(), Failure> {
        let began = *began.get_or_insert_with(Instant::now);
        if began.elapsed() >= self.wait {
            self.gave_up = true;
            return Err(Failure::Unreachable(format!(
                "no master answered for {} s: {}",
                self.wait.as_secs_f32(),
                self.target.explain(error)
            )));
        }
        self.retry()
    }

    /// Waits between two looks.
    fn retry(&self) -> Result<(), Failure> {
        match &self.interrupts {
            Some(interrupts) if !interrupts.sleep(RETRY) => Err(Failure::Stopped),
            Some(_) => Ok(()),
            None => {
                thread::sleep(RETRY);
                Ok(())
            }
        }
    }

    /// Finds out what happened, if the new master knows. Trouble with that is no failure of what was asked.
    fn note_change(&mut self, gap: Duration) {
        let Some(Ok(info)) = self.client.as_mut().map(modules) else {
            return;
        };
        let master = Master::of(&info);
        let known = self.master.replace(master);
        if known == Some(master) {
            return;
        }
        self.changes.push(MasterChange {
            master: info.in_role(ModuleRole::Master).map(|m| m.slot),
            failover: info.last_failover,
            gap_ms: u64::try_from(gap.as_millis()).unwrap_or(u64::MAX),
        });
    }
}

fn modules(client: &mut Client) -> Result<MsmFailoverInfo, ClientError> {
    match client.call(&Request::ShowMsmFailover {})? {
        Reply::MsmFailover(info) => Ok(*info),
        other => Err(client.unexpected(&other)),
    }
}

/// Whether the one that was asked is not there any more.
fn went_away(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::NotRunning { .. }
            | ClientError::Closed { .. }
            | ClientError::Refused(ApiError {
                kind: ErrorKind::Stopping,
                ..
            })
    )
}

/// Whether some process of the switch listens beside its control socket, so that a master may come. Nobody there
/// notices: sockets of another type refuse the connection, but only if someone listens. Users other than root may not
/// look, so they take it that somebody does.
fn is_attended(control: &Path) -> bool {
    let sockets = match control.parent().map(fs::read_dir) {
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => return true,
        sockets => sockets.and_then(Result::ok),
    };
    sockets.into_iter().flatten().flatten().any(|entry| {
        entry.path().extension().is_some_and(|e| e == "sock") && listens(&entry.path())
    })
}

fn listens(path: &Path) -> bool {
    let connect = || {
        let fd: OwnedFd = socket::socket(
            AddressFamily::Unix,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)
    };
    connect() == Err(Errno::EPROTOTYPE)
}

/// What an operator should know who does not know whether a command was carried out.
fn interrupted(request: &Request) -> String {
    let look_at = match request {
        Request::ClearFdb { .. } => "hitless show fdb",
        Request::ClearStpdCounters { .. }
        | Request::RecoverStpdPorts { .. }
        | Request::CheckStpdMigration { .. } => "hitless show stpd",
        Request::Save { .. } => "hitless show switch",
        Request::DownloadImage { .. } | Request::UseImage { .. } => "hitless show version",
        Request::Configure { .. }
        | Request::ReplaceConfiguration { .. }
        | Request::ConfirmConfiguration {}
        | Request::RollbackConfiguration {} => "hitless show configuration",
        _ => "hitless show msm-failover",
    };
    format!(
        "the master went away during the command, which may have been carried out or not; it was not repeated. \
         See `{look_at}`, and `hitless show log` for what became of the master"
    )
}
