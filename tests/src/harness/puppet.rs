//! A management module without a mind: `hitless-boot` starts this program in place of hitlessd, and a test pulls the
//! strings. It does what it is told, and tells the test what its boot says.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, getsockopt, recv, send, sockopt};
use nix::unistd::Pid;

use super::switch::DEADLINE;

/// First argument of a program that is to be a puppet; the second is the test's socket.
const WORD: &str = "--puppet";

/// Variable that names the descriptor to the boot; the product's, spelled out here because it is an interface.
const FD_VARIABLE: &str = "HITLESS_BOOT_FD";

/// Must be called first in the `main` of a program that runs tests with puppets. Returns at once, except in a
/// process that is to be one.
pub fn hook() {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == WORD)
        && let Some(socket) = arguments.next()
    {
        let arguments: Vec<_> = arguments
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        if let Err(error) = dance(Path::new(&socket), &arguments) {
            eprintln!("puppet: {error:#}");
            std::process::exit(99);
        }
        std::process::exit(0);
    }
}

/// Does what the test says until it hangs up or says `exit`.
fn dance(socket: &Path, arguments: &[String]) -> Result<()> {
    let mut test = UnixStream::connect(socket).context("connect to the test")?;
    let mut strings = BufReader::new(test.try_clone()?);
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.thread_block()?;
    let terminate = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let number: Option<i32> = env::var(FD_VARIABLE).ok().and_then(|n| n.parse().ok());
    let mut boot = number;
    let (mut kick, mut stubborn) = (None, false);
    writeln!(test, "hello {}", arguments.join(" "))?;
    loop {
        // SAFETY: left open to this process by its boot, and never closed here.
        let boot_fd = boot.map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
        let mut fds = vec![
            PollFd::new(test.as_fd(), PollFlags::POLLIN),
            PollFd::new(terminate.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(boot_fd.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = kick.map_or(PollTimeout::NONE, PollTimeout::from);
        let ready = match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => continue,
            other => other.context("poll")?,
        };
        let mut is_ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        if ready == 0 || kick.is_some() {
            tell_boot(number, b"kick")?;
        }
        // First what the boot said: it may have been before SIGTERM, and never is after.
        while let (Some(true), Some(fd)) = (is_ready.get(2), boot) {
            let mut packet = [0; 2048];
            match recv(fd, &mut packet, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => break,
                Ok(0) => {
                    boot = None;
                    writeln!(test, "boot-gone")?;
                }
                Ok(length) => {
                    writeln!(test, "boot {}", String::from_utf8_lossy(&packet[..length]))?;
                }
                Err(errno) => return Err(errno).context("hear the boot"),
            }
        }
        if is_ready[1] {
            writeln!(test, "term")?;
            while terminate.read_signal()?.is_some() {}
            if !stubborn {
                return Ok(());
            }
        }
        // Lines that came together are read together: poll knows of the socket only.
        while is_ready[0] || !strings.buffer().is_empty() {
            is_ready[0] = false;
            let mut line = String::new();
            if strings.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end_matches('\n');
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "say" => tell_boot(number, rest.as_bytes())?,
                "say-bytes" => {
                    let bytes = rest
                        .split(' ')
                        .map(str::parse)
                        .collect::<Result<Vec<u8>, _>>()?;
                    tell_boot(number, &bytes)?;
                }
                "kick" => kick = rest.parse::<u16>().ok(),
                "stubborn" => stubborn = true,
                "exit" => std::process::exit(rest.parse()?),
                "die" => {
                    let signal: i32 = rest.parse()?;
                    // The runtime's own handlers would survive a signal that somebody sent.
                    // SAFETY: no pointers are passed, and the default is no handler of ours; the process ends here.
                    unsafe {
                        libc::signal(signal, libc::SIG_DFL);
                        libc::raise(signal);
                    }
                }
                "orphan" => {
                    // The shell ends, its child lives on for a moment.
                    let mut shell = Command::new("sh");
                    shell.args(["-c", "sleep 0.05 >/dev/null 2>&1 & echo $!"]);
                    let printed = shell.stdin(Stdio::null()).output()?.stdout;
                    write!(test, "orphan {}", String::from_utf8_lossy(&printed))?;
                }
                // Lets the test know that everything before was done.
                "echo" => writeln!(test, "echo {rest}")?,
                _ => bail!("{line:?} is not understood"),
            }
        }
    }
}

fn tell_boot(fd: Option<i32>, packet: &[u8]) -> Result<()> {
    let fd = fd.with_context(|| format!("{FD_VARIABLE} is not set"))?;
    match send(fd, packet, MsgFlags::MSG_NOSIGNAL) {
        // The boot may be dead, and this process about to be.
        Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(errno) => Err(errno).context("tell the boot"),
    }
}

/// Where puppets of a test report.
#[derive(Debug)]
pub struct Stage {
    path: PathBuf,
    listener: UnixListener,
}

impl Stage {
    /// A stage whose socket is in `files`.
    ///
    /// # Errors
    /// When the socket can not be made.
    pub fn new(files: &Path) -> Result<Self> {
        Self::named(files, "stage")
    }

    /// One of several stages of a test.
    ///
    /// # Errors
    /// As [`Stage::new`].
    pub fn named(files: &Path, name: &str) -> Result<Self> {
        let path = files.join(format!("{name}.sock"));
        let listener =
            UnixListener::bind(&path).with_context(|| format!("listen at {}", path.display()))?;
        Ok(Self { path, listener })
    }

    /// The command line of a puppet for this stage.
    ///
    /// # Errors
    /// When this program does not know where it is.
    pub fn command(&self) -> Result<Vec<String>> {
        let own = env::current_exe().context("path of this program")?;
        Ok(vec![
            own.display().to_string(),
            WORD.into(),
            self.path.display().to_string(),
        ])
    }

    /// A program, made in `files`, that is a puppet for this stage whatever its arguments are.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn program(&self, files: &Path, name: &str) -> Result<PathBuf> {
        use std::os::unix::fs::OpenOptionsExt;
        let words: Vec<String> = self.command()?.iter().map(|w| format!("'{w}'")).collect();
        let path = files.join(name);
        // The descriptor is closed before anyone can run the file: it must not be open for writing then.
        let mut file = std::fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o755)
            .open(&path)?;
        writeln!(file, "#!/bin/sh\nexec {} \"$@\"", words.join(" "))?;
        Ok(path)
    }

    /// Waits for the next puppet to report.
    ///
    /// # Errors
    /// When none comes.
    pub fn next(&self) -> Result<Puppet> {
        self.within(DEADLINE)?
            .context("no module was started within the deadline")
    }

    /// The next puppet to report within this time, if there is one.
    ///
    /// # Errors
    /// When the socket fails, or who reports is no puppet.
    pub fn within(&self, time: Duration) -> Result<Option<Puppet>> {
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) => return Ok(None),
            other => other.context("poll")?,
        };
        let (stream, _) = self.listener.accept().context("accept a puppet")?;
        Puppet::new(stream).map(Some)
    }
}

/// A puppet, as its test sees it.
#[derive(Debug)]
pub struct Puppet {
    strings: UnixStream,
    lines: Receiver<String>,
    pid: u32,
    arguments: Vec<String>,
}

impl Puppet {
    fn new(strings: UnixStream) -> Result<Self> {
        let pid = getsockopt(&strings, sockopt::PeerCredentials)?.pid();
        let reader = BufReader::new(strings.try_clone()?);
        let (sender, lines) = mpsc::channel();
        std::thread::Builder::new()
            .name("puppet".into())
            .spawn(move || {
                for line in reader.lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            })
            .context("thread for a puppet")?;
        let mut puppet = Self {
            strings,
            lines,
            pid: u32::try_from(pid).context("a process id")?,
            arguments: Vec::new(),
        };
        let hello = puppet.expect("hello")?;
        puppet.arguments = hello
            .split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect();
        Ok(puppet)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its arguments, those of every puppet not among them.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Tells it what to do: `say LINE` or `say-bytes N N …` to its boot, `kick MS` every so often, `stubborn` against
    /// SIGTERM, `exit CODE`, `die SIGNAL`, `orphan`, `echo WORD`.
    ///
    /// # Errors
    /// When it is dead.
    pub fn pull(&self, what: &str) -> Result<()> {
        writeln!(&self.strings, "{what}").with_context(|| format!("{what:?} to a puppet"))
    }

    /// Waits until it has done everything that it was told before.
    ///
    /// # Errors
    /// When it is dead, or hears something else before.
    pub fn settle(&self) -> Result<()> {
        self.pull("echo done")?;
        self.expect("echo done").map(drop)
    }

    /// The next line, which must begin so.
    ///
    /// # Errors
    /// When another line comes, or none, or the puppet dies.
    pub fn expect(&self, begin: &str) -> Result<String> {
        let line = self
            .line()?
            .with_context(|| format!("the puppet died before {begin:?}"))?;
        ensure!(line.starts_with(begin), "{line:?} instead of {begin:?}");
        Ok(line)
    }

    /// What it told until it died.
    ///
    /// # Errors
    /// When it does not die.
    pub fn until_death(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        while let Some(line) = self.line()? {
            lines.push(line);
        }
        Ok(lines)
    }

    /// What it tells within this time.
    #[must_use]
    pub fn listen(&self, time: Duration) -> Vec<String> {
        let end = Instant::now() + time;
        let next = || {
            let left = end.saturating_duration_since(Instant::now());
            self.lines.recv_timeout(left).ok()
        };
        std::iter::from_fn(next).collect()
    }

    /// The next line; none when it is dead.
    fn line(&self) -> Result<Option<String>> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("the puppet says nothing for {DEADLINE:?}"),
        }
    }

    /// Sends it a signal from outside.
    ///
    /// # Errors
    /// When it is dead.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid.cast_signed()), signal)
            .with_context(|| format!("{signal} to puppet {}", self.pid))
    }
}
