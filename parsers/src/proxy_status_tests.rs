use super::*;

const UPSTREAM: Origin = Origin::Upstream;
const PROXY: Origin = Origin::Proxy;

const LISTS: &[(&str, Option<Cause>)] = &[
    ("ExampleCDN; error=connection_timeout", Some(Cause::proxy(Reason::ConnectionTimeout))),
    ("a;error=dns_error;rcode=\"NXDOMAIN\"", Some(Cause::proxy(Reason::DnsError))),
    (
        "h2o; error=dns_error; rcode=NXDOMAIN; details=\"host, does; not=exist\"",
        Some(Cause::proxy(Reason::DnsError)),
    ),
    // The nearest to the origin is the first; those behind it saw its answer.
    (
        "inner.example; error=connection_refused, outer.example; received-status=502; error=http_protocol_error",
        Some(Cause::proxy(Reason::ConnectionRefused)),
    ),
    (
        "inner; next-hop=b, outer; error=http_response_timeout",
        Some(Cause::proxy(Reason::HttpResponseTimeout)),
    ),
    ("FooProxy, ExampleCDN; error=connection_timeout", Some(Cause::proxy(Reason::ConnectionTimeout))),
    // A string cannot be mistaken for anything.
    (
        "\"a, b; error=dns_error\"; error=tls_certificate_error",
        Some(Cause::proxy(Reason::TlsCertificateError)),
    ),
    (
        "a; details=\"x\\\"; error=dns_error, b\"; error=tls_alert_received",
        Some(Cause::proxy(Reason::TlsProtocolError)),
    ),
    ("a; details=\"ends in \\\\\"; error=connection_refused", Some(Cause::proxy(Reason::ConnectionRefused))),
    ("a; details=\"error=dns_error", None),
    // As nginx's escape=default and JSON have it.
    (
        "a; details=\\x22x, y; error=dns_error\\x22; error=connection_terminated",
        Some(Cause::proxy(Reason::ConnectionTerminated)),
    ),
    (
        "a; details=\\x22say \\x5C\\x22; error=dns_error\\x5C\\x22 \\x22; error=connection_terminated",
        Some(Cause::proxy(Reason::ConnectionTerminated)),
    ),
    (
        "a; details=\\\"x, y; error=dns_error\\\"; error=connection_refused",
        Some(Cause::proxy(Reason::ConnectionRefused)),
    ),
    (
        "a; details=\\\"say \\\\\\\"; error=dns_error\\\\\\\" \\\"; error=connection_refused",
        Some(Cause::proxy(Reason::ConnectionRefused)),
    ),
    ("a; error=\"connection_refused\"", Some(Cause::proxy(Reason::ConnectionRefused))),
    // Bright Data's own example, spaces and all.
    (
        "brd.example;\t received-status=400; error=destination_ip_unroutable; details=\"client-10060: Requested IP\"",
        Some(Cause::proxy(Reason::ConnectionFailed)),
    ),
    ("a; error=of_tomorrow", Some(Cause::proxy(Reason::Unknown))),
    ("a; received-status=504", Some(Cause::upstream())),
    ("a; received-status=200, b; received-status=502", Some(Cause::upstream())),
    ("a; received-status=404", None),
    ("a; next-protocol=h2; next-hop=10.0.0.1", None),
    ("a", None),
    ("", None),
    ("-", None),
    (", ; = ;error", None),
    ("a; xerror=dns_error", None),
];

#[test]
fn lists_of_proxies() {
    for (value, want) in LISTS {
        assert_eq!(Header::PROXY_STATUS.cause(value.as_bytes()), *want, "{value}");
    }
}

#[test]
fn every_error_type_of_the_registry() {
    let cases: &[(&str, Reason)] = &[
        ("dns_timeout", Reason::DnsTimeout),
        ("dns_error", Reason::DnsError),
        ("destination_not_found", Reason::ProxyConfigurationError),
        ("destination_unavailable", Reason::DestinationUnavailable),
        ("destination_ip_prohibited", Reason::ProxyConfigurationError),
        ("destination_ip_unroutable", Reason::ConnectionFailed),
        ("connection_refused", Reason::ConnectionRefused),
        ("connection_terminated", Reason::ConnectionTerminated),
        ("connection_timeout", Reason::ConnectionTimeout),
        ("connection_read_timeout", Reason::ConnectionReadTimeout),
        ("connection_write_timeout", Reason::ConnectionReadTimeout),
        ("connection_limit_reached", Reason::ConnectionLimitReached),
        ("tls_protocol_error", Reason::TlsProtocolError),
        ("tls_certificate_error", Reason::TlsCertificateError),
        ("tls_alert_received", Reason::TlsProtocolError),
        ("http_request_error", Reason::Unknown),
        ("http_request_denied", Reason::ProxyConfigurationError),
        ("http_response_incomplete", Reason::HttpResponseIncomplete),
        ("http_response_header_section_size", Reason::HttpResponseHeaderSectionSize),
        ("http_response_header_size", Reason::HttpResponseHeaderSectionSize),
        ("http_response_body_size", Reason::HttpProtocolError),
        ("http_response_trailer_section_size", Reason::HttpProtocolError),
        ("http_response_trailer_size", Reason::HttpProtocolError),
        ("http_response_transfer_coding", Reason::HttpProtocolError),
        ("http_response_content_coding", Reason::HttpProtocolError),
        ("http_response_timeout", Reason::HttpResponseTimeout),
        ("http_upgrade_failed", Reason::HttpProtocolError),
        ("http_protocol_error", Reason::HttpProtocolError),
        ("proxy_internal_response", Reason::Unknown),
        ("proxy_internal_error", Reason::Unknown),
        ("proxy_configuration_error", Reason::ProxyConfigurationError),
        ("proxy_loop_detected", Reason::ProxyConfigurationError),
    ];
    for (error, want) in cases {
        assert_eq!(cause(format!("p; error={error}").as_bytes()), Some(Cause::proxy(*want)), "{error}");
    }
}

#[test]
fn providers() {
    let cases = [
        ("x-brd-err-code", "target_40001", Reason::DnsError),
        ("X-BRD-Err-Code", "peer_30030", Reason::DestinationUnavailable),
        ("x-brd-err-code", "client_10100", Reason::ProxyConfigurationError),
        ("x-brd-err-code", "target_502", Reason::Unknown),
        ("x-brd-error", "Could not resolve host `a.example`", Reason::DnsError),
        ("x-luminati-error", "connect ECONNREFUSED 10.0.0.1:443", Reason::ConnectionRefused),
        ("X-Crawlera-Error", "nxdomain", Reason::DnsError),
        ("x-crawlera-error", "econnreset", Reason::ConnectionTerminated),
        ("x-crawlera-error", "noslaves", Reason::DestinationUnavailable),
        ("x-crawlera-error", "banned", Reason::Unknown),
        ("Zyte-Error-Type", "/download/temporary-error", Reason::Unknown),
        ("zyte-error-type", "/limits/over-user-limit", Reason::ConnectionLimitReached),
        ("zyte-error-type", "/auth/key-not-found", Reason::ProxyConfigurationError),
        ("X-Webshare-Reason", "target_connect_resolve_failed", Reason::DnsError),
        ("X-Webshare-Reason", "target_connect_unknown_error", Reason::ConnectionFailed),
        ("X-Webshare-Reason", "bandwidthlimit", Reason::ProxyConfigurationError),
        (
            "X-Error-Description",
            "Bad gateway: no exit found (session has ended).",
            Reason::DestinationUnavailable,
        ),
        ("X-Error-Description", "Invalid HTTP response received.", Reason::HttpProtocolError),
    ];
    for (header, value, want) in cases {
        assert_eq!(
            provider(header.as_bytes(), value.as_bytes()),
            Some(Cause::proxy(want)),
            "{header}: {value}"
        );
    }
    assert_eq!(provider(b"x-brd-err-code", b"-"), None);
    assert_eq!(provider(b"x-cache", b"MISS"), None);
    assert_eq!(provider(b"proxy-status", b"a; error=dns_error"), None, "that is no provider's");
}

#[test]
fn whose_header_it_is() {
    let told = |name: &str| Header::named(name.as_bytes()).and_then(|h| h.cause(b"a; error=dns_error"));
    let upstreams = Cause { origin: UPSTREAM, reason: Reason::DnsError };
    assert_eq!(told("proxy_status"), Some(Cause::proxy(Reason::DnsError)));
    assert_eq!(told("sent_http_proxy_status"), Some(Cause::proxy(Reason::DnsError)));
    assert_eq!(told("upstream_http_proxy_status"), Some(upstreams));
    assert_eq!(told("origin_Proxy-Status"), Some(upstreams));
    assert_eq!(told("proxy_status_code"), None);
    assert_eq!(told("status"), None);
}

#[test]
fn the_line_itself_is_never_contradicted() {
    let cause = |origin, reason| Cause { origin, reason };
    let cases = [
        (Cause::UNKNOWN, Cause::proxy(Reason::DnsError), Cause::proxy(Reason::DnsError)),
        (Cause::UNKNOWN, Cause::proxy(Reason::Unknown), Cause::proxy(Reason::Unknown)),
        (Cause::upstream(), Cause::proxy(Reason::DnsError), cause(UPSTREAM, Reason::DnsError)),
        (Cause::upstream(), Cause::proxy(Reason::Unknown), Cause::upstream()),
        (
            Cause::proxy(Reason::ConnectionFailed),
            Cause::proxy(Reason::ConnectionRefused),
            Cause::proxy(Reason::ConnectionRefused),
        ),
        (
            Cause::proxy(Reason::ConnectionFailed),
            Cause::proxy(Reason::HttpResponseTimeout),
            Cause::proxy(Reason::ConnectionFailed),
        ),
        (
            Cause::proxy(Reason::ConnectionTimeout),
            Cause::proxy(Reason::DnsError),
            Cause::proxy(Reason::ConnectionTimeout),
        ),
        // It never got an answer: the header is of another one.
        (Cause::proxy(Reason::Unknown), cause(UPSTREAM, Reason::DnsError), Cause::proxy(Reason::Unknown)),
        (cause(PROXY, Reason::Unknown), Cause::upstream(), cause(PROXY, Reason::Unknown)),
        (
            cause(Origin::Client, Reason::ClientAborted),
            Cause::proxy(Reason::DnsError),
            cause(Origin::Client, Reason::ClientAborted),
        ),
    ];
    for (own, told, want) in cases {
        assert_eq!(refined(own, told), want, "{own:?} {told:?}");
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(value: Vec<u8>) {
        for (name, _) in HEADERS {
            let _ = Header::named(name.as_bytes()).and_then(|header| header.cause(&value));
        }
    }

    #[test]
    fn quotes_hold_what_is_in_them(text in "[a-z ,;=]*") {
        let value = format!("a; details=\"{text}\"; error=dns_error");
        proptest::prop_assert_eq!(cause(value.as_bytes()), Some(Cause::proxy(Reason::DnsError)));
    }
}
