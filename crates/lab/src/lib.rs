//! hextet-lab
