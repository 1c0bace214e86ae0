//! A Prometheus for tests: range queries by its HTTP API, over values that the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use regex::Regex;
use serde_json::{Value as Json, json};

use crate::web::Web;

/// Values by cluster, each from its time on.
type History = Vec<(f64, BTreeMap<String, f64>)>;

/// Serves until the process ends.
pub(crate) struct Prometheus {
    web: Web,
    history: Arc<Mutex<History>>,
}

impl Prometheus {
    /// One that has seen nothing yet.
    pub(crate) fn start() -> Self {
        let web = Web::start();
        let history = Arc::<Mutex<History>>::default();
        let known = Arc::clone(&history);
        web.on("/api/v1/query_range", move |asked| {
            let fields = form_urlencoded::parse(asked.query.as_bytes()).into_owned();
            let fields: BTreeMap<String, String> = fields.collect();
            answer(&fields, &known.lock().unwrap()).to_string()
        });
        Self { web, history }
    }

    pub(crate) fn url(&self) -> String {
        self.web.url()
    }

    /// What it sees of each cluster from now on.
    pub(crate) fn sees(&self, values: &[(&str, f64)]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.history.lock().unwrap().push((now, values));
    }
}

/// A series for each cluster that the query's matcher names, at each step where there is a value.
fn answer(fields: &BTreeMap<String, String>, history: &[(f64, BTreeMap<String, f64>)]) -> Json {
    let number = |field: &str| fields[field].parse::<f64>().unwrap();
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let matcher = Regex::new("cluster=~\"([^\"]*)\"").unwrap();
    let named = &matcher.captures(&fields["query"]).expect("the query names clusters")[1];
    let named = Regex::new(&format!("^(?:{named})$")).unwrap();
    let mut series: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
    let steps = ((end - start) / step).round() as u32;
    for at in (0..=steps).map(|index| start + step * f64::from(index)) {
        let seen = history.iter().rev().find(|(since, _)| *since <= at);
        for (name, value) in seen.into_iter().flat_map(|(_, values)| values) {
            if named.is_match(name) {
                series.entry(name).or_default().push(json!([at, value.to_string()]));
            }
        }
    }
    let series = series.into_iter();
    let series =
        series.map(|(name, values)| json!({"metric": {"cluster": name}, "values": values}));
    let data = json!({"resultType": "matrix", "result": series.collect::<Vec<_>>()});
    json!({"status": "success", "data": data})
}
