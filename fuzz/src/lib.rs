//! hextet-fuzz
