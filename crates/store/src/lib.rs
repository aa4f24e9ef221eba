//! hextet-store
