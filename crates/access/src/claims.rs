//! What an identity provider says of a client, as far as rules ask. Not the token in which it says so.

use whimbrel_codec::check_topic_filter;

use crate::{relation::Shape, rule::Action};

/// What a client's token says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// By name, in the order of the names.
    values: Box<[(Box<str>, Box<str>)]>,
    groups: Box<[Box<str>]>,
    publish: Option<Box<[Box<str>]>>,
    subscribe: Option<Box<[Box<str>]>>,
}

impl Claims {
    /// What rules may put in the place of `${name}`, and the names of groups that the client is in.
    #[must_use]
    pub fn new(mut values: Vec<(Box<str>, Box<str>)>, groups: Vec<Box<str>>) -> Claims {
        values.sort_unstable();
        values.dedup_by(|later, earlier| later.0 == earlier.0);
        Claims { values: values.into(), groups: groups.into(), publish: None, subscribe: None }
    }

    /// To which topic filters the client may publish, and what it may subscribe to, where no rule says it. None: the token
    /// has no say in it.
    ///
    /// # Errors
    /// The text that is no topic filter.
    pub fn granting(
        self,
        publish: Option<Vec<Box<str>>>,
        subscribe: Option<Vec<Box<str>>>,
    ) -> Result<Claims, Box<str>> {
        let is_filter = |text: &str| check_topic_filter(text).is_ok() && !text.starts_with("$share/");
        if let Some(wrong) =
            [&publish, &subscribe].into_iter().flatten().flatten().find(|text| !is_filter(text))
        {
            return Err(wrong.clone());
        }
        let (publish, subscribe) = (publish.map(Box::from), subscribe.map(Box::from));
        Ok(Claims { publish, subscribe, ..self })
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let at = self.values.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.values.get(at).map(|(_, value)| &**value)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| &**group)
    }

    /// The filters that the token grants for an action, where it has a say in it.
    pub(crate) fn granted(&self, action: Action) -> Option<Granted<'_>> {
        let list = match action {
            Action::Publish => &self.publish,
            Action::Receive | Action::Subscribe => &self.subscribe,
        };
        list.as_deref().map(Granted)
    }
}

/// Topic filters that a token grants.
pub(crate) struct Granted<'a>(&'a [Box<str>]);

impl Granted<'_> {
    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.0.iter().any(|filter| whimbrel_codec::matches(filter, topic))
    }

    /// Whether one of them has all that a filter matches.
    pub(crate) fn cover(&self, filter: &Shape<'_>) -> bool {
        self.0.iter().any(|own| Shape::of(own).covers(filter))
    }

    /// Whether one of them has something that a filter matches.
    pub(crate) fn overlap(&self, filter: &Shape<'_>) -> bool {
        self.0.iter().any(|own| Shape::of(own).overlaps(filter))
    }
}
