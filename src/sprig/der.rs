//! ASN.1 DER: as much as certificates and keys need.

/// Universal types, and those that certificates number themselves.
pub(super) mod tag {
    pub(in crate::sprig) const BOOLEAN: u8 = 0x01;
    pub(in crate::sprig) const INTEGER: u8 = 0x02;
    pub(in crate::sprig) const BIT_STRING: u8 = 0x03;
    pub(in crate::sprig) const OCTET_STRING: u8 = 0x04;
    pub(in crate::sprig) const OBJECT: u8 = 0x06;
    pub(in crate::sprig) const UTF8_STRING: u8 = 0x0c;
    pub(in crate::sprig) const PRINTABLE_STRING: u8 = 0x13;
    pub(in crate::sprig) const UTC_TIME: u8 = 0x17;
    pub(in crate::sprig) const GENERALIZED_TIME: u8 = 0x18;
    pub(in crate::sprig) const SEQUENCE: u8 = 0x30;
    pub(in crate::sprig) const SET: u8 = 0x31;
    /// `[0]`, constructed.
    pub(in crate::sprig) const CONTEXT_0: u8 = 0xa0;
    /// `[1]`, constructed.
    pub(in crate::sprig) const CONTEXT_1: u8 = 0xa1;
    /// `[3]`, constructed.
    pub(in crate::sprig) const CONTEXT_3: u8 = 0xa3;
}

/// One value: its type, its length, its content.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let len = content.len();
    if len < 0x80 {
        out.push(len as u8);
    } else {
        let bytes = len.to_be_bytes();
        let used = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(0)..];
        out.push(0x80 | used.len() as u8);
        out.extend_from_slice(used);
    }
    out.extend_from_slice(content);
    out
}

/// A value of several parts.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(tag::SEQUENCE, &parts.concat())
}

/// A positive integer of big-endian bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0);
    let mut content = first.map_or(vec![0], |first| bytes[first..].to_vec());
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    value(tag::INTEGER, &content)
}

/// Whole bytes as a bit string.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    value(tag::BIT_STRING, &[&[0], bytes].concat())
}

/// Reads values one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// A value that was read.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// The value with its type and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next value; `None` at the end and where the bytes are not DER.
    pub(super) fn next(&mut self) -> Option<Item<'a>> {
        let (&tag, &short) = (self.0.first()?, self.0.get(1)?);
        let (len, header) = if short < 0x80 {
            (usize::from(short), 2)
        } else {
            let count = usize::from(short & 0x7f);
            let digits = self.0.get(2..2 + count).filter(|_| (1..=4).contains(&count))?;
            (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), 2 + count)
        };
        let whole = self.0.get(..header.checked_add(len)?)?;
        self.0 = &self.0[whole.len()..];
        Some(Item { tag, content: &whole[header..], whole })
    }

    /// The next value, which must be of the type.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Item<'a>> {
        self.next().filter(|item| item.tag == tag)
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Item<'a> {
    /// The values inside.
    pub(super) fn inside(&self) -> Reader<'a> {
        Reader(self.content)
    }
}
