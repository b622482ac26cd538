//! Amounts of money in `/metrics`. The recorder's counters are whole numbers, so amounts are counted in billionths and divided
//! when they are shown. Pure.

/// Billionths of one.
const PARTS: u64 = 1_000_000_000;

/// The page with the samples of this counter as what they are.
pub fn whole(page: String, counter: &str) -> String {
    if !page.contains(counter) {
        return page;
    }
    let line = |line: &str| {
        let labels = line.strip_prefix(counter).filter(|rest| rest.starts_with(['{', ' ']));
        let value = labels.and_then(|_| line.rsplit_once(' ')).and_then(|(series, parts)| {
            let parts: u64 = parts.trim_end().parse().ok()?;
            Some((series, parts))
        });
        match value {
            Some((series, parts)) => format!("{series} {}.{:09}\n", parts / PARTS, parts % PARTS),
            None => line.to_owned(),
        }
    };
    page.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_samples_of_the_counter_become_amounts() {
        let page =
            "# TYPE cost_total counter\ncost_total{model=\"a 1\"} 1500000300\ncost_total_other 7\nother 5\n";
        let expected =
            "# TYPE cost_total counter\ncost_total{model=\"a 1\"} 1.500000300\ncost_total_other 7\nother 5\n";
        assert_eq!(whole(page.to_owned(), "cost_total"), expected);
        assert_eq!(whole("other 5".to_owned(), "cost_total"), "other 5");
    }
}
