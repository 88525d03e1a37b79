//! Which addresses a name may have.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use super::{AllowedHost, EgressError};

/// What an address is for (IANA's registries of special-purpose addresses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// On the public internet.
    Public,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, unique local, shared (carrier-grade NAT).
    Private,
    /// Link-local, multicast, broadcast, unspecified, reserved, documentation, a translated or tunnelled IPv4 address, or a
    /// cloud's metadata service: nothing that we talk to, whatever the configuration says.
    Special,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "this machine's own",
            Self::Private => "private",
            Self::Special => "link-local, reserved or translated",
        })
    }
}

impl AddressKind {
    /// The kind of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        (127, ..) => AddressKind::Loopback,
        // Oracle's metadata lies in 192.0.0.0/24, Alibaba's in the shared range, Azure's on a public address.
        (100, 100, 100, 200) | (168, 63, 129, 16) => AddressKind::Special,
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) | (100, 64..=127, ..) => AddressKind::Private,
        (0, ..) | (169, 254, ..) | (192, 0, 0, _) | (192, 0, 2, _) | (192, 88, 99, _) => AddressKind::Special,
        (198, 18..=19, ..) | (198, 51, 100, _) | (203, 0, 113, _) | (224..=255, ..) => AddressKind::Special,
        _ => AddressKind::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    let parts = address.segments();
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        // AWS has its metadata in the unique local range.
        [0xfd00, 0xec2, ..] => AddressKind::Special,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        // Teredo, benchmarking, documentation and other protocol assignments; 6to4.
        [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0x0000..=0x0fff, ..] => AddressKind::Special,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        // Mapped and translated IPv4 (`::ffff:0:0/96`, `64:ff9b::/96`), link-local, multicast, and what nobody has assigned.
        _ => AddressKind::Special,
    }
}

/// The addresses of one name.
pub type Resolution<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, EgressError>> + Send + 'a>>;

/// What finds the addresses of a name.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses that a name has now.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolution<'a>;
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolution<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await.map_err(|_| EgressError::Unresolved)?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The addresses to connect to, if *all* that the name has are such as it may have: a name with one good and one bad address is
/// refused, because which of them would be used is for whoever answers to choose.
pub(super) async fn checked(host: &AllowedHost, resolver: &dyn Resolver) -> Result<Vec<SocketAddr>, EgressError> {
    let origin = host.origin();
    let addresses = match origin.address() {
        Some(address) => vec![address],
        None => resolver.resolve(origin.host()).await?,
    };
    if addresses.is_empty() {
        return Err(EgressError::Unresolved);
    }
    for address in &addresses {
        let kind = AddressKind::of(*address);
        match kind {
            AddressKind::Public => {}
            AddressKind::Loopback | AddressKind::Private if host.is_private() => {}
            _ => return Err(EgressError::Address(kind)),
        }
        if !origin.is_secure() && kind != AddressKind::Loopback {
            return Err(EgressError::Insecure);
        }
    }
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, origin.port())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_known() {
        let cases = [
            ("8.8.8.8", AddressKind::Public),
            ("140.82.121.6", AddressKind::Public),
            ("172.15.255.255", AddressKind::Public),
            ("172.32.0.1", AddressKind::Public),
            ("100.63.255.255", AddressKind::Public),
            ("100.128.0.1", AddressKind::Public),
            ("2606:50c0:8000::153", AddressKind::Public),
            ("2a00:1450:4001::1", AddressKind::Public),
            ("127.0.0.1", AddressKind::Loopback),
            ("127.255.255.254", AddressKind::Loopback),
            ("::1", AddressKind::Loopback),
            ("10.0.0.1", AddressKind::Private),
            ("172.16.0.1", AddressKind::Private),
            ("172.31.255.255", AddressKind::Private),
            ("192.168.1.1", AddressKind::Private),
            ("100.64.0.1", AddressKind::Private),
            ("100.127.255.255", AddressKind::Private),
            ("fd12:3456::1", AddressKind::Private),
            ("fc00::1", AddressKind::Private),
            ("0.0.0.0", AddressKind::Special),
            ("0.1.2.3", AddressKind::Special),
            ("169.254.169.254", AddressKind::Special),
            ("169.254.0.1", AddressKind::Special),
            ("100.100.100.200", AddressKind::Special),
            ("168.63.129.16", AddressKind::Special),
            ("192.0.0.192", AddressKind::Special),
            ("192.0.2.1", AddressKind::Special),
            ("192.88.99.1", AddressKind::Special),
            ("198.18.0.1", AddressKind::Special),
            ("198.51.100.1", AddressKind::Special),
            ("203.0.113.1", AddressKind::Special),
            ("224.0.0.1", AddressKind::Special),
            ("240.0.0.1", AddressKind::Special),
            ("255.255.255.255", AddressKind::Special),
            ("::", AddressKind::Special),
            ("::ffff:127.0.0.1", AddressKind::Special),
            ("::ffff:8.8.8.8", AddressKind::Special),
            ("::127.0.0.1", AddressKind::Special),
            ("64:ff9b::7f00:1", AddressKind::Special),
            ("64:ff9b:1::a00:1", AddressKind::Special),
            ("2002:7f00:1::1", AddressKind::Special),
            ("2001::1", AddressKind::Special),
            ("2001:db8::1", AddressKind::Special),
            ("3fff::1", AddressKind::Special),
            ("fe80::1", AddressKind::Special),
            ("fec0::1", AddressKind::Special),
            ("ff02::1", AddressKind::Special),
            ("fd00:ec2::254", AddressKind::Special),
            ("100::1", AddressKind::Special),
            ("5f00::1", AddressKind::Special),
        ];
        for (text, kind) in cases {
            assert_eq!(AddressKind::of(text.parse().unwrap()), kind, "{text}");
        }
    }
}
