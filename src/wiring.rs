//! Settings and a look at a file's head → what counts its lines: format, zone, labels. For finished logs and live ones.

use gatewatch_parsers::detect::{self, Detection};
use gatewatch_parsers::formats::{self, SpecError};
use gatewatch_parsers::lines::Lines;
use gatewatch_parsers::{Context, Dated, Dates, Format, Millis, Zone, whose};
use gatewatch_rules::clock::{FileClock, Held};
use gatewatch_rules::report::{Input, Report};
use gatewatch_rules::source::{Regions, Source, Table};
use std::path::Path;
use std::sync::Arc;

/// Lines of a head that detection looks at.
const SAMPLE_LINES: usize = 200;

/// The zone of stamps that carry none, and where it comes from.
#[derive(Clone, Debug)]
pub struct ZoneSetting {
    /// The zone.
    pub zone: Zone,
    /// Its name, for the report.
    pub name: String,
    /// Nobody set it: it is the host's.
    pub assumed: bool,
}

impl ZoneSetting {
    /// The zone as set, else the host's.
    ///
    /// # Errors
    /// The name is no zone.
    pub fn new(set: Option<&str>) -> Result<ZoneSetting, String> {
        if let Some(name) = set {
            let zone = Zone::parse(name)
                .ok_or_else(|| format!("`{name}` is no time zone: write Europe/Berlin, UTC or +02:00"))?;
            return Ok(ZoneSetting { zone, name: name.to_owned(), assumed: false });
        }
        let host = iana_time_zone::get_timezone().unwrap_or_else(|_| "UTC".to_owned());
        let host = if matches!(host.as_str(), "Etc/UTC" | "Etc/UCT" | "UCT" | "Zulu") {
            "UTC".to_owned()
        } else {
            host
        };
        let found = Zone::parse(&host);
        let name = if found.is_some() { host } else { "UTC".to_owned() };
        Ok(ZoneSetting { zone: found.unwrap_or(Zone::Fixed(0)), name, assumed: true })
    }
}

/// What is set for a file, by flags or by its input's table.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// The input's name; empty for files given on the command line.
    pub input: String,
    /// Its format; `None`: detected.
    pub format: Option<Arc<dyn Format>>,
    /// Zone of stamps without one.
    pub zone: ZoneSetting,
    /// Node, for lines that name none.
    pub node: String,
    /// It was named by a flag, which goes before an input's.
    pub node_is_flag: bool,
    /// Region, where neither line nor `[regions]` say.
    pub region: String,
    /// `[regions]`.
    pub regions: Arc<Regions>,
    /// `[pools]`.
    pub pools: Arc<Table>,
    /// What counts instead of the format's own rule.
    pub gateway_statuses: Option<Vec<u16>>,
    /// Captures of its path.
    pub path_labels: Vec<(String, String)>,
}

/// A file, recognised.
pub struct Recognised {
    /// `None`: no format that is known explains its lines.
    pub format: Option<Arc<dyn Format>>,
    /// For people.
    pub title: String,
    /// Its labels.
    pub source: Source,
    /// What parsing starts as.
    pub context: Context,
    /// When the first record of its head ended.
    pub first_stamp: Option<Millis>,
    /// Worth saying: ambiguity, or why it is not known.
    pub note: Option<String>,
}

/// Compiles a `--log-format`.
///
/// # Errors
/// What is wrong with it, with a caret.
pub fn compile_format(spec: &str) -> Result<Arc<dyn Format>, String> {
    formats::compile(spec).map(Arc::from).map_err(|SpecError { message, at }| {
        let column = spec.get(..at).map_or(0, |before| before.chars().count());
        format!("--log-format: {message}\n  {}\n  {}^", spec.replace('\n', " "), " ".repeat(column))
    })
}

/// Looks at a file's head. `near`: a time close to its stamps, its modification time.
#[must_use]
pub fn recognise(path: &str, head: &[u8], near: Millis, settings: &FileSettings) -> Recognised {
    let mut context = Context::new(settings.zone.zone, near);
    context.gateway_statuses.clone_from(&settings.gateway_statuses);
    let sample: Vec<&[u8]> = Lines::new(head, true).take(SAMPLE_LINES).collect();
    let (format, title, note) = match &settings.format {
        Some(format) => {
            // An error log among the paths of its input is read as what it is: its failures belong to the same input as
            // the requests.
            let errors = formats::error_log_of(&sample, &context);
            let errors = errors.filter(|_| !formats::is_error_log(format.name()));
            let found = errors.or_else(|| format.for_head(&sample));
            let format = found.map_or_else(|| Arc::clone(format), Arc::from);
            let title = format.title();
            (Some(format), title, None)
        }
        None => detected(path, &sample, &context),
    };
    let first_stamp = format.as_ref().and_then(|f| first_stamp(f.as_ref(), &sample, &mut context.clone()));
    let mut recognised = Recognised { format, title, source: Source::default(), context, first_stamp, note };
    recognised.relabel(path, settings);
    recognised
}

impl Recognised {
    /// A file whose lines were read before: by the format of this name and in this zone still, where the settings leave
    /// that open. `None`: the name says nothing to this program, and the file is to be looked at anew.
    #[must_use]
    pub fn again(
        path: &str,
        format: Option<&str>,
        dated: &Dated,
        settings: &FileSettings,
    ) -> Option<Recognised> {
        let format = match (&settings.format, format) {
            // What was learned from the file itself (`w3c:date time …`) stays known.
            (Some(set), Some(name)) if set.is_learned_as(name) || formats::is_error_log(name) => {
                Some(Arc::from(formats::compile(name).ok()?))
            }
            (Some(format), _) => Some(Arc::clone(format)),
            (None, Some(name)) => Some(Arc::from(formats::compile(name).ok()?)),
            (None, None) => None,
        };
        let zone = if settings.zone.assumed { dated.zone } else { settings.zone.zone };
        let mut context = Context::new(zone, dated.near);
        context.dates = Dates::going_on(&Dated { zone, ..*dated });
        context.gateway_statuses.clone_from(&settings.gateway_statuses);
        let title = format.as_ref().map_or_else(|| "unknown format".to_owned(), |f| f.title());
        let source = Source::default();
        let mut again = Recognised { format, title, source, context, first_stamp: None, note: None };
        again.relabel(path, settings);
        Some(again)
    }

    /// Labels as the settings of its input and its path say.
    pub fn relabel(&mut self, path: &str, settings: &FileSettings) {
        self.source = Source {
            input: settings.input.clone(),
            node: settings.node.clone(),
            region: settings.region.clone(),
            site: site_of(Path::new(path)),
            regions: Arc::clone(&settings.regions),
            pools: Arc::clone(&settings.pools),
            extra: self.format.as_ref().map(|f| f.extra_labels().to_vec()).unwrap_or_default(),
            path_labels: settings.path_labels.clone(),
        };
    }
}

type Detected = (Option<Arc<dyn Format>>, String, Option<String>);

fn detected(path: &str, sample: &[&[u8]], context: &Context) -> Detected {
    let detection = detect::detect_at(path, sample, context);
    let note = detection.note.clone().or_else(|| doubt(&detection));
    match detection.into_best() {
        Some(format) => {
            let title = format.title();
            (Some(Arc::from(format)), title, note)
        }
        None => (None, "unknown format".to_owned(), note),
    }
}

/// Ambiguity is said, not hidden.
fn doubt(detection: &Detection) -> Option<String> {
    let best = detection.best()?;
    let name = best.format.name();
    // Events beside requests, and what scanners send, are no second format.
    let is_other =
        |title: &str| detection.candidates.iter().any(|c| c.format.name() == title && title != name);
    if detection.parts.iter().any(|p| p.share >= 0.02 && is_other(&p.title)) {
        let parts: Vec<_> =
            detection.parts.iter().map(|p| format!("{:.0} % {}", p.share * 100.0, p.title)).collect();
        let parts = parts.join(", ");
        return Some(format!("mixed: {parts}; read as {name}, the rest is unparsed (--log-format decides)"));
    }
    if detection.ambiguous.is_empty() {
        return None;
    }
    let others = detection.ambiguous.join(", ");
    Some(format!("read as {}; {others} would explain it as well (--log-format decides)", best.format.name()))
}

/// Whether a head is that of a log that is known.
#[must_use]
pub fn is_log(head: &[u8], near: Millis) -> bool {
    let sample: Vec<&[u8]> = Lines::new(head, true).take(SAMPLE_LINES).collect();
    detect::detect(&sample, &Context::new(Zone::Fixed(0), near)).best().is_some()
}

/// When the first record ended that the file's clock will believe: a wrong stamp at the head is nobody's beginning.
fn first_stamp(format: &dyn Format, sample: &[&[u8]], context: &mut Context) -> Option<Millis> {
    let mut clock = FileClock::new(0, 1);
    let mut held = None;
    for line in sample {
        let Some(end) = format.parse(line, context).ok().and_then(|parsed| parsed.end()) else { continue };
        if clock.admit(end).held == Some(Held::Count) {
            return held;
        }
        held = Some(end);
    }
    held
}

/// The site that a log is about, by its name: `api.access.log.2.gz` → `api`, `access.log` → nothing.
#[must_use]
pub fn site_of(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let separators = ['.', '-', '_'];
    let is_age = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    let is_word =
        |part: &str| !matches!(part, "" | "access" | "log" | "gz" | "zst" | "xz" | "bz2") && !is_age(part);
    // The last part that says something ends the name; what stands between is kept as written.
    let mut end = 0;
    let mut start = None;
    let mut at = 0;
    for part in name.split(separators) {
        if is_word(part) {
            start.get_or_insert(at);
            end = at + part.len();
        }
        at += part.len() + 1;
    }
    start.and_then(|start| name.get(start..end)).unwrap_or_default().to_owned()
}

/// What gives an nginx log the upstream's fields.
pub const NGINX_ADVICE: &str = "to see which upstream and why, log its fields: add this to http { } and `access_log … upstream;`\n\
     log_format upstream '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
     \"$http_referer\" \"$http_user_agent\" rt=$request_time uct=\"$upstream_connect_time\" \
     uht=\"$upstream_header_time\" urt=\"$upstream_response_time\" ua=\"$upstream_addr\" us=\"$upstream_status\"';";

/// What gives an Apache log the worker.
pub const APACHE_ADVICE: &str = "to see which worker, and how long it took, log both: add this and `CustomLog … upstream`\n\
     LogFormat \"%h %l %u %t \\\"%r\\\" %>s %O \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\" %D %{BALANCER_WORKER_NAME}e\" upstream";

/// Where nothing tells whose a line is that both write.
const EITHER_ADVICE: &str = "if Apache wrote it (same lines): --log-format apache counts its 503s, too;";

/// nginx's formats that are Apache's, too.
const SHARED: [&str; 2] = ["nginx:combined", "nginx:vhost_combined"];

/// For logs that cannot name upstreams: the format that can, in the words of whoever wrote them.
#[must_use]
pub fn advice(report: &Report) -> Option<String> {
    if report.counted.requests == 0 || report.counted.attempts > 0 {
        return None;
    }
    let read = || report.inputs.iter().filter(|input| input.parsed > 0);
    let is_apaches = read().any(|input| input.format.starts_with("apache"));
    if !read().any(|input| input.format.starts_with("nginx:")) {
        return is_apaches.then(|| APACHE_ADVICE.to_owned());
    }
    let is_open = |input: &Input| SHARED.contains(&&*input.format) && whose::kind_of(&input.path).is_none();
    Some(match (is_apaches, read().any(is_open)) {
        (false, false) => NGINX_ADVICE.to_owned(),
        (true, _) => format!("{NGINX_ADVICE}\n{APACHE_ADVICE}"),
        (false, true) => format!("{NGINX_ADVICE}\n{EITHER_ADVICE}\n{APACHE_ADVICE}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_of_files() {
        let table = [
            ("access.log", ""),
            ("/var/log/nginx/access.log.1", ""),
            ("api.access.log", "api"),
            ("shop.example.com-access.log.2.gz", "shop.example.com"),
            ("access-20261101.log", ""),
            ("haproxy.log", "haproxy"),
            ("api_access_log", "api"),
            ("-", ""),
        ];
        for (path, site) in table {
            assert_eq!(site_of(Path::new(path)), site, "{path}");
        }
    }

    /// A reading that goes on amid a file whose header it does not see again.
    #[test]
    fn what_a_file_says_of_its_columns_stays_known() {
        let head = b"#Version: 1.0\n#Fields: date time cs-method sc-status\n2026-11-22 14:53:53 GET 502\n";
        for set in [None, Some("w3c")] {
            let settings = FileSettings {
                input: String::new(),
                format: set.map(|name| compile_format(name).unwrap()),
                zone: ZoneSetting::new(Some("UTC")).unwrap(),
                node: String::new(),
                node_is_flag: false,
                region: String::new(),
                regions: Arc::new(Regions::default()),
                pools: Arc::default(),
                gateway_statuses: None,
                path_labels: Vec::new(),
            };
            let mut first = recognise("u_ex.log", head, 1_795_359_233_000, &settings);
            let format = first.format.unwrap();
            assert_eq!(format.name(), "w3c:date time cs-method sc-status");
            assert_eq!(first.first_stamp, Some(1_795_359_233_000));
            format.parse(b"#Fields: date time sc-status cs-method", &mut first.context).unwrap();
            let name = format.name_in(&first.context);
            let dated = first.context.dates.dated();
            let mut again = Recognised::again("u_ex.log", Some(&name), &dated, &settings).unwrap();
            let line = b"2026-11-22 14:53:54 504 GET";
            let parsed = again.format.as_ref().unwrap().parse(line, &mut again.context);
            assert!(matches!(parsed, Ok(gatewatch_parsers::Parsed::Record(_))), "{set:?}");
        }
    }

    #[test]
    fn an_error_log_among_the_files_of_an_input_is_read_as_such() {
        let error = br#"2026/11/22 15:18:07 [error] 5#5: *3 connect() failed (111: Connection refused) while connecting to upstream, client: 1.2.3.4, server: s, request: "GET / HTTP/1.1", upstream: "http://10.0.0.1:80/", host: "h"
"#;
        let access = b"1.2.3.4 - - [22/Nov/2026:15:18:07 +0000] \"GET / HTTP/1.1\" 502 1 \"-\" \"-\"\n";
        for (format, head, expected) in [
            ("nginx:combined", &error[..], "nginx-error"),
            ("nginx:combined", access, "nginx:combined"),
            ("nginx-error", access, "nginx-error"),
            ("nginx:combined", b"", "nginx:combined"),
        ] {
            let settings = FileSettings {
                input: "edge".to_owned(),
                format: Some(compile_format(format).unwrap()),
                zone: ZoneSetting::new(Some("UTC")).unwrap(),
                node: String::new(),
                node_is_flag: false,
                region: String::new(),
                regions: Arc::default(),
                pools: Arc::default(),
                gateway_statuses: None,
                path_labels: Vec::new(),
            };
            let found = recognise("x.log", head, 0, &settings);
            let name = found.format.as_ref().map(|f| f.name().to_owned());
            assert_eq!((name.as_deref(), found.source.input.as_str()), (Some(expected), "edge"));
            let again = Recognised::again("x.log", Some(expected), &found.context.dates.dated(), &settings);
            assert_eq!(again.unwrap().format.unwrap().name(), expected);
        }
    }

    #[test]
    fn zones() {
        assert!(ZoneSetting::new(Some("Mars/Olympus")).unwrap_err().contains("Europe/Berlin"));
        assert!(!ZoneSetting::new(Some("+02:00")).unwrap().assumed);
        assert!(ZoneSetting::new(None).unwrap().assumed);
    }
}
