//! rsyslog's rules, as far as they tell into which file a program's messages go.

use super::host::Host;
use super::lines::{Opened, absolute, included};
use super::{Found, Spot, places};

const MAIN: &str = "/etc/rsyslog.conf";
/// What packages leave there whether rsyslog is installed or not.
const PARTS: &str = "/etc/rsyslog.d/*.conf";

/// Which messages a rule is about.
#[derive(Clone, Debug, Default)]
struct Condition {
    /// A program's name, and whether it must be just that.
    program: Option<(String, bool)>,
    facilities: Vec<String>,
    /// Facilities that are left out of "all".
    not: Vec<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    condition: Condition,
    file: String,
}

/// What rsyslog does, or would do if it were installed.
#[derive(Debug, Default)]
pub(super) struct Rsyslog {
    /// Its main configuration is there.
    pub(super) is_installed: bool,
    /// Ports where it listens.
    pub(super) ports: Vec<u16>,
    /// Unix sockets where it listens, beside the system's.
    pub(super) sockets: Vec<String>,
    rules: Vec<Rule>,
    templates: Vec<(String, String)>,
}

/// A file that messages go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) file: String,
    /// The rule is about this program or facility; else the file holds everybody's.
    pub(super) is_own: bool,
}

impl Rsyslog {
    pub(super) fn read(host: &dyn Host) -> Rsyslog {
        let mut rsyslog = Rsyslog { is_installed: host.has(MAIN), ..Rsyslog::default() };
        let mut opened = Opened::default();
        if rsyslog.is_installed {
            rsyslog.file(host, MAIN, &mut opened);
        } else {
            for part in host.names(PARTS) {
                rsyslog.file(host, &part, &mut opened);
            }
        }
        rsyslog
    }

    fn file(&mut self, host: &dyn Host, path: &str, opened: &mut Opened) {
        // What is wrong with rsyslog is not ours to say.
        let mut unsaid = Found::default();
        let Some(text) = opened.text(host, path, &Spot::default(), &mut unsaid) else { return };
        let mut blocks: Vec<Condition> = Vec::new();
        for line in joined(&text) {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("$IncludeConfig").or_else(|| line.strip_prefix("include("))
            {
                let pattern = value(rest, "file").unwrap_or_else(|| rest.trim().to_owned());
                for part in included(host, &absolute(&pattern, "/etc"), &Spot::default(), &mut unsaid) {
                    self.file(host, &part, opened);
                }
            } else if !self.setting(line) {
                self.rule(line, &mut blocks);
            }
        }
        opened.done();
    }

    /// Where it listens, and names of files with parts that change; false: the line is neither.
    fn setting(&mut self, line: &str) -> bool {
        if let Some(port) = line.strip_prefix("$UDPServerRun") {
            self.ports.extend(port.trim().parse::<u16>());
        } else if let Some(path) = line.strip_prefix("$AddUnixListenSocket") {
            self.sockets.push(path.trim().to_owned());
        } else if line.starts_with("input(") {
            self.ports.extend(value(line, "port").and_then(|port| port.parse::<u16>().ok()));
            self.sockets.extend(value(line, "socket"));
        } else if let Some(rest) = line.strip_prefix("$template ") {
            if let Some((name, text)) = rest.split_once(',') {
                let text = text.trim().trim_start_matches('"');
                let text = text.split('"').next().unwrap_or_default();
                self.templates.push((name.trim().to_owned(), text.to_owned()));
            }
        } else if line.starts_with("template(") {
            if let (Some(name), Some(text)) = (value(line, "name"), value(line, "string")) {
                self.templates.push((name, text));
            }
        } else {
            return false;
        }
        true
    }

    fn rule(&mut self, line: &str, blocks: &mut Vec<Condition>) {
        if line.starts_with('}') {
            blocks.pop();
            return;
        }
        let (condition, action) = match condition(line) {
            Some((condition, action)) => (Some(condition), action),
            None => (blocks.last().cloned(), line.trim_start_matches('&').trim()),
        };
        let condition = condition.unwrap_or_default();
        let (action, opens) = match action.strip_prefix('{') {
            Some(inside) => (inside.trim(), true),
            None => (action, false),
        };
        if let Some(file) = self.target(action) {
            self.rules.push(Rule { condition: condition.clone(), file });
        }
        if opens && !action.ends_with('}') {
            blocks.push(condition);
        }
    }

    fn target(&self, action: &str) -> Option<String> {
        let template = |name: &str| {
            let name = name.split(';').next().unwrap_or_default();
            self.templates.iter().find(|t| t.0 == name).map(|t| plain(&t.1))
        };
        let word = action.split_whitespace().next()?.split(';').next()?;
        if let Some(name) = word.strip_prefix('?').or_else(|| word.strip_prefix("-?")) {
            return template(name);
        }
        let path = word.strip_prefix('-').unwrap_or(word);
        if path.starts_with('/') {
            return Some(places::literal(path));
        }
        if !action.contains("omfile") {
            return None;
        }
        value(action, "file")
            .map(|path| places::literal(&path))
            .or_else(|| template(&value(action, "dynafile")?))
    }

    /// Where the messages of a program of this facility are written.
    pub(super) fn target_of(&self, program: &str, facility: &str) -> Option<Target> {
        let by_program = |rule: &&Rule| match &rule.condition.program {
            Some((name, true)) => name == program,
            Some((name, false)) => program.starts_with(name.as_str()),
            None => false,
        };
        let by_facility = |rule: &&Rule| {
            rule.condition.program.is_none() && rule.condition.facilities.iter().any(|f| f == facility)
        };
        let by_any = |rule: &&Rule| {
            let condition = &rule.condition;
            condition.facilities.iter().any(|f| f == "*") && !condition.not.iter().any(|f| f == facility)
        };
        let own = self.rules.iter().find(by_program).or_else(|| self.rules.iter().find(by_facility));
        let is_own = own.is_some();
        let rule = own.or_else(|| self.rules.iter().find(by_any))?;
        Some(Target { file: rule.file.clone(), is_own })
    }
}

/// Lines, those of an open parenthesis put together; comments left out.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match lines.last_mut().filter(|last| open > 0 || last.ends_with('\\')) {
            Some(last) => {
                last.truncate(last.trim_end_matches('\\').len());
                last.push(' ');
                last.push_str(line);
            }
            None => lines.push(line.to_owned()),
        }
        let count = |c: char| line.matches(c).count();
        open = (open + count('(')).saturating_sub(count(')'));
    }
    lines
}

/// `name="value"` of a call.
fn value(call: &str, name: &str) -> Option<String> {
    let lower = call.to_ascii_lowercase();
    let at = lower.match_indices(name).find(|(at, _)| {
        let before = lower.get(..*at).and_then(|b| b.chars().next_back());
        let after = lower.get(at + name.len()..).unwrap_or_default();
        before.is_none_or(|c| !c.is_alphanumeric()) && after.trim_start().starts_with('=')
    })?;
    let rest = call.get(at.0 + name.len()..)?.trim_start().strip_prefix('=')?.trim_start();
    Some(rest.strip_prefix('"')?.split('"').next()?.to_owned())
}

/// A filter before an action, in one of rsyslog's three ways of writing.
fn condition(line: &str) -> Option<(Condition, &str)> {
    if let Some(rest) = line.strip_prefix(':') {
        let (property, rest) = rest.split_once(',')?;
        let (how, rest) = rest.split_once(',')?;
        let (name, action) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
        let is_name = matches!(property.trim(), "programname" | "syslogtag" | "app-name");
        let program =
            is_name.then(|| (name.trim_end_matches([':', '[']).to_owned(), how.trim() == "isequal"));
        return Some((Condition { program, ..Condition::default() }, action.trim()));
    }
    if let Some(rest) = line.strip_prefix("if ").or_else(|| line.strip_prefix("if(")) {
        let (test, action) = rest.split_once("then").unwrap_or((rest, ""));
        let named = |property: &str| {
            let after = test.split_once(property)?.1;
            let how = after.split(['\'', '"']).next()?.trim();
            let name = after.split(['\'', '"']).nth(1)?;
            Some((name.to_owned(), how == "=="))
        };
        let program = named("$programname").or_else(|| named("$syslogtag")).or_else(|| named("$app-name"));
        let facilities = named("$syslogfacility-text").map(|f| f.0).into_iter().collect();
        return Some((Condition { program, facilities, not: Vec::new() }, action.trim()));
    }
    let (selector, action) = line.split_once(char::is_whitespace)?;
    if !selector.contains('.') || selector.starts_with(['/', '-', '&', '$', '"']) {
        return None;
    }
    let mut condition = Condition::default();
    for part in selector.split(';') {
        let (names, level) = part.rsplit_once('.')?;
        let names = names.split(',').map(str::to_owned);
        if level == "none" { condition.not.extend(names) } else { condition.facilities.extend(names) }
    }
    Some((condition, action.trim()))
}

/// A file's name with parts that change, as a pattern.
fn plain(template: &str) -> String {
    let mut pattern = String::new();
    for (i, part) in template.split('%').enumerate() {
        if i % 2 == 0 {
            pattern.push_str(&places::literal(part));
        } else if !pattern.ends_with('*') {
            pattern.push('*');
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::tests::Texts;

    fn target(text: &str, program: &str, facility: &str) -> Option<(String, bool)> {
        let rsyslog = Rsyslog::read(&Texts(&[(MAIN, text)]));
        rsyslog.target_of(program, facility).map(|t| (t.file, t.is_own))
    }

    #[test]
    fn where_messages_go() {
        let all = "*.*;auth,authpriv.none\t\t-/var/log/syslog\n";
        let table: [(&str, Option<(&str, bool)>); 11] = [
            (
                ":programname, startswith, \"haproxy\" {\n  /var/log/haproxy.log\n  stop\n}\n",
                Some(("/var/log/haproxy.log", true)),
            ),
            (
                "if $programname startswith 'haproxy' then /var/log/ha.log\n& stop\n",
                Some(("/var/log/ha.log", true)),
            ),
            (
                "if $programname == 'haproxy' then {\n action(type=\"omfile\"\n  file=\"/var/log/h/a.log\")\n stop\n}\n",
                Some(("/var/log/h/a.log", true)),
            ),
            ("local2.*    -/var/log/haproxy.log\n", None),
            ("local0.*;local1.*    -/var/log/haproxy.log\n", Some(("/var/log/haproxy.log", true))),
            ("local0,local1.=info /var/log/x.log;Format\n", Some(("/var/log/x.log", true))),
            (
                "$template H,\"/var/log/r/%HOSTNAME%/h.log\"\nlocal0.* ?H\n",
                Some(("/var/log/r/*/h.log", true)),
            ),
            ("*.info;local0.none /var/log/messages\n", None),
            ("mail.* -/var/log/mail.log\n*.*;auth.none -/var/log/syslog\n", Some(("/var/log/syslog", false))),
            (":msg, contains, \"x\" /var/log/x.log\n", None),
            ("", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(file, own)| (file.to_owned(), own));
            assert_eq!(target(text, "haproxy", "local0"), expected, "{text}");
            if expected.as_ref().is_some_and(|e| e.1) {
                assert_eq!(target(&format!("{all}{text}"), "haproxy", "local0"), expected, "{text}");
            }
        }
    }

    #[test]
    fn where_it_listens() {
        let text = "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"5140\")\n$UDPServerRun 514\n\
                    $AddUnixListenSocket /var/lib/haproxy/dev/log\ninput(type=\"imuxsock\" Socket=\"/run/x\")\n";
        let rsyslog = Rsyslog::read(&Texts(&[(MAIN, text)]));
        assert_eq!(rsyslog.ports, [5140, 514]);
        assert_eq!(rsyslog.sockets, ["/var/lib/haproxy/dev/log", "/run/x"]);
    }
}
