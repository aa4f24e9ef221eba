//! hextet-proto
