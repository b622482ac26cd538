//! How the demonstration gets on: a bar per stage on a terminal, else a line now and then. Always on stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::{Format, Global, output};
use crate::demo::Progress;
use crate::worker::Counts;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Bars are drawn this often at most.
const HERTZ: u8 = 10;

/// See the module.
pub struct Display {
    way: Way,
}

enum Way {
    Nothing,
    Bars {
        all: MultiProgress,
        colour: bool,
        bars: Vec<ProgressBar>,
    },
    /// When the last line was written, and what it said.
    Lines {
        at: Duration,
        last: String,
    },
}

impl Display {
    pub fn new(global: &Global, json: bool) -> Self {
        let is_for_people = !json && global.format() == Format::Table && !global.quiet;
        let way = match (is_for_people, std::io::stderr().is_terminal()) {
            (false, _) => Way::Nothing,
            (true, false) => Way::Lines { at: Duration::ZERO, last: String::new() },
            (true, true) => {
                let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(HERTZ));
                Way::Bars { all, colour: global.colour_stderr(), bars: Vec::new() }
            }
        };
        Self { way }
    }

    /// Something to know before it begins.
    pub fn say(&self, text: &str) {
        if !matches!(self.way, Way::Nothing) {
            output::to_stderr(text);
        }
    }

    pub fn show(&mut self, progress: &Progress<'_>) {
        match &mut self.way {
            Way::Nothing => {}
            Way::Bars { all, colour, bars } => {
                if bars.is_empty() {
                    bars.extend(progress.tallies.iter().map(|tally| {
                        let name = format!("{}.{}", tally.pipeline, tally.stage);
                        all.add(ProgressBar::new(0).with_prefix(name).with_style(style(*colour)))
                    }));
                }
                for (bar, tally) in bars.iter().zip(progress.tallies) {
                    draw(bar, &tally.counts());
                }
            }
            Way::Lines { at, last } => {
                let line = line(progress);
                if line != *last && (last.is_empty() || progress.elapsed >= *at + LINE_EVERY) {
                    output::to_stderr(&format!("{:>4}s  {line}\n", progress.elapsed.as_secs()));
                    (*at, *last) = (progress.elapsed, line);
                }
            }
        }
    }

    /// Leaves the bars as they stand.
    pub fn finish(self) {
        if let Way::Bars { bars, .. } = self.way {
            bars.iter().for_each(ProgressBar::abandon);
        }
    }
}

fn style(colour: bool) -> ProgressStyle {
    let bar = if colour { "{bar:24.green}" } else { "{bar:24}" };
    let template = format!("{{prefix:20}} {bar} {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn draw(bar: &ProgressBar, counts: &Counts) {
    // A bar without length is drawn full.
    bar.set_length(counts.read.max(1));
    bar.set_position(ended(counts));
    bar.set_message(format!("{:>5} of {:<5} {}", ended(counts), counts.read, state(counts)));
}

fn dead(counts: &Counts) -> u64 {
    counts.dead.values().sum()
}

/// Done or dead.
fn ended(counts: &Counts) -> u64 {
    counts.done + dead(counts)
}

/// What is held is counted now and then only, so it may be more than what is left.
fn waiting(counts: &Counts) -> u64 {
    let held: usize = counts.waiting.values().sum();
    (held as u64).min(counts.read.saturating_sub(ended(counts)))
}

/// What is not well with a stage.
fn state(counts: &Counts) -> String {
    let mut parts = Vec::new();
    if waiting(counts) > 0 {
        parts.push(format!("{} waiting", waiting(counts)));
    }
    if dead(counts) > 0 {
        parts.push(format!("{} dead", dead(counts)));
    }
    if let Some(why) = &counts.paused {
        parts.push(format!("paused: {why}"));
    }
    parts.join(", ")
}

/// `12 of 34 ended; rag-ingest: parse 20/34 (9 dead), embed 3/12 (2 waiting)`: stages that have had something
/// to do.
fn line(progress: &Progress<'_>) -> String {
    let balance = progress.balance;
    let mut line = format!("{} of {} ended", balance.submitted - balance.open, balance.submitted);
    let mut pipeline = "";
    for tally in progress.tallies {
        let counts = tally.counts();
        if counts.read == 0 {
            continue;
        }
        match tally.pipeline == pipeline {
            true => line.push_str(", "),
            false => line.push_str(&format!("; {}: ", tally.pipeline)),
        }
        pipeline = &tally.pipeline;
        line.push_str(&format!("{} {}/{}", tally.stage, ended(&counts), counts.read));
        let state = state(&counts);
        if !state.is_empty() {
            line.push_str(&format!(" ({state})"));
        }
    }
    if pipeline.is_empty() {
        line.push_str("; the stages join their groups");
    }
    line
}
