//! Faults that can be planted in the code, to show that the laws bite: a check that never finds
//! anything may just be blind.
//!
//! Planting is compiled for unit tests alone. Everywhere else [`is_planted`] is a constant `false`.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// What was seen before a change is evidence of the change.
    StaleEvidence,
    /// What a gate said before a change is evidence of the change.
    StaleGate,
    /// Samples from before a change are evidence of the change.
    OldSamples,
    /// The Job of an earlier change is one of the present change.
    OldRun,
    /// What would be sure if one looked once is looked at again and again.
    Peeking,
    /// One cluster more than the batch allows.
    BatchOffByOne,
    /// One failure more than the policy allows.
    BudgetOffByOne,
    /// A stage has soaked as soon as it is healthy.
    NoSoak,
    /// One approval less than the policy asks for.
    ApprovalOffByOne,
    /// One healthy cluster speaks for its whole stage.
    StageEarly,
    /// Each addon of a train passes its stages by itself.
    TrainApart,
    /// Freezes and windows do not hold.
    NoCalendar,
    /// Nothing is waited for.
    NoDependency,
    /// What others depend on goes before them.
    NoDependant,
    /// What went back is tried again at once.
    NoMemory,
    /// A decision is carried out although it could not be recorded.
    Unrecorded,
    /// A cluster that could not be read is one with nothing on it.
    GapIsAbsence,
    /// Documents that cannot be read are documents that are not there.
    MistakeIsAbsence,
    /// Limits do not count.
    NoLimits,
    /// An object that could not be deleted is taken for gone.
    ConflictIsGone,
    /// Whoever only looks heals what they see.
    LookHeals,
    /// Nothing is healed.
    NoHealing,
    /// A failed attempt tells everything that it knows.
    SecretTold,
}

/// Whether a fault is planted in this thread.
#[cfg(not(test))]
#[inline]
pub const fn is_planted(_: Planted) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

/// Whether a fault is planted in this thread.
#[cfg(test)]
pub fn is_planted(fault: Planted) -> bool {
    PLANTED.get() == Some(fault)
}

/// Does something in this thread with a fault planted, or none.
#[cfg(test)]
pub fn with<T>(fault: Option<Planted>, work: impl FnOnce() -> T) -> T {
    PLANTED.set(fault);
    let done = work();
    PLANTED.set(None);
    done
}
