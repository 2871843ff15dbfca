//! What `cargo xtask demo` shows.
