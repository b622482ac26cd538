//! One line of the result, and the table of all.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::spread::Spread;

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing is asked; the number is of interest.
    Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    Below,
    /// Below, with all processors busy: the machine is the limit.
    Cpu,
    Told,
}

#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub workload: String,
    pub what: String,
    pub unit: String,
    pub measured: Spread,
    pub baseline: Option<Spread>,
    /// Of each pair that was measured one after the other, not of the medians.
    pub ratio: Option<Spread>,
    pub reach: Reach,
    pub rss_max_mib: Option<f64>,
    pub cpu_us_per_record: Option<f64>,
    /// Whether the reach is asked for only until the processors are the limit, and they were.
    pub cpu_bound: bool,
    /// What must be known to read the numbers.
    pub notes: Vec<String>,
}

impl Row {
    /// A number that stands for itself.
    pub fn limit(workload: &str, what: impl Into<String>, unit: &str, measured: Spread) -> Self {
        Self {
            workload: workload.to_owned(),
            what: what.into(),
            unit: unit.to_owned(),
            measured,
            baseline: None,
            ratio: None,
            reach: Reach::Told,
            rss_max_mib: None,
            cpu_us_per_record: None,
            cpu_bound: false,
            notes: Vec::new(),
        }
    }

    /// Pairs of ours and the baseline, each measured one after the other.
    pub fn ratio(workload: &str, what: impl Into<String>, unit: &str, pairs: &[(f64, f64)]) -> Self {
        let mut row = Self::limit(workload, what, unit, Spread::of(pairs.iter().map(|(ours, _)| *ours)));
        row.baseline = Some(Spread::of(pairs.iter().map(|(_, bare)| *bare)));
        row.ratio = Some(Spread::of(pairs.iter().map(|(ours, bare)| ours / bare)));
        row
    }

    pub fn at_least(mut self, reach: f64) -> Self {
        self.reach = Reach::AtLeast(reach);
        self
    }

    pub fn at_most(mut self, reach: f64) -> Self {
        self.reach = Reach::AtMost(reach);
        self
    }

    pub fn used(mut self, rss_max_kib: u64, cpu_us_per_record: Option<f64>) -> Self {
        self.rss_max_mib = Some(rss_max_kib as f64 / 1024.0);
        self.cpu_us_per_record = cpu_us_per_record;
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn verdict(&self) -> Verdict {
        let value = self.ratio.unwrap_or(self.measured).median;
        let good = match self.reach {
            Reach::AtLeast(least) => value >= least,
            Reach::AtMost(most) => value <= most,
            Reach::Told => return Verdict::Told,
        };
        match (good, self.cpu_bound) {
            (true, _) => Verdict::Ok,
            (false, true) => Verdict::Cpu,
            (false, false) => Verdict::Below,
        }
    }

    /// One line of JSON.
    pub fn json(&self) -> anyhow::Result<String> {
        let mut value = serde_json::to_value(self)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("verdict".to_owned(), serde_json::to_value(self.verdict())?);
        }
        Ok(format!("{value}\n"))
    }

    fn cells(&self) -> [String; 9] {
        let some = |value: Option<Spread>| value.map(|value| value.to_string()).unwrap_or_default();
        let number = |value: Option<f64>| value.map(|value| format!("{value:.1}")).unwrap_or_default();
        let reach = match self.reach {
            Reach::AtLeast(least) => format!("≥ {least}"),
            Reach::AtMost(most) => format!("≤ {most}"),
            Reach::Told => String::new(),
        };
        let verdict = match self.verdict() {
            Verdict::Ok => "ok",
            Verdict::Below => "below",
            Verdict::Cpu => "cpu",
            Verdict::Told => "",
        };
        [
            format!("{}: {}", self.workload, self.what),
            format!("{} {}", self.measured, self.unit),
            some(self.baseline),
            some(self.ratio),
            reach,
            verdict.to_owned(),
            number(self.rss_max_mib),
            number(self.cpu_us_per_record),
            self.notes.join("; "),
        ]
    }
}

const HEADINGS: [&str; 9] =
    ["work", "measured", "baseline", "ratio", "reach", "", "RSS max MiB", "CPU µs/record", "notes"];

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.cells().into_iter().zip(HEADINGS).filter(|(cell, _)| !cell.is_empty());
        let told: Vec<String> =
            told.map(|(cell, heading)| format!("{heading} {cell}").trim().to_owned()).collect();
        f.write_str(&told.join(" | "))
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADINGS);
    for row in rows {
        table.add_row(row.cells());
    }
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

pub fn markdown(rows: &[Row]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEADINGS.map(str::to_owned)) + &line(&HEADINGS.map(|_| "---".to_owned()));
    text.extend(rows.iter().map(|row| line(&row.cells())));
    text
}
