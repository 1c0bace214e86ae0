//! Checksums, passwords and symmetric encryption.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::args::{Outcome, fixed, int, out_of_bounds, text};
use super::encoding::decode_base64;
use crate::base::ids::hex;
use crate::template::binary::{from_bytes, to_bytes};
use crate::template::function::{Function, Param, Runtime};
use crate::template::value::Value;
use crate::template::world::World;

/// bcrypt's cost, as Go's library has it by default.
const BCRYPT_COST: u32 = 10;
/// bcrypt does not look at more of a password.
const BCRYPT_BYTES_MAX: usize = 72;
/// What a password hash costs, in steps of a template.
const PASSWORD_STEPS: u64 = 1_000_000;
/// The size of a block and of an initialization vector.
const BLOCK: usize = 16;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("sha1sum", &[Param::Str], |runtime, args| {
        runtime.charge(text(args, 0).len() as u64 / 8)?;
        Ok(Value::str(hex(&Sha1::digest(to_bytes(text(args, 0))))))
    }),
    fixed("sha256sum", &[Param::Str], |runtime, args| {
        runtime.charge(text(args, 0).len() as u64 / 8)?;
        Ok(Value::str(hex(&Sha256::digest(to_bytes(text(args, 0))))))
    }),
    fixed("sha512sum", &[Param::Str], |runtime, args| {
        runtime.charge(text(args, 0).len() as u64 / 8)?;
        Ok(Value::str(hex(&Sha512::digest(to_bytes(text(args, 0))))))
    }),
    fixed("adler32sum", &[Param::Str], |runtime, args| {
        runtime.charge(text(args, 0).len() as u64 / 8)?;
        Ok(Value::str(adler32(&to_bytes(text(args, 0))).to_string()))
    }),
    fixed("bcrypt", &[Param::Str], |runtime, args| {
        runtime.charge(PASSWORD_STEPS)?;
        Ok(Value::str(bcrypt(runtime.world(), text(args, 0))))
    }),
    fixed("htpasswd", &[Param::Str, Param::Str], htpasswd),
    fixed(
        "derivePassword",
        &[Param::Int, Param::Str, Param::Str, Param::Str, Param::Str],
        derive_password,
    ),
    fixed("encryptAES", &[Param::Str, Param::Str], encrypt_aes),
    fixed("decryptAES", &[Param::Str, Param::Str], decrypt_aes),
];

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % MODULUS;
        b = (b + a) % MODULUS;
    }
    b << 16 | a
}

fn bcrypt(world: &dyn World, password: &str) -> String {
    let password = to_bytes(password);
    if password.len() > BCRYPT_BYTES_MAX {
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
            .to_owned();
    }
    let mut salt = [0; 16];
    world.random(&mut salt);
    match ::bcrypt::hash_with_salt(&password, BCRYPT_COST, salt) {
        Ok(parts) => parts.format_for_version(::bcrypt::Version::TwoA),
        Err(error) => format!("failed to encrypt string with bcrypt: {error}"),
    }
}

fn htpasswd(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let user = text(args, 0);
    if user.contains(':') {
        return Ok(Value::str(format!("invalid username: {user}")));
    }
    runtime.charge(PASSWORD_STEPS)?;
    Ok(Value::str(format!("{user}:{}", bcrypt(runtime.world(), text(args, 1)))))
}

/// What each kind of password looks like: `C`, `c`, `V`, `v` are consonants and vowels, `n` digits.
fn password_shapes(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn password_letters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The Master Password algorithm: a password for a site that follows from one that is remembered.
fn derive_password(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    const SCOPE: &[u8] = b"com.lyndir.masterpassword";
    let (counter, kind) = (int(args, 0) as u32, text(args, 1));
    let (password, user, site) = (text(args, 2), text(args, 3), text(args, 4));
    let Some(shapes) = password_shapes(kind) else {
        return Ok(Value::str(format!("cannot find password template {kind}")));
    };
    runtime.charge(PASSWORD_STEPS)?;
    let scoped = |name: &str| [SCOPE, &(name.len() as u32).to_be_bytes(), name.as_bytes()].concat();
    let params = scrypt::Params::new(15, 8, 2).map_err(|error| error.to_string())?;
    let mut key = [0; 64];
    scrypt::scrypt(password.as_bytes(), &scoped(user), &params, &mut key)
        .map_err(|error| format!("failed to derive password: {error}"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(&scoped(site));
    mac.update(&counter.to_be_bytes());
    let seed = mac.finalize().into_bytes();
    let shape = shapes[usize::from(seed[0]) % shapes.len()];
    let letters = shape.bytes().zip(&seed[1..]).map(|(class, number)| {
        let letters = password_letters(class);
        char::from(letters[usize::from(*number) % letters.len()])
    });
    Ok(Value::str(letters.collect::<String>()))
}

/// The password itself, cut or filled with zeros.
fn aes_key(password: &str) -> [u8; 32] {
    let mut key = [0; 32];
    for (target, byte) in key.iter_mut().zip(to_bytes(password).iter()) {
        *target = *byte;
    }
    key
}

fn encrypt_aes(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let plain = to_bytes(text(args, 1));
    if plain.is_empty() {
        return Ok(Value::str(""));
    }
    runtime.charge(plain.len() as u64)?;
    let mut vector = [0; BLOCK];
    runtime.world().random(&mut vector);
    let cipher = cbc::Encryptor::<Aes256>::new(&aes_key(text(args, 0)).into(), &vector.into());
    let encrypted = cipher.encrypt_padded_vec::<Pkcs7>(&plain);
    Ok(Value::str(STANDARD.encode([&vector[..], &encrypted].concat())))
}

fn decrypt_aes(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let encoded = text(args, 1);
    if encoded.is_empty() {
        return Ok(Value::str(""));
    }
    runtime.charge(encoded.len() as u64)?;
    let bytes = decode_base64(encoded)?;
    let Some((vector, encrypted)) = bytes.split_first_chunk::<BLOCK>() else {
        return Err(out_of_bounds(&format!(":{BLOCK}] with capacity {}", bytes.len())));
    };
    let cipher = cbc::Decryptor::<Aes256>::new(&aes_key(text(args, 0)).into(), &(*vector).into());
    let decrypted = cipher.decrypt_padded_vec::<NoPadding>(encrypted);
    let decrypted = decrypted.map_err(|_| "crypto/cipher: input not full blocks")?;
    // A wrong password shows as padding that makes no sense.
    let Some(padding) = decrypted.last().copied() else {
        return Err("runtime error: index out of range [-1]".into());
    };
    let Some(len) = decrypted.len().checked_sub(usize::from(padding)) else {
        let end = decrypted.len() as i64 - i64::from(padding);
        return Err(out_of_bounds(&format!(":{end}]")));
    };
    Ok(Value::str(from_bytes(&decrypted[..len])))
}
