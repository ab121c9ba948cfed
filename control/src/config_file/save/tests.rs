//! Saving, cut short at every step.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{MAX_STATIC_ENTRIES, PortConfig, StaticTarget, VlanConfig};

use super::*;
use crate::config_file::{MAX_BYTES, load, parse};

const OLD: &str = "switch: sw1 # by hand\nvlans: [{id: 10, name: blue}]\n";

fn config(timeout: u32) -> Config {
    let text = format!(
        "switch: sw1\nmsm_failover: {{timeout: {timeout}, slave_config: flash}}\n\
         vlans: [{{id: 10, name: blue}}, {{id: 20}}]\n\
         ports: [{{port: 1, device: eth1, untagged: 10, tagged: [20]}}]\n"
    );
    parse(text.as_bytes(), Path::new("sw1.yml")).unwrap()
}

/// A directory with a configuration file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("sw1.yml");
    fs::write(&file, OLD).unwrap();
    (dir, file)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The real disk under a process that dies: after a number of steps nothing is done any more, and the last one that
/// writes gets only half of it written.
pub(in crate::config_file) struct Dying {
    /// Those that are done.
    pub steps: usize,
    /// Files can not be replaced, as mount points.
    pub mounted: Option<PathBuf>,
}

impl Dying {
    fn step(&mut self) -> io::Result<()> {
        self.steps = self.steps.checked_sub(1).ok_or(io::ErrorKind::Other)?;
        Ok(())
    }

    fn writes<'a>(&self, contents: &'a [u8]) -> &'a [u8] {
        match self.steps {
            0 => &contents[..contents.len() / 2],
            _ => contents,
        }
    }
}

impl Storage for Dying {
    fn create(
        &mut self,
        file: &Path,
        contents: &[u8],
        like: Option<&fs::Metadata>,
    ) -> io::Result<()> {
        self.step()?;
        Disk.create(file, self.writes(contents), like)?;
        self.step()
    }

    fn overwrite(&mut self, file: &mut File, contents: &[u8]) -> io::Result<()> {
        self.step()?;
        match self.steps {
            0 => file.write_all(self.writes(contents))?,
            _ => Disk.overwrite(file, contents)?,
        }
        self.step()
    }

    fn replace(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        if self.mounted.as_deref() == Some(to) {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        Disk.replace(from, to)
    }

    fn remove(&mut self, file: &Path) -> io::Result<()> {
        self.step()?;
        Disk.remove(file)
    }
}

#[test]
fn seed_26_what_is_saved_is_what_runs() {
    let (dir, file) = place();
    let saved = write(&config(77), &file).unwrap();
    let previous = file.with_file_name("sw1.yml.previous");
    assert_eq!(
        saved,
        Saved {
            file: file.clone(),
            previous: Some(previous.clone()),
            in_place: false
        }
    );
    assert_eq!(load(&file).unwrap(), config(77));
    assert_eq!(fs::read_to_string(&previous).unwrap(), OLD);
    assert_eq!(names(dir.path()), ["sw1.yml", "sw1.yml.previous"]);

    // The same again leaves the file before alone.
    let again = write(&config(77), &file).unwrap();
    assert_eq!((again.previous, again.in_place), (None, false));
    assert_eq!(fs::read_to_string(&previous).unwrap(), OLD);
    // Another one takes its place.
    write(&config(78), &file).unwrap();
    assert_eq!(load(&previous).unwrap(), config(77));
}

#[test]
fn whenever_the_process_dies_the_file_is_the_old_or_the_new_one() {
    let mut whole = 0;
    for steps in 0.. {
        let (_dir, file) = place();
        let mut disk = Dying {
            steps,
            mounted: None,
        };
        let result = write_to(&mut disk, &config(77), &file);
        let found = fs::read_to_string(&file).unwrap();
        let is_new = found != OLD;
        if is_new {
            assert_eq!(load(&file).unwrap(), config(77), "after {steps} steps");
            let previous = file.with_file_name("sw1.yml.previous");
            assert_eq!(fs::read_to_string(previous).unwrap(), OLD);
        }
        assert_eq!(
            result.is_ok(),
            is_new,
            "after {steps} steps the answer is right"
        );
        // What it left is no obstacle.
        write(&config(78), &file).unwrap();
        assert_eq!(load(&file).unwrap(), config(78));
        whole = steps;
        if result.is_ok() {
            break;
        }
    }
    assert!(
        whole >= 6,
        "only {whole} steps: was it cut short at each of them?"
    );
}

#[test]
fn a_mounted_file_is_overwritten_after_a_copy_was_kept() {
    let mut cut_short = 0;
    for steps in 0.. {
        let (dir, file) = place();
        let previous = file.with_file_name("sw1.yml.previous");
        let mut disk = Dying {
            steps,
            mounted: Some(file.clone()),
        };
        let result = write_to(&mut disk, &config(77), &file);
        let found = fs::read_to_string(&file).unwrap();
        match &result {
            Ok(saved) => {
                assert!(saved.in_place);
                assert_eq!(load(&file).unwrap(), config(77));
                assert_eq!(names(dir.path()), ["sw1.yml", "sw1.yml.previous"]);
            }
            Err(error @ SaveError::CutShort { .. }) => {
                cut_short += 1;
                let text = error.to_string();
                assert!(text.contains("sw1.yml.previous: copy it back"), "{text}");
            }
            Err(_) => assert_eq!(found, OLD, "after {steps} steps"),
        }
        if found != OLD {
            assert_eq!(fs::read_to_string(&previous).unwrap(), OLD);
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(cut_short >= 2);
}

#[test]
fn a_shorter_configuration_leaves_nothing_of_a_longer_one() {
    let (_dir, file) = place();
    fs::write(&file, format!("{OLD}{}", "# long\n".repeat(10_000))).unwrap();
    let mut disk = Dying {
        steps: usize::MAX,
        mounted: Some(file.clone()),
    };
    assert!(write_to(&mut disk, &config(77), &file).unwrap().in_place);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        to_yaml(&config(77)).unwrap()
    );
}

#[test]
fn links_are_followed_and_modes_are_kept() {
    let (dir, file) = place();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    fs::create_dir(dir.path().join("etc")).unwrap();
    let link = dir.path().join("etc/hitless.yaml");
    symlink("../sw1.yml", &link).unwrap();
    let second = dir.path().join("etc/second.yaml");
    symlink("hitless.yaml", &second).unwrap();

    let saved = write(&config(77), &second).unwrap();
    assert_eq!(saved.file.canonicalize().unwrap(), file);
    assert_eq!(load(&second).unwrap(), config(77));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let mode = |name| fs::metadata(dir.path().join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("sw1.yml"), mode("sw1.yml.previous")), (0o640, 0o640));
    assert_eq!(
        names(&dir.path().join("etc")),
        ["hitless.yaml", "second.yaml"]
    );

    let loop_of = dir.path().join("loop.yml");
    symlink("loop.yml", &loop_of).unwrap();
    assert!(matches!(
        write(&config(77), &loop_of),
        Err(SaveError::Io { .. })
    ));
}

#[test]
fn a_file_that_is_gone_is_made_anew() {
    let (dir, file) = place();
    fs::remove_file(&file).unwrap();
    let saved = write(&config(77), &file).unwrap();
    assert_eq!(saved.previous, None);
    assert_eq!(load(&file).unwrap(), config(77));
    assert_eq!(names(dir.path()), ["sw1.yml"]);

    let nowhere = dir.path().join("none/sw1.yml");
    let error = write(&config(77), &nowhere).unwrap_err().to_string();
    assert!(
        error.contains("none/sw1.yml: can not write it") && error.contains("make its directory"),
        "{error}"
    );
}

#[test]
fn what_the_system_refuses_is_said_with_a_remedy() {
    let error = |errno| {
        let source = io::Error::from_raw_os_error(errno);
        failed(Path::new("/etc/sw1.yml"), "write it")(source).to_string()
    };
    for (errno, remedy) in [
        (libc::EROFS, "writable"),
        (libc::EACCES, "must be allowed"),
        (libc::ENOSPC, "make room"),
    ] {
        let text = error(errno);
        assert!(
            text.starts_with("/etc/sw1.yml: can not write it") && text.contains(remedy),
            "{text}"
        );
    }
}

/// All that the rules allow at most, and as long as it can be written: as many ranges of ids as fit, lists of all
/// ports, entries and names.
#[test]
fn the_largest_configuration_is_no_larger_than_what_is_read() {
    let mut config = Config::factory("s".repeat(32).parse().unwrap());
    config.vlans = (1..=4094)
        .map(|id| {
            let name = format!("{}{id:04}", "v".repeat(28)).parse().unwrap();
            let mut vlan = VlanConfig::new(name);
            vlan.mac_limit = Some(16_777_216);
            vlan.loop_free_ports = Some(BTreeSet::new());
            (VlanId::new(id).unwrap(), vlan)
        })
        .collect();
    config.ports = PortNo::all()
        .map(|number| {
            let mut port = PortConfig::new(format!("{number:0>15}").parse().unwrap());
            // Two of three: no range is shorter than its ids.
            let ids = (1..=4094).filter(|id| id % 3 > 0);
            port.tagged = ids.filter_map(VlanId::new).collect();
            (number, port)
        })
        .collect();
    for (&id, vlan) in &mut config.vlans {
        let members = config.ports.iter().filter(|(_, port)| port.is_member(id));
        vlan.loop_free_ports = Some(members.map(|(&number, _)| number).collect());
    }
    config.fdb.static_entries = (0..MAX_STATIC_ENTRIES as u64)
        .map(|i| {
            let mac = Mac::from_u64(0x02ff_ffff_0000 | i);
            let port = PortNo::new(128).unwrap();
            ((VlanId::new(4093).unwrap(), mac), StaticTarget::Port(port))
        })
        .collect();
    let text = to_yaml(&config).unwrap();
    assert!(text.len() < MAX_BYTES, "{} bytes", text.len());
    // With the members of the third that are left, if each VLAN had all ports.
    let longest = text.len() + (4094 / 3 + 1) * 128 * "  - 128\n".len();
    assert!(longest < MAX_BYTES, "{longest} bytes");
}
