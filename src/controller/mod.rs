//! The fleet controller: polls git, reconciles every cluster, advances rollouts.
