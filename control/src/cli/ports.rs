//! `show ports`, with statistics and utilization.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use hitless_common::PortNo;
use hitless_proto::config::PortSelection;
use serde::Serialize;

use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::grammar::PortsView;
use crate::northbound::api::{ApiError, CounterSet, ErrorKind, PortInfo, Reply, Request};

/// Between the two looks that a rate is made of.
const PERIOD: Duration = Duration::from_secs(1);

/// The counters of ports at a time.
#[derive(Clone, Debug)]
pub(super) struct Look {
    at: Instant,
    counters: BTreeMap<PortNo, CounterSet>,
}

impl Look {
    fn at_ports(ports: &[PortInfo]) -> Self {
        let counters = ports.iter().map(|port| (port.port, port.counters.clone()));
        Self {
            at: Instant::now(),
            counters: counters.collect(),
        }
    }
}

/// The rates of one port.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Utilization {
    /// The port.
    pub port: PortNo,
    /// Its link.
    pub link: crate::northbound::api::LinkState,
    /// Its speed in Mbit/s; `null` if it is not known.
    pub speed_mbps: Option<u32>,
    /// What it receives.
    pub rx: Rate,
    /// What it sends.
    pub tx: Rate,
}

/// Frames and octets a second, and what share of the link they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rate {
    /// Frames a second.
    pub frames: u64,
    /// Octets a second, 802.1Q tag included, as they are counted.
    pub octets: u64,
    /// Share of the link's speed in percent; `null` if that is not known. With the 24 octets of checksum, preamble and
    /// gap that every frame takes besides (IEEE 802.3).
    pub percent: Option<f64>,
}

/// Octets that a frame takes on a link and that are not counted: checksum, preamble and gap.
const OVERHEAD: f64 = 24.0;

impl Rate {
    /// Of counters that were `old` so long ago. Counters that went back began anew.
    fn of(old: (u64, u64), new: (u64, u64), period: Duration, speed: Option<u32>) -> Self {
        let seconds = period.as_secs_f64().max(0.001);
        let a_second = |old: u64, new: u64| new.checked_sub(old).unwrap_or(new) as f64 / seconds;
        let (frames, octets) = (a_second(old.0, new.0), a_second(old.1, new.1));
        let percent = speed.filter(|&speed| speed > 0).map(|speed| {
            let bits = (octets + frames * OVERHEAD) * 8.0;
            let share = bits / (f64::from(speed) * 10_000.0);
            // Two digits are what a person can read of it.
            (share * 100.0).round() / 100.0
        });
        Self {
            frames: frames.round() as u64,
            octets: octets.round() as u64,
            percent,
        }
    }
}

fn utilization(before: &Look, now: &Look, ports: &[PortInfo]) -> Vec<Utilization> {
    let period = now.at.saturating_duration_since(before.at);
    let row = |port: &PortInfo| {
        let new = &port.counters;
        // A port that is new has no rate yet.
        let old = before.counters.get(&port.port).unwrap_or(new);
        let rate = |old, new| Rate::of(old, new, period, port.speed_mbps);
        Utilization {
            port: port.port,
            link: port.link,
            speed_mbps: port.speed_mbps,
            rx: rate((old.rx_frames, old.rx_bytes), (new.rx_frames, new.rx_bytes)),
            tx: rate((old.tx_frames, old.tx_bytes), (new.tx_frames, new.tx_bytes)),
        }
    };
    ports.iter().map(row).collect()
}

impl Session {
    /// `show ports`.
    pub(super) fn ports(
        &mut self,
        selection: Option<&PortSelection>,
        view: PortsView,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let mut ports = self.chosen(selection)?;
        let style = self.style;
        match view {
            PortsView::Summary => {
                let one = matches!(selection, Some(PortSelection::List(list)) if list.iter().count() == 1);
                self.print(output, &ports, || match ports.as_slice() {
                    [port] if one => render::port(port),
                    ports => render::ports(ports, style),
                })
            }
            PortsView::Statistics => {
                self.print(output, &ports, || render::ports::statistics(&ports, style))
            }
            PortsView::Utilization => {
                let before = match self.looked.take() {
                    Some(look) => look,
                    None => {
                        let look = Look::at_ports(&ports);
                        self.sleep(PERIOD)?;
                        ports = self.chosen(selection)?;
                        look
                    }
                };
                let now = Look::at_ports(&ports);
                let rows = utilization(&before, &now, &ports);
                // A live view goes on from here.
                self.looked = self.options.every.is_some().then_some(now);
                self.print(output, &rows, || render::ports::utilization(&rows, style))
            }
        }
    }

    /// The ports that are meant, all of which must be configured.
    fn chosen(&mut self, selection: Option<&PortSelection>) -> Result<Vec<PortInfo>, Failure> {
        let wanted = match selection {
            Some(PortSelection::List(list)) => Some(list),
            Some(PortSelection::All) | None => None,
        };
        // One is asked for by its number, so that the switch says what is wrong with it.
        let port = wanted.and_then(|list| match list.iter().collect::<Vec<_>>()[..] {
            [port] => Some(port),
            _ => None,
        });
        let ask = Request::ShowPorts { port };
        let mut ports = self.follower.show(|client| match client.call(&ask)? {
            Reply::Ports(ports) => Ok(ports),
            other => Err(client.unexpected(&other)),
        })?;
        if let Some(wanted) = wanted {
            let there = |port: &PortNo| ports.iter().any(|info| info.port == *port);
            if let Some(missing) = wanted.iter().find(|port| !there(port)) {
                let message =
                    format!("port {missing} is not configured; `show ports` lists those that are");
                return Err(ApiError::new(ErrorKind::NotFound, message).into());
            }
            ports.retain(|info| wanted.iter().any(|port| port == info.port));
        }
        Ok(ports)
    }

    fn sleep(&self, duration: Duration) -> Result<(), Failure> {
        match &self.interrupts {
            Some(interrupts) if !interrupts.sleep(duration) => Err(Failure::Stopped),
            Some(_) => Ok(()),
            None => {
                thread::sleep(duration);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_their_share_of_the_link() {
        let second = Duration::from_secs(1);
        // 10,000 frames of 1,226 octets and 24 more are 100 Mbit.
        let rate = Rate::of((5, 100), (10_005, 12_260_100), second, Some(1_000));
        assert_eq!((rate.frames, rate.octets), (10_000, 12_260_000));
        assert_eq!(rate.percent, Some(10.0));
        let rate = Rate::of((0, 0), (10, 1_000), second * 2, None);
        assert_eq!((rate.frames, rate.octets, rate.percent), (5, 500, None));
    }

    #[test]
    fn counters_that_went_back_began_anew() {
        let rate = Rate::of((100, 9_000), (3, 180), Duration::from_secs(1), Some(0));
        assert_eq!((rate.frames, rate.octets, rate.percent), (3, 180, None));
    }
}
