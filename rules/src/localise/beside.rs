//! Around a cause: how much of it fails, and what beside it does not.

use super::search::Scale;
use super::{Cube, SPARED_MAX, Seen, Spared};
use crate::series::OTHER;

/// Fails at less than this share of the cause's surplus: it does not fail with it.
const ALIKE: f64 = 0.25;

/// Sums by the values of a label, of the rows that a filter lets pass.
fn by_value<'a>(cube: &'a Cube, label: &str, takes: impl Fn(&[u32]) -> bool) -> Vec<(&'a str, Seen)> {
    let Some(at) = cube.names.iter().position(|name| name == label) else { return Vec::new() };
    let values = cube.values.get(at).map_or(&[][..], Vec::as_slice);
    let mut sums = vec![Seen::default(); values.len()];
    for (row, seen) in cube.rows.iter().zip(&cube.seen).filter(|(row, _)| takes(row)) {
        if let Some(sum) = row.get(at).and_then(|code| sums.get_mut(*code as usize)) {
            sum.add(seen);
        }
    }
    let all = values.iter().map(String::as_str).zip(sums);
    all.filter(|(value, seen)| *value != OTHER && !value.is_empty() && seen.requests > 0.0).collect()
}

/// Which codes a cause asks for; `None`: it names what is not there.
fn codes(cube: &Cube, cause: &[(String, String)]) -> Option<Vec<(usize, u32)>> {
    let code = |(name, value): &(String, String)| {
        let at = cube.names.iter().position(|known| known == name)?;
        Some((at, *cube.codes.get(at)?.get(value)?))
    };
    cause.iter().map(code).collect()
}

fn covers(codes: &[(usize, u32)], row: &[u32]) -> bool {
    codes.iter().all(|(at, code)| row.get(*at) == Some(code))
}

/// Errors beyond what is usual, a request.
fn surplus(scale: &Scale, seen: &Seen) -> f64 {
    (seen.errors - scale.expected(seen)) / seen.requests.max(1.0)
}

fn scale(cube: &Cube) -> Scale {
    let mut all = Seen::default();
    cube.seen.iter().for_each(|seen| all.add(seen));
    Scale::of(&all)
}

pub(super) fn affected(cube: &Cube, cause: &[(String, String)], label: &str) -> Option<(u32, u32)> {
    let codes = codes(cube, cause)?;
    let scale = scale(cube);
    let values = by_value(cube, label, |row| covers(&codes, row));
    let mut whole = Seen::default();
    values.iter().for_each(|(_, seen)| whole.add(seen));
    let least = surplus(&scale, &whole) * ALIKE;
    let fails = |seen: &Seen| seen.errors > 0.0 && surplus(&scale, seen) > least.max(0.0);
    let failing = values.iter().filter(|(_, seen)| fails(seen)).count();
    let of = u32::try_from(values.len()).ok().filter(|of| *of > 1)?;
    Some((u32::try_from(failing).unwrap_or(of), of))
}

pub(super) fn spared(cube: &Cube, cause: &[(String, String)]) -> Option<Spared> {
    let (label, own) = cause.first()?;
    let codes = codes(cube, cause)?;
    let scale = scale(cube);
    let mut whole = Seen::default();
    let rows = cube.rows.iter().zip(&cube.seen);
    rows.filter(|(row, _)| covers(&codes, row)).for_each(|(_, seen)| whole.add(seen));
    let least = surplus(&scale, &whole) * ALIKE;
    let mut others = by_value(cube, label, |_| true);
    others.retain(|(value, seen)| value != own && surplus(&scale, seen) <= least);
    others.sort_by(|a, b| b.1.requests.total_cmp(&a.1.requests).then_with(|| a.0.cmp(b.0)));
    let ratios = others.iter().map(|(_, seen)| seen.errors / seen.requests);
    let ratios = ratios.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), r| (low.min(r), high.max(r)));
    (!others.is_empty()).then(|| Spared {
        label: label.clone(),
        values: others.iter().take(SPARED_MAX).map(|(value, _)| (*value).to_owned()).collect(),
        more: u32::try_from(others.len().saturating_sub(SPARED_MAX)).unwrap_or(u32::MAX),
        ratios,
    })
}
