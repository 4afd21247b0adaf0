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
            "nginx log /var/log/nginx/api.log js = nginx:log_format js escape=json '{\"time\":\"$time_iso8601\",\"status\":\"$status\"}' (the same requests as in syslog:server=127.0.0.1:5140,tag=edge)",
            "nginx errors /var/log/nginx/error.log error_log = nginx-error",
            "  ! /etc/nginx/nginx.conf:2: error_log at level crit leaves out why upstreams failed",
            "pool api 5 [10.0.0.1:8080 10.0.0.2:80 unix:/run/a.sock [::1]:81]",
            "? /etc/nginx/nginx.conf:17: server quiet has access_log off: its failures are not seen",
        ],
    );
}
