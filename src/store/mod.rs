//! The append-only event log: rollouts' progress and the audit trail.
