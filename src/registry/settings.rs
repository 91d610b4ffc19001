//! The layer of settings that is in the tree, per service.
//!
//! A text that is not valid changes nothing: the last valid one of that service stays in force, and the refused
//! one is remembered with its reason until it is replaced. A node that starts while the tree holds an invalid
//! text never saw a valid one and goes by its file for that service.

use super::layout;
use crate::config::{ServiceName, ServiceSettings};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the tree says about services, as far as it is valid.
#[derive(Debug, Default)]
pub struct TreeSettings {
    services: BTreeMap<ServiceName, Layer>,
}

#[derive(Debug)]
struct Layer {
    /// As it is in the tree, valid or not.
    text: Bytes,
    /// The last valid one.
    valid: Option<Arc<ServiceSettings>>,
    refused: Option<RefusedSettings>,
}

/// Settings in the tree that are not valid and so not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSettings {
    /// The service.
    pub service: ServiceName,
    /// The znode that holds them.
    pub path: String,
    /// What is wrong, with line and column.
    pub reason: String,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The text is the one that was there before.
    Unchanged,
    /// It is in force.
    Taken,
    /// It is not valid.
    Refused,
}

impl TreeSettings {
    /// The settings in force for a service.
    pub fn valid(&self, service: &ServiceName) -> Option<&ServiceSettings> {
        self.services.get(service)?.valid.as_deref()
    }

    /// Those that are not in force because they are not valid.
    pub fn refused(&self) -> impl Iterator<Item = &RefusedSettings> {
        self.services.values().filter_map(|l| l.refused.as_ref())
    }

    /// Takes note of what the tree says about a service now; `None` if it says nothing.
    pub fn update(&mut self, service: &ServiceName, text: Option<&Bytes>) -> Verdict {
        let Some(text) = text else {
            return match self.services.remove(service) {
                None => Verdict::Unchanged,
                Some(_) => Verdict::Taken,
            };
        };
        let before = self.services.get(service);
        if before.is_some_and(|layer| layer.text == *text) {
            return Verdict::Unchanged;
        }
        let before = before.and_then(|layer| layer.valid.clone());
        let path = layout::settings_path(service);
        let (valid, refused) = match parse(text, &path) {
            Ok(settings) => (Some(Arc::new(settings)), None),
            Err(reason) => {
                let refused = RefusedSettings {
                    service: service.clone(),
                    path,
                    reason,
                };
                (before, Some(refused))
            }
        };
        let verdict = match refused {
            None => Verdict::Taken,
            Some(_) => Verdict::Refused,
        };
        let layer = Layer {
            text: text.clone(),
            valid,
            refused,
        };
        self.services.insert(service.clone(), layer);
        verdict
    }

    /// Forgets every service that `keep` does not name: what a whole reading of the tree did not find.
    pub fn retain(&mut self, keep: impl Fn(&ServiceName) -> bool) {
        self.services.retain(|service, _| keep(service));
    }
}

fn parse(text: &[u8], path: &str) -> Result<ServiceSettings, String> {
    let text = std::str::from_utf8(text).map_err(|e| {
        let before = &text[..e.valid_up_to()];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
        format!("{path}:{line}:{column}: not UTF-8")
    })?;
    ServiceSettings::parse(text, path).map_err(|errors| errors.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Strategy;

    fn web() -> ServiceName {
        ServiceName::new("web").unwrap()
    }

    fn update(settings: &mut TreeSettings, text: &'static str) -> Verdict {
        settings.update(&web(), Some(&Bytes::from_static(text.as_bytes())))
    }

    fn strategy(settings: &TreeSettings) -> Option<Strategy> {
        settings.valid(&web())?.strategy
    }

    #[test]
    fn valid_settings_are_taken_once() {
        let mut settings = TreeSettings::default();
        let text = "strategy = \"random\"";
        assert_eq!(update(&mut settings, text), Verdict::Taken);
        assert_eq!(update(&mut settings, text), Verdict::Unchanged);
        assert_eq!(strategy(&settings), Some(Strategy::Random));
    }

    #[test]
    fn invalid_settings_leave_the_last_valid_ones_in_force() {
        let mut settings = TreeSettings::default();
        update(&mut settings, "strategy = \"random\"");
        let bad = "idle_timeout = \"1s\"\nstrategy = \"rondom\"";
        assert_eq!(update(&mut settings, bad), Verdict::Refused);
        assert_eq!(strategy(&settings), Some(Strategy::Random));
        assert_eq!(settings.valid(&web()).unwrap().idle_timeout, None);
        let refused = settings.refused().next().unwrap();
        assert_eq!(refused.path, "/zoogate/config/services/web");
        assert!(
            refused
                .reason
                .contains("/zoogate/config/services/web:2:12: "),
            "{}",
            refused.reason
        );
        assert_eq!(
            update(&mut settings, "strategy = \"weighted\""),
            Verdict::Taken
        );
        assert_eq!(settings.refused().count(), 0);
        assert_eq!(strategy(&settings), Some(Strategy::Weighted));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let mut settings = TreeSettings::default();
        let verdict = settings.update(&web(), Some(&Bytes::from_static(b"a\nbc\xff")));
        assert_eq!(verdict, Verdict::Refused);
        let reason = &settings.refused().next().unwrap().reason;
        assert_eq!(reason, "/zoogate/config/services/web:2:3: not UTF-8");
    }

    #[test]
    fn removed_settings_are_forgotten() {
        let mut settings = TreeSettings::default();
        update(&mut settings, "strategy = \"random\"");
        update(&mut settings, "strategy = 1");
        assert_eq!(settings.update(&web(), None), Verdict::Taken);
        assert_eq!(settings.update(&web(), None), Verdict::Unchanged);
        assert_eq!(strategy(&settings), None);
        assert_eq!(settings.refused().count(), 0);
    }
}
