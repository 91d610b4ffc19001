//! The files in `config/` are part of the product: they parse, and the example shows every key there is.

use super::*;
use std::collections::BTreeSet;
use std::path::Path;
use toml::de::{DeTable, DeValue};

fn load(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name);
    Config::load(&path).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_example_is_valid_and_without_warnings() {
    assert_eq!(load("example.toml").warnings(), [""; 0]);
}

#[test]
fn the_example_has_every_key() {
    let text = include_str!("../../../config/example.toml");
    let document = DeTable::parse(text).unwrap();
    let mut shown = BTreeSet::new();
    collect(document.get_ref(), "", &mut shown);
    for (section, key) in file::known_keys() {
        let is_shown = shown.contains(&(section.to_owned(), key.to_owned()));
        // A key that excludes another one, which is shown, stands in a comment.
        let is_shown = is_shown || text.contains(&format!("\n# {key} = "));
        assert!(is_shown, "config/example.toml lacks {key} in [{section}]");
    }
}

/// Notes each key of `table` with the section it is in, where names that users choose are left out.
fn collect(table: &DeTable<'_>, section: &str, shown: &mut BTreeSet<(String, String)>) {
    for (key, value) in table {
        let key = key.get_ref();
        shown.insert((section.to_owned(), key.to_string()));
        let inner = match section {
            "" => key.to_string(),
            // Below [service] come names that users choose, and only below those the keys.
            "service" if table.values().all(|value| value.get_ref().is_table()) => {
                section.to_owned()
            }
            _ => format!("{section}.{key}"),
        };
        let elements = match value.get_ref() {
            DeValue::Array(array) => array.iter().map(|item| item.get_ref()).collect(),
            value => vec![value],
        };
        for table in elements.into_iter().filter_map(DeValue::as_table) {
            collect(table, &inner, shown);
        }
    }
}

#[test]
fn the_local_ensemble_agrees_about_its_members_and_shares_nothing_else() {
    let nodes = ["n1.toml", "n2.toml", "n3.toml"].map(load);
    let mut unique = BTreeSet::new();
    for node in &nodes {
        assert_eq!(node.warnings(), [""; 0]);
        let ensemble = node.ensemble.as_ref().unwrap();
        assert!(!ensemble.observer);
        assert_eq!(
            ensemble.members,
            nodes[0].ensemble.as_ref().unwrap().members
        );
        assert_eq!(
            ensemble.members[&node.node.name],
            ensemble.listen.to_string()
        );
        let protocols: Vec<Protocol> = node.listeners.iter().map(|it| it.protocol).collect();
        assert_eq!(protocols, [Protocol::Http, Protocol::Tcp]);
        let mut sockets = vec![ensemble.listen, node.zookeeper.listen, node.admin.listen];
        sockets.extend(node.listeners.iter().map(|it| it.bind));
        for socket in sockets {
            assert!(unique.insert(socket.to_string()), "{socket} is used twice");
        }
        assert!(unique.insert(node.node.data_dir.display().to_string()));
    }
}
