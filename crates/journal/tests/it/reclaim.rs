//! Reclaim.
