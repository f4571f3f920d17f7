// SPDX-License-Identifier: MIT

//! Threads, a sort, a panic that is caught (which unwinds), and an exit status. What it prints is always the same.

use std::collections::BTreeMap;
use std::panic;
use std::thread;

#[inline(never)]
fn work(seed: u64, rounds: u64) -> u64 {
    let mut map = BTreeMap::new();
    let mut x = seed;
    for i in 0..rounds {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(i | 1);
        *map.entry(x >> 52).or_insert(0u64) += x & 0xff;
    }
    let mut values: Vec<u64> = map.into_values().collect();
    values.sort_unstable();
    values.iter().fold(0, |sum, value| sum.wrapping_mul(31).wrapping_add(*value))
}

fn main() {
    let rounds: u64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1000000);
    panic::set_hook(Box::new(|_| {}));
    let threads: Vec<_> = (0..3).map(|seed| thread::spawn(move || work(seed, rounds))).collect();
    let sums: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let caught = panic::catch_unwind(|| {
        if work(7, rounds / 10) != 0 {
            panic!("expected");
        }
    });
    println!("{:?} {}", sums, caught.is_err());
    std::process::exit(5);
}
