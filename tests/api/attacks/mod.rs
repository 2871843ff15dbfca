//! The admin of a tenant's namespace attacks the operator. The attacker tries to change the entries of trusted tools in
//! the agent's file, or to make the operator call an address of the attacker's choice. The operator runs in a network
//! in which every packet is counted.
//!
//! Every module is one test with one operator. The test creates the objects of many vectors and waits until the
//! operator has judged them. Then it checks the entries of the trusted tools in every version of the output, and the
//! addresses of all packets. Each vector becomes a line of a table, `target/attack-table.md`.

mod addresses;
mod answers;
mod arena;
mod endpoints;
mod flood;
mod lies;
mod names;
mod objects;
mod probing;
mod slices;
mod spec;
mod table;
mod texts;
