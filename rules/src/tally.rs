//! What is counted, and its addition. Tallies add in any order and grouping, so they merge across threads, files, series
//! and steps. Counts saturate.

use crate::rule::Counts;
use gatewatch_parsers::{Millis, Origin, Reason, Status};
use serde::{Deserialize, Serialize};

/// The counts that every tally has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub requests: u32,
    pub gateway_errors: u32,
    pub attempts: u32,
    pub failed_attempts: u32,
    pub masked: u32,
    pub aborted: u32,
    pub abandoned: u32,
}

impl Numbers {
    pub fn add(&mut self, other: &Numbers) {
        self.requests = self.requests.saturating_add(other.requests);
        self.gateway_errors = self.gateway_errors.saturating_add(other.gateway_errors);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.failed_attempts = self.failed_attempts.saturating_add(other.failed_attempts);
        self.masked = self.masked.saturating_add(other.masked);
        self.aborted = self.aborted.saturating_add(other.aborted);
        self.abandoned = self.abandoned.saturating_add(other.abandoned);
    }
}

/// A count that only few tallies have: which one, in two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Detail(u16);

/// What a [`Detail`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gateway errors for this reason.
    Reason(Reason),
    /// Gateway errors of this origin.
    Origin(Origin),
    /// Failed attempts for this reason.
    Failed(Reason),
    /// Failures of upstreams for this reason, as an error log has them.
    Diagnosed(Reason),
    /// Bodies cut for this reason, as an error log has them; in `aborted`, too.
    Cut(Reason),
    /// Requests with this status.
    Status(Status),
    /// Requests that took longer than so many hundredths of a second.
    Slow(u16),
}

const ORIGINS: u16 = 64;
const FAILED: u16 = 128;
const DIAGNOSED: u16 = 160;
const CUT: u16 = 192;
const STATUSES: u16 = 256;
const SLOW: u16 = 2_048;
/// Requests are counted by how long they took up to so many hundredths of a second.
const SLOW_MAX: u16 = 60_000;

/// Details from here on, so many, have codes from there on. Those of 500 to 515 stand first; both ranges hold them, and
/// the first one counts.
const CODES: [(u16, u16, u16); 7] = [
    (STATUSES + 500, 16, 0),
    (0, 32, 16),
    (ORIGINS, 8, 48),
    (FAILED, 32, 56),
    (STATUSES, Status::COUNT as u16, 88),
    (DIAGNOSED, 64, 88 + Status::COUNT as u16),
    (SLOW, SLOW_MAX + 1, 152 + Status::COUNT as u16),
];

/// A length of time as [`Kind::Slow`] has it; `None`: it is not counted.
pub(crate) fn slow_units(longer_than: Millis) -> Option<u16> {
    let units = u16::try_from(longer_than / 10).ok()?;
    (longer_than % 10 == 0 && (1..=SLOW_MAX).contains(&units)).then_some(units)
}

impl Detail {
    pub fn reason(reason: Reason) -> Detail {
        Detail(reason as u16)
    }

    pub fn origin(origin: Origin) -> Detail {
        Detail(ORIGINS + origin as u16)
    }

    pub fn failed(reason: Reason) -> Detail {
        Detail(FAILED + reason as u16)
    }

    pub fn diagnosed(reason: Reason) -> Detail {
        Detail(DIAGNOSED + reason as u16)
    }

    pub fn cut(reason: Reason) -> Detail {
        Detail(CUT + reason as u16)
    }

    pub fn status(status: Status) -> Detail {
        Detail(STATUSES + u16::try_from(status.index()).unwrap_or(0))
    }

    /// Of so many hundredths of a second.
    pub fn slow(units: u16) -> Detail {
        Detail(SLOW + units.min(SLOW_MAX))
    }

    /// `None` never happens for what the functions above made.
    pub fn kind(self) -> Option<Kind> {
        let at = |base: u16| usize::from(self.0 - base);
        match self.0 {
            0..ORIGINS => Reason::ALL.get(at(0)).map(|r| Kind::Reason(*r)),
            ORIGINS..FAILED => Origin::ALL.get(at(ORIGINS)).map(|o| Kind::Origin(*o)),
            FAILED..DIAGNOSED => Reason::ALL.get(at(FAILED)).map(|r| Kind::Failed(*r)),
            DIAGNOSED..CUT => Reason::ALL.get(at(DIAGNOSED)).map(|r| Kind::Diagnosed(*r)),
            CUT..STATUSES => Reason::ALL.get(at(CUT)).map(|r| Kind::Cut(*r)),
            STATUSES..SLOW => Some(Kind::Status(Status::new(self.0 - STATUSES))),
            SLOW.. => Some(Kind::Slow(self.0 - SLOW)),
        }
    }

    /// Whether the tier of minutes keeps it: what rules may watch.
    fn is_coarse(self) -> bool {
        self.0 >= STATUSES
    }

    /// Failed attempts for some reason.
    pub fn is_failed(self) -> bool {
        (FAILED..DIAGNOSED).contains(&self.0)
    }

    /// As a number that [`Detail::from_code`] takes back: what is counted most is small and close together.
    pub fn code(self) -> u16 {
        let range = CODES.iter().find(|(from, length, _)| (*from..from + length).contains(&self.0));
        range.map_or(self.0, |(from, _, code)| code + (self.0 - from))
    }

    /// `None`: it counts nothing that is known.
    pub fn from_code(code: u16) -> Option<Detail> {
        let (from, _, start) =
            CODES.iter().find(|(_, length, start)| (*start..start + length).contains(&code))?;
        let detail = Detail(from + (code - start));
        (detail.code() == code && detail.kind().is_some()).then_some(detail)
    }
}

/// Sorted by detail, so that equal counts are equal values.
type Details = Vec<(Detail, u32)>;

/// Counts of some requests and attempts. Those without an error or a watched status allocate nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    numbers: Numbers,
    // Most tallies have none; a box keeps each at 40 bytes.
    details: Option<Box<Details>>,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Tally) {
        self.numbers.add(&other.numbers);
        for (detail, count) in other.details() {
            self.add_detail(detail, count);
        }
    }

    /// Adds another's counts without its reasons and origins: what the tier of minutes keeps.
    pub(crate) fn add_coarse(&mut self, other: &Tally) {
        self.numbers.add(&other.numbers);
        for (detail, count) in other.details().filter(|(detail, _)| detail.is_coarse()) {
            self.add_detail(detail, count);
        }
    }

    pub(crate) fn add_numbers(&mut self, numbers: &Numbers) {
        self.numbers.add(numbers);
    }

    pub(crate) fn add_detail(&mut self, detail: Detail, count: u32) {
        let details = self.details.get_or_insert_default();
        match details.binary_search_by_key(&detail, |d| d.0) {
            Ok(at) => {
                if let Some(found) = details.get_mut(at) {
                    found.1 = found.1.saturating_add(count);
                }
            }
            Err(at) => details.insert(at, (detail, count)),
        }
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    pub(crate) fn details(&self) -> impl Iterator<Item = (Detail, u32)> {
        self.details.iter().flat_map(|details| details.iter().copied())
    }

    fn detail(&self, detail: Detail) -> u64 {
        let found = |d: &Details| Some(d.get(d.binary_search_by_key(&detail, |d| d.0).ok()?)?.1);
        self.details.as_deref().and_then(found).map_or(0, u64::from)
    }

    /// Finished requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.numbers.requests.into()
    }

    /// Gateway errors among them.
    #[must_use]
    pub fn gateway_errors(&self) -> u64 {
        self.numbers.gateway_errors.into()
    }

    /// Tries at upstreams.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.numbers.attempts.into()
    }

    /// Failed ones among them.
    #[must_use]
    pub fn failed_attempts(&self) -> u64 {
        self.numbers.failed_attempts.into()
    }

    /// Failed attempts that were not the end of their request: all but those that became gateway errors.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.failed_attempts().saturating_sub(self.gateway_errors())
    }

    /// Requests that ended well after a failed attempt.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.numbers.masked.into()
    }

    /// Requests cut after the header.
    #[must_use]
    pub fn aborted(&self) -> u64 {
        self.numbers.aborted.into()
    }

    /// Requests whose client left before the upstream's header.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.numbers.abandoned.into()
    }

    /// What a rule counts.
    #[must_use]
    pub fn count(&self, counts: Counts) -> u64 {
        match counts {
            Counts::GatewayErrors => self.gateway_errors(),
            Counts::FailedAttempts => self.failed_attempts(),
            Counts::Retried => self.retried(),
            Counts::Masked => self.masked(),
            Counts::Abandoned => self.abandoned(),
            Counts::Aborted => self.aborted(),
        }
    }

    /// What a rule divides by.
    #[must_use]
    pub fn of(&self, counts: Counts) -> u64 {
        match counts {
            Counts::FailedAttempts | Counts::Retried | Counts::Masked => self.attempts(),
            Counts::GatewayErrors | Counts::Abandoned | Counts::Aborted => self.requests(),
        }
    }

    /// Requests with this status, if it is 502, 503, 504, that of a gateway error, or watched by a rule; else 0.
    #[must_use]
    pub fn status(&self, status: Status) -> u64 {
        self.detail(Detail::status(status))
    }

    /// Requests that took longer than this, if a rule watches it; else 0.
    #[must_use]
    pub fn slow(&self, longer_than: Millis) -> u64 {
        slow_units(longer_than).map_or(0, |units| self.detail(Detail::slow(units)))
    }

    /// Whether there is a request with a watched status, or one that took longer than a rule watches.
    #[must_use]
    pub(crate) fn has_watched(&self) -> bool {
        self.details
            .as_deref()
            .and_then(|details| details.last())
            .is_some_and(|(detail, _)| detail.is_coarse())
    }

    /// Requests by such statuses, ascending.
    pub fn statuses(&self) -> impl Iterator<Item = (Status, u64)> {
        self.details().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Status(status) => Some((status, u64::from(count))),
            _ => None,
        })
    }

    /// Gateway errors by reason, in the order of `Reason::ALL`. None in the tier of minutes.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.details().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Reason(reason) => Some((reason, u64::from(count))),
            _ => None,
        })
    }

    /// Gateway errors by origin, in the order of `Origin::ALL`. None in the tier of minutes.
    pub fn origins(&self) -> impl Iterator<Item = (Origin, u64)> {
        self.details().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Origin(origin) => Some((origin, u64::from(count))),
            _ => None,
        })
    }

    /// What error logs tell of the same upstream: failures by reason, in the order of `Reason::ALL`. None in the tier of
    /// minutes.
    pub fn diagnosed(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.details().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Diagnosed(reason) => Some((reason, u64::from(count))),
            _ => None,
        })
    }

    /// Failed attempts by reason, in the order of `Reason::ALL`. None in the tier of minutes.
    pub fn failed_reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.details().filter_map(|(detail, count)| match detail.kind()? {
            Kind::Failed(reason) => Some((reason, u64::from(count))),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn detail() -> impl Strategy<Value = Detail> {
        prop_oneof![
            (0..Reason::ALL.len()).prop_map(|i| Detail::reason(Reason::ALL[i])),
            (0..Origin::ALL.len()).prop_map(|i| Detail::origin(Origin::ALL[i])),
            (0..Reason::ALL.len()).prop_map(|i| Detail::failed(Reason::ALL[i])),
            (0..Reason::ALL.len()).prop_map(|i| Detail::diagnosed(Reason::ALL[i])),
            (0..Reason::ALL.len()).prop_map(|i| Detail::cut(Reason::ALL[i])),
            prop_oneof![Just(Status::NONE), (0..1000u16).prop_map(Status::new)].prop_map(Detail::status),
            (1..=SLOW_MAX).prop_map(Detail::slow),
        ]
    }

    fn tally() -> impl Strategy<Value = Tally> {
        let number = || prop_oneof![0..1000u32, Just(u32::MAX - 7)];
        let numbers = proptest::array::uniform7(number()).prop_map(|n| Numbers {
            requests: n[0],
            gateway_errors: n[1],
            attempts: n[2],
            failed_attempts: n[3],
            masked: n[4],
            aborted: n[5],
            abandoned: n[6],
        });
        (numbers, proptest::collection::vec((detail(), number()), 0..8)).prop_map(|(numbers, details)| {
            let mut tally = Tally { numbers, details: None };
            details.into_iter().for_each(|(detail, count)| tally.add_detail(detail, count));
            tally
        })
    }

    fn sum(tallies: &[&Tally]) -> Tally {
        let mut sum = Tally::default();
        tallies.iter().for_each(|tally| sum.add(tally));
        sum
    }

    proptest! {
        #[test]
        fn addition_is_associative_and_commutative(a in tally(), b in tally(), c in tally()) {
            prop_assert_eq!(sum(&[&a, &b]), sum(&[&b, &a]));
            prop_assert_eq!(sum(&[&sum(&[&a, &b]), &c]), sum(&[&a, &sum(&[&b, &c])]));
            prop_assert_eq!(sum(&[&a]), a);
        }

        #[test]
        fn a_code_stands_for_one_detail(detail in detail(), code in any::<u16>()) {
            prop_assert_eq!(Detail::from_code(detail.code()), Some(detail));
            prop_assert!(Detail::from_code(code).is_none_or(|detail| detail.code() == code));
        }

        #[test]
        fn details_are_found_by_what_they_count(a in tally(), detail in detail()) {
            let before = a.clone();
            let mut a = a;
            a.add_detail(detail, 1);
            let of = |tally: &Tally| -> Vec<Vec<(String, u64)>> {
                vec![
                    tally.reasons().map(|(r, n)| (r.name().to_owned(), n)).collect(),
                    tally.origins().map(|(o, n)| (o.name().to_owned(), n)).collect(),
                    tally.failed_reasons().map(|(r, n)| (r.name().to_owned(), n)).collect(),
                    tally.diagnosed().map(|(r, n)| (r.name().to_owned(), n)).collect(),
                    tally.statuses().map(|(s, n)| (s.index().to_string(), n)).collect(),
                ]
            };
            let changed: Vec<usize> =
                of(&before).iter().zip(of(&a)).enumerate().filter(|(_, (b, a))| *b != a).map(|(i, _)| i).collect();
            let is_listed = !matches!(detail.kind(), Some(Kind::Cut(_) | Kind::Slow(_)));
            prop_assert!(changed.len() == usize::from(is_listed) || before.detail(detail) == u64::from(u32::MAX));
            if let Some(Kind::Status(status)) = detail.kind() {
                prop_assert_eq!(a.status(status), (before.status(status) + 1).min(u32::MAX.into()));
            }
        }
    }

    #[test]
    fn a_tally_of_good_requests_is_small() {
        assert!(size_of::<Tally>() <= 40);
        let mut coarse = Tally::default();
        let mut fine = Tally::default();
        fine.add_detail(Detail::reason(Reason::Unknown), 1);
        coarse.add_coarse(&fine);
        assert_eq!(coarse.details, None);
    }

    #[test]
    fn rules_divide_by_what_they_say() {
        let numbers = Numbers {
            requests: 1,
            gateway_errors: 2,
            attempts: 3,
            failed_attempts: 4,
            masked: 5,
            aborted: 6,
            abandoned: 7,
        };
        let tally = Tally { numbers, details: None };
        let counted =
            Counts::ALL.map(|counts| (counts.name(), tally.count(counts), counts.of(), tally.of(counts)));
        assert_eq!(
            counted,
            [
                ("gateway_errors", 2, "requests", 1),
                ("failed_attempts", 4, "attempts", 3),
                ("retried", 2, "attempts", 3),
                ("masked", 5, "attempts", 3),
                ("abandoned", 7, "requests", 1),
                ("aborted", 6, "requests", 1),
            ]
        );
    }
}
