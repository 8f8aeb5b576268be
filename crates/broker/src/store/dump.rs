//! The records of a store one by one, as a person or a program reads them. What they amount to is the fold's business.

use std::{error::Error, fmt::Write as _, path::Path};

use base64ct::{Base64, Encoding};
use serde::Serialize;
use serde_json::Value;
use whimbrel_engine::{
    proto::codec::QoS,
    store::{Owner, Parked, Record, StoredSession, StoredWill},
};
use whimbrel_journal::{OpenError, read_store};

use super::{
    Trouble,
    check::trouble,
    tool::{self, ToolError},
};

/// Characters of a payload in a line for people.
const SHOWN: usize = 120;

/// A record with names and values.
#[derive(Debug)]
pub struct Dumped {
    /// Where it is.
    pub position: u64,
    /// What it is.
    pub kind: &'static str,
    /// What it says.
    pub fields: Vec<(&'static str, Value)>,
}

/// What a dump has come to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DumpEnd {
    /// Records that were shown.
    pub records: u64,
    /// Of them, those of no kind that this program knows.
    pub unknown: u64,
    /// Where it had to end.
    pub damage: Option<Trouble>,
}

/// Shows every record in order, up to the end or the damage. `show` ends it early by saying false.
///
/// # Errors
/// There is no store.
pub fn dump(folder: &Path, mut show: impl FnMut(&Dumped) -> bool) -> Result<DumpEnd, ToolError> {
    let disk = tool::disk(folder)?;
    let mut end = DumpEnd::default();
    let read = read_store(&disk, true, &mut |_, position, bytes| {
        let dumped = Dumped::new(position.0, bytes);
        end.records += 1;
        end.unknown += u64::from(dumped.kind == UNKNOWN);
        if show(&dumped) { Ok(()) } else { Err(Box::<dyn Error + Send + Sync>::from(Enough)) }
    });
    match read {
        Ok(recovery) => end.damage = recovery.salvaged.as_ref().map(trouble),
        Err(OpenError::Refused { source, .. }) if source.is::<Enough>() => {}
        Err(error) => end.damage = Some(trouble(&error)),
    }
    Ok(end)
}

/// Nobody wants more.
#[derive(Debug, thiserror::Error)]
#[error("nobody wants more")]
struct Enough;

const UNKNOWN: &str = "unknown";

impl Dumped {
    fn new(position: u64, bytes: &[u8]) -> Self {
        match Record::decode(bytes) {
            Some(record) => {
                let mut fields = Fields::default();
                fields.record(&record);
                Dumped { position, kind: kind_of(&record), fields: fields.0 }
            }
            None => {
                let bytes = Value::from(Base64::encode_string(bytes));
                Dumped { position, kind: UNKNOWN, fields: vec![("bytes_base64", bytes)] }
            }
        }
    }

    /// One line of JSON, without its line feed.
    #[must_use]
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        #[serde(transparent)]
        struct Line<'a>(#[serde(serialize_with = "in_order")] &'a Dumped);
        serde_json::to_string(&Line(self)).unwrap_or_default()
    }

    /// One line for people, without its line feed. It does nothing to a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut line = format!("{:>12}  {:<12}", self.position, self.kind);
        for (name, value) in &self.fields {
            let _ = match value {
                Value::Bool(true) => write!(line, " {name}"),
                Value::Bool(false) | Value::Null => Ok(()),
                Value::String(text) if text.chars().count() > SHOWN => {
                    let shown: String = text.chars().take(SHOWN).collect();
                    write!(line, " {name}={shown:?}… ({} bytes)", text.len())
                }
                Value::String(text) => write!(line, " {name}={text:?}"),
                other => write!(line, " {name}={other}"),
            };
        }
        line
    }
}

fn in_order<S: serde::Serializer>(dumped: &&Dumped, serializer: S) -> Result<S::Ok, S::Error> {
    let head = [("position", Value::from(dumped.position)), ("kind", Value::from(dumped.kind))];
    serializer.collect_map(head.iter().chain(&dumped.fields).map(|(name, value)| (*name, value)))
}

/// What a record is called.
pub(super) fn kind_of(record: &Record<'_>) -> &'static str {
    match record {
        Record::Start { .. } => "start",
        Record::Session(_) => "session",
        Record::Absent { .. } => "absent",
        Record::SessionEnd { .. } => "session_end",
        Record::Subscribe { .. } => "subscribe",
        Record::Unsubscribe { .. } => "unsubscribe",
        Record::Fetched { .. } => "fetched",
        Record::Message { .. } => "message",
        Record::Enqueue { .. } => "enqueue",
        Record::Park { .. } => "park",
        Record::Unpark { .. } => "unpark",
        Record::GroupEnd { .. } => "group_end",
        Record::Retain { .. } => "retain",
        Record::Clear { .. } => "clear",
        Record::Close { .. } => "close",
        Record::Received { .. } => "received",
        Record::Done { .. } => "done",
        Record::Open { .. } => "open",
        Record::Released { .. } => "released",
        Record::WillGone { .. } => "will_gone",
        Record::Note { .. } => "note",
        Record::NoteGone { .. } => "note_gone",
        Record::User { .. } => "user",
        _ => UNKNOWN,
    }
}

#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn put(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    /// `u64::MAX` stands for never.
    fn time(&mut self, name: &'static str, at: u64) -> &mut Self {
        if at == u64::MAX { self } else { self.put(name, at) }
    }

    /// As text where it is, else as Base64 under the other name.
    fn payload(&mut self, payload: &[u8]) -> &mut Self {
        match str::from_utf8(payload) {
            Ok(text) => self.put("payload", text),
            Err(_) => self.put("payload_base64", Base64::encode_string(payload)),
        }
    }

    /// Properties as they are on the wire.
    fn properties(&mut self, bytes: &[u8]) -> &mut Self {
        if bytes.is_empty() { self } else { self.put("properties_base64", Base64::encode_string(bytes)) }
    }

    fn parked(&mut self, parked: &Parked<'_>) -> &mut Self {
        self.put("share", parked.share).put("filter", parked.filter).put("number", parked.number)
    }

    fn will(&mut self, will: &StoredWill<'_>) -> &mut Self {
        let mut inner = Fields::default();
        inner.put("topic", will.topic).put("qos", will.qos.bits()).put("retain", will.retain);
        inner.put("delay_secs", will.delay_secs).put("expiry_secs", will.expiry_secs);
        inner.properties(will.forwarded).payload(will.payload);
        self.put("will", inner.into_value())
    }

    fn into_value(self) -> Value {
        self.0
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn record(&mut self, record: &Record<'_>) {
        match record {
            Record::Start { wall_secs } => self.put("wall_secs", *wall_secs),
            Record::Session(session) => self.session(session),
            Record::Absent { key, since, expiry_secs, unsent_from, has_will } => self
                .put("session", *key)
                .put("since", *since)
                .put("expiry_secs", *expiry_secs)
                .time("unsent_from", *unsent_from)
                .put("has_will", *has_will),
            Record::SessionEnd { key, has_will } => self.put("session", *key).put("has_will", *has_will),
            Record::Subscribe { key, filter, qos, no_local, retain_as_published, id, fetch } => self
                .put("session", *key)
                .put("filter", *filter)
                .put("qos", qos.bits())
                .put("no_local", *no_local)
                .put("retain_as_published", *retain_as_published)
                .put("id", (*id != 0).then_some(*id))
                .put("fetch", fetch.is_some())
                .put("fetch_qos", fetch.filter(|owed| owed != qos).map(QoS::bits)),
            Record::Unsubscribe { key, filter } | Record::Fetched { key, filter } => {
                self.put("session", *key).put("filter", *filter)
            }
            Record::Message { .. } | Record::Enqueue { .. } => self.message(record),
            Record::Park { parked, message, closed } => {
                self.parked(parked).put("message", *message).put("closed", *closed)
            }
            Record::Unpark { parked } => self.parked(parked),
            Record::GroupEnd { share, filter } => self.put("share", *share).put("filter", *filter),
            Record::Retain { message, topic, closed } => {
                self.put("message", *message).put("topic", *topic).put("closed", *closed)
            }
            Record::Clear { topic } => self.put("topic", *topic),
            Record::Close { message, owner } => {
                self.put("message", *message);
                match owner {
                    Owner::Nobody => self,
                    Owner::Publisher(key, id) => self.put("publisher", *key).put("packet_id", id.value()),
                    Owner::Will(key) => self.put("will_of", *key),
                }
            }
            Record::Received { key, number } | Record::Done { key, number } => {
                self.put("session", *key).put("number", *number)
            }
            Record::Open { key, packet_ids } => {
                let ids: Vec<u16> = packet_ids.iter().map(|id| id.value()).collect();
                self.put("session", *key).put("packet_ids", ids)
            }
            Record::Released { key, packet_id } => {
                self.put("session", *key).put("packet_id", packet_id.value())
            }
            Record::WillGone { key } => self.put("session", *key),
            Record::Note { name, value } => self.put("name", *name).payload(value),
            Record::NoteGone { name } => self.put("name", *name),
            Record::User { key, user } => self.put("session", *key).put("user", *user),
            _ => self,
        };
    }

    fn session(&mut self, session: &StoredSession<'_>) -> &mut Self {
        self.put("session", session.key).put("client_id", session.client_id);
        self.put("expiry_secs", session.expiry_secs).put("receive_maximum", session.receive_maximum);
        self.put("absent_since", (session.absent_since != 0).then_some(session.absent_since));
        self.time("unsent_from", session.unsent_from).put("next_number", session.next_number);
        match &session.will {
            Some(will) => self.will(will),
            None => self,
        }
    }

    fn message(&mut self, record: &Record<'_>) -> &mut Self {
        match record {
            Record::Message { id, topic, forwarded, payload, qos, retain, expires, publisher } => self
                .put("message", (*id != 0).then_some(*id))
                .put("topic", *topic)
                .put("qos", qos.bits())
                .put("retain", *retain)
                .time("expires", *expires)
                .put("publisher", *publisher)
                .properties(forwarded)
                .payload(payload),
            Record::Enqueue { key, number, message, qos, retain, closed, ids, from, group } => {
                self.put("session", *key).put("number", *number).put("message", *message);
                self.put("qos", qos.bits()).put("retain", *retain).put("closed", *closed);
                if !ids.is_empty() {
                    self.put("ids", ids.clone());
                }
                if let Some(from) = from {
                    let mut inner = Fields::default();
                    inner.parked(from);
                    self.put("from", inner.into_value());
                }
                match group {
                    Some((share, filter)) => self.put("group", format!("$share/{share}/{filter}")),
                    None => self,
                }
            }
            _ => self,
        }
    }
}
