//! The ways by which chance enters a program, in the hand of the seed: libc's clock and its random bytes,
//! from which come all times, ids, hash seeds and coin tosses. On the thread that [`begin`] was called on both are
//! functions of the seed; on every other thread they are what they always are.

use std::cell::Cell;
use std::time::Duration;

use nix::libc;

/// What the simulation's clock on the wall shows at its beginning, in seconds since the Unix epoch.
const WALL: u64 = 1_800_000_000;
/// What its monotonic clock shows then.
const UPTIME: u64 = 1_000;

thread_local! {
    /// The time since the simulation began; `None` where there is none.
    static TIME: Cell<Option<Duration>> = const { Cell::new(None) };
    static BYTES: Cell<Dice> = const { Cell::new(Dice(0)) };
}

/// Puts this thread into the hand of the seed, at its time zero.
pub fn begin(seed: u64) {
    BYTES.set(Dice::of(seed, "bytes"));
    set_time(Duration::ZERO);
}

/// The time since the simulation began, for this thread.
pub fn set_time(time: Duration) {
    TIME.set(Some(time));
}

/// libc's, which all of Rust asks for the time.
///
/// # Safety
/// As clock_gettime(2): `at` must be valid for writes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, at: *mut libc::timespec) -> libc::c_int {
    let Some(time) = TIME.get() else {
        // SAFETY: the arguments are those of a caller of clock_gettime(2), passed on to it.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, at) } as libc::c_int;
    };
    let start = if clock == libc::CLOCK_REALTIME { WALL } else { UPTIME };
    let told =
        libc::timespec { tv_sec: (start + time.as_secs()).cast_signed(), tv_nsec: i64::from(time.subsec_nanos()) };
    // SAFETY: the caller gives a valid place.
    unsafe { at.write(told) };
    0
}

/// libc's, which all of Rust asks for randomness.
///
/// # Safety
/// As getrandom(2): `buffer` must be valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut libc::c_void, length: usize, flags: libc::c_uint) -> isize {
    if TIME.get().is_none() {
        // SAFETY: the arguments are those of a caller of getrandom(2), passed on to it.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) } as isize;
    }
    let mut dice = BYTES.get();
    // SAFETY: the caller gives room for so many bytes; they need not be initialized to be written.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<std::mem::MaybeUninit<u8>>(), length) };
    for byte in bytes {
        byte.write(dice.next().to_be_bytes()[0]);
    }
    BYTES.set(dice);
    length.cast_signed()
}

/// A stream of numbers out of a seed (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of that name: what one draws does not move another.
    pub fn of(seed: u64, name: &str) -> Self {
        let mut dice = Self(seed);
        for byte in name.bytes() {
            dice.0 = dice.next() ^ u64::from(byte);
        }
        dice
    }

    /// Always the same.
    pub const fn none() -> Self {
        Self(0)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let drawn = self.next() % u64::try_from(end).expect("a usize has 64 bits");
        usize::try_from(drawn).expect("below a usize")
    }

    /// True `permille` times of a thousand.
    pub fn chance(&mut self, permille: usize) -> bool {
        self.below(1000) < permille
    }

    /// So many milliseconds, the last one not included.
    pub fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.next() % (range.end - range.start))
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
