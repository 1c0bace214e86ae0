//! A Deployment's rolling update: how far each ReplicaSet may go, as numbers alone.

/// A ReplicaSet in an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// How many pods it is told to have.
    pub(super) replicas: i64,
    /// How many of its pods are available.
    pub(super) available: i64,
}

/// What an update must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Pods in the end.
    pub(super) wanted: i64,
    /// Pods over that, at most, on the way.
    pub(super) surge: i64,
    /// Pods under that, at most, on the way.
    pub(super) unavailable: i64,
}

impl Bounds {
    /// How many pods a new ReplicaSet may have next to the others.
    pub(super) fn room(&self, new: i64, others: i64) -> i64 {
        if new >= self.wanted {
            return self.wanted;
        }
        let free = (self.wanted + self.surge - new - others).max(0);
        new + free.min(self.wanted - new)
    }
}

/// The next replicas of the new ReplicaSet and of the old ones, which are given oldest first.
///
/// # Guarantees
/// Never more than `wanted + surge` replicas, unless there are already more; no available pod is
/// given up while not more than `wanted - unavailable` are available. Either the new one grows or
/// the old ones shrink, never both.
pub(super) fn step(bounds: Bounds, new: Part, old: &[Part]) -> (i64, Vec<i64>) {
    let mut next: Vec<i64> = old.iter().map(|part| part.replicas).collect();
    let others: i64 = next.iter().sum();
    let room = bounds.room(new.replicas, others);
    if room != new.replicas {
        return (room, next);
    }
    let available_min = bounds.wanted - bounds.unavailable;
    let new_unavailable = new.replicas - new.available;
    let mut spare = new.replicas + others - available_min - new_unavailable;
    if spare <= 0 {
        return (new.replicas, next);
    }
    // Pods that serve nobody go first: they cost nothing.
    for (replicas, part) in next.iter_mut().zip(old) {
        let unhealthy = (*replicas - part.available).clamp(0, spare);
        *replicas -= unhealthy;
        spare -= unhealthy;
    }
    let available = new.available + old.iter().map(|part| part.available).sum::<i64>();
    let mut spare = (available - available_min).max(0);
    for replicas in &mut next {
        let given = (*replicas).min(spare);
        *replicas -= given;
        spare -= given;
    }
    (new.replicas, next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(replicas: i64, available: i64) -> Part {
        Part { replicas, available }
    }

    #[test]
    fn the_new_one_grows_by_the_surge_and_the_old_one_shrinks_by_what_became_available() {
        let bounds = Bounds { wanted: 4, surge: 1, unavailable: 0 };
        assert_eq!(step(bounds, part(0, 0), &[part(4, 4)]), (1, vec![4]));
        assert_eq!(step(bounds, part(1, 0), &[part(4, 4)]), (1, vec![4]));
        assert_eq!(step(bounds, part(1, 1), &[part(4, 4)]), (1, vec![3]));
        assert_eq!(step(bounds, part(1, 1), &[part(3, 3)]), (2, vec![3]));
    }

    #[test]
    fn old_pods_that_serve_nobody_go_first() {
        let bounds = Bounds { wanted: 3, surge: 1, unavailable: 0 };
        assert_eq!(step(bounds, part(1, 1), &[part(2, 2), part(1, 0)]), (1, vec![2, 0]));
    }

    proptest! {
        #[test]
        fn an_update_keeps_to_its_bounds_and_comes_to_its_end(
            (wanted, surge, unavailable, old) in (0_i64..20, 0_i64..6, 0_i64..6).prop_flat_map(
                |(wanted, surge, unavailable)| (
                    Just(wanted), Just(surge), Just(unavailable.min(wanted)),
                    prop::collection::vec(0_i64..10, 0..4),
                )
            )
        ) {
            let surge = if surge == 0 && unavailable == 0 { 1 } else { surge };
            let bounds = Bounds { wanted, surge, unavailable };
            let mut new = part(0, 0);
            let mut old: Vec<_> = old.into_iter().map(|replicas| part(replicas, replicas)).collect();
            for _ in 0..200 {
                let total_before = new.replicas + old.iter().map(|p| p.replicas).sum::<i64>();
                let available_before = new.available + old.iter().map(|p| p.available).sum::<i64>();
                let (next_new, next_old) = step(bounds, new, &old);
                let total = next_new + next_old.iter().sum::<i64>();
                prop_assert!(total <= (wanted + surge).max(total_before));
                new.replicas = next_new;
                new.available = new.available.min(next_new);
                for (part, replicas) in old.iter_mut().zip(next_old) {
                    part.replicas = replicas;
                    part.available = part.available.min(replicas);
                }
                let available = new.available + old.iter().map(|p| p.available).sum::<i64>();
                prop_assert!(available >= (wanted - unavailable).min(available_before));
                // One more pod becomes available before the next look.
                new.available = (new.available + 1).min(new.replicas);
            }
            prop_assert_eq!(new, part(wanted, wanted));
            prop_assert!(old.iter().all(|part| part.replicas == 0));
        }
    }
}
