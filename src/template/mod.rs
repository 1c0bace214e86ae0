//! Go's `text/template` language: lexer, parser, values, evaluation.
//!
//! Knows nothing about charts, YAML or Helm's functions: those come as a [`function::Functions`]
//! table and a [`world::World`]. Imports only `std`.

pub mod ast;
pub mod binary;
pub mod error;
pub mod exec;
pub mod float;
mod format;
pub mod funcs;
pub mod function;
mod lex;
pub mod number;
pub mod parse;
pub mod print;
pub mod quote;
pub mod set;
pub mod value;
pub mod world;
