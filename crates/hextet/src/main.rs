//! hextet
fn main() {}
