//! Images loaded into the banks of both modules: begun by one request, and followed by asking how far it is, so that it
//! goes on whatever becomes of this program.

use std::io::{self, IsTerminal, Write};
use std::path::{self, Path};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::northbound::api::{DownloadInfo, DownloadState, ImageBank, Reply, Request, VersionInfo};

/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// `show version`.
    pub(super) fn version(&mut self, detail: bool, output: &mut impl Write) -> Result<(), Failure> {
        let own = VersionInfo::own();
        let daemon =
            self.follower
                .show(|client| match client.call(&Request::ShowVersion {})? {
                    Reply::Version(info) => Ok(info),
                    other => Err(client.unexpected(&other)),
                })?;
        let style = self.style;
        self.print(output, &json!({"hitless": own, "hitlessd": daemon}), || {
            render::image::version(&own, &daemon, detail, style)
        })
    }

    /// `download image`: begins it, and waits for its end.
    pub(super) fn download_image(
        &mut self,
        file: &str,
        bank: Option<ImageBank>,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        // The switch may be somewhere else in the file system than this program.
        let file = path::absolute(Path::new(file))
            .map_err(|e| Failure::File(format!("{file} is no path: {e}")))?;
        let request = Request::DownloadImage { file, bank };
        let mut info = match self.follower.change(&request)? {
            Reply::Download(Some(info)) => info,
            other => return Err(self.follower.unexpected(&other)),
        };
        let progress = !self.options.json && io::stderr().is_terminal();
        while info.state == DownloadState::Running {
            if progress {
                eprint!("\r\x1b[K{}", render::image::progress(info.done, info.total));
            }
            self.pause()?;
            info = self.download()?;
        }
        if progress {
            eprint!("\r\x1b[K");
        }
        if info.state != DownloadState::Done {
            return Err(Failure::File(
                info.error
                    .unwrap_or_else(|| "the image was not loaded".into()),
            ));
        }
        self.print(output, &info, || render::image::download(Some(&info)))
    }

    fn download(&mut self) -> Result<Box<DownloadInfo>, Failure> {
        let now = self
            .follower
            .show(|client| match client.call(&Request::ShowDownload {})? {
                Reply::Download(now) => Ok(now),
                other => Err(client.unexpected(&other)),
            })?;
        now.ok_or_else(|| {
            Failure::Interrupted(
                "the master that loaded the image went away, and the load with it; the bank is as it was, or has the \
                 whole image: see `hitless show version`"
                    .into(),
            )
        })
    }

    fn pause(&self) -> Result<(), Failure> {
        match &self.interrupts {
            Some(interrupts) if !interrupts.sleep(PAUSE) => Err(Failure::Stopped),
            Some(_) => Ok(()),
            None => {
                thread::sleep(PAUSE);
                Ok(())
            }
        }
    }
}
