//! Matrix products, blocked and packed as in BLIS (Van Zee and van de Geijn 2015). The right side may be in four bits:
//! it is made dense a panel at a time while it is packed, so the dense matrix never exists.
//!
//! The inner loop is plain Rust over arrays of fixed size, which the compiler keeps in vector registers.

use rayon::prelude::*;

use super::Real;
use crate::qlora::nf4::Nf4;

const WIDE: bool = cfg!(target_feature = "avx512f");
/// Rows of a tile of the result that stays in registers.
const ROWS: usize = if WIDE { 12 } else { 6 };
/// 32-bit values of a vector register. A tile is two of them wide, one where the result isn't wider.
const VECTOR: usize = if WIDE { 16 } else { 8 };
/// Inner length that is packed at once: a panel of the right side stays in the first cache.
const DEPTH: usize = 256;
/// Columns of the right side that are packed at once, so that they stay in the last cache.
const PACKED_COLUMNS: usize = 4096;
/// Products with fewer multiplications are faster on one thread.
const WORTH_THREADS: usize = 1 << 18;
/// Inner steps that are written out one after the other.
const STEPS: usize = 8;

/// A matrix in memory.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a, T> {
    /// Values from the first element on.
    pub data: &'a [T],
    #[expect(missing_docs, reason = "the name says it")]
    pub rows: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub columns: usize,
    /// Values from one row to the next.
    pub row_stride: usize,
    /// Values from one column to the next.
    pub column_stride: usize,
}

impl<'a, T> Strided<'a, T> {
    /// Row-major, without gaps.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Strided { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose, of the same values.
    pub fn t(self) -> Self {
        let Strided { data, rows, columns, row_stride, column_stride } = self;
        Strided { data, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }
}

/// The right side of a product.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a, T> {
    #[expect(missing_docs, reason = "the type says it")]
    Dense(Strided<'a, T>),
    #[expect(missing_docs, reason = "the type says it")]
    Nf4(Quantised<'a>),
}

/// A matrix in four bits.
#[derive(Debug, Clone, Copy)]
pub struct Quantised<'a> {
    #[expect(missing_docs, reason = "the name says it")]
    pub weight: &'a Nf4,
    /// The largest absolute value of each block.
    pub maxima: &'a [f32],
    /// Columns as it is stored, row-major.
    pub columns: usize,
    /// Whether it is multiplied as its transpose.
    pub transposed: bool,
}

/// Whether a product is spread over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Threads {
    One,
    All,
}

/// Where a product goes: rows of `columns` values that begin `stride` values apart.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Into<'a, T> {
    pub data: &'a mut [T],
    pub columns: usize,
    pub stride: usize,
    /// Whether the product is added to what is there.
    pub accumulate: bool,
}

impl<'a, T> Into<'a, T> {
    /// Rows without gaps, whose values the product replaces.
    pub fn new(data: &'a mut [T], columns: usize) -> Self {
        Into { data, columns, stride: columns, accumulate: false }
    }

    /// Rows without gaps, to whose values the product is added.
    pub fn sum(data: &'a mut [T], columns: usize) -> Self {
        Into { data, columns, stride: columns, accumulate: true }
    }
}

/// `c = alpha · a · b`.
pub fn gemm<T: Real>(c: Into<T>, alpha: T, a: Strided<T>, b: Right<T>, threads: Threads) {
    if c.columns <= VECTOR {
        by_panel::<T, VECTOR>(c, alpha, a, b, threads);
    } else {
        by_panel::<T, { 2 * VECTOR }>(c, alpha, a, b, threads);
    }
}

/// Panels of the right side are `WIDTH` columns wide.
fn by_panel<T: Real, const WIDTH: usize>(c: Into<T>, alpha: T, a: Strided<T>, b: Right<T>, threads: Threads) {
    let Into { data, columns, stride, mut accumulate } = c;
    if a.rows == 0 || columns == 0 {
        return;
    }
    let data = &mut data[..(a.rows - 1) * stride + columns];
    if a.columns == 0 && !accumulate {
        data.chunks_mut(stride).for_each(|row| row[..columns].fill(T::zero()));
    }
    let parallel = threads == Threads::All && a.rows * a.columns * columns >= WORTH_THREADS;
    // A few tasks a thread, so that a late one doesn't keep the others waiting.
    let tasks = if parallel { 3 * rayon::current_num_threads() } else { 1 };
    let task_rows = a.rows.div_ceil(tasks).next_multiple_of(ROWS).min(8 * ROWS);
    let mut packed = T::buffer();
    for first in (0..a.columns).step_by(DEPTH) {
        let depth = (first, DEPTH.min(a.columns - first));
        for column in (0..columns).step_by(PACKED_COLUMNS) {
            let width = PACKED_COLUMNS.min(columns - column);
            packed.resize(width.div_ceil(WIDTH) * depth.1 * WIDTH, T::zero());
            let pack = |(panel, packed): (usize, &mut [T])| {
                let start = column + panel * WIDTH;
                pack_right::<T, WIDTH>(packed, b, depth, (start, WIDTH.min(columns - start)));
            };
            if parallel {
                packed.par_chunks_mut(depth.1 * WIDTH).enumerate().for_each(pack);
            } else {
                packed.chunks_mut(depth.1 * WIDTH).enumerate().for_each(pack);
            }
            let task = |(index, rows): (usize, &mut [T])| {
                let mut room = T::buffer();
                let left = Left { a, row: index * task_rows, depth };
                let to = Into { data: rows, columns: width, stride, accumulate };
                multiply::<T, WIDTH>(to, column, alpha, left, &packed, &mut room);
                T::give_back(room);
            };
            if parallel {
                data.par_chunks_mut(task_rows * stride).enumerate().for_each(task);
            } else {
                data.chunks_mut(task_rows * stride).enumerate().for_each(task);
            }
        }
        accumulate = true;
    }
    T::give_back(packed);
}

/// Some rows and inner steps of the left side.
#[derive(Clone, Copy)]
struct Left<'a, T> {
    a: Strided<'a, T>,
    row: usize,
    /// The first inner step, and how many there are.
    depth: (usize, usize),
}

impl<'a, T: Real> Left<'a, T> {
    /// A tile's rows, not copied; a tile that isn't full repeats the last row. `None` where a row's values aren't
    /// neighbours.
    fn rows(&self, tile: usize) -> Option<[&'a [T]; ROWS]> {
        let (a, (first, depth)) = (self.a, self.depth);
        let start = |row: usize| (self.row + tile + row).min(a.rows - 1) * a.row_stride + first;
        (a.column_stride == 1).then(|| std::array::from_fn(|row| &a.data[start(row)..][..depth]))
    }

    /// Copies a tile to `[depth][ROWS]`, or by row to `[ROWS][depth]`; rows behind the last one are 0.
    fn pack(&self, tile: usize, packed: &mut Vec<T>, by_row: bool) {
        let (a, (first, depth)) = (self.a, self.depth);
        packed.clear();
        packed.resize(depth * ROWS, T::zero());
        let row = self.row + tile;
        let from = &a.data[row * a.row_stride + first * a.column_stride..];
        let rows = ROWS.min(a.rows - row);
        if by_row {
            transfer(packed, depth, from, (a.column_stride, a.row_stride), (depth, rows));
        } else {
            transfer(packed, ROWS, from, (a.row_stride, a.column_stride), (rows, depth));
        }
    }
}

/// Some rows of the result, in columns from `column` on: every tile of them with every panel.
fn multiply<T: Real, const WIDTH: usize>(
    c: Into<T>,
    column: usize,
    alpha: T,
    left: Left<T>,
    panels: &[T],
    room: &mut Vec<T>,
) {
    let depth = left.depth.1;
    for (tile, rows) in c.data.chunks_mut(ROWS * c.stride).enumerate() {
        // With one panel, packing would take as long as multiplying: rows are read where they are.
        let narrow = WIDTH == VECTOR;
        let in_place = left.rows(tile * ROWS).filter(|_| narrow);
        if in_place.is_none() {
            left.pack(tile * ROWS, room, narrow);
        }
        let by_row = in_place.unwrap_or_else(|| std::array::from_fn(|row| &room[row * depth..][..depth]));
        for (panel, right) in panels.chunks_exact(depth * WIDTH).enumerate() {
            let sums: [[T; WIDTH]; ROWS] =
                if narrow { tile_of_rows(&by_row, right) } else { tile_of_packed(room, right) };
            let start = panel * WIDTH;
            let columns = WIDTH.min(c.columns - start);
            for (row, values) in rows.chunks_mut(c.stride).zip(&sums) {
                let row = &mut row[column + start..][..columns];
                let values = values.iter().map(|value| alpha * *value);
                if c.accumulate {
                    row.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                } else {
                    row.iter_mut().zip(values).for_each(|(to, value)| *to = value);
                }
            }
        }
    }
}

#[inline(always)]
fn tile_of_packed<T: Real, const WIDTH: usize>(left: &[T], right: &[T]) -> [[T; WIDTH]; ROWS] {
    let mut sums = [[T::zero(); WIDTH]; ROWS];
    for (left, right) in left.as_chunks::<ROWS>().0.iter().zip(right.as_chunks::<WIDTH>().0) {
        for row in 0..ROWS {
            for column in 0..WIDTH {
                sums[row][column] = left[row].mul_add(right[column], sums[row][column]);
            }
        }
    }
    sums
}

#[inline(always)]
fn tile_of_rows<T: Real, const WIDTH: usize>(left: &[&[T]; ROWS], right: &[T]) -> [[T; WIDTH]; ROWS] {
    let mut sums = [[T::zero(); WIDTH]; ROWS];
    let right = right.as_chunks::<WIDTH>().0;
    let blocks: [&[[T; STEPS]]; ROWS] = std::array::from_fn(|row| left[row].as_chunks().0);
    for (block, right) in right.chunks_exact(STEPS).enumerate() {
        let left: [&[T; STEPS]; ROWS] = std::array::from_fn(|row| &blocks[row][block]);
        for step in 0..STEPS {
            for row in 0..ROWS {
                for column in 0..WIDTH {
                    sums[row][column] = left[row][step].mul_add(right[step][column], sums[row][column]);
                }
            }
        }
    }
    let done = right.len() / STEPS * STEPS;
    for (step, right) in right.iter().enumerate().skip(done) {
        for row in 0..ROWS {
            for column in 0..WIDTH {
                sums[row][column] = left[row][step].mul_add(right[column], sums[row][column]);
            }
        }
    }
    sums
}

/// Copies a panel to `[depth][WIDTH]`; columns that fill up the last panel are 0.
fn pack_right<T: Real, const WIDTH: usize>(
    packed: &mut [T],
    b: Right<T>,
    (first, depth): (usize, usize),
    (column, columns): (usize, usize),
) {
    if columns < WIDTH {
        packed.fill(T::zero());
    }
    match b {
        Right::Dense(b) => {
            let start = first * b.row_stride + column * b.column_stride;
            transfer(packed, WIDTH, &b.data[start..], (b.column_stride, b.row_stride), (columns, depth));
        }
        Right::Nf4(b) if b.transposed => {
            let mut row = [0.0; DEPTH];
            for index in 0..columns {
                let row = &mut row[..depth];
                b.weight.dequantise_into(b.maxima, (column + index) * b.columns + first, row);
                for (packed, value) in packed.chunks_exact_mut(WIDTH).zip(row) {
                    packed[index] = T::from_f32(*value);
                }
            }
        }
        Right::Nf4(b) => {
            let mut row = [0.0; WIDTH];
            for (index, packed) in packed.chunks_exact_mut(WIDTH).enumerate() {
                let row = &mut row[..columns];
                b.weight.dequantise_into(b.maxima, (first + index) * b.columns + column, row);
                packed.iter_mut().zip(row).for_each(|(packed, value)| *packed = T::from_f32(*value));
            }
        }
    }
}

/// Copies elements `[width, depth]` with these strides to `[depth][to_stride]`.
fn transfer<T: Real>(
    to: &mut [T],
    to_stride: usize,
    from: &[T],
    (across, along): (usize, usize),
    (width, depth): (usize, usize),
) {
    if across == 1 {
        for (index, to) in to.chunks_exact_mut(to_stride).take(depth).enumerate() {
            to[..width].copy_from_slice(&from[index * along..][..width]);
        }
    } else if along == 1 {
        // Sixteen at a time, so that a line of the source is read once.
        for start in (0..depth).step_by(16) {
            let count = 16.min(depth - start);
            for index in 0..width {
                let from = &from[index * across + start..][..count];
                for (to, value) in to[start * to_stride..].chunks_exact_mut(to_stride).zip(from) {
                    to[index] = *value;
                }
            }
        }
    } else {
        for (at, to) in to.chunks_exact_mut(to_stride).take(depth).enumerate() {
            to[..width].iter_mut().enumerate().for_each(|(index, to)| *to = from[index * across + at * along]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between −1 and 1 that are not alike.
    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let number = |index| (crate::qlora::dropout::mix(seed ^ index) >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        (0..count as u64).map(number).collect()
    }

    fn element<T: Real>(matrix: Strided<T>, row: usize, column: usize) -> T {
        matrix.data[row * matrix.row_stride + column * matrix.column_stride]
    }

    fn check(rows: usize, depth: usize, columns: usize, transposed: (bool, bool), accumulate: bool, threads: Threads) {
        let side = |data, rows, columns, transposed| {
            if transposed { Strided::new(data, columns, rows).t() } else { Strided::new(data, rows, columns) }
        };
        let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
        let (a, b) = (side(&a, rows, depth, transposed.0), side(&b, depth, columns, transposed.1));
        let stride = columns + 3;
        let before = numbers(rows * stride, 3);
        let mut c = before.clone();
        gemm(Into { data: &mut c, columns, stride, accumulate }, 0.5, a, Right::Dense(b), threads);
        for (at, found) in c.iter().enumerate() {
            let (row, column) = (at / stride, at % stride);
            let sum: f64 = if column < columns {
                (0..depth).map(|inner| 0.5 * element(a, row, inner) * element(b, inner, column)).sum()
            } else {
                0.0
            };
            let there = if accumulate || column >= columns { before[at] } else { 0.0 };
            assert!((found - sum - there).abs() < 1e-10, "{rows} {depth} {columns}: {found} at {row}, {column}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
        #[test]
        fn products_are_sums_of_products(
            rows in 1usize..40,
            depth in 1usize..600,
            columns in 1usize..70,
            transposed: (bool, bool),
            accumulate: bool,
            all: bool,
        ) {
            check(rows, depth, columns, transposed, accumulate, if all { Threads::All } else { Threads::One });
        }
    }

    #[test]
    fn more_columns_than_are_packed_at_once() {
        check(3, 5, PACKED_COLUMNS + 7, (false, true), false, Threads::All);
        check(200, 300, 40, (false, false), true, Threads::All);
    }

    #[test]
    fn four_bits_are_multiplied_as_what_they_stand_for() {
        for (out, into, transposed) in [(37, 75, true), (37, 75, false), (40, 320, true), (300, 64, false)] {
            let weight = Nf4::quantise(&numbers(out * into, 4).iter().map(|value| *value as f32).collect::<Vec<_>>());
            let dense: Vec<f64> = weight.dequantise().into_iter().map(f64::from).collect();
            let stored = Strided::new(&dense, out, into);
            let dense = if transposed { stored.t() } else { stored };
            let a = numbers(9 * dense.rows, 5);
            let product = |b: Right<f64>| {
                let mut c = vec![f64::NAN; 9 * dense.columns];
                let into = Into { data: &mut c, columns: dense.columns, stride: dense.columns, accumulate: false };
                gemm(into, 1.0, Strided::new(&a, 9, dense.rows), b, Threads::One);
                c
            };
            let quantised = Quantised { weight: &weight, maxima: &weight.maxima(), columns: into, transposed };
            assert_eq!(product(Right::Nf4(quantised)), product(Right::Dense(dense)));
        }
    }
}
