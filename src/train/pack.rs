//! Packing: several examples in one sequence, so that little of a batch is padding.

/// First-fit decreasing (Johnson 1973): each length, longest first, goes into the first pack it fits in. Packs as
/// indices of lengths; a length above the budget has a pack of its own.
pub fn pack(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // Stable: equal lengths keep their order.
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let mut packs: Vec<Vec<usize>> = Vec::new();
    let mut left: Vec<usize> = Vec::new();
    for index in order {
        match left.iter().position(|left| *left >= lengths[index]) {
            Some(pack) => {
                packs[pack].push(index);
                left[pack] -= lengths[index];
            }
            None => {
                packs.push(vec![index]);
                left.push(budget.saturating_sub(lengths[index]));
            }
        }
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_go_first() {
        assert_eq!(pack(&[4, 8, 1, 4, 2, 1], 10), [vec![1, 4], vec![0, 3, 2, 5]]);
        assert_eq!(pack(&[12, 3], 10), [vec![0], vec![1]]);
        assert!(pack(&[], 10).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn every_example_is_packed_once_and_fits(lengths in proptest::collection::vec(1usize..50, 0..200)) {
            let packs = pack(&lengths, 64);
            let mut seen: Vec<usize> = packs.iter().flatten().copied().collect();
            seen.sort_unstable();
            proptest::prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            let sums: Vec<usize> = packs.iter().map(|pack| pack.iter().map(|index| lengths[*index]).sum()).collect();
            proptest::prop_assert!(sums.iter().all(|sum| *sum <= 64));
            // No two packs would fit into one, so at most one is half empty.
            proptest::prop_assert!(sums.iter().filter(|sum| **sum <= 32).count() <= 1);
        }
    }
}
