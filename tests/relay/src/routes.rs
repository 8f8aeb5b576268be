//! Which connections get a topic. Filters are looked through once per topic; after that it is one look-up.

use hashbrown::HashMap;

/// A connection's place.
pub(crate) type Place = usize;

type Memory = HashMap<Box<[u8]>, usize, foldhash::fast::FixedState>;

/// Topics that are remembered; then all are looked through anew.
const TOPICS_MAX: usize = 1 << 20;

/// Filters and the connections behind them.
#[derive(Default)]
pub(crate) struct Routes {
    subscriptions: Vec<Subscription>,
    routes: Vec<Route>,
    topics: Memory,
}

struct Subscription {
    filter: Box<[u8]>,
    /// The name of the shared group.
    group: Option<Box<[u8]>>,
    place: Place,
}

/// Who gets one topic.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) everyone: Vec<Place>,
    groups: Vec<Group>,
}

struct Group {
    name: (Box<[u8]>, Box<[u8]>),
    members: Vec<Place>,
    next: usize,
}

impl Routes {
    pub(crate) fn subscribe(&mut self, filter: &[u8], place: Place) {
        self.unsubscribe(filter, place);
        let (group, filter) = parts(filter);
        self.subscriptions.push(Subscription { filter: filter.into(), group: group.map(Box::from), place });
        self.forget();
    }

    pub(crate) fn unsubscribe(&mut self, filter: &[u8], place: Place) {
        let (group, filter) = parts(filter);
        self.subscriptions.retain(|subscription| {
            subscription.place != place
                || *subscription.filter != *filter
                || subscription.group.as_deref() != group
        });
        self.forget();
    }

    /// The connection is gone.
    pub(crate) fn remove(&mut self, place: Place) {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|subscription| subscription.place != place);
        if before != self.subscriptions.len() {
            self.forget();
        }
    }

    /// Who gets `topic`.
    pub(crate) fn route(&mut self, topic: &[u8]) -> Option<&mut Route> {
        let at = match self.topics.get(topic) {
            Some(at) => *at,
            None => self.add(topic),
        };
        self.routes.get_mut(at)
    }

    fn add(&mut self, topic: &[u8]) -> usize {
        if self.routes.len() >= TOPICS_MAX {
            self.forget();
        }
        let mut route = Route::default();
        for subscription in &self.subscriptions {
            if is_match(&subscription.filter, topic) {
                route.add(subscription);
            }
        }
        self.routes.push(route);
        self.topics.insert(topic.into(), self.routes.len() - 1);
        self.routes.len() - 1
    }

    fn forget(&mut self) {
        self.topics.clear();
        self.routes.clear();
    }
}

impl Route {
    fn add(&mut self, subscription: &Subscription) {
        let Some(group) = &subscription.group else {
            if !self.everyone.contains(&subscription.place) {
                self.everyone.push(subscription.place);
            }
            return;
        };
        let name = (group.clone(), subscription.filter.clone());
        match self.groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.members.push(subscription.place),
            None => self.groups.push(Group { name, members: vec![subscription.place], next: 0 }),
        }
    }

    /// The member of each shared group whose turn it is.
    pub(crate) fn members(&mut self) -> impl Iterator<Item = Place> {
        self.groups.iter_mut().filter_map(|group| {
            group.next = (group.next + 1) % group.members.len().max(1);
            group.members.get(group.next).copied()
        })
    }
}

/// A shared subscription's group and filter, or the filter alone.
fn parts(filter: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let shared = filter.strip_prefix(b"$share/").and_then(|rest| {
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        Some((rest.get(..slash)?, rest.get(slash + 1..)?))
    });
    shared.map_or((None, filter), |(group, filter)| (Some(group), filter))
}

fn is_match(filter: &[u8], topic: &[u8]) -> bool {
    let mut levels = topic.split(|&byte| byte == b'/');
    for level in filter.split(|&byte| byte == b'/') {
        if level == b"#" {
            return true;
        }
        match levels.next() {
            Some(text) if level == b"+" || level == text => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(routes: &mut Routes, topic: &str) -> Vec<Place> {
        let route = routes.route(topic.as_bytes()).unwrap();
        let mut places = route.everyone.clone();
        places.extend(route.members());
        places
    }

    #[test]
    fn a_topic_reaches_those_whose_filter_matches() {
        let mut routes = Routes::default();
        for (place, filter) in ["a/b", "a/+", "a/#", "#", "b", "a/b/c"].iter().enumerate() {
            routes.subscribe(filter.as_bytes(), place);
        }
        assert_eq!(places(&mut routes, "a/b"), [0, 1, 2, 3]);
        assert_eq!(places(&mut routes, "a"), [2, 3]);
        assert_eq!(places(&mut routes, "c"), [3]);
        routes.unsubscribe(b"a/+", 1);
        routes.remove(3);
        assert_eq!(places(&mut routes, "a/b"), [0, 2]);
    }

    #[test]
    fn two_filters_of_one_connection_bring_one_message() {
        let mut routes = Routes::default();
        routes.subscribe(b"a", 0);
        routes.subscribe(b"a", 0);
        routes.subscribe(b"#", 0);
        assert_eq!(places(&mut routes, "a"), [0]);
    }

    #[test]
    fn the_members_of_a_group_take_turns() {
        let mut routes = Routes::default();
        for place in 0..3 {
            routes.subscribe(b"$share/g/a/+", place);
        }
        routes.subscribe(b"$share/h/a/+", 9);
        let mut seen: Vec<Place> = (0..3).flat_map(|_| places(&mut routes, "a/b")).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 9, 9, 9]);
    }
}
