#!/usr/bin/env bash
# Shows that the control plane is one: starts three at once and does with the real kubectl and helm what
# the end-to-end tests rely on. Every wait is for something that can be observed, and bounded.
#
#   tests/controlplane/smoke.sh [--keep]       # --keep leaves the folder with logs and data
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
eval "$("$here/build.sh")"
export HELM_CACHE_HOME HELM_CONFIG_HOME HELM_DATA_HOME

work=$(mktemp -d)
HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
keep=false
[ "${1:-}" != --keep ] || keep=true
began=$SECONDS

say() { printf '%s\n' "$*"; }
# On failure, say where; the control planes end with the pipes that this shell holds.
finish() {
	local status=$?
	if [ $status -ne 0 ]; then
		say "FAILED. Logs: $work/*/controlplane.log"
	elif ! $keep; then
		rm -rf "$work"
	fi
}
trap finish EXIT
trap 'say "at line $LINENO: $BASH_COMMAND"' ERR

ms() { date +%s%3N; }
# check WHAT COMMAND...: runs it, and prints it with its time, or with all of its output where it failed.
check() {
	local what=$1 from out
	shift
	from=$(ms)
	if out=$("$@" 2>&1); then
		printf '  ok    %6d ms  %s\n' $(($(ms) - from)) "$what"
	else
		printf '  FAIL  %6d ms  %s\n%s\n' $(($(ms) - from)) "$what" "$out"
		return 1
	fi
}
# is WANTED COMMAND...: its output is this.
is() {
	local wanted=$1 got
	shift
	got=$("$@")
	[ "$got" = "$wanted" ] || { say "wanted: $wanted"; say "got:    $got"; return 1; }
}
# refused TEXT COMMAND...: it fails, and says so.
refused() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then say "succeeded: $out"; return 1; fi
	[[ $out == *"$text"* ]] || { say "wanted in it: $text"; say "got: $out"; return 1; }
}

k() { "$FITOUT_KUBECTL" "$@"; }
h() { "$FITOUT_HELM" "$@"; }
field() { sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/" <<<"$2"; }

declare -A stdin stdout line
# launch NAME [FLAGS...]: starts one, whose stdin is a pipe that this shell holds.
launch() {
	local name=$1
	shift
	mkdir -p "$work/$name"
	rm -f "$work/$name"/{out,rc}
	mkfifo "$work/$name/out"
	exec {fd}<>"$work/$name/out" # so that neither end waits for the other to open
	stdout[$name]=$fd
	exec {fd}> >(
		"$FITOUT_CONTROLPLANE" --dir "$work/$name" --name "$name" --ready-file "$work/$name/ready.json" "$@" >"$work/$name/out" 2>"$work/$name/err" && rc=0 || rc=$?
		echo "$rc" >"$work/$name/rc"
	)
	stdin[$name]=$fd
}
await() { IFS= read -r -t 180 -u "${stdout[$1]}" "line[$1]" || { cat "$work/$1/err"; return 1; }; }
ended() { # ended NAME: it exits by itself, in time, with status 0
	timeout 10 tail --pid="$(field pid "${line[$1]}")" -f /dev/null && is 0 cat "$work/$1/rc"
}
use() { export KUBECONFIG=$work/$1/kubeconfig; }

say "three control planes at once"
from=$(ms)
for name in stg-01 prod-01 prod-02; do launch "$name"; done
for name in stg-01 prod-01 prod-02; do
	await "$name"
	printf '  ready %6d ms  %s (%s, %s, by its own clock %s ms)\n' $(($(ms) - from)) "$name" \
		"$(field version "${line[$name]}")" "$(field server "${line[$name]}")" "$(field startupMs "${line[$name]}")"
done
memory() {
	[ -d /proc/self ] || return 0
	local name
	for name in stg-01 prod-01 prod-02; do
		printf '  memory of %s: %s MiB\n' "$name" $(($(sed -n 's/VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(field pid "${line[$name]}")/status") / 1024))
	done
}
memory

for name in stg-01 prod-01 prod-02; do
	say "$name"
	use "$name"
	check "the ready file has the ready line" is "${line[$name]}" cat "$work/$name/ready.json"
	check "kubectl get nodes: three, ready" is "True True True" k get nodes -o jsonpath='{.items[*].status.conditions[?(@.type=="Ready")].status}'
	check "apply --server-side: Deployment, DaemonSet, StatefulSet, Job, Service" k apply --server-side -f "$here/smoke/workloads.yaml"
	check "rollout status of the Deployment" k rollout status deployment/web --timeout=60s
	check "rollout status of the DaemonSet" k rollout status daemonset/agent --timeout=60s
	check "rollout status of the StatefulSet, with volumes" k rollout status statefulset/store --timeout=60s
	check "the Job completes" k wait --for=condition=complete job/once --timeout=60s
	check "the Service has an address" k wait --for=jsonpath='{.status.loadBalancer.ingress[0].ip}' service/web --timeout=60s
done

say "stg-01: images that never become ready"
use stg-01
k create namespace bad >/dev/null
check "apply" k -n bad apply -f "$here/smoke/broken.yaml"
check "the Deployment's pod waits with ImagePullBackOff" k -n bad wait pod -l app=bad --for=jsonpath='{.status.containerStatuses[1].state.waiting.reason}'=ImagePullBackOff --timeout=60s
check "the Job's pod waits with ImagePullBackOff" k -n bad wait pod -l job-name=bad --for=jsonpath='{.status.initContainerStatuses[0].state.waiting.reason}'=ImagePullBackOff --timeout=60s
check "an event says why" k -n bad wait events --field-selector=reason=Failed --for=jsonpath='{.source.component}'=kubelet --timeout=60s
version() { k -n bad get pods -o jsonpath='{.items[*].metadata.resourceVersion}'; }
before=$(version)
check "rollout status gives up" refused "timed out" k -n bad rollout status deployment/bad --timeout=3s
check "the Job is not done" is "1 " k -n bad get job bad -o jsonpath='{.status.active} {.status.succeeded}'
check "and its pods have not been written to meanwhile" is "$before" version
check "a good image in its place" k -n bad set image deployment/bad bad=registry.example.org/bad:2.1
check "becomes ready" k -n bad rollout status deployment/bad --timeout=60s

say "stg-01: helm"
chart=$here/smoke/chart
k create namespace app >/dev/null
check "install --wait, with a CRD, an object of it and a hook" h -n app install demo "$chart" --wait --timeout 60s
check "list" is "demo deployed smoke-0.1.0-1+ba5e81" bash -c "'$FITOUT_HELM' -n app list | awk 'NR==2 {print \$1, \$8, \$9}'"
check "the CRD's default was filled in" is 3 k -n app get gadget demo -o jsonpath='{.spec.size}'
check "test" h -n app test demo --timeout 60s
check "upgrade to a broken image fails" refused "" h -n app upgrade demo "$chart" --set tag=2.0-broken --wait --timeout 3s
check "rollback --wait" h -n app rollback demo 1 --wait --timeout 60s
check "history" is "superseded failed deployed" bash -c "'$FITOUT_HELM' -n app history demo -o yaml | awk '\$1 == \"status:\" {printf \"%s%s\", s, \$2; s=\" \"}'"
check "get manifest" bash -c "'$FITOUT_HELM' -n app get manifest demo | grep -q 'app:1.0'"
check "uninstall" h -n app uninstall demo --wait --timeout 60s
check "nothing is left of it" is "" k -n app get deployments,replicasets,gadgets,jobs -o name

say "stg-01: permissions"
limited=$work/stg-01/kubeconfig.limited
check "the limited user is refused" refused "Forbidden" k --kubeconfig "$limited" get nodes
k create clusterrolebinding limited --clusterrole=view --group=limited >/dev/null
check "and may what it is bound to" k --kubeconfig "$limited" -n bad get pods
check "and no more" refused "Forbidden" k --kubeconfig "$limited" -n bad delete pods --all

say "stg-01: things go when they are deleted"
volume=$(k get pvc data-store-0 -o jsonpath='{.spec.volumeName}')
check "a Deployment" k delete deployment web --timeout=60s
check "its pods, by garbage collection" k wait --for=delete pod -l app=web --timeout=60s
check "a StatefulSet and its claims" k delete statefulset/store pvc/data-store-0 pvc/data-store-1 --timeout=60s
check "the volume of a claim" k wait --for=delete "pv/$volume" --timeout=60s
check "namespaces with pods in them" k delete namespace bad app --timeout=120s
memory

say "ends"
port=$(field server "${line[stg-01]}")
port=${port##*:}
kill -TERM "$(field pid "${line[stg-01]}")"
check "stg-01: SIGTERM" ended stg-01
launch stg-01 --port "$port"
await stg-01
check "stg-01: started again, it has its objects" is agent k get daemonset -o jsonpath='{.items[*].metadata.name}'
check "stg-01: and runs new pods" k rollout restart daemonset/agent
check "stg-01: on its nodes" k rollout status daemonset/agent --timeout=60s
check "stg-01: a second process in its folder is refused" refused "in use" "$FITOUT_CONTROLPLANE" --dir "$work/stg-01"
check "stg-01: a port that is taken is refused" refused "address already in use" "$FITOUT_CONTROLPLANE" --dir "$work/other" --port "$port"
# A later process holds copies of the earlier pipes, so these end in the order given.
for name in stg-01 prod-02 prod-01; do
	fd=${stdin[$name]}
	exec {fd}>&-
	check "$name: the end of stdin" ended "$name"
done
say "all well, in $((SECONDS - began)) s"
