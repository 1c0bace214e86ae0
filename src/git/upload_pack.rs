//! The client's half of git's `upload-pack` conversation (protocol version 0, which every server
//! speaks): read the references, say what we want and have, take the pack.
//!
//! Knows nothing about sockets or processes: a [`Channel`] carries the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use git2::Oid;

/// References of one repository: beyond it is abuse.
const REFERENCES_MAX: usize = 1_000_000;
/// A pack of a configuration repository; the largest mono-repositories stay below.
const PACK_BYTES_MAX: u64 = 8 << 30;

/// Carries one conversation.
pub(super) trait Channel {
    /// The stream that begins with the server's references.
    fn advertisement(&mut self) -> io::Result<Box<dyn Read + '_>>;
    /// Sends a request and gives the stream of the answer.
    fn request(&mut self, body: &[u8]) -> io::Result<Box<dyn Read + '_>>;
}

/// What a server has.
#[derive(Debug, Default)]
pub(super) struct Advertisement {
    /// Name to object, peeled entries left out.
    pub(super) references: BTreeMap<String, Oid>,
    /// Where `HEAD` points.
    pub(super) head: Option<String>,
    capabilities: BTreeSet<String>,
}

/// Why a conversation ended early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The stream broke.
    Broken(io::Error),
    /// Not as git speaks.
    Unexpected(String),
    /// The server gave a reason.
    Refused(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

fn unexpected<T>(reason: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Unexpected(reason.into()))
}

/// One line of the protocol: four hexadecimal digits of length, then that many bytes less four;
/// `None` is the flush packet.
fn read_line(stream: &mut dyn Read) -> Result<Option<Vec<u8>>, Trouble> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length =
        std::str::from_utf8(&length).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
    match length {
        Some(0) => Ok(None),
        Some(length @ 4..=65_520) => {
            let mut line = vec![0; length - 4];
            stream.read_exact(&mut line)?;
            Ok(Some(line))
        }
        _ => unexpected("a packet has no length"),
    }
}

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// Reads the references that a server offers.
pub(super) fn read_advertisement(stream: &mut dyn Read) -> Result<Advertisement, Trouble> {
    let mut advertisement = Advertisement::default();
    let mut is_first = true;
    loop {
        let Some(packet) = read_line(stream)? else {
            // Over HTTP the service's name and a flush come first.
            if is_first {
                continue;
            }
            return Ok(advertisement);
        };
        let text = String::from_utf8_lossy(&packet);
        let text = text.trim_end_matches('\n');
        if text.starts_with("# service=") {
            continue;
        }
        if let Some(reason) = text.strip_prefix("ERR ") {
            return Err(Trouble::Refused(reason.to_owned()));
        }
        let reference = match text.split_once('\0') {
            Some((reference, capabilities)) if is_first => {
                advertisement.take_capabilities(capabilities)?;
                reference
            }
            _ => text,
        };
        is_first = false;
        advertisement.take_reference(reference)?;
    }
}

impl Advertisement {
    fn take_capabilities(&mut self, text: &str) -> Result<(), Trouble> {
        self.capabilities = text.split(' ').map(str::to_owned).collect();
        for capability in &self.capabilities {
            if let Some(target) = capability.strip_prefix("symref=HEAD:") {
                self.head = Some(target.to_owned());
            }
            if capability.starts_with("object-format=") && capability != "object-format=sha1" {
                return unexpected("its objects are not named by SHA-1, which is all we read");
            }
        }
        Ok(())
    }

    fn take_reference(&mut self, text: &str) -> Result<(), Trouble> {
        let Some((oid, name)) = text.split_once(' ') else {
            return unexpected("a reference has no name");
        };
        if oid == "shallow" || oid == "version" || name.ends_with("^{}") {
            return Ok(());
        }
        let Ok(oid) = Oid::from_str(oid) else {
            return unexpected("a reference has no object");
        };
        if self.references.len() >= REFERENCES_MAX {
            return unexpected("it has too many references");
        }
        self.references.insert(name.to_owned(), oid);
        Ok(())
    }
}

/// Asks for `wants`, given that everything reachable from `haves` is here, and writes the pack.
pub(super) fn fetch_pack(
    channel: &mut dyn Channel,
    advertisement: &Advertisement,
    (wants, haves): (&BTreeSet<Oid>, &[Oid]),
    pack: &mut dyn Write,
) -> Result<(), Trouble> {
    if !advertisement.capabilities.contains("side-band-64k") {
        return unexpected("it cannot send packs in bands");
    }
    let mut ours = String::from(" side-band-64k");
    for capability in ["ofs-delta", "no-progress"] {
        if advertisement.capabilities.contains(capability) {
            ours.push(' ');
            ours.push_str(capability);
        }
    }
    let mut body = String::new();
    for want in wants {
        body.push_str(&line(&format!("want {want}{ours}\n")));
        ours.clear();
    }
    body.push_str("0000");
    for have in haves {
        body.push_str(&line(&format!("have {have}\n")));
    }
    body.push_str(&line("done\n"));
    let mut answer = channel.request(body.as_bytes())?;
    read_pack(&mut *answer, pack)
}

fn read_pack(answer: &mut dyn Read, pack: &mut dyn Write) -> Result<(), Trouble> {
    let mut received = 0;
    while let Some(packet) = read_line(answer)? {
        match packet.split_first() {
            Some((1, bytes)) => {
                received += bytes.len() as u64;
                if received > PACK_BYTES_MAX {
                    return unexpected("its pack is too large");
                }
                pack.write_all(bytes)?;
            }
            Some((2, _)) => {}
            Some((3, reason)) => {
                return Err(Trouble::Refused(String::from_utf8_lossy(reason).trim().to_owned()));
            }
            _ if packet.starts_with(b"ACK ") || packet.starts_with(b"NAK") => {}
            _ if packet.starts_with(b"ERR ") => {
                let reason = String::from_utf8_lossy(&packet[4..]).trim().to_owned();
                return Err(Trouble::Refused(reason));
            }
            _ => return unexpected("neither an acknowledgement nor a pack"),
        }
    }
    if received == 0 {
        return unexpected("its pack is empty");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn references_and_the_default_branch_are_read() {
        let text = [
            line("# service=git-upload-pack\n"),
            "0000".to_owned(),
            line(&format!("{OID} HEAD\0side-band-64k symref=HEAD:refs/heads/main\n")),
            line(&format!("{OID} refs/heads/main\n")),
            line(&format!("{OID} refs/tags/v1\n")),
            line(&format!("{OID} refs/tags/v1^{{}}\n")),
            "0000".to_owned(),
        ]
        .concat();
        let found = read_advertisement(&mut text.as_bytes()).unwrap();
        assert_eq!(found.head.as_deref(), Some("refs/heads/main"));
        let names: Vec<&String> = found.references.keys().collect();
        assert_eq!(names, ["HEAD", "refs/heads/main", "refs/tags/v1"]);
    }

    #[test]
    fn an_answer_that_is_not_git_is_told_as_such() {
        let cases: [(&[u8], &str); 5] = [
            (b"<html>", "a packet has no length"),
            (b"0003", "a packet has no length"),
            (b"0008oops0000", "a reference has no name"),
            (b"000dnonsense x0000", "a reference has no object"),
            (b"0010", "failed to fill whole buffer"),
        ];
        for (bytes, expected) in cases {
            let trouble = read_advertisement(&mut &*bytes).unwrap_err();
            let text = format!("{trouble:?}");
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_refusal_within_the_pack_is_the_servers_own_words() {
        let answer = [line("NAK\n"), line("\u{3}not our ref\n"), "0000".to_owned()].concat();
        let trouble = read_pack(&mut answer.as_bytes(), &mut Vec::new()).unwrap_err();
        assert!(matches!(trouble, Trouble::Refused(reason) if reason == "not our ref"));
    }
}
