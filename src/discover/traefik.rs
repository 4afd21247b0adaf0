//! Traefik: `accessLog` of the static configuration, YAML or TOML.

use super::host::Host;
use super::lines::{Opened, absolute};
use super::places;
use super::tree::{self, Node, Value};
use super::{Found, Log, Place, Product, Remark, Shape, Spot};

/// Traefik
pub const PRODUCT: Product = Product {
    name: "traefik",
    title: "Traefik",
    summary: "the static configuration, YAML or TOML: accessLog with its file, format, filters and buffer",
    configurations: &[
        "/etc/traefik/traefik.yml",
        "/etc/traefik/traefik.yaml",
        "/etc/traefik/traefik.toml",
        "/traefik.yml",
        "/traefik.toml",
    ],
    read,
    advice: Some(
        "to see which server and why, log all fields: accessLog: { filePath: /var/log/traefik/access.log, format: json }",
    ),
};

fn read(host: &dyn Host, config: &str, found: &mut Found) {
    let start = Spot { file: config.to_owned(), line: 0 };
    let Some(text) = Opened::default().text(host, config, &start, found) else { return };
    let parsed = if config.ends_with(".toml") { tree::toml(&text) } else { tree::yaml(&text) };
    let root = match parsed {
        Ok(root) => root,
        Err((line, why)) => return found.remark(&Spot { line, ..start }, why),
    };
    let Some(access) = root.get("accessLog") else {
        let help = "accessLog: { filePath: /var/log/traefik/access.log, format: json }".to_owned();
        let text = format!("there is no accessLog: requests are not logged; {help}");
        return found.remark(&start, text);
    };
    if access.text() == Some("false") {
        return found
            .remark(&Spot { line: access.line, ..start }, "accessLog is off: requests are not logged");
    }
    let at = Spot { line: access.line, ..start };
    let place = match access.text_of("filePath") {
        Some(path) if !path.is_empty() && path != "/dev/stdout" => {
            Place::File(places::literal(&absolute(path, "/")))
        }
        _ => places::output("traefik.service"),
    };
    let (called, spec) = match access.text_of("format") {
        Some("json") => ("json", "json"),
        Some("genericCLF") => ("genericCLF", "traefik:generic"),
        _ => ("common", "traefik"),
    };
    let warnings = warnings(access, &at);
    let shapes = vec![Shape { called: called.to_owned(), spec: spec.to_owned() }];
    found.log(Log { place, shapes, is_errors: false, held: 0, at, left_out: None, warnings });
}

/// What keeps the log from telling everything.
fn warnings(access: &Node, at: &Spot) -> Vec<Remark> {
    let mut warnings = Vec::new();
    let mut warn = |node: &Node, text: String, help: &str| {
        let at = Spot { line: node.line, ..at.clone() };
        warnings.push(Remark { at, text, help: help.to_owned() });
    };
    let filters = access.get("filters").filter(|node| node.value != Value::Nothing);
    for name in ["statusCodes", "retryAttempts", "minDuration"] {
        if let Some(filter) = filters.and_then(|filters| filters.get(name)) {
            let text = format!(
                "accessLog.filters.{name}: requests that it leaves out are not counted, so ratios are wrong"
            );
            warn(filter, text, "log every request");
        }
    }
    let size = access.get("bufferingSize");
    if let Some((node, size)) =
        size.and_then(|n| Some((n, n.text()?.parse::<u64>().ok()?))).filter(|s| s.1 > 0)
    {
        let text =
            format!("accessLog.bufferingSize is {size}: up to so many lines are lost if Traefik is killed");
        warn(node, text, "leave bufferingSize out");
    }
    let fields = access.get("fields");
    if let Some(mode) =
        fields.and_then(|fields| fields.get("defaultMode")).filter(|mode| mode.text() == Some("drop"))
    {
        let text = "accessLog.fields.defaultMode is drop: what is not named is not logged".to_owned();
        warn(
            mode,
            text,
            "keep StartUTC, Duration, DownstreamStatus, OriginStatus, ServiceURL, RouterName, RetryAttempts",
        );
    }
    warnings
}
