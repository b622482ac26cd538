//! `lazaret demo`: everything in one process, shown while it runs and accounted for at the end.

mod progress;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::progress::Display;
use super::signals::Signals;
use super::{ExitCode, Failure, Format, Global, log, output};
use crate::config::Span;
use crate::demo::feed::{self, Library};
use crate::demo::report::Report;
use crate::demo::setup::Folder;
use crate::demo::{Demo, DemoError, Halt, Limits, Order};
use crate::kafka::KafkaProblem;
use crate::ops::submit::questions::{self, Asked};

/// Without any record getting further, the demonstration is given up after this long: longer than one attempt of
/// any stage may take.
const STALL: Duration = Duration::from_secs(90);

/// Run both pipelines with a broker, a model provider and all stages in this process.
///
/// Documents go through rag-ingest, then questions through rag-answer. The provider fails now and then, so that
/// records climb the retry ladder. At the end every input is accounted for, from what stands in the topics.
/// Answers and account go to stdout, progress to stderr, the log into a file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take the files of this folder and of those below it, instead of the documents that come with Lazaret
    #[arg(long, value_name = "DIR")]
    documents: Option<PathBuf>,

    /// Ask this question; may be given several times
    #[arg(long, value_name = "TEXT")]
    ask: Vec<String>,

    /// Ask the questions of a file, one a line: plain, or JSON with `text`, and `id` and `document` if you like,
    /// where `document` is the path that the answer should cite
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,

    /// Leave everything running until Ctrl-C, for `lazaret dlq …` from a second terminal
    #[arg(long)]
    keep: bool,

    /// Decides which calls of the provider fail: the same seed, the same failures
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Let the provider fail now and then; this is the default
    #[arg(long, overrides_with = "no_faults")]
    faults: bool,

    /// Let the provider always answer
    #[arg(long)]
    no_faults: bool,

    /// Write the report as JSON, and no progress
    #[arg(long)]
    json: bool,

    /// Give up after this long
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = Span::parse)]
    timeout: Span,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let named = args.documents.as_deref().map(open).transpose()?;
    let asked = asked(&args)?;
    let interrupted = on_signal()?;
    let folder = Folder::create()?;
    log::init_to(folder.open_log()?, global)?;
    let library = named.map_or_else(|| Library::shipped(&folder.corpus()), Ok)?;
    let order = Order {
        library,
        questions: feed::numbered(asked),
        seed: args.seed,
        faults: args.faults || !args.no_faults,
        limits: Limits { total: args.timeout.0, stall: STALL },
    };
    let mut display = Display::new(global, args.json);
    display.say(&format!("log and ledger: {}\n", folder.path().display()));
    let mut demo = Box::pin(Demo::start(&order, folder)).await?;
    let outcome = Box::pin(demo.run(order, &interrupted, &mut |progress| display.show(progress))).await;
    display.finish();
    let halt = outcome?;
    let report = demo.report(&halt).await?;
    show(&report, &args, global)?;
    if args.keep && halt != Halt::Interrupted {
        output::to_stderr(&text::kept(&report, &demo.folder, &demo.address));
        interrupted.cancelled().await;
    } else if !args.json {
        output::to_stderr(&text::afterwards(&report, &demo.folder));
    }
    let log = demo.folder.log();
    demo.stop().await;
    verdict(&report, &halt).map_err(|failure| failure.at(log.display().to_string()))
}

fn show(report: &Report, args: &Args, global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Table if !args.json => output::to_stdout(&text::report(report, global.colour_stdout())),
        Format::Table | Format::Json => output::json(report),
        Format::Ndjson => output::ndjson(report),
    }
}

fn verdict(report: &Report, halt: &Halt) -> Result<ExitCode, Failure> {
    match halt {
        Halt::Interrupted => Ok(ExitCode::Interrupted),
        Halt::Stuck(why) => {
            Err(Failure::new(ExitCode::TimedOut, why.clone()).hint("the log says what the stages ran into"))
        }
        Halt::Complete if report.complete => Ok(ExitCode::Done),
        Halt::Complete => {
            let message = format!("the account does not add up: {}", text::imbalance(&report.conservation));
            Err(Failure::new(ExitCode::Partial, message).hint("the log says what the stages ran into"))
        }
    }
}

/// Whatever is wrong with what the user named is wrong with the command line.
fn open(folder: &std::path::Path) -> Result<Library, Failure> {
    Library::open(folder).map_err(|error| {
        let failure = Failure { code: ExitCode::Usage, ..Failure::from(error) };
        let hint = failure.hint.clone();
        let hint = hint.unwrap_or_else(|| "name a folder with files that can be read".into());
        failure.at("--documents").hint(hint)
    })
}

fn asked(args: &Args) -> Result<Vec<Asked>, Failure> {
    let usage = |error, place: &str| {
        let failure = Failure { code: ExitCode::Usage, ..Failure::from(error) };
        failure.at(place)
    };
    let from_flags = args.ask.iter().map(|text| questions::ask(text));
    let mut asked = from_flags.collect::<Result<Vec<_>, _>>().map_err(|e| usage(e, "--ask"))?;
    if let Some(file) = &args.questions {
        asked.extend(questions::from_path(file).map_err(|e| usage(e, "--questions"))?);
    }
    if asked.is_empty() && args.documents.is_none() {
        asked = feed::shipped_questions()?;
    }
    Ok(asked)
}

/// Cancelled by Ctrl-C or SIGTERM.
fn on_signal() -> Result<CancellationToken, Failure> {
    let mut signals = Signals::listen()?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        signals.next().await;
        cancel.cancel();
    });
    Ok(token)
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Config(errors) => errors.into(),
            DemoError::Submit(error) => error.into(),
            DemoError::Kafka(problem) => KafkaProblem::into(problem),
            DemoError::Folder { .. } => Failure::new(ExitCode::Failed, error.to_string())
                .hint("TMPDIR names the folder for temporary files; some 50 MB must be free there"),
            other => Failure::new(ExitCode::Failed, other.to_string()),
        }
    }
}
