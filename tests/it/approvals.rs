//! Approvals in git: signatures of commits, and commits that a controller takes for somebody's word.

use fitout::base::ids::Rev;
use fitout::git::signature::{NAMESPACE, SigningKey, Unproven};
use fitout::git::{Commit, Repository};
use git2::{ObjectType, Oid};
use serde_json::{Value as Json, json};
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};

use crate::controller::{Running, fleet, get, serve, settle, told};
use crate::env::{Env, repository};

/// A commit that git has signed with `ssh-keygen`, by the kind of key, and the key.
fn recorded(kind: &str, change: impl FnOnce(&str) -> String) -> (Commit, SigningKey) {
    let read = |ending: &str| {
        let path = repository().join(format!("tests/cases/signatures/{kind}.{ending}"));
        std::fs::read_to_string(path).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let git = git2::Repository::init(folder.path()).unwrap();
    let tree = git.treebuilder(None).unwrap().write().unwrap();
    let author = git2::Signature::now("Ada", "ada@example.org").unwrap();
    let tree = git.find_tree(tree).unwrap();
    let first = git.commit(Some("HEAD"), &author, &author, "Begin", &tree, &[]).unwrap();
    let signed = change(&read("commit"));
    let signed = git.odb().unwrap().write(ObjectType::Commit, signed.as_bytes()).unwrap();
    let rev = |id: Oid| Rev::new(id.to_string());
    let repository = Repository::open(&folder.path().display().to_string()).unwrap();
    let commits = repository.commits(&rev(first), &rev(signed), "approvals").unwrap();
    let [commit] = <[Commit; 1]>::try_from(commits).unwrap();
    (commit, SigningKey::parse(&read("pub")).unwrap())
}

#[test]
fn what_git_signs_is_verified_by_the_keys_that_are_trusted() {
    let (_, stranger) = recorded("ed25519", str::to_owned);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let (commit, key) = recorded(kind, str::to_owned);
        let signature = commit.signature.as_ref().unwrap();
        assert_eq!(commit.trailers("fitout-approve").collect::<Vec<_>>(), ["web-2 staging 0000"]);
        let found = signature.signer(NAMESPACE, [("ada", &key)]).unwrap();
        assert_eq!((found.0, found.1), ("ada", &key), "{kind}");
        if kind != "ed25519" {
            let refused = signature.signer(NAMESPACE, [("eve", &stranger)]).unwrap_err();
            let fingerprint = key.fingerprint();
            assert_eq!(refused, Unproven::UnknownKey { fingerprint }, "{kind}");
        }
        let (forged, _) = recorded(kind, |text| text.replace("web-2 staging", "web-2 prod"));
        let refused = forged.signature.unwrap().signer(NAMESPACE, [("ada", &key)]).unwrap_err();
        assert_eq!(refused, Unproven::Wrong, "{kind}");
    }
}

#[test]
fn signatures_that_cannot_be_verified_say_why() {
    let told = |from: &str, to: &str| {
        let (commit, key) = recorded("ed25519", |text| text.replace(from, to));
        commit.signature.unwrap().signer(NAMESPACE, [("ada", &key)]).unwrap_err().to_string()
    };
    let kinds = "signatures of OpenSSH keys are verified";
    assert_eq!(
        told("SSH SIGNATURE", "PGP SIGNATURE"),
        format!("it is signed with OpenPGP; {kinds}")
    );
    assert_eq!(
        told("SSH SIGNATURE", "SIGNED MESSAGE"),
        format!("it is signed with an X.509 certificate; {kinds}")
    );
    let cut = told(" WVk44MsDT4itNUzzhFnQE=\n", "");
    assert!(cut.starts_with("its signature cannot be read: "), "{cut}");
    for (key, flaw) in [
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "it is a private key, which belongs to nobody else",
        ),
        ("ssh-ed25519", "it is no public key of OpenSSH: "),
    ] {
        let refused = SigningKey::parse(key).unwrap_err();
        assert!(refused.starts_with(flaw), "{refused}");
    }
}

/// Somebody's key.
fn key(of: &str) -> PrivateKey {
    let mut seed = [0; 32];
    seed[..of.len()].copy_from_slice(of.as_bytes());
    PrivateKey::from(Ed25519Keypair::from_seed(&seed))
}

/// A fleet whose staging asks for `gate`, with the keys of ada and ben in its policy.
fn asking(gate: &str) -> Env {
    let env = fleet();
    let public = |of: &str| key(of).public_key().to_openssh().unwrap();
    let signers = format!(
        "spec:\n  signers:\n    ada: [\"{}\"]\n    ben: [\"{}\"]\n",
        public("ada"),
        public("ben")
    );
    let quick = env.read("policies/quick.yaml");
    let careful =
        quick.replace("name: quick", "name: careful").replace("spec:\n", &signers).replace(
            "staging}}, soak: 300ms}",
            &format!("staging}}}}, gates: [{{approval: {gate}}}]}}"),
        );
    env.write("policies/careful.yaml", &careful);
    env.replace("addons/base/addon.yaml", "policy: quick", "policy: careful");
    env.commit("Ask before base goes to production");
    assert!(env.run("validate").ends_with("exit 0\n"), "{}", env.run("validate"));
    env
}

/// Sends an approval as somebody who has signed it for `namespace`; status code and body of the answer.
fn post(address: &str, by: &str, namespace: &str, approval: &str) -> (u16, Json) {
    let signature = key(by).sign(namespace, HashAlg::Sha512, approval.as_bytes()).unwrap();
    let signature = signature.to_pem(LineEnding::LF).unwrap();
    let said = json!({"approval": approval, "signature": signature}).to_string();
    let client = ureq::Agent::config_builder().http_status_as_error(false).build();
    let client = ureq::Agent::new_with_config(client);
    let request = client.post(format!("http://{address}/approvals"));
    let mut answer = request.content_type("application/json").send(said).unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&body).unwrap_or(Json::Null))
}

/// The digest of what `base-1` would approve.
fn plan(env: &Env) -> String {
    let shown = env.run("rollout show base-1 -o json");
    let json = shown.split_once('\n').unwrap().1.split("--- ").next().unwrap();
    let shown: Json = serde_json::from_str(json).unwrap();
    shown["plan"].as_str().unwrap().to_owned()
}

fn trailer(plan: &str) -> String {
    format!("Approve base-1\n\nFitout-Approve: base-1 staging {plan}")
}

/// Commits what is in the index, signed with somebody's key, as git does.
fn commit_signed(env: &Env, by: &str, message: &str) {
    env.git("add --all");
    let git = git2::Repository::open(env.fleet()).unwrap();
    let tree = git.find_tree(git.index().unwrap().write_tree().unwrap()).unwrap();
    let head = git.head().unwrap().peel_to_commit().unwrap();
    let author = git2::Signature::now("Somebody", "somebody@example.org").unwrap();
    let buffer = git.commit_create_buffer(&author, &author, message, &tree, &[&head]).unwrap();
    let text = std::str::from_utf8(&buffer).unwrap();
    let signature = key(by).sign("git", HashAlg::Sha512, text.as_bytes()).unwrap();
    let armored = signature.to_pem(LineEnding::LF).unwrap();
    let signed = git.commit_signed(text, armored.trim_end(), None).unwrap();
    let branch = git.head().unwrap().name().unwrap().to_owned();
    git.reference(&branch, signed, true, "signed").unwrap();
}

fn why(env: &Env) -> String {
    told(env, "why sim-02 base")
}

#[test]
fn a_gate_for_signed_commits_counts_those_and_says_what_is_wrong_with_others() {
    let env = asking("{count: 2, from: [ada, ben], signed: true}");
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 5);
    let plan = plan(&env);
    let said = env.run("rollout approve base-1 --by ada");
    assert!(said.contains("is approved by signed commits only"), "{said}");
    assert!(said.ends_with("exit 5\n"), "{said}");
    let told = env.run("rollout approve base-1 --in-git");
    assert!(told.contains(&format!("--trailer 'Fitout-Approve: base-1 staging {plan}'")), "{told}");
    assert!(why(&env).contains("help: fitout rollout approve base-1 --in-git"), "{}", why(&env));

    env.commit(&trailer(&plan));
    assert_eq!(settle(&env), 5);
    assert!(
        why(&env).contains("does not count: stage staging of rollout base-1 is approved by signed")
    );
    commit_signed(&env, "eve", &trailer(&plan));
    let other = "0".repeat(64);
    commit_signed(&env, "ben", &trailer(&other));
    assert_eq!(settle(&env), 5);
    let reasons = why(&env);
    assert!(reasons.contains("0 of 2 given"), "{reasons}");
    let eve = key("eve").public_key().fingerprint(HashAlg::Sha256);
    assert!(reasons.contains(&format!("signed with {eve}, which is nobody's key")), "{reasons}");
    assert!(reasons.contains("that is for another plan than rollout base-1 has now"), "{reasons}");

    commit_signed(&env, "ada", &trailer(&plan));
    assert_eq!(settle(&env), 5);
    assert!(why(&env).contains("1 of 2 given"), "{}", why(&env));
    let document = env.run("rollout approve base-1 --in-git");
    let document = document.split_once("---\n").unwrap().1.split("--- ").next().unwrap();
    env.write("approvals/base-1-staging.yaml", document);
    assert!(env.run("validate").ends_with("exit 0\n"), "{}", env.run("validate"));
    commit_signed(&env, "ben", "Approve");
    assert_eq!(settle(&env), 0);
    let shown = env.run("rollout show base-1");
    for by in ["ada", "ben"] {
        assert!(shown.contains(&format!("approved by {by}, in signed commit ")), "{shown}");
    }
    assert!(env.run("rollout replay base-1").ends_with("exit 0\n"));
}

#[test]
fn a_document_is_the_word_of_whoever_committed_it_and_of_one_rollout_only() {
    let env = asking("{from: [ada]}");
    let clusters = serve(&env, 3);
    assert_eq!(settle(&env), 5);
    let document = |plan: &str| {
        format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Approval\nmetadata: {{name: go}}\n\
             spec: {{rollout: base-1, stage: staging, plan: {plan}, reason: seen on the board}}\n"
        )
    };
    let plan = plan(&env);
    env.write("approvals/go.yaml", &document("abc"));
    env.commit("Approve");
    let found = env.run("validate");
    assert!(found.contains("error[bad-digest]"), "{found}");
    env.write("approvals/go.yaml", &document(&plan));
    env.commit("Approve what is there");
    assert_eq!(settle(&env), 0);
    let shown = env.run("rollout show base-1");
    assert!(shown.contains("approved by ada, in commit "), "{shown}");
    assert!(shown.contains(": seen on the board"), "{shown}");
    // A hub that has lost its log counts from 1 again, and the approval is older than its rollout.
    drop(clusters);
    std::fs::remove_dir_all(env.root().join("state")).unwrap();
    let _clusters = serve(&env, 3);
    assert_eq!(settle(&env), 5);
    assert!(why(&env).contains("0 of 1 given"), "{}", why(&env));
}

#[test]
fn a_text_that_is_signed_and_sent_to_the_controller_approves() {
    let env = asking("{signed: true, from: [ada]}");
    let _clusters = serve(&env, 3);
    let mut running = Running::start(&env, &["--interval", "1h", "--listen", "127.0.0.1:0"]);
    let begins = running.until(&[("message", "controller begins")]);
    let address = begins["bound"].as_str().unwrap();
    running.until(&[("message", "gate.passed"), ("rollout", "base-1")]);
    let (code, waiting) = get(address, "/approvals");
    let waiting: Json = serde_json::from_str(&waiting).unwrap();
    assert_eq!((code, &waiting[0]["have"], &waiting[0]["need"]), (200, &json!(0), &json!(1)));
    let approval = waiting[0]["approval"].as_str().unwrap();
    assert_eq!(approval, format!("base-1 staging {}", plan(&env)));

    let other = format!("base-1 staging {}", "0".repeat(64));
    let refused = [
        (post(address, "eve", "fitout", approval), 403, "which is nobody's key"),
        (post(address, "ada", "git", approval), 403, "its signature is not of what it says"),
        (post(address, "ben", "fitout", approval), 403, "ben may not approve stage staging"),
        (post(address, "ada", "fitout", &other), 409, "that is for another plan"),
        (post(address, "ada", "fitout", "base-1 prod x"), 409, "is in stage staging, not in prod"),
        (post(address, "ada", "fitout", "base-9 staging x"), 404, "there is no rollout `base-9`"),
        (post(address, "ada", "fitout", "base-1"), 400, "`approval` is `ROLLOUT STAGE PLAN`"),
    ];
    for ((code, body), wanted, why) in refused {
        assert!(code == wanted && body["error"].as_str().unwrap().contains(why), "{code} {body}");
    }
    let (code, event) = post(address, "ada", "fitout", &format!("{approval} seen on the board"));
    assert_eq!(
        (code, &event["by"], &event["reason"]),
        (200, &json!("ada"), &json!("seen on the board"))
    );
    running.until(&[("message", "rollout.completed"), ("rollout", "base-1")]);
    assert_eq!(post(address, "ada", "fitout", approval).0, 409);
    assert_eq!(get(address, "/approvals"), (200, "[]".to_owned()));
    let fingerprint = key("ada").public_key().fingerprint(HashAlg::Sha256);
    let shown = env.run("rollout show base-1");
    assert!(shown.contains(&format!("approved by ada, signed with {fingerprint}")), "{shown}");
}
