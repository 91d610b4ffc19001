//! The pages by themselves, and the server against clients that behave badly.
mod drains;
mod explained;
mod fixture;
mod pages;
mod routes;
mod server;
