//! AWS' balancers and delivery network, and IIS.

use super::super::{Fault, clock};
use super::{Hit, iso, seconds};
use std::fmt::Write as _;

fn alb_times(h: &Hit) -> String {
    match h.fault {
        Fault::None => format!("0.001 {} 0.000", seconds(h.total)),
        Fault::Closed => format!("0.001 {} -1", seconds(h.total)),
        Fault::Refused | Fault::Silent => "-1 -1 -1".to_owned(),
    }
}

pub(super) fn alb(h: &Hit, l: &mut String) {
    let target = if h.is_fine() { h.status.to_string() } else { "-".to_owned() };
    let arn = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup";
    let _ = writeln!(
        l,
        "h2 {} app/edge-{}/50dc6c495c0c9188 {}:{} {} {} {} {target} {} {} \"{} https://{}:443{} HTTP/2.0\" \"{}\" \
         ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 {arn}/{}/73e2d6bc24d8a067 \"Root=1-58337281-{:024x}\" \"{}\" \
         \"arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012\" 1 {} \"forward\" \"-\" \"-\" \
         \"{}\" \"{target}\" \"-\" \"-\"",
        iso(h.end()).replace('Z', "641Z"),
        h.node,
        h.client,
        h.port,
        h.server,
        alb_times(h),
        h.status,
        400 + h.bytes % 900,
        h.bytes,
        h.method,
        h.host,
        h.path,
        h.agent,
        h.pool,
        h.id,
        h.host,
        iso(h.start).replace('Z', "000Z"),
        h.server
    );
}

pub(super) fn elb(h: &Hit, l: &mut String) {
    let backend = if h.is_fine() { h.status } else { 0 };
    let _ = writeln!(
        l,
        "{} edge-{} {}:{} {} {} {} {backend} {} {} \"{} https://{}:443{} HTTP/1.1\" \"{}\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2",
        iso(h.end()).replace('Z', "641Z"),
        h.node,
        h.client,
        h.port,
        h.server,
        alb_times(h),
        h.status,
        400 + h.bytes % 900,
        h.bytes,
        h.method,
        h.host,
        h.path,
        h.agent
    );
}

pub(super) const CLOUDFRONT: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status \
    cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes \
    time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status \
    fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start \
    sc-range-end\n";

/// Path and query; `-` for none.
pub(super) fn parts(h: &Hit) -> (&str, &str) {
    h.path.split_once('?').unwrap_or((&h.path, "-"))
}

pub(super) fn cloudfront(h: &Hit, l: &mut String) {
    let (hh, m, s, _) = clock(h.end());
    let (stem, query) = parts(h);
    let result = if h.is_fine() { ["Hit", "Miss"][(h.id % 2) as usize] } else { "Error" };
    let detail = h.by_fault(result, "OriginReadError", "OriginConnectError", "OriginCommError");
    let _ = writeln!(
        l,
        "2026-11-01\t{hh:02}:{m:02}:{s:02}\tFRA{}\t{}\t{}\t{}\td111111abcdef8.cloudfront.net\t{stem}\t{}\t{}\t{}\t{query}\t-\t{result}\t\
         SOX4xwn4XV6Q4rgb7XiVGOHms_BGl{:016x}==\t{}\thttps\t{}\t{}\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\t{result}\tHTTP/2.0\t-\t-\t{}\t\
         {}\t{detail}\ttext/html\t{}\t-\t-",
        h.node,
        h.bytes,
        h.client,
        h.method,
        h.status,
        h.referer,
        h.agent.replace(' ', "%20"),
        h.id,
        h.host,
        400 + h.bytes % 900,
        seconds(h.total),
        h.port,
        seconds(h.total / 2),
        h.bytes
    );
}

pub(super) const IIS: &str = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-11-01 00:00:00\n\
    #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) cs-host sc-status \
    sc-substatus sc-win32-status sc-bytes cs-bytes time-taken\n";

pub(super) fn iis(h: &Hit, l: &mut String) {
    let (hh, m, s, _) = clock(h.end());
    let (stem, query) = parts(h);
    let (sub, win32) = h.by_fault((0, 0), (3, 12030), (3, 12029), (3, 12002));
    let _ = writeln!(
        l,
        "2026-11-01 {hh:02}:{m:02}:{s:02} 10.9.0.{} {} {stem} {query} 443 - {} {} {} {} {} {sub} {win32} {} {} {}",
        h.node,
        h.method,
        h.client,
        h.agent.replace(' ', "+"),
        h.referer,
        h.host,
        h.status,
        h.bytes,
        400 + h.bytes % 900,
        h.total
    );
}
