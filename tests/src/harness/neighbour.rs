//! The kernel's bridge with spanning tree (802.1D-1998) in a namespace of its own, as a neighbour of the switch.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use hitless_wire::bpdu::BridgeId;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use serde_json::Value;

use super::netns::Netns;
use super::process::output;
use super::wait::wait_for;

/// The bridge's device.
const DEVICE: &str = "br0";

/// The parameters of a bridge, times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// Bridge priority, all 16 bits of it.
    pub priority: u16,
    /// Between its BPDUs while it is the root.
    pub hello: u16,
    /// While it is the root.
    pub max_age: u16,
    /// While it is the root.
    pub forward_delay: u16,
}

impl Parameters {
    /// The quickest that 802.1D and the kernel allow with the usual Hello Time, with this priority. With a Hello Time of
    /// one second the TxHoldCount of an RST bridge would never recover from a convergence, and hold back the next one.
    #[must_use]
    pub const fn quick(priority: u16) -> Self {
        Self {
            priority,
            hello: 2,
            max_age: 6,
            forward_delay: 4,
        }
    }
}

/// What a bridge tells of itself, without its timers: two looks are equal when nothing moved in between.
#[derive(Clone, PartialEq, Eq)]
pub struct View {
    /// The bridge.
    pub id: BridgeId,
    /// The root that it knows.
    pub root: BridgeId,
    /// The root port's number; 0 when the bridge is the root.
    pub root_port: u64,
    /// Its path cost to the root.
    pub root_path_cost: u64,
    /// The root's flag, as last heard (or its own).
    pub topology_change: bool,
    /// It has a change to tell of.
    pub topology_change_detected: bool,
    /// By device.
    pub ports: BTreeMap<String, PortView>,
}

/// What a bridge tells of a port.
#[derive(Clone, PartialEq, Eq)]
pub struct PortView {
    /// `disabled`, `listening`, `learning`, `forwarding` or `blocking`.
    pub state: String,
    /// Who speaks for the LAN.
    pub designated_bridge: BridgeId,
    /// Its port there.
    pub designated_port: u64,
    /// Topology change notifications received and sent.
    pub tcn: [u64; 2],
    /// Times that it went to blocking, and to forwarding.
    pub transitions: [u64; 2],
}

impl fmt::Debug for View {
    /// In one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, root, .. } = self;
        write!(f, "[{id}, root {root}")?;
        if self.root_port != 0 {
            let (port, cost) = (self.root_port, self.root_path_cost);
            write!(f, " by port {port}, cost {cost}")?;
        }
        if self.topology_change {
            f.write_str(", topology change")?;
        }
        if self.topology_change_detected {
            f.write_str(", topology change detected")?;
        }
        for (name, port) in &self.ports {
            write!(f, "; {name} {port:?}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for PortView {
    /// As in `forwarding, served by 10:00:02:00:00:00:00:01 port 8002, TCN [0, 0], transitions [2, 1]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            state,
            designated_bridge,
            designated_port,
            tcn,
            transitions,
        } = self;
        write!(
            f,
            "{state}, served by {designated_bridge} port {designated_port:04x}, TCN {tcn:?}, transitions {transitions:?}"
        )
    }
}

/// A kernel bridge. It goes with its namespace.
#[derive(Debug)]
pub struct KernelBridge {
    netns: Netns,
}

impl KernelBridge {
    /// A bridge of these devices of a namespace, up and speaking.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn new(netns: &Netns, parameters: Parameters, devices: &[&str]) -> Result<Self> {
        let Parameters {
            priority,
            hello,
            max_age,
            forward_delay,
        } = parameters;
        let centiseconds = |seconds: u16| (u32::from(seconds) * 100).to_string();
        netns.ip(&[
            "link",
            "add",
            DEVICE,
            "type",
            "bridge",
            "stp_state",
            "1",
            "mcast_snooping",
            "0",
            "priority",
            &priority.to_string(),
            "hello_time",
            &centiseconds(hello),
            "max_age",
            &centiseconds(max_age),
            "forward_delay",
            &centiseconds(forward_delay),
        ])?;
        for device in devices {
            netns.ip(&["link", "set", device, "master", DEVICE])?;
        }
        netns.ip(&["link", "set", DEVICE, "up"])?;
        Ok(Self {
            netns: Netns::open(netns.name())?,
        })
    }

    /// Its namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Everything now.
    ///
    /// # Errors
    /// When the kernel's answer is not understood.
    pub fn view(&self) -> Result<View> {
        let links = self.json(&["-details", "-json", "link", "show"])?;
        let statistics = self.json(&["-json", "link", "xstats", "type", "bridge_slave", "stp"])?;
        let root = self.netns.run(designated_root)?;
        view(&links, &statistics, root)
    }

    /// Waits until the bridge is like this.
    ///
    /// # Errors
    /// When it does not get there; with what it was last.
    pub fn await_view(
        &self,
        what: &str,
        deadline: Duration,
        is: impl Fn(&View) -> bool,
    ) -> Result<View> {
        let mut last = None;
        wait_for(what, deadline, || {
            let view = self.view()?;
            let found = is(&view).then(|| view.clone());
            last = Some(view);
            Ok(found)
        })
        .with_context(|| format!("the kernel bridge in {} was {last:?}", self.netns.name()))
    }

    fn json(&self, words: &[&str]) -> Result<Vec<Value>> {
        let mut command = Command::new("ip");
        command.args(["-n", self.netns.name()]).args(words);
        let text = output(&mut command)?;
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str(&text).with_context(|| format!("ip {words:?} printed {text:?}"))
    }
}

fn view(links: &[Value], statistics: &[Value], root: BridgeId) -> Result<View> {
    let bridge = links
        .iter()
        .find(|link| link["ifname"] == DEVICE)
        .with_context(|| format!("no {DEVICE}"))?;
    let data = &bridge["linkinfo"]["info_data"];
    let mut ports = BTreeMap::new();
    for link in links.iter().filter(|link| link["master"] == DEVICE) {
        let name = text(&link["ifname"])?.to_owned();
        let counted = statistics.iter().find(|s| s["ifname"] == name.as_str());
        let counted = &counted.with_context(|| format!("no statistics of {name}"))?["stp"];
        let port = &link["linkinfo"]["info_slave_data"];
        ports.insert(
            name,
            PortView {
                state: text(&port["state"])?.to_owned(),
                designated_bridge: bridge_id(text(&port["bridge_id"])?)?,
                designated_port: number(&port["designated_port"])?,
                tcn: [number(&counted["rx_tcn"])?, number(&counted["tx_tcn"])?],
                transitions: [
                    number(&counted["transition_blk"])?,
                    number(&counted["transition_fwd"])?,
                ],
            },
        );
    }
    Ok(View {
        id: bridge_id(text(&data["bridge_id"])?)?,
        root,
        root_port: number(&data["root_port"])?,
        root_path_cost: number(&data["root_path_cost"])?,
        topology_change: number(&data["topology_change"])? != 0,
        topology_change_detected: number(&data["topology_change_detected"])? != 0,
        ports,
    })
}

/// The root that the bridge of the current namespace knows. iproute2 prints the bridge itself in its place up to 6.1.
fn designated_root() -> Result<BridgeId> {
    /// `BRCTL_GET_BRIDGE_INFO`.
    const BRIDGE_INFO: libc::c_ulong = 6;
    /// Private requests of a driver: the bridge's are there.
    const PRIVATE: libc::c_ulong = 0x89f0;
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .context("socket")?;
    // `struct __bridge_info` begins with the designated root, and is shorter than this.
    let mut info = [0_u8; 256];
    let mut words = [BRIDGE_INFO, info.as_mut_ptr() as libc::c_ulong, 0, 0];
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: the request, its words and the room that these point to live until the call returns, and the room is
    // larger than what the kernel writes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), PRIVATE as _, &raw mut request) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).context("BRCTL_GET_BRIDGE_INFO");
    }
    let [p0, p1, mac @ .., _] = *info.first_chunk::<9>().context("an identifier")?;
    Ok(BridgeId {
        priority: u16::from_be_bytes([p0, p1]),
        mac: Mac(mac),
    })
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} instead of a text"))
}

fn number(value: &Value) -> Result<u64> {
    value
        .as_u64()
        .with_context(|| format!("{value} instead of a number"))
}

/// A bridge identifier as `ip` prints it: `8000.2:d8:1b:8a:8b:f6`, octets without leading zeros.
fn bridge_id(printed: &str) -> Result<BridgeId> {
    let what = || format!("bridge identifier {printed:?}");
    let (priority, address) = printed.split_once('.').with_context(what)?;
    let octets: Vec<u8> = address
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16))
        .collect::<Result<_, _>>()
        .with_context(what)?;
    ensure!(octets.len() == 6, what());
    let mut mac = Mac::ZERO;
    mac.0.copy_from_slice(&octets);
    Ok(BridgeId {
        priority: u16::from_str_radix(priority, 16).with_context(what)?,
        mac,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::run::Run;

    #[test]
    fn identifiers_are_read_as_printed() {
        let id = bridge_id("8001.2:d8:1b:8a:8b:f6").unwrap();
        assert_eq!(id.to_string(), "80:01:02:d8:1b:8a:8b:f6");
        for wrong in [
            "",
            "8000",
            "8000.2:3",
            "x.2:d8:1b:8a:8b:f6",
            "8000.2:d8:1b:8a:8b:g6",
        ] {
            assert!(bridge_id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_bridges_agree_on_a_root_and_block_one_of_two_links() {
        let run = Run::new().unwrap();
        let (a, b) = (
            Netns::new(&run, "a").unwrap(),
            Netns::new(&run, "b").unwrap(),
        );
        a.veth("p1", &b, "p1").unwrap();
        a.veth("p2", &b, "p2").unwrap();
        let upper = KernelBridge::new(&a, Parameters::quick(4096), &["p1", "p2"]).unwrap();
        let lower = KernelBridge::new(&b, Parameters::quick(8192), &["p1", "p2"]).unwrap();
        let patience = Duration::from_secs(20);
        let view = lower
            .await_view("a root port and a blocked one", patience, |view| {
                view.root != view.id && view.ports["p2"].state == "blocking"
            })
            .unwrap();
        assert_eq!(view.root, upper.view().unwrap().id);
        assert_eq!(view.root.priority, 4096);
        assert_ne!(view.root_port, 0);
        assert_eq!(upper.view().unwrap().root_port, 0);
    }
}
