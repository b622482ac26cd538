//! The `lazaret` program. Everything it does is in the library; see `cli`.

/// For librdkafka as well. A library does not choose one: whoever links Lazaret does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The parser's child process must not start anything else.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "__extract") {
        return lazaret::extract::child_main();
    }
    lazaret::cli::main()
}
