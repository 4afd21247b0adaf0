use super::expect;

const CONF: &str = "/etc/haproxy/haproxy.cfg";
const RSYSLOG: (&str, &str) =
    ("/etc/rsyslog.conf", "if $programname startswith 'haproxy' then /var/log/haproxy.log\n");

#[test]
fn defaults_sections_targets_and_formats() {
    let main = r#"
global
    log /dev/log local0
    log /dev/log local1 notice
defaults web
    log global
    mode http
    option httplog
    option dontlognull
defaults raw from web
    option tcplog
    no option httplog
frontend fe_web from web
    bind :80
    default_backend be
frontend fe_raw from raw
    option dontlog-normal
frontend fe_own from web
    no log
    log 127.0.0.1:5140 len 8192 sample 1:10 local2
    log-format "%ci:%cp [%tr] %ft %b/%s %ST\ %{+Q}r"
frontend fe_none from web
    no log
backend be
    server s1 10.0.0.1:80 check
    server s2 10.0.0.2:80
    server-template w 1-5 app.internal:80
"#;
    expect(
        &[(CONF, main), RSYSLOG],
        &[
            "haproxy log /var/log/haproxy.log option httplog, option tcplog = haproxy",
            "  ! /etc/haproxy/haproxy.cfg:17: frontend fe_raw has option dontlog-normal: without the requests that went well, every ratio is wrong",
            "haproxy log udp://127.0.0.1:5140 log-format = haproxy:%ci:%cp [%tr] %ft %b/%s %ST %{+Q}r",
            "  ! /etc/haproxy/haproxy.cfg:20: frontend fe_own logs a sample of its requests (1:10): counts are that much too small",
            "pool be 7 []",
            "? /etc/haproxy/haproxy.cfg:22: frontend fe_none has no log: its failures are not seen",
        ],
    );
}

#[test]
fn levels_stdout_and_files_that_follow() {
    let main = "global\n log stdout format raw local0\n log /dev/log local1 notice\ndefaults\n log global\n option httplog clf\n";
    let part = "frontend a\n http-request set-log-level silent if { path /health }\nlisten b\n no option httplog\n \
                option log-separate-errors\n server x 10.0.0.1:1\nfrontend c\n no log\n log /dev/log local1 notice\n";
    expect(
        &[(CONF, main), ("/etc/haproxy/conf.d/a.cfg", part), RSYSLOG],
        &[
            "haproxy log the journal of haproxy.service option httplog clf, default = haproxy",
            "  ! /etc/haproxy/conf.d/a.cfg:2: frontend a logs some requests not at all (set-log-level silent)",
            "  ! /etc/haproxy/conf.d/a.cfg:3: listen b logs who connects, and neither status nor server",
            "pool b 1 []",
            "? /etc/haproxy/conf.d/a.cfg:7: frontend c logs only what is graver than a request: its failures are not seen",
        ],
    );
}
