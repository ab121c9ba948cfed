//! A closed bracket, applied to the database.

use super::{Event, Receiver};
use crate::digest::Digest;
use crate::message::{Message, RecordError, TransactionId};
#[cfg(feature = "edition-newer")]
use crate::record::CensusRecord;
use crate::record::{ConfigRecord, FdbRecord, PortRecord, Record, StpRecord, VlanRecord};
use crate::schema::{RecordSubtype, Subsystem};
use crate::state::{Reason, SubState};

/// The standby's temporary database of one kind of records.
pub trait Store<R: Record> {
    /// Keeps a record in the place of the one with its key.
    ///
    /// # Errors
    /// With the reason code of the failure that this is for the subsystem: no room, an impossible place.
    fn put(&mut self, record: R) -> Result<(), Reason>;

    /// Forgets the record with this key, if there is one.
    ///
    /// # Errors
    /// As [`Store::put`].
    fn delete(&mut self, key: R::Key) -> Result<(), Reason>;

    /// The record with this key.
    fn find(&self, key: R::Key) -> Option<R>;
}

/// Stores of what each version knows.
pub trait Common:
    Store<ConfigRecord> + Store<PortRecord> + Store<VlanRecord> + Store<StpRecord> + Store<FdbRecord>
{
}

impl<D> Common for D where
    D: Store<ConfigRecord>
        + Store<PortRecord>
        + Store<VlanRecord>
        + Store<StpRecord>
        + Store<FdbRecord>
{
}

/// Stores of what this edition knows.
#[cfg(not(feature = "edition-newer"))]
pub trait Stores: Common {}

#[cfg(not(feature = "edition-newer"))]
impl<D: Common> Stores for D {}

/// Stores of what this edition knows.
#[cfg(feature = "edition-newer")]
pub trait Stores: Common + Store<CensusRecord> {}

#[cfg(feature = "edition-newer")]
impl<D: Common + Store<CensusRecord>> Stores for D {}

/// The standby's temporary database. It takes part in nothing until the standby takes over.
pub trait Database: Stores {
    /// Forgets all records of a subsystem.
    fn clear(&mut self, subsystem: Subsystem);

    /// The digest of all records of a subsystem.
    fn digest(&self, subsystem: Subsystem) -> Digest;
}

/// Why a message of a bracket could not be applied.
struct Failure {
    reason: Reason,
    resync: bool,
    detail: String,
}

impl From<RecordError> for Failure {
    /// The master would send the same again; but what is to be updated and is not there, a transfer brings.
    fn from(error: RecordError) -> Self {
        Self {
            reason: Reason::CommError,
            resync: matches!(error, RecordError::Unknown(_)),
            detail: error.to_string(),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            resync: false,
            detail: format!("the database refused a record: {reason}"),
        }
    }
}

impl Receiver {
    /// Applies the messages of a bracket.
    pub(super) fn apply<D: Database>(
        &mut self,
        messages: &[u8],
        id: TransactionId,
        database: &mut D,
    ) {
        for message in Message::again(messages) {
            let Some(subsystem) = Subsystem::from_code(message.header.subsystem) else {
                // A subsystem of a later version: the master has it, this standby does not.
                self.counts.unknown += 1;
                continue;
            };
            let applied = match subsystem {
                Subsystem::Module => Ok(()),
                Subsystem::Config => self.message_of::<ConfigRecord, D>(&message, database),
                Subsystem::Ports => self.message_of::<PortRecord, D>(&message, database),
                Subsystem::Vlans => self.message_of::<VlanRecord, D>(&message, database),
                Subsystem::Stp => self.message_of::<StpRecord, D>(&message, database),
                Subsystem::Fdb => self.message_of::<FdbRecord, D>(&message, database),
                #[cfg(feature = "edition-newer")]
                Subsystem::Census => self.message_of::<CensusRecord, D>(&message, database),
            };
            if let Err(failure) = applied {
                self.fail(subsystem, failure.reason, failure.resync, &failure.detail);
            }
        }
        self.closed = id;
        self.counts.brackets += 1;
    }

    fn message_of<R: Record, D: Database + Store<R>>(
        &mut self,
        message: &Message<'_>,
        database: &mut D,
    ) -> Result<(), Failure> {
        let Some(subtype) = RecordSubtype::from_code(message.header.subtype) else {
            return Err(Failure {
                reason: Reason::InvalidSubtype,
                resync: false,
                detail: format!("messages of kind {} are unknown", message.header.subtype),
            });
        };
        let state = self.states.state(R::SUBSYSTEM);
        match subtype {
            RecordSubtype::BulkBegin => {
                database.clear(R::SUBSYSTEM);
                self.states.set(R::SUBSYSTEM, SubState::Xfr, Reason::None);
                return Ok(());
            }
            RecordSubtype::BulkEnd => {
                if state == SubState::Xfr {
                    self.states.set(R::SUBSYSTEM, SubState::Ready, Reason::None);
                    self.events.push(Event::Ready(R::SUBSYSTEM));
                    if self.states.ready() {
                        self.events.push(Event::AllReady);
                    }
                }
                return Ok(());
            }
            RecordSubtype::Put | RecordSubtype::Update | RecordSubtype::Delete => {}
        }
        if !matches!(state, SubState::Xfr | SubState::Ready) {
            return Ok(());
        }
        for fields in message.records() {
            let fields = fields?;
            match subtype {
                RecordSubtype::Update => {
                    let key = R::read_key(fields)?;
                    let old = Store::<R>::find(database, key).ok_or_else(|| {
                        RecordError::Unknown(format!("the record {key:?} of {}", R::SUBSYSTEM))
                    })?;
                    Store::<R>::put(database, R::read(Some(&old), fields)?)?;
                }
                RecordSubtype::Delete => Store::<R>::delete(database, R::read_key(fields)?)?,
                _ => Store::<R>::put(database, R::read(None, fields)?)?,
            }
            self.counts.records += 1;
        }
        Ok(())
    }
}
