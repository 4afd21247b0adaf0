//! Counts that never end: wide enough for years, of a series or of everything.

use crate::block::{Block, Cell};
use crate::report::Counted;
use crate::tally::{Detail, Kind, Numbers};
use gatewatch_parsers::{Origin, Reason, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

impl Counted {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Counted) {
        self.requests = self.requests.saturating_add(other.requests);
        self.gateway_errors = self.gateway_errors.saturating_add(other.gateway_errors);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.failed_attempts = self.failed_attempts.saturating_add(other.failed_attempts);
        self.masked = self.masked.saturating_add(other.masked);
        self.aborted = self.aborted.saturating_add(other.aborted);
        self.abandoned = self.abandoned.saturating_add(other.abandoned);
    }
}

impl From<&Numbers> for Counted {
    fn from(numbers: &Numbers) -> Counted {
        Counted {
            requests: numbers.requests.into(),
            gateway_errors: numbers.gateway_errors.into(),
            attempts: numbers.attempts.into(),
            failed_attempts: numbers.failed_attempts.into(),
            masked: numbers.masked.into(),
            aborted: numbers.aborted.into(),
            abandoned: numbers.abandoned.into(),
        }
    }
}

/// What a series came to, over all time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    counted: Counted,
    /// Sorted by detail, so that equal counts are equal values.
    details: Vec<(Detail, u64)>,
}

impl Total {
    pub(crate) fn add_cell(&mut self, block: &Block, cell: &Cell) {
        self.counted.add(&Counted::from(&cell.numbers));
        for (detail, count) in block.details(cell) {
            self.add_detail(detail, count.into());
        }
    }

    fn add_detail(&mut self, detail: Detail, count: u64) {
        match self.details.binary_search_by_key(&detail, |d| d.0) {
            Ok(at) => {
                if let Some(found) = self.details.get_mut(at) {
                    found.1 = found.1.saturating_add(count);
                }
            }
            Err(at) => self.details.insert(at, (detail, count)),
        }
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Total) {
        self.counted.add(&other.counted);
        for (detail, count) in &other.details {
            self.add_detail(*detail, *count);
        }
    }

    /// Requests, attempts and what became of them.
    #[must_use]
    pub fn counted(&self) -> &Counted {
        &self.counted
    }

    /// Requests with this status, if it is one that is counted by series: 502, 503, 504 and those that rules watch.
    #[must_use]
    pub fn status(&self, code: u16) -> u64 {
        self.detail(Detail::status(Status::new(code)))
    }

    /// The statuses that are counted by series, ascending.
    pub fn statuses(&self) -> impl Iterator<Item = (Status, u64)> {
        self.details.iter().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Status(status) => Some((status, *count)),
            _ => None,
        })
    }

    /// Gateway errors by reason, in the order of `Reason::ALL`.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.details.iter().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Reason(reason) => Some((reason, *count)),
            _ => None,
        })
    }

    /// What error logs tell: failures by reason, in the order of `Reason::ALL`.
    pub fn diagnosed(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.details.iter().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Diagnosed(reason) => Some((reason, *count)),
            _ => None,
        })
    }

    /// What error logs tell: bodies cut by reason, in the order of `Reason::ALL`.
    pub fn cuts(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.details.iter().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Cut(reason) => Some((reason, *count)),
            _ => None,
        })
    }

    /// Gateway errors by origin: all four.
    pub fn origins(&self) -> impl Iterator<Item = (Origin, u64)> {
        Origin::ALL.iter().map(|origin| (*origin, self.detail(Detail::origin(*origin))))
    }

    fn detail(&self, detail: Detail) -> u64 {
        let found = self.details.binary_search_by_key(&detail, |d| d.0).ok();
        found.and_then(|at| self.details.get(at)).map_or(0, |d| d.1)
    }

    /// Whether it can have been counted, and not just read from a file.
    pub(crate) fn is_sound(&self) -> bool {
        self.details.iter().all(|(detail, _)| detail.kind().is_some())
            && self.details.is_sorted_by(|a, b| a.0 < b.0)
    }
}

/// What everything came to since the state was new, late and future records too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests, attempts and what became of them.
    pub counted: Counted,
    /// Requests by status as logged.
    pub status: BTreeMap<Status, u64>,
    /// Requests among them whose step was closed when they came.
    pub late: u64,
    /// Requests among them that were stamped over an hour ahead of their file.
    pub future: u64,
    /// Messages that never arrived, as far as is known.
    pub lost: u64,
}

impl Totals {
    /// Adds a block of which so many requests were late.
    pub(crate) fn absorb(&mut self, block: &Block, late: u64) {
        for cell in block.cells().iter().filter(|cell| block.is_first(cell)) {
            self.counted.add(&Counted::from(&cell.numbers));
        }
        for (status, count) in block.statuses() {
            let sum = self.status.entry(status).or_default();
            *sum = sum.saturating_add(count);
        }
        self.late = self.late.saturating_add(late);
        self.future = self.future.saturating_add(block.future());
    }

    /// So many more messages never arrived.
    pub(crate) fn lose(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
    }
}
