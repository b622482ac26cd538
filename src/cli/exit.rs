//! How the program ends: the exit codes of `docs/cli.md`.

/// What a script can tell from the end of a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    Done,
    /// It was tried and did not work.
    Failed,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage,
    /// There is nothing of what was asked for.
    NothingMatched,
    /// Something that must hold first does not; nothing was changed.
    Refused,
    /// Some of it was done, some was not.
    Partial,
    /// Somebody else does, or has done, something with it.
    Conflict,
    /// What was waited for did not happen in time.
    TimedOut,
    /// Stopped by Ctrl-C.
    Interrupted,
}

impl ExitCode {
    pub fn number(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::Failed => 1,
            ExitCode::Usage => 2,
            ExitCode::NothingMatched => 3,
            ExitCode::Refused => 4,
            ExitCode::Partial => 5,
            ExitCode::Conflict => 7,
            ExitCode::TimedOut => 8,
            ExitCode::Interrupted => 130,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

/// Shows help, version or a mistyped command line. A closed stdout or stderr is no reason to fail.
pub fn of_usage(stop: &clap::Error) -> std::process::ExitCode {
    let _ = stop.print();
    if stop.use_stderr() { ExitCode::Usage } else { ExitCode::Done }.into()
}
