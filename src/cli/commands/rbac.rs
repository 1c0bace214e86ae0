//! `fitout rbac`: the least permissions that fitout needs for addons, as YAML. Asks no cluster.

use std::collections::BTreeSet;

use crate::base::diagnostic::counted;
use crate::base::ids::{AddonName, ClusterName};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::selection::{InstanceArgs, instances_on};
use crate::fleet::model::{Fleet, SecretKeyRef};
use crate::permissions::{
    Catalog, Need, Permission, Policy, Purpose, Scope, Subject, Wanted, needs_with_gates,
};
use crate::render::RenderOptions;
use crate::report::diagnostics;

/// Arguments of `fitout rbac`. All clusters are meant when none is named; what is printed is enough
/// for each of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    instances: InstanceArgs,
    /// Whom to bind it to: `User:NAME`, `Group:NAME` or `ServiceAccount:NAMESPACE/NAME`
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Subject>,
    /// Leave out what fitout can do without: lists over the whole cluster, and what explains
    #[arg(long)]
    required_only: bool,
    /// For the hub instead: the Secrets with the kubeconfigs of these clusters
    #[arg(long, conflicts_with_all = ["addons", "required_only"])]
    hub: bool,
    /// The name of the roles and their bindings
    #[arg(long, value_name = "NAME", default_value = "fitout")]
    name: String,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let desired = load::desired(context)?;
    let clusters = args.instances.clusters.select_or_all(&desired.fleet)?;
    if args.hub {
        return hub(&args, &desired.fleet, &clusters, context);
    }
    let addons = args.instances.addons.select(&desired.fleet)?;
    // With addons that are not asked for: one may bring the CRD of another's objects.
    let rendered =
        load::render(&desired, &instances_on(&desired, &clusters), &RenderOptions::to_look_at());
    let mut all: Vec<Need> = Vec::new();
    let mut namespaces = BTreeSet::new();
    for cluster in &clusters {
        let releases = rendered.value.iter().filter(|one| one.instance.key.cluster == *cluster);
        let releases: Vec<Wanted<'_>> = releases.flat_map(Wanted::of).collect();
        let catalog = Catalog::of(&releases);
        let meant: Vec<Wanted<'_>> =
            releases.into_iter().filter(|one| addons.contains(one.addon)).collect();
        warn_of_guesses(cluster, &catalog.guessed(&meant), context)?;
        namespaces.extend(meant.iter().map(|one| one.namespace.to_owned()));
        all.extend(needs_with_gates(&meant, &catalog, (&desired.fleet, cluster)));
    }
    all.retain(|need| {
        // The namespaces are printed, so that nobody has to be allowed to make any.
        !need.is_for_absent_namespace() && (need.is_required() || !args.required_only)
    });
    let policy = Policy::of(all.iter().map(|need| &need.permission));
    namespaces.retain(|name| {
        let is_always_there = name == "default" || name.starts_with("kube-");
        !is_always_there && policy.scopes.contains_key(&Scope::Namespace(name.clone()))
    });
    let told = policy.yaml(&args.name, args.subject.as_ref(), &namespaces);
    write!(context.out, "{}{told}", head(&clusters, &all, args.required_only))?;
    if policy.is_empty() {
        writeln!(context.err, "none of these addons is on these clusters")?;
    } else if args.subject.is_none() {
        writeln!(context.err, "bound to nobody: `--subject` adds the bindings")?;
    }
    let text = diagnostics::text(&rendered.diagnostics, context.is_coloured);
    write!(context.err, "{text}")?;
    Ok(Exit::of_findings(&rendered.diagnostics))
}

/// What lets the hub's kubeconfigs of some clusters be read.
fn hub(
    args: &Args,
    fleet: &Fleet,
    clusters: &BTreeSet<ClusterName>,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let documents = clusters.iter().filter_map(|name| fleet.clusters.get(name));
    let secrets: Vec<&SecretKeyRef> = documents
        .filter_map(|cluster| cluster.value.spec.connection.kubeconfig_secret.as_ref())
        .collect();
    if secrets.is_empty() {
        let why = "none of these clusters is reached by a Secret of the hub (`kubeconfigSecret`)";
        writeln!(context.err, "{why}")?;
        return Ok(Exit::Done);
    }
    let permissions: Vec<Permission> = secrets.into_iter().map(Permission::of_secret).collect();
    let told =
        Policy::of(permissions.iter()).yaml(&args.name, args.subject.as_ref(), &BTreeSet::new());
    let clusters = counted(permissions.len(), "cluster");
    let head = "# What fitout needs on the hub: the Secrets with the kubeconfigs of";
    writeln!(context.out, "{head} {clusters}.")?;
    write!(context.out, "{told}")?;
    Ok(Exit::Done)
}

fn warn_of_guesses(
    cluster: &ClusterName,
    guessed: &BTreeSet<String>,
    context: &mut Context,
) -> anyhow::Result<()> {
    for kind in guessed {
        writeln!(
            context.err,
            "warning: no chart on `{cluster}` brings the CRD of `{kind}`: its plural, and that it \
             has a namespace, are guessed; `fitout doctor` asks the cluster"
        )?;
    }
    Ok(())
}

/// What the YAML is, as comments.
fn head(clusters: &BTreeSet<ClusterName>, needs: &[Need], is_required_only: bool) -> String {
    let addons_of = |only: Option<Purpose>| {
        let purposes = needs.iter().flat_map(|need| &need.purposes);
        let meant = purposes.filter(|(purpose, _)| only.is_none_or(|only| **purpose == only));
        let addons: BTreeSet<&AddonName> = meant.flat_map(|(_, addons)| addons).collect();
        let names: Vec<&str> = addons.into_iter().map(AddonName::as_str).collect();
        names.join(", ")
    };
    if needs.is_empty() {
        return String::new();
    }
    let clusters = match clusters.len() {
        1 => clusters.iter().map(ClusterName::to_string).collect(),
        many => format!("each of {many} clusters"),
    };
    let mut text = format!("# What fitout needs on {clusters} for {}.\n", addons_of(None));
    let grants = addons_of(Some(Purpose::Grants));
    if !grants.is_empty() {
        text.push_str(&format!(
            "# Roles that charts bring ({grants}): Kubernetes lets nobody grant what they lack, so \
             their rules\n# are among these.\n"
        ));
    }
    let binds = addons_of(Some(Purpose::Binds));
    if !binds.is_empty() {
        text.push_str(&format!("# Roles of others that charts bind ({binds}): the verb `bind`.\n"));
    }
    if !is_required_only {
        text.push_str(
            "# Lists over the whole cluster find every release, for the controller, `fitout status` and \
             what git no longer\n# wants, and save requests: `--required-only` leaves them out.\n",
        );
    }
    text
}
