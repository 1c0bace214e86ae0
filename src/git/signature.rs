//! Who has signed a commit, or another text.
//!
//! Git signs with OpenSSH keys (`gpg.format = ssh`), OpenPGP or X.509. Those of OpenSSH are verified, by the
//! keys that the caller trusts: see OpenSSH's `PROTOCOL.sshsig` and git's `gpg.ssh.allowedSignersFile`.

use std::fmt;

use ssh_key::{HashAlg, PublicKey, SshSig};

/// What git has OpenSSH sign commits with.
pub const NAMESPACE: &str = "git";
const SSH: &str = "-----BEGIN SSH SIGNATURE-----";
const OPENPGP: &str = "-----BEGIN PGP";
const X509: &str = "-----BEGIN SIGNED MESSAGE-----";

/// A signature, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// As it is written, armored.
    pub armored: String,
    /// What is signed: of a commit, all of it but the signature.
    pub signed: Vec<u8>,
}

/// A public key that somebody signs with, by its fingerprint.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(PublicKey);

impl SigningKey {
    /// Reads `ssh-ed25519 AAAA…`, as a `.pub` file has it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("PRIVATE KEY") {
            return Err("it is a private key, which belongs to nobody else".to_owned());
        }
        let key = PublicKey::from_openssh(text.trim());
        key.map(Self).map_err(|error| format!("it is no public key of OpenSSH: {error}"))
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

/// Why a signature says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// It is of a kind that is not verified.
    #[error("it is signed with {0}; signatures of OpenSSH keys are verified")]
    Kind(&'static str),
    /// It cannot be read.
    #[error("its signature cannot be read: {0}")]
    Malformed(String),
    /// Nobody is known by that key.
    #[error("it is signed with {fingerprint}, which is nobody's key")]
    UnknownKey {
        /// `SHA256:…`
        fingerprint: String,
    },
    /// It is for something else.
    #[error("its signature is not of what it says")]
    Wrong,
}

impl Signature {
    /// Whose of some keys it is made with: the item of `keys` that has it. It has to be made for `namespace`: a
    /// signature of the same text for something else says nothing.
    ///
    /// # Errors
    /// Says why it is nobody's.
    pub fn signer<'a, T>(
        &self,
        namespace: &str,
        keys: impl IntoIterator<Item = (T, &'a SigningKey)>,
    ) -> Result<(T, &'a SigningKey), Unproven> {
        let armored = self.armored.trim();
        if armored.starts_with(OPENPGP) {
            return Err(Unproven::Kind("OpenPGP"));
        }
        if armored.starts_with(X509) {
            return Err(Unproven::Kind("an X.509 certificate"));
        }
        if !armored.starts_with(SSH) {
            return Err(Unproven::Malformed("it is of no kind that git makes".to_owned()));
        }
        let malformed = |error: ssh_key::Error| Unproven::Malformed(error.to_string());
        let signature = SshSig::from_pem(armored).map_err(malformed)?;
        let of = |(_, key): &(T, &SigningKey)| key.0.key_data() == signature.public_key();
        let Some((who, key)) = keys.into_iter().find(of) else {
            let fingerprint = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
            return Err(Unproven::UnknownKey { fingerprint });
        };
        let verified = key.0.verify(namespace, &self.signed, &signature);
        verified.map(|()| (who, key)).map_err(|_| Unproven::Wrong)
    }
}
