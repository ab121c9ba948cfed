//! Images loaded into the banks of both modules: begun by one request, and followed by asking how far it is, so that it
//! goes on whatever becomes of this program.

mod fetch;

use std::io::{self, IsTerminal, Write};
use std::path::{self, Path};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::northbound::api::{
    ApiError, DownloadInfo, DownloadState, ErrorKind, ImageBank, Reply, Request, VersionInfo,
};

/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(100);

/// A line on the terminal of somebody who waits, that is gone when this is.
struct Progress {
    shown: bool,
}

impl Progress {
    fn show(&self, text: &str) {
        if self.shown {
            eprint!("\r\x1b[K{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}

impl Session {
    /// `show version`.
    pub(super) fn version(&mut self, detail: bool, output: &mut impl Write) -> Result<(), Failure> {
        let own = VersionInfo::own();
        let daemon = self.versions()?;
        let style = self.style;
        self.print(output, &json!({"hitless": own, "hitlessd": daemon}), || {
            render::image::version(&own, &daemon, detail, style)
        })
    }

    fn versions(&mut self) -> Result<VersionInfo, Failure> {
        self.follower
            .show(|client| match client.call(&Request::ShowVersion {})? {
                Reply::Version(info) => Ok(info),
                other => Err(client.unexpected(&other)),
            })
    }

    /// `download image`: begins it, and waits for its end.
    pub(super) fn download_image(
        &mut self,
        file: &str,
        bank: Option<ImageBank>,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let progress = Progress {
            shown: !self.options.json && io::stderr().is_terminal(),
        };
        // Removed when this has ended, whatever became of it.
        let fetched = match fetch::is_address(file) {
            true => Some(self.fetch(file, &progress)?),
            false => None,
        };
        // The switch may be somewhere else in the file system than this program.
        let path = match &fetched {
            Some(fetched) => fetched.path.clone(),
            None => path::absolute(Path::new(file))
                .map_err(|e| Failure::File(format!("{file} is no path: {e}")))?,
        };
        let request = Request::DownloadImage { file: path, bank };
        let mut info = match self.follower.change(&request)? {
            Reply::Download(Some(info)) => info,
            other => return Err(self.follower.unexpected(&other)),
        };
        while info.state == DownloadState::Running {
            progress.show(&render::image::progress(info.done, info.total));
            self.pause()?;
            info = self.download()?;
        }
        drop(progress);
        if info.state != DownloadState::Done {
            return Err(Failure::File(
                info.error
                    .unwrap_or_else(|| "the image was not loaded".into()),
            ));
        }
        self.print(output, &info, || render::image::download(Some(&info)))
    }

    /// Fetches an image to beside the banks.
    fn fetch(&mut self, address: &str, progress: &Progress) -> Result<fetch::Fetched, Failure> {
        let place = self.versions()?.images.ok_or_else(|| {
            Failure::Refused(ApiError::new(
                ErrorKind::Refused,
                "this switch has no image banks that an image could be loaded into",
            ))
        })?;
        let interrupts = self.interrupts.clone();
        let mut shown = Instant::now();
        fetch::fetch(address, &place, |done, total| {
            if shown.elapsed() >= PAUSE {
                shown = Instant::now();
                progress.show(&render::image::fetching(done, total));
            }
            match interrupts.as_ref().is_some_and(|i| i.happened()) {
                true => Err(Failure::Stopped),
                false => Ok(()),
            }
        })
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
