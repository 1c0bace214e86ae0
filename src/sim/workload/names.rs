//! Names and choices that look random and are not: they follow from what they are for.

/// The letters of generated names, without vowels and look-alikes, so that no word comes out.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// FNV-1a of some parts, with a border between each two.
pub(in crate::sim) fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    let mixed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV are weak, and it is they that choose.
    mixed ^ (mixed >> 32)
}

/// Some letters that stand for a number.
pub(super) fn letters(mut number: u64, count: usize) -> String {
    let base = LETTERS.len() as u64;
    (0..count)
        .map(|_| {
            let letter = LETTERS[(number % base) as usize];
            number /= base;
            char::from(letter)
        })
        .collect()
}
