//! Topics to subscriptions, with 10,000 filters of all kinds: the walk of the trie, and the hit in a worker's cache.

use std::hint::black_box;

use whimbrel_codec::QoS;
use whimbrel_engine::routing::trie::{Scratch, Trie};

use crate::draw::Draw;
use crate::server::{Server, publish};

const FILTERS: u32 = 10_000;
const SEED: u64 = 0x5eed;

/// Walks the trie for topics that are drawn anew each time.
pub(crate) fn random_topic(iterations: u32) {
    let mut trie = Trie::new(SEED);
    let mut draw = Draw::new(SEED);
    for key in 0..FILTERS {
        trie.insert(&filter(&mut draw, key), u64::from(key), ());
    }
    // As many topics as the table holds are written beforehand: drawing and formatting them is not what is counted.
    let topics: Vec<String> = (0..4_096).map(|_| topic(&mut draw)).collect();
    let mut scratch = Scratch::new();
    let mut matches = 0_u64;
    for topic in topics.iter().cycle().take(iterations as usize) {
        trie.for_each_match(black_box(topic), &mut scratch, |key, ()| matches += black_box(key) & 1);
    }
    black_box(matches);
}

/// A client publishes to topics that the worker knows already and that match nobody: what is left is the packet and
/// the look-up.
pub(crate) fn cached_topic(iterations: u32) {
    let mut server = Server::new();
    let mut draw = Draw::new(SEED);
    let mut subscriber = server.connect("subscriber");
    for key in 0..FILTERS {
        server.subscribe(&mut subscriber, &filter(&mut draw, key), QoS::AtMostOnce);
    }
    let mut publisher = server.connect("publisher");
    let frames: Vec<Vec<u8>> =
        (0..256).map(|at| publish(&format!("quiet/{at}/nobody/listens/here"), QoS::AtMostOnce)).collect();
    for frame in &frames {
        server.hear(&mut publisher, frame);
    }
    for frame in frames.iter().cycle().take(iterations as usize) {
        server.hear(&mut publisher, black_box(frame));
    }
    server.flush();
    // A fraction of what is drawn may match; what is cached here must not.
    assert_eq!(subscriber.written(), 0, "somebody listens");
}

/// Sixty of a hundred are exact, thirty have a `+`, ten end with `#`.
fn filter(draw: &mut Draw, key: u32) -> String {
    let (site, building, room) = (draw.below(20), draw.below(50), draw.below(100));
    match key % 10 {
        0..6 => format!("site/{site}/building/{building}/room/{room}"),
        6 => format!("site/+/building/{building}/room/{room}"),
        7 => format!("site/{site}/+/{building}/room/{room}"),
        8 => format!("site/{site}/building/{building}/room/+"),
        _ => format!("site/{site}/building/{building}/#"),
    }
}

fn topic(draw: &mut Draw) -> String {
    format!("site/{}/building/{}/room/{}", draw.below(20), draw.below(50), draw.below(100))
}
