//! What a switch knows at the moment, for TAB, `?` and the completion of other shells.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hitless_proto::config::{Config, StaticTarget};

use crate::grammar::{Live, Source};
use crate::northbound::api::{ConfigurationSource, Reply, Request};
use crate::northbound::client::Client;

use super::target::Target;

/// Time that a switch has for all that one line is completed with. Whoever types does not wait.
const PATIENCE: Duration = Duration::from_millis(300);

/// Addresses that are offered at most.
const MACS: u32 = 256;

/// Names of files that are offered at most.
const FILES: usize = 1_000;

/// Values for one line, asked by one connection, each source once.
pub(super) struct LiveValues<'a> {
    target: Option<&'a Target>,
    began: Instant,
    /// `None` before the first question, `Some(None)` if nobody answers.
    client: RefCell<Option<Option<Client>>>,
    known: RefCell<HashMap<Source, Values>>,
    /// What is typed of the last word, for names of files.
    typed: String,
}

type Values = Vec<(String, String)>;

impl<'a> LiveValues<'a> {
    /// Of that switch; none if it is not known.
    pub fn of(target: Option<&'a Target>, typed: &str) -> Self {
        Self {
            target,
            began: Instant::now(),
            client: RefCell::new(None),
            known: RefCell::new(HashMap::new()),
            typed: typed.into(),
        }
    }

    /// An answer, if there is one in time.
    fn ask(&self, request: &Request) -> Option<Reply> {
        let mut client = self.client.borrow_mut();
        if self.began.elapsed() >= PATIENCE {
            return None;
        }
        let connect = || Client::connect_within(&self.target?.socket, PATIENCE).ok();
        let client = client.get_or_insert_with(connect).as_mut()?;
        client.call(request).ok()
    }

    fn vlans(&self) -> Option<Values> {
        let Reply::Vlans(vlans) = self.ask(&Request::ShowVlan { vlan: None })? else {
            return None;
        };
        let names = vlans
            .iter()
            .map(|vlan| (vlan.name.to_string(), format!("VLAN {}", vlan.vlan)));
        let ids = vlans
            .iter()
            .map(|vlan| (vlan.vlan.to_string(), format!("VLAN {}", vlan.name)));
        Some(names.chain(ids).collect())
    }

    fn stpds(&self) -> Option<Values> {
        let request = Request::ShowStpd {
            stpd: None,
            ports: None,
        };
        let Reply::Stpds(stpds) = self.ask(&request)? else {
            return None;
        };
        let value = |stpd: &crate::northbound::api::StpdInfo| {
            let enabled = if stpd.enabled { "enabled" } else { "disabled" };
            (stpd.name.to_string(), format!("{}, {enabled}", stpd.mode))
        };
        Some(stpds.iter().map(value).collect())
    }

    fn ports(&self) -> Option<Values> {
        let Reply::Ports(ports) = self.ask(&Request::ShowPorts { port: None })? else {
            return None;
        };
        let value = |port: &crate::northbound::api::PortInfo| {
            (
                port.port.to_string(),
                format!("{}, {}", port.device, port.link),
            )
        };
        Some(ports.iter().map(value).collect())
    }

    fn macs(&self) -> Option<Values> {
        let request = Request::ShowFdb {
            vlan: None,
            port: None,
            mac: None,
            cursor: 0,
            limit: MACS,
        };
        let Reply::Fdb(mut page) = self.ask(&request)? else {
            return None;
        };
        page.entries.sort_by_key(|row| (row.mac, row.vlan));
        let value = |row: &crate::northbound::api::FdbRow| {
            let place = row
                .port
                .map_or("nowhere".into(), |port| format!("port {port}"));
            (row.mac.to_string(), format!("VLAN {}, {place}", row.vlan))
        };
        Some(page.entries.iter().map(value).collect())
    }

    fn static_macs(&self) -> Option<Values> {
        let which = ConfigurationSource::Running;
        let Reply::Configuration(info) = self.ask(&Request::ShowConfiguration { which })? else {
            return None;
        };
        let config: Config = info.document.check().ok()?;
        let value = |((vlan, mac), target): (&(_, hitless_common::Mac), &StaticTarget)| {
            let place = match target {
                StaticTarget::Port(port) => format!("port {port}"),
                StaticTarget::Blackhole => "blackhole".into(),
            };
            (mac.to_string(), format!("VLAN {vlan}, {place}"))
        };
        Some(config.fdb.static_entries.iter().map(value).collect())
    }
}

impl Live for LiveValues<'_> {
    fn values(&self, source: Source) -> Values {
        if let Some(values) = self.known.borrow().get(&source) {
            return values.clone();
        }
        let values = match source {
            Source::Vlans => self.vlans().unwrap_or_default(),
            Source::Stpds => self.stpds().unwrap_or_default(),
            Source::Ports => self.ports().unwrap_or_default(),
            Source::Macs => self.macs().unwrap_or_default(),
            Source::StaticMacs => self.static_macs().unwrap_or_default(),
            Source::Devices => devices(Path::new("/sys/class/net")),
            Source::Files => files(&self.typed),
        };
        self.known.borrow_mut().insert(source, values.clone());
        values
    }
}

/// The network interfaces of this machine, or of this network namespace.
fn devices(dir: &Path) -> Values {
    names(dir)
        .into_iter()
        .map(|(name, _)| (name.trim_end_matches('/').to_string(), String::new()))
        .filter(|(name, _)| name != "lo")
        .collect()
}

/// The files that a path may go on to.
fn files(typed: &str) -> Values {
    let (dir, _) = typed
        .rsplit_once('/')
        .map_or(("", typed), |(dir, name)| (dir, name));
    let slash = typed.contains('/');
    let place = match (dir, slash) {
        ("", true) => Path::new("/"),
        ("", false) => Path::new("."),
        (dir, _) => Path::new(dir),
    };
    let prefix = if slash {
        format!("{dir}/")
    } else {
        String::new()
    };
    let name = &typed[prefix.len()..];
    names(place)
        .into_iter()
        .filter(|(file, _)| !file.starts_with('.') || name.starts_with('.'))
        .map(|(file, help)| (format!("{prefix}{file}"), help))
        .collect()
}

/// What is in a directory, in order; directories end in a slash.
fn names(dir: &Path) -> Values {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Values = entries
        .take(FILES)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(match entry.path().is_dir() {
                true => (format!("{name}/"), "directory".into()),
                false => (name, String::new()),
            })
        })
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use hitless_proto::config::{StpEncapsulation, StpdMode, StpdName};
    use hitless_proto::stp::CostMethod;

    use super::super::fake::{Switch, answer};
    use super::*;
    use crate::northbound::api::{StpPortCounts, StpTimes, StpdInfo};

    #[test]
    fn files_go_on_from_what_is_typed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("a.yaml"), "").unwrap();
        fs::write(dir.path().join(".hidden"), "").unwrap();
        let base = dir.path().to_str().unwrap();
        let shown = |typed: &str| -> Vec<String> {
            files(typed).into_iter().map(|(file, _)| file).collect()
        };
        assert_eq!(
            shown(&format!("{base}/a")),
            [format!("{base}/a.yaml"), format!("{base}/sub/")]
        );
        assert_eq!(shown(&format!("{base}/."))[0], format!("{base}/.hidden"));
        assert!(shown("/no-such-directory/x").is_empty());
        assert!(shown("/").contains(&"/proc/".to_string()));
    }

    #[test]
    fn devices_have_no_slash() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["lo", "eth1"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(devices(dir.path()), [("eth1".to_string(), String::new())]);
    }

    #[test]
    fn silent_without_a_switch() {
        let live = LiveValues::of(None, "");
        assert!(live.values(Source::Vlans).is_empty());
        let nobody = Target {
            switch: None,
            socket: "/nonexistent/control.sock".into(),
        };
        let live = LiveValues::of(Some(&nobody), "");
        for source in [
            Source::Ports,
            Source::Stpds,
            Source::Macs,
            Source::StaticMacs,
        ] {
            assert!(live.values(source).is_empty());
        }
    }

    #[test]
    fn domains_of_a_switch() {
        let stpd = |name: &str, enabled| StpdInfo {
            name: name.parse().unwrap(),
            enabled,
            mode: StpdMode::Dot1w,
            tag: None,
            vlans: Vec::new(),
            default_encapsulation: StpEncapsulation::Dot1d,
            priority: 0,
            bridge_times: StpTimes::default(),
            tx_hold_count: 6,
            path_cost_method: CostMethod::Long,
            port_counts: StpPortCounts::default(),
            tree: None,
            ports: Vec::new(),
        };
        let domains = vec![stpd("lab", false), stpd(StpdName::S0.as_str(), true)];
        let switch = Switch::new(vec![vec![answer(Reply::Stpds(domains))]]);
        let target = Target {
            switch: None,
            socket: switch.socket(),
        };
        let live = LiveValues::of(Some(&target), "");
        let expected = [("lab", "dot1w, disabled"), ("s0", "dot1w, enabled")];
        let expected = expected.map(|(name, help)| (name.to_string(), help.to_string()));
        assert_eq!(live.values(Source::Stpds), expected);
        // Asked once for one line.
        assert_eq!(live.values(Source::Stpds), expected);
        drop(live);
        let asked = switch
            .end(Ok(()), Vec::new(), Vec::new())
            .requests()
            .concat()
            .len();
        assert_eq!(asked, 1);
    }
}
