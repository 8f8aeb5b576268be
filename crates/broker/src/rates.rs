//! How fast connections may come: to a listener, and from one source. Pure: the time is passed in. Not what becomes of those
//! who come too fast.
//!
//! A rate is a bucket that fills evenly and gives one token to each connection. What is kept of a bucket is one number: the
//! moment at which it will be full again, so that it is full of itself when nobody comes.
//!
//! Sources have no table that grows. Each has two buckets among a fixed number, chosen by a hash that nobody outside can
//! foresee, and is refused only when both are empty: who shares one bucket with somebody who comes too fast has another.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Microseconds since the broker began.
type Micros = u64;

/// Buckets of all sources together: 8 bytes each.
const BUCKETS: usize = 1 << 16;

/// So many of one second's connections may come at once where nothing else is said: all of them.
const SECOND: Micros = 1_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Microseconds for one token.
    each: Micros,
    /// Microseconds from empty to full.
    whole: Micros,
}

impl Pace {
    /// So many in a second, and so many at once.
    pub(crate) fn new(per_second: u32, at_once: u32) -> Pace {
        let each = (SECOND / u64::from(per_second.max(1))).max(1);
        Pace { each, whole: each * u64::from(at_once.max(1)) }
    }
}

/// One bucket: the moment at which it is full.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

impl Bucket {
    /// When the bucket would be full if a token were taken now, if there is one.
    fn without_one(full_at: Micros, pace: Pace, now: Micros) -> Option<Micros> {
        let after = full_at.max(now) + pace.each;
        (after - now <= pace.whole).then_some(after)
    }

    fn take(&self, pace: Pace, now: Micros) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |full_at| Bucket::without_one(full_at, pace, now)).is_ok()
    }
}

/// What was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooFast {
    /// All connections of the listener together.
    Listener,
    /// Those of one source.
    Source,
}

/// The rates of a listener.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    listener: Option<(Pace, Bucket)>,
    sources: Option<(Pace, Sources)>,
}

#[derive(Debug)]
struct Sources {
    buckets: Box<[Bucket]>,
    hashes: [RandomState; 2],
}

impl Rates {
    /// Whether anybody is counted.
    pub(crate) fn count(&self) -> bool {
        self.listener.is_some() || self.sources.is_some()
    }

    /// Rates for all connections, and for those of one source; `None` sets none.
    pub(crate) fn new(listener: Option<Pace>, source: Option<Pace>) -> Rates {
        let sources = || Sources {
            buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(),
            hashes: [RandomState::new(), RandomState::new()],
        };
        Rates {
            listener: listener.map(|pace| (pace, Bucket::default())),
            sources: source.map(|pace| (pace, sources())),
        }
    }

    /// A connection has come to the listener.
    pub(crate) fn arrive(&self, now: Micros) -> Result<(), TooFast> {
        match &self.listener {
            Some((pace, bucket)) if !bucket.take(*pace, now) => Err(TooFast::Listener),
            _ => Ok(()),
        }
    }

    /// A connection of this source has come.
    pub(crate) fn arrive_from(&self, source: IpAddr, now: Micros) -> Result<(), TooFast> {
        let Some((pace, sources)) = &self.sources else { return Ok(()) };
        let source = network(source);
        let chosen = sources.hashes.each_ref().map(|hash| {
            let at = hash.hash_one(source) as usize % BUCKETS;
            sources.buckets.get(at)
        });
        let full_at = |bucket: &Option<&Bucket>| bucket.map_or(0, |bucket| bucket.0.load(Relaxed));
        // The emptier of the two may have been emptied by somebody else: the fuller one decides, and the emptier stays.
        let least = chosen.iter().map(full_at).min().unwrap_or(0);
        let after = Bucket::without_one(least, *pace, now).ok_or(TooFast::Source)?;
        for bucket in chosen.into_iter().flatten() {
            bucket.0.fetch_max(after, Relaxed);
        }
        Ok(())
    }
}

/// Whom an address stands for: one of IPv4 for itself, one of IPv6 for its /64, which is what one customer has.
fn network(source: IpAddr) -> u64 {
    match source.to_canonical() {
        // 192.0.2.1 and ::192.0.2.1 shall not be the same: no /64 that is in use begins with zeros.
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_second: u32, at_once: u32) -> Rates {
        Rates::new(None, Some(Pace::new(per_second, at_once)))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of so many that come at this moment are let in.
    fn let_in(rates: &Rates, source: &str, count: usize, now: Micros) -> usize {
        (0..count).filter(|_| rates.arrive_from(address(source), now).is_ok()).count()
    }

    #[test]
    fn so_many_at_once_and_then_so_many_in_a_second() {
        let rates = rates(10, 5);
        assert_eq!(let_in(&rates, "192.0.2.1", 100, 0), 5);
        assert_eq!(let_in(&rates, "192.0.2.1", 100, 99_999), 0);
        assert_eq!(let_in(&rates, "192.0.2.1", 100, 100_000), 1);
        assert_eq!(let_in(&rates, "192.0.2.1", 100, 300_000), 2);
        assert_eq!(let_in(&rates, "192.0.2.1", 100, 3_600 * SECOND), 5, "it is never fuller than full");
        let within_an_hour: usize =
            (0..36_000).map(|at| let_in(&rates, "192.0.2.9", 3, at * SECOND / 10)).sum();
        assert_eq!(within_an_hour, 36_004);
    }

    #[test]
    fn a_source_is_an_address_of_ipv4_or_a_64_of_ipv6() {
        let rates = rates(1, 1);
        for (source, expect) in [
            ("192.0.2.1", 1),
            ("192.0.2.2", 1),
            ("::ffff:192.0.2.1", 0),
            ("2001:db8::1", 1),
            ("2001:db8::ffff:0:0:1", 0),
            ("2001:db8:0:1::1", 1),
        ] {
            assert_eq!(let_in(&rates, source, 1, 5), expect, "{source}");
        }
    }

    #[test]
    fn who_comes_slowly_is_let_in_beside_a_thousand_who_come_too_fast() {
        let rates = rates(1, 2);
        for source in 0..1_000_u32 {
            let source = IpAddr::V4((0x0a00_0000 + source).into());
            (0..10).for_each(|_| assert!(rates.arrive_from(source, 0).is_ok() || source.is_ipv4()));
        }
        let good = (0..10_000_u32)
            .filter(|source| rates.arrive_from(IpAddr::V4((0x0b00_0000 + source).into()), 1).is_ok());
        // Both of the buckets of one in a thousand are other people's.
        assert!(good.count() > 9_900);
    }

    #[test]
    fn what_the_sources_cost_is_bounded() {
        let rates = rates(1, 1);
        let Some((_, sources)) = &rates.sources else { panic!("there are sources") };
        assert_eq!(std::mem::size_of_val(&*sources.buckets), 512 << 10);
        assert!(Rates::default().sources.is_none(), "nothing is held where nothing is limited");
    }

    #[test]
    fn the_rate_of_a_listener_is_that_of_all_sources_together() {
        let rates = Rates::new(Some(Pace::new(100, 100)), None);
        assert_eq!((0..1_000).filter(|_| rates.arrive(7).is_ok()).count(), 100);
        assert_eq!(rates.arrive(7), Err(TooFast::Listener));
        assert_eq!((0..1_000).filter(|_| rates.arrive(SECOND / 2 + 7).is_ok()).count(), 50);
        assert_eq!(let_in(&rates, "192.0.2.1", 1_000, 7), 1_000, "nobody has set one for sources");
    }
}
