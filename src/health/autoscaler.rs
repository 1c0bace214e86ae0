//! HorizontalPodAutoscalers. One that has no metrics yet, or cannot find its target, is no reason to
//! wait: what it scales runs all the same, and the metrics may come from an addon that comes later.
//! Its words say so.

use serde_json::Value as Json;

use super::{Health, condition};

pub(super) fn health(object: &Json) -> Health {
    for kind in ["AbleToScale", "ScalingActive"] {
        if let Some(scaling) = condition(object, kind)
            && scaling.is_false()
        {
            return Health::ready(format!("is there, and does not scale: {}", scaling.words()));
        }
    }
    Health::ready("is there")
}
