//! Why a client may do something, or may not: by the rules in force and by who the client is. It changes nothing.

use serde::{Deserialize, Serialize};
use whimbrel_codec::{Filter, check_topic_name};
use whimbrel_engine::rules::{Partly, Rights};

use super::{Control, Refusal};

/// What somebody wants to know of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Whether it may publish to a topic.
    Publish,
    /// Whether it may subscribe to a topic filter.
    Subscribe,
}

/// A decision and what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The client's identifier.
    pub client_id: String,
    /// The user name that it has proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The listener on which it came.
    pub listener: String,
    /// Whether it may.
    pub allowed: bool,
    /// Of a filter: whether a part of it may be read, and another part not.
    #[serde(default)]
    pub partly: bool,
    /// The file of rules.
    pub file: String,
    /// The line of the rule that decides, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// How that rule reads; absent where none speaks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Control {
    /// Whether a client that is here, or was here last with this session, may do something, and which rule says so.
    ///
    /// # Errors
    /// [`Refusal::NoRules`], [`Refusal::NoSuchClient`], [`Refusal::Unidentified`]; [`Refusal::NoRequest`] where the topic is
    /// none.
    pub async fn why(
        &self,
        client_id: &str,
        action: Action,
        topic: &str,
        (qos, retain): (u8, bool),
    ) -> Result<Decided, Refusal> {
        let no_request = |why: String| Refusal::NoRequest { why };
        let rules = self.engine().rules().ok_or(Refusal::NoRules)?;
        let client = || client_id.to_owned();
        let session =
            self.engine().session(client_id).ok_or_else(|| Refusal::NoSuchClient { client_id: client() })?;
        let who = session.who().ok_or_else(|| Refusal::Unidentified { client_id: client() })?;
        let rights = Rights::new(&rules, &who);
        let (allowed, partly, rule) = match action {
            Action::Publish => {
                check_topic_name(topic).map_err(|fault| no_request(format!("{topic:?}: {fault}")))?;
                let decision = rights.publish(topic, qos.min(2), retain);
                (decision.allowed, false, decision.rule)
            }
            Action::Subscribe => {
                let filter =
                    Filter::parse(topic).map_err(|fault| no_request(format!("{topic:?}: {fault}")))?;
                let partly = self.engine().access_options().map_or(Partly::Refuse, |options| options.partly);
                let grant = rights.subscribe(filter.filter, partly);
                (grant.granted, grant.partly, grant.rule)
            }
        };
        let rule = rule.and_then(|rule| rules.describe(rule));
        Ok(Decided {
            client_id: client(),
            user: who.user_name.as_deref().map(str::to_owned),
            address: who.address.map(|address| address.to_string()),
            listener: who.listener.to_string(),
            allowed,
            partly,
            file: rules.file().to_owned(),
            line: rule.as_ref().and_then(|rule| rule.line),
            rule: rule.map(|rule| rule.words.into()),
        })
    }
}
