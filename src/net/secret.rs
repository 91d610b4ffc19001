//! Secrets that several parties share, read from files that only their owner may read.
//!
//! A secret never travels between members: whoever has it proves it by a code over what it says (HMAC-SHA-256,
//! RFC 2104). Comparing takes the same time whatever differs.

use ring::{hmac, rand};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a secret. Shorter ones can be guessed; longer ones are files named by mistake.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=4096;

/// Permission bits of others than the owner.
const OTHERS: u32 = 0o077;

/// A shared secret.
#[derive(Clone)]
pub struct Secret {
    text: Vec<u8>,
    key: hmac::Key,
}

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error("{} has mode {mode:03o}: others can read it; run `chmod 600` on it", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is too short or too long.
    #[error("{} holds {found} bytes; a secret has {} to {}", path.display(), LENGTH.start(), LENGTH.end())]
    Length {
        /// The file.
        path: PathBuf,
        /// How many bytes it has.
        found: usize,
    },
}

impl Secret {
    /// Reads the file at `path`, without white space at its ends.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn load(path: &Path) -> Result<Secret, SecretError> {
        let unreadable = |source| SecretError::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(SecretError::Mode {
                path: path.into(),
                mode,
            });
        }
        let mut text = Vec::new();
        let most = *LENGTH.end() as u64 + 2;
        file.take(most).read_to_end(&mut text).map_err(unreadable)?;
        let text = text.trim_ascii();
        match LENGTH.contains(&text.len()) {
            true => Ok(Secret::new(text)),
            false => Err(SecretError::Length {
                path: path.into(),
                found: text.len(),
            }),
        }
    }

    /// The secret `text`.
    pub fn new(text: &[u8]) -> Secret {
        Secret {
            text: text.to_vec(),
            key: hmac::Key::new(hmac::HMAC_SHA256, text),
        }
    }

    /// Proof of knowing the secret, for one message.
    pub fn prove(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, message).as_ref().to_vec()
    }

    /// Whether `proof` was made for `message` by somebody who knows the secret.
    pub fn proves(&self, message: &[u8], proof: &[u8]) -> bool {
        hmac::verify(&self.key, message, proof).is_ok()
    }

    /// Whether `presented` is the secret. Takes as long for a wrong one that begins right.
    pub fn is(&self, presented: &[u8]) -> bool {
        let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()) else {
            return false;
        };
        let expected = hmac::sign(&key, &self.text);
        hmac::verify(&key, presented, expected.as_ref()).is_ok()
    }

    /// The secret as it is sent to a server that asks for it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

impl fmt::Debug for Secret {
    /// Leaves the secret out: logs are no place for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.is(&other.text)
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_proof_holds_for_its_message_and_secret_only() {
        let secret = Secret::new(b"correct horse battery");
        let proof = secret.prove(b"n4");
        assert!(secret.proves(b"n4", &proof));
        assert!(!secret.proves(b"n5", &proof));
        assert!(!Secret::new(b"wrong horse battery..").proves(b"n4", &proof));
        assert!(!secret.proves(b"n4", b""));
        assert!(secret.is(b"correct horse battery"));
        assert!(!secret.is(b"correct horse batterz"));
        assert!(!secret.is(b""));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", Secret::new(b"correct horse battery"));
        assert!(!shown.contains("horse"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "correct horse battery\n").unwrap();
        for (mode, good) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o620, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = Secret::load(&path);
            assert_eq!(loaded.is_ok(), good, "{mode:o}");
            let named = loaded.err().map(|e| e.to_string());
            assert!(named.is_none_or(|e| e.contains("chmod 600")));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for (text, good) in [("short", false), (&"x".repeat(5000), false), ("  ", false)] {
            fs::write(&path, text).unwrap();
            assert_eq!(Secret::load(&path).is_ok(), good);
        }
        assert!(Secret::load(&dir.path().join("none")).is_err());
    }
}
