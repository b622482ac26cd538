//! Shows how a run gets on, and runs it here if nobody else does. Ctrl-C leaves it as it is.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::control::known;
use super::show::{counts, status};
use crate::cli::signals::Signals;
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::config::Config;
use crate::ops::quarantine::{REFRESH, catch_up};
use crate::ops::redrive::{Ended, SILENCE, execute};
use crate::quarantine::{Quarantine, Run, RunState, Tally};

/// Between two looks at a run that somebody else runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Until it ends. `here`: it is run by this process from the beginning.
pub async fn watch(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    mut run: Run,
    mut here: bool,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let mut display = Display::new(&run, global);
    let (mut last, mut since) = (run.last, Instant::now());
    if run.state == RunState::Running && !here {
        let seconds = SILENCE.as_secs();
        display.note(&format!(
            "somebody else runs it; when nothing is heard of it for {seconds} s it is run here"
        ));
    }
    while run.state == RunState::Running {
        let is_left = since.elapsed() >= SILENCE;
        if is_left && !here {
            display.note("nothing is heard of it: it is run here now");
        }
        if here || is_left {
            let ended = {
                let id = run.id.clone();
                let running = execute(config, index, &id, &stop, |run, tally| display.show(run, tally));
                let mut running = Box::pin(running);
                tokio::select! {
                    ended = &mut running => ended,
                    () = signals.next() => {
                        stop.cancel();
                        running.await
                    }
                }
            };
            match ended? {
                Ended::Run(ended) => run = *ended,
                Ended::Left => return Ok(leave(&run, &display)),
                Ended::TakenOver => {
                    (here, since) = (false, Instant::now());
                    display.note("another process runs it now");
                }
            }
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = signals.next() => return Ok(leave(&run, &display)),
        }
        catch_up(config, index, REFRESH).await?;
        run = known(index, &run.id).await?;
        if run.last != last {
            (last, since) = (run.last, Instant::now());
        }
        display.show(&run, &run.tally);
    }
    display.end();
    status(&run, global)?;
    if run.state == RunState::Stopped && global.format() == Format::Table {
        output::to_stderr(&format!(
            "`lazaret redrive report {0}` says which failed; `lazaret redrive resume {0}` goes on, `cancel` gives the rest up\n",
            run.id
        ));
    }
    Ok(if run.ended_well() { ExitCode::Done } else { ExitCode::Partial })
}

fn leave(run: &Run, display: &Display) -> ExitCode {
    display.end();
    output::to_stderr(&format!(
        "left as it is; `lazaret redrive attach {0}` or `lazaret ops` goes on with it, `lazaret redrive pause {0}` stops it\n",
        run.id
    ));
    ExitCode::Interrupted
}

/// A bar on a terminal, else a line now and then; always on stderr.
struct Display {
    bar: Option<ProgressBar>,
    lines: bool,
    last: Option<(Instant, String)>,
    /// Canaries that are over.
    canaries: usize,
    has_shown: bool,
}

impl Display {
    fn new(run: &Run, global: &Global) -> Self {
        let for_people = global.format() == Format::Table && !global.quiet;
        let bar = (for_people && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(run.plan.letters), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Self { lines: for_people && bar.is_none(), bar, last: None, canaries: 0, has_shown: false }
    }

    fn show(&mut self, run: &Run, tally: &Tally) {
        self.tell_canaries(run, tally);
        self.has_shown = true;
        let text = counts(tally);
        if let Some(bar) = &self.bar {
            bar.set_position(run.plan.letters.saturating_sub(tally.left + tally.pending));
            bar.set_message(text);
            return;
        }
        let is_news = self.last.as_ref().is_none_or(|(at, last)| *last != text && at.elapsed() >= LINE_EVERY);
        if self.lines && is_news {
            self.note(&text);
            self.last = Some((Instant::now(), text));
        }
    }

    /// A line for each canary that is over.
    fn tell_canaries(&mut self, run: &Run, tally: &Tally) {
        let canaries = &run.plan.policy.canary;
        // As `ops::redrive::pace` counts: those that were pending when the leg began are not what is waited for.
        let ended = tally.ended().saturating_sub(run.baseline.ended() + run.baseline.pending);
        while let Some(size) = canaries.get(self.canaries) {
            let all: u64 = canaries.iter().take(self.canaries + 1).map(|size| u64::from(*size)).sum();
            if ended < all || tally.left == 0 || run.state != RunState::Running {
                return;
            }
            self.canaries += 1;
            // What was over before anybody looked is no news.
            if !self.has_shown {
                continue;
            }
            let next = match canaries.get(self.canaries) {
                Some(next) => format!("the next {next} go"),
                None => format!("the others go, {} a second", run.plan.policy.rate),
            };
            self.note(&format!("the canary of {size} is over: {}; {next}", counts(tally)));
        }
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.lines => output::to_stderr(&format!("{text}\n")),
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
