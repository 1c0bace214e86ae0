//! What fuzz targets share.

use std::sync::Arc;

use fitout::chart::capabilities::Served;
use fitout::chart::model::{ChartFile, RenderInput};
use fitout::chart::world::SeededWorld;
use fitout::chart::{load, render};

/// Renders a chart whose one template has this text. Whether it renders does not matter, as long
/// as it comes back.
pub fn render_template(text: &str) {
    let file = |name: &str, text: &str| ChartFile {
        name: name.to_owned(),
        data: text.as_bytes().to_vec(),
    };
    let files = vec![
        file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        file("values.yaml", "a: {b: [1, x, null]}\ntext: x\nnumber: 1.5\non: true\n"),
        file("templates/a.txt", text),
    ];
    let Ok(chart) = load::from_files(files) else { return };
    let input = RenderInput {
        release_name: "r".to_owned(),
        namespace: "n".to_owned(),
        revision: 1,
        is_upgrade: false,
        values: serde_json::json!({}),
        kube_version: "v1.31.0".to_owned(),
        served: Served::AsHelm,
        api_versions: Vec::new(),
        with_crds: true,
    };
    let _ = render(&Arc::new(chart), &input, &SeededWorld::new(1, 1_700_000_000_000_000_000));
}
