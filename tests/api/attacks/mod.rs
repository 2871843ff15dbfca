//! The admin of a tenant's namespace tries everything to reach the agent's file for trusted tools, or to make the operator
//! call an address of its choice. The operator runs in a network in which every packet is counted.
//!
//! Every module is one test with one operator. It creates the objects of many vectors, waits until the operator has judged
//! them, and compares: the entries of the trusted tools in every version of the output, and where packets went. Each vector
//! becomes a line of a table, `target/attack-table.md`.

mod addresses;
mod arena;
mod endpoints;
mod flood;
mod names;
mod objects;
mod probing;
mod spec;
mod table;
mod texts;
