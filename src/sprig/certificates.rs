//! Private keys and certificates as templates make them.

use std::rc::Rc;

use super::args::{Outcome, fixed, int, text};
use super::der::{self, Item, Reader, tag};
use super::encoding::decode_base64;
use super::keys::Key;
use super::pem;
use super::time::Time;
use crate::template::binary;
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::value::{Object, Value};
use rsa::sha2::{Digest as _, Sha256};

/// The size of keys for certificates.
const CERTIFICATE_KEY_BITS: usize = 2_048;
/// The size of keys that are asked for by themselves.
const PRIVATE_KEY_BITS: usize = 4_096;
/// What a search for primes costs, in steps of a template.
const RSA_STEPS: u64 = 2_000_000;

const OID_COMMON_NAME: &[u8] = b"\x55\x04\x03";
const OID_SUBJECT_KEY: &[u8] = b"\x55\x1d\x0e";
const OID_KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
const OID_ALTERNATIVE_NAMES: &[u8] = b"\x55\x1d\x11";
const OID_BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
const OID_AUTHORITY_KEY: &[u8] = b"\x55\x1d\x23";
const OID_EXTENDED_USAGE: &[u8] = b"\x55\x1d\x25";
const OID_SERVER: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x01";
const OID_CLIENT: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x02";

const NAMED: &[Param] = &[Param::Str, Param::List, Param::List, Param::Int];
const NAMED_KEY: &[Param] = &[Param::Str, Param::List, Param::List, Param::Int, Param::Str];
const CERTIFICATE: Param = Param::Object("sprig.certificate");
const SIGNED: &[Param] = &[Param::Str, Param::List, Param::List, Param::Int, CERTIFICATE];
const SIGNED_KEY: &[Param] =
    &[Param::Str, Param::List, Param::List, Param::Int, CERTIFICATE, Param::Str];

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("genPrivateKey", &[Param::Str], gen_private_key),
    fixed("buildCustomCert", &[Param::Str, Param::Str], build_custom),
    fixed("genCA", &[Param::Str, Param::Int], |runtime, args| {
        let key = certificate_key(runtime)?;
        authority(runtime, args, &key)
    }),
    fixed("genCAWithKey", &[Param::Str, Param::Int, Param::Str], |runtime, args| {
        let key = given_key(text(args, 2))?;
        authority(runtime, args, &key)
    }),
    fixed("genSelfSignedCert", NAMED, |runtime, args| {
        let key = certificate_key(runtime)?;
        self_signed(runtime, args, &key)
    }),
    fixed("genSelfSignedCertWithKey", NAMED_KEY, |runtime, args| {
        let key = given_key(text(args, 4))?;
        self_signed(runtime, args, &key)
    }),
    fixed("genSignedCert", SIGNED, |runtime, args| {
        let key = certificate_key(runtime)?;
        signed(runtime, args, &key)
    }),
    fixed("genSignedCertWithKey", SIGNED_KEY, |runtime, args| {
        let key = given_key(text(args, 5))?;
        signed(runtime, args, &key)
    }),
];

/// A certificate and its key, as PEM.
#[derive(Debug)]
struct Certificate {
    cert: String,
    key: String,
}

impl Object for Certificate {
    fn type_name(&self) -> &'static str {
        "sprig.certificate"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::str(self.cert.as_str())),
            "Key" => Some(Value::str(self.key.as_str())),
            _ => None,
        }
    }

    fn print(&self) -> String {
        format!("{{{} {}}}", self.cert, self.key)
    }

    fn plain(&self) -> Value {
        Value::map([
            ("Cert".into(), Value::str(self.cert.as_str())),
            ("Key".into(), Value::str(self.key.as_str())),
        ])
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn gen_private_key(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let key = match text(args, 0) {
        "" | "rsa" => {
            runtime.charge(8 * RSA_STEPS)?;
            Key::generate_rsa(runtime.world(), PRIVATE_KEY_BITS)
        }
        "ecdsa" => Ok(Key::generate_p256(runtime.world())),
        "ed25519" => Key::generate_ed25519(runtime.world()),
        "dsa" => {
            return Ok(Value::str("failed to generate dsa params: DSA is not supported"));
        }
        other => return Ok(Value::str(format!("Unknown type {other}"))),
    };
    let written = key.and_then(|key| key.to_pem());
    Ok(Value::str(
        written.unwrap_or_else(|complaint| format!("failed to generate private key: {complaint}")),
    ))
}

fn build_custom(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let decoded = |at: usize, what: &str| {
        let bytes = decode_base64(text(args, at));
        bytes.map_err(|_| format!("unable to decode base64 {what}"))
    };
    let cert = binary::from_bytes(&decoded(0, "certificate")?);
    let key = binary::from_bytes(&decoded(1, "private key")?);
    Signer::parse(&cert)?;
    Key::from_pem(&key).map_err(|complaint| format!("error parsing private key: {complaint}"))?;
    Ok(Value::Object(Rc::new(Certificate { cert, key })))
}

fn certificate_key(runtime: &mut dyn Runtime) -> Result<Key, FunctionError> {
    runtime.charge(RSA_STEPS)?;
    let key = Key::generate_rsa(runtime.world(), CERTIFICATE_KEY_BITS);
    key.map_err(|complaint| format!("error generating rsa key: {complaint}").into())
}

fn given_key(pem: &str) -> Result<Key, FunctionError> {
    Key::from_pem(pem).map_err(|complaint| format!("parsing private key: {complaint}").into())
}

fn authority(runtime: &mut dyn Runtime, args: &[Value], key: &Key) -> Outcome {
    let request = Request {
        name: text(args, 0),
        addresses: Vec::new(),
        hosts: Vec::new(),
        days: int(args, 1),
        is_authority: true,
    };
    request.issue(runtime, key, None)
}

fn self_signed(runtime: &mut dyn Runtime, args: &[Value], key: &Key) -> Outcome {
    Request::new(args)?.issue(runtime, key, None)
}

fn signed(runtime: &mut dyn Runtime, args: &[Value], key: &Key) -> Outcome {
    let found = match &args[4] {
        Value::Object(object) => object.as_any().downcast_ref::<Certificate>(),
        _ => None,
    };
    let ca = found.expect("the evaluator checks the types of arguments");
    let signer = Signer::parse(&ca.cert)?;
    let signer_key = Key::from_pem(&ca.key)
        .map_err(|complaint| format!("error parsing private key: {complaint}"))?;
    if signer_key.public_info()? != signer.public_info {
        let complaint = "error creating certificate: \
             x509: provided PrivateKey doesn't match parent's PublicKey";
        return Err(complaint.into());
    }
    Request::new(args)?.issue(runtime, key, Some((&signer, &signer_key)))
}

/// What a new certificate needs of the one that signs it.
struct Signer {
    subject: Vec<u8>,
    public_info: Vec<u8>,
    subject_key: Option<Vec<u8>>,
}

impl Signer {
    fn parse(pem: &str) -> Result<Self, FunctionError> {
        let block = pem::read(pem).ok_or("unable to decode certificate")?;
        Self::from_der(&block.bytes).ok_or_else(|| {
            "error parsing certificate: decodedCert.Bytes: x509: malformed certificate".into()
        })
    }

    fn from_der(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes).expect(tag::SEQUENCE)?.inside();
        let mut fields = fields.expect(tag::SEQUENCE)?.inside();
        let first = fields.next()?;
        if first.tag == tag::CONTEXT_0 {
            fields.expect(tag::INTEGER)?;
        }
        for _algorithm_issuer_validity in 0..3 {
            fields.expect(tag::SEQUENCE)?;
        }
        let subject = fields.expect(tag::SEQUENCE)?.whole.to_vec();
        let public_info = fields.expect(tag::SEQUENCE)?.whole.to_vec();
        let mut subject_key = None;
        while let Some(field) = fields.next() {
            if field.tag == tag::CONTEXT_3 {
                subject_key = subject_key_of(field);
            }
        }
        fields.rest().is_empty().then_some(Self { subject, public_info, subject_key })
    }
}

fn subject_key_of(extensions: Item<'_>) -> Option<Vec<u8>> {
    let mut extensions = extensions.inside().expect(tag::SEQUENCE)?.inside();
    while let Some(extension) = extensions.next() {
        let mut parts = extension.inside();
        if parts.expect(tag::OBJECT)?.content == OID_SUBJECT_KEY {
            let value = parts.expect(tag::OCTET_STRING)?;
            return Some(value.inside().expect(tag::OCTET_STRING)?.content.to_vec());
        }
    }
    None
}

/// What is asked for.
struct Request<'a> {
    name: &'a str,
    addresses: Vec<Vec<u8>>,
    hosts: Vec<String>,
    days: i64,
    is_authority: bool,
}

impl<'a> Request<'a> {
    fn new(args: &'a [Value]) -> Result<Self, FunctionError> {
        let mut addresses = Vec::new();
        for item in items(&args[1]) {
            let Value::Str(written) = item else {
                return Err(format!("error parsing ip: {item} is not a string").into());
            };
            addresses.push(match written.parse() {
                Ok(std::net::IpAddr::V4(address)) => address.octets().to_vec(),
                Ok(std::net::IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                    Some(address) => address.octets().to_vec(),
                    None => address.octets().to_vec(),
                },
                Err(_) => return Err(format!("error parsing ip: {written}").into()),
            });
        }
        let mut hosts = Vec::new();
        for item in items(&args[2]) {
            let Value::Str(written) = item else {
                let complaint =
                    format!("error processing alternate dns name: {item} is not a string");
                return Err(complaint.into());
            };
            hosts.push(written.to_string());
        }
        let (name, days) = (text(args, 0), int(args, 3));
        Ok(Self { name, addresses, hosts, days, is_authority: false })
    }

    /// The certificate for `key`, signed by the signer or by itself.
    fn issue(
        &self,
        runtime: &mut dyn Runtime,
        key: &Key,
        signer: Option<(&Signer, &Key)>,
    ) -> Outcome {
        let mut serial = [0; 16];
        runtime.world().random(&mut serial);
        let now = runtime.world().now();
        let day = 24 * 3_600 * 1_000_000_000_i128;
        let until = now + day * i128::from(self.days);
        let subject = self.subject();
        let (issuer, signing_key) = match signer {
            Some((signer, signer_key)) => (signer.subject.clone(), signer_key),
            None => (subject.clone(), key),
        };
        let authority_key = signer.and_then(|(signer, _)| signer.subject_key.clone());
        let authority_key = authority_key.filter(|_| issuer != subject);
        let algorithm = signing_key.signature_algorithm();
        let body = der::sequence(&[
            &der::value(tag::CONTEXT_0, &der::integer(&[2])),
            &der::integer(&serial),
            &algorithm,
            &issuer,
            &der::sequence(&[&der_time(now), &der_time(until)]),
            &subject,
            &key.public_info()?,
            &der::value(tag::CONTEXT_3, &self.extensions(key, authority_key)?),
        ]);
        let signature = der::bit_string(&signing_key.sign(&body)?);
        let certificate = der::sequence(&[&body, &algorithm, &signature]);
        let cert = pem::write("CERTIFICATE", &certificate);
        Ok(Value::Object(Rc::new(Certificate { cert, key: key.to_pem()? })))
    }

    /// The common name as a distinguished name; an empty one has no parts.
    fn subject(&self) -> Vec<u8> {
        if self.name.is_empty() {
            return der::sequence(&[]);
        }
        let is_printable =
            |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
        let kind = if self.name.bytes().all(is_printable) {
            tag::PRINTABLE_STRING
        } else {
            tag::UTF8_STRING
        };
        let name = der::value(kind, self.name.as_bytes());
        let pair = der::sequence(&[&der::value(tag::OBJECT, OID_COMMON_NAME), &name]);
        der::sequence(&[&der::value(tag::SET, &pair)])
    }

    fn extensions(&self, key: &Key, authority_key: Option<Vec<u8>>) -> Result<Vec<u8>, String> {
        // Digital signature, key encipherment and, for an authority, certificate signing.
        let usage: &[u8] = if self.is_authority { b"\x02\xa4" } else { b"\x05\xa0" };
        let constraints: &[u8] =
            if self.is_authority { b"\x30\x03\x01\x01\xff" } else { b"\x30\x00" };
        let purposes = der::sequence(&[
            &der::value(tag::OBJECT, OID_SERVER),
            &der::value(tag::OBJECT, OID_CLIENT),
        ]);
        let mut all = extension(OID_KEY_USAGE, true, &der::value(tag::BIT_STRING, usage));
        all.extend(extension(OID_EXTENDED_USAGE, false, &purposes));
        all.extend(extension(OID_BASIC_CONSTRAINTS, true, constraints));
        if self.is_authority {
            let id = &Sha256::digest(key.public()?)[..20];
            all.extend(extension(OID_SUBJECT_KEY, false, &der::value(tag::OCTET_STRING, id)));
        }
        if let Some(id) = authority_key {
            let id = der::sequence(&[&der::value(0x80, &id)]);
            all.extend(extension(OID_AUTHORITY_KEY, false, &id));
        }
        let mut names = Vec::new();
        for host in &self.hosts {
            names.extend(der::value(0x82, host.as_bytes()));
        }
        for address in &self.addresses {
            names.extend(der::value(0x87, address));
        }
        if !names.is_empty() {
            let names = der::value(tag::SEQUENCE, &names);
            all.extend(extension(OID_ALTERNATIVE_NAMES, self.name.is_empty(), &names));
        }
        Ok(der::value(tag::SEQUENCE, &all))
    }
}

fn items(list: &Value) -> &[Value] {
    match list {
        Value::List(list) => &list.items,
        _ => &[],
    }
}

fn extension(oid: &[u8], is_critical: bool, content: &[u8]) -> Vec<u8> {
    let critical = if is_critical { der::value(tag::BOOLEAN, b"\xff") } else { Vec::new() };
    let content = der::value(tag::OCTET_STRING, content);
    der::sequence(&[&der::value(tag::OBJECT, oid), &critical, &content])
}

/// Two digits for the year up to 2049, four from then on.
fn der_time(nanoseconds: i128) -> Vec<u8> {
    let time = Time::from_nanoseconds(nanoseconds);
    if (1950..2050).contains(&time.wall().year()) {
        der::value(tag::UTC_TIME, time.format("060102150405Z").as_bytes())
    } else {
        der::value(tag::GENERALIZED_TIME, time.format("20060102150405Z").as_bytes())
    }
}
