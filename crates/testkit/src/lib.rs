//! hextet-testkit
