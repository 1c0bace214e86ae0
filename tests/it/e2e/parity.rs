//! A real API server and a simulated one are asked the same, and must answer the same. What the
//! real one answers is recorded, so that `crate::parity` can compare without it.

use kube::config::{KubeConfigOptions, Kubeconfig};

use super::clusters::{Cluster, is_asked_for};
use crate::parity::script::Script;
use crate::parity::{block_on, compare_all, play, record};

#[test]
fn a_simulated_cluster_answers_as_a_real_one() {
    if !is_asked_for() {
        return;
    }
    // A cluster of its own: what others leave behind would be in its lists.
    let cluster = Cluster::of_one_test("parity");
    let is_recorded = std::env::var_os("FITOUT_BLESS").is_some();
    let mut changed = Vec::new();
    let told = block_on(async {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        // What the server asks to be tried again is an answer here.
        config.default_retry = false;
        let real = kube::Client::try_from(config).unwrap();
        compare_all(async |script: &Script| {
            let answers = play::play(&real, script).await;
            let (was, is) = (record::read_text(script), record::text(script, &answers));
            if is_recorded {
                record::write(script, &answers);
            } else if was != is {
                let diff = similar::TextDiff::from_lines(&was, &is);
                let diff = diff.unified_diff().header("recorded", "answered").to_string();
                changed.push(format!("{}\n{diff}", script.name));
            }
            answers
        })
        .await
    });
    assert!(told.is_empty(), "{told}");
    assert!(changed.is_empty(), "the recording is not what is answered:\n{}", changed.join("\n"));
}
