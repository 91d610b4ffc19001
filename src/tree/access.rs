//! Who may do what: ACL lists against what a client has proved.
//!
//! One matching entry that has the permission's bit is enough; nothing ever takes a permission away, and
//! nothing is inherited from the znode above. A client with the identity scheme `super` may do everything.
//!
//! Source: `ZooKeeperServer.checkACL` and the `matches` methods of ZooKeeper's authentication providers.

use super::acl_table::AclList;
use super::{Acl, Identity};
use std::net::IpAddr;

/// A right that an ACL grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Permission {
    /// Reading data and children.
    Read = 1,
    /// Setting the data.
    Write = 2,
    /// Creating children.
    Create = 4,
    /// Deleting children.
    Delete = 8,
    /// Setting the ACL.
    Admin = 16,
}

impl AclList {
    /// Whether one entry grants `permission` to one of `identities`. Costs one test of a bit if everybody
    /// has the permission.
    pub fn permits(&self, permission: Permission, identities: &[Identity]) -> bool {
        let bit = permission as i32;
        if self.world & bit != 0 || identities.iter().any(|identity| identity.scheme == "super") {
            return true;
        }
        let granting = self.entries.iter().filter(|entry| entry.perms & bit != 0);
        granting
            .flat_map(|entry| identities.iter().map(move |identity| (entry, identity)))
            .any(|(entry, identity)| entry.scheme == identity.scheme && matches(entry, identity))
    }

    /// The entries for the eyes of `identities`: who may not change the list sees `x` for the hashes of
    /// passwords, which could be guessed from them.
    pub(super) fn shown_to(&self, identities: &[Identity]) -> Vec<Acl> {
        let mut entries = self.entries.to_vec();
        if !self.permits(Permission::Admin, identities) {
            entries.iter_mut().for_each(mask);
        }
        entries
    }
}

/// The permissions that everybody has: ZooKeeper's `world:anyone`, whatever is proved.
pub(super) fn of_the_world(entries: &[Acl]) -> i32 {
    let world = entries
        .iter()
        .filter(|entry| entry.scheme == "world" && entry.id == "anyone");
    world.fold(0, |perms, entry| perms | entry.perms)
}

/// Whether an entry means a client that has proved an identity of the same scheme.
fn matches(entry: &Acl, identity: &Identity) -> bool {
    match entry.scheme.as_str() {
        "ip" => identity
            .id
            .parse()
            .is_ok_and(|address| is_within(address, &entry.id)),
        "digest" | "x509" => identity.id == entry.id,
        _ => false,
    }
}

fn mask(entry: &mut Acl) {
    if entry.scheme != "digest" {
        return;
    }
    if let Some(colon) = entry.id.find(':') {
        entry.id.truncate(colon + 1);
        entry.id.push('x');
    }
}

/// Whether `address` is in `network`: an address, with or without a prefix length.
fn is_within(address: IpAddr, network: &str) -> bool {
    let (base, bits) = match network.split_once('/') {
        Some((base, bits)) => (base, bits.parse().ok()),
        None => (network, None),
    };
    match (address, base.parse()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(base))) => {
            let bits: u32 = bits.unwrap_or(32);
            (address.to_bits() ^ base.to_bits())
                .checked_shr(32 - bits.min(32))
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(base))) => {
            let bits: u32 = bits.unwrap_or(128);
            (address.to_bits() ^ base.to_bits())
                .checked_shr(128 - bits.min(128))
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list that `perms scheme id` entries describe.
    fn list(entries: &[(i32, &str, &str)]) -> AclList {
        let entries: Vec<Acl> = entries
            .iter()
            .map(|&(perms, scheme, id)| Acl {
                perms,
                scheme: scheme.into(),
                id: id.into(),
            })
            .collect();
        AclList::new(&entries)
    }

    fn proved(proofs: &[(&str, &str)]) -> Vec<Identity> {
        let identity = |&(scheme, id): &(&str, &str)| Identity {
            scheme: scheme.into(),
            id: id.into(),
        };
        proofs.iter().map(identity).collect()
    }

    /// Whether an entry with all permissions for `scheme:id` lets in who proved `identity`.
    fn lets_in((scheme, id): (&str, &str), identity: (&str, &str)) -> bool {
        list(&[(31, scheme, id)]).permits(Permission::Read, &proved(&[identity]))
    }

    #[test]
    fn each_permission_is_its_own_bit() {
        use Permission::*;
        for (at, granted) in [Read, Write, Create, Delete, Admin].into_iter().enumerate() {
            let open = list(&[(1 << at, "world", "anyone")]);
            let digest = list(&[(1 << at, "digest", "a:1")]);
            for asked in [Read, Write, Create, Delete, Admin] {
                let expected = asked == granted;
                assert_eq!(open.permits(asked, &[]), expected, "{granted:?} {asked:?}");
                assert_eq!(
                    digest.permits(asked, &proved(&[("digest", "a:1")])),
                    expected
                );
                assert!(!digest.permits(asked, &[]));
            }
        }
    }

    #[test]
    fn one_of_several_entries_and_identities_is_enough() {
        let list = list(&[
            (1, "world", "anyone"),
            (2, "digest", "a:1"),
            (2, "digest", "b:2"),
            (16, "digest", "c:3"),
        ]);
        let both = proved(&[("ip", "10.0.0.1"), ("digest", "b:2")]);
        assert!(list.permits(Permission::Read, &[]));
        assert!(list.permits(Permission::Write, &both));
        assert!(!list.permits(Permission::Admin, &both));
        assert!(!list.permits(Permission::Create, &both));
    }

    #[test]
    fn addresses_match_by_prefix_within_their_family() {
        for (network, address, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.9", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.9.9.9/8", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.0", false),
            ("10.0.0.2/31", "10.0.0.3", true),
            ("10.0.0.2/31", "10.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("::1/128", "::2", false),
            ("2001:db8::2/127", "2001:db8::3", true),
        ] {
            let found = lets_in(("ip", network), ("ip", address));
            assert_eq!(found, expected, "{address} in {network}");
        }
        assert!(!lets_in(("ip", "0.0.0.0/0"), ("ip", "nowhere")));
        assert!(!lets_in(("ip", "10.0.0.1"), ("digest", "10.0.0.1")));
    }

    #[test]
    fn digests_and_distinguished_names_match_as_they_are() {
        for (entry, identity, expected) in [
            (("digest", "a:1"), ("digest", "a:1"), true),
            (("digest", "a:1"), ("digest", "a:2"), false),
            (("digest", "a:1"), ("x509", "a:1"), false),
            (("x509", "CN=web"), ("x509", "CN=web"), true),
            (("x509", "CN=web"), ("x509", "CN=web,O=x"), false),
        ] {
            assert_eq!(lets_in(entry, identity), expected, "{entry:?} {identity:?}");
        }
    }

    #[test]
    fn unknown_schemes_let_nobody_in() {
        for entry in [("sasl", "bob"), ("auth", ""), ("world", "bob"), ("", "")] {
            assert!(!lets_in(entry, entry), "{entry:?}");
        }
    }

    #[test]
    fn super_may_do_what_nobody_may() {
        let nobody = list(&[(0, "world", "anyone")]);
        let anyone = proved(&[
            ("ip", "127.0.0.1"),
            ("digest", "a:1"),
            ("world", "anyone"),
            ("x509", "CN=super"),
        ]);
        let above_all = proved(&[("ip", "127.0.0.1"), ("super", "")]);
        use Permission::*;
        for permission in [Read, Write, Create, Delete, Admin] {
            assert!(!nobody.permits(permission, &anyone), "{permission:?}");
            assert!(nobody.permits(permission, &above_all), "{permission:?}");
        }
    }

    #[test]
    fn hashes_are_shown_to_those_who_may_change_them() {
        let list = list(&[
            (17, "digest", "a:1"),
            (1, "digest", "b:2:3"),
            (1, "ip", "::1"),
        ]);
        let shown = |proofs: &[(&str, &str)]| -> Vec<String> {
            let shown = list.shown_to(&proved(proofs));
            shown.into_iter().map(|entry| entry.id).collect()
        };
        let (masked, plain) = (["a:x", "b:x", "::1"], ["a:1", "b:2:3", "::1"]);
        assert_eq!(shown(&[]), masked);
        assert_eq!(shown(&[("digest", "b:2:3")]), masked);
        assert_eq!(shown(&[("digest", "a:1")]), plain);
        assert_eq!(shown(&[("super", "")]), plain);
    }
}
