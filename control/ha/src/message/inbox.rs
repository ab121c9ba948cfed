//! What arrived of the other module's octets and is no whole message yet.

use super::{LinkError, Message};

/// Cuts a stream of octets into messages. The octets are looked at where they are; only the beginning of an
/// unfinished message is kept.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    kept: Vec<u8>,
}

impl Inbox {
    /// Gives each whole message to `each`. After an error the stream is of no use any more.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Message<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let mut kept = core::mem::take(&mut self.kept);
        let whole = if kept.is_empty() {
            bytes
        } else {
            kept.extend_from_slice(bytes);
            &kept
        };
        let mut rest = whole;
        while let Some(message) = Message::parse(rest)? {
            rest = &rest[message.raw.len()..];
            each(message)?;
        }
        let done = whole.len() - rest.len();
        if kept.is_empty() {
            kept.extend_from_slice(&bytes[done..]);
        } else {
            kept.drain(..done);
        }
        self.kept = kept;
        Ok(())
    }
}
