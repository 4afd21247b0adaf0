//! What the readers of several products share: files that include each other, and their names.

use super::host::{Host, is_pattern};
use super::{Found, Spot};

/// Files within files within files: deeper is a circle.
const DEPTH_MAX: usize = 16;
/// More files are no configuration.
const FILES_MAX: usize = 5_000;

/// Which files were opened, and which are open now.
#[derive(Debug, Default)]
pub(super) struct Opened {
    open: Vec<String>,
    count: usize,
}

impl Opened {
    /// Reads a file that was included at `from`; `None` if that cannot or must not be, and then it was said.
    pub(super) fn text(
        &mut self,
        host: &dyn Host,
        path: &str,
        from: &Spot,
        found: &mut Found,
    ) -> Option<String> {
        if self.open.iter().any(|open| open == path) {
            found.remark(from, format!("{path} includes itself"));
            return None;
        }
        if self.open.len() >= DEPTH_MAX || self.count >= FILES_MAX {
            found.remark(from, format!("{path} is not read: too many files within files"));
            return None;
        }
        match host.text(path) {
            Ok(text) => {
                self.count += 1;
                self.open.push(path.to_owned());
                Some(text)
            }
            Err(e) => {
                found.remark(from, format!("cannot read {path}: {}", reason(&e)));
                None
            }
        }
    }

    /// The file that was opened last has been read.
    pub(super) fn done(&mut self) {
        self.open.pop();
    }
}

/// The files that a product's `include` means; one that was named and is not there is said.
pub(super) fn included(host: &dyn Host, pattern: &str, from: &Spot, found: &mut Found) -> Vec<String> {
    let names = host.names(pattern);
    if names.is_empty() && !is_pattern(pattern) {
        found.remark(from, format!("{pattern} is not there"));
    }
    names
}

/// Without the number that the system adds.
pub(super) fn reason(error: &std::io::Error) -> String {
    let said = error.to_string();
    said.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A path as it stands in a configuration, from the directory that relative ones begin in.
pub(super) fn absolute(path: &str, folder: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", folder.trim_end_matches('/')) }
}

/// The directory of a file.
pub(super) fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}
