use super::expect;

const CONF: &str = "/etc/nginx/nginx.conf";

#[test]
fn formats_inheritance_and_conditions() {
    let main = r#"
error_log /var/log/nginx/error.log crit;
http {
    log_format main '$remote_addr [$time_local] "$request" '
                    '$status "$upstream_addr"';
    log_format js escape=json '{"time":"$time_iso8601","status":"$status"}';
    access_log /var/log/nginx/access.log main buffer=32k;
    include conf.d/*.conf;
    server { listen 80; }
    server {
        server_name api.example.net;
        access_log /var/log/nginx/api.log js buffer=32k flush=1s;
        access_log syslog:server=127.0.0.1:5140,tag=edge main;
        location /health { access_log off; }
        location /x { if ($bad) { access_log logs/$host-x.log main if=$loggable; } }
    }
    server { server_name quiet; access_log off; }
}
"#;
    let pools = "upstream api { server 10.0.0.1:8080; server 10.0.0.2 weight=2; server unix:/run/a.sock; server app.internal:80; server [::1]:81 down; }\n";
    expect(
        &[(CONF, main), ("/etc/nginx/conf.d/up.conf", pools)],
        &[
            "nginx log /var/log/nginx/access.log main = nginx:log_format main '$remote_addr [$time_local] \"$request\" $status \"$upstream_addr\"'",
            "  ! /etc/nginx/nginx.conf:7: access_log has buffer=32k without flush=: lines come when 32k are full, minutes late",
            "nginx log udp://127.0.0.1:5140 main = nginx:log_format main '$remote_addr [$time_local] \"$request\" $status \"$upstream_addr\"'",
            "nginx log /etc/nginx/logs/*-x.log main = nginx:log_format main '$remote_addr [$time_local] \"$request\" $status \"$upstream_addr\"'",
            "  ! /etc/nginx/nginx.conf:15: access_log has if=$loggable: requests that it leaves out are not counted, so ratios are wrong",
            "nginx log /var/log/nginx/api.log js = nginx:log_format js escape=json '{\"time\":\"$time_iso8601\",\"status\":\"$status\"}' (the same requests as in syslog:server=127.0.0.1:5140,tag=edge) +1000ms",
            "nginx errors /var/log/nginx/error.log error_log = nginx-error",
            "  ! /etc/nginx/nginx.conf:2: error_log at level crit leaves out why upstreams failed",
            "pool api 5 [10.0.0.1:8080 10.0.0.2:80 unix:/run/a.sock [::1]:81]",
            "? /etc/nginx/nginx.conf:17: server quiet has access_log off: its failures are not seen",
        ],
    );
}

#[test]
fn streams_lua_and_what_is_broken() {
    let main = r#"
stream {
    log_format tcp '$remote_addr [$time_local] $protocol $status "$upstream_addr"';
    upstream db { server 10.0.0.1:5432; server 10.0.0.2; }
    server { listen 5432; access_log /var/log/nginx/stream.log tcp; proxy_pass db; }
}
http {
    log_format q "a\"$status 'b' \\x" ';$time_iso8601';
    access_log "/var/log/nginx/a[1].log" q;
    access_log /dev/null;
    server {
        content_by_lua_block { if x then return { "}" end }
        access_log /dev/stdout missing;
        set $x ${host}y;
    }
    server { listen 80; }
    include loop.conf;
    include gone.conf;
    include none/*.conf;
"#;
    expect(
        &[(CONF, main), ("/etc/nginx/loop.conf", "include loop.conf;\n}\nserver_tokens off;\n")],
        &[
            r#"nginx log /var/log/nginx/stream.log tcp = nginx-stream:log_format tcp '$remote_addr [$time_local] $protocol $status "$upstream_addr"'"#,
            "nginx log the journal of nginx.service",
            "nginx log /var/log/nginx/a[[]1].log q = nginx:log_format q 'a\"$status \\'b\\' \\\\x;$time_iso8601'",
            "nginx errors /var/log/nginx/error.log error_log = nginx-error",
            "pool db 2 [10.0.0.1:5432]",
            "? /etc/nginx/loop.conf:1: /etc/nginx/loop.conf includes itself",
            "? /etc/nginx/loop.conf:2: `}` closes no block",
            "? /etc/nginx/nginx.conf:18: /etc/nginx/gone.conf is not there",
            "? /etc/nginx/nginx.conf:20: the file ends within a block",
            "? /etc/nginx/nginx.conf:13: log_format missing is not there",
        ],
    );
    let open = "http { access_log /var/log/nginx/a.log; server { return 200 'open; } }\n";
    expect(
        &[(CONF, open)],
        &[
            "nginx log /var/log/nginx/a.log combined = nginx:combined",
            "nginx errors /var/log/nginx/error.log error_log = nginx-error",
            "? /etc/nginx/nginx.conf:1: a quote is never closed",
        ],
    );
}

#[test]
fn what_is_off_and_what_is_held_back() {
    let main = "http {\n access_log off;\n server { listen 80; }\n server {\n  access_log /var/log/nginx/a.log combined buffer=8k flush=1m;\n  \
                access_log /var/log/nginx/b.log combined gzip=5 flush=500ms if=$a;\n }\n \
                server {\n  access_log /var/log/nginx/b.log combined if=$b;\n  access_log /var/log/nginx/c.log combined if=$c;\n }\n}\n";
    let leaves_out = "requests that it leaves out are not counted, so ratios are wrong";
    expect(
        &[(CONF, main)],
        &[
            "nginx log /var/log/nginx/a.log combined = nginx:combined +60000ms",
            "nginx log /var/log/nginx/b.log combined = nginx:combined +500ms",
            &format!("  ! /etc/nginx/nginx.conf:9: access_log has if=$b: {leaves_out}"),
            &format!("  ! /etc/nginx/nginx.conf:6: access_log has if=$a: {leaves_out}"),
            "nginx log /var/log/nginx/c.log combined = nginx:combined",
            &format!("  ! /etc/nginx/nginx.conf:10: access_log has if=$c: {leaves_out}"),
            "nginx errors /var/log/nginx/error.log error_log = nginx-error",
            "? /etc/nginx/nginx.conf:2: http has access_log off: servers without an access_log of their own are not seen",
        ],
    );
}
