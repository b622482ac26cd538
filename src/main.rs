//! The `lazaret` program. Everything it does is in the library; see `cli`.

fn main() -> std::process::ExitCode {
    lazaret::cli::main()
}
