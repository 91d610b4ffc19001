//! Where the process runs: ZooKeeper's names, without what only a Java machine has.

use super::VERSION;
use std::fs;

/// Names and values, in ZooKeeper's order. What the system does not tell is left out.
pub(in crate::zk) fn environment() -> Vec<(&'static str, String)> {
    let kernel = |name| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
    let user = account();
    let listed = [
        ("zookeeper.version", Some(VERSION.to_owned())),
        ("host.name", kernel("hostname")),
        ("os.name", kernel("ostype")),
        ("os.arch", Some(std::env::consts::ARCH.to_owned())),
        ("os.version", kernel("osrelease")),
        ("user.name", Some(user.name)),
        ("user.home", user.home),
        ("user.dir", directory()),
    ];
    let told = listed.into_iter().filter_map(|(name, value)| {
        let value = value?.trim().to_owned();
        (!value.is_empty()).then_some((name, value))
    });
    told.collect()
}

struct Account {
    name: String,
    home: Option<String>,
}

/// The account that the process runs as: by number, where it has no name.
fn account() -> Account {
    let id = rustix::process::getuid().as_raw().to_string();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    find_account(&accounts, &id).unwrap_or(Account {
        name: id,
        home: None,
    })
}

/// Looks through lines of `name:password:id:group:comment:home:shell`.
fn find_account(accounts: &str, id: &str) -> Option<Account> {
    let mut fields = accounts.lines().map(|line| line.split(':'));
    fields.find_map(|mut fields| {
        let name = fields.next()?.to_owned();
        let home = (fields.nth(1)? == id).then(|| fields.nth(2))?;
        Some(Account {
            name,
            home: home.map(str::to_owned),
        })
    })
}

fn directory() -> Option<String> {
    let path = std::env::current_dir().ok()?;
    Some(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_comes_first_and_nothing_is_empty() {
        let listed = environment();
        assert_eq!(listed[0], ("zookeeper.version", VERSION.to_owned()));
        for name in ["host.name", "os.name", "os.arch", "user.name", "user.dir"] {
            let value = listed.iter().find(|(listed, _)| *listed == name);
            assert!(value.is_some_and(|(_, value)| !value.is_empty()), "{name}");
        }
    }

    #[test]
    fn accounts_are_found_by_number() {
        let accounts =
            "root:x:0:0:root:/root:/bin/sh\nzoo:x:17:17::/var/lib/zoo:/bin/false\nbroken\n";
        let found = find_account(accounts, "17").expect("listed");
        assert_eq!(
            (found.name.as_str(), found.home.as_deref()),
            ("zoo", Some("/var/lib/zoo"))
        );
        assert!(find_account(accounts, "7").is_none());
    }
}
