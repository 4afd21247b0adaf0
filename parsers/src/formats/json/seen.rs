//! What a line said: its fields, and what bears on their meaning.

use super::{Entry, Meaning, Speaker};
use crate::fields::{self, Slot, Target, Unit, Values, is_missing};
use crate::text;

/// The labels beside those that all formats share.
pub const LABELS: [&str; 2] = ["exit_ip", "provider"];

/// The rank of a session's name: it stands for an exit where none is named, and proves none.
pub const SESSION: u8 = 4;

/// How many texts of errors are kept of a line.
const ERRORS_MAX: usize = 4;

/// A value that counts unless one of a lesser rank is there.
#[derive(Clone, Copy, Debug)]
pub struct Ranked<'a> {
    rank: u8,
    value: &'a [u8],
}

impl<'a> Ranked<'a> {
    const NONE: Ranked<'static> = Ranked { rank: u8::MAX, value: b"" };

    fn take(&mut self, rank: u8, value: &'a [u8]) {
        if !is_missing(value) && rank < self.rank {
            *self = Ranked { rank, value };
        }
    }

    /// Empty: none was there.
    pub fn get(self) -> &'a [u8] {
        self.value
    }
}

/// What a line said beside the fields that all formats share.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The fields.
    pub values: Values<'a>,
    /// Whose line it is.
    pub speaker: Option<Speaker>,
    /// Whether the line shows that none of it is missing: then what it does not say was not there.
    pub is_whole: bool,
    /// Caddy's logger.
    pub logger: Option<&'a [u8]>,
    /// Traefik, Cloudflare: the status of the service behind it.
    pub origin_status: Option<&'a [u8]>,
    /// Traefik: how long the service's body was.
    pub origin_size: &'a [u8],
    /// Traefik: how often it tried again.
    pub retries: &'a [u8],
    /// Envoy's response flags.
    pub flags: Option<&'a [u8]>,
    /// Envoy's response code details.
    pub details: &'a [u8],
    /// Envoy: why the connection failed.
    pub failure: &'a [u8],
    /// Envoy: how long the upstream took, if it answered.
    pub service_time: Option<&'a [u8]>,
    /// Envoy: how often it tried.
    pub tries: &'a [u8],
    /// Fastly's state.
    pub state: Ranked<'a>,
    /// The reason phrase.
    pub phrase: Ranked<'a>,
    /// A text for people.
    pub message: &'a [u8],
    /// The host as the line names it: a site, a node or a server.
    pub host: &'a [u8],
    errors: [&'a [u8]; ERRORS_MAX],
    exit: Ranked<'a>,
    proxy: Ranked<'a>,
    provider: Ranked<'a>,
    logstash: bool,
    /// Ranks of what `values` holds, by slot.
    ranks: [u8; Slot::COUNT],
}

impl<'a> Seen<'a> {
    pub fn new(line: &'a [u8]) -> Seen<'a> {
        Seen {
            values: Values::new(line, Unit::Written),
            speaker: None,
            is_whole: false,
            logger: None,
            origin_status: None,
            origin_size: b"",
            retries: b"",
            flags: None,
            details: b"",
            failure: b"",
            service_time: None,
            tries: b"",
            state: Ranked::NONE,
            phrase: Ranked::NONE,
            message: b"",
            host: b"",
            errors: [b""; ERRORS_MAX],
            exit: Ranked::NONE,
            proxy: Ranked::NONE,
            provider: Ranked::NONE,
            logstash: false,
            ranks: [u8::MAX; Slot::COUNT],
        }
    }

    /// Takes a member's value for what its name means.
    pub fn take(&mut self, entry: &Entry, value: &'a [u8]) {
        self.speaker = self.speaker.or(entry.speaker);
        match entry.meaning {
            Meaning::Slot(slot) => {
                self.set(slot, entry.rank, value);
            }
            Meaning::Duration(unit) => {
                let taken = self.set(Slot::RequestTime, entry.rank, value);
                self.values.unit = if taken { unit } else { self.values.unit };
            }
            Meaning::Told(header) => {
                let taken = self.set(Slot::ProxyStatus, entry.rank, value);
                self.values.header = if taken { header } else { self.values.header };
            }
            Meaning::Extra(index) => self.values.set_first(Target::Extra(index), value),
            Meaning::Host if self.host.is_empty() => self.host = value,
            Meaning::Logstash => self.logstash = true,
            Meaning::Logger => self.logger = self.logger.or(Some(value)),
            Meaning::OriginStatus => self.origin_status = self.origin_status.or(Some(value)),
            Meaning::OriginSize if self.origin_size.is_empty() => self.origin_size = value,
            Meaning::Retries if self.retries.is_empty() => self.retries = value,
            Meaning::Flags => self.flags = self.flags.or(Some(value)),
            Meaning::Details if self.details.is_empty() => self.details = value,
            Meaning::Failure if self.failure.is_empty() => self.failure = value,
            Meaning::ServiceTime => self.service_time = self.service_time.or(Some(value)),
            Meaning::Tries if self.tries.is_empty() => self.tries = value,
            Meaning::Message if self.message.is_empty() => self.message = value,
            Meaning::State => self.state.take(entry.rank, value),
            Meaning::Phrase => self.phrase.take(entry.rank, value),
            Meaning::Exit => self.exit.take(entry.rank, value),
            Meaning::Proxy => self.proxy.take(entry.rank, value),
            Meaning::Provider => self.provider.take(entry.rank, value),
            Meaning::Error => self.take_error(value),
            _ => {}
        }
    }

    fn take_error(&mut self, value: &'a [u8]) {
        // What programs write where there was none.
        if is_missing(value)
            || matches!(value, b"None" | b"none" | b"false" | b"0" | b"nil" | b"undefined" | b"<nil>")
        {
            return;
        }
        if let Some(free) = self.errors.iter_mut().find(|held| held.is_empty()) {
            *free = value;
        }
    }

    /// Names and texts of the error, as far as there are any.
    pub fn errors(&self) -> &[&'a [u8]] {
        let count = self.errors.iter().take_while(|text| !text.is_empty()).count();
        self.errors.get(..count).unwrap_or_default()
    }

    /// Puts a value into its slot if it ranks above what is there; of equals the first counts.
    pub fn set(&mut self, slot: Slot, rank: u8, value: &'a [u8]) -> bool {
        let Some(old) = self.ranks.get_mut(slot as usize) else { return false };
        // `"status":"failed"` beside `"status_code":502`; a target may be a path.
        let is_less = |value: &[u8]| match slot {
            _ if is_missing(value) => true,
            Slot::Status => fields::status(value).is_none(),
            Slot::Site => value.starts_with(b"/"),
            _ => false,
        };
        let better = match self.values.get(slot) {
            None => true,
            Some(held) => !is_less(value) && (rank < *old || is_less(held)),
        };
        if better {
            *old = rank;
            self.values.set(Target::Slot(slot), value);
        }
        better
    }

    /// What needs the whole line: whose it is, whose host it is, what a bare duration counts.
    pub fn settle(&mut self) {
        if self.speaker.is_none() && self.is_scraper() {
            self.speaker = Some(Speaker::Scraper);
        }
        // A whole URL names the host that was asked for; another one beside it is the machine.
        let path = if self.has_site() { b"" } else { self.values.or_empty(Slot::Path) };
        let asked = if path.starts_with(b"http") { fields::authority(path) } else { b"" };
        if !self.host.is_empty() {
            let is_node = self.logstash || !asked.is_empty() && text::site(asked) != text::site(self.host);
            self.set(if is_node { Slot::Node } else { Slot::Site }, 2, self.host);
        }
        if !asked.is_empty() {
            self.set(Slot::Site, 3, asked);
        }
        // Whatever the name: Envoy's time is the start (Contour calls it `@timestamp`).
        if self.speaker == Some(Speaker::Envoy)
            && let Some(time) = self.values.get(Slot::Time)
        {
            self.set(Slot::StartTime, u8::MAX, time);
        }
        if self.values.unit == Unit::Written {
            self.values.unit = match self.speaker {
                Some(Speaker::Caddy) => Unit::Seconds,
                Some(Speaker::Envoy) => Unit::Millis,
                Some(Speaker::Fastly) => Unit::Micros,
                _ => Unit::Written,
            };
        }
        if self.speaker == Some(Speaker::Scraper) {
            self.settle_scraper();
        }
    }

    /// Whether nothing that the host or the path says of the site would count any more.
    fn has_site(&self) -> bool {
        let rank = self.ranks.get(Slot::Site as usize);
        self.host.is_empty()
            && rank.is_some_and(|rank| *rank <= 3)
            && self.values.get(Slot::Site).is_some_and(|site| !is_missing(site) && !site.starts_with(b"/"))
    }

    /// A fetch names the exit, the proxy or an error; nginx's own variables say that it is none.
    fn is_scraper(&self) -> bool {
        let nginx = [Slot::UpstreamStatus, Slot::ConnectTime, Slot::HeaderTime];
        (self.names_exit() || !self.errors().is_empty())
            && self.logger.is_none()
            && nginx.iter().all(|slot| self.values.get(*slot).is_none())
    }

    /// Whether the line names the proxy that was asked, or the exit itself.
    pub fn names_exit(&self) -> bool {
        !self.proxy.get().is_empty() || (!self.exit.get().is_empty() && self.exit.rank < SESSION)
    }

    /// Whether the line names the host that was asked, and not just a host.
    pub fn names_target(&self) -> bool {
        let site = self.values.or_empty(Slot::Site);
        !site.is_empty() && site != self.host
    }

    /// The proxy that was asked, or else the exit, is the upstream.
    fn settle_scraper(&mut self) {
        let proxy = fields::authority(self.proxy.get());
        let exit = match fields::authority(self.exit.get()) {
            b"" => proxy,
            exit => exit,
        };
        // A map has labels of its own in these places, and names none of these.
        for (place, value) in [(0, exit), (1, self.provider.get())] {
            if !value.is_empty() {
                self.values.set(Target::Extra(place), value);
            }
        }
        self.set(Slot::Upstream, 5, if proxy.is_empty() { exit } else { proxy });
    }
}
