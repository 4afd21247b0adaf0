//! A cube as it is searched: the labels that tell something, their values in order, every set of them once. So a verdict
//! cannot depend on the order in which its counts came.

use super::{Cube, DIMENSIONS_MAX, Seen};

/// Label sets and their counts.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub names: Vec<String>,
    /// By label: its values, ascending.
    pub values: Vec<Vec<String>>,
    /// By row, ascending: the codes of its values.
    pub rows: Vec<[u32; DIMENSIONS_MAX]>,
    pub seen: Vec<Seen>,
}

impl Table {
    pub fn of(cube: &Cube) -> Table {
        let chosen = chosen(cube);
        let mut table = Table::default();
        let mut ranks = Vec::new();
        for &at in &chosen {
            let values = cube.values.get(at).map_or(&[][..], Vec::as_slice);
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by_key(|code| values.get(*code));
            let mut rank = vec![0u32; values.len()];
            for (new, old) in (0u32..).zip(&order) {
                if let Some(slot) = rank.get_mut(*old) {
                    *slot = new;
                }
            }
            table.values.push(order.iter().filter_map(|code| values.get(*code).cloned()).collect());
            table.names.push(cube.names.get(at).cloned().unwrap_or_default());
            ranks.push((at, rank));
        }
        let recoded = |row: &Vec<u32>| {
            let mut codes = [0; DIMENSIONS_MAX];
            for (slot, (at, rank)) in codes.iter_mut().zip(&ranks) {
                *slot = row.get(*at).and_then(|code| rank.get(*code as usize)).copied().unwrap_or(0);
            }
            codes
        };
        let mut rows: Vec<([u32; DIMENSIONS_MAX], &Seen)> =
            cube.rows.iter().map(recoded).zip(&cube.seen).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| by_count(a.1, b.1)));
        for (row, seen) in rows {
            if table.rows.last() == Some(&row)
                && let Some(sum) = table.seen.last_mut()
            {
                sum.add(seen);
            } else {
                table.rows.push(row);
                table.seen.push(*seen);
            }
        }
        table.give_requests();
        table
    }

    /// Where no requests were counted at all, as many as before are taken, or one a row: errors alone tell something, too.
    fn give_requests(&mut self) {
        let sum = self.sum();
        if sum.requests > 0.0 {
            return;
        }
        for seen in &mut self.seen {
            seen.requests = if sum.baseline_requests > 0.0 { seen.baseline_requests } else { 1.0 };
        }
    }

    pub fn sum(&self) -> Seen {
        let mut sum = Seen::default();
        self.seen.iter().for_each(|seen| sum.add(seen));
        sum
    }
}

/// Sums of fractions depend on the order of their parts.
fn by_count(a: &Seen, b: &Seen) -> std::cmp::Ordering {
    let of = |seen: &Seen| [seen.errors, seen.requests, seen.baseline_errors, seen.baseline_requests];
    let pairs = of(a).into_iter().zip(of(b));
    pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

/// The places of the labels to search: those with more than one value. Of too many, those whose values differ most in
/// their share of errors.
fn chosen(cube: &Cube) -> Vec<usize> {
    let differing = cube.values.iter().enumerate().filter(|(_, values)| values.len() > 1);
    let mut chosen: Vec<usize> = differing.map(|(at, _)| at).collect();
    if chosen.len() > DIMENSIONS_MAX {
        let mut told: Vec<(f64, usize)> = chosen.iter().map(|at| (spread(cube, *at), *at)).collect();
        told.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        chosen = told.into_iter().take(DIMENSIONS_MAX).map(|(_, at)| at).collect();
        chosen.sort_unstable();
    }
    chosen
}

/// The greatest surprise among the values of a label.
fn spread(cube: &Cube, at: usize) -> f64 {
    let mut sums = vec![Seen::default(); cube.values.get(at).map_or(0, Vec::len)];
    let mut all = Seen::default();
    for (row, seen) in cube.rows.iter().zip(&cube.seen) {
        all.add(seen);
        if let Some(sum) = row.get(at).and_then(|code| sums.get_mut(*code as usize)) {
            sum.add(seen);
        }
    }
    let scale = super::search::Scale::of(&all);
    sums.iter().map(|sum| scale.score(sum)).fold(0.0, f64::max)
}
