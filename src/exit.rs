//! Exit codes: part of the contract.

use std::process::ExitCode;

/// How a command ended. If several hold, the first of 2, 1, 5, 4, 3 wins: the order here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Ctrl-C, after the partial report.
    Interrupted,
    /// Configuration refused.
    Configuration,
    /// Wrong usage.
    Usage,
    /// Runtime or I/O error, also an input read only in part.
    Error,
    /// Fewer lines parsed than `--min-parsed`.
    Unparsed,
    /// `--fail-on` crossed.
    Crossed,
    /// Warnings under `--strict`.
    Warnings,
    /// Fine.
    Fine,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Error => 1,
            Exit::Usage => 2,
            Exit::Warnings => 3,
            Exit::Crossed => 4,
            Exit::Unparsed => 5,
            Exit::Configuration => 78,
            Exit::Interrupted => 130,
        }
    }

    /// The graver of two.
    #[must_use]
    pub fn and(self, other: Exit) -> Exit {
        self.min(other)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit::*;

    #[test]
    fn the_graver_wins() {
        let order = [Usage, Error, Unparsed, Crossed, Warnings, Fine];
        assert_eq!(order.map(super::Exit::code), [2, 1, 5, 4, 3, 0]);
        for pair in order.windows(2) {
            assert_eq!(pair[1].and(pair[0]), pair[0]);
        }
    }
}
