//! Every settings file that is shipped is valid.

use super::assert_clean;
use std::fs;
use std::path::PathBuf;
use zoogate::config::Config;

fn shipped() -> Vec<PathBuf> {
    let entries = fs::read_dir("config").expect("the folder of examples");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect()
}

fn violations(paths: &[PathBuf]) -> Vec<String> {
    let refused = paths.iter().filter_map(|path| Config::load(path).err());
    refused.map(|error| error.to_string()).collect()
}

#[test]
fn every_example_is_a_valid_configuration() {
    let paths = shipped();
    assert!(!paths.is_empty(), "no examples in config/");
    assert_clean(violations(&paths));
}

#[test]
fn invalid_example_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.toml");
    fs::write(&path, "[node]\nnme = \"n1\"\n").expect("writable");
    let found = violations(&[path]);
    assert!(found.len() == 1 && found[0].contains("nme"), "{found:?}");
}
