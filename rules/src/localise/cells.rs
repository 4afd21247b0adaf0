//! The sums of every combination of labels that may matter, made in one pass; rows can be taken out again.

use super::table::Table;
use super::{DEPTH_MAX, DIMENSIONS_MAX, Seen};
use crate::series::OTHER;

/// A combination: places of labels, ascending, and their values' codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Combination {
    depth: usize,
    dimensions: [usize; DEPTH_MAX],
    codes: [u32; DEPTH_MAX],
}

impl Combination {
    pub fn of(labels: &[(usize, u32)]) -> Combination {
        let mut combination = Combination { depth: labels.len().min(DEPTH_MAX), ..Combination::default() };
        let slots = combination.dimensions.iter_mut().zip(&mut combination.codes);
        for ((dimension, code), label) in slots.zip(labels) {
            (*dimension, *code) = *label;
        }
        combination
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn labels(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.dimensions.iter().copied().zip(self.codes.iter().copied()).take(self.depth)
    }

    pub fn has(&self, dimension: usize) -> bool {
        self.labels().any(|(own, _)| own == dimension)
    }

    pub fn covers(&self, row: &[u32]) -> bool {
        self.labels().all(|(at, code)| row.get(at) == Some(&code))
    }

    /// Whether the other says all that this says, and more.
    pub fn is_ancestor_of(&self, other: &Combination) -> bool {
        self.depth < other.depth && self.labels().all(|label| other.labels().any(|own| own == label))
    }

    /// With one more label.
    pub fn with(&self, dimension: usize, code: u32) -> Combination {
        let mut labels: Vec<(usize, u32)> = self.labels().collect();
        labels.push((dimension, code));
        labels.sort_unstable();
        Combination::of(&labels)
    }
}

/// The combinations of some labels.
struct Cuboid {
    dimensions: Vec<usize>,
    /// What a kept value's number is multiplied by, to find its cell.
    strides: Vec<u64>,
    cells: Cells,
}

enum Cells {
    /// By place.
    Dense(Vec<Seen>),
    /// By key, ascending.
    Sparse(Vec<(u64, Seen)>),
}

impl Cells {
    fn get_mut(&mut self, key: u64) -> Option<&mut Seen> {
        match self {
            Cells::Dense(cells) => cells.get_mut(usize::try_from(key).ok()?),
            Cells::Sparse(cells) => {
                let at = cells.binary_search_by_key(&key, |cell| cell.0).ok()?;
                cells.get_mut(at).map(|cell| &mut cell.1)
            }
        }
    }
}

/// All sums.
pub(super) struct Sums {
    /// By label: the codes of the values that stay.
    kept: Vec<Vec<u32>>,
    /// Row by row and label by label: the number of a kept value, [`GONE`] of another.
    numbers: Vec<[u32; DIMENSIONS_MAX]>,
    cuboids: Vec<Cuboid>,
}

const GONE: u32 = u32::MAX;
/// A cuboid with more cells than this for each row is kept sparse.
const CELLS_A_ROW: u64 = 4;
/// Any may have so many.
const CELLS_MIN: u64 = 4_096;

impl Sums {
    /// Sums of every combination that may have `least` errors. One has at most as many as each of its values alone, so that
    /// values with fewer drop out at once.
    pub fn new(table: &Table, least: f64) -> Sums {
        let kept: Vec<Vec<u32>> = (0..table.names.len()).map(|at| kept_values(table, at, least)).collect();
        let numbers = numbers(table, &kept);
        let mut cuboids = Vec::new();
        for dimensions in choices(kept.len()) {
            let mut strides = Vec::with_capacity(dimensions.len());
            let mut cells: u64 = 1;
            for at in &dimensions {
                strides.push(cells);
                cells = cells.saturating_mul(kept.get(*at).map_or(0, Vec::len) as u64);
            }
            if cells > 0 {
                cuboids.push(cuboid(table, &numbers, dimensions, strides, cells));
            }
        }
        Sums { kept, numbers, cuboids }
    }

    /// Takes rows out of every sum.
    pub fn remove(&mut self, table: &Table, rows: &[usize]) {
        for &at in rows {
            let (Some(numbers), Some(seen)) = (self.numbers.get(at), table.seen.get(at)) else { continue };
            for cuboid in &mut self.cuboids {
                let Some(key) = key(numbers, &cuboid.dimensions, &cuboid.strides) else { continue };
                if let Some(sum) = cuboid.cells.get_mut(key) {
                    *sum = sum.without(seen);
                }
            }
        }
    }

    /// Hands over every combination that has at least so many errors, in order.
    pub fn each(&self, least: f64, mut take: impl FnMut(&dyn Fn() -> Combination, &Seen)) {
        for cuboid in &self.cuboids {
            let name = |key: u64| {
                let labels = cuboid.dimensions.iter().zip(&cuboid.strides).map(|(place, stride)| {
                    let kept = self.kept.get(*place).map_or(&[][..], Vec::as_slice);
                    let number = (key / stride) % (kept.len().max(1) as u64);
                    let code = usize::try_from(number).ok().and_then(|n| kept.get(n));
                    (*place, code.copied().unwrap_or(GONE))
                });
                Combination::of(&labels.collect::<Vec<_>>())
            };
            let mut offer = |key: u64, seen: &Seen| {
                if seen.errors >= least && seen.errors > 0.0 {
                    take(&|| name(key), seen);
                }
            };
            match &cuboid.cells {
                Cells::Dense(cells) => (0u64..).zip(cells).for_each(|(key, seen)| offer(key, seen)),
                Cells::Sparse(cells) => cells.iter().for_each(|(key, seen)| offer(*key, seen)),
            }
        }
    }
}

/// The values of a label that have so many errors, by their codes; `__other__` is no value.
fn kept_values(table: &Table, at: usize, least: f64) -> Vec<u32> {
    let values = table.values.get(at).map_or(&[][..], Vec::as_slice);
    let mut errors = vec![0.0; values.len()];
    for (row, seen) in table.rows.iter().zip(&table.seen) {
        if let Some(sum) = row.get(at).and_then(|code| errors.get_mut(*code as usize)) {
            *sum += seen.errors;
        }
    }
    let all = (0u32..).zip(values).zip(&errors);
    all.filter(|((_, value), errors)| **errors >= least && **errors > 0.0 && *value != OTHER)
        .map(|((code, _), _)| code)
        .collect()
}

fn numbers(table: &Table, kept: &[Vec<u32>]) -> Vec<[u32; DIMENSIONS_MAX]> {
    let numbers_of = |(kept, values): (&Vec<u32>, &Vec<String>)| {
        let mut numbers = vec![GONE; values.len()];
        for (number, code) in (0u32..).zip(kept) {
            if let Some(slot) = numbers.get_mut(*code as usize) {
                *slot = number;
            }
        }
        numbers
    };
    let of: Vec<Vec<u32>> = kept.iter().zip(&table.values).map(numbers_of).collect();
    let row_of = |row: &[u32; DIMENSIONS_MAX]| {
        let mut numbers = [GONE; DIMENSIONS_MAX];
        for ((slot, code), of) in numbers.iter_mut().zip(row).zip(&of) {
            *slot = of.get(*code as usize).copied().unwrap_or(GONE);
        }
        numbers
    };
    table.rows.iter().map(row_of).collect()
}

/// Every choice of up to [`DEPTH_MAX`] of so many, shorter ones first.
fn choices(of: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = (0..of).map(|place| vec![place]).collect();
    let mut from = 0;
    for _ in 1..DEPTH_MAX {
        let to = all.len();
        for at in from..to {
            let Some(choice) = all.get(at).cloned() else { continue };
            let next = choice.last().map_or(0, |last| last + 1);
            all.extend((next..of).map(|place| [choice.as_slice(), &[place]].concat()));
        }
        from = to;
    }
    all
}

fn key(numbers: &[u32; DIMENSIONS_MAX], places: &[usize], strides: &[u64]) -> Option<u64> {
    let mut key = 0;
    for (place, stride) in places.iter().zip(strides) {
        match numbers.get(*place) {
            Some(&number) if number != GONE => key += u64::from(number) * stride,
            _ => return None,
        }
    }
    Some(key)
}

fn cuboid(
    table: &Table,
    numbers: &[[u32; DIMENSIONS_MAX]],
    dimensions: Vec<usize>,
    strides: Vec<u64>,
    cells: u64,
) -> Cuboid {
    let keyed = numbers.iter().zip(&table.seen).filter_map(|(numbers, seen)| {
        let key = key(numbers, &dimensions, &strides)?;
        Some((key, seen))
    });
    let cells = if cells <= CELLS_MIN.max(CELLS_A_ROW * numbers.len() as u64) {
        let mut dense = vec![Seen::default(); usize::try_from(cells).unwrap_or(0)];
        for (key, seen) in keyed {
            if let Some(sum) = usize::try_from(key).ok().and_then(|at| dense.get_mut(at)) {
                sum.add(seen);
            }
        }
        Cells::Dense(dense)
    } else {
        let mut rows: Vec<(u64, &Seen)> = keyed.collect();
        // Stable: sums of fractions depend on the order of their parts.
        rows.sort_by_key(|row| row.0);
        let mut sparse: Vec<(u64, Seen)> = Vec::new();
        for (key, seen) in rows {
            match sparse.last_mut() {
                Some((last, sum)) if *last == key => sum.add(seen),
                _ => sparse.push((key, *seen)),
            }
        }
        Cells::Sparse(sparse)
    };
    Cuboid { dimensions, strides, cells }
}
