//! Two Linux hosts as they come, with something between them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::tcp;
use crate::harness::netns::Netns;
use crate::harness::run::Run;
use crate::harness::switch::Switch;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 10, 2);

/// Two hosts in one subnet.
#[derive(Debug)]
pub struct Hosts<F> {
    a: Netns,
    b: Netns,
    _middle: Option<Netns>,
    _forwarder: Option<F>,
}

impl Hosts<()> {
    /// On one cable.
    ///
    /// # Errors
    /// When something can not be set up.
    pub fn direct(run: &Run) -> Result<Self> {
        let (a, b) = (Netns::new(run, "tcp-a")?, Netns::new(run, "tcp-b")?);
        a.veth("eth1", &b, "eth1")?;
        Self::addressed(a, b, None, None)
    }
}

impl<F> Hosts<F> {
    /// With a namespace between them whose devices `p1` and `p2` lead to them.
    ///
    /// # Errors
    /// When something can not be set up.
    pub fn over(run: &Run, label: &str, forward: impl FnOnce(&Netns) -> Result<F>) -> Result<Self> {
        let a = Netns::new(run, &format!("{label}-a"))?;
        let b = Netns::new(run, &format!("{label}-b"))?;
        let middle = Netns::new(run, &format!("{label}-m"))?;
        a.veth("eth1", &middle, "p1")?;
        b.veth("eth1", &middle, "p2")?;
        let forwarder = forward(&middle)?;
        Self::addressed(a, b, Some(middle), Some(forwarder))
    }

    fn addressed(a: Netns, b: Netns, middle: Option<Netns>, forwarder: Option<F>) -> Result<Self> {
        a.address("eth1", "10.0.10.1/24")?;
        b.address("eth1", &format!("{ADDRESS}/24"))?;
        Ok(Self {
            a,
            b,
            _middle: middle,
            _forwarder: forwarder,
        })
    }

    /// What one TCP connection from the one to the other carries, in gigabits a second.
    ///
    /// # Errors
    /// When the connection is not made or breaks.
    pub fn throughput(&self, duration: Duration) -> Result<f64> {
        tcp::throughput(&self.a, &self.b, ADDRESS, duration)
    }
}

/// Hitless between the devices `p1` and `p2`, left to choose the hook by itself.
///
/// # Errors
/// When it does not start.
pub fn hitless(run: &Run, files: &Path, middle: &Netns) -> Result<Switch> {
    let config = "vlans: [{id: 10}]\nports:\n\
                  \x20 - {port: 1, device: p1, untagged: 10}\n\
                  \x20 - {port: 2, device: p2, untagged: 10}\n";
    let switch = Switch::start(run, files, middle, "tcp", config)?;
    switch.await_shown("ports", |ports| {
        ports
            .as_array()
            .is_some_and(|p| p.len() == 2 && p.iter().all(|p| p["link"] == "up"))
    })?;
    Ok(switch)
}
