//! The verbs, one file each. Nobody imports a command but the command line.

pub mod check;
