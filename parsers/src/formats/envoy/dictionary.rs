//! `json_format`: a dictionary of format strings, as the configuration has it, → what reads the objects that Envoy
//! writes by it.

use super::operators::{Operator, Slot};
use super::spec::{self, Spec, Step};
use super::steps::Slots;
use crate::fields::is_missing;
use crate::formats::json::scan;
use crate::formats::{Field, Malformed, SpecError};

/// Which member holds which operator's value.
#[derive(Debug)]
pub(super) struct Dictionary {
    /// The names that lead to a member.
    paths: Vec<Vec<Box<[u8]>>>,
    /// A step for each of the paths.
    pub(super) spec: Spec,
}

impl Dictionary {
    /// Compiles the dictionary: JSON, strings of one operator each. Other strings are passed over.
    pub(super) fn compile(setting: &str) -> Result<Dictionary, SpecError> {
        let (mut paths, mut found) = (Vec::new(), Vec::new());
        let mut wrong: Option<SpecError> = None;
        let scanned = scan::members(setting.as_bytes(), |names, value, at| {
            let value = str::from_utf8(value.bytes()).unwrap_or_default();
            let Some(rest) = value.strip_prefix('%') else { return };
            match Operator::first(rest) {
                Ok((operator, "")) => {
                    paths.push(names.iter().map(|name| (*name).into()).collect());
                    found.push(Step { operator, literal: Vec::new(), is_alone: true });
                }
                Ok(_) => {}
                Err(message) => wrong = wrong.take().or(Some(SpecError { message, at })),
            }
        });
        if let Err(broken) = scanned {
            return Err(SpecError { message: format!("no JSON: {}", broken.reason), at: broken.at });
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None => {
                spec::check(&found)?;
                let spec = Spec { head: Vec::new(), steps: found, stops: Box::new([true; 256]) };
                Ok(Dictionary { paths, spec })
            }
        }
    }

    fn step(&self, names: &[&[u8]]) -> Option<usize> {
        let same = |path: &Vec<Box<[u8]>>| {
            path.len() == names.len() && path.iter().zip(names).all(|(a, b)| **a == **b)
        };
        self.paths.iter().position(same)
    }

    /// Reads an object, which begins at this offset of the line. Of a name that is repeated the first one counts.
    pub(super) fn read<'a>(&self, text: &'a [u8], slots: &mut Slots<'a>) -> Result<(), Malformed<'static>> {
        let mut seen = 0u32;
        let scanned = scan::members(text, |names, value, _| {
            let step = self.step(names).and_then(|i| self.spec.steps.get(i));
            let Some(step) = step else { return };
            let bit = step.operator.slot.map_or(0, |slot| 1 << slot as u32);
            let value = value.bytes();
            if seen & bit == 0 && !is_missing(value) {
                seen |= bit;
                step.keep(value, slots);
            }
        });
        match scanned {
            Err(broken) => Err(Malformed { field: "object", at: broken.at, reason: broken.reason }),
            Ok(()) if seen & (1 << Slot::StartTime as u32 | 1 << Slot::EmitTime as u32) == 0 => {
                Err(Malformed { field: "%START_TIME%", at: 0, reason: "no member holds the time" })
            }
            Ok(()) => Ok(()),
        }
    }

    /// Every member, by the operator that it holds.
    pub(super) fn explain<'a>(&self, text: &'a [u8], offset: usize) -> Vec<Field<'a>> {
        let mut fields = Vec::new();
        // What was seen before the break is what people want; where it broke, `parse` says.
        let _ = scan::members(text, |names, value, at| {
            let operator = self.step(names).and_then(|i| self.spec.steps.get(i));
            let name = match operator {
                Some(step) => step.operator.text.clone(),
                None => names.iter().map(|n| String::from_utf8_lossy(n)).collect::<Vec<_>>().join("."),
            };
            fields.push(Field { name, value: value.bytes(), at: offset + at });
        });
        fields
    }

    /// Where a step's value stands.
    pub(super) fn place(&self, text: &[u8], step: usize) -> usize {
        let mut place = 0;
        let _ = scan::members(text, |names, _, at| {
            if self.step(names) == Some(step) {
                place = at;
            }
        });
        place
    }
}
