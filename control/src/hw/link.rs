//! Pinned links: which program runs on which port's device. A port is attached once; programs are swapped
//! through the link, without a frame lost.

use super::{HwError, Programs, sys};
use crate::because::because;
use aya::programs::{
    LinkOrder, SchedClassifier, TcAttachType, Xdp,
    links::{FdLink, PinnedLink},
    tc::{SchedClassifierLink, TcAttachOptions},
    xdp::{XdpLink, XdpMode},
};
use hitless_common::PortNo;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Where a program runs on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// tcx ingress.
    Tc,
    /// Native XDP.
    Xdp,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
        }
    }
}

/// The links of all ports.
pub struct Links {
    dir: PathBuf,
    installed: BTreeMap<(PortNo, Hook), sys::Attachment>,
    writes: u64,
    /// Whether devices keep the program that they have for now.
    held: bool,
}

impl Links {
    /// Finds the links pinned in `dir`.
    ///
    /// # Errors
    /// If the directory can not be listed, or a pin in it is no link of a port.
    pub fn adopt(dir: &Path) -> Result<Self, HwError> {
        let mut links = Self {
            dir: dir.to_path_buf(),
            installed: BTreeMap::new(),
            writes: 0,
            held: false,
        };
        let failed = |source| HwError::Io {
            what: format!("list {}", dir.display()),
            source,
        };
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default();
            let Some(rest) = name.strip_prefix("link_") else {
                continue;
            };
            let foreign = |why: String| HwError::Foreign {
                path: path.clone(),
                why,
            };
            let parsed = rest.split_once('_').and_then(|(port, hook)| {
                let hook = [Hook::Tc, Hook::Xdp]
                    .into_iter()
                    .find(|h| h.name() == hook)?;
                Some((port.parse::<PortNo>().ok()?, hook))
            });
            let key = parsed.ok_or_else(|| {
                foreign("its name is not link_<port>_tc or link_<port>_xdp".into())
            })?;
            let attachment = sys::link_attachment(&path)
                .map_err(|e| foreign(format!("it can not be read as a link: {e}")))?;
            links.installed.insert(key, attachment);
        }
        Ok(links)
    }

    /// What is attached at a port's hook: a live device's link, or `None`.
    #[must_use]
    pub fn get(&self, port: PortNo, hook: Hook) -> Option<sys::Attachment> {
        self.installed
            .get(&(port, hook))
            .copied()
            .filter(|a| a.ifindex != 0)
    }

    /// The ports that have a link.
    pub fn ports(&self) -> impl Iterator<Item = PortNo> + '_ {
        self.installed.keys().map(|&(port, _)| port)
    }

    /// Looks at the links themselves: the ports from whose device the kernel or somebody else has taken a program.
    pub fn refresh(&mut self) -> Vec<PortNo> {
        let mut lost = Vec::new();
        for (&(port, hook), known) in &mut self.installed {
            // A pin that can not be read any more is as good as none.
            let nothing = sys::Attachment {
                ifindex: 0,
                program_id: 0,
            };
            let found = sys::link_attachment(&pin(&self.dir, port, hook)).unwrap_or(nothing);
            if found != *known {
                lost.push(port);
                *known = found;
            }
        }
        lost
    }

    /// Links created, changed and removed.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Makes the program of `hook` run on a device; true if something had to be done.
    ///
    /// # Errors
    /// If the kernel refuses, for instance because the driver has no native XDP.
    pub fn attach(
        &mut self,
        programs: &mut Programs,
        port: PortNo,
        hook: Hook,
        device: &str,
        ifindex: u32,
    ) -> Result<bool, HwError> {
        let program_id = programs.id(hook)?;
        match self.installed.get(&(port, hook)) {
            Some(a) if a.ifindex == ifindex && a.program_id == program_id => return Ok(false),
            Some(a) if a.ifindex == ifindex && self.held => return Ok(false),
            Some(a) if a.ifindex == ifindex => self.swap(programs, port, hook)?,
            Some(_) => {
                self.detach(port, hook)?;
                self.create(programs, port, hook, device)?;
            }
            None => self.create(programs, port, hook, device)?,
        }
        self.writes += 1;
        let path = self.path(port, hook);
        let attachment = sys::link_attachment(&path).map_err(|source| HwError::Io {
            what: format!("read {}", path.display()),
            source,
        })?;
        self.installed.insert((port, hook), attachment);
        if attachment.ifindex != ifindex {
            return Err(HwError::Attach {
                port,
                device: device.into(),
                why: format!(
                    "the name now belongs to device {}, not {ifindex}",
                    attachment.ifindex
                ),
            });
        }
        Ok(true)
    }

    /// Takes a port's link away; true if there was one.
    ///
    /// # Errors
    /// If the pin can not be removed.
    pub fn detach(&mut self, port: PortNo, hook: Hook) -> Result<bool, HwError> {
        if self.installed.remove(&(port, hook)).is_none() {
            return Ok(false);
        }
        let path = self.path(port, hook);
        match fs::remove_file(&path) {
            // Somebody else was faster; the link went with its pin.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|source| HwError::Io {
                what: format!("remove {}", path.display()),
                source,
            })?,
        }
        self.writes += 1;
        Ok(true)
    }

    /// Leaves the programs on devices as they are until [`Links::swap_all`]: the tables of the new ones are not ready.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// Pins every link of a live device in another directory as well.
    ///
    /// # Errors
    /// If the kernel refuses a pin.
    pub(super) fn pin_into(&mut self, dir: &Path) -> Result<(), HwError> {
        self.installed.retain(|_, a| a.ifindex != 0);
        for &(port, hook) in self.installed.keys() {
            let refused = |e: &dyn std::error::Error| HwError::Attach {
                port,
                device: "its link".into(),
                why: because(e),
            };
            let pinned = PinnedLink::from_pin(self.path(port, hook)).map_err(|e| refused(&e))?;
            let link = FdLink::from(pinned);
            link.pin(pin(dir, port, hook))
                .map(drop)
                .map_err(|e| HwError::Pin {
                    what: format!("link of port {port}"),
                    source: Box::new(e),
                })?;
        }
        Ok(())
    }

    /// Puts the program in the place of another one on every port that has a link.
    ///
    /// # Errors
    /// If the kernel refuses a swap.
    pub fn swap_all(&mut self, programs: &mut Programs) -> Result<(), HwError> {
        self.held = false;
        let live: Vec<_> = self
            .installed
            .iter()
            .filter(|(_, a)| a.ifindex != 0)
            .map(|(&key, _)| key)
            .collect();
        for (port, hook) in live {
            let program_id = programs.id(hook)?;
            if self
                .installed
                .get(&(port, hook))
                .is_some_and(|a| a.program_id != program_id)
            {
                if let Err(e) = self.swap(programs, port, hook) {
                    let path = self.path(port, hook);
                    match sys::link_attachment(&path) {
                        // The device has gone a moment ago: nothing runs there any more.
                        Ok(gone) if gone.ifindex == 0 => {
                            self.installed.insert((port, hook), gone);
                            continue;
                        }
                        _ => return Err(e),
                    }
                }
                self.writes += 1;
                if let Some(attachment) = self.installed.get_mut(&(port, hook)) {
                    attachment.program_id = program_id;
                }
            }
        }
        Ok(())
    }

    fn path(&self, port: PortNo, hook: Hook) -> PathBuf {
        pin(&self.dir, port, hook)
    }

    fn create(
        &self,
        programs: &mut Programs,
        port: PortNo,
        hook: Hook,
        device: &str,
    ) -> Result<(), HwError> {
        let refused = |e: &dyn std::fmt::Display| HwError::Attach {
            port,
            device: device.into(),
            why: e.to_string(),
        };
        let link: FdLink = match hook {
            Hook::Tc => {
                let options = TcAttachOptions::TcxOrder(LinkOrder::default());
                let id = programs
                    .tc
                    .attach_with_options(device, TcAttachType::Ingress, options)
                    .map_err(|e| refused(&because(&e)))?;
                let link = programs.tc.take_link(id).map_err(|e| refused(&e))?;
                link.try_into().map_err(|e| refused(&e))?
            }
            Hook::Xdp => {
                let id = programs
                    .xdp
                    .attach(device, XdpMode::Driver)
                    .map_err(|e| refused(&because(&e)))?;
                let link = programs.xdp.take_link(id).map_err(|e| refused(&e))?;
                // aya falls back to netlink without a word; such a link dies with this process.
                link.try_into().map_err(|_| {
                    refused(&"the kernel gives no link for native XDP on this device")
                })?
            }
        };
        link.pin(self.path(port, hook))
            .map(drop)
            .map_err(|e| HwError::Pin {
                what: format!("link of port {port}"),
                source: Box::new(e),
            })
    }

    fn swap(&self, programs: &mut Programs, port: PortNo, hook: Hook) -> Result<(), HwError> {
        let refused = |why: String| HwError::Attach {
            port,
            device: "its link".into(),
            why,
        };
        let pinned =
            PinnedLink::from_pin(self.path(port, hook)).map_err(|e| refused(because(&e)))?;
        let link = FdLink::from(pinned);
        match hook {
            Hook::Tc => {
                let link = SchedClassifierLink::try_from(link).map_err(|e| refused(because(&e)))?;
                let id = programs
                    .tc
                    .attach_to_link(link)
                    .map_err(|e| refused(because(&e)))?;
                // The pin keeps the link; what is taken here is only this process's handle.
                drop(
                    programs
                        .tc
                        .take_link(id)
                        .map_err(|e| refused(because(&e)))?,
                );
            }
            Hook::Xdp => {
                let link = XdpLink::try_from(link).map_err(|e| refused(because(&e)))?;
                let id = programs
                    .xdp
                    .attach_to_link(link)
                    .map_err(|e| refused(because(&e)))?;
                drop(
                    programs
                        .xdp
                        .take_link(id)
                        .map_err(|e| refused(because(&e)))?,
                );
            }
        }
        Ok(())
    }
}

impl Programs {
    /// The kernel's number of a program.
    pub(super) fn id(&self, hook: Hook) -> Result<u32, HwError> {
        let info = match hook {
            Hook::Tc => SchedClassifier::info(&self.tc),
            Hook::Xdp => Xdp::info(&self.xdp),
        };
        info.map(|i| i.id()).map_err(|e| HwError::Program {
            what: "ask about",
            source: Box::new(e),
        })
    }
}

/// Where the link of a port's hook is pinned.
fn pin(dir: &Path, port: PortNo, hook: Hook) -> PathBuf {
    dir.join(format!("link_{port}_{}", hook.name()))
}
