//! Benchmarks on the real API server.
