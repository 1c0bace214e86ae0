//! `fitout validate`: everything that is wrong, at once, each with its place and a way out.

use insta::assert_snapshot;

use crate::env::Env;

#[test]
fn the_worked_example_is_as_it_should_be() {
    assert_snapshot!(Env::example().run("validate"));
}

/// What is told of the small fleet after one change.
fn after(change: impl Fn(&Env)) -> String {
    let env = Env::small();
    change(&env);
    env.run("validate")
}

/// What is told of the small fleet where the `web` addon says this in its `spec` as well.
fn addon(spec: &str) -> String {
    after(|env| {
        let file = "addons/web/addon.yaml";
        env.replace(file, "  namespace: web", &format!("  namespace: web\n  {spec}"));
    })
}

/// What is told of the small fleet with this policy.
fn policy(spec: &str) -> String {
    after(|env| {
        let head =
            "apiVersion: fitout.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {name: careful}\n";
        env.write("policies/careful.yaml", &format!("{head}spec:\n  {spec}\n"));
        let file = "addons/web/addon.yaml";
        env.replace(file, "  namespace: web", "  namespace: web\n  rollout: {policy: careful}");
    })
}

/// What is told of the small fleet with this template in the `web` chart.
fn template(text: &str) -> String {
    after(|env| env.write("addons/web/chart/templates/more.yaml", text))
}

mod documents {
    use super::*;

    #[test]
    fn text_that_is_no_yaml() {
        let cases = [
            "kind: Cluster\n  metadata: {name: x}\n",
            "metadata: {name: x\n",
            "kind: \"Cluster\n",
            "a:\n\t- b\n",
            "a: 1\na: *nowhere\n",
        ];
        let told = cases.map(|text| after(|env| env.write("clusters/dev.yaml", text)));
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn files_that_hold_no_document() {
        let told = after(|env| {
            env.write("clusters/list.yaml", "- a\n- b\n");
            env.write("clusters/other.yaml", "kind: Pod\napiVersion: v1\n");
            env.write("clusters/old.yaml", "kind: Cluster\napiVersion: fitout.dev/v1\n");
            env.write("clusters/kind.yaml", "kind: Custer\napiVersion: fitout.dev/v1alpha1\n");
            env.write("clusters/none.yaml", "name: x\n");
            env.write("clusters/odd.yml", "a: 1\n");
            std::fs::write(env.fleet().join("clusters/bytes.yaml"), b"a: \xff\xfe\n").unwrap();
        });
        assert_snapshot!(told);
    }

    #[test]
    fn a_misspelt_field_gets_a_suggestion() {
        let env = Env::example();
        env.replace("addons/traefik/addon.yaml", "namespace: ingress", "namespase: ingress");
        env.commit("Misspell a field");
        assert_snapshot!(env.run("validate"));
    }

    #[test]
    fn values_of_another_type_or_form() {
        let told = after(|env| {
            let text = "
apiVersion: fitout.dev/v1alpha1
kind: Cluster
metadata:
  name: Dev_1
  labels: {environment: dev, size: 3, on: true}
spec:
  kubernetesVersion: 1.35
  connection: {simulated: {nodes: many}, context: here}
  facts: [a]
  addons: {name: web}
";
            env.write("clusters/dev.yaml", text);
            env.write("clusters/empty.yaml", "apiVersion: fitout.dev/v1alpha1\nkind: Cluster\n");
        });
        assert_snapshot!(told);
    }

    #[test]
    fn a_key_that_is_there_twice() {
        assert_snapshot!(after(|env| {
            env.replace("clusters/dev.yaml", "spec:", "spec:\n  kubernetesVersion: \"1.34\"");
        }));
    }

    #[test]
    fn yaml_that_means_nothing_here() {
        let facts = [
            "facts: {a: !!binary aGk=}",
            "facts: {a: !!int many}",
            "facts: {<<: text}",
            "facts: {{a}: b}",
            "kubernetesVersion: \"1.99999999999999999999\"",
        ];
        let told = facts.map(|facts| {
            after(|env| {
                let text = env.read("clusters/dev.yaml");
                let lines = text.lines().filter(|line| {
                    !facts.starts_with("kube") || !line.contains("kubernetesVersion")
                });
                let text = lines.collect::<Vec<_>>().join("\n");
                env.write(
                    "clusters/dev.yaml",
                    &text.replace("spec:", &format!("spec:\n  {facts}")),
                );
            })
        });
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn two_documents_of_one_name() {
        assert_snapshot!(after(|env| {
            env.write("clusters/again.yaml", &env.read("clusters/dev.yaml"));
        }));
    }

    #[test]
    fn labels_that_kubernetes_would_not_take() {
        assert_snapshot!(after(|env| {
            env.replace(
                "clusters/dev.yaml",
                "environment: dev",
                "environment: dev, \"a b\": \"c/d\"",
            );
        }));
    }

    #[test]
    fn one_cluster_in_two_documents() {
        assert_snapshot!(after(|env| {
            for name in ["dev", "prod"] {
                let file = format!("clusters/{name}.yaml");
                env.replace(&file, "{simulated: {nodes: 1}}", "{context: mine}");
            }
        }));
    }

    #[test]
    fn errors_of_many_files_come_all_at_once() {
        let told = after(|env| {
            env.replace("clusters/dev.yaml", "spec:", "spec:\n  adons: []");
            env.replace("clusters/prod.yaml", "nodes: 1", "nodes: one");
            env.replace("addons/web/addon.yaml", "addon: base", "addon: bass");
            env.write("addons/web/values.yaml", "size: [1\n");
            env.write("addons/base/chart/templates/config.yaml", "a: {{ .Values.x.y }}\n");
        });
        assert_snapshot!(told);
    }

    #[test]
    fn programs_get_the_same() {
        let env = Env::small();
        env.replace("addons/web/addon.yaml", "addon: base", "addon: bass");
        assert_snapshot!(env.run("validate -o json"));
    }

    #[test]
    fn an_empty_repository_is_no_fleet_with_errors() {
        assert_snapshot!(Env::new().run("validate"));
    }
}

mod references {
    use super::*;

    #[test]
    fn names_that_nothing_has() {
        let told = after(|env| {
            env.replace("clusters/dev.yaml", "spec:", "spec:\n  addons: [{name: wen}]");
            let file = "addons/web/addon.yaml";
            env.replace(file, "addon: base", "addon: bsae");
            env.replace(file, "  namespace: web", "  namespace: web\n  rollout: {policy: fast}");
            let chart = "{repository: main, name: x, version: 1.0.0}";
            env.replace("addons/base/addon.yaml", "{path: chart}", chart);
        });
        assert_snapshot!(told);
    }

    #[test]
    fn a_reference_to_a_document_that_cannot_be_read_is_not_told_as_well() {
        let told = after(|env| env.replace("addons/base/addon.yaml", "placement:", "plaecment:"));
        assert_snapshot!(told);
    }

    #[test]
    fn a_dependency_that_is_not_on_the_cluster() {
        assert_snapshot!(after(|env| {
            let setting = "spec:\n  addons: [{name: base, enabled: false}]";
            env.replace("clusters/dev.yaml", "spec:", setting);
        }));
    }

    #[test]
    fn a_dependency_at_another_version() {
        assert_snapshot!(after(|env| {
            env.replace("addons/web/addon.yaml", "\">=1\"", "\">=2\"");
        }));
    }

    #[test]
    fn two_addons_that_are_one_release() {
        assert_snapshot!(after(|env| {
            let web = "  namespace: base\n  releaseName: base";
            env.replace("addons/web/addon.yaml", "  namespace: web", web);
        }));
    }

    #[test]
    fn a_kubernetes_version_that_an_addon_does_not_work_on() {
        assert_snapshot!(addon("kubernetes: \">=1.20 <1.35\""));
    }

    #[test]
    fn versions_where_there_is_only_one() {
        assert_snapshot!(after(|env| {
            let setting = "spec:\n  addons: [{name: web, version: 1.0.0}, {name: web}]";
            env.replace("clusters/dev.yaml", "spec:", setting);
            env.replace("addons/base/addon.yaml", "{path: chart}", "{path: chart, version: 1.2.0}");
        }));
    }
}

mod forms {
    use super::*;

    #[test]
    fn selectors() {
        let told = [
            "variants: [{clusters: {matchLabels: {environmnet: prod}}}]",
            "variants: [{clusters: {matchLabels: {environment: production}}}]",
            "variants: [{clusters: {matchLabels: {\"a b\": \"c d\"}}}]",
            "variants: [{clusters: {matchExpressions: [{key: environment, operator: In}]}}]",
            "variants: [{clusters: {matchExpressions: [{key: x, operator: Exists, values: [y]}]}}]",
            "variants: [{clusters: {matchExpressions: [{key: environment, operator: Like}]}}]",
            "variants: [{clusters: {labels: {environment: prod}}}]",
        ];
        assert_snapshot!(told.map(addon).join("\n"));
    }

    #[test]
    fn a_placement_that_matches_nothing() {
        assert_snapshot!(after(|env| {
            let nowhere = "placement: {matchLabels: {environment: lab}}";
            env.replace("addons/web/addon.yaml", "placement: {}", nowhere);
        }));
        assert_snapshot!(after(|env| {
            env.replace("addons/web/addon.yaml", "  placement: {}\n", "");
        }));
    }

    #[test]
    fn ranges_and_versions() {
        let told = ["kubernetes: latest", "updates: {version: \">=1 <\"}", "kubernetes: \"\""];
        let mut told: Vec<String> = told.map(addon).to_vec();
        told.push(after(|env| {
            env.replace("addons/web/addon.yaml", "\">=1\"", "one");
        }));
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn durations_and_checks() {
        let told = [
            "health: {timeout: 10}",
            "health: {timeout: ten minutes}",
            "health: {checks: [{object: {kind: Pod, name: x}, cel: \"self.status >= \"}]}",
            "ignoreDifferences: [{kind: Deployment, path: spec.replicas, reason: scaled}]",
        ];
        assert_snapshot!(told.map(addon).join("\n"));
    }

    #[test]
    fn approvals() {
        let env = Env::small();
        let document = "apiVersion: fitout.dev/v1alpha1\nkind: Approval\nmetadata: {name: go}\n\
                        spec:\n  rollout: web\n  stage: staging\n  plan: 9f86d081\n  because: so\n";
        env.write("approvals/go.yaml", document);
        assert_snapshot!(env.run("validate"));
    }

    #[test]
    fn policies() {
        let told = [
            "stages: []",
            "stages: [{name: a}]",
            "stages: [{name: a, clusters: {}}, {name: a, clusters: {}}]",
            "stages: [{name: a, clusters: {}, pick: {percent: 120}}, {name: b, clusters: {}}]",
            "stages: [{name: a, clusters: {}, pick: {spreadBy: [regoin, environment]}}]",
            "stages: [{name: a, clusters: {}, batch: {percent: 0}, soak: soon}]",
            "stages: [{name: a, clusters: {}, batch: {atMost: 0}}]",
            "stages: [{name: a, clusters: {}, order: [{matchLabels: {regoin: x}}, {}, {matchLabels: {environment: prod}}]}]",
            "stages: [{name: a, clusters: {}, batch: {atMost: 1}, maxFailures: 0}, {name: b, clusters: {}, maxFailures: 10, onFailure: continue}]",
            "stages: [{name: a, clusters: {}, gates: [{approval: {count: 0}}, {}]}]",
            "{groups: {sre: [ada, ben]}, signers: {ada: [ssh-ed25519], cleo: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHaoV8Msbf8tCeYQ9z32MWRHd9mrmkpRW/pxX2T8S6Gq\"], dora: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHaoV8Msbf8tCeYQ9z32MWRHd9mrmkpRW/pxX2T8S6Gq\"]}, stages: [{name: a, clusters: {}, gates: [{approval: {count: 2, from: [sre], signed: true}}]}]}",
            "stages: [{name: a, clusters: {matchLabels: {environment: prod}}}]",
            "{maxFailures: 0, stages: [{name: a, clusters: {}}]}",
            "{maxFailures: half, stages: [{name: a, clusters: {}}]}",
            "{maxFailures: 110%, onFailure: stop, stages: [{name: a, clusters: {}}]}",
            "{stages: [{name: a, clusters: {}, gates: [{prometheus: {}}, {prometheus: {url: \"https://p\", query: x, max: 0.1, compareTo: control}}]}]}",
            "{stages: [{name: a, clusters: {}, pick: {atLeast: 1}, gates: [{prometheus: {url: \"https://p\", query: \"rate(x[5m])\", compareTo: control, errorRate: 0, tolerance: ten}}, {prometheus: {name: b, url: \"https://p\", query: x, max: 1, tolerance: 5%, worse: lower}}]}, {name: b, clusters: {}}]}",
            "{stages: [{name: a, clusters: {}, gates: [{job: {name: a, file: jobs/none.yaml}}, {job: {file: a.yaml, manifest: {}}}]}]}",
            "{stages: [{name: a, clusters: {}, gates: [{job: {cluster: prod-9, manifest: {apiVersion: batch/v1, kind: Job, spec: {template: {spec: {containers: []}}}}}}, {job: {name: b, manifest: {kind: Pod}}}]}]}",
            "{stages: [{name: a, clusters: {}, gates: [{job: {file: jobs/none.yaml}}]}]}",
            "{train: true, stages: [{name: a, clusters: {}, gates: [{job: {helmTest: true}}]}]}",
            "{stages: [{name: a, clusters: {}, gates: [{prometheus: {url: \"http://u:x@p\", query: a - $control, min: 3, max: 2}}, {prometheus: {url: p, query: \"\", interval: 0s}}, {prometheus: {name: soak, url: \"https://p\", query: x, max: 1}}]}]}",
            "{stages: [{name: a, clusters: {}, gates: [{prometheus: {url: \"https://p\", query: x, max: 1}, approval: {}}]}]}",
            "{stages: [{name: a, clusters: {}, gates: [{webhook: {url: \"http://board.example.org\", secret: {env: X}, interval: 2d}}, {webhook: {url: \"http://localhost:1\", secret: {env: X}}}]}]}",
            "{windows: [{days: [mon, tues], from: 08:00, to: 16:00, timezone: Europe/Zürich}], stages: [{name: a, clusters: {}}]}",
            "{windows: [{from: 8am, to: 24:30}, {from: 600, to: 10:00}], stages: [{name: a, clusters: {}}]}",
            "{freezes: [{from: 2026-12-18, to: 5 January, reason: x}], stages: [{name: a, clusters: {}}]}",
            "{freezes: [{from: 2026-12-18}], stages: [{name: a, clusters: {}}]}",
            "{freezes: [{from: 2027-01-05, to: 2026-12-18, reason: x}], stages: [{name: a, clusters: {}, windows: [{from: 08:00, to: 08:00}]}]}",
        ];
        assert_snapshot!(told.map(policy).join("\n"));
    }

    #[test]
    fn what_is_not_supported_is_said_in_so_many_words() {
        let repository = |kind: &str| {
            after(|env| {
                let text = format!(
                    "apiVersion: fitout.dev/v1alpha1\nkind: ChartRepository\nmetadata: {{name: main}}\nspec: {{url: \"oci://charts.example.org\", type: {kind}}}\n"
                );
                env.write("addons/repositories.yaml", &text);
                let chart = "{repository: main, name: x, version: 1.0.0}";
                env.replace("addons/web/addon.yaml", "{path: chart}", chart);
            })
        };
        let mut told = vec![repository("oci"), repository("git"), repository("chartmuseum")];
        told.push(repository("http"));
        told.push(after(|env| {
            let chart = "{oci: \"oci://charts.example.org/x:1.0.0\"}";
            env.replace("addons/web/addon.yaml", "{path: chart}", chart);
        }));
        told.push(after(|env| {
            let layer = "    - file: values.yaml\n    - secrets: secrets/prod.yaml";
            env.replace("addons/web/addon.yaml", "    - file: values.yaml", layer);
            env.write("addons/web/secrets/prod.yaml", "sops: {}\n");
        }));
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn strategies_that_cannot_work() {
        let blue_green = |settings: &str| {
            addon(&format!("rollout: {{strategy: {{blueGreen: {{{settings}}}}}}}"))
        };
        let told = [
            addon("rollout: {strategy: blueGreen}"),
            addon("rollout: {strategy: greenBlue}"),
            blue_green("steps: []"),
            blue_green("traffic: {}"),
            blue_green("traffic: {service: {name: web}, httpRoute: {name: web}}"),
            blue_green("traffic: {service: {name: web}}, steps: [{weight: 10}, {weight: 100}]"),
            blue_green("traffic: {httpRoute: {nam: web}}, keepFor: long"),
            blue_green(
                "traffic: {httpRoute: {name: web}}, \
                 steps: [{weight: 0}, {weight: 50}, {weight: 50}, {weight: 120}]",
            ),
            blue_green(
                "traffic: {httpRoute: {name: web}}, steps: [{weight: 10, checks: \
                 [{object: {kind: Deployment, name: web}, cel: \"self.status.readyReplicas >\"}]}]",
            ),
        ];
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_secret_in_a_url_is_not_repeated() {
        let told = after(|env| {
            let text = "apiVersion: fitout.dev/v1alpha1\nkind: ChartRepository\nmetadata: {name: main}\nspec: {url: \"https://me:hunter2@charts.example.org\"}\n";
            env.write("addons/repositories.yaml", text);
        });
        assert!(told.contains("bad-url") && !told.contains("hunter2"), "{told}");
        assert_snapshot!(told);
    }
}

mod charts {
    use super::*;

    #[test]
    fn folders_without_a_chart() {
        let told = ["chrat", "values", "../../../x", "."].map(|path| {
            after(|env| {
                let chart = format!("{{path: {path}}}");
                env.replace("addons/web/addon.yaml", "{path: chart}", &chart);
            })
        });
        assert_snapshot!(told.join("\n"));
    }

    /// What is told of the small fleet with this template, where `web` is changed by `blueGreen`.
    fn twice(text: &str) -> String {
        after(|env| {
            env.write("addons/web/chart/templates/config.yaml", text);
            let traffic = "{service: {name: web}}";
            let strategy =
                format!("  rollout: {{strategy: {{blueGreen: {{traffic: {traffic}}}}}}}");
            let spec = format!("  namespace: web\n{strategy}");
            env.replace("addons/web/addon.yaml", "  namespace: web", &spec);
        })
    }

    #[test]
    fn charts_that_cannot_stand_twice_beside_one_another() {
        let workload = |pod: &str, labels: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: \"{{{{ .Release.Name }}}}\"}}\n\
                 spec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    \
                 metadata: {{labels: {{app: web, {labels}}}}}\n    spec: {pod}\n"
            )
        };
        let image = "image: \"registry.example.org/web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
        let of_release = "app.kubernetes.io/instance: \"{{ .Release.Name }}\"";
        let container = format!("containers: [{{name: web, {image}}}]");
        let claim = |name: &str| {
            let volumes =
                format!("volumes: [{{name: data, persistentVolumeClaim: {{claimName: {name}}}}}]");
            workload(&format!("{{{container}, {volumes}}}"), of_release)
        };
        let ingress = |host: &str| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: \"{{{{ .Release.Name }}}}\"}}\n\
                 spec: {{rules: [{{host: \"{host}\", http: {{paths: [{{path: /, pathType: Prefix, \
                 backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]}}\n"
            )
        };
        let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
                     metadata: {name: \"{{ .Release.Name }}\"}\nspec: {hostnames: [web.example.org]}\n";
        let port = format!(
            "{{containers: [{{name: web, {image}, ports: [{{containerPort: 80, hostPort: 8080}}]}}]}}"
        );
        let cases = [
            workload(&format!("{{{container}}}"), of_release),
            claim("\"{{ .Release.Name }}-data\""),
            ingress("{{ .Release.Name }}.example.org"),
            workload(&format!("{{{container}}}"), "tier: front"),
            workload(&port, of_release),
            workload(&format!("{{hostNetwork: true, {container}}}"), of_release),
            claim("data"),
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: web}\n"
                .to_owned(),
            "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ .Release.Name }}\"}\n\
             spec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}\n"
                .to_owned(),
            ingress("web.example.org"),
            route.to_owned(),
        ];
        assert_snapshot!(cases.map(|text| twice(&text)).join("\n"));
    }

    #[test]
    fn releases_in_slots_claim_the_objects_of_their_own_names() {
        let service = |name: &str| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: \"{name}\"}}\n\
                 spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
            )
        };
        let beside = |name: &str| {
            after(|env| {
                env.write("addons/base/chart/templates/config.yaml", &service(name));
                let own = service("{{ .Release.Name }}");
                env.write("addons/web/chart/templates/config.yaml", &own);
                env.replace("addons/base/addon.yaml", "namespace: base", "namespace: web");
                let strategy = "{strategy: {blueGreen: {traffic: {service: {name: web}}}}}";
                let spec = format!("  namespace: web\n  rollout: {strategy}");
                env.replace("addons/web/addon.yaml", "  namespace: web", &spec);
            })
        };
        // The Service that traffic goes through may well be called as the addon.
        assert_snapshot!([beside("web"), beside("web-green")].join("\n"));
    }

    #[test]
    fn a_chart_that_is_too_large() {
        let told = after(|env| {
            env.write("addons/web/chart/files/large.bin", &"x".repeat((8 << 20) + 1));
        });
        assert_snapshot!(told);
    }

    #[test]
    fn files_of_a_chart_that_cannot_be_read() {
        let told = [
            ("Chart.yaml", "name: [\n"),
            ("Chart.yaml", "name: web\n"),
            ("Chart.yaml", "apiVersion: v2\nname: web\nversion: one\n"),
            ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\ntype: library\n"),
            ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: \"<1.30\"\n"),
            (
                "Chart.yaml",
                "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: db, version: 1.x}]\n",
            ),
            ("values.yaml", "a: 1\n b: 2\n"),
            ("values.schema.json", "{"),
        ];
        let told = told
            .map(|(name, text)| after(|env| env.write(&format!("addons/web/chart/{name}"), text)));
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn templates_that_fail() {
        let told = [
            "a: {{ .Values.colour.name }}\n",
            "a: {{ .Values.missing.name }}\n",
            "a: {{ required \"size: how large it is\" .Values.extent }}\n",
            "a: {{ if gt (int .Values.size) 2 }}{{ fail \"too large\" }}{{ end }}\n",
            "a: {{ if .Values.x }}\n",
            "a: {{ .Values.colour | upcase }}\n",
            "a: {{ include \"web.labels\" . }}\n",
            "{{ define \"web.loop\" }}{{ include \"web.loop\" . }}{{ end }}{{ include \"web.loop\" . }}",
        ];
        assert_snapshot!(told.map(template).join("\n"));
    }

    #[test]
    fn a_failure_deep_within_includes_names_every_place() {
        let told = after(|env| {
            let helpers = "{{- define \"web.name\" -}}\n{{ .Values.colour.name }}\n{{- end -}}\n{{- define \"web.labels\" -}}\nname: {{ include \"web.name\" . }}\n{{- end -}}\n";
            env.write("addons/web/chart/templates/_helpers.tpl", helpers);
            let more = "kind: ConfigMap\nmetadata:\n  labels:\n    {{- include \"web.labels\" . | nindent 4 }}\n";
            env.write("addons/web/chart/templates/more.yaml", more);
        });
        assert_snapshot!(told);
    }

    #[test]
    fn a_failure_in_a_subchart_names_its_file_and_the_layer() {
        let told = after(|env| {
            env.write("addons/web/chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 2.0.0\ndependencies: [{name: store, version: 1.x, alias: db}]\n");
            env.chart("addons/web/chart/charts/store", "store", "1.0.0");
            let template = "a: {{ .Values.disk.size }}\n";
            env.write("addons/web/chart/charts/store/templates/config.yaml", template);
            env.write("addons/web/values/prod.yaml", "size: 3\ndb:\n  disk: large\n");
            env.write("addons/web/chart/charts/store/values.yaml", "disk: {size: 1Gi}\n");
        });
        assert_snapshot!(told);
    }

    #[test]
    fn output_that_is_no_object() {
        let told = ["a: 1\n b: 2\n", "- a\n- b\n", "kind: [x]\n", "just text\n"];
        assert_snapshot!(told.map(template).join("\n"));
    }

    #[test]
    fn values_that_do_not_fit_the_schema() {
        let told = after(|env| {
            let schema = "{\"properties\": {\"size\": {\"type\": \"string\"}, \"colour\": {\"enum\": [\"red\"]}}, \"required\": [\"weight\"]}";
            env.write("addons/web/chart/values.schema.json", schema);
        });
        assert_snapshot!(told);
    }

    #[test]
    fn documents_alone_can_be_checked() {
        let env = Env::small();
        env.write("addons/web/chart/templates/more.yaml", "{{ fail \"no\" }}");
        assert_snapshot!(env.run("validate --no-render"));
    }
}

mod values {
    use super::*;

    #[test]
    fn files_that_cannot_be_read() {
        let told = ["size: [1\n", "- 1\n", "size\n", "a: 1\na: 2\n"]
            .map(|text| after(|env| env.write("addons/web/values.yaml", text)));
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn files_that_are_not_there() {
        let told = after(|env| {
            let file = "addons/web/addon.yaml";
            env.replace(file, "file: values.yaml", "file: valeus.yaml");
            env.replace(file, ".yaml\", optional: true}", ".yaml\"}");
        });
        assert_snapshot!(told);
    }

    #[test]
    fn paths_that_leave_the_repository() {
        assert_snapshot!(after(|env| {
            env.replace("addons/web/addon.yaml", "file: values.yaml", "file: ../../../etc/passwd");
        }));
    }

    #[test]
    fn templates_that_fail() {
        let told = [
            "size: {{ .Cluster.labels.tier }}\n",
            "size: {{ .Values.size }}\n",
            "size: {{ .Cluster.name | upcase }}\n",
            "size: {{ .Cluster.name\n",
            "size: {{ fail \"not here\" }}\n",
            "{{ range until 9999999 }}x{{ end }}\n",
        ];
        let told = told.map(|text| after(|env| env.write("addons/web/values.yaml", text)));
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn templates_of_names_and_inline_values_that_fail() {
        let told = after(|env| {
            let layer = "    - file: \"{{ .Cluster.facts.x }}.yaml\"\n    - inline: {a: {b: \"{{ .Cluster.x }}\"}}\n    - file: values.yaml";
            env.replace("addons/web/addon.yaml", "    - file: values.yaml", layer);
        });
        assert_snapshot!(told);
    }
}

mod findings {
    use super::*;

    const POLICY: &str = include_str!("../cases/guardrails/missing-key.yaml");

    /// The policies of a case without its objects.
    fn policy(env: &Env, text: &str) {
        let end = text.find("---\napiVersion: v1\n").unwrap_or(text.len());
        env.write("policies/guardrails/size.yaml", &text[..end]);
    }

    fn waiver(spec: &str) -> String {
        format!(
            "apiVersion: fitout.dev/v1alpha1\nkind: Waiver\nmetadata: {{name: w}}\nspec: {spec}\n"
        )
    }

    fn objects(env: &Env) {
        env.write(
            "addons/web/chart/templates/more.yaml",
            "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n\
             spec: {containers: [{name: c, image: \"r.example:5000/a\"}]}\n---\n\
             apiVersion: v1\nkind: Namespace\nmetadata: {name: shared}\n",
        );
        env.write(
            "addons/base/chart/templates/more.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shared}\n",
        );
    }

    #[test]
    fn a_health_check_that_nobody_asks() {
        assert_snapshot!(after(|env| {
            let addon = env.read("addons/web/addon.yaml");
            let checks = "  health:\n    checks:\n      - {object: {kind: ConfigMap, name: web-confg}, cel: \"true\"}\n";
            env.write("addons/web/addon.yaml", &format!("{addon}{checks}"));
        }));
    }

    #[test]
    fn a_guardrail_is_broken() {
        assert_snapshot!(after(|env| policy(env, POLICY)));
    }

    #[test]
    fn objects_that_will_fail_or_surprise() {
        assert_snapshot!(after(objects));
        let old = after(|env| {
            objects(env);
            for cluster in ["dev", "prod"] {
                let file = format!("clusters/{cluster}.yaml");
                env.replace(&file, "kubernetesVersion: \"1.35\"", "kubernetesVersion: \"1.23\"");
            }
        });
        assert_snapshot!(old);
    }

    #[test]
    fn guardrails_that_cannot_be_judged() {
        let told = [
            POLICY.replace(
                "object.data['size'] == '1'",
                "authorizer.group('').check('get').allowed()",
            ),
            POLICY.replace("object.data['size'] == '1'", "object.data['size'] = '1'"),
            POLICY.replace("validations:", "validation:"),
            POLICY.replace("policyName: missing-key", "policyName: missing-keys"),
        ]
        .map(|text| after(|env| policy(env, &text)));
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn versions_that_do_not_fit_can_be_waived() {
        let told = after(|env| {
            let addon = env.read("addons/web/addon.yaml");
            env.write("addons/web/addon.yaml", &format!("{addon}  kubernetes: \">=1.40\"\n"));
            env.replace("addons/web/addon.yaml", "version: \">=1\"", "version: \">=9\"");
            let waiver = |name: &str, spec: &str| {
                format!(
                    "---\napiVersion: fitout.dev/v1alpha1\nkind: Waiver\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
                )
            };
            let waivers = [
                waiver(
                    "dev-is-old",
                    "code: kubernetes-version, clusters: {matchLabels: {environment: dev}}, reason: it goes in spring, until: \"2999-12-31\"",
                ),
                waiver(
                    "base-is-enough",
                    "code: dependency-version, addon: web, reason: it was tried, until: \"2999-12-31\"",
                ),
                waiver(
                    "over",
                    "code: kubernetes-version, reason: it was new, until: \"2020-01-31\"",
                ),
                waiver(
                    "other",
                    "code: kubernetes-version, addon: base, reason: not this one, until: \"2999-12-31\"",
                ),
            ];
            env.write("policies/waivers.yaml", &waivers.concat());
        });
        assert_snapshot!(told);
    }

    #[test]
    fn a_waiver_holds_until_its_day() {
        let told = [
            "{code: broken-guardrail, guardrail: missing-key, reason: soon gone, until: \"2999-12-31\"}",
            "{code: broken-guardrail, clusters: {matchLabels: {environment: dev}}, reason: r, until: \"2999-12-31\"}",
            "{code: broken-guardrail, reason: soon gone, until: \"2020-01-31\"}",
            "{code: broken-gardrail, reason: soon gone, until: \"2999-12-31\"}",
            "{code: broken-guardrail, reason: soon gone, until: tomorrow}",
        ]
        .map(|spec| {
            after(|env| {
                policy(env, POLICY);
                env.write("policies/waiver.yaml", &waiver(spec));
            })
        });
        assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn findings_for_other_programs() {
        for format in ["sarif", "gitlab-code-quality"] {
            let env = Env::small();
            policy(&env, POLICY);
            assert_snapshot!(format, env.run(&format!("validate -o {format}")));
        }
    }
}
