//! Tests of the room as a whole: a tree, a registry that follows it, and the table that comes of it.

mod assemble;
mod conditions;
mod drains;
mod endpoints;
mod fixture;
mod follow;
mod selection;
