//! hextet-agent
