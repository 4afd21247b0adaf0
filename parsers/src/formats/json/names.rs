//! The names under which proxies log what we need, for JSON lines without a field map.

use super::seen::SESSION;
use super::{Entry, Meaning, Speaker};
use crate::fields::{Slot, Unit};
use crate::proxy_status::Header;

/// One name: what it means, how it ranks among the names of the same (0 is best), and who alone writes it.
struct Name(&'static str, Meaning, u8, Option<Speaker>);

const CADDY: Option<Speaker> = Some(Speaker::Caddy);
const TRAEFIK: Option<Speaker> = Some(Speaker::Traefik);
const ENVOY: Option<Speaker> = Some(Speaker::Envoy);
const CLOUDFLARE: Option<Speaker> = Some(Speaker::Cloudflare);
const FASTLY: Option<Speaker> = Some(Speaker::Fastly);

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
    NAMES.iter().chain(ERRORS).map(entry).chain(told()).collect()
}

/// Every known name and what it gives, for people. Names that give nothing by themselves are left out.
pub fn documented() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES.iter().chain(ERRORS).filter_map(|Name(path, meaning, ..)| Some((*path, gives(*meaning)?)))
}

fn gives(meaning: Meaning) -> Option<&'static str> {
    Some(match meaning {
        Meaning::Slot(slot) => slot.name(),
        Meaning::Duration(Unit::Seconds) => "request_time, in seconds",
        Meaning::Duration(Unit::Millis) => "request_time, in milliseconds",
        Meaning::Duration(Unit::Micros) => "request_time, in microseconds",
        Meaning::Duration(Unit::Nanos) => "request_time, in nanoseconds",
        Meaning::Duration(Unit::Written) => "request_time, if its unit is written or its product known",
        Meaning::Host => "site; of logstash, the node",
        Meaning::Exit | Meaning::Proxy => "the exit of a forward proxy",
        Meaning::Provider => "the exit's provider",
        Meaning::OriginStatus
        | Meaning::OriginSize
        | Meaning::Flags
        | Meaning::Details
        | Meaning::Failure
        | Meaning::ServiceTime
        | Meaning::Told(_)
        | Meaning::Error
        | Meaning::Message
        | Meaning::State
        | Meaning::Phrase => "origin and reason",
        Meaning::Retries | Meaning::Tries => "attempts",
        _ => return None,
    })
}

/// The headers that tell of an error: as nginx's variables, as headers, as Traefik names an answer's.
fn told() -> impl Iterator<Item = Entry> {
    let places =
        ["", "upstream_http_", "sent_http_", "headers.", "response_headers.", "origin_", "downstream_"];
    Header::names().flat_map(move |name| {
        places.into_iter().flat_map(move |place| {
            let dashed = name.replace('_', "-");
            [name.to_owned(), titled(&dashed), dashed].into_iter().filter_map(move |spelt| {
                let path = format!("{place}{spelt}");
                let header = Header::named(path.rsplit('.').next()?.as_bytes())?;
                Some(Entry { path: path.into(), meaning: Meaning::Told(header), rank: 0, speaker: None })
            })
        })
    })
}

/// `proxy-status` → `Proxy-Status`
fn titled(name: &str) -> String {
    let mut starts = true;
    let letter = |c: char| {
        if std::mem::replace(&mut starts, c == '-') { c.to_ascii_uppercase() } else { c }
    };
    name.chars().map(letter).collect()
}

/// nginx has no names of its own in JSON: people write its variables, or what logstash calls them.
const NAMES: &[Name] = &[
    Name("msec", slot(Slot::Time), 0, None),
    Name("time_iso8601", slot(Slot::Time), 1, None),
    Name("time_local", slot(Slot::Time), 2, None),
    Name("time", slot(Slot::Time), 2, None),
    Name("ts", slot(Slot::Time), 2, None),
    Name("timestamp", slot(Slot::Time), 3, None),
    Name("EdgeEndTimestamp", slot(Slot::Time), 0, CLOUDFLARE),
    Name("time_end", slot(Slot::Time), 1, None),
    Name("end_time", slot(Slot::Time), 1, None),
    Name("finished_at", slot(Slot::Time), 1, None),
    Name("datetime", slot(Slot::Time), 3, None),
    Name("logged_at", slot(Slot::Time), 3, None),
    Name("asctime", slot(Slot::Time), 3, None),
    Name("date", slot(Slot::Time), 3, None),
    Name("created_at", slot(Slot::Time), 4, None),
    // Last: a shipper may have stamped it with its own clock.
    Name("@timestamp", slot(Slot::Time), 4, None),
    Name("start_time", slot(Slot::StartTime), 0, None),
    Name("StartUTC", slot(Slot::StartTime), 0, TRAEFIK),
    Name("EdgeStartTimestamp", slot(Slot::StartTime), 0, CLOUDFLARE),
    Name("time_start", slot(Slot::StartTime), 1, None),
    Name("started_at", slot(Slot::StartTime), 1, None),
    Name("status", slot(Slot::Status), 0, None),
    Name("status_code", slot(Slot::Status), 1, None),
    Name("statusCode", slot(Slot::Status), 1, None),
    Name("http_status", slot(Slot::Status), 1, None),
    Name("http_status_code", slot(Slot::Status), 1, None),
    Name("http.response.status_code", slot(Slot::Status), 1, None),
    Name("response_status", slot(Slot::Status), 2, None),
    Name("response", slot(Slot::Status), 3, None),
    Name("resp_status", slot(Slot::Status), 2, None),
    Name("httpStatus", slot(Slot::Status), 2, None),
    Name("http_code", slot(Slot::Status), 2, None),
    Name("statuscode", slot(Slot::Status), 2, None),
    Name("response.status", slot(Slot::Status), 2, None),
    Name("response.status_code", slot(Slot::Status), 2, None),
    Name("EdgeResponseStatus", slot(Slot::Status), 0, CLOUDFLARE),
    Name("response_code", slot(Slot::Status), 0, ENVOY),
    Name("DownstreamStatus", slot(Slot::Status), 0, TRAEFIK),
    Name("request_method", slot(Slot::Method), 0, None),
    Name("method", slot(Slot::Method), 1, None),
    Name("http_method", slot(Slot::Method), 1, None),
    Name("verb", slot(Slot::Method), 1, None),
    Name("http.request.method", slot(Slot::Method), 1, None),
    Name("RequestMethod", slot(Slot::Method), 0, TRAEFIK),
    Name("ClientRequestMethod", slot(Slot::Method), 0, CLOUDFLARE),
    Name("request.method", slot(Slot::Method), 0, CADDY),
    Name("request_uri", slot(Slot::Path), 0, None),
    Name("uri", slot(Slot::Path), 1, None),
    Name("url.original", slot(Slot::Path), 1, None),
    Name("path", slot(Slot::Path), 2, None),
    Name("url", slot(Slot::Path), 3, None),
    Name("target_url", slot(Slot::Path), 3, None),
    Name("request_url", slot(Slot::Path), 3, None),
    Name("ClientRequestURI", slot(Slot::Path), 0, CLOUDFLARE),
    Name("ClientRequestPath", slot(Slot::Path), 1, CLOUDFLARE),
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
    Name("elapsed_s", Meaning::Duration(Unit::Seconds), 1, None),
    Name("duration_s", Meaning::Duration(Unit::Seconds), 1, None),
    Name("latency_s", Meaning::Duration(Unit::Seconds), 1, None),
    Name("elapsed_seconds", Meaning::Duration(Unit::Seconds), 1, None),
    Name("duration_seconds", Meaning::Duration(Unit::Seconds), 1, None),
    Name("download_latency", Meaning::Duration(Unit::Seconds), 2, None),
    Name("took_ms", Meaning::Duration(Unit::Millis), 1, None),
    Name("time_ms", Meaning::Duration(Unit::Millis), 2, None),
    Name("total_ms", Meaning::Duration(Unit::Millis), 1, None),
    Name("durationMs", Meaning::Duration(Unit::Millis), 1, None),
    Name("duration_us", Meaning::Duration(Unit::Micros), 1, None),
    Name("elapsed_us", Meaning::Duration(Unit::Micros), 1, None),
    Name("time_elapsed_usec", Meaning::Duration(Unit::Micros), 1, None),
    Name("duration_ns", Meaning::Duration(Unit::Nanos), 1, None),
    Name("event.duration", Meaning::Duration(Unit::Nanos), 1, None),
    Name("Duration", Meaning::Duration(Unit::Nanos), 0, TRAEFIK),
    // Caddy means seconds, Envoy milliseconds; of anyone else only a text with its unit says something.
    Name("duration", Meaning::Duration(Unit::Written), 2, None),
    Name("latency", Meaning::Duration(Unit::Written), 3, None),
    Name("elapsed", Meaning::Duration(Unit::Written), 3, None),
    Name("took", Meaning::Duration(Unit::Written), 3, None),
    // Fastly's `time.elapsed.usec`.
    Name("time_elapsed", Meaning::Duration(Unit::Written), 3, None),
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
    Name("OriginIP", slot(Slot::Upstream), 0, CLOUDFLARE),
    Name("origin_ip", slot(Slot::Upstream), 2, None),
    Name("backend_ip", slot(Slot::Upstream), 2, None),
    Name("beresp.backend.ip", slot(Slot::Upstream), 2, FASTLY),
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
    Name("beresp.backend.name", slot(Slot::Pool), 0, FASTLY),
    Name("beresp_backend_name", slot(Slot::Pool), 0, FASTLY),
    Name("ServiceName", slot(Slot::Pool), 0, TRAEFIK),
    Name("BackendName", slot(Slot::Pool), 0, TRAEFIK),
    Name("http_host", slot(Slot::Site), 0, None),
    Name("vhost", slot(Slot::Site), 0, None),
    Name("site", slot(Slot::Site), 0, None),
    Name("target", slot(Slot::Site), 0, None),
    Name("target_host", slot(Slot::Site), 0, None),
    Name("target_domain", slot(Slot::Site), 0, None),
    Name("domain", slot(Slot::Site), 1, None),
    Name("ClientRequestHost", slot(Slot::Site), 0, CLOUDFLARE),
    Name("EdgeRequestHost", slot(Slot::Site), 1, CLOUDFLARE),
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
    Name("fastly_server", slot(Slot::Node), 0, FASTLY),
    Name("server.identity", slot(Slot::Node), 0, FASTLY),
    Name("server_identity", slot(Slot::Node), 0, FASTLY),
    Name("region", slot(Slot::Region), 0, None),
    Name("EdgeColoCode", slot(Slot::Region), 0, CLOUDFLARE),
    Name("EdgeColoID", slot(Slot::Region), 1, CLOUDFLARE),
    Name("datacenter", slot(Slot::Region), 2, None),
    Name("pop", slot(Slot::Region), 2, None),
    Name("server.datacenter", slot(Slot::Region), 2, FASTLY),
    Name("server_datacenter", slot(Slot::Region), 2, FASTLY),
    Name("@version", Meaning::Logstash, 0, None),
    Name("logger", Meaning::Logger, 0, None),
    Name("OriginStatus", Meaning::OriginStatus, 0, TRAEFIK),
    Name("OriginContentSize", Meaning::OriginSize, 0, TRAEFIK),
    Name("OriginResponseStatus", Meaning::OriginStatus, 0, CLOUDFLARE),
    Name("RayID", Meaning::Mark, 0, CLOUDFLARE),
    Name("fastly_is_edge", Meaning::Mark, 0, FASTLY),
    Name("fastly_info.state", Meaning::State, 0, FASTLY),
    Name("fastly_info_state", Meaning::State, 0, FASTLY),
    Name("fastly_state", Meaning::State, 0, FASTLY),
    Name("response_state", Meaning::State, 0, None),
    Name("cache_status", Meaning::State, 1, None),
    Name("response_reason", Meaning::Phrase, 0, None),
    Name("resp_response", Meaning::Phrase, 0, None),
    Name("reason", Meaning::Phrase, 1, None),
    Name("status_text", Meaning::Phrase, 1, None),
    Name("msg", Meaning::Message, 0, None),
    Name("message", Meaning::Message, 0, None),
    Name("exit_ip", Meaning::Exit, 0, None),
    Name("exit", Meaning::Exit, 0, None),
    Name("egress_ip", Meaning::Exit, 1, None),
    Name("egress", Meaning::Exit, 1, None),
    Name("exit_node", Meaning::Exit, 1, None),
    Name("exit_addr", Meaning::Exit, 1, None),
    Name("proxy_ip", Meaning::Exit, 2, None),
    Name("session", Meaning::Exit, SESSION, None),
    Name("session_id", Meaning::Exit, SESSION, None),
    Name("proxy", Meaning::Proxy, 0, None),
    Name("proxy_url", Meaning::Proxy, 0, None),
    Name("proxy_host", Meaning::Proxy, 1, None),
    Name("proxy_addr", Meaning::Proxy, 1, None),
    Name("proxy_server", Meaning::Proxy, 1, None),
    Name("provider", Meaning::Provider, 0, None),
    Name("proxy_provider", Meaning::Provider, 0, None),
    Name("vendor", Meaning::Provider, 1, None),
    Name("proxy_vendor", Meaning::Provider, 1, None),
    Name("RetryAttempts", Meaning::Retries, 0, TRAEFIK),
    Name("x-envoy-origin-path", slot(Slot::Path), 1, ENVOY),
    Name("requested_server_name", slot(Slot::Site), 4, None),
    Name("response_flags", Meaning::Flags, 0, ENVOY),
    Name("response_code_details", Meaning::Details, 0, ENVOY),
    Name("upstream_transport_failure_reason", Meaning::Failure, 0, ENVOY),
    Name("upstream_service_time", Meaning::ServiceTime, 0, None),
    Name("x_envoy_upstream_service_time", Meaning::ServiceTime, 0, ENVOY),
    Name("x-envoy-upstream-service-time", Meaning::ServiceTime, 0, ENVOY),
    Name("upstream_request_attempt_count", Meaning::Tries, 0, ENVOY),
];

/// What programs call the names and texts of an error.
const ERRORS: &[Name] = &[
    Name("error", Meaning::Error, 0, None),
    Name("err", Meaning::Error, 0, None),
    Name("exc", Meaning::Error, 0, None),
    Name("exception", Meaning::Error, 0, None),
    Name("failure", Meaning::Error, 0, None),
    Name("exception_name", Meaning::Error, 0, None),
    Name("exception_type", Meaning::Error, 0, None),
    Name("exception_class", Meaning::Error, 0, None),
    Name("exception_message", Meaning::Error, 0, None),
    Name("exc_name", Meaning::Error, 0, None),
    Name("exc_type", Meaning::Error, 0, None),
    Name("exc_info", Meaning::Error, 0, None),
    Name("error_name", Meaning::Error, 0, None),
    Name("error_type", Meaning::Error, 0, None),
    Name("error_class", Meaning::Error, 0, None),
    Name("error_code", Meaning::Error, 0, None),
    Name("error_message", Meaning::Error, 0, None),
    Name("error_msg", Meaning::Error, 0, None),
    Name("error_detail", Meaning::Error, 0, None),
    Name("err_msg", Meaning::Error, 0, None),
    Name("errmsg", Meaning::Error, 0, None),
    Name("errno", Meaning::Error, 0, None),
    Name("err_code", Meaning::Error, 0, None),
    Name("errorCode", Meaning::Error, 0, None),
    Name("errorMessage", Meaning::Error, 0, None),
    Name("error.type", Meaning::Error, 0, None),
    Name("error.name", Meaning::Error, 0, None),
    Name("error.code", Meaning::Error, 0, None),
    Name("error.class", Meaning::Error, 0, None),
    Name("error.message", Meaning::Error, 0, None),
    Name("error.kind", Meaning::Error, 0, None),
    Name("err.type", Meaning::Error, 0, None),
    Name("err.name", Meaning::Error, 0, None),
    Name("err.code", Meaning::Error, 0, None),
    Name("err.message", Meaning::Error, 0, None),
    Name("exception.type", Meaning::Error, 0, None),
    Name("exception.name", Meaning::Error, 0, None),
    Name("exception.class", Meaning::Error, 0, None),
    Name("exception.message", Meaning::Error, 0, None),
];
