//! What one exchange came to, as a line: JSON in the shape of this node's log, or the fields of HAProxy's `tcplog`.
//!
//! ```text
//! 192.0.2.7:33313 [30/Nov/2026:12:12:51.443] pg pg/10.0.0.5:5432 0/1/5007 212 -- 3/2/2/1/0 0/0
//! client           accepted, UTC      listener  service/endpoint Tw/Tc/Tt   |  |  |         |
//!                                               bytes to the client --------'  |  |         '-- queues
//!                       how it ended: `termination` ---------------------------'  '-- open: node, listener, service,
//!                                                                                     endpoint; retries
//! ```
//! Source: HAProxy 2.6, configuration manual, section 8.2.2.

use super::account::ACCESS;
use super::outcome::Outcome;
use super::termination::Phase;
use humantime::format_rfc3339_millis;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

/// One exchange. What is absent did not happen.
#[derive(Serialize)]
pub struct AccessLine<'a> {
    /// The listener's name.
    pub listener: &'a str,
    /// Where it came from.
    pub client: SocketAddr,
    /// Where its rule leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    /// The last endpoint that was tried, by its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<&'a str>,
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'a str>,
    /// The host it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<&'a str>,
    /// Its path, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    /// The status of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it ended: [`Outcome::reason`].
    pub reason: &'static str,
    /// Who is to be asked about that: [`Outcome::side`].
    pub side: &'static str,
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// From accepting to the client's own bytes; in microseconds, like all that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
    /// Waiting for an endpoint with room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_us: Option<u64>,
    /// Connecting to the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// From the beginning to the endpoint's first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// From the beginning to the end.
    pub duration_us: u64,
    /// Endpoints tried after the first.
    pub retries: u32,
    /// Exchanges before it in the queue.
    pub ahead: u32,
    /// Connections of this node now.
    pub connections: i64,
    /// Connections of the listener now.
    pub listener_connections: i64,
    /// Exchanges of the service now.
    pub service_exchanges: u64,
    /// Exchanges of the endpoint now.
    pub endpoint_exchanges: u32,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    level: &'static str,
    node: &'a str,
    target: &'static str,
    message: &'static str,
    fields: &'a AccessLine<'a>,
}

impl AccessLine<'_> {
    /// As JSON, written at `now_ms` of Unix time by `node`.
    pub fn json(&self, node: &str, now_ms: u64) -> String {
        let now = UNIX_EPOCH + Duration::from_millis(now_ms);
        let line = Line {
            ts: format_rfc3339_millis(now).to_string(),
            level: "INFO",
            node,
            target: ACCESS,
            message: "",
            fields: self,
        };
        serde_json::to_string(&line).expect("keys are text and values plain")
    }

    /// In the order of HAProxy's `tcplog`, written at `now_ms` of Unix time.
    pub fn tcplog(&self, outcome: Outcome, phase: Phase, now_ms: u64) -> String {
        let [cause, state] = outcome.termination(phase);
        let waited = match phase {
            Phase::Request => -1,
            _ => ms(self.queue_us.unwrap_or(0)),
        };
        let accepted = date(now_ms.saturating_sub(self.duration_us / 1000));
        let (listener, service) = (self.listener, self.service.unwrap_or(self.listener));
        format!(
            "{}:{} [{accepted}] {} {}/{} {waited}/{}/{} {} {cause}{state} {}/{}/{}/{}/{} 0/{}",
            self.client.ip(),
            self.client.port(),
            word(listener),
            word(service),
            word(self.endpoint.unwrap_or("<NOSRV>")),
            self.connect_us.map_or(-1, ms),
            ms(self.duration_us),
            self.sent,
            self.connections,
            self.listener_connections,
            self.service_exchanges,
            self.endpoint_exchanges,
            self.retries,
            self.ahead,
        )
    }
}

fn ms(us: u64) -> i64 {
    (us / 1000) as i64
}

/// A name without what separates fields.
fn word(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    name.chars().map(plain).collect()
}

/// `30/Nov/2026:12:12:51.443`, UTC.
fn date(unix_ms: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // "2026-11-30T12:12:51.443Z"
    let text = format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(unix_ms)).to_string();
    let month = text[5..7].parse().unwrap_or(1_usize);
    let (day, month, year) = (&text[8..10], MONTHS[(month - 1) % 12], &text[..4]);
    format!("{day}/{month}/{year}:{}", &text[11..23])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> AccessLine<'static> {
        AccessLine {
            listener: "postgres",
            client: "192.0.2.7:33313".parse().unwrap(),
            service: Some("postgres"),
            endpoint: Some("10.0.0.5:5432"),
            method: None,
            host: None,
            path: None,
            status: None,
            reason: "done",
            side: "neither",
            received: 99,
            sent: 212,
            handshake_us: None,
            queue_us: None,
            connect_us: Some(1500),
            first_byte_us: Some(2500),
            duration_us: 5_007_000,
            retries: 0,
            ahead: 0,
            connections: 3,
            listener_connections: 2,
            service_exchanges: 2,
            endpoint_exchanges: 1,
        }
    }

    /// 2026-11-30T12:12:56.450Z
    const NOW: u64 = 1_796_040_776_450;

    #[test]
    fn the_fields_stand_as_in_haproxys_tcplog() {
        assert_eq!(
            line().tcplog(Outcome::Done, Phase::Data, NOW),
            "192.0.2.7:33313 [30/Nov/2026:12:12:51.443] postgres postgres/10.0.0.5:5432 0/1/5007 212 -- 3/2/2/1/0 0/0"
        );
    }

    #[test]
    fn what_did_not_happen_is_minus_one_or_has_no_server() {
        let nowhere = AccessLine {
            client: "[2001:db8::1]:7".parse().unwrap(),
            service: None,
            endpoint: None,
            connect_us: None,
            duration_us: 900,
            sent: 0,
            ..line()
        };
        assert_eq!(
            nowhere.tcplog(Outcome::NoRoute, Phase::Request, NOW),
            "2001:db8::1:7 [30/Nov/2026:12:12:56.450] postgres postgres/<NOSRV> -1/-1/0 0 PR 3/2/2/1/0 0/0"
        );
        let queued = AccessLine {
            queue_us: Some(5_000_100),
            retries: 1,
            ahead: 7,
            service: Some("two words\n"),
            ..nowhere
        };
        assert_eq!(
            queued.tcplog(Outcome::QueueTimeout, Phase::Queue, NOW),
            "2001:db8::1:7 [30/Nov/2026:12:12:56.450] postgres two_words_/<NOSRV> 5000/-1/0 0 sQ 3/2/2/1/1 0/7"
        );
    }

    #[test]
    fn json_has_the_shape_of_the_nodes_log() {
        let text = line().json("n1", NOW);
        assert!(!text.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["ts"], "2026-11-30T12:12:56.450Z");
        assert_eq!(value["node"], "n1");
        assert_eq!(value["target"], "access");
        let fields = &value["fields"];
        assert_eq!(fields["client"], "192.0.2.7:33313");
        assert_eq!(fields["sent"], 212);
        assert_eq!(fields["connect_us"], 1500);
        assert!(fields.get("status").is_none());
    }
}
