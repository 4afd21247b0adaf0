//! What the columns of a file are, and whose they are.

use crate::formats::SpecError;

/// More columns than any log has.
const COLUMNS_MAX: usize = 256;

/// What a column means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Date,
    Time,
    Timestamp,
    Status,
    SubStatus,
    Win32Status,
    Method,
    Path,
    HostHeader,
    Host,
    TimeTaken,
    Node,
    Upstream,
    ResultType,
    ResponseResultType,
    DetailedResultType,
}

impl Role {
    pub(super) const COUNT: usize = Role::DetailedResultType as usize + 1;

    /// The names of columns, the best of each role first.
    const NAMES: &[(&str, Role)] = &[
        ("date", Role::Date),
        ("time", Role::Time),
        ("timestamp", Role::Timestamp),
        ("timestamp(ms)", Role::Timestamp),
        ("sc-status", Role::Status),
        ("sc-substatus", Role::SubStatus),
        ("sc-win32-status", Role::Win32Status),
        ("cs-method", Role::Method),
        ("cs-uri-stem", Role::Path),
        ("cs-uri-path", Role::Path),
        ("cs-uri", Role::Path),
        ("x-host-header", Role::HostHeader),
        ("cs-host", Role::Host),
        ("cs(Host)", Role::Host),
        ("time-taken", Role::TimeTaken),
        ("x-edge-location", Role::Node),
        ("s-computername", Role::Node),
        ("s-supplier-name", Role::Upstream),
        ("s-supplier-ip", Role::Upstream),
        ("origin-fqdn", Role::Upstream),
        ("r-host", Role::Upstream),
        ("r-dns", Role::Upstream),
        ("r-ip", Role::Upstream),
        ("x-edge-result-type", Role::ResultType),
        ("x-edge-response-result-type", Role::ResponseResultType),
        ("x-edge-detailed-result-type", Role::DetailedResultType),
    ];

    /// The name that messages use.
    pub(super) fn name(self) -> &'static str {
        Role::NAMES.iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }
}

/// Who writes such columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Speaker {
    CloudFront,
    Iis,
    BlueCoat,
    #[default]
    Anyone,
}

impl Speaker {
    fn of(names: &[&str]) -> Speaker {
        let has = |name: &str| names.contains(&name);
        if names.iter().any(|name| name.starts_with("x-edge-")) {
            Speaker::CloudFront
        } else if has("sc-win32-status") || has("sc-substatus") || has("s-sitename") {
            Speaker::Iis
        } else if has("s-action") || names.iter().any(|name| name.starts_with("x-bluecoat-")) {
            Speaker::BlueCoat
        } else {
            Speaker::Anyone
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Speaker::CloudFront => "Amazon CloudFront",
            Speaker::Iis => "IIS (W3C extended)",
            Speaker::BlueCoat => "Blue Coat ProxySG (W3C extended)",
            Speaker::Anyone => "W3C extended log format",
        }
    }
}

/// The columns of a W3C extended log, as its `#Fields` line names them.
#[derive(Debug, Default)]
pub struct Columns {
    text: String,
    roles: Vec<Option<Role>>,
    speaker: Speaker,
    /// What is missing; `None`: nothing.
    lacks: Option<&'static str>,
}

impl Columns {
    /// Names between blanks.
    pub(super) fn compile(fields: &str) -> Result<Columns, SpecError> {
        let names: Vec<&str> = fields.split_ascii_whitespace().collect();
        if names.len() > COLUMNS_MAX {
            return Err(SpecError { message: format!("more than {COLUMNS_MAX} columns"), at: 0 });
        }
        let mut roles = vec![None; names.len()];
        // Of several names for the same the first one in our table counts.
        for (name, role) in Role::NAMES {
            let is_free = !roles.contains(&Some(*role));
            if let Some(place) = names.iter().position(|own| own == name).and_then(|at| roles.get_mut(at))
                && is_free
            {
                *place = Some(*role);
            }
        }
        let mut columns = Columns { text: names.join(" "), roles, speaker: Speaker::of(&names), lacks: None };
        columns.lacks = columns.look_for_lacks();
        Ok(columns)
    }

    /// Of a `#Fields` line that is none.
    pub(super) fn unreadable() -> Columns {
        Columns { lacks: Some("the last such line cannot be read"), ..Columns::default() }
    }

    /// Without a time and a status nothing can be counted.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        self.lacks
    }

    fn look_for_lacks(&self) -> Option<&'static str> {
        let has_time = self.has(Role::Timestamp) || (self.has(Role::Date) && self.has(Role::Time));
        match (has_time, self.has(Role::Status)) {
            (true, true) => None,
            (true, false) => Some("no column is sc-status"),
            (false, true) => Some("no columns are date and time, or timestamp"),
            (false, false) => Some("no columns are date, time and sc-status"),
        }
    }

    pub(super) fn has(&self, role: Role) -> bool {
        self.roles.contains(&Some(role))
    }

    pub(super) fn role(&self, column: usize) -> Option<Role> {
        self.roles.get(column).copied().flatten()
    }

    pub(super) fn count(&self) -> usize {
        self.roles.len()
    }

    pub(super) fn speaker(&self) -> Speaker {
        self.speaker
    }

    /// The names, one blank between them.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The values of a line: between tabs if it has any, else between blanks. What begins with a quote ends with one.
pub(super) fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let separator = if line.contains(&b'\t') { b'\t' } else { b' ' };
    let mut rest = Some(line.trim_ascii_end());
    std::iter::from_fn(move || {
        let text = rest?;
        let (value, after) = match quoted(text, separator) {
            Some(found) => found,
            None => match memchr::memchr(separator, text).and_then(|at| text.split_at_checked(at)) {
                Some((value, after)) => (value, after.get(1..)),
                None => (text, None),
            },
        };
        rest = after;
        Some(value)
    })
}

/// `"a b"` and the separator, or the end, after it.
fn quoted(text: &[u8], separator: u8) -> Option<(&[u8], Option<&[u8]>)> {
    let inner = text.strip_prefix(b"\"")?;
    let (value, after) = inner.split_at_checked(memchr::memchr(b'"', inner)?)?;
    match after.get(1..)? {
        [] => Some((value, None)),
        [first, after @ ..] if *first == separator => Some((value, Some(after))),
        _ => None,
    }
}
