//! `show stpd <stpd> ports`.

use std::io::Write;

use hitless_proto::config::{PortSelection, StpdName};

use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::northbound::api::{Reply, Request, StpdPortInfo};

impl Session {
    /// Shows ports of a spanning tree domain: in a table, or all that is known of each.
    pub(super) fn stpd_ports(
        &mut self,
        stpd: StpdName,
        ports: &PortSelection,
        detail: bool,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let request = Request::ShowStpd {
            stpd: Some(stpd),
            ports: Some(ports.clone()),
        };
        let stpds = self.follower.show(|client| match client.call(&request)? {
            Reply::Stpds(stpds) => Ok(stpds),
            other => Err(client.unexpected(&other)),
        })?;
        let style = self.style;
        self.print(output, &stpds, || {
            let ports: Vec<StpdPortInfo> = stpds.iter().flat_map(|s| s.ports.clone()).collect();
            match detail {
                true => render::stpd::details(&ports),
                false => render::stpd::ports(&ports, style),
            }
        })
    }
}
