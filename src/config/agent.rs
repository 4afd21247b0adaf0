//! `[agent]`.

use super::problem::Log;
use super::reader::{Reader, Section};
use super::tables;
use super::values::{self, Refusal, is_label_name, print_duration, type_of};
use super::{Agent, Outside, RegionsFile};
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
        regions_file: None,
        regions_mmdb: None,
        regions_by: "node".to_owned(),
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
    agent.regions_file =
        tables::regions_file(&mut reader, outside).map(|(path, rows)| RegionsFile { path, rows });
    agent.regions_mmdb = tables::countries(&mut reader, outside);
    agent.regions_by = reader.value("regions_by", decides_region).unwrap_or(agent.regions_by);
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

/// A label that every record has, or a capture.
fn decides_region(value: &toml::de::DeValue<'_>) -> values::Read<String> {
    const WANTS: &str = "\"node\", \"upstream\", \"site\" or a capture, such as \"exit_ip\"";
    match value.as_str() {
        Some(name) if is_label_name(name) && !matches!(name, "input" | "region" | "pool") => {
            Ok(name.to_owned())
        }
        Some(_) => Err(Refusal::new(WANTS, "no name or address that a region could be found by")),
        None => Err(Refusal::new(WANTS, type_of(value))),
    }
}
