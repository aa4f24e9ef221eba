//! hextet-server
