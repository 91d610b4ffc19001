//! `zoogate config check FILE`: everything that is wrong with a settings file, before a node has to find out.

use crate::config::Config;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Exit code for bad usage and for settings that are wrong.
const INVALID: u8 = 2;

/// Checks the file at `path`: the verdict goes to `out`, errors and warnings to `err`. Exit code 0 if the file is
/// valid, 2 if it is not; warnings do not change it.
///
/// That `out` or `err` cannot be written to is ignored: the exit code is the answer, and nobody is left to be told.
pub fn run(path: &Path, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(errors) => {
            let _ = writeln!(err, "{errors}");
            return ExitCode::from(INVALID);
        }
    };
    for warning in config.warnings() {
        let _ = writeln!(err, "warning: {warning}");
    }
    let path = path.display();
    let _ = writeln!(out, "{path}: valid, {}", summary(&config));
    ExitCode::SUCCESS
}

/// What the file amounts to, so that a check of the wrong file is noticed.
fn summary(config: &Config) -> String {
    let voters = config.ensemble.as_ref().map_or(1, |it| it.members.len());
    let listeners = config.listeners.len();
    let services = config.services.len();
    format!(
        "node {:?}, ensemble of {voters}, listeners: {listeners}, services: {services}",
        config.node.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> (ExitCode, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zoogate.toml");
        std::fs::write(&path, text).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&path, &mut out, &mut err);
        let text = |bytes: Vec<u8>| {
            let dir = format!("{}/", dir.path().display());
            String::from_utf8(bytes).unwrap().replace(&dir, "")
        };
        (code, text(out), text(err))
    }

    #[test]
    fn a_valid_file_is_summed_up() {
        let (code, out, err) = checked("[node]\nname = \"n1\"\n[service.web]\n");
        assert_eq!(code, ExitCode::SUCCESS);
        assert_eq!(
            out,
            "zoogate.toml: valid, node \"n1\", ensemble of 1, listeners: 0, services: 1\n"
        );
        assert_eq!(err, "");
    }

    #[test]
    fn warnings_do_not_make_a_file_invalid() {
        let (code, _, err) = checked("[admin]\nlisten = \"0.0.0.0:9180\"\ninsecure = true\n");
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(
            err.starts_with("warning: [admin] listens on 0.0.0.0:9180"),
            "{err}"
        );
    }

    #[test]
    fn an_invalid_file_is_refused_with_every_error() {
        let (code, out, err) = checked("[node]\nnam = \"n1\"\nzone = 1\n");
        assert_eq!(code, ExitCode::from(INVALID));
        assert_eq!(out, "");
        assert_eq!(
            err,
            "zoogate.toml:2:1: unknown key \"nam\" in [node]; did you mean \"name\"?\n  \
             2 | nam = \"n1\"\n    | ^^^\n\
             zoogate.toml:3:8: zone must be a string, not an integer\n  \
             3 | zone = 1\n    |        ^\n"
        );
    }

    #[test]
    fn a_missing_file_is_an_error_with_its_path() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let path = Path::new("/nonexistent/zoogate.toml");
        assert_eq!(run(path, &mut out, &mut err), ExitCode::from(INVALID));
        let err = String::from_utf8(err).unwrap();
        assert!(
            err.starts_with("/nonexistent/zoogate.toml: cannot be read: "),
            "{err}"
        );
    }
}
