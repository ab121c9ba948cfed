//! A ring buffer that can be awaited.

use super::HwError;
use aya::maps::{Map, MapData, RingBuf};
use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};

/// One of the rings from the data path.
pub struct Ring(AsyncFd<RingBuf<MapData>>);

impl Ring {
    /// Maps a pinned ring. Must be called inside a runtime.
    ///
    /// # Errors
    /// If the ring can not be mapped or watched.
    pub fn new(name: &'static str, map: MapData) -> Result<Self, HwError> {
        let ring =
            RingBuf::try_from(Map::RingBuf(map)).map_err(|source| HwError::Map { name, source })?;
        // SAFETY: the ring owns its descriptor and keeps it open for as long as it lives.
        unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
            .map(Self)
            .map_err(|e| HwError::Io {
                what: format!("watch ring {name}"),
                source: e.into(),
            })
    }

    /// Gives up to `limit` records to `take`; how many there were.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> usize {
        let ring = self.0.get_mut();
        let mut taken = 0;
        while taken < limit {
            let Some(record) = ring.next() else { break };
            take(&record);
            taken += 1;
        }
        taken
    }

    /// Waits until the data path rings: at once if it did since the last wait.
    pub async fn rung(&mut self) {
        match self.0.readable_mut().await {
            Ok(mut ready) => ready.clear_ready(),
            // The runtime is going down; there is nothing more to wait for.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Writes what the data path logs into this process's log, until the runtime ends. `program` is one of the
/// programs that log; both write into one ring.
///
/// # Errors
/// If the program has no log ring, which only a mistake in this program can cause.
pub fn follow_log(program: u32) -> Result<(), HwError> {
    let failed = |e: &dyn std::fmt::Display| HwError::Io {
        what: "read the data path's log".into(),
        source: std::io::Error::other(e.to_string()),
    };
    let logger = EbpfLogger::init_from_id(program).map_err(|e| failed(&e))?;
    // SAFETY: the logger owns its ring's descriptor and keeps it open for as long as it lives.
    let mut logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) }
        .map_err(|e| failed(&e))?;
    tokio::spawn(async move {
        while let Ok(mut ready) = logger.readable_mut().await {
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    });
    Ok(())
}
