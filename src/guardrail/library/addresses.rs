//! `ip` and `cidr`, and what can be asked of them.

use std::net::IpAddr;
use std::sync::Arc;

use cel::common::types::{CelString, Type};
use cel::common::value::CowVal;
use cel::extractors::This;
use cel::objects::Opaque;
use cel::{Context, ExecutionError, Value};

use super::{Any, Result, Text, of, wrong};

pub(super) const NAMES: &[&str] = &[
    "cidr",
    "containsCIDR",
    "containsIP",
    "family",
    "ip",
    "ip.isCanonical",
    "isCIDR",
    "isCanonical",
    "isGlobalUnicast",
    "isIP",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isUnspecified",
    "masked",
    "prefixLength",
];

pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("isIP", |text: Text| address(&text).is_some());
    let _ = scope.add_function("isCIDR", |text: Text| Cidr::parse(&text).is_some());
    let _ = scope.add_function("ip.isCanonical", |text: Text| match address(&text) {
        Some(address) => Ok(address.to_string() == *text),
        None => Err(wrong("ip.isCanonical", "it is no address")),
    });
    let _ = scope.add_function("ip", ip);
    let _ = scope.add_function("cidr", |text: Text| match Cidr::parse(&text) {
        Some(range) => Ok(Value::Opaque(Arc::new(range))),
        None => Err(wrong("cidr", "it is no range of addresses")),
    });
    add_questions(scope);
    add_ranges(scope);
}

/// `ip(text)`, and `range.ip()`.
fn ip(This(one): This<Value>) -> Result<Value> {
    let found = match &one {
        Value::String(text) => address(text).ok_or_else(|| wrong("ip", "it is no address"))?,
        Value::Opaque(range) => of::<Cidr>(range)?.address,
        _ => return Err(wrong("ip", "it is no address")),
    };
    Ok(Value::Opaque(Arc::new(Ip(found))))
}

fn add_questions(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("family", |This(one): This<Any>| {
        Ok::<i64, ExecutionError>(if of::<Ip>(&one)?.0.is_ipv4() { 4 } else { 6 })
    });
    let _ = scope.add_function("isUnspecified", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Ip>(&one)?.0.is_unspecified())
    });
    let _ = scope.add_function("isLoopback", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Ip>(&one)?.0.is_loopback())
    });
    let _ = scope.add_function("isLinkLocalMulticast", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Ip>(&one)?.is_link_local_multicast())
    });
    let _ = scope.add_function("isLinkLocalUnicast", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Ip>(&one)?.is_link_local_unicast())
    });
    let _ = scope.add_function("isGlobalUnicast", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Ip>(&one)?.is_global_unicast())
    });
}

fn add_ranges(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("prefixLength", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(i64::from(of::<Cidr>(&one)?.length))
    });
    let _ = scope.add_function("masked", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(Value::Opaque(Arc::new(of::<Cidr>(&one)?.masked())))
    });
    let _ = scope.add_function("containsIP", |This(one): This<Any>, other: Value| {
        let inner = match &other {
            Value::String(text) => {
                address(text).ok_or_else(|| wrong("containsIP", "it is no address"))?
            }
            Value::Opaque(other) => of::<Ip>(other)?.0,
            _ => return Err(wrong("containsIP", "it is no address")),
        };
        Ok(of::<Cidr>(&one)?.contains(inner))
    });
    let _ = scope.add_function("containsCIDR", |This(one): This<Any>, other: Value| {
        let inner = match &other {
            Value::String(text) => Cidr::parse(text)
                .ok_or_else(|| wrong("containsCIDR", "it is no range of addresses"))?,
            Value::Opaque(other) => *of::<Cidr>(other)?,
            _ => return Err(wrong("containsCIDR", "it is no range of addresses")),
        };
        Ok(of::<Cidr>(&one)?.contains_range(inner))
    });
}

/// `string` of addresses and ranges, beside that of other types.
pub(super) fn declare(env: &mut cel::Env) {
    for name in [Ip::NAME, Cidr::NAME] {
        let id = format!("string({name})");
        let added = env.add_overload("string", &id, vec![Type::new_opaque_type(name)], string);
        debug_assert!(added.is_ok(), "{name}: {added:?}");
    }
}

fn string<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let told = || wrong("string", "it is no address");
    let one = args.first().ok_or_else(told)?;
    let Ok(Value::Opaque(one)) = Value::try_from(one.as_ref()) else { return Err(told()) };
    let text = match one.downcast_ref::<Ip>() {
        Some(Ip(address)) => address.to_string(),
        None => {
            let range = of::<Cidr>(&one)?;
            format!("{}/{}", range.address, range.length)
        }
    };
    Ok(CowVal::owned(CelString::from(text)))
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ip(IpAddr);

impl Ip {
    const NAME: &str = "net.IP";
}

impl Opaque for Ip {
    fn runtime_type_name(&self) -> &'static str {
        Self::NAME
    }
}

/// IPv4 addresses within IPv6 are refused, as in the API server.
fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let is_mapped = matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    (!is_mapped).then_some(address)
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    const NAME: &str = "net.CIDR";
}

impl Opaque for Cidr {
    fn runtime_type_name(&self) -> &'static str {
        Self::NAME
    }
}

impl Ip {
    /// An IPv6 multicast address of the local link, or 224.0.0.x.
    fn is_link_local_multicast(self) -> bool {
        match self.0 {
            IpAddr::V4(four) => four.octets()[..3] == [224, 0, 0],
            IpAddr::V6(six) => six.octets()[0] == 0xff && six.octets()[1] & 0x0f == 2,
        }
    }

    fn is_link_local_unicast(self) -> bool {
        match self.0 {
            IpAddr::V4(four) => four.is_link_local(),
            IpAddr::V6(six) => six.is_unicast_link_local(),
        }
    }

    fn is_global_unicast(self) -> bool {
        let is_broadcast = matches!(self.0, IpAddr::V4(four) if four.is_broadcast());
        !is_broadcast
            && !self.0.is_unspecified()
            && !self.0.is_loopback()
            && !self.0.is_multicast()
            && !self.is_link_local_unicast()
    }
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (start, length) = text.split_once('/')?;
        let address = address(start)?;
        let length: u8 = length.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (length <= most).then_some(Self { address, length })
    }

    /// With nothing behind the prefix.
    fn masked(self) -> Self {
        let mask = |bits: u128, width: u32| {
            let rest = width - u32::from(self.length);
            bits.checked_shr(rest).and_then(|kept| kept.checked_shl(rest)).unwrap_or_default()
        };
        let address = match self.address {
            IpAddr::V4(four) => IpAddr::V4((mask(u128::from(four.to_bits()), 32) as u32).into()),
            IpAddr::V6(six) => IpAddr::V6(mask(six.to_bits(), 128).into()),
        };
        Self { address, ..self }
    }

    fn contains_range(self, other: Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }

    fn contains(self, address: IpAddr) -> bool {
        let start = |bits: u128, width: u32| {
            bits.checked_shr(width - u32::from(self.length)).unwrap_or_default()
        };
        match (self.address, address) {
            (IpAddr::V4(range), IpAddr::V4(one)) => {
                start(u128::from(range.to_bits()), 32) == start(u128::from(one.to_bits()), 32)
            }
            (IpAddr::V6(range), IpAddr::V6(one)) => {
                start(range.to_bits(), 128) == start(one.to_bits(), 128)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_addresses_of_their_own_family() {
        let range = Cidr::parse("10.1.0.0/16").unwrap();
        assert!(range.contains("10.1.255.1".parse().unwrap()));
        assert!(!range.contains("10.2.0.1".parse().unwrap()));
        assert!(!range.contains("::1".parse().unwrap()));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains("1.2.3.4".parse().unwrap()));
        assert_eq!(Cidr::parse("10.1.0.0/33"), None);
    }
}
