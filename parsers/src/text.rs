//! The nom pieces that formats share.
