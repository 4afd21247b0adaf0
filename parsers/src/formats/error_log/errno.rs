//! What the operating system said, in the words of glibc, musl, BSD, APR and Windows. Numbers differ between systems, so
//! that the words count.

use crate::reason::Reason;

/// What a system call's error means to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errno {
    Refused,
    TimedOut,
    /// Reset, aborted, a broken pipe, or the end where more was expected.
    Closed,
    /// A unix socket that is not there.
    Missing,
    /// No local port, socket or file is left.
    Exhausted,
    /// No route, no permission, whatever else.
    Other,
}

/// Words, and what they mean.
const WORDS: &[(&[u8], Errno)] = &[
    (b"Connection refused", Errno::Refused),
    (b"No connection could be made because the target machine actively refused it", Errno::Refused),
    (b"Connection timed out", Errno::TimedOut),
    (b"Operation timed out", Errno::TimedOut),
    (b"The timeout specified has expired", Errno::TimedOut),
    (b"A connection attempt failed because the connected party did not properly respond", Errno::TimedOut),
    (b"Connection reset by peer", Errno::Closed),
    (b"Broken pipe", Errno::Closed),
    (b"End of file found", Errno::Closed),
    (b"An existing connection was forcibly closed by the remote host", Errno::Closed),
    (b"No such file or directory", Errno::Missing),
    (b"Cannot assign requested address", Errno::Exhausted),
    (b"Can't assign requested address", Errno::Exhausted),
    (b"Address not available", Errno::Exhausted),
    (b"Too many open files", Errno::Exhausted),
    (b"No file descriptors available", Errno::Exhausted),
    (b"No buffer space available", Errno::Exhausted),
];

impl Errno {
    /// By its words, which more may follow.
    pub(super) fn of(words: &[u8]) -> Errno {
        let known = WORDS.iter().find(|(beginning, _)| words.starts_with(beginning));
        known.map_or(Errno::Other, |(_, errno)| *errno)
    }

    /// Of a connection that was not made.
    pub(super) fn connecting(self) -> Reason {
        match self {
            // Nobody listens on a socket that is not there.
            Errno::Refused | Errno::Missing => Reason::ConnectionRefused,
            Errno::TimedOut => Reason::ConnectionTimeout,
            Errno::Closed => Reason::ConnectionTerminated,
            Errno::Exhausted => Reason::ConnectionLimitReached,
            Errno::Other => Reason::ConnectionFailed,
        }
    }

    /// Of a connection that was made, before a whole header came.
    pub(super) fn connected(self) -> Reason {
        match self {
            Errno::Refused => Reason::ConnectionRefused,
            Errno::TimedOut => Reason::ConnectionReadTimeout,
            Errno::Closed => Reason::ConnectionTerminated,
            Errno::Missing | Errno::Exhausted | Errno::Other => Reason::InvalidResponse,
        }
    }

    /// Of a response whose header had come.
    pub(super) fn cutting(self) -> Reason {
        match self {
            Errno::TimedOut => Reason::ConnectionReadTimeout,
            _ => Reason::HttpResponseIncomplete,
        }
    }
}
