//! The configuration file, which people write, and what is made of one that is accepted.

use crate::config::{Severity, load_text};
use crate::flow::Topology;

/// A file of any content. What is wrong with it is said in words and with a line that the file has.
pub fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let env = |name: &str| name.starts_with('A').then(|| "value: [1, 2".to_owned());
    match load_text(&text, "fuzz.yaml", &env) {
        Ok(loaded) => {
            assert!(loaded.warnings.iter().all(|problem| problem.severity == Severity::Warning));
            Topology::derive(&loaded.config);
        }
        Err(errors) => {
            let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
            assert!(errors.problems.iter().any(|problem| problem.severity == Severity::Error));
            for problem in &errors.problems {
                assert!(problem.line.is_none_or(|line| 1 <= line && line <= lines), "{errors}");
                assert!(!problem.message.is_empty());
            }
        }
    }
}
