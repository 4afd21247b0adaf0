//! How fast a receiver is told: a token bucket, and the waits between tries.

use crate::receiver::Rate;
use gatewatch_parsers::Millis;

const BACKOFF_MAX: Millis = 60_000;
const RETRY_AFTER_MAX: Millis = 15 * 60_000;

/// Messages that may go out at `now`, of a receiver whose rate is used up to `paid_until`.
pub(super) fn tokens(rate: Option<Rate>, paid_until: Millis, now: Millis) -> usize {
    let Some(rate) = rate else { return usize::MAX };
    let owed = paid_until.saturating_sub(now).max(0);
    let interval = rate.interval();
    let free = Millis::from(rate.count).saturating_mul(interval).saturating_sub(owed);
    usize::try_from(free / interval).unwrap_or(0)
}

/// When there is a token.
pub(super) fn next_token(rate: Option<Rate>, paid_until: Millis) -> Millis {
    let Some(rate) = rate else { return Millis::MIN };
    paid_until.saturating_sub(rate.interval().saturating_mul(Millis::from(rate.count) - 1))
}

/// One message at `now`: up to when the rate is used after it.
pub(super) fn spend(rate: Option<Rate>, paid_until: Millis, now: Millis) -> Millis {
    rate.map_or(paid_until, |rate| paid_until.max(now).saturating_add(rate.interval()))
}

/// How long to wait after the try that failed, `tries` having failed before it: full jitter, and as long as the receiver
/// asks for.
pub(super) fn back_off(random: &mut u64, tries: u32, after: Option<Millis>) -> Millis {
    let most = BACKOFF_MAX.min(1_000 << tries.min(6));
    uniform(random, most).max(after.unwrap_or(0).clamp(0, RETRY_AFTER_MAX))
}

/// The next of a splitmix64 sequence, in `0..=most`.
fn uniform(state: &mut u64, most: Millis) -> Millis {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z % (most.unsigned_abs() + 1)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_steady_rate() {
        let rate = Some(Rate { count: 3, per: 60_000 });
        let (mut paid_until, mut sent) = (0, Vec::new());
        for now in (0..120_000).step_by(1_000) {
            while tokens(rate, paid_until, now) > 0 {
                assert!(next_token(rate, paid_until) <= now);
                paid_until = spend(rate, paid_until, now);
                sent.push(now / 1_000);
            }
            assert!(next_token(rate, paid_until) > now);
        }
        assert_eq!(sent, [0, 0, 0, 20, 40, 60, 80, 100]);
        assert_eq!(
            (tokens(None, 99, 0), next_token(None, 99), spend(None, 99, 0)),
            (usize::MAX, Millis::MIN, 99)
        );
        assert_eq!(tokens(rate, Millis::MAX, Millis::MIN), 0);
    }

    /// Random in [0, min(60 s, 1 s · 2ⁿ)], and no sooner than the receiver says, up to 15 min.
    #[test]
    fn full_jitter() {
        let mut random = 7;
        for tries in 0..12 {
            let most = 60_000.min(1_000 << tries.min(6));
            let waits: Vec<Millis> = (0..2_000).map(|_| back_off(&mut random, tries, None)).collect();
            let mean = waits.iter().sum::<Millis>() / 2_000;
            assert!(waits.iter().all(|wait| (0..=most).contains(wait)), "{tries}");
            assert!((most * 45 / 100..most * 55 / 100).contains(&mean), "{tries}: {mean} of {most}");
        }
        for (asked, at_least, at_most) in [
            (120_000, 120_000, 120_000),
            (9_999_999, 900_000, 900_000),
            (-5, 0, 60_000),
            (2_000, 2_000, 60_000),
        ] {
            let wait = back_off(&mut random, 9, Some(asked));
            assert!((at_least..=at_most).contains(&wait), "{asked}: {wait}");
        }
    }
}
