//! Back to an earlier revision, from its record.

use super::attempt::Attempt;
use super::error::ApplyError;
use super::history::{failed, origin, records_failed};
use super::target::Target;
use super::{ApplyOptions, Outcome};
use crate::base::clock::Clock;
use crate::k8s::ClusterClient;
use crate::live::record::{RecordHead, ReleaseStatus};
use crate::live::{ReleaseId, releases};

/// Goes back to `revision`, or else to the newest revision before the present one that was ever
/// deployed. The record that is made repeats the earlier one, its commit and digest included.
///
/// # Errors
/// [`ApplyError::NoRevision`] when there is nothing to go back to, such as after a first install.
pub async fn rollback(
    client: &ClusterClient,
    id: &ReleaseId,
    revision: Option<u32>,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Outcome, ApplyError> {
    let heads = releases::heads(client, id).await;
    let heads = heads.map_err(failed(client, "reading the release records"))?;
    let nothing = || ApplyError::NoRevision { release: id.clone(), revision };
    let head = choose(&heads, revision).ok_or_else(nothing)?;
    let record = releases::record(client, head).await;
    let record = record.map_err(|error| records_failed(client, error))?.ok_or_else(nothing)?;
    let origin = origin(head, &record);
    let target = Target::of_record(record, origin, id.clone(), options.rules.clone())?;
    let target = Target { random: head.random.clone(), ..target };
    Attempt { client, target: &target, options, clock }.run(&heads).await
}

/// The revision to go back to. A rollback that did not get through goes on to where it was going.
fn choose(heads: &[RecordHead], revision: Option<u32>) -> Option<&RecordHead> {
    if let Some(revision) = revision {
        return heads.iter().find(|head| head.revision == revision);
    }
    let newest = heads.last()?;
    let was_deployed = |head: &&RecordHead| {
        matches!(head.status, ReleaseStatus::Deployed | ReleaseStatus::Superseded)
    };
    let is_under_way =
        matches!(newest.status, ReleaseStatus::PendingRollback | ReleaseStatus::Failed);
    let going_to = newest.rollback_to.filter(|_| is_under_way);
    let going_to = going_to.and_then(|to| heads.iter().find(|head| head.revision == to));
    going_to.or_else(|| heads.iter().rev().skip(1).find(was_deployed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::record::heads;

    fn chosen(statuses: &[(ReleaseStatus, &str)], revision: Option<u32>) -> Option<u32> {
        choose(&heads(statuses), revision).map(|head| head.revision)
    }

    #[test]
    fn without_a_revision_the_newest_that_was_deployed_before_is_chosen() {
        use ReleaseStatus::{Deployed, Failed, Superseded};
        assert_eq!(chosen(&[(Superseded, "a"), (Deployed, "b")], None), Some(1));
        assert_eq!(chosen(&[(Deployed, "a"), (Failed, "b")], None), Some(1));
        assert_eq!(chosen(&[(Superseded, "a"), (Deployed, "b"), (Failed, "c")], None), Some(2));
        assert_eq!(chosen(&[(Deployed, "a")], None), None);
        assert_eq!(chosen(&[(Failed, "a")], None), None);
        assert_eq!(chosen(&[], None), None);
        assert_eq!(chosen(&[(Superseded, "a"), (Deployed, "b")], Some(2)), Some(2));
        assert_eq!(chosen(&[(Deployed, "b")], Some(7)), None);
    }

    #[test]
    fn a_rollback_that_did_not_get_through_goes_on_to_where_it_was_going() {
        use ReleaseStatus::{Deployed, Failed, PendingRollback, Superseded};
        for status in [PendingRollback, Failed] {
            let mut heads =
                heads(&[(Superseded, "a"), (Superseded, "b"), (Deployed, "c"), (status, "a")]);
            heads[3].rollback_to = Some(1);
            assert_eq!(choose(&heads, None).map(|head| head.revision), Some(1));
        }
    }
}
