//! `lazaret --version --json`: which build this is, for programs.

use std::ffi::OsString;

use serde_json::json;

use super::doctor::librdkafka;

/// What is told when exactly this is asked for. `args` are those after the name of the program.
pub fn asked(args: impl Iterator<Item = OsString>) -> Option<String> {
    let args: Vec<OsString> = args.take(3).collect();
    let words: Vec<&str> = args.iter().map(|arg| arg.to_str()).collect::<Option<_>>()?;
    let is_asked =
        matches!(words.as_slice(), ["--version" | "-V", "--json"] | ["--json", "--version" | "-V"]);
    is_asked.then(|| {
        let told = json!({
            "name": "lazaret",
            "version": env!("CARGO_PKG_VERSION"),
            "revision": option_env!("LAZARET_REVISION"),
            "librdkafka": librdkafka(),
            "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        });
        format!("{told:#}\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_asks_which_build_this_is_gets_json_and_nobody_else_does() {
        let told = |args: &[&str]| asked(args.iter().map(OsString::from));
        let build: serde_json::Value =
            serde_json::from_str(&told(&["--version", "--json"]).expect("asked for")).expect("JSON");
        assert_eq!(build["version"], env!("CARGO_PKG_VERSION"));
        assert!(build["librdkafka"].as_str().is_some_and(|version| version.contains('.')), "{build}");
        assert!(told(&["--json", "-V"]).is_some());
        for other in [&["--version"][..], &["run", "--version", "--json"], &["--json"], &[]] {
            assert_eq!(told(other), None, "{other:?}");
        }
        let odd = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
        assert_eq!(asked([odd].into_iter()), None);
    }
}
