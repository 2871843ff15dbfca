//! What a product answers over HTTP: the path of its health, the requests that tell the product, and what an answer proves.

#![allow(clippy::expect_used, reason = "a recording that does not parse fails its test")]

mod asking;
mod health;
mod look_alikes;
mod program;
mod properties;
mod recorded;
mod written;
