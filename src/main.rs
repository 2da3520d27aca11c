//! The `dropwire` program: runs the command line and returns its exit code.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
