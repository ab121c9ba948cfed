//! The switch's own MAC address: that of its bridge identifiers (IEEE 802.1D-2004 9.2.5).
//!
//! It has to stay what it is while either module comes and goes, and to be no other switch's. So it is the lowest
//! address of the ports' devices, as Linux bridges have it, chosen once and kept in the switch's run directory.

use hitless_common::Mac;
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use tracing::{info, warn};

const FILE: &str = "system-mac";

/// The address that was chosen before, or one that is chosen now: the lowest of `devices`, or one made up if there is
/// none that could be.
///
/// `seed` is a random number of this switch.
pub fn system_mac(run_dir: &Path, devices: impl Iterator<Item = Mac>, seed: u64) -> Mac {
    let file = run_dir.join(FILE);
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<Mac>() {
            Ok(mac) if mac.is_station() => return mac,
            _ => warn!(
                "{}: {:?} is no MAC address of a station, and another one is chosen",
                file.display(),
                text.trim()
            ),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => warn!("{}: {e}; the system MAC may change", file.display()),
    }
    let mac = devices
        .filter(|mac| mac.is_station())
        .min()
        .unwrap_or_else(|| made_up(seed));
    if let Err(e) = keep(&file, mac) {
        warn!(
            "{}: {e}; the system MAC may change with the next module",
            file.display()
        );
    }
    info!(system_mac = %mac, "the switch's own MAC address");
    mac
}

/// Written beside and renamed, so that half an address is never read.
fn keep(file: &Path, mac: Mac) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut opened = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    writeln!(opened, "{mac}")?;
    fs::rename(&new, file)
}

/// A locally administered address (IEEE 802-2014 8.4) that hardly another switch has.
fn made_up(seed: u64) -> Mac {
    let [a, b, c, d, e, ..] = seed.to_ne_bytes();
    Mac([0x02, a, b, c, d, e])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(last: u8) -> Mac {
        Mac([2, 0, 0, 0, 0, last])
    }

    #[test]
    fn it_is_chosen_once() {
        let dir = tempfile::tempdir().unwrap();
        let group = Mac([1, 0, 0, 0, 0, 1]);
        let devices = [group, Mac::ZERO, mac(7), mac(3)];
        assert_eq!(system_mac(dir.path(), devices.into_iter(), 1), mac(3));
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "open to others");
        // Later devices make no difference, and neither does their lack.
        assert_eq!(system_mac(dir.path(), [mac(1)].into_iter(), 2), mac(3));
        assert_eq!(system_mac(dir.path(), [].into_iter(), 3), mac(3));
    }

    #[test]
    fn without_a_device_it_is_made_up_and_a_spoiled_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let made_up = system_mac(dir.path(), [].into_iter(), u64::MAX);
        assert!(made_up.is_station());
        assert_ne!(
            system_mac(&dir.path().join("none"), [].into_iter(), 5),
            made_up
        );
        fs::write(dir.path().join(FILE), "ff:ff:ff:ff:ff:ff").unwrap();
        assert_eq!(system_mac(dir.path(), [mac(9)].into_iter(), 1), mac(9));
        assert_eq!(system_mac(dir.path(), [].into_iter(), 1), mac(9));
    }
}
