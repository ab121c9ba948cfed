//! How long it takes to save and load large configurations, and to change them: `cargo run --release -p hitless
//! --example config_speed`.

use std::error::Error;
use std::time::Instant;

use hitless::config_file::{load, save};
use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{
    Config, PortConfig, StaticTarget, StpdConfig, StpdName, StpdPortConfig, VlanConfig, commands,
};

/// 4,094 VLANs on 128 ports, each VLAN that `tagged` picks on each.
fn config(tagged: fn(u16) -> bool) -> Result<Config, Box<dyn Error>> {
    let mut config = Config::factory("sw1".parse()?);
    for id in (1..=4094).filter_map(VlanId::new) {
        let name = format!("customer-{id}").parse()?;
        config.vlans.insert(id, VlanConfig::new(name));
    }
    for number in PortNo::all() {
        let mut port = PortConfig::new(format!("eth{number}").parse()?);
        port.tagged = (1..=4094)
            .filter(|&id| tagged(id))
            .filter_map(VlanId::new)
            .collect();
        config.ports.insert(number, port);
    }
    Ok(config)
}

/// And what takes most room besides: entries, and lists of ports.
fn crammed() -> Result<Config, Box<dyn Error>> {
    let mut config = config(|id| id % 3 > 0)?;
    for (&id, vlan) in config.vlans.iter_mut().filter(|(id, _)| id.get() % 3 > 0) {
        vlan.loop_free_ports = Some(PortNo::all().collect());
        for (i, port) in (0..24).zip(PortNo::all()) {
            let mac = Mac::from_u64(0x0200_0000_0000 | i);
            let target = StaticTarget::Port(port);
            config.fdb.static_entries.insert((id, mac), target);
        }
    }
    Ok(config)
}

/// And all VLANs in spanning tree domains, every port with settings in each.
fn in_domains(count: u16) -> Result<Config, Box<dyn Error>> {
    let mut config = config(|_| true)?;
    for domain in 0..count {
        let name = match domain {
            0 => StpdName::S0,
            n => format!("domain-{n}").parse()?,
        };
        let mut stpd = StpdConfig::new(name);
        let vlans = config.vlans.keys().copied();
        stpd.vlans = vlans.filter(|id| id.get() % count == domain).collect();
        stpd.tag = stpd.vlans.first().copied();
        stpd.enabled = true;
        let mut port = StpdPortConfig::default();
        port.cost = Some(7);
        stpd.ports = PortNo::all().map(|number| (number, port)).collect();
        config.stpds.insert(name, stpd);
    }
    Ok(config)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory =
        std::env::temp_dir().join(format!("hitless-config-speed-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let file = directory.join("sw1.yml");
    for (what, config) in [
        ("all VLANs on all ports", config(|_| true)?),
        ("every other VLAN on all ports", config(|id| id % 2 > 0)?),
        ("the largest", crammed()?),
        ("all VLANs in s0", in_domains(1)?),
        ("all VLANs in 64 domains", in_domains(64)?),
    ] {
        let began = Instant::now();
        save::write(&config, &file)?;
        let saved = began.elapsed();
        let began = Instant::now();
        let same = load(&file)? == config;
        let loaded = began.elapsed();
        let began = Instant::now();
        let changes = commands(&config);
        let listed = began.elapsed();
        let began = Instant::now();
        let made = Config::factory(config.switch.clone()).changed(&changes)?;
        let bytes = std::fs::metadata(&file)?.len();
        println!(
            "{what}: {bytes} bytes, saved in {saved:.0?}, loaded in {loaded:.0?}; {} commands listed in \
             {listed:.0?}, made in {:.0?}",
            changes.len(),
            began.elapsed(),
        );
        if !same || made != config {
            return Err(format!("{what}: it came back as another one").into());
        }
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
