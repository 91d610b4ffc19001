//! The operating system's random numbers, by a seed.
//!
//! Hash tables of `std`, the order in which `tokio::select!` polls, openraft's election timeouts and everything that asks
//! the crate `rand` begin with `getrandom(2)`. A symbol of that name in the program goes before the C library's, so one
//! function decides them all, in crates that know nothing of a simulation. One process runs one seed: what a library
//! counts in a static begins anew with each.
//!
//! The only `unsafe` code of the repository, because a C function cannot be replaced without; it is no part of the product.

use std::sync::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);

/// Sets the seed; call it before anything else.
pub fn seed(seed: u64) {
    STATE.store(seed ^ 0x5eed, Ordering::Relaxed);
}

fn next() -> u64 {
    let state = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Fills `length` bytes at `buffer`, as getrandom(2) does.
///
/// # Safety
/// `buffer` must be valid for writes of `length` bytes, as the C library's callers promise.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for at in 0..length {
        // SAFETY: the caller promises that all of these bytes may be written.
        unsafe { buffer.add(at).write((next() >> 32) as u8) };
    }
    length as isize
}
