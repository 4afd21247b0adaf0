//! Envoy: the access loggers of a bootstrap, their files and formats; clusters with addresses.

use super::host::Host;
use super::lines::Opened;
use super::places::{self, Sender};
use super::tree::{self, Node, Value};
use super::{Found, Log, Place, Pool, Product, Remark, Shape, Spot, tells_upstream};
use gatewatch_parsers::formats::{self, Parsed};
use gatewatch_parsers::{Context, Zone};

/// Envoy
pub const PRODUCT: Product = Product {
    name: "envoy",
    title: "Envoy",
    summary: "the bootstrap, YAML or JSON: access loggers of listeners with their format strings, static clusters",
    configurations: &[
        "/etc/envoy/envoy.yaml",
        "/etc/envoy/envoy.json",
        "/etc/envoy/config.yaml",
        "/etc/envoy.yaml",
    ],
    read,
    advice: Some(ADVICE),
};

const ADVICE: &str = "to see which upstream and why, leave the format out (Envoy's default has both), or put these into it:\n\
                      %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %DURATION% %UPSTREAM_HOST% %UPSTREAM_CLUSTER%";

const UNIT: &str = "envoy.service";
/// Envoy writes its log files so often, unless `--file-flush-interval-msec` says otherwise.
const FLUSH: i64 = 10_000;

fn read(host: &dyn Host, config: &str, found: &mut Found) {
    let at = Spot { file: config.to_owned(), line: 0 };
    let Some(text) = Opened::default().text(host, config, &at, found) else { return };
    let root = match tree::yaml(&text) {
        Ok(root) => root,
        Err((line, why)) => return found.remark(&Spot { line, ..at }, why),
    };
    let mut loggers: Vec<(&Node, usize)> = Vec::new();
    root.walk(&mut |key, node| {
        if key.eq_ignore_ascii_case("access_log") || key == "accessLog" {
            loggers.push((node, node.line));
        }
        // Who asked the admin interface is no traffic.
        key != "admin"
    });
    for (list, line) in &loggers {
        listener(host, list, &Spot { line: *line, ..at.clone() }, found);
    }
    if loggers.is_empty() {
        found.remark(&at, "no listener has an access_log: requests are not logged");
    }
    for name in ["clusters", "cluster"] {
        let clusters = root.path(&["static_resources", name]).map_or(&[][..], Node::items);
        found.pools.extend(clusters.iter().filter_map(pool));
    }
    if root.get("dynamic_resources").is_some() {
        found.remark(&at, "dynamic_resources: what the control plane configures is not seen here");
    }
}

/// One `access_log` list: each of its loggers has every request.
fn listener(host: &dyn Host, list: &Node, at: &Spot, found: &mut Found) {
    let logs: Vec<Log> = list.items().iter().filter_map(|logger| log(host, logger, at)).collect();
    let rank = |log: &&Log| {
        let reach = u8::from(!matches!(log.place, Place::File(_)));
        let tells = log.shapes.first().and_then(|shape| tells_upstream(&shape.spec));
        (reach, tells != Some(true))
    };
    let best = logs.iter().filter(|log| log.warnings.is_empty()).min_by_key(rank).cloned();
    for mut log in logs {
        let other = best.as_ref().filter(|best| best.place != log.place);
        log.left_out = other.map(|best| format!("the same requests as in {}", best.place));
        found.log(log);
    }
}

fn log(host: &dyn Host, logger: &Node, at: &Spot) -> Option<Log> {
    let config = logger.get("typed_config").or_else(|| logger.get("config"))?;
    let kind = config.text_of("@type").or(logger.text_of("name")).unwrap_or_default().to_ascii_lowercase();
    let place = match config.text_of("path") {
        Some("/dev/stdout" | "/dev/stderr" | "/proc/self/fd/1" | "/proc/self/fd/2") => places::output(UNIT),
        Some("/dev/null") => return None,
        Some(path) => Place::File(places::literal(path)),
        None if kind.contains("stdout") || kind.contains("stderr") => places::output(UNIT),
        None if kind.contains("syslog") => {
            places::system(host, Sender { program: "envoy", unit: UNIT, facility: "local0" })
        }
        // gRPC, OpenTelemetry: it goes to a program.
        None => Place::Elsewhere(format!("the service of {}", logger.text_of("name").unwrap_or("a logger"))),
    };
    let at = Spot { line: logger.line, ..at.clone() };
    let mut warnings = Vec::new();
    if let Some(filter) = logger.get("filter") {
        let name = filter.members().first().map_or("filter", |member| member.0.as_str());
        let text = format!(
            "access_log has a filter ({name}): requests that it leaves out are not counted, so ratios are wrong"
        );
        let help = "log every request to one file".to_owned();
        let at = Spot { line: filter.line, ..at.clone() };
        warnings.push(Remark { at, text, help });
    }
    Some(Log {
        place,
        shapes: vec![shape(config)],
        is_errors: false,
        held: FLUSH,
        at,
        left_out: None,
        warnings,
    })
}

/// The format in whichever of its many places; Envoy's own where none is.
fn shape(config: &Node) -> Shape {
    let format = config.get("log_format");
    let text = format
        .and_then(|f| f.path(&["text_format_source", "inline_string"]).or_else(|| f.get("text_format")))
        .or_else(|| config.get("format"))
        .and_then(Node::text);
    if let Some(text) = text {
        // The line end belongs to the line, not to the format.
        return Shape {
            called: "format".to_owned(),
            spec: format!("envoy:{}", text.trim_end_matches(['\n', '\r'])),
        };
    }
    let object = format.and_then(|f| f.get("json_format"));
    let object = object.or_else(|| config.get("json_format")).or_else(|| config.get("typed_json_format"));
    match object {
        Some(object) => Shape { called: "json_format".to_owned(), spec: json(object) },
        None => Shape { called: "default".to_owned(), spec: "envoy".to_owned() },
    }
}

/// What an operator's value may look like, and what `json:` calls it.
const OPERATORS: [(&str, &str, &str); 6] = [
    ("%START_TIME", "\"2026-01-01T00:00:00.000Z\"", "start_time="),
    ("%RESPONSE_CODE%", "503", "status="),
    ("%DURATION%", "5", "request_time=:ms"),
    ("%UPSTREAM_HOST%", "\"10.0.0.1:80\"", "upstream="),
    ("%RESPONSE_FLAGS", "\"UF\"", ""),
    ("%RESPONSE_CODE_DETAILS%", "\"upstream_reset\"", ""),
];

/// `json` knows Envoy's usual names; for others, a map of what holds what.
fn json(object: &Node) -> String {
    let mut line = String::from("{");
    let mut map: Vec<String> = Vec::new();
    members(object, "", &mut line, &mut map);
    line.push('}');
    let is_known = formats::compile("json").is_ok_and(|format| {
        let mut context = Context::new(Zone::Fixed(0), 0);
        let names_upstream = map.iter().any(|pair| pair.starts_with("upstream="));
        match format.parse(line.as_bytes(), &mut context) {
            Ok(Parsed::Record(record)) => {
                record.status.code() == Some(503) && record.attempts.iter().next().is_some() == names_upstream
            }
            _ => false,
        }
    });
    if is_known { "json".to_owned() } else { format!("json:{}", map.join(",")) }
}

/// A line that such an object may give.
fn members(object: &Node, above: &str, line: &mut String, map: &mut Vec<String>) {
    for (i, (key, node)) in object.members().iter().enumerate() {
        if i > 0 {
            line.push(',');
        }
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        line.push_str(&format!("{}:", serde_json::Value::from(key.as_str())));
        match &node.value {
            Value::Map(_) => {
                line.push('{');
                members(node, &path, line, map);
                line.push('}');
            }
            Value::Scalar(text) => match OPERATORS.iter().find(|o| text.starts_with(o.0)) {
                Some((_, sample, meaning)) => {
                    line.push_str(sample);
                    if let Some((name, unit)) = meaning.split_once('=') {
                        map.push(format!("{name}={path}{unit}"));
                    }
                }
                None => line.push_str("\"x\""),
            },
            _ => line.push_str("null"),
        }
    }
}

/// A cluster with its addresses.
fn pool(cluster: &Node) -> Option<Pool> {
    let mut pool = Pool { name: cluster.text_of("name")?.to_owned(), ..Pool::default() };
    cluster.walk(&mut |key, node| {
        if matches!(key, "socket_address" | "socketAddress") {
            pool.servers += 1;
            let (address, port) = (node.text_of("address"), node.text_of("port_value"));
            if let (Some(Ok(address)), Some(port)) = (address.map(str::parse::<std::net::IpAddr>), port) {
                pool.addresses.push(match address {
                    std::net::IpAddr::V4(v4) => format!("{v4}:{port}"),
                    std::net::IpAddr::V6(v6) => format!("[{v6}]:{port}"),
                });
            }
        }
        // Where it comes from, and how it is asked for its health, is no server.
        !matches!(
            key,
            "upstream_bind_config" | "health_checks" | "dns_resolvers" | "typed_dns_resolver_config"
        )
    });
    (pool.servers > 0).then_some(pool)
}
