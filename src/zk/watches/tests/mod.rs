//! Watches against a real tree, and their tables against a naive model.

mod access;
mod connections;
mod fixture;
mod model;
mod one_shot;
mod persistent;
mod requests;
mod snapshots;
