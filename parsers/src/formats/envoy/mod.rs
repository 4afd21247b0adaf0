//! Envoy.

pub(crate) mod verdict;
