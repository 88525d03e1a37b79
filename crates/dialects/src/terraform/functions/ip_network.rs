//! Subnet arithmetic on CIDR prefixes.

use std::net::{Ipv4Addr, Ipv6Addr};

use keyblind_resource::{Number, Reason, Value};

use super::{Call, Failure, Function, Outcome, invalid, known_number, list, number, text};

pub(super) const FUNCTIONS: &[Function] = &[
    // OpenTofu's.
    Function::new("cidrcontains", &[text("containing_prefix"), text("contained_ip_or_prefix")], cidrcontains),
    Function::new("cidrhost", &[text("prefix"), number("hostnum")], cidrhost),
    Function::new("cidrnetmask", &[text("prefix")], cidrnetmask),
    Function::new("cidrsubnet", &[text("prefix"), number("newbits"), number("netnum")], cidrsubnet),
    Function::new("cidrsubnets", &[text("prefix")], cidrsubnets).variadic(number("newbits")),
];

/// A prefix with the host bits cleared.
#[derive(Clone, Copy)]
struct Network {
    address: u128,
    /// 32 or 128.
    width: u32,
    length: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::Invalid(format!("\"{text}\" is not a valid CIDR prefix such as 10.0.0.0/8"));
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let (address, width) = match parse_v4(address) {
            Some(address) => (u128::from(address), 32),
            None => (u128::from(address.parse::<Ipv6Addr>().map_err(|_| wrong())?), 128),
        };
        let digits_only = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length: u32 = length.parse().ok().filter(|length| digits_only && *length <= width).ok_or_else(wrong)?;
        if width == 128 && address >> 32 == 0xffff {
            let what = format!("the IPv4-mapped prefix {text}");
            return Err(Failure::Because(Reason::Unsupported { what: what.into() }));
        }
        Ok(Self { address: address & mask(width, length), width, length })
    }

    fn print(&self, address: u128) -> String {
        // The width says how many bits count.
        if self.width == 32 { Ipv4Addr::from(address as u32).to_string() } else { Ipv6Addr::from(address).to_string() }
    }
}

/// Dotted decimal; leading zeros are fine and don't make a number octal.
fn parse_v4(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 {
        return None;
    }
    parts.iter().try_fold(0_u32, |address, part| {
        let valid = !part.is_empty() && part.len() <= 32 && part.bytes().all(|byte| byte.is_ascii_digit());
        let significant = part.trim_start_matches('0');
        let octet: u8 = if !valid {
            None
        } else if significant.is_empty() {
            Some(0)
        } else {
            significant.parse().ok()
        }?;
        Some(address << 8 | u32::from(octet))
    })
}

/// The bits of the network part.
fn mask(width: u32, length: u32) -> u128 {
    let all = low_bits(width);
    all & !low_bits(width - length)
}

/// That many bits set, from the lowest.
fn low_bits(count: u32) -> u128 {
    if count >= 128 { u128::MAX } else { (1 << count) - 1 }
}

/// A whole number as sign and size; `None` where it takes more than 128 bits.
fn signed(number: &Number) -> Result<Option<(bool, u128)>, Failure> {
    if !number.is_whole() {
        return invalid(format!("a whole number is required, not {number}"));
    }
    Ok(u128::from_str_radix(&number.abs().whole_digits(16), 16).ok().map(|size| (number.is_negative(), size)))
}

/// Whether an address or a prefix lies wholly within a prefix.
fn cidrcontains(call: &Call<'_>) -> Outcome {
    let outer = Network::parse(call.text(0)?)?;
    let written = call.text(1)?;
    let inner = if written.contains('/') {
        Network::parse(written)?
    } else {
        Network::parse(&format!("{written}/{}", if written.contains(':') { 128 } else { 32 }))?
    };
    if outer.width != inner.width {
        return invalid("an IPv4 and an IPv6 address can't be compared");
    }
    let within = inner.length >= outer.length && inner.address & mask(outer.width, outer.length) == outer.address;
    Ok(Value::bool(within))
}

fn cidrhost(call: &Call<'_>) -> Outcome {
    let network = Network::parse(call.text(0)?)?;
    let host_bits = network.width - network.length;
    let highest = low_bits(host_bits);
    let number = call.number(1)?;
    let host = match signed(number)? {
        // Terraform looks at the lowest 64 bits only, as a signed number: larger ones go on behind the prefix.
        Some((false, size)) if u128::try_from(size as u64 as i64).is_ok_and(|low| low > highest) => None,
        Some((false, size)) => Some(size),
        // Counted from the end: the last address is -1.
        Some((true, size)) if size - 1 <= highest => Some(highest - (size - 1)),
        _ => None,
    };
    match host {
        Some(host) => Ok(Value::string(network.print(network.address | host))),
        None => invalid(format!("a prefix of {} bits has no host number {number}", network.length)),
    }
}

fn cidrnetmask(call: &Call<'_>) -> Outcome {
    let network = Network::parse(call.text(0)?)?;
    if network.width != 32 {
        return invalid("only IPv4 prefixes have a netmask");
    }
    Ok(Value::string(network.print(mask(32, network.length))))
}

fn cidrsubnet(call: &Call<'_>) -> Outcome {
    let network = Network::parse(call.text(0)?)?;
    let new_bits = call.integer(1)?;
    let number = call.number(2)?;
    let length = i64::from(network.length).saturating_add(new_bits);
    let length = match u32::try_from(length) {
        Ok(length) if length <= network.width => length,
        _ => return invalid(format!("a prefix of {} bits can't be extended by {new_bits}", network.length)),
    };
    let highest = u32::try_from(new_bits).map_or(u128::MAX, low_bits);
    let (negative, size) = match signed(number)? {
        Some((negative, size)) if size <= highest => (negative, size),
        _ => return invalid(format!("a prefix extended by {new_bits} bits has no subnet number {number}")),
    };
    let shift = network.width - length;
    let shifted = if shift >= 128 { 0 } else { size << shift };
    let address = if negative {
        // Terraform computes with signed numbers and drops the sign in the end.
        (network.address | shifted.wrapping_neg()).wrapping_neg()
    } else {
        network.address | shifted
    };
    Ok(Value::string(format!("{}/{length}", network.print(address))))
}

/// Consecutive subnets of different sizes, each as low as its size allows.
fn cidrsubnets(call: &Call<'_>) -> Outcome {
    let network = Network::parse(call.text(0)?)?;
    if network.address == 0 && !call.rest(1).is_empty() {
        // Terraform starts from the subnet before the first one, which isn't there.
        return invalid("there is no room for subnets in a prefix that begins at address zero");
    }
    let mut subnets = Vec::new();
    let mut next = Some(network.address);
    let last = network.address | low_bits(network.width - network.length);
    for argument in call.rest(1) {
        let number = known_number(argument)?;
        let Some(new_bits @ 1..) = number.as_i64().filter(|_| number.is_whole()) else {
            return invalid(format!("each prefix must be extended by at least one bit, not by {number}"));
        };
        if new_bits > 32 {
            return invalid(format!("a prefix can't be extended by more than 32 bits, but {new_bits} are wanted"));
        }
        let length = network.length + new_bits as u32;
        if length > network.width {
            return invalid(format!("a prefix of {} bits can't be extended by {new_bits}", network.length));
        }
        let size = low_bits(network.width - length);
        let full = || Failure::Invalid(format!("there is no room left for a subnet of {length} bits"));
        // The first multiple of the subnet's size that isn't below what is taken.
        let start =
            next.and_then(|next| next.checked_add(size)).map(|next| next & !size).filter(|start| *start <= last).ok_or_else(full)?;
        next = (start | size).checked_add(1);
        subnets.push(Value::string(format!("{}/{length}", network.print(start))));
    }
    Ok(list(subnets))
}
