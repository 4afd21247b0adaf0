//! logrotate's configuration, as far as it tells how a log is rotated.

use super::host::Host;
use super::lines::Opened;
use super::{Found, Spot};

const MAIN: &str = "/etc/logrotate.conf";
const PARTS: &str = "/etc/logrotate.d/*";

/// What stands there about some files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    patterns: Vec<String>,
    copytruncate: Option<Spot>,
}

/// How logs are rotated.
#[derive(Debug, Default)]
pub struct Logrotate {
    entries: Vec<Entry>,
}

impl Logrotate {
    /// Reads what is there.
    pub fn read(host: &dyn Host) -> Logrotate {
        let mut rotate = Logrotate::default();
        // What is wrong with logrotate is not ours to say.
        let (mut opened, mut unsaid) = (Opened::default(), Found::default());
        let mut all = None;
        let mut files = host.names(MAIN);
        files.extend(host.names(PARTS));
        for path in files {
            let Some(text) = opened.text(host, &path, &Spot::default(), &mut unsaid) else { continue };
            rotate.file(&path, &text, &mut all);
            opened.done();
        }
        rotate
    }

    /// `all`: what was said outside of any block holds for the blocks behind it.
    fn file(&mut self, path: &str, text: &str, all: &mut Option<Spot>) {
        let mut patterns: Vec<String> = Vec::new();
        let mut block: Option<Option<Spot>> = None;
        let mut in_script = false;
        for (number, line) in text.lines().enumerate() {
            let at = Spot { file: path.to_owned(), line: number + 1 };
            let line = line.trim();
            if in_script {
                in_script = line != "endscript";
                continue;
            }
            for word in line.replace('{', " { ").replace('}', " } ").split_whitespace() {
                if word.starts_with('#') {
                    break;
                }
                let truncates = block.as_mut().unwrap_or(all);
                match word {
                    "{" => block = Some(all.clone()),
                    "}" => {
                        let copytruncate = block.take().flatten();
                        self.entries.push(Entry { patterns: std::mem::take(&mut patterns), copytruncate });
                    }
                    "copytruncate" => *truncates = Some(at.clone()),
                    "nocopytruncate" => *truncates = None,
                    "postrotate" | "prerotate" | "firstaction" | "lastaction" | "preremove" => {
                        in_script = true;
                    }
                    word if block.is_none() && word.trim_matches('"').starts_with('/') => {
                        patterns.push(word.trim_matches(['"', '\'']).to_owned());
                    }
                    _ => {}
                }
            }
        }
    }

    /// Where it is said that this log is copied and cut off in place.
    #[must_use]
    pub fn copytruncate(&self, log: &str) -> Option<&Spot> {
        let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
        let matches = |pattern: &String| {
            pattern == log || glob::Pattern::new(pattern).is_ok_and(|p| p.matches_with(log, options))
        };
        self.entries.iter().find(|e| e.patterns.iter().any(matches))?.copytruncate.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::tests::Texts;

    #[test]
    fn who_copies_and_truncates() {
        let main = "weekly\ncreate\n/var/log/wtmp { copytruncate }\n";
        let nginx = "\"/var/log/nginx/*.log\" /srv/log/a.log\n{\n  daily\n  # copytruncate\n  postrotate\n    echo copytruncate\n  endscript\n}\n\
                     /var/log/other/*.log {\n  copytruncate # yes\n}\n";
        let late = "copytruncate\n/var/log/late/*.log { daily }\n/var/log/not/*.log { nocopytruncate }\n";
        let texts = [
            ("/etc/logrotate.conf", main),
            ("/etc/logrotate.d/nginx", nginx),
            ("/etc/logrotate.d/zlate", late),
        ];
        let rotate = Logrotate::read(&Texts(&texts));
        let table = [
            ("/var/log/wtmp", Some(("/etc/logrotate.conf", 3))),
            ("/var/log/nginx/access.log", None),
            ("/srv/log/a.log", None),
            ("/var/log/other/x.log", Some(("/etc/logrotate.d/nginx", 10))),
            ("/var/log/other/deeper/x.log", None),
            ("/var/log/late/x.log", Some(("/etc/logrotate.d/zlate", 1))),
            ("/var/log/not/x.log", None),
            ("/var/log/nowhere.log", None),
        ];
        for (log, expected) in table {
            let found = rotate.copytruncate(log).map(|at| (at.file.as_str(), at.line));
            assert_eq!(found, expected, "{log}");
        }
    }
}
