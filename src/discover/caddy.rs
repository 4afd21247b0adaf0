//! Caddy: `log` of each site and of the global options, in a Caddyfile; `logging` in its JSON.

use super::host::{Host, is_pattern};
use super::lines::{Opened, absolute, folder};
use super::places;
use super::tree::{self, Node};
use super::{Found, Log, Place, Product, Remark, Shape, Spot};

/// Caddy
pub const PRODUCT: Product = Product {
    name: "caddy",
    title: "Caddy",
    summary: "the Caddyfile with what it imports, or caddy.json: log blocks, their outputs and formats",
    configurations: &[
        "/etc/caddy/Caddyfile",
        "/etc/caddy/caddy.json",
        "/var/lib/caddy/.config/caddy/autosave.json",
    ],
    read,
    // No access log of Caddy's names upstreams: there is nothing to write into it.
    advice: None,
};

const UNIT: &str = "caddy.service";
const HELP: &str = "log { output file /var/log/caddy/access.log }";
const DEPTH_MAX: usize = 32;

fn read(host: &dyn Host, config: &str, found: &mut Found) {
    let start = Spot { file: config.to_owned(), line: 0 };
    if config.ends_with(".json") {
        let Some(text) = Opened::default().text(host, config, &start, found) else { return };
        return match tree::yaml(&text) {
            Ok(root) => json(&root, &start, found),
            Err((line, why)) => found.remark(&Spot { line, ..start }, why),
        };
    }
    let mut reader = Reader { host, opened: Opened::default(), snippets: Vec::new() };
    let blocks = reader.file(config, &start, 0, found);
    let options = blocks.iter().find(|block| block.words.is_empty());
    let default = options.and_then(|options| options.inside.iter().find(|line| line.is_default_log()));
    let default = default
        .map_or_else(|| places::output(UNIT), |log| output(log).unwrap_or_else(|| places::output(UNIT)));
    let sites = blocks.iter().filter(|block| !block.words.is_empty() && !block.word(0).starts_with('('));
    for site in sites.filter(|site| site.is_block) {
        let logs: Vec<&Line> = site.inside.iter().filter(|line| line.word(0) == "log").collect();
        for log in &logs {
            let place = output(log).unwrap_or_else(|| default.clone());
            found.log(of_site(log, place));
        }
        if logs.is_empty() {
            let text = format!("site {} is not logged: its failures are not seen; add {HELP}", site.word(0));
            found.remark(&site.at, text);
        }
        let skips = site.inside.iter().find(|line| matches!(line.word(0), "log_skip" | "skip_log"));
        if let Some(skip) = skips {
            found.remark(
                &skip.at,
                format!("site {}: {} leaves requests out", site.word(0), skip.words.join(" ")),
            );
        }
    }
}

fn of_site(log: &Line, place: Place) -> Log {
    let mut warnings = Vec::new();
    let mut warn = |line: &Line, text: &str, help: &str| {
        warnings.push(Remark { at: line.at.clone(), text: text.to_owned(), help: help.to_owned() });
    };
    let inside = |name: &str| log.inside.iter().find(|line| line.word(0) == name);
    if let Some(sampling) = inside("sampling") {
        warn(
            sampling,
            "log has sampling: what it leaves out is not counted, so ratios are wrong",
            "leave sampling out",
        );
    }
    if let Some(level) =
        inside("level").filter(|level| !matches!(level.word(1), "DEBUG" | "INFO" | "debug" | "info"))
    {
        warn(
            level,
            "log has a level: without the requests that went well, every ratio is wrong",
            "level INFO",
        );
    }
    let format = inside("format").map_or("json", |format| format.word(1));
    let shapes = shapes(format);
    Log { place, shapes, is_errors: false, held: 0, at: log.at.clone(), left_out: None, warnings }
}

/// What is not JSON is for detection to find out.
fn shapes(format: &str) -> Vec<Shape> {
    let is_json = matches!(format, "json" | "filter" | "append");
    let shape = || Shape { called: "json".to_owned(), spec: "json".to_owned() };
    is_json.then(shape).into_iter().collect()
}

/// Where a `log` block's output goes; `None`: it does not say.
fn output(log: &Line) -> Option<Place> {
    let output = log.inside.iter().find(|line| line.word(0) == "output")?;
    Some(match output.word(1) {
        "file" if !output.word(2).is_empty() => Place::File(places::pattern(&absolute(output.word(2), "/"))),
        "stdout" | "stderr" => places::output(UNIT),
        "discard" => Place::Elsewhere("nowhere (output discard)".to_owned()),
        other => Place::Elsewhere(format!("{other} {}", output.word(2)).trim_end().to_owned()),
    })
}

/// One line of a Caddyfile, and the block that it opens.
#[derive(Clone, Debug, Default)]
struct Line {
    words: Vec<String>,
    at: Spot,
    is_block: bool,
    inside: Vec<Line>,
}

impl Line {
    fn word(&self, i: usize) -> &str {
        self.words.get(i).map_or("", String::as_str)
    }

    /// `log` or `log default` of the global options.
    fn is_default_log(&self) -> bool {
        self.word(0) == "log" && matches!(self.word(1), "" | "default")
    }
}

struct Reader<'a> {
    host: &'a dyn Host,
    opened: Opened,
    /// `(name) { … }`, for `import name`.
    snippets: Vec<(String, Vec<Line>)>,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, from: &Spot, depth: usize, found: &mut Found) -> Vec<Line> {
        let Some(text) = self.opened.text(self.host, path, from, found) else { return Vec::new() };
        let mut lines = lines(&text, path).into_iter();
        let mut top = self.block(&mut lines, path, depth, found);
        // A site may stand without braces: then it is all of the file.
        if let Some(first) =
            top.first().filter(|first| !first.is_block && depth == 0 && first.word(0) != "import")
        {
            let site =
                Line { is_block: true, inside: top.get(1..).unwrap_or_default().to_vec(), ..first.clone() };
            top = vec![site];
        }
        self.opened.done();
        top
    }

    /// Up to the brace that closes it.
    fn block(
        &mut self,
        lines: &mut dyn Iterator<Item = Line>,
        path: &str,
        depth: usize,
        found: &mut Found,
    ) -> Vec<Line> {
        let mut block = Vec::new();
        while let Some(mut line) = lines.next() {
            if line.word(0) == "}" {
                break;
            }
            if line.words.last().is_some_and(|word| word == "{") {
                line.words.pop();
                line.is_block = true;
                if depth < DEPTH_MAX {
                    line.inside = self.block(lines, path, depth + 1, found);
                }
            }
            let name =
                line.word(0).strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(str::to_owned);
            if let Some(name) = name {
                self.snippets.push((name, line.inside));
            } else if line.word(0) == "import" {
                block.extend(self.import(&line, path, depth, found));
            } else {
                block.push(line);
            }
        }
        block
    }

    fn import(&mut self, line: &Line, path: &str, depth: usize, found: &mut Found) -> Vec<Line> {
        let name = line.word(1);
        if let Some(snippet) = self.snippets.iter().find(|s| s.0 == name) {
            return with_args(&snippet.1, line.words.get(2..).unwrap_or_default());
        }
        let pattern = absolute(name, folder(path));
        let names = self.host.names(&pattern);
        if names.is_empty() && !is_pattern(&pattern) {
            found.remark(&line.at, format!("{pattern} is not there"));
        }
        names.iter().flat_map(|name| self.file(name, &line.at, depth + 1, found)).collect()
    }
}

/// `{args[0]}`, `{args.0}`
fn with_args(lines: &[Line], args: &[String]) -> Vec<Line> {
    let filled = |word: &String| {
        let mut word = word.clone();
        for (i, arg) in args.iter().enumerate() {
            word = word.replace(&format!("{{args[{i}]}}"), arg).replace(&format!("{{args.{i}}}"), arg);
        }
        word
    };
    let line = |line: &Line| Line {
        words: line.words.iter().map(filled).collect(),
        inside: with_args(&line.inside, args),
        ..line.clone()
    };
    lines.iter().map(line).collect()
}

/// Lines with words: in quotes or backticks they may hold spaces and line ends.
fn lines(text: &str, path: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut number = 1;
    let mut current = Line::default();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    let mut end = |current: &mut Line, number: usize| {
        let mut line = std::mem::take(current);
        line.at = Spot { file: path.to_owned(), line: number };
        if !line.words.is_empty() {
            lines.push(line);
        }
    };
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, '"' | '`') if word.is_none() => (quote, word) = (Some(c), Some(String::new())),
            (None, '\\') if chars.peek() == Some(&'\n') => {}
            (None, c) if c.is_whitespace() => {
                current.words.extend(word.take());
                if c == '\n' {
                    end(&mut current, number);
                }
            }
            (Some(q), c) if c == q => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
        number += usize::from(c == '\n');
    }
    current.words.extend(word.take());
    end(&mut current, number);
    lines
}

/// `logging.logs`: those that take access logs in.
fn json(root: &Node, at: &Spot, found: &mut Found) {
    let mut servers = 0;
    let mut logged = 0;
    for (_, server) in root.path(&["apps", "http", "servers"]).map_or(&[][..], Node::members) {
        servers += 1;
        logged += usize::from(server.get("logs").is_some());
    }
    if servers > logged {
        found.remark(
            at,
            format!("{} of {servers} servers have no logs: their failures are not seen", servers - logged),
        );
    }
    if logged == 0 {
        return;
    }
    let logs = root.path(&["logging", "logs"]).map_or(&[][..], Node::members);
    let takes = |name: &str, log: &Node| {
        let include = log.get("include").map_or(&[][..], Node::items);
        include.iter().filter_map(Node::text).any(|logger| logger.starts_with("http.log.access"))
            || (include.is_empty() && name == "default" && logs.len() == 1)
    };
    let mut any = false;
    for (_, log) in logs.iter().filter(|(name, log)| takes(name, log)) {
        any = true;
        let place = match log.path(&["writer", "filename"]).and_then(Node::text) {
            Some(path) => Place::File(places::pattern(path)),
            None => places::output(UNIT),
        };
        let shapes = shapes(log.path(&["encoder", "format"]).and_then(Node::text).unwrap_or("json"));
        let at = Spot { line: log.line, ..at.clone() };
        let mut warnings = Vec::new();
        if let Some(sampling) = log.get("sampling") {
            let text = "log has sampling: what it leaves out is not counted, so ratios are wrong".to_owned();
            let at = Spot { line: sampling.line, ..at.clone() };
            warnings.push(Remark { at, text, help: "leave sampling out".to_owned() });
        }
        found.log(Log { place, shapes, is_errors: false, held: 0, at, left_out: None, warnings });
    }
    if !any {
        let (place, at) = (places::output(UNIT), at.clone());
        found.log(Log {
            place,
            shapes: shapes("json"),
            is_errors: false,
            held: 0,
            at,
            left_out: None,
            warnings: Vec::new(),
        });
    }
}
