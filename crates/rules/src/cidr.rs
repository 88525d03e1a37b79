//! Blocks of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keyblind_resource::{Data, Fragment, Unknown, Value};
use keyblind_rule_language::CidrTest;

use crate::compare::agree;
use crate::computed;
use crate::truth::Truth;

/// A block: its first address (host bits cleared) and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    address: IpAddr,
    prefix: u8,
}

/// What isn't reachable from the internet: private, shared, link-local, loopback.
const PRIVATE_V4: [(Ipv4Addr, u8); 6] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
];
const PRIVATE_V6: [(Ipv6Addr, u8); 3] =
    [(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7), (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), (Ipv6Addr::LOCALHOST, 128)];

impl Block {
    /// Reads `10.0.0.0/8`, `::/0`, or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        if prefix > longest {
            return None;
        }
        // `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
            && prefix >= 96
        {
            return Some(Self { address: IpAddr::V4(v4), prefix: prefix - 96 });
        }
        Some(Self { address, prefix })
    }

    fn is_world(self) -> bool {
        self.prefix == 0
    }

    /// Whether it is so wide that naming it confines nobody.
    pub(crate) fn is_nearly_world(self) -> bool {
        self.prefix < if self.address.is_ipv4() { 8 } else { 16 } && !self.is_private()
    }

    fn is_within(self, address: IpAddr, prefix: u8) -> bool {
        let same = |a: u128, b: u128, bits: u32| prefix == 0 || (a ^ b) >> (bits - u32::from(prefix)) == 0;
        self.prefix >= prefix
            && match (self.address, address) {
                (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
                (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
                _ => false,
            }
    }

    fn is_private(self) -> bool {
        PRIVATE_V4.iter().any(|&(address, prefix)| self.is_within(IpAddr::V4(address), prefix))
            || PRIVATE_V6.iter().any(|&(address, prefix)| self.is_within(IpAddr::V6(address), prefix))
    }
}

/// Asks a block, or a list of which one element suffices.
pub(crate) fn matches(test: CidrTest, value: &Value) -> Truth {
    match &value.data {
        Data::String(text) => Block::parse(text).is_some_and(|block| block_matches(test, block)).into(),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            items.iter().filter(|item| item.as_items().is_none()).map(|item| matches(test, item)).fold(Truth::False, Truth::or)
        }
        Data::Unknown(unknown) => unknown_matches(test, unknown),
        _ => Truth::False,
    }
}

/// Whether a block, or one of a list, lies inside another, or one of a list.
pub(crate) fn within(value: &Value, outer: &Value) -> Truth {
    match (&value.data, &outer.data) {
        (Data::List(items) | Data::Set(items) | Data::Tuple(items), _) => {
            items.iter().filter(|item| item.as_items().is_none()).map(|item| within(item, outer)).fold(Truth::False, Truth::or)
        }
        (_, Data::List(items) | Data::Set(items) | Data::Tuple(items)) => {
            items.iter().filter(|item| item.as_items().is_none()).map(|item| within(value, item)).fold(Truth::False, Truth::or)
        }
        (Data::Unknown(unknown), _) if !unknown.candidates.is_empty() => {
            agree(unknown.candidates.iter().map(|candidate| within(candidate, outer)))
        }
        (_, Data::Unknown(unknown)) if !unknown.candidates.is_empty() => {
            agree(unknown.candidates.iter().map(|candidate| within(value, candidate)))
        }
        (Data::String(inner), Data::String(outer)) => match (Block::parse(inner), Block::parse(outer)) {
            (Some(inner), Some(outer)) => inner.is_within(outer.address, outer.prefix).into(),
            _ => Truth::False,
        },
        (Data::Unknown(_), Data::String(_) | Data::Unknown(_)) | (Data::String(_), Data::Unknown(_)) => Truth::Unknown,
        _ => Truth::False,
    }
}

fn block_matches(test: CidrTest, block: Block) -> bool {
    match test {
        CidrTest::World => block.is_world(),
        CidrTest::Public => !block.is_private(),
        CidrTest::Private => block.is_private(),
        CidrTest::WiderThan(prefix) => block.prefix < prefix,
    }
}

fn unknown_matches(test: CidrTest, unknown: &Unknown) -> Truth {
    if !unknown.candidates.is_empty() {
        return agree(unknown.candidates.iter().map(|candidate| matches(test, candidate)));
    }
    if test == CidrTest::World && computed::is_never_everything(unknown) {
        return Truth::False;
    }
    // `"${var.address}/32"`: the prefix is known.
    let Some(Fragment::Literal(last)) = unknown.fragments.last() else { return Truth::Unknown };
    let Some((_, prefix)) = last.rsplit_once('/') else { return Truth::Unknown };
    let Ok(prefix) = prefix.parse::<u8>() else { return Truth::False };
    match test {
        CidrTest::World if prefix != 0 => Truth::False,
        CidrTest::WiderThan(bound) if prefix >= bound => Truth::False,
        // Whatever stands before it, if it is an address at all.
        _ => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart() {
        let is = |test, text: &str| matches(test, &Value::string(text)) == Truth::True;
        for world in ["0.0.0.0/0", "::/0", "0:0:0:0:0:0:0:0/0", "10.0.0.0/0", "::ffff:0.0.0.0/96"] {
            assert!(is(CidrTest::World, world) && is(CidrTest::Public, world), "{world}");
        }
        for private in ["10.1.0.0/16", "172.31.0.0/16", "192.168.1.1", "fd00::/8", "fe80::1/64", "127.0.0.1/32", "100.64.0.0/10"] {
            assert!(is(CidrTest::Private, private) && !is(CidrTest::Public, private), "{private}");
        }
        for public in ["8.8.8.8/32", "0.0.0.0/1", "172.32.0.0/16", "10.0.0.0/7", "2001:db8::/32"] {
            assert!(is(CidrTest::Public, public) && !is(CidrTest::Private, public) && !is(CidrTest::World, public), "{public}");
        }
        for neither in ["", "*", "Internet", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/+8", "a/0"] {
            assert!(!is(CidrTest::Public, neither) && !is(CidrTest::Private, neither) && !is(CidrTest::World, neither), "{neither}");
        }
        assert!(is(CidrTest::WiderThan(16), "10.0.0.0/8") && !is(CidrTest::WiderThan(16), "10.0.0.0/16"));
    }

    #[test]
    fn of_a_list_one_suffices() {
        let list = Value::tuple(vec![Value::string("10.0.0.0/8"), Value::string("::/0")]);
        assert_eq!(matches(CidrTest::World, &list), Truth::True);
        assert_eq!(matches(CidrTest::World, &Value::tuple(Vec::new())), Truth::False);
    }
}
