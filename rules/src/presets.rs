//! The rules that hold when nothing is configured. Reading the TOML is the shell's task.

/// The presets as TOML, commented for those who print them.
#[must_use]
pub fn presets() -> &'static str {
    include_str!("../presets/default.toml")
}
