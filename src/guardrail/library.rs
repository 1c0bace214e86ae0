//! Functions that Kubernetes adds to CEL: quantities, addresses, regular expressions.

use std::net::IpAddr;
use std::sync::Arc;

use cel::extractors::This;
use cel::objects::Opaque;
use cel::{Context, ExecutionError, Value};

/// What [`add`] adds.
pub(super) const NAMES: &[&str] = &[
    "add",
    "asApproximateFloat",
    "asInteger",
    "cidr",
    "compareTo",
    "containsIP",
    "family",
    "find",
    "findAll",
    "ip",
    "isCIDR",
    "isGreaterThan",
    "isIP",
    "isInteger",
    "isLessThan",
    "isLoopback",
    "isQuantity",
    "prefixLength",
    "quantity",
    "sign",
    "sub",
];

type Text = Arc<String>;
type Any = Arc<dyn Opaque>;
type Result<T> = std::result::Result<T, ExecutionError>;

/// Adds them. A name that the evaluator took for itself meanwhile keeps its meaning there.
pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("find", find);
    let _ = scope.add_function("findAll", find_all);
    let _ = scope.add_function("isQuantity", |text: Text| Quantity::parse(&text).is_some());
    let _ = scope.add_function("quantity", quantity);
    let _ = scope.add_function("isInteger", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.whole().is_some())
    });
    let _ = scope.add_function("asInteger", |This(one): This<Any>| {
        of::<Quantity>(&one)?.whole().ok_or_else(|| wrong("asInteger", "it is no whole number"))
    });
    let _ = scope.add_function("asApproximateFloat", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.approximate())
    });
    let _ = scope.add_function("sign", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.0.signum() as i64)
    });
    let _ = scope.add_function("isLessThan", |This(one): This<Any>, other: Any| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.0 < of::<Quantity>(&other)?.0)
    });
    let _ = scope.add_function("isGreaterThan", |This(one): This<Any>, other: Any| {
        Ok::<_, ExecutionError>(of::<Quantity>(&one)?.0 > of::<Quantity>(&other)?.0)
    });
    let _ = scope.add_function("compareTo", |This(one): This<Any>, other: Any| {
        let order = of::<Quantity>(&one)?.0.cmp(&of::<Quantity>(&other)?.0);
        Ok::<_, ExecutionError>(order as i64)
    });
    let _ = scope.add_function("add", |This(one): This<Any>, other: Value| {
        computed(&one, &other, i128::checked_add)
    });
    let _ = scope.add_function("sub", |This(one): This<Any>, other: Value| {
        computed(&one, &other, i128::checked_sub)
    });
    add_addresses(scope);
}

fn add_addresses(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("isIP", |text: Text| address(&text).is_some());
    let _ = scope.add_function("isCIDR", |text: Text| Cidr::parse(&text).is_some());
    let _ = scope.add_function("ip", |text: Text| match address(&text) {
        Some(address) => Ok(Value::Opaque(Arc::new(Ip(address)))),
        None => Err(wrong("ip", "it is no address")),
    });
    let _ = scope.add_function("cidr", |text: Text| match Cidr::parse(&text) {
        Some(range) => Ok(Value::Opaque(Arc::new(range))),
        None => Err(wrong("cidr", "it is no range of addresses")),
    });
    let _ = scope.add_function("family", |This(one): This<Any>| {
        Ok::<i64, ExecutionError>(if of::<Ip>(&one)?.0.is_ipv4() { 4 } else { 6 })
    });
    let _ = scope.add_function("isLoopback", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(of::<Ip>(&one)?.0.is_loopback())
    });
    let _ = scope.add_function("prefixLength", |This(one): This<Any>| {
        Ok::<_, ExecutionError>(i64::from(of::<Cidr>(&one)?.length))
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
}

fn wrong(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

fn of<T: 'static>(value: &Any) -> Result<&T> {
    value.downcast_ref::<T>().ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.runtime_type_name().to_owned(),
        want: "another type".to_owned(),
    })
}

fn regex(pattern: &str) -> Result<regex::Regex> {
    regex::Regex::new(pattern).map_err(|_| wrong("find", "the regular expression is none"))
}

fn find(This(text): This<Text>, pattern: Text) -> Result<Value> {
    let found = regex(&pattern)?.find(&text).map_or("", |found| found.as_str()).to_owned();
    Ok(Value::String(Arc::new(found)))
}

fn find_all(This(text): This<Text>, pattern: Text) -> Result<Value> {
    let pattern = regex(&pattern)?;
    let found = pattern.find_iter(&text);
    let found = found.map(|one| Value::String(Arc::new(one.as_str().to_owned()))).collect();
    Ok(Value::List(Arc::new(found)))
}

fn quantity(text: Text) -> Result<Value> {
    match Quantity::parse(&text) {
        Some(quantity) => Ok(Value::Opaque(Arc::new(quantity))),
        None => Err(wrong("quantity", "it is no quantity")),
    }
}

fn computed(one: &Any, other: &Value, apply: fn(i128, i128) -> Option<i128>) -> Result<Value> {
    let other = match other {
        Value::Int(number) => Quantity(i128::from(*number) * NANO),
        Value::Opaque(other) => *of::<Quantity>(other)?,
        _ => return Err(wrong("quantity", "it is no quantity")),
    };
    match apply(of::<Quantity>(one)?.0, other.0) {
        Some(number) => Ok(Value::Opaque(Arc::new(Quantity(number)))),
        None => Err(wrong("quantity", "the number is too large")),
    }
}

const NANO: i128 = 1_000_000_000;

/// A quantity such as `1.5Gi`, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quantity(i128);

impl Opaque for Quantity {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.Quantity"
    }
}

impl Quantity {
    fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (is_negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let mut nano: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nano = nano.checked_mul(NANO)?;
        for (at, digit) in fraction.bytes().take(9).enumerate() {
            nano += i128::from(digit - b'0') * 10_i128.pow(8 - at as u32);
        }
        let scaled = scale(nano, suffix)?;
        Some(Self(if is_negative { -scaled } else { scaled }))
    }

    fn whole(self) -> Option<i64> {
        if self.0 % NANO == 0 { i64::try_from(self.0 / NANO).ok() } else { None }
    }

    fn approximate(self) -> f64 {
        self.0 as f64 / NANO as f64
    }
}

/// Billionths times what a suffix stands for.
fn scale(nano: i128, suffix: &str) -> Option<i128> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [(&str, i32); 10] = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    if let Some(at) = BINARY.iter().position(|one| *one == suffix) {
        return nano.checked_mul(1_i128 << (10 * (at + 1)));
    }
    let exponent = match DECIMAL.iter().find(|(one, _)| *one == suffix) {
        Some((_, exponent)) => *exponent,
        None => suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    };
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent < 0 { Some(nano / power) } else { nano.checked_mul(power) }
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ip(IpAddr);

impl Opaque for Ip {
    fn runtime_type_name(&self) -> &'static str {
        "net.IP"
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

impl Opaque for Cidr {
    fn runtime_type_name(&self) -> &'static str {
        "net.CIDR"
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
    fn quantities_compare_whatever_their_suffix() {
        let of = |text: &str| Quantity::parse(text).map(|quantity| quantity.0);
        assert_eq!(of("1Ki"), of("1024"));
        assert_eq!(of("1.5G"), of("1500M"));
        assert_eq!(of("100m"), of("0.1"));
        assert_eq!(of("1e3"), of("1k"));
        assert_eq!(of("-2"), Some(-2 * NANO));
        for text in
            ["", "Gi", "1.2.3", "1 Gi", "1Gb", "--1", "99999999999999999999999999999999999Ei"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }

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
