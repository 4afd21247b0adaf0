//! `[agent]` and `[regions]`.

use super::problem::{Log, Spot};
use super::reader::{Reader, Section, in_order, shown};
use super::values::{self, print_duration};
use super::{Agent, Outside};
use gatewatch_parsers::Millis;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Minutes are made of steps, and both are aligned to the epoch.
const MINUTE: Millis = 60_000;
const SHORTEST_STEP: Millis = 100;
const LONGEST_LATENESS: Millis = 60 * MINUTE;
/// Where `/metrics` is unless told otherwise: a port that no exporter is known for and that the system gives to no
/// client. (All of 9100 to 9999, Prometheus' own list of ports, is taken.)
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 25_024);

/// What holds without `[agent]`.
pub(super) fn defaults(outside: &Outside<'_>) -> Agent {
    Agent {
        node: outside.node.clone(),
        region: None,
        state_dir: outside.state_dir.clone(),
        step: 5_000,
        lateness: 2_000,
        timezone: None,
        listen: Some(LISTEN),
        presets: true,
    }
}

pub(super) fn agent(section: Option<&Section<'_>>, outside: &Outside<'_>, log: &mut Log<'_>) -> Agent {
    let mut agent = defaults(outside);
    let Some(section) = section else { return agent };
    let mut reader = Reader::new(section, None, log);
    agent.node = reader.value("node", values::text).unwrap_or(agent.node);
    agent.region = reader.value("region", values::text);
    agent.state_dir = reader.value("state_dir", values::text).map_or(agent.state_dir, PathBuf::from);
    if let Some(step) = reader.read("step", values::duration) {
        if step.value >= SHORTEST_STEP && step.value <= MINUTE && MINUTE % step.value == 0 {
            agent.step = step.value;
        } else {
            let label = "like 1s, 2s, 5s, 10s, 15s, 20s, 30s or 1m";
            reader.log.error(step.written, "`step` must divide a minute".to_owned(), label);
        }
    }
    if let Some(lateness) = reader.read("lateness", values::duration) {
        if lateness.value <= LONGEST_LATENESS {
            agent.lateness = lateness.value;
        } else {
            let label = format!("every alert would come {} later", print_duration(lateness.value));
            reader.log.error(lateness.written, "`lateness` must be at most an hour".to_owned(), &label);
        }
    }
    agent.timezone = reader.value("timezone", values::zone);
    agent.presets = reader.value("presets", values::boolean).unwrap_or(agent.presets);
    if let Some(listen) = reader.read("listen", values::listen) {
        if listen.value.is_some_and(|at| !at.ip().is_loopback()) {
            let label = "whoever reaches it sees upstreams, sites and their errors: no password, no TLS";
            reader.log.warn(listen.written, "`listen` is not a loopback address".to_owned(), label);
        }
        agent.listen = listen.value;
    }
    reader.finish();
    agent
}

/// node → region, as they stand: the first match wins.
pub(super) fn regions(section: Option<&Section<'_>>, log: &mut Log<'_>) -> Vec<(String, String)> {
    let Some(section) = section else { return Vec::new() };
    let mut regions: Vec<(String, String)> = Vec::new();
    for (key, value) in in_order(section.table) {
        let node: &str = key.get_ref();
        match values::text(value.get_ref()) {
            Ok(region) => regions.push((node.to_owned(), region)),
            Err(refusal) => {
                let spot = Spot::new(section.spot.file, value.span());
                let nested = value.get_ref().is_table();
                let label = if nested { "a table; put names with dots into quotes" } else { &refusal.label };
                log.error(spot, format!("the region of `{}` must be a string", shown(node)), label);
            }
        }
    }
    shadowed(section, &regions, log);
    regions
}

/// Whatever stands behind a bare `*` is never reached.
fn shadowed(section: &Section<'_>, regions: &[(String, String)], log: &mut Log<'_>) {
    let Some(all) = regions.iter().position(|r| r.0 == "*") else { return };
    for (key, _) in in_order(section.table).into_iter().skip(all + 1) {
        let spot = Spot::new(section.spot.file, key.span());
        log.warn(
            spot,
            format!("`{}` is never reached", shown(key.get_ref())),
            "`*` above it matches every node",
        );
    }
}
