//! `lazaret dlq export`: dead letters as a file.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use super::which::{STANDING, Which, index};
use crate::cli::{ExitCode, Failure, Format as Output, Global, output};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::ops::archive::find::FindError;
use crate::ops::quarantine::Acts;
use crate::ops::quarantine::change::{Change, operations_topic};
use crate::ops::quarantine::content::{ContentError, Contents};
use crate::ops::quarantine::export::{ExportError, Exported, Format, Plainly, export};
use crate::quarantine::Deed;

/// Bars are drawn this often at most.
const HERTZ: u8 = 10;

#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    which: Which,
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// The file to write; standard output when absent.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    /// With key, headers and payload of each record, as far as Kafka still has them.
    #[arg(long)]
    payload: bool,
    /// With what the configuration masks. It is written down on the topic of operations who saw it, and why.
    #[arg(long, requires = "payload", requires = "reason")]
    unmask: bool,
    /// Why it is unmasked.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who unmasks it; the user of this shell when absent.
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
}

pub async fn run(args: Export, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    if args.to.is_none() && args.format == Format::Parquet {
        return Err(Failure::new(ExitCode::Usage, "parquet is written into a file").hint("name it with --to"));
    }
    if let Some(to) = args.to.as_ref().filter(|to| to.exists() && !args.force) {
        return Err(Failure::new(ExitCode::Refused, "the file is there already")
            .at(to.display().to_string())
            .hint("name another one, or replace it with --force"));
    }
    let filter = args.which.filter(now, &STANDING)?;
    let config = global.load_config()?;
    let index = index(&config, args.which.no_refresh).await?;
    let all = index.count(&filter).await?;
    if all == 0 {
        output::to_stderr("no dead letters\n");
        return Ok(ExitCode::NothingMatched);
    }
    let bar = bar(all, global);
    let unmasking = match args.unmask {
        true => Some(Unmasking::new(&config, args.by, args.reason).await?),
        false => None,
    };
    let contents = args.payload.then(|| Contents::new(&config, "export"));
    let contents = contents.map(|contents| match &unmasking {
        Some(unmasking) => contents.unmasked(unmasking.acts()),
        None => contents,
    });
    let progress = |count| bar.set_position(count);
    let exported = match &args.to {
        None => {
            let mut to = Plainly(io::stdout());
            export(&*index, &filter, contents, (args.format, &mut to), progress).await?
        }
        Some(path) => {
            let part = beside(path);
            let mut file = Plainly(create(&part)?);
            let exported = export(&*index, &filter, contents, (args.format, &mut file), progress).await;
            let exported = exported.and_then(|exported| {
                std::fs::rename(&part, path)?;
                Ok(exported)
            });
            if exported.is_err() {
                // Half a file would be taken for a whole one.
                let _ = std::fs::remove_file(&part);
            }
            exported.map_err(|error| Failure::from(error).at(path.display().to_string()))?
        }
    };
    bar.finish_and_clear();
    tell(&exported, args.to.as_deref(), global)?;
    Ok(ExitCode::Done)
}

/// Who sees what is masked, and where that is written down.
struct Unmasking {
    producer: Producer,
    topic: String,
    by: String,
    reason: Option<String>,
}

impl Unmasking {
    async fn new(config: &Config, by: Option<String>, reason: Option<String>) -> Result<Self, Failure> {
        let change = Change { deed: Deed::Unmasked, by: by.unwrap_or_default(), reason };
        change.check()?;
        let Change { by, reason, .. } = change;
        let topic = operations_topic(config).await?;
        let producer = Producer::new(&config.kafka, &Topology::derive(config), "dlq")?;
        Ok(Self { producer, topic, by, reason })
    }

    fn acts(&self) -> Acts<'_> {
        Acts::new(&self.producer, &self.topic, &self.by, self.reason.as_deref())
    }
}

/// Data may go to standard output: what is said besides goes there only when it does not.
fn tell(exported: &Exported, to: Option<&Path>, global: &Global) -> Result<(), Failure> {
    let Exported { letters, without_record } = exported;
    match (to, global.format()) {
        (Some(to), Output::Json | Output::Ndjson) => {
            let value = json!({ "file": to, "letters": letters, "without_record": without_record });
            output::ndjson(&value)?;
        }
        _ => output::to_stderr(&format!("{letters} dead letters were written\n")),
    }
    if *without_record > 0 {
        output::to_stderr(&format!("{without_record} of them have no record in Kafka any more\n"));
    }
    Ok(())
}

fn bar(all: u64, global: &Global) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} dead letters, {eta} to go");
    match style {
        Ok(style) if std::io::stderr().is_terminal() && !global.quiet => {
            ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr_with_hz(HERTZ))
                .with_style(style)
        }
        _ => ProgressBar::hidden(),
    }
}

/// Where the file grows until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// For its owner only: it may hold what others are not to see.
fn create(path: &Path) -> Result<File, Failure> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        Failure::new(ExitCode::Failed, format!("the file cannot be made: {error}"))
            .at(path.display().to_string())
            .hint("name another one with --to")
    })
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Index(error) => error.into(),
            ExportError::Content(ContentError::Unread(FindError::Kafka(problem))) => problem.into(),
            ExportError::Content(error) => Failure::new(ExitCode::Failed, error.to_string()),
            ExportError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::reader_gone(),
            ExportError::Write(error) => Failure::new(ExitCode::Failed, format!("cannot write: {error}")),
        }
    }
}
