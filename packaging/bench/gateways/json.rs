//! Those that log in JSON.

use super::super::Fault;
use super::{Hit, details, header_time, iso, parts, seconds};
use std::fmt::Write as _;

pub(super) fn json_nginx(h: &Hit, l: &mut String) {
    let time = seconds(h.total);
    let _ = writeln!(
        l,
        r#"{{"time":"{}","remote_addr":"{}","host":"{}","method":"{}","uri":"{}","request":"{} {} HTTP/1.1","status":{},"bytes":{},"ua":"{}","referer":"{}","rt":{time},"upstream_addr":"{}","upstream_status":"{}","uct":"{}","uht":"{}","urt":"{time}"}}"#,
        iso(h.end()).replace('Z', "+00:00"),
        h.client,
        h.host,
        h.method,
        h.path,
        h.method,
        h.path,
        h.status,
        h.bytes,
        h.agent,
        h.referer,
        h.server,
        h.status,
        if h.fault == Fault::Refused { "-" } else { "0.001" },
        header_time(h)
    );
}

pub(super) fn json_caddy(h: &Hit, l: &mut String) {
    let level = if h.is_fine() { "info" } else { "error" };
    let _ = writeln!(
        l,
        r#"{{"level":"{level}","ts":{},"logger":"http.log.access.log0","msg":"handled request","request":{{"remote_ip":"{}","remote_port":"{}","client_ip":"{}","proto":"HTTP/2.0","method":"{}","host":"{}","uri":"{}","headers":{{"User-Agent":["{}"],"Accept":["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],"Accept-Language":["en-US,en;q=0.5"],"Accept-Encoding":["gzip, deflate, br"],"Referer":["{}"]}},"tls":{{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"{}"}}}},"bytes_read":0,"user_id":"","duration":{}271,"size":{},"status":{},"resp_headers":{{"Server":["Caddy"],"Alt-Svc":["h3=\":443\"; ma=2592000"],"Content-Type":["text/html; charset=utf-8"],"Date":["Sun, 01 Nov 2026 00:10:00 GMT"]}}}}"#,
        seconds(h.end()),
        h.client,
        h.port,
        h.client,
        h.method,
        h.host,
        h.path,
        h.agent,
        h.referer,
        h.host,
        seconds(h.total),
        h.bytes,
        h.status
    );
}

pub(super) fn json_traefik(h: &Hit, l: &mut String) {
    let origin = if h.is_fine() { h.status } else { 0 };
    let nanos = h.total * 1_000_000 + h.id % 1_000_000;
    let _ = writeln!(
        l,
        r#"{{"ClientAddr":"{}:{}","ClientHost":"{}","ClientPort":"{}","ClientUsername":"-","DownstreamContentSize":{},"DownstreamStatus":{},"Duration":{nanos},"OriginContentSize":{},"OriginDuration":{},"OriginStatus":{origin},"Overhead":81342,"RequestAddr":"{}","RequestContentSize":0,"RequestCount":{},"RequestHost":"{}","RequestMethod":"{}","RequestPath":"{}","RequestPort":"-","RequestProtocol":"HTTP/2.0","RequestScheme":"https","RetryAttempts":0,"RouterName":"{}@docker","ServiceAddr":"{}","ServiceName":"{}@docker","ServiceURL":"http://{}","StartLocal":"{}","StartUTC":"{}","entryPointName":"websecure","level":"info","msg":"","time":"{}"}}"#,
        h.client,
        h.port,
        h.client,
        h.port,
        h.bytes,
        h.status,
        if h.is_fine() { h.bytes } else { 0 },
        nanos - 81_342,
        h.host,
        h.id % 900_000,
        h.host,
        h.method,
        h.path,
        h.pool,
        h.server,
        h.pool,
        h.server,
        iso(h.start),
        iso(h.start),
        iso(h.end())
    );
}

pub(super) fn json_envoy(h: &Hit, l: &mut String) {
    let (flags, status) = h.by_fault(("-", h.status), ("UC", 503), ("UF", 503), ("UT", 504));
    let cause =
        if h.fault == Fault::Refused { "\"delayed connect error: Connection refused\"" } else { "null" };
    let service = if h.is_fine() { format!("\"{}\"", h.total - h.total / 8) } else { "null".to_owned() };
    let _ = writeln!(
        l,
        r#"{{"authority":"{}","bytes_received":0,"bytes_sent":{},"connection_termination_details":null,"downstream_local_address":"10.96.14.{}:8080","downstream_remote_address":"{}:{}","duration":{},"method":"{}","path":"{}","protocol":"HTTP/1.1","request_id":"{:08x}-7f0e-4982-a3fc-{:012x}","requested_server_name":null,"response_code":{status},"response_code_details":"{}","response_flags":"{flags}","route_name":"default","start_time":"{}","upstream_cluster":"outbound|8080||{}.prod.svc.cluster.local","upstream_host":"{}","upstream_local_address":"10.1.{}.7:41250","upstream_service_time":{service},"upstream_transport_failure_reason":{cause},"user_agent":"{}","x_forwarded_for":null}}"#,
        h.host,
        h.bytes,
        h.node,
        h.client,
        h.port,
        h.total,
        h.method,
        h.path,
        h.id >> 32,
        h.id & 0xFFFF_FFFF_FFFF,
        details(h),
        iso(h.start),
        h.pool,
        h.server,
        h.node,
        h.agent
    );
}

pub(super) fn json_cloudflare(h: &Hit, l: &mut String) {
    let status = h.by_fault(h.status, 520, 521, 524);
    let origin = if h.is_fine() { h.status } else { 0 };
    let _ = writeln!(
        l,
        r#"{{"CacheCacheStatus":"dynamic","CacheResponseBytes":{},"CacheResponseStatus":{status},"CacheTieredFill":false,"ClientASN":64496,"ClientCountry":"de","ClientDeviceType":"desktop","ClientIP":"{}","ClientIPClass":"noRecord","ClientRequestBytes":{},"ClientRequestHost":"{}","ClientRequestMethod":"{}","ClientRequestPath":"{}","ClientRequestProtocol":"HTTP/2","ClientRequestReferer":"{}","ClientRequestURI":"{}","ClientRequestUserAgent":"{}","ClientSSLCipher":"AEAD-AES128-GCM-SHA256","ClientSSLProtocol":"TLSv1.3","ClientSrcPort":{},"EdgeColoCode":"FR{}","EdgeColoID":{},"EdgeEndTimestamp":"{}","EdgePathingOp":"wl","EdgePathingSrc":"macro","EdgePathingStatus":"nr","EdgeRequestHost":"{}","EdgeResponseBytes":{},"EdgeResponseContentType":"text/html","EdgeResponseStatus":{status},"EdgeServerIP":"172.68.{}.4","EdgeStartTimestamp":"{}","OriginDNSResponseTimeMs":0,"OriginIP":"{}","OriginRequestHeaderSendDurationMs":0,"OriginResponseDurationMs":{},"OriginResponseHTTPExpires":"","OriginResponseStatus":{origin},"OriginSSLProtocol":"TLSv1.3","ParentRayID":"00","RayID":"{:016x}","SecurityActions":[],"SecurityRuleIDs":[],"SecuritySources":[],"WorkerSubrequest":false,"ZoneName":"example.com"}}"#,
        h.bytes,
        h.client,
        400 + h.bytes % 900,
        h.host,
        h.method,
        parts(h).0,
        h.referer,
        h.path,
        h.agent,
        h.port,
        ["A", "B", "C", "D"][h.node as usize],
        h.node,
        iso(h.end()),
        h.host,
        h.bytes,
        h.node,
        iso(h.start),
        h.server.trim_end_matches(":8080"),
        h.total,
        h.id
    );
}

pub(super) fn json_fastly(h: &Hit, l: &mut String) {
    let (state, phrase, status) = h.by_fault(
        (["HIT", "MISS", "PASS"][(h.id % 3) as usize], "OK", h.status),
        ("ERROR", "backend read error", 503),
        ("ERROR", "Connection refused", 503),
        ("ERROR", "first byte timeout", 503),
    );
    let _ = writeln!(
        l,
        r#"{{"timestamp":"{}","client_ip":"{}","geo_country":"germany","geo_city":"frankfurt am main","host":"{}","url":"{}","request_method":"{}","request_protocol":"HTTP/2","request_referer":"{}","request_user_agent":"{}","response_state":"{state}","response_status":{status},"response_reason":"{phrase}","response_body_size":{},"fastly_server":"cache-fra-eddf{}","fastly_is_edge":true}}"#,
        iso(h.end()).replace(".000Z", "+0000"),
        h.client,
        h.host,
        h.path,
        h.method,
        h.referer,
        h.agent,
        h.bytes,
        h.node
    );
}

pub(super) fn json_scraper(h: &Hit, l: &mut String) {
    let provider = ["acme", "brd", "oxy"][(h.id % 3) as usize];
    let exit = format!("203.0.113.{}", h.id % 200);
    let (status, error) = match h.fault {
        Fault::None => (h.status.to_string(), "null"),
        Fault::Closed => ("null".to_owned(), "\"RemoteDisconnected\""),
        Fault::Refused => ("null".to_owned(), "\"ProxyError\""),
        Fault::Silent => ("null".to_owned(), "\"ReadTimeout\""),
    };
    let _ = writeln!(
        l,
        r#"{{"ts":"{}","exit_ip":"{exit}","provider":"{provider}","session":"s{}","target":"{}","url":"https://{}{}","method":"GET","status":{status},"elapsed_ms":{},"bytes":{},"attempt":1,"user_agent":"{}","error":{error}}}"#,
        iso(h.end()),
        h.id % 4000,
        h.host,
        h.host,
        h.path,
        h.total,
        h.bytes,
        h.agent
    );
}
