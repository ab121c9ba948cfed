//! Counters and rates of ports.

use super::{Number, Style, Text, optional, table};
use crate::cli::ports::{Rate, Utilization};
use crate::northbound::api::PortInfo;

/// `show ports statistics`.
pub(in crate::cli) fn statistics(ports: &[PortInfo], style: Style) -> String {
    let columns = [
        Number("Port"),
        Text("Link"),
        Number("Rx frames"),
        Number("Rx bytes"),
        Number("Tx frames"),
        Number("Tx bytes"),
        Number("Dropped"),
        Number("To control plane"),
    ];
    let row = |port: &PortInfo| {
        let counters = &port.counters;
        let numbers = [
            counters.rx_frames,
            counters.rx_bytes,
            counters.tx_frames,
            counters.tx_bytes,
            counters.dropped(),
            counters.punted,
        ];
        let mut row = vec![port.port.to_string(), port.link.to_string()];
        row.extend(numbers.map(|number| number.to_string()));
        row
    };
    table(&columns, ports.iter().map(row), style)
}

/// `show ports utilization`.
pub(in crate::cli) fn utilization(ports: &[Utilization], style: Style) -> String {
    let columns = [
        Number("Port"),
        Text("Link"),
        Number("Mbit/s"),
        Number("Rx frames/s"),
        Number("Rx bytes/s"),
        Number("Rx %"),
        Number("Tx frames/s"),
        Number("Tx bytes/s"),
        Number("Tx %"),
    ];
    let rate = |rate: &Rate| {
        [
            rate.frames.to_string(),
            rate.octets.to_string(),
            optional(rate.percent.map(|percent| format!("{percent:.2}"))),
        ]
    };
    let row = |port: &Utilization| {
        let mut row = vec![
            port.port.to_string(),
            port.link.to_string(),
            optional(port.speed_mbps),
        ];
        row.extend(rate(&port.rx));
        row.extend(rate(&port.tx));
        row
    };
    table(&columns, ports.iter().map(row), style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northbound::api::LinkState;
    use hitless_common::PortNo;

    #[test]
    fn rates_in_columns() {
        let row = Utilization {
            port: PortNo::new(3).unwrap(),
            link: LinkState::Up,
            speed_mbps: Some(1_000),
            rx: Rate {
                frames: 10_000,
                octets: 12_260_000,
                percent: Some(10.0),
            },
            tx: Rate::default(),
        };
        let text = utilization(&[row], Style::Plain);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            words,
            [
                "3", "up", "1000", "10000", "12260000", "10.00", "0", "0", "-"
            ]
        );
    }
}
