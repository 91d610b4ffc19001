//! Who a client says it is.

use crate::zk::wire::AuthRequest;
use bytes::Bytes;
use std::fmt;
use std::str::FromStr;

/// A user's name and password, for the scheme `digest`. The server turns them into the identity
/// `user:base64(sha1(user:password))`; only ACLs tell whether the password is the right one.
#[derive(Clone, PartialEq, Eq)]
pub struct Login(Bytes);

/// The text is no login. It is not repeated: it may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a login is USER:PASSWORD, with a user of at most {MAX_USER} bytes")]
pub struct LoginError;

/// Longest name of a user, bytes, as long as a Zoogate server takes it.
const MAX_USER: usize = 1024;

impl Login {
    /// The request that proves it.
    pub(super) fn request(&self) -> AuthRequest {
        AuthRequest {
            kind: 0,
            scheme: "digest".into(),
            auth: Some(self.0.clone()),
        }
    }
}

impl FromStr for Login {
    type Err = LoginError;

    fn from_str(text: &str) -> Result<Login, LoginError> {
        match text.split_once(':') {
            Some((user, _)) if user.len() <= MAX_USER => {
                Ok(Login(Bytes::copy_from_slice(text.as_bytes())))
            }
            _ => Err(LoginError),
        }
    }
}

impl fmt::Debug for Login {
    /// Leaves the password out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_a_colon_and_does_not_show_its_password() {
        let login: Login = "user:pass:word".parse().expect("a login");
        assert_eq!(
            login.request().auth.as_deref(),
            Some(&b"user:pass:word"[..])
        );
        assert!(!format!("{login:?}").contains("word"));
        for text in ["", "user", &format!("{}:", "u".repeat(1025))] {
            assert_eq!(text.parse::<Login>(), Err(LoginError));
        }
    }
}
