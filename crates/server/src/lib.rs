//! hextet-server

pub mod identity;
