//! The rollout state machine: a pure function of state, observation and time.
