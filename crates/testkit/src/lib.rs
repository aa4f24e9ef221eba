//! Whole links on virtual time: simulated guests against the real protocol machines, driven by scripts.
//!
//! Time is a number that the script turns; a scenario of three hours takes milliseconds and is the same each time.

pub mod guest;
pub mod scenario;
pub mod world;
