//! How often whoever may do what: a bucket of tokens for each.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets that are remembered. When there are more, those that are full again are forgotten; if none is, newcomers wait.
const MOST: usize = 16_384;

/// Buckets of tokens, each of which holds a minute's worth.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    a_minute: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(crate) fn new(a_minute: u32) -> Self {
        Self { a_minute: f64::from(a_minute), buckets: Mutex::default() }
    }

    /// Takes a token; otherwise how long it takes until there is one.
    pub(crate) fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.filled) < Duration::from_secs(60));
            if buckets.len() >= MOST {
                return Err(Duration::from_secs(60));
            }
        }
        let a_second = self.a_minute / 60.0;
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: self.a_minute, filled: now });
        bucket.tokens = (bucket.tokens + now.saturating_duration_since(bucket.filled).as_secs_f64() * a_second).min(self.a_minute);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64(((1.0 - bucket.tokens) / a_second).clamp(1.0, 60.0)));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// One household has a /64 of IPv6 addresses.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [first, second, third, fourth, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(first, second, third, fourth, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_too_often_waits_and_others_dont() {
        let (buckets, start) = (Buckets::new(5), Instant::now());
        for _ in 0..5 {
            assert_eq!(buckets.take("mia", start), Ok(()));
        }
        let wait = buckets.take("mia", start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(12));
        assert_eq!(buckets.take("olga", start), Ok(()));
        assert_eq!(buckets.take("mia", start + wait), Ok(()));
        assert!(buckets.take("mia", start + wait).is_err());
    }

    #[test]
    fn a_household_is_one() {
        let [one, two] = ["2001:db8::1", "2001:db8::ffff:2"].map(|text| household(text.parse().unwrap()));
        assert_eq!(one, two);
        assert_eq!(household("::ffff:10.0.0.1".parse().unwrap()).to_string(), "10.0.0.1");
    }
}
