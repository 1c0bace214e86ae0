//! Integration tests: one binary, one module for each area.

mod corpus;
mod env;
mod git;
mod tidy;
