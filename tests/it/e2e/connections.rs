//! How `fitout` gets to an API server and logs in, for real: plugins, certificates, tokens that
//! change, proxies, kubeconfigs in Secrets of a hub, and from within a cluster.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{CertificateParams, DnType, DnValue, IsCa, Issuer, KeyPair};
use serde_json::{Value as Json, json};

use super::clusters::{Cluster, tool, words};
use super::fleet::Fleet;
use super::run::{Ran, eventually, run};
use super::wire::{Deed, Wire};

const CLUSTER: &str = "prod-01";

/// `fitout`, with these variables.
fn fitout(fleet: &Fleet, args: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = fleet.env.fitout(&words(args));
    command.env("KUBECONFIG", &fleet.clusters.kubeconfig);
    command.envs(variables.iter().copied());
    run(&mut command, Duration::from_mins(2))
}

/// The cluster's own kubeconfig, as JSON.
fn kubeconfig(cluster: &Cluster) -> Json {
    let text = std::fs::read_to_string(cluster.kubeconfig()).expect("the control plane wrote it");
    serde_yaml::from_str(&text).expect("it is YAML")
}

fn token(cluster: &Cluster) -> String {
    kubeconfig(cluster)["users"][0]["user"]["token"].as_str().expect("it has one").to_owned()
}

/// Lets `prod-01` be reached by this kubeconfig, outside of the repository.
fn reach_by(fleet: &Fleet, kubeconfig: &Json) {
    let path = fleet.env.root().join("given.kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).expect("the folder is ours");
    let connection = format!("kubeconfigFile: {}", path.display());
    fleet.write_cluster(CLUSTER, "{environment: prod}", &connection);
    fleet.env.commit("Another way");
}

/// The same with another user, straight to the server.
fn reach_as(fleet: &Fleet, user: &Json) {
    let mut config = kubeconfig(fleet.clusters.named(CLUSTER));
    config["users"][0]["user"] = user.clone();
    reach_by(fleet, &config);
}

/// A credential plugin: a script that notes each run, and then does this.
struct Plugin {
    folder: PathBuf,
}

impl Plugin {
    fn new(fleet: &Fleet, script: &str) -> Self {
        let folder = fleet.env.root().join("plugin");
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        let path = folder.join("log-in");
        let text = format!("#!/bin/sh\ncd {}\necho >>runs\n{script}\n", folder.display());
        std::fs::write(&path, text).expect("the folder is ours");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is ours");
        let _ = std::fs::remove_file(folder.join("runs"));
        Self { folder }
    }

    fn user(&self) -> Json {
        json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": self.folder.join("log-in"),
            "interactiveMode": "IfAvailable",
        }})
    }

    fn write(&self, name: &str, credential: &Json) {
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": credential,
        });
        std::fs::write(self.folder.join(name), credential.to_string()).expect("it is ours");
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.folder.join("runs")).map_or(0, |runs| runs.len())
    }
}

#[test]
fn a_credential_plugin_is_run_once_and_its_failure_is_told() {
    let Some(fleet) = Fleet::web() else { return };
    let plugin = Plugin::new(&fleet, "cat given");
    reach_as(&fleet, &plugin.user());
    let given = token(fleet.clusters.named(CLUSTER));
    plugin.write("given", &json!({"token": given, "expirationTimestamp": "2099-01-01T00:00:00Z"}));
    fleet.bring_web(CLUSTER);
    assert_eq!(plugin.runs(), 1);
    let failing = Plugin::new(&fleet, "echo hunter2; echo 'your session has ended' >&2; exit 1");
    let ran = fleet.fitout("apply prod-01 --yes");
    println!("{ran}");
    ran.exited(4).says("your session has ended").says("log-in").says(CLUSTER).hides("hunter2");
    assert_eq!(failing.runs(), 1);
    let mut absent = plugin.user();
    absent["exec"]["command"] = json!("no-such-login");
    absent["exec"]["installHint"] = json!("get it from the intranet");
    reach_as(&fleet, &absent);
    let ran = fleet.fitout("diff prod-01").exited(4);
    println!("{ran}");
    ran.says("`no-such-login` cannot be run (get it from the intranet)");
}

/// A certificate of the cluster's authority for an administrator, good or over, and its key.
fn certificate(cluster: &Cluster, is_over: bool) -> (String, String) {
    let pki = Path::new(cluster.kubeconfig()).parent().expect("it is in a folder").join("pki");
    let key = std::fs::read_to_string(pki.join("ca.key")).expect("the control plane wrote it");
    let mut authority = CertificateParams::default();
    authority.distinguished_name = rcgen::DistinguishedName::new();
    // In the very bytes that Go writes, or it is another name.
    let name = format!("{}-ca", cluster.name).as_str().try_into().expect("it is ASCII");
    authority.distinguished_name.push(DnType::CommonName, DnValue::PrintableString(name));
    let key = KeyPair::from_pem(&key).expect("it is a key");
    let issuer = Issuer::new(authority, key);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "somebody");
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.is_ca = IsCa::NoCa;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(if is_over { 2021 } else { 2099 }, 1, 1);
    let key = KeyPair::generate().expect("there is chance");
    let signed = params.signed_by(&key, &issuer).expect("the authority signs");
    (signed.pem(), key.serialize_pem())
}

#[test]
fn client_certificates_are_read_again_when_they_are_over() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    let files = ["crt", "key"].map(|name| fleet.env.root().join(name));
    let write = |is_over| {
        let (certificate, key) = certificate(cluster, is_over);
        std::fs::write(&files[0], certificate).expect("it is ours");
        std::fs::write(&files[1], key).expect("it is ours");
    };
    write(true);
    reach_as(&fleet, &json!({"client-certificate": files[0], "client-key": files[1]}));
    let ran = fleet.fitout("apply prod-01 --yes");
    println!("{ran}");
    ran.exited(4).says("does not accept the credentials").says(CLUSTER);
    write(false);
    fleet.bring_web(CLUSTER);
    // A plugin gives one that is over, and then a better one, without a word of when it ends.
    let plugin = Plugin::new(&fleet, "cat given-$(wc -l <runs)");
    for (name, is_over) in [("given-1", true), ("given-2", false)] {
        let (certificate, key) = certificate(cluster, is_over);
        let pair = json!({"clientCertificateData": certificate, "clientKeyData": key});
        plugin.write(name, &pair);
    }
    reach_as(&fleet, &plugin.user());
    fleet.fitout("diff prod-01 --exit-code").succeeded();
    assert_eq!(plugin.runs(), 2);
}

#[test]
fn a_token_that_changes_in_the_middle_is_read_again() {
    let Some(fleet) = Fleet::web() else { return };
    let wire = Wire::to(fleet.clusters.named(CLUSTER), fleet.env.root());
    let connection = format!("kubeconfigFile: {}", wire.kubeconfig().display());
    fleet.write_cluster(CLUSTER, "{environment: prod}", &connection);
    let path = fleet.env.root().join("token");
    wire.write_user(&format!("{{tokenFile: {}}}", path.display()));
    std::fs::write(&path, "first\n").expect("it is ours");
    let mut wanted = "Bearer first";
    wire.rule(move |seen| {
        if seen.writes == 4 && wanted == "Bearer first" {
            std::fs::write(&path, "second\n").expect("it is ours");
            wanted = "Bearer second";
        }
        if seen.login == wanted { Deed::Pass } else { Deed::Answer(401, "Unauthorized") }
    });
    fleet.bring_web(CLUSTER);
    let seen = wire.seen();
    assert!(seen.iter().any(|seen| seen.login == "Bearer first"));
    assert!(seen.iter().any(|seen| seen.login == "Bearer second"));
}

#[test]
fn a_controller_goes_on_when_its_token_is_another_one() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    let wire = Wire::to(cluster, fleet.env.root());
    let connection = format!("kubeconfigFile: {}", wire.kubeconfig().display());
    fleet.write_cluster(CLUSTER, "{environment: prod}", &connection);
    fleet.env.commit("By a token that changes");
    let path = fleet.env.root().join("token");
    wire.write_user(&format!("{{tokenFile: {}}}", path.display()));
    let valid = Arc::new(Mutex::new(String::new()));
    let issue = |token: &str| {
        std::fs::write(&path, token).expect("it is ours");
        *valid.lock().unwrap_or_else(PoisonError::into_inner) = format!("Bearer {token}");
    };
    issue("first");
    let accepted = Arc::clone(&valid);
    wire.rule(move |seen| {
        let is_valid = seen.login == *accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if is_valid { Deed::Pass } else { Deed::Answer(401, "Unauthorized") }
    });
    let mut controller =
        fleet.spawn("controller --pace 200ms --interval 1s --resync 1s --listen off");
    let motd =
        || cluster.kubectl("get configmap web -n web --ignore-not-found -o jsonpath={.data.motd}");
    eventually("it is brought", Duration::from_mins(1), || motd() == "hello");
    issue("second");
    fleet.set("motd: hello", "motd: changed");
    eventually("it is changed", Duration::from_mins(1), || motd() == "changed");
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    let seen = wire.seen();
    assert!(seen.iter().any(|seen| seen.login == "Bearer first" && seen.is_write));
    assert!(seen.iter().any(|seen| seen.login == "Bearer second" && seen.is_write));
}

#[test]
fn a_cluster_is_not_asked_for_more_at_once_than_it_gives_to_one_user() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    let names: Vec<String> = (0..60).map(|n| format!("n-{n}")).collect();
    fleet.set("replicas: 2", &format!("replicas: 2\nextra: [{}]", names.join(", ")));
    // Two at once for the user `limited`, and none may wait.
    cluster.kubectl_apply(
        "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: PriorityLevelConfiguration\n\
         metadata: {name: narrow}\n\
         spec: {type: Limited, limited: {nominalConcurrencyShares: 1, lendablePercent: 0, \
         borrowingLimitPercent: 0, limitResponse: {type: Reject}}}\n---\n\
         apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\n\
         metadata: {name: narrow}\n\
         spec: {matchingPrecedence: 100, priorityLevelConfiguration: {name: narrow}, rules: \
         [{subjects: [{kind: User, user: {name: limited}}], resourceRules: [{verbs: ['*'], \
         apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*']}]}]}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
         metadata: {name: narrow}\n\
         subjects: [{kind: User, name: limited, apiGroup: rbac.authorization.k8s.io}]\n\
         roleRef: {kind: ClusterRole, name: cluster-admin, apiGroup: rbac.authorization.k8s.io}\n",
    );
    fleet.write_cluster(CLUSTER, "{environment: prod}", "context: prod-01-limited");
    fleet.env.commit("As a narrow user");
    let before = rejected(cluster);
    let ran = fleet.fitout("apply prod-01 --yes");
    let refused = rejected(cluster) - before;
    cluster.kubectl(
        "delete flowschema/narrow prioritylevelconfiguration/narrow clusterrolebinding/narrow",
    );
    println!("{refused} requests were told to come back");
    ran.succeeded();
    assert!(cluster.has("configmap n-59 -n web"));
    assert!(refused > 0, "the server refused nothing");
}

/// How many requests the priority and fairness of the API server have refused for our level.
fn rejected(cluster: &Cluster) -> u64 {
    let metrics = cluster.kubectl("get --raw /metrics");
    let lines = metrics.lines().filter(|line| {
        line.starts_with("apiserver_flowcontrol_rejected_requests_total")
            && line.contains("priority_level=\"narrow\"")
    });
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    counts.sum::<f64>() as u64
}

/// A proxy on loopback that speaks `CONNECT` and SOCKS 5, and brings whoever asks to one port,
/// whatever they ask for. It notes what that was, and who asked.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let own = listener.local_addr().expect("it is bound").port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || {
                    // Whoever is gone needs no tunnel.
                    let _ = tunnel(stream, port, &log);
                });
            }
        });
        Self { port: own, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn tunnel(mut client: TcpStream, port: u16, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut first = [0; 1];
    client.read_exact(&mut first)?;
    let asked = match first[0] {
        5 => socks(&mut client)?,
        _ => connect(&mut client)?,
    };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut server, &mut client)?;
    Ok(())
}

fn connect(client: &mut TcpStream) -> std::io::Result<String> {
    let mut head = vec![b'C'];
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn socks(client: &mut TcpStream) -> std::io::Result<String> {
    let mut methods = [0; 1];
    client.read_exact(&mut methods)?;
    client.read_exact(&mut vec![0; usize::from(methods[0])])?;
    client.write_all(&[5, 0])?;
    let mut head = [0; 5];
    client.read_exact(&mut head)?;
    let mut name = vec![0; usize::from(head[4]) + 2];
    client.read_exact(&mut name)?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
    Ok(format!("socks {}", String::from_utf8_lossy(&name[..name.len() - 2])))
}

#[test]
fn proxies_are_those_of_the_kubeconfig_or_of_the_environment() {
    let Some(fleet) = Fleet::web() else { return };
    let mut config = kubeconfig(fleet.clusters.named(CLUSTER));
    let server = config["clusters"][0]["cluster"]["server"].as_str().expect("it has one");
    let port: u16 = server.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let proxy = Proxy::to(port);
    // Only the proxy knows this name; the server has a certificate for it.
    let named = format!("https://kubernetes.default.svc:{port}");
    config["clusters"][0]["cluster"]["server"] = json!(named);
    reach_by(&fleet, &config);
    fleet.fitout("diff prod-01").exited(4).says("the API server cannot be reached");

    let url = format!("http://127.0.0.1:{}", proxy.port);
    fitout(&fleet, "apply prod-01 --yes", &[("HTTPS_PROXY", &url)]).succeeded();
    let asked = proxy.asked();
    let line = format!("CONNECT kubernetes.default.svc:{port} HTTP/1.1");
    assert!(asked.iter().all(|head| head.starts_with(&line)) && !asked.is_empty(), "{asked:?}");
    for no in ["*", "kubernetes.default.svc", "10.0.0.0/8, .svc,"] {
        let direct = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", no)];
        fitout(&fleet, "diff prod-01", &direct).exited(4).says("cannot be reached");
    }
    assert_eq!(proxy.asked(), [""; 0]);

    for (scheme, begin) in [("http", line.as_str()), ("socks5", "socks kubernetes.default.svc")] {
        let url = format!("{scheme}://127.0.0.1:{}", proxy.port);
        config["clusters"][0]["cluster"]["proxy-url"] = json!(url);
        reach_by(&fleet, &config);
        fitout(&fleet, "diff prod-01", &[("NO_PROXY", "*")]).succeeded();
        let asked = proxy.asked();
        assert!(asked.iter().all(|head| head.starts_with(begin)) && !asked.is_empty(), "{asked:?}");
    }
    let url = format!("http://me:p%40ss@127.0.0.1:{}", proxy.port);
    config["clusters"][0]["cluster"]["proxy-url"] = json!(url);
    reach_by(&fleet, &config);
    fleet.fitout("diff prod-01").succeeded();
    let asked = proxy.asked();
    assert!(asked[0].contains("bWU6cEBzcw=="), "{asked:?}");
    // One that is not there, and one that is none.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr()).expect("free");
    for (url, told) in [
        (format!("http://me:hunter2@{gone}"), "the API server cannot be reached"),
        ("ftp://me:hunter2@proxy".to_owned(), "is neither `http://`, `https://` nor `socks5://`"),
    ] {
        config["clusters"][0]["cluster"]["proxy-url"] = json!(url);
        reach_by(&fleet, &config);
        let ran = fleet.fitout("diff prod-01 -v");
        println!("{ran}");
        ran.exited(4).says(told).hides("hunter2");
    }
}

#[test]
fn a_kubeconfig_of_the_hub_logs_in_and_runs_nothing_unless_that_is_allowed() {
    let Some(fleet) = Fleet::web() else { return };
    let hub = fleet.staging();
    let give = |config: &Json| {
        let path = fleet.env.root().join("value");
        std::fs::write(&path, config.to_string()).expect("it is ours");
        hub.kubectl("delete secret prod-01-kubeconfig -n default --ignore-not-found");
        hub.kubectl(&format!(
            "create secret generic prod-01-kubeconfig -n default --from-file=value={}",
            path.display()
        ));
    };
    let connection = "kubeconfigSecret: {namespace: default, name: prod-01-kubeconfig}";
    fleet.write_cluster(CLUSTER, "{environment: prod}", connection);
    fleet.env.commit("By a Secret of the hub");
    let ran = fleet.fitout("apply prod-01 --yes").exited(4);
    println!("{ran}");
    ran.says("the Secret `default/prod-01-kubeconfig` of cluster `prod-01` is not in the hub");
    let mut config = kubeconfig(fleet.clusters.named(CLUSTER));
    give(&config);
    fleet.bring_web(CLUSTER);

    let plugin = Plugin::new(&fleet, "cat given");
    plugin.write("given", &json!({"token": token(fleet.clusters.named(CLUSTER))}));
    config["users"][0]["user"] = plugin.user();
    give(&config);
    let ran = fleet.fitout("diff prod-01").exited(4);
    println!("{ran}");
    ran.says("runs a command to log in").says("--insecure-kubeconfig-exec");
    assert_eq!(plugin.runs(), 0);
    fleet.fitout("diff prod-01 --exit-code --insecure-kubeconfig-exec").succeeded();
    assert_eq!(plugin.runs(), 1);
    // The same in the fleet's repository, which others than whoever runs fitout may write.
    fleet.env.write("prod-01.kubeconfig", &config.to_string());
    let connection = "kubeconfigFile: prod-01.kubeconfig";
    fleet.write_cluster(CLUSTER, "{environment: prod}", connection);
    fleet.env.commit("By a file of the repository");
    fleet.fitout("diff prod-01").exited(4).says("runs a command to log in");
    assert_eq!(plugin.runs(), 1);
    config["users"][0]["user"] = json!({"tokenFile": "/etc/hostname"});
    give(&config);
    let connection = "kubeconfigSecret: {namespace: default, name: prod-01-kubeconfig}";
    fleet.write_cluster(CLUSTER, "{environment: prod}", connection);
    fleet.env.commit("By a Secret again");
    fleet.fitout("diff prod-01 --insecure-kubeconfig-exec").exited(4).says("names a file");
    hub.kubectl("delete secret prod-01-kubeconfig -n default");
}

#[test]
fn a_kubeconfig_of_the_hub_that_is_renewed_in_the_middle_is_read_again() {
    let Some(fleet) = Fleet::web() else { return };
    let wire = Wire::to(fleet.clusters.named(CLUSTER), fleet.env.root());
    let given = ["first", "second"].map(|token| {
        wire.write_user(&format!("{{token: {token}}}"));
        let path = fleet.env.root().join(token);
        std::fs::copy(wire.kubeconfig(), &path).expect("the folder is ours");
        path
    });
    let give = |path: &Path| {
        let file = format!("--from-file=value={}", path.display());
        format!("create secret generic wired -n default {file}")
    };
    let hub = fleet.staging();
    hub.kubectl("delete secret wired -n default --ignore-not-found");
    hub.kubectl(&give(&given[0]));
    let connection = "kubeconfigSecret: {namespace: default, name: wired}";
    fleet.write_cluster(CLUSTER, "{environment: prod}", connection);
    fleet.env.commit("By a Secret of the hub");
    let (kubeconfig, renewal) = (hub.kubeconfig().to_owned(), give(&given[1]));
    let kubectl = move |args: &str| {
        let mut command = std::process::Command::new(tool("FITOUT_KUBECTL"));
        command.args(words(args)).env("KUBECONFIG", &kubeconfig);
        run(&mut command, Duration::from_secs(30)).succeeded();
    };
    let mut wanted = "Bearer first";
    wire.rule(move |seen| {
        if seen.writes == 4 && wanted == "Bearer first" {
            kubectl("delete secret wired -n default");
            kubectl(&renewal);
            wanted = "Bearer second";
        }
        if seen.login == wanted { Deed::Pass } else { Deed::Answer(401, "Unauthorized") }
    });
    fleet.bring_web(CLUSTER);
    assert!(wire.seen().iter().any(|seen| seen.login == "Bearer second"));
    // Who may not read it is told so by doctor, with what gives it.
    let limited = format!("{}.limited", hub.kubeconfig());
    let ran = fitout(&fleet, "doctor prod-01", &[("KUBECONFIG", &limited)]).exited(4);
    println!("{ran}");
    ran.says("may not get `secrets` (wired) in namespace `default` of the hub")
        .says("resourceNames: [wired]")
        .says("name: limited");
    hub.kubectl("delete secret wired -n default");
}

#[test]
fn doctor_asks_for_all_permissions_by_one_review_for_each_namespace() {
    let Some(fleet) = Fleet::web() else { return };
    let wire = Wire::to(fleet.clusters.named(CLUSTER), fleet.env.root());
    let connection = format!("kubeconfigFile: {}", wire.kubeconfig().display());
    fleet.write_cluster(CLUSTER, "{environment: prod}", &connection);
    fleet.env.commit("At the end of a wire");
    fleet.fitout("doctor prod-01").succeeded().says("all well");
    let seen = wire.seen();
    let reviews = |kind: &str| seen.iter().filter(|seen| seen.path.ends_with(kind)).count();
    assert_eq!(reviews("/selfsubjectrulesreviews"), 2, "of `web`, and of the whole cluster");
    assert_eq!(reviews("/selfsubjectaccessreviews"), 0);
}

#[test]
fn in_a_cluster_the_service_account_logs_in() {
    let Some(fleet) = Fleet::web() else { return };
    let cluster = fleet.clusters.named(CLUSTER);
    let folder = fleet.env.root().join("pod");
    let account = folder.join("kubernetes.io/serviceaccount");
    std::fs::create_dir_all(&account).expect("the folder is ours");
    let may = "mkdir -p /var/run/secrets";
    let mount = "mount -t tmpfs tmpfs /var/run";
    let bind = format!("mount --bind {} /var/run/secrets", folder.display());
    let within = |line: &str| {
        let mut command = std::process::Command::new("unshare");
        let script = format!("{mount} && {may} && {bind} && exec {line}");
        command.args(["--mount", "--map-root-user", "sh", "-c", &script]);
        command
    };
    if !within("true").status().is_ok_and(|status| status.success()) {
        println!("skipped: no folder can be mounted here");
        return;
    }
    cluster.kubectl_apply(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: fitout, namespace: default}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
         metadata: {name: in-cluster}\n\
         subjects: [{kind: ServiceAccount, name: fitout, namespace: default}]\n\
         roleRef: {kind: ClusterRole, name: cluster-admin, apiGroup: rbac.authorization.k8s.io}\n",
    );
    let config = kubeconfig(cluster);
    let authority = config["clusters"][0]["cluster"]["certificate-authority-data"].as_str();
    let authority = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        authority.expect("it has one"),
    );
    std::fs::write(account.join("ca.crt"), authority.expect("it is base64")).expect("ours");
    std::fs::write(account.join("namespace"), "default").expect("it is ours");
    std::fs::write(account.join("token"), cluster.kubectl("create token fitout")).expect("ours");
    let server = config["clusters"][0]["cluster"]["server"].as_str().expect("it has one");
    let port = server.rsplit(':').next().expect("it has one");
    fleet.write_cluster(CLUSTER, "{environment: prod}", "inCluster: {}");
    fleet.env.commit("From within");
    fleet.fitout("diff prod-01").exited(4).says("fitout runs in none");
    let program = env!("CARGO_BIN_EXE_fitout");
    let mut command = within(&format!("{program} apply prod-01 --yes"));
    command
        .current_dir(fleet.env.fleet())
        .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .env("KUBERNETES_SERVICE_PORT", port);
    run(&mut command, Duration::from_mins(1)).succeeded().says("installed as revision 1");
    cluster.kubectl("delete clusterrolebinding in-cluster");
    cluster.kubectl("delete serviceaccount fitout -n default");
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let Some(fleet) = Fleet::web() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let mut config = kubeconfig(fleet.clusters.named(CLUSTER));
    for scheme in ["http", "https"] {
        let server = format!("{scheme}://{}", silent.local_addr().expect("it is bound"));
        config["clusters"][0]["cluster"]["server"] = json!(server);
        reach_by(&fleet, &config);
        for command in ["diff prod-01", "apply prod-01 --yes", "doctor prod-01"] {
            let began = std::time::Instant::now();
            let ran = fleet.fitout(&format!("{command} --request-timeout 1s"));
            println!("{ran}");
            ran.exited(4).says(CLUSTER);
            assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        }
    }
    let absent = fleet.env.root().join("absent.kubeconfig");
    let connection = format!("kubeconfigFile: {}", absent.display());
    fleet.write_cluster(CLUSTER, "{environment: prod}", &connection);
    fleet.env.commit("Nowhere");
    let ran = fleet.fitout("diff prod-01").exited(4);
    println!("{ran}");
    fleet.write_cluster(CLUSTER, "{environment: prod}", "context: prod-1");
    fleet.env.commit("Misspelt");
    let ran = fleet.fitout("diff prod-01").exited(4);
    println!("{ran}");
    ran.says("has no context `prod-1` for cluster `prod-01`; it has `stg-01`");
}
