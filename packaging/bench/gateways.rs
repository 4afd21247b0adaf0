//! Lines of every product's own log: hosts, paths, clients and servers as varied as in a busy gateway's, and a few per
//! cent of failures.

mod clouds;
mod json;

use super::{Fault, Random, Request, clock};
use clouds::{CLOUDFRONT, IIS, alb, cloudfront, elb, iis, parts};
use json::{json_caddy, json_cloudflare, json_envoy, json_fastly, json_nginx, json_scraper, json_traefik};
use std::fmt::Write as _;

/// A product's name, and its line of one request.
pub(super) struct Kind {
    pub name: &'static str,
    /// Lines that the file begins with.
    pub head: &'static str,
    pub write: fn(&Hit, &mut String),
}

pub(super) const KINDS: &[Kind] = &[
    kind("nginx-combined", |h, l| combined(h, "", l)),
    kind("nginx-ingress", ingress),
    kind("haproxy-http", haproxy),
    kind("envoy", |h, l| envoy(h, "", "", l)),
    kind("istio", istio),
    kind("apache", |h, l| combined(h, "", l)),
    kind("varnish", |h, l| combined(h, h.host, l)),
    kind("squid", squid),
    kind("traefik", traefik),
    kind("alb", alb),
    kind("elb", elb),
    Kind { name: "cloudfront", head: CLOUDFRONT, write: cloudfront },
    Kind { name: "w3c", head: IIS, write: iis },
    kind("ltsv", ltsv),
    kind("logfmt", logfmt),
    kind("heroku", heroku),
    kind("3proxy", threeproxy),
    kind("tinyproxy", tinyproxy),
    kind("json-nginx", json_nginx),
    kind("json-caddy", json_caddy),
    kind("json-traefik", json_traefik),
    kind("json-envoy", json_envoy),
    kind("json-cloudflare", json_cloudflare),
    kind("json-fastly", json_fastly),
    kind("json-scraper", json_scraper),
];

const fn kind(name: &'static str, write: fn(&Hit, &mut String)) -> Kind {
    Kind { name, head: "", write }
}

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "curl/8.5.0",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
];
const HOSTS: [&str; 8] = [
    "www.example.com",
    "api.example.com",
    "img.example.com",
    "shop.example.org",
    "auth.example.net",
    "static.example.com",
    "m.shop.example.org",
    "partners.example.com",
];
const AREAS: [&str; 6] =
    ["v1/users", "v2/orders", "assets/js", "catalog/items", "search", "account/settings"];
const POOLS: [&str; 6] = ["web", "api", "img", "shop", "auth", "search"];

/// One request, with what the products log of it.
pub(super) struct Hit {
    start: u64,
    total: u64,
    status: u16,
    fault: Fault,
    method: &'static str,
    host: &'static str,
    path: String,
    client: String,
    port: u64,
    agent: &'static str,
    referer: String,
    bytes: u64,
    pool: &'static str,
    server: String,
    node: u64,
    id: u64,
}

impl Hit {
    pub(super) fn new(r: &Request, random: &mut Random) -> Hit {
        let fault = match random.below(100) {
            0 => Fault::Closed,
            1 => Fault::Refused,
            2 => Fault::Silent,
            _ => Fault::None,
        };
        let host = HOSTS[random.below(8) as usize];
        let area = AREAS[random.below(6) as usize];
        let mut path = format!("/{area}/{}", random.below(90_000));
        if random.chance(40_000) {
            let _ = write!(path, "?page={}&sort=price&q=term%20{}", random.below(50), random.below(1000));
        }
        let status = match fault {
            Fault::None => [200, 200, 200, 200, 200, 304, 301, 404, 201, 204][random.below(10) as usize],
            Fault::Closed | Fault::Refused => 502,
            Fault::Silent => 504,
        };
        let pool = random.below(6);
        let has_referer = random.chance(60_000);
        Hit {
            start: r.start_ms,
            total: if fault == Fault::Silent { 5_000 } else { r.total_ms },
            status,
            fault,
            method: ["GET", "GET", "GET", "POST", "PUT", "HEAD"][random.below(6) as usize],
            host,
            path,
            client: format!("198.51.{}.{}", random.below(100), random.below(250)),
            port: 1024 + random.below(60_000),
            agent: AGENTS[random.below(6) as usize],
            referer: if has_referer { format!("https://{host}/{area}/list") } else { "-".to_owned() },
            bytes: 120 + random.below(60_000),
            pool: POOLS[pool as usize],
            server: format!("10.0.{}.{}:8080", pool + 1, 11 + random.below(20)),
            node: random.below(4),
            id: random.next(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.start + self.total
    }

    fn is_fine(&self) -> bool {
        self.fault == Fault::None
    }

    /// A fault's word, or that of none.
    fn by_fault<T>(&self, none: T, closed: T, refused: T, silent: T) -> T {
        match self.fault {
            Fault::None => none,
            Fault::Closed => closed,
            Fault::Refused => refused,
            Fault::Silent => silent,
        }
    }
}

/// `01/Nov/2026:00:00:00 +0000`
fn clf(ms: u64) -> String {
    let (h, m, s, _) = clock(ms);
    format!("01/Nov/2026:{h:02}:{m:02}:{s:02} +0000")
}

/// `2026-11-01T00:00:00.000Z`
fn iso(ms: u64) -> String {
    let (h, m, s, ms) = clock(ms);
    format!("2026-11-01T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// The combined format; `host`: before the path, as Varnish writes it.
fn combined(h: &Hit, host: &str, l: &mut String) {
    let scheme = if host.is_empty() { "" } else { "http://" };
    let _ = writeln!(
        l,
        r#"{} - - [{}] "{} {scheme}{host}{} HTTP/1.1" {} {} "{}" "{}""#,
        h.client,
        clf(h.end()),
        h.method,
        h.path,
        h.status,
        h.bytes,
        h.referer,
        h.agent
    );
}

fn ingress(h: &Hit, l: &mut String) {
    combined(h, "", l);
    l.pop();
    let time = seconds(h.total);
    let _ = writeln!(
        l,
        " {} {time} [prod-{}-80] [] {} {} {time} {} {:032x}",
        400 + h.bytes % 900,
        h.pool,
        h.server,
        h.bytes,
        h.status,
        h.id
    );
}

fn haproxy(h: &Hit, l: &mut String) {
    let (eh, em, es, _) = clock(h.end());
    let (sh, sm, ss, sms) = clock(h.start);
    let wait = h.total.saturating_sub(2);
    let (timers, flags) = h.by_fault(
        (format!("0/0/1/{wait}/{}", h.total), "----"),
        (format!("0/0/1/-1/{}", h.total), "SH--"),
        (format!("0/0/-1/-1/{}", h.total), "SC--"),
        (format!("0/0/1/-1/{}", h.total), "sH--"),
    );
    let _ = writeln!(
        l,
        "Nov  1 {eh:02}:{em:02}:{es:02} edge-{} haproxy[812]: {}:{} [01/Nov/2026:{sh:02}:{sm:02}:{ss:02}.{sms:03}] fe_main~ \
         be_{}/{} {timers} {} {} - - {flags} 312/290/24/6/0 0/0 {{{}|{}}} \"{} {} HTTP/1.1\"",
        h.node, h.client, h.port, h.pool, h.server, h.status, h.bytes, h.host, h.agent, h.method, h.path
    );
}

fn envoy(h: &Hit, details: &str, tail: &str, l: &mut String) {
    let flags = h.by_fault("-", "UC", "UF", "UT");
    let service = if h.is_fine() { (h.total - h.total / 8).to_string() } else { "-".to_owned() };
    let status = h.by_fault(h.status, 503, 503, 504);
    let _ = writeln!(
        l,
        "[{}] \"{} {} HTTP/1.1\" {status} {flags} {details}0 {} {} {service} \"{}\" \"{}\" \
         \"{:08x}-7f0e-4982-a3fc-{:012x}\" \"{}\" \"{}\"{tail}",
        iso(h.start),
        h.method,
        h.path,
        h.bytes,
        h.total,
        h.client,
        h.agent,
        h.id >> 32,
        h.id & 0xFFFF_FFFF_FFFF,
        h.host,
        h.server
    );
}

fn details(h: &Hit) -> &'static str {
    h.by_fault(
        "via_upstream",
        "upstream_reset_before_response_started{connection_termination}",
        "upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111}",
        "upstream_response_timeout",
    )
}

fn istio(h: &Hit, l: &mut String) {
    let cause = if h.fault == Fault::Refused { "delayed_connect_error:_111" } else { "-" };
    let tail = format!(
        " outbound|8080||{}.prod.svc.cluster.local 10.1.{}.7:41250 10.96.14.{}:8080 {}:{} - default",
        h.pool, h.node, h.node, h.client, h.port
    );
    envoy(h, &format!("{} - \"{cause}\" ", details(h)), &tail, l);
}

fn squid(h: &Hit, l: &mut String) {
    let (result, via) = match (h.fault, h.id % 5) {
        (Fault::None, 0) => ("TCP_HIT", "HIER_NONE/-".to_owned()),
        (Fault::Refused, _) => ("TCP_MISS", "HIER_NONE/-".to_owned()),
        _ => ("TCP_MISS", format!("HIER_DIRECT/{}", h.server.trim_end_matches(":8080"))),
    };
    let _ = writeln!(
        l,
        "{} {:6} {} {result}/{} {} {} http://{}{} - {via} text/html",
        seconds(h.end()),
        h.total,
        h.client,
        h.status,
        h.bytes,
        h.method,
        h.host,
        h.path
    );
}

fn traefik(h: &Hit, l: &mut String) {
    let _ = writeln!(
        l,
        r#"{} - - [{}] "{} {} HTTP/2.0" {} {} "{}" "{}" {} "{}@docker" "http://{}" {}ms"#,
        h.client,
        clf(h.start),
        h.method,
        h.path,
        h.status,
        h.bytes,
        h.referer,
        h.agent,
        h.id % 900_000,
        h.pool,
        h.server,
        h.total
    );
}

fn header_time(h: &Hit) -> String {
    if h.is_fine() { seconds(h.total) } else { "-".to_owned() }
}

fn ltsv(h: &Hit, l: &mut String) {
    let _ = writeln!(
        l,
        "time:{}\thost:{}\tforwardedfor:-\treq:{} {} HTTP/1.1\tstatus:{}\tsize:{}\treferer:{}\tua:{}\treqtime:{}\tvhost:{}\t\
         upstream_addr:{}\tupstream_status:{}\tupstream_connect_time:{}\tupstream_header_time:{}\tupstream_response_time:{}",
        clf(h.end()),
        h.client,
        h.method,
        h.path,
        h.status,
        h.bytes,
        h.referer,
        h.agent,
        seconds(h.total),
        h.host,
        h.server,
        h.status,
        if h.fault == Fault::Refused { "-" } else { "0.001" },
        header_time(h),
        seconds(h.total)
    );
}

fn logfmt(h: &Hit, l: &mut String) {
    let _ = writeln!(
        l,
        "time={} level=info msg=\"request completed\" remote_addr={} method={} host={} path={} proto=HTTP/1.1 status={} bytes={} \
         duration={}ms upstream={} request_id={:016x} user_agent=\"{}\"",
        iso(h.end()),
        h.client,
        h.method,
        h.host,
        // A sign of equality would need quotes.
        parts(h).0,
        h.status,
        h.bytes,
        h.total,
        h.server,
        h.id,
        h.agent
    );
}

fn heroku(h: &Hit, l: &mut String) {
    let (level, code) = h.by_fault(
        ("info", ""),
        ("error", "code=H13 desc=\"Connection closed without response\" "),
        ("error", "code=H21 desc=\"Backend connection refused\" "),
        ("error", "code=H12 desc=\"Request timeout\" "),
    );
    let status = if h.is_fine() { h.status } else { 503 };
    let _ = writeln!(
        l,
        "{} heroku[router]: at={level} {code}method={} path=\"{}\" host={} request_id={:08x}-7f0e-4982-a3fc-{:012x} fwd=\"{}\" \
         dyno=web.{} connect=1ms service={}ms status={status} bytes={} protocol=https",
        iso(h.end()).replace('Z', "641+00:00"),
        h.method,
        h.path,
        h.host,
        h.id >> 32,
        h.id & 0xFFFF_FFFF_FFFF,
        h.client,
        1 + h.id % 20,
        h.total,
        h.bytes
    );
}

fn threeproxy(h: &Hit, l: &mut String) {
    let code = h.by_fault("00000", "00092", "00013", "00093");
    let _ = writeln!(
        l,
        "{} PROXY.3128 {code} user{} {}:{} {} {} {} 0 {}_http://{}{}_HTTP/1.1",
        seconds(h.end()),
        h.id % 50,
        h.client,
        h.port,
        h.server,
        h.bytes,
        400 + h.bytes % 900,
        h.method,
        h.host,
        h.path
    );
}

fn tinyproxy(h: &Hit, l: &mut String) {
    let (hh, m, s, ms) = clock(h.end());
    let stamp = format!("Nov 01 {hh:02}:{m:02}:{s:02}.{ms:03} [{}]", 4000 + h.node);
    let _ = writeln!(l, "CONNECT   {stamp}: Connect (file descriptor {}): {}", h.id % 90, h.client);
    let _ = writeln!(
        l,
        "CONNECT   {stamp}: Request (file descriptor {}): {} http://{}{} HTTP/1.1",
        h.id % 90,
        h.method,
        h.host,
        h.path
    );
    let _ = match h.fault {
        Fault::None => writeln!(
            l,
            "CONNECT   {stamp}: Established connection to host \"{}\" using file descriptor {}.",
            h.host,
            h.id % 90
        ),
        _ => writeln!(l, "ERROR     {stamp}: opensock: Could not establish a connection to {}", h.host),
    };
}
