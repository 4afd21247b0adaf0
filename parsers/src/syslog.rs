//! The header that syslog, rsyslog's files or HAProxy's `log … format` put before a line.

/// Which header the last line bore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// None.
    None,
}
