//! The names under which proxies log what we need, for JSON lines without a field map.

use super::{Entry, Meaning, Speaker};
use crate::fields::{Slot, Unit};

/// One name: what it means, how it ranks among the names of the same (0 is best), and who alone writes it.
struct Name(&'static str, Meaning, u8, Option<Speaker>);

const CADDY: Option<Speaker> = Some(Speaker::Caddy);
const TRAEFIK: Option<Speaker> = Some(Speaker::Traefik);
const ENVOY: Option<Speaker> = Some(Speaker::Envoy);

const fn slot(slot: Slot) -> Meaning {
    Meaning::Slot(slot)
}

/// Every known name as an entry.
pub fn entries() -> Vec<Entry> {
    let entry = |Name(path, meaning, rank, speaker): &Name| Entry {
        path: (*path).into(),
        meaning: *meaning,
        rank: *rank,
        speaker: *speaker,
    };
    NAMES.iter().map(entry).collect()
}

/// nginx has no names of its own in JSON: people write its variables, or what logstash calls them.
const NAMES: &[Name] = &[
    Name("msec", slot(Slot::Time), 0, None),
    Name("time_iso8601", slot(Slot::Time), 1, None),
    Name("time_local", slot(Slot::Time), 2, None),
    Name("time", slot(Slot::Time), 2, None),
    Name("ts", slot(Slot::Time), 2, None),
    Name("timestamp", slot(Slot::Time), 3, None),
    // Last: a shipper may have stamped it with its own clock.
    Name("@timestamp", slot(Slot::Time), 4, None),
    Name("start_time", slot(Slot::StartTime), 0, None),
    Name("StartUTC", slot(Slot::StartTime), 0, TRAEFIK),
    Name("status", slot(Slot::Status), 0, None),
    Name("status_code", slot(Slot::Status), 1, None),
    Name("statusCode", slot(Slot::Status), 1, None),
    Name("http_status", slot(Slot::Status), 1, None),
    Name("http_status_code", slot(Slot::Status), 1, None),
    Name("http.response.status_code", slot(Slot::Status), 1, None),
    Name("response_status", slot(Slot::Status), 2, None),
    Name("response", slot(Slot::Status), 3, None),
    Name("response_code", slot(Slot::Status), 0, ENVOY),
    Name("DownstreamStatus", slot(Slot::Status), 0, TRAEFIK),
    Name("request_method", slot(Slot::Method), 0, None),
    Name("method", slot(Slot::Method), 1, None),
    Name("http_method", slot(Slot::Method), 1, None),
    Name("verb", slot(Slot::Method), 1, None),
    Name("http.request.method", slot(Slot::Method), 1, None),
    Name("RequestMethod", slot(Slot::Method), 0, TRAEFIK),
    Name("request.method", slot(Slot::Method), 0, CADDY),
    Name("request_uri", slot(Slot::Path), 0, None),
    Name("uri", slot(Slot::Path), 1, None),
    Name("url.original", slot(Slot::Path), 1, None),
    Name("path", slot(Slot::Path), 2, None),
    Name("url", slot(Slot::Path), 3, None),
    Name("url.path", slot(Slot::Path), 2, None),
    Name("RequestPath", slot(Slot::Path), 0, TRAEFIK),
    Name("request.uri", slot(Slot::Path), 0, CADDY),
    Name("request", slot(Slot::Request), 0, None),
    Name("request_line", slot(Slot::Request), 1, None),
    Name("request_time", Meaning::Duration(Unit::Seconds), 0, None),
    Name("rt", Meaning::Duration(Unit::Seconds), 1, None),
    Name("responsetime", Meaning::Duration(Unit::Seconds), 1, None),
    Name("request_time_ms", Meaning::Duration(Unit::Millis), 0, None),
    Name("duration_ms", Meaning::Duration(Unit::Millis), 1, None),
    Name("latency_ms", Meaning::Duration(Unit::Millis), 1, None),
    Name("elapsed_ms", Meaning::Duration(Unit::Millis), 1, None),
    Name("response_time_ms", Meaning::Duration(Unit::Millis), 1, None),
    Name("duration_us", Meaning::Duration(Unit::Micros), 1, None),
    Name("duration_ns", Meaning::Duration(Unit::Nanos), 1, None),
    Name("event.duration", Meaning::Duration(Unit::Nanos), 1, None),
    Name("Duration", Meaning::Duration(Unit::Nanos), 0, TRAEFIK),
    // Caddy means seconds, Envoy milliseconds; of anyone else only a text with its unit says something.
    Name("duration", Meaning::Duration(Unit::Written), 2, None),
    Name("latency", Meaning::Duration(Unit::Written), 3, None),
    Name("upstream_addr", slot(Slot::Upstream), 0, None),
    Name("upstream", slot(Slot::Upstream), 1, None),
    Name("upstream_host", slot(Slot::Upstream), 1, None),
    Name("upstreamhost", slot(Slot::Upstream), 1, None),
    Name("ServiceAddr", slot(Slot::Upstream), 0, TRAEFIK),
    Name("ServiceURL", slot(Slot::Upstream), 1, TRAEFIK),
    Name("ServiceURL.Host", slot(Slot::Upstream), 1, TRAEFIK),
    Name("BackendAddr", slot(Slot::Upstream), 0, TRAEFIK),
    Name("BackendURL", slot(Slot::Upstream), 1, TRAEFIK),
    Name("BackendURL.Host", slot(Slot::Upstream), 1, TRAEFIK),
    Name("upstream_status", slot(Slot::UpstreamStatus), 0, None),
    Name("us", slot(Slot::UpstreamStatus), 1, None),
    Name("upstream_connect_time", slot(Slot::ConnectTime), 0, None),
    Name("uct", slot(Slot::ConnectTime), 1, None),
    Name("upstream_header_time", slot(Slot::HeaderTime), 0, None),
    Name("uht", slot(Slot::HeaderTime), 1, None),
    Name("upstream_response_time", slot(Slot::ResponseTime), 0, None),
    Name("urt", slot(Slot::ResponseTime), 1, None),
    Name("upstreamtime", slot(Slot::ResponseTime), 1, None),
    Name("upstream_response_length", slot(Slot::ResponseLength), 0, None),
    Name("pool", slot(Slot::Pool), 0, None),
    Name("proxy_upstream_name", slot(Slot::Pool), 1, None),
    Name("upstream_name", slot(Slot::Pool), 1, None),
    Name("upstream_cluster", slot(Slot::Pool), 1, ENVOY),
    Name("backend_name", slot(Slot::Pool), 1, None),
    Name("backend", slot(Slot::Pool), 2, None),
    Name("ServiceName", slot(Slot::Pool), 0, TRAEFIK),
    Name("BackendName", slot(Slot::Pool), 0, TRAEFIK),
    Name("http_host", slot(Slot::Site), 0, None),
    Name("vhost", slot(Slot::Site), 0, None),
    Name("site", slot(Slot::Site), 0, None),
    Name("authority", slot(Slot::Site), 1, None),
    Name(":authority", slot(Slot::Site), 1, None),
    Name("url.domain", slot(Slot::Site), 1, None),
    Name("host", Meaning::Host, 2, None),
    Name("server_name", slot(Slot::Site), 3, None),
    Name("RequestHost", slot(Slot::Site), 0, TRAEFIK),
    Name("request.host", slot(Slot::Site), 0, CADDY),
    Name("node", slot(Slot::Node), 0, None),
    Name("hostname", slot(Slot::Node), 1, None),
    Name("host.name", slot(Slot::Node), 2, None),
    Name("host.hostname", slot(Slot::Node), 2, None),
    Name("region", slot(Slot::Region), 0, None),
    Name("@version", Meaning::Logstash, 0, None),
    Name("logger", Meaning::Logger, 0, None),
    Name("OriginStatus", Meaning::OriginStatus, 0, TRAEFIK),
    Name("RetryAttempts", Meaning::Retries, 0, TRAEFIK),
    Name("response_flags", Meaning::Flags, 0, ENVOY),
    Name("response_code_details", Meaning::Details, 0, ENVOY),
    Name("upstream_transport_failure_reason", Meaning::Failure, 0, ENVOY),
    Name("upstream_service_time", Meaning::ServiceTime, 0, None),
    Name("x_envoy_upstream_service_time", Meaning::ServiceTime, 0, ENVOY),
    Name("x-envoy-upstream-service-time", Meaning::ServiceTime, 0, ENVOY),
    Name("upstream_request_attempt_count", Meaning::Tries, 0, ENVOY),
];
