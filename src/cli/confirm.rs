//! Asks before something is done that many feel. Whoever cannot be asked must have said yes before.

use std::io::{BufRead, IsTerminal};

use super::{ExitCode, Failure, output};

/// Shows what would be done, and goes on when somebody types how many it is. `what` says what is done with them, such as
/// `3 dead letters are restored`.
pub fn confirm(count: usize, what: &str, told: &str) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        let message = format!("nobody can be asked whether {what}, since this is no terminal");
        return Err(Failure::new(ExitCode::Usage, message).hint("look with --dry-run, then add --yes"));
    }
    output::to_stderr(&format!("{told}If you go on, {what}. Type {count} to do so: "));
    is_typed(count, &mut stdin.lock())
}

fn is_typed(count: usize, from: &mut impl BufRead) -> Result<(), Failure> {
    let mut typed = String::new();
    let read = from.read_line(&mut typed);
    let typed = typed.trim();
    if read.is_ok() && typed == count.to_string() {
        return Ok(());
    }
    let message = format!("'{}' was typed, not {count}: nothing was done", typed.escape_debug());
    Err(Failure::new(ExitCode::Refused, message).hint("--yes does it without being asked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_number_goes_on() {
        assert!(is_typed(312, &mut "312\n".as_bytes()).is_ok());
        for wrong in ["", "\n", "yes\n", "y\n", "31\n", "3120\n"] {
            let failure = is_typed(312, &mut wrong.as_bytes()).unwrap_err();
            assert_eq!(failure.code, ExitCode::Refused, "{wrong:?}");
            assert!(failure.message.contains("nothing was done"));
        }
    }
}
