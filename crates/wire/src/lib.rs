//! hextet-wire
