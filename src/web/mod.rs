//! The controller's HTTP endpoints: health and metrics.
