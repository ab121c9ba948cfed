//! A real socket in a temporary directory, with a small stand-in for the daemon behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Stream;
use std::thread::JoinHandle;

use hitless_common::{Mac, VlanId};
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::access::Groups;
use super::super::api::{FdbKind, FdbPage, FdbRow, Reply, VersionInfo};
use super::super::client::{Client, ClientError};
use super::*;

/// Entries of the stand-in's FDB.
const ROWS: u64 = 10_000;

mod access;

/// The stand-in: knows its version and an FDB of [`ROWS`], refuses the rest, drops `clear hardware`, and leaves
/// `delete fdbentry` to [`Served::held`].
fn answer(request: &Request) -> Option<Response> {
    let reply = match request {
        Request::ShowVersion {} => Ok(Reply::Version(VersionInfo::own())),
        Request::ShowFdb { cursor, limit, .. } => {
            let end = (cursor + u64::from(*limit)).min(ROWS);
            // Descending, and with the last entry of the page before again, as after a displacement.
            let row = |n: u64| FdbRow {
                vlan: VlanId::MIN,
                mac: Mac::from_u64(0x0200_0000_0000 + (ROWS - n)),
                port: None,
                kind: FdbKind::Blackhole,
                age_seconds: 0,
            };
            Ok(Reply::Fdb(FdbPage {
                entries: (cursor.saturating_sub(1)..end).map(row).collect(),
                next: (end < ROWS).then_some(end),
            }))
        }
        Request::ClearHardware {} => return None,
        _ => Err(ApiError::new(ErrorKind::Refused, "not today")),
    };
    Some(reply.into())
}

/// Nobody but this user, and root.
fn access() -> Access {
    Access::new(Groups::default())
}

/// A served socket. Dropping it stops the server.
struct Served {
    dir: TempDir,
    /// What is to be answered by the test.
    held: std::sync::Mutex<std::sync::mpsc::Receiver<Asker>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start(change: impl FnOnce(&mut Server)) -> Self {
        Self::start_with(access(), change)
    }

    fn start_with(access: Access, change: impl FnOnce(&mut Server)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Others reach the socket, as they do in the run directory.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let mut server = Server::bind(&dir.path().join("control.sock"), access).unwrap();
        change(&mut server);
        let (stop, stopped) = oneshot::channel();
        let (hold, held) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (calls, mut asked) = channel();
                let daemon = tokio::spawn(async move {
                    while let Some(Call { request, reply }) = asked.recv().await {
                        if matches!(request, Request::ClearQuarantine {}) {
                            let _ = hold.send(reply);
                        } else if let Some(response) = answer(&request) {
                            reply.send(response);
                        }
                    }
                });
                let stop = async { drop(stopped.await) };
                server.serve(calls, stop).await.unwrap();
                daemon.await.unwrap();
            });
        });
        Self {
            dir,
            held: held.into(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    fn client(&self) -> Client {
        Client::connect(&self.path()).unwrap()
    }

    fn stream(&self) -> Stream {
        let stream = Stream::connect(self.path()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

fn version(client: &mut Client) {
    let reply = client.call(&Request::ShowVersion {}).unwrap();
    assert_eq!(reply, Reply::Version(VersionInfo::own()));
}

/// Sends bytes and reads all that comes back until the server hangs up.
fn send(stream: &mut Stream, bytes: &[u8]) -> String {
    // The server may hang up before everything is sent; its answer is there nevertheless.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(answer).unwrap()
}

fn kind_of(line: &str) -> ErrorKind {
    match serde_json::from_str(line).unwrap() {
        Response::Error(error) => error.kind,
        Response::Ok(reply) => panic!("{reply:?}"),
    }
}

#[test]
fn requests_are_answered_in_their_order() {
    let served = Served::start(|_| ());
    let mut client = served.client();
    for _ in 0..3 {
        version(&mut client);
        let error = client.call(&Request::ShowPorts { port: None }).unwrap_err();
        assert!(matches!(error, ClientError::Refused(e) if e.kind == ErrorKind::Refused));
    }
    // A refusal does not end the connection, and two requests may come in one piece.
    let two = "{\"request\":\"show-switch\"}\n{\"request\":\"show-version\"}\r\n";
    let answers = send(&mut served.stream(), two.as_bytes());
    let lines: Vec<&str> = answers.lines().collect();
    assert_eq!(lines.len(), 2, "{answers}");
    assert_eq!(kind_of(lines[0]), ErrorKind::Refused);
    assert!(lines[1].starts_with("{\"ok\":{\"version\":"), "{answers}");
}

#[test]
fn the_fdb_comes_page_by_page_once_and_in_order() {
    let served = Served::start(|_| ());
    let rows = served.client().fdb(None, None, None).unwrap();
    let macs: Vec<u64> = rows
        .iter()
        .map(|row| row.mac.to_u64() - 0x0200_0000_0000)
        .collect();
    assert_eq!(macs, (1..=ROWS).collect::<Vec<u64>>());
}

#[test]
fn bad_lines_are_answered_and_hung_up_on() {
    let served = Served::start(|_| ());
    for bad in [
        "",
        "{}",
        "x",
        "{\"request\":\"reboot\"}",
        "[1]",
        "null",
        "\u{0}",
        "{\"request\":\"show-version\"} x",
    ] {
        // The request behind the bad line is not answered any more.
        let text = format!("{bad}\n{{\"request\":\"show-version\"}}\n");
        let answer = send(&mut served.stream(), text.as_bytes());
        assert_eq!(answer.lines().count(), 1, "{bad}: {answer}");
        assert_eq!(kind_of(&answer), ErrorKind::BadRequest, "{bad}: {answer}");
    }
    let deep = format!("{}\n", "[".repeat(60_000));
    assert_eq!(
        kind_of(&send(&mut served.stream(), deep.as_bytes())),
        ErrorKind::BadRequest
    );
    version(&mut served.client());
}

#[test]
fn half_a_line_is_answered_at_its_end() {
    let served = Served::start(|_| ());
    let answer = send(&mut served.stream(), b"{\"request\":\"show-version\"}");
    assert_eq!(kind_of(&answer), ErrorKind::BadRequest);
    assert!(answer.contains("no newline"), "{answer}");
    assert_eq!(send(&mut served.stream(), b""), "");
}

#[test]
fn a_line_may_be_16_mib_long_and_no_longer() {
    let served = Served::start(|_| ());
    let mut line = b"{\"request\":\"show-version\"}".to_vec();
    line.resize(Privilege::Admin.max_request_bytes(), b' ');
    line.push(b'\n');
    assert!(send(&mut served.stream(), &line).starts_with("{\"ok\""));
    line.insert(0, b' ');
    assert_eq!(
        kind_of(&send(&mut served.stream(), &line)),
        ErrorKind::TooLong
    );
    let huge = vec![b'x'; 32 << 20];
    assert_eq!(
        kind_of(&send(&mut served.stream(), &huge)),
        ErrorKind::TooLong
    );
    version(&mut served.client());
}

#[test]
fn the_connection_that_waited_longest_makes_room() {
    let served = Served::start(|server| server.limits.admin.0 = 3);
    let mut clients: Vec<Client> = (0..3).map(|_| served.client()).collect();
    clients.iter_mut().for_each(version);
    // The first one asks again, so the second one has waited longest.
    version(&mut clients[0]);
    let mut newcomer = served.client();
    version(&mut newcomer);
    let error = clients[1].call(&Request::ShowVersion {}).unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(e) if e.kind == ErrorKind::Busy),
        "{error}"
    );
    version(&mut clients[0]);
    version(&mut clients[2]);
    version(&mut newcomer);
}

#[test]
fn nobody_keeps_others_out() {
    let served = Served::start(|_| ());
    let page = format!("{{\"request\":\"show-fdb\",\"limit\":{ROWS}}}\n");
    let greedy = page.repeat(20);
    // Some say nothing, some half a line, some take no answer.
    let idlers: Vec<Stream> = (0..3 * MAX_CONNECTIONS)
        .map(|i| {
            let mut stream = served.stream();
            let said = ["", "{\"request\"", &greedy][i % 3];
            let _ = stream.write_all(said.as_bytes());
            stream
        })
        .collect();
    for _ in 0..3 {
        version(&mut served.client());
    }
    drop(idlers);
    version(&mut served.client());
}

#[test]
fn while_all_are_being_answered_newcomers_wait() {
    let served = Served::start(|server| server.limits.admin = (1, 1));
    let request = Request::ClearQuarantine {};
    let line = serde_json::to_string(&request).unwrap() + "\n";
    let mut held = served.stream();
    held.write_all(line.as_bytes()).unwrap();
    let answer = served.held.lock().unwrap().recv().unwrap();
    // The first newcomer waits, the second is told that there are too many.
    let mut first = served.stream();
    first
        .write_all(b"{\"request\":\"show-version\"}\n")
        .unwrap();
    let error = served.client().call(&Request::ShowVersion {}).unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused(e) if e.kind == ErrorKind::Busy),
        "{error}"
    );
    answer.send(Response::Ok(Reply::Done {}));
    let mut line = String::new();
    BufReader::new(first).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"ok\""), "{line}");
    let mut answers = String::new();
    BufReader::new(held).read_to_string(&mut answers).unwrap();
    assert_eq!(
        answers.lines().count(),
        2,
        "its answer and why it was closed: {answers}"
    );
}

#[test]
fn all_connections_are_served_at_once() {
    let served = Served::start(|_| ());
    let mut clients: Vec<Client> = (0..MAX_CONNECTIONS).map(|_| served.client()).collect();
    for _ in 0..3 {
        clients.iter_mut().for_each(version);
    }
}

#[test]
fn idle_connections_are_closed() {
    let served = Served::start(|server| server.idle = Duration::from_millis(20));
    let mut stream = served.stream();
    // Waits for the server to hang up.
    assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0);
    let mut stream = served.stream();
    stream.write_all(b"{\"request\"").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert_eq!(kind_of(&line), ErrorKind::BadRequest);
}

#[test]
fn an_answer_that_nobody_takes_ends_the_connection() {
    let served = Served::start(|server| server.idle = Duration::from_millis(200));
    let mut stream = served.stream();
    stream.set_nonblocking(true).unwrap();
    let page = format!("{{\"request\":\"show-fdb\",\"limit\":{ROWS}}}\n");
    // Far more answers than the socket's buffers hold, and none is read.
    loop {
        match stream.write(page.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(_) => break,
        }
    }
}

#[test]
fn a_request_that_the_daemon_drops_is_answered() {
    let served = Served::start(|_| ());
    let error = served
        .client()
        .call(&Request::ClearHardware {})
        .unwrap_err();
    assert!(matches!(error, ClientError::Refused(e) if e.kind == ErrorKind::Stopping));
}

#[test]
fn stopping_closes_connections_and_removes_the_socket() {
    let mut served = Served::start(|_| ());
    let mut client = served.client();
    version(&mut client);
    served.stop();
    assert!(!served.path().exists());
    assert!(matches!(
        client.call(&Request::ShowVersion {}),
        Err(ClientError::Closed { .. })
    ));
    assert!(matches!(
        Client::connect(&served.path()),
        Err(ClientError::NotRunning { .. })
    ));
}

#[test]
fn the_socket_has_its_mode_and_replaces_a_dead_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    // Left by a process that was killed, beside one that was killed while it made its socket.
    drop(StdListener::bind(&path).unwrap());
    drop(StdListener::bind(path.with_extension("new")).unwrap());
    let server = Server::bind(&path, access()).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!path.with_extension("new").exists());

    assert!(matches!(
        Server::bind(&path, access()),
        Err(BindError::InUse { .. })
    ));
    // What another process put in the place of ours stays when we go.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(server);
    let error = Server::bind(&path, access()).unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_socket_that_can_not_be_made_is_explained() {
    let error = Server::bind(Path::new("/nonexistent/x.sock"), access())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nonexistent/x.new: No such file"),
        "{error}"
    );
    let dir = tempfile::tempdir().unwrap();
    assert!(Server::bind(&dir.path().join("x".repeat(200)), access()).is_err());
}

#[test]
fn a_switch_that_never_answers_or_talks_nonsense() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = StdListener::bind(&path).unwrap();
    let serve = |answer: &'static [u8]| {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            stream.read_line(&mut String::new()).unwrap();
            stream.get_mut().write_all(answer).unwrap();
        })
    };
    for (answer, garbled) in [
        (&b""[..], false),
        (b"hello\n", true),
        (b"{\"ok\":{\"x\":1}}\n", true),
        (b"\xff\n", true),
    ] {
        let server = serve(answer);
        let error = Client::connect(&path)
            .unwrap()
            .call(&Request::ShowVersion {})
            .unwrap_err();
        assert_eq!(
            matches!(error, ClientError::Garbled { .. }),
            garbled,
            "{error}"
        );
        assert_eq!(
            matches!(error, ClientError::Closed { .. }),
            !garbled,
            "{error}"
        );
        server.join().unwrap();
    }
    let server = serve(b"{\"ok\":{\"done\":{}}}\n");
    let error = Client::connect(&path)
        .unwrap()
        .fdb(None, None, None)
        .unwrap_err();
    assert!(
        error.to_string().contains("answers another question: Done"),
        "{error}"
    );
    server.join().unwrap();
}

#[test]
fn random_bytes_never_reach_the_daemon_nor_stop_it() {
    let served = Served::start(|_| ());
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let pieces = proptest::collection::vec(bytes, 1..8);
    let check = |pieces: Vec<Vec<u8>>| {
        let mut stream = served.stream();
        for piece in &pieces {
            let _ = stream.write_all(piece);
        }
        let answer = send(&mut stream, b"");
        for line in answer.lines() {
            prop_assert_eq!(kind_of(line), ErrorKind::BadRequest);
        }
        let sent = pieces.iter().any(|piece| !piece.is_empty());
        prop_assert_eq!(answer.lines().count(), usize::from(sent));
        version(&mut served.client());
        Ok(())
    };
    proptest::test_runner::TestRunner::default()
        .run(&pieces, check)
        .unwrap();
}
