//! `lazaret completions SHELL`: the completion script, made from the same definitions that parse the flags.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, ExitCode, Failure, Global, output};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete for.
    shell: Shell,
}

pub async fn run(args: Args, _global: &Global) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lazaret", &mut script);
    output::to_stdout(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Done)
}
