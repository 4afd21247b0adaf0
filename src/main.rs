//! Arguments → a command → an exit code.

fn main() -> std::process::ExitCode {
    gatewatch::commands::main()
}
