//! Images from elsewhere: taken over http or https into a file beside the banks, from which the switch loads them. What
//! is fetched is not trusted for where it came from: the switch checks the signature that the image has.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::cli::failure::Failure;

/// Largest image that is fetched, in octets.
const LARGEST: u64 = 1 << 30;

/// Octets read at a time.
const PIECE: usize = 64 * 1024;

/// Time to reach the server and for it to begin to answer.
const CONNECT: Duration = Duration::from_secs(20);

/// Time for all of the image.
const WHOLE: Duration = Duration::from_secs(600);

/// What names of fetched files begin with; the process that fetched one comes after it.
const PREFIX: &str = "download-";

/// Whether this is the address of something that is to be fetched, and no file.
pub(super) fn is_address(file: &str) -> bool {
    let begins = |scheme: &str| {
        file.get(..scheme.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    begins("http://") || begins("https://")
}

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Where it is.
    pub path: PathBuf,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        // What stays is removed by whoever fetches next.
        let _ = fs::remove_file(&self.path);
    }
}

/// Fetches an image into a directory, which is made if it is missing. Says after each piece how many octets there are,
/// of how many if the server has told.
pub(super) fn fetch(
    address: &str,
    directory: &Path,
    mut progress: impl FnMut(u64, u64) -> Result<(), Failure>,
) -> Result<Fetched, Failure> {
    let failed = |what: &str, e: &dyn std::fmt::Display| {
        Failure::File(format!("{address} can not be {what}: {e}"))
    };
    fs::create_dir_all(directory).map_err(|e| failed("kept", &e))?;
    remove_leftovers(directory);
    let response = agent()
        .get(address)
        .call()
        .map_err(|e| failed("fetched", &e))?;
    let total = response.body().content_length().unwrap_or(0);
    if total > LARGEST {
        return Err(failed("fetched", &too_large()));
    }
    let mut body = response.into_body().into_reader();
    let fetched = Fetched {
        path: directory.join(format!("{PREFIX}{}", process::id())),
    };
    let mut file = create(&fetched.path).map_err(|e| failed("kept", &e))?;
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        let octets = body
            .read(&mut piece)
            .map_err(|e| failed("fetched to its end", &e))?;
        if octets == 0 {
            break;
        }
        done += octets as u64;
        if done > LARGEST {
            return Err(failed("fetched", &too_large()));
        }
        file.write_all(&piece[..octets])
            .map_err(|e| failed("kept", &e))?;
        progress(done, total)?;
    }
    Ok(fetched)
}

fn too_large() -> String {
    format!("it has more than {LARGEST} octets, and no image has so many")
}

fn create(path: &Path) -> io::Result<File> {
    let _ = fs::remove_file(path);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Removes what a process left that is no more.
fn remove_leftovers(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let pid = pid.and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A client that trusts the authorities that the machine trusts.
fn agent() -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(CONNECT))
        .timeout_recv_body(Some(WHOLE))
        .user_agent(concat!("hitless/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread;

    /// An address that answers one request with this.
    fn server(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/x.image", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for line in lines {
                if line.unwrap().is_empty() {
                    break;
                }
            }
            let _ = stream.write_all(&answer);
        });
        address
    }

    fn ok(length: usize, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn addresses_are_told_from_files() {
        for address in ["http://a/b", "HTTPS://a/b"] {
            assert!(is_address(address), "{address}");
        }
        for file in ["x.image", "/http://", "http:", "tftp://a/b", "é"] {
            assert!(!is_address(file), "{file}");
        }
    }

    #[test]
    fn what_is_fetched_is_a_file_for_as_long_as_it_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("images");
        let body = vec![7; 3 * PIECE + 1];
        let mut told = Vec::new();
        let address = server(ok(body.len(), &body));
        let fetched = fetch(&address, &place, |done, total| {
            told.push((done, total));
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&fetched.path).unwrap(), body);
        assert_eq!(told.last(), Some(&(body.len() as u64, body.len() as u64)));
        let path = fetched.path.clone();
        drop(fetched);
        assert!(!path.exists());
    }

    #[test]
    fn what_can_not_be_fetched_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
        for (answer, says) in [
            (missing, "404"),
            (ok(100, b"cut short"), "to its end"),
            (ok((LARGEST + 1) as usize, b""), "more than"),
            (b"nonsense\r\n\r\n".to_vec(), "fetched"),
        ] {
            let error = fetch(&server(answer), directory.path(), |_, _| Ok(())).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
        // One that speaks no TLS.
        let address = server(Vec::new()).replace("http:", "https:");
        fetch(&address, directory.path(), |_, _| Ok(())).unwrap_err();
    }

    #[test]
    fn leftovers_of_processes_that_are_no_more_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = directory.path().join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let own = file(&format!("{PREFIX}{}", process::id()));
        let (old, other) = (file("download-4194305"), file("msm-a"));
        remove_leftovers(directory.path());
        assert!(own.exists() && other.exists() && !old.exists());
    }
}
