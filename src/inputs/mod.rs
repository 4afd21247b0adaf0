//! Where bytes come from. A kind of input is one file here and one line in [`INPUTS`].

pub mod archive;
pub mod file;
pub mod journald;
mod select;
pub mod stdin;
pub mod streams;
pub mod syslog;
pub mod unwrapped;

pub use select::{Problem, Selection, Source, select};

/// A kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputKind {
    /// Its word.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
}

/// Every kind there is.
pub static INPUTS: &[InputKind] = &[
    InputKind {
        name: "file",
        summary: "files that are being written: followed through rotation, truncation and restarts",
    },
    InputKind {
        name: "syslog",
        summary: "sockets that nginx, HAProxy and relays send to (udp, tcp, tls, unix): heard once, losses counted",
    },
    InputKind {
        name: "journald",
        summary: "the journal of units or programs, through journalctl: read on from where it was left",
    },
    InputKind { name: "stdin", summary: "standard input or a pipe: read once, to its end" },
    InputKind {
        name: "archive",
        summary: "finished files, plain or compressed (gzip, zstd, xz, bzip2): read once",
    },
];
