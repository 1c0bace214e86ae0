//! Every code that a diagnostic can have: what it means, and the usual way out.
//!
//! The reference is made from this list, with an example of each from the tests' own output.

/// One code.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// As in `error[unknown-addon]`. Never changes its meaning.
    pub code: &'static str,
    /// What is the matter, in one sentence.
    pub meaning: &'static str,
    /// What to do about it.
    pub way_out: &'static str,
}

const fn code(code: &'static str, meaning: &'static str, way_out: &'static str) -> Code {
    Code { code, meaning, way_out }
}

/// All of them, by name.
pub const CODES: &[Code] = &[
    code(
        "bad-check",
        "A health check is not an expression in CEL, or does more than one may.",
        "Write a condition over `self`, such as `self.status.readyReplicas >= 1`.",
    ),
    code(
        "bad-digest",
        "The digest of a plan is none.",
        "Copy it from `fitout rollout show`, or take what `fitout rollout approve --in-git` prints.",
    ),
    code(
        "bad-duration",
        "A duration cannot be read.",
        "Write it with units: `30s`, `10m`, `2h`, `1h 30m`.",
    ),
    code(
        "bad-gate",
        "A gate could never be broken, or could never pass.",
        "Give bounds that some values keep and others do not, and a query that compares with something.",
    ),
    code(
        "bad-guardrail",
        "A ValidatingAdmissionPolicy or its binding is none that an API server would take.",
        "Try it on a cluster with `kubectl apply --dry-run=server`.",
    ),
    code(
        "bad-hook",
        "The hook of a switch policy could never switch traffic.",
        "Name the cluster that traffic goes to with `$(to)`, an object or a Job that is whole, and clusters that are there.",
    ),
    code(
        "bad-index",
        "What a chart repository serves as its index is none, or lacks what is needed.",
        "Check the repository's `url`: `index.yaml` is looked for below it.",
    ),
    code(
        "bad-key",
        "A key of `signers` is no public key of OpenSSH, or is somebody else's.",
        "Copy the line of the `.pub` file that `ssh-keygen` has written.",
    ),
    code(
        "bad-label",
        "A cluster has a label that Kubernetes would not take, so no selector can ask for it.",
        "Use letters, digits, `-`, `_` and `.`, at most 63 of them.",
    ),
    code(
        "bad-name",
        "A name is not one that Kubernetes or Helm takes.",
        "Use lower-case letters, digits and `-`, at most 63; at most 53 for a release.",
    ),
    code(
        "bad-number",
        "A number makes no sense where it stands, such as a batch of no clusters.",
        "Give another, or leave the field out.",
    ),
    code(
        "bad-pair",
        "A switch policy names no labels that would make pairs.",
        "Name the labels in which a cluster and the one that replaces it are equal, such as `[site, role]`.",
    ),
    code(
        "bad-parity",
        "A difference that is allowed is every difference.",
        "Say which: a label, an addon, a kind, a name or a path.",
    ),
    code(
        "bad-path",
        "A path leads out of the fleet's repository.",
        "Paths are relative to the file they are written in; keep what they name in the repository.",
    ),
    code(
        "bad-percentage",
        "A percentage is not between 1 and 100, or not written as one.",
        "Write `percent: 25`, or `maxFailures: 10%`.",
    ),
    code(
        "bad-pointer",
        "The path of an ignored difference is no JSON pointer.",
        "Begin each step with `/`, as in `/spec/replicas`.",
    ),
    code(
        "bad-range",
        "A range of versions cannot be read.",
        "Write comparisons, such as `>=1.27 <1.37`, `~9.3` or `1.x || 3.x`.",
    ),
    code(
        "bad-selector",
        "A label selector asks for something that no label can be.",
        "`In` and `NotIn` need `values`, `Exists` and `DoesNotExist` take none.",
    ),
    code(
        "bad-template",
        "The template of a values layer, or of its file's name, cannot be rendered for a cluster.",
        "Give the cluster the label or fact, or allow for its absence with `dig` or `hasKey`. A file \
         that is `optional: true` is left out instead.",
    ),
    code(
        "bad-time",
        "A time of day, a day, or a window or freeze made of them cannot be.",
        "Write times as `08:00` and days as `2026-12-18`; a freeze ends after it begins.",
    ),
    code(
        "bad-timezone",
        "A time zone is not known.",
        "Give a name of the IANA database, such as `Europe/Zurich`.",
    ),
    code(
        "bad-url",
        "The URL of a chart repository is none that can be used.",
        "Write an `https://` URL without user and password; credentials come from a variable.",
    ),
    code(
        "bad-values",
        "A values file is YAML, and not a mapping of values.",
        "Begin it with keys, as a chart's own `values.yaml`.",
    ),
    code(
        "bad-version",
        "A version is not an exact one.",
        "Name one version. The range that updates may be taken from goes into `updates`.",
    ),
    code(
        "bad-waiver",
        "A waiver has no day, no reason, or waives what cannot be waived.",
        "Give `code`, `reason` and `until`, as in `until: \"2027-03-31\"`.",
    ),
    code(
        "blast-radius",
        "A change deletes more on a cluster than the `limits` of its rollout policy allow.",
        "If it is meant, raise the limit in the same change, or waive the finding; else find out what \
         lost the objects, such as a value that turns a part of the chart off.",
    ),
    code(
        "broken-guardrail",
        "An object breaks a policy of the repository; a cluster with that policy would refuse it.",
        "Change the values or the chart, or add a Waiver with a reason and an end.",
    ),
    code(
        "cannot-run-twice",
        "A chart that is to stand twice, by the strategy `blueGreen`, has an object that both releases \
         would have or fight over.",
        "Switch the object off or name it after the release by values, or change the addon in place.",
    ),
    code(
        "chart-archive",
        "A packed chart cannot be read, or has names or links in it that lead out of it.",
        "Pack it anew with `helm package`. An archive with such names deserves mistrust.",
    ),
    code(
        "chart-invalid",
        "A chart is there and cannot be used: its `Chart.yaml` or another file is wrong, it is a \
         library, it does not fit the cluster's Kubernetes version, or subcharts are missing.",
        "Mend the chart. Subcharts are committed to its `charts/` folder; none are downloaded.",
    ),
    code(
        "chart-too-large",
        "A chart, or a file in it, is beyond the limits.",
        "A chart has at most 100 MiB in 10,000 files of at most 8 MiB each; keep data elsewhere.",
    ),
    code(
        "chart-unreachable",
        "A chart cannot be fetched: the network, the server or the disk failed. Exit code 4.",
        "Try again when the server answers. Charts that were fetched once need no network.",
    ),
    code(
        "dependency-cycle",
        "Addons depend on one another in a circle, so that none of them could be the first.",
        "Take one of the `dependsOn` entries out that are pointed at.",
    ),
    code(
        "dependency-version",
        "An addon needs another one in a range that the version in git is not in.",
        "Change the version or the range, in the same commit.",
    ),
    code(
        "deprecated-api",
        "An object is of an API that a later Kubernetes does not serve.",
        "Use the API that is named, before the clusters are upgraded.",
    ),
    code(
        "duplicate-key",
        "A mapping has a key twice, and only one of the values could count.",
        "Keep one of them.",
    ),
    code(
        "duplicate-name",
        "Two documents, stages or settings have the same name.",
        "Rename one of them.",
    ),
    code(
        "empty-fleet",
        "There are no documents at all: this is probably another folder than you meant.",
        "Run it within the fleet's repository, or name that with `--repo`.",
    ),
    code(
        "encrypted-values",
        "An instance has values that sops has encrypted, and would be rendered for a cluster.",
        "`fitout validate` and `fitout preview` look at them as they are. Keep secrets on the clusters \
         for now, and refer to them by name.",
    ),
    code(
        "exactly-one-of",
        "Of some fields exactly one must be given.",
        "Keep one of those that are listed.",
    ),
    code(
        "expired-waiver",
        "A waiver's last day is over, so what it waived counts again.",
        "Mend what it waived and remove it, or extend it.",
    ),
    code(
        "file-too-large",
        "A file of the fleet's repository is beyond the limit for a file, or all of them for all.",
        "Keep data out of the repository.",
    ),
    code(
        "floating-image",
        "A container's image has no version, or is `latest`: nobody can tell what runs.",
        "Give the image a tag, or a digest.",
    ),
    code(
        "guardrail-not-judged",
        "A policy asks for something that only an API server knows, so it is not checked here.",
        "Leave it to the cluster, and waive this if the policy is as it should be.",
    ),
    code(
        "key-not-a-string",
        "A key of a mapping is itself a mapping or a list. Often a value begins with `{` or `[` and \
         has no quotes.",
        "Quote the value.",
    ),
    code(
        "kubernetes-version",
        "An addon is on a cluster whose Kubernetes version it says it does not work on.",
        "Keep it off that cluster, or widen `kubernetes` once it is known to work.",
    ),
    code(
        "kubernetes-version-invalid",
        "The Kubernetes version that a chart shall be rendered for is none.",
        "Write it as `1.35` or `v1.35.2`.",
    ),
    code(
        "manifest-invalid",
        "A template was rendered, and the output is not YAML or no Kubernetes object.",
        "The excerpt is of the output. Look at quotes and indentation of the template.",
    ),
    code(
        "matches-nothing",
        "A selector matches no cluster, or none that others leave, so that an addon, a variant, a stage or a \
         step of a stage's `order` has no effect.",
        "Check labels and values against those of the clusters.",
    ),
    code(
        "missing-chart",
        "There is no such chart, or not that version of it, where the Addon says it is.",
        "Check path, name and version; what is there is listed.",
    ),
    code(
        "missing-credentials",
        "The variable with a chart repository's credentials is not set.",
        "Set it to a token, or to `user:password`.",
    ),
    code(
        "missing-dependency",
        "An addon is on a cluster and what it depends on is not.",
        "Place the other one there as well.",
    ),
    code(
        "missing-digest",
        "The repository document wants digests, and the index has none for this chart.",
        "Have the repository write digests, or do without `verify: {digest: required}`.",
    ),
    code(
        "missing-field",
        "A field that must be there is not.",
        "Add it; `fitout schema KIND` lists the fields.",
    ),
    code(
        "missing-file",
        "A values layer names a file that is not there.",
        "Add the file, or say `optional: true`.",
    ),
    code(
        "new-chart-source",
        "A change gets a chart from an address, or with credentials, that the base revision does not use.",
        "Add the ChartRepository in a merge request of its own; or say `--allow-new-sources` where you trust the change.",
    ),
    code(
        "no-pair",
        "A cluster that a switch policy is for, or that says what it replaces, can have no pair.",
        "Give it the labels of `pair.by`, with the values of the cluster that it is to replace.",
    ),
    code(
        "no-stage",
        "A policy has no stage that takes a cluster, or only a sample of such, so that changes would \
         never get there.",
        "Add a last stage without `pick` that takes all the rest.",
    ),
    code("no-stages", "A policy has no stages, so that nothing could ever change.", "Add a stage."),
    code(
        "no-versions",
        "A version is asked for of a chart that is a folder or in git, and so is what it is.",
        "Leave the version out, or take the chart from a ChartRepository.",
    ),
    code(
        "not-a-document",
        "A file below `clusters/`, `addons/` or `policies/` is no document and named by no Addon.",
        "Name it as a values layer, move it, or give it `apiVersion` and `kind`.",
    ),
    code(
        "not-decrypted",
        "A sops file cannot be decrypted with the keys that are given, or was changed without sops.",
        "Give the age key of one of its recipients in `SOPS_AGE_KEY` or `SOPS_AGE_KEY_FILE`; edit such \
         files with sops alone.",
    ),
    code(
        "not-encrypted",
        "A file that an Addon names as `secrets` is readable by everybody who has the repository.",
        "Encrypt it with sops, and change the secrets: they stay in the history.",
    ),
    code("not-read", "A file looks like a document and is not read.", "Rename it to `.yaml`."),
    code(
        "not-supported",
        "Something that fitout means to do and does not do yet.",
        "Do without it for now; what can be used instead is said.",
    ),
    code("not-text", "A file is not UTF-8 text.", "Save it as UTF-8."),
    code(
        "object-conflict",
        "Two addons have the same object on a cluster and would undo one another.",
        "Let one of them have it.",
    ),
    code(
        "order-without-batch",
        "A stage says in which order its clusters begin, and lets all of them begin at once.",
        "Bound how many begin at a time with `batch`, or leave `order` out.",
    ),
    code(
        "pair-of-three",
        "More than two clusters are a pair by a switch policy, so that nobody knows which replaces which.",
        "Remove the one that was replaced, or tell them apart by a label of `pair.by`.",
    ),
    code(
        "release-conflict",
        "Two addons are the same Helm release on a cluster and would undo one another.",
        "Give one of them another `releaseName` or `namespace`.",
    ),
    code(
        "removed-api",
        "An object is of an API that the target's Kubernetes no longer serves.",
        "Use the API that is named, or a newer version of the chart.",
    ),
    code(
        "render-failed",
        "A chart's template fails. The excerpts are the place in the template and the layer that set \
         the value; below are the places that included it.",
        "Set or change the value. `fitout why CLUSTER ADDON --value PATH` tells where it is from.",
    ),
    code("same-cluster", "Two Cluster documents are reached the same way.", "Keep one of them."),
    code(
        "two-switch-policies",
        "Two switch policies are for one cluster, and each would switch its traffic.",
        "Let their `clusters` select different ones.",
    ),
    code(
        "unasked-check",
        "A health check names an object that the release does not have, so that nobody ever asks it.",
        "Name an object of the chart, or take the check away.",
    ),
    code(
        "unbound-guardrail",
        "A policy without a binding has no effect.",
        "Add a ValidatingAdmissionPolicyBinding.",
    ),
    code(
        "unknown-addon",
        "Something refers to an addon that there is not.",
        "Check the name against those below `addons/`.",
    ),
    code(
        "unknown-api-version",
        "A document is of another API, or of another version of ours.",
        "Objects for clusters belong into charts; ours are `fitout.dev/v1alpha1`.",
    ),
    code(
        "unknown-field",
        "A document has a field that its kind does not have.",
        "Check the name; `fitout schema KIND` lists the fields.",
    ),
    code(
        "unknown-kind",
        "There is no such kind of document.",
        "The kinds are Cluster, Addon, ChartRepository, RolloutPolicy and Waiver.",
    ),
    code(
        "unknown-label",
        "A selector asks for a label that no cluster has.",
        "Check the name against the clusters' labels.",
    ),
    code(
        "unknown-policy",
        "An addon refers to a rollout policy that there is not.",
        "Check the name against those below `policies/`.",
    ),
    code(
        "unknown-repository",
        "An addon refers to a chart repository that there is not.",
        "Add a ChartRepository document below `addons/`.",
    ),
    code(
        "unknown-tag",
        "A YAML tag such as `!!binary` has no meaning in a document.",
        "Leave the tag out.",
    ),
    code(
        "unknown-value",
        "A field has a value that is none of its choices.",
        "Take one of those that are listed.",
    ),
    code(
        "unused-budget",
        "A stage has its own `maxFailures` and goes on whatever fails, so that it never counts.",
        "Set `onFailure: rollback` or `pause` for the stage, or leave `maxFailures` out.",
    ),
    code(
        "values-invalid",
        "The values do not fit the chart's `values.schema.json`, or are none.",
        "Each value is named with what is wrong, and the layer that set it is pointed at.",
    ),
    code(
        "wrong-digest",
        "What came from a chart repository is not what its index says.",
        "Find out why before anything else: the archive was replaced, or the index is old.",
    ),
    code(
        "wrong-merge",
        "A `<<` merges something that is no mapping.",
        "Let its alias name a mapping, or a list of mappings.",
    ),
    code(
        "wrong-tag",
        "A value is not what its YAML tag says.",
        "Leave the tag out, or change the value.",
    ),
    code(
        "wrong-type",
        "A field has a value of another type.",
        "Often quotes are missing: `\"1.30\"` is a text, `1.30` is a number.",
    ),
    code(
        "yaml-syntax",
        "A file is not YAML.",
        "Look at the line that is pointed at, and at the one before it.",
    ),
];

/// The code of a name.
pub fn find(name: &str) -> Option<&'static Code> {
    let at = CODES.binary_search_by_key(&name, |code| code.code).ok()?;
    CODES.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sorted_and_found() {
        assert!(CODES.is_sorted_by_key(|code| code.code));
        assert!(CODES.iter().all(|code| find(code.code).is_some()));
        assert!(find("no-such-code").is_none());
    }
}
