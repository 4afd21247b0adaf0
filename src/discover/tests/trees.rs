//! Envoy, Caddy, Traefik.

use super::expect;

const ENVOY: &str = r#"
admin:
  access_log: [{name: envoy.access_loggers.file, typed_config: {path: /tmp/admin.log}}]
static_resources:
  listeners:
  - filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: /var/log/envoy/access.log
              log_format:
                text_format_source:
                  inline_string: "[%START_TIME%] %RESPONSE_CODE% %RESPONSE_FLAGS% %DURATION% %UPSTREAM_HOST%\n"
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
  - filter_chains:
    - filters:
      - typed_config:
          access_log:
          - name: envoy.access_loggers.file
            filter: {status_code_filter: {}}
            typed_config:
              path: /var/log/envoy/errors.log
              log_format:
                json_format: {start_time: "%START_TIME%", response_code: "%RESPONSE_CODE%", upstream_host: "%UPSTREAM_HOST%", response_flags: "%RESPONSE_FLAGS%"}
  - typed_config:
      access_log:
      - typed_config: {path: /dev/stdout, json_format: {when: "%START_TIME%", http: {code: "%RESPONSE_CODE%"}, to: "%UPSTREAM_HOST%", ms: "%DURATION%"}}
  clusters:
  - name: api
    load_assignment:
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 8080}}}
        - endpoint: {address: {socket_address: {address: app.internal, port_value: 8080}}}
"#;

#[test]
fn envoys_loggers_and_clusters() {
    let text = "envoy log /var/log/envoy/access.log format = envoy:[%START_TIME%] %RESPONSE_CODE% %RESPONSE_FLAGS% %DURATION% %UPSTREAM_HOST% +10000ms";
    expect(
        &[("/etc/envoy/envoy.yaml", ENVOY)],
        &[
            text,
            "envoy log the journal of envoy.service json_format = json:start_time=when,status=http.code,upstream=to,request_time=ms:ms +10000ms",
            "envoy log /var/log/envoy/errors.log json_format = json +10000ms",
            "  ! /etc/envoy/envoy.yaml:27: access_log has a filter (status_code_filter): requests that it leaves out are not counted, so ratios are wrong",
            "pool api 2 [10.0.0.1:8080]",
        ],
    );
    let json = r#"{"staticResources": {"listeners": [{"accessLog": [{"typedConfig": {"path": "/var/log/envoy.log"}}]}]}, "dynamic_resources": {}}"#;
    expect(
        &[("/etc/envoy/envoy.json", json)],
        &[
            "envoy log /var/log/envoy.log default = envoy +10000ms",
            "? /etc/envoy/envoy.json: dynamic_resources: what the control plane configures is not seen here",
        ],
    );
    expect(
        &[("/etc/envoy/envoy.yaml", "a: [\n")],
        &["? /etc/envoy/envoy.yaml:2: while parsing a node, did not find expected node content"],
    );
}

#[test]
fn caddys_sites() {
    let caddyfile = r#"# comment
{
	log {
		output file /var/log/caddy/default.log
	}
}
(logging) {
	log {
		output file /var/log/caddy/{args[0]}.log {
			roll_size 1gb
		}
		format json { time_format iso8601 }
	}
}
example.com, www.example.com {
	import logging example
	reverse_proxy 10.0.0.1:8080
	log_skip /health
}
a.example.com {
	log
}
b.example.com {
	log named {
		output file "/var/log/caddy/b c.log"
		format console
		level ERROR
	}
}
import sites/*
"#;
    expect(
        &[("/etc/caddy/Caddyfile", caddyfile), ("/etc/caddy/sites/c", "c.example.com {\n\trespond 200\n}\n")],
        &[
            "caddy log /var/log/caddy/example.log json = json",
            "caddy log /var/log/caddy/default.log json = json",
            "caddy log /var/log/caddy/b c.log",
            "  ! /etc/caddy/Caddyfile:27: log has a level: without the requests that went well, every ratio is wrong",
            "? /etc/caddy/Caddyfile:18: site example.com,: log_skip /health leaves requests out",
            "? /etc/caddy/sites/c:1: site c.example.com is not logged: its failures are not seen; add log { output file /var/log/caddy/access.log }",
        ],
    );
    expect(
        &[("/etc/caddy/Caddyfile", "example.com\nlog {\n\toutput stdout\n}\nreverse_proxy localhost:1\n")],
        &["caddy log the journal of caddy.service json = json"],
    );
    let json = r#"{"logging": {"logs": {"default": {"exclude": ["http.log.access.log0"]}, "log0": {"writer": {"output": "file", "filename": "/var/log/caddy/a.log"},
 "include": ["http.log.access.log0"]}}}, "apps": {"http": {"servers": {"srv0": {"logs": {}}, "srv1": {}}}}}"#;
    expect(
        &[("/etc/caddy/caddy.json", json)],
        &[
            "caddy log /var/log/caddy/a.log json = json",
            "? /etc/caddy/caddy.json: 1 of 2 servers have no logs: their failures are not seen",
        ],
    );
}

#[test]
fn traefiks_access_log() {
    let yaml = "accessLog:\n  filePath: /var/log/traefik/access.log\n  format: json\n  bufferingSize: 100\n  filters:\n    statusCodes: [\"500-599\"]\n  fields:\n    defaultMode: drop\n";
    let toml = "[accessLog]\nfilepath = \"/var/log/traefik/access.log\"\nformat = \"json\"\nbufferingSize = 100\n[accessLog.fields]\ndefaultmode = \"keep\"\n";
    let log = "traefik log /var/log/traefik/access.log json = json";
    let buffer = "accessLog.bufferingSize is 100: up to so many lines are lost if Traefik is killed";
    expect(
        &[("/etc/traefik/traefik.yml", yaml)],
        &[
            log,
            "  ! /etc/traefik/traefik.yml:6: accessLog.filters.statusCodes: requests that it leaves out are not counted, so ratios are wrong",
            &format!("  ! /etc/traefik/traefik.yml:4: {buffer}"),
            "  ! /etc/traefik/traefik.yml:8: accessLog.fields.defaultMode is drop: what is not named is not logged",
        ],
    );
    expect(
        &[("/etc/traefik/traefik.toml", toml)],
        &[log, &format!("  ! /etc/traefik/traefik.toml:4: {buffer}")],
    );
    let journal = "traefik log the journal of traefik.service common = traefik";
    expect(&[("/etc/traefik/traefik.yml", "accessLog: {}\n")], &[journal]);
    expect(&[("/etc/traefik/traefik.yml", "accessLog:\n")], &[journal]);
    let none = "there is no accessLog: requests are not logged; accessLog: { filePath: /var/log/traefik/access.log, format: json }";
    expect(&[("/etc/traefik/traefik.yml", "log: {}\n")], &[&format!("? /etc/traefik/traefik.yml: {none}")]);
}
