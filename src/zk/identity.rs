//! What a connection proves about its client.
//!
//! Source: `DigestAuthenticationProvider`, `IPAuthenticationProvider` and `X509AuthenticationProvider` of ZooKeeper
//! 3.9.

use super::wire::AuthRequest;
use crate::tree::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use std::net::IpAddr;
use std::sync::Arc;

/// Identities of one connection, its address included. They travel in each command, so their number is
/// small; a client that needs more acts for more users than ACLs are made for.
const MAX_IDENTITIES: usize = 32;

/// Longest user name of a digest, bytes; see [`MAX_IDENTITIES`].
const MAX_USER: usize = 1024;

/// The identities of a connection.
#[derive(Clone, Debug)]
pub(super) struct Identities(Arc<[Identity]>);

/// The credentials were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AuthError {
    /// Only `digest` is known; `world` cannot be claimed.
    #[error("the authentication scheme is not served")]
    Scheme,
    /// Not UTF-8, null, or the user's name is too long.
    #[error("the credentials are malformed")]
    Malformed,
    /// The connection has as many identities as one may have.
    #[error("more than {MAX_IDENTITIES} identities on one connection")]
    TooMany,
}

impl Identities {
    /// Those of a client at `address` that has proved nothing else, but for a certificate with this `subject`.
    pub(super) fn of(address: IpAddr, subject: Option<String>) -> Identities {
        let address = identity("ip", address.to_canonical().to_string());
        let certified = subject.map(|subject| identity("x509", subject));
        Identities([address].into_iter().chain(certified).collect())
    }

    /// All of them.
    pub(super) fn all(&self) -> &Arc<[Identity]> {
        &self.0
    }

    /// Adds what an `auth` request proves. Any password makes an identity of its own: it is the ACL that
    /// tells the right one. The identity `super_digest` has the power of `super` besides.
    ///
    /// # Errors
    /// [`AuthError`]; the identities are as before.
    pub(super) fn add(
        &mut self,
        request: &AuthRequest,
        super_digest: Option<&str>,
    ) -> Result<(), AuthError> {
        if &*request.scheme != "digest" {
            // A claimed address changes nothing: the connection's own is known already.
            let is_address = &*request.scheme == "ip";
            return is_address.then_some(()).ok_or(AuthError::Scheme);
        }
        let proof = request.auth.as_deref().ok_or(AuthError::Malformed)?;
        let digest = digest_id(proof)?;
        let is_super = super_digest.is_some_and(|known| is_same(known, &digest));
        let power = is_super.then(|| identity("super", String::new()));
        let proved = power.into_iter().chain([identity("digest", digest)]);
        let new: Vec<Identity> = proved.filter(|it| !self.0.contains(it)).collect();
        if self.0.len() + new.len() > MAX_IDENTITIES {
            return Err(AuthError::TooMany);
        }
        if !new.is_empty() {
            self.0 = self.0.iter().cloned().chain(new).collect();
        }
        Ok(())
    }
}

/// `user:password` to `user:base64(sha1(user:password))`. Without a colon all of it is the user's name.
fn digest_id(proof: &[u8]) -> Result<String, AuthError> {
    let user = proof.split(|byte| *byte == b':').next().unwrap_or(proof);
    let user = std::str::from_utf8(user).map_err(|_| AuthError::Malformed)?;
    if user.len() > MAX_USER {
        return Err(AuthError::Malformed);
    }
    Ok(format!("{user}:{}", STANDARD.encode(Sha1::digest(proof))))
}

/// Whether two digests are the same. Takes as long for any two of one length: how far a guess is right does not
/// show.
fn is_same(one: &str, other: &str) -> bool {
    let differing = one.bytes().zip(other.bytes()).map(|(a, b)| a ^ b);
    one.len() == other.len() && differing.fold(0, |all, bits| all | bits) == 0
}

fn identity(scheme: &str, id: String) -> Identity {
    let scheme = scheme.to_owned();
    Identity { scheme, id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn request(scheme: &str, auth: impl AsRef<[u8]>) -> AuthRequest {
        AuthRequest {
            kind: 0,
            scheme: scheme.into(),
            auth: Some(Bytes::copy_from_slice(auth.as_ref())),
        }
    }

    fn local() -> Identities {
        Identities::of(IpAddr::from([127, 0, 0, 1]), None)
    }

    #[test]
    fn digests_are_those_that_zookeeper_computes() {
        // The example of ZooKeeper's own documentation of `DigestAuthenticationProvider`.
        let id = digest_id(b"super:test");
        assert_eq!(id, Ok("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into()));
        let nameless = digest_id(b"super").expect("accepted");
        assert!(nameless.starts_with("super:"));
    }

    #[test]
    fn identities_accumulate_behind_the_address() {
        let mut identities = local();
        for auth in ["a:1", "b:2", "a:1"] {
            assert_eq!(identities.add(&request("digest", auth), None), Ok(()));
        }
        let all: Vec<_> = identities.all().iter().map(|i| i.scheme.as_str()).collect();
        assert_eq!(all, ["ip", "digest", "digest"]);
        assert_eq!(identities.all()[0].id, "127.0.0.1");
    }

    #[test]
    fn another_address_is_accepted_and_proves_nothing() {
        let mut identities = local();
        assert_eq!(identities.add(&request("ip", "10.0.0.1"), None), Ok(()));
        assert_eq!(identities.all(), local().all());
    }

    #[test]
    fn a_certificate_is_an_identity_from_the_start() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let identities = Identities::of(address, Some("CN=web,O=Example".into()));
        let certified = identity("x509", "CN=web,O=Example".into());
        assert_eq!(identities.all()[1..], [certified]);
    }

    #[test]
    fn the_configured_digest_and_no_other_is_super() {
        const SUPER: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
        for (auth, known, schemes) in [
            ("super:test", Some(SUPER), &["ip", "super", "digest"][..]),
            ("super:tesT", Some(SUPER), &["ip", "digest"]),
            ("super:test", None, &["ip", "digest"]),
            ("super:test", Some("super:"), &["ip", "digest"]),
        ] {
            let mut identities = local();
            for _ in 0..2 {
                let added = identities.add(&request("digest", auth), known);
                assert_eq!(added, Ok(()));
            }
            let all = identities.all().iter().map(|it| it.scheme.as_str());
            assert_eq!(all.collect::<Vec<_>>(), schemes, "{auth} {known:?}");
        }
    }

    #[test]
    fn other_schemes_and_malformed_credentials_are_refused() {
        let mut identities = local();
        for (request, error) in [
            (request("world", "anyone"), AuthError::Scheme),
            (request("nosuch", "x"), AuthError::Scheme),
            (request("digest", b"\xff:x"), AuthError::Malformed),
            (request("digest", [b'u'; 1025]), AuthError::Malformed),
        ] {
            assert_eq!(identities.add(&request, None), Err(error));
        }
        let null = AuthRequest {
            auth: None,
            ..request("digest", "")
        };
        assert_eq!(identities.add(&null, None), Err(AuthError::Malformed));
        for user in 1..MAX_IDENTITIES {
            assert_eq!(
                identities.add(&request("digest", format!("{user}:")), None),
                Ok(())
            );
        }
        let error = identities.add(&request("digest", "one:more"), None);
        assert_eq!(error, Err(AuthError::TooMany));
    }
}
