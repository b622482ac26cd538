//! Numbers as a line of blocks, for a look at how they go. Pure.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Stands for nothing, which is not the same as little.
const NOTHING: char = '·';

/// One block for each number, the greatest of them the highest.
pub fn sparkline(numbers: &[u64]) -> String {
    let most = u128::from(numbers.iter().copied().max().unwrap_or_default());
    let block = |number: &u64| match u128::from(*number) {
        0 => NOTHING,
        number => {
            let height = (number * BLOCKS.len() as u128).div_ceil(most);
            usize::try_from(height).ok().and_then(|n| BLOCKS.get(n - 1)).copied().unwrap_or('█')
        }
    };
    numbers.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_is_the_highest_and_nothing_is_not_little() {
        assert_eq!(sparkline(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), "·▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[0, 1, 1000, 500, 0]), "·▁█▄·");
        assert_eq!(sparkline(&[0, 0]), "··");
        assert_eq!(sparkline(&[1]), "█");
        assert_eq!(sparkline(&[u64::MAX, 1]), "█▁");
        assert_eq!(sparkline(&[]), "");
    }
}
