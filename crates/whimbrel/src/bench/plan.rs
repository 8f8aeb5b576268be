//! Who connects, who publishes what, and who must get it: a scenario written out. Not when, and not how fast.

use std::collections::HashSet;
use std::ops::Range;

use whimbrel_codec::{QoS, check_topic_filter, check_topic_name};

/// Everything that the threads of a run need to know about who does what; it does not change while they run.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) clients: Vec<Client>,
    pub(super) senders: Vec<Sender>,
    /// The senders of whom each group's members share out the messages.
    pub(super) groups: Vec<Range<usize>>,
    /// The topics that senders of [`Topics::Spread`] walk over.
    pub(super) spread: Vec<String>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    /// Clients of one lane share a thread.
    pub(super) lane: usize,
    pub(super) work: Work,
    pub(super) filters: Vec<String>,
    pub(super) qos: QoS,
    /// Whether its session outlives the connection.
    pub(super) persistent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Publish {
        sender: usize,
    },
    Receive(Receive),
    /// Is connected, and that is all.
    Hold,
    /// Connects, leaves, and connects again.
    Churn,
}

/// What a subscriber must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receive {
    /// Everything from these senders, in order.
    All(Range<usize>),
    /// Whatever the others of its group do not get.
    Share { group: usize },
    /// Whatever is published to these topics of [`Plan::spread`]; nobody else gets it.
    Spread { group: usize, topics: Range<usize> },
    /// Each of so many retained messages of sender 0 once per subscription.
    Retained { count: usize },
}

/// One source of numbered messages.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) topics: Topics,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Whether its messages are empty and only clear what is retained.
    pub(super) clears: bool,
    /// How many receivers get each message.
    pub(super) copies: u32,
}

#[derive(Debug)]
pub(super) enum Topics {
    One(String),
    /// Message `number` goes to topic `(first + number × step) mod` the number of topics.
    Spread {
        first: usize,
        step: usize,
    },
}

impl Plan {
    /// The topic to which a sender publishes this message, and its index if the sender walks over many.
    #[inline]
    pub(super) fn topic<'a>(&'a self, sender: &'a Sender, number: u64) -> Option<(&'a str, usize)> {
        match sender.topics {
            Topics::One(ref topic) => Some((topic, 0)),
            Topics::Spread { first, step } => {
                let topics = self.spread.len().max(1);
                let index = (number as usize % topics * step + first) % topics;
                self.spread.get(index).map(|topic| (topic.as_str(), index))
            }
        }
    }

    /// Adds a publisher and returns its index among the senders.
    pub(super) fn publisher(&mut self, id: String, lane: usize, sender: Sender) -> usize {
        let index = self.senders.len();
        let qos = sender.qos;
        self.senders.push(sender);
        let work = Work::Publish { sender: index };
        self.clients.push(Client { id, lane, work, filters: Vec::new(), qos, persistent: false });
        index
    }

    /// Adds a subscriber.
    pub(super) fn subscriber(
        &mut self,
        id: String,
        lane: usize,
        receive: Receive,
        filters: Vec<String>,
        qos: QoS,
    ) {
        let work = Work::Receive(receive);
        self.clients.push(Client { id, lane, work, filters, qos, persistent: false });
    }

    /// The sessions of all receivers outlive their connections.
    pub(super) fn keep_sessions(&mut self) {
        for client in &mut self.clients {
            client.persistent = matches!(client.work, Work::Receive(_));
        }
    }

    /// Refuses topics and filters that no broker would take, and clients that would drive each other out.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut ids = HashSet::new();
        if let Some(client) = self.clients.iter().find(|client| !ids.insert(client.id.as_str())) {
            return Err(format!(
                "several clients would have the client id {:?}: --client-id needs %i, and %k where there are several kinds",
                client.id
            ));
        }
        let topics = self.senders.iter().filter_map(|sender| match &sender.topics {
            Topics::One(topic) => Some(topic),
            Topics::Spread { .. } => None,
        });
        for topic in topics.chain(&self.spread) {
            check_topic_name(topic).map_err(|wrong| format!("topic {topic:?}: {wrong}"))?;
        }
        for filter in self.clients.iter().flat_map(|client| &client.filters) {
            check_topic_filter(filter).map_err(|wrong| format!("filter {filter:?}: {wrong}"))?;
        }
        Ok(())
    }
}
