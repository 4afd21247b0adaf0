//! Reasons from two sources: the access log counts every failure, often in a coarse word; the error log of the same proxy
//! says finer words, of which some are missing and some belong to attempts that a retry made good. Coarse counts are split
//! by the finer words of the same upstream and time. No line is joined with another, so their order does not matter.

use gatewatch_parsers::{Origin, Reason};
use std::collections::BTreeMap;

/// Reasons of several upstreams, to be read out together: each is refined by what is told of itself.
#[derive(Debug, Default)]
pub(crate) struct ByUpstream<'a>(BTreeMap<&'a [u8], Part>);

#[derive(Debug, Default)]
struct Part {
    reasons: Vec<(Reason, u64)>,
    diagnosed: Vec<(Reason, u64)>,
    of_proxy: u64,
}

impl<'a> ByUpstream<'a> {
    /// Adds what was counted of an upstream; an empty one is all that is of none.
    pub fn add(
        &mut self,
        upstream: &'a [u8],
        reasons: impl Iterator<Item = (Reason, u64)>,
        diagnosed: impl Iterator<Item = (Reason, u64)>,
        origins: impl Iterator<Item = (Origin, u64)>,
    ) {
        let (mut reasons, mut diagnosed) = (reasons.peekable(), diagnosed.peekable());
        if reasons.peek().is_none() && diagnosed.peek().is_none() {
            return;
        }
        let part = self.0.entry(upstream).or_default();
        part.reasons.extend(reasons);
        part.diagnosed.extend(diagnosed);
        part.of_proxy += origins.filter(|(origin, _)| *origin == Origin::Proxy).map(|(_, n)| n).sum::<u64>();
    }

    /// All of them, in the order of `Reason::ALL`.
    pub fn reasons(&self) -> Vec<(Reason, u64)> {
        let mut all: Counts = [0; Reason::ALL.len()];
        for part in self.0.values() {
            for (reason, n) in refine(&part.reasons, &part.diagnosed, part.of_proxy) {
                if let Some(sum) = all.get_mut(reason as usize) {
                    *sum = sum.saturating_add(n);
                }
            }
        }
        Reason::ALL.into_iter().zip(all).filter(|(_, n)| *n > 0).collect()
    }
}

/// What the access log counted for a reason is never moved, but from these words to those.
const FINER: &[(Reason, &[Reason])] = &[
    (
        Reason::ConnectionFailed,
        &[
            Reason::ConnectionRefused,
            Reason::ConnectionTimeout,
            Reason::ConnectionTerminated,
            Reason::ConnectionLimitReached,
            Reason::TlsProtocolError,
            Reason::TlsCertificateError,
        ],
    ),
    (
        Reason::InvalidResponse,
        &[
            Reason::ConnectionTerminated,
            Reason::HttpProtocolError,
            Reason::HttpResponseHeaderSectionSize,
            Reason::HttpResponseIncomplete,
        ],
    ),
];

/// What no proxy makes by itself: the log's `unknown` of a proxy's own answers can be neither.
const NOT_OF_A_PROXY: &[Reason] = &[Reason::UpstreamResponse, Reason::ClientAborted, Reason::Unknown];

/// Counts by reason, in the order of `Reason::ALL`.
type Counts = [u64; Reason::ALL.len()];

/// Splits the coarse counts of `reasons` by `diagnosed`; both of one upstream and time. `of_proxy`: how many of all the
/// errors the proxy made, as far as that is known: only those are told by its error log where the reason is `unknown`.
///
/// The sum stays, no count but a coarse one falls, and none by more than the finer words that it may be split into. What
/// the access log says itself in a fine word is taken off the finer words first. Where these are more than the coarse
/// count (an error log tells of every attempt), it is split in their proportion.
#[must_use]
pub fn refine(reasons: &[(Reason, u64)], diagnosed: &[(Reason, u64)], of_proxy: u64) -> Vec<(Reason, u64)> {
    let (mut counts, mut finer) = (counts(reasons), counts(diagnosed));
    let unknown = unknown_of_proxy(&counts, of_proxy);
    for (told, known) in finer.iter_mut().zip(&counts) {
        *told = told.saturating_sub(*known);
    }
    for (coarse, words) in FINER {
        let most = at(&counts, *coarse);
        split(&mut counts, &mut finer, *coarse, most, words);
    }
    let words: Vec<Reason> = Reason::ALL.into_iter().filter(|r| !NOT_OF_A_PROXY.contains(r)).collect();
    split(&mut counts, &mut finer, Reason::Unknown, unknown, &words);
    Reason::ALL.into_iter().zip(counts).filter(|(_, n)| *n > 0).collect()
}

fn counts(of: &[(Reason, u64)]) -> Counts {
    let mut counts = [0; Reason::ALL.len()];
    for (reason, n) in of {
        if let Some(count) = counts.get_mut(*reason as usize) {
            *count = n.saturating_add(*count);
        }
    }
    counts
}

fn at(counts: &Counts, reason: Reason) -> u64 {
    counts.get(reason as usize).copied().unwrap_or(0)
}

/// How many of the unknown ones the proxy made: what is left of its errors when those with a word of a proxy are gone.
fn unknown_of_proxy(counts: &Counts, of_proxy: u64) -> u64 {
    let known = Reason::ALL.into_iter().filter(|r| !NOT_OF_A_PROXY.contains(r)).map(|r| at(counts, r));
    of_proxy.saturating_sub(known.fold(0, u64::saturating_add)).min(at(counts, Reason::Unknown))
}

/// Moves up to `most` of the coarse count to these words, as far as `finer` has them, and takes that off `finer`.
fn split(counts: &mut Counts, finer: &mut Counts, coarse: Reason, most: u64, words: &[Reason]) {
    let told: Vec<(usize, u64)> =
        words.iter().map(|word| (*word as usize, at(finer, *word))).filter(|(_, n)| *n > 0).collect();
    let all: u128 = told.iter().map(|(_, n)| u128::from(*n)).sum();
    let moved = u128::from(most).min(all);
    if moved == 0 {
        return;
    }
    // Whole shares first; what is left of the count goes to the greatest remainders, ties in the order of the words.
    let mut shares: Vec<(usize, u64, u128)> = told
        .iter()
        .map(|&(word, n)| {
            let share = u128::from(n) * moved;
            (word, u64::try_from(share / all).unwrap_or(0), share % all)
        })
        .collect();
    let whole: u128 = shares.iter().map(|(_, n, _)| u128::from(*n)).sum();
    shares.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
    let left = usize::try_from(moved - whole).unwrap_or(0);
    for (i, (word, n, _)) in shares.into_iter().enumerate() {
        let n = n + u64::from(i < left);
        for (counts, is_gain) in [(&mut *counts, true), (&mut *finer, false)] {
            if let Some(count) = counts.get_mut(word) {
                *count = if is_gain { count.saturating_add(n) } else { count.saturating_sub(n) };
            }
        }
        if let Some(count) = counts.get_mut(coarse as usize) {
            *count -= n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use Reason::{
        ConnectionFailed as Failed, ConnectionReadTimeout as ReadTimeout, ConnectionRefused as Refused,
        ConnectionTerminated as Terminated, ConnectionTimeout as Timeout, DnsError,
        HttpProtocolError as Garbage, InvalidResponse as Invalid, TlsCertificateError as Tls, Unknown,
        UpstreamResponse as Own,
    };

    #[test]
    fn coarse_words_are_split_by_finer_ones() {
        type Reasons = &'static [(Reason, u64)];
        // What the access log counts, how many the proxy made, what the error log tells, what is read out.
        let cases: [(Reasons, u64, Reasons, Reasons); 12] = [
            (&[(Failed, 5)], 5, &[], &[(Failed, 5)]),
            (&[(Failed, 5)], 5, &[(Refused, 5)], &[(Refused, 5)]),
            (&[(Failed, 5)], 5, &[(Refused, 2), (Tls, 1)], &[(Refused, 2), (Tls, 1), (Failed, 2)]),
            // Attempts that a retry made good are in the error log, too.
            (&[(Failed, 2)], 2, &[(Refused, 9)], &[(Refused, 2)]),
            (&[(Failed, 10)], 10, &[(Refused, 16), (Timeout, 4)], &[(Refused, 8), (Timeout, 2)]),
            // In the right direction only.
            (&[(Failed, 3)], 3, &[(Garbage, 3), (ReadTimeout, 3)], &[(Failed, 3)]),
            (&[(Invalid, 3)], 3, &[(Terminated, 1), (Garbage, 2)], &[(Terminated, 1), (Garbage, 2)]),
            // What the access log says finely is not told twice.
            (
                &[(ReadTimeout, 3), (Unknown, 3)],
                6,
                &[(ReadTimeout, 3), (DnsError, 2)],
                &[(ReadTimeout, 3), (DnsError, 2), (Unknown, 1)],
            ),
            // Unknown, and nobody knows whose.
            (&[(Unknown, 3)], 0, &[(Refused, 3)], &[(Unknown, 3)]),
            (&[(Unknown, 5), (Own, 2)], 3, &[(Refused, 9)], &[(Refused, 3), (Own, 2), (Unknown, 2)]),
            (&[(Own, 4)], 0, &[(Refused, 4)], &[(Own, 4)]),
            (&[], 0, &[(Refused, 4)], &[]),
        ];
        for (reasons, of_proxy, diagnosed, expected) in cases {
            let mut expected = expected.to_vec();
            expected.sort();
            assert_eq!(refine(reasons, diagnosed, of_proxy), expected, "{reasons:?} {diagnosed:?}");
        }
    }

    fn reasons() -> impl Strategy<Value = Vec<(Reason, u64)>> {
        let reason = (0..Reason::ALL.len()).prop_map(|i| Reason::ALL[i]);
        let count = prop_oneof![8 => 0..40u64, 1 => 0..u64::from(u32::MAX)];
        proptest::collection::vec((reason, count), 0..12)
    }

    proptest! {
        #[test]
        fn sums_hold_and_no_split_goes_too_far(access in reasons(), told in reasons(), of_proxy in 0..200u64) {
            let (before, finer) = (counts(&access), counts(&told));
            let after = refine(&access, &told, of_proxy);
            let turned = |of: &[(Reason, u64)]| of.iter().rev().copied().collect::<Vec<_>>();
            prop_assert_eq!(&refine(&turned(&access), &turned(&told), of_proxy), &after);
            let after = counts(&after);
            prop_assert_eq!(before.iter().sum::<u64>(), after.iter().sum::<u64>());
            for reason in Reason::ALL {
                let (was, is) = (at(&before, reason), at(&after, reason));
                let is_coarse = reason == Unknown || FINER.iter().any(|(coarse, _)| *coarse == reason);
                // Only coarse counts fall, and none grows beyond what the error log tells of it.
                prop_assert!(is >= was || is_coarse, "{}", reason.name());
                prop_assert!(is <= was.max(at(&finer, reason)) || is <= was, "{}", reason.name());
            }
            // What is known already changes nothing more.
            prop_assert_eq!(refine(&access, &[], of_proxy), refine(&access, &[], 0));
        }
    }
}
