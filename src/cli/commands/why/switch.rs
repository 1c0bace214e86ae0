//! `fitout why CLUSTER`: what the switch of a cluster waits for, in one line.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::control::onlooker;
use crate::cli::exit::Exit;
use crate::cli::selection::ClusterArgs;
use crate::controller::switches::pairs_in;
use crate::report::switch as report;

/// Runs it.
pub(super) async fn run(
    cluster: &str,
    is_json: bool,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let mut onlooker = onlooker(context)?;
    onlooker.poll().await.map_err(anyhow::Error::msg)?;
    let head = onlooker.head().ok_or_else(|| anyhow::anyhow!("git could not be read"))?;
    let one = ClusterArgs { clusters: vec![cluster.to_owned()], ..ClusterArgs::default() };
    one.select(&head.desired.fleet)?;
    let name = cluster.into();
    let pairs = pairs_in(&head.desired.fleet);
    let pair = pairs.into_iter().find(|(_, members)| members.contains(&name));
    onlooker.survey(|_| false).await.map_err(anyhow::Error::msg)?;
    let switch = onlooker.switches().of_cluster(&name);
    let waiting = switch.and_then(|switch| onlooker.waiting_switches().get(&switch.id));
    let held = pair.as_ref().and_then(|(pair, _)| onlooker.held_pairs().get(pair));
    let line = match (switch, held, &pair) {
        (_, Some(reason), Some((pair, _))) => format!("pair {pair} is held: {reason}"),
        (Some(switch), ..) => report::line(switch, waiting),
        (None, _, Some((pair, members))) if members.len() > 1 => {
            format!("pair {pair} waits for the controller, which has not begun its switch yet")
        }
        (None, _, Some((pair, _))) => format!("{cluster} serves alone in pair {pair}"),
        (None, _, None) => format!("no switch policy is for {cluster}"),
    };
    let way_out = switch.zip(waiting).and_then(|(switch, waits)| waits.way_out(&switch.id));
    if is_json {
        let report = json!({
            "cluster": cluster, "because": line, "switch": switch.map(|switch| &switch.id),
            "waiting": waiting, "waysOut": way_out.iter().collect::<Vec<_>>(),
        });
        writeln!(context.out, "{report:#}")?;
    } else {
        writeln!(context.out, "{line}")?;
        if let Some(way_out) = way_out {
            writeln!(context.err, "help: {way_out}")?;
        }
    }
    Ok(Exit::Done)
}
