//! Chunks in, whole lines out, bounded.
