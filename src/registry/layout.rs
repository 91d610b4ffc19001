//! Where things are in the tree.
//!
//! ```text
//! /services/<service>/<instance>          a registration, usually ephemeral
//! /zoogate/config/services/<service>      settings of a service, TOML with the keys of `[service.<service>]`
//! /zoogate/admin/<service>/<instance>     what an operator wants of an instance: see `order`
//! ```
//! `/services` is the default of Spring Cloud Zookeeper and of Dubbo 3, so their applications are found without a
//! setting. Our own part is below `/zoogate`, because `/config` belongs to Spring Cloud Config. What operators want is
//! never in the instance's own znode: that belongs to the backend, which rewrites it as it likes and takes it along when
//! it goes.

use crate::config::ServiceName;

/// The parent of all services.
pub const SERVICES: &str = "/services";

/// The parent of all settings of services.
pub const SETTINGS: &str = "/zoogate/config/services";

/// The parent of all that operators want.
pub const ADMIN: &str = "/zoogate/admin";

/// The znode whose children are the registrations of a service.
pub fn service_path(service: &ServiceName) -> String {
    format!("{SERVICES}/{service}")
}

/// The znode of one registration.
pub fn instance_path(service: &ServiceName, instance: &str) -> String {
    format!("{SERVICES}/{service}/{instance}")
}

/// The znode that holds the settings of a service.
pub fn settings_path(service: &ServiceName) -> String {
    format!("{SETTINGS}/{service}")
}

/// The znode whose children are what operators want of the instances of a service.
pub fn admin_path(service: &ServiceName) -> String {
    format!("{ADMIN}/{service}")
}

/// The znode of what an operator wants of one instance.
pub fn order_path(service: &ServiceName, instance: &str) -> String {
    format!("{ADMIN}/{service}/{instance}")
}

/// The name of the service that a change of the znode at `path` concerns, if it concerns one.
pub fn touched(path: &str) -> Option<&str> {
    if let Some(below) = below(path, SERVICES).or_else(|| below(path, ADMIN)) {
        return match below.split_once('/') {
            None => Some(below),
            Some((service, instance)) => (!instance.contains('/')).then_some(service),
        };
    }
    below(path, SETTINGS).filter(|service| !service.contains('/'))
}

/// The service and the instance of the registration at `path`, if there could be one.
pub fn registration(path: &str) -> Option<(&str, &str)> {
    let (service, instance) = below(path, SERVICES)?.split_once('/')?;
    (!instance.contains('/')).then_some((service, instance))
}

/// What follows `parent` and a slash in `path`.
fn below<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    path.strip_prefix(parent)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_which_service_they_concern() {
        for (path, expected) in [
            ("/services/web", Some("web")),
            ("/services/web/i1", Some("web")),
            ("/services/web/i1/below", None),
            ("/services", None),
            ("/servicesx/web", None),
            ("/zoogate/config/services/web", Some("web")),
            ("/zoogate/config/services/web/below", None),
            ("/zoogate/config/services", None),
            ("/zoogate/config/other/web", None),
            ("/zoogate/admin", None),
            ("/zoogate/admin/web", Some("web")),
            ("/zoogate/admin/web/i1", Some("web")),
            ("/zoogate/admin/web/i1/below", None),
            ("/zoogate/administrators/web", None),
            ("/", None),
        ] {
            assert_eq!(touched(path), expected, "{path}");
        }
    }

    #[test]
    fn registrations_are_two_levels_below_services() {
        assert_eq!(registration("/services/web/i1"), Some(("web", "i1")));
        for path in [
            "/services/web",
            "/services/web/i1/x",
            "/zoogate/admin/web/i1",
        ] {
            assert_eq!(registration(path), None, "{path}");
        }
    }

    #[test]
    fn every_path_concerns_the_service_it_was_made_for() {
        let web = ServiceName::new("web").unwrap();
        for path in [
            service_path(&web),
            instance_path(&web, "i1"),
            settings_path(&web),
            admin_path(&web),
            order_path(&web, "i1"),
        ] {
            assert_eq!(touched(&path), Some("web"), "{path}");
        }
    }
}
