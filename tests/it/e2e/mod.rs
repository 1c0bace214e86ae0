//! The main job on real control planes, seen through the real `kubectl` and `helm`. Runs with
//! `make e2e`; without it each test says that it is skipped.

mod adopt;
mod blue_green;
mod browser;
mod changes;
mod chart_flow;
mod charts;
mod clusters;
mod connections;
mod controller;
mod departures;
mod diff;
mod drift;
mod example;
mod fleet;
mod gates;
mod guardrails;
mod helm;
mod hooks;
mod many_charts;
mod parity;
mod permissions;
mod preview;
mod random;
mod reasons;
mod refusals;
mod removal;
mod run;
mod sim_tools;
mod switches;
mod weather;
mod webhook;
mod wire;
