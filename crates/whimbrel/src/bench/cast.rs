//! Writes scenarios out: which clients there are, what each publishes, what each must get. Not the command line.

use whimbrel_codec::QoS;

use super::plan::{Client, Plan, Receive, Sender, Topics, Work};
use super::template::{Names, Template};

/// Retained messages and filters lie under so many different second levels.
const BRANCHES: usize = 97;

/// A plan in the making, with the names that it gives.
pub(super) struct Cast<'a> {
    pub(super) plan: Plan,
    client_id: &'a Template,
    run: &'a str,
    lanes: usize,
}

impl<'a> Cast<'a> {
    pub(super) fn new(client_id: &'a Template, run: &'a str) -> Cast<'a> {
        Cast { plan: Plan::default(), client_id, run, lanes: 0 }
    }

    /// Every sender has a receiver of his own, on the same thread.
    pub(super) fn pairs(&mut self, count: usize, qos: QoS, topic: &Template, kind: &str) {
        for pair in 0..count {
            let lane = self.lane();
            let topic = self.topic(topic, &pair.to_string(), count);
            let (subscriber, publisher) = (format!("{kind}sub"), format!("{kind}pub"));
            let id = self.id(&subscriber, pair, count);
            let sender = self.plan.senders.len();
            self.plan.subscriber(id, lane, Receive::All(sender..sender + 1), vec![topic.clone()], qos);
            let id = self.id(&publisher, pair, count);
            self.plan.publisher(id, lane, sender_of(Topics::One(topic), qos, 1));
        }
    }

    /// Every receiver gets everything from every sender.
    pub(super) fn fan(
        &mut self,
        publishers: usize,
        subscribers: usize,
        qos: QoS,
        topic: &Template,
        kind: &str,
    ) -> Result<(), String> {
        let filter = self.filter(topic, publishers)?;
        let first = self.plan.senders.len();
        for subscriber in 0..subscribers {
            let id = self.id(&format!("{kind}sub"), subscriber, subscribers);
            let lane = self.lane();
            let receive = Receive::All(first..first + publishers);
            self.plan.subscriber(id, lane, receive, vec![filter.clone()], qos);
        }
        self.publishers(publishers, subscribers as u32, qos, topic, kind);
        Ok(())
    }

    /// Every group gets everything from every sender; its members share it out.
    pub(super) fn shared(
        &mut self,
        publishers: usize,
        (groups, members): (usize, usize),
        qos: QoS,
        topic: &Template,
        kind: &str,
    ) -> Result<(), String> {
        let filter = self.filter(topic, publishers)?;
        let first = self.plan.senders.len();
        for group in 0..groups {
            let index = self.plan.groups.len();
            self.plan.groups.push(first..first + publishers);
            let filter = format!("$share/group{group}/{filter}");
            for member in 0..members {
                let id = self.id(&format!("{kind}member"), group * members + member, groups * members);
                let lane = self.lane();
                self.plan.subscriber(id, lane, Receive::Share { group: index }, vec![filter.clone()], qos);
            }
        }
        self.publishers(publishers, groups as u32, qos, topic, kind);
        Ok(())
    }

    fn publishers(&mut self, count: usize, copies: u32, qos: QoS, topic: &Template, kind: &str) {
        for publisher in 0..count {
            let id = self.id(&format!("{kind}pub"), publisher, count);
            let lane = self.lane();
            let topic = self.topic(topic, &publisher.to_string(), count);
            self.plan.publisher(id, lane, sender_of(Topics::One(topic), qos, copies));
        }
    }

    /// Subscriptions of three kinds, each of which matches one topic; publishers walk over the topics.
    pub(super) fn matching(&mut self, filters: usize, per_client: usize, publishers: usize, qos: QoS) {
        self.plan.groups.push(0..publishers);
        let clients = filters.div_ceil(per_client);
        for client in 0..clients {
            let topics = client * per_client..((client + 1) * per_client).min(filters);
            let filters = topics.clone().map(|index| self.filter_of_kind(index)).collect();
            let id = self.id("sub", client, clients);
            let lane = self.lane();
            self.plan.subscriber(id, lane, Receive::Spread { group: 0, topics }, filters, qos);
        }
        self.plan.spread = (0..filters).map(|index| self.spread_topic(index)).collect();
        let step = coprime_step(filters);
        for publisher in 0..publishers {
            let id = self.id("pub", publisher, publishers);
            let lane = self.lane();
            let topics = Topics::Spread { first: publisher * filters / publishers, step };
            self.plan.publisher(id, lane, sender_of(topics, qos, 1));
        }
    }

    /// One publisher leaves retained messages, another clears them; every receiver wants all.
    pub(super) fn retained(&mut self, messages: usize, subscribers: usize, qos: QoS) {
        self.plan.spread = (0..messages).map(|index| self.spread_topic(index)).collect();
        // What is kept must have been acknowledged before anybody asks for it.
        let stored = qos.max(QoS::AtLeastOnce);
        for (kind, clears) in [("pub", false), ("cleaner", true)] {
            let id = self.id(kind, 0, 1);
            let topics = Topics::Spread { first: 0, step: 1 };
            let sender = Sender { retain: true, clears, ..sender_of(topics, stored, 0) };
            self.plan.publisher(id, 0, sender);
        }
        for subscriber in 0..subscribers {
            let id = self.id("sub", subscriber, subscribers);
            let lane = self.lane();
            let filter = format!("bench/{}/m/#", self.run);
            self.plan.subscriber(id, lane, Receive::Retained { count: messages }, vec![filter], qos);
        }
    }

    /// Pairs whose receivers keep their sessions and are away while their messages are sent. Where they do not come back,
    /// they expect nothing.
    pub(super) fn sessions(&mut self, count: usize, qos: QoS, topic: &Template, come_back: bool) {
        self.pairs(count, qos, topic, "");
        self.plan.keep_sessions();
        for client in self.plan.clients.iter_mut().filter(|client| client.persistent && !come_back) {
            client.work = Work::Receive(Receive::All(0..0));
        }
        for sender in &mut self.plan.senders {
            // Nobody is there to get it, so that only acknowledgements are waited for.
            sender.copies = 0;
        }
    }

    /// Clients that only connect.
    pub(super) fn clients(&mut self, count: usize, work: &Work, subscribe: bool) {
        for index in 0..count {
            let id = self.id("client", index, count);
            let lane = self.lane();
            let filters = if subscribe { vec![format!("bench/{}/{index}", self.run)] } else { Vec::new() };
            let (work, qos) = (work.clone(), QoS::AtMostOnce);
            self.plan.clients.push(Client { id, lane, work, filters, qos, persistent: false });
        }
    }

    fn lane(&mut self) -> usize {
        self.lanes += 1;
        self.lanes - 1
    }

    fn id(&self, kind: &str, index: usize, number: usize) -> String {
        self.client_id.fill(Names { index: &index.to_string(), number, kind, run: self.run })
    }

    fn topic(&self, topic: &Template, index: &str, number: usize) -> String {
        topic.fill(Names { index, number, kind: "pub", run: self.run })
    }

    /// A filter for the topics of all publishers.
    fn filter(&self, topic: &Template, publishers: usize) -> Result<String, String> {
        if publishers > 1 && !topic.has_index() {
            // Every publisher has the same topic, and it is the filter.
            return Ok(self.topic(topic, "", publishers));
        }
        let filter = self.topic(topic, if publishers > 1 { "+" } else { "0" }, publishers);
        whimbrel_codec::check_topic_filter(&filter).map_err(|_| {
            "--topic: %i must be a level of its own, so that one filter is for all publishers".to_owned()
        })?;
        Ok(filter)
    }

    fn spread_topic(&self, index: usize) -> String {
        format!("bench/{}/m/{}/{index}/v", self.run, index % BRANCHES)
    }

    fn filter_of_kind(&self, index: usize) -> String {
        let (run, branch) = (self.run, index % BRANCHES);
        match index % 3 {
            0 => self.spread_topic(index),
            1 => format!("bench/{run}/m/+/{index}/v"),
            _ => format!("bench/{run}/m/{branch}/{index}/#"),
        }
    }
}

fn sender_of(topics: Topics, qos: QoS, copies: u32) -> Sender {
    Sender { topics, qos, retain: false, clears: false, copies }
}

/// A step that walks over all of `count` before it comes back.
fn coprime_step(count: usize) -> usize {
    let mut step = count * 5 / 8 + 1;
    while divisor(step, count) != 1 {
        step += 1;
    }
    step
}

fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use whimbrel_codec::matches;

    use super::*;

    #[test]
    fn every_topic_of_matching_is_matched_by_the_one_filter_of_its_number() {
        let id: Template = "%k%i".parse().unwrap();
        let mut cast = Cast::new(&id, "run");
        cast.matching(300, 100, 2, QoS::AtMostOnce);
        assert_eq!(cast.plan.check(), Ok(()));
        let filters: Vec<&String> = cast.plan.clients.iter().flat_map(|client| &client.filters).collect();
        for (number, topic) in cast.plan.spread.iter().enumerate() {
            let of_it = filters.iter().enumerate().filter(|(_, filter)| matches(filter, topic));
            assert_eq!(of_it.map(|(index, _)| index).collect::<Vec<_>>(), [number], "{topic}");
        }
        let mut walked: Vec<usize> = (0..300)
            .filter_map(|number| cast.plan.topic(&cast.plan.senders[1], number))
            .map(|(_, index)| index)
            .collect();
        walked.sort_unstable();
        assert_eq!(walked, (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn one_filter_is_for_all_publishers() {
        let check = |topic: &str, publishers: usize, expect: Option<&str>| {
            let id: Template = "%i".parse().unwrap();
            let cast = Cast::new(&id, "run");
            let filter = cast.filter(&topic.parse().unwrap(), publishers);
            assert_eq!(filter.ok().as_deref(), expect, "{topic}");
        };
        check("a/%i/b", 2, Some("a/+/b"));
        check("a/%i/b", 1, Some("a/0/b"));
        check("a/x%i", 2, None);
        check("a", 2, Some("a"));
    }
}
