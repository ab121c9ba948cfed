//! TCP throughput between two namespaces, with plain sockets as a host's application would use them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::harness::netns::Netns;

const CHUNK: usize = 128 * 1024;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends as much as goes from one namespace to an address of another, and returns gigabits a second received
/// during `duration`, after a quarter of it for the connection to find its speed.
///
/// # Errors
/// When the connection is not made or breaks.
pub fn throughput(from: &Netns, to: &Netns, address: Ipv4Addr, duration: Duration) -> Result<f64> {
    let listener = to.run(|| TcpListener::bind((address, 0)).context("listen"))?;
    let target = listener.local_addr().context("address of the listener")?;
    // The kernel completes the connection before anybody accepts it.
    let outgoing = from.run(|| {
        TcpStream::connect_timeout(&target, CONNECT)
            .with_context(|| format!("connect from {} to {target}", from.name()))
    })?;
    let (incoming, _) = listener.accept().context("accept")?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(outgoing, &stop));
        let result = receive(incoming, duration);
        stop.store(true, Ordering::Release);
        let sent = sender
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // The sender's reason explains why nothing more was received.
        sent.and(result)
    })
}

fn send(mut stream: TcpStream, stop: &AtomicBool) -> Result<()> {
    // A path that lets nothing through must not hold the sender for ever.
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    let chunk = vec![0x5a; CHUNK];
    while !stop.load(Ordering::Acquire) {
        match stream.write(&chunk) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            // The receiver has had enough.
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                return Ok(());
            }
            Err(e) => return Err(e).context("send"),
        }
    }
    Ok(())
}

fn receive(mut stream: TcpStream, duration: Duration) -> Result<f64> {
    stream.set_read_timeout(Some(CONNECT))?;
    let mut buffer = vec![0; CHUNK];
    let mut until = |end: Instant| -> Result<u64> {
        let mut octets = 0u64;
        while Instant::now() < end {
            let read = stream.read(&mut buffer).context("receive")?;
            anyhow::ensure!(read > 0, "the sender closed the connection");
            octets += read as u64;
        }
        Ok(octets)
    };
    until(Instant::now() + duration / 4)?;
    let start = Instant::now();
    let octets = until(start + duration)?;
    Ok(octets as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::run::Run;

    #[test]
    fn a_cable_carries_tcp() {
        let run = Run::new().unwrap();
        let (a, b) = (
            Netns::new(&run, "a").unwrap(),
            Netns::new(&run, "b").unwrap(),
        );
        a.veth("x", &b, "y").unwrap();
        a.address("x", "10.0.0.1/24").unwrap();
        b.address("y", "10.0.0.2/24").unwrap();
        let to = Ipv4Addr::new(10, 0, 0, 2);
        let rate = throughput(&a, &b, to, Duration::from_millis(200)).unwrap();
        assert!(rate > 0.0);
    }

    #[test]
    fn a_cut_cable_is_an_error() {
        let run = Run::new().unwrap();
        let (a, b) = (
            Netns::new(&run, "a").unwrap(),
            Netns::new(&run, "b").unwrap(),
        );
        b.address("lo", "10.0.0.2/32").unwrap();
        let to = Ipv4Addr::new(10, 0, 0, 2);
        let error = throughput(&a, &b, to, Duration::from_millis(100)).unwrap_err();
        assert!(format!("{error:#}").contains("connect"), "{error:#}");
    }
}
