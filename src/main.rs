//! The `dropwire` program: runs the command line and returns its exit code.

fn main() -> std::process::ExitCode {
    dropwire::cli::run()
}
