//! The quick way along a format's steps, for values that end in one way only.

use super::shape::{Shape, Taken};
use super::steps::{Spec, Step};
use super::values::Values;
use crate::text::{self, find};

impl Step {
    /// Where a value ends that can end in one way only; `None`: it may not, or does not end so.
    #[inline(always)]
    pub(super) fn only_end(&self, rest: &[u8]) -> Option<usize> {
        match self.directive.shape {
            Shape::Word => Some(find(b' ', rest).unwrap_or(rest.len())),
            Shape::Free => text::quote(rest, 0),
            shape => match shape.take(rest) {
                Taken::Len(len) => Some(len),
                Taken::Wrong | Taken::Open => None,
            },
        }
    }

    /// Whether `only_end` says where it ends.
    pub(super) fn has_only_end(&self) -> bool {
        let is_sure = match self.directive.shape {
            Shape::Free => self.directive.escaped && self.literal.first() == Some(&b'"'),
            Shape::Word => matches!(self.literal.first(), None | Some(b' ')),
            _ => true,
        };
        is_sure && !self.trailing && !self.at_slash
    }

    #[inline(always)]
    pub(super) fn is_literal_at(&self, rest: &[u8]) -> bool {
        match *self.literal {
            [] => true,
            [a] => rest.first() == Some(&a),
            [a, b] => rest.first_chunk::<2>() == Some(&[a, b]),
            _ => rest.starts_with(&self.literal),
        }
    }
}

impl Spec {
    /// Reads a line of which nothing is in doubt. `None`: [`Spec::read`] says what it is; for the others it says the same.
    pub(super) fn plain<'a>(&self, line: &'a [u8], values: &mut Values<'a>) -> Option<()> {
        let mut rest = line.strip_prefix(&*self.head)?;
        for step in &self.steps {
            while step.padded
                && let [b' ', after @ ..] = rest
            {
                rest = after;
            }
            let (value, after) = rest.split_at_checked(step.only_end(rest)?)?;
            if !step.is_literal_at(after) {
                return None;
            }
            if let Some(slot) = step.directive.slot {
                values.set(slot, value);
            }
            rest = after.get(step.literal.len()..)?;
        }
        rest.is_empty().then_some(())
    }
}
