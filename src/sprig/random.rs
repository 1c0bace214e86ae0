//! Randomness, all of it from the [`World`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::args::{Outcome, fixed, int, text};
use crate::template::function::{Function, Param, Runtime};
use crate::template::value::Value;
use crate::template::world::World;

const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("randAlphaNum", &[Param::Int], |runtime, args| chosen(runtime, args, ALPHANUMERIC)),
    fixed("randAlpha", &[Param::Int], |runtime, args| chosen(runtime, args, LETTERS)),
    fixed("randNumeric", &[Param::Int], |runtime, args| chosen(runtime, args, DIGITS)),
    fixed("randAscii", &[Param::Int], |runtime, args| {
        let printable: Vec<u8> = (b' '..=b'~').collect();
        chosen(runtime, args, &printable)
    }),
    fixed("randBytes", &[Param::Int], rand_bytes),
    fixed("randInt", &[Param::Int, Param::Int], rand_int),
    fixed("shuffle", &[Param::Str], shuffle),
    fixed("uuidv4", &[], |runtime, _| Ok(Value::str(uuid(runtime.world())))),
];

/// A number below `bound`, each with the same probability.
pub(super) fn below(world: &dyn World, bound: u64) -> u64 {
    // Numbers beyond the last multiple of the bound would make the small ones more probable.
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        world.random(&mut bytes);
        let number = u64::from_le_bytes(bytes);
        if number < limit {
            return number % bound;
        }
    }
}

/// As many characters of `alphabet` as the argument says; none for a negative number.
fn chosen(runtime: &mut dyn Runtime, args: &[Value], alphabet: &[u8]) -> Outcome {
    let count = usize::try_from(int(args, 0)).unwrap_or(0);
    runtime.charge(count as u64)?;
    let world = runtime.world();
    let letters = (0..count).map(|_| {
        let at = below(world, alphabet.len() as u64);
        char::from(alphabet[at as usize])
    });
    Ok(Value::str(letters.collect::<String>()))
}

fn rand_bytes(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let Ok(count) = usize::try_from(int(args, 0)) else {
        return Err("runtime error: makeslice: len out of range".into());
    };
    runtime.charge(count as u64)?;
    let mut bytes = vec![0; count];
    runtime.world().random(&mut bytes);
    Ok(Value::str(STANDARD.encode(bytes)))
}

fn rand_int(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let (least, bound) = (int(args, 0), int(args, 1));
    let span = bound.checked_sub(least).and_then(|span| u64::try_from(span).ok());
    match span.filter(|span| *span > 0) {
        Some(span) => Ok(Value::Int(least + below(runtime.world(), span) as i64)),
        None => Err("invalid argument to Intn".into()),
    }
}

fn shuffle(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let mut letters: Vec<char> = text(args, 0).chars().collect();
    runtime.charge(letters.len() as u64)?;
    let world = runtime.world();
    for at in (1..letters.len()).rev() {
        letters.swap(at, below(world, at as u64 + 1) as usize);
    }
    Ok(Value::str(letters.into_iter().collect::<String>()))
}

fn uuid(world: &dyn World) -> String {
    let mut bytes = [0; 16];
    world.random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = crate::base::ids::hex(&bytes);
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]).join("-")
}
