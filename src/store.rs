//! The state database: open, migrate, read, and the one writer with group commit.
