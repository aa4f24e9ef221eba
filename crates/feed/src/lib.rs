//! hextet-feed
